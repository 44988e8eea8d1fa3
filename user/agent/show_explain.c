// SPDX-License-Identifier: Apache-2.0
/*
 * show_explain: what one request would get, and why.
 *
 *   ?url=https://shop.example.com/cart?x=1&method=GET&header=Host: other.example.com
 *
 * The reasons are the image's own (image_explain); here they get the frame of a request: scheme,
 * the certificate a client would see, the answer, the endpoints, the workers that own the host.
 */
#include <inttypes.h>
#include <stdio.h>

#include "agent/agent.h"
#include "agent/show_served.h"
#include "agent/view.h"
#include "base/mem.h"
#include "image/key.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

struct asked {
	bool is_https;
	struct str authority; /* as the request would carry it */
	struct str path;      /* without query */
};

struct found {
	char host_room[HOST_KEY_MAX];
	struct str host, path; /* in normal form; the path's room is the caller's */
	struct image_match match;
	char answer[256];    /* in words */
	unsigned int status; /* of an answer of our own; 0: it is proxied */
};

/* "http://host/path?query", "host/path", "/path". */
static void parse_url(struct str url, struct asked *asked)
{
	struct str rest = url;

	if (str_starts_with(rest, STR("https://"))) {
		asked->is_https = true;
		rest = str_slice(rest, 8, rest.len);
	} else if (str_starts_with(rest, STR("http://"))) {
		rest = str_slice(rest, 7, rest.len);
	}
	asked->authority = str_slice(rest, 0, str_find_char(rest, '/'));
	rest = str_slice(rest, asked->authority.len, rest.len);
	rest = str_slice(rest, 0, str_find_char(rest, '#'));
	asked->path = str_slice(rest, 0, str_find_char(rest, '?'));
	if (asked->path.len == 0)
		asked->path = STR("/");
}

static void apply_headers(const struct admin_request *request, struct asked *asked)
{
	for (size_t i = 0; i < request->parameter_count; i++) {
		struct str header = request->parameters[i].value;
		size_t colon = str_find_char(header, ':');

		if (str_eq_c(request->parameters[i].name, "header") &&
		    str_eq_nocase(str_slice(header, 0, colon), STR("Host")))
			asked->authority = str_trim(str_slice(header, colon + 1, header.len));
	}
}

/* ------------------------------------------------------------------------------ answers */

static void decide(struct found *found, unsigned int status, const char *text)
{
	found->status = status;
	snprintf(found->answer, sizeof(found->answer), "%s", text);
}

static bool is_redirected(const struct asked *asked, const struct image_match *match)
{
	uint32_t flags = match->policy->flags;
	bool has_tls = match->vhost && (match->vhost->flags & IMAGE_VHOST_TLS);

	if (asked->is_https)
		return false;
	return (flags & IMAGE_POLICY_FORCE_SSL_REDIRECT) ||
	       (has_tls && (flags & IMAGE_POLICY_SSL_REDIRECT));
}

static void decide_match(const struct publisher *publisher, const struct asked *asked,
			 struct found *found)
{
	const struct image_match *match = &found->match;
	uint32_t ready;

	if (match->kind == IMAGE_MATCH_NONE) {
		decide(found, 404, "404: no route");
	} else if (match->policy->flags & IMAGE_POLICY_DENY) {
		decide(found, 503, "503: a security setting of the route is invalid");
	} else if (is_redirected(asked, match)) {
		decide(found, match->policy->redirect_status, "");
		snprintf(found->answer, sizeof(found->answer), "%u: redirect to https://%.*s%.*s",
			 match->policy->redirect_status, STR_ARG(found->host),
			 STR_ARG(asked->path));
	} else if (!match->backend) {
		decide(found, 503, "503: the route has no backend that can serve");
	} else if ((ready = count_ready(&publisher->endpoints, match->backend)) == 0) {
		decide(found, 503, "503: the backend has no endpoint that is ready");
	} else {
		snprintf(found->answer, sizeof(found->answer), "proxied to one of %u endpoint%s",
			 ready, ready == 1 ? "" : "s");
	}
}

/* Fills in @found. @room: PATH_KEY_GROWTH times the path. */
static void find(const struct publisher *publisher, const struct asked *asked, char *room,
		 struct found *found)
{
	if (asked->authority.len == 0) {
		found->host = STR("");
	} else if (host_key(asked->authority, found->host_room, &found->host)) {
		decide(found, 400, "400: the host is malformed");
		return;
	}
	if (path_key(asked->path, room, asked->path.len * PATH_KEY_GROWTH + 1, &found->path)) {
		decide(found, 400, "400: the path is malformed");
		return;
	}
	image_match(&publisher->image, found->host, found->path, &found->match);
	decide_match(publisher, asked, found);
}

