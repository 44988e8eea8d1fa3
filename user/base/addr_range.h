/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr_range: where connections are taken: an address and a port, or many of each.
 *
 *   10.0.0.1:80            one address, one port
 *   0.0.0.0:80             every address of the family; so is 0.0.0.0/0:80
 *   10.0.0.0/24:80         all addresses that begin alike
 *   [fd00::]/64:8000-8099  and all ports from first to last
 */
#ifndef SLUICE_BASE_ADDR_RANGE_H
#define SLUICE_BASE_ADDR_RANGE_H

#include "base/addr.h"
#include "base/prefix.h"

enum { ADDR_RANGE_TEXT_MAX = ADDR_TEXT_MAX + 12 };

struct addr_range {
	struct addr first;  /* the prefix itself, and the first port */
	uint32_t bits;      /* of the prefix, as in struct prefix */
	uint16_t port_last; /* first.port or behind it */
};

/* The forms above. 0 or -EINVAL with a text. */
int addr_range_parse(struct str text, struct addr_range *range, struct err *err);
/* As a person writes it; returns @text. */
const char *addr_range_format(const struct addr_range *range, char text[ADDR_RANGE_TEXT_MAX]);

/* One address or every address, and one port: what a socket can be bound to. */
bool addr_range_is_plain(const struct addr_range *range);
/* Every address of its family. */
bool addr_range_is_every_address(const struct addr_range *range);
bool addr_range_covers(const struct addr_range *range, const struct addr *addr);
/*
 * Whether @range has connections that a socket on @addr would get: on every address it gets them on
 * those of the range too. @is_dual: one on [::] gets IPv4 as well.
 */
bool addr_range_takes_from(const struct addr_range *range, const struct addr *addr, bool is_dual);
bool addr_range_eq(const struct addr_range *a, const struct addr_range *b);
/* The same prefix, and a port that both have: nobody could say whose a connection is. */
bool addr_range_clashes(const struct addr_range *a, const struct addr_range *b);

#endif
