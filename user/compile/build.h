/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build: what the steps of a compilation share. Private to compile/.
 *
 *   select.c    which Ingresses are ours, oldest first; the settings of their classes
 *   routes.c    rules → vhosts and routes; who wins a conflict
 *   backends.c  Service names and ports → backends
 *   certs.c     TLS entries → server names and certificates
 *   dispatch.c  vhosts → workers, and the plan
 *   write.c     the model → bytes of image and certs
 *   endpoints.c EndpointSlices → bytes of endpoints
 */
#ifndef SLUICE_COMPILE_BUILD_H
#define SLUICE_COMPILE_BUILD_H

#include "base/vec.h"
#include "compile/compile.h"
#include "compile/ids.h"
#include "compile/lookup.h"
#include "compile/settings.h"

/* ------------------------------------------------- kept between generations */

/* A Secret that was looked at. */
struct cert_entry {
	struct arena arena; /* owns all texts here */
	struct str namespace, name;
	uint64_t hash;
	uint64_t serial;      /* of the Secret when it was checked; 0: check again */
	uint64_t round;       /* the last compilation that asked for it */
	const char *reason;   /* of the finding; NULL: a good pair */
	struct str complaint; /* why it is not good */
	const char *field;    /* of the Secret that is to blame... */
	uint32_t line;        /* ...and its line */
	struct model_cert_facts facts;
	uint32_t cert; /* in the model of that round, or MODEL_NONE */
};

struct cert_cache {
	struct lookup table;
	struct VEC(struct cert_entry *) entries;
	uint64_t round;
	uint64_t written_digest; /* of the certs last written */
	bool has_written;
};

/*
 * What compile_endpoints has to know of routes and Services: copied, side by side, since it runs
 * often and looks at all of it.
 */
struct group_backend {
	struct str port_name; /* of the Service port: a slice's port has the same */
	struct str port;      /* as the backend is named by; for findings */
	uint32_t id;
	uint16_t target_port; /* where a slice says "every port" */
};

struct service_group {
	struct str namespace, service;
	uint32_t first, count; /* of backends below */
};

struct service_groups {
	struct arena arena; /* owns the texts */
	struct lookup table;
	struct VEC(struct service_group) groups;
	struct VEC(struct group_backend) backends;
	struct VEC(uint32_t) unserved_ids; /* backends without Service or port */
};

/* What compile_endpoints knows of an endpoint id. */
struct endpoint_mark {
	uint64_t record_round; /* the compilation that record and flags belong to */
	uint64_t member_turn;  /* the backend, of all compilations, that member belongs to */
	uint32_t record;       /* index in the writer */
	uint32_t member;       /* index among the members of that backend */
	uint8_t flags;         /* of the record */
};

/* The objects of one kind that compile_routes has seen. */
struct seen_objects {
	const struct object **at;
	size_t count;
};

struct compiler {
	/* fixed after init */
	struct arena arena; /* owns the texts of the options */
	struct compile_options options;
	struct siphash_key hash_key; /* of the tables here; random */

	/* kept between generations */
	struct ids backend_ids, endpoint_ids, host_ids;
	struct VEC(struct host_value) host_values; /* by host id: as last planned */
	struct cert_cache cert_cache;
	struct seen_objects seen[OBJECT_KIND_COUNT];
	struct model model;
	bool has_model;
	struct buf name; /* room for one */
	struct service_groups service_groups;

	/* good during one call; kept for their memory */
	struct lookup vhost_table, route_table, policy_table, backend_table, tls_table;
	struct VEC(uint32_t) backend_of_id;              /* by backend id: index in the model + 1 */
	struct VEC(struct endpoint_mark) endpoint_marks; /* by endpoint id */
	uint64_t endpoints_round, backend_turn;
};

/* --------------------------------------------------------- one compilation */

/* An IngressClass of ours with its settings; class 0 is "no IngressClass object". */
struct build_class {
	const struct object *object;
	struct settings settings;
	uint32_t policy; /* of settings.policy */
};

