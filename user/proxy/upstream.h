/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream: a connection to an endpoint.
 *
 *   upstream_connect             upstream_take
 *         │                            ▲
 *   UPSTREAM_CONNECTING                │
 *         │ writable                   │
 *   UPSTREAM_BUSY ── upstream_park ► UPSTREAM_IDLE
 *         │                            │ closed by the endpoint, too old, too many
 *         └───────► closed ◄───────────┘
 *
 * While connecting or busy it belongs to one stream, to which it reports; while
 * idle it belongs to the worker's pool. Any event on an idle one means its end: an
 * endpoint has nothing to say without a request.
 */
#ifndef SLUICE_PROXY_UPSTREAM_H
#define SLUICE_PROXY_UPSTREAM_H

#include "base/addr.h"
#include "proxy/blocks.h"
#include "proxy/worker.h"

enum upstream_state {
	UPSTREAM_UNUSED,
	UPSTREAM_CONNECTING,
	UPSTREAM_BUSY,
	UPSTREAM_IDLE,
	UPSTREAM_CLOSED,
};

struct upstream {
	void *pool_next; /* the pool's word while unused */
	struct loop_watch watch;
	struct loop_timer timer; /* connecting: too late; busy: too long a gap; idle: too old */
	struct loop_task task;   /* goes on after others had their turn; closed: back to the pool */
	struct worker *worker;
	struct stream *stream; /* CONNECTING, BUSY */
	struct upstream_link link;
	struct queue out; /* what the socket did not take */
	uint32_t endpoint_id;
	uint8_t state;        /* enum upstream_state */
	bool has_input;       /* the kernel may have bytes for us */
	bool has_peer_closed; /* FIN or error seen: after the bytes, 0 or -errno comes */
	bool is_reused;       /* has served a request before this one */
	struct addr addr;
};

/* An idle connection to @endpoint for @stream, or NULL. */
struct upstream *upstream_take(struct worker *worker, const struct endpoint *endpoint,
			       struct stream *stream);
/* Whether the endpoint has closed it, though no event told so yet. One system call. */
bool upstream_has_ended(const struct upstream *upstream);
/* A new one, connecting; NULL when that fails at once. */
struct upstream *upstream_connect(struct worker *worker, const struct endpoint *endpoint,
				  struct stream *stream, uint32_t timeout_ms);
/* The stream is done with it and it can serve another: into the pool. */
void upstream_park(struct upstream *upstream);
/* Accepts NULL. */
void upstream_close(struct upstream *upstream);

/* Sends, or queues what does not go.  0 or -errno: broken. */
int upstream_send(struct upstream *upstream, const struct str *pieces, size_t piece_count);
/* Bytes > 0; 0 at its end; -EAGAIN; or -errno: broken. */
ssize_t upstream_receive(struct upstream *upstream, char *at, size_t max);

static inline bool upstream_is_drained(const struct upstream *upstream)
{
	return queue_is_empty(&upstream->out);
}

/* The worker's end: closes everything at once. */
void upstream_close_all(struct worker *worker);

#endif
