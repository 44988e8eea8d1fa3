// SPDX-License-Identifier: Apache-2.0
/*
 * writer_layout: the second half of the writer, from the pieces to the bytes.
 *
 * Vhost after vhost: the routes of an added one are sorted by path and kind, which is the order of
 * the image, and get their trie; those of a kept one are copied from where they lay before, as
 * their nodes are, and every index in them is moved. Then section after section is copied.
 */
#include <errno.h>
#include <stdlib.h>

#include "image/writer_private.h"

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
	return route->vhost == IMAGE_NONE ? writer->now.vhosts.len : route->vhost;
}

/*
 * Counting sort by vhost: afterwards the routes of vhost i stand in @refs from @place[i] up to
 * @place[i + 1], in the order in which they were added.
 */
static void group_by_vhost(const struct image_writer *writer, struct route_ref *refs,
			   uint32_t *place)
{
	size_t buckets = writer->now.vhosts.len + 1;

	for (size_t i = 0; i < writer->routes.len; i++)
		place[bucket_of(writer, &writer->routes.at[i]) + 1]++;
	for (size_t i = 0; i < buckets; i++)
		place[i + 1] += place[i];
	for (size_t i = 0; i < writer->routes.len; i++) {
		const struct writer_route *route = &writer->routes.at[i];

		refs[place[bucket_of(writer, route)]++] = (struct route_ref){
			.path = str_of(writer->strings.at + route->path.offset, route->path.len),
			.route = route,
		};
	}
	for (size_t i = buckets; i > 0; i--)
		place[i] = place[i - 1];
	place[0] = 0;
}

static bool is_conflict(const struct route_ref *a, const struct route_ref *b)
{
	return a->route->kind == b->route->kind && str_eq(a->path, b->path);
}

static struct str name_of(const struct image_writer *writer, const struct image_vhost *vhost)
{
	return str_of(writer->strings.at + vhost->name_offset, vhost->name_len);
}

static int sort_vhost(const struct image_writer *writer, const struct image_vhost *vhost,
		      struct route_ref *refs, struct err *err)
{
	struct str name = name_of(writer, vhost);

	if (vhost->route_count > 1)
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
		.backend_id = has_backend ? writer->now.backends.at[route->backend].id : IMAGE_NONE,
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

/* An added vhost: @refs are its routes, as they came. @paths has room for as many. */
static int lay_out_added(struct image_writer *writer, struct image_vhost *vhost,
			 struct route_ref *refs, struct trie_path *paths, struct err *err)
{
	struct writer_laid_out *now = &writer->now;
	uint32_t path_count;
	int rc = sort_vhost(writer, vhost, refs, err);

	if (rc)
		return rc;
	path_count = join_paths(refs, vhost, paths);
	trie_reset(&writer->trie, vhost->node_first);
	trie_add(&writer->trie, paths, path_count);
	vhost->node_count = (uint32_t)writer->trie.nodes.len;
	for (uint32_t i = 0; i < vhost->node_count; i++)
		*vec_push(&now->nodes) = writer->trie.nodes.at[i];
	for (uint32_t i = 0; i < vhost->route_count; i++)
		*vec_push(&now->routes) = route_of(writer, refs[i].route);
	if (vhost->default_route != IMAGE_NONE) /* sorted behind all others */
		vhost->default_route = vhost->route_first + vhost->route_count - 1;
	return 0;
}

/* From indices of the image before to those of now. */
struct moves {
	struct VEC(uint32_t) backend_of_id;
	struct VEC(uint32_t) policies; /* by index before */
};

static void moves_init(struct moves *moves, const struct image_writer *writer)
{
	const struct writer_laid_out *now = &writer->now, *before = &writer->before;

	for (size_t i = 0; i < now->backends.len; i++) {
		while (moves->backend_of_id.len <= now->backends.at[i].id)
			*vec_push(&moves->backend_of_id) = IMAGE_NONE;
		moves->backend_of_id.at[now->backends.at[i].id] = (uint32_t)i;
	}
	for (size_t i = 0; i < before->policies.len; i++) {
		struct str bytes = str_of((const char *)&before->policies.at[i],
					  sizeof(before->policies.at[i])); /* as plain bytes */
		struct segment_text found;
		bool is_there = texts_find(&writer->policies, bytes, &found);

		*vec_push(&moves->policies) =
			is_there ? found.offset / (uint32_t)sizeof(struct image_policy)
				 : IMAGE_NONE;
	}
}

static void moves_release(struct moves *moves)
{
	vec_release(&moves->backend_of_id);
	vec_release(&moves->policies);
}

static uint32_t moved(uint32_t index, uint32_t shift)
{
	return index == IMAGE_NONE ? IMAGE_NONE : index + shift;
}

static void move_nodes(struct image_writer *writer, const struct image_vhost *from,
		       const struct image_vhost *to)
{
	uint32_t node_shift = to->node_first - from->node_first; /* modulo 2^32, as all shifts */
	uint32_t route_shift = to->route_first - from->route_first;
	const struct image_node *node = writer->before.nodes.at + from->node_first;
	struct image_node *into = writer->now.nodes.at + to->node_first;

	for (uint32_t i = 0; i < from->node_count; i++) {
		into[i] = node[i];
		into[i].exact_route = moved(node[i].exact_route, route_shift);
		into[i].prefix_route = moved(node[i].prefix_route, route_shift);
		if (node[i].child_count)
			into[i].child_first += node_shift;
	}
	writer->now.nodes.len += from->node_count;
}

static int move_routes(struct image_writer *writer, const struct moves *moves, uint32_t vhost,
		       struct err *err)
{
	const struct writer_origin *origin = &writer->origins.at[vhost];
	const struct image_vhost *from = &writer->before.vhosts.at[origin->before];
	const struct image_route *route = writer->before.routes.at + from->route_first;
	struct image_route *into = writer->now.routes.at + writer->now.routes.len;

