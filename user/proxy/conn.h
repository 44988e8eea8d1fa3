/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: a client's connection.
 *
 *   accept, mailbox
 *        │
 *   CONN_FIRST ────── TLS: who owns the host? ──────────► handed off to its worker
 *        │ ours
 *   CONN_HANDSHAKE ── TLS
 *        │
 *   ┌► CONN_IDLE ──── some bytes of a head ──► CONN_HEAD
 *   │    │ a whole head                            │ the rest of it
 *   │    ▼                                         │      (the first head may show that
 *   │  CONN_STREAM ◄───────────────────────────────┘       another worker owns the host)
 *   │    │
 *   ├────┤ response sent, the connection lives on
 *   │    ├ 101 ──────────────────► CONN_TUNNEL ──┐
 *   │    └ no more requests ─────► CONN_LINGER ──┴► closed
 *
 * conn_advance() is the one step function: it does what the state asks for until
 * there is nothing to read or somebody else has to move first. Input is read only
 * when it is wanted: a connection whose stream waits for an endpoint leaves what
 * the client sends in the kernel, and the client feels it.
 *
 * Each connection has one timer; what it means depends on the state.
 */
#ifndef SLUICE_PROXY_CONN_H
#define SLUICE_PROXY_CONN_H

#include "base/addr.h"
#include "proxy/answer.h"
#include "proxy/blocks.h"
#include "proxy/worker.h"
#include "tls/tls.h"

enum conn_state {
	CONN_UNUSED, /* in the pool */
	CONN_FIRST,
	CONN_HANDSHAKE,
	CONN_IDLE,
	CONN_HEAD,
	CONN_STREAM,
	CONN_TUNNEL,
	CONN_LINGER, /* what is queued is sent, our direction closed, the client's last bytes
			dropped */
	CONN_CLOSED, /* given back to the pool at the end of the turn */
};

enum {
	CONN_FORWARDED_BYTES = 224,
	CONN_HANDSHAKE_TIMEOUT_MS = 10 * 1000,
	CONN_LINGER_MS = 2 * 1000,
	CONN_LINGER_BYTES_MAX = 512 * 1024, /* thrown away before the connection is reset */
	/* While draining: a connection that was idle this long is closed. */
	CONN_DRAIN_IDLE_MS = 1000,
};

struct conn {
	void *pool_next; /* the pool's word while unused */
	struct loop_watch watch;
	struct loop_timer timer;
	struct loop_task task; /* goes on after others had their turn; closed: back to the pool */
	struct worker *worker;
	const struct worker_listener *listener;
	struct stream *stream; /* CONN_STREAM, CONN_TUNNEL */
	struct tls_conn *tls;  /* NULL: plain */
	struct queue out;      /* what the socket did not take */
	struct block *ahead;   /* received and not used yet */
	/* How far the head in @ahead was parsed; NULL where it was not begun. */
	struct h1_request *parser;
	uint8_t state;           /* enum conn_state */
	bool has_input;          /* the kernel may have bytes for us */
	bool has_peer_closed;    /* the client has sent its FIN: after the bytes, 0 comes */
	bool is_first_request;   /* may still be handed off */
	bool is_advancing;       /* conn_advance is on the stack */
	bool is_watched;         /* by epoll */
	bool is_write_watched;   /* epoll tells when it can be written to again */
	bool is_tls_closed;      /* the client sent close_notify */
	bool is_tls_ready;       /* handshake done */
	bool is_trusted;         /* what the peer says about its client is believed */
	bool is_shut;            /* our direction is closed */
	bool must_linger;        /* the client may still be sending what we do not want */
	uint32_t lingered_bytes; /* thrown away in CONN_LINGER */
	uint64_t idle_since_ms;
	uint64_t covered_host; /* hash of the host that its certificate was last found to cover */
	struct addr client;
	uint16_t forwarded_len;
	/* "X-Forwarded-For: ...", written once, copied into each request. */
	char forwarded[CONN_FORWARDED_BYTES];
};

/* Takes @fd: reads at once what is there, then watches it. @received: what another worker has read
 * of it. Closes @fd where there is no memory. */
void conn_open(struct worker *worker, int fd, const struct addr *client,
	       const struct worker_listener *listener, struct str received);

/* Does what the state asks for; see above. The connection may be closed afterwards. */
void conn_advance(struct conn *conn);

/*
 * Sends @bytes, through TLS where the connection has it; what does not go at once is queued.
 * @is_last: nothing follows (close_notify leaves with it). 0, or -errno: the connection is broken.
 */
int conn_send(struct conn *conn, struct str bytes, bool is_last);
/* Whether everything was sent: only then more may be made. */
static inline bool conn_is_drained(const struct conn *conn)
{
	return queue_is_empty(&conn->out);
}

/*
 * Receives about @max bytes (a little more where TLS had held some back) to @at, which must have
 * room for SCRATCH_RX_BYTES. Bytes > 0; 0 at the client's end; -EAGAIN; or -errno: broken.
 */
ssize_t conn_receive(struct conn *conn, char *at, size_t max);
/* The same without TLS, whether or not the connection has it. */
ssize_t conn_receive_raw(struct conn *conn, char *at, size_t max);
/* Turns @cipher, the bytes that follow, into plain text at @at. As conn_receive. */
ssize_t conn_decrypt(struct conn *conn, struct str cipher, char *at);
/* Something is queued: asks epoll to tell when it can go, and gives the client time for it. */
int conn_wait_writable(struct conn *conn);

/* Keeps bytes that belong to what comes next. False without memory: close. */
bool conn_keep_ahead(struct conn *conn, struct str bytes);

/* The stream is over. @keeps_alive: the next request may come. Else what is queued is sent, then
 * the connection closes. */
void conn_stream_ended(struct conn *conn, bool keeps_alive);

/* The client is gone, or might as well be: ends the stream, closes. */
void conn_lose(struct conn *conn, enum answer_reason reason);
/* Closes now, with whatever was not sent. @is_reset: so that the client sees a broken message. */
void conn_abort(struct conn *conn, bool is_reset);

/* For a hand-off: no events any more, or again; and give up all but the descriptor. */
void conn_unwatch(struct conn *conn);
void conn_watch(struct conn *conn);
void conn_forget(struct conn *conn);

/* Closes one connection that waits for its next request, the next one the hand points at. */
bool conn_shed_idle(struct worker *worker);
/* All idle connections: close those that were idle long enough, hurry the others. */
void conn_drain_idle(struct worker *worker);
/* Those of sources on the deny list of @sources. */
void conn_end_denied(struct worker *worker, const struct sources *sources);
/* Everything, at once. */
void conn_close_all(struct worker *worker);

#endif
