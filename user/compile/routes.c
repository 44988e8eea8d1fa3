// SPDX-License-Identifier: Apache-2.0
/*
 * routes: from the rules of Ingresses to vhosts and routes (SEMANTICS 1.1).
 *
 * Ingresses come oldest first, so whoever is there already wins: each path and kind
 * of a vhost, and each default, is taken once. A rule that cannot be served is left
 * out alone; the rest of its Ingress is served.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "compile/build.h"
#include "compile/syntax.h"
#include "image/key.h"

enum { SHOWN_PATH_BYTES = 64, WINNER_TEXT_MAX = 512 };

/* ------------------------------------------------------------------ vhosts */

static struct str shown_host(struct str host)
{
	return host.len ? host : STR("*");
}

uint32_t routes_new_vhost(struct build *build, const struct model_vhost *vhost)
{
	struct known_host *known = &build->compiler->known_hosts.at[vhost->number];
	uint32_t index = (uint32_t)build->model->vhosts.len;

	known->vhost_round = build->compiler->round;
	known->vhost = index;
	*vec_push(&build->model->vhosts) = *vhost;
	vec_push(&build->vhost_marks);
	return index;
}

static void lower_rate(struct model_rate *rate, const struct model_rate *wanted)
{
	if (wanted->per_s && (!rate->per_s || wanted->per_s < rate->per_s))
		*rate = *wanted;
}

/* @is_borrowed: @host lives as long as the Ingress at hand. */
static uint32_t find_or_add_vhost(struct build *build, struct str host, bool is_borrowed)
{
	struct compiler *compiler = build->compiler;
	uint32_t number = build_host_number(build, host), index;
	const struct known_host *known = &compiler->known_hosts.at[number];
	struct model_vhost vhost = { .host = host,
				     .default_route = MODEL_NONE,
				     .connection_rate = build->connection_rate,
				     .object = build->ingress,
				     .number = number };

	if (known->vhost_round != compiler->round) {
		if (!is_borrowed)
			vhost.host = arena_copy(&compiler->texts, host);
		index = routes_new_vhost(build, &vhost);
		build->vhost_marks.at[index].is_filed = true;
		return index;
	}
	if (build->model->vhosts.at[known->vhost].object != build->ingress) {
		build->is_plain = false;
		build->vhost_marks.at[known->vhost].is_shared = true;
		routes_file_vhost(build, known->vhost);
	}
	lower_rate(&build->model->vhosts.at[known->vhost].connection_rate, &build->connection_rate);
	return known->vhost;
}

/* The vhost of @rule, or MODEL_NONE with a finding. */
static uint32_t vhost_of_rule(struct build *build, const struct object_rule *rule)
{
	char room[HOST_KEY_MAX];
	struct str key = STR("");
	struct err err = { 0 };
	uint32_t vhost;

	if (rule->host.len) {
		int code = syntax_check_host(rule->host, &err);

		if (code == 0 && host_key_of_rule(rule->host, room, &key) < 0)
			code = err_set(&err, -EINVAL, "host '%.*s' is no host name",
				       STR_ARG(rule->host));
		if (code < 0) {
			struct finding_place place =
				build_place(build, build->ingress, rule->line,
					    "spec.rules[%u].host", rule->index);

			findings_add(build->findings, FINDING_ERROR, "InvalidHost", &place, "%s",
				     err.text);
			return MODEL_NONE;
		}
	}
	vhost = find_or_add_vhost(build, key, key.at != room);
	if (build->vhost_marks.at[vhost].ordinal != build->ordinal) {
		build->vhost_marks.at[vhost].ordinal = build->ordinal;
		*vec_push(&build->ingress_vhosts) = vhost;
	}
	return vhost;
}

/* --------------------------------------------------------------- conflicts */

/* "ingress 'shop/web' (web.yaml:12), which is older" */
static const char *winner_text(const struct build *build, const struct model_source *winner,
			       char text[WINNER_TEXT_MAX])
{
	const struct object *object = winner->object;
	const char *why = build_why_first(object, build->ingress);

	if (object == build->ingress)
		snprintf(text, WINNER_TEXT_MAX, "an earlier rule of the same ingress (line %u)",
			 winner->line);
	else if (object->file.len)
		snprintf(text, WINNER_TEXT_MAX, "ingress '%.*s/%.*s' (%.*s:%u), which %s",
			 STR_ARG(object->namespace), STR_ARG(object->name), STR_ARG(object->file),
			 winner->line, why);
	else
		snprintf(text, WINNER_TEXT_MAX, "ingress '%.*s/%.*s', which %s",
			 STR_ARG(object->namespace), STR_ARG(object->name), why);
	return text;
}

