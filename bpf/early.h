/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * early: the life of a connection before it has a socket.
 *
 *   SYN              answered with a cookie (cookie.h); nothing is stored
 *   bare ACK         has done its work once its cookie is seen to be good: absorbed
 *   keepalive probe  answered: browsers keep connections that say nothing yet
 *   FIN              answered with ours; the ACK to that is absorbed again
 *   first payload    goes on to be dispatched, and tc_admit makes the socket
 *   later segment    dropped if it came before the first: the kernel would reset
 *                    a connection that it has not heard of; it is sent again
 *
 * Whatever has no good cookie goes to the kernel untouched, as does each SYN that
 * the kernel knows better what to do with. A RST needs nothing: nothing is stored.
 */
#ifndef SLUICE_BPF_EARLY_H
#define SLUICE_BPF_EARLY_H

#include "cookie.h"
#include "options.h"
#include "protect.h"
#include "reply.h"

enum {
	MSS_OPTION = 0x02040000,             /* kind, length, and two bytes for the value */
	SACK_TIMESTAMPS_OPTION = 0x0402080a, /* SACK permitted, and the head of the timestamps */
	NOP_TIMESTAMPS_OPTION = 0x0101080a,
	NOP_SCALE_OPTION = 0x01030300,
	WINDOW_MAX = 65535,
};

/* ---- reading -------------------------------------------------------------------------------- */

/* A part: the options of the packet's TCP header, in window->options. 0, or -1: it has none. */
__noinline int read_options(struct xdp_md *ctx, __u32 tcp_pos, __u32 payload_pos)
{
	struct window *window = window_here();
	__u32 start = tcp_pos + sizeof(struct tcphdr);
	__u32 len = payload_pos - start;

	platform_keep(len);
	if (!can_admit || !window || len == 0 || len > TCP_OPTIONS_MAX_BYTES)
		return -1;
	if (bpf_xdp_load_bytes(ctx, start, window->bytes, len))
		return -1;
	options_read(window, len);
	return 0;
}

/* This CPU's window with the options in it; NULL where the packet has no timestamps. */
static __always_inline struct window *window_with_options(struct xdp_md *ctx,
							  const struct packet *packet)
{
	struct window *window = window_here();

	if (!window || read_options(ctx, packet->tcp_pos, packet->payload_pos))
		return NULL;
	return window->options.has_timestamps ? window : NULL;
}

/* ---- SYN ------------------------------------------------------------------------------------ */

/* The option bits of our timestamp: what the client asked for, and we have, too. */
static __always_inline __u32 agree_on_options(const struct steering *s,
					      const struct settings_value *now,
					      const struct tcp_options *options)
{
	__u32 agreed = options->has_window_scale ? options->window_scale : COOKIE_SCALE_NONE;

	if (options->has_sack && now->has_sack)
		agreed |= COOKIE_SACK;
	if (now->has_ecn && (s->packet->tcp_flags & TCP_ECE) && (s->packet->tcp_flags & TCP_CWR))
		agreed |= COOKIE_ECN;
	return agreed;
}

/* RFC 9293 3.7.1: who names no size can take 536 bytes (IPv4) or 1220 (IPv6). -1: too small. */
static __always_inline int mss_index_of(bool is_ipv4, const struct tcp_options *options)
{
	__u32 least = is_ipv4 ? COOKIE_MSS_MIN_IPV4 : COOKIE_MSS_MIN_IPV6;
	__u32 mss = options->mss ? options->mss : least;

	return mss < least ? -1 : cookie_mss_index(mss);
}

