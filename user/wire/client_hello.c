// SPDX-License-Identifier: Apache-2.0
/*
 * client_hello: reads through records as if they were one run of bytes.
 *
 *   record: type 22 | version 3.x | length | fragment     fragment + fragment + ... =
 *   handshake: type 1 | length(3) | version(2) | random(32) | session id<1> |
 *              cipher suites<2> | compression<1> | extensions<2>
 *   extension: type(2) | data<2>                          <n>: n bytes of length before it
 *
 * A reader that failed gives zeros from then on, so the parser need not ask after
 * each number; lengths of zero end its loops.
 */
#include "wire/client_hello.h"

enum {
	RECORD_HEADER_BYTES = 5,
	RECORD_HANDSHAKE = 22,
	RECORD_MAJOR = 3,
	RECORD_BYTES_MAX = 16384,
	HANDSHAKE_CLIENT_HELLO = 1,
	RANDOM_BYTES = 32,
	SESSION_ID_BYTES_MAX = 32,
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_ALPN = 16,
	NAME_TYPE_HOST = 0,
};

struct reader {
	struct str bytes;
	size_t position;
	size_t record_left;
	size_t message_left; /* of the handshake message; what is read takes from it */
	enum { READER_GOOD, READER_MORE, READER_BAD } state;
};

static void fail(struct reader *reader, bool is_bad)
{
	if (reader->state == READER_GOOD)
		reader->state = is_bad ? READER_BAD : READER_MORE;
}

static uint8_t byte_at(const struct reader *reader, size_t offset)
{
	return (uint8_t)reader->bytes.at[reader->position + offset]; /* char may be signed */
}

/* Steps over a record's header. A wrong byte is told before the header is whole. */
static void open_record(struct reader *reader)
{
	size_t have = reader->bytes.len - reader->position;

	if ((have > 0 && byte_at(reader, 0) != RECORD_HANDSHAKE) ||
	    (have > 1 && byte_at(reader, 1) != RECORD_MAJOR)) {
		fail(reader, true);
		return;
	}
	if (have < RECORD_HEADER_BYTES) {
		fail(reader, false);
		return;
	}
	reader->record_left = (size_t)byte_at(reader, 3) << 8 | byte_at(reader, 4);
	reader->position += RECORD_HEADER_BYTES;
	if (reader->record_left == 0 || reader->record_left > RECORD_BYTES_MAX)
		fail(reader, true);
}

/* Takes @len bytes of the message; into @copy where that is not NULL. */
static void take_bytes(struct reader *reader, char *copy, size_t len)
{
	if (len > reader->message_left)
		fail(reader, true);
	while (len && reader->state == READER_GOOD) {
		size_t have, part;

		if (reader->record_left == 0) {
			open_record(reader);
			continue;
		}
		have = reader->bytes.len - reader->position;
		part = len < reader->record_left ? len : reader->record_left;
		if (part > have) {
			fail(reader, false);
			return;
		}
		if (copy) {
			memcpy(copy, reader->bytes.at + reader->position, part);
			copy += part;
		}
		reader->position += part;
		reader->record_left -= part;
		reader->message_left -= part;
		len -= part;
	}
}

/* A number of @width bytes, most significant first. */
static size_t take_number(struct reader *reader, size_t width)
{
	unsigned char bytes[3] = { 0 };
	size_t value = 0;

	take_bytes(reader, (char *)bytes, width); /* bytes are bytes */
	if (reader->state != READER_GOOD)
		return 0;
	for (size_t i = 0; i < width; i++)
		value = value << 8 | bytes[i];
	return value;
}

static void keep_name(struct client_hello *hello, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hello->name[i] = char_lower(hello->name[i]);
	if (host_name_is_valid(str_of(hello->name, len)))
		hello->name_len = (uint8_t)len; /* at most HOST_BYTES_MAX */
}

