// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/pool.h"

struct thing {
	void *next;
	int number; /* 0: not in use */
};

static void test_last_in_first_out(void **state)
{
	struct pool pool;
	void *a, *b;

	(void)state;
	pool_init(&pool, sizeof(struct thing), 10);
	a = pool_get(&pool);
	b = pool_get(&pool);
	assert_ptr_not_equal(a, b);
	assert_int_equal((uintptr_t)a % 64, 0);
	pool_put(&pool, a);
	pool_put(&pool, b);
	assert_ptr_equal(pool_get(&pool), b);
	assert_ptr_equal(pool_get(&pool), a);
	pool_put(&pool, NULL);
	assert_int_equal(pool.used, 2);
	pool_release(&pool);
}

static void test_limit(void **state)
{
	struct pool pool;
	void *last = NULL;

	(void)state;
	pool_init(&pool, 40000, 3); /* one to a slab */
	for (int i = 0; i < 3; i++)
		assert_non_null(last = pool_get(&pool));
	assert_null(pool_get(&pool));
	pool_put(&pool, last);
	assert_ptr_equal(pool_get(&pool), last);
	pool_release(&pool);
}

static void test_no_memory(void **state)
{
	struct pool pool;

	(void)state;
	for (unsigned long nth = 1; nth <= 2; nth++) {
		pool_init(&pool, 100, 10);
		mem_fail_at(nth);
		assert_null(pool_get(&pool));
		assert_int_equal(pool.used, 0);
		assert_non_null(pool_get(&pool));
		pool_release(&pool);
	}
	mem_fail_at(0);
}

static void test_walk_meets_each_object_once(void **state)
{
	enum { COUNT = 5000 };
	struct pool pool;
	struct pool_walk walk = { 0 };
	struct thing *thing;
	int seen = 0;

	(void)state;
	pool_init(&pool, sizeof(struct thing), COUNT);
	for (int i = 1; i <= COUNT; i++) {
		thing = pool_get(&pool);
		assert_int_equal(thing->number, 0);
		thing->number = i;
	}
	for (int round = 0; round < 2; round++, seen = 0) {
		while ((thing = pool_walk_next(&pool, &walk)))
			seen += thing->number > 0;
		assert_int_equal(seen, COUNT);
	}
	pool_release(&pool);
	assert_null(pool_walk_next(&pool, &walk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_in_first_out),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_walk_meets_each_object_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
