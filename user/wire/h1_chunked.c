// SPDX-License-Identifier: Apache-2.0
/*
 * h1_chunked: one state a grammar position, one step a byte, data in bulk.
 *
 *   SIZE ─► SIZE_LF ─► DATA ─► DATA_CR ─► DATA_LF ─┐      ";" leads from SIZE to EXTENSION
 *    ▲  size 0 │                                   │      and from there to SIZE_LF
 *    └─────────┼───────────────────────────────────┘
 *              └► LINE ─► END_LF ─► END                   LINE: a trailer, or the last CR
 *                  ▲ └─► NAME ─► VALUE ─┐
 *                  └─────── LINE_LF ◄───┘
 *
 * White space around a size is refused although RFC 9112 7.1.1 has a place for it
 * before ";": nobody sends it but to see two readers disagree.
 */
#include "wire/h1_chunked.h"

#include "wire/scan.h"

enum chunked_state {
	CHUNKED_SIZE,
	CHUNKED_EXTENSION,
	CHUNKED_SIZE_LF,
	CHUNKED_DATA,
	CHUNKED_DATA_CR,
	CHUNKED_DATA_LF,
	CHUNKED_LINE,
	CHUNKED_NAME,
	CHUNKED_VALUE,
	CHUNKED_LINE_LF,
	CHUNKED_END_LF,
	CHUNKED_END,
};

void h1_chunked_init(struct h1_chunked *chunked, enum h1_chunked_mode mode)
{
	*chunked = (struct h1_chunked){ .mode = (uint8_t)mode, .state = CHUNKED_SIZE };
}

/* ---- one byte ----------------------------------------------------------------------------- */

static enum h1_reason go_on(struct h1_chunked *chunked, enum chunked_state state)
{
	chunked->state = (uint8_t)state; /* a small enum */
	return H1_REASON_NONE;
}

/* @wanted, or the reason why it is not there. */
static enum h1_reason expect(struct h1_chunked *chunked, char c, char wanted,
			     enum chunked_state next)
{
	if (c == wanted)
		return go_on(chunked, next);
	if (wanted == '\n')
		return H1_REASON_BARE_CR;
	return c == '\n' ? H1_REASON_BARE_LF : H1_REASON_CHUNK_END;
}

static enum h1_reason step_size(struct h1_chunked *chunked, char c)
{
	int digit = char_hex_value(c);

	if (digit < 0) {
		if (c == '\n')
			return H1_REASON_BARE_LF;
		if (chunked->digits == 0 || (c != '\r' && c != ';'))
			return H1_REASON_CHUNK_SIZE;
		return go_on(chunked, c == ';' ? CHUNKED_EXTENSION : CHUNKED_SIZE_LF);
	}
	if (chunked->digits++ == H1_CHUNK_SIZE_DIGITS_MAX)
		return H1_REASON_CHUNK_SIZE_TOO_BIG;
	chunked->data_left = chunked->data_left << 4 | (unsigned)digit;
	return H1_REASON_NONE;
}

static enum h1_reason step_extension(struct h1_chunked *chunked, char c)
{
	if (c == '\r')
		return go_on(chunked, CHUNKED_SIZE_LF);
	if (c == '\n')
		return H1_REASON_BARE_LF;
	if (!byte_is(c, BYTE_TEXT) || ++chunked->extension_bytes > H1_CHUNK_EXTENSION_BYTES_MAX)
		return H1_REASON_CHUNK_EXTENSION;
	return H1_REASON_NONE;
}

static enum h1_reason step_size_lf(struct h1_chunked *chunked, char c)
{
	if (c != '\n')
		return H1_REASON_BARE_CR;
	if (chunked->data_left > INT64_MAX ||
	    __builtin_add_overflow(chunked->content_bytes, chunked->data_left,
				   &chunked->content_bytes))
		return H1_REASON_CHUNK_SIZE_TOO_BIG;
	chunked->digits = 0;
	return go_on(chunked, chunked->data_left ? CHUNKED_DATA : CHUNKED_LINE);
}

/* The trailer section is checked as strictly as fields are, and then dropped. */
static enum h1_reason step_trailer(struct h1_chunked *chunked, char c)
{
	bool is_name = chunked->state != CHUNKED_VALUE;

