// SPDX-License-Identifier: Apache-2.0
/*
 * keep: takes over what became of an Ingress in the generation before.
 *
 * What an Ingress becomes depends on itself, the settings of its class, its Services and Secrets,
 * and on older Ingresses that name the same hosts. Where none of that is different (and nothing was
 * to be complained about), its vhosts, routes and TLS hosts are copied from the model before:
 *
 *   before   [ vhosts of A ][ of B ][ of C ]     [ routes of A ][ of B    ][ of C ]
 *                  |            X       |               |            X         |
 *   now      [ vhosts of A ][ of D ][ of C ]     [ routes of A ][ of D ][ of C ]
 *
 * Indices are moved, or looked up in a map where they are those of something shared. No text is
 * read, hashed or compared, and no object is looked at: ten thousand Ingresses that did not change
 * cost a walk over a few arrays. Everything comes in the order in which compiling would have
 * brought it, so that the result is the same to the byte.
 *
 * A younger Ingress may have added to what this one made (a default route, a certificate for a
 * host): that is not copied, and is added again if it still holds.
 */
#include "compile/build.h"

static const struct compiled *before_of(const struct build *build)
{
	return build->compiler->before;
}

void keep_init(struct build *build)
{
	const struct compiled *before = before_of(build);

	for (size_t i = 0; i < before->model.backends.len; i++)
		*vec_push(&build->backend_map) = MODEL_NONE;
	for (size_t i = 0; i < before->model.policies.len; i++)
		*vec_push(&build->policy_map) = MODEL_NONE;
}

/* ------------------------------------------------------------ does it hold? */

/* Where the Service of a backend of before stands now, if it is the same; or SEEN_NONE. */
static uint32_t service_now(const struct build *build, uint32_t backend)
{
	const struct seen *seen = &build->compiler->seen[OBJECT_KIND_SERVICE];
	uint32_t position = before_of(build)->backends.at[backend].service;

	return position < seen->to.len ? seen->to.at[position] : SEEN_NONE;
}

static bool are_routes_same(const struct build *build, const struct unit *unit)
{
	const struct model_route *routes = before_of(build)->model.routes.at + unit->route_first;

	for (uint32_t i = 0; i < unit->route_count; i++) {
		uint32_t backend = routes[i].backend;

		if (build->backend_map.at[backend] != MODEL_NONE)
			continue;
		if (!before_of(build)->model.backends.at[backend].service_port ||
		    service_now(build, backend) == SEEN_NONE)
			return false;
	}
	return true;
}

static bool are_secrets_same(const struct build *build, const struct unit *unit)
{
	const struct unit_secret *secrets = before_of(build)->secrets.at + unit->secret_first;

	for (uint32_t i = 0; i < unit->secret_count; i++) {
		if (!certs_is_same(build, secrets[i].entry, secrets[i].serial))
			return false;
	}
	return true;
}

/* Nobody older names one of its hosts, now or since. */
static bool are_hosts_free(const struct build *build, const struct unit *unit)
{
	const struct compiler *compiler = build->compiler;
	const struct model *model = &before_of(build)->model;

	for (uint32_t i = 0; i < unit->vhost_count; i++) {
		uint32_t number = model->vhosts.at[unit->vhost_first + i].number;

		if (compiler->known_hosts.at[number].vhost_round == compiler->round)
			return false;
	}
	for (uint32_t i = 0; i < unit->tls_count; i++) {
		const struct model_tls_host *tls_host = &model->tls_hosts.at[unit->tls_first + i];

		if (tls_host->object != unit->object ||
		    compiler->known_hosts.at[tls_host->number].tls_round == compiler->round)
			return false;
	}
	return true;
}

/* -------------------------------------------------------------- taking over */

static uint32_t take_policy(struct build *build, uint32_t policy)
{
	uint32_t *now = &build->policy_map.at[policy];

	if (*now == MODEL_NONE)
		*now = build_policy(build, &before_of(build)->model.policies.at[policy]);
	return *now;
}

