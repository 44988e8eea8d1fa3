// SPDX-License-Identifier: Apache-2.0
/* Arbitrary bytes as lists of sources: each list that is accepted is asked about its own bounds. */
#include "base/mem.h"
#include "image/sources.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct sources *sources, const struct sources_list *list)
{
	for (uint32_t i = 0; i < list->range4_count; i++) {
		uint32_t first = sources->ranges4[list->range4_first + i].first;
		uint8_t ip[16] = { [10] = 0xff, [11] = 0xff };

		for (int n = 0; n < 4; n++)
			ip[12 + n] = (uint8_t)(first >> (24 - 8 * n));
		if (!sources_has(sources, list, ip))
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = mem_new(size, 1); /* aligned, and watched at both ends */
	struct sources sources;

	memcpy(copy, data, size);
	if (sources_open(str_of(copy, size), &sources, NULL) == 0) {
		sources_deny(&sources);
		for (uint32_t i = 0; i < sources.list_count; i++)
			ask(&sources, &sources.lists[i]);
	}
	mem_free(copy);
	return 0;
}
