// SPDX-License-Identifier: Apache-2.0
/*
 * image: opening, and the request path. What stands below image_open trusts every offset, because
 * image_verify has looked at each: read the two side by side.
 */
#include "image/image.h"

#include "image/image_private.h"
#include "image/key.h"

const struct segment_shape image_shape = {
	.name = "image",
	.magic = IMAGE_MAGIC,
	.version = IMAGE_VERSION,
	.header_bytes = sizeof(struct image_header),
	.section_count = IMAGE_SECTION_COUNT,
	.sections = {
		[IMAGE_SECTION_HOST_SLOTS] = { "host_slots", sizeof(struct host_slot) },
		[IMAGE_SECTION_VHOSTS] = { "vhosts", sizeof(struct image_vhost) },
		[IMAGE_SECTION_NODES] = { "nodes", sizeof(struct image_node) },
		[IMAGE_SECTION_ROUTES] = { "routes", sizeof(struct image_route) },
		[IMAGE_SECTION_BACKENDS] = { "backends", sizeof(struct image_backend) },
		[IMAGE_SECTION_POLICIES] = { "policies", sizeof(struct image_policy) },
		[IMAGE_SECTION_SOURCES] = { "sources", sizeof(struct image_source) },
		[IMAGE_SECTION_STRINGS] = { "strings", 1 },
	},
};

int image_open(struct str bytes, struct image *image, struct err *err)
{
	struct image found;
	int rc = segment_check(bytes, &image_shape, err);

	if (rc)
		return rc;
	found = (struct image){
		.header = (const void *)bytes.at, /* its size and alignment were checked */
		.host_slots = segment_at(bytes, IMAGE_SECTION_HOST_SLOTS),
		.vhosts = segment_at(bytes, IMAGE_SECTION_VHOSTS),
		.nodes = segment_at(bytes, IMAGE_SECTION_NODES),
		.routes = segment_at(bytes, IMAGE_SECTION_ROUTES),
		.backends = segment_at(bytes, IMAGE_SECTION_BACKENDS),
		.policies = segment_at(bytes, IMAGE_SECTION_POLICIES),
		.sources = segment_at(bytes, IMAGE_SECTION_SOURCES),
		.strings = segment_at(bytes, IMAGE_SECTION_STRINGS),
		.host_slot_mask = segment_count(bytes, IMAGE_SECTION_HOST_SLOTS) - 1,
		.vhost_count = segment_count(bytes, IMAGE_SECTION_VHOSTS),
		.node_count = segment_count(bytes, IMAGE_SECTION_NODES),
		.route_count = segment_count(bytes, IMAGE_SECTION_ROUTES),
		.backend_count = segment_count(bytes, IMAGE_SECTION_BACKENDS),
		.policy_count = segment_count(bytes, IMAGE_SECTION_POLICIES),
		.source_count = segment_count(bytes, IMAGE_SECTION_SOURCES),
	};
	found.generation = found.header->segment.generation;
	rc = image_verify(&found, segment_count(bytes, IMAGE_SECTION_STRINGS), err);
	if (rc == 0)
		*image = found;
	return rc;
}

/* -------------------------------------------------------------------- hosts */

/* A name behind @skip bytes ("*." of a wildcard) equals @key. */
static bool is_name(const struct image *image, const struct image_vhost *vhost, struct str key)
{
	size_t skip = vhost->flags & IMAGE_VHOST_WILDCARD ? 2 : 0;
	size_t head = key.len < IMAGE_VHOST_HEAD_BYTES ? key.len : IMAGE_VHOST_HEAD_BYTES;

	if (vhost->name_len != key.len + skip || memcmp(vhost->head, key.at, head) != 0)
		return false;
	return head == key.len || memcmp(image->strings + vhost->name_offset + skip + head,
					 key.at + head, key.len - head) == 0;
}

/* The vhost filed under @key and @hash, a wildcard or not, or NULL. */
static const struct image_vhost *find_name(const struct image *image, struct str key, uint64_t hash,
					   unsigned int wildcard)
{
	for (uint32_t i = 0; i < HOST_TABLE_PROBES; i++) {
		uint32_t at =
			((uint32_t)hash + i) & image->host_slot_mask; /* low bits: the place */
		struct host_slot slot = image->host_slots[at];
		const struct image_vhost *vhost;

		if (slot.entry_plus_1 == 0)
			return NULL;
		if (slot.tag != host_table_tag(hash))
			continue;
		vhost = &image->vhosts[slot.entry_plus_1 - 1];
		if ((vhost->flags & IMAGE_VHOST_WILDCARD) == wildcard && is_name(image, vhost, key))
			return vhost;
	}
	return NULL;
}

const struct image_vhost *image_find_vhost(const struct image *image, struct str host)
{
	const struct host_table_keys *keys = &image->header->keys;
	const struct image_vhost *vhost = NULL;
	struct str parent;

	if (host.len)
		vhost = find_name(image, host, siphash(keys->exact, host), 0);
	if (vhost || !image->header->wildcard_count)
		goto out;
	parent = host_key_parent(host);
	if (parent.len)
		vhost = find_name(image, parent, siphash(keys->wildcard, parent),
				  IMAGE_VHOST_WILDCARD);
out:
	if (!vhost && image->header->catch_all_vhost != IMAGE_NONE)
		vhost = &image->vhosts[image->header->catch_all_vhost];
	return vhost;
}

