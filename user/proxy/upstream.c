// SPDX-License-Identifier: Apache-2.0
/* upstream: see upstream.h for the states. */
#include "proxy/upstream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container.h"
#include "proxy/stream.h"

enum { MAKE_ROOM_LOOKS_MAX = 1024 };

static void run_task(struct loop_task *task)
{
	struct upstream *upstream = CONTAINER_OF(task, struct upstream, task);

	if (upstream->state == UPSTREAM_CLOSED) {
		upstream->state = UPSTREAM_UNUSED;
		pool_put(&upstream->worker->upstreams, upstream);
	} else if (upstream->state == UPSTREAM_BUSY && upstream->has_input) {
		stream_on_upstream_input(upstream->stream);
	}
}

void upstream_close(struct upstream *upstream)
{
	struct worker *worker;

	if (!upstream || upstream->state == UPSTREAM_CLOSED)
		return;
	worker = upstream->worker;
	if (upstream->state == UPSTREAM_IDLE) {
		upstream_pool_remove(&worker->upstream_pool, upstream);
		worker_level(worker, upstream_connections_idle, -1);
	}
	loop_timer_clear(&worker->loop, &upstream->timer);
	queue_drop(&upstream->out, &worker->blocks);
	close(upstream->watch.fd);
	upstream->watch.fd = -1;
	upstream->stream = NULL;
	upstream->state = UPSTREAM_CLOSED;
	worker_level(worker, upstream_connections_active, -1);
	loop_defer(&worker->loop, &upstream->task);
}

/* ------------------------------------------------------------------- events */

