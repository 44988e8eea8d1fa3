// SPDX-License-Identifier: Apache-2.0
/*
 * blocks: see blocks.h. Four sizes, because the things that wait have four: a
 * head that was sent (one small block per request under way), a read, a whole
 * head of the largest allowed size, a full scratch buffer.
 */
#include "proxy/blocks.h"

#include <errno.h>
#include <sys/socket.h>

static const uint32_t class_bytes[BLOCK_CLASSES] = {
	2 * 1024,
	16 * 1024 + 256,
	68 * 1024,
	BLOCK_BYTES_MAX,
};

enum { FLUSH_BLOCKS_MAX = 16, PIECES_MAX = 4 };

void blocks_init(struct blocks *blocks, size_t max_bytes)
{
	*blocks = (struct blocks){ .max_bytes = max_bytes };
	for (size_t i = 0; i < BLOCK_CLASSES; i++)
		pool_init(&blocks->pools[i], class_bytes[i], max_bytes / class_bytes[i]);
}

void blocks_release(struct blocks *blocks)
{
	for (size_t i = 0; i < BLOCK_CLASSES; i++)
		pool_release(&blocks->pools[i]);
}

struct block *blocks_get(struct blocks *blocks, size_t room)
{
	for (uint32_t i = 0; i < BLOCK_CLASSES; i++) {
		struct block *block;
		size_t class_room = class_bytes[i] - sizeof(*block);

		if (class_room < room)
			continue;
		if (blocks->used_bytes + class_bytes[i] > blocks->max_bytes)
			return NULL;
		block = pool_get(&blocks->pools[i]);
		if (!block)
			return NULL;
		blocks->used_bytes += class_bytes[i];
		*block = (struct block){ .room = (uint32_t)class_room, .class = i };
		return block;
	}
	return NULL;
}

void blocks_put(struct blocks *blocks, struct block *block)
{
	if (!block)
		return;
	blocks->used_bytes -= class_bytes[block->class];
	pool_put(&blocks->pools[block->class], block);
}

struct block *blocks_keep(struct blocks *blocks, struct str bytes)
{
	struct block *block = blocks_get(blocks, bytes.len);

	if (!block)
		return NULL;
	memcpy(block->bytes, bytes.at, bytes.len);
	block->end = (uint32_t)bytes.len;
	return block;
}

/* ------------------------------------------------------------------- queues */

static size_t fill(struct block *block, struct str bytes)
{
	size_t free_bytes = block->room - block->end;
	size_t len = bytes.len < free_bytes ? bytes.len : free_bytes;

	memcpy(block->bytes + block->end, bytes.at, len);
	block->end += (uint32_t)len;
	return len;
}

int queue_add(struct queue *queue, struct blocks *blocks, struct str bytes)
{
	if (bytes.len > QUEUE_BYTES_MAX - queue->len)
		return -ENOBUFS;
	while (bytes.len > 0) {
		size_t len = queue->last ? fill(queue->last, bytes) : 0;
		struct block *block;

		queue->len += len;
		bytes = str_of(bytes.at + len, bytes.len - len);
		if (bytes.len == 0)
			break;
		block = blocks_get(blocks, class_bytes[1] / 2);
		if (!block)
			return -ENOMEM;
		if (queue->last)
			queue->last->next = block;
		else
			queue->first = block;
		queue->last = block;
	}
	return 0;
}

/* Queues what is behind the first @skip bytes of the pieces. */
static int add_rest(struct queue *queue, struct blocks *blocks, const struct str *pieces,
		    size_t piece_count, size_t skip)
{
	for (size_t i = 0; i < piece_count; i++) {
		size_t gone = skip < pieces[i].len ? skip : pieces[i].len;
		int rc =
			queue_add(queue, blocks, str_of(pieces[i].at + gone, pieces[i].len - gone));

		if (rc < 0)
			return rc;
		skip -= gone;
	}
	return 0;
}

static ssize_t send_pieces(int fd, const struct str *pieces, size_t piece_count)
{
	struct iovec iov[PIECES_MAX];
	struct msghdr message = { .msg_iov = iov };

	if (piece_count == 1)
		return send(fd, pieces[0].at, pieces[0].len, MSG_NOSIGNAL);
	for (size_t i = 0; i < piece_count && i < PIECES_MAX; i++)
		iov[message.msg_iovlen++] = (struct iovec){
			.iov_base = (char *)pieces[i].at, /* sendmsg only reads */
			.iov_len = pieces[i].len,
		};
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

int queue_write(struct queue *queue, struct blocks *blocks, int fd, const struct str *pieces,
		size_t piece_count)
{
	size_t total = 0;
	ssize_t taken = 0;

	for (size_t i = 0; i < piece_count; i++)
		total += pieces[i].len;
	if (queue_is_empty(queue) && total > 0) {
		taken = send_pieces(fd, pieces, piece_count);
		if (taken < 0 && errno != EAGAIN)
			return -errno;
		if (taken < 0)
			taken = 0;
	}
	if ((size_t)taken == total)
		return 0;
	return add_rest(queue, blocks, pieces, piece_count, (size_t)taken);
}

/* Takes @len sent bytes off the front. */
static void advance(struct queue *queue, struct blocks *blocks, size_t len)
{
	queue->len -= len;
	while (queue->first) {
		struct block *block = queue->first;
		size_t here = block->end - block->start;

		if (len < here) {
			block->start += (uint32_t)len;
			return;
		}
		len -= here;
		queue->first = block->next;
		blocks_put(blocks, block);
	}
	queue->last = NULL;
}

int queue_flush(struct queue *queue, struct blocks *blocks, int fd)
{
	while (!queue_is_empty(queue)) {
		struct iovec iov[FLUSH_BLOCKS_MAX];
		struct msghdr message = { .msg_iov = iov };
		size_t total = 0;
		ssize_t taken;

		for (struct block *b = queue->first; b && message.msg_iovlen < FLUSH_BLOCKS_MAX;
		     b = b->next) {
			iov[message.msg_iovlen++] =
				(struct iovec){ b->bytes + b->start, b->end - b->start };
			total += b->end - b->start;
		}
		taken = sendmsg(fd, &message, MSG_NOSIGNAL);
		if (taken < 0)
			return -errno;
		advance(queue, blocks, (size_t)taken);
		if ((size_t)taken < total)
			return -EAGAIN;
	}
	return 0;
}

void queue_drop(struct queue *queue, struct blocks *blocks)
{
	while (queue->first) {
		struct block *block = queue->first;

		queue->first = block->next;
		blocks_put(blocks, block);
	}
	*queue = (struct queue){ 0 };
}
