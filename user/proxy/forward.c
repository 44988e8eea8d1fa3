// SPDX-License-Identifier: Apache-2.0
/*
 * forward: see forward.h.
 *
 * What may be sent twice: nothing that an endpoint could have begun to act on. A send
 * that the kernel refused reached nobody, so the next connection is tried whatever
 * the method. A connection from the pool that ends without a byte of response was
 * most likely closed before it got ours, but nobody knows: only idempotent requests
 * without a body are sent again, on a new connection, once (RFC 9110 9.2.2).
 */
#include "proxy/forward.h"

#include <errno.h>

#include "proxy/tunnel.h"

static void set_upstream_timer(struct stream *stream, uint32_t timeout_ms)
{
	struct loop *loop = &stream->worker->loop;

	loop_timer_set(loop, &stream->upstream->timer, loop->now_ms + timeout_ms);
}

/* Until the endpoint has taken what we sent, or answers. */
static void expect_progress(struct stream *stream)
{
	set_upstream_timer(stream, upstream_is_drained(stream->upstream)
					   ? stream->policy.read_timeout_ms
					   : stream->policy.send_timeout_ms);
}

/* ------------------------------------------------------------------ choosing */

static const struct endpoint *next_endpoint(struct stream *stream)
{
	struct worker *worker = stream->worker;

	if (stream->tries == STREAM_TRIES_MAX || !worker->config->endpoints)
		return NULL;
	return balance_pick(&worker->balance, worker->config->endpoints, stream->backend_id,
			    stream->tried, stream->tries);
}

static void note_try(struct stream *stream, const struct endpoint *endpoint)
{
	stream->tried[stream->tries++] = endpoint->id;
	stream->endpoint = endpoint_addr(endpoint);
	if (stream->tries > 1)
		worker_count(stream->worker, upstream_retries);
}

/* No endpoint is left to ask. @is_timeout: the last one did not accept in time. */
static void give_up(struct stream *stream, bool is_timeout)
{
	if (stream->tries == 0) {
		worker_count(stream->worker, endpoints_missing);
		stream_answer(stream, 503, ANSWER_NO_ENDPOINT, str_of(NULL, 0));
	} else if (is_timeout) {
		stream_answer(stream, 504, ANSWER_CONNECT_TIMEOUT, str_of(NULL, 0));
	} else {
		stream_answer(stream, 502, ANSWER_CONNECT_FAILED, str_of(NULL, 0));
	}
}

/* ------------------------------------------------------------------- sending */

/* On an established connection. 0; -EAGAIN: it was stale, nothing was sent; or -errno. */
static int send_request(struct stream *stream, struct str body)
{
	struct str pieces[2] = { block_str(stream->head), body };
	int rc = upstream_send(stream->upstream, pieces, body.len > 0 ? 2 : 1);

	if (rc < 0)
		return rc == -ENOMEM || rc == -ENOBUFS ? rc : -EAGAIN;
	stream->state = STREAM_SENT;
	stream->sent_ns = stream->worker->loop.now_ns;
	stream->is_body_sent = body.len > 0;
	expect_progress(stream);
	return 0;
}

/* On a pooled connection to @endpoint: true when that was done, or the stream is over. */
static bool send_pooled(struct stream *stream, const struct endpoint *endpoint, struct str body)
{
	/* What cannot be sent again is worth a look whether the endpoint is still there. */
	bool is_precious = !stream->is_idempotent || !stream->request_body.is_done || body.len > 0;

	while ((stream->upstream = upstream_take(stream->worker, endpoint, stream))) {
		int rc = is_precious && upstream_has_ended(stream->upstream)
				 ? -EAGAIN
				 : send_request(stream, body);

		if (rc == 0)
			return true;
		upstream_close(stream->upstream);
		stream->upstream = NULL;
		if (rc != -EAGAIN) {
			stream_answer(stream, 503, ANSWER_OVERLOAD, str_of(NULL, 0));
			return true;
		}
	}
	return false;
}

/* @out: head and body, to be sent when connected. Takes it in any case. */
static void connect_to_any(struct stream *stream, const struct endpoint *endpoint,
			   struct queue *out, bool is_timeout)
{
	struct worker *worker = stream->worker;

