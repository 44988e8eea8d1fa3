/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upgrade: how this agent hands its place to the next one.
 *
 *   UPGRADE_NONE ── SIGUSR2: another process is started ──► UPGRADE_STARTING
 *      │  ▲                                                     │ it connects: TAKEOVER
 *      │  │ it ends, or is not ready in time                    ▼
 *      │  └────────────────────────────────────────── UPGRADE_HANDING_OVER
 *      └── an agent of another pod: TAKEOVER ───────────────►   │ it serves: COMMIT
 *                                                               ▼
 *                                                          UPGRADE_DONE: drain, then end
 *
 * Until COMMIT nothing changes here: this agent serves, compiles and supervises, while the other
 * one compiles the same and starts a proxy on the same sockets. Both proxies accept from the same
 * queues for a moment; then the old one drains. The first process of a line that was upgraded with
 * SIGUSR2 stays as its keeper (keeper.h): it has the pid that others know.
 */
#ifndef SLUICE_AGENT_UPGRADE_H
#define SLUICE_AGENT_UPGRADE_H

#include "control/control.h"
#include "event/loop.h"

enum {
	UPGRADE_CONNECT_MS = 5000, /* for a started process to say that it is there */
	UPGRADE_READY_MS = 60000,  /* for the next agent to serve */
};

/* In the environment of a process that SIGUSR2 started: the pid of the agent it follows. */
#define UPGRADE_VARIABLE "SLUICE_UPGRADE_OF"

enum upgrade_state {
	UPGRADE_NONE,
	UPGRADE_STARTING,
	UPGRADE_HANDING_OVER,
	UPGRADE_DONE,
};

struct agent;
struct link;

struct upgrade {
	struct agent *agent;
	enum upgrade_state state;
	struct link *link; /* the next agent's connection, or NULL */
	int child_pid;     /* 0: it is none of ours */
	struct loop_watch child_watch;
	struct loop_timer timer;
	uint32_t count;                    /* of the whole line that this agent stands in */
	bool is_end_wanted;                /* a signal came meanwhile */
	char superseded[CONTROL_NAME_MAX]; /* the pod that had this place before */
};

void upgrade_init(struct upgrade *upgrade, struct agent *agent);
void upgrade_release(struct upgrade *upgrade);

/* SIGUSR2: starts what stands at our path now, with the same arguments. */
void upgrade_start(struct upgrade *upgrade);
/* Between the start and COMMIT. */
bool upgrade_is_under_way(const struct upgrade *upgrade);
/*
 * A signal asks this agent to end. True: the next one is on its way, and the end comes with it.
 * A process of our own that is not ready is given up instead, and the answer is false.
 */
bool upgrade_postpones_end(struct upgrade *upgrade);

/* ---- from the control socket --------------------------------------------------------------- */

void upgrade_on_takeover(struct upgrade *upgrade, struct link *link,
			 const struct control_takeover *takeover);
void upgrade_on_commit(struct upgrade *upgrade);
/* The next agent's connection is gone. */
void upgrade_on_closed(struct upgrade *upgrade, const struct link *link, const struct err *why);

/* The name of the pod we run in; empty: none. */
void upgrade_pod_name(char name[CONTROL_NAME_MAX]);

#endif
