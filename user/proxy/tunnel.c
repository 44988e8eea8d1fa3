// SPDX-License-Identifier: Apache-2.0
/* tunnel: see tunnel.h. */
#include "proxy/tunnel.h"

#include <errno.h>
#include <sys/socket.h>

static void note_activity(struct stream *stream)
{
	struct loop *loop = &stream->worker->loop;

	loop_timer_set(loop, &stream->conn->timer, loop->now_ms + stream->policy.read_timeout_ms);
}

/* Both sides have ended, or one is broken. */
static void end(struct stream *stream, enum answer_reason reason)
{
	struct conn *conn = stream->conn;

	stream_cancel(stream, reason);
	conn_abort(conn, false);
}

/* Bytes that came behind the request's head, before anybody knew that they are the tunnel's. */
static int send_ahead(struct stream *stream)
{
	struct conn *conn = stream->conn;
	struct block *ahead = conn->ahead;
	struct str bytes;
	int rc;

	if (!ahead)
		return 0;
	bytes = block_str(ahead);
	rc = upstream_send(stream->upstream, &bytes, 1);
	blocks_put(&stream->worker->blocks, ahead);
	conn->ahead = NULL;
	return rc;
}

/* One read of the client's bytes. 1: go on; 0: nothing to do now; or -errno. */
static int move_to_endpoint(struct stream *stream)
{
	struct conn *conn = stream->conn;
	struct worker *worker = stream->worker;
	struct str bytes;
	ssize_t got;
	int rc;

	if (!upstream_is_drained(stream->upstream))
		return 0;
	if (stream->is_client_ended) {
		if (!stream->is_endpoint_shut)
			shutdown(stream->upstream->watch.fd, SHUT_WR);
		stream->is_endpoint_shut = true;
		return 0;
	}
	if (!conn->has_input)
		return 0;
	got = conn_receive(conn, worker->rx, worker_read_size(worker));
	if (got == -EAGAIN)
		return 0;
	if (got < 0)
		return (int)got;
	note_activity(stream);
	stream->is_client_ended = got == 0;
	stream->received_bytes += (uint64_t)got;
	bytes = str_of(worker->rx, (size_t)got);
	rc = got > 0 ? upstream_send(stream->upstream, &bytes, 1) : 0;
	return rc < 0 ? rc : 1;
}

/* Tells the client that no more comes. */
static int shut_client(struct stream *stream)
{
	struct conn *conn = stream->conn;
	int rc = 0;

	if (stream->is_client_shut)
		return 0;
	stream->is_client_shut = true;
	if (conn->tls)
		rc = conn_send(conn, STR(""), true);
	if (rc == 0 && conn_is_drained(conn))
		shutdown(conn->watch.fd, SHUT_WR);
	return rc;
}

/* The same from the endpoint to the client. */
static int move_to_client(struct stream *stream)
{
	struct upstream *upstream = stream->upstream;
	struct worker *worker = stream->worker;
	ssize_t got;
	int rc;

	if (!conn_is_drained(stream->conn))
		return 0;
	if (stream->is_endpoint_ended)
		return shut_client(stream);
	if (!upstream->has_input)
		return 0;
	got = upstream_receive(upstream, worker->rx, worker_read_size(worker));
	if (got == -EAGAIN)
		return 0;
	if (got < 0)
		return (int)got;
	note_activity(stream);
	stream->is_endpoint_ended = got == 0;
	stream->sent_bytes += (uint64_t)got;
	rc = got > 0 ? conn_send(stream->conn, str_of(worker->rx, (size_t)got), false) : 0;
	return rc < 0 ? rc : 1;
}

void tunnel_pump(struct stream *stream)
{
	struct conn *conn = stream->conn;
	int up = send_ahead(stream), down = 0;

	for (int rounds = 0; up >= 0 && down >= 0; rounds++) {
		up = move_to_endpoint(stream);
		down = up < 0 ? 0 : move_to_client(stream);
		if (up == 0 && down == 0)
			break;
		if (rounds == STREAM_ROUNDS_MAX) {
			loop_defer(&stream->worker->loop, &conn->task);
			return;
		}
	}
	if (up < 0 || down < 0 ||
	    (stream->is_client_shut && stream->is_endpoint_shut && conn_is_drained(conn)))
		end(stream, ANSWER_NONE);
}

void tunnel_begin(struct stream *stream, struct str early)
{
	struct worker *worker = stream->worker;

	stream->state = STREAM_TUNNEL;
	stream->conn->state = CONN_TUNNEL;
	stream->response_body.is_done = true;
	worker_count(worker, tunnels_opened);
	worker_level(worker, tunnels_active, 1);
	loop_timer_clear(&worker->loop, &stream->upstream->timer);
	note_activity(stream);
	if (early.len > 0 && conn_send(stream->conn, early, false) < 0) {
		end(stream, ANSWER_CLIENT_GONE);
		return;
	}
	tunnel_pump(stream);
}

void tunnel_on_due(struct stream *stream)
{
	/* Draining is not a reason: tunnels may use their grace time. */
	worker_count(stream->worker, downstream_timeouts);
	end(stream, ANSWER_NONE);
}
