// SPDX-License-Identifier: Apache-2.0
/*
 * segment: the frame of a segment, laid out and checked by one rule (place_section), so that
 * writer and verifier cannot disagree.
 */
#include "image/segment.h"

#include <errno.h>
#include <inttypes.h>

#include "base/mem.h"

/* The first place at or behind @end_bytes where a section may begin. */
static uint64_t place_section(uint64_t end_bytes)
{
	return (end_bytes + SEGMENT_ALIGN_BYTES - 1) & ~(uint64_t)(SEGMENT_ALIGN_BYTES - 1);
}

bool segment_is_zero(const void *at, size_t len)
{
	const unsigned char *bytes = at;

	for (size_t i = 0; i < len; i++)
		if (bytes[i])
			return false;
	return true;
}

static int check_frame(struct str bytes, const struct segment_shape *shape, struct err *err)
{
	/* The caller aligned the bytes; every field of the header is its own size's multiple. */
	const struct segment_header *header = (const void *)bytes.at;

	if ((uintptr_t)bytes.at % sizeof(uint64_t))
		return err_set(err, -EINVAL, "%s: not aligned", shape->name);
	if (bytes.len < shape->header_bytes)
		return err_set(err, -EINVAL, "%s: %zu bytes are no header", shape->name, bytes.len);
	if (header->magic != shape->magic)
		return err_set(err, -EINVAL, "%s: wrong magic %016" PRIx64, shape->name,
			       header->magic);
	if (header->version != shape->version)
		return err_set(err, -EINVAL, "%s: version %u, we know %u", shape->name,
			       header->version, shape->version);
	if (header->section_count != shape->section_count)
		return err_set(err, -EINVAL, "%s: %u sections, %u wanted", shape->name,
			       header->section_count, shape->section_count);
	if (header->total_bytes != bytes.len || bytes.len > UINT32_MAX)
		return err_set(err, -EINVAL, "%s: says %" PRIu64 " bytes, has %zu", shape->name,
			       header->total_bytes, bytes.len);
	return 0;
}

int segment_check(struct str bytes, const struct segment_shape *shape, struct err *err)
{
	const struct segment_header *header = (const void *)bytes.at; /* as in check_frame */
	uint64_t end = shape->header_bytes;
	int rc = check_frame(bytes, shape, err);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < shape->section_count; i++) {
		struct segment_section section = header->sections[i];
		uint64_t start = place_section(end);

		if (section.offset_bytes != start || start > bytes.len)
			return err_set(err, -EINVAL, "%s: section '%s' misplaced", shape->name,
				       shape->sections[i].name);
		if (!segment_is_zero(bytes.at + end, (size_t)(start - end)))
			return err_set(err, -EINVAL, "%s: bytes before section '%s'", shape->name,
				       shape->sections[i].name);
		end = start + (uint64_t)section.count * shape->sections[i].element_bytes;
		if (end > bytes.len)
			return err_set(err, -EINVAL, "%s: section '%s' reaches beyond the end",
				       shape->name, shape->sections[i].name);
	}
	if (end != bytes.len)
		return err_set(err, -EINVAL, "%s: bytes behind the last section", shape->name);
	if (!segment_is_zero(&header->sections[shape->section_count],
			     sizeof(header->sections[0]) *
				     (SEGMENT_SECTIONS_MAX - shape->section_count)))
		return err_set(err, -EINVAL, "%s: unknown sections", shape->name);
	return 0;
}

const void *segment_at(struct str bytes, uint32_t index)
{
	const struct segment_header *header = (const void *)bytes.at; /* checked before */

	return bytes.at + header->sections[index].offset_bytes;
}

uint32_t segment_count(struct str bytes, uint32_t index)
{
	const struct segment_header *header = (const void *)bytes.at; /* checked before */

	return header->sections[index].count;
}

int segment_new(const struct segment_shape *shape, const size_t counts[], uint64_t generation,
		char **bytes, size_t *len)
{
	struct segment_header header = {
		.magic = shape->magic,
		.version = shape->version,
		.section_count = shape->section_count,
		.generation = generation,
	};
	uint64_t end = shape->header_bytes;

	for (uint32_t i = 0; i < shape->section_count; i++) {
		uint64_t start = place_section(end);

		if (counts[i] >= UINT32_MAX)
			return -EFBIG;
		end = start + (uint64_t)counts[i] * shape->sections[i].element_bytes;
		if (end > UINT32_MAX)
			return -EFBIG;
		header.sections[i].offset_bytes = (uint32_t)start;
		header.sections[i].count = (uint32_t)counts[i];
	}
	header.total_bytes = end;
	*len = (size_t)end;
	*bytes = mem_new(1, (size_t)end);
	memcpy(*bytes, &header, sizeof(header));
	return 0;
}

void segment_fill(const struct segment_shape *shape, char *bytes, const void *const from[])
{
	const struct segment_header *header = (const void *)bytes; /* made by segment_new */

	for (uint32_t i = 0; i < shape->section_count; i++) {
		struct segment_section section = header->sections[i];
		size_t len = (size_t)section.count * shape->sections[i].element_bytes;

		if (len && from[i])
			memcpy(bytes + section.offset_bytes, from[i], len);
	}
}

void segment_print_text(struct buf *out, struct str text)
{
	buf_add_char(out, '\'');
	for (size_t i = 0; i < text.len && !out->is_cut; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c < ' ' || c >= 0x7f || c == '\'' || c == '\\')
			buf_printf(out, "\\x%02x", c);
		else
			buf_add_char(out, (char)c);
	}
	buf_add_char(out, '\'');
}
