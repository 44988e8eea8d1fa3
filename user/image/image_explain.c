// SPDX-License-Identifier: Apache-2.0
/*
 * image_explain: the same answer as image_match, with its reasons.
 *
 * The answer itself comes from image_match. The reasons are found the slow way, by looking at each
 * route of the vhost alone (image_prefix_matches), so that a person sees what the trie never had
 * to visit. Routes that have nothing in common with the path are only counted in a large vhost.
 */
#include <errno.h>

#include "base/mem.h"
#include "image/image_private.h"
#include "image/key.h"

enum {
	SHOW_ALL_MAX = 24,  /* routes of a vhost that are all shown, alike or not */
	SHOW_NEAR_MAX = 48, /* routes that share more than the '/' with the path and still lose */
};

/* -------------------------------------------------------------------- hosts */

static void print_vhost_state(const struct image *image, const char *what, struct str name,
			      const struct image_vhost *vhost, struct buf *out)
{
	buf_printf(out, "  %s ", what);
	segment_print_text(out, name);
	if (vhost && str_eq(image_vhost_name(image, vhost), name))
		buf_add_c(out, ": found, it answers; no other vhost is asked\n");
	else
		buf_add_c(out, ": no such vhost\n");
}

static void explain_wildcard(const struct image *image, struct str parent,
			     const struct image_vhost *vhost, struct buf *out)
{
	struct buf name;

	buf_init(&name, HOST_KEY_MAX + sizeof("*."));
	buf_add_c(&name, "*.");
	buf_add(&name, parent);
	print_vhost_state(image, "wildcard", buf_str(&name), vhost, out);
	buf_release(&name);
}

/* Prints the steps that led to @vhost, each until it was found. */
static void explain_vhost(const struct image *image, struct str key,
			  const struct image_vhost *vhost, struct buf *out)
{
	bool is_named = vhost && !(vhost->flags & IMAGE_VHOST_CATCH_ALL);
	bool is_wildcard = vhost && (vhost->flags & IMAGE_VHOST_WILDCARD);
	struct str parent = host_key_parent(key);

	if (key.len)
		print_vhost_state(image, "exact", key, vhost, out);
	if (parent.len && (!is_named || is_wildcard))
		explain_wildcard(image, parent, vhost, out);
	if (!is_named)
		print_vhost_state(image, "rules without host", STR("*"), vhost, out);
}

/* -------------------------------------------------------------------- paths */

static size_t shared_len(struct str a, struct str b)
{
	size_t i = 0;

	while (i < a.len && i < b.len && a.at[i] == b.at[i])
		i++;
	return i;
}

static bool is_match(enum image_route_kind kind, struct str rule, struct str path)
{
	switch (kind) {
	case IMAGE_ROUTE_EXACT:
		return str_eq(rule, path);
	case IMAGE_ROUTE_PREFIX:
		return image_prefix_matches(rule, path);
	case IMAGE_ROUTE_DEFAULT:
	case IMAGE_ROUTE_KIND_COUNT:
		break;
	}
	return false;
}

/* Why @rule, which does not match @path, does not. */
static void print_reason(enum image_route_kind kind, struct str rule, struct str path,
			 struct buf *out)
{
	size_t shared = shared_len(rule, path);
	struct str rest = str_slice(path, shared, path.len);

	if (str_eq_nocase(str_slice(path, 0, rule.len), rule) && shared < rule.len)
		buf_add_c(out, "no: upper and lower case differ");
	else if (shared == path.len && rule.len == path.len + 1 && rule.at[shared] == '/')
		buf_add_c(out, "no: Exact wants the '/' at the end");
	else if (shared == path.len)
		buf_add_c(out, "no: the path ends before it");
	else if (shared == rule.len && str_eq(rest, STR("/")))
		buf_add_c(out, "no: Exact, and the path has a '/' more at its end");
	else if (shared == rule.len && kind == IMAGE_ROUTE_EXACT)
		buf_add_c(out, "no: Exact, and the path goes on");
	else if (shared == rule.len)
		buf_add_c(out, "no: it ends inside of an element of the path");
	else
		buf_printf(out, "no: differs from byte %zu on", shared + 1);
}

static void print_candidate(const struct image *image, const struct image_route *route,
			    struct buf *out)
{
	buf_printf(out, "  %-7s", image_route_kind_name(route->kind));
	if (route->kind != IMAGE_ROUTE_DEFAULT)
		segment_print_text(out, image_text(image, route->path));
	buf_add_c(out, ": ");
}

