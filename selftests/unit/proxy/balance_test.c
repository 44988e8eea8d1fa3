// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "proxy/balance.h"

enum { ENDPOINTS = 10, BACKEND = 3 };

static struct endpoints_writer *writer;

/* Backend BACKEND with @count endpoints; bit i of @ready says whether endpoint i is. */
static struct endpoints endpoints_with(uint32_t count, uint32_t ready)
{
	struct endpoints endpoints;
	struct err err = { 0 };
	struct str bytes;

	endpoints_writer_free(writer);
	writer = endpoints_writer_new(1);
	endpoints_writer_add_backend(writer, BACKEND);
	for (uint32_t i = 0; i < count; i++) {
		struct endpoints_writer_endpoint one = { .id = 100 + i,
							 .weight = 1,
							 .name = STR("") };
		uint32_t index;

		addr_parse(STR("10.0.0.1:80"), &one.addr, NULL);
		one.flags = ready >> i & 1 ? ENDPOINT_READY : ENDPOINT_SERVING;
		assert_int_equal(endpoints_writer_add(writer, &one, &index), 0);
		assert_int_equal(endpoints_writer_assign(writer, BACKEND, index), 0);
	}
	assert_int_equal(endpoints_writer_finish(writer, &bytes, &err), 0);
	assert_int_equal(endpoints_open(bytes, &endpoints, &err), 0);
	return endpoints;
}

static struct balance balance_for(const struct endpoints *endpoints, uint64_t seed)
{
	struct balance balance;

	balance_init(&balance, seed);
	assert_int_equal(balance_reserve(&balance, endpoints->slot_count), 0);
	return balance;
}

static int end(void **state)
{
	(void)state;
	endpoints_writer_free(writer);
	writer = NULL;
	return 0;
}

static void test_each_in_turn(void **state)
{
	struct endpoints endpoints = endpoints_with(ENDPOINTS, UINT32_MAX);
	struct balance balance = balance_for(&endpoints, 1);
	int seen[ENDPOINTS] = { 0 };
	uint32_t before = UINT32_MAX;

	(void)state;
	for (int i = 0; i < 100; i++) {
		uint32_t id = balance_pick(&balance, &endpoints, BACKEND, NULL, 0)->id - 100;

		seen[id]++;
		assert_true(before == UINT32_MAX || id == (before + 1) % ENDPOINTS);
		before = id;
	}
	for (int i = 0; i < ENDPOINTS; i++)
		assert_int_equal(seen[i], 10);
	balance_release(&balance);
}

static void test_begins_anywhere(void **state)
{
	struct endpoints endpoints = endpoints_with(ENDPOINTS, UINT32_MAX);
	int seen[ENDPOINTS] = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= 1000; seed++) {
		struct balance balance = balance_for(&endpoints, seed);

		seen[balance_pick(&balance, &endpoints, BACKEND, NULL, 0)->id - 100]++;
		balance_release(&balance);
	}
	for (int i = 0; i < ENDPOINTS; i++)
		assert_in_range(seen[i], 60, 140);
}

static void test_only_ready_ones(void **state)
{
	struct endpoints endpoints = endpoints_with(ENDPOINTS, 1u << 2 | 1u << 7);
	struct balance balance = balance_for(&endpoints, 5);
	uint32_t two = 102;
	int seen[ENDPOINTS] = { 0 };

	(void)state;
	for (int i = 0; i < 10; i++)
		seen[balance_pick(&balance, &endpoints, BACKEND, NULL, 0)->id - 100]++;
	assert_int_equal(seen[2], 5);
	assert_int_equal(seen[7], 5);
	for (int i = 0; i < 10; i++)
		assert_int_equal(balance_pick(&balance, &endpoints, BACKEND, &two, 1)->id, 107);
	endpoints = endpoints_with(ENDPOINTS, 0);
	assert_null(balance_pick(&balance, &endpoints, BACKEND, NULL, 0));
	balance_release(&balance);
}

static void test_backends_come_and_go(void **state)
{
	struct endpoints endpoints = endpoints_with(ENDPOINTS, UINT32_MAX);
	struct balance balance = balance_for(&endpoints, 5);

	(void)state;
	for (int i = 0; i < 7; i++)
		balance_pick(&balance, &endpoints, BACKEND, NULL, 0);
	endpoints = endpoints_with(1, 1); /* fewer than the position */
	for (int i = 0; i < 3; i++)
		assert_int_equal(balance_pick(&balance, &endpoints, BACKEND, NULL, 0)->id, 100);
	endpoints = endpoints_with(0, 0);
	assert_null(balance_pick(&balance, &endpoints, BACKEND, NULL, 0));
	assert_null(balance_pick(&balance, &endpoints, 1u << 30, NULL, 0));
	mem_fail_at(1);
	assert_int_equal(balance_reserve(&balance, 100000), -12); /* ENOMEM */
	mem_fail_at(0);
	balance_release(&balance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_each_in_turn, end),
		cmocka_unit_test_teardown(test_begins_anywhere, end),
		cmocka_unit_test_teardown(test_only_ready_ones, end),
		cmocka_unit_test_teardown(test_backends_come_and_go, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
