// SPDX-License-Identifier: Apache-2.0
/* cluster: see cluster.h. */
#include "agent/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/container.h"
#include "base/log.h"
#include "base/random.h"

enum { WAIT_SAID_MS = 5000 };

bool cluster_is_wanted(const struct options *options)
{
	return options->kubeconfig || options->manifests.len == 0;
}

/* Whose names are followed, whose status is written: as the compiler decides. */
static bool is_ours(void *owner, const struct object *ingress)
{
	const struct cluster *cluster = owner;
	struct class_rules rules = options_class_rules(cluster->agent->options);

	return class_rules_have(&rules, store_set(cluster->agent->reconcile.store), ingress);
}

/* --------------------------------------------------------- status and Events */

static void forget_changed(struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->changed.len; i++) {
		mem_free((char *)cluster->changed.at[i].namespace.at); /* made by copy_of */
		mem_free((char *)cluster->changed.at[i].name.at);
	}
	vec_release(&cluster->changed);
}

static struct str copy_of(const struct node *metadata, const char *name)
{
	const struct node *node = node_find(metadata, name);
	struct str text = node && node->type == NODE_TEXT ? node->text : STR("");

	return str_of(mem_copy_text(text.at, text.len), text.len);
}

static void note_changed(struct cluster *cluster, const struct node *object)
{
	const struct node *metadata = node_find(object, "metadata");
	struct cluster_changed *changed;

	if (cluster->changed.len == CLUSTER_CHANGED_MAX)
		return;
	changed = vec_push(&cluster->changed);
	changed->namespace = copy_of(metadata, "namespace");
	changed->name = copy_of(metadata, "name");
}

static void on_object(void *owner, enum object_kind kind, enum api_watch_change change,
		      const struct node *object)
{
	struct cluster *cluster = owner;

	status_on_object(cluster->status, kind, change, object);
	if (kind == OBJECT_KIND_INGRESS &&
	    (change == API_WATCH_ADDED || change == API_WATCH_MODIFIED))
		note_changed(cluster, object);
}

static void on_listed(void *owner, enum object_kind kind)
{
	struct cluster *cluster = owner;

	if (cluster->was_complete && kind == OBJECT_KIND_INGRESS)
		status_look_again(cluster->status);
}

static void on_lease(struct lease *lease)
{
	struct cluster *cluster = CONTAINER_OF(lease, struct cluster, lease);
	const struct reconcile *reconcile = &cluster->agent->reconcile;

	status_set_leader(cluster->status, lease->is_held);
	events_set_leader(cluster->events, lease->is_held);
	if (lease->is_held && cluster->was_complete)
		cluster_on_findings(cluster, &reconcile->all);
}

void cluster_on_findings(struct cluster *cluster, const struct findings *findings)
{
	if (cluster->agent && cluster->was_complete)
		events_on_findings(cluster->events, findings,
				   store_set(cluster->agent->reconcile.store));
}

static bool has_error(const struct findings *findings, const struct object *object)
{
	for (size_t i = 0; i < findings->list.len; i++) {
		const struct finding *finding = &findings->list.at[i];

		if (finding->level == FINDING_ERROR && str_eq(finding->name, object->name) &&
		    str_eq(finding->namespace, object->namespace) &&
		    str_eq(finding->kind, STR("Ingress")))
			return true;
	}
	return false;
}

void cluster_on_in_force(struct cluster *cluster)
{
	const struct reconcile *reconcile;
	const struct object_set *set;

	if (!cluster->agent || cluster->changed.len == 0)
		return;
	reconcile = &cluster->agent->reconcile;
	set = store_set(reconcile->store);
	for (size_t i = 0; i < cluster->changed.len; i++) {
		const struct object *object =
			object_set_find(set, OBJECT_KIND_INGRESS, cluster->changed.at[i].namespace,
					cluster->changed.at[i].name);

		/* An older serial: nothing but its status has changed. */
		if (object && object->serial > cluster->synced_serial && is_ours(cluster, object) &&
		    !has_error(&reconcile->all, object))
			events_synced(cluster->events, object);
	}
	cluster->synced_serial = object_serial();
	forget_changed(cluster);
}

