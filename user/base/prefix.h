/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefix: all addresses that begin alike, as "10.0.0.0/8" writes them.
 *
 * Bits are counted from the first of 16 bytes, as everywhere: an IPv4 prefix of n bits has 96 + n.
 */
#ifndef SLUICE_BASE_PREFIX_H
#define SLUICE_BASE_PREFIX_H

#include "base/addr.h"

enum {
	PREFIX_BITS_MAX = 128,
	PREFIX_BITS_IPV4 = 96, /* what stands before an IPv4 address */
	PREFIX_TEXT_MAX = 80,
};

struct prefix {
	uint8_t ip[16]; /* as in struct addr; the bits behind the prefix are zero */
	uint32_t bits;  /* up to PREFIX_BITS_MAX */
};

/* "10.0.0.0/8", "fd00::/8", or one address; bits behind the prefix are cleared. 0 or -EINVAL. */
int prefix_parse(struct str text, struct prefix *prefix);

/* The first @bits bits of @ip. */
struct prefix prefix_of(const uint8_t ip[16], uint32_t bits);
/* Whether @ip begins as @prefix says. */
bool prefix_covers(const struct prefix *prefix, const uint8_t ip[16]);
/* By address, of equal ones the wider first: < 0, 0, > 0. */
int prefix_compare(const struct prefix *a, const struct prefix *b);

/* As a person writes it, without "/32" and "/128"; returns @text. */
const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_MAX]);

#endif
