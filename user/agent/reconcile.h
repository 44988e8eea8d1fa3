/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile: a change on its way from a manifest to every worker.
 *
 *   file written ─► source_dir ─► store ─┬─ EndpointSlices ─► compile_endpoints ─┐
 *                                        └─ anything else ─► compile_routes ────┤
 *   hosts plan ◄── in force in every worker ◄── proxy ◄── links ◄── publisher ◄─┘
 *
 * A change is acted on at once. While one is on its way further ones are collected, and in the long
 * run the agent rests as long as it compiles: a storm of changes costs half a CPU at most and never
 * makes a queue. So that changes one behind the other do not wait for nothing, it may owe some
 * rest.
 */
#ifndef SLUICE_AGENT_RECONCILE_H
#define SLUICE_AGENT_RECONCILE_H

#include "agent/publisher.h"
#include "base/err.h"
#include "compile/compile.h"
#include "event/loop.h"
#include "kube/source_dir.h"
#include "kube/store.h"

enum {
	RECONCILE_REST_MIN_MS = 2,      /* for a compilation, however short */
	RECONCILE_REST_OWED_MS = 50,    /* at most, when a compilation begins */
	RECONCILE_SETTLE_MAX_MS = 2000, /* a proxy that takes longer does not hold up changes */
	RECONCILE_FINDINGS_LOGGED = 50, /* of one change; the rest is counted */
};

struct agent;

/* Bounds of the histogram sluice_config_apply_seconds, in milliseconds. */
#define RECONCILE_BUCKETS_MS                                                                       \
	{                                                                                          \
		1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000                                     \
	}
enum { RECONCILE_BUCKET_COUNT = 11 };

struct reconcile_times {
	uint64_t buckets[RECONCILE_BUCKET_COUNT + 1]; /* the last: above all bounds */
	uint64_t count;
	double sum_ms;
	double last_ms;         /* from the first event of a change to "in force in every worker" */
	double last_compile_ms; /* of this, compiling */
};

struct reconcile {
	struct agent *agent;
	struct store *store;
	struct source_dir *source;
	struct loop_watch source_watch;
	struct compiler *compiler;
	struct compile_output output;
	uint64_t generation;
	/* what is to be done */
	uint32_t changed;    /* bit 1u << kind; 0: nothing */
	uint64_t changed_ns; /* the first event of it */
	uint64_t rested_ms;  /* when the time of all compilations was rested, too */
	struct loop_timer timer;
	/* what is on its way */
	bool is_under_way;
	bool has_new_settings; /* the next compilation begins with another compiler */
	bool is_frozen;
	bool has_new_plan;
	bool has_endpoints;    /* those of the last compilation are published */
	uint64_t under_way_ns; /* when its first event came */
	uint64_t published_ms;
	/* what was said */
	struct findings route_findings, endpoint_findings, store_findings;
	uint64_t store_findings_generation;
	struct findings all;       /* the three, as shown */
	struct VEC(uint64_t) said; /* hashes of the findings that were logged, sorted */
	struct reconcile_times times;
};

/* Reads the sources and compiles for the first time. 0 or -errno with a text. */
int reconcile_open(struct reconcile *reconcile, struct agent *agent, struct err *err);
void reconcile_close(struct reconcile *reconcile);

/* A source has changed the store: bit 1u << kind for each kind; 0: only its findings. */
void reconcile_on_change(struct reconcile *reconcile, uint32_t changed);

/* What is published may be in force now. */
void reconcile_on_settled(struct reconcile *reconcile);

/* A proxy serves these generations: what is compiled next has a higher one, and it is soon. */
void reconcile_go_above(struct reconcile *reconcile, const uint64_t generations[PUBLISHED_COUNT]);
/* Whether the sources were compiled at least once. */
bool reconcile_has_compiled(const struct reconcile *reconcile);
/* Other defaults for all classes (options->settings): compiles everything anew. */
void reconcile_use_settings(struct reconcile *reconcile);
/* Other hosts need more than one worker (agent->host_load): compiles the routes again. */
void reconcile_use_spreads(struct reconcile *reconcile);
/* Another agent compiles from now on; what is known stays, to be looked at. */
void reconcile_freeze(struct reconcile *reconcile);

/* How many findings of @level there are. */
size_t reconcile_count_findings(const struct reconcile *reconcile, enum finding_level level);

#endif
