// SPDX-License-Identifier: Apache-2.0
/*
 * store: see store.h.
 *
 * Two hash tables (origins by name, entries by key) whose items are linked by
 * claims. The sorted arrays of the object_set are brought up to date when asked
 * for, by merging the few entries that changed since into the array that is
 * there, so one change among 100,000 objects costs a copy of pointers and no
 * sort.
 */
#include "kube/store.h"

#include <stdlib.h>

#include "base/random.h"
#include "base/siphash.h"
#include "kube/say.h"
#include "kube/table.h"

/* One origin says that there is this object. */
struct claim {
	struct object *object; /* owned */
	uint64_t fingerprint;
	struct entry *entry;
	struct origin *origin;
	struct claim *next_of_entry; /* by origin, in byte order: the first is in force */
	struct claim *older, *newer; /* of the origin */
	bool is_stale;               /* said before, not yet said again */
};

struct entry {
	struct table_item item;
	enum object_kind kind;
	struct str namespace, name; /* those of any of the claims' objects; owned copy */
	struct claim *claims;
	bool is_pending; /* stands in pending of its kind */
};

struct origin {
	struct table_item item;
	struct str name; /* owned */
	struct claim *newest;
	struct findings findings;
};

struct sorted {
	const struct object **at;
	size_t count;
	struct VEC(struct entry *) pending; /* changed since */
	/*
	 * Emptied entries live until the array no longer needs them, and objects until nobody
	 * compares with them: both are freed by refresh().
	 */
	struct VEC(struct object *) garbage;
	uint64_t generation;
};

struct store {
	struct siphash_key key;
	struct table origins, entries;
	struct sorted kinds[OBJECT_KIND_COUNT];
	struct object_set set;
	size_t contested_count; /* claims that are not in force */
	uint64_t findings_generation;
};

static struct str copy_text(struct str text)
{
	return str_of(mem_copy_text(text.at, text.len), text.len);
}

static void free_text(struct str text)
{
	mem_free((char *)text.at); /* made by copy_text */
}

/* ------------------------------------------------------------------- entries */

static uint64_t hash_key(const struct store *store, const struct object_key *key)
{
	uint64_t name = siphash(store->key, key->name);
	struct siphash_key second = { .k0 = name, .k1 = store->key.k1 + key->kind };

	return siphash(second, key->namespace);
}

static struct entry *find_entry(const struct store *store, const struct object_key *key)
{
	uint64_t hash = hash_key(store, key);
	struct table_item *item = table_first(&store->entries, hash);

	for (; item; item = item->next) {
		struct entry *entry = (struct entry *)item; /* item is its first member */

		if (item->hash == hash && entry->kind == key->kind &&
		    str_eq(entry->name, key->name) && str_eq(entry->namespace, key->namespace))
			return entry;
	}
	return NULL;
}

static struct entry *get_entry(struct store *store, const struct object_key *key)
{
	struct entry *entry = find_entry(store, key);

	if (entry)
		return entry;
	entry = mem_new(1, sizeof(*entry));
	entry->item.hash = hash_key(store, key);
	entry->kind = key->kind;
	entry->namespace = copy_text(key->namespace);
	entry->name = copy_text(key->name);
	table_add(&store->entries, &entry->item);
	return entry;
}

static void free_entry(struct entry *entry)
{
	free_text(entry->namespace);
	free_text(entry->name);
	mem_free(entry);
}

static struct object_key key_of(const struct object *object)
{
	return (struct object_key){ object->kind, object->namespace, object->name };
}

/* What is in force of the entry is another object now. */
static void mark_changed(struct store *store, struct entry *entry)
{
	struct sorted *sorted = &store->kinds[entry->kind];

	sorted->generation++;
	if (entry->is_pending)
		return;
	entry->is_pending = true;
	*vec_push(&sorted->pending) = entry;
}

/* -------------------------------------------------------------------- claims */

static struct claim *find_claim(const struct entry *entry, const struct origin *origin)
{
	struct claim *claim = entry ? entry->claims : NULL;

	while (claim && claim->origin != origin)
		claim = claim->next_of_entry;
	return claim;
}

static void throw_away(struct store *store, struct object *object)
{
	*vec_push(&store->kinds[object->kind].garbage) = object;
}

