// SPDX-License-Identifier: Apache-2.0
/*
 * store_dump: what is in force as text.
 *
 *   Ingress shop/web (shop.yaml:12)
 *     class_name 'sluice'
 *     rule 0 host 'a.example' (line 20)
 *       path 0 '/' Prefix service 'web' port 80 (line 24)
 *
 * Values of Secrets and ConfigMaps are only counted, in annotations of theirs too.
 */
#include "kube/store.h"

static void add_quoted(struct buf *out, struct str text)
{
	buf_add_char(out, '\'');
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c < 0x20 || c == 0x7f || c == '\\' || c == '\'')
			buf_printf(out, "\\x%02x", (unsigned int)c);
		else
			buf_add_char(out, text.at[i]);
	}
	buf_add_char(out, '\'');
}

/* "  name 'text'", nothing where it was left out. */
static void add_text(struct buf *out, const char *name, struct str text)
{
	if (!text.at)
		return;
	buf_printf(out, "  %s ", name);
	add_quoted(out, text);
	buf_add_char(out, '\n');
}

static void add_pairs(struct buf *out, const char *name, struct object_pairs pairs, bool is_secret)
{
	for (uint32_t i = 0; i < pairs.count; i++) {
		const struct object_pair *pair = &pairs.at[i];

		buf_printf(out, "  %s ", name);
		add_quoted(out, pair->key);
		if (is_secret) {
			buf_printf(out, " %zu bytes", pair->value.len);
		} else {
			buf_add_c(out, " = ");
			add_quoted(out, pair->value);
		}
		buf_printf(out, " (line %u)\n", pair->line);
	}
}

static void add_port(struct buf *out, struct object_port port)
{
	if (port.name.at)
		add_quoted(out, port.name);
	else
		buf_printf(out, "%u", (unsigned int)port.number);
}

static void add_service_backend(struct buf *out, const struct object_backend *backend)
{
	buf_add_c(out, " service ");
	add_quoted(out, backend->service);
	buf_add_c(out, " port ");
	add_port(out, backend->port);
}

static void add_resource_backend(struct buf *out, const struct object_backend *backend)
{
	buf_add_c(out, " resource ");
	add_quoted(out, backend->resource_group.at ? backend->resource_group : STR(""));
	buf_add_char(out, ' ');
	add_quoted(out, backend->resource_kind);
	buf_add_char(out, ' ');
	add_quoted(out, backend->resource_name);
}

static void add_backend(struct buf *out, const struct object_backend *backend)
{
	switch (backend->kind) {
	case OBJECT_BACKEND_NONE:
		buf_add_c(out, " no backend");
		break;
	case OBJECT_BACKEND_SERVICE:
		add_service_backend(out, backend);
		break;
	case OBJECT_BACKEND_RESOURCE:
		add_resource_backend(out, backend);
		break;
	case OBJECT_BACKEND_BOTH:
		add_service_backend(out, backend);
		add_resource_backend(out, backend);
		break;
	}
	buf_printf(out, " (line %u)\n", backend->line);
}

/* ------------------------------------------------------------------- Ingress */

static const char *path_type_name(enum object_path_type type)
{
	switch (type) {
	case OBJECT_PATH_EXACT:
		return "Exact";
	case OBJECT_PATH_PREFIX:
		return "Prefix";
	case OBJECT_PATH_IMPLEMENTATION_SPECIFIC:
		return "ImplementationSpecific";
	case OBJECT_PATH_UNKNOWN:
		return "unknown";
	}
	return "?";
}

static void dump_rule(const struct object_rule *rule, uint32_t index, struct buf *out)
{
	buf_printf(out, "  rule %u host ", index);
	add_quoted(out, rule->host);
	buf_printf(out, " (line %u)\n", rule->line);
	for (uint32_t i = 0; i < rule->path_count; i++) {
		const struct object_path *path = &rule->paths[i];

		buf_printf(out, "    path %u ", i);
		add_quoted(out, path->path);
		buf_printf(out, " %s", path_type_name(path->type));
		if (path->type == OBJECT_PATH_UNKNOWN) {
			buf_add_char(out, ' ');
			add_quoted(out, path->type_text);
		}
		add_backend(out, &path->backend);
	}
}

static void dump_tls(const struct object_tls *tls, uint32_t index, struct buf *out)
{
	buf_printf(out, "  tls %u", index);
	for (uint32_t i = 0; i < tls->host_count; i++) {
		buf_add_char(out, ' ');
		add_quoted(out, tls->hosts[i]);
	}
	if (tls->secret.at) {
		buf_add_c(out, " secret ");
		add_quoted(out, tls->secret);
	}
	buf_printf(out, " (line %u)\n", tls->line);
}

static void dump_ingress(const struct object_ingress *ingress, struct buf *out)
{
	add_text(out, "class_name", ingress->class_name);
	if (ingress->default_backend.kind != OBJECT_BACKEND_NONE) {
		buf_add_c(out, "  default_backend");
		add_backend(out, &ingress->default_backend);
	}
	for (uint32_t i = 0; i < ingress->rule_count; i++)
		dump_rule(&ingress->rules[i], i, out);
	for (uint32_t i = 0; i < ingress->tls_count; i++)
		dump_tls(&ingress->tls[i], i, out);
}

