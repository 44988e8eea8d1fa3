// SPDX-License-Identifier: Apache-2.0
/*
 * select: our Ingresses, oldest first, and what their classes say (SEMANTICS 1.4). Whose an Ingress
 * is stands in class_rules.h.
 *
 *   classes   [ ours, no object ][ taken over, no object ][ IngressClasses of ours ... ]
 *
 * Nothing is said about the Ingresses of others: they are nobody's mistake.
 */
#include <stdlib.h>

#include "compile/build.h"

enum {
	CLASS_OURS = 0,
	CLASS_TAKEN_OVER = 1,
	CLASSES_WITHOUT_OBJECT = 2,
	CLASS_NOT_OURS = UINT16_MAX,
};

/* ------------------------------------------------- settings of the classes */

static const struct object *find_parameters(struct build *build, const struct object *class)
{
	const struct object_ingress_class *spec = &class->ingress_class;
	const struct object *config_map;
	struct str namespace =
		spec->parameters_namespace.len ? spec->parameters_namespace : STR("default");
	struct finding_place place =
		build_place(build, class, spec->parameters_line, "spec.parameters");

	if (!spec->parameters_kind.at)
		return NULL;
	if (!str_eq(spec->parameters_kind, STR("ConfigMap")) || spec->parameters_group.len) {
		findings_add(build->findings, FINDING_ERROR, "InvalidParameters", &place,
			     "parameters of kind '%.*s' are not known, only 'ConfigMap' is",
			     STR_ARG(spec->parameters_kind));
		return NULL;
	}
	config_map = object_set_find(build->set, OBJECT_KIND_CONFIG_MAP, namespace,
				     spec->parameters_name);
	if (!config_map)
		findings_add(build->findings, FINDING_ERROR, "MissingParameters", &place,
			     "configmap '%.*s/%.*s' does not exist", STR_ARG(namespace),
			     STR_ARG(spec->parameters_name));
	return config_map;
}

static void add_class(struct build *build, const struct object *class, uint32_t like)
{
	const struct object *config_map;
	struct build_class *added = vec_push(&build->classes);
	struct settings_source source;

	added->object = class;
	added->policy = MODEL_NONE;
	added->settings = build->classes.at[like].settings;
	config_map = find_parameters(build, class);
	if (!config_map)
		return;
	source = (struct settings_source){ .object = config_map,
					   .pairs = config_map->config_map.data };
	settings_apply_parameters(&added->settings, &source, build->findings);
}

/* What --config says goes for both, but for the profile of what is taken over. */
static void add_classes_without_object(struct build *build)
{
	const struct compile_options *options = &build->compiler->options;
	struct settings_source source = { .file = options->settings_file,
					  .pairs = options->settings };
	struct build_class *class = vec_push(&build->classes);
	struct findings twice;

	class->policy = MODEL_NONE;
	settings_init(&class->settings, MODEL_PROFILE_SLUICE);
	settings_apply_parameters(&class->settings, &source, build->findings);
	class = vec_push(&build->classes);
	class->policy = MODEL_NONE;
	settings_init(&class->settings, MODEL_PROFILE_INGRESS_NGINX);
	source.has_fixed_profile = true;
	findings_init(&twice);
	settings_apply_parameters(&class->settings, &source, &twice);
	findings_release(&twice);
}

/* Somebody asked for a class that cannot be had. */
static void complain_not_taken_over(struct build *build, const struct object *class)
{
	struct finding_place place = build_place(build, class, 0, "spec.controller");

	findings_add(build->findings, FINDING_WARNING, "NotTakenOver", &place,
		     "the class is not taken over: its controller is '%.*s', not '%s'",
		     STR_ARG(class->ingress_class.controller), CLASS_RULES_TAKE_OVER_CONTROLLER);
}

static void add_classes(struct build *build)
{
	const struct class_rules *rules = &build->compiler->options.classes;
	const struct object *const *classes = build->set->of[OBJECT_KIND_INGRESS_CLASS].at;
	size_t count = build->set->of[OBJECT_KIND_INGRESS_CLASS].count;

	add_classes_without_object(build);
	for (size_t i = 0; i < count && build->classes.len < CLASS_NOT_OURS; i++) {
		switch (class_rules_of_class(rules, classes[i])) {
		case CLASS_RULES_OURS:
			add_class(build, classes[i], CLASS_OURS);
			break;
		case CLASS_RULES_TAKEN_OVER:
			add_class(build, classes[i], CLASS_TAKEN_OVER);
			break;
		case CLASS_RULES_OTHERS:
			if (rules->take_over.len && str_eq(classes[i]->name, rules->take_over))
				complain_not_taken_over(build, classes[i]);
			break;
		}
	}
}

/* ------------------------------------------------------------- the class of */

/* The index among classes of what class_rules found. */
static uint32_t class_index(const struct build *build, enum class_rules_owner owner,
			    const struct object *object)
{
	for (uint32_t i = CLASSES_WITHOUT_OBJECT; object && i < build->classes.len; i++) {
		if (build->classes.at[i].object == object)
			return i;
	}
	switch (owner) {
	case CLASS_RULES_OTHERS:
		return CLASS_NOT_OURS;
	case CLASS_RULES_OURS:
		return CLASS_OURS;
	case CLASS_RULES_TAKEN_OVER:
		return CLASS_TAKEN_OVER;
	}
	return CLASS_NOT_OURS;
}

static uint32_t class_by_name(const struct build *build, struct str name)
{
	const struct object *class;
	enum class_rules_owner owner =
		class_rules_of_name(&build->compiler->options.classes, build->set, name, &class);

	return class_index(build, owner, class);
}

