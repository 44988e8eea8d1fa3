// SPDX-License-Identifier: Apache-2.0
/*
 * decode_service: Service of v1 and EndpointSlice of discovery.k8s.io/v1.
 *
 * A bad port or endpoint is left out by itself. A Service has dozens of fields
 * that are the business of others, so unknown ones are not looked for there.
 */
#include <errno.h>

#include "kube/decode_field.h"

#define SERVICE_NAME_LABEL "kubernetes.io/service-name"

/* ------------------------------------------------------------------- Service */

static int decode_service_port(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "name", decode_str, offsetof(struct object_service_port, name), 0, NULL },
		{ "port", decode_port_number, offsetof(struct object_service_port, port),
		  DECODE_REQUIRED, NULL },
		{ "targetPort", decode_port, offsetof(struct object_service_port, target_port), 0,
		  NULL },
		{ "protocol", decode_protocol, offsetof(struct object_service_port, protocol), 0,
		  NULL },
		{ "appProtocol", decode_str, offsetof(struct object_service_port, app_protocol), 0,
		  NULL },
		{ "nodePort", NULL, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object_service_port *port = out;
	int rc;

	port->name = STR("");
	port->line = value->line;
	rc = decode_fields(decoder, value, &table, port);
	/* The API's default: the same port. */
	if (!port->target_port.name.at && !port->target_port.number)
		port->target_port.number = port->port;
	return rc;
}

static int decode_service_ports(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_items items =
		DECODE_ITEMS(struct object_service, ports, port_count, decode_service_port, "port");

	return decode_items(decoder, value, &items, out);
}

static int decode_service_type(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_word words[] = {
		{ "ClusterIP", OBJECT_SERVICE_CLUSTER_IP },
		{ "NodePort", OBJECT_SERVICE_CLUSTER_IP },
		{ "LoadBalancer", OBJECT_SERVICE_CLUSTER_IP },
		{ "ExternalName", OBJECT_SERVICE_EXTERNAL_NAME },
	};
	enum object_service_type *type = out;
	int choice;
	int rc = decode_choice(decoder, value, words, sizeof(words) / sizeof(words[0]), &choice);

	if (rc == 0)
		*type = (enum object_service_type)choice; /* one of the words above */
	return rc;
}

static int decode_service_spec(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "type", decode_service_type, offsetof(struct object_service, type), 0, NULL },
		{ "clusterIP", decode_str, offsetof(struct object_service, cluster_ip), 0, NULL },
		{ "externalName", decode_str, offsetof(struct object_service, external_name), 0,
		  NULL },
		{ "ports", decode_service_ports, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, false);
	struct object_service *service = out;
	int rc = decode_fields(decoder, value, &table, service);

	if (rc == 0 && service->type == OBJECT_SERVICE_EXTERNAL_NAME &&
	    str_is_empty(service->external_name))
		rc = decode_refuse_missing(decoder, value->line, "externalName");
	return rc;
}

int decode_service(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "spec", decode_service_spec, 0, DECODE_REQUIRED, NULL },
		{ "apiVersion", NULL, 0, 0, NULL },
		{ "kind", NULL, 0, 0, NULL },
		{ "metadata", NULL, 0, 0, NULL },
		{ "status", NULL, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object *object = out;

	return decode_fields(decoder, value, &table, &object->service);
}

/* ------------------------------------------------------------- EndpointSlice */

static int decode_slice_port(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "name", decode_str, offsetof(struct object_slice_port, name), 0, NULL },
		{ "port", decode_port_number, offsetof(struct object_slice_port, port), 0, NULL },
		{ "protocol", decode_protocol, offsetof(struct object_slice_port, protocol), 0,
		  NULL },
		{ "appProtocol", NULL, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object_slice_port *port = out;

	port->name = STR("");
	return decode_fields(decoder, value, &table, port);
}

static int decode_slice_ports(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_items items =
		DECODE_ITEMS(struct object_endpoint_slice, ports, port_count, decode_slice_port,
			     "port");

	return decode_items(decoder, value, &items, out);
}

static int decode_addresses(struct decoder *decoder, const struct node *value, void *out)
{
	struct object_endpoint *endpoint = out;

	return decode_strs(decoder, value, &endpoint->addresses, &endpoint->address_count);
}

static int decode_conditions(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "ready", decode_bool, offsetof(struct object_endpoint, is_ready), 0, NULL },
		{ "serving", decode_bool, offsetof(struct object_endpoint, is_serving), 0, NULL },
		{ "terminating", decode_bool, offsetof(struct object_endpoint, is_terminating), 0,
		  NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);

	return decode_fields(decoder, value, &table, out);
}

static int decode_target(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "name", decode_str, offsetof(struct object_endpoint, target), 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, false);

	return decode_fields(decoder, value, &table, out);
}

static int decode_endpoint(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "addresses", decode_addresses, 0, DECODE_REQUIRED, NULL },
		{ "conditions", decode_conditions, 0, 0, NULL },
		{ "nodeName", decode_str, offsetof(struct object_endpoint, node), 0, NULL },
		{ "zone", decode_str, offsetof(struct object_endpoint, zone), 0, NULL },
		{ "targetRef", decode_target, 0, 0, NULL },
		{ "hostname", NULL, 0, 0, NULL },
		{ "hints", NULL, 0, 0, NULL },
		{ "deprecatedTopology", NULL, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object_endpoint *endpoint = out;

	/* KEP-1672: unknown is ready and serving. */
	endpoint->is_ready = true;
	endpoint->is_serving = true;
	endpoint->line = value->line;
	endpoint->index = decoder->here->index;
	return decode_fields(decoder, value, &table, endpoint);
}

static int decode_endpoints(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_items items =
		DECODE_ITEMS(struct object_endpoint_slice, endpoints, endpoint_count,
			     decode_endpoint, "endpoint");

	return decode_items(decoder, value, &items, out);
}

static int decode_address_type(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_word words[] = { { "IPv4", 0 }, { "IPv6", 0 }, { "FQDN", 0 } };
	int choice;
	int rc = decode_choice(decoder, value, words, sizeof(words) / sizeof(words[0]), &choice);

	return rc < 0 ? rc : decode_str(decoder, value, out);
}

int decode_endpoint_slice(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "addressType", decode_address_type,
		  offsetof(struct object_endpoint_slice, address_type), DECODE_REQUIRED, NULL },
		{ "ports", decode_slice_ports, 0, 0, NULL },
		{ "endpoints", decode_endpoints, 0, 0, NULL },
		{ "apiVersion", NULL, 0, 0, NULL },
		{ "kind", NULL, 0, 0, NULL },
		{ "metadata", NULL, 0, 0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, true);
	struct object *object = out;

	object->endpoint_slice.service = object_pairs_find(object->labels, STR(SERVICE_NAME_LABEL));
	return decode_fields(decoder, value, &table, &object->endpoint_slice);
}