static void dump_ingress_class(const struct object_ingress_class *class, struct buf *out)
{
	add_text(out, "controller", class->controller);
	if (class->is_default)
		buf_add_c(out, "  is_default\n");
	add_text(out, "parameters_group", class->parameters_group);
	add_text(out, "parameters_kind", class->parameters_kind);
	add_text(out, "parameters_name", class->parameters_name);
	add_text(out, "parameters_namespace", class->parameters_namespace);
}

/* ------------------------------------------------------- Service, endpoints */

static const char *protocol_name(enum object_protocol protocol)
{
	switch (protocol) {
	case OBJECT_PROTOCOL_TCP:
		return "TCP";
	case OBJECT_PROTOCOL_UDP:
		return "UDP";
	case OBJECT_PROTOCOL_SCTP:
		return "SCTP";
	}
	return "?";
}

static void dump_service(const struct object_service *service, struct buf *out)
{
	if (service->type == OBJECT_SERVICE_EXTERNAL_NAME)
		buf_add_c(out, "  type ExternalName\n");
	add_text(out, "cluster_ip", service->cluster_ip);
	add_text(out, "external_name", service->external_name);
	for (uint32_t i = 0; i < service->port_count; i++) {
		const struct object_service_port *port = &service->ports[i];

		buf_printf(out, "  port %u ", i);
		add_quoted(out, port->name);
		buf_printf(out, " %s %u to ", protocol_name(port->protocol),
			   (unsigned int)port->port);
		add_port(out, port->target_port);
		if (port->app_protocol.at) {
			buf_add_c(out, " app_protocol ");
			add_quoted(out, port->app_protocol);
		}
		buf_printf(out, " (line %u)\n", port->line);
	}
}

static void dump_endpoint(const struct object_endpoint *endpoint, uint32_t index, struct buf *out)
{
	const struct {
		const char *name;
		struct str text;
	} texts[] = {
		{ "node", endpoint->node },
		{ "zone", endpoint->zone },
		{ "target", endpoint->target },
	};

	buf_printf(out, "  endpoint %u", index);
	for (uint32_t i = 0; i < endpoint->address_count; i++) {
		buf_add_char(out, ' ');
		add_quoted(out, endpoint->addresses[i]);
	}
	buf_printf(out, "%s%s%s", endpoint->is_ready ? " ready" : "",
		   endpoint->is_serving ? " serving" : "",
		   endpoint->is_terminating ? " terminating" : "");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!texts[i].text.at)
			continue;
		buf_printf(out, " %s ", texts[i].name);
		add_quoted(out, texts[i].text);
	}
	buf_printf(out, " (line %u)\n", endpoint->line);
}

static void dump_endpoint_slice(const struct object_endpoint_slice *slice, struct buf *out)
{
	add_text(out, "service", slice->service);
	add_text(out, "address_type", slice->address_type);
	for (uint32_t i = 0; i < slice->port_count; i++) {
		buf_printf(out, "  port %u ", i);
		add_quoted(out, slice->ports[i].name);
		buf_printf(out, " %s %u\n", protocol_name(slice->ports[i].protocol),
			   (unsigned int)slice->ports[i].port);
	}
	for (uint32_t i = 0; i < slice->endpoint_count; i++)
		dump_endpoint(&slice->endpoints[i], i, out);
}

/* ------------------------------------------------------------------- objects */

static void dump_kind(const struct object *object, struct buf *out)
{
	switch (object->kind) {
	case OBJECT_KIND_INGRESS:
		dump_ingress(&object->ingress, out);
		break;
	case OBJECT_KIND_INGRESS_CLASS:
		dump_ingress_class(&object->ingress_class, out);
		break;
	case OBJECT_KIND_SERVICE:
		dump_service(&object->service, out);
		break;
	case OBJECT_KIND_ENDPOINT_SLICE:
		dump_endpoint_slice(&object->endpoint_slice, out);
		break;
	case OBJECT_KIND_SECRET:
		add_text(out, "type", object->secret.type);
		add_pairs(out, "data", object->secret.data, true);
		break;
	case OBJECT_KIND_CONFIG_MAP:
		add_pairs(out, "data", object->config_map.data, true);
		break;
	case OBJECT_KIND_COUNT:
		break;
	}
}

static void dump_object(const struct object *object, struct buf *out)
{
	bool is_secret =
		object->kind == OBJECT_KIND_SECRET || object->kind == OBJECT_KIND_CONFIG_MAP;

	buf_printf(out, "%s ", object_kind_name(object->kind));
	if (object->namespace.len)
		buf_printf(out, "%.*s/", STR_ARG(object->namespace));
	buf_add(out, object->name);
	if (object->file.at)
		buf_printf(out, " (%.*s:%u)", STR_ARG(object->file), object->line);
	buf_add_char(out, '\n');
	add_text(out, "uid", object->uid);
	if (object->created_s)
		buf_printf(out, "  created_s %lld\n", (long long)object->created_s);
	add_pairs(out, "label", object->labels, is_secret);
	add_pairs(out, "annotation", object->annotations, is_secret);
	dump_kind(object, out);
}

void store_dump(struct store *store, struct buf *out)
{
	const struct object_set *set = store_set(store);

	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		for (size_t i = 0; i < set->of[kind].count; i++)
			dump_object(set->of[kind].at[i], out);
	}
}
