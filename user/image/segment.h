/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment: what the three shared segments (image, endpoints, certs) have in common.
 *
 * A segment is one run of bytes in a sealed memfd. The agent writes it once, the
 * proxy verifies it once, worker threads then read it without check, lock or
 * allocation. It holds no pointer: whatever refers to something else does so by
 * index into a section or by offset into its strings, so that it may be mapped
 * anywhere. Integers are the machine's own: a segment never leaves its node.
 *
 *   0                       header    +--------------------------------------+
 *   +--------+---------+----------+   | segment_header: magic, version,      |
 *   | header | section | section  |   |   total, generation, section table   |
 *   |        |    0    |    1 ... |   | the kind's own words                 |
 *   +--------+---------+----------+   +--------------------------------------+
 *            ^         ^          ^
 *            each section begins on the next multiple of 64 behind the one before;
 *            the gaps are zero, and the last one's end is total_bytes
 *
 * There is exactly one place where a section may stand, so the verifier has no
 * overlap to think about: it computes the offset and compares.
 */
#ifndef SLUICE_IMAGE_SEGMENT_H
#define SLUICE_IMAGE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
	SEGMENT_ALIGN_BYTES = 64,  /* a cache line */
	SEGMENT_SECTIONS_MAX = 12, /* entries of the table; those not in use are zero */
};

/* "There is none", wherever a segment holds an index. */
#define SEGMENT_NONE UINT32_MAX

struct segment_section {
	uint32_t offset_bytes; /* from the segment's first byte */
	uint32_t count;        /* elements, not bytes */
};

/* A text: @len bytes at @offset of the segment's strings. Not NUL-terminated. */
struct segment_text {
	uint32_t offset;
	uint32_t len;
};

struct segment_header {
	uint64_t magic;         /* names the kind; wrong byte order is a wrong kind */
	uint32_t version;       /* of the layout; the reader knows exactly one */
	uint32_t section_count; /* of the table below */
	uint64_t total_bytes;   /* of the segment */
	uint64_t generation;    /* grows with each segment of this kind */
	struct segment_section sections[SEGMENT_SECTIONS_MAX];
};

/* What a kind of segment looks like: a constant table, used by its writer and by its reader. */
struct segment_shape {
	const char *name; /* for error texts: "image" */
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes; /* the kind's whole header */
	uint32_t section_count;
	struct {
		const char *name;
		uint32_t element_bytes;
	} sections[SEGMENT_SECTIONS_MAX];
};

/*
 * Checks frame and section table of @bytes against @shape: 0, or -EINVAL with a text. Afterwards
 * every section lies whole inside of @bytes. @bytes.at must be aligned to 8.
 */
int segment_check(struct str bytes, const struct segment_shape *shape, struct err *err);

/* The first element of section @index of a checked segment. */
const void *segment_at(struct str bytes, uint32_t index);
/* How many elements it has. */
uint32_t segment_count(struct str bytes, uint32_t index);

/*
 * Room for a segment with @counts[i] elements in section i: zeroed, its segment_header filled in.
 * *@bytes is owned by the caller (mem_free). 0, or -EFBIG where 32-bit offsets do not reach.
 */
int segment_new(const struct segment_shape *shape, const size_t counts[], uint64_t generation,
		char **bytes, size_t *len);

/* Copies the elements of each section, as many as segment_new was told, from @from[i], or none
 * where that is NULL: the caller fills them in. */
void segment_fill(const struct segment_shape *shape, char *bytes, const void *const from[]);

/* True where @text lies inside of strings of @strings_bytes. */
static inline bool segment_text_fits(struct segment_text text, uint32_t strings_bytes)
{
	return text.offset <= strings_bytes && text.len <= strings_bytes - text.offset;
}

/* True where all @len bytes at @at are zero: room kept for later versions must be. */
bool segment_is_zero(const void *at, size_t len);

/* For dumps: 'text', with everything that is not printable ASCII as \xNN. */
void segment_print_text(struct buf *out, struct str text);

#endif
