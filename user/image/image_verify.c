// SPDX-License-Identifier: Apache-2.0
/*
 * image_verify: what makes it safe that the reader checks nothing.
 *
 * One pass over every section, in the order in which they lean on each other. Ranges are never
 * compared pairwise: vhosts own nodes and routes one after the other without a gap, children
 * follow one another in the same way, so a running end is all there is to remember. At last every
 * name is looked up by the reader's own function, which must find it: a hash table that loses or
 * doubles a name, or was built with another key, does not pass.
 */
#include <errno.h>

#include "image/image_private.h"
#include "image/key.h"

enum {
	CHILDREN_MAX = 256,
	REDIRECT_STATUS_MIN = 300,
	REDIRECT_STATUS_MAX = 399,
};

struct verifier {
	const struct image *image;
	uint32_t strings_bytes;
	uint32_t node_end;  /* of the vhosts seen so far */
	uint32_t route_end; /* the same */
	uint32_t wildcards;
	uint32_t catch_all;
	struct err *err;
};

static int refuse(const struct verifier *v, const char *section, uint32_t index, const char *what)
{
	return err_set(v->err, -EINVAL, "image: %s[%u]: %s", section, index, what);
}

static bool is_index(uint32_t index, uint32_t first, uint32_t end)
{
	return index >= first && index < end;
}

/* @head holds the first bytes of @text, and zero behind them. */
static bool is_head(const char *head, size_t head_bytes, struct str text)
{
	size_t shared = text.len < head_bytes ? text.len : head_bytes;

	return (shared == 0 || memcmp(head, text.at, shared) == 0) &&
	       segment_is_zero(head + shared, head_bytes - shared);
}

/* ---------------------------------------- policies, backends, sources, routes */

static int check_policies(const struct verifier *v)
{
	for (uint32_t i = 0; i < v->image->policy_count; i++) {
		const struct image_policy *policy = &v->image->policies[i];

		if (policy->flags & ~(uint32_t)IMAGE_POLICY_FLAGS)
			return refuse(v, "policies", i, "unknown flags");
		if (policy->profile >= IMAGE_PROFILE_COUNT)
			return refuse(v, "policies", i, "unknown profile");
		if (policy->redirect_status < REDIRECT_STATUS_MIN ||
		    policy->redirect_status > REDIRECT_STATUS_MAX)
			return refuse(v, "policies", i, "redirect status is none");
		if (policy->reserved_byte ||
		    !segment_is_zero(policy->reserved, sizeof(policy->reserved)))
			return refuse(v, "policies", i, "reserved bytes in use");
	}
	return 0;
}

static int check_backends(const struct verifier *v)
{
	for (uint32_t i = 0; i < v->image->backend_count; i++) {
		const struct image_backend *backend = &v->image->backends[i];

		if (backend->protocol >= IMAGE_PROTOCOL_COUNT)
			return refuse(v, "backends", i, "unknown protocol");
		if (backend->balance >= IMAGE_BALANCE_COUNT)
			return refuse(v, "backends", i, "unknown balance policy");
		if (backend->reserved)
			return refuse(v, "backends", i, "reserved bytes in use");
		if (!segment_text_fits(backend->namespace, v->strings_bytes) ||
		    !segment_text_fits(backend->service, v->strings_bytes) ||
		    !segment_text_fits(backend->port, v->strings_bytes))
			return refuse(v, "backends", i, "text outside of strings");
	}
	return 0;
}

static int check_sources(const struct verifier *v)
{
	for (uint32_t i = 0; i < v->image->source_count; i++) {
		const struct image_source *source = &v->image->sources[i];

		if (source->reserved)
			return refuse(v, "sources", i, "reserved bytes in use");
		if (!segment_text_fits(source->namespace, v->strings_bytes) ||
		    !segment_text_fits(source->ingress, v->strings_bytes) ||
		    !segment_text_fits(source->file, v->strings_bytes))
			return refuse(v, "sources", i, "text outside of strings");
	}
	return 0;
}

static int check_route_path(const struct verifier *v, uint32_t i)
{
	const struct image_route *route = &v->image->routes[i];

	if (!segment_text_fits(route->path, v->strings_bytes))
		return refuse(v, "routes", i, "path outside of strings");
	if ((route->path.len == 0) != (route->kind == IMAGE_ROUTE_DEFAULT))
		return refuse(v, "routes", i, "path does not fit the kind");
	if (route->path.len && v->image->strings[route->path.offset] != '/')
		return refuse(v, "routes", i, "path without '/'");
	return 0;
}

