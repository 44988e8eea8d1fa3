// SPDX-License-Identifier: Apache-2.0
/*
 * stream: how a stream begins and how it ends; see stream.h. Between the two,
 * forward.c and response.c move it.
 */
#include "proxy/stream.h"

#include "proxy/access_log.h"
#include "proxy/forward.h"
#include "proxy/request.h"
#include "proxy/tunnel.h"
#include "wire/h1_write.h"

/* ------------------------------------------------------------------- beginning */

static struct stream *stream_new(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct stream *stream = pool_get(&worker->streams);

	if (!stream)
		return NULL;
	memset(stream, 0, sizeof(*stream));
	stream->conn = conn;
	stream->worker = worker;
	stream->began_ns = worker->loop.now_ns;
	conn->stream = stream;
	worker_level(worker, streams_active, 1);
	return stream;
}

static bool is_idempotent(const struct h1_request *request)
{
	switch ((enum h1_method)request->method) {
	case H1_METHOD_GET:
	case H1_METHOD_HEAD:
	case H1_METHOD_PUT:
	case H1_METHOD_DELETE:
	case H1_METHOD_OPTIONS:
	case H1_METHOD_TRACE:
		return true;
	case H1_METHOD_OTHER:
	case H1_METHOD_POST:
	case H1_METHOD_PATCH:
	case H1_METHOD_CONNECT:
		break;
	}
	return false;
}

static void note_request(struct stream *stream, const struct h1_request *request)
{
	stream->is_head_request = request->method == H1_METHOD_HEAD;
	stream->is_idempotent = is_idempotent(request);
	stream->is_client_1_0 = request->head.minor == 0;
	stream->is_upgrade = request_wants_tunnel(request);
	stream->is_websocket = request->wants_websocket;
	stream->keeps_alive = h1_keeps_alive(&request->head) && !stream->worker->is_draining;
	body_init(&stream->request_body, &request->head, H1_CHUNKED_PASS);
	if (worker_is_logging(stream->worker))
		access_log_begin(stream, request);
}

/* Builds the head for the endpoint and sends it, with what is here of the body. */
static void send_on(struct stream *stream, const struct h1_request *request, struct str body)
{
	struct worker *worker = stream->worker;
	struct h1_out out;

	stream->head = blocks_get(&worker->blocks, request_head_room(stream, request));
	if (!stream->head) {
		stream_answer(stream, 503, ANSWER_OVERLOAD, str_of(NULL, 0));
		return;
	}
	h1_out_init(&out, stream->head->bytes, stream->head->room);
	request_write_head(stream, request, &out);
	stream->head->end = (uint32_t)out.len;
	if (out.is_cut) {
		stream_answer(stream, 431, ANSWER_MALFORMED, str_of(NULL, 0));
		return;
	}
	if (!stream->request_body.is_done)
		stream_expect_body(stream);
	forward_begin(stream, body);
}

size_t stream_begin(struct conn *conn, const struct h1_request *request, char *rest,
		    size_t rest_len)
{
	struct stream *stream = stream_new(conn);
	struct request_refusal refusal;
	struct str kept;
	size_t taken;

	if (!stream) {
		conn_lose(conn, ANSWER_OVERLOAD);
		return rest_len;
	}
	note_request(stream, request);
	if (!request_route(stream, request, &refusal)) {
		if (refusal.reason == ANSWER_MALFORMED) {
			worker_count(conn->worker, requests_malformed);
			stream->keeps_alive = false; /* whoever sent this is not listened to */
		}
		body_take(&stream->request_body, rest, rest_len, &kept, &taken);
		stream_answer(stream, refusal.status, refusal.reason, refusal.location);
		return taken;
	}
	if (!body_take(&stream->request_body, rest, rest_len, &kept, &taken)) {
		worker_count(conn->worker, requests_malformed);
		stream_answer(stream, 400, ANSWER_MALFORMED, str_of(NULL, 0));
		return rest_len;
	}
	stream->received_bytes = taken;
	if (forward_is_too_large(stream)) {
		stream->request_body.is_done = false; /* nobody reads the rest */
		stream_answer(stream, 413, ANSWER_BODY_TOO_LARGE, str_of(NULL, 0));
		return rest_len;
	}
	send_on(stream, request, kept);
	return taken;
}

void stream_refuse(struct conn *conn, unsigned status, enum answer_reason reason)
{
	struct stream *stream = stream_new(conn);

	if (!stream)
		conn_lose(conn, ANSWER_OVERLOAD);
	else
		stream_answer(stream, status, reason, str_of(NULL, 0));
}

/* ---------------------------------------------------------------------- ending */

static void count_status(struct worker *worker, unsigned status)
{
	switch (status / 100) {
	case 2:
		worker_count(worker, responses_2xx);
		break;
	case 3:
		worker_count(worker, responses_3xx);
		break;
	case 4:
		worker_count(worker, responses_4xx);
		break;
	case 5:
		worker_count(worker, responses_5xx);
		break;
	}
}

