/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * options: the options of a TCP header (RFC 9293 3.1), in any order.
 *
 * They are copied into the window of this CPU and walked there. What the walk
 * finds is kept there as well: see scratch.h about loops and the verifier.
 */
#ifndef SLUICE_BPF_OPTIONS_H
#define SLUICE_BPF_OPTIONS_H

#include "window.h"

enum {
	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_MSS = 2,
	TCP_OPTION_WINDOW_SCALE = 3,
	TCP_OPTION_SACK_PERMITTED = 4,
	TCP_OPTION_TIMESTAMPS = 8,
	TCP_OPTIONS_MAX_BYTES = 40,
	TCP_WINDOW_SCALE_MAX = 14, /* RFC 7323 2.3: greater ones count as this */
};

static __always_inline __u32 window_u32(struct window *window, __u32 pos)
{
	return window_u16(window, pos) << 16 | window_u16(window, pos + 2);
}

/* The option of @kind and @size at @pos; of an unexpected size it counts as unknown. */
static __always_inline void options_take(struct window *window, __u32 pos, __u32 kind, __u32 size)
{
	struct tcp_options *options = &window->options;

	if (kind == TCP_OPTION_MSS && size == 4) {
		options->mss = window_u16(window, pos + 2);
	} else if (kind == TCP_OPTION_WINDOW_SCALE && size == 3) {
		__u8 scale = *window_at(window, pos + 2);

		options->window_scale = scale < TCP_WINDOW_SCALE_MAX ? scale : TCP_WINDOW_SCALE_MAX;
		options->has_window_scale = 1;
	} else if (kind == TCP_OPTION_SACK_PERMITTED && size == 2) {
		options->has_sack = 1;
	} else if (kind == TCP_OPTION_TIMESTAMPS && size == 10) {
		options->timestamp = window_u32(window, pos + 2);
		options->timestamp_echo = window_u32(window, pos + 6);
		options->has_timestamps = 1;
	}
}

/*
 * Reads the first @len bytes of the window, which are a header's options, into
 * window->options. A broken list ends where it breaks.
 */
static __noinline void options_read(struct window *window, __u32 len)
{
	__builtin_memset(&window->options, 0, sizeof(window->options));
	window->pos = 0;
	window->limit = len;
	for (__u32 i = 0; i < TCP_OPTIONS_MAX_BYTES && window->pos < window->limit; i++) {
		__u32 pos = window->pos;
		__u32 kind = *window_at(window, pos);
		__u32 size = *window_at(window, pos + 1);

		if (kind == TCP_OPTION_END)
			return;
		if (kind == TCP_OPTION_NOP) {
			window->pos = pos + 1;
			continue;
		}
		if (size < 2 || pos + size > window->limit)
			return;
		options_take(window, pos, kind, size);
		window->pos = pos + size;
	}
}

#endif
