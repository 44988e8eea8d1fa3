// SPDX-License-Identifier: Apache-2.0
/*
 * The small tables and readers: header names, byte classes, hosts, dates.
 */
#include "h1_case.h"

#include <ctype.h>
#include <time.h>

#include "wire/authority.h"
#include "wire/date.h"
#include "wire/scan.h"

/* ---- header_names ------------------------------------------------------------------------- */

static void test_every_name_is_found(void **state)
{
	(void)state;
	for (int id = HEADER_OTHER + 1; id < HEADER_COUNT; id++) {
		struct str name = header_name((enum header_id)id);
		char other[64];

		assert_true(name.len > 0);
		if (header_id_of(name) != (enum header_id)id)
			fail_msg("'%.*s' is not found", STR_ARG(name));
		for (size_t i = 0; i < name.len; i++)
			other[i] = (char)toupper(name.at[i]);
		assert_int_equal(header_id_of(str_of(other, name.len)), id);
		/* One byte changed, at each place: it is another name. */
		for (size_t i = 0; i < name.len; i++) {
			memcpy(other, name.at, name.len);
			other[i] = '~';
			assert_int_equal(header_id_of(str_of(other, name.len)), HEADER_OTHER);
		}
		assert_int_equal(header_id_of(str_of(name.at, name.len - 1)), HEADER_OTHER);
	}
}

static void test_names_are_sorted_and_lower(void **state)
{
	(void)state;
	for (int id = HEADER_OTHER + 1; id < HEADER_COUNT; id++) {
		struct str name = header_name((enum header_id)id);

		if (id > 1 && header_name((enum header_id)(id - 1)).len > name.len)
			fail_msg("'%.*s' stands at the wrong place", STR_ARG(name));
		for (size_t i = 0; i < name.len; i++)
			assert_true(islower(name.at[i]) || isdigit(name.at[i]) ||
				    name.at[i] == '-');
	}
}

