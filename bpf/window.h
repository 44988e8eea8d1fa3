/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * window: a run of the payload's bytes, copied where it can be read at any place.
 *
 * Packet pointers are checked at each step, and know only the packet's first
 * buffer. So the payload is copied once (a memcpy in the kernel, whatever buffers
 * it lies in) into memory of this CPU, and the readers walk there by words.
 *
 * A position is masked, not checked: reading behind len gives bytes of earlier
 * packets, never memory of others. Who finds something checks that it lies
 * before len. The slack lets a name's words be read from any position.
 */
#ifndef SLUICE_BPF_WINDOW_H
#define SLUICE_BPF_WINDOW_H

#include "host.h"

/* Fills the window from offset @start of the packet. 0, or -1 where the payload ends before. */
static __always_inline int window_load(struct window *window, const struct payload *payload,
				       __u32 start)
{
	__u32 len;

	if (start >= payload->end)
		return -1;
	len = payload->end - start;
	if (len > WINDOW_BYTES)
		len = WINDOW_BYTES;
	platform_keep(len);
	if (len == 0 || len > WINDOW_BYTES)
		return -1;
	if (payload_load(payload, start, window->bytes, len))
		return -1;
	window->start = start;
	window->len = len;
	return 0;
}

/* True where the payload goes on behind the window. */
static __always_inline int window_is_cut(const struct window *window, const struct payload *payload)
{
	return window->start + window->len < payload->end;
}

static __always_inline __u8 *window_at(struct window *window, __u32 pos)
{
	pos &= WINDOW_BYTES - 1;
	platform_keep(pos);
	return window->bytes + pos;
}

/* Eight bytes from @pos, the first one lowest. */
static __always_inline __u64 window_word(struct window *window, __u32 pos)
{
	return word_from_memory(load_u64(window_at(window, pos)));
}

/* A big-endian number of two bytes, as protocols write it. */
static __always_inline __u32 window_u16(struct window *window, __u32 pos)
{
	const __u8 *at = window_at(window, pos);

	return (__u32)at[0] << 8 | at[1];
}

/* ---- names ---------------------------------------------------------------------------------- */

/* Makes the @len bytes (1 to 255) at @pos window->name. */
static __always_inline void window_take_name(struct window *window, __u32 pos, __u32 len)
{
	const __u8 *from = window_at(window, pos);

	for (__u32 w = 0; w < HOST_NAME_WORDS && w * 8 < len; w++)
		window->name.words[w] = load_u64(from + w * 8);
	window->name.pos = pos;
	window->name.len = len;
}

/*
 * Makes window->name the wildcard that would cover it: "*" in the place of its
 * first label. 0, or -1 where there is no second label.
 */
static __noinline int window_to_wildcard(struct window *window)
{
	__u32 len = window->name.len;
	__u64 dots = 0;
	__u32 dot = 0;

	for (__u32 w = 0; w < HOST_LABEL_MAX_WORDS; w++) {
		dots = bytes_equal(word_from_memory(window->name.words[w]), '.');
		dot = w * 8;
		if (dots)
			break;
	}
	if (!dots)
		return -1;
	dot += first_byte(dots);
	if (dot == 0 || dot + 1 >= len)
		return -1;
	/* The byte before the dot becomes the star. */
	window_take_name(window, window->name.pos + dot - 1, len - (dot - 1));
	*(__u8 *)window->name.words = '*';
	return 0;
}

/* ---- PROXY protocol ------------------------------------------------------------------------- */

enum {
	PROXY_V1_MAX_BYTES = 107,
	PROXY_V2_HEADER_BYTES = 16,
};

/*
 * Where the payload proper begins in the window: behind a PROXY protocol header
 * (version 1, a line of text, or 2, binary), which a load balancer before us may
 * have put there; 0 without.
 */
static __always_inline __u32 window_skip_proxy(struct window *window)
{
	const __u64 text = 'P' | 'R' << 8 | 'O' << 16 | (__u64)'X' << 24 | (__u64)'Y' << 32;
	const __u64 signature = 0x0a0d000a0d0a0dull; /* its first seven bytes */
	__u64 first = window_word(window, 0);

	if ((first & 0xffffffffffffffull) == signature)
		return PROXY_V2_HEADER_BYTES + window_u16(window, 14);
	if ((first & 0xffffffffffull) != text)
		return 0;
	for (__u32 pos = 8; pos < PROXY_V1_MAX_BYTES; pos += 8) {
		__u64 newlines = bytes_equal(window_word(window, pos), '\n');

		if (newlines)
			return pos + first_byte(newlines) + 1;
	}
	return 0;
}

#endif
