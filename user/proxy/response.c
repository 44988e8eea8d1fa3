// SPDX-License-Identifier: Apache-2.0
/*
 * response: see response.h.
 *
 * The bytes stand in the worker's scratch buffer. A new head is built in tx and moved
 * to right before the body bytes that came with the old one, so that the client gets
 * both in one send; see worker.h for the drawing.
 */
#include "proxy/response.h"

#include <errno.h>

#include "proxy/request.h"
#include "proxy/tunnel.h"

enum { HEAD_GROWTH_MAX = SCRATCH_HEADROOM - 64 };

/* -------------------------------------------------------------------- heads */

static const uint64_t hop_ids =
	HEADER_BIT(HEADER_CONNECTION) | HEADER_BIT(HEADER_KEEP_ALIVE) |
	HEADER_BIT(HEADER_PROXY_CONNECTION) | HEADER_BIT(HEADER_TE) | HEADER_BIT(HEADER_TRAILER) |
	HEADER_BIT(HEADER_UPGRADE) | HEADER_BIT(HEADER_HTTP2_SETTINGS) |
	HEADER_BIT(HEADER_PROXY_AUTHENTICATE) | HEADER_BIT(HEADER_PROXY_AUTHORIZATION);
static const uint64_t wanted_ids = HEADER_BIT(HEADER_SERVER) | HEADER_BIT(HEADER_DATE);

static bool needs_hsts(const struct stream *stream, const struct h1_response *response)
{
	return (stream->policy.flags & IMAGE_POLICY_HSTS) && stream->conn->tls &&
	       !h1_has(&response->head, HEADER_STRICT_TRANSPORT_SECURITY);
}

/* Other readers are not as lenient as ours: a later minor version, no space behind the status. */
static bool is_usual_status_line(const struct h1_response *response)
{
	return memcmp(response->head.at, "HTTP/1.1 ", 9) == 0 && response->phrase.off > 0;
}

bool response_is_plain(const struct stream *stream, const struct h1_response *response)
{
	const struct h1_head *head = &response->head;
	bool has_coding = h1_has(head, HEADER_TRANSFER_ENCODING);

	return is_usual_status_line(response) && !(head->seen & hop_ids) &&
	       (head->seen & wanted_ids) == wanted_ids && stream->keeps_alive &&
	       !stream->is_client_1_0 && !stream->is_rechunked &&
	       has_coding == (head->body == H1_BODY_CHUNKED) &&
	       !(response->forbids_length && h1_has(head, HEADER_CONTENT_LENGTH)) &&
	       !needs_hsts(stream, response);
}

static void add_status_line(struct h1_out *out, const struct h1_response *response)
{
	struct str phrase = h1_str(&response->head, response->phrase);

	h1_add(out, STR("HTTP/1.1 "));
	h1_add_u64(out, response->status);
	h1_add(out, STR(" "));
	h1_add(out, phrase);
	h1_add(out, STR("\r\n"));
}

/* All but those of the endpoint's connection. */
static void add_kept(struct h1_out *out, const struct h1_response *response)
{
	struct h1_fields dropped = { 0 };
	uint64_t ids = response->forbids_length ? HEADER_BIT(HEADER_CONTENT_LENGTH) : 0;

	h1_fields_select(&dropped, &response->head, ids, H1_FIELD_HOP | H1_FIELD_NAMED);
	h1_add_kept_fields(out, &response->head, &dropped);
}

static void add_hsts(const struct stream *stream, struct h1_out *out)
{
	h1_add(out, STR("Strict-Transport-Security: max-age="));
	h1_add_u64(out, stream->policy.hsts_max_age_s);
	if (stream->policy.flags & IMAGE_POLICY_HSTS_SUBDOMAINS)
		h1_add(out, STR("; includeSubDomains"));
	if (stream->policy.flags & IMAGE_POLICY_HSTS_PRELOAD)
		h1_add(out, STR("; preload"));
	h1_add(out, STR("\r\n"));
}

