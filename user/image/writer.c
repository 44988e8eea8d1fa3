// SPDX-License-Identifier: Apache-2.0
/*
 * writer: collects the pieces; writer_layout.c lays them out.
 *
 * While they are added, pieces stay in the order in which they came; only texts, policies and host
 * names are made unique at once (texts.h). Policies are kept as if they were texts: same bytes,
 * same one. A text has its offset for as long as the writer goes on, which is why a vhost of the
 * image before can be copied as it lies.
 */
#include "image/writer.h"

#include <assert.h>
#include <errno.h>

#include "image/key.h"
#include "image/writer_private.h"

struct image_writer *image_writer_new(uint64_t generation, struct siphash_key hash_key)
{
	struct image_writer *writer = mem_new(1, sizeof(*writer));

	writer->hash_key = hash_key;
	texts_init(&writer->strings, hash_key);
	texts_init(&writer->policies, hash_key);
	texts_init(&writer->hosts, hash_key);
	image_writer_next(writer, generation);
	return writer;
}

static void laid_out_release(struct writer_laid_out *laid_out)
{
	vec_release(&laid_out->vhosts);
	vec_release(&laid_out->host_hashes);
	vec_release(&laid_out->nodes);
	vec_release(&laid_out->routes);
	vec_release(&laid_out->backends);
	vec_release(&laid_out->policies);
	vec_release(&laid_out->sources);
}

void image_writer_free(struct image_writer *writer)
{
	if (!writer)
		return;
	texts_release(&writer->strings);
	texts_release(&writer->policies);
	texts_release(&writer->hosts);
	laid_out_release(&writer->now);
	laid_out_release(&writer->before);
	vec_release(&writer->routes);
	vec_release(&writer->origins);
	trie_release(&writer->trie);
	mem_free(writer->bytes);
	mem_free(writer);
}

char *image_writer_take(struct image_writer *writer)
{
	char *bytes = writer->bytes;

	writer->bytes = NULL;
	return bytes;
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
	*vec_push(&writer->now.backends) = (struct image_backend){
		.id = backend->id,
		.protocol = (uint8_t)backend->protocol, /* enums of few values */
		.balance = (uint8_t)backend->balance,
		.namespace = texts_add_next(&writer->strings, backend->namespace,
					    &writer->last.backend_namespace),
		.service = texts_add(&writer->strings, backend->service, NULL),
		.port = texts_add_next(&writer->strings, backend->port, &writer->last.port),
	};
	return (uint32_t)(writer->now.backends.len - 1);
}

uint32_t image_writer_add_source(struct image_writer *writer,
				 const struct image_writer_source *source)
{
	*vec_push(&writer->now.sources) = (struct image_source){
		.namespace = texts_add_next(&writer->strings, source->namespace,
					    &writer->last.source_namespace),
		.ingress = texts_add_next(&writer->strings, source->ingress, &writer->last.ingress),
		.file = texts_add_next(&writer->strings, source->file, &writer->last.file),
		.line = source->line,
		.rule = source->rule,
		.path = source->path,
	};
	return (uint32_t)(writer->now.sources.len - 1);
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
	*index = (uint32_t)writer->now.vhosts.len;
	vec_push(&writer->origins)->before = IMAGE_NONE;
	vhost = vec_push(&writer->now.vhosts);
	vhost->name_offset = texts_add(&writer->strings, name, NULL).offset;
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
	bool has_vhost = route->vhost < writer->now.vhosts.len ||
			 (route->vhost == IMAGE_NONE && route->kind == IMAGE_ROUTE_DEFAULT);
	bool has_backend =
		route->backend < writer->now.backends.len || route->backend == IMAGE_NONE;

	return has_vhost && has_backend && route->source < writer->now.sources.len &&
	       route->policy < writer->policies.len / sizeof(struct image_policy);
}

/* Where it is remembered that a vhost, or the class, has its default. */
static int take_default(struct image_writer *writer, uint32_t vhost, struct err *err)
{
	bool is_taken = vhost == IMAGE_NONE
				? writer->has_class_default
				: writer->now.vhosts.at[vhost].default_route != IMAGE_NONE;

	if (is_taken)
		return err_set(err, -EEXIST, "second default route");
	if (vhost == IMAGE_NONE)
		writer->has_class_default = true;
	else
		writer->now.vhosts.at[vhost].default_route = 0; /* its place is known at the end */
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

/* ------------------------------------------------------------------ keeping */

static void laid_out_reset(struct writer_laid_out *laid_out)
{
	laid_out->vhosts.len = 0;
	laid_out->host_hashes.len = 0;
	laid_out->nodes.len = 0;
	laid_out->routes.len = 0;
	laid_out->backends.len = 0;
	laid_out->policies.len = 0;
	laid_out->sources.len = 0;
}

void image_writer_set_flags(struct image_writer *writer, uint32_t flags)
{
	writer->flags = flags;
}

void image_writer_next(struct image_writer *writer, uint64_t generation)
{
	struct writer_laid_out older = writer->before;

	writer->before = writer->now;
	writer->now = older;
	if (!writer->is_finished)
		laid_out_reset(&writer->before);
	laid_out_reset(&writer->now);
	mem_free(writer->bytes);
	writer->bytes = NULL;
	writer->generation = generation;
	writer->is_finished = false;
	writer->has_class_default = false;
	writer->flags = 0;
	writer->catch_all = IMAGE_NONE;
	writer->wildcard_count = 0;
	writer->routes.len = 0;
	writer->origins.len = 0;
	texts_reset(&writer->policies);
	texts_reset(&writer->hosts);
	writer->last = (struct writer_last){ 0 };
}

void image_writer_renew(struct image_writer *writer, uint64_t generation)
{
	image_writer_next(writer, generation);
	laid_out_reset(&writer->before);
	texts_reset(&writer->strings);
}

size_t image_writer_text_bytes(const struct image_writer *writer)
{
	return writer->strings.len;
}

uint32_t image_writer_keep_backend(struct image_writer *writer, uint32_t before)
{
	assert(before < writer->before.backends.len);
	*vec_push(&writer->now.backends) = writer->before.backends.at[before];
	return (uint32_t)(writer->now.backends.len - 1);
}

uint32_t image_writer_keep_sources(struct image_writer *writer, uint32_t first, uint32_t count)
{
	size_t len = writer->now.sources.len;

	assert((uint64_t)first + count <= writer->before.sources.len);
	vec_reserve(&writer->now.sources, len + count);
	if (count)
		memcpy(writer->now.sources.at + len, writer->before.sources.at + first,
		       count * sizeof(*writer->now.sources.at));
	writer->now.sources.len += count;
	return (uint32_t)len;
}

uint32_t image_writer_keep_vhost(struct image_writer *writer, const struct image_writer_kept *kept)
{
	uint32_t index = (uint32_t)writer->now.vhosts.len;
	struct image_vhost *vhost = vec_push(&writer->now.vhosts);

	assert(kept->before < writer->before.vhosts.len);
	*vhost = writer->before.vhosts.at[kept->before];
	vhost->owner_first = kept->owner_first;
	vhost->owner_spread = kept->owner_spread;
	vhost->flags &= (uint8_t)~IMAGE_VHOST_TLS;
	if (kept->has_tls)
		vhost->flags |= IMAGE_VHOST_TLS;
	*vec_push(&writer->origins) = (struct writer_origin){ .before = kept->before,
							      .source_shift = kept->source_shift };
	writer->wildcard_count += (vhost->flags & IMAGE_VHOST_WILDCARD) != 0;
	if (vhost->flags & IMAGE_VHOST_CATCH_ALL)
		writer->catch_all = index;
	return index;
}
