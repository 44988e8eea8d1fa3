// SPDX-License-Identifier: Apache-2.0
/* compile: the life of a compiler, and the order of its steps; see compile.h and build.h. */
#include "compile/compile.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "compile/build.h"
#include "image/certs.h"
#include "image/endpoints.h"
#include "image/writer.h"

enum {
	HOST_ID_LIMIT = 1 << 20,
	TEXTS_CHUNK_BYTES = 64 << 10,
	/* Texts of what is gone may be so many bytes, and a quarter of all, before they are
	   dropped. */
	TEXTS_WASTE_BYTES = 1 << 20,
	FIELD_MAX = 256,
	SERVICES_WASTE = 16 << 10, /* numbers of Services, likewise */
};

/* ----------------------------------------------------------- the compiler */

static void copy_options(struct compiler *compiler, const struct compile_options *options)
{
	struct arena *arena = &compiler->arena;
	struct compile_options *to = &compiler->options;
	struct object_pair *pairs;

	*to = *options;
	to->classes.name = arena_copy(arena, options->classes.name);
	to->classes.take_over = arena_copy(arena, options->classes.take_over);
	to->classes.namespace = arena_copy(arena, options->classes.namespace);
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
	ids_init(&compiler->backend_ids, compiler->hash_key, 0, ENDPOINTS_BACKEND_ID_LIMIT,
		 COMPILE_ID_KEPT_GENERATIONS);
	ids_init(&compiler->endpoint_ids, compiler->hash_key, 0, ENDPOINTS_ENDPOINT_ID_LIMIT,
		 COMPILE_ID_KEPT_GENERATIONS);
	ids_init(&compiler->host_ids, compiler->hash_key, HOST_ID_NONE + 1, HOST_ID_LIMIT,
		 COMPILE_ID_KEPT_GENERATIONS);
	ids_init(&compiler->host_names, compiler->hash_key, 0, IDS_NONE,
		 COMPILE_ID_KEPT_GENERATIONS);
	arena_init(&compiler->texts, TEXTS_CHUNK_BYTES);
	compiler->now = &compiler->compiled[0];
	compiler->before = &compiler->compiled[1];
	model_init(&compiler->now->model);
	model_init(&compiler->before->model);
	compiler->image_writer = image_writer_new(0, options->table_key);
	ids_init(&compiler->service_names, compiler->hash_key, 0, IDS_NONE, 0);
	buf_init(&compiler->name, 0);
	return compiler;
}

static void tables_release(struct compiler *compiler)
{
	lookup_release(&compiler->route_table);
	lookup_release(&compiler->policy_table);
	vec_release(&compiler->spreads);
	lookup_release(&compiler->backend_table);
	vec_release(&compiler->service_groups.groups);
	vec_release(&compiler->service_groups.backends);
	vec_release(&compiler->service_groups.unserved_ids);
	vec_release(&compiler->known_services);
	vec_release(&compiler->slice_services);
	vec_release(&compiler->endpoints_now.members);
	vec_release(&compiler->endpoints_now.names);
	vec_release(&compiler->endpoints_before.members);
	vec_release(&compiler->endpoints_before.names);
	vec_release(&compiler->backend_members);
	vec_release(&compiler->backend_of_id);
	vec_release(&compiler->endpoint_marks);
	vec_release(&compiler->host_values);
	vec_release(&compiler->known_hosts);
	vec_release(&compiler->sorted_hosts);
}

static void compiled_release(struct compiled *compiled)
{
	model_release(&compiled->model);
	vec_release(&compiled->units);
	vec_release(&compiled->unit_of);
	vec_release(&compiled->secrets);
	vec_release(&compiled->tls_secrets);
	vec_release(&compiled->backends);
}

void compiler_free(struct compiler *compiler)
{
	if (!compiler)
		return;
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++)
		seen_release(&compiler->seen[kind]);
	tables_release(compiler);
	cert_cache_release(&compiler->cert_cache);
	compiled_release(compiler->now);
	compiled_release(compiler->before);
	image_writer_free(compiler->image_writer);
	arena_release(&compiler->texts);
	ids_release(&compiler->host_names);
	ids_release(&compiler->service_names);
	ids_release(&compiler->backend_ids);
	ids_release(&compiler->endpoint_ids);
	ids_release(&compiler->host_ids);
	buf_release(&compiler->name);
	arena_release(&compiler->arena);
	mem_free(compiler);
}

const struct model *compiler_model(const struct compiler *compiler)
{
	return compiler->has_model ? &compiler->now->model : NULL;
}

