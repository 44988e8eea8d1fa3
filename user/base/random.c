// SPDX-License-Identifier: Apache-2.0
/* random: see random.h. Seeds are spread with splitmix64, as its authors advise. */
#include "base/random.h"

#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *at, size_t len)
{
	char *next = at;

	while (len) {
		ssize_t got = getrandom(next, len, 0);

		if (got < 0)
			abort();
		next += got;
		len -= (size_t)got;
	}
}

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void random_init(struct random *random, uint64_t seed)
{
	if (seed == 0)
		random_bytes(&seed, sizeof(seed));
	for (int i = 0; i < 4; i++)
		random->state[i] = splitmix(&seed);
}

static uint64_t rotate_left(uint64_t word, unsigned int bits)
{
	return word << bits | word >> (64 - bits);
}

uint64_t random_next(struct random *random)
{
	uint64_t *s = random->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint32_t random_below(struct random *random, uint32_t below)
{
	return (uint32_t)((random_next(random) >> 32) * below >> 32);
}
