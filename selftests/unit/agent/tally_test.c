// SPDX-License-Identifier: Apache-2.0
/* Totals over proxies that come and go: nothing is lost, nothing counts twice, levels end. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/tally.h"

static const size_t requests = offsetof(struct counters, requests);
static const size_t active = offsetof(struct counters, connections_active);
static const size_t generation = offsetof(struct counters, image_generation);

static struct tally_segment *make(struct tally *tally, uint32_t worker_count)
{
	struct err err = { 0 };
	struct tally_segment *segment = tally_new(tally, worker_count, &err);

	assert_non_null(segment);
	return segment;
}

static void test_two_proxies_count_side_by_side(void **state)
{
	struct tally tally = { .current = NULL };
	struct tally_segment *old = make(&tally, 2), *new = make(&tally, 3);

	(void)state;
	tally.current = new;
	old->at[0].requests = 5;
	old->at[1].requests = 6;
	new->at[2].requests = 100;
	old->at[0].connections_active = 2;
	new->at[0].connections_active = 1;
	assert_int_equal(tally_sum(&tally, requests), 111);
	assert_int_equal(tally_sum(&tally, active), 3);
	/* What the old one counts while it drains is not lost, and its levels end with it. */
	old->at[1].requests++;
	tally_fold(&tally, old);
	assert_int_equal(tally_sum(&tally, requests), 112);
	assert_int_equal(tally_sum(&tally, active), 1);
	tally_fold(&tally, new);
	assert_null(tally.current);
	assert_int_equal(tally_sum(&tally, requests), 112);
	assert_int_equal(tally_sum(&tally, active), 0);
	assert_int_equal(tally_worker(&tally, 0)->requests, 0);
	tally_release(&tally);
}

static void test_generation_is_that_of_the_slowest_worker_at_work(void **state)
{
	struct tally tally = { .current = NULL };
	struct tally_segment *old = make(&tally, 1), *new = make(&tally, 2);

	(void)state;
	assert_int_equal(tally_lowest(&tally, generation), 0);
	tally.current = new;
	old->at[0].image_generation = 1;
	new->at[0].image_generation = 9;
	new->at[1].image_generation = 8;
	assert_int_equal(tally_lowest(&tally, generation), 8);
	tally_release(&tally);
}

/* The agent is gone, and its successor has nothing but the segment that the proxy gives back. */
static void test_what_was_before_outlives_the_agent(void **state)
{
	struct tally first = { .current = NULL }, second = { .current = NULL };
	struct tally_segment *gone = make(&first, 1), *kept = make(&first, 1), *mapped;
	struct err err = { 0 };

	(void)state;
	gone->at[0].requests = 40;
	kept->at[0].requests = 2;
	tally_fold(&first, gone);
	mapped = tally_map(&second, fcntl(kept->fd, F_DUPFD_CLOEXEC, 0), 1, &err);
	assert_non_null(mapped);
	tally_release(&first);
	assert_int_equal(tally_sum(&second, requests), 42);
	mapped->at[0].requests++;
	tally_fold(&second, mapped);
	assert_int_equal(tally_sum(&second, requests), 43);
	tally_release(&second);
}

static void test_proxies_of_the_agent_before_are_folded_together(void **state)
{
	struct tally tally = { .current = NULL };
	struct tally_segment *a = make(&tally, 1), *own = make(&tally, 1), *b = make(&tally, 1);

	(void)state;
	a->is_foreign = b->is_foreign = true;
	a->at[0].requests = 1;
	b->at[0].requests = 2;
	own->at[0].requests = 4;
	tally_fold_foreign(&tally);
	assert_ptr_equal(tally.first, own);
	assert_null(own->next);
	assert_int_equal(tally_sum(&tally, requests), 7);
	/* It stands in the segment of the proxy that goes on. */
	assert_int_equal(own->at[1].requests, 3);
	tally_release(&tally);
}

static void test_memory_that_is_too_small_is_refused(void **state)
{
	struct tally tally = { .current = NULL };
	struct tally_segment *small = make(&tally, 1);
	struct err err = { 0 };

	(void)state;
	assert_null(tally_map(&tally, fcntl(small->fd, F_DUPFD_CLOEXEC, 0), 7, &err));
	assert_true(err.text[0] != 0);
	assert_ptr_equal(tally.first, small);
	tally_release(&tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_proxies_count_side_by_side),
		cmocka_unit_test(test_generation_is_that_of_the_slowest_worker_at_work),
		cmocka_unit_test(test_what_was_before_outlives_the_agent),
		cmocka_unit_test(test_proxies_of_the_agent_before_are_folded_together),
		cmocka_unit_test(test_memory_that_is_too_small_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
