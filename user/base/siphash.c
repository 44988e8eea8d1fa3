// SPDX-License-Identifier: Apache-2.0
/* siphash: see siphash.h. Words are little-endian, as the paper has it. */
#include "base/siphash.h"

#include <endian.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t word, unsigned int bits)
{
	return word << bits | word >> (64 - bits);
}

static inline void sip_round(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate_left(s->v1, 13) ^ s->v0;
	s->v3 = rotate_left(s->v3, 16) ^ s->v2;
	s->v0 = rotate_left(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate_left(s->v1, 17) ^ s->v2;
	s->v3 = rotate_left(s->v3, 21) ^ s->v0;
	s->v2 = rotate_left(s->v2, 32);
}

static inline void absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

uint64_t siphash(struct siphash_key key, struct str bytes)
{
	struct state s = {
		.v0 = key.k0 ^ 0x736f6d6570736575u,
		.v1 = key.k1 ^ 0x646f72616e646f6du,
		.v2 = key.k0 ^ 0x6c7967656e657261u,
		.v3 = key.k1 ^ 0x7465646279746573u,
	};
	size_t whole = bytes.len & ~(size_t)7;
	uint64_t word;

	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&word, bytes.at + i, sizeof(word));
		absorb(&s, le64toh(word));
	}
	word = 0;
	if (bytes.len > whole)
		memcpy(&word, bytes.at + whole, bytes.len - whole);
	absorb(&s, le64toh(word) | (uint64_t)bytes.len << 56);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
