/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_load: what hosts cost, and the workers that they get for it.
 *
 *   counters of the workers ──► load of each host ──► hot_hosts ──► compiler ──► image, map `hosts`
 *   (requests by host, CPU)
 *
 * Workers say how many requests they had for the hosts that they serve most, and how much CPU time
 * they used for all of them: a host's part of the requests is its part of the time. That holds with
 * and without XDP. A host that gets more, or fewer, workers is compiled like any other change, so
 * that XDP and the hand-off of the workers agree about it. Living connections stay where they are.
 */
#ifndef SLUICE_AGENT_HOST_LOAD_H
#define SLUICE_AGENT_HOST_LOAD_H

#include "agent/hot_hosts.h"
#include "base/counters.h"
#include "event/loop.h"

enum { HOST_LOAD_EVERY_MS = 1000 };

struct agent;
struct compiler;

/* A slot of a worker's counters, as it was last seen. */
struct host_load_slot {
	uint64_t hash, requests;
};

struct host_load {
	struct agent *agent;
	struct hot_hosts hot;
	struct VEC(struct host_load_slot) seen; /* worker by worker */
	struct VEC(struct hot_host_load) loads; /* of the last second, by hash */
	uint64_t seen_ms, seen_requests, seen_cpu_us;
	struct loop_timer timer;
};

void host_load_open(struct host_load *load, struct agent *agent);
/* Harmless on zeroed memory. */
void host_load_close(struct host_load *load);

/* Tells @compiler which hosts have more than one worker. */
void host_load_tell(const struct host_load *load, struct compiler *compiler);

/*
 * How many requests the host in a slot had since it was seen as @seen, which is brought up to date.
 * Where it took the slot since then: since it did.
 */
uint64_t host_load_take_slot(struct host_load_slot *seen, const struct counters_host *slot);

/* What a proxy says it may say for harm: whatever the numbers are, these two end. */

/* Makes one of those with the same hash, which stand side by side. Returns how many are left. */
size_t host_load_join(struct hot_host_load *loads, size_t count);
/*
 * From numbers of requests, of @requests in all, to parts of @busy_permille: a host's part of all
 * requests is its part of the time that the workers used.
 */
void host_load_weigh(struct hot_host_load *loads, size_t count, uint64_t busy_permille,
		     uint64_t requests);

#endif
