// SPDX-License-Identifier: Apache-2.0
/*
 * conn_io: how bytes come and go on a client's connection, plain or TLS.
 *
 * A plain connection receives into the caller's buffer and sends from it. A TLS
 * connection receives cipher text into the worker's cipher_in, lets OpenSSL turn
 * all of it into plain text at once, and the other way round: one recv or one send
 * per event either way. What the socket does not take is cipher text by then, and
 * is queued as such.
 */
#include <errno.h>
#include <sys/socket.h>

#include "proxy/conn.h"

/* ------------------------------------------------------------------ receive */

ssize_t conn_receive_raw(struct conn *conn, char *at, size_t max)
{
	ssize_t got = recv(conn->watch.fd, at, max, 0);

	if (got < 0) {
		conn->has_input = errno != EAGAIN;
		return -errno;
	}
	/*
	 * A short read says that the kernel has no more, and the next bytes make an edge; except
	 * for a FIN whose edge was seen already.
	 */
	conn->has_input = (size_t)got == max || conn->has_peer_closed;
	return got;
}

/* Sends what the handshake, or an alert, left in the output window. */
static int send_cipher_out(struct conn *conn)
{
	struct str cipher = str_of(conn->worker->cipher_out, tls_conn_output_len(conn->tls));

	if (cipher.len == 0)
		return 0;
	return queue_write(&conn->out, &conn->worker->blocks, conn->watch.fd, &cipher, 1);
}

static void note_handshake(struct conn *conn)
{
	struct worker *worker = conn->worker;

	if (conn->is_tls_ready || tls_conn_handshake(conn->tls) != TLS_OK)
		return;
	conn->is_tls_ready = true;
	conn->state = CONN_IDLE;
	loop_timer_set(&worker->loop, &conn->timer,
		       worker->loop.now_ms + worker->settings->keepalive_timeout_ms);
	if (tls_conn_is_resumed(conn->tls))
		worker_count(worker, tls_resumptions);
	else
		worker_count(worker, tls_handshakes);
}

ssize_t conn_decrypt(struct conn *conn, struct str cipher, char *at)
{
	struct worker *worker = conn->worker;
	size_t room = (size_t)(worker->rx + SCRATCH_RX_BYTES - at);
	enum tls_status status;
	size_t total = 0, len = 0;
	int rc;

	tls_conn_lend_input(conn->tls, cipher);
	tls_conn_lend_output(conn->tls, worker->cipher_out, CIPHER_OUT_BYTES);
	do {
		status = tls_conn_read(conn->tls, at + total, room - total, &len);
		total += len;
	} while (status == TLS_OK && total < room);
	note_handshake(conn);
	rc = send_cipher_out(conn);
	if (rc < 0)
		return rc;
	switch (status) {
	case TLS_OK: /* no room: cannot be, records only shrink */
	case TLS_WANT_OUTPUT:
	case TLS_FAILED:
		if (!conn->is_tls_ready)
			worker_count(worker, tls_failures);
		return -EPROTO;
	case TLS_CLOSED:
		conn->is_tls_closed = conn->has_input = true;
		return (ssize_t)total;
	case TLS_WANT_INPUT:
		break;
	}
	return total > 0 ? (ssize_t)total : -EAGAIN;
}

static ssize_t receive_tls(struct conn *conn, char *at, size_t max)
{
	ssize_t got;

	if (conn->is_tls_closed)
		return 0;
	do {
		got = conn_receive_raw(conn, conn->worker->cipher_in,
				       max < CIPHER_IN_BYTES ? max : CIPHER_IN_BYTES);
		if (got > 0)
			got = conn_decrypt(conn, str_of(conn->worker->cipher_in, (size_t)got), at);
	} while (got == -EAGAIN && conn->has_input);
	return got;
}

ssize_t conn_receive(struct conn *conn, char *at, size_t max)
{
	ssize_t got = conn->tls ? receive_tls(conn, at, max) : conn_receive_raw(conn, at, max);

	if (got > 0)
		worker_count_by(conn->worker, downstream_received_bytes, (uint64_t)got);
	return got;
}

/* --------------------------------------------------------------------- send */

static int send_tls(struct conn *conn, struct str bytes, bool is_last)
{
	struct worker *worker = conn->worker;
	enum tls_status status;

	do {
		size_t taken = 0;
		int rc;

		tls_conn_lend_output(conn->tls, worker->cipher_out, CIPHER_OUT_BYTES);
		status = tls_conn_write(conn->tls, bytes, &taken);
		bytes = str_of(bytes.at + taken, bytes.len - taken);
		if (status == TLS_OK && is_last)
			tls_conn_close(conn->tls);
		rc = send_cipher_out(conn);
		if (rc < 0)
			return rc;
	} while (status == TLS_WANT_OUTPUT);
	return status == TLS_OK ? 0 : -EPROTO;
}

int conn_send(struct conn *conn, struct str bytes, bool is_last)
{
	struct worker *worker = conn->worker;
	int rc;

	if (conn->tls)
		rc = send_tls(conn, bytes, is_last);
	else
		rc = queue_write(&conn->out, &worker->blocks, conn->watch.fd, &bytes, 1);
	if (rc < 0)
		return rc;
	worker_count_by(worker, downstream_sent_bytes, bytes.len);
	if (!conn_is_drained(conn))
		return conn_wait_writable(conn);
	return 0;
}

int conn_wait_writable(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct loop *loop = &worker->loop;

	loop_timer_set(loop, &conn->timer, loop->now_ms + worker->settings->client_send_timeout_ms);
	if (conn->is_write_watched || !conn->is_watched)
		return 0;
	conn->is_write_watched = true;
	return loop_watch_writable(loop, &conn->watch);
}
