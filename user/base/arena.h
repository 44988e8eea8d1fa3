/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: memory that dies together.
 *
 * Allocation bumps a pointer; nothing is freed one by one. For the agent's half
 * (a decoded object, a model): running out of memory ends the process, so
 * arena_new never returns NULL.
 *
 *   struct arena            chunk            chunk
 *   newest ───────────────► [ used | free ] ► [ full ] ► NULL
 */
#ifndef SLUICE_BASE_ARENA_H
#define SLUICE_BASE_ARENA_H

#include "base/str.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *newest;
	size_t chunk_bytes; /* size of the next chunk */
	size_t total_bytes; /* handed out since init or reset */
};

/* @chunk_bytes: size of a chunk; 0 for the default of 4 KiB. Allocates nothing yet. */
void arena_init(struct arena *arena, size_t chunk_bytes);
/* Gives everything back. The arena may be used again. */
void arena_release(struct arena *arena);
/* Forgets everything, keeps one chunk. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned to 16 bytes; lives until release or reset. */
void *arena_new(struct arena *arena, size_t count, size_t size_bytes);
/* A copy of @s with a NUL behind it that does not count. */
struct str arena_copy(struct arena *arena, struct str s);
struct str arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
