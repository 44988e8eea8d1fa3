/* SPDX-License-Identifier: Apache-2.0 */
/*
 * body: where a message's body stands while it streams through.
 *
 * One form for the three framings of HTTP/1 (RFC 9112 6): so many bytes, chunks,
 * or until the connection closes. It looks at the bytes, says which of them are to
 * be passed on and where the message ends; it keeps none.
 */
#ifndef SLUICE_PROXY_BODY_H
#define SLUICE_PROXY_BODY_H

#include "wire/h1_chunked.h"

struct body {
	uint8_t kind;   /* enum h1_body */
	bool is_done;   /* nothing of it is missing */
	uint8_t reason; /* enum h1_reason; why it was refused */
	uint64_t left;  /* H1_BODY_FIXED: bytes to come */
	struct h1_chunked chunked;
};

/* Begins the body that @head announces. @mode: what becomes of chunks. */
static inline void body_init(struct body *body, const struct h1_head *head,
			     enum h1_chunked_mode mode)
{
	body->kind = head->body;
	body->reason = H1_REASON_NONE;
	body->left = head->body == H1_BODY_FIXED ? head->content_length : 0;
	body->is_done = head->body == H1_BODY_NONE ||
			(head->body == H1_BODY_FIXED && head->content_length == 0);
	if (head->body == H1_BODY_CHUNKED)
		h1_chunked_init(&body->chunked, mode);
}

/*
 * Takes the @len bytes at @at, which follow those before. @kept: what to pass on, inside of them.
 * @taken: how many belonged to the body; what is behind them belongs to the next message. False
 * when the framing is broken (see reason); @kept then holds what was good before.
 */
bool body_take(struct body *body, char *at, size_t len, struct str *kept, size_t *taken);

#endif
