// SPDX-License-Identifier: Apache-2.0
/*
 * model_dump: the model as text for people and golden files.
 *
 * Vhosts stand in the order of their names, routes in the order of their paths, so
 * that the text does not depend on the order of the objects.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "model/model.h"

static struct str shown_host(struct str host)
{
	return host.len ? host : STR("*");
}

/* " (shop/web web.yaml:12 rules[0].paths[1])" */
static void dump_source(struct buf *out, const struct model_source *source)
{
	const struct object *object = source->object;

	if (!object) {
		buf_printf(out, " (settings:%" PRIu32 ")\n", source->line);
		return;
	}
	buf_printf(out, " (%s %.*s/%.*s", object_kind_name(object->kind),
		   STR_ARG(object->namespace), STR_ARG(object->name));
	if (object->file.len)
		buf_printf(out, " %.*s:%" PRIu32, STR_ARG(object->file), source->line);
	if (source->rule != MODEL_NONE)
		buf_printf(out, " rules[%" PRIu32 "].paths[%" PRIu32 "]", source->rule,
			   source->path);
	buf_add_c(out, ")\n");
}

static void dump_route(struct buf *out, const struct model *model, const struct model_route *route)
{
	buf_printf(out, "  %s", model_route_kind_name(route->kind));
	if (route->path.len)
		buf_printf(out, " %.*s", STR_ARG(route->path));
	if (route->backend == MODEL_NONE) {
		buf_add_c(out, " -> none");
	} else {
		const struct model_backend *backend = &model->backends.at[route->backend];

		buf_printf(out, " -> %.*s/%.*s:%.*s", STR_ARG(backend->namespace),
			   STR_ARG(backend->service), STR_ARG(backend->port));
	}
	buf_printf(out, " policy %" PRIu32, route->policy);
	dump_source(out, &route->source);
}

/* ----------------------------------------------------------------- in order */

static int compare_vhosts(const void *a, const void *b)
{
	const struct model_vhost *const *left = a, *const *right = b;

	return str_compare((*left)->host, (*right)->host);
}

/* By vhost (those of the class last), then paths before the default, then path and kind. */
static int compare_routes(const void *a, const void *b)
{
	const struct model_route *const *left = a, *const *right = b;
	bool left_is_default = (*left)->kind == MODEL_ROUTE_DEFAULT;
	bool right_is_default = (*right)->kind == MODEL_ROUTE_DEFAULT;
	int order;

	if ((*left)->vhost != (*right)->vhost)
		return (*left)->vhost < (*right)->vhost ? -1 : 1;
	if (left_is_default != right_is_default)
		return left_is_default ? 1 : -1;
	order = str_compare((*left)->path, (*right)->path);
	return order ? order : (int)(*left)->kind - (int)(*right)->kind;
}

static int compare_tls_hosts(const void *a, const void *b)
{
	const struct model_tls_host *const *left = a, *const *right = b;

	return str_compare((*left)->host, (*right)->host);
}

static int compare_backends(const void *a, const void *b)
{
	const struct model_backend *const *left = a, *const *right = b;
	int order = str_compare((*left)->namespace, (*right)->namespace);

	if (order == 0)
		order = str_compare((*left)->service, (*right)->service);
	return order ? order : str_compare((*left)->port, (*right)->port);
}

/* Pointers to the @count elements at @at, sorted; mem_free. */
static void *sorted(const void *at, size_t count, size_t size_bytes,
		    int (*compare)(const void *, const void *))
{
	const char **pointers = mem_new(count + 1, sizeof(*pointers));

	for (size_t i = 0; i < count; i++)
		pointers[i] = (const char *)at + i * size_bytes;
	qsort(pointers, count, sizeof(*pointers), compare);
	return pointers;
}

/* The routes of vhost @vhost stand together in @routes; dumps them. */
static void dump_routes_of(struct buf *out, const struct model *model,
			   const struct model_route *const *routes, uint32_t vhost)
{
	size_t low = 0, high = model->routes.len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (routes[middle]->vhost < vhost)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i < model->routes.len && routes[i]->vhost == vhost; i++)
		dump_route(out, model, routes[i]);
}

/* ------------------------------------------------------------------- parts */

