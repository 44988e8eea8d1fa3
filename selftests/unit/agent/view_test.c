// SPDX-License-Identifier: Apache-2.0
/* One description, two forms: what people see is aligned, what programs get is JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/view.h"

static const struct view_column columns[] = {
	{ "host", VIEW_LEFT },
	{ "ready_count", VIEW_RIGHT },
	{ "names", VIEW_LEFT },
};

static void describe(struct view *view, size_t rows)
{
	const struct str names[] = { STR_INIT("a"), STR_INIT("b") };

	view_text_c(view, "version", "1.0");
	view_u64(view, "image_generation", 7);
	view_bool(view, "ready", true);
	view_double(view, "took", 1.25, "ms");
	view_table_begin(view, "virtual_hosts", columns, 3);
	for (size_t i = 0; i < rows; i++) {
		view_cell_c(view, i ? "b" : "shop.example.com");
		view_cell_u64(view, i ? 12345678901234u : 3);
		if (i)
			view_cell_none(view);
		else
			view_cell_list(view, names, 2);
	}
	view_table_end(view);
}

static void check(bool is_json, size_t rows, const char *expected)
{
	struct view view;
	struct buf out;

	buf_init(&out, 0);
	view_begin(&view, &out, is_json);
	describe(&view, rows);
	view_end(&view);
	buf_add_char(&out, '\0');
	assert_string_equal(out.at, expected);
	buf_release(&out);
}

static void test_text(void **state)
{
	(void)state;
	check(false, 2,
	      "version           1.0\n"
	      "image generation  7\n"
	      "ready             yes\n"
	      "took              1.2 ms\n"
	      "\n"
	      "HOST                 READY COUNT  NAMES\n"
	      "shop.example.com               3  a, b\n"
	      "b                 12345678901234  -\n");
}

static void test_json(void **state)
{
	(void)state;
	check(true, 2,
	      "{\"version\":\"1.0\",\"image_generation\":7,\"ready\":true,\"took\":1.25,"
	      "\"virtual_hosts\":[{\"host\":\"shop.example.com\",\"ready_count\":3,"
	      "\"names\":[\"a\",\"b\"]},"
	      "{\"host\":\"b\",\"ready_count\":12345678901234,\"names\":null}]}\n");
}

static void test_a_table_without_rows(void **state)
{
	struct view view;
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	view_begin(&view, &out, false);
	view_table_begin(&view, "virtual_hosts", columns, 3);
	view_table_end(&view);
	view_end(&view);
	buf_add_char(&out, '\0');
	assert_string_equal(out.at, "no virtual hosts\n");
	buf_release(&out);
}

static void test_control_bytes_do_not_reach_the_terminal(void **state)
{
	struct view view;
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	view_begin(&view, &out, false);
	view_text(&view, "path", STR("/\x1b[2J\n"));
	view_end(&view);
	buf_add_char(&out, '\0');
	assert_string_equal(out.at, "path  /\\x1b[2J\\x0a\n");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_a_table_without_rows),
		cmocka_unit_test(test_control_bytes_do_not_reach_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
