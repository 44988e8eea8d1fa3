/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * platform: the few things that differ between the kernel and a unit test.
 *
 * packet.h, flow.h and host.h compile for BPF and natively; tests and fuzzers
 * run the very code that the kernel verifies. What they need of their
 * surroundings is here: bytes of the payload, and a bounded loop.
 *
 *                   BPF                        native
 *  payload_load     bpf_xdp_load_bytes, which  memcpy out of one run of bytes
 *                   also reads later buffers
 *  platform_loop    bpf_loop (kernel 5.17)     for
 *  load_u64         one load: map memory may   memcpy
 *                   be read at any address
 */
#ifndef SLUICE_BPF_PLATFORM_H
#define SLUICE_BPF_PLATFORM_H

#include <linux/bpf.h>
#include <linux/types.h>

#ifdef __bpf__

#include <linux/in.h>

#include <bpf/bpf_helpers.h>

/* A header's function that one program does not use is no mistake. */
#undef __noinline
#define __noinline __attribute__((noinline, unused))

/* One packet; positions are offsets into it. */
struct payload {
	struct xdp_md *source;
	__u32 pos; /* of the first byte of the payload */
	__u32 end; /* behind the last one */
};

/* Copies @len bytes from offset @pos of the packet. 0, or negative where they are not all there. */
static __always_inline long payload_load(const struct payload *payload, __u32 pos, void *to,
					 __u32 len)
{
	return bpf_xdp_load_bytes(payload->source, pos, to, len);
}

/* Calls @step(i, @arg) for i = 0, 1, ... until it returns 1, @count times at most. */
static __always_inline long platform_loop(__u32 count, long (*step)(__u32 i, void *arg), void *arg)
{
	return bpf_loop(count, step, arg, 0);
}

/* clang would make eight loads of a memcpy from bytes. */
static __always_inline __u64 load_u64(const void *at)
{
	return *(const __u64 *)at;
}

static __always_inline __u32 load_u32(const void *at)
{
	return *(const __u32 *)at;
}

static __always_inline void store_u32(void *at, __u32 word)
{
	*(__u32 *)at = word;
}

/* Before a loop that must not become one. */
#define platform_unroll _Pragma("clang loop unroll(full)")

/* Keeps the compiler from moving a bound to a copy of @value, where the verifier would not see it.
 */
#define platform_keep(value) asm volatile("" : "+r"(value))

#else

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define __noinline __attribute__((noinline, unused))

struct payload {
	const __u8 *source;
	__u32 pos;
	__u32 end; /* also the end of the bytes behind @source */
};

static inline long payload_load(const struct payload *payload, __u32 pos, void *to, __u32 len)
{
	if (pos > payload->end || len > payload->end - pos)
		return -1;
	memcpy(to, payload->source + pos, len);
	return 0;
}

static inline long platform_loop(__u32 count, long (*step)(__u32 i, void *arg), void *arg)
{
	__u32 i = 0;

	while (i < count && step(i, arg) == 0)
		i++;
	return i;
}

static inline __u64 load_u64(const void *at)
{
	__u64 word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static inline __u32 load_u32(const void *at)
{
	__u32 word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static inline void store_u32(void *at, __u32 word)
{
	memcpy(at, &word, sizeof(word));
}

#define platform_unroll
#define platform_keep(value) (void)(value)

#endif

#endif
