// SPDX-License-Identifier: Apache-2.0
/*
 * writer: collects the pieces, then lays them out.
 *
 * While they are added, pieces stay in the order in which they came; only texts, policies and host
 * names are made unique at once (texts.h). finish sorts the routes by vhost (counting) and within
 * a vhost by path and kind, which is the order of the image, gives each vhost its trie, and copies
 * section after section. Policies are kept as if they were texts: same bytes, same one.
 */
#include "image/writer.h"

#include <errno.h>
#include <stdlib.h>

#include "image/image_private.h"
#include "image/texts.h"
#include "image/trie.h"

struct writer_route {
	uint32_t vhost; /* or IMAGE_NONE */
	enum image_route_kind kind;
	uint32_t backend, policy, source;
	struct segment_text path;
};

/* Texts that come many times in a row, as they came the last time. */
struct writer_last {
	struct segment_text backend_namespace, port;
	struct segment_text source_namespace, ingress, file;
};

struct image_writer {
	uint64_t generation;
	struct siphash_key hash_key;
	struct texts strings;
	struct texts policies;
	struct texts hosts; /* only to see whether a host is new */
	struct VEC(struct image_vhost) vhosts;
	struct VEC(struct image_backend) backends;
	struct VEC(struct image_source) sources;
	struct VEC(struct writer_route) routes;
	struct writer_last last;
	bool has_class_default;
	uint32_t catch_all;
	uint32_t wildcard_count;
	/* finish */
	struct trie trie;
	char *bytes;
};

struct image_writer *image_writer_new(uint64_t generation, struct siphash_key hash_key)
{
	struct image_writer *writer = mem_new(1, sizeof(*writer));

	writer->generation = generation;
	writer->hash_key = hash_key;
	writer->catch_all = IMAGE_NONE;
	texts_init(&writer->strings, hash_key);
	texts_init(&writer->policies, hash_key);
	texts_init(&writer->hosts, hash_key);
	return writer;
}

void image_writer_free(struct image_writer *writer)
{
	if (!writer)
		return;
	texts_release(&writer->strings);
	texts_release(&writer->policies);
	texts_release(&writer->hosts);
	vec_release(&writer->vhosts);
	vec_release(&writer->backends);
	vec_release(&writer->sources);
	vec_release(&writer->routes);
	trie_release(&writer->trie);
	mem_free(writer->bytes);
	mem_free(writer);
}

/* ------------------------------------------------------------------- adding */

uint32_t image_writer_add_policy(struct image_writer *writer, const struct image_policy *policy)
{
	struct str bytes = str_of((const char *)policy, sizeof(*policy)); /* as plain bytes */

	return texts_add(&writer->policies, bytes, NULL).offset / (uint32_t)sizeof(*policy);
}

uint32_t image_writer_add_backend(struct image_writer *writer,
				  const struct image_writer_backend *backend)
{
	*vec_push(&writer->backends) = (struct image_backend){
		.id = backend->id,
		.protocol = (uint8_t)backend->protocol, /* enums of few values */
		.balance = (uint8_t)backend->balance,
		.namespace = texts_add_next(&writer->strings, backend->namespace,
					    &writer->last.backend_namespace),
		.service = texts_append(&writer->strings, backend->service),
		.port = texts_add_next(&writer->strings, backend->port, &writer->last.port),
	};
	return (uint32_t)(writer->backends.len - 1);
}

uint32_t image_writer_add_source(struct image_writer *writer,
				 const struct image_writer_source *source)
{
	*vec_push(&writer->sources) = (struct image_source){
		.namespace = texts_add_next(&writer->strings, source->namespace,
					    &writer->last.source_namespace),
		.ingress = texts_add_next(&writer->strings, source->ingress, &writer->last.ingress),
		.file = texts_add_next(&writer->strings, source->file, &writer->last.file),
		.line = source->line,
		.rule = source->rule,
		.path = source->path,
	};
	return (uint32_t)(writer->sources.len - 1);
}

static bool is_host_key(struct str host)
{
	char room[HOST_KEY_MAX];
	struct str key;

	return host_key_of_rule(host, room, &key) == 0 && key.at == host.at && key.len == host.len;
}

static void set_head(struct image_vhost *vhost, struct str name)
{
	struct str key = vhost->flags & IMAGE_VHOST_WILDCARD ? host_key_parent(name) : name;

	memcpy(vhost->head, key.at,
	       key.len < IMAGE_VHOST_HEAD_BYTES ? key.len : IMAGE_VHOST_HEAD_BYTES);
}