static void complain_conflict(struct build *build, const struct model_route *loser,
			      const struct model_route *winner)
{
	const struct model_source *source = &loser->source;
	char text[WINNER_TEXT_MAX];
	struct finding_place place;

	winner_text(build, &winner->source, text);
	if (source->rule == MODEL_NONE) {
		struct str host = loser->vhost == MODEL_NONE
					  ? STR("")
					  : shown_host(build->model->vhosts.at[loser->vhost].host);

		place = build_place(build, source->object, source->line, "spec.defaultBackend");
		if (host.len)
			findings_add(build->findings, FINDING_NOTICE, "Conflict", &place,
				     "the default backend of host '%.*s' is that of %s",
				     STR_ARG(host), text);
		else
			findings_add(build->findings, FINDING_NOTICE, "Conflict", &place,
				     "the default backend is that of %s", text);
	} else {
		struct str host = shown_host(build->model->vhosts.at[loser->vhost].host);
		struct str path = str_slice(loser->path, 0, SHOWN_PATH_BYTES);

		place = build_place(build, source->object, source->line,
				    "spec.rules[%u].http.paths[%u].path", source->rule,
				    source->path);
		findings_add(build->findings, FINDING_NOTICE, "Conflict", &place,
			     "%s path '%.*s' of host '%.*s' belongs to %s",
			     model_route_kind_name(loser->kind), STR_ARG(path), STR_ARG(host),
			     text);
	}
}

/* ------------------------------------------------------------------ routes */

static uint64_t route_hash(const struct build *build, const struct model_route *route)
{
	uint64_t hash = siphash(build->compiler->hash_key, route->path);

	return lookup_hash_with(hash, (uint64_t)route->vhost << 2 | route->kind);
}

static int compare_first_vhost(const void *key, const void *element)
{
	const uint32_t *vhost = key;
	const struct unit *unit = element;

	if (*vhost < unit->vhost_first)
		return -1;
	return *vhost >= unit->vhost_first + unit->vhost_count;
}

void routes_file_vhost(struct build *build, uint32_t vhost)
{
	const struct compiled *now = build->compiler->now;
	const struct unit *owner;

	if (build->vhost_marks.at[vhost].is_filed)
		return;
	build->vhost_marks.at[vhost].is_filed = true;
	owner = bsearch(&vhost, now->units.at, now->units.len, sizeof(*owner), compare_first_vhost);
	assert(owner);
	for (uint32_t i = owner->route_first; i < owner->route_first + owner->route_count; i++) {
		const struct model_route *route = &build->model->routes.at[i];

		if (route->vhost == vhost)
			lookup_add(&build->compiler->route_table, route_hash(build, route), i);
	}
}

/* The route that has taken the place of @wanted, or NULL. */
static const struct model_route *find_route(const struct build *build,
					    const struct model_route *wanted, uint64_t hash)
{
	uint32_t at = 0, index;

	while ((index = lookup_next(&build->compiler->route_table, hash, &at)) != LOOKUP_NONE) {
		const struct model_route *route = &build->model->routes.at[index];

		if (route->vhost == wanted->vhost && route->kind == wanted->kind &&
		    str_eq(route->path, wanted->path))
			return route;
	}
	return NULL;
}

/* False with a finding where @backend is none that a route can have. */
static bool check_backend(struct build *build, const struct object_backend *backend,
			  const struct model_source *source)
{
	const char *field = "", *text = NULL;

	switch (backend->kind) {
	case OBJECT_BACKEND_NONE:
		text = "there is no backend";
		break;
	case OBJECT_BACKEND_RESOURCE:
		field = ".resource";
		text = "resource backends are not served yet";
		break;
	case OBJECT_BACKEND_BOTH:
		text = "service and resource exclude each other";
		break;
	case OBJECT_BACKEND_SERVICE:
		field = ".service";
		if (backend->service.len == 0)
			text = "the service has no name";
		else if (!backend->port.name.len && !backend->port.number)
			text = "the service has no port name or number";
		break;
	}
	if (text) {
		struct finding_place place = build_backend_place(build, source, field);

		if (backend->line)
			place.line = backend->line;
		findings_add(build->findings, FINDING_ERROR, "InvalidBackend", &place, "%s", text);
	}
	return !text;
}

/* Adds @route to @backend, or settles the conflict. The index of the route, or MODEL_NONE. */
static uint32_t add_route(struct build *build, struct model_route *route,
			  const struct object_backend *backend)
{
	const struct build_reference wanted = { .namespace = build->ingress->namespace,
						.service = backend->service,
						.port = backend->port,
						.service_line = backend->service_line,
						.port_line = backend->port_line };
	uint64_t hash = route_hash(build, route);
	const struct model_route *winner = find_route(build, route, hash);
	uint32_t index = (uint32_t)build->model->routes.len;

	if (winner) {
		complain_conflict(build, route, winner);
		return MODEL_NONE;
	}
	route->policy = build->policy;
	route->backend = backends_get(build, &wanted, &route->source);
	*vec_push(&build->model->routes) = *route;
	lookup_add(&build->compiler->route_table, hash, index);
	return index;
}

