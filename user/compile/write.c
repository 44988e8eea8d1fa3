// SPDX-License-Identifier: Apache-2.0
/*
 * write: the model into the bytes of image and certs.
 *
 * Whatever the image's writer refuses here was settled or refused before, except
 * for size: a refusal is an error of ours and is reported as one, and the last
 * good generation stays in force.
 */
#include <errno.h>
#include <stdio.h>

#include "compile/build.h"
#include "image/certs.h"
#include "image/writer.h"

static int fail(struct build *build, const char *segment, int code, const struct err *err)
{
	struct finding_place place = { 0 };
	const char *text = err->text[0] ? err->text : "refused by its writer";

	findings_add(build->findings, FINDING_ERROR, code == -EFBIG ? "TooLarge" : "InternalError",
		     &place, "%s: %s", segment, text);
	return code;
}

/* ------------------------------------------------------------------- image */

static uint32_t flags_of(const struct model_policy *policy)
{
	return (policy->ssl_redirect ? IMAGE_POLICY_SSL_REDIRECT : 0) |
	       (policy->force_ssl_redirect ? IMAGE_POLICY_FORCE_SSL_REDIRECT : 0) |
	       (policy->preserve_trailing_slash ? IMAGE_POLICY_PRESERVE_TRAILING_SLASH : 0) |
	       (policy->hsts ? IMAGE_POLICY_HSTS : 0) |
	       (policy->hsts_subdomains ? IMAGE_POLICY_HSTS_SUBDOMAINS : 0) |
	       (policy->hsts_preload ? IMAGE_POLICY_HSTS_PRELOAD : 0) |
	       (policy->deny ? IMAGE_POLICY_DENY : 0);
}

static uint8_t profile_of(enum model_profile profile)
{
	static const uint8_t profiles[MODEL_PROFILE_COUNT] = {
		[MODEL_PROFILE_SLUICE] = IMAGE_PROFILE_SLUICE,
		[MODEL_PROFILE_INGRESS_NGINX] = IMAGE_PROFILE_INGRESS_NGINX,
		[MODEL_PROFILE_CONFORMANCE] = IMAGE_PROFILE_CONFORMANCE,
	};

	return profiles[profile];
}

/* The writer gives equal policies one index; the model's are all different, so indices agree. */
static void add_policies(struct image_writer *writer, const struct model *model)
{
	for (size_t i = 0; i < model->policies.len; i++) {
		const struct model_policy *policy = &model->policies.at[i];
		const struct image_policy written = {
			.flags = flags_of(policy),
			.redirect_status = policy->redirect_status,
			.profile = profile_of(policy->profile),
			.connect_timeout_ms = policy->connect_timeout_ms,
			.read_timeout_ms = policy->read_timeout_ms,
			.send_timeout_ms = policy->send_timeout_ms,
			.hsts_max_age_s = policy->hsts_max_age_s,
			.body_max_bytes = policy->body_max_bytes,
		};

		image_writer_add_policy(writer, &written);
	}
}

static void add_backends(struct image_writer *writer, const struct compiled *now)
{
	for (size_t i = 0; i < now->model.backends.len; i++) {
		const struct model_backend *backend = &now->model.backends.at[i];
		const struct image_writer_backend written = { .id = backend->id,
							      .protocol = IMAGE_PROTOCOL_HTTP,
							      .balance = IMAGE_BALANCE_ROUND_ROBIN,
							      .namespace = backend->namespace,
							      .service = backend->service,
							      .port = backend->port };

		if (now->backends.at[i].before != MODEL_NONE)
			image_writer_keep_backend(writer, now->backends.at[i].before);
		else
			image_writer_add_backend(writer, &written);
	}
}

static int add_vhost(struct image_writer *writer, const struct model_vhost *vhost, struct err *err)
{
	const struct image_writer_vhost written = { .host = vhost->host,
						    .has_tls = vhost->has_tls,
						    .owner_first = vhost->worker_first,
						    .owner_spread = vhost->worker_spread,
						    .dispatch_hash = vhost->dispatch_hash };
	uint32_t index;

	return image_writer_add_vhost(writer, &written, &index, err);
}

