/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * host: names of hosts, and how they are hashed.
 *
 * A name is held as little-endian 64-bit words and treated eight bytes at a time
 * (SWAR): a step per byte costs the verifier, and the processor, eight times as
 * much. The hash is SipHash-2-4 over the name in lower case without a final dot,
 * with a key that strangers do not know. The hash of "*.example.com" stands for
 * each host with one label more; that of no name at all is HOST_HASH_CATCH_ALL.
 *
 * host_tls.h and host_http.h find a name in a first payload. Compiles natively
 * too (platform.h): the agent computes its keys with it.
 */
#ifndef SLUICE_BPF_HOST_H
#define SLUICE_BPF_HOST_H

#include "contract.h"
#include "platform.h"
#include "scratch.h"
#include "siphash.h"

enum {
	HOST_LABEL_MAX_WORDS = 8, /* 63 bytes (RFC 1035 2.3.4) and the dot */
};

/* ---- eight bytes at a time ------------------------------------------------------------------ */

#define EACH_BYTE(byte) (0x0101010101010101ull * (byte))
#define EACH_HIGH_BIT   EACH_BYTE(0x80)

/* The word whose lowest byte is the first in memory. */
static __always_inline __u64 word_from_memory(__u64 word)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : __builtin_bswap64(word);
}

/* The high bit of each byte that is 'A' to 'Z'. Seven-bit sums cannot carry into a neighbour. */
static __always_inline __u64 bytes_upper(__u64 word)
{
	__u64 low = word & EACH_BYTE(0x7f);
	__u64 from_a = low + EACH_BYTE(0x80 - 'A');
	__u64 above_z = low + EACH_BYTE(0x80 - 'Z' - 1);

	return from_a & ~above_z & ~word & EACH_HIGH_BIT;
}

static __always_inline __u64 word_lower(__u64 word)
{
	return word | bytes_upper(word) >> 2; /* 0x80 >> 2 is the case bit, 0x20 */
}

/* The high bit of each byte below @limit (1 to 128); exact up to and including the first. */
static __always_inline __u64 bytes_below(__u64 word, __u8 limit)
{
	return (word - EACH_BYTE(limit)) & ~word & EACH_HIGH_BIT;
}

/* The high bit of each byte equal to @byte; exact up to and including the first. */
static __always_inline __u64 bytes_equal(__u64 word, __u8 byte)
{
	return bytes_below(word ^ EACH_BYTE(byte), 1);
}

/*
 * Which byte has the lowest high bit; @high_bits is not 0. The lowest bit, moved
 * to the bottom of its byte, moves the n-th byte of the constant to the top.
 * BPF has no instruction for this, and clang 14 none of its own making.
 */
static __always_inline __u32 first_byte(__u64 high_bits)
{
	__u64 lowest = high_bits & -high_bits;

	return (lowest >> 7) * 0x0001020304050607ull >> 56;
}

/* ---- the hash ------------------------------------------------------------------------------- */

static __always_inline __u32 host_len_without_final_dot(const struct host_name *name)
{
	const __u8 *bytes = (const __u8 *)name->words;
	__u32 last = (name->len - 1) & HOST_NAME_MAX_BYTES;

	return name->len && bytes[last] == '.' ? last : name->len;
}

/* Of name->len (1 to 255) bytes; @k0 and @k1 are the key. Never HOST_HASH_CATCH_ALL. */
static __noinline __u64 host_hash(__u64 k0, __u64 k1, const struct host_name *name)
{
	__u32 len = host_len_without_final_dot(name) & HOST_NAME_MAX_BYTES;
	__u64 last, hash;
	struct sip sip;

	sip_start(&sip, k0, k1);
	for (__u32 i = 0; i < HOST_NAME_WORDS - 1 && i * 8 + 8 <= len; i++)
		sip_absorb(&sip, word_lower(word_from_memory(name->words[i])));
	last = word_lower(word_from_memory(name->words[len / 8]));
	last &= (1ull << len % 8 * 8) - 1;
	hash = sip_finish(&sip, last | (__u64)len << 56);
	return hash == HOST_HASH_CATCH_ALL ? 1 : hash;
}

#endif
