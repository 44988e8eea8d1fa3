// SPDX-License-Identifier: Apache-2.0
/* Look-ups in sets of objects and in pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/object.h"

enum { NAMESPACES = 3, NAMES = 9, COUNT = NAMESPACES * NAMES };

static char texts[COUNT][2][16];
static struct object objects[COUNT];
static const struct object *sorted[COUNT];

static struct object_set make_set(size_t count)
{
	struct object_set set = { 0 };

	for (int i = 0; i < COUNT; i++) {
		snprintf(texts[i][0], 16, "ns%d", i / NAMES);
		snprintf(texts[i][1], 16, "n%d", i % NAMES);
		objects[i] = (struct object){
			.namespace = str_from_c(texts[i][0]),
			.name = str_from_c(texts[i][1]),
		};
		sorted[i] = &objects[i];
	}
	set.of[OBJECT_KIND_SERVICE].at = sorted;
	set.of[OBJECT_KIND_SERVICE].count = count;
	return set;
}

static void test_find(void **state)
{
	(void)state;
	for (size_t count = 0; count <= COUNT; count++) {
		struct object_set set = make_set(count);

		for (size_t i = 0; i < COUNT; i++) {
			const struct object *found =
				object_set_find(&set, OBJECT_KIND_SERVICE, objects[i].namespace,
						objects[i].name);

			assert_ptr_equal(found, i < count ? &objects[i] : NULL);
		}
		assert_null(object_set_find(&set, OBJECT_KIND_SERVICE, STR("ns1"), STR("n")));
		assert_null(object_set_find(&set, OBJECT_KIND_SERVICE, STR("ns1"), STR("n99")));
		assert_null(object_set_find(&set, OBJECT_KIND_SERVICE, STR(""), STR("n1")));
		assert_null(object_set_find(&set, OBJECT_KIND_SERVICE, STR("zz"), STR("n1")));
		assert_null(object_set_find(&set, OBJECT_KIND_SECRET, STR("ns1"), STR("n1")));
	}
}

static void test_pairs(void **state)
{
	static const struct object_pair pairs[] = {
		{ STR_INIT("a"), STR_INIT("1"), 1 },
		{ STR_INIT("b"), STR_INIT(""), 2 },
		{ STR_INIT("a"), STR_INIT("2"), 3 },
	};
	const struct object_pairs all = { .at = pairs, .count = 3 };

	(void)state;
	assert_true(str_eq_c(object_pairs_find(all, STR("a")), "1"));
	assert_non_null(object_pairs_find(all, STR("b")).at);
	assert_null(object_pairs_find(all, STR("c")).at);
	assert_null(object_pairs_find((struct object_pairs){ 0 }, STR("a")).at);
}

static void test_names_and_serials(void **state)
{
	uint64_t first = object_serial();
	struct object *object = mem_new(1, sizeof(*object));

	(void)state;
	assert_true(first > 0);
	assert_true(object_serial() > first);
	for (int i = 0; i < OBJECT_KIND_COUNT; i++)
		assert_non_null(object_kind_name((enum object_kind)i));
	assert_string_equal(object_kind_name(OBJECT_KIND_ENDPOINT_SLICE), "EndpointSlice");
	arena_init(&object->arena, 0);
	object->name = arena_copy(&object->arena, STR("x"));
	object_free(object);
	object_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_names_and_serials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
