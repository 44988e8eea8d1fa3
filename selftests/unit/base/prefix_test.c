// SPDX-License-Identifier: Apache-2.0
/* Prefixes: how they are written, what they cover, their order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prefix.h"

static const struct {
	const char *name, *text, *shown;
	uint32_t bits;
} readings[] = {
	{ "IPv4", "10.0.0.0/8", "10.0.0.0/8", 104 },
	{ "bits behind it", "10.1.2.3/8", "10.0.0.0/8", 104 },
	{ "in the middle of a byte", "192.168.255.255/17", "192.168.128.0/17", 113 },
	{ "all of IPv4", "1.2.3.4/0", "0.0.0.0/0", 96 },
	{ "one IPv4 address", "192.0.2.1", "192.0.2.1", 128 },
	{ "IPv6", "2001:db8:ffff::1/33", "2001:db8:8000::/33", 33 },
	{ "all of IPv6", "::/0", "::/0", 0 },
	{ "one IPv6 address", "fd00::1", "fd00::1", 128 },
};

static void test_reading(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		char shown[PREFIX_TEXT_MAX];
		struct prefix prefix;
		int rc = prefix_parse(str_from_c(readings[i].text), &prefix);

		if (rc)
			fail_msg("%s: got %d, expected 0", readings[i].name, rc);
		prefix_format(&prefix, shown);
		if (prefix.bits != readings[i].bits || strcmp(shown, readings[i].shown) != 0)
			fail_msg("%s: got '%s' of %u bits, expected '%s' of %u", readings[i].name,
				 shown, prefix.bits, readings[i].shown, readings[i].bits);
	}
}

static void test_refusals(void **state)
{
	static const char *const texts[] = {
		"",       "10.0.0.0/",    "10.0.0.0/33", "::/129",
		"10.0.0", "10.0.0.0/8/8", "web",         "10.0.0.0/-1"
	};
	struct prefix prefix;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (prefix_parse(str_from_c(texts[i]), &prefix) != -EINVAL)
			fail_msg("'%s' was taken", texts[i]);
}

static const struct {
	const char *name, *prefix, *ip;
	bool covers;
} coverings[] = {
	{ "first of it", "10.0.0.0/8", "10.0.0.0", true },
	{ "last of it", "10.0.0.0/8", "10.255.255.255", true },
	{ "before it", "10.0.0.0/8", "9.255.255.255", false },
	{ "behind it", "10.128.0.0/9", "10.127.255.255", false },
	{ "all of IPv4 is not IPv6", "0.0.0.0/0", "2001:db8::1", false },
	{ "all of IPv6 has IPv4 in it", "::/0", "192.0.2.1", true },
	{ "one address", "fd00::1", "fd00::1", true },
	{ "its neighbour", "fd00::1", "fd00::2", false },
};

static void test_what_is_covered(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(coverings) / sizeof(coverings[0]); i++) {
		struct prefix prefix;
		struct addr addr;

		assert_int_equal(prefix_parse(str_from_c(coverings[i].prefix), &prefix), 0);
		assert_int_equal(addr_parse_ip(str_from_c(coverings[i].ip), &addr), 0);
		if (prefix_covers(&prefix, addr.ip) != coverings[i].covers)
			fail_msg("%s: got %d", coverings[i].name, !coverings[i].covers);
	}
}

static void test_order(void **state)
{
	static const char *const sorted[] = { "::/0",       "0.0.0.0/0",    "10.0.0.0/8",
					      "10.0.0.0/9", "10.128.0.0/9", "fd00::/8" };
	struct prefix a, b;

	(void)state;
	for (size_t i = 1; i < sizeof(sorted) / sizeof(sorted[0]); i++) {
		assert_int_equal(prefix_parse(str_from_c(sorted[i - 1]), &a), 0);
		assert_int_equal(prefix_parse(str_from_c(sorted[i]), &b), 0);
		if (prefix_compare(&a, &b) >= 0 || prefix_compare(&b, &a) <= 0 ||
		    prefix_compare(&a, &a) != 0)
			fail_msg("'%s' is not before '%s'", sorted[i - 1], sorted[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_what_is_covered),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
