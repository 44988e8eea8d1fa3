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

static void add_backends(struct image_writer *writer, const struct model *model)
{
	for (size_t i = 0; i < model->backends.len; i++) {
		const struct model_backend *backend = &model->backends.at[i];
		const struct image_writer_backend written = { .id = backend->id,
							      .protocol = IMAGE_PROTOCOL_HTTP,
							      .balance = IMAGE_BALANCE_ROUND_ROBIN,
							      .namespace = backend->namespace,
							      .service = backend->service,
							      .port = backend->port };

		image_writer_add_backend(writer, &written);
	}
}

static int add_vhosts(struct image_writer *writer, const struct model *model, struct err *err)
{
	for (size_t i = 0; i < model->vhosts.len; i++) {
		const struct model_vhost *vhost = &model->vhosts.at[i];
		const struct image_writer_vhost written = { .host = vhost->host,
							    .has_tls = vhost->has_tls,
							    .owner_first = vhost->worker_first,
							    .owner_spread = vhost->worker_spread,
							    .dispatch_hash = vhost->dispatch_hash };
		uint32_t index;
		int code = image_writer_add_vhost(writer, &written, &index, err);

		if (code < 0)
			return code;
	}
	return 0;
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

/* Vhosts, backends and policies stand in the image in the order of the model. */
static int add_routes(struct image_writer *writer, const struct model *model, struct err *err)
{
	for (size_t i = 0; i < model->routes.len; i++) {
		const struct model_route *route = &model->routes.at[i];
		const struct image_writer_route written = { .vhost = route->vhost,
							    .kind = kind_of(route->kind),
							    .path = route->path,
							    .backend = route->backend,
							    .policy = route->policy,
							    .source = add_source(writer,
										 &route->source) };
		int code = image_writer_add_route(writer, &written, err);

		if (code < 0)
			return code;
	}
	return 0;
}

int write_image(struct build *build, struct compile_output *output)
{
	struct siphash_key table_key = build->compiler->options.table_key;
	struct image_writer *writer = image_writer_new(build->generation, table_key);
	struct err err = { 0 };
	int code;

	output->image_writer = writer;
	add_policies(writer, build->model);
	add_backends(writer, build->model);
	code = add_vhosts(writer, build->model, &err);
	if (code == 0)
		code = add_routes(writer, build->model, &err);
	if (code == 0)
		code = image_writer_finish(writer, &output->image, &err);
	return code < 0 ? fail(build, "image", code, &err) : 0;
}

/* ------------------------------------------------------------------- certs */

/* What the certs are made of, in one number; 0 where a Secret has no serial to know it by. */
static uint64_t digest_of(const struct build *build)
{
	const struct model *model = build->model;
	struct siphash_key key = build->compiler->hash_key;
	uint64_t digest = lookup_hash_with(model->default_cert, model->certs.len);

	for (size_t i = 0; i < model->certs.len; i++) {
		if (!model->certs.at[i].object->serial)
			return 0;
		digest = lookup_hash_with(digest, model->certs.at[i].object->serial);
	}
	for (size_t i = 0; i < model->tls_hosts.len; i++) {
		digest = lookup_hash_with(digest, siphash(key, model->tls_hosts.at[i].host));
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