static void keep_vhost(struct image_writer *writer, const struct model_vhost *vhost,
		       uint32_t before, uint32_t source_shift)
{
	const struct image_writer_kept kept = { .before = before,
						.source_shift = source_shift,
						.has_tls = vhost->has_tls,
						.owner_first = vhost->worker_first,
						.owner_spread = vhost->worker_spread };

	image_writer_keep_vhost(writer, &kept);
}

static uint32_t add_source(struct image_writer *writer, const struct model_source *source)
{
	struct image_writer_source written = { .line = source->line,
					       .rule = source->rule,
					       .path = source->path };

	if (source->object) {
		written.namespace = source->object->namespace;
		written.ingress = source->object->name;
		written.file = source->object->file;
	}
	return image_writer_add_source(writer, &written);
}

static enum image_route_kind kind_of(enum model_route_kind kind)
{
	switch (kind) {
	case MODEL_ROUTE_EXACT:
		return IMAGE_ROUTE_EXACT;
	case MODEL_ROUTE_PREFIX:
		return IMAGE_ROUTE_PREFIX;
	case MODEL_ROUTE_DEFAULT:
		break;
	}
	return IMAGE_ROUTE_DEFAULT;
}

static int add_route(struct image_writer *writer, const struct model_route *route, struct err *err)
{
	const struct image_writer_route written = { .vhost = route->vhost,
						    .kind = kind_of(route->kind),
						    .path = route->path,
						    .backend = route->backend,
						    .policy = route->policy,
						    .source = add_source(writer, &route->source) };

	return image_writer_add_route(writer, &written, err);
}

static int add_routes(struct image_writer *writer, const struct model *model, size_t first,
		      size_t end, struct err *err)
{
	int code = 0;

	for (size_t i = first; i < end && code == 0; i++)
		code = add_route(writer, &model->routes.at[i], err);
	return code;
}

/*
 * Whether the vhosts of @unit lie in the image before as they are to lie in this one: nobody else
 * has added to them, then or now.
 */
static bool is_kept(const struct build *build, const struct unit *unit)
{
	if (unit->before == MODEL_NONE)
		return false;
	for (uint32_t i = 0; i < unit->vhost_count; i++) {
		if (build->vhost_marks.at[unit->vhost_first + i].is_shared)
			return false;
	}
	return !build->compiler->before->units.at[unit->before].has_shared;
}

static int add_vhosts_of(struct build *build, struct unit *unit, struct err *err)
{
	struct image_writer *writer = build->compiler->image_writer;
	const struct model_vhost *vhosts = build->model->vhosts.at + unit->vhost_first;
	const struct unit *from = build->compiler->before->units.at + unit->before;
	int code = 0;

	unit->is_laid_out = is_kept(build, unit);
	unit->has_shared = false;
	for (uint32_t i = 0; i < unit->vhost_count && code == 0; i++) {
		unit->has_shared |= build->vhost_marks.at[unit->vhost_first + i].is_shared;
		if (unit->is_laid_out)
			keep_vhost(writer, &vhosts[i], from->vhost_first + i,
				   unit->route_first - from->route_first);
		else
			code = add_vhost(writer, &vhosts[i], err);
	}
	return code;
}

static int add_routes_of(struct build *build, const struct unit *unit, struct err *err)
{
	struct image_writer *writer = build->compiler->image_writer;

	if (!unit->is_laid_out)
		return add_routes(writer, build->model, unit->route_first,
				  unit->route_first + unit->route_count, err);
	image_writer_keep_sources(writer,
				  build->compiler->before->units.at[unit->before].route_first,
				  unit->route_count);
	return 0;
}

/*
 * Vhosts, backends and policies stand in the image in the order of the model, and sources in that
 * of the routes, one for each. Routes behind those of all units are the class's default.
 */
