/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: what the objects mean, checked and settled.
 *
 * Between the objects as they were delivered (object.h) and the image that the
 * proxy reads stands the model: hosts and paths in normal form, defaults filled
 * in, every conflict decided, references followed. compile/ builds it and writes
 * it down; a dump of it is what a person reads to learn what sluice understood.
 *
 *   vhosts[]  ──► routes[] of one vhost, by path key and kind
 *                   ├──► backends[]   Service port, not its endpoints
 *                   ├──► policies[]   equal ones are one
 *                   └──► source       the Ingress, its rule and path
 *   tls_hosts[] ──► certs[]           pairs that were checked
 *
 * Indices refer to the arrays of the same model. Texts belong to the model's arena,
 * to the compiler, or are borrowed from the objects it was made of: a model is good
 * for as long as those objects are.
 */
#ifndef SLUICE_MODEL_MODEL_H
#define SLUICE_MODEL_MODEL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cert_facts.h"
#include "base/err.h"
#include "base/vec.h"
#include "model/object.h"

/* "There is none", wherever the model holds an index. */
#define MODEL_NONE UINT32_MAX

/* ------------------------------------------------------------------ policy */

enum model_profile {
	MODEL_PROFILE_SLUICE,        /* correct and secure first */
	MODEL_PROFILE_INGRESS_NGINX, /* what users of ingress-nginx are used to */
	MODEL_PROFILE_CONFORMANCE,   /* as sluice, without redirects to https */
	MODEL_PROFILE_COUNT,
};

/* "sluice", "ingress-nginx", "conformance". */
const char *model_profile_name(enum model_profile profile);

/* How a route behaves. Compared as bytes: no holes that are not zero. */
struct model_policy {
	uint64_t body_max_bytes; /* 0: unlimited */
	uint32_t connect_timeout_ms, read_timeout_ms, send_timeout_ms;
	uint32_t hsts_max_age_s;
	uint32_t profile; /* enum model_profile */
	uint16_t redirect_status;
	bool ssl_redirect;
	bool force_ssl_redirect;
	bool preserve_trailing_slash;
	bool hsts, hsts_subdomains, hsts_preload;
	bool deny;      /* a security setting is not in force: 503 */
	uint8_t pad[7]; /* zero */
};

_Static_assert(sizeof(struct model_policy) == 48, "no holes");

/* The defaults of a profile (SEMANTICS 1.2). */
void model_policy_init(struct model_policy *policy, enum model_profile profile);

/* ------------------------------------------------------------------ routes */

enum model_route_kind {
	MODEL_ROUTE_EXACT,
	MODEL_ROUTE_PREFIX,
	MODEL_ROUTE_DEFAULT, /* of a vhost, or of the class: no path */
};

/* "exact", "prefix", "default". */
const char *model_route_kind_name(enum model_route_kind kind);

/* Where a route was written. */
struct model_source {
	const struct object *object; /* Ingress, or what holds the class's settings; may be NULL */
	uint32_t line;
	uint32_t rule; /* spec.rules[rule]; MODEL_NONE: spec.defaultBackend or a setting */
	uint32_t path; /* .http.paths[path], or MODEL_NONE */
};

struct model_route {
	struct str path; /* path key; "" for a default */
	enum model_route_kind kind;
	uint32_t vhost;   /* MODEL_NONE: the class's default */
	uint32_t backend; /* MODEL_NONE: nobody serves it, the answer is 503 */
	uint32_t policy;
	struct model_source source;
};

/* New connections a second; per_s 0: no limit. */
struct model_rate {
	uint32_t per_s, burst;
};

struct model_vhost {
	struct str host;        /* host key; "" for the catch-all */
	bool has_tls;           /* some Ingress has a TLS entry for it */
	uint32_t default_route; /* or MODEL_NONE */
	uint32_t id;            /* stable between generations */
	uint64_t dispatch_hash; /* key in the map `hosts` */
	uint16_t worker_first, worker_spread;
	struct model_rate connection_rate; /* the lowest of the Ingresses that name it */
	const struct object *object;       /* the oldest Ingress that names it */
	uint32_t number;                   /* compile's own: of the host */
};

/* ---------------------------------------------------------------- backends */

/* A Service port that a route names. */
struct model_backend {
	uint32_t id; /* stable between generations: the index in the endpoints segment */
	struct str namespace, service;
	struct str port;             /* its number, or as written where unresolved */
	const struct object *object; /* the Service, or NULL where it is missing */
	const struct object_service_port *service_port; /* NULL: nobody can serve it */
};

/* ------------------------------------------------------------ certificates */

/* What a check of a pair told about the certificate. */
struct model_cert {
	const struct object *object; /* the Secret */
	struct str chain, key;       /* PEM */
	struct cert_facts facts;
};

/* A server name for which somebody wants TLS. */
struct model_tls_host {
	struct str host;             /* host key, wildcards too */
	uint32_t cert;               /* MODEL_NONE: the default certificate */
	const struct object *object; /* the Ingress that decided it */
	uint32_t number;             /* compile's own: of the host */
};

/* ------------------------------------------------------------------- model */

struct model {
	struct arena arena;
	struct VEC(struct model_vhost) vhosts;
	struct VEC(struct model_route) routes;
	struct VEC(struct model_policy) policies;
	struct VEC(struct model_backend) backends;
	struct VEC(struct model_cert) certs;
	struct VEC(struct model_tls_host) tls_hosts;
	uint32_t default_route; /* of the class, or MODEL_NONE */
	uint32_t default_cert;  /* or MODEL_NONE */
	/* Nobody serves hosts without a vhost, and connections for them are dropped. */
	bool drops_unknown;
};

void model_init(struct model *model);
void model_release(struct model *model);
/* Empty again, memory kept. */
void model_reset(struct model *model);

/*
 * Checks that the model holds together: indices, normal forms, one route a path and kind, one
 * default a vhost. 0, or -EINVAL with a text: a mistake of compile/, not of a user.
 */

int model_check(const struct model *model, struct err *err);

/* The whole model as text, hosts and paths in order: the format of the golden files. */
void model_dump(const struct model *model, struct buf *out);

#endif
