/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * deny: whether a source is in denylist, without walking through it.
 *
 * denylist is a hash of prefixes, so a source is looked up once for each length
 * that a prefix of it may have, the longest first. Which lengths are worth it is
 * read in deny_rows beforehand, in one row that the first bits of the address
 * choose:
 *
 *   address ──► row   lengths  of all prefixes that this row's addresses may be in
 *                     marks    for each of these prefixes a bit, chosen by its hash
 *
 * A length whose prefix of this source has no mark is not looked up. So most
 * sources that are not denied cost one row, and a denied one costs the row and one
 * look-up, however many prefixes there are and of however many lengths. A row
 * may say too much, for a moment or for good: then a look-up finds nothing.
 *
 * A prefix is of one family: ::/1 says nothing about IPv4.
 *
 * Tried before: the kernel's LPM trie takes a step, and a cache miss, for each
 * bit in which neighbours differ, 150 ns among 100,000 prefixes.
 *
 * Compiles natively too: the agent writes the rows with the same functions.
 */
#ifndef SLUICE_BPF_DENY_H
#define SLUICE_BPF_DENY_H

#include "flow.h"

enum {
	DENY_ROW_BITS_IPV4 = 15, /* of the address, that choose its row */
	DENY_ROW_BITS_IPV6 = 32, /* of these, by a hash */
	DENY_ROWS_IPV4 = 1 << DENY_ROW_BITS_IPV4,
	DENY_ROWS_IPV6 = DENY_ROWS_MAX - DENY_ROWS_IPV4,
};

/* An address as two numbers, the first bits highest. */
struct deny_source {
	__u64 words[2]; /* 0: bits 65 to 128, 1: bits 1 to 64 */
};

static __always_inline __u64 deny_number(__u64 in_memory)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(in_memory) : in_memory;
}

/* Keys on BPF's stack stand at multiples of four. */
static __always_inline __u64 deny_load(const __u8 *at)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		       ? (__u64)load_u32(at) | (__u64)load_u32(at + 4) << 32
		       : (__u64)load_u32(at) << 32 | load_u32(at + 4);
}

static __always_inline struct deny_source deny_source_of(const __u8 address[16])
{
	return (struct deny_source){ { deny_number(deny_load(address + 8)),
				       deny_number(deny_load(address)) } };
}

/* The row of an address. */
static __always_inline __u32 deny_row_of(const struct deny_source *source)
{
	if (source->words[1] == 0 && source->words[0] >> 32 == 0xffff)
		return (__u32)source->words[0] >> (32 - DENY_ROW_BITS_IPV4);
	return DENY_ROWS_IPV4 + ((__u32)(source->words[1] >> 32) * 0x9e3779b1u) % DENY_ROWS_IPV6;
}

/*
 * @length is the bit of deny_row.lengths[@word] for a length: the address's last
 * bit that counts. What is behind it becomes zero.
 */
static __always_inline struct deny_source deny_cut(const struct deny_source *source, __u32 word,
						   __u64 length)
{
	if (word == 0)
		return (struct deny_source){ { source->words[0] & -length, source->words[1] } };
	return (struct deny_source){ { 0, source->words[1] & -length } };
}

/* Which of 128 marks a prefix has. */
static __always_inline __u32 deny_mark(const struct deny_source *cut, __u64 length)
{
	__u64 hash = cut->words[0] * 0x9e3779b97f4a7c15ull;

	hash = (hash ^ hash >> 32 ^ cut->words[1] ^ length) * 0xd6e8feb86659fd93ull;
	return hash >> 57;
}

static __always_inline int deny_is_marked(const struct deny_row *row, __u32 mark)
{
	return row->marks[mark >> 6 & 1] >> (mark & 63) & 1;
}

/* The number of zeroes below @length, in which one bit is set. */
static __always_inline __u32 deny_place(__u64 length)
{
	__u64 ones = length - 1;

	ones -= ones >> 1 & 0x5555555555555555ull;
	ones = (ones & 0x3333333333333333ull) + (ones >> 2 & 0x3333333333333333ull);
	ones = (ones + (ones >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return ones * 0x0101010101010101ull >> 56;
}

/* The prefix's key in denylist. */
static __always_inline void deny_key_of(struct denylist_key *key, const struct deny_source *cut,
					__u32 word, __u64 length)
{
	__u64 first = deny_number(cut->words[1]), last = deny_number(cut->words[0]);

	key->bits = 128 - 64 * word - deny_place(length);
	__builtin_memcpy(key->address, &first, 8);
	__builtin_memcpy(key->address + 8, &last, 8);
}

#endif
