/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr: an IP address and a port, both families in one form.
 *
 * IPv4 is kept v4-mapped (::ffff:a.b.c.d, RFC 4291 2.5.5.2), as in the BPF
 * contract, so that one comparison and one table serve both. Ports are host
 * order everywhere outside the kernel's own structs.
 */
#ifndef SLUICE_BASE_ADDR_H
#define SLUICE_BASE_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"

enum { ADDR_TEXT_MAX = 56 }; /* "[address%]:65535" and NUL */

struct addr {
	uint8_t ip[16];
	uint16_t port;
};

bool addr_is_v4(const struct addr *addr);
bool addr_eq(const struct addr *a, const struct addr *b);

/* "10.0.0.1", "2001:db8::1", "[2001:db8::1]". 0 or -EINVAL; port is left alone. */
int addr_parse_ip(struct str text, struct addr *addr);
/* "10.0.0.1:80", "[::1]:80". 0 or -EINVAL with a text. */
int addr_parse(struct str text, struct addr *addr, struct err *err);

/* "10.0.0.1:80" or "[::1]:80"; returns @text. */
const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_MAX]);
/* Without port and brackets; returns @text. */
const char *addr_format_ip(const struct addr *addr, char text[ADDR_TEXT_MAX]);

/* The kernel's form: AF_INET for v4-mapped, else AF_INET6. Returns its length. */
socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *sa);
/* 0, or -EAFNOSUPPORT. */
int addr_from_sockaddr(const struct sockaddr_storage *sa, struct addr *addr);

#endif
