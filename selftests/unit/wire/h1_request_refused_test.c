// SPDX-License-Identifier: Apache-2.0
/*
 * Request heads that are refused, and why. Every row is also given in pieces.
 */
#include "h1_case.h"

#define HOST "Host: a.example\r\n"
#define GET  "GET / HTTP/1.1\r\n"

struct refused {
	const char *name;
	struct str bytes;
	enum h1_reason reason;
};

#define ROW(title, literal, why)                                                                   \
	{                                                                                          \
		.name = (title), .bytes = STR_INIT(literal), .reason = H1_REASON_##why             \
	}

static const struct refused cases[] = {
	/* method */
	ROW("method: space first", " GET / HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("method: tab first", "\tGET / HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("method: tab behind it", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("method: parenthesis", "G(T / HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("method: colon", "GET: / HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("method: NUL", "GE\0T / HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("method: 8-bit", "G\xc3\x89T / HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("method: DEL", "GET\x7f / HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("method: alone on its line", "GET\r\n" HOST "\r\n", METHOD),
	ROW("method: LF behind it", "GET\n" HOST "\r\n", BARE_LF),
	ROW("method: quote", "\"GET\" / HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("method: a TLS record", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", METHOD),
	ROW("method: a PROXY v2 header", "\r\n\r\n\0\r\nQUIT\n", EMPTY_LINES),
	ROW("method: the byte order mark", "\xef\xbb\xbfGET / HTTP/1.1\r\n" HOST "\r\n", METHOD),
	ROW("CONNECT with an authority", "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", CONNECT),
	ROW("CONNECT with a path", "CONNECT / HTTP/1.1\r\n" HOST "\r\n", CONNECT),
	/* target */
	ROW("target: none", "GET  HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: two spaces before it", "GET  / HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: space inside", "GET /a b HTTP/1.1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("target: tab inside", "GET /a\tb HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: NUL", "GET /a\0b HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: escape", "GET /a\x1b HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: DEL", "GET /a\x7f HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: 8-bit in the path", "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: 8-bit in the query", "GET /?\xff HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: control in the query", "GET /?a\x01 HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: fragment in the query", "GET /a?b#c HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: far 8-bit byte",
	    "GET /0123456789abcdef0123456789\x80 HTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("target: CR inside", "GET /a\rb HTTP/1.1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("target: LF inside", "GET /a\nb HTTP/1.1\r\n" HOST "\r\n", BARE_LF),
	ROW("target: relative path", "GET index.html HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: authority", "GET a.example:80 HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: query alone", "GET ?a=b HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: asterisk with GET", "GET * HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: asterisk with query", "OPTIONS *?a HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: two asterisks", "OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: backslash", "GET \\a HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: ftp", "GET ftp://a.example/ HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: file", "GET file:///etc/passwd HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: one slash", "GET http:/a.example/ HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: no scheme", "GET ://a.example/ HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: scheme alone", "GET http: HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
	ROW("target: no host", "GET http:///a HTTP/1.1\r\n" HOST "\r\n", HOST_SYNTAX),
	ROW("target: no host, query", "GET http://?a HTTP/1.1\r\n" HOST "\r\n", HOST_SYNTAX),
	ROW("target: user", "GET http://u@a.example/ HTTP/1.1\r\n" HOST "\r\n", HOST_SYNTAX),
	ROW("target: user and password", "GET http://u:p@a/ HTTP/1.1\r\n" HOST "\r\n", HOST_SYNTAX),
	ROW("target: bad port", "GET http://a:http/ HTTP/1.1\r\n" HOST "\r\n", HOST_SYNTAX),
	ROW("target: encoded host", "GET http://a%2eb/ HTTP/1.1\r\n" HOST "\r\n", HOST_SYNTAX),
	ROW("target: backslash host", "GET http://a\\b/ HTTP/1.1\r\n" HOST "\r\n", HOST_SYNTAX),
	/* version */
	ROW("version: none", "GET /\r\n", VERSION_SYNTAX),
	ROW("version: none, fields", "GET /\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: empty", "GET / \r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: lower case", "GET / http/1.1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: other name", "GET / HTTQ/1.1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: no slash", "GET / HTTP1.1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: comma", "GET / HTTP/1,1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: no minor", "GET / HTTP/1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: no digits", "GET / HTTP/\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: two minor digits", "GET / HTTP/1.10\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: two major digits", "GET / HTTP/11.1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: minus", "GET / HTTP/-1.1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: space behind it", "GET / HTTP/1.1 \r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: tab before it", "GET /\tHTTP/1.1\r\n" HOST "\r\n", TARGET_BYTE),
	ROW("version: two spaces before it", "GET /  HTTP/1.1\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: words behind it", "GET / HTTP/1.1 x\r\n" HOST "\r\n", VERSION_SYNTAX),
	ROW("version: LF ends the line", "GET / HTTP/1.1\n" HOST "\r\n", BARE_LF),
	ROW("version: CR CR LF", "GET / HTTP/1.1\r\r\n" HOST "\r\n", BARE_CR),
	ROW("version: CR alone", "GET / HTTP/1.1\r" HOST "\r\n", BARE_CR),
	ROW("version: 0.9", "GET / HTTP/0.9\r\n" HOST "\r\n", VERSION),
	ROW("version: 2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", VERSION),
	ROW("version: 3.0", "GET / HTTP/3.0\r\n" HOST "\r\n", VERSION),
	ROW("version: 9.9", "GET / HTTP/9.9\r\n" HOST "\r\n", VERSION),
	ROW("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H2_PREFACE),
	/* empty lines */
	ROW("two empty lines first", "\r\n\r\n" GET HOST "\r\n", EMPTY_LINES),
	ROW("three empty lines first", "\r\n\r\n\r\n" GET HOST "\r\n", EMPTY_LINES),
	ROW("LF first", "\n" GET HOST "\r\n", BARE_LF),
	ROW("CR LF LF first", "\r\n\n" GET HOST "\r\n", BARE_LF),
	ROW("CR first", "\r" GET HOST "\r\n", BARE_CR),
	/* line ends */
	ROW("LF ends a field", GET "Host: a\nA: b\r\n\r\n", BARE_LF),
	ROW("LF LF ends the head", GET "Host: a\r\n\n", BARE_LF),
	ROW("all lines end with LF", "GET / HTTP/1.1\nHost: a\n\n", BARE_LF),
	ROW("CR in a value", GET HOST "A: b\rc\r\n\r\n", BARE_CR),
	ROW("CR CR LF ends a field", GET HOST "A: b\r\r\n\r\n", BARE_CR),
	ROW("CR ends a field", GET "Host: a\rA: b\r\n\r\n", BARE_CR),
	ROW("CR CR LF ends the head", GET HOST "\r\r\n", BARE_CR),
	ROW("CR and a letter end the head", GET HOST "\rA: b\r\n\r\n", BARE_CR),
	/* names */
	ROW("name: empty", GET HOST ": b\r\n\r\n", NAME_EMPTY),
	ROW("name: empty, first", GET ": b\r\n" HOST "\r\n", NAME_EMPTY),
	ROW("name: no colon", GET HOST "Abc\r\n\r\n", NAME_BYTE),
	ROW("name: no colon, LF", GET HOST "Abc\n\r\n", BARE_LF),
	ROW("name: space before the colon", GET HOST "A : b\r\n\r\n", NAME_SPACE),
	ROW("name: tab before the colon", GET HOST "A\t: b\r\n\r\n", NAME_SPACE),
	ROW("name: Host with a space", GET "Host : a\r\n\r\n", NAME_SPACE),
	ROW("name: length with a space", GET HOST "Content-Length : 5\r\n\r\nhello", NAME_SPACE),
	ROW("name: coding with a tab", GET HOST "Transfer-Encoding\t: chunked\r\n\r\n", NAME_SPACE),
	ROW("name: space inside", GET HOST "A b: c\r\n\r\n", NAME_SPACE),
	ROW("name: NUL", GET HOST "A\0b: c\r\n\r\n", NAME_BYTE),
	ROW("name: NUL in coding", GET HOST "Transfer-Encoding\0: chunked\r\n\r\n", NAME_BYTE),
	ROW("name: vertical tab in coding", GET HOST "\x0bTransfer-Encoding: chunked\r\n\r\n",
	    NAME_BYTE),
	ROW("name: 8-bit", GET HOST "\xc3\x84: c\r\n\r\n", NAME_BYTE),
	ROW("name: DEL", GET HOST "A\x7f: c\r\n\r\n", NAME_BYTE),
	ROW("name: quote", GET HOST "\"A\": c\r\n\r\n", NAME_BYTE),
	ROW("name: brackets", GET HOST "A[0]: c\r\n\r\n", NAME_BYTE),
	ROW("name: slash", GET HOST "A/b: c\r\n\r\n", NAME_BYTE),
	ROW("name: at", GET HOST "a@b: c\r\n\r\n", NAME_BYTE),
	ROW("name: a second request line", GET HOST "GET / HTTP/1.1\r\n\r\n", NAME_SPACE),
	ROW("fold: space", GET HOST "A: b\r\n c\r\n\r\n", FOLDED),
	ROW("fold: tab", GET HOST "A: b\r\n\tc\r\n\r\n", FOLDED),
	ROW("fold: first line", GET " " HOST "\r\n", FOLDED),
	ROW("fold: space alone", GET HOST " \r\n\r\n", FOLDED),
	ROW("fold: coding", GET HOST "Transfer-Encoding:\r\n chunked\r\n\r\n", FOLDED),
	ROW("fold: length", GET HOST "Content-Length:\r\n 5\r\n\r\nhello", FOLDED),
	ROW("fold: Host", GET "Host:\r\n a.example\r\n\r\n", FOLDED),
	/* values */
	ROW("value: NUL", GET HOST "A: b\0c\r\n\r\n", VALUE_BYTE),
	ROW("value: escape", GET HOST "A: \x1b[0m\r\n\r\n", VALUE_BYTE),
	ROW("value: DEL", GET HOST "A: b\x7f\r\n\r\n", VALUE_BYTE),
	ROW("value: vertical tab", GET HOST "A: b\x0b\r\n\r\n", VALUE_BYTE),
	ROW("value: form feed", GET HOST "A: b\x0c\r\n\r\n", VALUE_BYTE),
	ROW("value: backspace, first", GET HOST "A:\x08 b\r\n\r\n", VALUE_BYTE),
	ROW("value: far NUL", GET HOST "A: 0123456789abcdef0123456789abcdef\0\r\n\r\n", VALUE_BYTE),
	ROW("value: NUL at the block's end", GET HOST "A: 0123456789abcde\0\r\n\r\n", VALUE_BYTE),
	ROW("value: coding and vertical tab",
	    GET HOST "Transfer-Encoding: \x0b"
		     "chunked\r\n\r\n",
	    VALUE_BYTE),
	/* Host */
	ROW("Host: none", GET "\r\n", HOST_MISSING),
	ROW("Host: none, other fields", GET "A: b\r\nC: d\r\n\r\n", HOST_MISSING),
	ROW("Host: none, absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", HOST_MISSING),
	ROW("Host: none in 1.2", "GET / HTTP/1.2\r\n\r\n", HOST_MISSING),
	ROW("Host: twice", GET HOST "Host: b\r\n\r\n", HOST_REPEATED),
	ROW("Host: twice, same", GET HOST HOST "\r\n", HOST_REPEATED),
	ROW("Host: twice, other case", GET HOST "hOST: a.example\r\n\r\n", HOST_REPEATED),
	ROW("Host: twice, absolute", "GET http://a/ HTTP/1.1\r\n" HOST HOST "\r\n", HOST_REPEATED),
	ROW("Host: twice in 1.0", "GET / HTTP/1.0\r\n" HOST HOST "\r\n", HOST_REPEATED),
	ROW("Host: two with a comma", GET "Host: a, b\r\n\r\n", HOST_SYNTAX),
	ROW("Host: space", GET "Host: a b\r\n\r\n", HOST_SYNTAX),
	ROW("Host: slash", GET "Host: a/b\r\n\r\n", HOST_SYNTAX),
	ROW("Host: a URL", GET "Host: http://a\r\n\r\n", HOST_SYNTAX),
	ROW("Host: user", GET "Host: u@a\r\n\r\n", HOST_SYNTAX),
	ROW("Host: query", GET "Host: a?b\r\n\r\n", HOST_SYNTAX),
	ROW("Host: fragment", GET "Host: a#b\r\n\r\n", HOST_SYNTAX),
	ROW("Host: percent", GET "Host: a%41\r\n\r\n", HOST_SYNTAX),
	ROW("Host: 8-bit", GET "Host: \xc3\xa9.example\r\n\r\n", HOST_SYNTAX),
	ROW("Host: quote", GET "Host: a\"\r\n\r\n", HOST_SYNTAX),
	ROW("Host: port alone", GET "Host: :80\r\n\r\n", HOST_SYNTAX),
	ROW("Host: port too big", GET "Host: a:65536\r\n\r\n", HOST_SYNTAX),
	ROW("Host: port 0", GET "Host: a:0\r\n\r\n", HOST_SYNTAX),
	ROW("Host: port of letters", GET "Host: a:b\r\n\r\n", HOST_SYNTAX),
	ROW("Host: port with a sign", GET "Host: a:+80\r\n\r\n", HOST_SYNTAX),
	ROW("Host: two ports", GET "Host: a:80:81\r\n\r\n", HOST_SYNTAX),
	ROW("Host: bare IPv6", GET "Host: ::1\r\n\r\n", HOST_SYNTAX),
	ROW("Host: open bracket", GET "Host: [::1\r\n\r\n", HOST_SYNTAX),
	ROW("Host: bracket and letters", GET "Host: [::1]a\r\n\r\n", HOST_SYNTAX),
	ROW("Host: IPv4 in brackets", GET "Host: [10.0.0.1]\r\n\r\n", HOST_SYNTAX),
	ROW("Host: zone", GET "Host: [fe80::1%25eth0]\r\n\r\n", HOST_SYNTAX),
	ROW("Host: future address", GET "Host: [v1.a]\r\n\r\n", HOST_SYNTAX),
	ROW("Host: dot first", GET "Host: .a\r\n\r\n", HOST_SYNTAX),
	ROW("Host: two dots", GET "Host: a..b\r\n\r\n", HOST_SYNTAX),
	ROW("Host: bad beside an absolute target", "GET http://a/ HTTP/1.1\r\nHost: b@c\r\n\r\n",
	    HOST_SYNTAX),
	/* Content-Length */
	ROW("length: twice", GET HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
	    LENGTH_REPEATED),
	ROW("length: twice, same", GET HOST "Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello",
	    LENGTH_REPEATED),
	ROW("length: list", GET HOST "Content-Length: 5, 5\r\n\r\nhello", LENGTH_SYNTAX),
	ROW("length: empty", GET HOST "Content-Length:\r\n\r\n", LENGTH_SYNTAX),
	ROW("length: spaces", GET HOST "Content-Length:   \r\n\r\n", LENGTH_SYNTAX),
	ROW("length: plus", GET HOST "Content-Length: +5\r\n\r\nhello", LENGTH_SYNTAX),
	ROW("length: minus", GET HOST "Content-Length: -5\r\n\r\nhello", LENGTH_SYNTAX),
	ROW("length: minus zero", GET HOST "Content-Length: -0\r\n\r\n", LENGTH_SYNTAX),
	ROW("length: hexadecimal", GET HOST "Content-Length: 0x5\r\n\r\nhello", LENGTH_SYNTAX),
	ROW("length: fraction", GET HOST "Content-Length: 5.0\r\n\r\nhello", LENGTH_SYNTAX),
	ROW("length: exponent", GET HOST "Content-Length: 5e0\r\n\r\nhello", LENGTH_SYNTAX),
	ROW("length: underscore", GET HOST "Content-Length: 1_0\r\n\r\nhello", LENGTH_SYNTAX),
	ROW("length: space inside", GET HOST "Content-Length: 5 5\r\n\r\nhello", LENGTH_SYNTAX),
	ROW("length: quoted", GET HOST "Content-Length: \"5\"\r\n\r\nhello", LENGTH_SYNTAX),
	ROW("length: 2^63", GET HOST "Content-Length: 9223372036854775808\r\n\r\n", LENGTH_SYNTAX),
	ROW("length: 2^64", GET HOST "Content-Length: 18446744073709551616\r\n\r\n", LENGTH_SYNTAX),
	ROW("length: 2^64 + 5", GET HOST "Content-Length: 18446744073709551621\r\n\r\nhello",
	    LENGTH_SYNTAX),
	/* Transfer-Encoding */
	ROW("coding: twice",
	    GET HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	    CODING_REPEATED),
	ROW("coding: identity then chunked",
	    GET HOST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
	    CODING_REPEATED),
	ROW("coding: chunked twice", GET HOST "Transfer-Encoding: chunked, chunked\r\n\r\n",
	    CODING),
	ROW("coding: gzip", GET HOST "Transfer-Encoding: gzip\r\n\r\n", CODING),
	ROW("coding: gzip, chunked", GET HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", CODING),
	ROW("coding: chunked, gzip", GET HOST "Transfer-Encoding: chunked, gzip\r\n\r\n", CODING),
	ROW("coding: identity", GET HOST "Transfer-Encoding: identity\r\n\r\n", CODING),
	ROW("coding: empty", GET HOST "Transfer-Encoding:\r\n\r\n", CODING),
	ROW("coding: comma first", GET HOST "Transfer-Encoding: ,chunked\r\n\r\n", CODING),
	ROW("coding: comma last", GET HOST "Transfer-Encoding: chunked,\r\n\r\n", CODING),
	ROW("coding: quoted", GET HOST "Transfer-Encoding: \"chunked\"\r\n\r\n", CODING),
	ROW("coding: parameter", GET HOST "Transfer-Encoding: chunked;q=1\r\n\r\n", CODING),
	ROW("coding: longer word", GET HOST "Transfer-Encoding: xchunked\r\n\r\n", CODING),
	ROW("coding: two words", GET HOST "Transfer-Encoding: chunked x\r\n\r\n", CODING),
	ROW("coding: 8-bit", GET HOST "Transfer-Encoding: chunked\xff\r\n\r\n", CODING),
	ROW("coding: with length",
	    GET HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", CODING_AND_LENGTH),
	ROW("coding: after length",
	    GET HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", CODING_AND_LENGTH),
	ROW("coding: in 1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
	    CODING_IN_1_0),
	ROW("coding: in 1.0 with length",
	    "POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	    CODING_IN_1_0),
	/* Connection */
	ROW("connection: not tokens", GET HOST "Connection: a b\r\n\r\n", CONNECTION_SYNTAX),
	ROW("connection: parameter", GET HOST "Connection: close;x\r\n\r\n", CONNECTION_SYNTAX),
	ROW("connection: 33 names",
	    GET HOST "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,"
		     "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n\r\n",
	    CONNECTION_SYNTAX),
};

static enum h1_progress parse_exact(struct h1_request *request, struct str bytes, size_t len)
{
	char *copy = exact_copy(str_slice(bytes, 0, len));
	enum h1_progress progress = h1_request_parse(request, str_of(copy, len));

	free(copy);
	return progress;
}

static void expect_refused(const struct refused *row, const struct h1_request *request,
			   enum h1_progress progress, size_t cut)
{
	if (progress == H1_REFUSED && request->head.reason == row->reason)
		return;
	fail_msg("%s, cut at %zu: %s (%s), expected refused (%s)", row->name, cut,
		 progress_name(progress), h1_reason_name(request->head.reason),
		 h1_reason_name(row->reason));
}

static void test_refused(void **state)
{
	struct h1_request request;
	enum h1_progress progress;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct refused *row = &cases[i];

		for (size_t cut = 0; cut <= row->bytes.len; cut++) {
			h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
			progress = parse_exact(&request, row->bytes, cut);
			if (progress == H1_MORE)
				progress = parse_exact(&request, row->bytes, row->bytes.len);
			expect_refused(row, &request, progress, cut);
		}
	}
}

static void test_refused_byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct refused *row = &cases[i];
		enum h1_progress progress = H1_MORE;
		struct h1_request request;

		h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
		for (size_t len = 1; len <= row->bytes.len && progress == H1_MORE; len++)
			progress = parse_exact(&request, row->bytes, len);
		expect_refused(row, &request, progress, 1);
	}
}

static void test_there_are_enough(void **state)
{
	(void)state;
	assert_true(sizeof(cases) / sizeof(cases[0]) >= 120);
}

static void test_reasons_have_texts(void **state)
{
	(void)state;
	for (int i = 0; i < H1_REASON_COUNT; i++) {
		assert_true(h1_reason_status((enum h1_reason)i) >= 200);
		assert_true(strlen(h1_reason_text((enum h1_reason)i)) > 3);
		assert_true(strlen(h1_reason_name((enum h1_reason)i)) > 3);
	}
	assert_int_equal(h1_reason_status(H1_REASON_VERSION), 505);
	assert_int_equal(h1_reason_status(H1_REASON_CONNECT), 501);
	assert_int_equal(h1_reason_status(H1_REASON_TARGET_TOO_LONG), 414);
	assert_int_equal(h1_reason_status(H1_REASON_HEAD_TOO_LONG), 431);
	assert_string_equal(h1_reason_name(H1_REASON_HOST_MISSING), "host_missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_byte_by_byte),
		cmocka_unit_test(test_there_are_enough),
		cmocka_unit_test(test_reasons_have_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