bool compiler_has_same_backends(const struct compiler *compiler)
{
	return compiler->has_same_backends;
}

/* -------------------------------------------------------------- the output */

void compile_output_init(struct compile_output *output)
{
	*output = (struct compile_output){ 0 };
}

static void output_reset_routes(struct compile_output *output)
{
	mem_free(output->image_bytes);
	certs_writer_free(output->certs_writer);
	plan_release(&output->plan);
	output->image_bytes = NULL;
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
		build->connection_rate = class->settings.connection_rate;
		return true;
	}
	settings = class->settings;
	settings_apply_annotations(&settings, build->ingress, build->findings);
	build->policy = build_policy(build, &settings.policy);
	build->connection_rate = settings.connection_rate;
	if (settings.canary) {
		struct finding_place place =
			build_place(build, build->ingress, 0, "metadata.annotations");

		findings_add(build->findings, FINDING_ERROR, "CanaryMissing", &place,
			     "canaries are not served yet; the whole ingress is left out");
	}
	return !settings.canary;
}

/* Reads the Ingress at hand as if for the first time. */
static void compile_ingress(struct build *build, const struct build_ingress *ingress)
{
	struct compiled *now = build->compiler->now;
	size_t finding_count = build->findings->list.len;
	struct unit unit = { .object = ingress->object,
			     .created_s = ingress->created_s,
			     .class = ingress->class,
			     .vhost_first = (uint32_t)now->model.vhosts.len,
			     .route_first = (uint32_t)now->model.routes.len,
			     .tls_first = (uint32_t)now->model.tls_hosts.len,
			     .secret_first = (uint32_t)now->secrets.len,
			     .before = MODEL_NONE };

	build->is_plain = true;
	if (apply_annotations(build, &build->classes.at[ingress->class])) {
		routes_add_ingress(build);
		certs_add_ingress(build);
	}
	unit.policy = build->policy;
	unit.connection_rate = build->connection_rate;
	unit.vhost_count = (uint32_t)now->model.vhosts.len - unit.vhost_first;
	unit.route_count = (uint32_t)now->model.routes.len - unit.route_first;
	unit.tls_count = (uint32_t)now->model.tls_hosts.len - unit.tls_first;
	unit.secret_count = (uint32_t)now->secrets.len - unit.secret_first;
	unit.is_plain = build->is_plain && build->findings->list.len == finding_count;
	*vec_push(&now->units) = unit;
}

static void add_ingresses(struct build *build)
{
	struct compiled *now = build->compiler->now;
	size_t count = build->set->of[OBJECT_KIND_INGRESS].count;

	vec_reserve(&now->unit_of, count);
	now->unit_of.len = count;
	for (size_t i = 0; i < count; i++)
		now->unit_of.at[i] = MODEL_NONE;
	for (size_t i = 0; i < build->ingresses.len; i++) {
		const struct build_ingress *ingress = &build->ingresses.at[i];

		build->ingress = ingress->object;
		build->ordinal = (uint32_t)i + 1;
		now->unit_of.at[ingress->position] = (uint32_t)now->units.len;
		if (!keep_ingress(build, ingress))
			compile_ingress(build, ingress);
	}
	build->ingress = NULL;
}

uint32_t build_host_number(struct build *build, struct str host)
{
	struct compiler *compiler = build->compiler;
	uint32_t number = ids_get(&compiler->host_names, host.len ? host : STR("*"));
	uint64_t born;

	assert(number != IDS_NONE); /* there are not so many names in the memory of a machine */
	while (compiler->known_hosts.len <= number)
		vec_push(&compiler->known_hosts);
	born = compiler->host_names.entries.at[number].born;
	if (compiler->known_hosts.at[number].born != born)
		compiler->known_hosts.at[number] =
			(struct known_host){ .born = born, .host_id = IDS_NONE };
	return number;
}

/* --------------------------------------------------------- begin and end */

static void compiled_reset(struct compiled *compiled)
{
	model_reset(&compiled->model);
	compiled->units.len = 0;
	compiled->unit_of.len = 0;
	compiled->secrets.len = 0;
	compiled->tls_secrets.len = 0;
	compiled->backends.len = 0;
}

static bool is_wasteful(size_t size, size_t at_first, size_t borne)
{
	return size > at_first + at_first / 4 + borne;
}

/*
 * Whether Ingresses can be taken over at all. Settings of classes reach into each of them; and once
 * in a while everything is made anew, since texts are only ever added.
 */
