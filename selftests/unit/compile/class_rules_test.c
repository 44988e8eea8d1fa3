// SPDX-License-Identifier: Apache-2.0
/* Whose an Ingress is: the rules that compiling, reading Secrets and writing status share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "compile/class_rules.h"
#include "unit/compile/objects.h"

struct rules_case {
	const char *name;
	const struct class_rules *rules;
	const char *classes; /* "name=controller[*]", * marks a default class */
	const char *class_name, *annotation;
	bool is_ours;
};

#define OURS  "sluice.dev/ingress-controller"
#define NGINX "k8s.io/ingress-nginx"

static const struct class_rules plain = { .watch_nameless = false };
static const struct class_rules mine = { .name = STR_INIT("mine") };
static const struct class_rules takes_over = { .take_over = STR_INIT("nginx") };
static const struct class_rules watches_nameless = { .watch_nameless = true };
static const struct class_rules in_shop = { .namespace = STR_INIT("shop") };
static const struct class_rules in_b = { .namespace = STR_INIT("b") };

static const struct rules_case cases[] = {
	{ "by controller", &plain, "a=" OURS, "a", NULL, true },
	{ "by controller, of others", &plain, "a=x/y", "a", NULL, false },
	{ "by name without object", &plain, "", "sluice", NULL, true },
	{ "our name, the class of others", &plain, "sluice=x/y", "sluice", NULL, false },
	{ "another name", &mine, "", "mine", NULL, true },
	{ "another name, not the default", &mine, "", "sluice", NULL, false },
	{ "unknown name", &plain, "", "other", NULL, false },
	{ "by annotation", &plain, "", NULL, "sluice", true },
	{ "the field before the annotation", &plain, "", "other", "sluice", false },
	{ "nameless", &plain, "a=" OURS, NULL, NULL, false },
	{ "nameless with a default class", &plain, "a=" OURS "*", NULL, NULL, true },
	{ "nameless, the default of others", &plain, "a=x/y*", NULL, NULL, false },
	{ "nameless watched", &watches_nameless, "", NULL, NULL, true },
	{ "nameless watched, our name is another's", &watches_nameless, "sluice=x/y", NULL, NULL,
	  true },
	{ "named while nameless is watched", &watches_nameless, "", "other", NULL, false },
	{ "ingress-nginx", &plain, "nginx=" NGINX, "nginx", NULL, false },
	{ "taken over", &takes_over, "nginx=" NGINX, "nginx", NULL, true },
	{ "taken over, by annotation", &takes_over, "nginx=" NGINX, NULL, "nginx", true },
	{ "taken over without object", &takes_over, "", "nginx", NULL, true },
	{ "taken over, from somebody else", &takes_over, "nginx=x/y", "nginx", NULL, false },
	{ "taken over, another class", &takes_over, "nginx=" NGINX " b=" NGINX, "b", NULL, false },
	{ "taken over and default", &takes_over, "nginx=" NGINX "*", NULL, NULL, true },
	{ "taken over, ours as before", &takes_over, "nginx=" NGINX, "sluice", NULL, true },
	{ "namespace watched", &in_shop, "", "sluice", NULL, true },
	{ "another namespace watched", &in_b, "", "sluice", NULL, false },
};

static void add_classes(struct objects *objects, const char *text)
{
	struct str rest = str_from_c(text), part, name;

	while (rest.len && str_take_part(&rest, ' ', &part)) {
		struct object *class = objects_add(objects, OBJECT_KIND_INGRESS_CLASS, "", "");
		bool is_default = part.at[part.len - 1] == '*';

		str_take_part(&part, '=', &name);
		class->name = name;
		class->ingress_class.controller = str_slice(part, 0, part.len - is_default);
		class->ingress_class.is_default = is_default;
	}
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct rules_case *wanted = &cases[i];
		struct object *ingress;
		struct objects objects;
		struct object_set set;

		objects_init(&objects);
		add_classes(&objects, wanted->classes);
		ingress = objects_ingress(&objects, "shop", "web");
		ingress->ingress.class_name = str_from_c(wanted->class_name);
		if (wanted->annotation)
			objects_annotate(ingress, "kubernetes.io/ingress.class",
					 wanted->annotation);
		set = objects_set(&objects);
		if (class_rules_have(wanted->rules, &set, ingress) != wanted->is_ours)
			fail_msg("%s: ours %d, wanted %d", wanted->name, !wanted->is_ours,
				 wanted->is_ours);
		objects_release(&objects);
	}
}

static void test_the_newest_default_class_counts(void **state)
{
	const struct object *class;
	struct objects objects;
	struct object_set set;

	(void)state;
	objects_init(&objects);
	add_classes(&objects, "a=" OURS "* nginx=" NGINX "* z=" OURS "*");
	set = objects_set(&objects);
	((struct object *)set.of[OBJECT_KIND_INGRESS_CLASS].at[1])->created_s = 1; /* ours */
	assert_int_equal(class_rules_of_nameless(&takes_over, &set, &class),
			 CLASS_RULES_TAKEN_OVER);
	assert_ptr_equal(class, set.of[OBJECT_KIND_INGRESS_CLASS].at[1]);
	objects_release(&objects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_the_newest_default_class_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
