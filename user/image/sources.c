// SPDX-License-Identifier: Apache-2.0
/* sources: the reader and the verifier; see sources.h. */
#include "image/sources.h"

#include <errno.h>

#include "image/sources_private.h"

const struct segment_shape sources_shape = {
	.name = "sources",
	.magic = SOURCES_MAGIC,
	.version = SOURCES_VERSION,
	.header_bytes = sizeof(struct sources_header),
	.section_count = SOURCES_SECTION_COUNT,
	.sections = {
		[SOURCES_SECTION_LISTS] = { "lists", sizeof(struct sources_list) },
		[SOURCES_SECTION_RANGES4] = { "ranges4", sizeof(struct sources_range4) },
		[SOURCES_SECTION_RANGES6] = { "ranges6", sizeof(struct sources_range6) },
	},
};

/* ------------------------------------------------------------------ verify */

static bool are_sound4(const struct sources_range4 *ranges, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (ranges[i].first > ranges[i].last)
			return false;
		if (i > 0 && ranges[i].first <= ranges[i - 1].last)
			return false;
	}
	return true;
}

static bool are_sound6(const struct sources_range6 *ranges, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (sources_compare(ranges[i].first, ranges[i].last) > 0)
			return false;
		if (i > 0 && sources_compare(ranges[i].first, ranges[i - 1].last) <= 0)
			return false;
	}
	return true;
}

/* Lists have their ranges side by side, in their order, and all ranges are some list's. */
static int check_lists(const struct sources *sources, uint32_t range4_count, uint32_t range6_count,
		       struct err *err)
{
	uint32_t end4 = 0, end6 = 0;

	for (uint32_t i = 0; i < sources->list_count; i++) {
		const struct sources_list *list = &sources->lists[i];

		if (list->kind >= SOURCES_KIND_COUNT || (list->kind == SOURCES_DENY && i > 0))
			return err_set(err, -EINVAL, "sources: lists[%u]: of no kind", i);
		if (list->range4_first != end4 || list->range4_count > range4_count - end4 ||
		    list->range6_first != end6 || list->range6_count > range6_count - end6)
			return err_set(err, -EINVAL, "sources: lists[%u]: ranges misplaced", i);
		if (!are_sound4(sources->ranges4 + end4, list->range4_count) ||
		    !are_sound6(sources->ranges6 + end6, list->range6_count))
			return err_set(err, -EINVAL, "sources: lists[%u]: ranges not sorted", i);
		end4 += list->range4_count;
		end6 += list->range6_count;
	}
	if (end4 != range4_count || end6 != range6_count)
		return err_set(err, -EINVAL, "sources: ranges of no list");
	return 0;
}

int sources_open(struct str bytes, struct sources *sources, struct err *err)
{
	struct sources found;
	int rc = segment_check(bytes, &sources_shape, err);

	if (rc)
		return rc;
	found = (struct sources){
		.header = (const void *)bytes.at, /* its size and alignment were checked */
		.lists = segment_at(bytes, SOURCES_SECTION_LISTS),
		.ranges4 = segment_at(bytes, SOURCES_SECTION_RANGES4),
		.ranges6 = segment_at(bytes, SOURCES_SECTION_RANGES6),
		.list_count = segment_count(bytes, SOURCES_SECTION_LISTS),
	};
	found.generation = found.header->segment.generation;
	rc = check_lists(&found, segment_count(bytes, SOURCES_SECTION_RANGES4),
			 segment_count(bytes, SOURCES_SECTION_RANGES6), err);
	if (rc == 0)
		*sources = found;
	return rc;
}

/* -------------------------------------------------------------------- read */

const struct sources_list *sources_deny(const struct sources *sources)
{
	if (sources->list_count == 0 || sources->lists[0].kind != SOURCES_DENY)
		return NULL;
	return &sources->lists[0];
}

const struct sources_list *sources_allow(const struct sources *sources, const struct addr *addr)
{
	for (uint32_t i = 0; i < sources->list_count; i++) {
		const struct sources_list *list = &sources->lists[i];

		if (list->kind == SOURCES_ALLOW && list->port == addr->port &&
		    memcmp(list->ip, addr->ip, sizeof(list->ip)) == 0)
			return list;
	}
	return NULL;
}

static bool has4(const struct sources_range4 *ranges, uint32_t count, uint32_t address)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (ranges[middle].last < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && ranges[low].first <= address;
}

static bool has6(const struct sources_range6 *ranges, uint32_t count, const uint64_t address[2])
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (sources_compare(ranges[middle].last, address) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && sources_compare(ranges[low].first, address) <= 0;
}

bool sources_has(const struct sources *sources, const struct sources_list *list,
		 const uint8_t ip[16])
{
	uint64_t address[2];

	sources_number(ip, address);
	if (sources_is_ipv4(address))
		return has4(sources->ranges4 + list->range4_first, list->range4_count,
			    (uint32_t)address[1]);
	return has6(sources->ranges6 + list->range6_first, list->range6_count, address);
}
