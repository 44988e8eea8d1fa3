/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally: what proxies count, and what proxies counted that are no more.
 *
 *   segment of one proxy   [ worker 0 | worker 1 | ... | before ]
 *                            the proxy writes these      the agent writes this
 *
 * Every proxy gets a segment of its own: two that are alive at a time, one serving and one
 * draining, never write into each other's memory. A total is what stands in `before` and in the
 * workers' rows of all living segments. When a proxy is gone its rows are added to `before`, so no
 * total ever goes back; `before` stands in each segment too, so that it outlives the agent with the
 * proxy.
 */
#ifndef SLUICE_AGENT_TALLY_H
#define SLUICE_AGENT_TALLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/counters.h"
#include "base/err.h"

struct tally_segment {
	struct tally_segment *next;
	int fd; /* owned */
	uint32_t worker_count;
	struct counters *at; /* worker_count rows and `before` */
	bool is_foreign;     /* of a proxy that the agent before this one drains */
};

struct tally {
	struct counters before;
	struct tally_segment *first;
	const struct tally_segment *current; /* of the proxy at work, or NULL */
};

/* A segment for a new proxy, all zero but `before`. NULL with a text. */
struct tally_segment *tally_new(struct tally *tally, uint32_t worker_count, struct err *err);
/*
 * The segment of a proxy that counts already. Takes @fd. What stands in its `before` is known from
 * then on. NULL with a text where it is none.
 */
struct tally_segment *tally_map(struct tally *tally, int fd, uint32_t worker_count,
				struct err *err);
/* Its proxy is gone: what it counted stays, what it had open does not. Accepts NULL. */
void tally_fold(struct tally *tally, struct tally_segment *segment);
/* Folds all segments of proxies that the agent before this one drained. */
void tally_fold_foreign(struct tally *tally);
/* Gives everything back. */
void tally_release(struct tally *tally);

/* The field at @offset of struct counters, over all proxies that are or were. */
uint64_t tally_sum(const struct tally *tally, size_t offset);
/* The same, the lowest of the workers of the proxy at work: what every one has reached. */
uint64_t tally_lowest(const struct tally *tally, size_t offset);
/* Worker @index of the proxy at work; zeroes where there is none. */
const struct counters *tally_worker(const struct tally *tally, uint32_t index);

#endif
