/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * cursor: where we are in the packet's headers, and where they end.
 *
 * The bounds check stands where the cursor moves, once: what take_* returned may
 * be read whole. Nobody else touches raw packet pointers. Compiles natively too.
 */
#ifndef SLUICE_BPF_CURSOR_H
#define SLUICE_BPF_CURSOR_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "platform.h"

struct cursor {
	__u8 *start; /* of the packet */
	__u8 *pos;
	__u8 *end; /* of the part that can be read directly */
};

/* The next @size bytes, or NULL where they are not all there. */
static __always_inline void *take(struct cursor *cursor, __u32 size)
{
	__u8 *taken = cursor->pos;

	if (taken + size > cursor->end)
		return NULL;
	cursor->pos = taken + size;
	return taken;
}

static __always_inline struct ethhdr *take_eth(struct cursor *cursor)
{
	return take(cursor, sizeof(struct ethhdr));
}

/* A VLAN tag as it follows the type that announced it (IEEE 802.1Q). */
struct vlan_tag {
	__be16 control;
	__be16 next_type;
};

static __always_inline struct vlan_tag *take_vlan(struct cursor *cursor)
{
	return take(cursor, sizeof(struct vlan_tag));
}

static __always_inline struct iphdr *take_ipv4(struct cursor *cursor)
{
	return take(cursor, sizeof(struct iphdr));
}

static __always_inline struct ipv6hdr *take_ipv6(struct cursor *cursor)
{
	return take(cursor, sizeof(struct ipv6hdr));
}

/* The fixed part; options follow it. */
static __always_inline struct tcphdr *take_tcp(struct cursor *cursor)
{
	return take(cursor, sizeof(struct tcphdr));
}

/* How far the cursor has come. */
static __always_inline __u32 cursor_offset(const struct cursor *cursor)
{
	return (__u32)(cursor->pos - cursor->start);
}

#endif
