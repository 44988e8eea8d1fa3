/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster: the agent's side of an API server.
 *
 *   kubeconfig / ServiceAccount ─► api_client ─► source_api ─► store, reconcile
 *                                       ▲
 *                                       └── status, events, lease ◄─ what was compiled
 *
 * Not there where only --manifests are served. While the first lists are on their
 * way nothing is compiled: what a proxy of before serves stays in force.
 */
#ifndef SLUICE_AGENT_CLUSTER_H
#define SLUICE_AGENT_CLUSTER_H

#include "base/err.h"
#include "kube/api_client.h"
#include "kube/events.h"
#include "kube/lease.h"
#include "kube/source_api.h"
#include "kube/status.h"

#define CLUSTER_LEASE   "sluice"
#define CLUSTER_SERVICE "sluice" /* stands before our own Pods; tells where sluice is ready */

enum { CLUSTER_CHANGED_MAX = 256, CLUSTER_FLUSH_MS = 1000 };

struct agent;

/* An Ingress that came since the last generation; owned texts. */
struct cluster_changed {
	struct str namespace, name;
};

struct cluster {
	struct agent *agent; /* NULL: there is no API server */
	struct kubeconfig config;
	struct api_client *client;
	struct source_api *source;
	struct status *status;
	struct events *events;
	struct lease lease;
	const char *namespace; /* ours */
	char identity[128];    /* of this agent */
	bool is_in_cluster;
	bool was_complete;
	struct VEC(struct cluster_changed) changed;
	uint64_t synced_serial;       /* objects made later are not in force yet */
	struct loop_timer wait_timer; /* says now and then what is waited for */
};

/* Whether the options ask for an API server. */
struct options;
bool cluster_is_wanted(const struct options *options);

/* Begins to read into @store. 0 or -errno with a text. */
int cluster_open(struct cluster *cluster, struct agent *agent, struct store *store,
		 struct err *err);
void cluster_close(struct cluster *cluster);

/* The agent ends before long: another one may write status and Events. */
void cluster_give_up_lease(struct cluster *cluster);

/* What is compiled has these findings; what was published is in force. */
void cluster_on_findings(struct cluster *cluster, const struct findings *findings);
void cluster_on_in_force(struct cluster *cluster);

/* True where there is none. */
bool cluster_is_complete(const struct cluster *cluster);

#endif
