// SPDX-License-Identifier: Apache-2.0
/* show_served: routes, endpoints, certificates and findings, read from what is published. */
#include "agent/show_served.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tls/tls_inspect.h"

enum { CERTS_SHOWN_DEFAULT = 1000, CERTS_SHOWN_MAX = 100000, CERT_ARENA_BYTES = 16 * 1024 };

void cell_backend(struct view *view, const struct image *image, const struct image_backend *backend)
{
	struct str namespace = image_text(image, backend->namespace);
	struct str service = image_text(image, backend->service);
	struct str port = image_text(image, backend->port);

	view_cell_printf(view, "%.*s/%.*s:%.*s", STR_ARG(namespace), STR_ARG(service),
			 STR_ARG(port));
}

void cell_ingress(struct view *view, const struct image *image, const struct image_source *source)
{
	struct str namespace = image_text(image, source->namespace);
	struct str name = image_text(image, source->ingress);

	if (name.len == 0)
		view_cell_none(view);
	else
		view_cell_printf(view, "%.*s/%.*s", STR_ARG(namespace), STR_ARG(name));
}

void cell_source(struct view *view, const struct image *image, const struct image_source *source)
{
	struct str file = image_text(image, source->file);

	if (file.len == 0)
		view_cell_none(view);
	else
		view_cell_printf(view, "%.*s:%u", STR_ARG(file), source->line);
}

uint32_t count_ready(const struct endpoints *endpoints, const struct image_backend *backend)
{
	struct endpoints_slot slot = endpoints_of(endpoints, backend->id);
	uint32_t count = 0;

	for (uint32_t i = 0; i < slot.count; i++)
		count += (endpoints_at(endpoints, slot, i)->flags & ENDPOINT_READY) != 0;
	return count;
}

/* ------------------------------------------------------------------------------- routes */

static const struct view_column route_columns[] = {
	{ "host", VIEW_LEFT },    { "path", VIEW_LEFT },   { "kind", VIEW_LEFT },
	{ "backend", VIEW_LEFT }, { "ready", VIEW_RIGHT }, { "https", VIEW_LEFT },
	{ "ingress", VIEW_LEFT }, { "source", VIEW_LEFT },
};

/* "redirect": HTTP is sent to HTTPS; "yes": both are served. */
static const char *https_text(const struct image_vhost *vhost, const struct image_policy *policy)
{
	bool has_tls = vhost && (vhost->flags & IMAGE_VHOST_TLS);

	if ((policy->flags & IMAGE_POLICY_FORCE_SSL_REDIRECT) ||
	    (has_tls && (policy->flags & IMAGE_POLICY_SSL_REDIRECT)))
		return "redirect";
	return has_tls ? "yes" : "";
}

static void show_route(struct view *view, const struct publisher *publisher,
		       const struct image_vhost *vhost, const struct image_route *route)
{
	const struct image *image = &publisher->image;
	const struct image_source *source = image_source_of(image, route);

	view_cell(view, vhost ? image_vhost_name(image, vhost) : STR("*"));
	view_cell(view, image_text(image, route->path));
	view_cell_c(view, image_route_kind_name(route->kind));
	if (route->backend == IMAGE_NONE) {
		view_cell_none(view);
		view_cell_u64(view, 0);
	} else {
		const struct image_backend *backend = &image->backends[route->backend];

		cell_backend(view, image, backend);
		view_cell_u64(view, count_ready(&publisher->endpoints, backend));
	}
	view_cell_c(view, https_text(vhost, &image->policies[route->policy]));
	cell_ingress(view, image, source);
	cell_source(view, image, source);
}

/* qsort has no context: the image that compare_vhosts reads names from. One thread. */
static const struct image *sorted_image;

static int compare_vhosts(const void *a, const void *b)
{
	const struct image_vhost *left = *(const struct image_vhost *const *)a;
	const struct image_vhost *right = *(const struct image_vhost *const *)b;

	return str_compare(image_vhost_name(sorted_image, left),
			   image_vhost_name(sorted_image, right));
}

/* By name. The caller frees. */
static const struct image_vhost **sort_vhosts(const struct image *image)
{
	const struct image_vhost **vhosts =
		mem_new((size_t)image->vhost_count + 1, sizeof(*vhosts));

	for (uint32_t i = 0; i < image->vhost_count; i++)
		vhosts[i] = &image->vhosts[i];
	sorted_image = image;
	qsort(vhosts, image->vhost_count, sizeof(*vhosts), compare_vhosts);
	return vhosts;
}

