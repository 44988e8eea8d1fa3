// SPDX-License-Identifier: Apache-2.0
/* class_rules: see class_rules.h. */
#include "compile/class_rules.h"

static const struct str legacy_annotation = STR_INIT("kubernetes.io/ingress.class");

static struct str own_name(const struct class_rules *rules)
{
	return rules->name.len ? rules->name : STR(CLASS_RULES_NAME_DEFAULT);
}

static bool is_taken_over(const struct class_rules *rules, struct str name)
{
	return rules->take_over.len && str_eq(rules->take_over, name);
}

enum class_rules_owner class_rules_of_class(const struct class_rules *rules,
					    const struct object *class)
{
	struct str controller = class->ingress_class.controller;

	if (str_eq(controller, STR(CLASS_RULES_CONTROLLER)))
		return CLASS_RULES_OURS;
	return is_taken_over(rules, class->name) &&
			       str_eq(controller, STR(CLASS_RULES_TAKE_OVER_CONTROLLER))
		       ? CLASS_RULES_TAKEN_OVER
		       : CLASS_RULES_OTHERS;
}

enum class_rules_owner class_rules_of_name(const struct class_rules *rules,
					   const struct object_set *set, struct str name,
					   const struct object **class)
{
	const struct object *found = object_set_find(set, OBJECT_KIND_INGRESS_CLASS, STR(""), name);
	enum class_rules_owner owner;

	*class = NULL;
	if (found) {
		owner = class_rules_of_class(rules, found);
		if (owner != CLASS_RULES_OTHERS)
			*class = found;
		return owner;
	}
	if (str_eq(name, own_name(rules)))
		return CLASS_RULES_OURS;
	return is_taken_over(rules, name) ? CLASS_RULES_TAKEN_OVER : CLASS_RULES_OTHERS;
}

enum class_rules_owner class_rules_of_nameless(const struct class_rules *rules,
					       const struct object_set *set,
					       const struct object **class)
{
	const struct object *const *classes = set->of[OBJECT_KIND_INGRESS_CLASS].at;
	enum class_rules_owner owner;

	*class = NULL;
	for (size_t i = 0; i < set->of[OBJECT_KIND_INGRESS_CLASS].count; i++) {
		if (!classes[i]->ingress_class.is_default ||
		    class_rules_of_class(rules, classes[i]) == CLASS_RULES_OTHERS)
			continue;
		if (!*class || classes[i]->created_s > (*class)->created_s)
			*class = classes[i];
	}
	if (*class)
		return class_rules_of_class(rules, *class);
	if (!rules->watch_nameless)
		return CLASS_RULES_OTHERS;
	/* They are ours also where our name is another's class. */
	owner = class_rules_of_name(rules, set, own_name(rules), class);
	return owner == CLASS_RULES_OTHERS ? CLASS_RULES_OURS : owner;
}

struct str class_rules_name_in(const struct object *ingress)
{
	struct str name = ingress->ingress.class_name;

	return name.len ? name : object_pairs_find(ingress->annotations, legacy_annotation);
}

bool class_rules_have(const struct class_rules *rules, const struct object_set *set,
		      const struct object *ingress)
{
	struct str name = class_rules_name_in(ingress);
	const struct object *class;

	if (rules->namespace.len && !str_eq(ingress->namespace, rules->namespace))
		return false;
	if (name.len == 0)
		return class_rules_of_nameless(rules, set, &class) != CLASS_RULES_OTHERS;
	return class_rules_of_name(rules, set, name, &class) != CLASS_RULES_OTHERS;
}
