// SPDX-License-Identifier: Apache-2.0
/* addr: see addr.h. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

bool addr_is_v4(const struct addr *addr)
{
	return memcmp(addr->ip, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

int addr_parse_ip(struct str text, struct addr *addr)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.len >= 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
		text = str_slice(text, 1, text.len - 2);
	if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.at, 0, text.len))
		return -EINVAL;
	memcpy(copy, text.at, text.len);
	copy[text.len] = 0;
	if (inet_pton(AF_INET, copy, addr->ip + sizeof(v4_prefix)) == 1) {
		memcpy(addr->ip, v4_prefix, sizeof(v4_prefix));
		return 0;
	}
	return inet_pton(AF_INET6, copy, addr->ip) == 1 ? 0 : -EINVAL;
}

static size_t find_last_colon(struct str text)
{
	for (size_t i = text.len; i > 0; i--) {
		if (text.at[i - 1] == ':')
			return i - 1;
	}
	return text.len;
}

int addr_parse(struct str text, struct addr *addr, struct err *err)
{
	size_t colon = find_last_colon(text);
	struct str ip = str_slice(text, 0, colon);
	uint64_t port;
	bool is_bare_v6 = ip.len && ip.at[0] != '[' && str_find_char(ip, ':') < ip.len;

	if (is_bare_v6 || addr_parse_ip(ip, addr) < 0 ||
	    str_parse_u64(str_slice(text, colon + 1, text.len), UINT16_MAX, &port) < 0)
		return err_set(err, -EINVAL, "not an ADDRESS:PORT: '%.*s'", STR_ARG(text));
	addr->port = (uint16_t)port;
	return 0;
}

const char *addr_format_ip(const struct addr *addr, char text[ADDR_TEXT_MAX])
{
	if (addr_is_v4(addr))
		inet_ntop(AF_INET, addr->ip + sizeof(v4_prefix), text, ADDR_TEXT_MAX);
	else
		inet_ntop(AF_INET6, addr->ip, text, ADDR_TEXT_MAX);
	return text;
}

const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX];

	addr_format_ip(addr, ip);
	snprintf(text, ADDR_TEXT_MAX, addr_is_v4(addr) ? "%.46s:%u" : "[%.46s]:%u", ip,
		 (unsigned int)addr->port);
	return text;
}

socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *sa)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sa; /* the socket API's own idiom */
	struct sockaddr_in *v4 = (struct sockaddr_in *)sa;

	memset(sa, 0, sizeof(*sa));
	if (addr_is_v4(addr)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(addr->port);
		memcpy(&v4->sin_addr, addr->ip + sizeof(v4_prefix), 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(addr->port);
	memcpy(&v6->sin6_addr, addr->ip, sizeof(addr->ip));
	return sizeof(*v6);
}

int addr_from_sockaddr(const struct sockaddr_storage *sa, struct addr *addr)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa; /* as above */
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;

	if (sa->ss_family == AF_INET) {
		memcpy(addr->ip, v4_prefix, sizeof(v4_prefix));
		memcpy(addr->ip + sizeof(v4_prefix), &v4->sin_addr, 4);
		addr->port = ntohs(v4->sin_port);
		return 0;
	}
	if (sa->ss_family != AF_INET6)
		return -EAFNOSUPPORT;
	memcpy(addr->ip, &v6->sin6_addr, sizeof(addr->ip));
	addr->port = ntohs(v6->sin6_port);
	return 0;
}