/* One route of the vhost. False where it is not worth a line: it has nothing of the path. */
static bool explain_route(const struct image *image, const struct image_match *match,
			  const struct image_route *route, struct str path, struct buf *out)
{
	struct str rule = image_text(image, route->path);

	if (route->kind != IMAGE_ROUTE_DEFAULT && !is_match(route->kind, rule, path)) {
		if (match->vhost->route_count > SHOW_ALL_MAX && shared_len(rule, path) <= 1)
			return false;
		print_candidate(image, route, out);
		print_reason(route->kind, rule, path, out);
		buf_add_char(out, '\n');
		return true;
	}
	print_candidate(image, route, out);
	if (route == match->route)
		buf_add_c(out, "matches, and wins\n");
	else if (route->kind == IMAGE_ROUTE_DEFAULT)
		buf_add_c(out, "serves only what no path matches\n");
	else if (match->kind == IMAGE_MATCH_EXACT)
		buf_add_c(out, "matches, but Exact beats Prefix\n");
	else
		buf_add_c(out, "matches, but a longer one wins\n");
	return true;
}

static void explain_routes(const struct image *image, const struct image_match *match,
			   struct str path, struct buf *out)
{
	const struct image_vhost *vhost = match->vhost;
	uint32_t shown = 0, hidden = 0;

	buf_add_c(out, "routes of vhost ");
	segment_print_text(out, image_vhost_name(image, vhost));
	buf_printf(out, " (%u)\n", vhost->route_count);
	for (uint32_t i = 0; i < vhost->route_count; i++) {
		const struct image_route *route = &image->routes[vhost->route_first + i];
		struct str rule = image_text(image, route->path);

		if (shown >= SHOW_NEAR_MAX && route != match->route &&
		    !is_match(route->kind, rule, path))
			hidden++;
		else if (explain_route(image, match, route, path, out))
			shown++;
		else
			hidden++;
	}
	if (hidden)
		buf_printf(out, "  and %u more that do not match\n", hidden);
}

/* ------------------------------------------------------------------- answer */

static void print_source(const struct image *image, const struct image_source *source,
			 struct buf *out)
{
	struct str namespace = image_text(image, source->namespace);
	struct str ingress = image_text(image, source->ingress);

	buf_add_c(out, "  written in Ingress ");
	segment_print_text(out, namespace);
	buf_add_char(out, '/');
	segment_print_text(out, ingress);
	if (source->rule == IMAGE_NONE)
		buf_add_c(out, " defaultBackend");
	else
		buf_printf(out, " rules[%u]", source->rule);
	if (source->rule != IMAGE_NONE && source->path != IMAGE_NONE)
		buf_printf(out, ".http.paths[%u]", source->path);
	if (source->file.len) {
		buf_add_c(out, ", file ");
		segment_print_text(out, image_text(image, source->file));
		buf_printf(out, " line %u", source->line);
	}
	buf_add_char(out, '\n');
}

static void print_answer(const struct image *image, const struct image_match *match,
			 struct buf *out)
{
	buf_printf(out, "answer: %s", image_match_kind_name(match->kind));
	if (!match->route) {
		buf_add_c(out, ", nobody serves this: 404\n");
		return;
	}
	if (match->route->path.len) {
		buf_add_char(out, ' ');
		segment_print_text(out, image_text(image, match->route->path));
	}
	if (match->backend) {
		buf_add_c(out, ", backend ");
		segment_print_text(out, image_text(image, match->backend->namespace));
		buf_add_char(out, '/');
		segment_print_text(out, image_text(image, match->backend->service));
		buf_add_c(out, " port ");
		segment_print_text(out, image_text(image, match->backend->port));
		buf_printf(out, " (id %u)\n", match->backend->id);
	} else {
		buf_add_c(out, ", which has no backend\n");
	}
	print_source(image, image_source_of(image, match->route), out);
}

static void explain_keys(const struct image *image, struct str host, struct str path,
			 struct buf *out)
{
	struct image_match match;

	image_match(image, host, path, &match);
	buf_add_c(out, "host ");
	segment_print_text(out, host);
	buf_add_char(out, '\n');
	explain_vhost(image, host, match.vhost, out);
	buf_add_c(out, "path ");
	segment_print_text(out, path);
	buf_add_char(out, '\n');
	if (match.vhost)
		explain_routes(image, &match, path, out);
	if (match.kind == IMAGE_MATCH_CLASS_DEFAULT)
		buf_add_c(out, match.vhost ? "no route of the vhost matches, nor has it a default; "
					     "the class's default does\n"
					   : "no vhost answers; the class's default does\n");
	print_answer(image, &match, out);
}

void image_explain(const struct image *image, struct str host, struct str path, struct buf *out)
{
	size_t room_bytes = path.len * PATH_KEY_GROWTH;
	char host_room[HOST_KEY_MAX];
	char *path_room = mem_new(room_bytes, 1);
	struct str host_key_text = STR(""), path_key_text;

	if (host.len && host_key(host, host_room, &host_key_text) != 0) {
		buf_add_c(out, "host ");
		segment_print_text(out, host);
		buf_add_c(out, " is not a host name\nanswer: 400\n");
	} else if (path_key(path, path_room, room_bytes, &path_key_text) != 0) {
		buf_add_c(out, "path ");
		segment_print_text(out, path);
		buf_add_c(out, " is not a path, or leads above the root\nanswer: 400\n");
	} else {
		explain_keys(image, host_key_text, path_key_text, out);
	}
	mem_free(path_room);
}