int image_writer_add_vhost(struct image_writer *writer, const struct image_writer_vhost *given,
			   uint32_t *index, struct err *err)
{
	bool is_catch_all = str_is_empty(given->host);
	struct str name = is_catch_all ? STR("*") : given->host;
	struct image_vhost *vhost;
	bool is_new;

	if (!is_catch_all && !is_host_key(name))
		return err_set(err, -EINVAL, "host not in normal form '%.*s'", STR_ARG(name));
	texts_add(&writer->hosts, name, &is_new);
	if (!is_new)
		return err_set(err, -EEXIST, "second vhost '%.*s'", STR_ARG(name));
	*index = (uint32_t)writer->vhosts.len;
	vhost = vec_push(&writer->vhosts);
	vhost->name_offset = texts_append(&writer->strings, name).offset;
	vhost->name_len = (uint8_t)name.len; /* at most HOST_KEY_MAX */
	vhost->default_route = IMAGE_NONE;
	vhost->owner_first = given->owner_first;
	vhost->owner_spread = given->owner_spread;
	vhost->dispatch_hash = given->dispatch_hash;
	if (given->has_tls)
		vhost->flags |= IMAGE_VHOST_TLS;
	if (host_key_is_wildcard(name))
		vhost->flags |= IMAGE_VHOST_WILDCARD;
	if (is_catch_all)
		vhost->flags |= IMAGE_VHOST_CATCH_ALL;
	set_head(vhost, name);
	writer->wildcard_count += host_key_is_wildcard(name);
	if (is_catch_all)
		writer->catch_all = *index;
	return 0;
}

static bool is_path_of_kind(struct str path, enum image_route_kind kind)
{
	char room[PATH_KEY_RULE_MAX];
	struct str key;

	if (kind == IMAGE_ROUTE_DEFAULT)
		return str_is_empty(path);
	if (path_key(path, room, sizeof(room), &key) != 0 || !str_eq(key, path))
		return false;
	return kind == IMAGE_ROUTE_EXACT || path_key_of_prefix(path).len == path.len;
}

static bool are_known(const struct image_writer *writer, const struct image_writer_route *route)
{
	bool has_vhost = route->vhost < writer->vhosts.len ||
			 (route->vhost == IMAGE_NONE && route->kind == IMAGE_ROUTE_DEFAULT);
	bool has_backend = route->backend < writer->backends.len || route->backend == IMAGE_NONE;

	return has_vhost && has_backend && route->source < writer->sources.len &&
	       route->policy < writer->policies.len / sizeof(struct image_policy);
}

/* Where it is remembered that a vhost, or the class, has its default. */
static int take_default(struct image_writer *writer, uint32_t vhost, struct err *err)
{
	bool is_taken = vhost == IMAGE_NONE ? writer->has_class_default
					    : writer->vhosts.at[vhost].default_route != IMAGE_NONE;

	if (is_taken)
		return err_set(err, -EEXIST, "second default route");
	if (vhost == IMAGE_NONE)
		writer->has_class_default = true;
	else
		writer->vhosts.at[vhost].default_route = 0; /* its place is known at the end */
	return 0;
}

int image_writer_add_route(struct image_writer *writer, const struct image_writer_route *given,
			   struct err *err)
{
	int rc;

	if (given->path.len > PATH_KEY_RULE_MAX)
		return err_set(err, -ENAMETOOLONG, "path of %zu bytes", given->path.len);
	if (!is_path_of_kind(given->path, given->kind))
		return err_set(err, -EINVAL, "not a %s path in normal form: '%.*s'",
			       image_route_kind_name(given->kind), STR_ARG(given->path));
	if (!are_known(writer, given))
		return err_set(err, -EINVAL, "route '%.*s' refers to what is not there",
			       STR_ARG(given->path));
	if (given->kind == IMAGE_ROUTE_DEFAULT) {
		rc = take_default(writer, given->vhost, err);
		if (rc)
			return rc;
	}
	*vec_push(&writer->routes) = (struct writer_route){
		.vhost = given->vhost,
		.kind = given->kind,
		.backend = given->backend,
		.policy = given->policy,
		.source = given->source,
		.path = texts_add(&writer->strings, given->path, NULL),
	};
	return 0;
}

/* ------------------------------------------------------------------ sorting */

/* What qsort moves about: its path, to compare, and which route it is. */
struct route_ref {
	struct str path;
	const struct writer_route *route;
};

/* By path, Exact before Prefix; the default behind all. */
static int compare_refs(const void *a, const void *b)
{
	const struct route_ref *left = a, *right = b;
	int left_kind = (int)left->route->kind, right_kind = (int)right->route->kind;
	int order = (left_kind == IMAGE_ROUTE_DEFAULT) - (right_kind == IMAGE_ROUTE_DEFAULT);

	if (order == 0)
		order = str_compare(left->path, right->path);
	return order ? order : left_kind - right_kind;
}