static void dump_vhosts(struct buf *out, const struct model *model)
{
	const struct model_route **routes = sorted(model->routes.at, model->routes.len,
						   sizeof(*model->routes.at), compare_routes);
	const struct model_vhost **vhosts = sorted(model->vhosts.at, model->vhosts.len,
						   sizeof(*model->vhosts.at), compare_vhosts);

	for (size_t i = 0; i < model->vhosts.len; i++) {
		uint32_t index = (uint32_t)(vhosts[i] - model->vhosts.at);
		struct str host = shown_host(vhosts[i]->host);

		buf_printf(out, "vhost %.*s%s workers %u+%u", STR_ARG(host),
			   vhosts[i]->has_tls ? " tls" : "", vhosts[i]->worker_first,
			   vhosts[i]->worker_spread);
		if (vhosts[i]->connection_rate.per_s)
			buf_printf(out, " connections %" PRIu32 "/s burst %" PRIu32,
				   vhosts[i]->connection_rate.per_s,
				   vhosts[i]->connection_rate.burst);
		buf_add_char(out, '\n');
		dump_routes_of(out, model, routes, index);
	}
	if (model->default_route != MODEL_NONE) {
		buf_add_c(out, "class\n");
		dump_routes_of(out, model, routes, MODEL_NONE);
	}
	if (model->drops_unknown)
		buf_add_c(out, "unknown hosts: drop\n");
	mem_free(routes);
	mem_free(vhosts);
}

static void dump_flag(struct buf *out, bool is_set, const char *name)
{
	if (is_set)
		buf_printf(out, " %s", name);
}

static void dump_policies(struct buf *out, const struct model *model)
{
	for (size_t i = 0; i < model->policies.len; i++) {
		const struct model_policy *policy = &model->policies.at[i];

		buf_printf(out,
			   "policy %zu %s connect %" PRIu32 " ms read %" PRIu32 " ms send %" PRIu32
			   " ms redirect %u",
			   i, model_profile_name(policy->profile), policy->connect_timeout_ms,
			   policy->read_timeout_ms, policy->send_timeout_ms,
			   (unsigned int)policy->redirect_status);
		if (policy->body_max_bytes)
			buf_printf(out, " body %" PRIu64, policy->body_max_bytes);
		if (policy->hsts)
			buf_printf(out, " hsts %" PRIu32, policy->hsts_max_age_s);
		dump_flag(out, policy->hsts_subdomains, "subdomains");
		dump_flag(out, policy->hsts_preload, "preload");
		dump_flag(out, policy->ssl_redirect, "ssl-redirect");
		dump_flag(out, policy->force_ssl_redirect, "force-ssl-redirect");
		dump_flag(out, policy->preserve_trailing_slash, "preserve-trailing-slash");
		dump_flag(out, policy->deny, "deny");
		buf_add_char(out, '\n');
	}
}

static void dump_backends(struct buf *out, const struct model *model)
{
	const struct model_backend **backends =
		sorted(model->backends.at, model->backends.len, sizeof(*model->backends.at),
		       compare_backends);

	for (size_t i = 0; i < model->backends.len; i++) {
		const struct model_backend *backend = backends[i];

		buf_printf(out, "backend %.*s/%.*s:%.*s id %" PRIu32, STR_ARG(backend->namespace),
			   STR_ARG(backend->service), STR_ARG(backend->port), backend->id);
		if (backend->service_port)
			buf_printf(out, " port '%.*s'\n", STR_ARG(backend->service_port->name));
		else
			buf_add_c(out, backend->object ? " port missing\n" : " service missing\n");
	}
	mem_free(backends);
}

static void dump_cert(struct buf *out, const struct model_cert *cert)
{
	buf_printf(out, "%.*s/%.*s", STR_ARG(cert->object->namespace), STR_ARG(cert->object->name));
	for (uint32_t i = 0; i < cert->facts.name_count; i++)
		buf_printf(out, "%s%.*s", i ? " " : " covers ", STR_ARG(cert->facts.names[i]));
	buf_add_char(out, '\n');
}

static void dump_tls(struct buf *out, const struct model *model)
{
	const struct model_tls_host **hosts =
		sorted(model->tls_hosts.at, model->tls_hosts.len, sizeof(*model->tls_hosts.at),
		       compare_tls_hosts);

	for (size_t i = 0; i < model->tls_hosts.len; i++) {
		struct str host = shown_host(hosts[i]->host);

		buf_printf(out, "tls %.*s: ", STR_ARG(host));
		if (hosts[i]->cert == MODEL_NONE)
			buf_add_c(out, "default certificate\n");
		else
			dump_cert(out, &model->certs.at[hosts[i]->cert]);
	}
	if (model->default_cert != MODEL_NONE) {
		buf_add_c(out, "default certificate: ");
		dump_cert(out, &model->certs.at[model->default_cert]);
	}
	mem_free(hosts);
}

void model_dump(const struct model *model, struct buf *out)
{
	buf_printf(out, "model: %zu vhosts, %zu routes, %zu backends, %zu certificates\n",
		   model->vhosts.len, model->routes.len, model->backends.len, model->certs.len);
	dump_vhosts(out, model);
	dump_policies(out, model);
	dump_backends(out, model);
	dump_tls(out, model);
}
