/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects: Kubernetes objects made by hand, for tests and benchmarks of compile/.
 *
 *   struct objects objects;
 *   objects_init(&objects);
 *   ingress = objects_ingress(&objects, "shop", "web");
 *   objects_path(ingress, "a.example", "/", OBJECT_PATH_PREFIX, "web:80");
 *   objects_service(&objects, "shop", "web", "http:80");
 *   set = objects_set(&objects);
 *
 * A name of a class, Service and so on is copied. What comes without a line of its
 * own has line 0. Sizes are fixed: this is for small worlds, and for large ones of
 * many small objects.
 */
#ifndef SLUICE_SELFTESTS_OBJECTS_H
#define SLUICE_SELFTESTS_OBJECTS_H

#include <assert.h>
#include <stdlib.h>

#include "base/vec.h"
#include "model/object.h"

enum { OBJECTS_PARTS_MAX = 64 }; /* rules, paths, endpoints, ... of one object */

struct objects {
	struct VEC(const struct object *) of[OBJECT_KIND_COUNT];
};

static inline void objects_init(struct objects *objects)
{
	*objects = (struct objects){ 0 };
}

static inline void objects_release(struct objects *objects)
{
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		for (size_t i = 0; i < objects->of[kind].len; i++)
			object_free((struct object *)objects->of[kind].at[i]); /* ours */
		vec_release(&objects->of[kind]);
	}
}

static inline struct str objects_text(struct object *object, const char *text)
{
	return text ? arena_copy(&object->arena, str_from_c(text)) : str_of(NULL, 0);
}

static inline struct object *objects_add(struct objects *objects, enum object_kind kind,
					 const char *namespace, const char *name)
{
	struct object *object = mem_new(1, sizeof(*object));

	arena_init(&object->arena, 0);
	object->kind = kind;
	object->namespace = objects_text(object, namespace);
	object->name = objects_text(object, name);
	object->serial = object_serial();
	*vec_push(&objects->of[kind]) = object;
	return object;
}

/* Takes the object out of the world and frees it. */
static inline void objects_remove(struct objects *objects, const struct object *object)
{
	enum object_kind kind = object->kind;
	size_t kept = 0;

	for (size_t i = 0; i < objects->of[kind].len; i++) {
		if (objects->of[kind].at[i] != object)
			objects->of[kind].at[kept++] = objects->of[kind].at[i];
	}
	objects->of[kind].len = kept;
	object_free((struct object *)object); /* ours */
}

static inline int objects_compare(const void *a, const void *b)
{
	const struct object *const *left = a, *const *right = b;
	int order = str_compare((*left)->namespace, (*right)->namespace);

	return order ? order : str_compare((*left)->name, (*right)->name);
}

static inline struct object_set objects_set(struct objects *objects)
{
	struct object_set set = { 0 };

	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		if (objects->of[kind].len)
			qsort(objects->of[kind].at, objects->of[kind].len,
			      sizeof(*objects->of[kind].at), objects_compare);
		set.of[kind].at = objects->of[kind].at;
		set.of[kind].count = objects->of[kind].len;
	}
	return set;
}

static inline void objects_annotate(struct object *object, const char *key, const char *value)
{
	struct object_pair *pairs = (struct object_pair *)object->annotations.at; /* ours */

	if (!pairs)
		pairs = arena_new(&object->arena, OBJECTS_PARTS_MAX, sizeof(*pairs));
	assert(object->annotations.count < OBJECTS_PARTS_MAX);
	pairs[object->annotations.count] =
		(struct object_pair){ .key = objects_text(object, key),
				      .value = objects_text(object, value) };
	object->annotations.at = pairs;
	object->annotations.count++;
}

/* "80" or "http" */
static inline struct object_port objects_port(struct object *object, struct str text)
{
	uint64_t number;

	if (str_parse_u64(text, UINT16_MAX, &number) == 0)
		return (struct object_port){ .number = (uint16_t)number };
	return (struct object_port){ .name = arena_copy(&object->arena, text) };
}

/* "web:80", "web:http" */
static inline struct object_backend objects_backend(struct object *object, const char *text)
{
	struct str rest = str_from_c(text), service, port = STR("");

	str_take_part(&rest, ':', &service);
	str_take_part(&rest, ':', &port);
	return (struct object_backend){ .kind = OBJECT_BACKEND_SERVICE,
					.service = arena_copy(&object->arena, service),
					.port = objects_port(object, port) };
}

/* Of class "sluice". */
static inline struct object *objects_ingress(struct objects *objects, const char *namespace,
					     const char *name)
{
	struct object *object = objects_add(objects, OBJECT_KIND_INGRESS, namespace, name);

	object->ingress.class_name = STR("sluice");
	return object;
}

/* A path of the last rule where that has the same host, else of a new one. */
static inline void objects_path(struct object *object, const char *host, const char *path,
				enum object_path_type type, const char *backend)
{
	struct object_ingress *ingress = &object->ingress;
	struct object_rule *rules = (struct object_rule *)ingress->rules; /* ours */
	struct object_rule *rule;

