// SPDX-License-Identifier: Apache-2.0
/*
 * deny: writes deny_rows, by which XDP knows what to look up in denylist.
 *
 * bpf/deny.h says how they are read. All rows are made anew from the whole list
 * and written over the old ones: what was denied and still is stands in both, so
 * it is denied all the time.
 */
#include <errno.h>

#include <bpf/bpf.h>

#include "base/mem.h"
#include "bpf/deny.h"
#include "datapath/internal.h"

enum { IPV4_PREFIX_BITS = 96 };

struct deny_row *deny_rows_new(void)
{
	return mem_new(DENY_ROWS_MAX, sizeof(struct deny_row));
}

void deny_rows_add(struct deny_row *rows, const uint8_t address[16], uint32_t bits)
{
	struct deny_source source = deny_source_of(address);
	uint32_t word = bits > 64 ? 0 : 1, row = deny_row_of(&source), count = 1;
	uint64_t length = 1ull << (128 - bits - 64 * word);
	uint32_t mark = deny_mark(&source, length);

	if (row < DENY_ROWS_IPV4 && bits >= IPV4_PREFIX_BITS) {
		if (bits < IPV4_PREFIX_BITS + DENY_ROW_BITS_IPV4)
			count = 1u << (IPV4_PREFIX_BITS + DENY_ROW_BITS_IPV4 - bits);
	} else if (bits < DENY_ROW_BITS_IPV6) {
		row = DENY_ROWS_IPV4;
		count = DENY_ROWS_IPV6;
	}
	for (uint32_t i = row; i < row + count; i++) {
		rows[i].lengths[word] |= length;
		rows[i].marks[mark >> 6] |= 1ull << (mark & 63);
	}
}

int deny_rows_write(const struct datapath *dp, const struct deny_row *rows)
{
	uint32_t *keys = mem_new(BATCH_ENTRIES, sizeof(*keys));
	int code = 0;

	for (uint32_t at = 0; at < DENY_ROWS_MAX && code == 0; at += BATCH_ENTRIES) {
		uint32_t count = BATCH_ENTRIES;

		for (uint32_t i = 0; i < count; i++)
			keys[i] = at + i;
		if (bpf_map_update_batch(dp->map_fds[MAP_DENY_ROWS], keys, rows + at, &count, NULL))
			code = -errno;
	}
	mem_free(keys);
	return code;
}