	if (c == '\n')
		return H1_REASON_BARE_LF;
	if (++chunked->trailer_bytes > H1_TRAILER_BYTES_MAX)
		return H1_REASON_TRAILER;
	if (c == ':' && chunked->state == CHUNKED_NAME)
		return go_on(chunked, CHUNKED_VALUE);
	if (c == '\r' && !is_name)
		return go_on(chunked, CHUNKED_LINE_LF);
	if (!byte_is(c, is_name ? BYTE_TOKEN : BYTE_TEXT))
		return H1_REASON_TRAILER;
	return is_name ? go_on(chunked, CHUNKED_NAME) : H1_REASON_NONE;
}

static enum h1_reason step(struct h1_chunked *chunked, char c)
{
	switch ((enum chunked_state)chunked->state) { /* only go_on writes it */
	case CHUNKED_SIZE:
		return step_size(chunked, c);
	case CHUNKED_EXTENSION:
		return step_extension(chunked, c);
	case CHUNKED_SIZE_LF:
		return step_size_lf(chunked, c);
	case CHUNKED_DATA_CR:
		return expect(chunked, c, '\r', CHUNKED_DATA_LF);
	case CHUNKED_DATA_LF:
		return expect(chunked, c, '\n', CHUNKED_SIZE);
	case CHUNKED_LINE:
		if (c == '\r')
			return go_on(chunked, CHUNKED_END_LF);
		return step_trailer(chunked, c);
	case CHUNKED_NAME:
	case CHUNKED_VALUE:
		return step_trailer(chunked, c);
	case CHUNKED_LINE_LF:
		return expect(chunked, c, '\n', CHUNKED_LINE);
	case CHUNKED_END_LF:
		return expect(chunked, c, '\n', CHUNKED_END);
	case CHUNKED_DATA:
	case CHUNKED_END:
		break; /* not reached: the filter handles both */
	}
	return H1_REASON_NONE;
}

/* ---- the span ----------------------------------------------------------------------------- */

/* Kept bytes are [kept, out); out runs behind in once something was dropped after them. */
struct filter {
	char *in;
	char *end;
	char *kept;
	char *out;
};

static void keep(struct filter *filter, size_t len)
{
	if (!filter->kept)
		filter->kept = filter->out = filter->in;
	if (filter->out != filter->in)
		memmove(filter->out, filter->in, len);
	filter->out += len;
	filter->in += len;
}

static void filter_data(struct h1_chunked *chunked, struct filter *filter)
{
	size_t room = (size_t)(filter->end - filter->in);
	size_t len = chunked->data_left < room ? (size_t)chunked->data_left : room;

	keep(filter, len);
	chunked->data_left -= len;
	if (chunked->data_left == 0)
		chunked->state = CHUNKED_DATA_CR;
}

static bool is_inside_extra(enum chunked_state state)
{
	return state == CHUNKED_EXTENSION || state == CHUNKED_NAME || state == CHUNKED_VALUE ||
	       state == CHUNKED_LINE_LF;
}

static enum h1_reason filter_byte(struct h1_chunked *chunked, struct filter *filter)
{
	enum chunked_state before = chunked->state;
	enum h1_reason reason = step(chunked, *filter->in);
	enum chunked_state after = chunked->state;
	/* A byte is extra when it leads into an extension or a trailer, stays there, or (in a
	 * trailer only) leads out: the CR that ends an extension ends the size line too. */
	bool is_extra = is_inside_extra(after) || before == CHUNKED_LINE_LF;

	if (reason != H1_REASON_NONE)
		return reason;
	if (is_extra || chunked->mode == H1_CHUNKED_DECODE)
		filter->in++;
	else
		keep(filter, 1);
	return H1_REASON_NONE;
}

enum h1_progress h1_chunked_filter(struct h1_chunked *chunked, char *at, size_t len,
				   struct str *kept, size_t *taken)
{
	struct filter filter = { .in = at, .end = at + len };
	enum h1_reason reason = chunked->reason;

	while (filter.in < filter.end && chunked->state != CHUNKED_END &&
	       reason == H1_REASON_NONE) {
		if (chunked->state == CHUNKED_DATA)
			filter_data(chunked, &filter);
		else
			reason = filter_byte(chunked, &filter);
	}
	*kept = filter.kept ? str_of(filter.kept, (size_t)(filter.out - filter.kept))
			    : str_of(at, 0);
	*taken = (size_t)(filter.in - at);
	chunked->reason = (uint8_t)reason; /* fewer than 256 */
	if (reason != H1_REASON_NONE)
		return H1_REFUSED;
	return chunked->state == CHUNKED_END ? H1_DONE : H1_MORE;
}