/* The class's default comes as if from one more vhost behind the last. */
static size_t bucket_of(const struct image_writer *writer, const struct writer_route *route)
{
	return route->vhost == IMAGE_NONE ? writer->vhosts.len : route->vhost;
}

/*
 * Counting sort by vhost: afterwards each vhost has route_first and route_count, and its routes
 * stand in @refs in the order in which they were added.
 */
static void group_by_vhost(struct image_writer *writer, struct route_ref *refs)
{
	size_t buckets = writer->vhosts.len + 1;
	uint32_t *place = mem_new(buckets + 1, sizeof(*place));

	for (size_t i = 0; i < writer->routes.len; i++)
		place[bucket_of(writer, &writer->routes.at[i]) + 1]++;
	for (size_t i = 0; i < buckets; i++)
		place[i + 1] += place[i];
	for (size_t i = 0; i < writer->vhosts.len; i++) {
		writer->vhosts.at[i].route_first = place[i];
		writer->vhosts.at[i].route_count = place[i + 1] - place[i];
	}
	for (size_t i = 0; i < writer->routes.len; i++) {
		const struct writer_route *route = &writer->routes.at[i];

		refs[place[bucket_of(writer, route)]++] = (struct route_ref){
			.path = str_of(writer->strings.at + route->path.offset, route->path.len),
			.route = route,
		};
	}
	mem_free(place);
}

static bool is_conflict(const struct route_ref *a, const struct route_ref *b)
{
	return a->route->kind == b->route->kind && str_eq(a->path, b->path);
}

static int sort_vhost(const struct image_writer *writer, const struct image_vhost *vhost,
		      struct route_ref *refs, struct err *err)
{
	struct str name = str_of(writer->strings.at + vhost->name_offset, vhost->name_len);

	qsort(refs, vhost->route_count, sizeof(*refs), compare_refs);
	for (uint32_t i = 1; i < vhost->route_count; i++)
		if (is_conflict(&refs[i - 1], &refs[i]))
			return err_set(err, -EEXIST, "two %s routes for '%.*s%.*s'",
				       image_route_kind_name(refs[i].route->kind), STR_ARG(name),
				       STR_ARG(refs[i].path));
	return 0;
}

/* --------------------------------------------------------------- laying out */

static struct image_route route_of(const struct image_writer *writer,
				   const struct writer_route *route)
{
	bool has_backend = route->backend != IMAGE_NONE;

	return (struct image_route){
		.kind = (uint8_t)route->kind, /* an enum of few values */
		.flags = IMAGE_ROUTE_LAST,
		.backend = route->backend,
		.policy = route->policy,
		.source = route->source,
		.path = route->path,
		.backend_id = has_backend ? writer->backends.at[route->backend].id : IMAGE_NONE,
	};
}

/* The sorted routes of one vhost, by path: Exact and Prefix of one path become one trie_path. */
static uint32_t join_paths(const struct route_ref *refs, const struct image_vhost *vhost,
			   struct trie_path *paths)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < vhost->route_count; i++) {
		uint32_t index = vhost->route_first + i;

		if (refs[i].route->kind == IMAGE_ROUTE_DEFAULT)
			continue;
		if (i == 0 || !str_eq(refs[i - 1].path, refs[i].path))
			paths[count++] = (struct trie_path){
				.text = refs[i].path,
				.text_offset = refs[i].route->path.offset,
				.exact_route = IMAGE_NONE,
				.prefix_route = IMAGE_NONE,
			};
		if (refs[i].route->kind == IMAGE_ROUTE_EXACT)
			paths[count - 1].exact_route = index;
		else
			paths[count - 1].prefix_route = index;
	}
	return count;
}

static uint32_t most_routes(const struct image_writer *writer)
{
	uint32_t most = 0;

	for (size_t i = 0; i < writer->vhosts.len; i++)
		if (writer->vhosts.at[i].route_count > most)
			most = writer->vhosts.at[i].route_count;
	return most;
}

/* Sorts @refs into the order of the image and gives each vhost its trie. */
static int lay_out_vhosts(struct image_writer *writer, struct route_ref *refs, struct err *err)
{
	struct trie_path *paths;
	int rc = 0;

	group_by_vhost(writer, refs);
	paths = mem_new(most_routes(writer), sizeof(*paths));
	for (size_t i = 0; i < writer->vhosts.len && rc == 0; i++) {
		struct image_vhost *vhost = &writer->vhosts.at[i];
		struct route_ref *own = refs + vhost->route_first;

		rc = sort_vhost(writer, vhost, own, err);
		if (rc)
			break;
		vhost->node_first = (uint32_t)writer->trie.nodes.len;
		trie_add(&writer->trie, paths, join_paths(own, vhost, paths));
		vhost->node_count = (uint32_t)writer->trie.nodes.len - vhost->node_first;
		if (vhost->default_route != IMAGE_NONE) /* sorted behind all others */
			vhost->default_route = vhost->route_first + vhost->route_count - 1;
	}
	mem_free(paths);
	return rc;
}

