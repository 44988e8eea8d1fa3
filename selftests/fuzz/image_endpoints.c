// SPDX-License-Identifier: Apache-2.0
/* Arbitrary bytes as endpoints: what is accepted is walked through and printed. */
#include "base/mem.h"
#include "image/endpoints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16 };

static void walk(const struct endpoints *endpoints)
{
	for (uint32_t id = 0; id <= endpoints->slot_count; id++) {
		struct endpoints_slot slot = endpoints_of(endpoints, id);

		for (uint32_t i = 0; i < slot.count; i++)
			if (endpoints_at(endpoints, slot, i)->id >= endpoints->endpoint_id_limit)
				__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = mem_new(size, 1); /* aligned, and watched at both ends */
	struct endpoints endpoints;
	struct err err;
	struct buf out;

	memcpy(copy, data, size);
	if (endpoints_open(str_of(copy, size), &endpoints, &err) == 0) {
		walk(&endpoints);
		buf_init(&out, TEXT_MAX);
		endpoints_dump(&endpoints, &out);
		buf_release(&out);
	}
	mem_free(copy);
	return 0;
}