/* The first host name of the list (RFC 6066 3: there is no second). */
static void read_server_name(struct reader *reader, struct client_hello *hello)
{
	size_t type, len;

	take_number(reader, 2); /* of the list; the extension's length bounds it as well */
	type = take_number(reader, 1);
	len = take_number(reader, 2);
	if (type != NAME_TYPE_HOST || len > sizeof(hello->name) || len > reader->message_left)
		return;
	take_bytes(reader, hello->name, len);
	if (reader->state == READER_GOOD)
		keep_name(hello, len);
}

static void read_alpn(struct reader *reader, struct client_hello *hello)
{
	char protocol[8];

	take_number(reader, 2); /* of the list; the extension's length bounds it as well */
	while (reader->message_left && reader->state == READER_GOOD) {
		size_t len = take_number(reader, 1);
		bool is_short = len <= sizeof(protocol);

		take_bytes(reader, is_short ? protocol : NULL, len);
		if (!is_short || reader->state != READER_GOOD)
			continue;
		if (str_eq(str_of(protocol, len), STR("h2")))
			hello->offers_h2 = true;
		if (str_eq(str_of(protocol, len), STR("http/1.1")))
			hello->offers_http11 = true;
	}
}

/* One extension. While it is read, message_left is what is left of it alone. */
static void read_extension(struct reader *reader, struct client_hello *hello)
{
	size_t type = take_number(reader, 2);
	size_t len = take_number(reader, 2);
	size_t behind;

	if (len > reader->message_left) {
		fail(reader, true);
		return;
	}
	behind = reader->message_left - len;
	reader->message_left = len;
	if (type == EXTENSION_SERVER_NAME && reader->state == READER_GOOD)
		read_server_name(reader, hello);
	if (type == EXTENSION_ALPN && reader->state == READER_GOOD)
		read_alpn(reader, hello);
	take_bytes(reader, NULL, reader->message_left);
	reader->message_left = behind;
}

static void read_extensions(struct reader *reader, struct client_hello *hello)
{
	if (reader->message_left == 0)
		return; /* TLS 1.2 without extensions */
	if (take_number(reader, 2) != reader->message_left)
		fail(reader, true);
	while (reader->message_left && reader->state == READER_GOOD)
		read_extension(reader, hello);
}

static void read_hello(struct reader *reader, struct client_hello *hello)
{
	size_t len;

	take_bytes(reader, NULL, 2 + RANDOM_BYTES); /* version and random */
	len = take_number(reader, 1);
	if (len > SESSION_ID_BYTES_MAX)
		fail(reader, true);
	take_bytes(reader, NULL, len);
	len = take_number(reader, 2); /* cipher suites: two bytes each, one at least */
	if (len == 0 || len % 2)
		fail(reader, true);
	take_bytes(reader, NULL, len);
	len = take_number(reader, 1); /* compression methods: one at least */
	if (len == 0)
		fail(reader, true);
	take_bytes(reader, NULL, len);
	read_extensions(reader, hello);
}

enum client_hello_progress client_hello_parse(struct str bytes, struct client_hello *hello)
{
	enum { HEADER_BYTES = 4 };
	struct reader reader = {
		.bytes = str_slice(bytes, 0, CLIENT_HELLO_BYTES_MAX),
		.message_left = HEADER_BYTES,
	};
	size_t len;

	hello->name_len = 0;
	hello->offers_h2 = hello->offers_http11 = false;
	if (take_number(&reader, 1) != HANDSHAKE_CLIENT_HELLO)
		fail(&reader, true);
	len = take_number(&reader, 3);
	if (len > CLIENT_HELLO_BYTES_MAX)
		return CLIENT_HELLO_NO_NAME;
	reader.message_left = len;
	read_hello(&reader, hello);
	if (reader.state == READER_BAD)
		return CLIENT_HELLO_NOT_TLS;
	if (reader.state == READER_MORE && bytes.len < CLIENT_HELLO_BYTES_MAX)
		return CLIENT_HELLO_MORE;
	if (reader.state == READER_MORE)
		hello->name_len = 0; /* too long to wait for */
	return hello->name_len ? CLIENT_HELLO_NAME : CLIENT_HELLO_NO_NAME;
}