static void on_connect_event(struct upstream *upstream, uint32_t events)
{
	struct stream *stream = upstream->stream;
	int error = 0;
	socklen_t len = sizeof(error);

	if (!(events & (LOOP_WRITABLE | LOOP_FAILED)))
		return;
	if ((events & LOOP_FAILED) ||
	    getsockopt(upstream->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		stream_on_upstream_failed(stream, false);
		return;
	}
	upstream->state = UPSTREAM_BUSY;
	stream_on_connected(stream);
}

static void on_busy_event(struct upstream *upstream, uint32_t events)
{
	struct worker *worker = upstream->worker;

	if (events & (LOOP_PEER_CLOSED | LOOP_FAILED))
		upstream->has_peer_closed = true;
	/* What came before an error can still be read; recv reports the error behind it. */
	if (events & (LOOP_READABLE | LOOP_PEER_CLOSED | LOOP_FAILED))
		upstream->has_input = true;
	if ((events & LOOP_WRITABLE) && !upstream_is_drained(upstream)) {
		int rc = queue_flush(&upstream->out, &worker->blocks, upstream->watch.fd);

		if (rc == 0)
			stream_on_upstream_drained(upstream->stream);
		/* A broken connection may still hold the reason, as an early answer: read it. */
		else if (rc != -EAGAIN)
			upstream->has_input = true;
	}
	if (upstream->state == UPSTREAM_BUSY && upstream->has_input)
		stream_on_upstream_input(upstream->stream);
}

static void on_event(struct loop_watch *watch, uint32_t events)
{
	struct upstream *upstream = CONTAINER_OF(watch, struct upstream, watch);

	switch ((enum upstream_state)upstream->state) {
	case UPSTREAM_CONNECTING:
		on_connect_event(upstream, events);
		if (upstream->state == UPSTREAM_BUSY && (events & ~(uint32_t)LOOP_WRITABLE))
			on_busy_event(upstream, events);
		break;
	case UPSTREAM_BUSY:
		on_busy_event(upstream, events);
		break;
	case UPSTREAM_IDLE:
		if (events & ~(uint32_t)LOOP_WRITABLE)
			upstream_close(upstream);
		break;
	case UPSTREAM_UNUSED:
	case UPSTREAM_CLOSED:
		break;
	}
}

static void on_due(struct loop_timer *timer)
{
	struct upstream *upstream = CONTAINER_OF(timer, struct upstream, timer);

	if (upstream->state == UPSTREAM_IDLE)
		upstream_close(upstream);
	else
		stream_on_upstream_due(upstream->stream);
}

/* ------------------------------------------------------------------- opening */

/* At the limit an idle connection makes way. */
static void make_room(struct worker *worker)
{
	struct pool_walk *hand = &worker->upstream_hand;

	if (worker->upstreams.used < worker->settings->connections_max)
		return;
	for (int looks = 0; looks < MAKE_ROOM_LOOKS_MAX; looks++) {
		struct upstream *upstream = pool_walk_next(&worker->upstreams, hand);

		if (upstream && upstream->state == UPSTREAM_IDLE) {
			upstream_close(upstream);
			return;
		}
	}
}

/* A socket on its way to @addr, or -errno. */
static int start_connect(const struct addr *addr)
{
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(addr, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, rc;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&to, len) == 0 || errno == EINPROGRESS)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

struct upstream *upstream_connect(struct worker *worker, const struct endpoint *endpoint,
				  struct stream *stream, uint32_t timeout_ms)
{
	struct upstream *upstream;
	int fd;

	make_room(worker);
	upstream = pool_get(&worker->upstreams);
	if (!upstream)
		return NULL;
	memset(upstream, 0, sizeof(*upstream));
	upstream->worker = worker;
	upstream->stream = stream;
	upstream->endpoint_id = endpoint->id;
	upstream->addr = endpoint_addr(endpoint);
	upstream->task.run = run_task;
	upstream->timer.on_due = on_due;
	fd = start_connect(&upstream->addr);
	upstream->watch = (struct loop_watch){ .fd = fd, .on_event = on_event };
	if (fd < 0 || loop_watch(&worker->loop, &upstream->watch) < 0)
		goto err_upstream;
	upstream->state = UPSTREAM_CONNECTING;
	worker_count(worker, upstream_connections_opened);
	worker_level(worker, upstream_connections_active, 1);
	loop_timer_set(&worker->loop, &upstream->timer, worker->loop.now_ms + timeout_ms);
	return upstream;

err_upstream:
	if (fd >= 0)
		close(fd);
	upstream->state = UPSTREAM_UNUSED;
	pool_put(&worker->upstreams, upstream);
	return NULL;
}

/* ------------------------------------------------------------------- pooling */

struct upstream *upstream_take(struct worker *worker, const struct endpoint *endpoint,
			       struct stream *stream)
{
	struct addr wanted = endpoint_addr(endpoint);
	struct upstream *upstream;

	while ((upstream = upstream_pool_newest(&worker->upstream_pool, endpoint->id))) {
		if (!addr_eq(&upstream->addr, &wanted)) {
			upstream_close(upstream); /* the id has a new owner */
			continue;
		}
		upstream_pool_remove(&worker->upstream_pool, upstream);
		worker_level(worker, upstream_connections_idle, -1);
		worker_count(worker, upstream_connections_reused);
		upstream->state = UPSTREAM_BUSY;
		upstream->watch.goes_first = false;
		upstream->stream = stream;
		upstream->is_reused = true;
		return upstream;
	}
	return NULL;
}

bool upstream_has_ended(const struct upstream *upstream)
{
	char byte;

	/* Bytes that nobody asked for are as bad as an end. */
	return recv(upstream->watch.fd, &byte, 1, MSG_PEEK) >= 0 || errno != EAGAIN;
}

void upstream_park(struct upstream *upstream)
{
	struct worker *worker = upstream->worker;
	const struct upstream_list *list =
		upstream_pool_list(&worker->upstream_pool, upstream->endpoint_id);

	/* With input there is more behind the answer, and its edge was seen: nobody would be told.
	 */
	if (upstream->has_peer_closed || upstream->has_input || !upstream_is_drained(upstream) ||
	    !list || worker->is_draining) {
		upstream_close(upstream);
		return;
	}
	if (list->count >= worker->settings->upstream_idle_max)
		upstream_close(list->oldest);
	upstream->state = UPSTREAM_IDLE;
	/* What it says now ends it; a request of the same turn must not be sent on it before. */
	upstream->watch.goes_first = true;
	upstream->stream = NULL;
	upstream_pool_put(&worker->upstream_pool, upstream);
	worker_level(worker, upstream_connections_idle, 1);
	loop_timer_set(&worker->loop, &upstream->timer,
		       worker->loop.now_ms + worker->settings->upstream_idle_timeout_ms);
}

/* ---------------------------------------------------------------------- I/O */

int upstream_send(struct upstream *upstream, const struct str *pieces, size_t piece_count)
{
	struct worker *worker = upstream->worker;
	size_t total = 0;
	int rc;

	for (size_t i = 0; i < piece_count; i++)
		total += pieces[i].len;
	rc = queue_write(&upstream->out, &worker->blocks, upstream->watch.fd, pieces, piece_count);
	if (rc == 0)
		worker_count_by(worker, upstream_sent_bytes, total);
	return rc;
}

ssize_t upstream_receive(struct upstream *upstream, char *at, size_t max)
{
	ssize_t got = recv(upstream->watch.fd, at, max, 0);

	if (got < 0) {
		upstream->has_input = errno != EAGAIN;
		return -errno;
	}
	upstream->has_input = (size_t)got == max || upstream->has_peer_closed;
	worker_count_by(upstream->worker, upstream_received_bytes, (uint64_t)got);
	return got;
}

void upstream_close_all(struct worker *worker)
{
	struct pool_walk walk = { 0 };
	struct upstream *upstream;

	while ((upstream = pool_walk_next(&worker->upstreams, &walk)))
		if (upstream->state != UPSTREAM_UNUSED)
			upstream_close(upstream);
}
