// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "proxy/body.h"

struct message {
	const char *name;
	struct h1_head head;
	enum h1_chunked_mode mode;
	const char *bytes;
	const char *kept;
	size_t behind; /* bytes that belong to the next message */
	bool is_done;
	bool is_refused;
};

static const struct message messages[] = {
	{ "none", { .body = H1_BODY_NONE }, H1_CHUNKED_PASS, "GET /", "", 5, true, false },
	{ "empty", { .body = H1_BODY_FIXED }, H1_CHUNKED_PASS, "GET /", "", 5, true, false },
	{ "fixed",
	  { .body = H1_BODY_FIXED, .content_length = 5 },
	  H1_CHUNKED_PASS,
	  "helloGET",
	  "hello",
	  3,
	  true,
	  false },
	{ "not all of it",
	  { .body = H1_BODY_FIXED, .content_length = 9 },
	  H1_CHUNKED_PASS,
	  "hello",
	  "hello",
	  0,
	  false,
	  false },
	{ "chunks",
	  { .body = H1_BODY_CHUNKED },
	  H1_CHUNKED_PASS,
	  "2\r\nab\r\n0\r\n\r\nGET",
	  "2\r\nab\r\n0\r\n\r\n",
	  3,
	  true,
	  false },
	{ "chunks taken off",
	  { .body = H1_BODY_CHUNKED },
	  H1_CHUNKED_DECODE,
	  "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET",
	  "abc",
	  3,
	  true,
	  false },
	{ "broken chunks",
	  { .body = H1_BODY_CHUNKED },
	  H1_CHUNKED_PASS,
	  "x\r\n",
	  "",
	  3,
	  false,
	  true },
	{ "until close",
	  { .body = H1_BODY_UNTIL_CLOSE },
	  H1_CHUNKED_PASS,
	  "abc",
	  "abc",
	  0,
	  false,
	  false },
};

/* Feeds the bytes @step at a time. */
static void check(const struct message *message, size_t step)
{
	char bytes[64], kept[64];
	size_t len = strlen(message->bytes), at = 0, kept_len = 0;
	struct body body;
	bool is_good = true;

	memcpy(bytes, message->bytes, len);
	body_init(&body, &message->head, message->mode);
	while (at < len && !body.is_done && is_good) {
		size_t here = len - at < step ? len - at : step, taken;
		struct str some;

		is_good = body_take(&body, bytes + at, here, &some, &taken);
		memcpy(kept + kept_len, some.at, some.len);
		kept_len += some.len;
		at += taken;
	}
	if (is_good == message->is_refused || body.is_done != message->is_done ||
	    !str_eq_c(str_of(kept, kept_len), message->kept) ||
	    (is_good && len - at != message->behind))
		fail_msg("%s, %zu at a time: good %d done %d kept '%.*s' behind %zu", message->name,
			 step, is_good, body.is_done, (int)kept_len, kept, len - at);
}

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		for (size_t step = 1; step <= 64; step++)
			check(&messages[i], step);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_messages) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
