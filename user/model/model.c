// SPDX-License-Identifier: Apache-2.0
/* model: life cycle, defaults of the profiles, and the check of the whole; see model.h. */
#include "model/model.h"

#include <errno.h>
#include <stdlib.h>

enum {
	MODEL_ARENA_CHUNK_BYTES = 256 << 10,
	CONNECT_TIMEOUT_MS = 5000,
	READ_TIMEOUT_MS = 60000,
	SEND_TIMEOUT_MS = 60000,
	REDIRECT_STATUS = 308, /* Permanent Redirect: the method stays (RFC 9110 15.4.9) */
	NGINX_BODY_MAX_BYTES = 1 << 20,
	NGINX_HSTS_MAX_AGE_S = 31536000, /* a year */
};

const char *model_profile_name(enum model_profile profile)
{
	static const char *const names[MODEL_PROFILE_COUNT] = {
		[MODEL_PROFILE_SLUICE] = "sluice",
		[MODEL_PROFILE_INGRESS_NGINX] = "ingress-nginx",
		[MODEL_PROFILE_CONFORMANCE] = "conformance",
	};

	return names[profile];
}

const char *model_route_kind_name(enum model_route_kind kind)
{
	static const char *const names[] = {
		[MODEL_ROUTE_EXACT] = "exact",
		[MODEL_ROUTE_PREFIX] = "prefix",
		[MODEL_ROUTE_DEFAULT] = "default",
	};

	return names[kind];
}

void model_policy_init(struct model_policy *policy, enum model_profile profile)
{
	*policy = (struct model_policy){
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.read_timeout_ms = READ_TIMEOUT_MS,
		.send_timeout_ms = SEND_TIMEOUT_MS,
		.profile = profile,
		.redirect_status = REDIRECT_STATUS,
		.ssl_redirect = profile != MODEL_PROFILE_CONFORMANCE,
	};
	if (profile == MODEL_PROFILE_INGRESS_NGINX) {
		policy->body_max_bytes = NGINX_BODY_MAX_BYTES;
		policy->hsts_max_age_s = NGINX_HSTS_MAX_AGE_S;
		policy->hsts = true;
		policy->hsts_subdomains = true;
	}
}

void model_init(struct model *model)
{
	*model = (struct model){ .default_route = MODEL_NONE, .default_cert = MODEL_NONE };
	arena_init(&model->arena, MODEL_ARENA_CHUNK_BYTES);
}

void model_release(struct model *model)
{
	arena_release(&model->arena);
	vec_release(&model->vhosts);
	vec_release(&model->routes);
	vec_release(&model->policies);
	vec_release(&model->backends);
	vec_release(&model->certs);
	vec_release(&model->tls_hosts);
}

void model_reset(struct model *model)
{
	arena_reset(&model->arena);
	model->vhosts.len = 0;
	model->routes.len = 0;
	model->policies.len = 0;
	model->backends.len = 0;
	model->certs.len = 0;
	model->tls_hosts.len = 0;
	model->default_route = MODEL_NONE;
	model->default_cert = MODEL_NONE;
	model->drops_unknown = false;
}

/* ------------------------------------------------------------------- check */

static bool is_index(uint32_t index, size_t count)
{
	return index < count;
}

static bool is_index_or_none(uint32_t index, size_t count)
{
	return index == MODEL_NONE || index < count;
}

/* Names what is wrong with a route, or NULL. */
static const char *route_fault(const struct model *model, const struct model_route *route)
{
	if (!is_index_or_none(route->vhost, model->vhosts.len))
		return "has no vhost";
	if (!is_index_or_none(route->backend, model->backends.len))
		return "has no backend";
	if (!is_index(route->policy, model->policies.len))
		return "has no policy";
	if (route->kind == MODEL_ROUTE_DEFAULT)
		return route->path.len ? "is a default with a path" : NULL;
	if (route->vhost == MODEL_NONE)
		return "has a path and no vhost";
	return route->path.len && route->path.at[0] == '/' ? NULL : "has a path without '/'";
}

static int compare_routes(const void *a, const void *b)
{
	const struct model_route *const *left = a, *const *right = b;
	int order;

	if ((*left)->vhost != (*right)->vhost)
		return (*left)->vhost < (*right)->vhost ? -1 : 1;
	order = str_compare((*left)->path, (*right)->path);
	return order ? order : (int)(*left)->kind - (int)(*right)->kind;
}

static int check_unique_routes(const struct model *model, struct err *err)
{
	const struct model_route **sorted = mem_new(model->routes.len + 1, sizeof(*sorted));
	int code = 0;

	for (size_t i = 0; i < model->routes.len; i++)
		sorted[i] = &model->routes.at[i];
	qsort(sorted, model->routes.len, sizeof(*sorted), compare_routes);
	for (size_t i = 1; i < model->routes.len && code == 0; i++) {
		if (compare_routes(&sorted[i - 1], &sorted[i]) == 0)
			code = err_set(err, -EINVAL, "two %s routes for '%.*s' of vhost %u",
				       model_route_kind_name(sorted[i]->kind),
				       STR_ARG(sorted[i]->path), sorted[i]->vhost);
	}
	mem_free(sorted);
	return code;
}

static int check_vhosts(const struct model *model, struct err *err)
{
	for (size_t i = 0; i < model->vhosts.len; i++) {
		const struct model_vhost *vhost = &model->vhosts.at[i];
		uint32_t route = vhost->default_route;

		if (route == MODEL_NONE)
			continue;
		if (!is_index(route, model->routes.len) || model->routes.at[route].vhost != i ||
		    model->routes.at[route].kind != MODEL_ROUTE_DEFAULT)
			return err_set(err, -EINVAL, "default of vhost '%.*s' is not its route",
				       STR_ARG(vhost->host));
	}
	return 0;
}

static int check_certs(const struct model *model, struct err *err)
{
	if (!is_index_or_none(model->default_cert, model->certs.len))
		return err_set(err, -EINVAL, "default certificate does not exist");
	for (size_t i = 0; i < model->tls_hosts.len; i++) {
		if (!is_index_or_none(model->tls_hosts.at[i].cert, model->certs.len))
			return err_set(err, -EINVAL, "certificate of '%.*s' does not exist",
				       STR_ARG(model->tls_hosts.at[i].host));
	}
	return 0;
}

int model_check(const struct model *model, struct err *err)
{
	int code;

	for (size_t i = 0; i < model->routes.len; i++) {
		const char *fault = route_fault(model, &model->routes.at[i]);

		if (fault)
			return err_set(err, -EINVAL, "route %zu %s", i, fault);
	}
	if (!is_index_or_none(model->default_route, model->routes.len))
		return err_set(err, -EINVAL, "default route does not exist");
	code = check_vhosts(model, err);
	if (code == 0)
		code = check_certs(model, err);
	return code ? code : check_unique_routes(model, err);
}