	if (!rules)
		rules = arena_new(&object->arena, OBJECTS_PARTS_MAX, sizeof(*rules));
	ingress->rules = rules;
	rule = &rules[ingress->rule_count ? ingress->rule_count - 1 : 0];
	if (!ingress->rule_count || !str_eq_c(rule->host, host)) {
		assert(ingress->rule_count < OBJECTS_PARTS_MAX);
		rule = &rules[ingress->rule_count];
		rule->index = ingress->rule_count++;
		rule->host = objects_text(object, host);
		rule->paths = arena_new(&object->arena, OBJECTS_PARTS_MAX, sizeof(*rule->paths));
	}
	assert(rule->path_count < OBJECTS_PARTS_MAX);
	*(struct object_path *)&rule->paths[rule->path_count] = /* ours */
		(struct object_path){ .path = objects_text(object, path),
				      .type = type,
				      .index = rule->path_count,
				      .backend = objects_backend(object, backend) };
	rule->path_count++;
}

/* @hosts: separated by spaces; @secret may be NULL. */
static inline void objects_tls(struct object *object, const char *hosts, const char *secret)
{
	struct object_ingress *ingress = &object->ingress;
	struct object_tls *tls = (struct object_tls *)ingress->tls; /* ours */
	struct str rest = str_from_c(hosts), host, *to;

	if (!tls)
		tls = arena_new(&object->arena, OBJECTS_PARTS_MAX, sizeof(*tls));
	ingress->tls = tls;
	assert(ingress->tls_count < OBJECTS_PARTS_MAX);
	tls += ingress->tls_count;
	tls->index = ingress->tls_count++;
	tls->secret = objects_text(object, secret);
	tls->hosts = to = arena_new(&object->arena, OBJECTS_PARTS_MAX, sizeof(*to));
	while (str_take_part(&rest, ' ', &host)) {
		if (host.len)
			to[tls->host_count++] = arena_copy(&object->arena, host);
	}
}

/* @ports: "http:80 metrics:9090"; ":80" has no name. */
static inline struct object *objects_service(struct objects *objects, const char *namespace,
					     const char *name, const char *ports)
{
	struct object *object = objects_add(objects, OBJECT_KIND_SERVICE, namespace, name);
	struct object_service *service = &object->service;
	struct object_service_port *to = arena_new(&object->arena, OBJECTS_PARTS_MAX, sizeof(*to));
	struct str rest = str_from_c(ports), port;

	service->ports = to;
	while (str_take_part(&rest, ' ', &port)) {
		struct str port_name, number = STR("0");

		str_take_part(&port, ':', &port_name);
		str_take_part(&port, ':', &number);
		to[service->port_count].name = arena_copy(&object->arena, port_name);
		to[service->port_count++].port = objects_port(object, number).number;
	}
	return object;
}

/* One port, "http:8080"; ready endpoints "10.0.0.1 10.0.0.2", an address each. */
static inline struct object *objects_slice(struct objects *objects, const char *namespace,
					   const char *name, const char *service)
{
	struct object *object = objects_add(objects, OBJECT_KIND_ENDPOINT_SLICE, namespace, name);

	object->endpoint_slice.service = objects_text(object, service);
	object->endpoint_slice.address_type = STR("IPv4");
	return object;
}

static inline void objects_slice_port(struct object *object, const char *name, uint16_t port)
{
	struct object_endpoint_slice *slice = &object->endpoint_slice;
	struct object_slice_port *ports = (struct object_slice_port *)slice->ports; /* ours */

	if (!ports)
		ports = arena_new(&object->arena, OBJECTS_PARTS_MAX, sizeof(*ports));
	slice->ports = ports;
	ports[slice->port_count].name = objects_text(object, name);
	ports[slice->port_count++].port = port;
}

static inline struct object_endpoint *objects_endpoint(struct object *object, const char *address)
{
	struct object_endpoint_slice *slice = &object->endpoint_slice;
	struct object_endpoint *endpoints = (struct object_endpoint *)slice->endpoints; /* ours */
	struct str *addresses = arena_new(&object->arena, 1, sizeof(*addresses));

	if (!endpoints)
		endpoints = arena_new(&object->arena, OBJECTS_PARTS_MAX, sizeof(*endpoints));
	slice->endpoints = endpoints;
	assert(slice->endpoint_count < OBJECTS_PARTS_MAX);
	endpoints += slice->endpoint_count;
	*addresses = objects_text(object, address);
	*endpoints = (struct object_endpoint){ .addresses = addresses,
					       .address_count = 1,
					       .is_ready = true,
					       .is_serving = true,
					       .index = slice->endpoint_count++ };
	return endpoints;
}

static inline struct object *objects_secret(struct objects *objects, const char *namespace,
					    const char *name, const char *chain, const char *key)
{
	struct object *object = objects_add(objects, OBJECT_KIND_SECRET, namespace, name);
	struct object_pair *pairs = arena_new(&object->arena, 2, sizeof(*pairs));

	object->secret.type = STR("kubernetes.io/tls");
	object->secret.data.at = pairs;
	pairs[0] = (struct object_pair){ STR("tls.crt"), objects_text(object, chain), 0 };
	pairs[1] = (struct object_pair){ STR("tls.key"), objects_text(object, key), 0 };
	object->secret.data.count = 2;
	return object;
}

#endif
