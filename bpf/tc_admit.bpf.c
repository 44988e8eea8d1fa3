// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * tc_admit: makes the socket of a connection that XDP answered, from its first
 * payload.
 *
 * xdp_steer has checked the cookie, chosen the worker and brought the packet to
 * its CPU; flows says ADMIT and which segment is the first. Here, where the
 * packet enters the stack, it gets a request socket with all that was negotiated,
 * read out of the two numbers it repeats (cookie.h). The kernel then takes it as
 * the last packet of a handshake with data in it, and sk_select gives the new
 * socket to the worker of this CPU.
 *
 * The entry stays ADMIT until a packet finds the socket there: where the kernel
 * refused (a full accept queue), the segment comes again and is admitted then. A
 * later segment that came first is dropped, as the kernel would reset it.
 *
 * Programs of others on the interface run after this one, and see all that it does
 * not drop. One before it may end the row (TC_ACT_OK) and hide first payloads: then
 * the agent lets XDP answer no more SYNs there.
 */
#include "cookie.h"
#include "maps.h"
#include "options.h"
#include "packet.h"
#include "ranges.h"
#include "tuple.h"
#include "verdict.h"

char program_license[] SEC("license") = "Dual BSD/GPL";

/* As in xdp_steer. */
const volatile __u16 listen_ports[LISTEN_PORTS_MAX] = { 0 };
const volatile __u32 listen_port_count = 0;

enum {
	TC_NEXT = -1,        /* TCX_NEXT, TC_ACT_UNSPEC: whoever comes next */
	TC_DROP = 2,         /* TC_ACT_SHOT */
	BATCH_NS = 10000000, /* more than the coarse clock's tick */
};

/* As linux/bpf.h of kernel 6.9 has them; that of the build may be older. */
struct sock {
	int unused;
};
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval;
	__u32 rcv_tsecr;
	__u16 mss;
	__u8 rcv_wscale;
	__u8 snd_wscale;
	__u8 ecn_ok;
	__u8 wscale_ok;
	__u8 sack_ok;
	__u8 tstamp_ok;
	__u8 usec_ts_ok;
	__u8 reserved[3];
};
int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk, struct bpf_tcp_req_attrs *attrs,
			    int attrs__sz) __ksym;

struct admission {
	struct packet packet;
	struct stats *stats;
	struct flow_value *flow;
};

/* ---- what is negotiated --------------------------------------------------------------------- */

/*
 * The options of the TCP header, in the window of this CPU. 0, or -1 where they
 * cannot be read. Not static: verified once, for any place of the header.
 */
__noinline int read_options(struct __sk_buff *skb, __u32 tcp_pos, __u32 payload_pos)
{
	__u32 start = tcp_pos + sizeof(struct tcphdr);
	__u32 len = payload_pos - start;
	struct window *window;
	__u32 row = 0;

	window = bpf_map_lookup_elem(&windows, &row);
	platform_keep(len);
	if (!window || len == 0 || len > TCP_OPTIONS_MAX_BYTES)
		return -1;
	if (bpf_skb_load_bytes(skb, start, window->bytes, len))
		return -1;
	options_read(window, len);
	return 0;
}

static __always_inline struct tcp_options *options_of(struct __sk_buff *skb,
						      const struct packet *packet)
{
	struct window *window;
	__u32 row = 0;

	if (read_options(skb, packet->tcp_pos, packet->payload_pos))
		return NULL;
	window = bpf_map_lookup_elem(&windows, &row);
	return window ? &window->options : NULL;
}

static __always_inline void read_attrs(const struct admission *admission,
				       const struct tcp_options *options, __u32 our_scale,
				       struct bpf_tcp_req_attrs *attrs)
{
	__u32 agreed = options->timestamp_echo & COOKIE_OPTION_MASK;