static void show_all_routes(struct view *view, const struct publisher *publisher, struct str host)
{
	const struct image *image = &publisher->image;
	const struct image_vhost **vhosts = sort_vhosts(image);

	for (uint32_t i = 0; i < image->vhost_count; i++) {
		if (host.len && !str_eq_nocase(image_vhost_name(image, vhosts[i]), host))
			continue;
		for (uint32_t n = 0; n < vhosts[i]->route_count; n++)
			show_route(view, publisher, vhosts[i],
				   &image->routes[vhosts[i]->route_first + n]);
	}
	if (image->header->default_route != IMAGE_NONE && host.len == 0)
		show_route(view, publisher, NULL, &image->routes[image->header->default_route]);
	mem_free(vhosts);
}

void show_routes(const struct admin_request *request, struct admin_answer *answer)
{
	const struct publisher *publisher = &request->agent->publisher;
	struct view view;

	if (admin_parameter(request, "conflicts").len) {
		show_findings(request, answer);
		return;
	}
	view_begin(&view, &answer->body, request->is_json);
	if (request->is_json)
		view_u64(&view, "generation", publisher->of[PUBLISHED_IMAGE].generation);
	view_table_begin(&view, "routes", route_columns, 8);
	if (publisher_is_complete(publisher))
		show_all_routes(&view, publisher, admin_parameter(request, "host"));
	view_table_end(&view);
	view_end(&view);
}

/* ---------------------------------------------------------------------------- endpoints */

static const struct view_column endpoint_columns[] = {
	{ "backend", VIEW_LEFT }, { "endpoint", VIEW_LEFT }, { "state", VIEW_LEFT },
	{ "weight", VIEW_RIGHT }, { "id", VIEW_RIGHT },      { "name", VIEW_LEFT },
};

static const char *endpoint_state(uint8_t flags)
{
	if (flags & ENDPOINT_READY)
		return "ready";
	if (flags & ENDPOINT_TERMINATING)
		return flags & ENDPOINT_SERVING ? "terminating, serving" : "terminating";
	return flags & ENDPOINT_SERVING ? "serving" : "not ready";
}

static void show_endpoints_of(struct view *view, const struct publisher *publisher,
			      const struct image_backend *backend)
{
	const struct endpoints *endpoints = &publisher->endpoints;
	struct endpoints_slot slot = endpoints_of(endpoints, backend->id);

	for (uint32_t i = 0; i < slot.count; i++) {
		const struct endpoint *endpoint = endpoints_at(endpoints, slot, i);
		struct addr addr = endpoint_addr(endpoint);
		char text[ADDR_TEXT_MAX];

		cell_backend(view, &publisher->image, backend);
		view_cell_c(view, addr_format(&addr, text));
		view_cell_c(view, endpoint_state(endpoint->flags));
		view_cell_u64(view, endpoint->weight);
		view_cell_u64(view, endpoint->id);
		view_cell(view, endpoint_name(endpoints, endpoint));
	}
	if (slot.count)
		return;
	cell_backend(view, &publisher->image, backend);
	for (size_t i = 1; i < sizeof(endpoint_columns) / sizeof(*endpoint_columns); i++)
		view_cell_none(view);
}

void show_endpoint_table(struct view *view, const struct publisher *publisher,
			 const struct image_backend *backends, uint32_t count)
{
	view_table_begin(view, "endpoints", endpoint_columns, 6);
	for (uint32_t i = 0; i < count; i++)
		show_endpoints_of(view, publisher, &backends[i]);
	view_table_end(view);
}

void show_endpoints(const struct admin_request *request, struct admin_answer *answer)
{
	const struct publisher *publisher = &request->agent->publisher;
	bool is_complete = publisher_is_complete(publisher);
	struct view view;

	view_begin(&view, &answer->body, request->is_json);
	if (request->is_json)
		view_u64(&view, "generation", publisher->of[PUBLISHED_ENDPOINTS].generation);
	show_endpoint_table(&view, publisher, publisher->image.backends,
			    is_complete ? publisher->image.backend_count : 0);
	view_end(&view);
}

/* ------------------------------------------------------------------------- certificates */

