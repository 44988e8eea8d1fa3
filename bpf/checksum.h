/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * checksum: is a segment's checksum yet to be made?
 *
 * What another namespace of this machine sends may come without a checksum: the
 * field then holds the sum of the pseudo-header alone (CHECKSUM_PARTIAL), and the
 * mark that says so is lost when a frame goes through a cpumap. One in 65,536
 * good checksums looks the same, so whatever looks so is summed to its end: a
 * connection must not be born on the wrong worker by chance.
 */
#ifndef SLUICE_BPF_CHECKSUM_H
#define SLUICE_BPF_CHECKSUM_H

#include "steering.h"
#include "window.h"

enum {
	CHECKSUM_CHUNK_BYTES = 512,  /* as much as bpf_csum_diff took before kernel 6.12 */
	CHECKSUM_CHUNKS_MAX = 129,   /* 64 KiB and what is left over */
	CHECKSUM_GOOD_FOLD = 0xffff, /* of a whole segment with its checksum in it */
};

struct checksum_walk {
	struct payload payload;
	__u32 sum;
};

/* Adds the next chunk; 1 at the end. */
static long checksum_step(__u32 i, void *arg)
{
	struct checksum_walk *walk = arg;
	struct window *window = window_here();
	__u32 len = walk->payload.end - walk->payload.pos;
	__s64 sum;

	if (!window || walk->payload.pos >= walk->payload.end)
		return 1;
	if (len > CHECKSUM_CHUNK_BYTES)
		len = CHECKSUM_CHUNK_BYTES;
	platform_keep(len);
	if (len == 0 || len > CHECKSUM_CHUNK_BYTES)
		return 1;
	if (payload_load(&walk->payload, walk->payload.pos, window->bytes, len))
		return 1;
	*(__u32 *)(window->bytes + len) = 0; /* the sum is of whole words */
	sum = bpf_csum_diff(NULL, 0, (__be32 *)window->bytes, (len + 3) & ~3u, walk->sum);
	if (sum < 0)
		return 1;
	walk->sum = (__u32)sum;
	walk->payload.pos += len;
	return 0;
}

/* A part: 1 where the segment has a good checksum. */
__noinline __u32 segment_sums_up(struct xdp_md *ctx, struct packet *packet)
{
	struct checksum_walk walk = { 0 };

	if (!can_dispatch || !packet)
		return 0;
	walk.payload.source = ctx;
	walk.payload.pos = packet->tcp_pos;
	walk.payload.end = packet->payload_end;
	walk.sum = packet_pseudo_sum(packet);
	platform_loop(CHECKSUM_CHUNKS_MAX, checksum_step, &walk);
	return walk.payload.pos == walk.payload.end &&
	       checksum_fold(walk.sum) == CHECKSUM_GOOD_FOLD;
}

/* True where nobody has made the checksum yet. */
static __always_inline bool checksum_is_partial(struct xdp_md *ctx, struct packet *packet)
{
	return packet->tcp_check == packet_pseudo_sum(packet) && !segment_sums_up(ctx, packet);
}

#endif
