// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * xdp_steer: sends each connection's packets to the CPU of its worker.
 *
 *   known flow    -> its worker's CPU
 *   SYN           -> answered here (early.h), or by the kernel
 *   first payload -> host -> worker of the host's set -> remembered as a flow
 *   all else      -> the stack, where it came in
 *
 * Nothing here decides what a request gets: each worker can serve each host.
 * Steering only makes the network stack, the socket and the worker of a
 * connection run on one CPU, and brings a host's connections to the few workers
 * whose caches and pools know it. So whatever is not understood passes, what is
 * dropped is dropped for one of the reasons in contract.h, and every exit is
 * counted (STATS_COUNTERS says under what name).
 */
#include "checksum.h"
#include "choose.h"
#include "early.h"
#include "host_http.h"
#include "host_tls.h"
#include "protect.h"
#include "ranges.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

/*
 * For libxdp's dispatcher, which reads this out of the BTF: behind filters (50 is
 * usual, and lower runs first), and whoever is behind us gets what we pass.
 */
struct {
	__uint(priority, 60);
	__uint(XDP_PASS, 1);
} _xdp_steer SEC(".xdp_run_config");

/* ---- steps ---------------------------------------------------------------------------------- */

static __always_inline enum verdict read_headers(struct xdp_md *ctx, struct steering *s)
{
	struct cursor cursor = {
		.start = (void *)(long)ctx->data,
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};

	switch (packet_read(&cursor, s->packet)) {
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
	if (is_listen_port(listen_ports, listen_port_count, s->packet->flow.local_port) ||
	    is_range_port(s->packet->flow.local_port))
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
	s->cpu = value->cpu;
	return VERDICT_STEER;
}

static __always_inline void note_end(struct steering *s, struct flow_value *flow)
{
	enum flow_state state = s->packet->is_rst ? FLOW_STATE_CLOSED : FLOW_STATE_CLOSING;

	if (flow->state == FLOW_STATE_ADMIT) {
		if (s->packet->is_fin && !(flow->flags & ADMIT_FLAG_FIN))
			count(&s->stats->flow_closed);
		/* A RST that nobody has looked at does not take its first payload from tc_admit. */
		if (s->packet->is_fin)
			flow->flags |= ADMIT_FLAG_FIN;
		return;
	}
	if (flow->state == state || flow->state == FLOW_STATE_CLOSED)
		return;
	flow->state = state;
	flow->last_seen_ns = bpf_ktime_get_ns();
	count(&s->stats->flow_closed);
}

/*
 * A SYN on a flow that has ended is a new connection from the same port, and its
 * host is yet to be read. On a flow that has not, the stack on the worker's CPU
 * decides about it; it must not cost the living connection its entry. Where XDP
 * answers SYNs the kernel is asked whether the connection lives.
 */
static __always_inline enum verdict follow_syn(struct xdp_md *ctx, struct steering *s)
{
	struct flow_value *flow = bpf_map_lookup_elem(&flows, &s->packet->flow);

	if (!flow)
		return VERDICT_CONTINUE;
	if (can_admit && kernel_socket_of(ctx, s->packet) != KERNEL_SOCKET_KNOWN) {
		bpf_map_delete_elem(&flows, &s->packet->flow);
		return VERDICT_CONTINUE;
	}
	if (flow->state == FLOW_STATE_STEERED || flow->state == FLOW_STATE_ADMIT)
		return send_to_worker(s, flow->worker);
	bpf_map_delete_elem(&flows, &s->packet->flow);
	return pass(&s->stats->pass_flow_ended);
}

/* A packet without SYN. */
static __always_inline enum verdict follow_flow(struct steering *s)
{
	struct flow_value *flow;

	/* It is of no connection: meet judges it. */
	if (tcp_flags_are_malformed(s->packet->tcp_flags))
		return VERDICT_CONTINUE;
	flow = bpf_map_lookup_elem(&flows, &s->packet->flow);
	if (!flow)
		return VERDICT_CONTINUE;
	if (s->packet->is_fin || s->packet->is_rst)
		note_end(s, flow);
	return send_to_worker(s, flow->worker);
}

static __always_inline struct listener_value *find_listener(const struct flow_key *flow)
{
	struct listener_value *listener;
	struct listener_key key;

	listener_key_of_flow(&key, flow);
	listener = bpf_map_lookup_elem(&listeners, &key);
	/* Where a range has its sockets says nothing about the range. */
	if (listener && !(listener->flags & LISTENER_FLAG_RANGE))
		return listener;
	if (port_range_count) {
		listener = find_range(&key);
		if (listener)
			return listener;
	}
	listener_key_widen(&key);
	return bpf_map_lookup_elem(&listeners, &key);
}

/* Else the packet may be one that this machine forwards. */
static __always_inline bool is_local(const struct listener_value *listener)
{
	return listener->flags & (LISTENER_FLAG_EARLY_DISPATCH | LISTENER_FLAG_LOCAL);
}

/*
 * A part: reads the host of the payload from @start to @end into window->name. 0,
 * or -1 where there is none. @protocol is an enum listener_protocol.
 */
__noinline int read_host(struct xdp_md *ctx, __u32 start, __u32 end, __u32 protocol)
{
	struct payload payload = { ctx, start, end };
	struct window *window = window_here();

	if (!can_dispatch || !window)
		return -1;
	if (protocol == LISTENER_PROTOCOL_TLS)
		return host_read_tls(&payload, window);
	if (protocol == LISTENER_PROTOCOL_HTTP)
		return host_read_http(&payload, window);
	return -1;
}

/* A part: the hash of window->name. */
__noinline __u64 hash_name(void)
{
	struct window *window = window_here();

	return window ? host_hash(hash_key.k0, hash_key.k1, &window->name) : HOST_HASH_CATCH_ALL;
}

/* A part: window->name becomes its wildcard. 0, or -1 where it has none. */
__noinline int widen_name(void)
{
	struct window *window = window_here();

	if (!window)
		return -1;
	window->host_pos = window->name.pos;
	return window_to_wildcard(window);
}

/* The entry of the host in window->name: its own, else that of its wildcard, else that for all. */
static __always_inline struct host_value *find_host(struct steering *s)
{
	struct host_key key = { .hash = hash_name() };
	struct host_value *host = bpf_map_lookup_elem(&hosts, &key);

	if (host) {
		count(&s->stats->host_exact);
		return host;
	}
	if (widen_name() == 0) {
		key.hash = hash_name();
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

/* ---- what a first payload does -------------------------------------------------------------- */

enum first_flags {
	FIRST_IS_EARLY = 1u << 0, /* of a connection that XDP answered */
	FIRST_IS_LOCAL = 1u << 1, /* to an address of this machine */
};

static __always_inline struct host_counters *host_counters_of(__u32 host_id)
{
	struct host_counters none = { 0 };
	struct host_counters *counters = bpf_map_lookup_elem(&host_stats, &host_id);

	if (counters)
		return counters;
	bpf_map_update_elem(&host_stats, &host_id, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&host_stats, &host_id);
}

static __always_inline enum verdict refuse_host(struct steering *s, struct host_value *host,
						bool is_named)
{
	if (is_named)
		return drop_for(s, DROP_REASON_HOST_POLICY, &s->stats->drop_host_policy, host);
	return drop_for(s, DROP_REASON_HOST_UNKNOWN, &s->stats->drop_host_unknown, host);
}

/*
 * CONTINUE where the host's set decides, PASS where it does not. @is_named: the
 * entry is not the one for all other hosts. @may_drop: else PASS instead.
 */
static __always_inline enum verdict obey_policy(struct steering *s, struct host_value *host,
						bool is_named, bool may_drop)
{
	struct host_counters *counters = host_counters_of(host->host_id);

	if (host->policy == HOST_POLICY_DROP) {
		if (!may_drop)
			return VERDICT_PASS;
		if (counters)
			counters->refused++;
		return refuse_host(s, host, is_named);
	}
	if (may_drop && (host->flags & HOST_FLAG_LIMITED) && !host_has_room(host)) {
		if (counters)
			counters->limited++;
		return drop_for(s, DROP_REASON_HOST_RATE, &s->stats->drop_host_rate, host);
	}
	if (host->policy == HOST_POLICY_PASS)
		return VERDICT_PASS;
	if (counters)
		counters->dispatched++;
	return VERDICT_CONTINUE;
}

/* What becomes of the flow in this packet: its end may come with its first payload. */
static __always_inline enum flow_state first_state(const struct packet *packet, bool is_early)
{
	if (is_early)
		return FLOW_STATE_ADMIT;
	if (packet->is_rst)
		return FLOW_STATE_CLOSED;
	return packet->is_fin ? FLOW_STATE_CLOSING : FLOW_STATE_STEERED;
}

/* False where the flow is not remembered. */
static __always_inline bool remember_flow(struct steering *s, __u32 worker, __u32 host_id,
					  bool is_early)
{
	struct flow_value flow = {
		.last_seen_ns = bpf_ktime_get_coarse_ns(),
		.host_id = host_id,
		.worker = worker,
		.state = first_state(s->packet, is_early),
		.flags = s->packet->is_fin ? ADMIT_FLAG_FIN : 0,
		.admit_seq = s->packet->seq,
		.admit_ack = s->packet->ack_seq,
	};

	if (bpf_map_update_elem(&flows, &s->packet->flow, &flow, BPF_ANY)) {
		count(&s->stats->flow_refused);
		return false;
	}
	count(&s->stats->flow_created);
	return true;
}

/* A connection that we answered has to be admitted somewhere, whatever its host is. */
static __always_inline enum verdict dispatch_to(struct steering *s, __u32 worker, __u32 host_id,
						bool is_early)
{
	if (is_early && worker == WORKER_NONE)
		worker = 0; /* which is gone: the packet stays on this CPU */
	if (worker == WORKER_NONE)
		return pass(&s->stats->pass_no_worker);
	if (!remember_flow(s, worker, host_id, is_early) && is_early)
		return drop_for(s, DROP_REASON_FLOW_REFUSED, &s->stats->drop_flow_refused, NULL);
	if (is_early)
		count(&s->stats->early_first);
	return send_to_worker(s, worker);
}

/* Without a host the worker that accepts looks itself. @counter: why, where the packet passes. */
static __always_inline enum verdict dispatch_unread(struct steering *s, __u64 *counter,
						    bool is_early)
{
	if (!is_early)
		return pass(counter);
	count(&s->stats->early_no_host);
	return dispatch_to(s, choose_any(s->packet), HOST_ID_NONE, is_early);
}

static __always_inline enum verdict dispatch_by_host(struct xdp_md *ctx, struct steering *s,
						     __u32 protocol, __u32 first)
{
	bool is_early = first & FIRST_IS_EARLY;
	__u64 named = s->stats->host_catch_all;
	struct host_value *host;
	enum verdict verdict;

	if (read_host(ctx, s->packet->payload_pos, s->packet->payload_end, protocol))
		return dispatch_unread(s, &s->stats->pass_no_host, is_early);
	host = find_host(s);
	if (!host)
		return dispatch_unread(s, &s->stats->pass_host_unknown, is_early);
	verdict = obey_policy(s, host, named == s->stats->host_catch_all, first & FIRST_IS_LOCAL);
	if (verdict == VERDICT_PASS)
		return dispatch_unread(s, &s->stats->pass_host_policy, is_early);
	if (verdict != VERDICT_CONTINUE)
		return verdict;
	return dispatch_to(s, choose_worker(host->worker_first, host->worker_spread), host->host_id,
			   is_early);
}

/*
 * A part: the first payload of a flow that is not known; its host says whose it
 * is. @first: enum first_flags. A decision.
 */
__noinline __u32 dispatch(struct xdp_md *ctx, struct packet *packet, __u32 protocol, __u32 first)
{
	struct steering s = { .packet = packet, .stats = stats_here() };

	if (!can_dispatch || !packet || !s.stats)
		return VERDICT_PASS;
	return decision_of(&s, dispatch_by_host(ctx, &s, protocol, first));
}

/* ---- what begins a connection --------------------------------------------------------------- */

/*
 * XDP's part of a connection before it has a socket: a verdict, of which CONTINUE
 * says that it is the kernel's; or MEET_FIRST_PAYLOAD.
 */
static __always_inline __u32 meet_early(struct xdp_md *ctx, struct steering *s,
					const struct listener_value *listener)
{
	if (!can_admit || !(listener->flags & LISTENER_FLAG_EARLY_DISPATCH))
		return VERDICT_CONTINUE;
	if (s->packet->is_syn)
		return meet_syn(ctx, s->packet);
	return s->packet->is_rst ? VERDICT_CONTINUE : meet_segment(ctx, s->packet);
}

/* Who sends this, and whether it can be TCP at all. */
static __always_inline enum verdict check_sender(struct xdp_md *ctx, struct steering *s,
						 const struct settings_value *now,
						 const struct listener_value *listener)
{
	bool is_malformed = tcp_flags_are_malformed(s->packet->tcp_flags);

	if (!is_local(listener))
		return is_malformed ? pass(&s->stats->pass_other_address) : VERDICT_CONTINUE;
	if (is_malformed)
		return drop_for(s, DROP_REASON_MALFORMED, &s->stats->drop_malformed, NULL);
	return check_denied(ctx, s, now);
}

/* A SYN that the kernel answers: it costs a socket, or one of the kernel's own cookies. */
static __always_inline enum verdict begin_in_kernel(struct xdp_md *ctx, struct steering *s,
						    const struct settings_value *now,
						    const struct listener_value *listener)
{
	enum verdict verdict = is_local(listener) ? check_source_rate(s, now) : VERDICT_CONTINUE;

	if (verdict != VERDICT_CONTINUE)
		return verdict;
	return pass(is_answering_here(ctx, now) ? &s->stats->pass_syn_plain
						: &s->stats->pass_no_payload);
}

/* The first payload of a flow that is not known, or what passes for one. */
static __always_inline enum verdict begin_with_payload(struct xdp_md *ctx, struct steering *s,
						       const struct settings_value *now,
						       const struct listener_value *listener,
						       bool is_early)
{
	enum verdict verdict = VERDICT_CONTINUE;
	__u32 first = is_local(listener) ? FIRST_IS_LOCAL : 0;

	if (!can_dispatch)
		return pass(&s->stats->pass_no_host);
	if (is_early) {
		first |= FIRST_IS_EARLY;
		verdict = check_source_rate(s, now);
	}
	if (verdict != VERDICT_CONTINUE)
		return verdict;
	return decision_take(s, dispatch(ctx, s->packet, listener->protocol, first));
}

/* A packet of a flow that is not known. */
static __always_inline enum verdict begin_flow(struct xdp_md *ctx, struct steering *s,
					       const struct settings_value *now,
					       const struct listener_value *listener)
{
	__u32 met = meet_early(ctx, s, listener);

	if (met != VERDICT_CONTINUE && met != MEET_FIRST_PAYLOAD)
		return (enum verdict)met;
	if (s->packet->is_syn)
		return begin_in_kernel(ctx, s, now, listener);
	if (s->packet->payload_pos == s->packet->payload_end)
		return pass(&s->stats->pass_no_payload);
	return begin_with_payload(ctx, s, now, listener, met == MEET_FIRST_PAYLOAD);
}

/*
 * A part: what is no packet of a known flow. A SYN is checked before its flow is
 * looked up; other packets only where their flow is not known, so that a living
 * connection pays nothing. A decision.
 */
__noinline __u32 meet(struct xdp_md *ctx, struct packet *packet)
{
	struct steering s = { .packet = packet, .stats = stats_here() };
	struct settings_value *now = settings_now();
	struct listener_value *listener;
	enum verdict verdict;

	if (!packet || !s.stats || !now)
		return VERDICT_PASS;
	listener = find_listener(&packet->flow);
	if (!listener)
		return pass(&s.stats->pass_other_address);
	verdict = check_sender(ctx, &s, now, listener);
	if (verdict == VERDICT_CONTINUE && packet->is_syn)
		verdict = follow_syn(ctx, &s);
	if (verdict == VERDICT_CONTINUE && is_local(listener))
		verdict = check_allowed(ctx, &s, listener);
	if (verdict == VERDICT_CONTINUE)
		verdict = begin_flow(ctx, &s, now, listener);
	return decision_of(&s, verdict);
}

/* ---- the program ---------------------------------------------------------------------------- */

static __always_inline int act(struct xdp_md *ctx, struct steering *s, enum verdict verdict)
{
	if (verdict == VERDICT_DROP || verdict == VERDICT_ABSORB)
		return XDP_DROP;
	if (verdict == VERDICT_ANSWER)
		return XDP_TX;
	if (verdict != VERDICT_STEER)
		return XDP_PASS;
	if (checksum_is_partial(ctx, s->packet)) {
		count(&s->stats->pass_checksum);
		return XDP_PASS;
	}
	if (!can_redirect || bpf_redirect_map(&steer_cpus, s->cpu, XDP_PASS) != XDP_REDIRECT) {
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
	struct packet packet; /* packet_read fills it in: zeroes would cost each packet */
	struct steering s = { .packet = &packet, .stats = stats_here() };
	enum verdict verdict;

	if (!s.stats)
		return XDP_PASS;
	verdict = read_headers(ctx, &s);
	if (verdict == VERDICT_CONTINUE)
		verdict = check_port(&s);
	if (verdict == VERDICT_CONTINUE && !packet.is_syn)
		verdict = follow_flow(&s);
	if (verdict == VERDICT_CONTINUE)
		verdict = decision_take(&s, meet(ctx, &packet));
	return act(ctx, &s, verdict);
}
