/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * steering: what the steps of xdp_steer share: settings, the packet, and how a
 * packet is dropped.
 *
 * xdp_steer is made of parts: functions that are not static. The verifier looks
 * at each part once, whatever its arguments may be, where it would follow a
 * static function anew from every place and with everything that is known there:
 * that was ten times the work, and a second for each program loaded. Hence a
 * part takes the context, the packet and numbers, looks its maps up itself, and
 * asks whether its pointers are NULL, which they never are. Kernels before 6.8
 * verify a part even where no setting lets anybody call it; so those that use
 * what old kernels lack ask for that setting themselves.
 */
#ifndef SLUICE_BPF_STEERING_H
#define SLUICE_BPF_STEERING_H

#include <stdbool.h>

#include "flow.h"
#include "maps.h"
#include "packet.h"
#include "verdict.h"
#include "window.h"

/* ---- settings, written before the program is loaded ----------------------------------------- */

/* The ports of all listeners, so that other traffic costs no look-up. 0 of them: no filter. */
const volatile __u16 listen_ports[LISTEN_PORTS_MAX] = { 0 };
const volatile __u32 listen_port_count = 0;
const volatile __u32 worker_count = 1;
/* Off where the kernel cannot read a payload (before 5.18): then only known flows are steered. */
const volatile bool can_dispatch = true;
/* Off where there is no cpumap: packets stay on the CPU that they came in on. */
const volatile bool can_redirect = true;
/* On where tc_admit is there to make sockets (kernel 6.9); else the kernel answers each SYN. */
const volatile bool can_admit = false;
const volatile struct host_hash_key hash_key = { 0, 0 };
const volatile __u64 event_interval_ns = 10000000; /* on each CPU, at most one event in 10 ms */

/* What the steps of one part hand on. */
struct steering {
	struct packet *packet;
	struct stats *stats;
	__u32 cpu; /* for VERDICT_STEER: where to */
};

/* What a part that may steer returns: the verdict and, above it, the CPU. */
enum { DECISION_CPU_SHIFT = 8 };

static __always_inline __u32 decision_of(const struct steering *s, enum verdict verdict)
{
	return verdict == VERDICT_STEER ? (__u32)verdict | s->cpu << DECISION_CPU_SHIFT : verdict;
}

static __always_inline enum verdict decision_take(struct steering *s, __u32 decision)
{
	s->cpu = decision >> DECISION_CPU_SHIFT;
	return (enum verdict)(decision & 0xff);
}

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

/* The name that was read, in lower case, as much of it as a sample has room for. */
static __always_inline void event_take_name(struct event *event)
{
	struct window *window = window_here();
	__u32 len, pos;

	if (!window)
		return;
	pos = window->host_pos;
	len = window->name.pos + window->name.len - pos;
	for (__u32 w = 0; w < sizeof(event->name) / 8; w++) {
		__u64 word = word_lower(window_word(window, pos + w * 8));
		__u32 left = len > w * 8 ? len - w * 8 : 0;

		if (left < 8)
			word &= (1ull << left * 8) - 1;
		word = word_from_memory(word); /* and back */
		__builtin_memcpy(event->name + w * 8, &word, 8);
	}
	event->name[sizeof(event->name) - 1] = 0;
}

/* A part: writes the sample of a drop. @host may be NULL. */
__noinline int write_event(struct packet *packet, struct host_value *host, __u32 reason)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return -1;
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = bpf_ktime_get_ns();
	if (packet) {
		__builtin_memcpy(event->client_address, packet->flow.client_address, 16);
		__builtin_memcpy(event->local_address, packet->flow.local_address, 16);
		event->client_port = packet->flow.client_port;
		event->local_port = packet->flow.local_port;
	}
	event->cpu = bpf_get_smp_processor_id();
	event->verdict = VERDICT_DROP;
	event->reason = (enum drop_reason)reason;
	if (host) {
		event->host_id = host->host_id;
		__builtin_memcpy(event->name, host->name, sizeof(event->name));
	}
	if (reason == DROP_REASON_HOST_UNKNOWN)
		event_take_name(event);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* A sample for `sluicectl drops`: at most one in event_interval_ns on each CPU. */
static __always_inline void report_drop(struct steering *s, struct host_value *host,
					enum drop_reason reason)
{
	__u64 now_ns = bpf_ktime_get_coarse_ns();

	if (now_ns - s->stats->last_event_ns < event_interval_ns)
		return;
	s->stats->last_event_ns = now_ns;
	if (write_event(s->packet, host, reason))
		count(&s->stats->event_lost);
}

/* Drops the packet: under its own counter, and with a sample now and then. @host may be NULL. */
static __always_inline enum verdict drop_for(struct steering *s, enum drop_reason reason,
					     __u64 *counter, struct host_value *host)
{
	report_drop(s, host, reason);
	return drop(counter);
}

#endif