void response_write_head(const struct stream *stream, const struct h1_response *response,
			 struct str date, struct h1_out *out)
{
	const struct h1_head *head = &response->head;
	bool is_chunked = head->body == H1_BODY_CHUNKED && !stream->is_client_1_0;

	add_status_line(out, response);
	add_kept(out, response);
	if (!h1_has(head, HEADER_SERVER))
		h1_add(out, STR("Server: sluice\r\n"));
	if (!h1_has(head, HEADER_DATE))
		h1_add_field(out, STR("Date"), date);
	if (needs_hsts(stream, response))
		add_hsts(stream, out);
	if (is_chunked || stream->is_rechunked)
		h1_add(out, STR("Transfer-Encoding: chunked\r\n"));
	if (!stream->keeps_alive)
		h1_add(out, STR("Connection: close\r\n"));
	else if (stream->is_client_1_0)
		h1_add(out, STR("Connection: keep-alive\r\n"));
	h1_add_end(out);
}

/* ------------------------------------------------------------------- sending */

/* False when the client is gone, and the stream with it. */
static bool send_to_client(struct stream *stream, struct str bytes)
{
	bool is_last = stream->response_body.is_done && !stream->keeps_alive;

	if (conn_send(stream->conn, bytes, is_last) < 0) {
		conn_lose(stream->conn, ANSWER_CLIENT_GONE);
		return false;
	}
	stream->sent_bytes += bytes.len;
	return true;
}

/* Puts a chunk's size line before, and its end behind, body bytes in scratch (RFC 9112 7.1). */
static struct str put_into_chunk(struct str body)
{
	char line[24];
	struct h1_out out;
	char *at = (char *)body.at; /* in scratch */

	h1_out_init(&out, line, sizeof(line));
	h1_add_hex(&out, body.len);
	h1_add(&out, STR("\r\n"));
	memcpy(at - out.len, line, out.len);
	memcpy(at + body.len, "\r\n", 2);
	return str_of(at - out.len, out.len + body.len + 2);
}

/* Sends @head (empty: none), in tx or in scratch, and @body, in scratch, at once. */
static bool send_both(struct stream *stream, struct str head, struct str body)
{
	char *at;

	if (stream->is_rechunked && body.len > 0)
		body = put_into_chunk(body);
	if (head.len == 0)
		return body.len == 0 || send_to_client(stream, body);
	if (body.len == 0)
		return send_to_client(stream, head);
	at = (char *)body.at - head.len;
	if (at != head.at)
		memmove(at, head.at, head.len);
	return send_to_client(stream, str_of(at, head.len + body.len));
}

/* ------------------------------------------------------------------- bodies */

/* Passes on @len bytes at @at behind @head. False when the stream is over. */
static bool pass_body(struct stream *stream, struct str head, char *at, size_t len)
{
	struct str kept;
	size_t taken;

	if (!body_take(&stream->response_body, at, len, &kept, &taken)) {
		stream_break(stream, ANSWER_UPSTREAM_MALFORMED);
		return false;
	}
	if (taken < len)
		stream->keeps_upstream = false; /* it says more than it was asked */
	if (!send_both(stream, head, kept))
		return false;
	if (!stream->response_body.is_done)
		return true;
	stream_end(stream);
	return false;
}

/* ------------------------------------------------------- heads, as they come */

static bool send_interim(struct stream *stream, const struct h1_response *response)
{
	struct h1_out out;

	if (stream->is_client_1_0) /* knows no 1xx (RFC 9110 15.2) */
		return true;
	h1_out_init(&out, stream->worker->tx, SCRATCH_TX_BYTES);
	add_status_line(&out, response);
	add_kept(&out, response);
	if (response->status == 101) {
		h1_add(&out, STR("Connection: upgrade\r\n"));
		h1_add_field(&out, STR("Upgrade"), h1_value(&response->head, HEADER_UPGRADE));
	}
	h1_add_end(&out);
	worker_count(stream->worker, responses_1xx);
	return send_to_client(stream, str_of(out.at, out.len));
}