/* ------------------------------------------------------------------------------- output */

static void show_route_fields(struct view *view, const struct image *image,
			      const struct image_match *match)
{
	const struct image_source *source = image_source_of(image, match->route);
	struct str namespace = image_text(image, source->namespace);
	struct str ingress = image_text(image, source->ingress);
	struct str file = image_text(image, source->file);
	struct str path = image_text(image, match->route->path);

	view_text_c(view, "match", image_match_kind_name(match->kind));
	view_printf(view, "route", "%s%s%.*s", image_route_kind_name(match->route->kind),
		    path.len ? " " : "", STR_ARG(path));
	if (ingress.len)
		view_printf(view, "ingress", "%.*s/%.*s", STR_ARG(namespace), STR_ARG(ingress));
	if (file.len)
		view_printf(view, "source", "%.*s:%u", STR_ARG(file), source->line);
	if (match->backend) {
		struct str in = image_text(image, match->backend->namespace);
		struct str service = image_text(image, match->backend->service);
		struct str port = image_text(image, match->backend->port);

		view_printf(view, "backend", "%.*s/%.*s:%.*s", STR_ARG(in), STR_ARG(service),
			    STR_ARG(port));
	}
}

static void show_certificate(struct view *view, const struct certs *certs, struct str host)
{
	const struct cert *named = certs_find_named(certs, host);
	const struct cert *cert = named ? named : certs_find(certs, host);
	struct str namespace, secret;

	if (!cert) {
		view_text_c(view, "certificate", "none: the handshake fails");
		return;
	}
	namespace = certs_text(certs, cert->namespace);
	secret = certs_text(certs, cert->secret);
	view_printf(view, "certificate", "%.*s/%.*s%s", STR_ARG(namespace), STR_ARG(secret),
		    named ? "" : " (the default one)");
}

static void show_workers(struct view *view, const struct agent *agent,
			 const struct image_vhost *vhost)
{
	uint32_t spread = vhost->owner_spread;

	if (spread == 0 || spread >= agent->worker_count)
		view_printf(view, "workers", "all %u", agent->worker_count);
	else if (spread == 1)
		view_printf(view, "workers", "%u", vhost->owner_first);
	else
		view_printf(view, "workers", "%u from %u on", spread, vhost->owner_first);
}

/* The image's own words; JSON has the facts alone. */
static void show_reasons(struct view *view, const struct image *image, const struct asked *asked)
{
	struct buf reasons;
	struct str text;

	if (view->is_json)
		return;
	buf_init(&reasons, 0);
	image_explain(image, asked->authority, asked->path, &reasons);
	text = buf_str(&reasons);
	while (text.len && text.at[text.len - 1] == '\n')
		text.len--;
	view_line(view, STR(""));
	view_line(view, text);
	buf_release(&reasons);
}

static void show_found(struct view *view, const struct agent *agent, const struct asked *asked,
		       const struct found *found)
{
	const struct publisher *publisher = &agent->publisher;
	const struct image_match *match = &found->match;

	if (view->is_json) {
		view_text_c(view, "scheme", asked->is_https ? "https" : "http");
		view_text(view, "host", found->host);
		view_text(view, "path", found->path);
		view_u64(view, "status", found->status);
	}
	view_text_c(view, "answer", found->answer);
	if (match->vhost)
		view_text(view, "vhost", image_vhost_name(&publisher->image, match->vhost));
	if (match->route)
		show_route_fields(view, &publisher->image, match);
	if (asked->is_https)
		show_certificate(view, &publisher->certs, found->host);
	if (match->vhost)
		show_workers(view, agent, match->vhost);
	show_reasons(view, &publisher->image, asked);
	if (match->backend)
		show_endpoint_table(view, publisher, match->backend, 1);
}

void show_explain(const struct admin_request *request, struct admin_answer *answer)
{
	const struct agent *agent = request->agent;
	struct asked asked = { .is_https = false };
	struct found found = { .status = 0 };
	struct view view;
	char *room;

	if (admin_parameter(request, "url").len == 0) {
		answer->status = 400;
		buf_add_c(&answer->body, "url is missing\n");
		return;
	}
	if (!publisher_is_complete(&agent->publisher)) {
		answer->status = 503;
		buf_add_c(&answer->body, "no complete configuration yet\n");
		return;
	}
	parse_url(admin_parameter(request, "url"), &asked);
	apply_headers(request, &asked);
	room = mem_new(asked.path.len + 1, PATH_KEY_GROWTH);
	find(&agent->publisher, &asked, room, &found);
	view_begin(&view, &answer->body, request->is_json);
	show_found(&view, agent, &asked, &found);
	view_end(&view);
	mem_free(room);
}
