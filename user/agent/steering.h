/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steering: keeps the datapath in step with listeners, workers and hosts.
 *
 * Nothing here is needed to serve a request. Where the datapath cannot be had the reason is said
 * once and shown in `sluicectl status`; only a mode that was asked for by name is a failure.
 */
#ifndef SLUICE_AGENT_STEERING_H
#define SLUICE_AGENT_STEERING_H

#include "base/err.h"
#include "compile/plan.h"
#include "datapath/datapath.h"
#include "event/loop.h"

enum {
	STEERING_WORKERS_EVERY_MS = 250,
	STEERING_STALLED_MS = 3000,
	STEERING_ADDRESSES_EVERY_MS = 5000,
};

struct agent;

/* What a worker's counters said at its last heartbeat. */
struct steering_beat {
	uint64_t heartbeat_ms;
	uint64_t cpu_us;
	uint32_t load_permille; /* since the heartbeat before */
};

struct steering {
	struct agent *agent;
	struct datapath *datapath; /* NULL: there is none */
	char text[ERR_TEXT_MAX];   /* why there is none; empty otherwise */
	struct datapath_features features;
	struct datapath_sync last_sync;
	bool is_rate_said;                           /* that connection-rate is not in force */
	struct datapath_worker workers[WORKERS_MAX]; /* as last told to the datapath */
	struct steering_beat beats[WORKERS_MAX];
	struct loop_timer timer;
	struct loop_timer keys_timer;      /* a new key for cookies */
	struct loop_timer addresses_timer; /* those of this machine, for early dispatch */
	struct loop_timer recheck_timer;   /* what others did to interfaces */
	struct datapath_interface interfaces[DATAPATH_INTERFACES_MAX]; /* as last said */
};

/* Opens the datapath and gives it all listening sockets. 0, also where it goes without; -errno. */
int steering_open(struct steering *steering, struct agent *agent, struct err *err);
/* Leaves pins and links in place; @detaches: takes them away. */
void steering_close(struct steering *steering, bool detaches);

/* Writes what differs. Called when the routes that go with @plan are in force. */
void steering_sync_hosts(struct steering *steering, const struct plan *plan, uint64_t generation);
/* Tells the datapath what workers do; also called when that may have changed. */
void steering_update_workers(struct steering *steering);

/* Whether some interface has XDP: rates are counted there and nowhere else. */
bool steering_has_xdp(const struct steering *steering);

/* Takes up a new heartbeat, where there is one. */
void steering_beat_take(struct steering_beat *beat, uint64_t heartbeat_ms, uint64_t cpu_us);

#endif
