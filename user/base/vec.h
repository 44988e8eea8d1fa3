/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vec: a growing array of one type.
 *
 *   struct VEC(struct route) routes = {0};
 *   *vec_push(&routes) = route;
 *   for (size_t i = 0; i < routes.len; i++) use(&routes.at[i]);
 *   vec_release(&routes);
 *
 * For the agent's half: running out of memory ends the process. A pointer into
 * a vec is good until the next push.
 */
#ifndef SLUICE_BASE_VEC_H
#define SLUICE_BASE_VEC_H

#include <stddef.h>

#include "base/mem.h"

#define VEC(type)                                                                                  \
	{                                                                                          \
		type *at;                                                                          \
		size_t len;                                                                        \
		size_t cap;                                                                        \
	}

/* Appends a zeroed element and points to it. */
#define vec_push(v)                                                                                \
	((v)->at = vec_reserve_one((v)->at, (v)->len, &(v)->cap, sizeof(*(v)->at)),                \
	 &(v)->at[(v)->len++])

/* Room for @count elements in all, so that they can be pushed without another allocation. */
#define vec_reserve(v, count)                                                                      \
	((v)->at = vec_reserve_all((v)->at, &(v)->cap, (count), sizeof(*(v)->at)))

#define vec_release(v) (mem_free((v)->at), (v)->at = NULL, (v)->len = (v)->cap = 0)

/* Room for one more element behind @len of them; that room is zeroed. */
static inline void *vec_reserve_one(void *at, size_t len, size_t *cap, size_t size_bytes)
{
	if (len == *cap) {
		*cap = *cap ? *cap * 2 : 8;
		at = mem_resize(at, *cap, size_bytes);
	}
	__builtin_memset((char *)at + len * size_bytes, 0, size_bytes);
	return at;
}

/* Room for @count elements; what is new is not zeroed. */
static inline void *vec_reserve_all(void *at, size_t *cap, size_t count, size_t size_bytes)
{
	if (count <= *cap)
		return at;
	*cap = count > *cap * 2 ? count : *cap * 2;
	return mem_resize(at, *cap, size_bytes);
}

#endif
