// SPDX-License-Identifier: Apache-2.0
/*
 * conn: see conn.h for the states; conn_io.c moves the bytes, conn_all.c
 * looks at all of them.
 *
 * A connection is read before it is registered with epoll: with deferred accept its
 * first bytes are there, and one that is handed off, or refused, never needs it.
 */
#include "proxy/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container.h"
#include "base/log.h"
#include "image/key.h"
#include "proxy/handoff.h"
#include "proxy/stream.h"
#include "proxy/tunnel.h"
#include "proxy/worker_tls.h"
#include "wire/client_hello.h"

enum { STEPS_MAX = 32 };

/* ------------------------------------------------------------------ closing */

static void run_task(struct loop_task *task)
{
	struct conn *conn = CONTAINER_OF(task, struct conn, task);

	if (conn->state != CONN_CLOSED) {
		conn_advance(conn);
		return;
	}
	conn->state = CONN_UNUSED;
	pool_put(&conn->worker->conns, conn);
}

/* Gives back everything but the descriptor; the memory follows at the end of the turn. */
void conn_forget(struct conn *conn)
{
	struct worker *worker = conn->worker;

	loop_timer_clear(&worker->loop, &conn->timer);
	queue_drop(&conn->out, &worker->blocks);
	blocks_put(&worker->blocks, conn->ahead);
	pool_put(&worker->request_parsers, conn->parser);
	tls_conn_free(conn->tls);
	conn->ahead = NULL;
	conn->parser = NULL;
	conn->tls = NULL;
	conn->watch.fd = -1;
	conn->state = CONN_CLOSED;
	worker_level(worker, connections_active, -1);
	__atomic_store_n(&worker->load, worker->load - 1, __ATOMIC_RELAXED);
	loop_defer(&worker->loop, &conn->task);
}

void conn_abort(struct conn *conn, bool is_reset)
{
	int fd = conn->watch.fd;
	struct linger linger = { .l_onoff = 1 };

	if (conn->state == CONN_CLOSED)
		return;
	if (is_reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	conn_forget(conn);
	close(fd); /* takes it out of epoll too */
}

void conn_lose(struct conn *conn, enum answer_reason reason)
{
	if (conn->stream)
		stream_cancel(conn->stream, reason);
	conn_abort(conn, false);
}

/* Everything was sent. Closing a socket with unread bytes would reset it and take our answer back.
 */
static void shut(struct conn *conn)
{
	if (!conn->has_input && !conn->ahead && !conn->must_linger) {
		conn_abort(conn, false);
		return;
	}
	conn->is_shut = true;
	shutdown(conn->watch.fd, SHUT_WR);
	loop_timer_set(&conn->worker->loop, &conn->timer,
		       conn->worker->loop.now_ms + CONN_LINGER_MS);
}

void conn_stream_ended(struct conn *conn, bool keeps_alive)
{
	struct worker *worker = conn->worker;
	uint64_t now_ms = worker->loop.now_ms;

	conn->stream = NULL;
	conn->idle_since_ms = now_ms;
	conn->is_first_request = false;
	if (!keeps_alive) {
		conn->state = CONN_LINGER;
		if (conn_is_drained(conn))
			shut(conn);
		if (conn->state == CONN_LINGER && conn->is_shut && !conn->is_advancing)
			conn_advance(conn);
		return;
	}
	conn->state = CONN_IDLE;
	if (conn_is_drained(conn))
		loop_timer_set(&worker->loop, &conn->timer,
			       now_ms + (worker->is_draining
						 ? CONN_DRAIN_IDLE_MS
						 : worker->settings->keepalive_timeout_ms));
	if (!conn->is_advancing && (conn->has_input || conn->ahead))
		conn_advance(conn);
}

/* -------------------------------------------------------------------- heads */

bool conn_keep_ahead(struct conn *conn, struct str bytes)
{
	if (bytes.len == 0)
		return true;
	conn->ahead = blocks_keep(&conn->worker->blocks, bytes);
	return conn->ahead != NULL;
}

/*
 * The bytes of the next head: what was kept, or that and what the kernel has, or the latter. Bytes
 * that were kept and not parsed yet are used in place: *@source is their block then, the caller's.
 */
static bool take_input(struct conn *conn, struct str *bytes, struct block **source)
{
	struct worker *worker = conn->worker;
	size_t parked = 0;
	ssize_t got;

	*source = NULL;
	if (conn->ahead && !conn->parser) {
		*source = conn->ahead;
		conn->ahead = NULL;
		*bytes = block_str(*source);
		return true;
	}
	if (!conn->has_input)
		return false;
	if (conn->ahead) {
		parked = block_str(conn->ahead).len;
		memcpy(worker->rx, block_str(conn->ahead).at, parked);
	}
	got = conn_receive(conn, worker->rx + parked, HEAD_READ_BYTES);
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		conn_lose(conn, ANSWER_CLIENT_GONE);
		return false;
	}
	blocks_put(&worker->blocks, conn->ahead);
	conn->ahead = NULL;
	*bytes = str_of(worker->rx, parked + (size_t)got);
	return true;
}

