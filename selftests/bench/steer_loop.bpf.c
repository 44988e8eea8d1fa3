// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * steer_loop: xdp_steer for a packet that it meets for the first time, again and
 * again.
 *
 * The kernel repeats a test run on the same packet and the same maps, and a first
 * payload is one only once. So the flow is forgotten before each run, or the headers
 * are put back behind it; each *_base program does that alone, to be taken off. What
 * stays in the numbers is that a flow which is there takes longer to forget.
 */
#include "maps.h"
#include "verdict.h"

/* Here xdp_steer is no program but a function. */
#undef SEC
#define SEC(name)
#include "xdp_steer.bpf.c"
#undef SEC
#define SEC(name) __attribute__((section(name), used))

char loop_license[] SEC("license") = "Dual BSD/GPL";

/* A flow key, by words. */
const volatile __u32 loop_flow[sizeof(struct flow_key) / 4] = { 0 };

enum { LOOP_HEADERS_BYTES = 74 };

struct loop_headers {
	__u8 at[LOOP_HEADERS_BYTES];
	__u8 pad[2];
};

static __always_inline void forget(void)
{
	__u32 key[sizeof(struct flow_key) / 4];

	for (__u32 i = 0; i < sizeof(key) / 4; i++)
		key[i] = loop_flow[i];
	bpf_map_delete_elem(&flows, key);
}

SEC("xdp")
int loop_known(struct xdp_md *ctx)
{
	return xdp_steer(ctx);
}

SEC("xdp")
int loop_known_base(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int loop_first(struct xdp_md *ctx)
{
	forget();
	return xdp_steer(ctx);
}

SEC("xdp")
int loop_first_base(struct xdp_md *ctx)
{
	forget();
	return XDP_PASS;
}

/* For packets that are changed where they lie, and keep their length. */
SEC("xdp")
int loop_answer(struct xdp_md *ctx)
{
	struct loop_headers headers = { 0 };
	int action;

	bpf_xdp_load_bytes(ctx, 0, headers.at, LOOP_HEADERS_BYTES);
	action = xdp_steer(ctx);
	bpf_xdp_store_bytes(ctx, 0, headers.at, LOOP_HEADERS_BYTES);
	return action;
}

SEC("xdp")
int loop_answer_base(struct xdp_md *ctx)
{
	struct loop_headers headers = { 0 };

	bpf_xdp_load_bytes(ctx, 0, headers.at, LOOP_HEADERS_BYTES);
	bpf_xdp_store_bytes(ctx, 0, headers.at, LOOP_HEADERS_BYTES);
	return XDP_PASS;
}
