/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* choose: which worker of a host's set gets a new connection. */
#ifndef SLUICE_BPF_CHOOSE_H
#define SLUICE_BPF_CHOOSE_H

#include "steering.h"

enum {
	CANDIDATES_MAX = 8, /* of a wider set, so many are looked at */
};

struct choice {
	__u32 worker;
	__u32 load_permille; /* at or above STALLED: none found yet */
};

static __always_inline void consider(struct choice *best, __u32 worker)
{
	struct worker_value *value = bpf_map_lookup_elem(&workers, &worker);

	if (!value || value->state != WORKER_STATE_ACTIVE)
		return;
	if (value->load_permille >= best->load_permille)
		return;
	best->worker = worker;
	best->load_permille = value->load_permille;
}

/* The idlest of the set, or of as many of it as are looked at. */
static __always_inline void find_idlest(__u32 first, __u32 spread, struct choice *best)
{
	__u32 start = spread > CANDIDATES_MAX ? bpf_get_prandom_u32() : 0;

	for (__u32 i = 0; i < CANDIDATES_MAX && i < spread; i++) {
		__u32 place = (start + i) % spread;

		consider(best, (first + place) % worker_count);
	}
}

/*
 * A part: of the @spread workers from @first on. Locality first: a packet that
 * need not change its CPU does not, unless others are much idler.
 */
__noinline __u32 choose_worker(__u32 first, __u32 spread)
{
	struct choice local = { WORKER_NONE, WORKER_LOAD_STALLED_PERMILLE };
	struct choice idlest = { WORKER_NONE, WORKER_LOAD_STALLED_PERMILLE };
	__u32 cpu = bpf_get_smp_processor_id();
	struct worker_value *here = bpf_map_lookup_elem(&workers, &cpu);

	if (here && here->cpu_worker < worker_count) {
		__u32 place = here->cpu_worker + worker_count - first % worker_count;

		if (place % worker_count < spread)
			consider(&local, here->cpu_worker);
	}
	if (local.load_permille < WORKER_LOAD_BUSY_PERMILLE)
		return local.worker;
	find_idlest(first, spread, &idlest);
	if (local.load_permille < WORKER_LOAD_STALLED_PERMILLE &&
	    local.load_permille <= idlest.load_permille + WORKER_LOAD_MARGIN_PERMILLE)
		return local.worker;
	return idlest.worker;
}

/*
 * Any worker, for a connection whose host is not known: the one of this CPU, or
 * the idlest of some that the flow's own numbers choose.
 */
static __always_inline __u32 choose_any(const struct packet *packet)
{
	__u32 hash = (packet_address_sum(packet) ^ packet->flow.client_port) * 0x9e3779b1u >> 16;

	return choose_worker(hash % worker_count, worker_count);
}

#endif
