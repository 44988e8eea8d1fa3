/* SPDX-License-Identifier: Apache-2.0 */
/* sources_private: addresses as numbers, for the reader and the writer of sources.h. */
#ifndef SLUICE_IMAGE_SOURCES_PRIVATE_H
#define SLUICE_IMAGE_SOURCES_PRIVATE_H

#include "image/sources.h"

/* How the second eight bytes of an IPv4 address begin (::ffff:a.b.c.d); the first are zero. */
#define SOURCES_IPV4_FIRST 0x0000ffff00000000ull
#define SOURCES_IPV4_LAST  0x0000ffffffffffffull

extern const struct segment_shape sources_shape;

static inline void sources_number(const uint8_t ip[16], uint64_t number[2])
{
	for (unsigned int half = 0; half < 2; half++) {
		number[half] = 0;
		for (unsigned int i = 0; i < 8; i++)
			number[half] = number[half] << 8 | ip[half * 8 + i];
	}
}

static inline bool sources_is_ipv4(const uint64_t number[2])
{
	return number[0] == 0 && number[1] >= SOURCES_IPV4_FIRST && number[1] <= SOURCES_IPV4_LAST;
}

static inline int sources_compare(const uint64_t a[2], const uint64_t b[2])
{
	if (a[0] != b[0])
		return a[0] < b[0] ? -1 : 1;
	return (a[1] > b[1]) - (a[1] < b[1]);
}

#endif
