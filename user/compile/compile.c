// SPDX-License-Identifier: Apache-2.0
/* compile: the life of a compiler, and the order of its steps; see compile.h and build.h. */
#include "compile/compile.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/random.h"
#include "compile/build.h"
#include "image/certs.h"
#include "image/endpoints.h"
#include "image/writer.h"

enum {
	HOST_ID_LIMIT = 1 << 20,
	FIELD_MAX = 256,
	GROUPS_CHUNK_BYTES = 64 << 10,
};

/* ----------------------------------------------------------- the compiler */

static void copy_options(struct compiler *compiler, const struct compile_options *options)
{
	struct arena *arena = &compiler->arena;
	struct compile_options *to = &compiler->options;
	struct object_pair *pairs;

	*to = *options;
	to->class_name = arena_copy(arena, options->class_name.len ? options->class_name
								   : STR(COMPILE_CLASS_DEFAULT));
	to->controller =
		arena_copy(arena, options->controller.len ? options->controller
							  : STR(COMPILE_CONTROLLER_DEFAULT));
	to->namespace = arena_copy(arena, options->namespace);
	to->settings_file = arena_copy(arena, options->settings_file);
	to->fallback_namespace = arena_copy(arena, options->fallback_namespace);
	to->fallback_secret = arena_copy(arena, options->fallback_secret);
	pairs = arena_new(arena, options->settings.count + 1, sizeof(*pairs));
	for (uint32_t i = 0; i < options->settings.count; i++) {
		pairs[i] = options->settings.at[i];
		pairs[i].key = arena_copy(arena, pairs[i].key);
		pairs[i].value = arena_copy(arena, pairs[i].value);
	}
	to->settings.at = pairs;
}

struct compiler *compiler_new(const struct compile_options *options)
{
	struct compiler *compiler = mem_new(1, sizeof(*compiler));

	assert(options->worker_count >= 1);
	arena_init(&compiler->arena, 0);
	copy_options(compiler, options);
	random_bytes(&compiler->hash_key, sizeof(compiler->hash_key));
	ids_init(&compiler->backend_ids, compiler->hash_key, ENDPOINTS_BACKEND_ID_LIMIT,
		 COMPILE_ID_KEPT_GENERATIONS);
	ids_init(&compiler->endpoint_ids, compiler->hash_key, ENDPOINTS_ENDPOINT_ID_LIMIT,
		 COMPILE_ID_KEPT_GENERATIONS);
	ids_init(&compiler->host_ids, compiler->hash_key, HOST_ID_LIMIT,
		 COMPILE_ID_KEPT_GENERATIONS);
	model_init(&compiler->model);
	arena_init(&compiler->service_groups.arena, GROUPS_CHUNK_BYTES);
	buf_init(&compiler->name, 0);
	return compiler;
}

static void tables_release(struct compiler *compiler)
{
	lookup_release(&compiler->vhost_table);
	lookup_release(&compiler->route_table);
	lookup_release(&compiler->policy_table);
	lookup_release(&compiler->backend_table);
	lookup_release(&compiler->tls_table);
	lookup_release(&compiler->service_groups.table);
	vec_release(&compiler->service_groups.groups);
	vec_release(&compiler->service_groups.backends);
	vec_release(&compiler->service_groups.unserved_ids);
	arena_release(&compiler->service_groups.arena);
	vec_release(&compiler->backend_of_id);
	vec_release(&compiler->endpoint_marks);
	vec_release(&compiler->host_values);
}

void compiler_free(struct compiler *compiler)
{
	if (!compiler)
		return;
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++)
		mem_free(compiler->seen[kind].at);
	tables_release(compiler);
	cert_cache_release(&compiler->cert_cache);
	model_release(&compiler->model);
	ids_release(&compiler->backend_ids);
	ids_release(&compiler->endpoint_ids);
	ids_release(&compiler->host_ids);
	buf_release(&compiler->name);
	arena_release(&compiler->arena);
	mem_free(compiler);
}

