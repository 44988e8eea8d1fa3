// SPDX-License-Identifier: Apache-2.0
/* Borrowed runs of bytes: compared, cut, split, parsed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

static void test_compare(void **state)
{
	static const struct {
		struct str a, b;
		int order;
		bool same_nocase;
	} cases[] = {
		{ STR_INIT(""), STR_INIT(""), 0, true },
		{ { NULL, 0 }, STR_INIT(""), 0, true },
		{ STR_INIT("a"), STR_INIT("a"), 0, true },
		{ STR_INIT("a"), STR_INIT("b"), -1, false },
		{ STR_INIT("a"), STR_INIT("ab"), -1, false },
		{ STR_INIT("b"), STR_INIT("ab"), 1, false },
		{ STR_INIT("A"), STR_INIT("a"), -1, true },
		{ STR_INIT("aZ-09["), STR_INIT("Az-09["), 1, true },
		{ STR_INIT("@"), STR_INIT("`"), -1, false },
		{ STR_INIT("["), STR_INIT("{"), -1, false },
		{ STR_INIT("a\0b"), STR_INIT("a\0c"), -1, false },
		{ STR_INIT("\xff"), STR_INIT("a"), 1, false },
		{ STR_INIT("\xc3\x84"), STR_INIT("\xc3\xa4"), -1, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str a = cases[i].a, b = cases[i].b;

		if (sign(str_compare(a, b)) != cases[i].order ||
		    sign(str_compare(b, a)) != -cases[i].order ||
		    str_eq(a, b) != (cases[i].order == 0) ||
		    str_eq_nocase(a, b) != cases[i].same_nocase)
			fail_msg("'%.*s' and '%.*s'", STR_ARG(a), STR_ARG(b));
	}
}

static void test_starts_and_ends(void **state)
{
	(void)state;
	assert_true(str_starts_with(STR("abc"), STR("ab")));
	assert_true(str_starts_with(STR("abc"), STR("")));
	assert_false(str_starts_with(STR("abc"), STR("abcd")));
	assert_false(str_starts_with(STR("abc"), STR("b")));
	assert_true(str_ends_with(STR("abc"), STR("bc")));
	assert_true(str_ends_with(STR("abc"), STR("abc")));
	assert_true(str_ends_with(STR(""), STR("")));
	assert_false(str_ends_with(STR("bc"), STR("abc")));
	assert_false(str_ends_with(STR("abc"), STR("ab")));
}

static void test_slice(void **state)
{
	static const struct {
		size_t start, len;
		const char *expected;
	} cases[] = {
		{ 0, 3, "abc" }, { 1, 1, "b" }, { 1, 100, "bc" },     { 3, 1, "" },
		{ 4, 1, "" },    { 0, 0, "" },  { 2, SIZE_MAX, "c" }, { SIZE_MAX, SIZE_MAX, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str got = str_slice(STR("abc"), cases[i].start, cases[i].len);

		if (!str_eq_c(got, cases[i].expected))
			fail_msg("case %zu: got '%.*s'", i, STR_ARG(got));
	}
	assert_null(str_slice(str_of(NULL, 0), 1, 1).at);
}

static void test_trim_and_find(void **state)
{
	(void)state;
	assert_true(str_eq_c(str_trim(STR(" \t a b\t ")), "a b"));
	assert_true(str_eq_c(str_trim(STR(" \t ")), ""));
	assert_true(str_eq_c(str_trim(STR("\na\r")), "\na\r"));
	assert_int_equal(str_find_char(STR("abca"), 'a'), 0);
	assert_int_equal(str_find_char(STR("abca"), 'c'), 2);
	assert_int_equal(str_find_char(STR("abca"), 'x'), 4);
	assert_int_equal(str_find_char(str_of(NULL, 0), 'x'), 0);
}

static void assert_parts(struct str rest, const char *const *expected)
{
	struct str part;

	for (; *expected; expected++) {
		assert_true(str_take_part(&rest, ',', &part));
		if (!str_eq_c(part, *expected))
			fail_msg("got '%.*s', wanted '%s'", STR_ARG(part), *expected);
	}
	assert_false(str_take_part(&rest, ',', &part));
}

static void test_take_part(void **state)
{
	(void)state;
	assert_parts(STR("a,,b"), (const char *const[]){ "a", "", "b", NULL });
	assert_parts(STR(""), (const char *const[]){ "", NULL });
	assert_parts(STR(","), (const char *const[]){ "", "", NULL });
	assert_parts(STR("a,"), (const char *const[]){ "a", "", NULL });
	assert_parts(str_of(NULL, 0), (const char *const[]){ NULL });
}

static void test_parse_u64(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int rc;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0, 0 },
		{ "007", 9, 0, 7 },
		{ "65535", 65535, 0, 65535 },
		{ "65536", 65535, -ERANGE, 0 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999", UINT64_MAX, -ERANGE, 0 },
		{ "", 9, -EINVAL, 0 },
		{ "-1", 9, -EINVAL, 0 },
		{ "+1", 9, -EINVAL, 0 },
		{ " 1", 9, -EINVAL, 0 },
		{ "1 ", 9, -EINVAL, 0 },
		{ "0x1", 9, -EINVAL, 0 },
		{ "1a", 99, -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;
		int rc = str_parse_u64(str_from_c(cases[i].text), cases[i].max, &value);

		if (rc != cases[i].rc || value != cases[i].value)
			fail_msg("'%s': got %d, %llu", cases[i].text, rc,
				 (unsigned long long)value);
	}
}

static void test_chars(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		bool is_upper = c >= 'A' && c <= 'Z';
		bool is_hex =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

		assert_int_equal(char_lower((char)c), (char)(is_upper ? c + 32 : c));
		assert_int_equal(char_is_digit((char)c), c >= '0' && c <= '9');
		assert_int_equal(char_hex_value((char)c) >= 0, is_hex);
	}
	assert_int_equal(char_hex_value('9'), 9);
	assert_int_equal(char_hex_value('a'), 10);
	assert_int_equal(char_hex_value('F'), 15);
	assert_null(str_from_c(NULL).at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),   cmocka_unit_test(test_starts_and_ends),
		cmocka_unit_test(test_slice),     cmocka_unit_test(test_trim_and_find),
		cmocka_unit_test(test_take_part), cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_chars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