static uint32_t take_backend(struct build *build, uint32_t backend)
{
	const struct model_backend *from = &before_of(build)->model.backends.at[backend];
	struct backend_origin origin = before_of(build)->backends.at[backend];
	uint32_t *now = &build->backend_map.at[backend];

	if (*now != MODEL_NONE)
		return *now;
	origin.before = backend;
	origin.service = service_now(build, backend);
	ids_touch(&build->compiler->backend_ids, from->id);
	*now = backends_add(build, from, origin);
	return *now;
}

static void take_vhosts(struct build *build, const struct unit *from, const struct unit *to)
{
	const struct model *model = &before_of(build)->model;

	for (uint32_t i = 0; i < from->vhost_count; i++) {
		struct model_vhost vhost = model->vhosts.at[from->vhost_first + i];
		uint32_t place = vhost.default_route - from->route_first;

		/* Somebody younger's default comes again with them. */
		vhost.default_route =
			place < from->route_count ? to->route_first + place : MODEL_NONE;
		/* Somebody younger may have made it lower, and does it again. */
		vhost.connection_rate = from->connection_rate;
		ids_touch(&build->compiler->host_names, vhost.number);
		routes_new_vhost(build, &vhost);
	}
}

static void take_routes(struct build *build, const struct unit *from, const struct unit *to)
{
	const struct model_route *routes = before_of(build)->model.routes.at + from->route_first;
	uint32_t vhost_shift = to->vhost_first - from->vhost_first; /* modulo 2^32 */

	for (uint32_t i = 0; i < from->route_count; i++) {
		struct model_route *route = vec_push(&build->model->routes);

		*route = routes[i];
		route->vhost += vhost_shift;
		route->backend = take_backend(build, route->backend);
		route->policy = take_policy(build, route->policy);
		if (route->kind == MODEL_ROUTE_DEFAULT)
			routes_note_default(build, to->route_first + i);
	}
}

static void take_tls(struct build *build, const struct unit *from)
{
	const struct compiled *before = before_of(build);
	struct compiled *now = build->compiler->now;

	for (uint32_t i = 0; i < from->secret_count; i++) {
		struct unit_secret secret = before->secrets.at[from->secret_first + i];

		certs_look_at(build, secret.entry);
		*vec_push(&now->secrets) = secret;
	}
	for (uint32_t i = 0; i < from->tls_count; i++) {
		uint32_t place = from->tls_first + i;
		struct model_tls_host tls_host = before->model.tls_hosts.at[place];
		struct cert_entry *entry = before->tls_secrets.at[place];
		uint32_t index;

		tls_host.cert = entry ? entry->cert : MODEL_NONE;
		ids_touch(&build->compiler->host_names, tls_host.number);
		index = certs_new_tls_host(build, &tls_host);
		now->tls_secrets.at[index] = entry;
	}
}

bool keep_ingress(struct build *build, const struct build_ingress *ingress)
{
	struct compiled *now = build->compiler->now;
	const struct unit *from;
	struct unit unit;

	if (ingress->before == MODEL_NONE)
		return false;
	from = &before_of(build)->units.at[ingress->before];
	if (!from->is_plain || !are_hosts_free(build, from) || !are_routes_same(build, from) ||
	    !are_secrets_same(build, from))
		return false;
	unit = *from;
	unit.before = ingress->before;
	unit.vhost_first = (uint32_t)build->model->vhosts.len;
	unit.route_first = (uint32_t)build->model->routes.len;
	unit.tls_first = (uint32_t)build->model->tls_hosts.len;
	unit.secret_first = (uint32_t)now->secrets.len;
	unit.policy = take_policy(build, from->policy);
	take_vhosts(build, from, &unit);
	take_routes(build, from, &unit);
	take_tls(build, from);
	*vec_push(&now->units) = unit;
	return true;
}
