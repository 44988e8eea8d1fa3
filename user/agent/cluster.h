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
#include "kube/source_api.h"

struct agent;

struct cluster {
	struct agent *agent; /* NULL: there is no API server */
	struct kubeconfig config;
	struct api_client *client;
	struct source_api *source;
	struct loop_timer wait_timer; /* says now and then what is waited for */
};

/* Whether the options ask for an API server. */
struct options;
bool cluster_is_wanted(const struct options *options);

/* Begins to read into @store. 0 or -errno with a text. */
int cluster_open(struct cluster *cluster, struct agent *agent, struct store *store,
		 struct err *err);
void cluster_close(struct cluster *cluster);

/* True where there is none. */
bool cluster_is_complete(const struct cluster *cluster);

#endif
