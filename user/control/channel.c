// SPDX-License-Identifier: Apache-2.0
/*
 * channel: sends at once or queues, receives until nothing is left.
 *
 * The loop's watch is edge-triggered, so reading goes on until -EAGAIN and a full socket is tried
 * again when it says that it can be written. A failure while sending is not reported from inside
 * channel_send: the caller is in the middle of something. The socket is shut down instead, the
 * loop sees that, and on_closed comes from there.
 */
#include "control/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

struct channel_item {
	struct channel_item *next;
	enum control_type type;
	int fd; /* ours, or -1 */
	union control_body body;
};

static void item_free(struct channel_item *item)
{
	if (item->fd >= 0)
		close(item->fd);
	/* It may have held the keys of tickets. */
	explicit_bzero(&item->body, sizeof(item->body));
	mem_free(item);
}

static struct channel_item *take_first(struct channel *channel)
{
	struct channel_item *item = channel->first;

	channel->first = item->next;
	if (!channel->first)
		channel->last = &channel->first;
	channel->queued_count--;
	return item;
}

void channel_close(struct channel *channel)
{
	if (!channel->is_open)
		return;
	channel->is_open = false;
	loop_unwatch(channel->loop, &channel->watch);
	close(channel->watch.fd);
	channel->watch.fd = -1;
	while (channel->first)
		item_free(take_first(channel));
}

static void break_off(struct channel *channel, const struct err *why)
{
	channel_close(channel);
	channel->on_closed(channel, why);
}

/* ------------------------------------------------------------------------------ send */

static void flush(struct channel *channel)
{
	bool had_some = channel->first != NULL;

	while (channel->first) {
		struct channel_item *item = channel->first;
		int rc = control_send(channel->watch.fd, item->type, &item->body, item->fd);

		if (rc == -EAGAIN)
			return;
		item_free(take_first(channel));
		if (rc) {
			shutdown(channel->watch.fd, SHUT_RDWR);
			return;
		}
	}
	if (had_some && channel->on_flushed)
		channel->on_flushed(channel);
}

static int queue(struct channel *channel, enum control_type type, const void *body, int passed_fd)
{
	struct channel_item *item;

	if (channel->queued_count >= CHANNEL_QUEUE_MAX)
		return -ENOBUFS;
	item = mem_try_new(1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	item->type = type;
	item->fd = -1;
	if (passed_fd >= 0) {
		item->fd = fcntl(passed_fd, F_DUPFD_CLOEXEC, 0);
		if (item->fd < 0) {
			int rc = -errno;

			mem_free(item);
			return rc;
		}
	}
	memcpy(&item->body, body, control_body_bytes(type));
	*channel->last = item;
	channel->last = &item->next;
	channel->queued_count++;
	return 0;
}

int channel_send(struct channel *channel, enum control_type type, const void *body, int passed_fd)
{
	int rc;

	if (!channel->is_open)
		return -ENOTCONN;
	if (!control_body_bytes(type) || control_type_has_fd(type) != (passed_fd >= 0))
		return -EINVAL;
	if (channel->first)
		return queue(channel, type, body, passed_fd);
	rc = control_send(channel->watch.fd, type, body, passed_fd);
	if (rc == -EAGAIN)
		return queue(channel, type, body, passed_fd);
	if (rc)
		shutdown(channel->watch.fd, SHUT_RDWR);
	return 0;
}

/* --------------------------------------------------------------------------- receive */

static void receive_all(struct channel *channel)
{
	struct control_message message;
	struct err err = { 0 };
	int rc;

	while (channel->is_open) {
		rc = control_receive(channel->watch.fd, channel->peer, &message, &err);
		if (rc == -EAGAIN)
			return;
		if (rc == 0)
			err_set(&err, -ECONNRESET, "the other side closed the connection");
		if (rc <= 0) {
			break_off(channel, &err);
			return;
		}
		channel->on_message(channel, &message);
		explicit_bzero(&message.body, sizeof(message.body));
	}
}

static void on_event(struct loop_watch *watch, uint32_t events)
{
	struct channel *channel =
		(struct channel *)((char *)watch - offsetof(struct channel, watch));

	if (events & LOOP_WRITABLE)
		flush(channel);
	if (channel->is_open)
		receive_all(channel);
}

int channel_open(struct channel *channel, struct loop *loop, int fd, unsigned int peer,
		 struct err *err)
{
	int rc;

	channel->loop = loop;
	channel->peer = peer;
	channel->first = NULL;
	channel->last = &channel->first;
	channel->queued_count = 0;
	channel->watch = (struct loop_watch){ .fd = fd, .on_event = on_event };
	rc = loop_watch(loop, &channel->watch);
	if (rc) {
		close(fd);
		return err_set_os(err, rc, "cannot watch the control connection");
	}
	channel->is_open = true;
	return 0;
}
