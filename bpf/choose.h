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
static __always_inline void find_idlest(const struct host_value *host, struct choice *best)
{
	__u32 start = host->worker_spread > CANDIDATES_MAX ? bpf_get_prandom_u32() : 0;

	for (__u32 i = 0; i < CANDIDATES_MAX && i < host->worker_spread; i++) {
		__u32 place = (start + i) % host->worker_spread;

		consider(best, (host->worker_first + place) % worker_count);
	}
}

/* Locality first: a packet that need not change its CPU does not, unless others are much idler. */
static __noinline __u32 choose_worker(const struct host_value *host)
{
	struct choice local = { WORKER_NONE, WORKER_LOAD_STALLED_PERMILLE };
	struct choice idlest = { WORKER_NONE, WORKER_LOAD_STALLED_PERMILLE };
	__u32 cpu = bpf_get_smp_processor_id();
	struct worker_value *here = bpf_map_lookup_elem(&workers, &cpu);

	if (here && here->cpu_worker < worker_count) {
		__u32 place = here->cpu_worker + worker_count - host->worker_first % worker_count;

		if (place % worker_count < host->worker_spread)
			consider(&local, here->cpu_worker);
	}
	if (local.load_permille < WORKER_LOAD_BUSY_PERMILLE)
		return local.worker;
	find_idlest(host, &idlest);
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
	struct host_value everybody = { .worker_first = hash % worker_count,
					.worker_spread = worker_count };

	return choose_worker(&everybody);
}

#endif
