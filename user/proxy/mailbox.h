/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox: connections on their way to another worker.
 *
 * A bounded ring in which any worker posts and one takes, without a lock. Each
 * slot has a turn number that says whose it is:
 *
 *   turn == place          free: a poster that wins the place may fill it
 *   turn == place + 1      full: the owner may take it
 *   turn == place + SLOTS  free again, for the next time round
 *
 * A full mailbox says no, and the connection stays where it is: none is ever lost.
 */
#ifndef SLUICE_PROXY_MAILBOX_H
#define SLUICE_PROXY_MAILBOX_H

#include <stdatomic.h>

#include "base/addr.h"

enum {
	MAILBOX_SLOTS = 256,          /* a power of two */
	HANDOFF_BYTES_MAX = 4 * 1024, /* a longer beginning is not handed off */
};

/* A connection of which some bytes were received and nothing was sent. */
struct handoff {
	int fd;            /* owned by whoever has the handoff */
	uint16_t listener; /* index among a worker's listeners */
	uint16_t len;
	struct addr client;
	char bytes[HANDOFF_BYTES_MAX]; /* the first @len received */
};

struct mailbox_slot {
	_Atomic uint32_t turn;
	struct handoff handoff;
};

struct mailbox {
	struct mailbox_slot *slots;
	/* shared atomics */
	_Atomic uint32_t posted __attribute__((aligned(128)));
	/* the owner only */
	uint32_t taken __attribute__((aligned(128)));
};

/* 0 or -ENOMEM. */
int mailbox_init(struct mailbox *mailbox);
/* What was posted and not taken is closed. */
void mailbox_release(struct mailbox *mailbox);

/* Any thread. Copies what is used of @handoff and takes its descriptor; false when full. */
bool mailbox_post(struct mailbox *mailbox, const struct handoff *handoff);
/* The owner. The oldest, in its slot, until mailbox_done; NULL where there is none. */
struct handoff *mailbox_take(struct mailbox *mailbox);
/* Gives the slot of the last mailbox_take back. */
void mailbox_done(struct mailbox *mailbox);

#endif
