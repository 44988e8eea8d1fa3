/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: one request and its response.
 *
 *        whole head from the client
 *               │ route, filters
 *               ├───────────────► an answer of our own ───────────────┐
 *               │ endpoint picked                                     │
 *        ┌─► STREAM_CONNECTING ── all failed ──► 502, 504 ────────────┤
 *        │      │ connected, or taken from the pool                   │
 *        │      ▼                                                     │
 *        └── STREAM_SENT ── gone: once more where safe, else 502 ─────┤
 *   another     │ final head from the endpoint                        │
 *   connection  ▼                                                     ▼
 *            STREAM_ANSWERED ── body passed on ────────────────► stream ended
 *               │ 101
 *               ▼
 *            STREAM_TUNNEL ── both directions ended ───────────► stream ended
 *
 * The request's body may flow in SENT and ANSWERED; an endpoint may answer before
 * it has read the whole request. Either side is read only when the other has taken
 * everything before: that is the whole of back-pressure.
 *
 * The head that was sent stays until the first byte of the response, because a
 * pooled connection may turn out to have been closed by the endpoint meanwhile. It
 * is sent again, once, on a new connection, if the method is idempotent and no body
 * was sent (RFC 9110 9.2.2).
 */
#ifndef SLUICE_PROXY_STREAM_H
#define SLUICE_PROXY_STREAM_H

#include "proxy/answer.h"
#include "proxy/body.h"
#include "proxy/conn.h"
#include "proxy/upstream.h"

enum stream_state {
	STREAM_CONNECTING,
	STREAM_SENT,
	STREAM_ANSWERED,
	STREAM_TUNNEL,
};

enum {
	STREAM_TRIES_MAX = 3,      /* endpoints that are asked */
	STREAM_ROUNDS_MAX = 16,    /* reads in a row before others get their turn */
	STREAM_UPGRADE_BYTES = 64, /* of an Upgrade field that is passed on */
	STREAM_INTERIM_MAX = 100,  /* 1xx responses before the final one */
	REQUEST_ID_BYTES = 32,     /* hexadecimal digits of an id we make */
	REQUEST_ID_BYTES_MAX = 128,
};

/* What of the route's policy is needed after the match; so no stream holds an image. */
struct stream_policy {
	uint32_t connect_timeout_ms;
	uint32_t read_timeout_ms;
	uint32_t send_timeout_ms;
	uint32_t hsts_max_age_s;
	uint32_t flags; /* enum image_policy_flag */
	uint64_t body_max_bytes;
};

struct stream {
	void *pool_next; /* the pool's word while unused */
	struct conn *conn;
	struct worker *worker;
	struct upstream *upstream;
	struct block *head;         /* the request's head as sent, until the response begins */
	struct block *parked;       /* an incomplete head from the endpoint */
	struct h1_response *parser; /* how far it was parsed */
	struct block *record;       /* texts for the access log; NULL when that is off */
	uint8_t state;              /* enum stream_state */
	uint8_t tries;              /* endpoints asked */
	bool is_head_request;
	bool is_idempotent;
	bool is_client_1_0;
	bool is_upgrade;   /* the client wants to leave HTTP, and was let */
	bool is_websocket; /* ...for that */
	bool is_body_sent; /* bytes of the request's body went to an endpoint */
	bool is_resent;
	bool is_response_begun; /* bytes came from the endpoint */
	bool keeps_alive;       /* the client's connection, after the response */
	bool keeps_upstream;
	bool is_rechunked;                       /* we put the response's body into chunks */
	bool is_client_ended, is_endpoint_ended; /* STREAM_TUNNEL: whose direction is over */
	bool is_endpoint_shut, is_client_shut;   /* ...and the end was passed on */
	uint8_t interim_count;                   /* 1xx responses that came */
	uint8_t reason;                          /* enum answer_reason */
	uint16_t status;
	uint16_t log_lens[8]; /* of the texts in @record, see access_log.h */
	struct body request_body;
	struct body response_body;
	struct stream_policy policy;
	uint32_t backend_id;
	uint32_t tried[STREAM_TRIES_MAX]; /* endpoint ids */
	struct addr endpoint;
	uint64_t began_ns;
	uint64_t sent_ns;        /* when the request went to the endpoint */
	uint64_t answered_ns;    /* when its final head came */
	uint64_t received_bytes; /* body, from the client */
	uint64_t sent_bytes;     /* to the client, head and body */
};

/*
 * Begins the stream of @request, whose head is complete. @rest: the bytes behind the head;
 * returns how many of them the stream took. The stream may be over when it returns, and the
 * connection closed.
 */
size_t stream_begin(struct conn *conn, const struct h1_request *request, char *rest,
		    size_t rest_len);

/* A stream for a head that cannot be served: answers @status, and that is all. */
void stream_refuse(struct conn *conn, unsigned status, enum answer_reason reason);

/* More of the request's body has to come within the client's time. */
void stream_expect_body(struct stream *stream);

/* The connection's timer in CONN_STREAM and CONN_TUNNEL. */
void stream_on_client_due(struct stream *stream);
/* The client's connection has bytes, or took all that waited. */
void stream_on_input(struct stream *stream);
void stream_on_drained(struct stream *stream);
/* The client's connection is lost, or too slow. The conn closes itself. */
void stream_cancel(struct stream *stream, enum answer_reason reason);

/* From the upstream. */
void stream_on_connected(struct stream *stream);
void stream_on_upstream_input(struct stream *stream);
void stream_on_upstream_drained(struct stream *stream);
/* Cannot be used any more. @is_timeout: because it took too long. */
void stream_on_upstream_failed(struct stream *stream, bool is_timeout);
/* The upstream's timer: connecting, waiting for an answer, or for its socket to take bytes. */
void stream_on_upstream_due(struct stream *stream);

/* Answers for the endpoint, where nothing was sent to the client yet; ends the stream. */
void stream_answer(struct stream *stream, unsigned status, enum answer_reason reason,
		   struct str location);
/* All was sent (or is queued): count, log, give back. */
void stream_end(struct stream *stream);
/* Ends the stream with its message cut: the client must notice. */
void stream_break(struct stream *stream, enum answer_reason reason);

#endif