static void add_claim(struct store *store, struct origin *origin, struct object *object,
		      uint64_t fingerprint)
{
	struct object_key key = key_of(object);
	struct entry *entry = get_entry(store, &key);
	struct claim *claim = mem_new(1, sizeof(*claim));
	struct claim **link = &entry->claims;

	*claim = (struct claim){
		.object = object,
		.fingerprint = fingerprint,
		.entry = entry,
		.origin = origin,
		.older = origin->newest,
	};
	if (origin->newest)
		origin->newest->newer = claim;
	origin->newest = claim;
	while (*link && str_compare((*link)->origin->name, origin->name) < 0)
		link = &(*link)->next_of_entry;
	store->contested_count += entry->claims != NULL;
	if (link == &entry->claims)
		mark_changed(store, entry);
	claim->next_of_entry = *link;
	*link = claim;
}

static void remove_claim(struct store *store, struct claim *claim)
{
	struct entry *entry = claim->entry;
	struct claim **link = &entry->claims;

	while (*link != claim)
		link = &(*link)->next_of_entry;
	if (link == &entry->claims)
		mark_changed(store, entry);
	*link = claim->next_of_entry;
	store->contested_count -= entry->claims != NULL;
	if (claim->newer)
		claim->newer->older = claim->older;
	else
		claim->origin->newest = claim->older;
	if (claim->older)
		claim->older->newer = claim->newer;
	throw_away(store, claim->object);
	mem_free(claim);
}

static void change_claim(struct store *store, struct claim *claim, struct object *object,
			 uint64_t fingerprint)
{
	throw_away(store, claim->object);
	claim->object = object;
	claim->fingerprint = fingerprint;
	if (claim->entry->claims == claim)
		mark_changed(store, claim->entry);
}

/* ------------------------------------------------------------------- origins */

static struct origin *find_origin(const struct store *store, struct str name)
{
	uint64_t hash = siphash(store->key, name);
	struct table_item *item = table_first(&store->origins, hash);

	for (; item; item = item->next) {
		struct origin *origin = (struct origin *)item; /* item is its first member */

		if (item->hash == hash && str_eq(origin->name, name))
			return origin;
	}
	return NULL;
}

static struct origin *get_origin(struct store *store, struct str name)
{
	struct origin *origin = find_origin(store, name);

	if (origin)
		return origin;
	origin = mem_new(1, sizeof(*origin));
	origin->item.hash = siphash(store->key, name);
	origin->name = copy_text(name);
	findings_init(&origin->findings);
	table_add(&store->origins, &origin->item);
	return origin;
}

static void free_origin(struct origin *origin)
{
	findings_release(&origin->findings);
	free_text(origin->name);
	mem_free(origin);
}

/* ------------------------------------------------------- what an origin says */

static void find_twice(struct origin *origin, const struct claim *first, const struct object *later)
{
	struct finding_place place = { .object = later, .line = later->line };

	findings_add(&origin->findings, FINDING_ERROR, "DuplicateObject", &place,
		     "the same object stands in line %u, this one is left out",
		     first->object->line);
}

static void put_one(struct store *store, struct origin *origin, struct decoded_object *said)
{
	struct object *object = said->object;
	struct object_key key = key_of(object);
	struct claim *claim = find_claim(find_entry(store, &key), origin);

	said->object = NULL;
	if (!claim) {
		add_claim(store, origin, object, said->fingerprint);
		return;
	}
	if (!claim->is_stale) {
		find_twice(origin, claim, object);
		object_free(object);
		return;
	}
	claim->is_stale = false;
	if (said->fingerprint && said->fingerprint == claim->fingerprint)
		object_free(object);
	else
		change_claim(store, claim, object, said->fingerprint);
}

static void find_kept(struct origin *origin, const struct claim *claim)
{
	struct finding_place place = { .object = claim->object };

	findings_add(&origin->findings, FINDING_WARNING, "KeptLastGood", &place,
		     "what it said before stays in force");
}

/* Refused objects keep what they said before. */
static void keep_refused(struct store *store, struct origin *origin, const struct decoded *decoded)
{
	for (size_t i = 0; i < decoded->refused.len; i++) {
		struct entry *entry = find_entry(store, &decoded->refused.at[i]);
		struct claim *claim = find_claim(entry, origin);

		if (!claim || !claim->is_stale)
			continue;
		claim->is_stale = false;
		claim->fingerprint = 0;
		find_kept(origin, claim);
	}
}

