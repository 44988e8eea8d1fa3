/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority: host[:port] as in Host and in http URLs (RFC 9110 7.2, RFC 3986 3.2).
 *
 * Stricter than the grammar, which lets almost any byte into a name: letters,
 * digits, "-", ".", "_" and "~"; no empty label but the root's at the end; no
 * user information, no percent-encoding, no IPvFuture, no zone. IPv6 in brackets.
 */
#ifndef SLUICE_WIRE_AUTHORITY_H
#define SLUICE_WIRE_AUTHORITY_H

#include "base/str.h"

enum { HOST_BYTES_MAX = 255 };

struct authority {
	struct str host; /* inside the parsed text; IPv6 with its brackets */
	uint16_t port;   /* host order; good where has_port */
	bool has_port;   /* "host:" has none */
	bool is_ip6;
};

/* 0 or -EINVAL. An empty text is refused; "Host:" without a value is the caller's matter. */
int authority_parse(struct str text, struct authority *authority);

/* Whether @name is a host name by the rules above (no port, no brackets). */
bool host_name_is_valid(struct str name);

#endif
