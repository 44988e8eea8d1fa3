// SPDX-License-Identifier: Apache-2.0
/* Lists of sources as a segment: what is on them, and that broken ones are refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "image/sources.h"

enum { PREFIXES_MAX = 8 };

static struct addr ip_of(const char *text)
{
	struct addr addr = { .port = 0 };

	assert_int_equal(addr_parse_ip(str_from_c(text), &addr), 0);
	return addr;
}

static void add(struct sources_writer *writer, const char *text)
{
	struct prefix prefix;

	assert_int_equal(prefix_parse(str_from_c(text), &prefix), 0);
	sources_writer_add(writer, &prefix);
}

static struct sources finish(struct sources_writer *writer)
{
	struct sources sources;
	struct err err = { 0 };
	struct str bytes;

	assert_int_equal(sources_writer_finish(writer, &bytes, &err), 0);
	if (sources_open(bytes, &sources, &err))
		fail_msg("%s", err.text);
	return sources;
}

static const struct {
	const char *name;
	const char *prefixes[PREFIXES_MAX];
	const char *ip;
	bool is_on;
} cases[] = {
	{ "first of a network", { "10.0.0.0/8" }, "10.0.0.0", true },
	{ "last of it", { "10.0.0.0/8" }, "10.255.255.255", true },
	{ "before it", { "10.0.0.0/8" }, "9.255.255.255", false },
	{ "behind it", { "10.0.0.0/8" }, "11.0.0.0", false },
	{ "one in another", { "10.1.0.0/16", "10.0.0.0/8" }, "10.200.0.1", true },
	{ "behind the inner one", { "10.0.0.0/8", "10.1.0.0/16" }, "10.2.0.0", true },
	{ "neighbours", { "10.1.0.0/16", "10.0.0.0/16" }, "10.1.255.255", true },
	{ "between two", { "10.2.0.0/16", "10.0.0.0/16" }, "10.1.0.1", false },
	{ "everybody of IPv4", { "0.0.0.0/0", "10.0.0.0/8" }, "255.255.255.255", true },
	{ "IPv6 is not IPv4", { "0.0.0.0/0" }, "2001:db8::1", false },
	{ "everybody of IPv6", { "::/0" }, "2001:db8::1", true },
	{ "IPv4 is not IPv6", { "::/0" }, "192.0.2.1", false },
	{ "however wide it is", { "::/64" }, "192.0.2.1", false },
	{ "everybody of both", { "::/0", "0.0.0.0/0" }, "192.0.2.1", true },
	{ "first of an IPv6 network", { "2001:db8::/32" }, "2001:db8::", true },
	{ "last of it", { "2001:db8::/32" }, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true },
	{ "behind it", { "2001:db8::/32" }, "2001:db9::", false },
	{ "one address", { "fd00::1" }, "fd00::1", true },
	{ "its neighbour", { "fd00::1" }, "fd00::2", false },
	{ "IPv6 within IPv6", { "fd00::/8", "fd00:1::/32" }, "fd00:2::1", true },
	{ "an empty list", { NULL }, "192.0.2.1", false },
};

static void test_who_is_on_a_list(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sources_writer *writer = sources_writer_new(1);
		struct addr ip = ip_of(cases[i].ip);
		struct sources sources;

		sources_writer_begin(writer, NULL);
		for (int n = 0; n < PREFIXES_MAX && cases[i].prefixes[n]; n++)
			add(writer, cases[i].prefixes[n]);
		sources = finish(writer);
		if (sources_has(&sources, sources_deny(&sources), ip.ip) != cases[i].is_on)
			fail_msg("%s: got %d", cases[i].name, !cases[i].is_on);
		sources_writer_free(writer);
	}
}

static void test_each_listener_has_its_own(void **state)
{
	struct sources_writer *writer = sources_writer_new(7);
	struct addr http = ip_of("0.0.0.0"), https = http, other = ip_of("::");
	struct addr office = ip_of("10.0.0.1"), home = ip_of("192.0.2.1");
	const struct sources_list *list;
	struct sources sources;

	(void)state;
	http.port = other.port = 80;
	https.port = 443;
	sources_writer_begin(writer, &http);
	add(writer, "10.0.0.0/8");
	sources_writer_begin(writer, &https);
	add(writer, "192.0.2.0/24");
	sources = finish(writer);
	assert_int_equal(sources.generation, 7);
	assert_null(sources_deny(&sources));
	list = sources_allow(&sources, &http);
	assert_non_null(list);
	assert_true(sources_has(&sources, list, office.ip));
	assert_false(sources_has(&sources, list, home.ip));
	list = sources_allow(&sources, &https);
	assert_false(sources_has(&sources, list, office.ip));
	assert_true(sources_has(&sources, list, home.ip));
	assert_null(sources_allow(&sources, &other));
	sources_writer_free(writer);
}

/* The ranges say what the networks say, one by one. */
static void test_ranges_mean_the_networks(void **state)
{
	enum { COUNT = 200, ASKED = 2000 };
	struct sources_writer *writer = sources_writer_new(1);
	struct prefix prefixes[COUNT];
	struct sources sources;
	struct random random;

	(void)state;
	random_init(&random, 11);
	sources_writer_begin(writer, NULL);
	for (int i = 0; i < COUNT; i++) {
		bool is_v4 = random_below(&random, 2) == 0;
		struct addr ip = ip_of(is_v4 ? "10.0.0.0" : "fd00::");

		ip.ip[14] = (uint8_t)random_next(&random);
		ip.ip[15] = (uint8_t)random_next(&random);
		prefixes[i] = prefix_of(ip.ip, 115 + random_below(&random, 14));
		sources_writer_add(writer, &prefixes[i]);
	}
	sources = finish(writer);
	for (int i = 0; i < ASKED; i++) {
		struct addr ip = ip_of(random_below(&random, 2) ? "10.0.0.0" : "fd00::");
		bool is_on = false;

		ip.ip[14] = (uint8_t)random_next(&random);
		ip.ip[15] = (uint8_t)random_next(&random);
		for (int n = 0; n < COUNT; n++)
			is_on |= prefix_covers(&prefixes[n], ip.ip);
		assert_int_equal(sources_has(&sources, sources_deny(&sources), ip.ip), is_on);
	}
	sources_writer_free(writer);
}

