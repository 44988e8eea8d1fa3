// SPDX-License-Identifier: Apache-2.0
/*
 * decode_ingress: Ingress and IngressClass of networking.k8s.io/v1.
 *
 * A bad path, rule, TLS entry or default backend is left out by itself. What a
 * host or a path means, and whether a path begins with '/', is for compile.
 */
#include <errno.h>

#include "kube/decode_field.h"

/* ------------------------------------------------------------------- backend */

struct backend_parts {
	struct {
		struct str name;
		struct object_port port;
		uint32_t name_line, port_line;
	} service;
	struct {
		struct str group, kind, name;
	} resource;
	bool has_service, has_resource;
};

static int decode_service_port(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "name", decode_str, offsetof(struct object_port, name), 0, NULL },
		{ "number", decode_port_number, offsetof(struct object_port, number), 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object_port *port = out;
	int rc = decode_fields(decoder, value, &table, port);

	if (rc < 0)
		return rc;
	if (port->name.len && port->number)
		return decode_refuse(decoder, value->line, "InvalidValue",
				     "port has a name and a number");
	if (!port->name.len && !port->number)
		return decode_refuse(decoder, value->line, "MissingField",
				     "port has neither a name nor a number");
	if (port->number)
		port->name = str_of(NULL, 0);
	return 0;
}

static int decode_backend_name(struct decoder *decoder, const struct node *value, void *out)
{
	struct backend_parts *parts = out;

	parts->service.name_line = value->line;
	return decode_str(decoder, value, &parts->service.name);
}

static int decode_backend_port(struct decoder *decoder, const struct node *value, void *out)
{
	struct backend_parts *parts = out;

	parts->service.port_line = value->line;
	return decode_service_port(decoder, value, &parts->service.port);
}

static int decode_service_backend(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "name", decode_backend_name, 0, DECODE_REQUIRED, NULL },
		{ "port", decode_backend_port, 0, DECODE_REQUIRED, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct backend_parts *parts = out;

	parts->has_service = true;
	return decode_fields(decoder, value, &table, parts);
}

static int decode_resource_backend(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "apiGroup", decode_str, offsetof(struct backend_parts, resource.group), 0, NULL },
		{ "kind", decode_str, offsetof(struct backend_parts, resource.kind),
		  DECODE_REQUIRED, NULL },
		{ "name", decode_str, offsetof(struct backend_parts, resource.name),
		  DECODE_REQUIRED, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct backend_parts *parts = out;

	parts->has_resource = true;
	return decode_fields(decoder, value, &table, parts);
}

static enum object_backend_kind backend_kind(const struct backend_parts *parts)
{
	if (parts->has_service && parts->has_resource)
		return OBJECT_BACKEND_BOTH;
	return parts->has_service ? OBJECT_BACKEND_SERVICE : OBJECT_BACKEND_RESOURCE;
}

static int decode_backend(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "service", decode_service_backend, 0, 0, NULL },
		{ "resource", decode_resource_backend, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct backend_parts parts = { 0 };
	struct object_backend *backend = out;
	int rc = decode_fields(decoder, value, &table, &parts);

	if (rc < 0)
		return rc;
	if (!parts.has_service && !parts.has_resource)
		return decode_refuse(decoder, value->line, "MissingField",
				     "backend has neither a service nor a resource");
	*backend = (struct object_backend){
		.kind = backend_kind(&parts),
		.line = value->line,
		.service = parts.service.name,
		.port = parts.service.port,
		.service_line = parts.service.name_line,
		.port_line = parts.service.port_line,
		.resource_group = parts.resource.group,
		.resource_kind = parts.resource.kind,
		.resource_name = parts.resource.name,
	};
	return 0;
}

/* --------------------------------------------------------------------- rules */

/* Another text than the three known ones is kept for compile to refuse. */
static int decode_path_type(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_word words[] = {
		{ "Exact", OBJECT_PATH_EXACT },
		{ "Prefix", OBJECT_PATH_PREFIX },
		{ "ImplementationSpecific", OBJECT_PATH_IMPLEMENTATION_SPECIFIC },
	};
	struct object_path *path = out;

	path->type = OBJECT_PATH_UNKNOWN;
	path->type_line = value->line;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (value->type == NODE_TEXT && str_eq_c(value->text, words[i].text))
			path->type = (enum object_path_type)words[i].value; /* from the table */
	}
	return decode_str(decoder, value, &path->type_text);
}

