// SPDX-License-Identifier: Apache-2.0
/*
 * endpoints_writer: members are kept as (backend, endpoint) in the order in which they came, and
 * counted into their slots at the end, which keeps that order within each backend.
 */
#include <errno.h>

#include "base/vec.h"
#include "image/endpoints_private.h"
#include "image/texts.h"

/* Texts are not secret and the table dies with the writer; a constant will do. */
static const struct siphash_key text_key = { .k0 = 0x656e64706f696e74u, .k1 = 0x7465787473u };

struct member {
	uint32_t backend_id;
	uint32_t endpoint;
};

struct endpoints_writer {
	uint64_t generation;
	struct texts strings;
	struct VEC(struct endpoint) endpoints;
	struct VEC(struct member) members;
	uint32_t slot_count;
	uint32_t endpoint_id_limit;
	char *bytes;
};

struct endpoints_writer *endpoints_writer_new(uint64_t generation)
{
	struct endpoints_writer *writer = mem_new(1, sizeof(*writer));

	writer->generation = generation;
	texts_init(&writer->strings, text_key);
	return writer;
}

void endpoints_writer_free(struct endpoints_writer *writer)
{
	if (!writer)
		return;
	texts_release(&writer->strings);
	vec_release(&writer->endpoints);
	vec_release(&writer->members);
	mem_free(writer->bytes);
	mem_free(writer);
}

int endpoints_writer_add(struct endpoints_writer *writer,
			 const struct endpoints_writer_endpoint *given, uint32_t *index)
{
	struct endpoint *endpoint;

	if (given->id >= ENDPOINTS_ENDPOINT_ID_LIMIT || given->addr.port == 0 ||
	    given->flags & ~(unsigned int)ENDPOINT_FLAGS)
		return -EINVAL;
	*index = (uint32_t)writer->endpoints.len;
	endpoint = vec_push(&writer->endpoints);
	endpoint->id = given->id;
	endpoint->port = given->addr.port;
	endpoint->flags = given->flags;
	memcpy(endpoint->ip, given->addr.ip, sizeof(endpoint->ip));
	endpoint->weight = given->weight;
	endpoint->name = texts_append(&writer->strings, given->name);
	if (writer->endpoint_id_limit <= given->id)
		writer->endpoint_id_limit = given->id + 1;
	return 0;
}

int endpoints_writer_add_backend(struct endpoints_writer *writer, uint32_t backend_id)
{
	if (backend_id >= ENDPOINTS_BACKEND_ID_LIMIT)
		return -EINVAL;
	if (writer->slot_count <= backend_id)
		writer->slot_count = backend_id + 1;
	return 0;
}

int endpoints_writer_assign(struct endpoints_writer *writer, uint32_t backend_id, uint32_t index)
{
	int rc = index < writer->endpoints.len ? 0 : -EINVAL;

	if (rc == 0)
		rc = endpoints_writer_add_backend(writer, backend_id);
	if (rc == 0)
		*vec_push(&writer->members) = (struct member){ backend_id, index };
	return rc;
}

/* Counting sort by backend id. */
static void lay_out_members(const struct endpoints_writer *writer, struct endpoints_slot *slots,
			    uint32_t *members)
{
	uint32_t end = 0;

	for (size_t i = 0; i < writer->members.len; i++)
		slots[writer->members.at[i].backend_id].count++;
	for (uint32_t id = 0; id < writer->slot_count; id++) {
		slots[id].first = end;
		end += slots[id].count;
		slots[id].count = 0;
	}
	for (size_t i = 0; i < writer->members.len; i++) {
		struct endpoints_slot *slot = &slots[writer->members.at[i].backend_id];

		members[slot->first + slot->count++] = writer->members.at[i].endpoint;
	}
}

int endpoints_writer_finish(struct endpoints_writer *writer, struct str *bytes, struct err *err)
{
	struct endpoints_slot *slots = mem_new(writer->slot_count, sizeof(*slots));
	uint32_t *members = mem_new(writer->members.len, sizeof(*members));
	const size_t counts[ENDPOINTS_SECTION_COUNT] = {
		[ENDPOINTS_SECTION_SLOTS] = writer->slot_count,
		[ENDPOINTS_SECTION_MEMBERS] = writer->members.len,
		[ENDPOINTS_SECTION_ENDPOINTS] = writer->endpoints.len,
		[ENDPOINTS_SECTION_STRINGS] = writer->strings.len,
	};
	const void *const from[ENDPOINTS_SECTION_COUNT] = {
		[ENDPOINTS_SECTION_SLOTS] = slots,
		[ENDPOINTS_SECTION_MEMBERS] = members,
		[ENDPOINTS_SECTION_ENDPOINTS] = writer->endpoints.at,
		[ENDPOINTS_SECTION_STRINGS] = writer->strings.at,
	};
	struct endpoints_header *header;
	size_t len;
	int rc = writer->strings.is_full ? -EFBIG : 0;

	if (rc == 0)
		rc = segment_new(&endpoints_shape, counts, writer->generation, &writer->bytes,
				 &len);
	if (rc)
		goto out;
	lay_out_members(writer, slots, members);
	segment_fill(&endpoints_shape, writer->bytes, from);
	header = (void *)writer->bytes; /* segment_new gave room for a whole header */
	header->endpoint_id_limit = writer->endpoint_id_limit;
	*bytes = str_of(writer->bytes, len);
out:
	mem_free(members);
	mem_free(slots);
	return rc ? err_set(err, rc, "endpoints: larger than 4 GiB") : 0;
}