/* The head is not complete: keeps it and how far it was parsed. */
static bool park_head(struct conn *conn, const struct h1_request *request, struct str bytes)
{
	struct worker *worker = conn->worker;

	if (!conn->parser) {
		conn->parser = pool_get(&worker->request_parsers);
		if (!conn->parser)
			goto err_shed;
		*conn->parser = *request;
	}
	if (!conn_keep_ahead(conn, bytes))
		goto err_shed;
	if (conn->state != CONN_HEAD) {
		conn->state = CONN_HEAD;
		loop_timer_set(&worker->loop, &conn->timer,
			       worker->loop.now_ms + worker->settings->request_head_timeout_ms);
	}
	return true;

err_shed:
	conn_lose(conn, ANSWER_OVERLOAD);
	return false;
}

static bool drop_unknown(struct conn *conn)
{
	worker_count(conn->worker, drop_host_unknown);
	conn_abort(conn, true);
	return true;
}

/*
 * Whether the connection ends here with its first request: it goes to another worker, or nobody
 * serves its host. A request without a host is answered.
 */
static bool part_with(struct conn *conn, const struct h1_request *request, struct str bytes)
{
	const struct config *config = conn->worker->config;
	const struct image_vhost *vhost;
	char room[HOST_KEY_MAX];
	struct str host;

	if (!conn->is_first_request || conn->tls || !config || !config->image ||
	    (!conn->worker->settings->is_handing_off && !config_drops_unknown(config)))
		return false;
	if (host_key(h1_str(&request->head, request->authority), room, &host) < 0)
		host = STR("");
	vhost = image_find_vhost(config->image, host);
	if (!vhost && host.len && config_drops_unknown(config))
		return drop_unknown(conn);
	return handoff_try(conn, vhost, bytes);
}

static bool begin_stream(struct conn *conn, const struct h1_request *request, struct str bytes)
{
	struct worker *worker = conn->worker;
	size_t head_len = request->head.len;
	struct h1_request *parser = conn->parser;
	char *rest = (char *)bytes.at + head_len; /* in scratch or in a block of ours */
	size_t rest_len = bytes.len - head_len;
	size_t taken;

	if (part_with(conn, request, bytes))
		return false; /* the owner counts it, where there is one */
	worker_count(worker, requests);
	conn->parser = NULL;
	conn->state = CONN_STREAM;
	taken = stream_begin(conn, request, rest, rest_len);
	pool_put(&worker->request_parsers, parser);
	if (conn->state == CONN_CLOSED)
		return false;
	if (!conn_keep_ahead(conn, str_of(rest + taken, rest_len - taken))) {
		conn_lose(conn, ANSWER_OVERLOAD);
		return false;
	}
	return true;
}

static void refuse_head(struct conn *conn, unsigned status, enum answer_reason reason)
{
	pool_put(&conn->worker->request_parsers, conn->parser);
	conn->parser = NULL;
	conn->state = CONN_STREAM;
	conn->must_linger = true;
	stream_refuse(conn, status, reason);
}