static bool can_keep(const struct compiler *compiler)
{
	return compiler->seen[OBJECT_KIND_INGRESS_CLASS].is_same &&
	       compiler->seen[OBJECT_KIND_CONFIG_MAP].is_same &&
	       !is_wasteful(compiler->texts.total_bytes, compiler->texts_at_first,
			    TEXTS_WASTE_BYTES) &&
	       !is_wasteful(image_writer_text_bytes(compiler->image_writer),
			    compiler->image_texts_at_first, TEXTS_WASTE_BYTES) &&
	       !is_wasteful(ids_limit(&compiler->service_names), compiler->service_names_at_first,
			    SERVICES_WASTE);
}

static void begin_generation(struct compiler *compiler, const struct object_set *set)
{
	struct compiled *older = compiler->before;

	compiler->round++;
	compiler->before = compiler->now;
	compiler->now = older;
	compiled_reset(compiler->now);
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		if (kind != OBJECT_KIND_ENDPOINT_SLICE)
			seen_look(&compiler->seen[kind], set->of[kind].at, set->of[kind].count);
	}
	if (can_keep(compiler))
		return;
	compiled_reset(compiler->before);
	arena_reset(&compiler->texts);
	endpoints_forget(compiler);
}

/* Whether the backends are those of the generation before, and in the same order. */
static bool has_backends_of_before(const struct compiler *compiler)
{
	const struct compiled *now = compiler->now, *before = compiler->before;

	if (now->model.backends.len != before->model.backends.len)
		return false;
	for (size_t i = 0; i < now->model.backends.len; i++) {
		const struct model_backend *backend = &now->model.backends.at[i];
		uint64_t serial = now->backends.at[i].service_serial;

		if (backend->id != before->model.backends.at[i].id ||
		    serial != before->backends.at[i].service_serial ||
		    (backend->service_port && !serial))
			return false;
	}
	return true;
}

/* What texts are needed at least, where all that there are were needed just now. */
static void end_generation(struct compiler *compiler, int code)
{
	bool was_kept = compiler->before->units.len > 0;

	if (code < 0 || !was_kept || !has_backends_of_before(compiler))
		compiler->has_same_backends = false;
	if (code < 0) {
		compiled_reset(compiler->before);
		compiler->now->units.len = compiler->now->unit_of.len = 0;
	}
	if (was_kept)
		return;
	compiler->texts_at_first = compiler->texts.total_bytes;
	compiler->image_texts_at_first = image_writer_text_bytes(compiler->image_writer);
	compiler->service_names_at_first = ids_limit(&compiler->service_names) +
					   compiler->seen[OBJECT_KIND_ENDPOINT_SLICE].objects.len;
}

static void build_init(struct build *build, struct compiler *compiler, const struct object_set *set)
{
	size_t ingress_count = set->of[OBJECT_KIND_INGRESS].count;

	begin_generation(compiler, set);
	lookup_reset(&compiler->route_table, 0);
	lookup_reset(&compiler->policy_table, 0);
	lookup_reset(&compiler->backend_table, 0);
	compiler->backend_of_id.len = 0;
	compiler->cert_cache.round++;
	ids_begin(&compiler->backend_ids);
	ids_begin(&compiler->host_ids);
	ids_begin(&compiler->host_names);
	build->compiler = compiler;
	build->set = set;
	build->model = &compiler->now->model;
	build->fallback = MODEL_NONE;
	build->now_s = (int64_t)(clock_wall_ns() / NS_PER_S);
	vec_reserve(&build->ingresses, ingress_count);
	keep_init(build);
}

static void build_release(struct build *build)
{
	ids_end(&build->compiler->backend_ids);
	ids_end(&build->compiler->host_ids);
	ids_end(&build->compiler->host_names);
	vec_release(&build->classes);
	vec_release(&build->ingresses);
	vec_release(&build->references);
	vec_release(&build->vhost_marks);
	vec_release(&build->ingress_vhosts);
	vec_release(&build->nameless_certs);
	vec_release(&build->backend_map);
	vec_release(&build->policy_map);
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
	routes_decide_unknown(&build);
	certs_finish(&build);
	dispatch_plan(&build, &output->plan);
	backends_group(compiler);
	compiler->has_model = true;
	code = write_image(&build, output);
	if (code == 0)
		code = write_certs(&build, output);
	build_release(&build);
	end_generation(compiler, code);
	if (code < 0)
		output_reset_routes(output);
	return code;
}
