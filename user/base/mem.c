// SPDX-License-Identifier: Apache-2.0
/*
 * mem: malloc behind one door, so that running out of it can be decided in one
 * place and tried in tests.
 */
#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long fail_at;

static int is_failing_now(void)
{
	if (fail_at == 0)
		return 0;
	return --fail_at == 0;
}

static void *die_if_null(void *at)
{
	if (!at) {
		fputs("sluice: out of memory\n", stderr);
		abort();
	}
	return at;
}

void *mem_try_new(size_t count, size_t size_bytes)
{
	return is_failing_now() ? NULL : calloc(count ? count : 1, size_bytes ? size_bytes : 1);
}

void *mem_try_resize(void *at, size_t count, size_t size_bytes)
{
	size_t total;

	if (is_failing_now() || __builtin_mul_overflow(count, size_bytes, &total))
		return NULL;
	return realloc(at, total ? total : 1);
}

void *mem_try_aligned(size_t size_bytes, size_t align_bytes)
{
	void *at = NULL;

	if (is_failing_now() || posix_memalign(&at, align_bytes, size_bytes) != 0)
		return NULL;
	return memset(at, 0, size_bytes);
}

void *mem_new(size_t count, size_t size_bytes)
{
	return die_if_null(mem_try_new(count, size_bytes));
}

void *mem_resize(void *at, size_t count, size_t size_bytes)
{
	return die_if_null(mem_try_resize(at, count, size_bytes));
}

char *mem_copy_text(const char *at, size_t len)
{
	char *copy = mem_new(len + 1, 1);

	if (len)
		memcpy(copy, at, len);
	return copy;
}

void mem_free(void *at)
{
	free(at);
}

void mem_keep_freed(void)
{
	/* Pieces above the first limit are mapped for themselves, and unmapped when freed. */
	mallopt(M_MMAP_THRESHOLD, MEM_KEPT_BYTES / 4);
	mallopt(M_TRIM_THRESHOLD, MEM_KEPT_BYTES);
}

void mem_fail_at(unsigned long nth)
{
	fail_at = nth;
}
