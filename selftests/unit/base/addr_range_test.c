// SPDX-License-Identifier: Apache-2.0
/* Ranges of addresses and ports: text, what they cover, and which cannot stand beside each other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/addr_range.h"

static struct addr_range range_of(const char *text)
{
	struct addr_range range;
	struct err err = { 0 };

	if (addr_range_parse(str_from_c(text), &range, &err))
		fail_msg("'%s': %s", text, err.text);
	return range;
}

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		const char *formatted; /* NULL: as written */
		bool is_plain;
	} cases[] = {
		{ "10.0.0.1:80", NULL, true },
		{ "10.0.0.1/32:80", "10.0.0.1:80", true },
		{ "10.0.0.1:80-80", "10.0.0.1:80", true },
		{ "0.0.0.0:80", NULL, true },
		{ "0.0.0.0/0:80", "0.0.0.0:80", true },
		{ "0.0.0.0/32:80", "0.0.0.0:80", true },
		{ "[::]:443", NULL, true },
		{ "[::]/0:443", "[::]:443", true },
		{ "[::1]/128:443", "[::1]:443", true },
		{ "0.0.0.0:0", NULL, true },
		{ "10.0.0.0/24:80", NULL, false },
		{ "10.0.0.0/8:80-90", NULL, false },
		{ "10.0.0.1:1-65535", NULL, false },
		{ "0.0.0.0:8000-8099", NULL, false },
		{ "0.0.0.0/1:80", NULL, false },
		{ "[fd00::]/64:80", NULL, false },
		{ "[FD00:0::]/8:80-81", "[fd00::]/8:80-81", false },
		{ "[::]:80-81", NULL, false },
		{ "[::]/1:80", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *wanted = cases[i].formatted ? cases[i].formatted : cases[i].text;
		struct addr_range range = range_of(cases[i].text);
		char text[ADDR_RANGE_TEXT_MAX];

		if (strcmp(addr_range_format(&range, text), wanted) != 0)
			fail_msg("'%s': got '%s'", cases[i].text, text);
		if (addr_range_is_plain(&range) != cases[i].is_plain)
			fail_msg("'%s': plain or not", cases[i].text);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "not an ADDRESS[/BITS]:PORT[-PORT]" },
		{ "10.0.0.1", "not an ADDRESS" },
		{ "10.0.0.1:", "not an ADDRESS" },
		{ "10.0.0.1:80-", "not an ADDRESS" },
		{ "10.0.0.1:-80", "not an ADDRESS" },
		{ "10.0.0.1:90-80", "not an ADDRESS" },
		{ "10.0.0.1:0-80", "not an ADDRESS" },
		{ "10.0.0.1:80-65536", "not an ADDRESS" },
		{ "10.0.0.1:80-81-82", "not an ADDRESS" },
		{ "10.0.0.0/:80", "not an ADDRESS" },
		{ "/24:80", "not an ADDRESS" },
		{ "::/0:80", "not an ADDRESS" },
		{ "[fd00::/64]:80", "not an ADDRESS" },
		{ "localhost:80", "not an ADDRESS" },
		{ "10.0.0.0/33:80", "'/33' is no number of bits up to 32" },
		{ "10.0.0.0/x:80", "'/x' is no number of bits up to 32" },
		{ "[fd00::]/129:80", "'/129' is no number of bits up to 128" },
		{ "10.0.0.1/24:80", "bits behind its prefix: 10.0.0.0/24 is meant?" },
		{ "10.0.0.1/0:80", "0.0.0.0/0 is meant?" },
		{ "[fd00::1]/64:80", "fd00::/64 is meant?" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct addr_range range;
		struct err err = { 0 };
		int rc = addr_range_parse(str_from_c(cases[i].text), &range, &err);

		if (rc != -EINVAL || !strstr(err.text, cases[i].why))
			fail_msg("'%s': got %d, '%s'", cases[i].text, rc, err.text);
	}
}

static void test_covers(void **state)
{
	static const struct {
		const char *range, *addr;
		bool is_covered;
	} cases[] = {
		{ "10.0.0.0/24:80-90", "10.0.0.0:80", true },
		{ "10.0.0.0/24:80-90", "10.0.0.255:90", true },
		{ "10.0.0.0/24:80-90", "10.0.1.0:80", false },
		{ "10.0.0.0/24:80-90", "10.0.0.1:79", false },
		{ "10.0.0.0/24:80-90", "10.0.0.1:91", false },
		{ "0.0.0.0:80-90", "203.0.113.1:85", true },
		{ "0.0.0.0:80-90", "[2001:db8::1]:85", false },
		{ "[::]:80-90", "[2001:db8::1]:85", true },
		{ "[::]:80-90", "203.0.113.1:85", false },
		{ "10.0.0.1:80", "10.0.0.1:80", true },
		{ "10.0.0.1:80", "10.0.0.2:80", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct addr_range range = range_of(cases[i].range);
		struct addr_range addr = range_of(cases[i].addr);

		if (addr_range_covers(&range, &addr.first) != cases[i].is_covered)
			fail_msg("'%s' and '%s'", cases[i].range, cases[i].addr);
	}
}

static void test_takes_from(void **state)
{
	static const struct {
		const char *range, *addr;
		bool takes, takes_dual;
	} cases[] = {
		{ "10.0.0.0/24:80-90", "10.0.0.7:80", true, true },
		{ "10.0.0.0/24:80-90", "10.0.1.7:80", false, false },
		{ "10.0.0.0/24:80-90", "0.0.0.0:90", true, true },
		{ "10.0.0.0/24:80-90", "0.0.0.0:91", false, false },
		{ "10.0.0.0/24:80-90", "[::]:90", false, true },
		{ "10.0.0.0/24:80-90", "[::]:79", false, false },
		{ "0.0.0.0:80-90", "[::]:80", false, true },
		{ "0.0.0.0:80-90", "[::1]:80", false, false },
		{ "[fd00::]/64:80-90", "[::]:80", true, true },
		{ "[fd00::]/64:80-90", "0.0.0.0:80", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct addr_range range = range_of(cases[i].range);
		struct addr addr;

		assert_int_equal(addr_parse(str_from_c(cases[i].addr), &addr, NULL), 0);
		if (addr_range_takes_from(&range, &addr, false) != cases[i].takes ||
		    addr_range_takes_from(&range, &addr, true) != cases[i].takes_dual)
			fail_msg("'%s' and '%s'", cases[i].range, cases[i].addr);
	}
}

static void test_clashes(void **state)
{
	static const struct {
		const char *a, *b;
		bool clashes;
	} cases[] = {
		{ "10.0.0.0/24:80", "10.0.0.0/24:80", true },
		{ "10.0.0.0/24:80-90", "10.0.0.0/24:90-99", true },
		{ "10.0.0.0/24:80-90", "10.0.0.0/24:91-99", false },
		{ "10.0.0.0/24:80", "10.0.0.0/25:80", false },
		{ "10.0.0.0/24:80", "10.0.1.0/24:80", false },
		{ "0.0.0.0:80", "0.0.0.0:1-1000", true },
		{ "0.0.0.0:80", "[::]:80", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct addr_range a = range_of(cases[i].a), b = range_of(cases[i].b);

		if (addr_range_clashes(&a, &b) != cases[i].clashes ||
		    addr_range_clashes(&b, &a) != cases[i].clashes)
			fail_msg("'%s' and '%s'", cases[i].a, cases[i].b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_covers),  cmocka_unit_test(test_takes_from),
		cmocka_unit_test(test_clashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
