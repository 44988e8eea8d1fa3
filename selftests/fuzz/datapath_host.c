// SPDX-License-Identifier: Apache-2.0
/* Any bytes as the first payload of an HTTP connection, through the code that XDP runs. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "bpf/host_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct payload payload = { .source = data, .pos = 0, .end = (uint32_t)size };
	static struct window window;
	const struct host_name *name = &window.name;
	uint32_t len;

	if (host_read_http(&payload, &window))
		return 0;
	len = name->len;
	/* What was read lies whole in the payload. */
	if (len == 0 || len > HOST_NAME_MAX_BYTES || window.start + name->pos + len > size ||
	    memcmp(name->words, data + window.start + name->pos, len) != 0)
		abort();
	if (host_hash(1, 2, name) == HOST_HASH_CATCH_ALL)
		abort();
	if (window_to_wildcard(&window) == 0 &&
	    (name->len > len || *(const uint8_t *)name->words != '*' ||
	     host_hash(1, 2, name) == HOST_HASH_CATCH_ALL))
		abort();
	return 0;
}
