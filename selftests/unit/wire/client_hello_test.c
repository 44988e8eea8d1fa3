// SPDX-License-Identifier: Apache-2.0
/*
 * ClientHellos built from parts: in one record and in many, whole and cut, right
 * and wrong.
 */
#include "h1_case.h"

#include "wire/client_hello.h"

/* ---- a builder of vectors with their length before them ------------------------------------ */

struct bytes {
	unsigned char at[20000];
	size_t len;
};

static void add(struct bytes *bytes, const void *at, size_t len)
{
	assert_true(bytes->len + len <= sizeof(bytes->at));
	memcpy(bytes->at + bytes->len, at, len);
	bytes->len += len;
}

static void add_number(struct bytes *bytes, size_t value, size_t width)
{
	while (width-- > 0) {
		unsigned char byte = (unsigned char)(value >> (8 * width));

		add(bytes, &byte, 1);
	}
}

static void add_vector(struct bytes *bytes, size_t width, const struct bytes *content)
{
	add_number(bytes, content->len, width);
	add(bytes, content->at, content->len);
}

static void add_extension(struct bytes *extensions, size_t type, const struct bytes *data)
{
	add_number(extensions, type, 2);
	add_vector(extensions, 2, data);
}

static void add_server_name(struct bytes *extensions, size_t type, struct str name)
{
	struct bytes list = { 0 }, data = { 0 };

	add_number(&list, type, 1);
	add_number(&list, name.len, 2);
	add(&list, name.at, name.len);
	add_vector(&data, 2, &list);
	add_extension(extensions, 0, &data);
}

static void add_alpn(struct bytes *extensions, struct str protocols)
{
	struct bytes list = { 0 }, data = { 0 };

	add(&list, protocols.at, protocols.len);
	add_vector(&data, 2, &list);
	add_extension(extensions, 16, &data);
}

static void add_grease(struct bytes *extensions, size_t type, size_t len)
{
	struct bytes data = { .len = len };

	add_extension(extensions, type, &data);
}

/* A handshake message; @extensions NULL: none at all. */
static void write_message(struct bytes *message, const struct bytes *extensions)
{
	struct bytes body = { 0 };
	static const unsigned char random[32] = { 7 };

	add_number(&body, 0x0303, 2);
	add(&body, random, sizeof(random));
	add_number(&body, 32, 1);
	add(&body, random, 32);
	add_number(&body, 4, 2);
	add_number(&body, 0x1301c02b, 4);
	add_number(&body, 1, 1);
	add_number(&body, 0, 1);
	if (extensions)
		add_vector(&body, 2, extensions);
	message->len = 0;
	add_number(message, 1, 1);
	add_vector(message, 3, &body);
}

/* @message in records of at most @fragment bytes. */
static void write_records(struct bytes *records, const struct bytes *message, size_t fragment)
{
	records->len = 0;
	for (size_t at = 0; at < message->len; at += fragment) {
		size_t len = message->len - at < fragment ? message->len - at : fragment;

		add_number(records, 22, 1);
		add_number(records, 0x0301, 2);
		add_number(records, len, 2);
		add(records, message->at + at, len);
	}
}

static enum client_hello_progress parse(const struct bytes *bytes, size_t len,
					struct client_hello *hello)
{
	char *copy = exact_copy(str_of((const char *)bytes->at, len));
	enum client_hello_progress progress = client_hello_parse(str_of(copy, len), hello);

	free(copy);
	return progress;
}

static void expect(const struct bytes *bytes, enum client_hello_progress expected, const char *name)
{
	struct client_hello hello;
	enum client_hello_progress progress = parse(bytes, bytes->len, &hello);

	if (progress != expected)
		fail_msg("progress %d, expected %d", progress, expected);
	if (name && !str_eq_c(client_hello_name(&hello), name))
		fail_msg("name '%.*s', expected '%s'", STR_ARG(client_hello_name(&hello)), name);
}

/* ---- good ones ---------------------------------------------------------------------------- */

static void write_usual(struct bytes *message)
{
	struct bytes extensions = { 0 };

	add_grease(&extensions, 0x2a2a, 0);
	add_grease(&extensions, 0x0033, 1200);
	add_alpn(&extensions, STR("\x02h2\x08http/1.1"));
	add_server_name(&extensions, 0, STR("Shop.Example.COM"));
	add_grease(&extensions, 0xfafa, 1);
	write_message(message, &extensions);
}

