// SPDX-License-Identifier: Apache-2.0
/* api_names: one table of annotations, and two places in specs; see api_names.h. */
#include "kube/api_names.h"

struct naming {
	const struct object *object;
	void (*on_name)(void *context, const struct object_key *key);
	void *context;
	size_t count;
};

static void name_one(struct naming *naming, enum object_kind kind, struct str namespace,
		     struct str name)
{
	struct object_key key = { .kind = kind, .namespace = namespace, .name = name };

	if (namespace.len == 0 || name.len == 0)
		return;
	naming->count++;
	if (naming->on_name)
		naming->on_name(naming->context, &key);
}

/* "name", or "namespace/name" */
static void name_by_text(struct naming *naming, enum object_kind kind, struct str text)
{
	size_t slash;

	text = str_trim(text);
	slash = str_find_char(text, '/');
	if (slash == text.len)
		name_one(naming, kind, naming->object->namespace, text);
	else
		name_one(naming, kind, str_slice(text, 0, slash),
			 str_slice(text, slash + 1, text.len));
}

static void name_by_annotation(struct naming *naming, const struct object_pair *pair)
{
	static const struct str prefixes[] = {
		STR_INIT("sluice.dev/"),
		STR_INIT("nginx.ingress.kubernetes.io/"),
	};
	static const struct {
		const char *name;
		enum object_kind kind;
	} annotations[] = {
		{ "auth-secret", OBJECT_KIND_SECRET },
		{ "auth-tls-secret", OBJECT_KIND_SECRET },
		{ "proxy-ssl-secret", OBJECT_KIND_SECRET },
		{ "custom-headers", OBJECT_KIND_CONFIG_MAP },
		{ "auth-proxy-set-headers", OBJECT_KIND_CONFIG_MAP },
	};

	for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++) {
		struct str name = str_slice(pair->key, prefixes[p].len, pair->key.len);

		if (!str_starts_with(pair->key, prefixes[p]))
			continue;
		for (size_t i = 0; i < sizeof(annotations) / sizeof(annotations[0]); i++) {
			if (str_eq_c(name, annotations[i].name))
				name_by_text(naming, annotations[i].kind, pair->value);
		}
	}
}

static void name_by_backend(struct naming *naming, const struct object_backend *backend)
{
	if (backend->kind == OBJECT_BACKEND_RESOURCE && backend->resource_group.len == 0 &&
	    str_eq(backend->resource_kind, STR("ConfigMap")))
		name_one(naming, OBJECT_KIND_CONFIG_MAP, naming->object->namespace,
			 backend->resource_name);
}

static void name_by_ingress(struct naming *naming, const struct object *object)
{
	const struct object_ingress *ingress = &object->ingress;

	for (uint32_t i = 0; i < object->annotations.count; i++)
		name_by_annotation(naming, &object->annotations.at[i]);
	name_by_backend(naming, &ingress->default_backend);
	for (uint32_t r = 0; r < ingress->rule_count; r++) {
		for (uint32_t p = 0; p < ingress->rules[r].path_count; p++)
			name_by_backend(naming, &ingress->rules[r].paths[p].backend);
	}
}

static void name_by_class(struct naming *naming, const struct object_ingress_class *class)
{
	struct str namespace = class->parameters_namespace;

	if (class->parameters_group.len || !str_eq(class->parameters_kind, STR("ConfigMap")))
		return;
	name_one(naming, OBJECT_KIND_CONFIG_MAP, namespace.len ? namespace : STR("default"),
		 class->parameters_name);
}

size_t api_names(const struct object *object,
		 void (*on_name)(void *context, const struct object_key *key), void *context)
{
	struct naming naming = { .object = object, .on_name = on_name, .context = context };

	if (object->kind == OBJECT_KIND_INGRESS)
		name_by_ingress(&naming, object);
	else if (object->kind == OBJECT_KIND_INGRESS_CLASS)
		name_by_class(&naming, &object->ingress_class);
	return naming.count;
}