	attrs->mss = cookie_mss(admission->packet.ack_seq - 1);
	attrs->rcv_tsval = options->timestamp;
	attrs->rcv_tsecr = options->timestamp_echo;
	attrs->tstamp_ok = 1;
	attrs->sack_ok = (agreed & COOKIE_SACK) != 0;
	attrs->ecn_ok = (agreed & COOKIE_ECN) != 0;
	if ((agreed & COOKIE_SCALE_MASK) == COOKIE_SCALE_NONE)
		return;
	attrs->wscale_ok = 1;
	attrs->snd_wscale = agreed & COOKIE_SCALE_MASK;
	attrs->rcv_wscale = our_scale;
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* True where the packet belongs to a connection that waits for its socket. */
static __always_inline int find_admission(struct __sk_buff *skb, struct admission *admission)
{
	struct cursor cursor = {
		.start = (void *)(long)skb->data,
		.pos = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
	};

	if (packet_read(&cursor, &admission->packet) != PACKET_TCP)
		return 0;
	if (!is_listen_port(listen_ports, listen_port_count, admission->packet.flow.local_port) &&
	    !is_range_port(admission->packet.flow.local_port))
		return 0;
	admission->flow = bpf_map_lookup_elem(&flows, &admission->packet.flow);
	return admission->flow && admission->flow->state == FLOW_STATE_ADMIT;
}

static __always_inline int is_first_segment(const struct admission *admission)
{
	return admission->packet.seq == admission->flow->admit_seq &&
	       admission->packet.ack_seq == admission->flow->admit_ack;
}

/*
 * The stack takes packets in batches: all of them come here before the first of
 * them makes its socket. What follows an assigned first payload at once will find it.
 */
static __always_inline int is_behind_first(const struct admission *admission)
{
	const struct flow_value *flow = admission->flow;

	return (flow->flags & ADMIT_FLAG_ASSIGNED) && !is_first_segment(admission) &&
	       bpf_ktime_get_coarse_ns() - flow->last_seen_ns < BATCH_NS;
}

static __always_inline struct bpf_sock *find_socket(struct __sk_buff *skb,
						    const struct flow_key *flow)
{
	struct bpf_sock_tuple tuple = { 0 };

	if (tuple_of_flow(&tuple, flow) == sizeof(tuple.ipv4))
		return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* The connection has its socket: from here on it is like any other. */
static __always_inline int end_admission(struct admission *admission)
{
	admission->flow->state =
		admission->flow->flags & ADMIT_FLAG_FIN ? FLOW_STATE_CLOSING : FLOW_STATE_STEERED;
	count(&admission->stats->admit_known);
	return TC_NEXT;
}

static __always_inline void count_born(__u32 host_id)
{
	struct host_counters *counters = bpf_map_lookup_elem(&host_stats, &host_id);

	if (counters)
		counters->sockets_born++;
}

/* @listener is any of its group: the kernel asks sk_select once more with the packet at hand. */
static __always_inline int make_socket(struct __sk_buff *skb, struct admission *admission,
				       struct bpf_sock *listener)
{
	struct sock *sk = (struct sock *)bpf_skc_to_tcp_sock(listener);
	struct tcp_options *options = options_of(skb, &admission->packet);
	struct bpf_tcp_req_attrs attrs = { 0 };
	struct settings_value *now;
	__u32 row = 0;

	now = bpf_map_lookup_elem(&settings, &row);
	if (!sk || !options || !now)
		return -1;
	read_attrs(admission, options, now->window_scale, &attrs);
	return bpf_sk_assign_tcp_reqsk(skb, sk, &attrs, sizeof(attrs));
}

static __always_inline int admit(struct __sk_buff *skb, struct admission *admission,
				 struct bpf_sock *listener)
{
	if (is_behind_first(admission))
		return TC_NEXT;
	if (!is_first_segment(admission)) {
		count(&admission->stats->admit_order);
		return TC_DROP;
	}
	if (make_socket(skb, admission, listener)) {
		count(&admission->stats->admit_failed);
		return TC_NEXT;
	}
	admission->flow->flags |= ADMIT_FLAG_ASSIGNED;
	admission->flow->last_seen_ns = bpf_ktime_get_coarse_ns();
	count(&admission->stats->admit_socket);
	count_born(admission->flow->host_id);
	return TC_NEXT;
}

SEC("tc")
int tc_admit(struct __sk_buff *skb)
{
	struct admission admission = { .stats = stats_here() };
	struct bpf_sock *found;
	int action;

	if (!admission.stats || !find_admission(skb, &admission))
		return TC_NEXT;
	found = find_socket(skb, &admission.packet.flow);
	if (!found)
		return TC_NEXT;
	if (found->state == SOCKET_STATE_LISTEN)
		action = admit(skb, &admission, found);
	else
		action = end_admission(&admission);
	bpf_sk_release(found);
	return action;
}
