/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_api: a store fed from an API server.
 *
 *   Ingress, IngressClass, Service, EndpointSlice ─┐
 *   Secret of type kubernetes.io/tls ──────────────┼─► feeds ─► store ─► on_change
 *   Secret, ConfigMap that somebody names ─────────┘
 *
 * The counterpart of source_dir.h. Each collection that is watched (api_watch.h)
 * is an origin of the store, "api:ingresses" and so on. An object that comes
 * again unchanged in all that matters here (its status does not) changes nothing.
 *
 * Secrets: all of type kubernetes.io/tls where that may be read in the whole
 * cluster; where it is forbidden, those of each namespace in which an
 * Ingress of ours names one. Other Secrets and ConfigMaps are watched one by one,
 * when an Ingress of ours, or its class, names them.
 *
 * What may not be read is a finding (origin "api"), and is asked for again twice
 * a minute. One thread only; everything happens from the loop.
 */
#ifndef SLUICE_KUBE_SOURCE_API_H
#define SLUICE_KUBE_SOURCE_API_H

#include "kube/api_client.h"
#include "kube/api_watch.h"
#include "kube/store.h"

enum {
	SOURCE_API_NAMED_MAX = 512,      /* objects that are watched one by one */
	SOURCE_API_NAMESPACES_MAX = 512, /* whose Secrets are */
	SOURCE_API_COMPLAINTS_MAX = 256, /* objects that are not as they should be */
};

struct source_api;

struct source_api_options {
	struct str namespace; /* --watch-namespace; absent: all */
	/*
	 * A Service whose object, or whose slices (kind says which), are followed wherever it is:
	 * status.h has to know them. No name: none.
	 */
	struct object_key beside;
	/* Whether the names in @ingress are followed; NULL: of every Ingress. */
	bool (*is_ours)(void *owner, const struct object *ingress);
	/*
	 * bit 1u << kind for each kind whose objects in force changed; 0: only findings, or
	 * source_api_is_complete(). Called once a turn of the loop at most, and not before the
	 * source is complete for the first time.
	 */
	void (*on_change)(void *owner, uint32_t changed);
	/* A whole list of @kind is in the store. May be NULL. */
	void (*on_listed)(void *owner, enum object_kind kind);
	/*
	 * Every Ingress, Service and EndpointSlice as it came, before it is in the store, for
	 * status.h. @object is good for the call. May be NULL.
	 */
	void (*on_object)(void *owner, enum object_kind kind, enum api_watch_change change,
			  const struct node *object);
	void *owner;
};

/* Borrows client, loop and store until close; copies @options. Begins at once. */
struct source_api *source_api_open(struct api_client *client, struct loop *loop,
				   struct store *store, const struct source_api_options *options);
/* Accepts NULL. Leaves the store as it is. */
void source_api_close(struct source_api *source);

/*
 * Whether everything that is there and may be read has been read once: before that, what is
 * missing in the store says nothing.
 */
bool source_api_is_complete(const struct source_api *source);

/* What it waits for until then, for people; NULL when complete. Good until the next turn. */
const char *source_api_waits_for(const struct source_api *source);

struct source_api_stats {
	size_t watches;
	size_t following;   /* of them, in touch with the server */
	uint64_t lists;     /* whole lists read since open */
	uint64_t resumes;   /* streams taken up again */
	uint64_t objects;   /* that came, lists included */
	uint64_t unchanged; /* of them, the same as before in all that matters */
	uint64_t last_ns;   /* monotonic: when the last object came */
};

void source_api_stats(const struct source_api *source, struct source_api_stats *stats);

#endif