/* What is still stale goes, unless the origin could not be read in full. */
static void sweep(struct store *store, struct origin *origin, bool is_broken)
{
	struct claim *claim = origin->newest;

	while (claim) {
		struct claim *older = claim->older;

		if (claim->is_stale && !is_broken)
			remove_claim(store, claim);
		else if (claim->is_stale)
			find_kept(origin, claim);
		claim = older;
	}
}

void store_put_origin(struct store *store, struct str name, struct decoded *decoded)
{
	struct origin *origin = get_origin(store, name);

	findings_release(&origin->findings);
	findings_init(&origin->findings);
	findings_append(&origin->findings, &decoded->findings);
	store->findings_generation++;
	for (struct claim *claim = origin->newest; claim; claim = claim->older)
		claim->is_stale = true;
	for (size_t i = 0; i < decoded->objects.len; i++)
		put_one(store, origin, &decoded->objects.at[i]);
	decoded->objects.len = 0;
	keep_refused(store, origin, decoded);
	sweep(store, origin, decoded->is_broken);
}

void store_remove_origin(struct store *store, struct str name)
{
	struct origin *origin = find_origin(store, name);

	if (!origin)
		return;
	while (origin->newest)
		remove_claim(store, origin->newest);
	table_remove(&store->origins, &origin->item);
	free_origin(origin);
	store->findings_generation++;
}

void store_put_decoded(struct store *store, struct str name, struct decoded_object *said)
{
	struct origin *origin = get_origin(store, name);
	struct object_key key = key_of(said->object);
	struct claim *claim = find_claim(find_entry(store, &key), origin);
	struct object *object = said->object;

	said->object = NULL;
	if (claim && said->fingerprint && said->fingerprint == claim->fingerprint) {
		object_free(object);
		return;
	}
	store->findings_generation++;
	if (claim)
		change_claim(store, claim, object, said->fingerprint);
	else
		add_claim(store, origin, object, said->fingerprint);
}

void store_put(struct store *store, struct str name, struct object *object)
{
	struct decoded_object said = { .object = object };

	store_put_decoded(store, name, &said);
}

void store_remove(struct store *store, struct str name, const struct object_key *key)
{
	struct origin *origin = find_origin(store, name);
	struct claim *claim = origin ? find_claim(find_entry(store, key), origin) : NULL;

	if (!claim)
		return;
	store->findings_generation++;
	remove_claim(store, claim);
}

/* ------------------------------------------------------------ what is in force */

static int compare_names(struct str namespace_a, struct str name_a, struct str namespace_b,
			 struct str name_b)
{
	int order = str_compare(namespace_a, namespace_b);

	return order ? order : str_compare(name_a, name_b);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *left = *(struct entry *const *)a; /* qsort's signature */
	const struct entry *right = *(struct entry *const *)b;

	return compare_names(left->namespace, left->name, right->namespace, right->name);
}

