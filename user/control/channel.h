/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel: one control connection on an event loop.
 *
 * Sends what fits into the socket at once and keeps the rest, with duplicates of the
 * descriptors, until the peer has read. Both ends use it; everything happens in the loop's thread.
 * A desync, an error and the peer's end all come out as one on_closed with a text.
 */
#ifndef SLUICE_CONTROL_CHANNEL_H
#define SLUICE_CONTROL_CHANNEL_H

#include "control/control.h"
#include "event/loop.h"

enum {
	CHANNEL_QUEUE_MAX = 65536, /* messages that may wait; more means that the peer is stuck */
};

struct channel_item;

struct channel {
	struct loop *loop;
	struct loop_watch watch;
	unsigned int peer; /* of enum control_side; may be narrowed once the peer is known */
	bool is_open;
	struct channel_item *first, **last;
	size_t queued_count;
	/* The descriptor in @message becomes the owner's; it may close the channel. */
	void (*on_message)(struct channel *channel, struct control_message *message);
	/* Called once, with the channel closed already; not after channel_close. */
	void (*on_closed)(struct channel *channel, const struct err *why);
	/* Called when the last waiting message was sent; may be NULL. */
	void (*on_flushed)(struct channel *channel);
};

/*
 * Takes @fd. @peer: bits of enum control_side, who may be at the other end. on_message and
 * on_closed are set by the caller before. 0 or -errno; @fd is closed then.
 */
int channel_open(struct channel *channel, struct loop *loop, int fd, unsigned int peer,
		 struct err *err);
/* Closes, and drops what waits. Harmless on a channel that is closed or zeroed. */
void channel_close(struct channel *channel);

/*
 * Sends or queues. @passed_fd is borrowed. 0; -ENOTCONN on a closed channel; -EINVAL for a message
 * that is none; -ENOBUFS, -ENOMEM or -errno of dup. A connection that breaks here is reported by
 * on_closed, later.
 */
int channel_send(struct channel *channel, enum control_type type, const void *body, int passed_fd);

#endif