/* Reads and parses a head; true where the step function should go on. */
static bool step_head(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct h1_request *request;
	struct block *source;
	struct str bytes;
	bool goes_on = false;

	if (!conn_is_drained(conn) || !take_input(conn, &bytes, &source))
		return false;
	request = conn->parser;
	if (!request) {
		request = &worker->request;
		h1_request_init(request, H1_HEAD_BYTES_DEFAULT);
	}
	switch (h1_request_parse(request, bytes)) {
	case H1_DONE:
		goes_on = begin_stream(conn, request, bytes);
		break;
	case H1_MORE:
		goes_on = park_head(conn, request, bytes);
		break;
	case H1_REFUSED:
		worker_count(worker, requests_malformed);
		refuse_head(conn, h1_reason_status(request->head.reason), ANSWER_MALFORMED);
		goes_on = true;
		break;
	}
	blocks_put(&worker->blocks, source);
	return goes_on;
}

/* -------------------------------------------------------------- first bytes */

/* All bytes so far, in cipher_in; false when there are no new ones, or the connection is lost. */
static bool take_raw(struct conn *conn, struct str *bytes)
{
	struct worker *worker = conn->worker;
	size_t parked = 0;
	ssize_t got;

	if (!conn->has_input)
		return false;
	if (conn->ahead) {
		parked = block_str(conn->ahead).len;
		memcpy(worker->cipher_in, block_str(conn->ahead).at, parked);
	}
	got = conn_receive_raw(conn, worker->cipher_in + parked, HEAD_READ_BYTES);
	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		conn_lose(conn, ANSWER_CLIENT_GONE);
		return false;
	}
	blocks_put(&worker->blocks, conn->ahead);
	conn->ahead = NULL;
	*bytes = str_of(worker->cipher_in, parked + (size_t)got);
	return true;
}

static bool begin_handshake(struct conn *conn, struct str bytes)
{
	ssize_t got;

	conn->state = CONN_HANDSHAKE;
	got = conn_decrypt(conn, bytes, conn->worker->rx);
	if (got == -EAGAIN)
		return conn->has_input;
	if (got > 0 && conn_keep_ahead(conn, str_of(conn->worker->rx, (size_t)got)))
		return true;
	conn_lose(conn, ANSWER_CLIENT_GONE);
	return false;
}

/* TLS: the server name says whose the connection is; then the same bytes begin the handshake. */
static bool step_first(struct conn *conn)
{
	const struct config *config = conn->worker->config;
	const struct image_vhost *vhost = NULL;
	struct client_hello hello;
	enum client_hello_progress progress;
	struct str bytes, host;
	char room[HOST_KEY_MAX];

	if (!take_raw(conn, &bytes))
		return false;
	progress = client_hello_parse(bytes, &hello);
	if (progress == CLIENT_HELLO_MORE && bytes.len < HANDOFF_BYTES_MAX) {
		if (conn_keep_ahead(conn, bytes))
			return true;
		conn_lose(conn, ANSWER_OVERLOAD);
		return false;
	}
	if (progress == CLIENT_HELLO_NAME && config && config->image &&
	    host_key(client_hello_name(&hello), room, &host) == 0) {
		vhost = image_find_vhost(config->image, host);
		if (!vhost && config_drops_unknown(config))
			return !drop_unknown(conn);
	}
	return !handoff_try(conn, vhost, bytes) && begin_handshake(conn, bytes);
}

/* ------------------------------------------------------------------ steps */

/* Throws away what the client still sends, so that it gets to read our last words. */
static bool step_linger(struct conn *conn)
{
	ssize_t got;

	if (!conn->is_shut || !conn->has_input)
		return false;
	/* MSG_TRUNC: the kernel drops the bytes without copying them (tcp(7)). */
	got = recv(conn->watch.fd, conn->worker->rx, BODY_READ_BYTES, MSG_TRUNC);
	if (got < 0 && errno == EAGAIN) {
		conn->has_input = false;
		return false;
	}
	conn->lingered_bytes += got > 0 ? (uint32_t)got : 0;
	if (got <= 0 || conn->lingered_bytes > CONN_LINGER_BYTES_MAX) {
		conn_abort(conn, false);
		return false;
	}
	return true;
}

