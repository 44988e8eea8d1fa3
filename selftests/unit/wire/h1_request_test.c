// SPDX-License-Identifier: Apache-2.0
/*
 * Request heads that are good, and what the parser says about them.
 */
#include "h1_case.h"

#define HOST "Host: a.example\r\n"
#define GET  "GET / HTTP/1.1\r\n"

enum fact {
	KEEPS_ALIVE = 1 << 0,
	CONTINUE = 1 << 1,
	UPGRADE = 1 << 2,
	WEBSOCKET = 1 << 3,
	NO_HOST = 1 << 4,
};

struct good {
	const char *name;
	struct str bytes; /* the head; what stands behind it is added by the tests */
	enum h1_method method;
	enum h1_target form;
	const char *path;
	const char *query; /* NULL: none */
	const char *authority;
	const char *host;
	int port; /* -1: none */
	enum h1_body body;
	uint64_t length;
	int facts;
};

/* Most rows are about one thing: these are the facts of a plain GET. */
#define PLAIN                                                                                      \
	.method = H1_METHOD_GET, .path = "/", .authority = "a.example", .host = "a.example",       \
	.port = -1, .facts = KEEPS_ALIVE

#define HEAD(literal) .bytes = STR_INIT(literal)

#pragma GCC diagnostic ignored "-Woverride-init"

