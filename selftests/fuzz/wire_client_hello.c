// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as the start of a TLS connection. A hello that was decided stays as it
 * is when more bytes follow, and one that is short is never taken for whole.
 */
#include <stdlib.h>

#include "wire/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

/* @len bytes of @data in memory of exactly that size. */
static enum client_hello_progress parse(const uint8_t *data, size_t len, struct client_hello *hello)
{
	char *copy = malloc(len ? len : 1);
	enum client_hello_progress progress;

	check(copy != NULL);
	memcpy(copy, data, len);
	progress = client_hello_parse(str_of(copy, len), hello);
	free(copy);
	return progress;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_hello whole, part;
	enum client_hello_progress progress = parse(data, size, &whole);
	enum client_hello_progress before = CLIENT_HELLO_MORE;

	if (progress == CLIENT_HELLO_NAME)
		check(host_name_is_valid(client_hello_name(&whole)));
	for (size_t len = 0; len < size; len += 1 + size / 40) {
		enum client_hello_progress now = parse(data, len, &part);

		/* MORE may become anything; anything else is final. */
		check(before == CLIENT_HELLO_MORE || now == before);
		before = now;
	}
	if (before != CLIENT_HELLO_MORE)
		check(progress == before);
	return 0;
}
