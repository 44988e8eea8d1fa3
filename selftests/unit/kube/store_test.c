// SPDX-License-Identifier: Apache-2.0
/* The store: who wins, what stays in force, what counts as a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kube/store.h"

#define MAP(name, value)                                                                           \
	"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: " name "}\ndata: {v: '" value "'}" \
	"\n"
#define BAD(name)                                                                                  \
	"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: " name "}\ndata: {v: []}\n"
#define CLASS(name)                                                                                \
	"---\napiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: " name "}\n"  \
	"spec: {controller: a/b}\n"

static void put(struct store *store, const char *origin, const char *text)
{
	struct decoded decoded;

	decoded_init(&decoded);
	decode_text(str_from_c(origin), str_from_c(text), NODE_FORMAT_YAML, &decoded);
	store_put_origin(store, str_from_c(origin), &decoded);
	decoded_release(&decoded);
}

/* "a=1 b=2": the ConfigMaps in force with their values. */
static void assert_maps(struct store *store, const char *expected)
{
	const struct object_set *set = store_set(store);
	struct buf out;

	buf_init(&out, 0);
	for (size_t i = 0; i < set->of[OBJECT_KIND_CONFIG_MAP].count; i++) {
		const struct object *object = set->of[OBJECT_KIND_CONFIG_MAP].at[i];
		struct str value = object_pairs_find(object->config_map.data, STR("v"));

		buf_printf(&out, "%s%.*s=%.*s", i ? " " : "", STR_ARG(object->name),
			   STR_ARG(value));
	}
	if (!str_eq_c(buf_str(&out), expected))
		fail_msg("in force: '%.*s', wanted '%s'", (int)out.len, out.at ? out.at : "",
			 expected);
	buf_release(&out);
}

static void assert_findings(const struct store *store, const char *expected)
{
	struct findings findings;
	struct buf out;

	buf_init(&out, 0);
	findings_init(&findings);
	store_findings(store, &findings);
	for (size_t i = 0; i < findings.list.len; i++) {
		finding_format(&findings.list.at[i], &out);
		buf_add_char(&out, '\n');
	}
	if (!str_eq_c(buf_str(&out), expected))
		fail_msg("findings:\n%.*swanted:\n%s", (int)out.len, out.at ? out.at : "",
			 expected);
	findings_release(&findings);
	buf_release(&out);
}

static uint64_t maps_generation(const struct store *store)
{
	return store_generation(store, OBJECT_KIND_CONFIG_MAP);
}

static void test_put_and_remove(void **state)
{
	struct store *store = store_new();

	(void)state;
	assert_maps(store, "");
	put(store, "1", MAP("b", "x") MAP("a", "y"));
	assert_maps(store, "a=y b=x");
	put(store, "2", MAP("c", "z"));
	assert_maps(store, "a=y b=x c=z");
	put(store, "1", MAP("b", "w") MAP("d", "v"));
	assert_maps(store, "b=w c=z d=v");
	store_remove_origin(store, STR("1"));
	assert_maps(store, "c=z");
	store_remove_origin(store, STR("1"));
	put(store, "2", "");
	assert_maps(store, "");
	assert_findings(store, "");
	store_free(store);
}

static void test_first_origin_wins(void **state)
{
	struct store *store = store_new();

	(void)state;
	put(store, "b.yaml", MAP("m", "b"));
	put(store, "c.yaml", MAP("m", "c"));
	assert_maps(store, "m=b");
	put(store, "a.yaml", "\n" MAP("m", "a"));
	assert_maps(store, "m=a");
	assert_findings(
		store,
		"error ConfigMap default/m (b.yaml:2): the same object stands in 'a.yaml:3', this "
		"one is left out\n"
		"error ConfigMap default/m (c.yaml:2): the same object stands in 'a.yaml:3', this "
		"one is left out\n");
	/* A change of one that is not in force changes nothing. */
	uint64_t before = maps_generation(store);
	put(store, "c.yaml", MAP("m", "cc"));
	assert_int_equal(maps_generation(store), before);
	store_remove_origin(store, STR("a.yaml"));
	assert_maps(store, "m=b");
	assert_true(maps_generation(store) > before);
	store_remove_origin(store, STR("b.yaml"));
	assert_maps(store, "m=cc");
	assert_findings(store, "");
	store_free(store);
}

