// SPDX-License-Identifier: Apache-2.0
/*
 * Building heads: numbers, lines, kept runs, and what does not fit.
 */
#include "h1_case.h"

#include "wire/h1_write.h"

static struct str written(const struct h1_out *out)
{
	return str_of(out->at, out->len);
}

static void expect_written(const struct h1_out *out, const char *expected)
{
	if (!str_eq_c(written(out), expected))
		fail_msg("'%.*s', expected '%s'", STR_ARG(written(out)), expected);
}

static void test_lines(void **state)
{
	struct h1_out out;
	char room[256];

	(void)state;
	h1_out_init(&out, room, sizeof(room));
	h1_add_status_line(&out, 404);
	h1_add_field(&out, STR("Server"), STR("sluice"));
	h1_add_field_u64(&out, STR("Content-Length"), 12345678901234567890ull);
	h1_add_end(&out);
	assert_false(out.is_cut);
	expect_written(&out, "HTTP/1.1 404 Not Found\r\nServer: sluice\r\n"
			     "Content-Length: 12345678901234567890\r\n\r\n");
}

static void test_status_lines(void **state)
{
	static const struct {
		unsigned status;
		const char *line;
	} cases[] = {
		{ 100, "HTTP/1.1 100 Continue\r\n" },
		{ 200, "HTTP/1.1 200 OK\r\n" },
		{ 308, "HTTP/1.1 308 Permanent Redirect\r\n" },
		{ 421, "HTTP/1.1 421 Misdirected Request\r\n" },
		{ 503, "HTTP/1.1 503 Service Unavailable\r\n" },
		{ 511, "HTTP/1.1 511 Network Authentication Required\r\n" },
		{ 299, "HTTP/1.1 299 \r\n" },
		{ 599, "HTTP/1.1 599 \r\n" },
	};
	struct h1_out out;
	char room[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		h1_out_init(&out, room, sizeof(room));
		h1_add_status_line(&out, cases[i].status);
		expect_written(&out, cases[i].line);
	}
	h1_out_init(&out, room, sizeof(room));
	h1_add_status_line_as(&out, 200, STR("Fine"));
	expect_written(&out, "HTTP/1.1 200 Fine\r\n");
}

static void test_numbers(void **state)
{
	struct h1_out out;
	char room[128];

	(void)state;
	h1_out_init(&out, room, sizeof(room));
	h1_add_u64(&out, 0);
	h1_add(&out, STR(" "));
	h1_add_u64(&out, UINT64_MAX);
	h1_add(&out, STR(" "));
	h1_add_hex(&out, 0);
	h1_add(&out, STR(" "));
	h1_add_hex(&out, 0x4000);
	h1_add(&out, STR(" "));
	h1_add_hex(&out, UINT64_MAX);
	expect_written(&out, "0 18446744073709551615 0 4000 ffffffffffffffff");
}

static void test_cut(void **state)
{
	struct h1_out out;
	char room[8];

	(void)state;
	h1_out_init(&out, room, 4);
	h1_add(&out, STR("abc"));
	assert_false(out.is_cut);
	h1_add(&out, STR("de"));
	assert_true(out.is_cut);
	h1_add(&out, STR("f")); /* would fit, but there is a gap before it */
	assert_int_equal(out.len, 3);
	h1_out_init(&out, room, 0);
	h1_add(&out, str_of(NULL, 0));
	assert_false(out.is_cut);
	h1_add_end(&out);
	assert_true(out.is_cut);
}

/* ---- kept runs ---------------------------------------------------------------------------- */

/* Every subset of five fields against what a line by line copy gives. */
static void test_every_subset(void **state)
{
	static const char *const lines[] = { "Host: a\r\n", "B:1\r\n", "Connection: x_y\r\n",
					     "x_y:  3 \t\r\n", "Last:\r\n" };
	static struct h1_request request;
	char head[128];
	struct h1_out in, out, expected;
	char room[128], expected_room[128];

	(void)state;
	h1_out_init(&in, head, sizeof(head));
	h1_add(&in, STR("GET / HTTP/1.1\r\n"));
	for (size_t i = 0; i < 5; i++)
		h1_add(&in, str_from_c(lines[i]));
	h1_add_end(&in);
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	assert_int_equal(h1_request_parse(&request, written(&in)), H1_DONE);
	for (unsigned set = 0; set < 1u << 5; set++) {
		struct h1_fields dropped = { .bits = { set } };

		h1_out_init(&out, room, sizeof(room));
		h1_out_init(&expected, expected_room, sizeof(expected_room));
		h1_add_kept_fields(&out, &request.head, &dropped);
		for (size_t i = 0; i < 5; i++) {
			if (!(set & 1u << i))
				h1_add(&expected, str_from_c(lines[i]));
		}
		if (!str_eq(written(&out), written(&expected)))
			fail_msg("set %x: '%.*s'", set, STR_ARG(written(&out)));
	}
}

static void test_select(void **state)
{
	static struct h1_request request;
	struct str bytes = STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: b\r\nb: 1\r\nx_y: 2\r\n"
			       "Accept: 3\r\nKeep-Alive: 4\r\n\r\n");
	struct h1_fields dropped = { 0 };

	(void)state;
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	assert_int_equal(h1_request_parse(&request, bytes), H1_DONE);
	h1_fields_select(&dropped, &request.head, HEADER_BIT(HEADER_HOST),
			 H1_FIELD_HOP | H1_FIELD_NAMED);
	assert_int_equal(dropped.bits[0], 0x27); /* Host, Connection, b, Keep-Alive */
	h1_fields_select(&dropped, &request.head, 0, H1_FIELD_UNDERSCORE);
	assert_int_equal(dropped.bits[0], 0x2f);
	h1_fields_add(&dropped, 100);
	assert_true(h1_fields_has(&dropped, 100));
	assert_false(h1_fields_has(&dropped, 101));
}

static void test_many_fields(void **state)
{
	static struct h1_request request;
	static char head[4096], room[4096];
	struct h1_fields dropped = { 0 };
	struct h1_out in, out;

	(void)state;
	h1_out_init(&in, head, sizeof(head));
	h1_add(&in, STR("GET / HTTP/1.1\r\nHost: a\r\n"));
	for (uint64_t i = 1; i < H1_FIELDS_MAX; i++)
		h1_add_field_u64(&in, STR("n"), i);
	h1_add_end(&in);
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	assert_int_equal(h1_request_parse(&request, written(&in)), H1_DONE);
	for (size_t i = 0; i < H1_FIELDS_MAX; i++) {
		if (i != 70 && i != 127)
			h1_fields_add(&dropped, i);
	}
	h1_out_init(&out, room, sizeof(room));
	h1_add_kept_fields(&out, &request.head, &dropped);
	expect_written(&out, "n: 70\r\nn: 127\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),        cmocka_unit_test(test_status_lines),
		cmocka_unit_test(test_numbers),      cmocka_unit_test(test_cut),
		cmocka_unit_test(test_every_subset), cmocka_unit_test(test_select),
		cmocka_unit_test(test_many_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
