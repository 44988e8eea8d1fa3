// SPDX-License-Identifier: Apache-2.0
/* key: hosts and paths in normal form; tables of what goes in and what comes out. */
#include "image/key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/random.h"

#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123"

struct key_case {
	const char *name;
	const char *text;
	const char *key; /* NULL: refused */
};

static const struct key_case host_cases[] = {
	{ "clean", "example.com", "example.com" },
	{ "one label", "localhost", "localhost" },
	{ "upper case", "Example.COM", "example.com" },
	{ "port", "example.com:8080", "example.com" },
	{ "empty port", "example.com:", "example.com" },
	{ "final dot", "example.com.", "example.com" },
	{ "final dot and port", "EXAMPLE.com.:443", "example.com" },
	{ "underscore, hyphen, digits", "my_host-1.2.example", "my_host-1.2.example" },
	{ "IPv4", "10.0.0.1:80", "10.0.0.1" },
	{ "IPv6", "[2001:DB8::1]:443", "[2001:db8::1]" },
	{ "IPv6 without port", "[::1]", "[::1]" },
	{ "label of 63", LABEL_63 ".com", LABEL_63 ".com" },
	{ "label of 64", LABEL_63 "4.com", NULL },
	{ "longest", LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, NULL },
	{ "empty", "", NULL },
	{ "port alone", ":80", NULL },
	{ "dot alone", ".", NULL },
	{ "two final dots", "example.com..", NULL },
	{ "leading dot", ".example.com", NULL },
	{ "empty label", "a..b", NULL },
	{ "space", "a b", NULL },
	{ "slash", "a/b", NULL },
	{ "wildcard", "*.example.com", NULL },
	{ "port of letters", "a:x", NULL },
	{ "port too large", "a:65536", NULL },
	{ "port with sign", "a:+80", NULL },
	{ "two ports", "a:80:80", NULL },
	{ "user", "user@example.com", NULL },
	{ "escape", "ex%61mple.com", NULL },
	{ "not ASCII", "ex\xc3\xa4mple.com", NULL },
	{ "IPv6 not closed", "[::1", NULL },
	{ "IPv6 empty", "[]", NULL },
	{ "IPv6 with zone", "[fe80::1%25eth0]", NULL },
	{ "IPv6 and text", "[::1]x", NULL },
};

static const struct key_case rule_cases[] = {
	{ "clean", "example.com", "example.com" },
	{ "upper case", "Example.COM", "example.com" },
	{ "wildcard", "*.Example.com", "*.example.com" },
	{ "wildcard of one label", "*.com", "*.com" },
	{ "star alone", "*", NULL },
	{ "star dot", "*.", NULL },
	{ "star twice", "*.*.com", NULL },
	{ "star inside", "a.*.com", NULL },
	{ "star in a label", "a*.com", NULL },
	{ "port", "example.com:80", NULL },
	{ "address", "[::1]", NULL },
	{ "empty", "", NULL },
};

static const struct key_case path_cases[] = {
	{ "root", "/", "/" },
	{ "clean", "/foo/bar", "/foo/bar" },
	{ "final slash stays", "/foo/", "/foo/" },
	{ "case stays", "/FOO", "/FOO" },
	{ "all of pchar", "/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@" },
	{ "hidden file", "/.well-known/x", "/.well-known/x" },
	{ "dots in a name", "/a..b/...", "/a..b/..." },
	{ "unreserved escapes", "/%7Euser/%61%2D%5f%2e", "/~user/a-_." },
	{ "other escapes in upper case", "/a%2fb%3a%c3%a9", "/a%2Fb%3A%C3%A9" },
	{ "%2F never separates", "/a%2F..%2Fb", "/a%2F..%2Fb" },
	{ "percent stays escaped", "/%2541", "/%2541" },
	{ "raw bytes are escaped", "/caf\xc3\xa9 a?b#c\"", "/caf%C3%A9%20a%3Fb%23c%22" },
	{ "slashes merge", "//a///b//", "/a/b/" },
	{ "dot", "/./a/./b/.", "/a/b/" },
	{ "dot dot", "/a/b/../c/..", "/a/" },
	{ "dot dot to the root", "/a/..", "/" },
	{ "dot dot over merged slashes", "/a//../b", "/b" },
	{ "escaped dot dot", "/a/%2e%2E/b", "/b" },
	{ "half escaped dot", "/a/.%2e/b/%2e", "/b/" },
	{ "above the root", "/..", NULL },
	{ "above the root later", "/a/../../b", NULL },
	{ "above the root, escaped", "/%2e%2e/etc", NULL },
	{ "above the root over slashes", "//..", NULL },
	{ "NUL escaped", "/a%00b", NULL },
	{ "control", "/a\x01", NULL },
	{ "tab", "/a\tb", NULL },
	{ "delete", "/a\x7f", NULL },
	{ "backslash", "/a\\b", NULL },
	{ "backslash before dots", "/a\\..\\b", NULL },
	{ "backslash escaped", "/a%5cb", "/a%5Cb" },
	{ "escape cut", "/a%4", NULL },
	{ "percent alone", "/a%", NULL },
	{ "escape of no digits", "/a%zz", NULL },
	{ "empty", "", NULL },
	{ "no slash", "foo", NULL },
	{ "star", "*", NULL },
};