static int add_units(struct build *build, struct err *err)
{
	struct compiled *now = build->compiler->now;
	size_t end = 0;
	int code = 0;

	for (size_t i = 0; i < now->units.len && code == 0; i++)
		code = add_vhosts_of(build, &now->units.at[i], err);
	for (size_t i = 0; i < now->units.len && code == 0; i++) {
		code = add_routes_of(build, &now->units.at[i], err);
		end = now->units.at[i].route_first + now->units.at[i].route_count;
	}
	if (code)
		return code;
	return add_routes(build->compiler->image_writer, build->model, end,
			  build->model->routes.len, err);
}

/* Texts of what is gone stay in the writer: some of that is borne, then all is written anew. */
static void begin_image(struct build *build)
{
	struct compiler *compiler = build->compiler;

	if (compiler->before->units.len == 0)
		image_writer_renew(compiler->image_writer, build->generation);
	else
		image_writer_next(compiler->image_writer, build->generation);
}

int write_image(struct build *build, struct compile_output *output)
{
	struct image_writer *writer = build->compiler->image_writer;
	struct err err = { 0 };
	int code;

	begin_image(build);
	image_writer_set_flags(writer, build->model->drops_unknown ? IMAGE_DROPS_UNKNOWN_HOSTS : 0);
	add_policies(writer, build->model);
	add_backends(writer, build->compiler->now);
	code = add_units(build, &err);
	if (code == 0)
		code = image_writer_finish(writer, &output->image, &err);
	if (code < 0)
		return fail(build, "image", code, &err);
	output->image_bytes = image_writer_take(writer);
	return 0;
}

/* ------------------------------------------------------------------- certs */

/* What the certs are made of, in one number; 0 where a Secret has no serial to know it by. */
static uint64_t digest_of(const struct build *build)
{
	const struct model *model = build->model;
	const struct ids *names = &build->compiler->host_names;
	uint64_t digest = lookup_hash_with(model->default_cert, model->certs.len);

	for (size_t i = 0; i < model->certs.len; i++) {
		if (!model->certs.at[i].object->serial)
			return 0;
		digest = lookup_hash_with(digest, model->certs.at[i].object->serial);
	}
	for (size_t i = 0; i < model->tls_hosts.len; i++) {
		uint32_t number = model->tls_hosts.at[i].number;

		digest = lookup_hash_with(digest, names->entries.at[number].hash);
		digest = lookup_hash_with(digest, model->tls_hosts.at[i].cert);
	}
	return digest ? digest : 1;
}

static int add_certs(struct certs_writer *writer, const struct model *model)
{
	for (size_t i = 0; i < model->certs.len; i++) {
		const struct model_cert *cert = &model->certs.at[i];
		const struct certs_writer_cert written = { .chain = cert->chain,
							   .key = cert->key,
							   .namespace = cert->object->namespace,
							   .secret = cert->object->name };

		certs_writer_add(writer, &written);
	}
	for (size_t i = 0; i < model->tls_hosts.len; i++) {
		const struct model_tls_host *tls_host = &model->tls_hosts.at[i];
		int code;

		if (tls_host->cert == MODEL_NONE || tls_host->host.len == 0)
			continue;
		code = certs_writer_add_name(writer, tls_host->host, tls_host->cert);
		if (code < 0)
			return code;
	}
	if (model->default_cert == MODEL_NONE)
		return 0;
	return certs_writer_set_default(writer, model->default_cert);
}

int write_certs(struct build *build, struct compile_output *output)
{
	struct cert_cache *cache = &build->compiler->cert_cache;
	uint64_t digest = digest_of(build);
	struct certs_writer *writer;
	struct err err = { 0 };
	int code;

	output->certs_same = digest && cache->has_written && cache->written_digest == digest;
	if (output->certs_same)
		return 0;
	writer = certs_writer_new(build->generation, build->compiler->options.table_key);
	output->certs_writer = writer;
	code = add_certs(writer, build->model);
	if (code == 0)
		code = certs_writer_finish(writer, &output->certs, &err);
	if (code < 0)
		return fail(build, "certs", code, &err);
	cache->written_digest = digest;
	cache->has_written = true;
	return 0;
}
