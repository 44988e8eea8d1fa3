// SPDX-License-Identifier: Apache-2.0
/*
 * image_dump: the image as text. Golden files hold this, so its order is that of the sections, and
 * nothing in it depends on the hash key. One line an element; a vhost's routes and nodes under it.
 */
#include <inttypes.h>

#include "image/image_private.h"

static void print_index(struct buf *out, const char *name, uint32_t index)
{
	if (index == IMAGE_NONE)
		buf_printf(out, " %s none", name);
	else
		buf_printf(out, " %s %u", name, index);
}

/* "namespace/name", each as text. */
static void print_name(const struct image *image, struct segment_text namespace,
		       struct segment_text name, struct buf *out)
{
	segment_print_text(out, image_text(image, namespace));
	buf_add_char(out, '/');
	segment_print_text(out, image_text(image, name));
}

static void dump_policy(const struct image_policy *policy, uint32_t index, struct buf *out)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} flags[] = {
		{ IMAGE_POLICY_SSL_REDIRECT, "ssl_redirect" },
		{ IMAGE_POLICY_FORCE_SSL_REDIRECT, "force_ssl_redirect" },
		{ IMAGE_POLICY_PRESERVE_TRAILING_SLASH, "preserve_trailing_slash" },
		{ IMAGE_POLICY_HSTS, "hsts" },
		{ IMAGE_POLICY_HSTS_SUBDOMAINS, "hsts_subdomains" },
		{ IMAGE_POLICY_HSTS_PRELOAD, "hsts_preload" },
		{ IMAGE_POLICY_DENY, "deny" },
	};
	static const char *const profiles[IMAGE_PROFILE_COUNT] = {
		[IMAGE_PROFILE_SLUICE] = "sluice",
		[IMAGE_PROFILE_INGRESS_NGINX] = "ingress-nginx",
		[IMAGE_PROFILE_CONFORMANCE] = "conformance",
	};

	buf_printf(out, "policy %u profile %s redirect %u", index, profiles[policy->profile],
		   policy->redirect_status);
	buf_printf(out, " connect %u ms read %u ms send %u ms", policy->connect_timeout_ms,
		   policy->read_timeout_ms, policy->send_timeout_ms);
	buf_printf(out, " body %" PRIu64 " bytes hsts %u s", policy->body_max_bytes,
		   policy->hsts_max_age_s);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (policy->flags & flags[i].flag)
			buf_printf(out, " %s", flags[i].name);
	buf_add_char(out, '\n');
}

static void dump_backend(const struct image *image, uint32_t index, struct buf *out)
{
	static const char *const protocols[IMAGE_PROTOCOL_COUNT] = {
		[IMAGE_PROTOCOL_HTTP] = "http",
	};
	static const char *const balances[IMAGE_BALANCE_COUNT] = {
		[IMAGE_BALANCE_ROUND_ROBIN] = "round_robin",
	};
	const struct image_backend *backend = &image->backends[index];

	buf_printf(out, "backend %u id %u ", index, backend->id);
	print_name(image, backend->namespace, backend->service, out);
	buf_add_c(out, " port ");
	segment_print_text(out, image_text(image, backend->port));
	buf_printf(out, " %s %s\n", protocols[backend->protocol], balances[backend->balance]);
}

static void dump_source(const struct image *image, uint32_t index, struct buf *out)
{
	const struct image_source *source = &image->sources[index];

	buf_printf(out, "source %u ", index);
	print_name(image, source->namespace, source->ingress, out);
	print_index(out, "rule", source->rule);
	print_index(out, "path", source->path);
	buf_add_c(out, " file ");
	segment_print_text(out, image_text(image, source->file));
	buf_printf(out, " line %u\n", source->line);
}

static void dump_route(const struct image *image, uint32_t index, struct buf *out)
{
	const struct image_route *route = &image->routes[index];

	buf_printf(out, "  route %u %s", index, image_route_kind_name(route->kind));
	if (route->kind != IMAGE_ROUTE_DEFAULT) {
		buf_add_char(out, ' ');
		segment_print_text(out, image_text(image, route->path));
	}
	print_index(out, "backend", route->backend);
	print_index(out, "policy", route->policy);
	print_index(out, "source", route->source);
	buf_add_c(out, route->flags & IMAGE_ROUTE_LAST ? "\n" : " more\n");
}

static void dump_node(const struct image *image, uint32_t index, struct buf *out)
{
	const struct image_node *node = &image->nodes[index];
	struct segment_text label = { node->label_offset, node->label_len };

	buf_printf(out, "  node %u ", index);
	segment_print_text(out, image_text(image, label));
	if (node->exact_route != IMAGE_NONE)
		buf_printf(out, " exact %u", node->exact_route);
	if (node->prefix_route != IMAGE_NONE)
		buf_printf(out, " prefix %u", node->prefix_route);
	if (node->child_count)
		buf_printf(out, " children %u..%u", node->child_first,
			   node->child_first + node->child_count - 1);
	buf_add_char(out, '\n');
}

static void dump_vhost(const struct image *image, uint32_t index, struct buf *out)
{
	const struct image_vhost *vhost = &image->vhosts[index];

	buf_printf(out, "vhost %u ", index);
	segment_print_text(out, image_vhost_name(image, vhost));
	buf_add_c(out, vhost->flags & IMAGE_VHOST_TLS ? " tls" : "");
	buf_printf(out, " owners %u+%u dispatch %016" PRIx64, vhost->owner_first,
		   vhost->owner_spread, vhost->dispatch_hash);
	print_index(out, "default", vhost->default_route);
	buf_add_char(out, '\n');
	for (uint32_t i = 0; i < vhost->route_count && !out->is_cut; i++)
		dump_route(image, vhost->route_first + i, out);
	for (uint32_t i = 0; i < vhost->node_count && !out->is_cut; i++)
		dump_node(image, vhost->node_first + i, out);
}

void image_dump(const struct image *image, struct buf *out)
{
	const struct image_header *header = image->header;

	buf_printf(out, "image version %u generation %" PRIu64 "\n", header->segment.version,
		   image->generation);
	buf_printf(out, "counts vhosts %u wildcards %u nodes %u routes %u\n", image->vhost_count,
		   header->wildcard_count, image->node_count, image->route_count);
	if (header->flags & IMAGE_DROPS_UNKNOWN_HOSTS)
		buf_add_c(out, "unknown hosts: drop\n");
	for (uint32_t i = 0; i < image->policy_count && !out->is_cut; i++)
		dump_policy(&image->policies[i], i, out);
	for (uint32_t i = 0; i < image->backend_count && !out->is_cut; i++)
		dump_backend(image, i, out);
	for (uint32_t i = 0; i < image->source_count && !out->is_cut; i++)
		dump_source(image, i, out);
	for (uint32_t i = 0; i < image->vhost_count && !out->is_cut; i++)
		dump_vhost(image, i, out);
	if (header->default_route != IMAGE_NONE) {
		buf_add_c(out, "class default\n");
		dump_route(image, header->default_route, out);
	}
}
