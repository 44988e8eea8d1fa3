/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * scratch: memory of this CPU, for what is too big for BPF's 512 bytes of stack.
 *
 * One program runs on a CPU at a time and keeps nothing here for the next packet.
 * window.h and host.h say what is done with it.
 */
#ifndef SLUICE_BPF_SCRATCH_H
#define SLUICE_BPF_SCRATCH_H

#include <linux/types.h>

enum {
	HOST_NAME_WORDS = 32, /* 256 bytes, of which a name may use 255 */
	WINDOW_BYTES = 4096,  /* a power of 2 */
	WINDOW_SLACK_BYTES = HOST_NAME_WORDS * 8 + 32,
};

struct host_name {
	__u64 words[HOST_NAME_WORDS]; /* as in the packet; bytes behind len mean nothing */
	__u32 len;
	__u32 pos; /* where it stands in the payload's window */
};

/* Of a TCP header; zero where the option is missing. */
struct tcp_options {
	__u32 timestamp;
	__u32 timestamp_echo;
	__u16 mss;
	__u8 window_scale;
	__u8 has_window_scale;
	__u8 has_sack;
	__u8 has_timestamps;
	__u8 pad[2];
};

/*
 *   0            pos                    len              WINDOW_BYTES
 *   | the payload from start on         | older bytes ... | slack |
 */
struct window {
	__u8 bytes[WINDOW_BYTES + WINDOW_SLACK_BYTES];
	__u32 start; /* offset in the packet */
	__u32 len;
	/*
	 * Where a reader is, and how far it may go. In memory, as the verifier forgets there
	 * what it knows of a number: it then sees one path through a loop, not one a value.
	 */
	volatile __u32 pos;
	volatile __u32 limit;
	struct host_name name; /* what was found */
	__u32 host_pos;        /* where it began, before it became its wildcard */
	struct tcp_options options;
};

#endif