static void test_twice_in_one_origin(void **state)
{
	struct store *store = store_new();

	(void)state;
	put(store, "a", MAP("m", "1") MAP("m", "2"));
	assert_maps(store, "m=1");
	assert_findings(store,
			"error ConfigMap default/m (a:7): the same object stands in line 2, this "
			"one is left out\n");
	put(store, "a", MAP("m", "2"));
	assert_maps(store, "m=2");
	assert_findings(store, "");
	store_free(store);
}

static void test_generations(void **state)
{
	struct store *store = store_new();
	const struct object *object;
	uint64_t maps, classes;

	(void)state;
	assert_int_equal(maps_generation(store), 0);
	put(store, "a", MAP("m", "1") CLASS("c"));
	maps = maps_generation(store);
	classes = store_generation(store, OBJECT_KIND_INGRESS_CLASS);
	assert_true(maps > 0 && classes > 0);
	object = store_set(store)->of[OBJECT_KIND_CONFIG_MAP].at[0];

	/* The same text again, and a change of something else: the object is left alone. */
	put(store, "a", MAP("m", "1") CLASS("c"));
	put(store, "a", MAP("m", "1") CLASS("d"));
	assert_int_equal(maps_generation(store), maps);
	assert_ptr_equal(store_set(store)->of[OBJECT_KIND_CONFIG_MAP].at[0], object);
	assert_true(store_generation(store, OBJECT_KIND_INGRESS_CLASS) > classes);

	/* Other lines are another object: findings name them. */
	put(store, "a", "\n" MAP("m", "1"));
	assert_true(maps_generation(store) > maps);
	assert_int_equal(store_generation(store, OBJECT_KIND_SECRET), 0);
	store_free(store);
}

static void test_what_was_good_stays(void **state)
{
	struct store *store = store_new();

	(void)state;
	put(store, "a", MAP("m", "1") MAP("n", "1"));
	/* One object is refused: its last version stays, the others follow the text. */
	put(store, "a", BAD("m") MAP("o", "1"));
	assert_maps(store, "m=1 o=1");
	assert_findings(store,
			"error ConfigMap default/m (a:5) data.v: list where text is wanted, the "
			"object is left out\n"
			"warning ConfigMap default/m (a:2): what it said before stays in force\n");
	/* Again: the finding is there as long as that is so. */
	put(store, "a", "\n" BAD("m") MAP("o", "2"));
	assert_maps(store, "m=1 o=2");
	put(store, "a", MAP("m", "3"));
	assert_maps(store, "m=3");
	assert_findings(store, "");
	/* It is refused, then it is gone. */
	put(store, "a", BAD("m"));
	put(store, "a", MAP("p", "1"));
	assert_maps(store, "p=1");
	store_free(store);
}

static void test_back_to_what_was_good(void **state)
{
	struct store *store = store_new();

	(void)state;
	put(store, "a", MAP("m", "1"));
	put(store, "a", BAD("m"));
	put(store, "a", MAP("m", "1"));
	assert_maps(store, "m=1");
	assert_findings(store, "");
	store_free(store);
}

static void test_broken_origin(void **state)
{
	struct store *store = store_new();

	(void)state;
	put(store, "a", MAP("m", "1") MAP("n", "1"));
	put(store, "a", MAP("m", "2") "---\na: [\n");
	assert_maps(store, "m=2 n=1");
	assert_findings(store,
			"error a:8 a[0]: not YAML: did not find expected node content\n"
			"warning ConfigMap default/n (a:7): what it said before stays in force\n");
	put(store, "a", MAP("m", "2"));
	assert_maps(store, "m=2");
	assert_findings(store, "");
	/* From the start: what can be read is served. */
	put(store, "b", "---\na: [\n" MAP("q", "1"));
	assert_maps(store, "m=2 q=1");
	store_free(store);
}

