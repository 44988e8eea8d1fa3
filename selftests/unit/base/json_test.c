// SPDX-License-Identifier: Apache-2.0
/* JSON: commas, escapes, and what is not UTF-8 (RFC 3629). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/json.h"

#define REPLACEMENT "\xef\xbf\xbd"

static void test_structure(void **state)
{
	struct json json;
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	json_init(&json, &out);
	json_object_begin(&json, NULL);
	json_text_c(&json, "a", "x");
	json_u64(&json, "b", UINT64_MAX);
	json_array_begin(&json, "c");
	json_u64(&json, NULL, 1);
	json_object_begin(&json, NULL);
	json_object_end(&json);
	json_array_begin(&json, NULL);
	json_array_end(&json);
	json_bool(&json, NULL, true);
	json_bool(&json, NULL, false);
	json_null(&json, NULL);
	json_array_end(&json);
	json_double(&json, "d", 0.25);
	json_text(&json, "e", str_of(NULL, 0));
	json_object_end(&json);
	assert_true(str_eq_c(buf_str(&out),
			     "{\"a\":\"x\",\"b\":18446744073709551615,"
			     "\"c\":[1,{},[],true,false,null],\"d\":0.25,\"e\":\"\"}"));
	buf_release(&out);
}

struct case_of_text {
	const char *name;
	struct str text;
	const char *expected; /* without quotes */
};

static void check_text(const struct case_of_text *c)
{
	struct buf out, wanted;
	struct json json;

	buf_init(&out, 0);
	buf_init(&wanted, 0);
	json_init(&json, &out);
	json_text(&json, NULL, c->text);
	buf_printf(&wanted, "\"%s\"", c->expected);
	if (!str_eq(buf_str(&out), buf_str(&wanted)))
		fail_msg("%s: got %.*s", c->name, (int)out.len, out.at);
	buf_release(&wanted);
	buf_release(&out);
}

static void test_escapes(void **state)
{
	static const struct case_of_text cases[] = {
		{ "plain", STR_INIT("abc /~"), "abc /~" },
		{ "quote and backslash", STR_INIT("\"\\"), "\\\"\\\\" },
		{ "line feed", STR_INIT("\n"), "\\n" },
		{ "control", STR_INIT("\x01\t\x1f\x7f"), "\\u0001\\u0009\\u001f\\u007f" },
		{ "NUL", STR_INIT("a\0b"), "a\\u0000b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_text(&cases[i]);
}

static void test_utf8(void **state)
{
	static const struct case_of_text cases[] = {
		{ "shortest of each length", STR_INIT("\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80"),
		  "\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80" },
		{ "longest of each length", STR_INIT("\xdf\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf"),
		  "\xdf\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf" },
		{ "around the surrogates", STR_INIT("\xed\x9f\xbf\xee\x80\x80"),
		  "\xed\x9f\xbf\xee\x80\x80" },
		{ "surrogate", STR_INIT("\xed\xa0\x80"), REPLACEMENT REPLACEMENT REPLACEMENT },
		{ "above the last", STR_INIT("\xf4\x90\x80\x80"),
		  REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT },
		{ "five bytes", STR_INIT("\xf8\x88\x80\x80\x80"),
		  REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT },
		{ "overlong, two", STR_INIT("\xc0\xaf\xc1\xbf"),
		  REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT },
		{ "overlong, three", STR_INIT("\xe0\x9f\xbf"),
		  REPLACEMENT REPLACEMENT REPLACEMENT },
		{ "overlong, four", STR_INIT("\xf0\x8f\xbf\xbf"),
		  REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT },
		{ "continuation alone", STR_INIT("a\x80z"), "a" REPLACEMENT "z" },
		{ "cut at the end", STR_INIT("a\xe2\x82"), "a" REPLACEMENT REPLACEMENT },
		{ "cut by another", STR_INIT("\xe2\x82z"), REPLACEMENT REPLACEMENT "z" },
		{ "never a byte of UTF-8", STR_INIT("\xfe\xff"), REPLACEMENT REPLACEMENT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_text(&cases[i]);
}

/* Every two bytes: what comes out is never a broken sequence. */
static void test_all_pairs(void **state)
{
	(void)state;
	for (int i = 0; i < 65536; i++) {
		char pair[2] = { (char)(i >> 8), (char)i };
		bool is_two = (i >> 8) >= 0xc2 && (i >> 8) <= 0xdf && (i & 0xc0) == 0x80;
		struct json json;
		struct buf out;

		buf_init(&out, 0);
		json_init(&json, &out);
		json_text(&json, NULL, str_of(pair, 2));
		if (is_two)
			assert_true(out.len == 4 && memcmp(out.at + 1, pair, 2) == 0);
		else if (pair[0] & 0x80)
			assert_memory_equal(out.at + 1, REPLACEMENT, 3);
		buf_release(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_all_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
