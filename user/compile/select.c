// SPDX-License-Identifier: Apache-2.0
/*
 * select: which Ingresses are ours, and what their classes say (SEMANTICS 1.4).
 *
 *   spec.ingressClassName, else the annotation kubernetes.io/ingress.class:
 *       an IngressClass of that name    ours where its controller is ours
 *       no such object                  ours where the name is that of --ingress-class
 *   neither                             ours where a default class is ours, or where Ingresses
 *                                       without class are watched
 *
 * Nothing is said about the Ingresses of others: they are nobody's mistake.
 */
#include <stdlib.h>

#include "compile/build.h"

static const struct str legacy_annotation = STR_INIT("kubernetes.io/ingress.class");

enum { CLASS_NONE_NAMED = 0, CLASS_NOT_OURS = UINT16_MAX };

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

static void add_class(struct build *build, const struct object *class)
{
	const struct object *config_map;
	struct build_class *added = vec_push(&build->classes);
	struct settings_source source;

	added->object = class;
	added->policy = MODEL_NONE;
	if (!class)
		return;
	added->settings = build->classes.at[CLASS_NONE_NAMED].settings;
	config_map = find_parameters(build, class);
	if (!config_map)
		return;
	source = (struct settings_source){ .object = config_map,
					   .pairs = config_map->config_map.data };
	settings_apply_parameters(&added->settings, &source, build->findings);
}

static void add_classes(struct build *build)
{
	const struct compile_options *options = &build->compiler->options;
	const struct settings_source source = { .file = options->settings_file,
						.pairs = options->settings };
	const struct object *const *classes = build->set->of[OBJECT_KIND_INGRESS_CLASS].at;
	size_t count = build->set->of[OBJECT_KIND_INGRESS_CLASS].count;

	add_class(build, NULL);
	settings_init(&build->classes.at[CLASS_NONE_NAMED].settings, MODEL_PROFILE_SLUICE);
	settings_apply_parameters(&build->classes.at[CLASS_NONE_NAMED].settings, &source,
				  build->findings);
	for (size_t i = 0; i < count && build->classes.len < CLASS_NOT_OURS; i++) {
		if (str_eq(classes[i]->ingress_class.controller, options->controller))
			add_class(build, classes[i]);
	}
}

/* ------------------------------------------------------------- the class of */

/* The class of that name: an index into classes, or CLASS_NOT_OURS. */
static uint32_t class_by_name(const struct build *build, struct str name)
{
	for (uint32_t i = CLASS_NONE_NAMED + 1; i < build->classes.len; i++) {
		if (str_eq(build->classes.at[i].object->name, name))
			return i;
	}
	if (object_set_find(build->set, OBJECT_KIND_INGRESS_CLASS, STR(""), name))
		return CLASS_NOT_OURS;
	return str_eq(name, build->compiler->options.class_name) ? CLASS_NONE_NAMED
								 : CLASS_NOT_OURS;
}

/* What an Ingress that names no class gets. Of several default classes the newest counts. */
static uint32_t class_of_nameless(struct build *build)
{
	const struct object *newest = NULL;
	uint32_t class = CLASS_NOT_OURS, count = 0;

	for (uint32_t i = CLASS_NONE_NAMED + 1; i < build->classes.len; i++) {
		const struct object *object = build->classes.at[i].object;

		if (!object->ingress_class.is_default)
			continue;
		count++;
		if (newest && object->created_s <= newest->created_s)
			continue;
		newest = object;
		class = i;
	}
	if (count > 1) {
		struct finding_place place = build_place(build, newest, 0, "metadata.annotations");

		findings_add(build->findings, FINDING_WARNING, "SeveralDefaultClasses", &place,
			     "%u ingress classes are marked as default, '%.*s' is taken", count,
			     STR_ARG(newest->name));
	}
	if (class == CLASS_NOT_OURS && build->compiler->options.watch_without_class) {
		class = class_by_name(build, build->compiler->options.class_name);
		if (class == CLASS_NOT_OURS)
			class = CLASS_NONE_NAMED;
	}
	return class;
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
	struct str name = object->ingress.class_name;

	if (name.len == 0)
		name = object_pairs_find(object->annotations, legacy_annotation);
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
	struct str namespace = build->compiler->options.namespace;

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
		qsort(build->ingresses.at, build->ingresses.len, sizeof(*build->ingresses.at),
		      compare_age);
}
