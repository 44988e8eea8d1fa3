// SPDX-License-Identifier: Apache-2.0
/* Addresses: text, v4-mapped form, the kernel's form. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/addr.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *formatted; /* NULL: as written */
	} cases[] = {
		{ "10.0.0.1:80", 0, NULL },
		{ "0.0.0.0:0", 0, NULL },
		{ "255.255.255.255:65535", 0, NULL },
		{ "[::1]:80", 0, NULL },
		{ "[::]:443", 0, NULL },
		{ "[2001:DB8:0:0::1]:1", 0, "[2001:db8::1]:1" },
		{ "[::ffff:10.0.0.1]:80", 0, "10.0.0.1:80" },
		{ "10.0.0.1:080", 0, "10.0.0.1:80" },
		{ "", -EINVAL, NULL },
		{ ":80", -EINVAL, NULL },
		{ "10.0.0.1", -EINVAL, NULL },
		{ "10.0.0.1:", -EINVAL, NULL },
		{ "10.0.0.1:65536", -EINVAL, NULL },
		{ "10.0.0.1:-1", -EINVAL, NULL },
		{ "10.0.0.1:http", -EINVAL, NULL },
		{ "10.0.0:80", -EINVAL, NULL },
		{ "10.0.0.256:80", -EINVAL, NULL },
		{ "10.0.0.1 :80", -EINVAL, NULL },
		{ "::1:80", -EINVAL, NULL },
		{ "::1", -EINVAL, NULL },
		{ "[::1]", -EINVAL, NULL },
		{ "[::1:80", -EINVAL, NULL },
		{ "[]:80", -EINVAL, NULL },
		{ "[::g]:80", -EINVAL, NULL },
		{ "localhost:80", -EINVAL, NULL },
		{ "[2001:0db8:0000:0000:0000:0000:0000:0000:0001:0001]:80", -EINVAL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *wanted = cases[i].formatted ? cases[i].formatted : cases[i].text;
		char text[ADDR_TEXT_MAX];
		struct addr addr;
		struct err err;
		int rc = addr_parse(str_from_c(cases[i].text), &addr, &err);

		if (rc != cases[i].rc)
			fail_msg("'%s': got %d", cases[i].text, rc);
		if (rc == 0)
			assert_string_equal(addr_format(&addr, text), wanted);
		else
			assert_non_null(strstr(err.text, "not an ADDRESS:PORT"));
	}
}

static void test_parse_ip(void **state)
{
	struct addr addr = { .port = 7 };
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_int_equal(addr_parse_ip(STR("10.0.0.1"), &addr), 0);
	assert_int_equal(addr.port, 7);
	assert_true(addr_is_v4(&addr));
	assert_string_equal(addr_format_ip(&addr, text), "10.0.0.1");
	assert_int_equal(addr_parse_ip(STR("[2001:db8::1]"), &addr), 0);
	assert_false(addr_is_v4(&addr));
	assert_string_equal(addr_format_ip(&addr, text), "2001:db8::1");
	assert_int_equal(addr_parse_ip(STR("10.0.0.1\0x"), &addr), -EINVAL);
	assert_int_equal(addr_parse_ip(STR(""), &addr), -EINVAL);
	assert_int_equal(addr_parse_ip(STR("[]"), &addr), -EINVAL);
	assert_int_equal(addr_parse_ip(STR("10.0.0.1:80"), &addr), -EINVAL);
}

static void test_eq(void **state)
{
	struct addr a, b;

	(void)state;
	assert_int_equal(addr_parse(STR("10.0.0.1:80"), &a, NULL), 0);
	assert_int_equal(addr_parse(STR("[::ffff:10.0.0.1]:80"), &b, NULL), 0);
	assert_true(addr_eq(&a, &b));
	b.port = 81;
	assert_false(addr_eq(&a, &b));
	b.port = 80;
	b.ip[15]++;
	assert_false(addr_eq(&a, &b));
}

static void test_sockaddr(void **state)
{
	static const char *const texts[] = { "10.1.2.3:80", "[2001:db8::1]:443" };
	struct sockaddr_storage sa;
	struct addr addr, back;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(addr_parse(str_from_c(texts[i]), &addr, NULL), 0);
		assert_int_equal(addr_to_sockaddr(&addr, &sa),
				 i ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
		assert_int_equal(sa.ss_family, i ? AF_INET6 : AF_INET);
		assert_int_equal(addr_from_sockaddr(&sa, &back), 0);
		assert_true(addr_eq(&addr, &back));
	}
	assert_int_equal(((const struct sockaddr_in6 *)&sa)->sin6_port, htons(443));
	sa.ss_family = AF_UNIX;
	assert_int_equal(addr_from_sockaddr(&sa, &back), -EAFNOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_ip),
		cmocka_unit_test(test_eq),
		cmocka_unit_test(test_sockaddr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
