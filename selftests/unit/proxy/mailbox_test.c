// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/mailbox.h"

static struct handoff handoff_of(int fd, const char *text)
{
	struct handoff handoff = { .fd = fd, .listener = 3, .len = (uint16_t)strlen(text) };

	handoff.client.port = 77;
	memcpy(handoff.bytes, text, handoff.len);
	return handoff;
}

static void test_in_order_with_bytes(void **state)
{
	struct mailbox mailbox;
	struct handoff a = handoff_of(1000, "GET /"), b = handoff_of(1001, "");
	struct handoff *taken;

	(void)state;
	assert_int_equal(mailbox_init(&mailbox), 0);
	assert_null(mailbox_take(&mailbox));
	assert_true(mailbox_post(&mailbox, &a));
	assert_true(mailbox_post(&mailbox, &b));
	taken = mailbox_take(&mailbox);
	assert_int_equal(taken->fd, 1000);
	assert_int_equal(taken->listener, 3);
	assert_int_equal(taken->client.port, 77);
	assert_int_equal(taken->len, 5);
	assert_memory_equal(taken->bytes, "GET /", 5);
	mailbox_done(&mailbox);
	assert_int_equal(mailbox_take(&mailbox)->fd, 1001);
	mailbox_done(&mailbox);
	assert_null(mailbox_take(&mailbox));
	mailbox_release(&mailbox);
}

static void test_full_says_no(void **state)
{
	struct mailbox mailbox;
	struct handoff one = handoff_of(1000, "x");

	(void)state;
	assert_int_equal(mailbox_init(&mailbox), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MAILBOX_SLOTS; i++)
			assert_true(mailbox_post(&mailbox, &one));
		assert_false(mailbox_post(&mailbox, &one));
		for (int i = 0; i < MAILBOX_SLOTS; i++) {
			assert_non_null(mailbox_take(&mailbox));
			mailbox_done(&mailbox);
		}
	}
	mailbox_release(&mailbox);
}

static void test_release_closes_what_waits(void **state)
{
	struct mailbox mailbox;
	struct handoff one = handoff_of(open("/dev/null", O_RDONLY), "x");

	(void)state;
	assert_int_equal(mailbox_init(&mailbox), 0);
	assert_true(mailbox_post(&mailbox, &one));
	mailbox_release(&mailbox);
	assert_int_equal(fcntl(one.fd, F_GETFD), -1);
}

/* Four posters, one taker: each handoff arrives once, those of one poster in order. */
enum { POSTERS = 4, EACH = 20000 };

struct poster {
	struct mailbox *mailbox;
	int number;
};

static void *post_many(void *arg)
{
	struct poster *poster = arg;

	for (int i = 0; i < EACH; i++) {
		struct handoff one = handoff_of(poster->number * EACH + i, "bytes");

		while (!mailbox_post(poster->mailbox, &one))
			sched_yield();
	}
	return NULL;
}

static void test_many_posters(void **state)
{
	struct mailbox mailbox;
	struct poster posters[POSTERS];
	pthread_t threads[POSTERS];
	int next[POSTERS] = { 0 }, seen = 0;

	(void)state;
	assert_int_equal(mailbox_init(&mailbox), 0);
	for (int i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){ &mailbox, i };
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
	}
	while (seen < POSTERS * EACH) {
		struct handoff *taken = mailbox_take(&mailbox);

		if (!taken) {
			sched_yield();
			continue;
		}
		assert_int_equal(taken->fd % EACH, next[taken->fd / EACH]++);
		assert_memory_equal(taken->bytes, "bytes", 5);
		mailbox_done(&mailbox);
		seen++;
	}
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	assert_null(mailbox_take(&mailbox));
	mailbox_release(&mailbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order_with_bytes),
		cmocka_unit_test(test_full_says_no),
		cmocka_unit_test(test_release_closes_what_waits),
		cmocka_unit_test(test_many_posters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