uint32_t image_find_rule(const struct image *image, const struct image_vhost *vhost)
{
	struct str name = image_vhost_name(image, vhost);
	unsigned int wildcard = vhost->flags & IMAGE_VHOST_WILDCARD;
	const struct image_vhost *found =
		find_name(image, wildcard ? host_key_parent(name) : name,
			  host_table_hash(&image->header->keys, name), wildcard);

	return found ? (uint32_t)(found - image->vhosts) : IMAGE_NONE;
}

/* -------------------------------------------------------------------- paths */

bool image_prefix_matches(struct str prefix, struct str path)
{
	if (!str_starts_with(path, prefix))
		return false;
	return prefix.len == 1 || path.len == prefix.len || path.at[prefix.len] == '/';
}

static bool is_label(const struct image *image, const struct image_node *node, const char *at)
{
	size_t len = node->label_len;
	size_t head = len < IMAGE_NODE_HEAD_BYTES ? len : IMAGE_NODE_HEAD_BYTES;

	if (memcmp(node->head, at, head) != 0)
		return false;
	return head == len ||
	       memcmp(image->strings + node->label_offset + head, at + head, len - head) == 0;
}

/* The child whose label begins with @first, by halving; NULL where there is none. */
static const struct image_node *find_child(const struct image *image, const struct image_node *node,
					   char first)
{
	const struct image_node *children = image->nodes + node->child_first;
	uint32_t low = 0, high = node->child_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		unsigned char have = (unsigned char)children[middle].head[0];

		if (have == (unsigned char)first) /* siblings are sorted as unsigned bytes */
			return &children[middle];
		if (have < (unsigned char)first)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * Walks @path down the trie. Each step eats at least one byte of it (only the root's label may be
 * empty), so this ends after path.len steps at most.
 */
static uint32_t find_route(const struct image *image, const struct image_vhost *vhost,
			   struct str path)
{
	const struct image_node *node = image->nodes + vhost->node_first;
	uint32_t best = IMAGE_NONE;
	size_t eaten = 0;

	if (vhost->node_count == 0)
		return IMAGE_NONE;
	do {
		if (node->label_len > path.len - eaten || !is_label(image, node, path.at + eaten))
			break;
		eaten += node->label_len;
		if (eaten == path.len && node->exact_route != IMAGE_NONE)
			return node->exact_route;
		/* An element ends here; "/" alone is the prefix of everything. */
		if (node->prefix_route != IMAGE_NONE &&
		    (eaten == path.len || eaten == 1 || path.at[eaten] == '/'))
			best = node->prefix_route;
		if (eaten == path.len)
			break;
		node = find_child(image, node, path.at[eaten]);
	} while (node);
	return best;
}

/* The kind of an answer, by the kind of the route that gives it. */
static const enum image_match_kind match_kinds[IMAGE_ROUTE_KIND_COUNT] = {
	[IMAGE_ROUTE_EXACT] = IMAGE_MATCH_EXACT,
	[IMAGE_ROUTE_PREFIX] = IMAGE_MATCH_PREFIX,
	[IMAGE_ROUTE_DEFAULT] = IMAGE_MATCH_HOST_DEFAULT,
};

bool image_match_path(const struct image *image, const struct image_vhost *vhost, struct str path,
		      struct image_match *match)
{
	const struct image_route *route;
	uint32_t index = IMAGE_NONE;

	*match = (struct image_match){ .kind = IMAGE_MATCH_NONE, .vhost = vhost };
	if (vhost) {
		/* Asked for now, needed during the walk over the nodes and after it. */
		__builtin_prefetch(image->nodes + vhost->node_first + 2);
		__builtin_prefetch(image->routes + vhost->route_first);
		__builtin_prefetch(image->routes + vhost->route_first + 2);
		index = find_route(image, vhost, path);
		if (index == IMAGE_NONE)
			index = vhost->default_route;
	}
	if (index != IMAGE_NONE) {
		match->kind = match_kinds[image->routes[index].kind];
	} else {
		index = image->header->default_route;
		if (index == IMAGE_NONE)
			return false;
		match->kind = IMAGE_MATCH_CLASS_DEFAULT;
	}
	/* Without predicates the first candidate is the one. */
	route = &image->routes[index];
	match->route = route;
	match->policy = &image->policies[route->policy];
	if (route->backend != IMAGE_NONE)
		match->backend = &image->backends[route->backend];
	return true;
}

bool image_match(const struct image *image, struct str host, struct str path,
		 struct image_match *match)
{
	return image_match_path(image, image_find_vhost(image, host), path, match);
}

/* -------------------------------------------------------------------- names */

const char *image_match_kind_name(enum image_match_kind kind)
{
	static const char *const names[] = {
		[IMAGE_MATCH_NONE] = "none",
		[IMAGE_MATCH_EXACT] = "exact",
		[IMAGE_MATCH_PREFIX] = "prefix",
		[IMAGE_MATCH_HOST_DEFAULT] = "host default",
		[IMAGE_MATCH_CLASS_DEFAULT] = "class default",
	};

	return names[kind];
}

const char *image_route_kind_name(enum image_route_kind kind)
{
	static const char *const names[IMAGE_ROUTE_KIND_COUNT] = {
		[IMAGE_ROUTE_EXACT] = "exact",
		[IMAGE_ROUTE_PREFIX] = "prefix",
		[IMAGE_ROUTE_DEFAULT] = "default",
	};

	return names[kind];
}
