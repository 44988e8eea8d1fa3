// SPDX-License-Identifier: Apache-2.0
/*
 * sources_writer: networks become ranges, sorted, and what overlaps or touches becomes one. A
 * network is of one family: ::/0 says nothing about IPv4, as in the BPF maps.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "image/sources_private.h"

struct sources_writer {
	uint64_t generation;
	struct VEC(struct sources_list) lists;
	struct VEC(struct sources_range4) ranges4;
	struct VEC(struct sources_range6) ranges6;
	char *bytes;
};

struct sources_writer *sources_writer_new(uint64_t generation)
{
	struct sources_writer *writer = mem_new(1, sizeof(*writer));

	writer->generation = generation;
	return writer;
}

void sources_writer_free(struct sources_writer *writer)
{
	if (!writer)
		return;
	vec_release(&writer->lists);
	vec_release(&writer->ranges4);
	vec_release(&writer->ranges6);
	mem_free(writer->bytes);
	mem_free(writer);
}

/* ------------------------------------------------------------------ ranges */

static int compare4(const void *a, const void *b)
{
	const struct sources_range4 *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int compare6(const void *a, const void *b)
{
	const struct sources_range6 *x = a, *y = b;

	return sources_compare(x->first, y->first);
}

/* The number of ranges that are left of the @count at @at. */
static size_t join4(struct sources_range4 *at, size_t count)
{
	size_t kept = 0;

	if (count == 0)
		return 0;
	qsort(at, count, sizeof(*at), compare4);
	for (size_t i = 1; i < count; i++) {
		if (at[kept].last != UINT32_MAX && at[i].first > at[kept].last + 1)
			at[++kept] = at[i];
		else if (at[i].last > at[kept].last)
			at[kept].last = at[i].last;
	}
	return kept + 1;
}

static size_t join6(struct sources_range6 *at, size_t count)
{
	size_t kept = 0;

	if (count == 0)
		return 0;
	qsort(at, count, sizeof(*at), compare6);
	for (size_t i = 1; i < count; i++) {
		if (sources_compare(at[i].first, at[kept].last) > 0)
			at[++kept] = at[i];
		else if (sources_compare(at[i].last, at[kept].last) > 0)
			memcpy(at[kept].last, at[i].last, sizeof(at[kept].last));
	}
	return kept + 1;
}

/* Joins the ranges of the last list, which stand behind all others. */
static void end_list(struct sources_writer *writer)
{
	struct sources_list *list;

	if (writer->lists.len == 0)
		return;
	list = &writer->lists.at[writer->lists.len - 1];
	list->range4_count = (uint32_t)join4(writer->ranges4.at + list->range4_first,
					     writer->ranges4.len - list->range4_first);
	list->range6_count = (uint32_t)join6(writer->ranges6.at + list->range6_first,
					     writer->ranges6.len - list->range6_first);
	writer->ranges4.len = list->range4_first + list->range4_count;
	writer->ranges6.len = list->range6_first + list->range6_count;
}

/* ------------------------------------------------------------------- lists */

void sources_writer_begin(struct sources_writer *writer, const struct addr *listener)
{
	struct sources_list *list;

	end_list(writer);
	list = vec_push(&writer->lists);
	list->kind = listener ? SOURCES_ALLOW : SOURCES_DENY;
	list->range4_first = (uint32_t)writer->ranges4.len;
	list->range6_first = (uint32_t)writer->ranges6.len;
	if (!listener)
		return;
	memcpy(list->ip, listener->ip, sizeof(list->ip));
	list->port = listener->port;
}

void sources_writer_add(struct sources_writer *writer, const struct prefix *prefix)
{
	struct sources_range6 range;
	uint8_t last[16];

	for (uint32_t i = 0; i < sizeof(last); i++) {
		uint32_t kept = prefix->bits > i * 8 ? prefix->bits - i * 8 : 0;

		last[i] = prefix->ip[i] | (kept >= 8 ? 0 : (uint8_t)(0xffu >> kept));
	}
	sources_number(prefix->ip, range.first);
	sources_number(last, range.last);
	if (prefix->bits >= PREFIX_BITS_IPV4 && sources_is_ipv4(range.first))
		*vec_push(&writer->ranges4) = (struct sources_range4){ (uint32_t)range.first[1],
								       (uint32_t)range.last[1] };
	else
		*vec_push(&writer->ranges6) = range;
}

int sources_writer_finish(struct sources_writer *writer, struct str *bytes, struct err *err)
{
	size_t counts[SOURCES_SECTION_COUNT], len;
	const void *from[SOURCES_SECTION_COUNT];
	int rc;

	end_list(writer);
	counts[SOURCES_SECTION_LISTS] = writer->lists.len;
	counts[SOURCES_SECTION_RANGES4] = writer->ranges4.len;
	counts[SOURCES_SECTION_RANGES6] = writer->ranges6.len;
	from[SOURCES_SECTION_LISTS] = writer->lists.at;
	from[SOURCES_SECTION_RANGES4] = writer->ranges4.at;
	from[SOURCES_SECTION_RANGES6] = writer->ranges6.at;
	rc = segment_new(&sources_shape, counts, writer->generation, &writer->bytes, &len);
	if (rc)
		return err_set(err, rc, "sources: larger than 4 GiB");
	segment_fill(&sources_shape, writer->bytes, from);
	*bytes = str_of(writer->bytes, len);
	return 0;
}
