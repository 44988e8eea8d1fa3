/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer: the responses that sluice gives itself, and why.
 *
 * Short text, Server and Date, Content-Length; the reason stands in the access log
 * as its flag. A client learns no more than the status tells.
 */
#ifndef SLUICE_PROXY_ANSWER_H
#define SLUICE_PROXY_ANSWER_H

#include "wire/h1_write.h"

/* X(NAME, "flag in the access log"). The endpoint's own answers have none. */
#define ANSWER_REASONS(X)                                                                          \
	X(NONE, "")                                                                                \
	X(MALFORMED, "malformed")                                                                  \
	X(HEAD_TOO_SLOW, "head-too-slow")                                                          \
	X(BODY_TOO_SLOW, "body-too-slow")                                                          \
	X(BODY_TOO_LARGE, "body-too-large")                                                        \
	X(NOT_READY, "not-configured")                                                             \
	X(NO_ROUTE, "no-route")                                                                    \
	X(NO_BACKEND, "no-backend")                                                                \
	X(NO_ENDPOINT, "no-endpoint")                                                              \
	X(DENIED, "denied")                                                                        \
	X(MISDIRECTED, "misdirected")                                                              \
	X(REDIRECT, "redirect")                                                                    \
	X(OVERLOAD, "overload")                                                                    \
	X(CONNECT_FAILED, "connect-failed")                                                        \
	X(CONNECT_TIMEOUT, "connect-timeout")                                                      \
	X(UPSTREAM_CLOSED, "upstream-closed")                                                      \
	X(UPSTREAM_TIMEOUT, "upstream-timeout")                                                    \
	X(UPSTREAM_MALFORMED, "upstream-malformed")                                                \
	X(UPSTREAM_CUT, "upstream-cut")                                                            \
	X(CLIENT_GONE, "client-gone")                                                              \
	X(CLIENT_TOO_SLOW, "client-too-slow")                                                      \
	X(DRAINED, "drained")

#define ANSWER_REASON_ROW(name, text) ANSWER_##name,
enum answer_reason { ANSWER_REASONS(ANSWER_REASON_ROW) ANSWER_REASON_COUNT };
#undef ANSWER_REASON_ROW

const char *answer_reason_text(enum answer_reason reason);

enum { ANSWER_RETRY_AFTER_S = 5 };

struct answer {
	unsigned status;
	struct str location; /* absent for none */
	struct str date;
	bool is_head_request; /* no body */
	bool is_client_1_0;
	bool keeps_alive;
};

/* Writes head and body. Check out->is_cut. */
void answer_write(struct h1_out *out, const struct answer *answer);

#endif
