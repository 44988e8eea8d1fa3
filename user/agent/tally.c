// SPDX-License-Identifier: Apache-2.0
/* tally: see tally.h. */
#include "agent/tally.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/memfd.h"

/* Where the levels stand in struct counters: they end with the proxy that had them. */
enum {
	GAUGES_BEGIN = offsetof(struct counters, connections_active),
	GAUGES_END = offsetof(struct counters, duration_buckets),
};

static size_t segment_bytes(uint32_t worker_count)
{
	return (worker_count + (size_t)1) * sizeof(struct counters);
}

static uint64_t *field(struct counters *counters, size_t offset)
{
	return (uint64_t *)(void *)((char *)counters + offset); /* every field is one */
}

static uint64_t read_field(const struct counters *counters, size_t offset)
{
	return counter_read((const uint64_t *)(const void *)((const char *)counters + offset));
}

static bool is_gauge(size_t offset)
{
	return offset >= GAUGES_BEGIN && offset < GAUGES_END;
}

/* ------------------------------------------------------------------ `before` */

/* Written field by field: readers of a segment may be in another process. */
static void write_before(const struct tally *tally, struct tally_segment *segment)
{
	struct counters *row = &segment->at[segment->worker_count];

	for (size_t at = 0; at < sizeof(*row); at += sizeof(uint64_t))
		counter_set(field(row, at), read_field(&tally->before, at));
}

static void write_all(const struct tally *tally)
{
	for (struct tally_segment *segment = tally->first; segment; segment = segment->next)
		write_before(tally, segment);
}

/* What an agent before this one knew. It only grows, so the larger one is right. */
static void take_before(struct tally *tally, const struct tally_segment *segment)
{
	const struct counters *row = &segment->at[segment->worker_count];

	for (size_t at = 0; at < sizeof(*row); at += sizeof(uint64_t)) {
		uint64_t *known = field(&tally->before, at);
		uint64_t said = read_field(row, at);

		if (!is_gauge(at) && said > *known)
			*known = said;
	}
}

/* ------------------------------------------------------------------ segments */

static struct tally_segment *add(struct tally *tally, int fd, uint32_t worker_count, void *at)
{
	struct tally_segment *segment = mem_new(1, sizeof(*segment));

	*segment = (struct tally_segment){
		.next = tally->first,
		.fd = fd,
		.worker_count = worker_count,
		.at = at,
	};
	tally->first = segment;
	return segment;
}

struct tally_segment *tally_new(struct tally *tally, uint32_t worker_count, struct err *err)
{
	int fd = memfd_shared("sluice-counters", segment_bytes(worker_count), err);
	struct tally_segment *segment;
	void *at;

	if (fd < 0)
		return NULL;
	if (memfd_map_shared(fd, segment_bytes(worker_count), &at, err)) {
		close(fd);
		return NULL;
	}
	segment = add(tally, fd, worker_count, at);
	write_before(tally, segment);
	return segment;
}

struct tally_segment *tally_map(struct tally *tally, int fd, uint32_t worker_count, struct err *err)
{
	struct tally_segment *segment;
	void *at;

	if (memfd_map_shared(fd, segment_bytes(worker_count), &at, err)) {
		close(fd);
		return NULL;
	}
	segment = add(tally, fd, worker_count, at);
	take_before(tally, segment);
	write_all(tally);
	return segment;
}

static void free_segment(struct tally *tally, struct tally_segment *segment)
{
	struct tally_segment **at = &tally->first;

	while (*at != segment)
		at = &(*at)->next;
	*at = segment->next;
	if (tally->current == segment)
		tally->current = NULL;
	memfd_unmap(segment->at, segment_bytes(segment->worker_count));
	close(segment->fd);
	mem_free(segment);
}

void tally_fold(struct tally *tally, struct tally_segment *segment)
{
	if (!segment)
		return;
	for (uint32_t i = 0; i < segment->worker_count; i++)
		for (size_t at = 0; at < sizeof(tally->before); at += sizeof(uint64_t))
			if (!is_gauge(at))
				*field(&tally->before, at) += read_field(&segment->at[i], at);
	free_segment(tally, segment);
	write_all(tally);
}

void tally_fold_foreign(struct tally *tally)
{
	struct tally_segment *next;

	for (struct tally_segment *segment = tally->first; segment; segment = next) {
		next = segment->next;
		if (segment->is_foreign)
			tally_fold(tally, segment);
	}
}

void tally_release(struct tally *tally)
{
	while (tally->first)
		free_segment(tally, tally->first);
}

/* ------------------------------------------------------------------- reading */

uint64_t tally_sum(const struct tally *tally, size_t offset)
{
	uint64_t sum = read_field(&tally->before, offset);

	for (const struct tally_segment *segment = tally->first; segment; segment = segment->next)
		for (uint32_t i = 0; i < segment->worker_count; i++)
			sum += read_field(&segment->at[i], offset);
	return sum;
}

uint64_t tally_lowest(const struct tally *tally, size_t offset)
{
	const struct tally_segment *current = tally->current;
	uint64_t lowest = UINT64_MAX;

	for (uint32_t i = 0; current && i < current->worker_count; i++) {
		uint64_t value = read_field(&current->at[i], offset);

		lowest = value < lowest ? value : lowest;
	}
	return current && current->worker_count ? lowest : 0;
}

const struct counters *tally_worker(const struct tally *tally, uint32_t index)
{
	static const struct counters none;
	const struct tally_segment *current = tally->current;

	return current && index < current->worker_count ? &current->at[index] : &none;
}
