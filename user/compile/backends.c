// SPDX-License-Identifier: Apache-2.0
/*
 * backends: from the Service and port that a route names to a backend.
 *
 * A backend is one port of one Service, however routes write it: by number or by
 * name. Where Service or port is missing there is a backend all the same, which
 * nobody serves: its routes answer 503 until the Service comes.
 */
#include <assert.h>

#include "compile/build.h"

enum { PORT_TEXT_MAX = 8, PORTS_SHOWN_MAX = 8, PORTS_TEXT_MAX = 256 };

static const char field_name[] = ".service.name", field_port[] = ".service.port";

/* ------------------------------------------------------------- as written */

static uint64_t reference_hash(const struct build *build, const struct build_reference *reference)
{
	struct siphash_key key = build->compiler->hash_key;
	uint64_t hash = siphash(key, reference->service);

	hash = lookup_hash_with(hash, siphash(key, reference->namespace));
	if (reference->port.name.at)
		return lookup_hash_with(hash, siphash(key, reference->port.name));
	return lookup_hash_with(hash, reference->port.number);
}

static bool reference_eq(const struct build_reference *a, const struct build_reference *b)
{
	return str_eq(a->service, b->service) && str_eq(a->namespace, b->namespace) &&
	       a->port.number == b->port.number && str_eq(a->port.name, b->port.name);
}

/* By hand: printf would be a good part of all the work. */
static struct str port_text(const struct object_port *port, char room[PORT_TEXT_MAX])
{
	size_t at = PORT_TEXT_MAX;
	unsigned int rest = port->number;

