/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervise: the proxy as a child of `sluice run`, started again whenever it ends.
 *
 * The listening sockets stay open here meanwhile, so connections wait and are not refused. A proxy
 * that dies young is started again more and more slowly. One that an agent before this one started
 * is nobody's child: it is watched by a pidfd like the others.
 */
#ifndef SLUICE_AGENT_SUPERVISE_H
#define SLUICE_AGENT_SUPERVISE_H

#include "event/loop.h"

enum {
	SUPERVISE_BACKOFF_FIRST_MS = 50,
	SUPERVISE_BACKOFF_MAX_MS = 2000,
	SUPERVISE_OLD_ENOUGH_MS = 5000, /* a life this long makes the next start immediate */
};

struct agent;

struct supervise {
	struct agent *agent;
	struct loop_watch watch; /* pidfd; fd -1: no process */
	int pid;
	bool is_child;
	uint64_t started_ms;
	uint32_t backoff_ms;
	uint32_t start_count;
	struct loop_timer timer;
};

void supervise_init(struct supervise *supervise, struct agent *agent);
void supervise_release(struct supervise *supervise);

/* Starts a proxy now. A failure is logged and tried again. */
void supervise_start(struct supervise *supervise);
/* Watches a proxy that runs already. 0 or -errno. */
int supervise_adopt(struct supervise *supervise, int pid);
/* Ends the process at once. */
void supervise_kill(struct supervise *supervise);
bool supervise_is_running(const struct supervise *supervise);

#endif
