// SPDX-License-Identifier: Apache-2.0
/* cluster: see cluster.h. */
#include "agent/cluster.h"

#include "agent/agent.h"
#include "base/container.h"
#include "base/log.h"

enum { WAIT_SAID_MS = 5000 };

bool cluster_is_wanted(const struct options *options)
{
	return options->kubeconfig || options->manifests.len == 0;
}

/* ------------------------------------------------------------------- class rules */

static const struct str legacy_annotation = STR_INIT("kubernetes.io/ingress.class");

static bool is_our_class(const struct object *class)
{
	return str_eq_c(class->ingress_class.controller, COMPILE_CONTROLLER_DEFAULT);
}

/* As compile/select.c has it: whose names are followed, whose status is written. */
static bool is_ours(void *owner, const struct object *ingress)
{
	struct cluster *cluster = owner;
	const struct object_set *set = store_set(cluster->agent->reconcile.store);
	struct str name = ingress->ingress.class_name;
	const struct object *class;

	if (name.len == 0)
		name = object_pairs_find(ingress->annotations, legacy_annotation);
	if (name.len) {
		class = object_set_find(set, OBJECT_KIND_INGRESS_CLASS, STR(""), name);
		return class ? is_our_class(class)
			     : str_eq_c(name, cluster->agent->options->ingress_class);
	}
	for (size_t i = 0; i < set->of[OBJECT_KIND_INGRESS_CLASS].count; i++) {
		class = set->of[OBJECT_KIND_INGRESS_CLASS].at[i];
		if (class->ingress_class.is_default && is_our_class(class))
			return true;
	}
	return false;
}

/* -------------------------------------------------------------------- lifetime */

static void on_change(void *owner, uint32_t changed)
{
	struct cluster *cluster = owner;

	reconcile_on_change(&cluster->agent->reconcile, changed);
}

static void on_wait(struct loop_timer *timer)
{
	struct cluster *cluster = CONTAINER_OF(timer, struct cluster, wait_timer);
	const char *waits_for = source_api_waits_for(cluster->source);

	if (!waits_for)
		return;
	log_warning("agent", "the API server '%s' has not listed '%s' yet", cluster->config.server,
		    waits_for);
	loop_timer_set(&cluster->agent->loop, timer, cluster->agent->loop.now_ms + WAIT_SAID_MS);
}

static int read_config(struct cluster *cluster, struct err *err)
{
	const char *path = cluster->agent->options->kubeconfig;

	if (path)
		return kubeconfig_read(&cluster->config, path, NULL, err);
	return kubeconfig_in_cluster(&cluster->config, KUBECONFIG_IN_CLUSTER_DIR, err);
}

int cluster_open(struct cluster *cluster, struct agent *agent, struct store *store, struct err *err)
{
	struct source_api_options options = {
		.namespace = str_from_c(agent->options->watch_namespace),
		.is_ours = is_ours,
		.on_change = on_change,
		.owner = cluster,
	};
	int rc;

	*cluster = (struct cluster){ .agent = agent, .wait_timer.on_due = on_wait };
	rc = read_config(cluster, err);
	if (rc)
		return rc;
	rc = api_client_open(&cluster->config, &agent->loop, &cluster->client, err);
	if (rc)
		return rc;
	cluster->source = source_api_open(cluster->client, &agent->loop, store, &options);
	loop_timer_set(&agent->loop, &cluster->wait_timer, agent->loop.now_ms + WAIT_SAID_MS);
	return 0;
}

void cluster_close(struct cluster *cluster)
{
	if (!cluster->agent)
		return;
	loop_timer_clear(&cluster->agent->loop, &cluster->wait_timer);
	source_api_close(cluster->source);
	api_client_close(cluster->client);
	kubeconfig_release(&cluster->config);
	cluster->agent = NULL;
}

bool cluster_is_complete(const struct cluster *cluster)
{
	return !cluster->source || source_api_is_complete(cluster->source);
}
