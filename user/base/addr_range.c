// SPDX-License-Identifier: Apache-2.0
/* addr_range: see addr_range.h. */
#include "base/addr_range.h"

#include <errno.h>
#include <stdio.h>

static struct prefix prefix_of_range(const struct addr_range *range)
{
	return prefix_of(range->first.ip, range->bits);
}

/* Bits of a prefix that is every address of @addr's family. */
static uint32_t every_bits(const struct addr *addr)
{
	return addr_is_v4(addr) ? PREFIX_BITS_IPV4 : 0;
}

static bool is_all_zero(const struct addr *addr)
{
	struct prefix every = prefix_of(addr->ip, every_bits(addr));

	return memcmp(every.ip, addr->ip, sizeof(addr->ip)) == 0;
}

/* ---- text ----------------------------------------------------------------------------------- */

/* "10.0.0.0/24" in two: the address, and the number of bits. */
static int parse_bits(struct str bits, struct addr_range *range, struct err *err)
{
	uint32_t before = every_bits(&range->first);
	uint64_t number = PREFIX_BITS_MAX - before;
	char text[PREFIX_TEXT_MAX];
	struct prefix prefix;

	if (bits.len && str_parse_u64(bits, PREFIX_BITS_MAX - before, &number))
		return err_set(err, -EINVAL, "'/%.*s' is no number of bits up to %u", STR_ARG(bits),
			       PREFIX_BITS_MAX - before);
	range->bits = (uint32_t)number + before;
	prefix = prefix_of_range(range);
	if (memcmp(prefix.ip, range->first.ip, sizeof(prefix.ip)) != 0)
		return err_set(err, -EINVAL, "the address has bits behind its prefix: %s is meant?",
			       prefix_format(&prefix, text));
	/* Nobody has the address of zeroes: it stands for all. */
	if (range->bits == PREFIX_BITS_MAX && is_all_zero(&range->first))
		range->bits = before;
	return 0;
}

static int parse_ports(struct str ports, struct addr_range *range)
{
	size_t dash = str_find_char(ports, '-');
	uint64_t first, last;

	if (str_parse_u64(str_slice(ports, 0, dash), UINT16_MAX, &first))
		return -EINVAL;
	last = first;
	if (dash < ports.len &&
	    (str_parse_u64(str_slice(ports, dash + 1, ports.len), UINT16_MAX, &last) ||
	     last < first || first == 0))
		return -EINVAL;
	range->first.port = (uint16_t)first;
	range->port_last = (uint16_t)last;
	return 0;
}

int addr_range_parse(struct str text, struct addr_range *range, struct err *err)
{
	size_t colon = text.len, slash;
	struct str ip, bits;

	while (colon > 0 && text.at[colon - 1] != ':')
		colon--;
	ip = str_slice(text, 0, colon ? colon - 1 : 0);
	slash = str_find_char(ip, '/');
	bits = str_slice(ip, slash + 1, ip.len);
	*range = (struct addr_range){ .bits = PREFIX_BITS_MAX };
	ip = str_slice(ip, 0, slash);
	if (colon == 0 || (slash + 1 == colon - 1) ||
	    (ip.len && ip.at[0] != '[' && str_find_char(ip, ':') < ip.len) ||
	    addr_parse_ip(ip, &range->first) ||
	    parse_ports(str_slice(text, colon, text.len), range))
		return err_set(err, -EINVAL, "not an ADDRESS[/BITS]:PORT[-PORT]: '%.*s'",
			       STR_ARG(text));
	return parse_bits(bits, range, err);
}

const char *addr_range_format(const struct addr_range *range, char text[ADDR_RANGE_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX], bits[8] = "", last[8] = "";
	bool is_v4 = addr_is_v4(&range->first);

	addr_format_ip(&range->first, ip);
	if (range->bits != PREFIX_BITS_MAX && !addr_range_is_every_address(range))
		snprintf(bits, sizeof(bits), "/%u", range->bits - every_bits(&range->first));
	if (range->port_last != range->first.port)
		snprintf(last, sizeof(last), "-%u", (unsigned int)range->port_last);
	snprintf(text, ADDR_RANGE_TEXT_MAX, is_v4 ? "%.46s%s:%u%s" : "[%.46s]%s:%u%s", ip, bits,
		 (unsigned int)range->first.port, last);
	return text;
}

/* ---- questions ------------------------------------------------------------------------------ */

bool addr_range_is_every_address(const struct addr_range *range)
{
	return range->bits == every_bits(&range->first) && is_all_zero(&range->first);
}

bool addr_range_is_plain(const struct addr_range *range)
{
	return range->port_last == range->first.port &&
	       (range->bits == PREFIX_BITS_MAX || addr_range_is_every_address(range));
}

static bool has_port(const struct addr_range *range, uint16_t port)
{
	return port >= range->first.port && port <= range->port_last;
}

static bool is_same_family(const struct addr_range *range, const struct addr *addr)
{
	return addr_is_v4(addr) == addr_is_v4(&range->first);
}

bool addr_range_covers(const struct addr_range *range, const struct addr *addr)
{
	struct prefix prefix = prefix_of_range(range);

	return has_port(range, addr->port) && is_same_family(range, addr) &&
	       prefix_covers(&prefix, addr->ip);
}

bool addr_range_takes_from(const struct addr_range *range, const struct addr *addr, bool is_dual)
{
	if (addr_range_covers(range, addr))
		return true;
	return has_port(range, addr->port) && is_all_zero(addr) &&
	       (is_same_family(range, addr) || (is_dual && !addr_is_v4(addr)));
}

bool addr_range_eq(const struct addr_range *a, const struct addr_range *b)
{
	return addr_eq(&a->first, &b->first) && a->bits == b->bits && a->port_last == b->port_last;
}

bool addr_range_clashes(const struct addr_range *a, const struct addr_range *b)
{
	return a->bits == b->bits && memcmp(a->first.ip, b->first.ip, sizeof(a->first.ip)) == 0 &&
	       a->first.port <= b->port_last && b->first.port <= a->port_last;
}
