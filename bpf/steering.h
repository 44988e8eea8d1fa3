/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * steering: what the steps of xdp_steer share: settings, the packet, and how a
 * packet is dropped.
 */
#ifndef SLUICE_BPF_STEERING_H
#define SLUICE_BPF_STEERING_H

#include <stdbool.h>

#include "flow.h"
#include "maps.h"
#include "packet.h"
#include "verdict.h"

/* ---- settings, written before the program is loaded ----------------------------------------- */

/* The ports of all listeners, so that other traffic costs no look-up. 0 of them: no filter. */
const volatile __u16 listen_ports[LISTEN_PORTS_MAX] = { 0 };
const volatile __u32 listen_port_count = 0;
const volatile __u32 worker_count = 1;
/* Off where the kernel cannot read a payload (before 5.18): then only known flows are steered. */
const volatile bool can_dispatch = true;
/* On where tc_admit is there to make sockets (kernel 6.9); else the kernel answers each SYN. */
const volatile bool can_admit = false;
/* Off where each listener is for every address: that spares a look-up. */
const volatile bool has_own_addresses = true;
const volatile struct host_hash_key hash_key = { 0, 0 };
const volatile __u64 event_interval_ns = 10000000; /* on each CPU, at most one event in 10 ms */

/* What the steps hand on. */
struct steering {
	struct packet packet;
	struct stats *stats;
	__u32 cpu;     /* for VERDICT_STEER: where to */
	bool is_early; /* the first payload of a connection that XDP answered */
};

/* The row of `settings`; NULL never happens, but the verifier cannot know. */
static __always_inline struct settings_value *settings_now(void)
{
	__u32 row = 0;

	return bpf_map_lookup_elem(&settings, &row);
}

static __always_inline struct window *window_here(void)
{
	__u32 row = 0;

	return bpf_map_lookup_elem(&windows, &row);
}

/* ---- drops ---------------------------------------------------------------------------------- */

/* A sample for `sluicectl drops`: at most one in event_interval_ns on each CPU. */
static __noinline void report_drop(struct steering *s, const struct host_value *host,
				   enum drop_reason reason)
{
	__u64 now_ns = bpf_ktime_get_ns();
	struct event *event;

	if (now_ns - s->stats->last_event_ns < event_interval_ns)
		return;
	s->stats->last_event_ns = now_ns;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(&s->stats->event_lost);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = now_ns;
	__builtin_memcpy(event->client_address, s->packet.flow.client_address, 16);
	__builtin_memcpy(event->local_address, s->packet.flow.local_address, 16);
	event->client_port = s->packet.flow.client_port;
	event->local_port = s->packet.flow.local_port;
	event->cpu = bpf_get_smp_processor_id();
	event->verdict = VERDICT_DROP;
	event->reason = reason;
	if (host) {
		event->host_id = host->host_id;
		__builtin_memcpy(event->name, host->name, sizeof(event->name));
	}
	bpf_ringbuf_submit(event, 0);
}

/* Drops the packet: under its own counter, and with a sample now and then. @host may be NULL. */
static __always_inline enum verdict drop_for(struct steering *s, enum drop_reason reason,
					     __u64 *counter, const struct host_value *host)
{
	report_drop(s, host, reason);
	return drop(counter);
}

#endif
