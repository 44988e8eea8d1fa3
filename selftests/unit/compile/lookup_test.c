// SPDX-License-Identifier: Apache-2.0
/* lookup: what is filed is found, also where hashes meet. */
#include "compile/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

static bool finds(const struct lookup *lookup, uint64_t hash, uint32_t wanted)
{
	uint32_t at = 0, index;

	while ((index = lookup_next(lookup, hash, &at)) != LOOKUP_NONE) {
		if (index == wanted)
			return true;
	}
	return false;
}

static void test_empty(void **state)
{
	struct lookup lookup = { 0 };
	uint32_t at = 0;

	(void)state;
	assert_int_equal(lookup_next(&lookup, 7, &at), LOOKUP_NONE);
	lookup_release(&lookup);
}

static void test_grows(void **state)
{
	enum { MANY = 10000 };
	struct lookup lookup = { 0 };

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		lookup_add(&lookup, lookup_hash_with(1, i), i);
	for (uint32_t i = 0; i < MANY; i++)
		assert_true(finds(&lookup, lookup_hash_with(1, i), i));
	assert_false(finds(&lookup, lookup_hash_with(1, MANY), MANY));
	lookup_release(&lookup);
}

static void test_equal_hashes(void **state)
{
	enum { SAME = 50 };
	struct lookup lookup = { 0 };

	(void)state;
	for (uint32_t i = 0; i < SAME; i++)
		lookup_add(&lookup, UINT64_MAX, i);
	for (uint32_t i = 0; i < SAME; i++)
		assert_true(finds(&lookup, UINT64_MAX, i));
	lookup_release(&lookup);
}

static void test_reset(void **state)
{
	struct lookup lookup = { 0 };

	(void)state;
	lookup_add(&lookup, 1, 1);
	lookup_reset(&lookup, 100);
	assert_false(finds(&lookup, 1, 1));
	lookup_add(&lookup, 2, 2);
	lookup_reset(&lookup, 1);
	assert_false(finds(&lookup, 2, 2));
	lookup_add(&lookup, 3, 3);
	assert_true(finds(&lookup, 3, 3));
	lookup_release(&lookup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_equal_hashes),
		cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
