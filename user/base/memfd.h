/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memfd: a sealed piece of shared memory, and its mapping.
 *
 * The agent writes an image once, seals it (no write, no grow, no shrink, no
 * more seals) and passes the descriptor on; a proxy maps it read-only. Because
 * of the seals a verified image stays verified. Counters are shared memory of a
 * fixed size that both sides write with atomic operations: sealed against
 * resizing only.
 */
#ifndef SLUICE_BASE_MEMFD_H
#define SLUICE_BASE_MEMFD_H

#include "base/err.h"
#include "base/str.h"

enum { MEMFD_HUGE_BYTES = 2 << 20 }; /* what one entry of a page directory maps, on most machines */

/* A descriptor (>= 0, close-on-exec, owned) of a sealed copy of @bytes, or -errno. */
int memfd_seal(const char *name, struct str bytes, struct err *err);

/* A descriptor of @size_bytes zeroed bytes, sealed against resizing, or -errno. */
int memfd_shared(const char *name, size_t size_bytes, struct err *err);

/*
 * Maps a sealed memfd read-only. Refuses one that is not sealed against writing
 * and resizing (-EPERM), and one that is empty (-EINVAL). @bytes lives until
 * memfd_unmap; the descriptor stays the caller's.
 */
int memfd_map_sealed(int fd, struct str *bytes, struct err *err);

/* Maps shared memory of at least @size_bytes for reading and writing. */
int memfd_map_shared(int fd, size_t size_bytes, void **at, struct err *err);

void memfd_unmap(const void *at, size_t size_bytes);

/*
 * Moves the whole MEMFD_HUGE_BYTES of a mapping of memfd_map_sealed into huge pages, for all who
 * map it: where bytes are cold, so is the page table that leads to them, and looking up either
 * takes as long. It takes milliseconds, so it is for what stays. Returns how many bytes are in huge
 * pages now; 0 where there is too little, the kernel cannot (before 6.1), or has none left. That is
 * no failure.
 */
size_t memfd_use_huge_pages(struct str bytes);

#endif
