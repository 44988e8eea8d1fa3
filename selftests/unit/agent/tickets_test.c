// SPDX-License-Identifier: Apache-2.0
/* Ticket keys: the newest first, one older one kept, none ever the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/tickets.h"

static void test_rotation(void **state)
{
	struct control_ticket_keys keys = { 0 };
	struct control_ticket_key first, second;

	(void)state;
	tickets_rotate(&keys);
	assert_int_equal(keys.count, 1);
	first = keys.keys[0];
	assert_true(first.made_s > 0);
	tickets_rotate(&keys);
	assert_int_equal(keys.count, 2);
	second = keys.keys[0];
	assert_memory_equal(&keys.keys[1], &first, sizeof(first));
	assert_memory_not_equal(second.aes_key, first.aes_key, sizeof(first.aes_key));
	assert_memory_not_equal(second.name, first.name, sizeof(first.name));
	tickets_rotate(&keys);
	assert_int_equal(keys.count, 2);
	assert_memory_equal(&keys.keys[1], &second, sizeof(second));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rotation) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