static int check_route(const struct verifier *v, uint32_t i)
{
	const struct image *image = v->image;
	const struct image_route *route = &image->routes[i];

	if (route->kind >= IMAGE_ROUTE_KIND_COUNT)
		return refuse(v, "routes", i, "unknown kind");
	if (route->flags & ~(unsigned int)IMAGE_ROUTE_FLAGS)
		return refuse(v, "routes", i, "unknown flags");
	if (route->predicate_first || route->predicate_count)
		return refuse(v, "routes", i, "predicates in use");
	if (route->backend != IMAGE_NONE && route->backend >= image->backend_count)
		return refuse(v, "routes", i, "no such backend");
	if (route->backend_id !=
	    (route->backend == IMAGE_NONE ? IMAGE_NONE : image->backends[route->backend].id))
		return refuse(v, "routes", i, "not the id of its backend");
	if (route->policy >= image->policy_count)
		return refuse(v, "routes", i, "no such policy");
	if (route->source >= image->source_count)
		return refuse(v, "routes", i, "no such source");
	return check_route_path(v, i);
}

/* Candidates of one path and kind stand side by side, the last one marked, within [first, end). */
static int check_candidates(const struct verifier *v, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		const struct image_route *route = &v->image->routes[i];
		int rc = check_route(v, i);

		if (rc)
			return rc;
		if (route->flags & IMAGE_ROUTE_LAST)
			continue;
		if (i + 1 == end || route[1].kind != route->kind ||
		    memcmp(&route[1].path, &route->path, sizeof(route->path)) != 0)
			return refuse(v, "routes", i, "candidates without a last one");
	}
	return 0;
}

/* -------------------------------------------------------------------- tries */

static bool is_route_of(const struct verifier *v, const struct image_vhost *vhost, uint32_t route,
			enum image_route_kind kind)
{
	return route == IMAGE_NONE ||
	       (is_index(route, vhost->route_first, vhost->route_first + vhost->route_count) &&
		v->image->routes[route].kind == kind);
}

static int check_node(const struct verifier *v, const struct image_vhost *vhost, uint32_t i)
{
	const struct image_node *node = &v->image->nodes[i];
	struct segment_text label = { node->label_offset, node->label_len };

	if (!segment_text_fits(label, v->strings_bytes))
		return refuse(v, "nodes", i, "label outside of strings");
	if (label.len == 0 && i != vhost->node_first)
		return refuse(v, "nodes", i, "no label");
	if (!is_head(node->head, IMAGE_NODE_HEAD_BYTES, image_text(v->image, label)))
		return refuse(v, "nodes", i, "head is not that of the label");
	if (!is_route_of(v, vhost, node->exact_route, IMAGE_ROUTE_EXACT) ||
	    !is_route_of(v, vhost, node->prefix_route, IMAGE_ROUTE_PREFIX))
		return refuse(v, "nodes", i, "route of another vhost or kind");
	return 0;
}

static bool are_sorted(const struct image_node *siblings, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++)
		if ((unsigned char)siblings[i - 1].head[0] >= (unsigned char)siblings[i].head[0])
			return false; /* compared as unsigned bytes, as find_child does */
	return true;
}

/* Breadth first: each node's children begin where those of the node before it ended. */
static int check_trie(const struct verifier *v, const struct image_vhost *vhost)
{
	uint32_t end = vhost->node_first + vhost->node_count;
	uint32_t children_end = vhost->node_first + 1;

	for (uint32_t i = vhost->node_first; i < end; i++) {
		const struct image_node *node = &v->image->nodes[i];
		int rc = check_node(v, vhost, i);

		if (rc)
			return rc;
		if (node->child_count == 0 && node->child_first == 0)
			continue;
		if (node->child_first != children_end || node->child_count == 0 ||
		    node->child_count > CHILDREN_MAX || node->child_count > end - children_end)
			return refuse(v, "nodes", i, "children out of place");
		if (!are_sorted(&v->image->nodes[node->child_first], node->child_count))
			return refuse(v, "nodes", i, "children not sorted");
		children_end += node->child_count;
	}
	if (vhost->node_count && children_end != end)
		return refuse(v, "nodes", children_end, "child of no node");
	return 0;
}

/* ------------------------------------------------------------------- vhosts */

static bool is_catch_all(struct str name)
{
	return str_eq(name, STR("*"));
}

