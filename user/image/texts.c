// SPDX-License-Identifier: Apache-2.0
/* texts: see texts.h. Open addressing over (hash, offset, length), at most half full. */
#include "image/texts.h"

#include "base/mem.h"

enum {
	SLOTS_AT_FIRST = 64,
	BYTES_AT_FIRST = 4096,
};

struct texts_slot {
	uint32_t tag;
	uint32_t is_used;
	struct segment_text text;
};

void texts_init(struct texts *texts, struct siphash_key key)
{
	*texts = (struct texts){ .key = key, .slot_mask = SLOTS_AT_FIRST - 1 };
	texts->slots = mem_new(SLOTS_AT_FIRST, sizeof(*texts->slots));
	texts->at = mem_new(BYTES_AT_FIRST, 1);
	texts->cap = BYTES_AT_FIRST;
}

void texts_release(struct texts *texts)
{
	if (texts->at && texts->is_secret)
		explicit_bzero(texts->at, texts->cap);
	mem_free(texts->at);
	mem_free(texts->slots);
	*texts = (struct texts){ 0 };
}

void texts_reset(struct texts *texts)
{
	if (texts->is_secret)
		explicit_bzero(texts->at, texts->len);
	memset(texts->slots, 0, ((size_t)texts->slot_mask + 1) * sizeof(*texts->slots));
	texts->len = 0;
	texts->slots_used = 0;
	texts->is_full = false;
}

/* The slot of @bytes, or the empty one where it belongs. */
static struct texts_slot *find_slot(const struct texts *texts, struct str bytes, uint32_t hash)
{
	uint32_t i = hash & texts->slot_mask;

	for (; texts->slots[i].is_used; i = (i + 1) & texts->slot_mask) {
		struct segment_text text = texts->slots[i].text;

		if (texts->slots[i].tag == hash &&
		    str_eq(str_of(texts->at + text.offset, text.len), bytes))
			break;
	}
	return &texts->slots[i];
}

static void grow_slots(struct texts *texts)
{
	struct texts_slot *old = texts->slots;
	uint32_t old_count = texts->slot_mask + 1;

	texts->slot_mask = old_count * 2 - 1;
	texts->slots = mem_new((size_t)old_count * 2, sizeof(*texts->slots));
	for (uint32_t i = 0; i < old_count; i++) {
		uint32_t to = old[i].tag & texts->slot_mask;

		if (!old[i].is_used)
			continue;
		while (texts->slots[to].is_used)
			to = (to + 1) & texts->slot_mask;
		texts->slots[to] = old[i];
	}
	mem_free(old);
}

/* What holds secrets grows by hand, not by realloc: the old place is wiped. */
static char *move_secret(const struct texts *texts, size_t cap)
{
	char *at = mem_new(cap, 1);

	memcpy(at, texts->at, texts->len);
	explicit_bzero(texts->at, texts->cap);
	mem_free(texts->at);
	return at;
}

static void grow_bytes(struct texts *texts, size_t wanted)
{
	size_t cap = texts->cap;

	while (cap < wanted)
		cap *= 2;
	texts->at = texts->is_secret ? move_secret(texts, cap) : mem_resize(texts->at, cap, 1);
	texts->cap = cap;
}

struct segment_text texts_append(struct texts *texts, struct str bytes)
{
	struct segment_text text = { (uint32_t)texts->len, (uint32_t)bytes.len };

	if (bytes.len > UINT32_MAX - texts->len) {
		texts->is_full = true;
		return (struct segment_text){ 0, 0 };
	}
	if (texts->len + bytes.len > texts->cap)
		grow_bytes(texts, texts->len + bytes.len);
	if (bytes.len)
		memcpy(texts->at + texts->len, bytes.at, bytes.len);
	texts->len += bytes.len;
	return text;
}

struct segment_text texts_add(struct texts *texts, struct str bytes, bool *is_new)
{
	uint32_t hash = (uint32_t)siphash(texts->key, bytes);
	struct texts_slot *slot;
	struct segment_text text;

	if (bytes.len == 0 && !is_new)
		return (struct segment_text){ 0, 0 }; /* wherever it comes, the same */
	slot = find_slot(texts, bytes, hash);
	text = slot->text;
	if (is_new)
		*is_new = !slot->is_used;
	if (slot->is_used)
		return text;
	text = texts_append(texts, bytes);
	*slot = (struct texts_slot){ .tag = hash, .is_used = 1, .text = text };
	texts->slots_used++;
	if (texts->slots_used > texts->slot_mask / 2)
		grow_slots(texts);
	return text;
}

bool texts_find(const struct texts *texts, struct str bytes, struct segment_text *text)
{
	const struct texts_slot *slot =
		find_slot(texts, bytes, (uint32_t)siphash(texts->key, bytes));

	*text = slot->text;
	return slot->is_used;
}

struct segment_text texts_add_next(struct texts *texts, struct str bytes, struct segment_text *last)
{
	if (!str_eq(str_of(texts->at + last->offset, last->len), bytes))
		*last = texts_add(texts, bytes, NULL);
	return *last;
}
