// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * xdp_steer: sends each connection's packets to the CPU of its worker.
 *
 *   known flow    -> its worker's CPU
 *   first payload -> host -> worker of the host's set -> remembered as a flow
 *   all else      -> the stack, where it came in
 *
 * Nothing here decides what a request gets: each worker can serve each host.
 * Steering only makes the network stack, the socket and the worker of a
 * connection run on one CPU, and brings a host's connections to the few workers
 * whose caches and pools know it. So whatever is not understood passes, and
 * every exit is counted (STATS_COUNTERS in contract.h says under what name).
 */
#include <stdbool.h>

#include "flow.h"
#include "host_http.h"
#include "host_tls.h"
#include "maps.h"
#include "packet.h"
#include "verdict.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

/* ---- settings, written before the program is loaded ----------------------------------------- */

/* The ports of all listeners, so that other traffic costs no look-up. 0 of them: no filter. */
const volatile __u16 listen_ports[LISTEN_PORTS_MAX] = { 0 };
const volatile __u32 listen_port_count = 0;
const volatile __u32 worker_count = 1;
/* Off where the kernel cannot read a payload (before 5.18): then only known flows are steered. */
const volatile bool can_dispatch = true;
const volatile struct host_hash_key hash_key = { 0, 0 };
const volatile __u64 event_interval_ns = 10000000; /* on each CPU, at most one event in 10 ms */

enum {
	CANDIDATES_MAX = 8, /* of a wider set, so many are looked at */
};

/* What the steps hand on. */
struct steering {
	struct packet packet;
	struct stats *stats;
	__u32 cpu; /* for VERDICT_STEER: where to */
};

/* ---- steps ---------------------------------------------------------------------------------- */

static __always_inline enum verdict read_headers(struct xdp_md *ctx, struct steering *s)
{
	struct cursor cursor = {
		.start = (void *)(long)ctx->data,
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};

	switch (packet_read(&cursor, &s->packet)) {
	case PACKET_TCP:
		return VERDICT_CONTINUE;
	case PACKET_NOT_IP:
		return pass(&s->stats->pass_not_ip);
	case PACKET_IPV4_OPTIONS:
		return pass(&s->stats->pass_ipv4_options);
	case PACKET_IPV6_EXTENSION:
		return pass(&s->stats->pass_ipv6_extension);
	case PACKET_FRAGMENT:
		return pass(&s->stats->pass_fragment);
	case PACKET_NOT_TCP:
		return pass(&s->stats->pass_not_tcp);
	case PACKET_MALFORMED:
		break;
	}
	return pass(&s->stats->pass_malformed);
}

/* Keeps what is not for a listener away from the maps. */
static __always_inline enum verdict check_port(struct steering *s)
{
	if (listen_port_count == 0)
		return VERDICT_CONTINUE;
#pragma unroll
	for (int i = 0; i < LISTEN_PORTS_MAX; i++)
		if (listen_ports[i] && listen_ports[i] == s->packet.flow.local_port)
			return VERDICT_CONTINUE;
	return pass(&s->stats->pass_other_port);
}

static __always_inline enum verdict send_to_worker(struct steering *s, __u32 worker)
{
	struct worker_value *value = bpf_map_lookup_elem(&workers, &worker);

	if (!value || value->state == WORKER_STATE_GONE)
		return pass(&s->stats->pass_no_worker);
	if (value->cpu == bpf_get_smp_processor_id())
		return pass(&s->stats->pass_local);
	if (s->packet.is_checksum_partial)
		return pass(&s->stats->pass_checksum);
	s->cpu = value->cpu;
	return VERDICT_STEER;
}

static __always_inline void note_end(struct steering *s, struct flow_value *flow)
{
	enum flow_state state = s->packet.is_rst ? FLOW_STATE_CLOSED : FLOW_STATE_CLOSING;

	if (flow->state == state || flow->state == FLOW_STATE_CLOSED)
		return;
	flow->state = state;
	flow->last_seen_ns = bpf_ktime_get_ns();
	count(&s->stats->flow_closed);
}

/*
 * A SYN on a flow that has ended is a new connection from the same port, and its
 * host is yet to be read. On a flow that has not, the stack on the worker's CPU
 * decides about it; it must not cost the living connection its entry.
 */
static __always_inline enum verdict follow_flow(struct steering *s)
{
	struct flow_value *flow = bpf_map_lookup_elem(&flows, &s->packet.flow);

	if (!flow)
		return VERDICT_CONTINUE;
	if (s->packet.is_syn && flow->state != FLOW_STATE_STEERED) {
		bpf_map_delete_elem(&flows, &s->packet.flow);
		return pass(&s->stats->pass_flow_ended);
	}
	if (s->packet.is_fin || s->packet.is_rst)
		note_end(s, flow);
	return send_to_worker(s, flow->worker);
}

static __always_inline struct listener_value *find_listener(const struct flow_key *flow)
{
	struct listener_value *listener;
	struct listener_key key;

	listener_key_of_flow(&key, flow);
	listener = bpf_map_lookup_elem(&listeners, &key);
	if (listener)
		return listener;
	listener_key_widen(&key);
	return bpf_map_lookup_elem(&listeners, &key);
}

/* Reads the host of the first payload into window->name. 0, or -1 where there is none. */
static __always_inline int read_host(const struct payload *payload, enum listener_protocol protocol,
				     struct window *window)
{
	if (protocol == LISTENER_PROTOCOL_TLS)
		return host_read_tls(payload, window);
	if (protocol == LISTENER_PROTOCOL_HTTP)
		return host_read_http(payload, window);
	return -1;
}