static void count_end(struct stream *stream)
{
	struct worker *worker = stream->worker;
	uint64_t duration_us = (worker->loop.now_ns - stream->began_ns) / 1000;
	uint64_t *bucket =
		&worker->counters->duration_buckets[counters_duration_bucket(duration_us)];

	counter_add(bucket, 1);
	worker_count_by(worker, duration_sum_us, duration_us);
	count_status(worker, stream->status);
	worker_level(worker, streams_active, -1);
	if (stream->state == STREAM_TUNNEL)
		worker_level(worker, tunnels_active, -1);
}

/* Gives back all the stream has, and the stream. The connection is the caller's to go on with. */
static void finish(struct stream *stream)
{
	struct worker *worker = stream->worker;
	bool is_whole = stream->request_body.is_done && stream->response_body.is_done;

	count_end(stream);
	if (worker_is_logging(worker))
		access_log_end(stream);
	if (stream->upstream && stream->keeps_upstream && is_whole)
		upstream_park(stream->upstream);
	else
		upstream_close(stream->upstream);
	blocks_put(&worker->blocks, stream->head);
	blocks_put(&worker->blocks, stream->parked);
	blocks_put(&worker->blocks, stream->record);
	pool_put(&worker->response_parsers, stream->parser);
	stream->conn->stream = NULL;
	pool_put(&worker->streams, stream);
}

void stream_end(struct stream *stream)
{
	struct conn *conn = stream->conn;
	bool keeps_alive = stream->keeps_alive;

	if (!stream->request_body.is_done)
		conn->must_linger = true;
	finish(stream);
	conn_stream_ended(conn, keeps_alive);
}

void stream_break(struct stream *stream, enum answer_reason reason)
{
	struct conn *conn = stream->conn;
	/* Nothing in the message says where it should have ended: only a reset can. */
	bool is_open_ended = stream->is_client_1_0 && stream->response_body.kind != H1_BODY_FIXED;

	stream->reason = (uint8_t)reason;
	finish(stream);
	conn_abort(conn, is_open_ended);
}

void stream_cancel(struct stream *stream, enum answer_reason reason)
{
	stream->reason = (uint8_t)reason;
	if (stream->upstream && stream->upstream->state == UPSTREAM_BUSY)
		stream->keeps_upstream = false;
	finish(stream);
}

void stream_answer(struct stream *stream, unsigned status, enum answer_reason reason,
		   struct str location)
{
	struct conn *conn = stream->conn;
	struct worker *worker = stream->worker;
	struct answer answer = { .status = status, .location = location };
	struct h1_out out;

	upstream_close(stream->upstream);
	stream->upstream = NULL;
	stream->status = (uint16_t)status;
	stream->reason = (uint8_t)reason;
	/* A request that was not read to its end cannot be followed by another. */
	if (!stream->request_body.is_done || conn->must_linger)
		stream->keeps_alive = false;
	stream->response_body.is_done = true;
	answer.date = worker_date(worker);
	answer.is_head_request = stream->is_head_request;
	answer.is_client_1_0 = stream->is_client_1_0;
	answer.keeps_alive = stream->keeps_alive;
	/* Not in rx: requests that the client sent ahead may stand there. */
	h1_out_init(&out, worker->tx, SCRATCH_TX_BYTES / 2);
	answer_write(&out, &answer);
	if (conn_send(conn, str_of(out.at, out.len), !stream->keeps_alive) < 0) {
		conn_lose(conn, ANSWER_CLIENT_GONE);
		return;
	}
	stream->sent_bytes += out.len;
	stream_end(stream);
}

/* ------------------------------------------------------------------- the clock */

void stream_expect_body(struct stream *stream)
{
	struct worker *worker = stream->worker;

	loop_timer_set(&worker->loop, &stream->conn->timer,
		       worker->loop.now_ms + worker->settings->client_body_timeout_ms);
}

void stream_on_client_due(struct stream *stream)
{
	struct conn *conn = stream->conn;
	struct worker *worker = stream->worker;
	bool is_body_awaited = !stream->request_body.is_done && stream->upstream &&
			       upstream_is_drained(stream->upstream);

	if (stream->state == STREAM_TUNNEL) {
		tunnel_on_due(stream);
		return;
	}
	if (!conn_is_drained(conn)) {
		worker_count(worker, downstream_timeouts);
		conn_lose(conn, ANSWER_CLIENT_TOO_SLOW);
	} else if (is_body_awaited && stream->state == STREAM_SENT) {
		worker_count(worker, downstream_timeouts);
		stream_answer(stream, 408, ANSWER_BODY_TOO_SLOW, str_of(NULL, 0));
	} else if (is_body_awaited && stream->state == STREAM_ANSWERED) {
		worker_count(worker, downstream_timeouts);
		stream_break(stream, ANSWER_BODY_TOO_SLOW);
	} else if (!stream->request_body.is_done) {
		/* Now it is the endpoint that is waited for, by its own timer; later the client. */
		stream_expect_body(stream);
	}
}
