// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a frame, through the code that XDP runs. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "bpf/packet.h"

enum { IP_ALIGN = 2 }; /* as drivers do (NET_IP_ALIGN) */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *memory = malloc(IP_ALIGN + size);
	uint8_t *frame = memory + IP_ALIGN;
	struct cursor cursor = { .start = frame, .pos = frame, .end = frame + size };
	struct packet packet = { 0 };
	enum packet_kind kind;

	if (!memory)
		return 0;
	if (size)
		memcpy(frame, data, size);
	kind = packet_read(&cursor, &packet);
	if (cursor.pos > cursor.end)
		abort();
	if (kind == PACKET_TCP && packet.payload_pos > packet.payload_end)
		abort();
	free(memory);
	return 0;
}
