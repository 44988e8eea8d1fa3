/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem: the only door to the heap.
 *
 * The agent's half uses mem_* and ends the process when memory runs out: its
 * state is rebuilt from its sources. The worker's half uses mem_try_* and sheds
 * what it was about to do. Tests can make the n-th allocation fail.
 */
#ifndef SLUICE_BASE_MEM_H
#define SLUICE_BASE_MEM_H

#include <stddef.h>

/* Zeroed memory; never NULL. */
void *mem_new(size_t count, size_t size_bytes);
/* Grows or shrinks; what is new is not zeroed; never NULL. @at may be NULL. */
void *mem_resize(void *at, size_t count, size_t size_bytes);
/* A NUL-terminated copy of @len bytes; never NULL. */
char *mem_copy_text(const char *at, size_t len);

/* As above, but NULL when memory runs out. */
void *mem_try_new(size_t count, size_t size_bytes);
void *mem_try_resize(void *at, size_t count, size_t size_bytes);
/* Zeroed, at a multiple of @align_bytes (a power of two): for what threads must not share lines of.
 */
void *mem_try_aligned(size_t size_bytes, size_t align_bytes);

/* Accepts NULL. */
void mem_free(void *at);

/*
 * From now on what is freed stays with the process, up to MEM_KEPT_BYTES, also large pieces: for
 * one that builds the same large things again and again and would get fresh pages for them each
 * time.
 */
enum { MEM_KEPT_BYTES = 128 << 20 };
void mem_keep_freed(void);

/* The n-th call from now on fails (1 = the next one); 0 turns this off. For tests. */
void mem_fail_at(unsigned long nth);

#endif
