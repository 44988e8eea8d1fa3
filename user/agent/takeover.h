/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover: how this agent takes the place of the one before it.
 *
 *   run dir locked? ── no ──► TAKEOVER_NONE: the usual start
 *         │ yes
 *   TAKEOVER_ASKING ── refused ──► wait and ask again, or fail
 *         │ LOCK, LISTENER ..., HANDOVER
 *   TAKEOVER_PREPARING: compile, start a proxy on the same sockets
 *         │ it serves: COMMIT
 *   TAKEOVER_COMMITTED
 *         │ COUNTERS ..., LET_GO
 *   TAKEOVER_DONE: in charge; the connection lasts as long as the other one drains
 *
 * `sluice agent` takes over from another `sluice agent`; `sluice run` only where SIGUSR2 to the one
 * that runs started it: a second one by hand is a mistake.
 */
#ifndef SLUICE_AGENT_TAKEOVER_H
#define SLUICE_AGENT_TAKEOVER_H

#include "control/channel.h"

enum {
	TAKEOVER_ASK_MS = 5000,    /* for the agent in charge to hand over */
	TAKEOVER_LOOK_MS = 10,     /* how often is looked whether all is in force */
	TAKEOVER_STANDBY_MS = 500, /* until the next question, after a refusal */
};

enum takeover_state {
	TAKEOVER_NONE,
	TAKEOVER_ASKING,
	TAKEOVER_PREPARING,
	TAKEOVER_COMMITTED,
	TAKEOVER_DONE,
};

struct agent;

struct takeover {
	struct agent *agent;
	enum takeover_state state;
	struct channel channel;
	struct err why; /* of a refusal, or of an end; code 0: none */
	bool keeps_proxy;
	int admin_fd; /* handed over; -1: none */
	struct addr admin_addr;
	struct loop_timer timer;
};

/*
 * Makes the run dir ours: locks it, or asks whoever has it and waits for the answer, as long as it
 * may still be yes. 0 with agent->lock_fd; -ECANCELED where a signal ended the wait; -errno.
 */
int takeover_lock(struct takeover *takeover, struct agent *agent, struct err *err);
void takeover_close(struct takeover *takeover);

/* Another agent is still in charge: what is shared is its to write. */
bool takeover_is_pending(const struct takeover *takeover);

/* A socket that listens on @addr already (the caller's from now on), or -1. */
int takeover_admin(struct takeover *takeover, const struct addr *addr);

/* Everything was started: COMMIT goes out once it serves. */
void takeover_begin(struct takeover *takeover);

#endif