static __always_inline void write_syn_options(struct reply *reply, const struct settings_value *now,
					      __u32 mss, __u32 agreed,
					      const struct tcp_options *options, __u64 now_ns)
{
	reply->options[0] = network_order_u32(MSS_OPTION | mss);
	reply->options[1] = network_order_u32(agreed & COOKIE_SACK ? SACK_TIMESTAMPS_OPTION
								   : NOP_TIMESTAMPS_OPTION);
	reply->options[2] =
		network_order_u32(cookie_timestamp(now_ns, now->timestamp_offset, agreed));
	reply->options[3] = network_order_u32(options->timestamp);
	reply->option_words = 4;
	if ((agreed & COOKIE_SCALE_MASK) == COOKIE_SCALE_NONE)
		return;
	reply->options[4] = network_order_u32(NOP_SCALE_OPTION | now->window_scale);
	reply->option_words = 5;
}

/* Makes the SYN in @ctx into its answer. CONTINUE where the kernel has to answer it. */
static __always_inline enum verdict answer_syn(struct xdp_md *ctx, struct steering *s,
					       const struct settings_value *now)
{
	struct window *window = window_with_options(ctx, s->packet);
	__u32 slot = now->cookie_slot & 1;
	struct cookie_key *key = bpf_map_lookup_elem(&cookie_keys, &slot);
	bool is_ipv4 = s->packet->ethertype == ETH_P_IP;
	__u32 mss = is_ipv4 ? now->mss_ipv4 : now->mss_ipv6;
	__u64 now_ns = bpf_ktime_get_coarse_ns();
	struct reply reply = { .flags = TCP_SYN | TCP_ACK };
	__u32 agreed;
	int index;

	if (!window || !key)
		return VERDICT_CONTINUE;
	index = mss_index_of(is_ipv4, &window->options);
	if (index < 0 || mss == 0)
		return VERDICT_CONTINUE;
	agreed = agree_on_options(s, now, &window->options);
	if (agreed & COOKIE_ECN)
		reply.flags |= TCP_ECE;
	reply.seq = cookie_make(key, &s->packet->flow, s->packet->seq, now_ns,
				cookie_slot_and_mss(slot, index));
	reply.ack_seq = s->packet->seq + 1;
	reply.window = WINDOW_MAX - WINDOW_MAX % mss;
	write_syn_options(&reply, now, mss, agreed, &window->options, now_ns);
	if (reply_make(ctx, s->packet, &reply))
		return drop_for(s, DROP_REASON_FLOW_REFUSED, &s->stats->drop_flow_refused, NULL);
	count(&s->stats->answer_syn);
	return VERDICT_ANSWER;
}

/* Whether what is sent out of this packet's interface arrives: the agent has looked. */
static __always_inline bool is_answering_here(const struct xdp_md *ctx,
					      const struct settings_value *now)
{
	if (!now->is_answering)
		return false;
	for (int i = 0; i < ANSWERING_MAX && now->answering[i]; i++)
		if (now->answering[i] == ctx->ingress_ifindex)
			return true;
	return false;
}

/* A part: a SYN to a listener that has early dispatch, of a connection that flows does not know. */
__noinline __u32 meet_syn(struct xdp_md *ctx, struct packet *packet)
{
	struct steering s = { .packet = packet, .stats = stats_here() };
	struct settings_value *now = settings_now();

	if (!can_admit || !packet || !s.stats || !now)
		return VERDICT_CONTINUE;
	if (packet->payload_pos != packet->payload_end || !is_answering_here(ctx, now))
		return VERDICT_CONTINUE;
	switch (kernel_socket_of(ctx, packet)) {
	case KERNEL_SOCKET_KNOWN:
		return pass(&s.stats->pass_syn_known);
	case KERNEL_SOCKET_LISTENS:
		return answer_syn(ctx, &s, now);
	}
	return VERDICT_CONTINUE; /* nobody listens: it has to hear so */
}

/* ---- after it ------------------------------------------------------------------------------- */