static int check_name(const struct verifier *v, uint32_t i)
{
	const struct image_vhost *vhost = &v->image->vhosts[i];
	struct segment_text text = { vhost->name_offset, vhost->name_len };
	struct str name = image_vhost_name(v->image, vhost);
	bool is_wildcard = vhost->flags & IMAGE_VHOST_WILDCARD;
	char room[HOST_KEY_MAX];
	struct str key;

	if (!segment_text_fits(text, v->strings_bytes))
		return refuse(v, "vhosts", i, "name outside of strings");
	if (vhost->flags & ~(unsigned int)IMAGE_VHOST_FLAGS)
		return refuse(v, "vhosts", i, "unknown flags");
	if (is_catch_all(name) != (bool)(vhost->flags & IMAGE_VHOST_CATCH_ALL) ||
	    host_key_is_wildcard(name) != is_wildcard)
		return refuse(v, "vhosts", i, "flags do not fit the name");
	if (!is_catch_all(name) &&
	    (host_key_of_rule(name, room, &key) != 0 || key.at != name.at || key.len != name.len))
		return refuse(v, "vhosts", i, "name not in normal form");
	if (!is_head(vhost->head, IMAGE_VHOST_HEAD_BYTES,
		     is_wildcard ? host_key_parent(name) : name))
		return refuse(v, "vhosts", i, "head is not that of the name");
	return 0;
}

static int check_vhost(struct verifier *v, uint32_t i)
{
	const struct image *image = v->image;
	const struct image_vhost *vhost = &image->vhosts[i];
	int rc = check_name(v, i);

	if (rc)
		return rc;
	if (vhost->regex_count)
		return refuse(v, "vhosts", i, "regular expressions in use");
	if (vhost->node_first != v->node_end || vhost->node_count > image->node_count - v->node_end)
		return refuse(v, "vhosts", i, "nodes out of place");
	if (vhost->route_first != v->route_end ||
	    vhost->route_count > image->route_count - v->route_end)
		return refuse(v, "vhosts", i, "routes out of place");
	v->node_end += vhost->node_count;
	v->route_end += vhost->route_count;
	rc = check_candidates(v, vhost->route_first, v->route_end);
	if (rc)
		return rc;
	if (!is_route_of(v, vhost, vhost->default_route, IMAGE_ROUTE_DEFAULT))
		return refuse(v, "vhosts", i, "no such default route");
	if (vhost->flags & IMAGE_VHOST_CATCH_ALL) {
		if (v->catch_all != IMAGE_NONE)
			return refuse(v, "vhosts", i, "second catch-all");
		v->catch_all = i;
	}
	v->wildcards += (vhost->flags & IMAGE_VHOST_WILDCARD) != 0;
	return check_trie(v, vhost);
}

static int check_vhosts(struct verifier *v)
{
	const struct image *image = v->image;
	uint32_t has_default = image->header->default_route != IMAGE_NONE;

	for (uint32_t i = 0; i < image->vhost_count; i++) {
		int rc = check_vhost(v, i);

		if (rc)
			return rc;
	}
	if (v->node_end != image->node_count)
		return refuse(v, "nodes", v->node_end, "of no vhost");
	if (image->route_count - v->route_end != has_default ||
	    (has_default && image->header->default_route != v->route_end))
		return refuse(v, "routes", v->route_end, "of no vhost, nor the class's default");
	if (has_default && image->routes[v->route_end].kind != IMAGE_ROUTE_DEFAULT)
		return refuse(v, "routes", v->route_end, "class default of another kind");
	return check_candidates(v, v->route_end, image->route_count);
}

/* No host is unknown where one vhost, or the class's default, serves them all. */
static bool is_flags_sound(const struct verifier *v)
{
	const struct image_header *header = v->image->header;

	if (header->flags & ~(uint32_t)IMAGE_FLAGS)
		return false;
	return !(header->flags & IMAGE_DROPS_UNKNOWN_HOSTS) ||
	       (v->catch_all == IMAGE_NONE && header->default_route == IMAGE_NONE);
}

static int check_hosts(const struct verifier *v)
{
	const struct image *image = v->image;
	uint32_t named = image->vhost_count - (v->catch_all != IMAGE_NONE);

	if (image->header->catch_all_vhost != v->catch_all ||
	    image->header->wildcard_count != v->wildcards || !is_flags_sound(v))
		return err_set(v->err, -EINVAL, "image: header does not fit the vhosts");
	if (!host_table_is_sound(image->host_slots, image->host_slot_mask + 1, image->vhost_count,
				 named))
		return err_set(v->err, -EINVAL, "image: host table is not sound");
	for (uint32_t i = 0; i < image->vhost_count; i++)
		if (i != v->catch_all && image_find_rule(image, &image->vhosts[i]) != i)
			return refuse(v, "vhosts", i, "not found under its name");
	return 0;
}

int image_verify(const struct image *image, uint32_t strings_bytes, struct err *err)
{
	struct verifier v = {
		.image = image,
		.strings_bytes = strings_bytes,
		.catch_all = IMAGE_NONE,
		.err = err,
	};
	int rc = check_policies(&v);

	if (rc == 0)
		rc = check_backends(&v);
	if (rc == 0)
		rc = check_sources(&v);
	if (rc == 0)
		rc = check_vhosts(&v);
	return rc ? rc : check_hosts(&v);
}