/* ------------------------------------------------------------------- paths */

static void complain_path(struct build *build, const struct model_source *source, const char *field,
			  const char *reason, const char *text)
{
	struct finding_place place =
		build_place(build, source->object, source->line, "spec.rules[%u].http.paths[%u].%s",
			    source->rule, source->path, field);

	findings_add(build->findings, FINDING_ERROR, reason, &place, "%s", text);
}

static bool check_path_type(struct build *build, const struct object_path *path,
			    const struct model_source *source)
{
	char text[SHOWN_PATH_BYTES * 3];
	struct str shown = str_slice(path->type_text, 0, SHOWN_PATH_BYTES);
	struct model_source place = *source;

	if (path->type != OBJECT_PATH_UNKNOWN)
		return true;
	if (shown.len)
		snprintf(text, sizeof(text),
			 "path type '%.*s' is none of Exact, Prefix, ImplementationSpecific",
			 STR_ARG(shown));
	else
		snprintf(text, sizeof(text), "there is no path type");
	place.line = path->type_line;
	complain_path(build, &place, "pathType", "InvalidPathType", text);
	return false;
}

/* The path key of @path in the model's arena or the object's; false with a finding. */
static bool key_of_path(struct build *build, const struct object_path *path,
			const struct model_source *source, struct str *key)
{
	static const char *const no_key =
		"path has a control character, a bad escape, or climbs above '/'";
	struct str text = path->path.len ? path->path : STR("/");
	char room[PATH_KEY_RULE_MAX * PATH_KEY_GROWTH];
	struct err err = { 0 };
	int code = syntax_check_path(path->path, path->type, &err);

	if (code == 0 && text.len > PATH_KEY_RULE_MAX)
		code = err_set(&err, -EINVAL, "path is %zu bytes long, at most %d are allowed",
			       text.len, PATH_KEY_RULE_MAX);
	if (code == 0 && path_key(text, room, sizeof(room), key) < 0)
		code = err_set(&err, -EINVAL, "%s", no_key);
	if (code == 0 && key->len > PATH_KEY_RULE_MAX)
		code = err_set(&err, -EINVAL,
			       "path is %zu bytes long when escaped, at most %d "
			       "are allowed",
			       key->len, PATH_KEY_RULE_MAX);
	if (code < 0) {
		complain_path(build, source, "path", "InvalidPath", err.text);
		return false;
	}
	if (key->at >= room && key->at < room + sizeof(room))
		*key = arena_copy(&build->compiler->texts, *key);
	return true;
}

static void add_path(struct build *build, uint32_t vhost, const struct object_rule *rule,
		     const struct object_path *path)
{
	struct model_route route = { .vhost = vhost,
				     .source = { .object = build->ingress,
						 .line = path->line,
						 .rule = rule->index,
						 .path = path->index } };

	if (!check_path_type(build, path, &route.source) ||
	    !key_of_path(build, path, &route.source, &route.path) ||
	    !check_backend(build, &path->backend, &route.source))
		return;
	route.kind = path->type == OBJECT_PATH_EXACT ? MODEL_ROUTE_EXACT : MODEL_ROUTE_PREFIX;
	if (route.kind == MODEL_ROUTE_PREFIX)
		route.path = path_key_of_prefix(route.path);
	add_route(build, &route, &path->backend);
}

static void add_rule(struct build *build, const struct object_rule *rule)
{
	uint32_t vhost = vhost_of_rule(build, rule);

	for (uint32_t i = 0; i < rule->path_count && vhost != MODEL_NONE; i++)
		add_path(build, vhost, rule, &rule->paths[i]);
}

/* ---------------------------------------------------------------- defaults */

/*
 * "If none of the hosts or paths match", says the documentation of Kubernetes, a default backend
 * serves: also that of an Ingress with rules. Users of ingress-nginx know it for its hosts only.
 */
static bool is_fallback(const struct build *build, const struct model_route *route)
{
	return build->model->policies.at[route->policy].profile != MODEL_PROFILE_INGRESS_NGINX;
}

void routes_note_default(struct build *build, uint32_t index)
{
	if (build->fallback == MODEL_NONE && is_fallback(build, &build->model->routes.at[index]))
		build->fallback = index;
}