static int decode_path(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "path", decode_str, offsetof(struct object_path, path), 0, NULL },
		{ "pathType", decode_path_type, 0, DECODE_REQUIRED, NULL },
		{ "backend", decode_backend, offsetof(struct object_path, backend), DECODE_REQUIRED,
		  NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object_path *path = out;

	path->path = STR("");
	path->line = value->line;
	path->index = decoder->here->index;
	return decode_fields(decoder, value, &table, path);
}

static int decode_paths(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_items items =
		DECODE_ITEMS(struct object_rule, paths, path_count, decode_path, "path");
	int rc = decode_items(decoder, value, &items, out);

	if (rc == 0 && value->count == 0)
		rc = decode_refuse(decoder, value->line, "MissingField", "list of paths is empty");
	return rc;
}

static int decode_http(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "paths", decode_paths, 0, DECODE_REQUIRED, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);

	return decode_fields(decoder, value, &table, out);
}

static int decode_rule(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "host", decode_str, offsetof(struct object_rule, host), 0, NULL },
		{ "http", decode_http, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object_rule *rule = out;

	rule->host = STR("");
	rule->line = value->line;
	rule->index = decoder->here->index;
	return decode_fields(decoder, value, &table, rule);
}

static int decode_rules(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_items items =
		DECODE_ITEMS(struct object_ingress, rules, rule_count, decode_rule, "rule");

	return decode_items(decoder, value, &items, out);
}

/* ----------------------------------------------------------------------- TLS */

static int decode_tls_hosts(struct decoder *decoder, const struct node *value, void *out)
{
	struct object_tls *tls = out;

	return decode_strs(decoder, value, &tls->hosts, &tls->host_count);
}

static int decode_tls_secret(struct decoder *decoder, const struct node *value, void *out)
{
	struct object_tls *tls = out;

	tls->secret_line = value->line;
	return decode_str(decoder, value, &tls->secret);
}

static int decode_tls(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "hosts", decode_tls_hosts, 0, 0, NULL },
		{ "secretName", decode_tls_secret, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object_tls *tls = out;

	tls->line = value->line;
	tls->index = decoder->here->index;
	return decode_fields(decoder, value, &table, tls);
}

static int decode_tls_list(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_items items =
		DECODE_ITEMS(struct object_ingress, tls, tls_count, decode_tls, "TLS entry");

	return decode_items(decoder, value, &items, out);
}

/* ------------------------------------------------------------------- Ingress */

static int decode_ingress_spec(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "ingressClassName", decode_str, offsetof(struct object_ingress, class_name), 0,
		  NULL },
		{ "defaultBackend", decode_backend,
		  offsetof(struct object_ingress, default_backend), 0, "default backend" },
		{ "rules", decode_rules, 0, 0, NULL },
		{ "tls", decode_tls_list, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);

	return decode_fields(decoder, value, &table, out);
}

int decode_ingress(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "spec", decode_ingress_spec, 0, DECODE_REQUIRED, NULL },
		{ "apiVersion", NULL, 0, 0, NULL },
		{ "kind", NULL, 0, 0, NULL },
		{ "metadata", NULL, 0, 0, NULL },
		{ "status", NULL, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object *object = out;

	return decode_fields(decoder, value, &table, &object->ingress);
}

/* -------------------------------------------------------------- IngressClass */

static int decode_parameters(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "apiGroup", decode_str, offsetof(struct object_ingress_class, parameters_group),
		  0, NULL },
		{ "kind", decode_str, offsetof(struct object_ingress_class, parameters_kind),
		  DECODE_REQUIRED, NULL },
		{ "name", decode_str, offsetof(struct object_ingress_class, parameters_name),
		  DECODE_REQUIRED, NULL },
		{ "namespace", decode_str,
		  offsetof(struct object_ingress_class, parameters_namespace), 0, NULL },
		{ "scope", NULL, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object_ingress_class *class = out;

	class->parameters_line = value->line;
	return decode_fields(decoder, value, &table, class);
}

static int decode_class_spec(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "controller", decode_str, offsetof(struct object_ingress_class, controller),
		  DECODE_REQUIRED, NULL },
		{ "parameters", decode_parameters, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);

	return decode_fields(decoder, value, &table, out);
}

int decode_ingress_class(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "spec", decode_class_spec, 0, DECODE_REQUIRED, NULL },
		{ "apiVersion", NULL, 0, 0, NULL },
		{ "kind", NULL, 0, 0, NULL },
		{ "metadata", NULL, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object *object = out;
	struct str is_default =
		object_pairs_find(object->annotations,
				  STR("ingressclass.kubernetes.io/is-default-class"));

	object->ingress_class.is_default = str_eq(is_default, STR("true"));
	return decode_fields(decoder, value, &table, &object->ingress_class);
}
