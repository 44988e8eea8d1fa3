// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The program for the far end of a veth pair: it passes everything. veth delivers frames that XDP
 * sent (XDP_TX, redirects) only to a peer whose own receive side runs XDP; without, they are lost.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
