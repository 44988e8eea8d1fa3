// SPDX-License-Identifier: Apache-2.0
/* Each edge of the table in RFC 3629, section 4, and what lies beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"

static const struct {
	const char *name;
	struct str text;
	size_t len;
} cases[] = {
	{ "empty", STR_INIT(""), 0 },
	{ "NUL", STR_INIT("\0"), 1 },
	{ "ASCII", STR_INIT("a\xff"), 1 },
	{ "continuation alone", STR_INIT("\x80"), 0 },
	{ "overlong of two", STR_INIT("\xc1\xbf"), 0 },
	{ "first of two", STR_INIT("\xc2\x80"), 2 },
	{ "last of two", STR_INIT("\xdf\xbf"), 2 },
	{ "two, cut", STR_INIT("\xdf"), 0 },
	{ "two, then no continuation", STR_INIT("\xdf\x41"), 0 },
	{ "overlong of three", STR_INIT("\xe0\x9f\xbf"), 0 },
	{ "first of three", STR_INIT("\xe0\xa0\x80"), 3 },
	{ "last before the surrogates", STR_INIT("\xed\x9f\xbf"), 3 },
	{ "first surrogate", STR_INIT("\xed\xa0\x80"), 0 },
	{ "first after the surrogates", STR_INIT("\xee\x80\x80"), 3 },
	{ "three, cut", STR_INIT("\xee\x80"), 0 },
	{ "three, third is none", STR_INIT("\xee\x80\x40"), 0 },
	{ "overlong of four", STR_INIT("\xf0\x8f\xbf\xbf"), 0 },
	{ "first of four", STR_INIT("\xf0\x90\x80\x80"), 4 },
	{ "last of all", STR_INIT("\xf4\x8f\xbf\xbf"), 4 },
	{ "beyond U+10FFFF", STR_INIT("\xf4\x90\x80\x80"), 0 },
	{ "no such first byte", STR_INIT("\xf5\x80\x80\x80"), 0 },
	{ "four, fourth is none", STR_INIT("\xf1\x80\x80\xc0"), 0 },
};

static void sequences_end_where_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = utf8_sequence(cases[i].text);

		if (len != cases[i].len)
			fail_msg("%s: %zu bytes, %zu expected", cases[i].name, len, cases[i].len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequences_end_where_the_table_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
