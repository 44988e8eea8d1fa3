// SPDX-License-Identifier: Apache-2.0
/* Lists of sources: what a file may say, what of it is left out and how that is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/source_list.h"

enum { TEXT_BYTES = 256 };

struct fixture {
	char path[64];
	struct source_list list;
	struct err err;
};

static void rewrite(const struct fixture *fixture, const char *text)
{
	FILE *file = fopen(fixture->path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static int begin(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fd;

	snprintf(fixture->path, sizeof(fixture->path), "/tmp/source-list-XXXXXX");
	fd = mkstemp(fixture->path);
	close(fd);
	*state = fixture;
	return fd < 0;
}

static int finish(void **state)
{
	struct fixture *fixture = *state;

	source_list_release(&fixture->list);
	unlink(fixture->path);
	free(fixture);
	return 0;
}

static int read_with(struct fixture *fixture, const char *network)
{
	struct str sources[] = { str_from_c(fixture->path), str_from_c(network) };

	source_list_release(&fixture->list);
	return source_list_read(&fixture->list, sources, network ? 2 : 1, &fixture->err);
}

static const char *found(const struct fixture *fixture, const char *ip, char text[TEXT_BYTES])
{
	const struct source_entry *entry;
	struct addr addr;

	assert_int_equal(addr_parse_ip(str_from_c(ip), &addr), 0);
	entry = source_list_find(&fixture->list, addr.ip);
	return entry ? source_list_format(&fixture->list, entry, text, TEXT_BYTES) : NULL;
}

static void test_networks_comments_and_empty_lines(void **state)
{
	struct fixture *fixture = *state;
	char text[TEXT_BYTES], expected[TEXT_BYTES];

	rewrite(fixture, "# who is not wanted\n\n10.0.0.0/8   # all of it\n\t10.1.0.0/16\r\n"
			 "2001:db8::/32\n192.0.2.7");
	assert_int_equal(read_with(fixture, "198.51.100.0/24"), 0);
	assert_int_equal(fixture->list.entries.len, 5);
	assert_int_equal(fixture->list.refused_count, 0);
	snprintf(expected, sizeof(expected), "10.0.0.0/8, %s:3", fixture->path);
	assert_string_equal(found(fixture, "10.2.0.1", text), expected);
	/* The narrowest one is named. */
	snprintf(expected, sizeof(expected), "10.1.0.0/16, %s:4", fixture->path);
	assert_string_equal(found(fixture, "10.1.0.1", text), expected);
	snprintf(expected, sizeof(expected), "192.0.2.7, %s:6", fixture->path);
	assert_string_equal(found(fixture, "192.0.2.7", text), expected);
	assert_string_equal(found(fixture, "198.51.100.9", text), "198.51.100.0/24");
	assert_non_null(found(fixture, "2001:db8:1::1", text));
	assert_null(found(fixture, "192.0.2.8", text));
	assert_null(found(fixture, "fd00::1", text));
}

static void test_a_network_is_of_one_family(void **state)
{
	struct fixture *fixture = *state;
	char text[TEXT_BYTES];

	rewrite(fixture, "::/0\n::/80\n");
	assert_int_equal(read_with(fixture, "0.0.0.0/1"), 0);
	assert_non_null(found(fixture, "2001:db8::1", text));
	assert_non_null(found(fixture, "::1", text));
	assert_string_equal(found(fixture, "10.0.0.1", text), "0.0.0.0/1");
	assert_null(found(fixture, "192.0.2.1", text));
}

static void test_a_bad_line_is_left_out_alone(void **state)
{
	struct fixture *fixture = *state;
	char expected[TEXT_BYTES], text[TEXT_BYTES];

	rewrite(fixture, "10.0.0.0/8\n10.0.0.0/33\nlocalhost\n192.0.2.0/24\n");
	assert_int_equal(read_with(fixture, NULL), 0);
	assert_int_equal(fixture->list.entries.len, 2);
	assert_int_equal(fixture->list.refused_count, 2);
	assert_int_equal(fixture->list.complaints.len, 2);
	snprintf(expected, sizeof(expected),
		 "%s:2: '10.0.0.0/33' is no network such as 10.0.0.0/8; the line is left out",
		 fixture->path);
	assert_true(str_eq_c(fixture->list.complaints.at[0], expected));
	assert_non_null(found(fixture, "192.0.2.1", text));
}

static void test_many_bad_lines_are_counted(void **state)
{
	struct fixture *fixture = *state;
	char text[512] = "";

	for (int i = 0; i < 50; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "bad\n");
	rewrite(fixture, text);
	assert_int_equal(read_with(fixture, NULL), 0);
	assert_int_equal(fixture->list.refused_count, 50);
	assert_int_equal(fixture->list.complaints.len, SOURCE_LIST_COMPLAINTS_MAX);
}

static void test_the_same_network_twice_is_one(void **state)
{
	struct fixture *fixture = *state;
	char text[TEXT_BYTES], expected[TEXT_BYTES];

	rewrite(fixture, "10.1.0.0/16\n10.1.2.3/16\n");
	assert_int_equal(read_with(fixture, NULL), 0);
	assert_int_equal(fixture->list.entries.len, 1);
	snprintf(expected, sizeof(expected), "10.1.0.0/16, %s:1", fixture->path);
	assert_string_equal(found(fixture, "10.1.9.9", text), expected);
}

static void test_a_file_that_is_not_there(void **state)
{
	struct fixture *fixture = *state;

	unlink(fixture->path);
	assert_int_equal(read_with(fixture, NULL), -ENOENT);
	assert_non_null(strstr(fixture->err.text, "cannot read '/tmp/source-list-"));
}

static void test_a_changed_file_is_seen(void **state)
{
	struct fixture *fixture = *state;

	rewrite(fixture, "10.0.0.0/8\n");
	assert_int_equal(read_with(fixture, NULL), 0);
	assert_false(source_list_is_outdated(&fixture->list));
	rewrite(fixture, "10.0.0.0/8\n192.0.2.0/24\n");
	assert_true(source_list_is_outdated(&fixture->list));
	unlink(fixture->path);
	assert_true(source_list_is_outdated(&fixture->list));
}

/* As many as a map has room for, every one of them found. */
static void test_a_hundred_thousand_networks(void **state)
{
	enum { COUNT = 100000 };
	struct fixture *fixture = *state;
	FILE *file = fopen(fixture->path, "w");

	assert_non_null(file);
	for (uint32_t i = 0; i < COUNT; i++)
		fprintf(file, "10.%u.%u.%u/31\n", i >> 15, i >> 7 & 255, (i & 127) << 1);
	fclose(file);
	assert_int_equal(read_with(fixture, NULL), 0);
	assert_int_equal(fixture->list.entries.len, COUNT);
	for (uint32_t i = 0; i < COUNT; i += 997) {
		char ip[ADDR_TEXT_MAX], text[TEXT_BYTES];

		snprintf(ip, sizeof(ip), "10.%u.%u.%u", i >> 15, i >> 7 & 255, (i & 127) << 1 | 1);
		assert_non_null(found(fixture, ip, text));
	}
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_networks_comments_and_empty_lines),
		CASE(test_a_network_is_of_one_family),
		CASE(test_a_bad_line_is_left_out_alone),
		CASE(test_many_bad_lines_are_counted),
		CASE(test_the_same_network_twice_is_one),
		CASE(test_a_file_that_is_not_there),
		CASE(test_a_changed_file_is_seen),
		CASE(test_a_hundred_thousand_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
