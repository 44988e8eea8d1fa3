/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * host_http: the host of an HTTP/1 request (RFC 9112 3.2), without its port.
 *
 * The authority of an absolute-form target, else the Host field, wherever it
 * stands and however it is written. Only what is whole in this segment counts; a
 * header that goes on gives "no host", as does HTTP/2 with its fields packed, and
 * the worker that accepts the connection looks for itself.
 *
 * The search runs from newline to newline, 32 bytes at a step, and looks at the
 * word behind each one: "host:", the end of the header, or neither.
 */
#ifndef SLUICE_BPF_HOST_HTTP_H
#define SLUICE_BPF_HOST_HTTP_H

#include "window.h"

enum {
	HTTP_METHOD_MIN_BYTES = 3,
	HTTP_METHOD_MAX_BYTES = 16,
	HTTP_STEP_BYTES = 32,
	HTTP_STEPS = 8, /* runs of 32 bytes, or lines, in one call: they cost the verifier */
	HTTP_CALLS_MAX = 1024,
	HTTP_FIELD_BYTES = 5, /* "Host:" */
	HTTP_MARGIN_BYTES = HTTP_STEP_BYTES + 16,
	HTTP_NAME_SPACE = HOST_NAME_WORDS * 8 + 16, /* a name with spaces before it */
};

enum http_found {
	HTTP_FOUND_NOTHING, /* yet: look on */
	HTTP_FOUND_HOST,
	HTTP_FOUND_END, /* of the header or of the payload */
};

struct http_scan {
	struct payload payload;
	struct window *window;
	enum http_found found;
};

/* What begins at @pos, which is behind a newline. */
static __always_inline enum http_found http_look_at_line(struct window *window, __u32 pos)
{
	const __u64 host = 'h' | 'o' << 8 | 's' << 16 | (__u64)'t' << 24 | (__u64)':' << 32;
	__u64 word = window_word(window, pos);
	__u8 first = (__u8)word;

	if ((word_lower(word) & 0xffffffffffull) == host)
		return pos + HTTP_FIELD_BYTES <= window->len ? HTTP_FOUND_HOST : HTTP_FOUND_END;
	if (first == '\r' || first == '\n')
		return HTTP_FOUND_END;
	return HTTP_FOUND_NOTHING;
}

/* Where the first newline of the next 32 bytes is, counted from 1; 0: nowhere. */
static __always_inline __u32 http_next_newline(struct window *window, __u32 pos)
{
	const __u8 *at = window_at(window, pos);
	__u64 first = bytes_equal(word_from_memory(load_u64(at)), '\n');
	__u64 second = bytes_equal(word_from_memory(load_u64(at + 8)), '\n');
	__u64 third = bytes_equal(word_from_memory(load_u64(at + 16)), '\n');
	__u64 fourth = bytes_equal(word_from_memory(load_u64(at + 24)), '\n');

	if (!(first | second | third | fourth))
		return 0;
	if (first)
		return first_byte(first) + 1;
	if (second)
		return first_byte(second) + 9;
	if (third)
		return first_byte(third) + 17;
	return first_byte(fourth) + 25;
}

/* How far the window can be read: a field that its end may have cut is left to the next window. */
static __always_inline void http_set_limit(struct http_scan *scan)
{
	struct window *window = scan->window;

	window->limit = window_is_cut(window, &scan->payload) ? WINDOW_BYTES - HTTP_MARGIN_BYTES
							      : window->len;
}

/* The next window, where this one is read up to its limit. 0, or -1 where there is none. */
static __always_inline int http_next_window(struct http_scan *scan)
{
	struct window *window = scan->window;

	if (window->pos < window->limit)
		return 0;
	if (!window_is_cut(window, &scan->payload) ||
	    window_load(window, &scan->payload, window->start + window->pos))
		return -1;
	window->pos = 0;
	http_set_limit(scan);
	return 0;
}

/* Looks through a part of the window. */
static long http_scan_some(__u32 i, void *arg)
{
	struct http_scan *scan = arg;
	struct window *window = scan->window;

	(void)i;
	if (http_next_window(scan))
		return 1;
	for (__u32 step = 0; step < HTTP_STEPS && window->pos < window->limit; step++) {
		__u32 newline = http_next_newline(window, window->pos);

		if (!newline) {
			window->pos += HTTP_STEP_BYTES;
			continue;
		}
		window->pos += newline;
		scan->found = http_look_at_line(window, window->pos);
		if (scan->found != HTTP_FOUND_NOTHING)
			return 1;
	}
	return 0;
}

