/* SPDX-License-Identifier: Apache-2.0 */
/*
 * texts: runs of bytes, kept once where they repeat, while a segment is being written.
 *
 * Becomes the strings of a segment as it is. Namespaces, Services and paths repeat by the
 * thousand, so this keeps a segment small and its strings in the cache. For the agent's half.
 */
#ifndef SLUICE_IMAGE_TEXTS_H
#define SLUICE_IMAGE_TEXTS_H

#include "base/siphash.h"
#include "image/segment.h"

struct texts_slot;

struct texts {
	struct siphash_key key;
	char *at; /* what was added, in order of first appearance */
	size_t len;
	size_t cap;
	struct texts_slot *slots;
	uint32_t slot_mask;
	uint32_t slots_used;
	bool is_full;   /* something did not fit below 4 GiB; it was left out */
	bool is_secret; /* set by who keeps keys here: no byte is left behind in the heap */
};

void texts_init(struct texts *texts, struct siphash_key key);
void texts_release(struct texts *texts);
/* Empty again; memory is kept. */
void texts_reset(struct texts *texts);

/* Where @bytes are, added now or before. Says in *@is_new which; @is_new may be NULL. */
struct segment_text texts_add(struct texts *texts, struct str bytes, bool *is_new);

/* True with where @bytes are; false where they were never added. */
bool texts_find(const struct texts *texts, struct str bytes, struct segment_text *text);

/*
 * The same where a text is often the one before: *@last is what came of the call before, {0, 0} at
 * first. Returns the new *@last.
 */
struct segment_text texts_add_next(struct texts *texts, struct str bytes,
				   struct segment_text *last);

/* Where @bytes are, added now without looking whether they are there: for what is new as a rule. */
struct segment_text texts_append(struct texts *texts, struct str bytes);

#endif
