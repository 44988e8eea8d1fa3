// SPDX-License-Identifier: Apache-2.0
/* arena: see arena.h. A request larger than a chunk gets a chunk of its own. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum { ARENA_CHUNK_BYTES = 4096, ARENA_ALIGN = 16 };

struct arena_chunk {
	struct arena_chunk *older;
	size_t used;
	size_t size;
	_Alignas(ARENA_ALIGN) char at[];
};

void arena_init(struct arena *arena, size_t chunk_bytes)
{
	*arena = (struct arena){ .chunk_bytes = chunk_bytes ? chunk_bytes : ARENA_CHUNK_BYTES };
}

void arena_release(struct arena *arena)
{
	struct arena_chunk *chunk = arena->newest;

	while (chunk) {
		struct arena_chunk *older = chunk->older;

		mem_free(chunk);
		chunk = older;
	}
	arena->newest = NULL;
	arena->total_bytes = 0;
}

void arena_reset(struct arena *arena)
{
	struct arena_chunk *kept = arena->newest;

	if (!kept)
		return;
	arena->newest = kept->older;
	arena_release(arena);
	kept->older = NULL;
	memset(kept->at, 0, kept->used);
	kept->used = 0;
	arena->newest = kept;
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t need)
{
	size_t size = need > arena->chunk_bytes ? need : arena->chunk_bytes;
	struct arena_chunk *chunk = mem_new(1, sizeof(*chunk) + size);

	chunk->size = size;
	chunk->older = arena->newest;
	arena->newest = chunk;
	return chunk;
}

void *arena_new(struct arena *arena, size_t count, size_t size_bytes)
{
	struct arena_chunk *chunk = arena->newest;
	size_t need;
	void *at;

	if (__builtin_mul_overflow(count, size_bytes, &need))
		need = SIZE_MAX / 2; /* refused by the heap, which ends the process */
	need = (need + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (!chunk || chunk->size - chunk->used < need)
		chunk = add_chunk(arena, need);
	at = chunk->at + chunk->used;
	chunk->used += need;
	arena->total_bytes += need;
	return at;
}

struct str arena_copy(struct arena *arena, struct str s)
{
	char *copy = arena_new(arena, s.len + 1, 1);

	if (s.len)
		memcpy(copy, s.at, s.len);
	return str_of(copy, s.len);
}

struct str arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return STR("");
	text = arena_new(arena, (size_t)len + 1, 1);
	va_start(args, format);
	vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	return str_of(text, (size_t)len);
}
