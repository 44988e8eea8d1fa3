/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build: what the steps of a compilation share. Private to compile/.
 *
 *   seen.c      which objects are the same as in the generation before
 *   select.c    our Ingresses, oldest first; the settings of their classes
 *   keep.c      what the generation before made of an Ingress, taken over where it still holds
 *   routes.c    rules → vhosts and routes; who wins a conflict
 *   backends.c  Service names and ports → backends
 *   certs.c     TLS entries → server names and certificates
 *   dispatch.c  vhosts → workers, and the plan
 *   write.c     the model → bytes of image and certs
 *   endpoints.c EndpointSlices → bytes of endpoints
 */
#ifndef SLUICE_COMPILE_BUILD_H
#define SLUICE_COMPILE_BUILD_H

#include "base/addr.h"
#include "base/vec.h"
#include "compile/compile.h"
#include "compile/ids.h"
#include "compile/lookup.h"
#include "compile/seen.h"
#include "compile/settings.h"

/* ------------------------------------------------- kept between generations */

/* A Secret that was looked at. */
struct cert_entry {
	struct arena arena; /* owns all texts here */
	struct str namespace, name;
	uint64_t hash;
	uint64_t serial;      /* of the Secret when it was checked; 0: check again */
	uint64_t round;       /* the last compilation that asked for it... */
	uint32_t position;    /* ...and where in the set the Secret stood; or SEEN_NONE */
	const char *reason;   /* of the finding; NULL: a good pair */
	struct str complaint; /* why it is not good */
	const char *field;    /* of the Secret that is to blame... */
	uint32_t line;        /* ...and its line */
	struct cert_facts facts;
	uint32_t cert; /* in the model of that round, or MODEL_NONE */
};

struct cert_cache {
	struct lookup table;
	struct VEC(struct cert_entry *) entries;
	uint64_t round;
	uint64_t written_digest; /* of the certs last written */
	bool has_written;
};

/* A Service that a route or an EndpointSlice names, by the number that stays with its name. */
struct known_service {
	uint64_t group_round;   /* the compilation of routes that group belongs to */
	uint64_t changed_round; /* the last one of endpoints in which a slice came, changed or went
				 */
	uint64_t complaint_round; /* the last one with a finding, which is to come again */
	uint32_t group;
};

/* The backends of one Service, side by side below. */
struct service_group {
	uint32_t number; /* of the Service */
	uint32_t first, count;
};

/* What compile_endpoints has to know of routes and Services. */
struct service_groups {
	struct VEC(struct service_group) groups;
	struct VEC(uint32_t) backends;     /* indices in the model */
	struct VEC(uint32_t) unserved_ids; /* backends without Service or port */
};

/* An endpoint of a backend. */
struct member {
	uint32_t id;
	struct addr addr;
	uint8_t flags;
	uint32_t name_at, name_len; /* among the names below */
};

/* The members of all backends in one generation. */
struct compiled_endpoints {
	struct VEC(struct member) members;
	struct VEC(char) names; /* copied: the slices lie all over the heap */
};

/* Where the members of a backend are, by its id. */
struct backend_members {
	uint64_t round;          /* of compile_endpoints; 0: to be compiled again */
	uint64_t service_serial; /* of the Service that said which port */
	size_t first;
	uint32_t count;
};

/* What compile_endpoints knows of an endpoint id. */
struct endpoint_mark {
	uint64_t record_round; /* the compilation that record and flags belong to */
	uint64_t member_turn;  /* the backend, of all compilations, that member belongs to */
	uint32_t record;       /* index in the writer */
	uint32_t member;       /* index among the members of that backend */
	uint8_t flags;         /* of the record */
};

/*
 * A host that a rule or a TLS entry names, found by the number that stays with its name: what is
 * worked out from the name alone, and what this compilation knows of it.
 */
struct known_host {
	uint64_t born;          /* as ids has it: a younger name under this number has another */
	uint64_t dispatch_hash; /* key in the map `hosts` */
	uint64_t vhost_round;   /* the compilation that vhost belongs to */
	uint64_t tls_round;     /* and tls_host */
	uint64_t id_round;      /* the last one that used host_id */
	uint64_t sorted_round;  /* the last one that found it among the sorted hosts */
	uint32_t vhost, tls_host;
	uint32_t host_id;
	uint16_t worker_first;
	bool is_placed; /* dispatch_hash and worker_first are known */
};

