/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids: small numbers that stay with their names.
 *
 * Workers index connection pools, balancing state and counters by the ids of
 * backends and endpoints, so an id must mean the same from one generation to the
 * next, and ids must be dense. A name that is no longer used keeps its id for
 * COMPILE_ID_KEPT_GENERATIONS: a pod that comes back, or a manifest that is broken
 * for a minute, finds its pools again, and no worker still holds what belonged to
 * the id's former owner.
 *
 *   ids_begin(&ids);                       one generation
 *   id = ids_get(&ids, name);  ...         each name in use
 *   ids_touch(&ids, id);  ...              the same where the id is known from the one before
 *   ids_end(&ids);                         frees what was not used for long
 */
#ifndef SLUICE_COMPILE_IDS_H
#define SLUICE_COMPILE_IDS_H

#include "base/siphash.h"
#include "base/str.h"
#include "base/vec.h"
#include "compile/lookup.h"

#define IDS_NONE UINT32_MAX

enum { IDS_SHORT_NAME_BYTES = 24 };

struct ids_entry {
	uint64_t hash;
	uint64_t generation; /* the last one that used it; 0: the id is free */
	uint64_t born;       /* the one in which the id was given to this name */
	union {
		char short_name[IDS_SHORT_NAME_BYTES]; /* as long as it fits */
		char *long_name;                       /* owned */
	};
	uint32_t name_len;
};

struct ids {
	struct lookup table;
	struct VEC(struct ids_entry) entries; /* by id */
	struct VEC(uint32_t) free;            /* ids to be given again, oldest first */
	size_t free_taken;                    /* of these, already given */
	uint64_t generation;
	uint32_t last; /* the id last asked for */
	struct siphash_key key;
	uint32_t limit; /* ids are below */
	uint32_t kept_generations;
};

/* Ids are from @first to @limit - 1. */
void ids_init(struct ids *ids, struct siphash_key key, uint32_t first, uint32_t limit,
	      uint32_t kept_generations);
void ids_release(struct ids *ids);

void ids_begin(struct ids *ids);
void ids_end(struct ids *ids);

/* The id of @name (not empty), new or old; IDS_NONE where all are taken. */
uint32_t ids_get(struct ids *ids, struct str name);

/* Its id, or IDS_NONE; does not count as use. */
uint32_t ids_find(const struct ids *ids, struct str name);

/* Says that the name of @id is in use: for who kept the id from the generation before. */
static inline void ids_touch(struct ids *ids, uint32_t id)
{
	ids->entries.at[id].generation = ids->generation;
}

/* Before the first generation: gives @name the id @id. 0, -ERANGE, or -EEXIST. */
int ids_adopt(struct ids *ids, struct str name, uint32_t id);

/* Ids given so far are below. */
static inline uint32_t ids_limit(const struct ids *ids)
{
	return (uint32_t)ids->entries.len;
}

#endif
