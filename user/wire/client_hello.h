/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_hello: the server name in the first bytes of a TLS connection.
 *
 * Read before TLS is spoken, to find the worker that owns the host: records
 * (RFC 8446 5.1), in them one ClientHello (4.1.2), perhaps spread over several
 * records, in it the server_name extension (RFC 6066 3). It decides nothing about
 * the connection; OpenSSL reads the same bytes again and has the last word.
 */
#ifndef SLUICE_WIRE_CLIENT_HELLO_H
#define SLUICE_WIRE_CLIENT_HELLO_H

#include "wire/authority.h"

enum {
	/* A ClientHello that is longer, record headers included, counts as one without a name. */
	CLIENT_HELLO_BYTES_MAX = 16 * 1024,
};

enum client_hello_progress {
	CLIENT_HELLO_MORE,    /* good so far; not whole yet */
	CLIENT_HELLO_NOT_TLS, /* cannot become a ClientHello, or is malformed */
	CLIENT_HELLO_NO_NAME, /* complete; no server name, or one that is no host name */
	CLIENT_HELLO_NAME,
};

struct client_hello {
	uint8_t name_len;
	char name[HOST_BYTES_MAX]; /* lower case; a copy, since records may cut it in two */
	bool offers_h2;            /* ALPN (RFC 7301) has "h2" */
	bool offers_http11;        /* ALPN has "http/1.1" */
};

static inline struct str client_hello_name(const struct client_hello *hello)
{
	return str_of(hello->name, hello->name_len);
}

/* @bytes: the connection's bytes from the first on. @hello is good with NAME and NO_NAME. */
enum client_hello_progress client_hello_parse(struct str bytes, struct client_hello *hello);

#endif
