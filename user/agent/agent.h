/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent: the half of sluice that decides and never touches a client's byte.
 *
 *   manifests ─► reconcile ─► publisher ─► link ═══ control socket ═══► proxy
 *                    │                       ▲
 *                    ▼                       │ listening sockets, counters, ticket keys
 *                steering ─► BPF maps    listeners, supervise, tickets
 *              protection ──────┘
 *
 *   admin: what people and Prometheus see of all this
 *
 * One thread, one loop. Reading order: main.c (the order of start and end), link.h (a connected
 * proxy), reconcile.h (a change on its way), then the rest in any order.
 */
#ifndef SLUICE_AGENT_AGENT_H
#define SLUICE_AGENT_AGENT_H

#include "agent/admin.h"
#include "agent/cluster.h"
#include "agent/drops.h"
#include "agent/host_load.h"
#include "agent/link.h"
#include "agent/listeners.h"
#include "agent/options.h"
#include "agent/protection.h"
#include "agent/publisher.h"
#include "agent/reconcile.h"
#include "agent/saved.h"
#include "agent/steering.h"
#include "agent/supervise.h"
#include "agent/takeover.h"
#include "agent/tally.h"
#include "agent/tickets.h"
#include "agent/upgrade.h"
#include "event/loop.h"

struct agent {
	/* fixed after start */
	const struct options *options; /* SIGHUP puts others in their place */
	struct options *reloaded;      /* these; owned, NULL: there was none */
	uint32_t worker_count;
	uint16_t worker_cpus[CONTROL_WORKERS_MAX];
	uint64_t started_ns; /* wall clock */
	int lock_fd;         /* run-dir/agent.lock: one agent a run dir */
	int access_log_fd;   /* -1: off */
	bool is_in_place;    /* started by SIGUSR2 to an agent before this one */

	struct loop loop;
	struct loop_watch signal_watch;
	struct links links;
	struct listeners listeners;
	struct publisher publisher;
	struct saved saved;
	struct supervise supervise;
	struct reconcile reconcile;
	struct cluster cluster;
	struct steering steering;
	struct protection protection;
	struct drops drops;
	struct host_load host_load;
	struct tickets tickets;
	struct tally tally;
	struct takeover takeover; /* of the agent before this one */
	struct upgrade upgrade;   /* to the one after it */
	struct admin admin;

	bool is_ready_said; /* the line `ready` was printed */
	bool is_started;    /* everything was opened */
	bool is_ending;     /* a signal asked for it */
	bool is_draining;   /* proxies finish, nothing new is taken */
	bool is_superseded; /* another agent has its place; only the drain is left */
	struct loop_timer drain_timer;
	int exit_code;
};

/* Runs until a signal ends it. Returns the exit code. */
int agent_main(const struct options *options);

/* Why requests are not served yet, or not by all workers; NULL when they are. Static text. */
const char *agent_unready_reason(const struct agent *agent);

/* Whether something became true that the line `ready`, or a waiting change, waits for. */
void agent_on_in_force(struct agent *agent);

/*
 * Takes what only one agent has: the admin address, the sockets and the pid file in the run dir. 0
 * or -errno with a text.
 */
int agent_take_charge(struct agent *agent, struct err *err);
/* As SIGTERM does it. */
void agent_end(struct agent *agent);
/* Lets every proxy drain; `sluice run`, and an agent that has a successor, then end. */
void agent_drain(struct agent *agent);
/* Ends with exit code 1; @why is logged (NULL: was already). */
void agent_fail(struct agent *agent, const char *why);

/* A proxy is gone: by itself, or because it was told to drain. */
void agent_on_proxy_gone(struct agent *agent);
/* A connection of the admin server has ended. */
void agent_on_admin_answered(struct agent *agent);

#endif
