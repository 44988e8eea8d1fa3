// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "proxy/log_ring.h"

static void test_line_comes_out_as_it_went_in(void **state)
{
	struct log_ring ring = { 0 };
	struct str runs[2];

	(void)state;
	assert_int_equal(log_ring_peek(&ring, runs), 0);
	assert_true(log_ring_write(&ring, STR("one\n")));
	assert_true(log_ring_write(&ring, STR("two\n")));
	assert_int_equal(log_ring_peek(&ring, runs), 8);
	assert_memory_equal(runs[0].at, "one\ntwo\n", 8);
	assert_int_equal(runs[1].len, 0);
	log_ring_take(&ring, 5);
	assert_int_equal(log_ring_peek(&ring, runs), 3);
	assert_memory_equal(runs[0].at, "wo\n", 3);
	log_ring_release(&ring);
}

static void test_full_ring_refuses_whole_lines(void **state)
{
	struct log_ring ring = { 0 };
	struct str line = str_of(calloc(1, 1000), 1000), runs[2];
	size_t count = 0;

	(void)state;
	while (log_ring_write(&ring, line))
		count++;
	assert_int_equal(count, LOG_RING_BYTES / 1000);
	assert_int_equal(log_ring_peek(&ring, runs), count * 1000);
	log_ring_take(&ring, 1000);
	assert_true(log_ring_write(&ring, line));
	assert_int_equal(log_ring_peek(&ring, runs), count * 1000);
	assert_int_equal(runs[0].len + runs[1].len, count * 1000);
	assert_true(runs[1].len > 0);
	free((char *)line.at);
	log_ring_release(&ring);
}

static void test_no_memory_is_a_dropped_line(void **state)
{
	struct log_ring ring = { 0 };

	(void)state;
	mem_fail_at(1);
	assert_false(log_ring_write(&ring, STR("x")));
	mem_fail_at(0);
	assert_true(log_ring_write(&ring, STR("x")));
	log_ring_release(&ring);
}

enum { LINES = 200000 };

static void *write_lines(void *arg)
{
	for (uint32_t i = 0; i < LINES; i++) {
		char line[32];
		int len = snprintf(line, sizeof(line), "%u %.*s\n", i, (int)(i % 17),
				   "xxxxxxxxxxxxxxxxx");

		while (!log_ring_write(arg, str_of(line, (size_t)len)))
			sched_yield();
	}
	return NULL;
}

static void test_reader_and_writer_at_once(void **state)
{
	static struct log_ring ring;
	uint32_t want = 0, number = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, write_lines, &ring), 0);
	while (want < LINES) {
		struct str runs[2];
		size_t len = log_ring_peek(&ring, runs);
		bool is_number = true;

		if (len == 0)
			sched_yield();
		/* Whole lines only: the reader may stop in the middle of one, the test must not. */
		for (int r = 0; r < 2; r++)
			for (size_t i = 0; i < runs[r].len; i++) {
				char c = runs[r].at[i];

				if (c == ' ')
					is_number = false;
				if (is_number && c != '\n')
					number = number * 10 + (uint32_t)(c - '0');
				if (c != '\n')
					continue;
				assert_int_equal(number, want++);
				number = 0;
				is_number = true;
			}
		log_ring_take(&ring, len);
	}
	pthread_join(thread, NULL);
	log_ring_release(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_comes_out_as_it_went_in),
		cmocka_unit_test(test_full_ring_refuses_whole_lines),
		cmocka_unit_test(test_no_memory_is_a_dropped_line),
		cmocka_unit_test(test_reader_and_writer_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