/* The first object from @start on that is not before @entry. */
static size_t lower_bound(const struct sorted *sorted, size_t start, const struct entry *entry)
{
	size_t low = start, high = sorted->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct object *object = sorted->at[middle];

		if (compare_names(object->namespace, object->name, entry->namespace, entry->name) <
		    0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_of(const struct object *object, const struct entry *entry)
{
	return str_eq(object->name, entry->name) && str_eq(object->namespace, entry->namespace);
}

/* The new array: the old one, with each pending entry put in, changed or taken out. */
static void merge_pending(struct sorted *sorted)
{
	size_t total = sorted->count + sorted->pending.len;
	const struct object **at = mem_new(total, sizeof(*at));
	size_t count = 0, from = 0;

	for (size_t i = 0; i < sorted->pending.len; i++) {
		const struct entry *entry = sorted->pending.at[i];
		size_t until = lower_bound(sorted, from, entry);

		if (until > from)
			memcpy(at + count, sorted->at + from, (until - from) * sizeof(*at));
		count += until - from;
		from = until;
		if (from < sorted->count && is_of(sorted->at[from], entry))
			from++;
		if (entry->claims)
			at[count++] = entry->claims->object;
	}
	if (sorted->count > from)
		memcpy(at + count, sorted->at + from, (sorted->count - from) * sizeof(*at));
	count += sorted->count - from;
	mem_free(sorted->at);
	sorted->at = at;
	sorted->count = count;
}

static void drop_garbage(struct sorted *sorted)
{
	for (size_t i = 0; i < sorted->garbage.len; i++)
		object_free(sorted->garbage.at[i]);
	vec_release(&sorted->garbage);
}

static void refresh(struct store *store, struct sorted *sorted)
{
	if (sorted->pending.len) {
		qsort(sorted->pending.at, sorted->pending.len, sizeof(*sorted->pending.at),
		      compare_entries);
		merge_pending(sorted);
	}
	for (size_t i = 0; i < sorted->pending.len; i++) {
		struct entry *entry = sorted->pending.at[i];

		entry->is_pending = false;
		if (entry->claims)
			continue;
		table_remove(&store->entries, &entry->item);
		free_entry(entry);
	}
	vec_release(&sorted->pending);
	drop_garbage(sorted);
}

const struct object_set *store_set(struct store *store)
{
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		struct sorted *sorted = &store->kinds[kind];

		refresh(store, sorted);
		store->set.of[kind].at = sorted->at;
		store->set.of[kind].count = sorted->count;
	}
	return &store->set;
}

uint64_t store_generation(const struct store *store, enum object_kind kind)
{
	return store->kinds[kind].generation;
}

/* ------------------------------------------------------------------ findings */

uint64_t store_findings_generation(const struct store *store)
{
	return store->findings_generation;
}

static int compare_origins(const void *a, const void *b)
{
	const struct origin *left = *(struct origin *const *)a; /* qsort's signature */
	const struct origin *right = *(struct origin *const *)b;

	return str_compare(left->name, right->name);
}

static void add_origins(const struct store *store, struct findings *findings)
{
	struct VEC(struct origin *) origins = { 0 };
	struct table_item *item = NULL;

	while ((item = table_next(&store->origins, item))) {
		struct origin *origin = (struct origin *)item; /* its first member */

		if (origin->findings.list.len)
			*vec_push(&origins) = origin;
	}
	if (origins.len)
		qsort(origins.at, origins.len, sizeof(*origins.at), compare_origins);
	for (size_t i = 0; i < origins.len; i++)
		findings_append(findings, &origins.at[i]->findings);
	vec_release(&origins);
}

static void add_contested(const struct entry *entry, struct findings *findings)
{
	const struct object *winner = entry->claims->object;
	const struct claim *claim = entry->claims->next_of_entry;
	char said[SAY_MAX];

	for (; claim; claim = claim->next_of_entry) {
		struct finding_place place = { .object = claim->object };

		findings_add(findings, FINDING_ERROR, "DuplicateObject", &place,
			     "the same object stands in '%s:%u', this one is left out",
			     say_text(entry->claims->origin->name, said), winner->line);
	}
}

static int compare_entries_of_all(const void *a, const void *b)
{
	const struct entry *left = *(struct entry *const *)a; /* qsort's signature */
	const struct entry *right = *(struct entry *const *)b;

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	return compare_entries(a, b);
}

static void add_double_claims(const struct store *store, struct findings *findings)
{
	struct VEC(struct entry *) entries = { 0 };
	struct table_item *item = NULL;

	while ((item = table_next(&store->entries, item))) {
		struct entry *entry = (struct entry *)item; /* its first member */

		if (entry->claims && entry->claims->next_of_entry)
			*vec_push(&entries) = entry;
	}
	if (entries.len)
		qsort(entries.at, entries.len, sizeof(*entries.at), compare_entries_of_all);
	for (size_t i = 0; i < entries.len; i++)
		add_contested(entries.at[i], findings);
	vec_release(&entries);
}

void store_findings(const struct store *store, struct findings *findings)
{
	add_origins(store, findings);
	if (store->contested_count)
		add_double_claims(store, findings);
}

/* ------------------------------------------------------------------ lifetime */

struct store *store_new(void)
{
	struct store *store = mem_new(1, sizeof(*store));

	random_bytes(&store->key, sizeof(store->key));
	return store;
}

static void free_origins(struct store *store)
{
	struct table_item *item = table_next(&store->origins, NULL);

	while (item) {
		struct origin *origin = (struct origin *)item; /* its first member */

		item = table_next(&store->origins, item);
		while (origin->newest)
			remove_claim(store, origin->newest);
		free_origin(origin);
	}
	table_release(&store->origins);
}

void store_free(struct store *store)
{
	if (!store)
		return;
	free_origins(store);
	/* Without claims every entry is pending and is freed here. */
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		refresh(store, &store->kinds[kind]);
		mem_free(store->kinds[kind].at);
	}
	table_release(&store->entries);
	mem_free(store);
}
