/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What datapath_host and datapath_sni do with their bytes: they are the first payload of a
 * connection, read by the code that XDP runs.
 */
#ifndef SLUICE_SELFTESTS_FUZZ_DATAPATH_PAYLOAD_H
#define SLUICE_SELFTESTS_FUZZ_DATAPATH_PAYLOAD_H

#include <stdlib.h>

#include "bpf/window.h"

typedef int read_host(const struct payload *payload, struct window *window);

static int check_payload(read_host *read, const uint8_t *data, size_t size)
{
	struct payload payload = { .source = data, .pos = 0, .end = (uint32_t)size };
	static struct window window;
	const struct host_name *name = &window.name;
	uint32_t len;

	if (read(&payload, &window))
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

#endif