/* Whatever is taken can be asked; the verifier alone keeps the reader within the bytes. */
static void test_broken_bytes(void **state)
{
	struct sources_writer *writer = sources_writer_new(1);
	struct addr listener = ip_of("0.0.0.0"), ip = ip_of("10.3.0.1");
	struct str bytes;
	char *copy;

	(void)state;
	sources_writer_begin(writer, NULL);
	add(writer, "10.0.0.0/16");
	add(writer, "10.3.0.0/16");
	add(writer, "fd00::/16");
	sources_writer_begin(writer, &listener);
	add(writer, "fd01::/16");
	assert_int_equal(sources_writer_finish(writer, &bytes, NULL), 0);
	copy = mem_new(bytes.len, 1);
	memcpy(copy, bytes.at, bytes.len);
	for (size_t i = 0; i < bytes.len * 8; i++) {
		struct sources sources;

		copy[i / 8] ^= (char)(1 << i % 8);
		if (sources_open(str_of(copy, bytes.len), &sources, NULL) == 0)
			for (uint32_t n = 0; n < sources.list_count; n++)
				sources_has(&sources, &sources.lists[n], ip.ip);
		copy[i / 8] ^= (char)(1 << i % 8);
	}
	for (size_t len = 0; len < bytes.len; len++) {
		struct sources sources;

		assert_int_equal(sources_open(str_of(copy, len), &sources, NULL), -EINVAL);
	}
	mem_free(copy);
	sources_writer_free(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_on_a_list),
		cmocka_unit_test(test_each_listener_has_its_own),
		cmocka_unit_test(test_ranges_mean_the_networks),
		cmocka_unit_test(test_broken_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
