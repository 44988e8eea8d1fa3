// SPDX-License-Identifier: Apache-2.0
/*
 * conn_all: what is done to all connections of a worker, by walking through its pool.
 *
 * Idle ones are found by a hand that goes round, not by a list in order of idleness: such a list
 * would have to be touched with each request, and is asked for only when memory or descriptors
 * run out.
 */
#include "proxy/conn.h"

enum { SHED_LOOKS_MAX = 512 };

static bool is_idle(const struct conn *conn)
{
	return conn->state == CONN_IDLE && conn_is_drained(conn) && !conn->ahead;
}

bool conn_shed_idle(struct worker *worker)
{
	for (int looks = 0; looks < SHED_LOOKS_MAX; looks++) {
		struct conn *conn = pool_walk_next(&worker->conns, &worker->shed_hand);

		if (conn && is_idle(conn)) {
			conn_abort(conn, false);
			return true;
		}
	}
	return false;
}

void conn_drain_idle(struct worker *worker)
{
	uint64_t now_ms = worker->loop.now_ms;
	struct pool_walk walk = { 0 };
	struct conn *conn;

	while ((conn = pool_walk_next(&worker->conns, &walk))) {
		if (!is_idle(conn))
			continue;
		if (now_ms - conn->idle_since_ms >= CONN_DRAIN_IDLE_MS)
			conn_abort(conn, false);
		else
			loop_timer_set(&worker->loop, &conn->timer, now_ms + CONN_DRAIN_IDLE_MS);
	}
}

void conn_close_all(struct worker *worker)
{
	struct pool_walk walk = { 0 };
	struct conn *conn;

	while ((conn = pool_walk_next(&worker->conns, &walk)))
		if (conn->state != CONN_UNUSED && conn->state != CONN_CLOSED)
			conn_lose(conn, ANSWER_DRAINED);
}

void conn_end_denied(struct worker *worker, const struct sources *sources)
{
	const struct sources_list *deny = sources_deny(sources);
	struct pool_walk walk = { 0 };
	struct conn *conn;

	while ((conn = pool_walk_next(&worker->conns, &walk))) {
		if (conn->state == CONN_UNUSED || conn->state == CONN_CLOSED ||
		    !sources_has(sources, deny, conn->client.ip))
			continue;
		worker_count(worker, drop_denied);
		conn_lose(conn, ANSWER_DENIED);
	}
}
