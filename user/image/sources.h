/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources: who may not connect, and who alone may, as a segment (segment.h).
 *
 *   header | lists | ranges4 | ranges6
 *
 *   lists     the deny list, if there is one, then one for each listener that is not for everybody
 *   ranges    of addresses, first and last, those of a list side by side: sorted, and with a gap
 *             between any two, so that one binary search says whether an address is in one
 *
 * A worker asks when it accepts: the answer does not depend on whether XDP has asked before.
 * Networks are kept as ranges because nobody asks here which of them it was.
 */
#ifndef SLUICE_IMAGE_SOURCES_H
#define SLUICE_IMAGE_SOURCES_H

#include "base/addr.h"
#include "base/prefix.h"
#include "image/segment.h"

#define SOURCES_MAGIC   0x3143525345435353ull /* "SSCESRC1" in memory, little endian */
#define SOURCES_VERSION 1u

enum sources_section {
	SOURCES_SECTION_LISTS,
	SOURCES_SECTION_RANGES4,
	SOURCES_SECTION_RANGES6,
	SOURCES_SECTION_COUNT,
};

struct sources_header {
	struct segment_header segment;
};

enum sources_kind {
	SOURCES_DENY,  /* connections from these sources are closed; the first list, or none */
	SOURCES_ALLOW, /* a listener is for these alone */
	SOURCES_KIND_COUNT,
};

struct sources_list {
	uint8_t ip[16]; /* of the listener; zero in a deny list */
	uint16_t port;
	uint16_t kind; /* enum sources_kind */
	uint32_t range4_first, range4_count;
	uint32_t range6_first, range6_count;
};

struct sources_range4 {
	uint32_t first, last;
};

/* Addresses as numbers: a[0] holds their first eight bytes. */
struct sources_range6 {
	uint64_t first[2], last[2];
};

/* A verified segment. Borrows the bytes it was opened on; a copy of it is as good. */
struct sources {
	const struct sources_header *header;
	const struct sources_list *lists;
	const struct sources_range4 *ranges4;
	const struct sources_range6 *ranges6;
	uint32_t list_count;
	uint64_t generation;
};

/*
 * Verifies @bytes whole and sets up @sources. 0, or -EINVAL with a text; @sources is then
 * untouched. @bytes.at must be aligned to 8 and stay as long as it is asked.
 */
int sources_open(struct str bytes, struct sources *sources, struct err *err);

/* The deny list, or NULL. */
const struct sources_list *sources_deny(const struct sources *sources);
/* Whom the listener at @addr is for; NULL: everybody. */
const struct sources_list *sources_allow(const struct sources *sources, const struct addr *addr);
/* Whether @ip is on @list. No lock, no allocation. */
bool sources_has(const struct sources *sources, const struct sources_list *list,
		 const uint8_t ip[16]);

/* ------------------------------------------------------------------ writer */

struct sources_writer;

/* Never NULL. */
struct sources_writer *sources_writer_new(uint64_t generation);
/* Accepts NULL. */
void sources_writer_free(struct sources_writer *writer);

/*
 * Adds the list of @listener, or with NULL the deny list, which comes first. @listener is borrowed
 * for the call; what sources_writer_add says next belongs to this list.
 */
void sources_writer_begin(struct sources_writer *writer, const struct addr *listener);
/* Networks in any order, with any overlap. */
void sources_writer_add(struct sources_writer *writer, const struct prefix *prefix);
/* @bytes belongs to the writer. Once only. 0, or -EFBIG. */
int sources_writer_finish(struct sources_writer *writer, struct str *bytes, struct err *err);

#endif
