/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * host_tls: the server name in a ClientHello (RFC 6066 3).
 *
 * It may stand anywhere among the extensions; unknown ones (GREASE, RFC 8701) are
 * stepped over. With Encrypted Client Hello this is the name of the outer hello.
 *
 * Only what is whole in this segment counts. A ClientHello that goes on in the
 * next one before its name gives "no host", and the worker that accepts the
 * connection looks for itself: this is a hint, never a decision about a request.
 * So nothing is validated here that the hint does not need.
 */
#ifndef SLUICE_BPF_HOST_TLS_H
#define SLUICE_BPF_HOST_TLS_H

#include "window.h"

enum {
	TLS_RECORD_HANDSHAKE = 22,
	TLS_HANDSHAKE_CLIENT_HELLO = 1,
	TLS_EXTENSION_SERVER_NAME = 0,
	TLS_NAME_TYPE_HOST = 0,
	TLS_RECORD_HEADER_BYTES = 5,
	TLS_EXTENSIONS_MAX = 64,
};

/*
 * Sets window->pos to where the extensions begin, and window->limit to how far
 * this record and segment go. Three vectors stand before them (RFC 8446 4.1.2):
 *
 *   record  hello  version  random  session id  ciphers    compression  extensions
 *   5       4      2        32      1 + n       2 + n      1 + n        2 + n
 */
static __always_inline int tls_find_extensions(struct window *window)
{
	__u32 at = window_skip_proxy(window);
	const __u8 *head = window_at(window, at);
	__u32 end = at + TLS_RECORD_HEADER_BYTES + window_u16(window, at + 3);

	if (head[0] != TLS_RECORD_HANDSHAKE || head[1] != 3 ||
	    head[5] != TLS_HANDSHAKE_CLIENT_HELLO)
		return -1;
	if (end > window->len)
		end = window->len;
	at += TLS_RECORD_HEADER_BYTES + 4 + 2 + 32;
	at += 1 + *window_at(window, at);
	at += 2 + window_u16(window, at);
	at += 1 + *window_at(window, at);
	window->pos = at + 2;
	if (end > window->pos + window_u16(window, at))
		end = window->pos + window_u16(window, at);
	window->limit = end;
	return 0;
}

/*
 *  0      2      4         6      7         9
 *  | type | size | list    | name | name    | name ...
 *  |      |      | size    | type | size    |
 */
static __always_inline int tls_take_name(struct window *window, __u32 pos, __u32 end)
{
	__u32 size = window_u16(window, pos + 2);
	__u32 len = window_u16(window, pos + 7);

	if (pos + 9 > end || *window_at(window, pos + 6) != TLS_NAME_TYPE_HOST)
		return -1;
	if (len == 0 || len > HOST_NAME_MAX_BYTES || len + 5 > size || pos + 9 + len > end)
		return -1;
	window_take_name(window, pos + 9, len);
	return 0;
}

/* Reads the server name into window->name. 0, or -1 where none can be read. */
static __noinline int host_read_tls(const struct payload *payload, struct window *window)
{
	if (window_load(window, payload, payload->pos) || tls_find_extensions(window))
		return -1;
	for (__u32 i = 0; i < TLS_EXTENSIONS_MAX; i++) {
		__u32 pos = window->pos;

		if (pos + 4 > window->limit)
			return -1;
		if (window_u16(window, pos) == TLS_EXTENSION_SERVER_NAME)
			return tls_take_name(window, pos, window->limit);
		window->pos = pos + 4 + window_u16(window, pos + 2);
	}
	return -1;
}

#endif