/* True where there may be more to do in the new state. */
static bool step(struct conn *conn)
{
	switch ((enum conn_state)conn->state) {
	case CONN_FIRST:
		return step_first(conn);
	case CONN_HANDSHAKE:
	case CONN_IDLE:
	case CONN_HEAD:
		return step_head(conn);
	case CONN_STREAM:
		stream_on_input(conn->stream);
		return conn->state != CONN_STREAM;
	case CONN_TUNNEL:
		tunnel_pump(conn->stream);
		return conn->state != CONN_TUNNEL;
	case CONN_LINGER:
		return step_linger(conn);
	case CONN_UNUSED:
	case CONN_CLOSED:
		break;
	}
	return false;
}

void conn_advance(struct conn *conn)
{
	if (conn->is_advancing)
		return;
	conn->is_advancing = true;
	for (int steps = 0; step(conn); steps++) {
		if (steps == STEPS_MAX) {
			loop_defer(&conn->worker->loop, &conn->task);
			break;
		}
	}
	conn->is_advancing = false;
}

/* ------------------------------------------------------------------- events */

/* Sends what waits; then whoever waited for that goes on. */
static void flush(struct conn *conn)
{
	struct worker *worker = conn->worker;
	int rc = queue_flush(&conn->out, &worker->blocks, conn->watch.fd);

	if (rc == -EAGAIN) {
		loop_timer_set(&worker->loop, &conn->timer,
			       worker->loop.now_ms + worker->settings->client_send_timeout_ms);
		return;
	}
	if (rc < 0) {
		conn_lose(conn, ANSWER_CLIENT_GONE);
		return;
	}
	if (conn->state == CONN_LINGER)
		shut(conn);
	else if (conn->stream)
		stream_on_drained(conn->stream);
	else
		loop_timer_set(&worker->loop, &conn->timer,
			       worker->loop.now_ms + worker->settings->keepalive_timeout_ms);
	if (conn->state != CONN_CLOSED && (conn->has_input || conn->ahead))
		conn_advance(conn);
}

static void on_event(struct loop_watch *watch, uint32_t events)
{
	struct conn *conn = CONTAINER_OF(watch, struct conn, watch);

	if (events & (LOOP_PEER_CLOSED | LOOP_FAILED))
		conn->has_peer_closed = true;
	/* In a tunnel, and when we have closed our side, there may be bytes before the end. */
	if ((events & LOOP_FAILED) && conn->state != CONN_TUNNEL && conn->state != CONN_LINGER) {
		conn_lose(conn, ANSWER_CLIENT_GONE);
		return;
	}
	if (events & (LOOP_READABLE | LOOP_PEER_CLOSED | LOOP_FAILED))
		conn->has_input = true;
	if ((events & LOOP_WRITABLE) && !conn_is_drained(conn))
		flush(conn);
	if (conn->has_input && conn->state != CONN_CLOSED)
		conn_advance(conn);
}

static void on_due(struct loop_timer *timer)
{
	struct conn *conn = CONTAINER_OF(timer, struct conn, timer);
	struct worker *worker = conn->worker;

	switch ((enum conn_state)conn->state) {
	case CONN_FIRST:
	case CONN_HANDSHAKE:
		worker_count(worker, tls_failures);
		worker_count(worker, downstream_timeouts);
		conn_abort(conn, false);
		break;
	case CONN_IDLE:
		conn_abort(conn, false);
		break;
	case CONN_HEAD:
		worker_count(worker, downstream_timeouts);
		refuse_head(conn, 408, ANSWER_HEAD_TOO_SLOW);
		break;
	case CONN_STREAM:
	case CONN_TUNNEL:
		stream_on_client_due(conn->stream);
		break;
	case CONN_LINGER:
		conn_abort(conn, false);
		break;
	case CONN_UNUSED:
	case CONN_CLOSED:
		break;
	}
}