/* Answers in the name of a connection that has no socket: @flags, and nothing else. */
static __always_inline enum verdict answer_bare(struct xdp_md *ctx, struct steering *s,
						const struct settings_value *now, __u8 flags)
{
	struct window *window = window_here();
	__u64 now_ns = bpf_ktime_get_coarse_ns();
	struct reply reply = { .seq = s->packet->ack_seq,
			       .ack_seq = s->packet->seq + 1,
			       .flags = flags,
			       .option_words = 3 };
	__u32 agreed, mss;

	if (!window)
		return VERDICT_CONTINUE;
	agreed = window->options.timestamp_echo & COOKIE_OPTION_MASK;
	mss = s->packet->ethertype == ETH_P_IP ? now->mss_ipv4 : now->mss_ipv6;
	reply.window = mss ? WINDOW_MAX - WINDOW_MAX % mss : WINDOW_MAX;
	if ((agreed & COOKIE_SCALE_MASK) != COOKIE_SCALE_NONE)
		reply.window >>= now->window_scale & 15;
	reply.options[0] = network_order_u32(NOP_TIMESTAMPS_OPTION);
	reply.options[1] =
		network_order_u32(cookie_timestamp(now_ns, now->timestamp_offset, agreed));
	reply.options[2] = network_order_u32(window->options.timestamp);
	if (reply_make(ctx, s->packet, &reply))
		return drop_for(s, DROP_REASON_FLOW_REFUSED, &s->stats->drop_flow_refused, NULL);
	count(flags & TCP_FIN ? &s->stats->answer_fin : &s->stats->answer_keepalive);
	return VERDICT_ANSWER;
}

/* Where the segment stands in a connection that we answered; COOKIE_INVALID: in none. */
static __always_inline enum cookie_place place_of(struct xdp_md *ctx, struct steering *s)
{
	__u32 cookie = s->packet->ack_seq - 1;
	__u32 slot = cookie_slot(cookie);
	struct cookie_key *key = bpf_map_lookup_elem(&cookie_keys, &slot);
	enum cookie_place place;

	if (!s->packet->is_ack || !key)
		return COOKIE_INVALID;
	place = cookie_check(key, &s->packet->flow, cookie, s->packet->seq,
			     bpf_ktime_get_coarse_ns());
	/* All that we answered has timestamps, and keeps them (RFC 7323 3.2). */
	if (place != COOKIE_INVALID && !window_with_options(ctx, s->packet))
		return COOKIE_INVALID;
	return place;
}

/* What meet_segment returns beside the verdicts: the first payload of a connection we answered. */
enum { MEET_FIRST_PAYLOAD = 0x100 };

/*
 * A part: a segment without SYN and RST to a listener that has early dispatch, of
 * a connection that flows does not know.
 */
__noinline __u32 meet_segment(struct xdp_md *ctx, struct packet *packet)
{
	struct steering s = { .packet = packet, .stats = stats_here() };
	struct settings_value *now = settings_now();
	enum cookie_place place;
	__u32 payload_bytes;

	if (!can_admit || !packet || !s.stats || !now)
		return VERDICT_CONTINUE;
	place = place_of(ctx, &s);
	if (place == COOKIE_INVALID)
		return VERDICT_CONTINUE;
	payload_bytes = packet->payload_end - packet->payload_pos;
	if (place == COOKIE_FIRST && payload_bytes)
		return MEET_FIRST_PAYLOAD;
	if (place == COOKIE_FIRST && !packet->is_fin) {
		count(&s.stats->absorb_ack);
		return VERDICT_ABSORB;
	}
	/* What follows is also sent by connections that have a socket, and no entry any more. */
	if (kernel_socket_of(ctx, packet) == KERNEL_SOCKET_KNOWN)
		return pass(&s.stats->pass_not_early);
	if (place != COOKIE_FIRST && (place != COOKIE_BEFORE || payload_bytes > 1))
		return drop_for(&s, DROP_REASON_EARLY_ORDER, &s.stats->drop_early_order, NULL);
	return answer_bare(ctx, &s, now, place == COOKIE_FIRST ? TCP_FIN | TCP_ACK : TCP_ACK);
}

#endif
