/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile: from the objects of the store to what proxy and kernel act on.
 *
 *                      select       check, settle        write
 *   struct object_set ────────► our ────────► struct ┬────────► image      (routes)
 *                               Ingresses     model  ├────────► certs
 *                                                    ├────────► plan       (the map `hosts`)
 *   EndpointSlices ───────────────────────────────── ┴────────► endpoints
 *
 * compile_routes() reads everything but EndpointSlices, compile_endpoints() reads
 * only those: a rolling deployment never recompiles a route. Which of the two a
 * change needs depends on the kind of the object that changed:
 *
 *   EndpointSlice       compile_endpoints()
 *   any other kind      compile_routes(), then compile_endpoints() where it has named
 *                       other backends (compiler_has_same_backends)
 *
 * Between generations the compiler keeps what must not change: the ids of backends,
 * endpoints and hosts; and what spares work: which certificates it has checked, and
 * what became of each Ingress, so that one that did not change is not read again.
 * The same objects and the same options give the same bytes, except for ids that an
 * earlier generation has taken and for where texts lie in the image.
 *
 * One bad object never stops the others: it, or the smallest part of it, is left
 * out and a finding says so. Nothing here logs, opens files or waits.
 */
#ifndef SLUICE_COMPILE_COMPILE_H
#define SLUICE_COMPILE_COMPILE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/siphash.h"
#include "compile/class_rules.h"
#include "compile/plan.h"
#include "model/finding.h"
#include "model/model.h"
#include "model/object.h"

enum {
	/* An id stays with its name for so many generations after the last that used it. */
	COMPILE_ID_KEPT_GENERATIONS = 64,
	/* Up to so many hosts a worker, every host belongs to every worker. */
	COMPILE_FEW_HOSTS_PER_WORKER = 8,
	COMPILE_SPREAD_FEW_HOSTS = 0, /* all workers */
	COMPILE_SPREAD_MANY_HOSTS = 1,
};

/*
 * Says whether the PEM @chain and the PEM @key are a good pair: 0 with @facts, whose texts lie in
 * @arena, or -errno with a text for the person who wrote the Secret. Called once per version of a
 * Secret (object.serial), not per compile.
 */
typedef int compile_check_pair(void *context, struct str chain, struct str key, struct arena *arena,
			       struct cert_facts *facts, struct err *err);

struct compile_options {
	struct class_rules classes;
	uint16_t worker_count; /* at least 1 */
	/* Guards the host tables of image and certs: random on a node, constant in tests. */
	struct siphash_key table_key;
	/* The key of the map `hosts`, as it stands in the map `schema`. */
	struct host_hash_key dispatch_key;
	/*
	 * Cluster-wide settings (--config), below those of the class: the same keys as in the
	 * ConfigMap of an IngressClass (settings.h). Findings about them have no object.
	 */
	struct object_pairs settings;
	struct str settings_file; /* named in such findings; absent for the command line */
	/* The Secret shown where no setting names a good default certificate; absent: none. */
	struct str fallback_namespace, fallback_secret;
	compile_check_pair *check_pair; /* NULL: every pair is taken as good, without facts */
	void *check_context;
};

struct compiler;

/* Copies @options with all their texts. Never NULL. */
struct compiler *compiler_new(const struct compile_options *options);
/* Accepts NULL. */
void compiler_free(struct compiler *compiler);

/* A host that is to have more workers than it would have. */
struct compile_spread {
	uint64_t hash; /* of its name, as in the map `hosts` */
	uint16_t worker_spread;
};

/* What the next compile_routes goes by; @spreads are copied. */
void compiler_set_spreads(struct compiler *compiler, const struct compile_spread *spreads,
			  size_t count);

/*
 * What was compiled. Each of the two functions below replaces its own part and leaves the other
 * one alone. The bytes are owned by the output and live until the next call with this output for
 * that part, or compile_output_release. They hold private keys: release wipes them.
 */
struct compile_output {
	/* by compile_routes */
	struct str image;
	struct str certs; /* at == NULL where certs_same */
	bool certs_same;  /* nothing changed since the certs that were compiled before */
	struct plan plan; /* the wanted content of the map `hosts` */
	/* by compile_endpoints */
	struct str endpoints;
	/* the module's own: what holds the bytes */
	char *image_bytes;
	struct certs_writer *certs_writer;
	struct endpoints_writer *endpoints_writer;
};

void compile_output_init(struct compile_output *output);
void compile_output_release(struct compile_output *output);

/*
 * Compiles image, certs and plan of @set. Findings about everything but EndpointSlices are added
 * to @findings, all of them anew each time. @generation goes into each segment and must grow from
 * call to call. 0; -EFBIG with a finding where a segment would pass its largest size: @output has
 * then nothing in its part and the last good generation stays in force.
 */
int compile_routes(struct compiler *compiler, const struct object_set *set, uint64_t generation,
		   struct compile_output *output, struct findings *findings);

/*
 * Compiles the endpoints of the backends that the last compile_routes named; findings about
 * EndpointSlices are added. 0; -EFBIG as above; -ESTALE, and nothing done, where @set has other
 * objects than EndpointSlices that compile_routes has not seen: call that first.
 */
int compile_endpoints(struct compiler *compiler, const struct object_set *set, uint64_t generation,
		      struct compile_output *output, struct findings *findings);

/*
 * Whether compile_endpoints has nothing new to say, as long as no EndpointSlice changed: routes
 * that were compiled since name the same backends of the same Services.
 */
bool compiler_has_same_backends(const struct compiler *compiler);

/*
 * Goes on with the ids of an endpoints segment and an image that a proxy still serves, written by
 * an agent before this one: call it before the first compile_routes. 0, or -EINVAL with a text
 * where they are no such segments; the compiler then starts with ids of its own, and a proxy that
 * is kept must be restarted.
 */
int compiler_adopt(struct compiler *compiler, struct str image, struct str endpoints,
		   struct err *err);

/*
 * The model of the last compile_routes, for dumps; NULL before. It borrows texts of the objects:
 * good until the store changes or the next compile_routes.
 */
const struct model *compiler_model(const struct compiler *compiler);

#endif