static void complain_several_defaults(struct build *build, const struct object *newest)
{
	struct finding_place place = build_place(build, newest, 0, "metadata.annotations");
	uint32_t count = 0;

	for (uint32_t i = CLASSES_WITHOUT_OBJECT; i < build->classes.len; i++)
		count += build->classes.at[i].object->ingress_class.is_default;
	if (count > 1)
		findings_add(build->findings, FINDING_WARNING, "SeveralDefaultClasses", &place,
			     "%u ingress classes are marked as default, '%.*s' is taken", count,
			     STR_ARG(newest->name));
}

/* What an Ingress that names no class gets. */
static uint32_t class_of_nameless(struct build *build)
{
	const struct object *class;
	enum class_rules_owner owner =
		class_rules_of_nameless(&build->compiler->options.classes, build->set, &class);

	if (class && class->ingress_class.is_default)
		complain_several_defaults(build, class);
	return class_index(build, owner, class);
}

/* The class of the Ingress before, since neighbours mostly share it. */
struct class_memo {
	struct str name;
	uint32_t class;
	uint32_t nameless;
};

static uint32_t class_of(const struct build *build, const struct object *object,
			 struct class_memo *memo)
{
	struct str name = class_rules_name_in(object);

	if (name.len == 0)
		return memo->nameless;
	if (!memo->name.at || !str_eq(memo->name, name)) {
		memo->name = name;
		memo->class = class_by_name(build, name);
	}
	return memo->class;
}

/* ---------------------------------------------------------------- by age */

/* Oldest first, then namespace and name, which the set is sorted by already. */
static int compare_age(const void *a, const void *b)
{
	const struct build_ingress *left = a, *right = b;

	if (left->created_s != right->created_s)
		return left->created_s < right->created_s ? -1 : 1;
	return left->position < right->position ? -1 : 1;
}

/*
 * Those of the generation before have their order from there; the others are sorted and merged in.
 * With few that are new this spares comparing ten thousand Ingresses again and again.
 */
static void sort_by_age(struct build *build)
{
	size_t count = build->ingresses.len, unit_count = build->compiler->before->units.len;
	struct build_ingress *from = build->ingresses.at;
	struct build_ingress *sorted = mem_new(count, sizeof(*sorted));
	struct build_ingress *fresh = mem_new(count, sizeof(*fresh));
	uint32_t *by_unit = mem_new(unit_count + 1, sizeof(*by_unit)); /* index in from, plus 1 */
	size_t fresh_count = 0, taken = 0, len = 0;

	for (size_t i = 0; i < count; i++) {
		if (from[i].before == MODEL_NONE)
			fresh[fresh_count++] = from[i];
		else
			by_unit[from[i].before] = (uint32_t)i + 1;
	}
	if (fresh_count)
		qsort(fresh, fresh_count, sizeof(*fresh), compare_age);
	for (size_t u = 0; u < unit_count; u++) {
		if (!by_unit[u])
			continue;
		while (taken < fresh_count && compare_age(&fresh[taken], &from[by_unit[u] - 1]) < 0)
			sorted[len++] = fresh[taken++];
		sorted[len++] = from[by_unit[u] - 1];
	}
	while (taken < fresh_count)
		sorted[len++] = fresh[taken++];
	memcpy(from, sorted, len * sizeof(*sorted));
	mem_free(by_unit);
	mem_free(fresh);
	mem_free(sorted);
}

/* As in the generation before, without a look at the object: false where that is not known. */
static bool select_as_before(const struct build *build, uint32_t position,
			     struct build_ingress *ingress)
{
	const struct compiled *before = build->compiler->before;
	uint32_t place = build->compiler->seen[OBJECT_KIND_INGRESS].from.at[position];
	uint32_t index;

	if (place >= before->unit_of.len)
		return false;
	index = before->unit_of.at[place];
	ingress->before = index;
	ingress->class = CLASS_NOT_OURS;
	if (index == MODEL_NONE)
		return true;
	ingress->class = before->units.at[index].class;
	ingress->created_s = before->units.at[index].created_s;
	return true;
}

static void select_ingress(struct build *build, struct class_memo *memo,
			   struct build_ingress *ingress)
{
	const struct object *object = ingress->object;
	struct str namespace = build->compiler->options.classes.namespace;

	if (select_as_before(build, ingress->position, ingress))
		return;
	ingress->before = MODEL_NONE;
	ingress->created_s = object->created_s;
	ingress->class = class_of(build, object, memo);
	if (namespace.len && !str_eq(object->namespace, namespace))
		ingress->class = CLASS_NOT_OURS;
}

void select_ingresses(struct build *build)
{
	const struct object *const *objects = build->set->of[OBJECT_KIND_INGRESS].at;
	size_t count = build->set->of[OBJECT_KIND_INGRESS].count;
	struct class_memo memo = { 0 };
	int64_t newest_s = INT64_MIN;
	bool is_sorted = true;

	add_classes(build);
	memo.nameless = class_of_nameless(build);
	for (size_t i = 0; i < count; i++) {
		struct build_ingress ingress = { .object = objects[i], .position = (uint32_t)i };

		select_ingress(build, &memo, &ingress);
		if (ingress.class == CLASS_NOT_OURS)
			continue;
		if (ingress.created_s < newest_s)
			is_sorted = false;
		newest_s = ingress.created_s;
		*vec_push(&build->ingresses) = ingress;
	}
	if (!is_sorted)
		sort_by_age(build);
}
