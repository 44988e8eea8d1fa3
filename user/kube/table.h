/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: a hash table whose items carry their links.
 *
 * An item is the first member of what is kept in the table; whoever keeps it
 * owns it, hashes it (with siphash: names are chosen by strangers) and compares
 * it. Growing allocates, nothing else does.
 *
 *   for (item = table_first(&table, hash); item; item = item->next)
 *           if (item->hash == hash && is_the_one((struct thing *)item)) ...
 */
#ifndef SLUICE_KUBE_TABLE_H
#define SLUICE_KUBE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_item {
	struct table_item *next; /* in the same bucket */
	uint64_t hash;
};

struct table {
	struct table_item **buckets;
	size_t bucket_count; /* a power of two, or 0 */
	size_t count;
};

/* Forgets the items, which stay their owner's. A zeroed table is an empty one. */
void table_release(struct table *table);

/* Takes item->hash as it is; does not look for an equal one. */
void table_add(struct table *table, struct table_item *item);
/* @item must be in the table. */
void table_remove(struct table *table, struct table_item *item);

/* The first item that may have that hash, or NULL. */
struct table_item *table_first(const struct table *table, uint64_t hash);

/* Walks over all in no order: the first for NULL; NULL at the end. Ask before removing @item. */
struct table_item *table_next(const struct table *table, const struct table_item *item);

#endif