static void test_any_fragments(void **state)
{
	static const size_t fragments[] = { 1, 2, 3, 4, 5, 7, 100, 517, 16384 };
	static struct bytes message, records;
	struct client_hello hello;

	(void)state;
	write_usual(&message);
	for (size_t i = 0; i < sizeof(fragments) / sizeof(fragments[0]); i++) {
		write_records(&records, &message, fragments[i]);
		expect(&records, CLIENT_HELLO_NAME, "shop.example.com");
		for (size_t len = 0; len < records.len; len++) {
			if (parse(&records, len, &hello) != CLIENT_HELLO_MORE)
				fail_msg("fragments of %zu, %zu of %zu bytes: not MORE",
					 fragments[i], len, records.len);
		}
		/* What follows the message does not matter. */
		add(&records, "\x14\x03\x03\0\1\1", 6);
		expect(&records, CLIENT_HELLO_NAME, "shop.example.com");
	}
}

static void test_alpn(void **state)
{
	static const struct {
		const char *name;
		struct str protocols;
		bool h2, http11;
	} cases[] = {
		{ "both", STR_INIT("\x02h2\x08http/1.1"), true, true },
		{ "h2", STR_INIT("\x02h2"), true, false },
		{ "http/1.1 last", STR_INIT("\x08http/1.0\x09spdy/3.1x\x08http/1.1"), false, true },
		{ "others", STR_INIT("\x03h2c\x02H2"), false, false },
	};
	static struct bytes message, records;
	struct client_hello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes extensions = { 0 };

		add_alpn(&extensions, cases[i].protocols);
		write_message(&message, &extensions);
		write_records(&records, &message, 16384);
		assert_int_equal(parse(&records, records.len, &hello), CLIENT_HELLO_NO_NAME);
		if (hello.offers_h2 != cases[i].h2 || hello.offers_http11 != cases[i].http11)
			fail_msg("%s: h2 %d, http/1.1 %d", cases[i].name, hello.offers_h2,
				 hello.offers_http11);
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		struct str host;
		size_t type;
		enum client_hello_progress progress;
	} cases[] = {
		{ "plain", STR_INIT("a.example"), 0, CLIENT_HELLO_NAME },
		{ "one letter", STR_INIT("a"), 0, CLIENT_HELLO_NAME },
		{ "empty", STR_INIT(""), 0, CLIENT_HELLO_NO_NAME },
		{ "NUL", STR_INIT("a\0b"), 0, CLIENT_HELLO_NO_NAME },
		{ "space", STR_INIT("a b"), 0, CLIENT_HELLO_NO_NAME },
		{ "port", STR_INIT("a:443"), 0, CLIENT_HELLO_NO_NAME },
		{ "two dots", STR_INIT("a..b"), 0, CLIENT_HELLO_NO_NAME },
		{ "8-bit", STR_INIT("\xc3\xa9.example"), 0, CLIENT_HELLO_NO_NAME },
		{ "another type", STR_INIT("a.example"), 1, CLIENT_HELLO_NO_NAME },
	};
	static struct bytes message, records;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes extensions = { 0 };
		struct client_hello hello;

		add_server_name(&extensions, cases[i].type, cases[i].host);
		write_message(&message, &extensions);
		write_records(&records, &message, 16384);
		if (parse(&records, records.len, &hello) != cases[i].progress)
			fail_msg("%s", cases[i].name);
	}
}

