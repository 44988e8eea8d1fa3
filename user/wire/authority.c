// SPDX-License-Identifier: Apache-2.0
/* authority: see the header for what is let through and what is not. */
#include "wire/authority.h"

#include <errno.h>

#include "base/addr.h"
#include "wire/scan.h"

bool host_name_is_valid(struct str name)
{
	char before = '.';

	if (name.len == 0 || name.len > HOST_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];

		if (!byte_is(c, BYTE_HOST))
			return false;
		if (c == '.' && before == '.')
			return false;
		before = c;
	}
	return true;
}

/* "[" IPv6 "]" at the start of @text; its length, or 0. */
static size_t ip6_literal_len(struct str text)
{
	size_t end = str_find_char(text, ']');
	struct addr addr;

	if (end == text.len)
		return 0;
	for (size_t i = 1; i < end; i++) {
		if (char_hex_value(text.at[i]) < 0 && text.at[i] != ':' && text.at[i] != '.')
			return 0;
	}
	if (str_find_char(str_slice(text, 0, end), ':') == end)
		return 0; /* IPv4 does not belong in brackets */
	return addr_parse_ip(str_slice(text, 1, end - 1), &addr) ? 0 : end + 1;
}

static int parse_port(struct str digits, struct authority *authority)
{
	uint64_t port;

	if (digits.len == 0)
		return 0; /* "host:" (RFC 3986 3.2.3: port = *DIGIT) */
	if (str_parse_u64(digits, UINT16_MAX, &port) || port == 0)
		return -EINVAL;
	authority->port = (uint16_t)port; /* at most UINT16_MAX, just checked */
	authority->has_port = true;
	return 0;
}

int authority_parse(struct str text, struct authority *authority)
{
	size_t host_len;

	*authority = (struct authority){ 0 };
	authority->is_ip6 = text.len && text.at[0] == '[';
	host_len = authority->is_ip6 ? ip6_literal_len(text) : str_find_char(text, ':');
	authority->host = str_slice(text, 0, host_len);
	if (authority->is_ip6 ? host_len == 0 : !host_name_is_valid(authority->host))
		return -EINVAL;
	if (host_len == text.len)
		return 0;
	if (text.at[host_len] != ':')
		return -EINVAL;
	return parse_port(str_slice(text, host_len + 1, text.len), authority);
}