	for (; endpoint; endpoint = next_endpoint(stream)) {
		note_try(stream, endpoint);
		stream->upstream = upstream_connect(worker, endpoint, stream,
						    stream->policy.connect_timeout_ms);
		if (stream->upstream) {
			stream->upstream->out = *out;
			stream->state = STREAM_CONNECTING;
			return;
		}
		worker_count(worker, upstream_connect_failures);
		is_timeout = false;
	}
	queue_drop(out, &worker->blocks);
	give_up(stream, is_timeout);
}

void forward_begin(struct stream *stream, struct str body)
{
	const struct endpoint *endpoint = next_endpoint(stream);
	struct blocks *blocks = &stream->worker->blocks;
	struct queue out = { 0 };

	if (!endpoint) {
		give_up(stream, false);
		return;
	}
	stream->endpoint = endpoint_addr(endpoint);
	if (send_pooled(stream, endpoint, body))
		return;
	if (queue_add(&out, blocks, block_str(stream->head)) < 0 ||
	    queue_add(&out, blocks, body) < 0) {
		queue_drop(&out, blocks);
		stream_answer(stream, 503, ANSWER_OVERLOAD, str_of(NULL, 0));
		return;
	}
	stream->is_body_sent = body.len > 0;
	connect_to_any(stream, endpoint, &out, false);
}

void stream_on_connected(struct stream *stream)
{
	struct upstream *upstream = stream->upstream;
	struct conn *conn = stream->conn;
	size_t queued = upstream->out.len;
	int rc = queue_flush(&upstream->out, &stream->worker->blocks, upstream->watch.fd);

	if (rc < 0 && rc != -EAGAIN && upstream->out.len == queued) {
		stream_on_upstream_failed(stream, false); /* nothing was sent: the next one */
		return;
	}
	worker_count_by(stream->worker, upstream_sent_bytes, queued);
	stream->state = STREAM_SENT;
	if (rc < 0 && rc != -EAGAIN) {
		/* The rest alone would be another request to the next one. */
		stream_on_upstream_failed(stream, false);
		return;
	}
	stream->sent_ns = stream->worker->loop.now_ns;
	expect_progress(stream);
	if (conn->has_input && upstream_is_drained(upstream))
		conn_advance(conn);
}

/* ------------------------------------------------------------------ failing */

static bool may_send_again(const struct stream *stream)
{
	return stream->upstream->is_reused && !stream->is_resent && stream->is_idempotent &&
	       !stream->is_body_sent && stream->request_body.is_done &&
	       !stream->is_response_begun && stream->head;
}

/* To the same endpoint, on a connection that is new. */
static void send_again(struct stream *stream)
{
	struct blocks *blocks = &stream->worker->blocks;
	struct queue out = { 0 };

	stream->is_resent = true;
	upstream_close(stream->upstream);
	stream->upstream = NULL;
	worker_count(stream->worker, upstream_retries);
	if (queue_add(&out, blocks, block_str(stream->head)) < 0) {
		queue_drop(&out, blocks);
		stream_answer(stream, 503, ANSWER_OVERLOAD, str_of(NULL, 0));
		return;
	}
	stream->tries = 0;
	connect_to_any(stream, next_endpoint(stream), &out, false);
}

static void try_next(struct stream *stream, bool is_timeout)
{
	struct upstream *failed = stream->upstream;
	struct queue out = failed->out;

	worker_count(stream->worker, upstream_connect_failures);
	failed->out = (struct queue){ 0 };
	upstream_close(failed);
	stream->upstream = NULL;
	connect_to_any(stream, next_endpoint(stream), &out, is_timeout);
}

void stream_on_upstream_failed(struct stream *stream, bool is_timeout)
{
	if (is_timeout)
		worker_count(stream->worker, upstream_timeouts);
	switch ((enum stream_state)stream->state) {
	case STREAM_CONNECTING:
		try_next(stream, is_timeout);
		break;
	case STREAM_SENT:
		if (!is_timeout && may_send_again(stream))
			send_again(stream);
		else if (is_timeout)
			stream_answer(stream, 504, ANSWER_UPSTREAM_TIMEOUT, str_of(NULL, 0));
		else
			stream_answer(stream, 502, ANSWER_UPSTREAM_CLOSED, str_of(NULL, 0));
		break;
	case STREAM_ANSWERED:
		stream_break(stream, is_timeout ? ANSWER_UPSTREAM_TIMEOUT : ANSWER_UPSTREAM_CUT);
		break;
	case STREAM_TUNNEL:
		stream_break(stream, ANSWER_NONE);
		break;
	}
}

