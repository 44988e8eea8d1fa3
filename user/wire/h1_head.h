/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_head: what request and response heads share; for h1_request.c and
 * h1_response.c alone.
 *
 *   EMPTY ─► START ─► FIELD ─► FIELD ... ─► (empty line)
 *
 * EMPTY is the one empty line that may stand before a request (RFC 9112 2.2).
 * head->position is the first byte of the line that was not taken yet; it moves
 * only when a whole line was good.
 */
#ifndef SLUICE_WIRE_H1_HEAD_H
#define SLUICE_WIRE_H1_HEAD_H

#include "wire/h1.h"

enum h1_line { H1_LINE_EMPTY, H1_LINE_START, H1_LINE_FIELD };

/* What of a struct h1_head has to be zero before a message. */
enum { H1_HEAD_CLEARED_BYTES = offsetof(struct h1_head, first) };

static inline enum h1_progress h1_refuse(struct h1_head *head, enum h1_reason reason)
{
	head->reason = (uint8_t)reason; /* fewer than 256 */
	return H1_REFUSED;
}

static inline struct h1_span h1_span_of(const struct h1_head *head, const char *at, const char *end)
{
	/* Both are below H1_HEAD_BYTES_MAX: the parser sees no byte behind max_bytes. */
	return (struct h1_span){ (uint16_t)(at - head->at), (uint16_t)(end - at) };
}

/*
 * The CR LF that has to stand at @at. H1_DONE moves @at behind it. A CR with another byte
 * behind it and a lone LF are refused under their own names, any other byte as @otherwise.
 */
enum h1_progress h1_take_crlf(struct h1_head *head, const char **at, const char *end,
			      enum h1_reason otherwise);

/* Takes field lines up to the empty line. H1_DONE: head->len is set. */
enum h1_progress h1_take_fields(struct h1_head *head, const char *end);

/* Reads Connection, Content-Length and Transfer-Encoding out of a complete head. */
enum h1_progress h1_read_framing(struct h1_head *head);

/* "Upgrade" with a Connection that says so, in HTTP/1.1. */
bool h1_wants_upgrade(const struct h1_head *head);

#endif
