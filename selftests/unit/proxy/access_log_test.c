// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/access_log.h"

struct escape {
	const char *name;
	struct str text;
	const char *escaped;
};

static const struct escape escapes[] = {
	{ "plain", STR_INIT("/a/b?c=d"), "/a/b?c=d" },
	{ "empty", STR_INIT(""), "" },
	{ "quote and backslash", STR_INIT("a\"b\\c"), "a\\\"b\\\\c" },
	{ "control bytes", STR_INIT("\0\x1f\n\x7f"), "\\u0000\\u001f\\u000a\\u007f" },
	{ "UTF-8", STR_INIT("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
	  "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "Latin-1", STR_INIT("caf\xe9"), "caf\\u00e9" },
	{ "cut UTF-8", STR_INIT("\xe2\x82"), "\\u00e2\\u0082" },
	{ "overlong", STR_INIT("\xc0\xaf\xe0\x80\xaf"), "\\u00c0\\u00af\\u00e0\\u0080\\u00af" },
	{ "surrogate", STR_INIT("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080" },
	{ "above Unicode", STR_INIT("\xf4\x90\x80\x80\xff"),
	  "\\u00f4\\u0090\\u0080\\u0080\\u00ff" },
};

static void test_escapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		char room[256];
		struct h1_out out;

		h1_out_init(&out, room, sizeof(room));
		access_log_add_escaped(&out, escapes[i].text);
		if (!str_eq_c(str_of(out.at, out.len), escapes[i].escaped))
			fail_msg("%s: got %.*s", escapes[i].name, (int)out.len, out.at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_escapes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