/* The default of @vhost, or with MODEL_NONE of the class. */
static void add_default(struct build *build, uint32_t vhost)
{
	const struct object_backend *backend = &build->ingress->ingress.default_backend;
	struct model_route route = { .path = STR(""),
				     .kind = MODEL_ROUTE_DEFAULT,
				     .vhost = vhost,
				     .source = { .object = build->ingress,
						 .line = backend->line,
						 .rule = MODEL_NONE,
						 .path = MODEL_NONE } };
	uint32_t index = add_route(build, &route, backend);

	if (index == MODEL_NONE)
		return;
	if (vhost == MODEL_NONE) {
		build->model->default_route = index;
		return;
	}
	build->model->vhosts.at[vhost].default_route = index;
	routes_note_default(build, index);
}

static void add_defaults(struct build *build)
{
	const struct object_ingress *ingress = &build->ingress->ingress;
	const struct model_source source = { .object = build->ingress,
					     .line = ingress->default_backend.line,
					     .rule = MODEL_NONE,
					     .path = MODEL_NONE };

	if (ingress->default_backend.kind == OBJECT_BACKEND_NONE ||
	    !check_backend(build, &ingress->default_backend, &source))
		return;
	if (ingress->rule_count == 0) {
		build->is_plain = false; /* there is one of the class */
		add_default(build, MODEL_NONE);
	}
	for (size_t i = 0; i < build->ingress_vhosts.len; i++)
		add_default(build, build->ingress_vhosts.at[i]);
}

void routes_add_ingress(struct build *build)
{
	const struct object_ingress *ingress = &build->ingress->ingress;

	build->ingress_vhosts.len = 0;
	if (ingress->rule_count == 0 && ingress->default_backend.kind == OBJECT_BACKEND_NONE) {
		struct finding_place place = build_place(build, build->ingress, 0, "spec");

		findings_add(build->findings, FINDING_ERROR, "EmptyIngress", &place,
			     "there are neither rules nor a default backend");
		return;
	}
	for (uint32_t i = 0; i < ingress->rule_count; i++)
		add_rule(build, &ingress->rules[i]);
	add_defaults(build);
}

/* ---------------------------------------------------- default of the class */

/* The class whose parameters name a default backend; that of --config comes last. */
static struct build_class *class_with_default(struct build *build)
{
	for (size_t i = 1; i < build->classes.len; i++) {
		if (build->classes.at[i].settings.default_backend.object)
			return &build->classes.at[i];
	}
	return build->classes.at[0].settings.default_backend.name.at ? &build->classes.at[0] : NULL;
}

static void add_default_of_class(struct build *build, struct build_class *class)
{
	const struct setting_reference *reference = &class->settings.default_backend;
	const struct build_reference wanted = { .namespace = reference->namespace,
						.service = reference->name,
						.port = reference->port };
	const struct model_source source = { .object = reference->object,
					     .line = reference->line,
					     .rule = MODEL_NONE,
					     .path = MODEL_NONE };
	struct model_route *route;

	build->model->default_route = (uint32_t)build->model->routes.len;
	route = vec_push(&build->model->routes);
	*route = (struct model_route){
		.path = STR(""), .kind = MODEL_ROUTE_DEFAULT, .vhost = MODEL_NONE, .source = source
	};
	route->backend = backends_get(build, &wanted, &source);
	route->policy = build_policy(build, &class->settings.policy);
}

void routes_add_class_default(struct build *build)
{
	struct build_class *class = class_with_default(build);

	if (build->model->default_route != MODEL_NONE)
		return;
	if (class) {
		add_default_of_class(build, class);
	} else if (build->fallback != MODEL_NONE) {
		struct model_route route = build->model->routes.at[build->fallback];

		route.vhost = MODEL_NONE;
		build->model->default_route = (uint32_t)build->model->routes.len;
		*vec_push(&build->model->routes) = route;
	}
}

/* ----------------------------------------------------------- unknown hosts */

/*
 * A host that nobody names is no class's, so one class that drops those is enough; without any
 * IngressClass it is the settings of --config that count.
 */
static bool is_drop_wanted(const struct build *build)
{
	for (size_t i = 1; i < build->classes.len; i++)
		if (build->classes.at[i].settings.drops_unknown_hosts)
			return true;
	return build->classes.len == 1 && build->classes.at[0].settings.drops_unknown_hosts;
}

void routes_decide_unknown(struct build *build)
{
	const struct compiler *compiler = build->compiler;
	uint32_t any = build_host_number(build, STR(""));
	bool is_served = build->model->default_route != MODEL_NONE ||
			 compiler->known_hosts.at[any].vhost_round == compiler->round;

	build->model->drops_unknown = is_drop_wanted(build) && !is_served;
}
