/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_chunked: the chunked transfer coding (RFC 9112 7.1), checked and filtered in
 * place while it streams through.
 *
 *   5;ext=1 CR LF hello CR LF 0 CR LF Trailer: x CR LF CR LF
 *   PASS    5 CR LF hello CR LF 0 CR LF CR LF
 *   DECODE  hello
 *
 * PASS is for a hop that speaks chunked on both sides: extensions and trailers
 * mean nothing to anybody but the next hop and have carried more attacks than
 * news, so they are removed; the rest passes as it is. When there is nothing to
 * remove, and that is almost always, no byte is moved.
 */
#ifndef SLUICE_WIRE_H1_CHUNKED_H
#define SLUICE_WIRE_H1_CHUNKED_H

#include "wire/h1.h"

enum {
	H1_CHUNK_SIZE_DIGITS_MAX = 16,
	H1_CHUNK_EXTENSION_BYTES_MAX = 8 * 1024, /* of one whole body */
	H1_TRAILER_BYTES_MAX = 8 * 1024,
};

enum h1_chunked_mode { H1_CHUNKED_PASS, H1_CHUNKED_DECODE };

struct h1_chunked {
	uint64_t data_left;     /* of the chunk we are in, or its size while we read that */
	uint64_t content_bytes; /* of all chunks so far, without framing */
	uint32_t extension_bytes;
	uint32_t trailer_bytes;
	uint8_t mode;  /* enum h1_chunked_mode */
	uint8_t state; /* enum chunked_state, in h1_chunked.c */
	uint8_t digits;
	uint8_t reason; /* enum h1_reason; why H1_REFUSED */
};

void h1_chunked_init(struct h1_chunked *chunked, enum h1_chunked_mode mode);

/*
 * Takes the @len bytes at @at, which follow those of the call before. @kept: the bytes to pass
 * on, somewhere inside the span; at its start unless the span begins with bytes to drop.
 * @taken: how many of @len belonged to the body; less than @len only with H1_DONE (what is
 * behind them stays unchanged and belongs to the next message). H1_MORE: the body goes on.
 * H1_REFUSED: see reason; @kept holds what was good before it.
 */
enum h1_progress h1_chunked_filter(struct h1_chunked *chunked, char *at, size_t len,
				   struct str *kept, size_t *taken);

#endif
