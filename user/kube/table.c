// SPDX-License-Identifier: Apache-2.0
/* table: see table.h. One item a bucket on average, twice the buckets when that is passed. */
#include "kube/table.h"

#include "base/mem.h"

enum { FIRST_BUCKETS = 64 };

void table_release(struct table *table)
{
	mem_free(table->buckets);
	*table = (struct table){ 0 };
}

static struct table_item **bucket_of(const struct table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

static void put_first(struct table *table, struct table_item *item)
{
	struct table_item **bucket = bucket_of(table, item->hash);

	item->next = *bucket;
	*bucket = item;
}

static void grow(struct table *table)
{
	struct table old = *table;

	table->bucket_count = old.bucket_count ? old.bucket_count * 2 : FIRST_BUCKETS;
	table->buckets = mem_new(table->bucket_count, sizeof(struct table_item *));
	for (size_t i = 0; i < old.bucket_count; i++) {
		struct table_item *item = old.buckets[i];

		while (item) {
			struct table_item *next = item->next;

			put_first(table, item);
			item = next;
		}
	}
	mem_free(old.buckets);
}

void table_add(struct table *table, struct table_item *item)
{
	if (table->count == table->bucket_count)
		grow(table);
	put_first(table, item);
	table->count++;
}

void table_remove(struct table *table, struct table_item *item)
{
	struct table_item **link = bucket_of(table, item->hash);

	while (*link != item)
		link = &(*link)->next;
	*link = item->next;
	table->count--;
}

struct table_item *table_first(const struct table *table, uint64_t hash)
{
	return table->bucket_count ? *bucket_of(table, hash) : NULL;
}

struct table_item *table_next(const struct table *table, const struct table_item *item)
{
	size_t i = item ? (item->hash & (table->bucket_count - 1)) + 1 : 0;

	if (item && item->next)
		return item->next;
	while (i < table->bucket_count && !table->buckets[i])
		i++;
	return i < table->bucket_count ? table->buckets[i] : NULL;
}