	for (uint32_t i = 0; i < from->route_count; i++) {
		into[i] = route[i];
		into[i].source += origin->source_shift;
		into[i].policy = moves->policies.at[route[i].policy];
		if (route[i].backend_id == IMAGE_NONE)
			continue;
		into[i].backend = route[i].backend_id < moves->backend_of_id.len
					  ? moves->backend_of_id.at[route[i].backend_id]
					  : IMAGE_NONE;
		if (into[i].backend == IMAGE_NONE)
			return err_set(err, -EINVAL, "backend of a kept vhost is not there");
	}
	writer->now.routes.len += from->route_count;
	return 0;
}

static int lay_out_kept(struct image_writer *writer, const struct moves *moves, uint32_t index,
			struct err *err)
{
	struct image_vhost *vhost = &writer->now.vhosts.at[index];
	const struct image_vhost *from =
		&writer->before.vhosts.at[writer->origins.at[index].before];

	vhost->node_count = from->node_count;
	vhost->route_count = from->route_count;
	vhost->default_route = moved(from->default_route, vhost->route_first - from->route_first);
	move_nodes(writer, from, vhost);
	return move_routes(writer, moves, index, err);
}

/* The order of the image: each vhost's nodes and routes behind those of the one before it. */
static int lay_out_vhosts(struct image_writer *writer, struct route_ref *refs,
			  const uint32_t *place, struct err *err)
{
	struct writer_laid_out *now = &writer->now;
	struct trie_path *paths = mem_new(writer->routes.len + 1, sizeof(*paths));
	struct moves moves = { 0 };
	int rc = 0;

	moves_init(&moves, writer);
	for (uint32_t i = 0; i < now->vhosts.len && rc == 0; i++) {
		struct image_vhost *vhost = &now->vhosts.at[i];

		vhost->node_first = (uint32_t)now->nodes.len;
		vhost->route_first = (uint32_t)now->routes.len;
		vhost->route_count = place[i + 1] - place[i];
		if (writer->origins.at[i].before != IMAGE_NONE)
			rc = lay_out_kept(writer, &moves, i, err);
		else
			rc = lay_out_added(writer, vhost, refs + place[i], paths, err);
	}
	if (rc == 0 && writer->has_class_default) /* behind those of all vhosts */
		*vec_push(&now->routes) = route_of(writer, refs[writer->routes.len - 1].route);
	moves_release(&moves);
	mem_free(paths);
	return rc;
}

static size_t kept_routes(const struct image_writer *writer)
{
	size_t count = 0;

	for (size_t i = 0; i < writer->origins.len; i++)
		if (writer->origins.at[i].before != IMAGE_NONE)
			count += writer->before.vhosts.at[writer->origins.at[i].before].route_count;
	return count;
}

static void fill_policies(struct image_writer *writer)
{
	struct writer_laid_out *now = &writer->now;

	now->policies.len = writer->policies.len / sizeof(*now->policies.at);
	vec_reserve(&now->policies, now->policies.len);
	if (now->policies.len)
		memcpy(now->policies.at, writer->policies.at, writer->policies.len);
}

static int lay_out(struct image_writer *writer, struct err *err)
{
	struct writer_laid_out *now = &writer->now;
	struct route_ref *refs = mem_new(writer->routes.len + 1, sizeof(*refs));
	uint32_t *place = mem_new(now->vhosts.len + 2, sizeof(*place));
	int rc;

	/* Kept ones are copied to where they belong without looking for room. */
	vec_reserve(&now->routes, writer->routes.len + kept_routes(writer));
	vec_reserve(&now->nodes, writer->routes.len * 2 + writer->before.nodes.len);
	fill_policies(writer);
	group_by_vhost(writer, refs, place);
	rc = lay_out_vhosts(writer, refs, place, err);
	mem_free(place);
	mem_free(refs);
	return rc;
}

/* Names of kept vhosts were hashed before. */
static void hash_hosts(struct image_writer *writer, const struct host_table_keys *keys)
{
	struct writer_laid_out *now = &writer->now;

	vec_reserve(&now->host_hashes, now->vhosts.len);
	now->host_hashes.len = now->vhosts.len;
	for (size_t i = 0; i < now->vhosts.len; i++) {
		uint32_t before = writer->origins.at[i].before;

		now->host_hashes.at[i] =
			before != IMAGE_NONE
				? writer->before.host_hashes.at[before]
				: host_table_hash(keys, name_of(writer, &now->vhosts.at[i]));
	}
}

static struct host_slot *lay_out_hosts(const struct image_writer *writer, uint32_t *slot_count)
{
	struct host_table_item *items = mem_new(writer->now.vhosts.len, sizeof(*items));
	struct host_slot *slots;
	uint32_t count = 0;

