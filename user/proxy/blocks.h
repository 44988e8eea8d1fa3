/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks: bytes that have to wait.
 *
 * A worker receives into one scratch buffer, works in place and sends from there;
 * in the best case no byte of a request is ever kept. What must be kept (an
 * incomplete head, bytes the socket did not take, a request that may have to be
 * sent again) goes into pooled blocks of a few sizes. An idle connection has none.
 *
 *   struct block          start          end           room
 *   next │ class │ [ used up │ bytes ...... │ free ..... ]
 *
 *   struct queue   first ► block ► block ► last        what the socket did not take
 */
#ifndef SLUICE_PROXY_BLOCKS_H
#define SLUICE_PROXY_BLOCKS_H

#include "base/pool.h"
#include "base/str.h"

enum {
	BLOCK_CLASSES = 4,
	BLOCK_BYTES_MAX = 320 * 1024, /* room of the largest class, about */
	/* One socket's unsent bytes: a scratch buffer full, and what TLS adds. */
	QUEUE_BYTES_MAX = 384 * 1024,
};

struct block {
	struct block *next;
	uint32_t start, end; /* bytes[start .. end) are in use */
	uint32_t room;       /* of bytes[] */
	uint32_t class;
	char bytes[];
};

struct blocks {
	struct pool pools[BLOCK_CLASSES];
	size_t used_bytes; /* of blocks in use */
	size_t max_bytes;
};

/* @max_bytes: of all blocks together. */
void blocks_init(struct blocks *blocks, size_t max_bytes);
void blocks_release(struct blocks *blocks);

/* An empty block with room for @room bytes, or NULL: too many, or no memory left. */
struct block *blocks_get(struct blocks *blocks, size_t room);
/* Whether a quarter of the memory is in use: time to read less at once. */
static inline bool blocks_are_scarce(const struct blocks *blocks)
{
	return blocks->used_bytes > blocks->max_bytes / 4;
}
/* Accepts NULL. */
void blocks_put(struct blocks *blocks, struct block *block);
/* A block that holds a copy of @bytes, or NULL. */
struct block *blocks_keep(struct blocks *blocks, struct str bytes);

static inline struct str block_str(const struct block *block)
{
	return str_of(block->bytes + block->start, block->end - block->start);
}

/* ------------------------------------------------------------------- queues */

struct queue {
	struct block *first, *last;
	size_t len;
};

static inline bool queue_is_empty(const struct queue *queue)
{
	return queue->len == 0;
}

/* Copies @bytes behind what waits. 0; -ENOBUFS above QUEUE_BYTES_MAX; -ENOMEM. */
int queue_add(struct queue *queue, struct blocks *blocks, struct str bytes);

/*
 * Sends the pieces to @fd in one call, in order; what the socket does not take is queued, and
 * all of it where something waits already.
 * 0, or -errno of the socket or of queue_add.
 */
int queue_write(struct queue *queue, struct blocks *blocks, int fd, const struct str *pieces,
		size_t piece_count);

/* Sends what waits. 0 when nothing is left, -EAGAIN when something is, or -errno. */
int queue_flush(struct queue *queue, struct blocks *blocks, int fd);

/* Drops what waits. */
void queue_drop(struct queue *queue, struct blocks *blocks);

#endif