static void test_unknown_names(void **state)
{
	static const char *const names[] = { "",
					     "x",
					     "hos",
					     "hostt",
					     "content_length",
					     "strict-transport-securityx",
					     "x-0123456789" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(header_id_of(str_from_c(names[i])), HEADER_OTHER);
	assert_true(header_flags(HEADER_CONNECTION) & HEADER_FLAG_HOP);
	assert_true(header_flags(HEADER_HOST) & HEADER_FLAG_ONCE);
	assert_int_equal(header_flags(HEADER_OTHER), 0);
}

/* ---- scan --------------------------------------------------------------------------------- */

/* Byte 0 to 255 at each of 40 places: blocks and rest agree with the table. */
static void expect_scan(const char *(*scan)(const char *, const char *), char filler,
			unsigned class)
{
	char bytes[40];

	for (unsigned value = 0; value < 256; value++) {
		for (size_t at = 0; at < sizeof(bytes); at++) {
			const char *stop;

			memset(bytes, filler, sizeof(bytes));
			bytes[at] = (char)value;
			stop = scan(bytes, bytes + sizeof(bytes));
			if (stop !=
			    (byte_is((char)value, class) ? bytes + sizeof(bytes) : bytes + at))
				fail_msg("class %u, byte %u at %zu: stopped at %zu", class, value,
					 at, (size_t)(stop - bytes));
		}
	}
}

static void test_scan(void **state)
{
	(void)state;
	expect_scan(scan_name, 'a', BYTE_NAME);
	expect_scan(scan_text, 'a', BYTE_TEXT);
	expect_scan(scan_path, 'a', BYTE_PATH);
	expect_scan(scan_target, 'a', BYTE_TARGET);
}

static bool is_in(int c, const char *set)
{
	return c && strchr(set, c);
}

static void test_classes(void **state)
{
	(void)state;
	for (int i = 0; i < 256; i++) {
		char c = (char)i;
		bool is_alnum = i < 128 && isalnum(i);
		bool is_visible = i > 0x20 && i < 0x7f;

		assert_int_equal(byte_is(c, BYTE_TOKEN), is_alnum || is_in(i, "!#$%&'*+-.^_`|~"));
		assert_int_equal(byte_is(c, BYTE_NAME), is_alnum || i == '-');
		assert_int_equal(byte_is(c, BYTE_TEXT),
				 is_visible || i == ' ' || i == '\t' || i >= 0x80);
		assert_int_equal(byte_is(c, BYTE_TARGET), is_visible && i != '#');
		assert_int_equal(byte_is(c, BYTE_PATH), is_visible && i != '#' && i != '?');
		assert_int_equal(byte_is(c, BYTE_HOST), is_alnum || is_in(i, "-._~"));
	}
}

/* ---- authority ---------------------------------------------------------------------------- */

static void test_authority(void **state)
{
	static const struct {
		const char *text;
		const char *host; /* NULL: refused */
		int port;         /* -1: none */
		bool is_ip6;
	} cases[] = {
		{ "a", "a", -1, false },
		{ "a.example:80", "a.example", 80, false },
		{ "A-b_c~1.example.:65535", "A-b_c~1.example.", 65535, false },
		{ "a:", "a", -1, false },
		{ "a:00080", "a", 80, false },
		{ "10.0.0.1:8080", "10.0.0.1", 8080, false },
		{ "[::1]", "[::1]", -1, true },
		{ "[2001:db8::1]:443", "[2001:db8::1]", 443, true },
		{ "[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]", 1, true },
		{ "", NULL, 0, false },
		{ ":", NULL, 0, false },
		{ ":80", NULL, 0, false },
		{ ".", NULL, 0, false },
		{ ".a", NULL, 0, false },
		{ "a..b", NULL, 0, false },
		{ "a b", NULL, 0, false },
		{ "a@b", NULL, 0, false },
		{ "*.a", NULL, 0, false },
		{ "a:0", NULL, 0, false },
		{ "a:65536", NULL, 0, false },
		{ "a:99999999999999999999", NULL, 0, false },
		{ "a: 80", NULL, 0, false },
		{ "[]", NULL, 0, false },
		{ "[", NULL, 0, false },
		{ "[::1", NULL, 0, false },
		{ "[::1]80", NULL, 0, false },
		{ "[::1]]", NULL, 0, false },
		{ "[[::1]]", NULL, 0, false },
		{ "[:::1]", NULL, 0, false },
		{ "[fe80::1%1]", NULL, 0, false },
		{ "[1.2.3.4]", NULL, 0, false },
		{ "::1", NULL, 0, false },
	};
	struct authority authority;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int result = authority_parse(str_from_c(cases[i].text), &authority);

		if ((result == 0) != (cases[i].host != NULL))
			fail_msg("'%s': %d", cases[i].text, result);
		if (result)
			continue;
		assert_true(str_eq_c(authority.host, cases[i].host));
		assert_int_equal(authority.has_port, cases[i].port >= 0);
		assert_int_equal(authority.port, cases[i].port >= 0 ? cases[i].port : 0);
		assert_int_equal(authority.is_ip6, cases[i].is_ip6);
	}
}

static void test_host_length(void **state)
{
	char name[HOST_BYTES_MAX + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_true(host_name_is_valid(str_of(name, HOST_BYTES_MAX)));
	assert_false(host_name_is_valid(str_of(name, HOST_BYTES_MAX + 1)));
}

/* ---- date --------------------------------------------------------------------------------- */

static void expect_date(uint64_t unix_s)
{
	time_t seconds = (time_t)unix_s;
	struct tm tm;
	char expected[64], text[DATE_BYTES + 1] = { 0 };

	assert_non_null(gmtime_r(&seconds, &tm));
	assert_int_equal(strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &tm),
			 DATE_BYTES);
	date_write(unix_s, text);
	assert_string_equal(text, expected);
}

static void test_dates(void **state)
{
	char text[DATE_BYTES + 1] = { 0 };

	(void)state;
	date_write(784111777, text);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	date_write(UINT64_MAX, text);
	assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
	/* Every day of 400 years and some, at another second each. */
	for (uint64_t day = 0; day < 150000; day++)
		expect_date(day * 86400 + day % 86400);
	expect_date(253402300799);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_name_is_found),
		cmocka_unit_test(test_names_are_sorted_and_lower),
		cmocka_unit_test(test_unknown_names),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_authority),
		cmocka_unit_test(test_host_length),
		cmocka_unit_test(test_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