static void test_name_length(void **state)
{
	static struct bytes message, records;
	char name[HOST_BYTES_MAX + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	for (size_t len = HOST_BYTES_MAX; len <= sizeof(name); len++) {
		struct bytes extensions = { 0 };

		add_server_name(&extensions, 0, str_of(name, len));
		write_message(&message, &extensions);
		write_records(&records, &message, 16384);
		expect(&records, len <= HOST_BYTES_MAX ? CLIENT_HELLO_NAME : CLIENT_HELLO_NO_NAME,
		       NULL);
	}
}

static void test_no_extensions(void **state)
{
	static struct bytes message, records;
	struct bytes extensions = { 0 };

	(void)state;
	write_message(&message, NULL);
	write_records(&records, &message, 16384);
	expect(&records, CLIENT_HELLO_NO_NAME, "");
	write_message(&message, &extensions);
	write_records(&records, &message, 16384);
	expect(&records, CLIENT_HELLO_NO_NAME, "");
}

/* ---- wrong ones --------------------------------------------------------------------------- */

static void test_not_tls(void **state)
{
	static const struct {
		const char *name;
		struct str bytes;
		enum client_hello_progress progress;
	} cases[] = {
		{ "nothing", STR_INIT(""), CLIENT_HELLO_MORE },
		{ "HTTP", STR_INIT("GET / HTTP/1.1\r\n"), CLIENT_HELLO_NOT_TLS },
		{ "first byte alone", STR_INIT("\x16"), CLIENT_HELLO_MORE },
		{ "application data", STR_INIT("\x17\x03\x03\0\5"), CLIENT_HELLO_NOT_TLS },
		{ "version 2", STR_INIT("\x16\x02"), CLIENT_HELLO_NOT_TLS },
		{ "SSLv2", STR_INIT("\x80\x2e\x01\x03\x01"), CLIENT_HELLO_NOT_TLS },
		{ "empty record", STR_INIT("\x16\x03\x01\0\0"), CLIENT_HELLO_NOT_TLS },
		{ "record too long", STR_INIT("\x16\x03\x01\x40\x01"), CLIENT_HELLO_NOT_TLS },
		{ "ServerHello", STR_INIT("\x16\x03\x01\0\5\2"), CLIENT_HELLO_NOT_TLS },
		{ "message too short", STR_INIT("\x16\x03\x01\0\5\1\0\0\1\3"),
		  CLIENT_HELLO_NOT_TLS },
		{ "message of no bytes", STR_INIT("\x16\x03\x01\0\4\1\0\0\0"),
		  CLIENT_HELLO_NOT_TLS },
		{ "message too long", STR_INIT("\x16\x03\x01\0\5\1\1\0\0"), CLIENT_HELLO_NO_NAME },
	};
	struct client_hello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *copy = exact_copy(cases[i].bytes);
		enum client_hello_progress progress =
			client_hello_parse(str_of(copy, cases[i].bytes.len), &hello);

		if (progress != cases[i].progress)
			fail_msg("%s: %d", cases[i].name, progress);
		free(copy);
	}
}

/* Each length in the message made wrong, up and down: malformed, and nothing is read behind it. */
static void test_wrong_lengths(void **state)
{
	static struct bytes message, records;
	static const size_t places[] = { 4 + 2 + 32, 4 + 2 + 32 + 33 + 1, 4 + 2 + 32 + 33 + 6,
					 4 + 2 + 32 + 33 + 6 + 3 };
	struct client_hello hello;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (unsigned value = 0; value < 256; value++) {
			unsigned char right;

			write_usual(&message);
			right = message.at[places[i]];
			message.at[places[i]] = (unsigned char)value;
			write_records(&records, &message, 16384);
			if (value != right &&
			    parse(&records, records.len, &hello) == CLIENT_HELLO_NAME)
				fail_msg("length at %zu is %u: still a name", places[i], value);
		}
	}
}

static void test_too_long_to_wait(void **state)
{
	static struct bytes message, records;
	struct bytes extensions = { 0 };
	struct client_hello hello;

	(void)state;
	add_server_name(&extensions, 0, STR("a.example"));
	add_grease(&extensions, 21, 16000);
	write_message(&message, &extensions);
	write_records(&records, &message, 64); /* with headers, longer than the limit */
	assert_true(records.len > CLIENT_HELLO_BYTES_MAX);
	assert_int_equal(parse(&records, CLIENT_HELLO_BYTES_MAX - 1, &hello), CLIENT_HELLO_MORE);
	assert_int_equal(parse(&records, CLIENT_HELLO_BYTES_MAX, &hello), CLIENT_HELLO_NO_NAME);
	assert_int_equal(hello.name_len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_fragments), cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_names),         cmocka_unit_test(test_name_length),
		cmocka_unit_test(test_no_extensions), cmocka_unit_test(test_not_tls),
		cmocka_unit_test(test_wrong_lengths), cmocka_unit_test(test_too_long_to_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
