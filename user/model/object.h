/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object: Kubernetes API objects as they were delivered.
 *
 * Plain structs, decoded and typed but not judged: defaults of the API are
 * filled in, conflicts are not settled, references are not followed. kube makes
 * them, compile reads them. Only the fields that sluice acts on are kept.
 *
 * Ownership: one object is one arena with everything it points to. Objects are
 * immutable after decoding; a change of an object is a new object. A str that
 * the manifest left out has at == NULL.
 *
 * Lines are those of the manifest (first line = 1); 0 where the object came from
 * an API server.
 */
#ifndef SLUICE_MODEL_OBJECT_H
#define SLUICE_MODEL_OBJECT_H

#include "base/arena.h"
#include "base/str.h"

enum object_kind {
	OBJECT_KIND_INGRESS,        /* networking.k8s.io/v1 */
	OBJECT_KIND_INGRESS_CLASS,  /* networking.k8s.io/v1 */
	OBJECT_KIND_SERVICE,        /* v1 */
	OBJECT_KIND_ENDPOINT_SLICE, /* discovery.k8s.io/v1 */
	OBJECT_KIND_SECRET,         /* v1 */
	OBJECT_KIND_CONFIG_MAP,     /* v1 */
	OBJECT_KIND_COUNT,
};

/* "Ingress", "IngressClass", ... */
const char *object_kind_name(enum object_kind kind);

/* A label, an annotation, or one key of a Secret or ConfigMap (decoded from base64). */
struct object_pair {
	struct str key;
	struct str value;
	uint32_t line;
};

struct object_pairs {
	const struct object_pair *at;
	uint32_t count;
};

/* The value of @key, or a str with at == NULL. */
struct str object_pairs_find(struct object_pairs pairs, struct str key);

/* A port by name or by number: name.at == NULL when it is a number. */
struct object_port {
	struct str name;
	uint16_t number;
};

/* ------------------------------------------------------------------ Ingress */

enum object_backend_kind {
	OBJECT_BACKEND_NONE,
	OBJECT_BACKEND_SERVICE,
	OBJECT_BACKEND_RESOURCE,
	OBJECT_BACKEND_BOTH, /* refused by compile, as the API server refuses it */
};

struct object_backend {
	enum object_backend_kind kind;
	uint32_t line;
	struct str service;      /* service.name */
	struct object_port port; /* service.port */
	uint32_t service_line, port_line;
	struct str resource_group, resource_kind, resource_name;
};

enum object_path_type {
	OBJECT_PATH_EXACT,
	OBJECT_PATH_PREFIX,
	OBJECT_PATH_IMPLEMENTATION_SPECIFIC,
	OBJECT_PATH_UNKNOWN, /* some other text, kept in path_type_text */
};

struct object_path {
	struct str path; /* as written; empty when left out */
	enum object_path_type type;
	struct str type_text;
	struct object_backend backend;
	uint32_t line, type_line;
	uint32_t index; /* its place in the list as written: others may have been left out */
};

struct object_rule {
	struct str host; /* as written; empty = every host */
	const struct object_path *paths;
	uint32_t path_count;
	uint32_t line;
	uint32_t index; /* as above */
};

struct object_tls {
	const struct str *hosts;
	uint32_t host_count;
	struct str secret; /* secretName */
	uint32_t line, secret_line;
	uint32_t index; /* as above */
};

struct object_ingress {
	struct str class_name; /* spec.ingressClassName */
	struct object_backend default_backend;
	const struct object_rule *rules;
	uint32_t rule_count;
	const struct object_tls *tls;
	uint32_t tls_count;
};

struct object_ingress_class {
	struct str controller;
	bool is_default; /* ingressclass.kubernetes.io/is-default-class: "true" */
	/* spec.parameters; parameters_kind.at == NULL when there are none */
	struct str parameters_group, parameters_kind, parameters_name, parameters_namespace;
	uint32_t parameters_line;
};

/* ------------------------------------------------------- Service, endpoints */

enum object_protocol { OBJECT_PROTOCOL_TCP, OBJECT_PROTOCOL_UDP, OBJECT_PROTOCOL_SCTP };

enum object_service_type {
	OBJECT_SERVICE_CLUSTER_IP, /* NodePort and LoadBalancer too */
	OBJECT_SERVICE_EXTERNAL_NAME,
};

struct object_service_port {
	struct str name; /* empty when the only port has none */
	uint16_t port;
	struct object_port target_port;
	enum object_protocol protocol;
	struct str app_protocol;
	uint32_t line;
};

struct object_service {
	enum object_service_type type;
	struct str cluster_ip;    /* "None" for a headless Service */
	struct str external_name; /* for EXTERNAL_NAME */
	const struct object_service_port *ports;
	uint32_t port_count;
};

/* The port of a slice is already the target port; it is found by the Service port's name. */
struct object_slice_port {
	struct str name;
	uint16_t port; /* 0: every port */
	enum object_protocol protocol;
};

/* Conditions default as KEP-1672 has it: ready and serving true when absent, terminating false. */
struct object_endpoint {
	const struct str *addresses;
	uint32_t address_count;
	bool is_ready;
	bool is_serving;
	bool is_terminating;
	struct str node, zone, target; /* target: targetRef.name, the pod */
	uint32_t line;
	uint32_t index; /* its place in the list as written */
};

struct object_endpoint_slice {
	struct str service; /* label kubernetes.io/service-name */
	struct str address_type;
	const struct object_slice_port *ports;
	uint32_t port_count;
	const struct object_endpoint *endpoints;
	uint32_t endpoint_count;
};

/* --------------------------------------------------------- Secret, ConfigMap */

struct object_secret {
	struct str type;          /* "kubernetes.io/tls", "Opaque", ... */
	struct object_pairs data; /* data (base64 decoded) and stringData */
};

struct object_config_map {
	struct object_pairs data; /* data and binaryData */
};

/* ------------------------------------------------------------------- object */

struct object {
	struct arena arena; /* owns everything below */
	enum object_kind kind;
	struct str namespace; /* "default" when left out; empty for IngressClass */
	struct str name;
	struct str uid;
	/* One number for one decoded object, from object_serial(); 0: unknown, never remembered. */
	uint64_t serial;
	int64_t created_s; /* creationTimestamp, seconds since 1970; 0 when absent */
	struct object_pairs labels;
	struct object_pairs annotations;
	struct str file; /* manifest it stands in; at == NULL from an API server */
	uint32_t line;   /* where the document begins */
	union {
		struct object_ingress ingress;
		struct object_ingress_class ingress_class;
		struct object_service service;
		struct object_endpoint_slice endpoint_slice;
		struct object_secret secret;
		struct object_config_map config_map;
	};
};

/* The next serial: no two objects of a process have the same one. Any thread. */
uint64_t object_serial(void);

/* Frees the object with all it owns; accepts NULL. */
void object_free(struct object *object);

/*
 * What the source holds now, sorted by namespace and name within each kind.
 * Borrowed: good until the next change of the store.
 */
struct object_set {
	struct {
		const struct object *const *at;
		size_t count;
	} of[OBJECT_KIND_COUNT];
};

/* The object of that kind, namespace and name, or NULL. Binary search. */
const struct object *object_set_find(const struct object_set *set, enum object_kind kind,
				     struct str namespace, struct str name);
/* Where it stands in its array, or the array's count. */
size_t object_set_position(const struct object_set *set, enum object_kind kind,
			   struct str namespace, struct str name);

#endif