/* What is sorted: small, and the hosts stay where they are. */
struct sorted_host {
	uint64_t hash;
	uint32_t number; /* of the host */
	uint32_t vhost;  /* of two that hash alike the older comes first */
};

/*
 * What one Ingress of ours became. All that it alone added stands side by side in the model, so a
 * later generation can take it over piece by piece (keep.c).
 */
struct unit {
	const struct object *object;
	int64_t created_s;
	uint32_t class;  /* index into classes */
	uint32_t policy; /* in the model */
	struct model_rate connection_rate;
	uint32_t vhost_first, vhost_count;
	uint32_t route_first, route_count;
	uint32_t tls_first, tls_count;
	uint32_t secret_first, secret_count;
	uint32_t before;  /* the unit that it was taken over from, or MODEL_NONE */
	bool is_plain;    /* it found nothing of others in its way, and no cause for complaint */
	bool has_shared;  /* others added to a vhost that it made */
	bool is_laid_out; /* its vhosts in the image are those of the image before */
};

/* A Secret that a unit asked for. */
struct unit_secret {
	struct cert_entry *entry;
	uint64_t serial;
};

/* Where a backend comes from. */
struct backend_origin {
	uint32_t service; /* where its Service stands in the set, or SEEN_NONE */
	uint32_t before;  /* index in the model before, or MODEL_NONE: made anew */
	uint32_t number;  /* of the Service */
	uint64_t service_serial;
};

/* One generation, as the next one finds it. */
struct compiled {
	struct model model;
	struct VEC(struct unit) units;          /* oldest Ingress first */
	struct VEC(uint32_t) unit_of;           /* by Ingress of the set; MODEL_NONE: others' */
	struct VEC(struct unit_secret) secrets; /* unit after unit */
	struct VEC(struct cert_entry *) tls_secrets; /* by TLS host of the model; may be NULL */
	struct VEC(struct backend_origin) backends;  /* by backend of the model */
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
	struct seen seen[OBJECT_KIND_COUNT];
	struct compiled compiled[2];
	struct compiled *now, *before; /* the two of them; before has no units: nothing is kept */
	bool has_model;
	bool has_same_backends; /* as compile_endpoints found them */
	uint64_t round;         /* counts calls of compile_routes */
	struct arena texts;     /* of models, for as long as units that use them are taken over */
	size_t texts_at_first;  /* its size when last nothing was taken over */
	struct ids host_names;  /* numbers of hosts, never of the same name twice */
	struct image_writer *image_writer;
	size_t image_texts_at_first;
	struct VEC(struct known_host) known_hosts;   /* by number of the host */
	struct VEC(struct sorted_host) sorted_hosts; /* as last planned */
	struct VEC(struct compile_spread) spreads;   /* by hash */
	struct buf name;                             /* room for one */
	struct service_groups service_groups;
	struct ids service_names; /* numbers of Services */
	size_t service_names_at_first;
	struct VEC(struct known_service) known_services; /* by number */
	struct VEC(uint32_t) slice_services;             /* number, by slice of the set last seen */
	struct compiled_endpoints endpoints_now, endpoints_before;
	struct VEC(struct backend_members) backend_members; /* by backend id */

	/* good during one call; kept for their memory */
	struct lookup route_table, policy_table, backend_table;
	struct VEC(uint32_t) backend_of_id;              /* by backend id: index in the model + 1 */
	struct VEC(struct endpoint_mark) endpoint_marks; /* by endpoint id */
	uint64_t endpoints_round, backend_turn;
};

/* --------------------------------------------------------- one compilation */

/* An IngressClass of ours with its settings; the first two stand for classes without object. */
struct build_class {
	const struct object *object;
	struct settings settings;
	uint32_t policy; /* of settings.policy */
};

/* An Ingress of ours. */
struct build_ingress {
	const struct object *object;
	uint32_t class;    /* index into classes */
	uint32_t position; /* in the set */
	int64_t created_s;
	uint32_t before; /* its unit in the generation before where object and class are the same */
};