static const struct good cases[] = {
	{ .name = "plain", PLAIN, HEAD(GET HOST "\r\n") },
	{ .name = "one empty line first", PLAIN, HEAD("\r\n" GET HOST "\r\n") },
	{ .name = "HEAD",
	  PLAIN,
	  HEAD("HEAD / HTTP/1.1\r\n" HOST "\r\n"),
	  .method = H1_METHOD_HEAD },
	{ .name = "POST",
	  PLAIN,
	  HEAD("POST / HTTP/1.1\r\n" HOST "\r\n"),
	  .method = H1_METHOD_POST },
	{ .name = "PUT", PLAIN, HEAD("PUT / HTTP/1.1\r\n" HOST "\r\n"), .method = H1_METHOD_PUT },
	{ .name = "DELETE",
	  PLAIN,
	  HEAD("DELETE / HTTP/1.1\r\n" HOST "\r\n"),
	  .method = H1_METHOD_DELETE },
	{ .name = "PATCH",
	  PLAIN,
	  HEAD("PATCH / HTTP/1.1\r\n" HOST "\r\n"),
	  .method = H1_METHOD_PATCH },
	{ .name = "TRACE",
	  PLAIN,
	  HEAD("TRACE / HTTP/1.1\r\n" HOST "\r\n"),
	  .method = H1_METHOD_TRACE },
	{ .name = "OPTIONS",
	  PLAIN,
	  HEAD("OPTIONS / HTTP/1.1\r\n" HOST "\r\n"),
	  .method = H1_METHOD_OPTIONS },
	{ .name = "OPTIONS *",
	  PLAIN,
	  HEAD("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
	  .method = H1_METHOD_OPTIONS,
	  .form = H1_TARGET_ASTERISK,
	  .path = "*" },
	{ .name = "methods have a case",
	  PLAIN,
	  HEAD("get / HTTP/1.1\r\n" HOST "\r\n"),
	  .method = H1_METHOD_OTHER },
	{ .name = "another method",
	  PLAIN,
	  HEAD("M-SEARCH / HTTP/1.1\r\n" HOST "\r\n"),
	  .method = H1_METHOD_OTHER },
	{ .name = "path",
	  PLAIN,
	  HEAD("GET /a/b;c=1/%2F/.. HTTP/1.1\r\n" HOST "\r\n"),
	  .path = "/a/b;c=1/%2F/.." },
	{ .name = "long path",
	  PLAIN,
	  HEAD("GET /0123456789abcdef0123456789abcdef?q HTTP/1.1\r\n" HOST "\r\n"),
	  .path = "/0123456789abcdef0123456789abcdef",
	  .query = "q" },
	{ .name = "two slashes", PLAIN, HEAD("GET //a HTTP/1.1\r\n" HOST "\r\n"), .path = "//a" },
	{ .name = "odd but visible bytes",
	  PLAIN,
	  HEAD("GET /\"<>\\^`{|}[]?\"<>\\^`{|} HTTP/1.1\r\n" HOST "\r\n"),
	  .path = "/\"<>\\^`{|}[]",
	  .query = "\"<>\\^`{|}" },
	{ .name = "query",
	  PLAIN,
	  HEAD("GET /a?b=c&d HTTP/1.1\r\n" HOST "\r\n"),
	  .path = "/a",
	  .query = "b=c&d" },
	{ .name = "empty query",
	  PLAIN,
	  HEAD("GET /a? HTTP/1.1\r\n" HOST "\r\n"),
	  .path = "/a",
	  .query = "" },
	{ .name = "two question marks",
	  PLAIN,
	  HEAD("GET /a?b?c HTTP/1.1\r\n" HOST "\r\n"),
	  .path = "/a",
	  .query = "b?c" },
	{ .name = "a URL in the query",
	  PLAIN,
	  HEAD("GET /?u=http://x/y HTTP/1.1\r\n" HOST "\r\n"),
	  .query = "u=http://x/y" },
	{ .name = "absolute",
	  PLAIN,
	  HEAD("GET http://b.example:81/x?y HTTP/1.1\r\n" HOST "\r\n"),
	  .form = H1_TARGET_ABSOLUTE,
	  .path = "/x",
	  .query = "y",
	  .authority = "b.example:81",
	  .host = "b.example",
	  .port = 81 },
	{ .name = "absolute, https, upper case",
	  PLAIN,
	  HEAD("GET HTTPS://B/ HTTP/1.1\r\n" HOST "\r\n"),
	  .form = H1_TARGET_ABSOLUTE,
	  .authority = "B",
	  .host = "B" },
	{ .name = "absolute without path",
	  PLAIN,
	  HEAD("GET http://b HTTP/1.1\r\n" HOST "\r\n"),
	  .form = H1_TARGET_ABSOLUTE,
	  .path = "",
	  .authority = "b",
	  .host = "b" },
	{ .name = "absolute with query alone",
	  PLAIN,
	  HEAD("GET http://b?c/d HTTP/1.1\r\n" HOST "\r\n"),
	  .form = H1_TARGET_ABSOLUTE,
	  .path = "",
	  .query = "c/d",
	  .authority = "b",
	  .host = "b" },
	{ .name = "absolute with IPv6 and an empty Host",
	  PLAIN,
	  HEAD("GET http://[2001:db8::1]:8080/ HTTP/1.1\r\nHost:\r\n\r\n"),
	  .form = H1_TARGET_ABSOLUTE,
	  .authority = "[2001:db8::1]:8080",
	  .host = "[2001:db8::1]",
	  .port = 8080 },
	{ .name = "absolute in 1.0 without Host",
	  PLAIN,
	  HEAD("GET http://b/ HTTP/1.0\r\n\r\n"),
	  .form = H1_TARGET_ABSOLUTE,
	  .authority = "b",
	  .host = "b",
	  .facts = 0 },
	{ .name = "Host with port",
	  PLAIN,
	  HEAD(GET "Host: a.example:8080\r\n\r\n"),
	  .authority = "a.example:8080",
	  .port = 8080 },
	{ .name = "Host with an empty port",
	  PLAIN,
	  HEAD(GET "Host: a.example:\r\n\r\n"),
	  .authority = "a.example:" },
	{ .name = "Host with IPv6",
	  PLAIN,
	  HEAD(GET "Host: [::1]:80\r\n\r\n"),
	  .authority = "[::1]:80",
	  .host = "[::1]",
	  .port = 80 },
	{ .name = "Host with the root's dot",
	  PLAIN,
	  HEAD(GET "Host: a.example.\r\n\r\n"),
	  .authority = "a.example.",
	  .host = "a.example." },
	{ .name = "Host with an underscore",
	  PLAIN,
	  HEAD(GET "Host: a_b\r\n\r\n"),
	  .authority = "a_b",
	  .host = "a_b" },
	{ .name = "Host is empty", PLAIN, HEAD(GET "Host:\r\n\r\n"), .authority = "", .host = "" },
	{ .name = "spaces around the value", PLAIN, HEAD(GET "Host: \t a.example \t\r\n\r\n") },
	{ .name = "no space before the value", PLAIN, HEAD(GET "Host:a.example\r\n\r\n") },
	{ .name = "name in capitals", PLAIN, HEAD(GET "HOST: a.example\r\n\r\n") },
	{ .name = "1.0",
	  PLAIN,
	  HEAD("GET / HTTP/1.0\r\n\r\n"),
	  .authority = "",
	  .host = "",
	  .facts = NO_HOST },
	{ .name = "1.0 with Host", PLAIN, HEAD("GET / HTTP/1.0\r\n" HOST "\r\n"), .facts = 0 },
	{ .name = "1.0 keep-alive",
	  PLAIN,
	  HEAD("GET / HTTP/1.0\r\n" HOST "Connection: Keep-Alive\r\n\r\n") },
	{ .name = "1.2 counts as 1.1", PLAIN, HEAD("GET / HTTP/1.2\r\n" HOST "\r\n") },
	{ .name = "close", PLAIN, HEAD(GET HOST "Connection: close\r\n\r\n"), .facts = 0 },
	{ .name = "close in a list",
	  PLAIN,
	  HEAD(GET HOST "Connection: keep-alive ,, CLOSE\r\n\r\n"),
	  .facts = 0 },
	{ .name = "close in a second field",
	  PLAIN,
	  HEAD(GET HOST "Connection: te\r\nA: b\r\nConnection: close\r\n\r\n"),
	  .facts = 0 },
	{ .name = "Connection is empty", PLAIN, HEAD(GET HOST "Connection:\r\n\r\n") },
	{ .name = "length",
	  PLAIN,
	  HEAD(GET HOST "Content-Length: 5\r\n\r\n"),
	  .body = H1_BODY_FIXED,
	  .length = 5 },
	{ .name = "length 0",
	  PLAIN,
	  HEAD(GET HOST "content-length:0\r\n\r\n"),
	  .body = H1_BODY_FIXED },
	{ .name = "length with zeros",
	  PLAIN,
	  HEAD(GET HOST "Content-Length: 0010\r\n\r\n"),
	  .body = H1_BODY_FIXED,
	  .length = 10 },
	{ .name = "the greatest length",
	  PLAIN,
	  HEAD(GET HOST "Content-Length: 9223372036854775807\r\n\r\n"),
	  .body = H1_BODY_FIXED,
	  .length = INT64_MAX },
	{ .name = "chunked",
	  PLAIN,
	  HEAD(GET HOST "Transfer-Encoding: chunked\r\n\r\n"),
	  .body = H1_BODY_CHUNKED },
	{ .name = "chunked in capitals",
	  PLAIN,
	  HEAD(GET HOST "TRANSFER-ENCODING:CHUNKED \r\n\r\n"),
	  .body = H1_BODY_CHUNKED },
	{ .name = "expects",
	  PLAIN,
	  HEAD(GET HOST "Expect: 100-Continue\r\n\r\n"),
	  .facts = KEEPS_ALIVE | CONTINUE },
	{ .name = "expects something else", PLAIN, HEAD(GET HOST "Expect: 200-ok\r\n\r\n") },
	{ .name = "expects in 1.0",
	  PLAIN,
	  HEAD("GET / HTTP/1.0\r\n" HOST "Expect: 100-continue\r\n\r\n"),
	  .facts = 0 },
	{ .name = "websocket",
	  PLAIN,
	  HEAD(GET HOST "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"),
	  .facts = KEEPS_ALIVE | UPGRADE | WEBSOCKET },
	{ .name = "upgrade to something else",
	  PLAIN,
	  HEAD(GET HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
	  .facts = KEEPS_ALIVE | UPGRADE },
	{ .name = "two upgrades",
	  PLAIN,
	  HEAD(GET HOST "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n"),
	  .facts = KEEPS_ALIVE | UPGRADE },
	{ .name = "Upgrade without Connection",
	  PLAIN,
	  HEAD(GET HOST "Upgrade: websocket\r\n\r\n") },
	{ .name = "Connection without Upgrade",
	  PLAIN,
	  HEAD(GET HOST "Connection: upgrade\r\n\r\n") },
	{ .name = "upgrade in 1.0",
	  PLAIN,
	  HEAD("GET / HTTP/1.0\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
	  .facts = 0 },
	{ .name = "8-bit value", PLAIN, HEAD(GET HOST "A: caf\xc3\xa9 \xff\r\n\r\n") },
	{ .name = "tab in a value", PLAIN, HEAD(GET HOST "A: a\tb\r\n\r\n") },
	{ .name = "empty value", PLAIN, HEAD(GET HOST "A:\r\nB: \r\n\r\n") },
	{ .name = "odd token bytes", PLAIN, HEAD(GET HOST "!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n") },
	{ .name = "a colon in a value", PLAIN, HEAD(GET HOST "A: b: c\r\n\r\n") },
};

static void expect_text(const char *name, const char *what, struct str actual, const char *expected)
{
	if (!str_eq_c(actual, expected))
		fail_msg("%s: %s is '%.*s', expected '%s'", name, what, STR_ARG(actual), expected);
}

static void expect_number(const char *name, const char *what, uint64_t actual, uint64_t expected)
{
	if (actual != expected)
		fail_msg("%s: %s is %llu, expected %llu", name, what, (unsigned long long)actual,
			 (unsigned long long)expected);
}

static int facts_of(const struct h1_request *request)
{
	return (h1_keeps_alive(&request->head) ? KEEPS_ALIVE : 0) |
	       (request->expects_continue ? CONTINUE : 0) | (request->wants_upgrade ? UPGRADE : 0) |
	       (request->wants_websocket ? WEBSOCKET : 0) | (request->has_host ? 0 : NO_HOST);
}

static void expect_good(const struct good *row, const struct h1_request *request,
			enum h1_progress progress)
{
	const struct h1_head *head = &request->head;

	if (progress != H1_DONE)
		fail_msg("%s: %s (%s), expected done", row->name, progress_name(progress),
			 h1_reason_name(head->reason));
	expect_number(row->name, "head length", head->len, row->bytes.len);
	expect_number(row->name, "method", request->method, row->method);
	expect_number(row->name, "target form", request->target_form, row->form);
	expect_text(row->name, "path", h1_str(head, request->path), row->path);
	expect_number(row->name, "has_query", request->has_query, row->query != NULL);
	if (row->query)
		expect_text(row->name, "query", h1_str(head, request->query), row->query);
	expect_text(row->name, "authority", h1_str(head, request->authority), row->authority);
	expect_text(row->name, "host", h1_str(head, request->host), row->host);
	expect_number(row->name, "has_port", request->has_port, row->port >= 0);
	if (row->port >= 0)
		expect_number(row->name, "port", request->port, (uint64_t)row->port);
	expect_number(row->name, "body", head->body, row->body);
	expect_number(row->name, "content length", head->content_length, row->length);
	expect_number(row->name, "facts", (uint64_t)facts_of(request), (uint64_t)row->facts);
}

/* Whole; cut at each place; byte by byte. The buffer moves each time, as a real one may. */
static void test_good(void **state)
{
	static struct h1_request request;
	enum h1_progress progress;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct good *row = &cases[i];

		for (size_t cut = 0; cut <= row->bytes.len; cut++) {
			char *first = exact_copy(str_slice(row->bytes, 0, cut));
			char *whole = exact_copy(row->bytes);

			h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
			progress = h1_request_parse(&request, str_of(first, cut));
			if (cut < row->bytes.len && progress != H1_MORE)
				fail_msg("%s: %s after %zu of %zu bytes", row->name,
					 progress_name(progress), cut, row->bytes.len);
			memset(first, 'x', cut);
			if (progress == H1_MORE)
				progress =
					h1_request_parse(&request, str_of(whole, row->bytes.len));
			else
				request.head.at = whole; /* the buffer moved */
			expect_good(row, &request, progress);
			free(first);
			free(whole);
		}
	}
}

static void test_bytes_behind_the_head_stay(void **state)
{
	static struct h1_request request;
	struct str bytes = STR(GET HOST "\r\nGET \0\xff");

	(void)state;
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	assert_int_equal(h1_request_parse(&request, bytes), H1_DONE);
	assert_int_equal(request.head.len, bytes.len - 6);
}

static void test_fields(void **state)
{
	static struct h1_request request;
	const struct h1_head *head = &request.head;
	struct str bytes =
		STR(GET HOST "x_a: 1\r\nConnection: X-Drop, Host, x_a, content-length\r\n"
			     "X-DROP:  2 3 \r\nAccept: */*\r\nCookie: a\r\nCookie: b\r\n"
			     "TE: trailers\r\nContent-Length: 0\r\n\r\n");

	(void)state;
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	assert_int_equal(h1_request_parse(&request, bytes), H1_DONE);
	assert_int_equal(head->field_count, 9);
	assert_int_equal(head->fields[0].flags, 0); /* Connection cannot take Host away */
	assert_int_equal(head->fields[1].flags, H1_FIELD_UNDERSCORE | H1_FIELD_NAMED);
	assert_int_equal(head->fields[2].flags, H1_FIELD_HOP);
	assert_int_equal(head->fields[3].flags, H1_FIELD_NAMED);
	assert_int_equal(head->fields[4].flags, 0);
	assert_int_equal(head->fields[7].flags, H1_FIELD_HOP);
	assert_int_equal(head->fields[8].flags, 0);
	assert_true(head->connection & H1_CONNECTION_OTHERS);
	assert_int_equal(head->fields[4].id, HEADER_ACCEPT);
	assert_int_equal(head->fields[1].id, HEADER_OTHER);
	assert_true(str_eq_c(h1_value(head, HEADER_COOKIE), "a"));
	assert_ptr_equal(h1_find(head, HEADER_COOKIE), &head->fields[5]);
	assert_null(h1_find(head, HEADER_DATE));
	assert_null(h1_value(head, HEADER_DATE).at);
	assert_ptr_equal(h1_find_name(head, STR("x-drop")), &head->fields[3]);
	assert_true(str_eq_c(h1_str(head, head->fields[3].value), "2 3"));
	assert_null(h1_find_name(head, STR("x-dro")));
}

/* ---- limits ------------------------------------------------------------------------------- */

static char big[H1_HEAD_BYTES_MAX + 1024];

/* GET, Host and @count fields of the form "a: b". */
static size_t write_fields(size_t count)
{
	size_t len = strlen(GET HOST);

	memcpy(big, GET HOST, len);
	for (size_t i = 0; i < count; i++, len += 6)
		memcpy(big + len, "a: b\r\n", 6);
	memcpy(big + len, "\r\n", 2);
	return len + 2;
}

static void test_field_limit(void **state)
{
	static struct h1_request request;
	size_t len = write_fields(H1_FIELDS_MAX - 1);

	(void)state;
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	assert_int_equal(h1_request_parse(&request, str_of(big, len)), H1_DONE);
	assert_int_equal(request.head.field_count, H1_FIELDS_MAX);
	len = write_fields(H1_FIELDS_MAX);
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	assert_int_equal(h1_request_parse(&request, str_of(big, len)), H1_REFUSED);
	assert_int_equal(request.head.reason, H1_REASON_FIELDS_TOO_MANY);
}

/* "GET /", then @fill up to the limit of 1,000 bytes; both in one piece and in two. */
static void expect_too_long(const char *start, char fill, enum h1_reason reason)
{
	enum { LIMIT = 1000 };
	static struct h1_request request;

	memset(big, fill, sizeof(big));
	memcpy(big, start, strlen(start));
	h1_request_init(&request, LIMIT);
	assert_int_equal(h1_request_parse(&request, str_of(big, LIMIT - 1)), H1_MORE);
	assert_int_equal(h1_request_parse(&request, str_of(big, LIMIT)), H1_REFUSED);
	assert_int_equal(request.head.reason, reason);
	h1_request_init(&request, LIMIT);
	assert_int_equal(h1_request_parse(&request, str_of(big, sizeof(big))), H1_REFUSED);
	assert_int_equal(request.head.reason, reason);
}

static void test_head_limit(void **state)
{
	static struct h1_request request;
	size_t len = write_fields(20);

	(void)state;
	expect_too_long("GET /", 'a', H1_REASON_TARGET_TOO_LONG);
	expect_too_long("G", 'E', H1_REASON_TARGET_TOO_LONG);
	expect_too_long(GET "a", 'b', H1_REASON_HEAD_TOO_LONG);
	expect_too_long(GET "a:", ' ', H1_REASON_HEAD_TOO_LONG);
	len = write_fields(20);
	h1_request_init(&request, len);
	assert_int_equal(h1_request_parse(&request, str_of(big, len)), H1_DONE);
	h1_request_init(&request, len - 1);
	assert_int_equal(h1_request_parse(&request, str_of(big, len)), H1_REFUSED);
	assert_int_equal(request.head.reason, H1_REASON_HEAD_TOO_LONG);
}

static void test_greatest_head(void **state)
{
	static struct h1_request request;
	size_t start = strlen(GET HOST "a: ");

	(void)state;
	memset(big, 'v', sizeof(big));
	memcpy(big, GET HOST "a: ", start);
	memcpy(big + H1_HEAD_BYTES_MAX - 4, "\r\n\r\n", 4);
	h1_request_init(&request, SIZE_MAX);
	assert_int_equal(h1_request_parse(&request, str_of(big, sizeof(big))), H1_DONE);
	assert_int_equal(request.head.len, H1_HEAD_BYTES_MAX);
	assert_int_equal(request.head.fields[1].value.len, H1_HEAD_BYTES_MAX - 4 - start);
}

static void test_init_forgets(void **state)
{
	static struct h1_request request;

	(void)state;
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	assert_int_equal(h1_request_parse(&request,
					  STR("GET /?q HTTP/1.0\r\nExpect: 100-continue\r\n"
					      "Content-Length: 7\r\n\r\n")),
			 H1_DONE);
	h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
	assert_int_equal(h1_request_parse(&request, STR(GET HOST "\r\n")), H1_DONE);
	assert_int_equal(request.head.content_length, 0);
	assert_int_equal(request.head.body, H1_BODY_NONE);
	assert_false(request.has_query);
	assert_false(h1_has(&request.head, HEADER_EXPECT));
	assert_int_equal(request.head.field_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bytes_behind_the_head_stay),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_field_limit),
		cmocka_unit_test(test_head_limit),
		cmocka_unit_test(test_greatest_head),
		cmocka_unit_test(test_init_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
