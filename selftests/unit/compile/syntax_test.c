// SPDX-License-Identifier: Apache-2.0
/* syntax: hosts and paths as the API server judges them. */
#include "compile/syntax.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123"

struct host_case {
	const char *name;
	const char *host;
	const char *complaint; /* a part of it; NULL: good */
};

static const struct host_case host_cases[] = {
	{ "name", "shop.example", NULL },
	{ "one label", "localhost", NULL },
	{ "upper case", "Shop.Example", NULL },
	{ "digits", "1.2.example", NULL },
	{ "digits alone", "123", NULL },
	{ "wildcard", "*.shop.example", NULL },
	{ "longest label", LABEL_63 ".example", NULL },
	{ "label too long", LABEL_63 "4.example", "more than 63 bytes" },
	{ "longest but one",
	  LABEL_63 "." LABEL_63 "." LABEL_63
		   ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		   "aaaa",
	  NULL },
	{ "too long", LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63 ".a", "at most 253" },
	{ "star alone", "*", "whole first label" },
	{ "star and dot", "*.", "empty label" },
	{ "two stars", "*.*.example", "whole first label" },
	{ "star within", "a*.example", "whole first label" },
	{ "star behind", "a.*", "whole first label" },
	{ "empty label", "a..example", "empty label" },
	{ "dot in front", ".example", "empty label" },
	{ "dot behind", "example.", "empty label" },
	{ "underscore", "a_b.example", "other characters" },
	{ "space", "a b", "other characters" },
	{ "slash", "a/b", "other characters" },
	{ "not ascii", "\xc3\xa4.example", "other characters" },
	{ "hyphen in front", "-a.example", "'-' at an end" },
	{ "hyphen behind", "a-.example", "'-' at an end" },
	{ "hyphen alone", "-", "'-' at an end" },
	{ "port", "a.example:443", "has a port" },
	{ "letters for a port", "a.example:x", "other characters" },
	{ "ipv4", "127.0.0.1", "is an address" },
	{ "ipv6", "2001:db8::1", "is an address" },
	{ "ipv6 in brackets", "[::1]", "is an address" },
};

static void test_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(host_cases) / sizeof(host_cases[0]); i++) {
		const struct host_case *test = &host_cases[i];
		struct err err = { 0 };
		int code = syntax_check_host(str_from_c(test->host), &err);

		if (code != (test->complaint ? -22 : 0) ||
		    (test->complaint && !strstr(err.text, test->complaint)))
			fail_msg("%s: %d '%s', expected '%s'", test->name, code, err.text,
				 test->complaint ? test->complaint : "(good)");
	}
}

struct path_case {
	const char *name;
	const char *path;
	const char *strict;   /* complaint about an Exact or Prefix path */
	const char *specific; /* about an ImplementationSpecific one */
};

static const struct path_case path_cases[] = {
	{ "root", "/", NULL, NULL },
	{ "plain", "/foo/bar", NULL, NULL },
	{ "final slash", "/foo/", NULL, NULL },
	{ "dots in names", "/.hidden/a.b/...", NULL, NULL },
	{ "empty", "", "begin with '/'", NULL },
	{ "relative", "foo", "begin with '/'", "begin with '/'" },
	{ "two slashes", "/a//b", "'//'", NULL },
	{ "two slashes at the end", "/a//", "'//'", NULL },
	{ "dot", "/a/./b", "'/./'", NULL },
	{ "dot at the end", "/a/.", "'/.'", NULL },
	{ "two dots", "/a/../b", "'/../'", NULL },
	{ "two dots at the end", "/a/..", "'/..'", NULL },
	{ "two dots alone", "/..", "'/..'", NULL },
	{ "slash escaped", "/a%2fb", "'%2f'", NULL },
	{ "slash escaped, upper case", "/a%2Fb", "'%2F'", NULL },
	{ "other escapes", "/a%20b", NULL, NULL },
	{ "escape cut", "/a%2", NULL, NULL },
};

static void check_path(const struct path_case *test, enum object_path_type type,
		       const char *complaint)
{
	struct err err = { 0 };
	int code = syntax_check_path(str_from_c(test->path), type, &err);

	if (code != (complaint ? -22 : 0) || (complaint && !strstr(err.text, complaint)))
		fail_msg("%s, type %d: %d '%s', expected '%s'", test->name, (int)type, code,
			 err.text, complaint ? complaint : "(good)");
}

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(path_cases) / sizeof(path_cases[0]); i++) {
		check_path(&path_cases[i], OBJECT_PATH_EXACT, path_cases[i].strict);
		check_path(&path_cases[i], OBJECT_PATH_PREFIX, path_cases[i].strict);
		check_path(&path_cases[i], OBJECT_PATH_IMPLEMENTATION_SPECIFIC,
			   path_cases[i].specific);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