/* ------------------------------------------------------------------ opening */

/* What each request of this connection says about the client; see request.c. */
static void write_forwarded(struct conn *conn)
{
	char ip[ADDR_TEXT_MAX];
	struct h1_out out;
	struct str client;

	client = str_from_c(addr_format_ip(&conn->client, ip));
	h1_out_init(&out, conn->forwarded, sizeof(conn->forwarded));
	h1_add_field(&out, STR("X-Forwarded-For"), client);
	h1_add_field(&out, STR("X-Real-IP"), client);
	h1_add_field(&out, STR("X-Forwarded-Proto"),
		     conn->listener->is_tls ? STR("https") : STR("http"));
	h1_add_field_u64(&out, STR("X-Forwarded-Port"), conn->listener->addr.port);
	conn->forwarded_len = (uint16_t)out.len;
}

static void init(struct conn *conn, struct worker *worker, int fd, const struct addr *client,
		 const struct worker_listener *listener)
{
	memset(conn, 0, sizeof(*conn));
	conn->worker = worker;
	conn->listener = listener;
	conn->client = *client;
	conn->watch = (struct loop_watch){ .fd = fd, .on_event = on_event };
	conn->timer.on_due = on_due;
	conn->task.run = run_task;
	conn->has_input = true; /* with deferred accept it has */
	conn->is_first_request = true;
	conn->is_trusted = trust_believes(&worker->settings->trust, client);
	conn->idle_since_ms = worker->loop.now_ms;
	write_forwarded(conn);
}

/* A connection that another worker has begun to read. */
static void take_over(struct conn *conn, struct str received)
{
	conn->is_first_request = false; /* handed off once is enough */
	if (conn->tls)
		begin_handshake(conn, received);
	else if (!conn_keep_ahead(conn, received))
		conn_lose(conn, ANSWER_OVERLOAD);
}

void conn_open(struct worker *worker, int fd, const struct addr *client,
	       const struct worker_listener *listener, struct str received)
{
	const struct worker_settings *settings = worker->settings;
	struct conn *conn = pool_get(&worker->conns);
	uint32_t timeout_ms = settings->keepalive_timeout_ms;

	if (!conn)
		goto err_fd;
	init(conn, worker, fd, client, listener);
	conn->state = CONN_IDLE;
	if (listener->is_tls) {
		conn->tls = worker_tls_accept(worker->tls);
		if (!conn->tls)
			goto err_conn;
		conn->state = received.len == 0 && (settings->is_handing_off ||
						    config_drops_unknown(worker->config))
				      ? CONN_FIRST
				      : CONN_HANDSHAKE;
		timeout_ms = CONN_HANDSHAKE_TIMEOUT_MS;
	}
	worker_level(worker, connections_active, 1);
	__atomic_store_n(&worker->load, worker->load + 1, __ATOMIC_RELAXED);
	loop_timer_set(&worker->loop, &conn->timer, worker->loop.now_ms + timeout_ms);
	if (received.len > 0)
		take_over(conn, received);
	conn_advance(conn);
	conn_watch(conn);
	return;

err_conn:
	conn->state = CONN_UNUSED;
	pool_put(&worker->conns, conn);
err_fd:
	worker_count(worker, connections_refused);
	close(fd);
}

void conn_watch(struct conn *conn)
{
	if (conn->state == CONN_CLOSED || conn->is_watched)
		return;
	conn->is_watched = true;
	conn->is_write_watched = !conn_is_drained(conn);
	if ((conn->is_write_watched ? loop_watch(&conn->worker->loop, &conn->watch)
				    : loop_watch_input(&conn->worker->loop, &conn->watch)) < 0)
		conn_lose(conn, ANSWER_OVERLOAD);
}

void conn_unwatch(struct conn *conn)
{
	if (conn->is_watched)
		loop_unwatch(&conn->worker->loop, &conn->watch);
	conn->is_watched = false;
}
