// SPDX-License-Identifier: Apache-2.0
/* endpoints: opening, verifying and printing the segment; endpoints_writer.c makes it. */
#include "image/endpoints.h"

#include <errno.h>
#include <inttypes.h>

#include "image/endpoints_private.h"

const struct segment_shape endpoints_shape = {
	.name = "endpoints",
	.magic = ENDPOINTS_MAGIC,
	.version = ENDPOINTS_VERSION,
	.header_bytes = sizeof(struct endpoints_header),
	.section_count = ENDPOINTS_SECTION_COUNT,
	.sections = {
		[ENDPOINTS_SECTION_SLOTS] = { "slots", sizeof(struct endpoints_slot) },
		[ENDPOINTS_SECTION_MEMBERS] = { "members", sizeof(uint32_t) },
		[ENDPOINTS_SECTION_ENDPOINTS] = { "endpoints", sizeof(struct endpoint) },
		[ENDPOINTS_SECTION_STRINGS] = { "strings", 1 },
	},
};

/* Slots own members one after the other, without a gap. */
static int check_slots(const struct endpoints *found, struct err *err)
{
	uint32_t end = 0;

	if (found->slot_count > ENDPOINTS_BACKEND_ID_LIMIT)
		return err_set(err, -EINVAL, "endpoints: %u backend ids", found->slot_count);
	for (uint32_t i = 0; i < found->slot_count; i++) {
		struct endpoints_slot slot = found->slots[i];

		if (slot.first != end || slot.count > found->member_count - end)
			return err_set(err, -EINVAL, "endpoints: slots[%u]: out of place", i);
		end += slot.count;
	}
	if (end != found->member_count)
		return err_set(err, -EINVAL, "endpoints: members[%u]: of no backend", end);
	for (uint32_t i = 0; i < found->member_count; i++)
		if (found->members[i] >= found->endpoint_count)
			return err_set(err, -EINVAL, "endpoints: members[%u]: no such endpoint", i);
	return 0;
}

static int check_endpoints(const struct endpoints *found, uint32_t strings_bytes, struct err *err)
{
	for (uint32_t i = 0; i < found->endpoint_count; i++) {
		const struct endpoint *endpoint = &found->endpoints[i];

		if (endpoint->id >= found->endpoint_id_limit)
			return err_set(err, -EINVAL, "endpoints: endpoints[%u]: id too large", i);
		if (endpoint->port == 0)
			return err_set(err, -EINVAL, "endpoints: endpoints[%u]: port 0", i);
		if (endpoint->flags & ~(unsigned int)ENDPOINT_FLAGS)
			return err_set(err, -EINVAL, "endpoints: endpoints[%u]: unknown flags", i);
		if (endpoint->reserved || endpoint->reserved_byte)
			return err_set(err, -EINVAL, "endpoints: endpoints[%u]: reserved bytes", i);
		if (!segment_text_fits(endpoint->name, strings_bytes))
			return err_set(err, -EINVAL,
				       "endpoints: endpoints[%u]: name outside of strings", i);
	}
	return 0;
}

int endpoints_open(struct str bytes, struct endpoints *endpoints, struct err *err)
{
	struct endpoints found;
	int rc = segment_check(bytes, &endpoints_shape, err);

	if (rc)
		return rc;
	found = (struct endpoints){
		.header = (const void *)bytes.at, /* its size and alignment were checked */
		.slots = segment_at(bytes, ENDPOINTS_SECTION_SLOTS),
		.members = segment_at(bytes, ENDPOINTS_SECTION_MEMBERS),
		.endpoints = segment_at(bytes, ENDPOINTS_SECTION_ENDPOINTS),
		.strings = segment_at(bytes, ENDPOINTS_SECTION_STRINGS),
		.slot_count = segment_count(bytes, ENDPOINTS_SECTION_SLOTS),
		.member_count = segment_count(bytes, ENDPOINTS_SECTION_MEMBERS),
		.endpoint_count = segment_count(bytes, ENDPOINTS_SECTION_ENDPOINTS),
	};
	found.endpoint_id_limit = found.header->endpoint_id_limit;
	found.generation = found.header->segment.generation;
	if (found.endpoint_id_limit > ENDPOINTS_ENDPOINT_ID_LIMIT || found.header->reserved)
		return err_set(err, -EINVAL, "endpoints: header out of range");
	rc = check_slots(&found, err);
	if (rc == 0)
		rc = check_endpoints(&found, segment_count(bytes, ENDPOINTS_SECTION_STRINGS), err);
	if (rc == 0)
		*endpoints = found;
	return rc;
}

/* --------------------------------------------------------------------- dump */

static void dump_endpoint(const struct endpoints *endpoints, uint32_t index, struct buf *out)
{
	const struct endpoint *endpoint = &endpoints->endpoints[index];
	struct addr addr = endpoint_addr(endpoint);
	char text[ADDR_TEXT_MAX];

	buf_printf(out, "endpoint %u id %u %s weight %u%s%s%s ", index, endpoint->id,
		   addr_format(&addr, text), endpoint->weight,
		   endpoint->flags & ENDPOINT_READY ? " ready" : "",
		   endpoint->flags & ENDPOINT_SERVING ? " serving" : "",
		   endpoint->flags & ENDPOINT_TERMINATING ? " terminating" : "");
	segment_print_text(out, endpoint_name(endpoints, endpoint));
	buf_add_char(out, '\n');
}

void endpoints_dump(const struct endpoints *endpoints, struct buf *out)
{
	buf_printf(out, "endpoints version %u generation %" PRIu64 " id limit %u\n",
		   endpoints->header->segment.version, endpoints->generation,
		   endpoints->endpoint_id_limit);
	for (uint32_t i = 0; i < endpoints->endpoint_count && !out->is_cut; i++)
		dump_endpoint(endpoints, i, out);
	for (uint32_t id = 0; id < endpoints->slot_count && !out->is_cut; id++) {
		struct endpoints_slot slot = endpoints->slots[id];

		buf_printf(out, "backend id %u:", id);
		for (uint32_t i = 0; i < slot.count && !out->is_cut; i++)
			buf_printf(out, " %u", endpoints->members[slot.first + i]);
		buf_add_char(out, '\n');
	}
}