/* A vhost, as seen by those who come to it after the Ingress that made it. */
struct vhost_mark {
	uint32_t ordinal; /* of the last Ingress that named it */
	bool is_filed;    /* its routes stand in route_table */
	bool is_shared;   /* it is not one Ingress's alone */
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
	uint32_t last_reference;                   /* neighbours mostly share it */
	size_t next_service;                       /* in the set: behind the one found last */
	struct VEC(struct vhost_mark) vhost_marks; /* by vhost */
	uint32_t tls_wildcard_count;
	int64_t now_s;

	/* default route of a vhost, of the oldest Ingress that has rules and one; or MODEL_NONE */
	uint32_t fallback;

	/* the Ingress at hand */
	const struct object *ingress;
	uint32_t ordinal; /* first = 1 */
	uint32_t policy;
	struct model_rate connection_rate;
	bool is_plain;                       /* as in struct unit, so far */
	struct VEC(uint32_t) ingress_vhosts; /* the hosts it names, as vhosts, each once */

	/* what is taken over */
	struct VEC(uint32_t) backend_map; /* by backend of before: now, or MODEL_NONE: not yet */
	struct VEC(uint32_t) policy_map;

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

/* The number of @host, by which known_hosts has it. "" is the catch-all. */
uint32_t build_host_number(struct build *build, struct str host);

/* Files the routes of a vhost that was taken over, for those who add to it. */
void routes_file_vhost(struct build *build, uint32_t vhost);

/* The names under which ids are kept. */
void backend_name(struct buf *out, struct str namespace, struct str service, struct str port);
enum { ENDPOINT_NAME_BYTES = 18 }; /* address, then port, low byte first */
struct str endpoint_id_name(const uint8_t ip[16], uint16_t port, char room[ENDPOINT_NAME_BYTES]);

/* select.c: fills in classes and ingresses. */
void select_ingresses(struct build *build);

/*
 * routes.c: vhosts and routes of the Ingress at hand; then the default route of the class, and what
 * becomes of hosts that nobody serves.
 */
void routes_add_ingress(struct build *build);
void routes_add_class_default(struct build *build);
void routes_decide_unknown(struct build *build);

/* backends.c: the backend of @wanted; complains about what is missing as of @source. */
uint32_t backends_get(struct build *build, const struct build_reference *wanted,
		      const struct model_source *source);
/* The backend with the id of @backend, added where the model does not have it. */
uint32_t backends_add(struct build *build, const struct model_backend *backend,
		      struct backend_origin origin);
/* The number of a Service, by which known_services has it. */
uint32_t service_number(struct compiler *compiler, struct str namespace, struct str service);
/* Files the backends of the model by Service, for compile_endpoints. */
void backends_group(struct compiler *compiler);

/* Route @index is a default of a vhost: the class may fall back on it. */
void routes_note_default(struct build *build, uint32_t index);

/* Adds a vhost, or a TLS host, of which there is none yet. Their indices. */
uint32_t routes_new_vhost(struct build *build, const struct model_vhost *vhost);
uint32_t certs_new_tls_host(struct build *build, const struct model_tls_host *tls_host);

/*
 * keep.c: takes over what became of the Ingress in the generation before, with the same result as
 * if it were compiled again. False, and nothing done, where something else than the Ingress itself
 * may have changed what becomes of it.
 */
bool keep_ingress(struct build *build, const struct build_ingress *ingress);
/* Before the first: what of the backends and policies of before there is to be taken. */
void keep_init(struct build *build);

/* certs.c: TLS entries of the Ingress at hand; then what concerns all of them. */
void certs_add_ingress(struct build *build);
void certs_finish(struct build *build);
void cert_cache_release(struct cert_cache *cache);
/* Whether a Secret is good and the same as when it had @serial, and gives no cause for complaint.
 */
bool certs_is_same(const struct build *build, const struct cert_entry *entry, uint64_t serial);
/* What is known of a Secret: looked at once in a compilation. */
void certs_look_at(struct build *build, struct cert_entry *entry);

/* endpoints.c: forgets what was compiled before. */
void endpoints_forget(struct compiler *compiler);

/* dispatch.c: worker sets, host ids, and the plan. */
void dispatch_plan(struct build *build, struct plan *plan);

/* write.c: 0, or -EFBIG with a finding. */
int write_image(struct build *build, struct compile_output *output);
int write_certs(struct build *build, struct compile_output *output);

#endif