	for (uint32_t i = 0; i < writer->now.vhosts.len; i++) {
		if (i != writer->catch_all)
			items[count++] =
				(struct host_table_item){ writer->now.host_hashes.at[i], i };
	}
	slots = host_table_new(items, count, slot_count);
	mem_free(items);
	return slots;
}

static void put_header(const struct image_writer *writer, const struct host_table_keys *keys)
{
	/* segment_new gave room for a whole header. */
	struct image_header *header = (void *)writer->bytes;

	header->keys = *keys;
	header->default_route =
		writer->has_class_default ? (uint32_t)(writer->now.routes.len - 1) : IMAGE_NONE;
	header->catch_all_vhost = writer->catch_all;
	header->wildcard_count = writer->wildcard_count;
	header->flags = writer->flags;
}

static int write_segment(struct image_writer *writer, const struct host_slot *slots,
			 uint32_t slot_count, size_t *len)
{
	const struct writer_laid_out *now = &writer->now;
	const size_t counts[IMAGE_SECTION_COUNT] = {
		[IMAGE_SECTION_HOST_SLOTS] = slot_count,
		[IMAGE_SECTION_VHOSTS] = now->vhosts.len,
		[IMAGE_SECTION_NODES] = now->nodes.len,
		[IMAGE_SECTION_ROUTES] = now->routes.len,
		[IMAGE_SECTION_BACKENDS] = now->backends.len,
		[IMAGE_SECTION_POLICIES] = now->policies.len,
		[IMAGE_SECTION_SOURCES] = now->sources.len,
		[IMAGE_SECTION_STRINGS] = writer->strings.len,
	};
	const void *const from[IMAGE_SECTION_COUNT] = {
		[IMAGE_SECTION_HOST_SLOTS] = slots,
		[IMAGE_SECTION_VHOSTS] = now->vhosts.at,
		[IMAGE_SECTION_NODES] = now->nodes.at,
		[IMAGE_SECTION_ROUTES] = now->routes.at,
		[IMAGE_SECTION_BACKENDS] = now->backends.at,
		[IMAGE_SECTION_POLICIES] = now->policies.at,
		[IMAGE_SECTION_SOURCES] = now->sources.at,
		[IMAGE_SECTION_STRINGS] = writer->strings.at,
	};
	int rc = segment_new(&image_shape, counts, writer->generation, &writer->bytes, len);

	if (rc == 0)
		segment_fill(&image_shape, writer->bytes, from);
	return rc;
}

int image_writer_finish(struct image_writer *writer, struct str *bytes, struct err *err)
{
	struct host_table_keys keys = host_table_keys_of(writer->hash_key);
	struct host_slot *slots;
	uint32_t slot_count;
	size_t len;
	int rc = lay_out(writer, err);

	if (rc)
		return rc;
	hash_hosts(writer, &keys);
	slots = lay_out_hosts(writer, &slot_count);
	rc = writer->strings.is_full || writer->policies.is_full
		     ? -EFBIG
		     : write_segment(writer, slots, slot_count, &len);
	mem_free(slots);
	if (rc)
		return err_set(err, rc, "image: larger than 4 GiB");
	put_header(writer, &keys);
	*bytes = str_of(writer->bytes, len);
	writer->is_finished = true;
	return 0;
}