const struct model *compiler_model(const struct compiler *compiler)
{
	return compiler->has_model ? &compiler->model : NULL;
}

/* -------------------------------------------------------------- the output */

void compile_output_init(struct compile_output *output)
{
	*output = (struct compile_output){ 0 };
}

static void output_reset_routes(struct compile_output *output)
{
	image_writer_free(output->image_writer);
	certs_writer_free(output->certs_writer);
	plan_release(&output->plan);
	output->image_writer = NULL;
	output->certs_writer = NULL;
	output->image = output->certs = str_of(NULL, 0);
	output->certs_same = false;
}

void compile_output_release(struct compile_output *output)
{
	output_reset_routes(output);
	endpoints_writer_free(output->endpoints_writer);
	compile_output_init(output);
}

/* ------------------------------------------------------- help for the steps */

struct finding_place build_place(struct build *build, const struct object *object, uint32_t line,
				 const char *field_format, ...)
{
	struct finding_place place = { .object = object, .line = line };
	char field[FIELD_MAX];
	va_list args;

	if (!object)
		place.file = build->compiler->options.settings_file;
	va_start(args, field_format);
	vsnprintf(field, sizeof(field), field_format, args);
	va_end(args);
	place.field = arena_copy(&build->model->arena, str_from_c(field));
	return place;
}

struct finding_place build_backend_place(struct build *build, const struct model_source *source,
					 const char *field)
{
	const struct object *object = source->object;

	if (!object)
		return build_place(build, NULL, source->line, "settings[default-backend]");
	if (object->kind != OBJECT_KIND_INGRESS)
		return build_place(build, object, source->line, "data[default-backend]");
	if (source->rule == MODEL_NONE)
		return build_place(build, object, source->line, "spec.defaultBackend%s", field);
	return build_place(build, object, source->line, "spec.rules[%u].http.paths[%u].backend%s",
			   source->rule, source->path, field);
}

const char *build_why_first(const struct object *winner, const struct object *loser)
{
	return winner->created_s < loser->created_s ? "is older" : "comes first by name";
}

uint32_t build_policy(struct build *build, const struct model_policy *policy)
{
	struct lookup *table = &build->compiler->policy_table;
	uint64_t hash = siphash(build->compiler->hash_key,
				str_of((const char *)policy, sizeof(*policy))); /* its bytes */
	uint32_t at = 0, index;

	while ((index = lookup_next(table, hash, &at)) != LOOKUP_NONE) {
		if (memcmp(&build->model->policies.at[index], policy, sizeof(*policy)) == 0)
			return index;
	}
	index = (uint32_t)build->model->policies.len;
	*vec_push(&build->model->policies) = *policy;
	lookup_add(table, hash, index);
	return index;
}

/* ---------------------------------------------------------- ids of a former agent */

static int adopt_backends(struct compiler *compiler, struct str bytes, struct err *err)
{
	struct image image;
	struct buf name;
	int code = image_open(bytes, &image, err);

	if (code < 0)
		return code;
	buf_init(&name, 0);
	for (uint32_t i = 0; i < image.backend_count; i++) {
		const struct image_backend *backend = &image.backends[i];

		buf_reset(&name);
		backend_name(&name, image_text(&image, backend->namespace),
			     image_text(&image, backend->service),
			     image_text(&image, backend->port));
		/* A name or an id that stands there twice keeps what it got first. */
		ids_adopt(&compiler->backend_ids, buf_str(&name), backend->id);
	}
	buf_release(&name);
	return 0;
}

static int adopt_endpoints(struct compiler *compiler, struct str bytes, struct err *err)
{
	struct endpoints endpoints;
	int code = endpoints_open(bytes, &endpoints, err);

	if (code < 0)
		return code;
	for (uint32_t i = 0; i < endpoints.endpoint_count; i++) {
		const struct endpoint *endpoint = &endpoints.endpoints[i];
		char name[ENDPOINT_NAME_BYTES];

		ids_adopt(&compiler->endpoint_ids,
			  endpoint_id_name(endpoint->ip, endpoint->port, name), endpoint->id);
	}
	return 0;
}

