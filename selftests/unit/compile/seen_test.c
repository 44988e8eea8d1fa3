// SPDX-License-Identifier: Apache-2.0
/* seen: what is the same object, and where it stands now. */
#include "compile/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { OBJECTS = 6, NONE = -1 };

/* Rows of objects by number, -1 behind the last; what is expected for the second. */
static const struct {
	const char *name;
	int before[OBJECTS + 1], now[OBJECTS + 1];
	int from[OBJECTS], to[OBJECTS];
	bool is_same;
} cases[] = {
	{ "nothing", { NONE }, { NONE }, { 0 }, { 0 }, true },
	{ "first", { NONE }, { 0, 1, NONE }, { NONE, NONE }, { 0 }, false },
	{ "all the same", { 0, 1, 2, NONE }, { 0, 1, 2, NONE }, { 0, 1, 2 }, { 0, 1, 2 }, true },
	{ "one more", { 0, 2, NONE }, { 0, 1, 2, NONE }, { 0, NONE, 1 }, { 0, 2 }, false },
	{ "one less", { 0, 1, 2, NONE }, { 0, 2, NONE }, { 0, 2 }, { 0, NONE, 1 }, false },
	{ "another", { 0, 1, 2, NONE }, { 0, 3, 2, NONE }, { 0, NONE, 2 }, { 0, NONE, 2 }, false },
	{ "moved", { 0, 1, 2, 3, NONE }, { 2, 3, 0, NONE }, { 2, 3, 0 }, { 2, NONE, 0, 1 }, false },
	{ "all gone", { 0, 1, NONE }, { NONE }, { 0 }, { NONE, NONE }, false },
};

static size_t fill(const struct object *objects, const int *numbers, const struct object **row)
{
	size_t count = 0;

	for (; numbers[count] != NONE; count++)
		row[count] = &objects[numbers[count]];
	return count;
}

static void test_cases(void **state)
{
	struct object objects[OBJECTS] = { 0 };

	(void)state;
	for (int i = 0; i < OBJECTS; i++)
		objects[i].serial = (uint64_t)i + 1;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		const struct object *row[OBJECTS];
		struct seen seen = { 0 };
		size_t count = fill(objects, cases[c].before, row);

		seen_look(&seen, row, count);
		count = fill(objects, cases[c].now, row);
		seen_look(&seen, row, count);
		if (seen.is_same != cases[c].is_same || !seen_has(&seen, row, count))
			fail_msg("%s: same %d", cases[c].name, seen.is_same);
		for (size_t i = 0; i < seen.from.len; i++)
			if (seen.from.at[i] != (uint32_t)cases[c].from[i])
				fail_msg("%s: from[%zu] %u", cases[c].name, i, seen.from.at[i]);
		for (size_t i = 0; i < seen.to.len; i++)
			if (seen.to.at[i] != (uint32_t)cases[c].to[i])
				fail_msg("%s: to[%zu] %u", cases[c].name, i, seen.to.at[i]);
		seen_release(&seen);
	}
}

/* Another object in the place of one that is gone, and one without a serial, are never the same. */
static void test_same_place(void **state)
{
	struct object object = { .serial = 1 };
	const struct object *row[] = { &object };
	struct seen seen = { 0 };

	(void)state;
	seen_look(&seen, row, 1);
	object.serial = 2;
	seen_look(&seen, row, 1);
	assert_int_equal(seen.from.at[0], SEEN_NONE);
	object.serial = 0;
	seen_look(&seen, row, 1);
	seen_look(&seen, row, 1);
	assert_int_equal(seen.from.at[0], SEEN_NONE);
	assert_false(seen.is_same);
	seen_release(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_same_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