static struct host_slot *lay_out_hosts(const struct image_writer *writer,
				       const struct host_table_keys *keys, uint32_t *slot_count)
{
	struct host_table_item *items = mem_new(writer->vhosts.len, sizeof(*items));
	struct host_slot *slots;
	uint32_t count = 0;

	for (uint32_t i = 0; i < writer->vhosts.len; i++) {
		const struct image_vhost *vhost = &writer->vhosts.at[i];
		struct str name = str_of(writer->strings.at + vhost->name_offset, vhost->name_len);

		if (i == writer->catch_all)
			continue;
		items[count++] = (struct host_table_item){ host_table_hash(keys, name), i };
	}
	slots = host_table_new(items, count, slot_count);
	mem_free(items);
	return slots;
}

static void put_sections(const struct image_writer *writer, const struct host_slot *slots,
			 const struct route_ref *refs)
{
	const void *const from[IMAGE_SECTION_COUNT] = {
		[IMAGE_SECTION_HOST_SLOTS] = slots,
		[IMAGE_SECTION_VHOSTS] = writer->vhosts.at,
		[IMAGE_SECTION_NODES] = writer->trie.nodes.at,
		[IMAGE_SECTION_BACKENDS] = writer->backends.at,
		[IMAGE_SECTION_POLICIES] = writer->policies.at,
		[IMAGE_SECTION_SOURCES] = writer->sources.at,
		[IMAGE_SECTION_STRINGS] = writer->strings.at,
	};
	const struct segment_header *header = (void *)writer->bytes; /* made by segment_new */
	struct image_route *routes =
		(void *)(writer->bytes + header->sections[IMAGE_SECTION_ROUTES].offset_bytes);

	segment_fill(&image_shape, writer->bytes, from);
	for (size_t i = 0; i < writer->routes.len; i++)
		routes[i] = route_of(writer, refs[i].route);
}

static void put_header(const struct image_writer *writer, const struct host_table_keys *keys)
{
	/* segment_new gave room for a whole header. */
	struct image_header *header = (void *)writer->bytes;

	header->keys = *keys;
	header->default_route =
		writer->has_class_default ? (uint32_t)(writer->routes.len - 1) : IMAGE_NONE;
	header->catch_all_vhost = writer->catch_all;
	header->wildcard_count = writer->wildcard_count;
}

/* Room for the segment, all sections filled; the header's own words are left. */
static int write_segment(struct image_writer *writer, const struct host_table_keys *keys,
			 const struct route_ref *refs, size_t *len)
{
	size_t counts[IMAGE_SECTION_COUNT] = {
		[IMAGE_SECTION_VHOSTS] = writer->vhosts.len,
		[IMAGE_SECTION_NODES] = writer->trie.nodes.len,
		[IMAGE_SECTION_ROUTES] = writer->routes.len,
		[IMAGE_SECTION_BACKENDS] = writer->backends.len,
		[IMAGE_SECTION_POLICIES] = writer->policies.len / sizeof(struct image_policy),
		[IMAGE_SECTION_SOURCES] = writer->sources.len,
		[IMAGE_SECTION_STRINGS] = writer->strings.len,
	};
	struct host_slot *slots;
	uint32_t slot_count;
	int rc;

	if (writer->strings.is_full || writer->policies.is_full)
		return -EFBIG;
	slots = lay_out_hosts(writer, keys, &slot_count);
	counts[IMAGE_SECTION_HOST_SLOTS] = slot_count;
	rc = segment_new(&image_shape, counts, writer->generation, &writer->bytes, len);
	if (rc == 0)
		put_sections(writer, slots, refs);
	mem_free(slots);
	return rc;
}

int image_writer_finish(struct image_writer *writer, struct str *bytes, struct err *err)
{
	struct host_table_keys keys = host_table_keys_of(writer->hash_key);
	struct route_ref *refs = mem_new(writer->routes.len, sizeof(*refs));
	size_t len;
	int rc = lay_out_vhosts(writer, refs, err);

	if (rc)
		goto out;
	rc = write_segment(writer, &keys, refs, &len);
	if (rc) {
		err_set(err, rc, "image: larger than 4 GiB");
		goto out;
	}
	put_header(writer, &keys);
	*bytes = str_of(writer->bytes, len);
out:
	mem_free(refs);
	return rc;
}