static struct status_options status_options_of(struct cluster *cluster)
{
	const struct options *options = cluster->agent->options;
	struct str service = str_from_c(options->publish_service);
	size_t slash = str_find_char(service, '/');
	struct status_options to = {
		.addresses = str_from_c(options->publish_address),
		.is_ours = is_ours,
		.owner = cluster,
	};

	if (service.len) {
		to.mode = STATUS_SERVICE;
		to.namespace = str_slice(service, 0, slash);
		to.service = str_slice(service, slash + 1, service.len);
	} else if (to.addresses.len) {
		to.mode = STATUS_ADDRESSES;
	} else if (cluster->is_in_cluster) {
		to.mode = STATUS_NODES;
		to.namespace = str_from_c(cluster->namespace);
		to.service = STR(CLUSTER_SERVICE);
	}
	return to;
}

static void make_identity(struct cluster *cluster)
{
	const char *pod = getenv("POD_NAME");
	char host[64] = "";
	uint32_t own;

	random_bytes(&own, sizeof(own));
	gethostname(host, sizeof(host) - 1);
	snprintf(cluster->identity, sizeof(cluster->identity), "%.100s_%08x", pod ? pod : host,
		 own);
}

static void start_lease(struct cluster *cluster)
{
	cluster->lease = (struct lease){
		.client = cluster->client,
		.loop = &cluster->agent->loop,
		.namespace = cluster->namespace,
		.name = CLUSTER_LEASE,
		.identity = cluster->identity,
		.on_change = on_lease,
	};
	lease_start(&cluster->lease);
}

/* -------------------------------------------------------------------- lifetime */

static void on_change(void *owner, uint32_t changed)
{
	struct cluster *cluster = owner;

	if (!cluster->was_complete || changed & 1u << OBJECT_KIND_INGRESS_CLASS)
		status_look_again(cluster->status);
	if (!cluster->was_complete) {
		cluster->was_complete = true;
		forget_changed(cluster);
		cluster->synced_serial = object_serial();
		log_info("agent", "the API server has listed everything");
	}
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

	int rc = path ? kubeconfig_read(&cluster->config, path, NULL, err)
		      : kubeconfig_in_cluster(&cluster->config, KUBECONFIG_IN_CLUSTER_DIR, err);

	cluster->is_in_cluster = !path;
	cluster->namespace = getenv("POD_NAMESPACE");
	if (!cluster->namespace)
		cluster->namespace = cluster->config.namespace;
	if (!cluster->namespace)
		cluster->namespace = "default";
	return rc;
}

int cluster_open(struct cluster *cluster, struct agent *agent, struct store *store, struct err *err)
{
	struct status_options status;
	struct source_api_options options = {
		.namespace = str_from_c(agent->options->watch_namespace),
		.is_ours = is_ours,
		.on_change = on_change,
		.on_object = on_object,
		.on_listed = on_listed,
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
	make_identity(cluster);
	status = status_options_of(cluster);
	cluster->status = status_new(cluster->client, &agent->loop, store, &status);
	cluster->events = events_new(cluster->client, &agent->loop, cluster->identity);
	start_lease(cluster);
	options.beside =
		(struct object_key){ status.mode == STATUS_SERVICE ? OBJECT_KIND_SERVICE
								   : OBJECT_KIND_ENDPOINT_SLICE,
				     status.namespace, status.service };
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
	status_free(cluster->status);
	events_free(cluster->events);
	cluster_give_up_lease(cluster);
	if (cluster->client)
		api_client_flush(cluster->client, CLUSTER_FLUSH_MS);
	api_client_close(cluster->client);
	forget_changed(cluster);
	kubeconfig_release(&cluster->config);
	cluster->agent = NULL;
}

void cluster_give_up_lease(struct cluster *cluster)
{
	if (!cluster->client)
		return;
	cluster->lease.on_change = NULL;
	lease_stop(&cluster->lease);
}

bool cluster_is_complete(const struct cluster *cluster)
{
	return !cluster->source || source_api_is_complete(cluster->source);
}
