// SPDX-License-Identifier: Apache-2.0
/* Texts of failures, levels of the log, buckets of durations, clocks that stand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/err.h"
#include "base/log.h"

static void test_err(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_set(&err, -EINVAL, "no '%s'", "x"), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.text, "no 'x'");
	assert_int_equal(err_prefix(&err, "file %d", 7), -EINVAL);
	assert_string_equal(err.text, "file 7: no 'x'");
	assert_int_equal(err_set_os(&err, -ENOENT, "open"), -ENOENT);
	assert_string_equal(err.text, "open: No such file or directory");
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_set_os(NULL, -EIO, "x"), -EIO);
}

static void test_err_is_cut(void **state)
{
	char text[2 * ERR_TEXT_MAX];
	struct err err;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 0;
	err_set(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_set_os(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_prefix(&err, "b");
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(err.text, "b: aaa", 6);
	err_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void test_log_levels(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;

	(void)state;
	for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
		const char *name = log_level_name((enum log_level)i);

		assert_int_equal(log_level_parse(str_from_c(name), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse(STR("loud"), &level), -EINVAL);
	assert_int_equal(log_level_parse(STR(""), &level), -EINVAL);
	assert_false(log_is_on(LOG_LEVEL_DEBUG));
	assert_true(log_is_on(LOG_LEVEL_INFO));
	log_set_level(LOG_LEVEL_ERROR);
	assert_false(log_is_on(LOG_LEVEL_WARNING));
	assert_true(log_is_on(LOG_LEVEL_ERROR));
	log_set_level(LOG_LEVEL_INFO);
}

static void test_clock(void **state)
{
	uint64_t before = clock_monotonic_ns();

	(void)state;
	assert_true(clock_monotonic_ns() >= before);
	assert_true(clock_wall_ns() > 1600000000 * NS_PER_S);
	clock_freeze(5, 7);
	assert_int_equal(clock_monotonic_ns(), 5);
	assert_int_equal(clock_wall_ns(), 7);
	clock_freeze(0, 0);
	assert_true(clock_monotonic_ns() >= before);
}

/* Bucket i holds what is below 64 us times 2^i. */
static void test_duration_buckets(void **state)
{
	(void)state;
	assert_int_equal(counters_duration_bucket(0), 0);
	for (unsigned int i = 0; i + 1 < COUNTERS_DURATION_BUCKETS; i++) {
		uint64_t limit_us = (uint64_t)COUNTERS_DURATION_FIRST_US << i;

		assert_int_equal(counters_duration_bucket(limit_us - 1), i);
		assert_int_equal(counters_duration_bucket(limit_us), i + 1);
	}
	assert_int_equal(counters_duration_bucket(UINT64_MAX), COUNTERS_DURATION_BUCKETS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_err_is_cut),
		cmocka_unit_test(test_log_levels),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_duration_buckets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
