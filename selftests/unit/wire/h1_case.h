/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_case: runs one head through the parser in every way bytes may arrive.
 *
 * At once, cut in two at every place (each time in a buffer of exactly that size,
 * so that ASan sees a read behind it), and one byte after the other: the outcome
 * has to be the same, and no proper beginning of a good head may be taken for whole.
 */
#ifndef SLUICE_SELFTESTS_UNIT_WIRE_H1_CASE_H
#define SLUICE_SELFTESTS_UNIT_WIRE_H1_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/h1.h"

/* A copy on the heap of exactly @bytes.len bytes (1 where that is 0). */
static inline char *exact_copy(struct str bytes)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes.at, bytes.len);
	return copy;
}

static inline const char *progress_name(enum h1_progress progress)
{
	static const char *const names[] = {
		[H1_DONE] = "done", [H1_MORE] = "more", [H1_REFUSED] = "refused"
	};

	return names[progress];
}

#endif