static struct object *make_map(const char *name, const char *value)
{
	struct object *object;
	struct decoded decoded;
	struct buf text;

	buf_init(&text, 0);
	buf_printf(&text, MAP("%s", "%s"), name, value);
	decoded_init(&decoded);
	decode_text(str_of(NULL, 0), buf_str(&text), NODE_FORMAT_YAML, &decoded);
	assert_int_equal(decoded.objects.len, 1);
	object = decoded.objects.at[0].object;
	decoded.objects.len = 0;
	decoded_release(&decoded);
	buf_release(&text);
	return object;
}

/* As a client of an API server does it. */
static void test_single_objects(void **state)
{
	struct object_key key = { OBJECT_KIND_CONFIG_MAP, STR("default"), STR("m") };
	struct store *store = store_new();
	uint64_t before;

	(void)state;
	store_put(store, STR("api"), make_map("m", "1"));
	store_put(store, STR("api"), make_map("l", "1"));
	assert_maps(store, "l=1 m=1");
	store_put(store, STR("api"), make_map("m", "2"));
	assert_maps(store, "l=1 m=2");
	before = maps_generation(store);
	store_remove(store, STR("other"), &key);
	assert_int_equal(maps_generation(store), before);
	store_remove(store, STR("api"), &key);
	store_remove(store, STR("api"), &key);
	assert_maps(store, "l=1");
	store_free(store);
}

/* Many rounds of changes against a plain array that says what must be there. */
static void test_against_a_plain_array(void **state)
{
	enum { NAMES = 60, ROUNDS = 2000 };
	int values[NAMES] = { 0 };
	struct store *store = store_new();
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		char name[16], value[16];
		struct buf expected;
		int i;

		seed = seed * 1103515245 + 12345;
		i = (int)(seed >> 16) % NAMES;
		snprintf(name, sizeof(name), "n%02d", i);
		snprintf(value, sizeof(value), "v%d", round + 1);
		if (seed >> 8 & 1) {
			struct object_key key = { OBJECT_KIND_CONFIG_MAP, STR("default"),
						  str_from_c(name) };

			store_remove(store, STR("api"), &key);
			values[i] = 0;
		} else {
			store_put(store, STR("api"), make_map(name, value));
			values[i] = round + 1;
		}
		if (round % 7)
			continue;
		buf_init(&expected, 0);
		for (int j = 0; j < NAMES; j++) {
			if (values[j])
				buf_printf(&expected, "%sn%02d=v%d", expected.len ? " " : "", j,
					   values[j]);
		}
		buf_add_char(&expected, 0);
		assert_maps(store, expected.at);
		buf_release(&expected);
	}
	store_free(store);
}

static void test_dump_has_no_values(void **state)
{
	struct store *store = store_new();
	struct buf out;

	(void)state;
	put(store, "a",
	    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations: {x: hunter2}\n"
	    "stringData: {password: hunter2}\n" MAP("m", "hunter2"));
	buf_init(&out, 0);
	store_dump(store, &out);
	buf_add_char(&out, 0);
	assert_non_null(strstr(out.at, "data 'password' 7 bytes"));
	assert_non_null(strstr(out.at, "annotation 'x' 7 bytes"));
	assert_null(strstr(out.at, "hunter2"));
	buf_release(&out);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_and_remove),
		cmocka_unit_test(test_first_origin_wins),
		cmocka_unit_test(test_twice_in_one_origin),
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_what_was_good_stays),
		cmocka_unit_test(test_back_to_what_was_good),
		cmocka_unit_test(test_broken_origin),
		cmocka_unit_test(test_single_objects),
		cmocka_unit_test(test_against_a_plain_array),
		cmocka_unit_test(test_dump_has_no_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
