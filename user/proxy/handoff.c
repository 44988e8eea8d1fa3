// SPDX-License-Identifier: Apache-2.0
/* handoff: see handoff.h. */
#include "proxy/handoff.h"

static uint32_t load_of(const struct worker *worker)
{
	return __atomic_load_n(&worker->load, __ATOMIC_RELAXED);
}

static bool is_stalled(const struct worker *worker, uint64_t now_ms)
{
	uint64_t turning_ms = __atomic_load_n(&worker->loop.turning_ms, __ATOMIC_RELAXED);

	return turning_ms && now_ms > turning_ms + HANDOFF_STALLED_MS;
}

struct worker *handoff_owner(const struct worker *self, const struct image_vhost *vhost)
{
	uint32_t count = self->settings->worker_count;
	uint32_t spread = vhost ? vhost->owner_spread : 0;
	struct worker *best = NULL;
	uint32_t first;

	if (!self->settings->is_handing_off || spread == 0 || spread >= count)
		return NULL;
	first = vhost->owner_first % count;
	if ((self->index + count - first) % count < spread)
		return NULL;
	for (uint32_t i = 0; i < spread; i++) {
		struct worker *owner = self->workers[(first + i) % count];

		if (is_stalled(owner, self->loop.now_ms))
			continue;
		if (!best || load_of(owner) < load_of(best))
			best = owner;
	}
	if (best && load_of(best) > 2 * load_of(self) + HANDOFF_LOAD_SLACK)
		return NULL;
	return best;
}

bool handoff_try(struct conn *conn, const struct image_vhost *vhost, struct str bytes)
{
	struct worker *worker = conn->worker;
	struct worker *owner = handoff_owner(worker, vhost);
	struct handoff handoff;

	if (!owner || bytes.len > HANDOFF_BYTES_MAX)
		return false;
	handoff.fd = conn->watch.fd;
	handoff.listener = (uint16_t)conn->listener->index;
	handoff.len = (uint16_t)bytes.len;
	handoff.client = conn->client;
	memcpy(handoff.bytes, bytes.at, bytes.len);
	/* Before the owner can see it: from then on the descriptor is no longer ours. */
	conn_unwatch(conn);
	if (!mailbox_post(&owner->mailbox, &handoff)) {
		conn_watch(conn);
		return false;
	}
	worker_count(worker, connections_handed_off);
	conn_forget(conn);
	loop_wake(&owner->loop);
	return true;
}

void handoff_take_all(struct worker *worker)
{
	struct handoff *handoff;

	while ((handoff = mailbox_take(&worker->mailbox))) {
		const struct worker_listener *listener = &worker->listeners[handoff->listener];

		conn_open(worker, handoff->fd, &handoff->client, listener,
			  str_of(handoff->bytes, handoff->len));
		mailbox_done(&worker->mailbox);
	}
}
