// SPDX-License-Identifier: Apache-2.0
/* Samples of drops: the newest first, and no more than there is room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/drops.h"

static void add(struct drops *drops, uint32_t host_id)
{
	const struct event event = { .host_id = host_id };

	drops_add(drops, &event);
}

static void test_newest_first(void **state)
{
	static struct drops drops;

	(void)state;
	assert_null(drops_at(&drops, 0));
	add(&drops, 1);
	add(&drops, 2);
	assert_int_equal(drops_at(&drops, 0)->host_id, 2);
	assert_int_equal(drops_at(&drops, 1)->host_id, 1);
	assert_null(drops_at(&drops, 2));
}

static void test_old_ones_go(void **state)
{
	static struct drops drops;

	(void)state;
	for (uint32_t i = 0; i < 3 * DROPS_KEPT + 5; i++)
		add(&drops, i);
	assert_int_equal(drops_at(&drops, 0)->host_id, 3 * DROPS_KEPT + 4);
	assert_int_equal(drops_at(&drops, DROPS_KEPT - 1)->host_id, 2 * DROPS_KEPT + 5);
	assert_null(drops_at(&drops, DROPS_KEPT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newest_first),
		cmocka_unit_test(test_old_ones_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
