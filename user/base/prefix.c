// SPDX-License-Identifier: Apache-2.0
/* prefix: see prefix.h. */
#include "base/prefix.h"

#include <errno.h>
#include <stdio.h>

struct prefix prefix_of(const uint8_t ip[16], uint32_t bits)
{
	struct prefix prefix = { .bits = bits };
	uint32_t whole = bits / 8;

	memcpy(prefix.ip, ip, whole);
	if (bits % 8)
		prefix.ip[whole] = ip[whole] & (uint8_t)(0xff00u >> bits % 8);
	return prefix;
}

int prefix_parse(struct str text, struct prefix *prefix)
{
	size_t slash = str_find_char(text, '/');
	struct addr addr = { 0 };
	uint64_t bits = PREFIX_BITS_MAX, most;

	if (addr_parse_ip(str_slice(text, 0, slash), &addr))
		return -EINVAL;
	most = addr_is_v4(&addr) ? PREFIX_BITS_MAX - PREFIX_BITS_IPV4 : PREFIX_BITS_MAX;
	if (slash < text.len) {
		if (str_parse_u64(str_slice(text, slash + 1, text.len), most, &bits) < 0)
			return -EINVAL;
		bits += addr_is_v4(&addr) ? PREFIX_BITS_IPV4 : 0;
	}
	*prefix = prefix_of(addr.ip, (uint32_t)bits);
	return 0;
}

bool prefix_covers(const struct prefix *prefix, const uint8_t ip[16])
{
	uint32_t whole = prefix->bits / 8, bits = prefix->bits % 8;

	if (memcmp(prefix->ip, ip, whole) != 0)
		return false;
	return bits == 0 || (prefix->ip[whole] ^ ip[whole]) >> (8 - bits) == 0;
}

int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int order = memcmp(a->ip, b->ip, sizeof(a->ip));

	return order ? order : (a->bits > b->bits) - (a->bits < b->bits);
}

const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX];
	struct addr addr = { .port = 0 };
	uint32_t bits = prefix->bits;

	memcpy(addr.ip, prefix->ip, sizeof(addr.ip));
	addr_format_ip(&addr, ip);
	if (bits == PREFIX_BITS_MAX)
		snprintf(text, PREFIX_TEXT_MAX, "%s", ip);
	else if (addr_is_v4(&addr) && bits >= PREFIX_BITS_IPV4)
		snprintf(text, PREFIX_TEXT_MAX, "%s/%u", ip, bits - PREFIX_BITS_IPV4);
	else
		snprintf(text, PREFIX_TEXT_MAX, "%s/%u", ip, bits);
	return text;
}