/* How the rest of the exchange goes, from what the final head says. */
static void decide_framing(struct stream *stream, const struct h1_response *response)
{
	const struct h1_head *head = &response->head;
	bool is_open_ended = head->body == H1_BODY_UNTIL_CLOSE;
	/* A 204 that announces a body may be followed by it. */
	bool is_doubtful = response->forbids_length && head->content_length > 0;

	stream->status = response->status;
	stream->answered_ns = stream->worker->loop.now_ns;
	stream->state = STREAM_ANSWERED;
	stream->keeps_upstream = h1_keeps_alive(head) && !is_open_ended && !is_doubtful;
	body_init(&stream->response_body, head,
		  stream->is_client_1_0 ? H1_CHUNKED_DECODE : H1_CHUNKED_PASS);
	stream->is_rechunked = is_open_ended && !stream->is_client_1_0;
	if (stream->is_client_1_0 && (is_open_ended || head->body == H1_BODY_CHUNKED))
		stream->keeps_alive = false;
	/* Answered early: the rest of the request has to be read, or the connection to end. */
	if (!stream->request_body.is_done || stream->worker->is_draining)
		stream->keeps_alive = false;
}

static bool take_final(struct stream *stream, const struct h1_response *response, char *at,
		       size_t len)
{
	struct str head = str_of(at, response->head.len);
	struct h1_out out;

	decide_framing(stream, response);
	if (!response_is_plain(stream, response)) {
		h1_out_init(&out, stream->worker->tx, response->head.len + HEAD_GROWTH_MAX);
		response_write_head(stream, response, worker_date(stream->worker), &out);
		head = str_of(out.at, out.len);
	}
	return pass_body(stream, head, at + response->head.len, len - response->head.len);
}

static void refuse_response(struct stream *stream, enum answer_reason reason)
{
	stream_answer(stream, 502, reason, str_of(NULL, 0));
}

/* It must be the protocol that the client asked for, as far as we let it ask. */
static bool is_wanted_upgrade(const struct stream *stream, const struct h1_response *response)
{
	struct str protocol = h1_value(&response->head, HEADER_UPGRADE);

	if (!stream->is_upgrade || !response->is_upgrade || !stream->request_body.is_done)
		return false;
	return stream->is_websocket ? str_eq_nocase(protocol, STR("websocket"))
				    : request_may_upgrade_to(protocol);
}

static bool take_upgrade(struct stream *stream, const struct h1_response *response, char *at,
			 size_t len)
{
	if (!is_wanted_upgrade(stream, response)) {
		refuse_response(stream, ANSWER_UPSTREAM_MALFORMED);
		return false;
	}
	stream->status = 101;
	stream->answered_ns = stream->worker->loop.now_ns;
	if (send_interim(stream, response))
		tunnel_begin(stream, str_of(at + response->head.len, len - response->head.len));
	return false;
}

static bool park_head(struct stream *stream, const struct h1_response *response, struct str bytes)
{
	struct worker *worker = stream->worker;

	if (!stream->parser) {
		stream->parser = pool_get(&worker->response_parsers);
		if (stream->parser)
			*stream->parser = *response;
	}
	stream->parked = blocks_keep(&worker->blocks, bytes);
	if (stream->parser && stream->parked)
		return true;
	stream_answer(stream, 503, ANSWER_OVERLOAD, str_of(NULL, 0));
	return false;
}