/* An Ingress of ours. */
struct build_ingress {
	const struct object *object;
	uint32_t class; /* index into classes */
};

/* What is wrong with a backend; every route that names it says so. */
struct build_fault {
	const char *reason; /* of the finding; NULL: nothing */
	const char *field;  /* ".service.port", behind the field of the backend */
	struct str text;
};

/* A Service and port as some route writes them, and the backend that they are. */
struct build_reference {
	struct str namespace, service;
	struct object_port port;
	uint32_t service_line, port_line; /* where it says so; 0: unknown */
	uint32_t backend;                 /* MODEL_NONE: no id is left */
	struct build_fault fault;
};

/* A certificate of a TLS entry that stands for every host. */
struct build_nameless {
	uint32_t cert;
	const struct object *ingress;
};

struct build {
	struct compiler *compiler;
	const struct object_set *set;
	struct findings *findings;
	struct model *model;
	uint64_t generation;
	struct VEC(struct build_class) classes;
	struct VEC(struct build_ingress) ingresses; /* oldest first */
	struct VEC(struct build_reference) references;
	uint32_t last_reference;          /* neighbours mostly share it */
	size_t next_service;              /* in the set: behind the one found last */
	struct VEC(uint32_t) vhost_marks; /* by vhost: ordinal of the last Ingress that names it */

	/* default route of a vhost, of the oldest Ingress that has rules and one; or MODEL_NONE */
	uint32_t fallback;

	/* the Ingress at hand */
	const struct object *ingress;
	uint32_t ordinal; /* first = 1 */
	uint32_t policy;
	struct VEC(uint32_t) ingress_vhosts; /* the hosts it names, as vhosts, each once */

	/* certificates for whatever host, shown for the names that they cover themselves */
	struct VEC(struct build_nameless) nameless_certs;
};

/* A place in @object; the field lies in the model's arena. */
struct finding_place build_place(struct build *build, const struct object *object, uint32_t line,
				 const char *field_format, ...)
	__attribute__((format(printf, 4, 5)));

/* The place of the backend that @source names, with @field behind it. */
struct finding_place build_backend_place(struct build *build, const struct model_source *source,
					 const char *field);

/* The index of @policy in the model, where equal ones are one. */
uint32_t build_policy(struct build *build, const struct model_policy *policy);

/* Why @winner is before @loser: "is older", "comes first by name". */
const char *build_why_first(const struct object *winner, const struct object *loser);

/* The names under which ids are kept. */
void backend_name(struct buf *out, struct str namespace, struct str service, struct str port);
enum { ENDPOINT_NAME_BYTES = 18 }; /* address, then port, low byte first */
struct str endpoint_id_name(const uint8_t ip[16], uint16_t port, char room[ENDPOINT_NAME_BYTES]);

/* select.c: fills in classes and ingresses. */
void select_ingresses(struct build *build);

/* routes.c: vhosts and routes of the Ingress at hand; then the default route of the class. */
void routes_add_ingress(struct build *build);
void routes_add_class_default(struct build *build);

/* backends.c: the backend of @wanted; complains about what is missing as of @source. */
uint32_t backends_get(struct build *build, const struct build_reference *wanted,
		      const struct model_source *source);
/* The group of a Service, or LOOKUP_NONE. */
uint32_t service_groups_find(const struct compiler *compiler, struct str namespace,
			     struct str service);
/* Files the backends of the model by Service, for compile_endpoints. */
void backends_group(struct compiler *compiler);

/* certs.c: TLS entries of the Ingress at hand; then what concerns all of them. */
void certs_add_ingress(struct build *build);
void certs_finish(struct build *build);
void cert_cache_release(struct cert_cache *cache);

/* dispatch.c: worker sets, host ids, and the plan. */
void dispatch_plan(struct build *build, struct plan *plan);

/* write.c: 0, or -EFBIG with a finding. */
int write_image(struct build *build, struct compile_output *output);
int write_certs(struct build *build, struct compile_output *output);

#endif