	if (port->name.at)
		return port->name;
	do {
		room[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	return str_of(room + at, PORT_TEXT_MAX - at);
}

/* ------------------------------------------------------------- resolution */

static void fault(struct build_reference *reference, const char *reason, const char *field,
		  struct str text)
{
	reference->fault = (struct build_fault){ .reason = reason, .field = field, .text = text };
}

/* The TCP port that is meant; *other is set where only a port of another protocol is. */
static const struct object_service_port *find_port(const struct object_service *service,
						   const struct object_port *wanted, bool *other)
{
	*other = false;
	for (uint32_t i = 0; i < service->port_count; i++) {
		const struct object_service_port *port = &service->ports[i];
		bool is_it = wanted->name.at ? str_eq(port->name, wanted->name)
					     : port->port == wanted->number;

		if (is_it && port->protocol == OBJECT_PROTOCOL_TCP)
			return port;
		*other |= is_it;
	}
	return NULL;
}

static bool is_named(const struct object *object, struct str namespace, struct str name)
{
	return str_eq(object->name, name) && str_eq(object->namespace, namespace);
}

/*
 * The position of the Service in the set, or SEEN_NONE. Services and Ingresses are sorted alike, so
 * the next Service is often the one.
 */
static uint32_t find_service(struct build *build, const struct build_reference *reference)
{
	const struct object *const *services = build->set->of[OBJECT_KIND_SERVICE].at;
	size_t count = build->set->of[OBJECT_KIND_SERVICE].count;
	size_t next = build->next_service;

	if (next >= count || !is_named(services[next], reference->namespace, reference->service))
		next = object_set_position(build->set, OBJECT_KIND_SERVICE, reference->namespace,
					   reference->service);
	if (next >= count)
		return SEEN_NONE;
	build->next_service = next + 1;
	return (uint32_t)next;
}

/* "; it has 80 (http), 443 (https)": most often the rule says one of them in other words. */
static struct str ports_there_are(struct build *build, const struct object_service *service)
{
	struct buf text;
	struct str copy;
	uint32_t i;

	buf_init(&text, PORTS_TEXT_MAX);
	for (i = 0; i < service->port_count && i < PORTS_SHOWN_MAX; i++) {
		const struct object_service_port *port = &service->ports[i];

		buf_printf(&text, "%s%u", i ? ", " : "; it has ", port->port);
		if (port->name.len)
			buf_printf(&text, " (%.*s)", STR_ARG(port->name));
	}
	if (i < service->port_count)
		buf_printf(&text, " and %u more", service->port_count - i);
	copy = arena_copy(&build->model->arena, buf_str(&text));
	buf_release(&text);
	return copy;
}

static struct str missing_port(struct build *build, const struct object *service, struct str port)
{
	struct str others = ports_there_are(build, &service->service);

	return arena_printf(&build->model->arena, "service '%.*s' has no port '%.*s'%.*s",
			    STR_ARG(service->name), STR_ARG(port), STR_ARG(others));
}

/* Finds Service and port of @reference, or says in its fault why there are none. */
static void resolve(struct build *build, struct build_reference *reference,
		    struct model_backend *backend, uint32_t *position)
{
	struct arena *arena = &build->model->arena;
	char room[PORT_TEXT_MAX];
	struct str port = port_text(&reference->port, room);
	const struct object *object;
	bool other;

	*position = find_service(build, reference);
	object = *position == SEEN_NONE ? NULL : build->set->of[OBJECT_KIND_SERVICE].at[*position];
	backend->object = object;
	if (!object) {
		fault(reference, "MissingService", field_name,
		      arena_printf(arena, "service '%.*s' does not exist in namespace '%.*s'",
				   STR_ARG(reference->service), STR_ARG(reference->namespace)));
		return;
	}
	if (object->service.type == OBJECT_SERVICE_EXTERNAL_NAME) {
		fault(reference, "ExternalName", field_name,
		      arena_printf(arena,
				   "service '%.*s' is of type external name, which is not served "
				   "yet",
				   STR_ARG(reference->service)));
		return;
	}
	/* Its own texts: a backend may outlive the Ingress that named it first. */
	backend->namespace = object->namespace;
	backend->service = object->name;
	backend->service_port = find_port(&object->service, &reference->port, &other);
	if (backend->service_port)
		return;
	fault(reference, other ? "WrongProtocol" : "MissingPort", field_port,
	      other ? arena_printf(arena, "port '%.*s' of service '%.*s' is not tcp", STR_ARG(port),
				   STR_ARG(reference->service))
		    : missing_port(build, object, port));
}

void backend_name(struct buf *out, struct str namespace, struct str service, struct str port)
{
	buf_add(out, namespace);
	buf_add_char(out, '/');
	buf_add(out, service);
	buf_add_char(out, ':');
	buf_add(out, port);
}

static uint32_t id_of(struct build *build, const struct model_backend *backend)
{
	struct buf *name = &build->compiler->name;

	buf_reset(name);
	backend_name(name, backend->namespace, backend->service, backend->port);
	return ids_get(&build->compiler->backend_ids, buf_str(name));
}

uint32_t backends_add(struct build *build, const struct model_backend *backend,
		      struct backend_origin origin)
{
	struct compiler *compiler = build->compiler;

	while (compiler->backend_of_id.len <= backend->id)
		vec_push(&compiler->backend_of_id);
	if (!compiler->backend_of_id.at[backend->id]) {
		*vec_push(&build->model->backends) = *backend;
		*vec_push(&compiler->now->backends) = origin;
		compiler->backend_of_id.at[backend->id] = (uint32_t)build->model->backends.len;
	}
	return compiler->backend_of_id.at[backend->id] - 1;
}

static void add_reference(struct build *build, struct build_reference *reference)
{
	struct model_backend backend = { .namespace = reference->namespace,
					 .service = reference->service };
	struct backend_origin origin = { .before = MODEL_NONE };
	struct object_port port = reference->port;
	char room[PORT_TEXT_MAX];

	resolve(build, reference, &backend, &origin.service);
	if (backend.service_port)
		port = (struct object_port){ .number = backend.service_port->port };
	backend.port = port_text(&port, room);
	if (!port.name.at)
		backend.port = arena_copy(&build->compiler->texts, backend.port);
	backend.id = id_of(build, &backend);
	reference->backend = MODEL_NONE;
	if (backend.service_port) {
		origin.service_serial = backend.object->serial;
		origin.number = service_number(build->compiler, backend.namespace, backend.service);
	}
	if (backend.id != IDS_NONE)
		reference->backend = backends_add(build, &backend, origin);
	else
		fault(reference, "TooManyBackends", ".service", STR("no backend id is left"));
}

static uint32_t find_or_add_reference(struct build *build, const struct build_reference *wanted)
{
	struct lookup *table = &build->compiler->backend_table;
	uint32_t at = 0, index = build->last_reference;
	uint64_t hash;

	if (index < build->references.len && reference_eq(&build->references.at[index], wanted))
		return index;
	hash = reference_hash(build, wanted);
	while ((index = lookup_next(table, hash, &at)) != LOOKUP_NONE) {
		if (reference_eq(&build->references.at[index], wanted))
			return index;
	}
	index = (uint32_t)build->references.len;
	*vec_push(&build->references) = *wanted;
	add_reference(build, &build->references.at[index]);
	lookup_add(table, hash, index);
	return index;
}

uint32_t backends_get(struct build *build, const struct build_reference *wanted,
		      const struct model_source *source)
{
	const struct build_reference *reference;

	build->last_reference = find_or_add_reference(build, wanted);
	reference = &build->references.at[build->last_reference];
	if (reference->fault.reason) {
		struct finding_place place =
			build_backend_place(build, source, reference->fault.field);
		bool is_port = strcmp(reference->fault.field, field_port) == 0;
		uint32_t line = is_port ? wanted->port_line : wanted->service_line;

		if (line)
			place.line = line;
		findings_add(build->findings, FINDING_ERROR, reference->fault.reason, &place,
			     "%.*s", STR_ARG(reference->fault.text));
	}
	return reference->backend;
}

/* -------------------------------------------------------------- by Service */

uint32_t service_number(struct compiler *compiler, struct str namespace, struct str service)
{
	struct buf *name = &compiler->name;
	uint32_t number;

	buf_reset(name);
	buf_add(name, namespace);
	buf_add_char(name, '/');
	buf_add(name, service);
	number = ids_get(&compiler->service_names, buf_str(name));
	assert(number != IDS_NONE); /* there are not so many names in the memory of a machine */
	while (compiler->known_services.len <= number)
		vec_push(&compiler->known_services);
	return number;
}

/* The group of Service @number, made where there is none yet. */
static struct service_group *group_of(struct compiler *compiler, uint32_t number)
{
	struct service_groups *groups = &compiler->service_groups;
	struct known_service *known = &compiler->known_services.at[number];

	if (known->group_round != compiler->round) {
		known->group_round = compiler->round;
		known->group = (uint32_t)groups->groups.len;
		vec_push(&groups->groups)->number = number;
	}
	return &groups->groups.at[known->group];
}

/* Counts the backends of each Service; those that nobody can serve are in no group. */
static void count_backends(struct compiler *compiler)
{
	struct service_groups *groups = &compiler->service_groups;
	const struct compiled *now = compiler->now;
	uint32_t first = 0;

	for (size_t i = 0; i < now->model.backends.len; i++) {
		if (now->model.backends.at[i].service_port)
			group_of(compiler, now->backends.at[i].number)->count++;
		else
			*vec_push(&groups->unserved_ids) = now->model.backends.at[i].id;
	}
	for (size_t i = 0; i < groups->groups.len; i++) {
		groups->groups.at[i].first = first;
		first += groups->groups.at[i].count;
		groups->groups.at[i].count = 0;
	}
	vec_reserve(&groups->backends, first);
	groups->backends.len = first;
}

void backends_group(struct compiler *compiler)
{
	struct service_groups *groups = &compiler->service_groups;
	const struct compiled *now = compiler->now;

	groups->groups.len = groups->backends.len = groups->unserved_ids.len = 0;
	count_backends(compiler);
	for (size_t i = 0; i < now->model.backends.len; i++) {
		struct service_group *group;

		if (!now->model.backends.at[i].service_port)
			continue;
		group = group_of(compiler, now->backends.at[i].number);
		groups->backends.at[group->first + group->count++] = (uint32_t)i;
	}
}
