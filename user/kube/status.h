/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status: status.loadBalancer of our Ingresses (SEMANTICS 1.4).
 *
 * What is written are the addresses of one of these:
 *
 *   STATUS_ADDRESSES   fixed ones
 *   STATUS_SERVICE     a Service's: of its load balancer, and its external ones
 *   STATUS_NODES       of the nodes on which sluice is ready: those of the ready
 *                      endpoints of the Service that stands before our own Pods
 *
 * Only the holder of the Lease writes, by server-side apply under the field
 * manager STATUS_MANAGER, and only where something else stands there. An Ingress
 * that is given up (another class) loses what we wrote; nothing else takes an
 * address away for good.
 */
#ifndef SLUICE_KUBE_STATUS_H
#define SLUICE_KUBE_STATUS_H

#include "base/vec.h"
#include "kube/api_client.h"
#include "kube/api_watch.h"
#include "kube/store.h"
#include "kube/table.h"

#define STATUS_MANAGER "sluice"

enum {
	STATUS_UNDER_WAY_MAX = 8,
	/* An object is written so often at once, then at this interval: another may write, too. */
	STATUS_BURST = 3,
	STATUS_AGAIN_MS = 10000,
};

enum status_mode {
	STATUS_OFF,
	STATUS_ADDRESSES,
	STATUS_SERVICE,
	STATUS_NODES,
};

struct status;

struct status_options {
	enum status_mode mode;
	struct str addresses;          /* "192.0.2.1,2001:db8::1" */
	struct str namespace, service; /* of STATUS_SERVICE and STATUS_NODES */
	bool (*is_ours)(void *owner, const struct object *ingress);
	void *owner;
};

/* Borrows client, loop and store until free; texts of @options are copied. */
struct status *status_new(struct api_client *client, struct loop *loop, struct store *store,
			  const struct status_options *options);
/* Accepts NULL. */
void status_free(struct status *status);

/* What source_api_options.on_object tells. */
void status_on_object(struct status *status, enum object_kind kind, enum api_watch_change change,
		      const struct node *object);
/*
 * All Ingresses and classes have been read, or may be ours now or no longer. Nothing is written
 * before the first call.
 */
void status_look_again(struct status *status);
/* Whether we are the one who writes. */
void status_set_leader(struct status *status, bool is_leader);

struct status_stats {
	uint64_t written, refused;
	size_t waiting; /* that are to be written */
};

void status_stats(const struct status *status, struct status_stats *stats);

#endif