/*
 * The length of the method at @pos: capital letters up to the first space. 0
 * where this is no request line; the middle of a body seldom is.
 */
static __always_inline __u32 http_method_len(struct window *window, __u32 pos)
{
	for (__u32 at = 0; at < HTTP_METHOD_MAX_BYTES; at += 8) {
		__u64 word = window_word(window, pos + at);
		__u64 others = ~bytes_upper(word) & EACH_HIGH_BIT;
		__u32 byte;

		if (!others)
			continue;
		byte = first_byte(others) & 7;
		if ((word >> byte * 8 & 0xff) != ' ' || at + byte < HTTP_METHOD_MIN_BYTES)
			return 0;
		return at + byte;
	}
	return 0;
}

/* The length of "http://" or "https://" at @pos, or 0. */
static __always_inline __u32 http_scheme_len(struct window *window, __u32 pos)
{
	const __u64 http = 'h' | 't' << 8 | 't' << 16 | (__u64)'p' << 24;
	const __u64 separator = ':' | '/' << 8 | '/' << 16;
	__u64 word = word_lower(window_word(window, pos));

	if ((word & 0xffffffff) != http)
		return 0;
	if ((word >> 32 & 0xffffff) == separator)
		return 7;
	return word >> 32 == ('s' | separator << 8) ? 8 : 0;
}

/* Where the authority or the Host field's value begins in the window; 0: there is none. */
static __always_inline __u32 http_find_host(const struct payload *payload, struct window *window)
{
	struct http_scan scan = { .payload = *payload, .window = window };
	__u32 method_len, scheme_len;

	window->pos = window_skip_proxy(window);
	method_len = http_method_len(window, window->pos);
	if (!method_len)
		return 0;
	window->pos += method_len + 1;
	scheme_len = http_scheme_len(window, window->pos);
	if (scheme_len)
		return window->pos + scheme_len;
	http_set_limit(&scan);
	platform_loop(HTTP_CALLS_MAX, http_scan_some, &scan);
	return scan.found == HTTP_FOUND_HOST ? window->pos + HTTP_FIELD_BYTES : 0;
}

/* The number of spaces and tabs at @pos; those behind the first eight bytes count not. */
static __always_inline __u32 http_spaces(struct window *window, __u32 pos)
{
	__u64 word = window_word(window, pos);
	__u32 spaces = 0;

	while (spaces < 8 && ((word & 0xff) == ' ' || (word & 0xff) == '\t')) {
		word >>= 8;
		spaces++;
	}
	return spaces;
}

/*
 * The high bit of the first byte that cannot be part of a name in this place: a
 * space, a control character, ':' or one of "/?#". An IPv6 literal ends at its
 * first colon; it is nobody's host, and so falls to the catch-all entry.
 */
static __always_inline __u64 http_name_ends(__u64 word)
{
	return bytes_below(word, ' ' + 1) | bytes_equal(word, ':') | bytes_equal(word, '/') |
	       bytes_equal(word, '?') | bytes_equal(word, '#');
}

/* Takes the name at @pos. 0, or -1 where it is empty, or its end is not in the window. */
static __always_inline int http_take_name(struct window *window, __u32 pos)
{
	const __u8 *from = window_at(window, pos);

	for (__u32 w = 0; w < HOST_NAME_WORDS; w++) {
		__u64 word = load_u64(from + w * 8);
		__u64 ends = http_name_ends(word_from_memory(word));

		window->name.words[w] = word;
		if (!ends)
			continue;
		window->name.len = w * 8 + first_byte(ends);
		window->name.pos = pos;
		return window->name.len && pos + window->name.len < window->len ? 0 : -1;
	}
	return -1;
}

/* Reads the host of a request into window->name. 0, or -1 where none can be read. */
static __noinline int host_read_http(const struct payload *payload, struct window *window)
{
	__u32 pos;

	if (window_load(window, payload, payload->pos))
		return -1;
	pos = http_find_host(payload, window);
	if (!pos)
		return -1;
	if (pos > WINDOW_BYTES - HTTP_NAME_SPACE && window_is_cut(window, payload)) {
		if (window_load(window, payload, window->start + pos))
			return -1;
		pos = 0;
	}
	return http_take_name(window, pos + http_spaces(window, pos));
}

#endif
