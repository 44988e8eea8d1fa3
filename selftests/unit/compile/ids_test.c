// SPDX-License-Identifier: Apache-2.0
/* ids: names keep their numbers, numbers come back only after long. */
#include "compile/ids.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { LIMIT = 100, KEPT = 4, LONG_NAMES = 40, SWEEP = 16 };

static const struct siphash_key key = { .k0 = 5, .k1 = 6 };

/* One generation in which the names of @names, separated by spaces, are used. */
static void use(struct ids *ids, const char *names)
{
	struct str rest = str_from_c(names), name;

	ids_begin(ids);
	while (str_take_part(&rest, ' ', &name)) {
		if (name.len)
			ids_get(ids, name);
	}
	ids_end(ids);
}

static void test_names_keep_ids(void **state)
{
	struct ids ids;

	(void)state;
	ids_init(&ids, key, 0, LIMIT, KEPT);
	use(&ids, "a b c");
	use(&ids, "c b");
	assert_int_equal(ids_get(&ids, STR("a")), 0);
	assert_int_equal(ids_get(&ids, STR("c")), 2);
	assert_int_equal(ids_get(&ids, STR("d")), 3);
	assert_int_equal(ids_limit(&ids), 4);
	ids_release(&ids);
}

static void test_long_names(void **state)
{
	char name[LONG_NAMES + 1];
	struct ids ids;

	(void)state;
	ids_init(&ids, key, 0, LIMIT, KEPT);
	ids_begin(&ids);
	memset(name, 'x', sizeof(name));
	/* Each is the beginning of the next, on both sides of what an entry holds itself. */
	for (uint32_t len = 1; len <= LONG_NAMES; len++)
		assert_int_equal(ids_get(&ids, str_of(name, len)), len - 1);
	for (uint32_t len = 1; len <= LONG_NAMES; len++)
		assert_int_equal(ids_get(&ids, str_of(name, len)), len - 1);
	ids_end(&ids);
	ids_release(&ids);
}

static void test_unused_ids_come_back(void **state)
{
	struct ids ids;

	(void)state;
	ids_init(&ids, key, 0, LIMIT, KEPT);
	use(&ids, "old kept");
	for (int i = 0; i < KEPT - 1; i++)
		use(&ids, "kept");
	assert_int_equal(ids_get(&ids, STR("new")), 2);
	for (int i = 0; i < 2 * SWEEP; i++)
		use(&ids, "kept");
	assert_int_equal(ids_get(&ids, STR("next")), 0);
	assert_int_equal(ids_get(&ids, STR("another")), 2);
	assert_int_equal(ids_get(&ids, STR("last")), 3);
	assert_int_equal(ids_get(&ids, STR("kept")), 1);
	/* The name of old is forgotten together with its id. */
	assert_int_equal(ids_get(&ids, STR("old")), 4);
	ids_release(&ids);
}

/* Ids below the first are nobody's, however long ago they were not used. */
static void test_begins_at_the_first(void **state)
{
	struct ids ids;

	(void)state;
	ids_init(&ids, key, 1, 4, KEPT);
	use(&ids, "old kept");
	assert_int_equal(ids_find(&ids, STR("old")), 1);
	for (int i = 0; i < 2 * SWEEP; i++)
		use(&ids, "kept");
	assert_int_equal(ids_get(&ids, STR("new")), 1);
	assert_int_equal(ids_get(&ids, STR("kept")), 2);
	assert_int_equal(ids_get(&ids, STR("last")), 3);
	assert_int_equal(ids_get(&ids, STR("none")), IDS_NONE);
	ids_release(&ids);
}

static void test_all_taken(void **state)
{
	struct ids ids;

	(void)state;
	ids_init(&ids, key, 0, 2, KEPT);
	ids_begin(&ids);
	assert_int_equal(ids_get(&ids, STR("a")), 0);
	assert_int_equal(ids_get(&ids, STR("b")), 1);
	assert_int_equal(ids_get(&ids, STR("c")), IDS_NONE);
	assert_int_equal(ids_get(&ids, STR("b")), 1);
	ids_end(&ids);
	ids_release(&ids);
}

static void test_adopted(void **state)
{
	struct ids ids;

	(void)state;
	ids_init(&ids, key, 0, LIMIT, KEPT);
	assert_int_equal(ids_adopt(&ids, STR("five"), 5), 0);
	assert_int_equal(ids_adopt(&ids, STR("two"), 2), 0);
	assert_int_equal(ids_adopt(&ids, STR("two"), 3), -EEXIST);
	assert_int_equal(ids_adopt(&ids, STR("other"), 5), -EEXIST);
	assert_int_equal(ids_adopt(&ids, STR("far"), LIMIT), -ERANGE);
	ids_begin(&ids);
	assert_int_equal(ids_get(&ids, STR("five")), 5);
	assert_int_equal(ids_get(&ids, STR("two")), 2);
	/* The gaps may still be known to a worker: they are not given at once. */
	assert_int_equal(ids_get(&ids, STR("new")), 6);
	ids_end(&ids);
	for (int i = 0; i < 2 * SWEEP; i++)
		use(&ids, "five two new");
	assert_int_equal(ids_get(&ids, STR("gap")), 0);
	ids_release(&ids);
}

static void test_many(void **state)
{
	enum { MANY = 5000 };
	struct ids ids;
	char name[16];

	(void)state;
	ids_init(&ids, key, 0, MANY, KEPT);
	for (int round = 0; round < 3; round++) {
		ids_begin(&ids);
		for (uint32_t i = 0; i < MANY; i++) {
			snprintf(name, sizeof(name), "name-%u", i);
			assert_int_equal(ids_get(&ids, str_from_c(name)), i);
		}
		ids_end(&ids);
	}
	ids_release(&ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_keep_ids),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_unused_ids_come_back),
		cmocka_unit_test(test_begins_at_the_first),
		cmocka_unit_test(test_all_taken),
		cmocka_unit_test(test_adopted),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
