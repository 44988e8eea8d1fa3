/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header_names: the field names sluice knows, as numbers.
 *
 * The parser turns a name into an id once; everybody after it compares numbers
 * and asks bitmaps. Whoever needs one more name adds a row, in its
 * place by length (the look-up walks the names of one length; a unit test
 * checks the order).
 * There can be 63 of them, since a set of names is one uint64_t.
 */
#ifndef SLUICE_WIRE_HEADER_NAMES_H
#define SLUICE_WIRE_HEADER_NAMES_H

#include "base/str.h"

enum header_flag {
	/* Belongs to one connection and is never passed on (RFC 9110 7.6.1). */
	HEADER_FLAG_HOP = 1u << 0,
	/* More than one of it makes a message ambiguous: refused. */
	HEADER_FLAG_ONCE = 1u << 1,
	/* Naming it in Connection does not remove it: the message needs it. */
	HEADER_FLAG_KEPT = 1u << 2,
};

/* X(argument, ID, "name in lower case", flags) */
#define HEADER_NAMES(X, arg)                                                                       \
	X(arg, TE, "te", HEADER_FLAG_HOP)                                                          \
	X(arg, AGE, "age", 0)                                                                      \
	X(arg, VIA, "via", 0)                                                                      \
	X(arg, DATE, "date", 0)                                                                    \
	X(arg, ETAG, "etag", 0)                                                                    \
	X(arg, HOST, "host", HEADER_FLAG_ONCE | HEADER_FLAG_KEPT)                                  \
	X(arg, VARY, "vary", 0)                                                                    \
	X(arg, PROXY, "proxy", 0)                                                                  \
	X(arg, RANGE, "range", 0)                                                                  \
	X(arg, ACCEPT, "accept", 0)                                                                \
	X(arg, COOKIE, "cookie", 0)                                                                \
	X(arg, EXPECT, "expect", 0)                                                                \
	X(arg, ORIGIN, "origin", 0)                                                                \
	X(arg, SERVER, "server", 0)                                                                \
	X(arg, REFERER, "referer", 0)                                                              \
	X(arg, TRAILER, "trailer", HEADER_FLAG_HOP)                                                \
	X(arg, UPGRADE, "upgrade", HEADER_FLAG_HOP)                                                \
	X(arg, LOCATION, "location", 0)                                                            \
	X(arg, X_SCHEME, "x-scheme", 0)                                                            \
	X(arg, FORWARDED, "forwarded", 0)                                                          \
	X(arg, X_REAL_IP, "x-real-ip", 0)                                                          \
	X(arg, CONNECTION, "connection", HEADER_FLAG_HOP)                                          \
	X(arg, KEEP_ALIVE, "keep-alive", HEADER_FLAG_HOP)                                          \
	X(arg, SET_COOKIE, "set-cookie", 0)                                                        \
	X(arg, TRACESTATE, "tracestate", 0)                                                        \
	X(arg, USER_AGENT, "user-agent", 0)                                                        \
	X(arg, RETRY_AFTER, "retry-after", 0)                                                      \
	X(arg, TRACEPARENT, "traceparent", 0)                                                      \
	X(arg, CONTENT_TYPE, "content-type", 0)                                                    \
	X(arg, MAX_FORWARDS, "max-forwards", 0)                                                    \
	X(arg, X_REQUEST_ID, "x-request-id", 0)                                                    \
	X(arg, AUTHORIZATION, "authorization", 0)                                                  \
	X(arg, CACHE_CONTROL, "cache-control", 0)                                                  \
	X(arg, IF_NONE_MATCH, "if-none-match", 0)                                                  \
	X(arg, LAST_MODIFIED, "last-modified", 0)                                                  \
	X(arg, HTTP2_SETTINGS, "http2-settings", HEADER_FLAG_HOP)                                  \
	X(arg, CONTENT_LENGTH, "content-length", HEADER_FLAG_ONCE | HEADER_FLAG_KEPT)              \
	X(arg, ACCEPT_LANGUAGE, "accept-language", 0)                                              \
	X(arg, ACCEPT_ENCODING, "accept-encoding", 0)                                              \
	X(arg, X_FORWARDED_FOR, "x-forwarded-for", 0)                                              \
	X(arg, CONTENT_ENCODING, "content-encoding", 0)                                            \
	X(arg, PROXY_CONNECTION, "proxy-connection", HEADER_FLAG_HOP)                              \
	X(arg, X_FORWARDED_HOST, "x-forwarded-host", 0)                                            \
	X(arg, X_FORWARDED_PORT, "x-forwarded-port", 0)                                            \
	X(arg, IF_MODIFIED_SINCE, "if-modified-since", 0)                                          \
	X(arg, SEC_WEBSOCKET_KEY, "sec-websocket-key", 0)                                          \
	X(arg, TRANSFER_ENCODING, "transfer-encoding",                                             \
	  HEADER_FLAG_HOP | HEADER_FLAG_ONCE | HEADER_FLAG_KEPT)                                   \
	X(arg, X_FORWARDED_PROTO, "x-forwarded-proto", 0)                                          \
	X(arg, PROXY_AUTHENTICATE, "proxy-authenticate", HEADER_FLAG_HOP)                          \
	X(arg, X_FORWARDED_PREFIX, "x-forwarded-prefix", 0)                                        \
	X(arg, X_FORWARDED_SCHEME, "x-forwarded-scheme", 0)                                        \
	X(arg, X_FORWARDED_SERVER, "x-forwarded-server", 0)                                        \
	X(arg, PROXY_AUTHORIZATION, "proxy-authorization", HEADER_FLAG_HOP)                        \
	X(arg, STRICT_TRANSPORT_SECURITY, "strict-transport-security", 0)

#define HEADER_ENUM_ROW(arg, id, text, flags) HEADER_##id,
enum header_id {
	HEADER_OTHER, /* a name that is not in the table */
	HEADER_NAMES(HEADER_ENUM_ROW, ) HEADER_COUNT,
};
#undef HEADER_ENUM_ROW

/* The id as a member of a set: header_bit(HEADER_HOST) | header_bit(HEADER_DATE). */
#define HEADER_BIT(id) (1ull << (id))

/* The id of @name in any case. @name holds token bytes only (RFC 9110 5.6.2). */
enum header_id header_id_of(struct str name);
/* In lower case; "other" for HEADER_OTHER. */
struct str header_name(enum header_id id);
/* enum header_flag. */
unsigned header_flags(enum header_id id);

#endif
