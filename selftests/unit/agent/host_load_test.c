// SPDX-License-Identifier: Apache-2.0
/* What a worker's slots say about hosts: the host that is asked for most takes its slot, and
 * requests are counted once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/host_load.h"
#include "base/random.h"

/* Both in slot 5. */
enum { SLOT = 5, HOT = SLOT + COUNTERS_HOSTS, OTHER = SLOT + 2 * COUNTERS_HOSTS };

static void note(struct counters *counters, uint64_t hash, int times)
{
	for (int i = 0; i < times; i++)
		counters_note_host(counters, hash);
}

static void test_the_hot_one_takes_the_slot(void **state)
{
	static struct counters counters;
	struct random random;

	(void)state;
	random_init(&random, 3);
	/* Two of three requests are for one host, whatever the order. */
	for (int i = 0; i < 10000; i++)
		counters_note_host(&counters,
				   random_below(&random, 3) ? HOT : OTHER + i * COUNTERS_HOSTS);
	assert_int_equal(counters.hosts[SLOT].hash, HOT);
	assert_true(counters.hosts[SLOT].requests > 3000);
}

static void test_yesterdays_host_goes_soon(void **state)
{
	static struct counters counters;

	(void)state;
	note(&counters, HOT, 1000000);
	note(&counters, OTHER, COUNTERS_HOST_VOTES_MAX + 1);
	assert_int_equal(counters.hosts[SLOT].hash, OTHER);
	assert_int_equal(counters.hosts[SLOT].requests, 1);
}

static void test_requests_are_counted_once(void **state)
{
	static struct counters counters;
	const struct counters_host *slot = &counters.hosts[SLOT];
	struct host_load_slot seen = { 0 };

	(void)state;
	assert_int_equal(host_load_take_slot(&seen, slot), 0);
	note(&counters, HOT, 10);
	assert_int_equal(host_load_take_slot(&seen, slot), 10);
	assert_int_equal(host_load_take_slot(&seen, slot), 0);
	note(&counters, HOT, 3);
	assert_int_equal(host_load_take_slot(&seen, slot), 3);
	note(&counters, OTHER, 15);
	assert_int_equal(seen.hash, HOT);
	assert_int_equal(host_load_take_slot(&seen, slot), 2);
	assert_int_equal(seen.hash, OTHER);
	/* Another proxy begins anew. */
	counters = (struct counters){ 0 };
	assert_int_equal(host_load_take_slot(&seen, slot), 0);
	note(&counters, OTHER, 4);
	assert_int_equal(host_load_take_slot(&seen, slot), 4);
}

/* Two slots of a proxy that lies: 2^32 requests in all, which are not none. */
static void test_a_lie_is_a_great_number(void **state)
{
	struct hot_host_load loads[] = { { 1, 1u << 31 }, { 1, 1u << 31 }, { 2, 3 }, { 2, 4 } };

	(void)state;
	assert_int_equal(host_load_join(loads, 0), 0);
	assert_int_equal(host_load_join(loads, 4), 2);
	assert_int_equal(loads[0].load_permille, UINT32_MAX);
	assert_int_equal(loads[1].hash, 2);
	assert_int_equal(loads[1].load_permille, 7);
	host_load_weigh(loads, 2, 1000, 0);
	assert_int_equal(loads[0].load_permille, 1000);
}

static void test_without_requests_there_is_no_part(void **state)
{
	struct hot_host_load loads[] = { { 1, 0 }, { 2, 500 } };

	(void)state;
	host_load_weigh(loads, 2, 1000, 0);
	assert_int_equal(loads[0].load_permille, 0);
	assert_int_equal(loads[1].load_permille, 1000);
	loads[1].load_permille = 500;
	host_load_weigh(loads, 2, 1000, 2000);
	assert_int_equal(loads[1].load_permille, 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_hot_one_takes_the_slot),
		cmocka_unit_test(test_yesterdays_host_goes_soon),
		cmocka_unit_test(test_requests_are_counted_once),
		cmocka_unit_test(test_a_lie_is_a_great_number),
		cmocka_unit_test(test_without_requests_there_is_no_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
