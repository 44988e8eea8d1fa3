/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: what people are told beside their objects (`kubectl describe ingress`).
 *
 *   finding about an Ingress or IngressClass ──► Event, once per object, reason, field and text
 *   an Ingress that is served as it says now ──► Event "Synced"
 *
 * Written by the holder of the Lease only, at most EVENTS_PER_S a second after a
 * burst. An Event's name is made of what it says: when the same comes up again, or
 * another agent has said it before, its series is counted on instead.
 */
#ifndef SLUICE_KUBE_EVENTS_H
#define SLUICE_KUBE_EVENTS_H

#include "base/vec.h"
#include "kube/api_client.h"
#include "kube/store.h"

enum {
	EVENTS_PER_S = 20,
	EVENTS_BURST = 50,
	EVENTS_QUEUE_MAX = 1024,
	EVENTS_UNDER_WAY_MAX = 4,
	EVENTS_NOTE_MAX = 1000, /* the API takes 1024 bytes */
};

struct events;

/* Texts live as long as the events. @identity: which agent speaks. Never NULL. */
struct events *events_new(struct api_client *client, struct loop *loop, const char *identity);
/* Accepts NULL. */
void events_free(struct events *events);

void events_set_leader(struct events *events, bool is_leader);

/* All findings that there are now: what is new is told. @set: to find the objects' uids. */
void events_on_findings(struct events *events, const struct findings *findings,
			const struct object_set *set);

/* @ingress is in force as it is. */
void events_synced(struct events *events, const struct object *ingress);

struct events_stats {
	uint64_t written;
	uint64_t dropped; /* the queue was full */
	uint64_t refused; /* by the API server */
};

void events_stats(const struct events *events, struct events_stats *stats);

#endif
