// SPDX-License-Identifier: Apache-2.0
/*
 * Response heads: which body follows, and which heads mean 502.
 */
#include "h1_case.h"

#define OK "HTTP/1.1 200 OK\r\n"

struct row {
	const char *name;
	struct str bytes;
	bool is_for_head;
	enum h1_reason reason; /* H1_REASON_NONE: good, and the rest of the row holds */
	unsigned status;
	const char *phrase;
	enum h1_body body;
	uint64_t length;
	bool keeps_alive;
	bool forbids_length;
	bool is_upgrade;
};

#define GOOD(title, literal, code, words, what)                                                    \
	.name = (title), .bytes = STR_INIT(literal), .status = (code), .phrase = (words),          \
	.body = H1_BODY_##what
#define REFUSED(title, literal, why)                                                               \
	{                                                                                          \
		.name = (title), .bytes = STR_INIT(literal), .reason = H1_REASON_##why             \
	}

static const struct row cases[] = {
	{ GOOD("until close", OK "\r\n", 200, "OK", UNTIL_CLOSE), .keeps_alive = true },
	{ GOOD("fixed", OK "Content-Length: 12\r\n\r\n", 200, "OK", FIXED), .length = 12,
	  .keeps_alive = true },
	{ GOOD("chunked", OK "Transfer-Encoding: chunked\r\n\r\n", 200, "OK", CHUNKED),
	  .keeps_alive = true },
	{ GOOD("close", OK "Content-Length: 0\r\nConnection: close\r\n\r\n", 200, "OK", FIXED) },
	{ GOOD("1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", 200, "OK", FIXED),
	  .length = 1 },
	{ GOOD("1.0 keep-alive",
	       "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", 200, "OK",
	       FIXED),
	  .length = 1, .keeps_alive = true },
	{ GOOD("1.9", "HTTP/1.9 200 OK\r\n\r\n", 200, "OK", UNTIL_CLOSE), .keeps_alive = true },
	{ GOOD("no phrase", "HTTP/1.1 200 \r\n\r\n", 200, "", UNTIL_CLOSE), .keeps_alive = true },
	{ GOOD("no space either", "HTTP/1.1 200\r\n\r\n", 200, "", UNTIL_CLOSE),
	  .keeps_alive = true },
	{ GOOD("long phrase", "HTTP/1.1 404 Not\tFound, \xc3\xa9 at all\r\n\r\n", 404,
	       "Not\tFound, \xc3\xa9 at all", UNTIL_CLOSE),
	  .keeps_alive = true },
	{ GOOD("599", "HTTP/1.1 599 Odd\r\n\r\n", 599, "Odd", UNTIL_CLOSE), .keeps_alive = true },
	{ GOOD("for HEAD, fixed", OK "Content-Length: 12\r\n\r\n", 200, "OK", NONE),
	  .is_for_head = true, .length = 12, .keeps_alive = true },
	{ GOOD("for HEAD, chunked", OK "Transfer-Encoding: chunked\r\n\r\n", 200, "OK", NONE),
	  .is_for_head = true, .keeps_alive = true },
	{ GOOD("for HEAD, neither", OK "\r\n", 200, "OK", NONE), .is_for_head = true,
	  .keeps_alive = true },
	{ GOOD("204", "HTTP/1.1 204 No Content\r\n\r\n", 204, "No Content", NONE),
	  .keeps_alive = true, .forbids_length = true },
	{ GOOD("204 with length", "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", 204, "No", NONE),
	  .length = 5, .keeps_alive = true, .forbids_length = true },
	{ GOOD("304 with length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304,
	       "Not Modified", NONE),
	  .length = 5, .keeps_alive = true },
	{ GOOD("304 chunked", "HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n", 304, "Not",
	       NONE),
	  .keeps_alive = true },
	{ GOOD("100", "HTTP/1.1 100 Continue\r\n\r\n", 100, "Continue", NONE), .keeps_alive = true,
	  .forbids_length = true },
	{ GOOD("103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 103, "Early Hints", NONE),
	  .keeps_alive = true, .forbids_length = true },
	{ GOOD("101", "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	       101, "Switching", NONE),
	  .keeps_alive = true, .forbids_length = true, .is_upgrade = true },
	{ GOOD("101 without Upgrade", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n\r\n", 101,
	       "Switching", NONE),
	  .keeps_alive = true, .forbids_length = true },
	{ GOOD("200 with Upgrade", OK "Connection: upgrade\r\nUpgrade: h2\r\n\r\n", 200, "OK",
	       UNTIL_CLOSE),
	  .keeps_alive = true },

	REFUSED("empty line first", "\r\n" OK "\r\n", STATUS_LINE),
	REFUSED("LF first", "\n" OK "\r\n", STATUS_LINE),
	REFUSED("not HTTP", "SSH-2.0-OpenSSH_9.2\r\n", STATUS_LINE),
	REFUSED("lower case", "http/1.1 200 OK\r\n\r\n", STATUS_LINE),
	REFUSED("version 2", "HTTP/2.0 200 OK\r\n\r\n", STATUS_LINE),
	REFUSED("version 0.9", "HTTP/0.9 200 OK\r\n\r\n", STATUS_LINE),
	REFUSED("two minor digits", "HTTP/1.10 200 OK\r\n\r\n", STATUS_LINE),
	REFUSED("ICY", "ICY 200 OK\r\n\r\nxxxx", STATUS_LINE),
	REFUSED("two spaces", "HTTP/1.1  200 OK\r\n\r\n", STATUS_LINE),
	REFUSED("tab", "HTTP/1.1\t200 OK\r\n\r\n", STATUS_LINE),
	REFUSED("two digits", "HTTP/1.1 20 OK\r\n\r\n", STATUS_LINE),
	REFUSED("four digits", "HTTP/1.1 2000 OK\r\n\r\n", STATUS_LINE),
	REFUSED("letters", "HTTP/1.1 2x0 OK\r\n\r\n", STATUS_LINE),
	REFUSED("sign", "HTTP/1.1 +20 OK\r\n\r\n", STATUS_LINE),
	REFUSED("099", "HTTP/1.1 099 OK\r\n\r\n", STATUS_LINE),
	REFUSED("600", "HTTP/1.1 600 OK\r\n\r\n", STATUS_LINE),
	REFUSED("999", "HTTP/1.1 999 OK\r\n\r\n", STATUS_LINE),
	REFUSED("no status", "HTTP/1.1\r\n\r\n" OK, STATUS_LINE),
	REFUSED("NUL in the phrase", "HTTP/1.1 200 O\0K\r\n\r\n", STATUS_LINE),
	REFUSED("LF ends the line", "HTTP/1.1 200 OK\n\r\n", BARE_LF),
	REFUSED("CR ends the line", "HTTP/1.1 200 OK\rA: b\r\n\r\n", BARE_CR),
	REFUSED("fold", OK "A: b\r\n c\r\n\r\n", FOLDED),
	REFUSED("space before the colon", OK "Content-Length : 5\r\n\r\n", NAME_SPACE),
	REFUSED("NUL in a value", OK "A: \0\r\n\r\n", VALUE_BYTE),
	REFUSED("LF in a value", OK "A: b\nC: d\r\n\r\n", BARE_LF),
	REFUSED("no colon", OK "abc\r\n\r\n", NAME_BYTE),
	REFUSED("two lengths", OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
		LENGTH_REPEATED),
	REFUSED("a list of lengths", OK "Content-Length: 1, 1\r\n\r\n", LENGTH_SYNTAX),
	REFUSED("length with a sign", OK "Content-Length: -1\r\n\r\n", LENGTH_SYNTAX),
	REFUSED("two codings", OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
		CODING_REPEATED),
	REFUSED("gzip", OK "Transfer-Encoding: gzip, chunked\r\n\r\n", CODING),
	REFUSED("coding and length", OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
		CODING_AND_LENGTH),
	REFUSED("coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		CODING_IN_1_0),
	REFUSED("coding in 204", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
		CODING_UNEXPECTED),
	REFUSED("coding in 101", "HTTP/1.1 101 No\r\nTransfer-Encoding: chunked\r\n\r\n",
		CODING_UNEXPECTED),
	REFUSED("Connection", OK "Connection: \"close\"\r\n\r\n", CONNECTION_SYNTAX),
};

static void expect_row(const struct row *row, const struct h1_response *response,
		       enum h1_progress progress)
{
	const struct h1_head *head = &response->head;
	enum h1_progress expected = row->reason ? H1_REFUSED : H1_DONE;

	if (progress != expected || head->reason != row->reason)
		fail_msg("%s: %s (%s), expected %s (%s)", row->name, progress_name(progress),
			 h1_reason_name(head->reason), progress_name(expected),
			 h1_reason_name(row->reason));
	if (row->reason)
		return;
	if (head->len != row->bytes.len || response->status != row->status ||
	    head->body != row->body || head->content_length != row->length)
		fail_msg("%s: head %u, status %u, body %u, length %llu", row->name, head->len,
			 response->status, head->body, (unsigned long long)head->content_length);
	if (!str_eq_c(h1_str(head, response->phrase), row->phrase))
		fail_msg("%s: wrong phrase", row->name);
	if (h1_keeps_alive(head) != row->keeps_alive ||
	    response->forbids_length != row->forbids_length ||
	    response->is_upgrade != row->is_upgrade)
		fail_msg("%s: keeps_alive %d, forbids_length %d, is_upgrade %d", row->name,
			 h1_keeps_alive(head), response->forbids_length, response->is_upgrade);
}

static void test_rows(void **state)
{
	static struct h1_response response;
	enum h1_progress progress;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct row *row = &cases[i];

		for (size_t cut = 0; cut <= row->bytes.len; cut++) {
			char *first = exact_copy(str_slice(row->bytes, 0, cut));
			char *whole = exact_copy(row->bytes);

			h1_response_init(&response, H1_HEAD_BYTES_DEFAULT, row->is_for_head);
			progress = h1_response_parse(&response, str_of(first, cut));
			if (!row->reason && cut < row->bytes.len && progress != H1_MORE)
				fail_msg("%s: %s after %zu bytes", row->name,
					 progress_name(progress), cut);
			if (progress == H1_MORE)
				progress =
					h1_response_parse(&response, str_of(whole, row->bytes.len));
			response.head.at = whole;
			expect_row(row, &response, progress);
			free(first);
			free(whole);
		}
	}
}

static void test_limit(void **state)
{
	static struct h1_response response;
	struct str bytes = STR(OK "A: b\r\n\r\n");

	(void)state;
	h1_response_init(&response, bytes.len, false);
	assert_int_equal(h1_response_parse(&response, bytes), H1_DONE);
	h1_response_init(&response, bytes.len - 1, false);
	assert_int_equal(h1_response_parse(&response, bytes), H1_REFUSED);
	assert_int_equal(response.head.reason, H1_REASON_HEAD_TOO_LONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