static void check_key(const struct key_case *c, int rc, struct str key)
{
	if (!c->key && rc != -EINVAL)
		fail_msg("%s: '%s' gave %d, wanted -EINVAL", c->name, c->text, rc);
	if (c->key && (rc != 0 || !str_eq_c(key, c->key)))
		fail_msg("%s: '%s' gave %d '%.*s', wanted '%s'", c->name, c->text, rc,
			 rc ? 0 : (int)key.len, rc ? "" : key.at, c->key);
}

static void test_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(host_cases) / sizeof(host_cases[0]); i++) {
		char room[HOST_KEY_MAX];
		struct str key;

		check_key(&host_cases[i], host_key(str_from_c(host_cases[i].text), room, &key),
			  key);
	}
}

static void test_rule_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rule_cases) / sizeof(rule_cases[0]); i++) {
		char room[HOST_KEY_MAX];
		struct str key;

		check_key(&rule_cases[i],
			  host_key_of_rule(str_from_c(rule_cases[i].text), room, &key), key);
	}
}

static void test_longest_host(void **state)
{
	static const char longest[] =
		LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63; /* 255 bytes */
	char room[HOST_KEY_MAX];
	struct str key;

	(void)state;
	assert_int_equal(host_key(str_of(longest, HOST_KEY_MAX), room, &key), 0);
	assert_int_equal(key.len, HOST_KEY_MAX);
	assert_int_equal(host_key(str_of(longest, HOST_KEY_MAX + 1), room, &key), -EINVAL);
}

static void test_parents(void **state)
{
	(void)state;
	assert_true(str_eq_c(host_key_parent(STR("a.b.c")), "b.c"));
	assert_true(str_eq_c(host_key_parent(STR("*.b.c")), "b.c"));
	assert_int_equal(host_key_parent(STR("localhost")).len, 0);
	assert_int_equal(host_key_parent(STR("")).len, 0);
}

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(path_cases) / sizeof(path_cases[0]); i++) {
		char room[256];
		struct str key;

		check_key(&path_cases[i],
			  path_key(str_from_c(path_cases[i].text), room, sizeof(room), &key), key);
	}
}

static void test_clean_path_is_borrowed(void **state)
{
	struct str path = STR("/foo/.hidden/bar");
	struct str key;

	(void)state;
	assert_int_equal(path_key(path, NULL, 0, &key), 0);
	assert_ptr_equal(key.at, path.at);
	assert_int_equal(key.len, path.len);
}

static void test_room_is_respected(void **state)
{
	struct str path = STR("/\xff\xff/x/../y");
	char room[32];
	struct str key;

	(void)state;
	for (size_t len = 0; len < sizeof(room); len++) {
		int rc;

		memset(room, '#', sizeof(room));
		rc = path_key(path, room, len, &key);
		assert_int_equal(rc, len < sizeof("/%FF%FF/x/..") - 1 ? -ENAMETOOLONG : 0);
		for (size_t i = len; i < sizeof(room); i++)
			assert_int_equal(room[i], '#');
	}
	assert_true(str_eq_c(key, "/%FF%FF/y"));
}

static void test_prefix_keys(void **state)
{
	(void)state;
	assert_true(str_eq_c(path_key_of_prefix(STR("/foo/")), "/foo"));
	assert_true(str_eq_c(path_key_of_prefix(STR("/foo")), "/foo"));
	assert_true(str_eq_c(path_key_of_prefix(STR("/")), "/"));
}

/* The key of a key is the key, and it fits the promised room, for whatever bytes. */
static void test_keys_are_fixed_points(void **state)
{
	static const char bytes[] = "//..%%2eE41fF0aZ?\xff ~";
	struct random random;

	(void)state;
	random_init(&random, 42);
	for (int round = 0; round < 20000; round++) {
		char text[24] = "/", room[72], room_again[216];
		size_t len = 1 + random_below(&random, sizeof(text) - 1);
		struct str key, again;
		int rc;

		for (size_t i = 1; i < len; i++)
			text[i] = bytes[random_below(&random, sizeof(bytes) - 1)];
		rc = path_key(str_of(text, len), room, len * PATH_KEY_GROWTH, &key);
		if (rc) {
			assert_int_equal(rc, -EINVAL);
			continue;
		}
		assert_int_equal(path_key(key, room_again, sizeof(room_again), &again), 0);
		if (!str_eq(key, again))
			fail_msg("'%.*s' -> '%.*s' -> '%.*s'", (int)len, text, STR_ARG(key),
				 STR_ARG(again));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_rule_hosts),
		cmocka_unit_test(test_longest_host),
		cmocka_unit_test(test_parents),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_clean_path_is_borrowed),
		cmocka_unit_test(test_room_is_respected),
		cmocka_unit_test(test_prefix_keys),
		cmocka_unit_test(test_keys_are_fixed_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