/* One or more heads, and what follows them. False when the stream is over, or a tunnel. */
static bool take_heads(struct stream *stream, char *at, size_t len)
{
	struct h1_response *response = stream->parser;
	struct h1_response *fresh = &stream->worker->response;

	while (len > 0) {
		if (!response) {
			response = fresh;
			h1_response_init(response, H1_HEAD_BYTES_DEFAULT, stream->is_head_request);
		}
		switch (h1_response_parse(response, str_of(at, len))) {
		case H1_MORE:
			return park_head(stream, response, str_of(at, len));
		case H1_REFUSED:
			refuse_response(stream, ANSWER_UPSTREAM_MALFORMED);
			return false;
		case H1_DONE:
			break;
		}
		if (response->status == 101)
			return take_upgrade(stream, response, at, len);
		if (response->status >= 200)
			return take_final(stream, response, at, len);
		if (++stream->interim_count > STREAM_INTERIM_MAX) {
			refuse_response(stream, ANSWER_UPSTREAM_MALFORMED);
			return false;
		}
		if (!send_interim(stream, response))
			return false;
		at += response->head.len;
		len -= response->head.len;
		/* The parser that was kept for an incomplete head serves the next one. */
		h1_response_init(response, H1_HEAD_BYTES_DEFAULT, stream->is_head_request);
	}
	return true;
}

/* ------------------------------------------------------------------- events */

/* The endpoint has closed, or @rc. */
static void take_end(struct stream *stream, int rc)
{
	bool is_whole = rc == 0 && stream->state == STREAM_ANSWERED &&
			stream->response_body.kind == H1_BODY_UNTIL_CLOSE;

	if (!is_whole) {
		stream_on_upstream_failed(stream, false);
		return;
	}
	stream->response_body.is_done = true;
	stream->keeps_upstream = false;
	if (stream->is_rechunked && !send_to_client(stream, STR("0\r\n\r\n")))
		return;
	stream_end(stream);
}

/* The first bytes of the response: the request will not be sent again. */
static void note_begun(struct stream *stream)
{
	stream->is_response_begun = true;
	blocks_put(&stream->worker->blocks, stream->head);
	stream->head = NULL;
}

/* Puts what came of an incomplete head back in front. */
static size_t unpark(struct stream *stream, char *at)
{
	size_t len;

	if (!stream->parked)
		return 0;
	len = block_str(stream->parked).len;
	memcpy(at, block_str(stream->parked).at, len);
	blocks_put(&stream->worker->blocks, stream->parked);
	stream->parked = NULL;
	return len;
}

/* Receives once and passes it on. False when there is no more, or the stream is over. */
static bool take_some(struct stream *stream)
{
	struct worker *worker = stream->worker;
	struct upstream *upstream = stream->upstream;
	size_t parked = stream->parked ? block_str(stream->parked).len : 0;
	ssize_t got = upstream_receive(upstream, worker->rx + parked, worker_read_size(worker));

	if (got == -EAGAIN)
		return false;
	if (got <= 0) {
		take_end(stream, (int)got);
		return false;
	}
	if (!stream->is_response_begun)
		note_begun(stream);
	loop_timer_set(&worker->loop, &upstream->timer,
		       worker->loop.now_ms + stream->policy.read_timeout_ms);
	unpark(stream, worker->rx);
	if (stream->state == STREAM_SENT)
		return take_heads(stream, worker->rx, parked + (size_t)got);
	return pass_body(stream, STR(""), worker->rx, (size_t)got);
}

void stream_on_upstream_input(struct stream *stream)
{
	struct upstream *upstream = stream->upstream;
	struct conn *conn = stream->conn;

	if (stream->state == STREAM_TUNNEL) {
		tunnel_pump(stream);
		return;
	}
	for (int rounds = 0; upstream->has_input && conn_is_drained(conn); rounds++) {
		if (rounds == STREAM_ROUNDS_MAX) {
			loop_defer(&stream->worker->loop, &upstream->task);
			return;
		}
		if (!take_some(stream))
			return;
	}
}

void stream_on_drained(struct stream *stream)
{
	struct upstream *upstream = stream->upstream;

	if (stream->state == STREAM_TUNNEL) {
		tunnel_pump(stream);
		return;
	}
	if (!upstream || upstream->state != UPSTREAM_BUSY)
		return;
	loop_timer_set(&stream->worker->loop, &upstream->timer,
		       stream->worker->loop.now_ms + stream->policy.read_timeout_ms);
	if (upstream->has_input)
		stream_on_upstream_input(stream);
}