/* The entry of the host in window->name: its own, else that of its wildcard, else that for all. */
static __always_inline struct host_value *find_host(struct steering *s, struct window *window)
{
	struct host_key key = { .hash = host_hash(hash_key.k0, hash_key.k1, &window->name) };
	struct host_value *host = bpf_map_lookup_elem(&hosts, &key);

	if (host) {
		count(&s->stats->host_exact);
		return host;
	}
	if (window_to_wildcard(window) == 0) {
		key.hash = host_hash(hash_key.k0, hash_key.k1, &window->name);
		host = bpf_map_lookup_elem(&hosts, &key);
		if (host) {
			count(&s->stats->host_wildcard);
			return host;
		}
	}
	key.hash = HOST_HASH_CATCH_ALL;
	host = bpf_map_lookup_elem(&hosts, &key);
	if (host)
		count(&s->stats->host_catch_all);
	return host;
}

/* ---- which worker --------------------------------------------------------------------------- */

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

/* ---- what a first payload does -------------------------------------------------------------- */

static __noinline struct host_counters *host_counters_of(__u32 host_id)
{
	struct host_counters none = { 0 };
	struct host_counters *counters = bpf_map_lookup_elem(&host_stats, &host_id);

	if (counters)
		return counters;
	bpf_map_update_elem(&host_stats, &host_id, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&host_stats, &host_id);
}

/* A sample for `sluicectl drops`: at most one in event_interval_ns on each CPU. */
static __noinline void report_drop(struct steering *s, const struct host_value *host)
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
	event->host_id = host->host_id;
	event->cpu = bpf_get_smp_processor_id();
	event->verdict = VERDICT_DROP;
	event->reason = DROP_REASON_HOST_POLICY;
	__builtin_memcpy(event->name, host->name, sizeof(event->name));
	bpf_ringbuf_submit(event, 0);
}

static __always_inline enum verdict obey_policy(struct steering *s, const struct host_value *host)
{
	struct host_counters *counters = host_counters_of(host->host_id);

	switch (host->policy) {
	case HOST_POLICY_PASS:
		return pass(&s->stats->pass_host_policy);
	case HOST_POLICY_DROP:
		if (counters)
			counters->refused++;
		report_drop(s, host);
		return drop(&s->stats->drop_host_policy);
	case HOST_POLICY_STEER:
		break;
	}
	if (counters)
		counters->dispatched++;
	return VERDICT_CONTINUE;
}

static __noinline void remember_flow(struct steering *s, __u32 worker, __u32 host_id)
{
	struct flow_value flow = {
		.last_seen_ns = bpf_ktime_get_ns(),
		.host_id = host_id,
		.worker = worker,
		.state = s->packet.is_rst   ? FLOW_STATE_CLOSED
			 : s->packet.is_fin ? FLOW_STATE_CLOSING
					    : FLOW_STATE_STEERED,
	};

	if (bpf_map_update_elem(&flows, &s->packet.flow, &flow, BPF_ANY))
		count(&s->stats->flow_refused);
	else
		count(&s->stats->flow_created);
}

/* The first payload of a flow that is not known: its host says whose it is. */
static __noinline enum verdict dispatch(struct xdp_md *ctx, struct steering *s,
					enum listener_protocol protocol)
{
	struct payload payload = { ctx, s->packet.payload_pos, s->packet.payload_end };
	struct window *window;
	struct host_value *host;
	enum verdict verdict;
	__u32 worker, row = 0;

	window = bpf_map_lookup_elem(&windows, &row);
	if (!window || read_host(&payload, protocol, window))
		return pass(&s->stats->pass_no_host);
	host = find_host(s, window);
	if (!host)
		return pass(&s->stats->pass_host_unknown);
	verdict = obey_policy(s, host);
	if (verdict != VERDICT_CONTINUE)
		return verdict;
	worker = choose_worker(host);
	if (worker == WORKER_NONE)
		return pass(&s->stats->pass_no_worker);
	remember_flow(s, worker, host->host_id);
	return send_to_worker(s, worker);
}

static __always_inline enum verdict begin_flow(struct xdp_md *ctx, struct steering *s)
{
	struct listener_value *listener;

	if (s->packet.payload_pos == s->packet.payload_end)
		return pass(&s->stats->pass_no_payload);
	listener = find_listener(&s->packet.flow);
	if (!listener)
		return pass(&s->stats->pass_other_address);
	if (!can_dispatch)
		return pass(&s->stats->pass_no_host);
	return dispatch(ctx, s, listener->protocol);
}

/* ---- the program ---------------------------------------------------------------------------- */

static __always_inline int act(struct steering *s, enum verdict verdict)
{
	if (verdict == VERDICT_DROP)
		return XDP_DROP;
	if (verdict != VERDICT_STEER)
		return XDP_PASS;
	if (bpf_redirect_map(&steer_cpus, s->cpu, XDP_PASS) != XDP_REDIRECT) {
		count(&s->stats->steer_failed);
		return XDP_PASS;
	}
	count(&s->stats->steer_redirect);
	return XDP_REDIRECT;
}

/*
 * Understands packets in several buffers: headers are in the first, and payload
 * is read with a helper that knows the others. The loader sets the flag that
 * says so (SEC("xdp.frags") would), as kernels before 5.18 refuse it.
 */
SEC("xdp")
int xdp_steer(struct xdp_md *ctx)
{
	struct steering s = { .stats = stats_here() };
	enum verdict verdict;

	if (!s.stats)
		return XDP_PASS;
	verdict = read_headers(ctx, &s);
	if (verdict == VERDICT_CONTINUE)
		verdict = check_port(&s);
	if (verdict == VERDICT_CONTINUE)
		verdict = follow_flow(&s);
	if (verdict == VERDICT_CONTINUE)
		verdict = begin_flow(ctx, &s);
	return act(&s, verdict);
}
