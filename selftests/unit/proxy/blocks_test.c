// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "proxy/blocks.h"

static struct blocks blocks;
static int pair[2];

static int begin(void **state)
{
	(void)state;
	blocks_init(&blocks, 4 << 20);
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < BLOCK_CLASSES; i++)
		assert_int_equal(blocks.pools[i].used, 0);
	blocks_release(&blocks);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static void test_sizes(void **state)
{
	static const size_t rooms[] = { 0, 1, 1500, 2000, 2048, 16384, 16385, 65536, 180000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		struct block *block = blocks_get(&blocks, rooms[i]);

		assert_non_null(block);
		assert_true(block->room >= rooms[i]);
		assert_int_equal(block_str(block).len, 0);
		memset(block->bytes, 1, block->room);
		blocks_put(&blocks, block);
	}
	assert_null(blocks_get(&blocks, BLOCK_BYTES_MAX));
	blocks_put(&blocks, NULL);
}

static void test_all_together_have_a_limit(void **state)
{
	struct block *taken[4096];
	size_t count = 0;

	(void)state;
	assert_false(blocks_are_scarce(&blocks));
	while (count < 4096 && (taken[count] = blocks_get(&blocks, count % 2 ? 100 : 60000)))
		count++;
	assert_true(count < 4096);
	assert_true(blocks_are_scarce(&blocks));
	assert_true(blocks.used_bytes <= blocks.max_bytes);
	while (count > 0)
		blocks_put(&blocks, taken[--count]);
	assert_int_equal(blocks.used_bytes, 0);
}

/* Everything that is written arrives once and in order, whatever the socket takes at a time. */
static void test_queue_keeps_order(void **state)
{
	enum { TOTAL = 400000, PIECE = 9973 };
	struct queue queue = { 0 };
	static char sent[TOTAL], got[TOTAL];
	size_t done = 0, seen = 0;

	(void)state;
	for (size_t i = 0; i < TOTAL; i++)
		sent[i] = (char)(i * 7 + i / 251);
	while (done < TOTAL) {
		size_t len = TOTAL - done < PIECE ? TOTAL - done : PIECE;
		struct str pieces[2] = { str_of(sent + done, len / 3),
					 str_of(sent + done + len / 3, len - len / 3) };

		assert_int_equal(queue_write(&queue, &blocks, pair[0], pieces, 2), 0);
		done += len;
	}
	assert_false(queue_is_empty(&queue));
	while (seen < TOTAL) {
		ssize_t len = read(pair[1], got + seen, 5000);
		int rc;

		assert_true(len > 0);
		seen += (size_t)len;
		rc = queue_flush(&queue, &blocks, pair[0]);
		assert_true(rc == 0 || rc == -EAGAIN);
		assert_int_equal(rc == 0, queue_is_empty(&queue));
	}
	assert_memory_equal(sent, got, TOTAL);
	assert_null(queue.first);
	assert_null(queue.last);
}

static void test_queue_has_an_end(void **state)
{
	struct queue queue = { 0 };
	struct str piece;
	int rc = 0;

	(void)state;
	piece = str_of(calloc(1, 65536), 65536);
	for (int i = 0; i < 1000 && rc == 0; i++)
		rc = queue_write(&queue, &blocks, pair[0], &piece, 1);
	assert_int_equal(rc, -ENOBUFS);
	assert_true(queue.len <= QUEUE_BYTES_MAX);
	queue_drop(&queue, &blocks);
	free((char *)piece.at);
}

static void test_queue_of_a_closed_socket(void **state)
{
	struct queue queue = { 0 };
	struct str piece = STR("x");

	(void)state;
	shutdown(pair[0], SHUT_WR);
	assert_int_equal(queue_write(&queue, &blocks, pair[0], &piece, 1), -EPIPE);
	assert_int_equal(queue_add(&queue, &blocks, piece), 0);
	assert_int_equal(queue_flush(&queue, &blocks, pair[0]), -EPIPE);
	queue_drop(&queue, &blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sizes, begin, end),
		cmocka_unit_test_setup_teardown(test_all_together_have_a_limit, begin, end),
		cmocka_unit_test_setup_teardown(test_queue_keeps_order, begin, end),
		cmocka_unit_test_setup_teardown(test_queue_has_an_end, begin, end),
		cmocka_unit_test_setup_teardown(test_queue_of_a_closed_socket, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
