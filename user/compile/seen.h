/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen: which objects of one kind a compilation saw, and where they stand in the next.
 *
 *   before   a  b  c  d          from[]  0  -  2  3      by position now
 *   now      a  x  c  d          to[]    0  -  2  3      by position before
 *
 * An object is the same one where pointer and serial agree: the pointer alone may be
 * that of a younger object in the same place. A pointer of before is compared and never
 * followed, since its object may be gone. One load from each object, in the order of
 * the set, is all that a generation without changes costs.
 */
#ifndef SLUICE_COMPILE_SEEN_H
#define SLUICE_COMPILE_SEEN_H

#include <stdbool.h>

#include "base/vec.h"
#include "compile/lookup.h"
#include "model/object.h"

#define SEEN_NONE UINT32_MAX

struct seen {
	struct VEC(const struct object *) objects;
	struct VEC(uint64_t) serials;
	struct VEC(uint32_t) from; /* position before, or SEEN_NONE: new or changed */
	struct VEC(uint32_t) to;   /* position now, or SEEN_NONE: gone or changed */
	struct lookup by_serial;
	bool is_same; /* the same objects as before, all of them */
};

/* An all-zero seen has seen nothing. */
void seen_release(struct seen *seen);

/* Compares the @count objects at @at with those of the call before, and remembers them. */
void seen_look(struct seen *seen, const struct object *const *at, size_t count);

/* Whether @at are the very objects that were looked at last: by their pointers alone. */
bool seen_has(const struct seen *seen, const struct object *const *at, size_t count);

#endif