static const struct view_column cert_columns[] = {
	{ "name", VIEW_LEFT }, { "secret", VIEW_LEFT }, { "expires", VIEW_LEFT },
	{ "key", VIEW_LEFT },  { "issuer", VIEW_LEFT }, { "covers", VIEW_LEFT },
};

static void cell_date(struct view *view, uint64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm tm;
	char text[32];

	if (!gmtime_r(&when, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		view_cell_none(view);
	else
		view_cell_c(view, text);
}

static void show_cert(struct view *view, const struct certs *certs, struct str name,
		      const struct cert *cert)
{
	struct str namespace = certs_text(certs, cert->namespace);
	struct str secret = certs_text(certs, cert->secret);
	struct tls_inspection inspection;
	struct arena arena;

	arena_init(&arena, CERT_ARENA_BYTES);
	view_cell(view, name);
	view_cell_printf(view, "%.*s/%.*s", STR_ARG(namespace), STR_ARG(secret));
	if (tls_inspect(certs_text(certs, cert->chain), certs_text(certs, cert->key), &arena,
			&inspection, NULL)) {
		for (int i = 0; i < 4; i++)
			view_cell_none(view);
	} else {
		cell_date(view, inspection.not_after_s);
		view_cell_c(view, inspection.key_type);
		view_cell(view, inspection.issuer);
		view_cell_list(view, inspection.names, inspection.name_count);
	}
	arena_release(&arena);
}

void show_certs(const struct admin_request *request, struct admin_answer *answer)
{
	const struct publisher *publisher = &request->agent->publisher;
	const struct certs *certs = &publisher->certs;
	uint64_t limit = CERTS_SHOWN_DEFAULT, asked;
	struct view view;

	if (str_parse_u64(admin_parameter(request, "limit"), CERTS_SHOWN_MAX, &asked) == 0)
		limit = asked;
	view_begin(&view, &answer->body, request->is_json);
	view_table_begin(&view, "certificates", cert_columns, 6);
	if (publisher_is_complete(publisher)) {
		for (uint32_t i = 0; i < certs->name_count && i < limit; i++)
			show_cert(&view, certs, certs_text(certs, certs->names[i].text),
				  &certs->certs[certs->names[i].cert]);
		if (certs->header->default_cert != SEGMENT_NONE)
			show_cert(&view, certs, STR("(default)"),
				  &certs->certs[certs->header->default_cert]);
	}
	view_table_end(&view);
	view_end(&view);
}

/* ----------------------------------------------------------------------------- findings */

static const struct view_column finding_columns[] = {
	{ "level", VIEW_LEFT },  { "reason", VIEW_LEFT }, { "object", VIEW_LEFT },
	{ "source", VIEW_LEFT }, { "field", VIEW_LEFT },  { "text", VIEW_LEFT },
};

static void cell_object(struct view *view, const struct finding *finding)
{
	if (finding->kind.len == 0)
		view_cell_none(view);
	else if (finding->namespace.len)
		view_cell_printf(view, "%.*s %.*s/%.*s", STR_ARG(finding->kind),
				 STR_ARG(finding->namespace), STR_ARG(finding->name));
	else
		view_cell_printf(view, "%.*s %.*s", STR_ARG(finding->kind), STR_ARG(finding->name));
}

/* Without a line where it is about the file itself. */
static void cell_place(struct view *view, const struct finding *finding)
{
	if (finding->file.len == 0)
		view_cell_none(view);
	else if (finding->line == 0)
		view_cell(view, finding->file);
	else
		view_cell_printf(view, "%.*s:%u", STR_ARG(finding->file), finding->line);
}

void show_findings(const struct admin_request *request, struct admin_answer *answer)
{
	const struct findings *findings = &request->agent->reconcile.all;
	struct view view;

	view_begin(&view, &answer->body, request->is_json);
	view_table_begin(&view, "findings", finding_columns, 6);
	for (size_t i = 0; i < findings->list.len; i++) {
		const struct finding *finding = &findings->list.at[i];

		view_cell_c(&view, finding_level_name(finding->level));
		view_cell_c(&view, finding->reason);
		cell_object(&view, finding);
		cell_place(&view, finding);
		view_cell(&view, finding->field);
		view_cell(&view, finding->text);
	}
	view_table_end(&view);
	view_end(&view);
}
