// SPDX-License-Identifier: Apache-2.0
/*
 * The chunk filter: what it keeps in both modes, and what it refuses; in one piece,
 * in two at every place, and byte by byte.
 */
#include "h1_case.h"

#include "wire/h1_chunked.h"

struct row {
	const char *name;
	struct str input;
	enum h1_reason reason; /* H1_REASON_NONE: done, or more when the input ends early */
	struct str passed;
	struct str decoded;
	size_t behind; /* bytes at the end that belong to the next message */
	bool is_open;  /* the body does not end in the input */
};

#define ROW(title, in, pass, decode)                                                               \
	.name = (title), .input = STR_INIT(in), .passed = STR_INIT(pass),                          \
	.decoded = STR_INIT(decode)
#define REFUSED(title, in, why)                                                                    \
	{                                                                                          \
		.name = (title), .input = STR_INIT(in), .reason = H1_REASON_##why                  \
	}

static const struct row cases[] = {
	{ ROW("empty body", "0\r\n\r\n", "0\r\n\r\n", "") },
	{ ROW("one chunk", "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello") },
	{ ROW("two chunks", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
	      "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!") },
	{ ROW("letters in a size", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
	      "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789") },
	{ ROW("zeros in a size", "0005\r\nhello\r\n000\r\n\r\n", "0005\r\nhello\r\n000\r\n\r\n",
	      "hello") },
	{ ROW("sixteen digits", "0000000000000005\r\nhello\r\n0\r\n\r\n",
	      "0000000000000005\r\nhello\r\n0\r\n\r\n", "hello") },
	{ ROW("CR LF in the data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "4\r\n\r\n\r\n\r\n0\r\n\r\n",
	      "\r\n\r\n") },
	{ ROW("next request behind it", "1\r\na\r\n0\r\n\r\nGET /", "1\r\na\r\n0\r\n\r\n", "a"),
	  .behind = 5 },
	{ ROW("extension", "5;a=b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello") },
	{ ROW("extensions everywhere", "5;a\r\nhello\r\n1; b=\"c;d\"\r\n!\r\n0;e\r\n\r\n",
	      "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!") },
	{ ROW("extension on the second chunk", "5\r\nhello\r\n1;x\r\n!\r\n0\r\n\r\n",
	      "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!") },
	{ ROW("empty extension", "5;\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello") },
	{ ROW("trailer", "5\r\nhello\r\n0\r\nA: b\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello") },
	{ ROW("trailers", "0\r\nA: b\r\nC:\r\n\r\nX", "0\r\n\r\n", ""), .behind = 1 },
	{ ROW("open: size", "5", "5", ""), .is_open = true },
	{ ROW("open: data", "5\r\nhel", "5\r\nhel", "hel"), .is_open = true },
	{ ROW("open: behind data", "5\r\nhello\r", "5\r\nhello\r", "hello"), .is_open = true },
	{ ROW("open: last line", "0\r\n\r", "0\r\n\r", ""), .is_open = true },
	{ ROW("open: trailer", "0\r\nA: b\r\n", "0\r\n", ""), .is_open = true },
	{ ROW("open: a huge chunk", "7fffffffffffffff\r\nab", "7fffffffffffffff\r\nab", "ab"),
	  .is_open = true },

	REFUSED("no size", "\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("extension without size", ";a\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("not hexadecimal", "g\r\n", CHUNK_SIZE),
	REFUSED("0x", "0x5\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("plus", "+5\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("minus", "-5\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("space first", " 5\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("space behind", "5 \r\nhello\r\n", CHUNK_SIZE),
	REFUSED("space before the extension", "5 ;a\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("tab behind", "5\t\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("comma", "5,5\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("underscore", "1_0\r\n", CHUNK_SIZE),
	REFUSED("NUL", "5\0\r\nhello\r\n", CHUNK_SIZE),
	REFUSED("seventeen digits", "00000000000000005\r\nhello", CHUNK_SIZE_TOO_BIG),
	REFUSED("2^63", "8000000000000000\r\nhello", CHUNK_SIZE_TOO_BIG),
	REFUSED("2^64 - 1", "ffffffffffffffff\r\nhello", CHUNK_SIZE_TOO_BIG),
	REFUSED("LF behind the size", "5\nhello\r\n", BARE_LF),
	REFUSED("LF behind the last size", "0\n\r\n", BARE_LF),
	REFUSED("CR behind the size", "5\rhello\r\n", BARE_CR),
	REFUSED("CR CR LF behind the size", "5\r\r\nhello\r\n", BARE_CR),
	REFUSED("LF in an extension", "5;a\nhello\r\n", BARE_LF),
	REFUSED("CR in an extension", "5;a\rb\r\nhello\r\n", BARE_CR),
	REFUSED("NUL in an extension", "5;a\0\r\nhello\r\n", CHUNK_EXTENSION),
	REFUSED("data too long", "4\r\nhello\r\n0\r\n\r\n", CHUNK_END),
	REFUSED("data too short", "6\r\nhello\r\n0\r\n\r\n", BARE_LF),
	REFUSED("LF behind the data", "5\r\nhello\n0\r\n\r\n", BARE_LF),
	REFUSED("CR behind the data", "5\r\nhello\r0\r\n\r\n", BARE_CR),
	REFUSED("nothing behind the data", "5\r\nhello0\r\n\r\n", CHUNK_END),
	REFUSED("LF ends the body", "0\r\n\n", BARE_LF),
	REFUSED("CR ends the body", "0\r\n\rx", BARE_CR),
	REFUSED("trailer without a colon", "0\r\nabc\r\n\r\n", TRAILER),
	REFUSED("trailer without a name", "0\r\n: b\r\n\r\n", TRAILER),
	REFUSED("trailer with a space in the name", "0\r\nA : b\r\n\r\n", TRAILER),
	REFUSED("trailer folded", "0\r\nA: b\r\n c\r\n\r\n", TRAILER),
	REFUSED("trailer with NUL", "0\r\nA: \0\r\n\r\n", TRAILER),
	REFUSED("trailer with LF", "0\r\nA: b\n\r\n", BARE_LF),
	REFUSED("trailer with CR", "0\r\nA: b\rC: d\r\n\r\n", BARE_CR),
	REFUSED("a request where a trailer may be", "0\r\nGET / HTTP/1.1\r\n\r\n", TRAILER),
};

/* What came out of a whole run. */
struct outcome {
	struct h1_chunked chunked;
	enum h1_progress progress;
	char kept[256];
	size_t kept_len;
	size_t taken;
};

static void outcome_init(struct outcome *outcome, enum h1_chunked_mode mode)
{
	h1_chunked_init(&outcome->chunked, mode);
	outcome->progress = H1_MORE;
	outcome->kept_len = outcome->taken = 0;
}

static void feed(struct outcome *outcome, struct str bytes)
{
	char *copy = exact_copy(bytes);
	struct str kept;
	size_t taken;

	outcome->progress = h1_chunked_filter(&outcome->chunked, copy, bytes.len, &kept, &taken);
	assert_true(taken <= bytes.len);
	assert_true(kept.at >= copy && kept.at + kept.len <= copy + taken);
	/* What is behind the body must be as it was. */
	assert_memory_equal(copy + taken, bytes.at + taken,
			    outcome->progress == H1_REFUSED ? 0 : bytes.len - taken);
	memcpy(outcome->kept + outcome->kept_len, kept.at, kept.len);
	outcome->kept_len += kept.len;
	outcome->taken += taken;
	free(copy);
}

static void expect_row(const struct row *row, const struct outcome *outcome, size_t cut)
{
	struct str kept = str_of(outcome->kept, outcome->kept_len);
	bool is_pass = outcome->chunked.mode == H1_CHUNKED_PASS;
	enum h1_progress expected = row->reason ? H1_REFUSED : row->is_open ? H1_MORE : H1_DONE;

	if (outcome->progress != expected || outcome->chunked.reason != row->reason)
		fail_msg("%s, cut at %zu: %s (%s), expected %s (%s)", row->name, cut,
			 progress_name(outcome->progress), h1_reason_name(outcome->chunked.reason),
			 progress_name(expected), h1_reason_name(row->reason));
	if (row->reason)
		return;
	if (!str_eq(kept, is_pass ? row->passed : row->decoded))
		fail_msg("%s, cut at %zu: kept '%.*s'", row->name, cut, STR_ARG(kept));
	if (outcome->taken != row->input.len - row->behind)
		fail_msg("%s, cut at %zu: took %zu of %zu", row->name, cut, outcome->taken,
			 row->input.len);
	if (!row->is_open && outcome->chunked.content_bytes != row->decoded.len)
		fail_msg("%s: counted %llu bytes", row->name,
			 (unsigned long long)outcome->chunked.content_bytes);
}

static void run_cut(const struct row *row, enum h1_chunked_mode mode, size_t cut)
{
	struct outcome outcome;

	outcome_init(&outcome, mode);
	feed(&outcome, str_slice(row->input, 0, cut));
	if (outcome.progress == H1_MORE)
		feed(&outcome, str_slice(row->input, cut, row->input.len));
	expect_row(row, &outcome, cut);
}

static void run_byte_by_byte(const struct row *row, enum h1_chunked_mode mode)
{
	struct outcome outcome;

	outcome_init(&outcome, mode);
	for (size_t i = 0; i < row->input.len && outcome.progress == H1_MORE; i++)
		feed(&outcome, str_slice(row->input, i, 1));
	expect_row(row, &outcome, 1);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t cut = 0; cut <= cases[i].input.len; cut++) {
			run_cut(&cases[i], H1_CHUNKED_PASS, cut);
			run_cut(&cases[i], H1_CHUNKED_DECODE, cut);
		}
		run_byte_by_byte(&cases[i], H1_CHUNKED_PASS);
		run_byte_by_byte(&cases[i], H1_CHUNKED_DECODE);
	}
}

static void test_nothing_moves_in_the_common_case(void **state)
{
	struct h1_chunked chunked;
	char bytes[] = "5\r\nhello\r\n";
	struct str kept;
	size_t taken;

	(void)state;
	h1_chunked_init(&chunked, H1_CHUNKED_PASS);
	assert_int_equal(h1_chunked_filter(&chunked, bytes, sizeof(bytes) - 1, &kept, &taken),
			 H1_MORE);
	assert_ptr_equal(kept.at, bytes);
	h1_chunked_init(&chunked, H1_CHUNKED_DECODE);
	assert_int_equal(h1_chunked_filter(&chunked, bytes, sizeof(bytes) - 1, &kept, &taken),
			 H1_MORE);
	assert_ptr_equal(kept.at, bytes + 3);
	assert_string_equal(bytes, "5\r\nhello\r\n");
}

static void test_after_the_end(void **state)
{
	struct h1_chunked chunked;
	char bytes[] = "0\r\n\r\n";
	char more[] = "5\r\n";
	struct str kept;
	size_t taken;

	(void)state;
	h1_chunked_init(&chunked, H1_CHUNKED_PASS);
	assert_int_equal(h1_chunked_filter(&chunked, bytes, 5, &kept, &taken), H1_DONE);
	assert_int_equal(h1_chunked_filter(&chunked, more, 3, &kept, &taken), H1_DONE);
	assert_int_equal(taken, 0);
	assert_int_equal(kept.len, 0);
}

/* @start, then "x" until the limit refuses. */
static void expect_limit(const char *start, size_t limit, enum h1_reason reason)
{
	struct h1_chunked chunked;
	char bytes[16];
	struct str kept;
	size_t taken, len = strlen(start);

	memcpy(bytes, start, len);
	h1_chunked_init(&chunked, H1_CHUNKED_PASS);
	assert_int_equal(h1_chunked_filter(&chunked, bytes, len, &kept, &taken), H1_MORE);
	for (size_t i = 0; i < limit; i++) {
		bytes[0] = 'x';
		assert_int_equal(h1_chunked_filter(&chunked, bytes, 1, &kept, &taken), H1_MORE);
	}
	bytes[0] = 'x';
	assert_int_equal(h1_chunked_filter(&chunked, bytes, 1, &kept, &taken), H1_REFUSED);
	assert_int_equal(chunked.reason, reason);
	/* Once refused, always refused. */
	assert_int_equal(h1_chunked_filter(&chunked, bytes, 1, &kept, &taken), H1_REFUSED);
}

static void test_limits(void **state)
{
	(void)state;
	expect_limit("5;", H1_CHUNK_EXTENSION_BYTES_MAX, H1_REASON_CHUNK_EXTENSION);
	expect_limit("0\r\n", H1_TRAILER_BYTES_MAX, H1_REASON_TRAILER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_nothing_moves_in_the_common_case),
		cmocka_unit_test(test_after_the_end),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