void stream_on_upstream_due(struct stream *stream)
{
	bool is_endpoint_late;

	switch ((enum stream_state)stream->state) {
	case STREAM_CONNECTING:
		stream_on_upstream_failed(stream, true);
		return;
	case STREAM_TUNNEL: /* the client's timer watches both directions */
		return;
	case STREAM_SENT:
	case STREAM_ANSWERED:
		break;
	}
	/* Not while the client is the one we wait for: to send its body, or to take the answer. */
	is_endpoint_late = !upstream_is_drained(stream->upstream) ||
			   (stream->request_body.is_done && conn_is_drained(stream->conn));
	if (is_endpoint_late)
		stream_on_upstream_failed(stream, true);
	else
		set_upstream_timer(stream, stream->policy.read_timeout_ms);
}

/* -------------------------------------------------------------------- bodies */

bool forward_is_too_large(const struct stream *stream)
{
	const struct body *body = &stream->request_body;
	uint64_t max = stream->policy.body_max_bytes;

	return max && body->kind == H1_BODY_CHUNKED && body->chunked.content_bytes > max;
}

/* The body cannot be passed on to its end. */
static void refuse_body(struct stream *stream, unsigned status, enum answer_reason reason)
{
	if (stream->state == STREAM_ANSWERED)
		stream_break(stream, reason);
	else
		stream_answer(stream, status, reason, str_of(NULL, 0));
}

bool forward_body(struct stream *stream, char *at, size_t len)
{
	struct conn *conn = stream->conn;
	struct upstream *upstream = stream->upstream;
	struct str kept;
	size_t taken;
	bool is_good = body_take(&stream->request_body, at, len, &kept, &taken);

	stream->received_bytes += taken;
	if (!is_good || forward_is_too_large(stream)) {
		if (is_good) {
			refuse_body(stream, 413, ANSWER_BODY_TOO_LARGE);
		} else {
			worker_count(stream->worker, requests_malformed);
			refuse_body(stream, 400, ANSWER_MALFORMED);
		}
		return false;
	}
	if (!conn_keep_ahead(conn, str_of(at + taken, len - taken))) {
		conn_lose(conn, ANSWER_OVERLOAD);
		return false;
	}
	if (kept.len == 0)
		return true;
	stream->is_body_sent = true;
	if (upstream_send(upstream, &kept, 1) < 0) {
		/* It may have answered before it closed: reading tells. */
		upstream->has_input = true;
		stream_on_upstream_input(stream);
		return false;
	}
	expect_progress(stream);
	return true;
}

static bool wants_body(const struct stream *stream)
{
	return stream->conn->has_input && !stream->conn->ahead && !stream->request_body.is_done &&
	       (stream->state == STREAM_SENT || stream->state == STREAM_ANSWERED) &&
	       upstream_is_drained(stream->upstream);
}

static size_t read_size(const struct stream *stream)
{
	const struct body *body = &stream->request_body;
	size_t size = worker_read_size(stream->worker);

	/* Not into the next request: it may have to wait for long. */
	return body->kind == H1_BODY_FIXED && body->left < size ? (size_t)body->left : size;
}

void stream_on_input(struct stream *stream)
{
	struct worker *worker = stream->worker;
	struct conn *conn = stream->conn;

	for (int rounds = 0; conn->stream == stream && wants_body(stream); rounds++) {
		ssize_t got;

		if (rounds == STREAM_ROUNDS_MAX) {
			loop_defer(&worker->loop, &conn->task);
			return;
		}
		got = conn_receive(conn, worker->rx, read_size(stream));
		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			conn_lose(conn, ANSWER_CLIENT_GONE);
			return;
		}
		stream_expect_body(stream);
		if (!forward_body(stream, worker->rx, (size_t)got))
			return;
	}
}

void stream_on_upstream_drained(struct stream *stream)
{
	if (stream->state == STREAM_TUNNEL) {
		tunnel_pump(stream);
		return;
	}
	expect_progress(stream);
	if (!stream->request_body.is_done)
		stream_expect_body(stream);
	if (stream->conn->has_input || stream->conn->ahead)
		conn_advance(stream->conn);
}