int compiler_adopt(struct compiler *compiler, struct str image, struct str endpoints,
		   struct err *err)
{
	int code = adopt_backends(compiler, image, err);

	return code ? code : adopt_endpoints(compiler, endpoints, err);
}

/* ------------------------------------------------------------------- steps */

/* Settings of the Ingress at hand; false where it is left out because of them. */
static bool apply_annotations(struct build *build, const struct build_class *class)
{
	struct settings settings;

	if (build->ingress->annotations.count == 0) {
		build->policy = build_policy(build, &class->settings.policy);
		return true;
	}
	settings = class->settings;
	settings_apply_annotations(&settings, build->ingress, build->findings);
	build->policy = build_policy(build, &settings.policy);
	if (settings.canary) {
		struct finding_place place =
			build_place(build, build->ingress, 0, "metadata.annotations");

		findings_add(build->findings, FINDING_ERROR, "CanaryMissing", &place,
			     "canaries are not served yet; the whole ingress is left out");
	}
	return !settings.canary;
}

static void add_ingresses(struct build *build)
{
	for (size_t i = 0; i < build->ingresses.len; i++) {
		const struct build_ingress *ingress = &build->ingresses.at[i];

		build->ingress = ingress->object;
		build->ordinal = (uint32_t)i + 1;
		if (!apply_annotations(build, &build->classes.at[ingress->class]))
			continue;
		routes_add_ingress(build);
		certs_add_ingress(build);
	}
	build->ingress = NULL;
}

static void build_init(struct build *build, struct compiler *compiler, const struct object_set *set)
{
	size_t ingress_count = set->of[OBJECT_KIND_INGRESS].count;

	model_reset(&compiler->model);
	lookup_reset(&compiler->vhost_table, ingress_count);
	lookup_reset(&compiler->route_table, ingress_count);
	lookup_reset(&compiler->policy_table, 0);
	lookup_reset(&compiler->backend_table, ingress_count);
	lookup_reset(&compiler->tls_table, 0);
	compiler->backend_of_id.len = 0;
	compiler->cert_cache.round++;
	ids_begin(&compiler->backend_ids);
	ids_begin(&compiler->host_ids);
	build->compiler = compiler;
	build->set = set;
	build->model = &compiler->model;
	build->fallback = MODEL_NONE;
}

static void build_release(struct build *build)
{
	ids_end(&build->compiler->backend_ids);
	ids_end(&build->compiler->host_ids);
	vec_release(&build->classes);
	vec_release(&build->ingresses);
	vec_release(&build->references);
	vec_release(&build->vhost_marks);
	vec_release(&build->ingress_vhosts);
	vec_release(&build->nameless_certs);
}

/* Remembers which objects were compiled. */
static void see(struct compiler *compiler, const struct object_set *set)
{
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		struct seen_objects *seen = &compiler->seen[kind];
		size_t count = kind == OBJECT_KIND_ENDPOINT_SLICE ? 0 : set->of[kind].count;

		seen->at = mem_resize(seen->at, count + 1, sizeof(*seen->at));
		if (count)
			memcpy(seen->at, set->of[kind].at, count * sizeof(*seen->at));
		seen->count = count;
	}
}

int compile_routes(struct compiler *compiler, const struct object_set *set, uint64_t generation,
		   struct compile_output *output, struct findings *findings)
{
	struct build build = { .findings = findings, .generation = generation };
	int code;

	output_reset_routes(output);
	build_init(&build, compiler, set);
	select_ingresses(&build);
	add_ingresses(&build);
	routes_add_class_default(&build);
	certs_finish(&build);
	dispatch_plan(&build, &output->plan);
	backends_group(compiler);
	see(compiler, set);
	compiler->has_model = true;
	code = write_image(&build, output);
	if (code == 0)
		code = write_certs(&build, output);
	build_release(&build);
	if (code < 0)
		output_reset_routes(output);
	return code;
}
