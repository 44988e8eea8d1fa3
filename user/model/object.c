// SPDX-License-Identifier: Apache-2.0
/* object: names of kinds and look-ups; see object.h. */
#include "model/object.h"

#include "base/mem.h"

const char *object_kind_name(enum object_kind kind)
{
	static const char *const names[OBJECT_KIND_COUNT] = {
		[OBJECT_KIND_INGRESS] = "Ingress", [OBJECT_KIND_INGRESS_CLASS] = "IngressClass",
		[OBJECT_KIND_SERVICE] = "Service", [OBJECT_KIND_ENDPOINT_SLICE] = "EndpointSlice",
		[OBJECT_KIND_SECRET] = "Secret",   [OBJECT_KIND_CONFIG_MAP] = "ConfigMap",
	};

	return names[kind];
}

struct str object_pairs_find(struct object_pairs pairs, struct str key)
{
	for (uint32_t i = 0; i < pairs.count; i++) {
		if (str_eq(pairs.at[i].key, key))
			return pairs.at[i].value;
	}
	return str_of(NULL, 0);
}

uint64_t object_serial(void)
{
	static uint64_t last;

	return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

void object_free(struct object *object)
{
	if (!object)
		return;
	arena_release(&object->arena);
	mem_free(object);
}

size_t object_set_position(const struct object_set *set, enum object_kind kind,
			   struct str namespace, struct str name)
{
	size_t low = 0, high = set->of[kind].count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct object *object = set->of[kind].at[middle];
		int order = str_compare(object->namespace, namespace);

		if (order == 0)
			order = str_compare(object->name, name);
		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return set->of[kind].count;
}

const struct object *object_set_find(const struct object_set *set, enum object_kind kind,
				     struct str namespace, struct str name)
{
	size_t position = object_set_position(set, kind, namespace, name);

	return position < set->of[kind].count ? set->of[kind].at[position] : NULL;
}
