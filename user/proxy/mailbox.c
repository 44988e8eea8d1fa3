// SPDX-License-Identifier: Apache-2.0
/* mailbox: see mailbox.h. */
#include "proxy/mailbox.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "base/mem.h"

static struct mailbox_slot *slot_of(struct mailbox *mailbox, uint32_t place)
{
	return &mailbox->slots[place & (MAILBOX_SLOTS - 1)];
}

int mailbox_init(struct mailbox *mailbox)
{
	mailbox->slots = mem_try_new(MAILBOX_SLOTS, sizeof(*mailbox->slots));
	if (!mailbox->slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < MAILBOX_SLOTS; i++)
		atomic_init(&mailbox->slots[i].turn, i);
	atomic_init(&mailbox->posted, 0);
	mailbox->taken = 0;
	return 0;
}

void mailbox_release(struct mailbox *mailbox)
{
	struct handoff *handoff;

	if (!mailbox->slots)
		return;
	while ((handoff = mailbox_take(mailbox))) {
		close(handoff->fd);
		mailbox_done(mailbox);
	}
	mem_free(mailbox->slots);
	mailbox->slots = NULL;
}

bool mailbox_post(struct mailbox *mailbox, const struct handoff *handoff)
{
	uint32_t place = atomic_load_explicit(&mailbox->posted, memory_order_relaxed);
	struct mailbox_slot *slot;

	for (;;) {
		uint32_t turn;

		slot = slot_of(mailbox, place);
		turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
		if ((int32_t)(turn - place) < 0)
			return false; /* not taken since the last time round: full */
		if (turn == place &&
		    atomic_compare_exchange_weak_explicit(&mailbox->posted, &place, place + 1,
							  memory_order_relaxed,
							  memory_order_relaxed))
			break;
		if (turn != place) /* another poster won it; the exchange reloads by itself */
			place = atomic_load_explicit(&mailbox->posted, memory_order_relaxed);
	}
	memcpy(&slot->handoff, handoff, offsetof(struct handoff, bytes) + handoff->len);
	atomic_store_explicit(&slot->turn, place + 1, memory_order_release);
	return true;
}

struct handoff *mailbox_take(struct mailbox *mailbox)
{
	struct mailbox_slot *slot = slot_of(mailbox, mailbox->taken);

	if (atomic_load_explicit(&slot->turn, memory_order_acquire) != mailbox->taken + 1)
		return NULL;
	return &slot->handoff;
}

void mailbox_done(struct mailbox *mailbox)
{
	struct mailbox_slot *slot = slot_of(mailbox, mailbox->taken);

	atomic_store_explicit(&slot->turn, mailbox->taken + MAILBOX_SLOTS, memory_order_release);
	mailbox->taken++;
}
