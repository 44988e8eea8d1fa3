// SPDX-License-Identifier: Apache-2.0
/*
 * status: see status.h.
 *
 * Of each Ingress is kept which addresses stand in it, as a number over their
 * canonical text, and whether our name stands beside them. What differs from what
 * is wanted goes into a queue; STATUS_UNDER_WAY_MAX requests empty it.
 *
 *   event ─► slot (what stands there) ─► queue ─► PATCH ─► event: it stands there
 */
#include "kube/status.h"

#include <stdio.h>

#include "base/container.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/siphash.h"
#include "kube/status_list.h"
#include "kube/status_nodes.h"

enum {
	REQUEST_TIMEOUT_MS = 10000,
	NODES_SWEEP_MS = 30000,
	AGAIN_LOOK_MS = 1000,
	PATH_BYTES = 1024
};

/* What is known of one Ingress. */
struct slot {
	struct table_item item;
	struct str namespace, name; /* owned */
	uint64_t print;             /* of the addresses that stand there */
	bool is_managed;            /* our name stands beside them */
	bool is_queued;
	bool is_gone;           /* freed when its request is done */
	uint64_t paid_until_ms; /* each write costs STATUS_AGAIN_MS */
	struct api_request request;
	struct status *status;
	struct slot *next_queued;
};

struct status {
	struct api_client *client; /* borrowed, as the next two */
	struct loop *loop;
	struct store *store;
	struct status_options options;
	struct siphash_key key;
	struct table slots;
	struct slot *first_queued, **last_queued;
	uint32_t under_way;
	bool is_leader;
	bool is_known;     /* what is wanted */
	bool is_begun;     /* classes and Ingresses have been read */
	struct buf wanted; /* JSON: [{"ip":"..."}] */
	uint64_t wanted_print;
	struct status_nodes *nodes; /* of STATUS_NODES */
	bool is_scan_due, are_nodes_stale;
	struct loop_task task;
	struct loop_timer again_timer, nodes_timer;
	struct status_stats stats;
};

/* -------------------------------------------------------- addresses as text */

static struct str text_member(const struct node *map, const char *name)
{
	const struct node *node = node_find(map, name);

	return node && node->type == NODE_TEXT ? node->text : STR("");
}

static uint64_t print_of(const struct status *status, struct str canonical)
{
	return siphash(status->key, canonical);
}

/* @node: status.loadBalancer.ingress, or NULL */
static uint64_t print_of_node(const struct status *status, const struct node *node)
{
	struct status_list list;
	uint64_t print;

	status_list_init(&list);
	status_list_add_node(&list, node);
	print = print_of(status, buf_str(&list.canonical));
	status_list_release(&list);
	return print;
}

/* @wanted is what is wanted from now on; it is released. */
static void set_wanted(struct status *status, struct status_list *wanted)
{
	uint64_t print = print_of(status, buf_str(&wanted->canonical));

	status_list_end(wanted);
	/* None at all is a moment's state, of a load balancer or a roll-out: it takes none away. */
	if (wanted->count && (!status->is_known || print != status->wanted_print)) {
		buf_release(&status->wanted);
		status->wanted = wanted->json_text;
		buf_init(&wanted->json_text, 0);
		status->wanted_print = print;
		status->is_known = true;
		status->is_scan_due = true;
		loop_defer(status->loop, &status->task);
	}
	status_list_release(wanted);
}

static void want_fixed(struct status *status)
{
	struct str rest = status->options.addresses, part;
	struct status_list wanted;

	status_list_init(&wanted);
	while (str_take_part(&rest, ',', &part))
		status_list_add(&wanted, str_trim(part), STR(""));
	set_wanted(status, &wanted);
}

/* The load balancer's addresses and the external ones; failing these, the cluster's own. */
static void want_service(struct status *status, const struct node *service)
{
	const struct node *spec = node_find(service, "spec");
	const struct node *list =
		node_find(node_find(node_find(service, "status"), "loadBalancer"), "ingress");
	const struct node *external = node_find(spec, "externalIPs");
	struct status_list wanted;

	status_list_init(&wanted);
	status_list_add_node(&wanted, list);
	for (uint32_t i = 0; external && external->type == NODE_SEQUENCE && i < external->count;
	     i++)
		status_list_add(&wanted, external->children[i].value.text, STR(""));
	if (!wanted.count && !str_eq(text_member(spec, "type"), STR("LoadBalancer")) &&
	    !str_eq(text_member(spec, "clusterIP"), STR("None")))
		status_list_add(&wanted, text_member(spec, "clusterIP"), STR(""));
	set_wanted(status, &wanted);
}

/* ----------------------------------------------------------------------- nodes */

static bool is_own_slice(const struct status *status, const struct object *slice)
{
	return str_eq(slice->namespace, status->options.namespace) &&
	       str_eq(slice->endpoint_slice.service, status->options.service);
}

/* Looks for them also where another agent writes: it may be us next. */
static void want_nodes(struct status *status)
{
	const struct object_set *set = store_set(status->store);
	struct status_list wanted;

	for (size_t i = 0; i < set->of[OBJECT_KIND_ENDPOINT_SLICE].count; i++) {
		const struct object *slice = set->of[OBJECT_KIND_ENDPOINT_SLICE].at[i];
		const struct object_endpoint_slice *spec = &slice->endpoint_slice;

		for (uint32_t e = 0; is_own_slice(status, slice) && e < spec->endpoint_count; e++) {
			const struct object_endpoint *endpoint = &spec->endpoints[e];

			if (endpoint->is_ready && endpoint->address_count)
				status_nodes_note_ready(status->nodes, endpoint->node,
							endpoint->addresses[0]);
		}
	}
	status_list_init(&wanted);
	if (status_nodes_list(status->nodes, &wanted))
		set_wanted(status, &wanted);
	else
		status_list_release(&wanted);
}

static void on_nodes_change(void *owner)
{
	struct status *status = owner;

	status->are_nodes_stale = true;
	loop_defer(status->loop, &status->task);
}

/* ----------------------------------------------------------------------- slots */

static uint64_t hash_slot(const struct status *status, struct str namespace, struct str name)
{
	struct siphash_key second = { .k0 = siphash(status->key, name), .k1 = status->key.k1 };

	return siphash(second, namespace);
}

static struct slot *find_slot(const struct status *status, struct str namespace, struct str name)
{
	uint64_t hash = hash_slot(status, namespace, name);
	struct table_item *item = table_first(&status->slots, hash);

	for (; item; item = item->next) {
		struct slot *slot = (struct slot *)item; /* item is its first member */

		if (item->hash == hash && str_eq(slot->name, name) &&
		    str_eq(slot->namespace, namespace))
			return slot;
	}
	return NULL;
}

static struct slot *get_slot(struct status *status, struct str namespace, struct str name)
{
	struct slot *slot = find_slot(status, namespace, name);

	if (slot)
		return slot;
	slot = mem_new(1, sizeof(*slot));
	slot->item.hash = hash_slot(status, namespace, name);
	slot->namespace = str_of(mem_copy_text(namespace.at, namespace.len), namespace.len);
	slot->name = str_of(mem_copy_text(name.at, name.len), name.len);
	slot->status = status;
	table_add(&status->slots, &slot->item);
	return slot;
}

static void free_slot(struct slot *slot)
{
	mem_free((char *)slot->namespace.at); /* made by mem_copy_text, as the next */
	mem_free((char *)slot->name.at);
	mem_free(slot);
}

/* One that is queued or under way is freed when its turn has come. */
static void drop_slot(struct status *status, struct slot *slot)
{
	table_remove(&status->slots, &slot->item);
	slot->is_gone = true;
	if (!slot->is_queued && !slot->request.exchange)
		free_slot(slot);
}

static bool is_manager(const struct node *entry)
{
	return str_eq(text_member(entry, "manager"), STR(STATUS_MANAGER)) &&
	       str_eq(text_member(entry, "subresource"), STR("status"));
}

static void read_slot(struct slot *slot, const struct node *object)
{
	const struct node *balancer = node_find(node_find(object, "status"), "loadBalancer");
	const struct node *managers = node_find(node_find(object, "metadata"), "managedFields");

	slot->print = print_of_node(slot->status, node_find(balancer, "ingress"));
	slot->is_managed = false;
	for (uint32_t i = 0; managers && managers->type == NODE_SEQUENCE && i < managers->count;
	     i++)
		slot->is_managed |= is_manager(&managers->children[i].value);
}

/* --------------------------------------------------------------------- writing */

enum errand { ERRAND_NONE, ERRAND_WRITE, ERRAND_WITHDRAW };

static enum errand errand_of(const struct slot *slot)
{
	struct status *status = slot->status;
	const struct object *object = object_set_find(store_set(status->store), OBJECT_KIND_INGRESS,
						      slot->namespace, slot->name);

	if (slot->is_gone || !status->is_leader || !status->is_known || !status->is_begun ||
	    !object)
		return ERRAND_NONE;
	if (!status->options.is_ours(status->options.owner, object))
		return slot->is_managed && slot->print != print_of(status, STR(""))
			       ? ERRAND_WITHDRAW
			       : ERRAND_NONE;
	return slot->print == status->wanted_print ? ERRAND_NONE : ERRAND_WRITE;
}

static void push(struct slot *slot)
{
	struct status *status = slot->status;

	if (slot->is_queued || slot->request.exchange)
		return;
	slot->is_queued = true;
	slot->next_queued = NULL;
	*status->last_queued = slot;
	status->last_queued = &slot->next_queued;
	status->stats.waiting++;
}

static void on_written(struct api_request *request, const struct api_answer *answer)
{
	struct slot *slot = CONTAINER_OF(request, struct slot, request);
	struct status *status = slot->status;
	char text[256];

	status->under_way--;
	if (answer->status == 200 || answer->status == 201) {
		status->stats.written++;
	} else if (answer->status != 404) {
		status->stats.refused++;
		api_status_text(answer->body, text, sizeof(text));
		log_warning("kube", "status of Ingress '%.*s/%.*s' is not written: %d %s",
			    STR_ARG(slot->namespace), STR_ARG(slot->name), answer->status,
			    text[0] ? text : answer->err.text);
	}
	loop_defer(status->loop, &status->task);
	if (slot->is_gone)
		free_slot(slot);
}

/* Server-side apply: what stands in @body and nothing else is ours. */
static void send_errand(struct slot *slot, enum errand errand)
{
	struct status *status = slot->status;
	char path[PATH_BYTES];
	struct json json;
	struct buf body;

	buf_init(&body, 0);
	json_init(&json, &body);
	json_object_begin(&json, NULL);
	json_text_c(&json, "apiVersion", "networking.k8s.io/v1");
	json_text_c(&json, "kind", "Ingress");
	json_object_begin(&json, "metadata");
	json_text(&json, "name", slot->name);
	json_text(&json, "namespace", slot->namespace);
	json_object_end(&json);
	if (errand == ERRAND_WRITE) {
		buf_add_c(&body, ",\"status\":{\"loadBalancer\":{\"ingress\":");
		buf_add(&body, buf_str(&status->wanted));
		buf_add_c(&body, "}}");
	}
	json_object_end(&json);
	snprintf(path, sizeof(path),
		 "/apis/networking.k8s.io/v1/namespaces/%.*s/ingresses/%.*s/status"
		 "?fieldManager=" STATUS_MANAGER "&force=true",
		 STR_ARG(slot->namespace), STR_ARG(slot->name));
	slot->request = (struct api_request){
		.method = API_PATCH,
		.path = path,
		.content_type = "application/apply-patch+yaml",
		.body = buf_str(&body),
		.timeout_ms = REQUEST_TIMEOUT_MS,
		.on_done = on_written,
	};
	if (slot->paid_until_ms < status->loop->now_ms)
		slot->paid_until_ms = status->loop->now_ms;
	slot->paid_until_ms += STATUS_AGAIN_MS;
	status->under_way++;
	api_send(status->client, &slot->request);
	buf_release(&body);
}

static bool may_write(const struct slot *slot)
{
	return slot->paid_until_ms <=
	       slot->status->loop->now_ms + (STATUS_BURST - 1) * STATUS_AGAIN_MS;
}

static void scan(struct status *status)
{
	struct table_item *item = NULL;

	while ((item = table_next(&status->slots, item))) {
		struct slot *slot = (struct slot *)item; /* item is its first member */

		if (errand_of(slot) != ERRAND_NONE)
			push(slot);
	}
}

/* Takes the first of the queue; one that was written too often goes to its end. */
static void work_off(struct status *status)
{
	size_t count = status->stats.waiting;

	while (status->first_queued && status->under_way < STATUS_UNDER_WAY_MAX && count--) {
		struct slot *slot = status->first_queued;
		enum errand errand = errand_of(slot);

		status->first_queued = slot->next_queued;
		if (!status->first_queued)
			status->last_queued = &status->first_queued;
		slot->is_queued = false;
		status->stats.waiting--;
		if (slot->is_gone) {
			free_slot(slot);
		} else if (errand != ERRAND_NONE && !may_write(slot)) {
			push(slot);
			loop_timer_set(status->loop, &status->again_timer,
				       status->loop->now_ms + AGAIN_LOOK_MS);
		} else if (errand != ERRAND_NONE) {
			send_errand(slot, errand);
		}
	}
}

static void on_task(struct loop_task *task)
{
	struct status *status = CONTAINER_OF(task, struct status, task);

	if (status->are_nodes_stale) {
		status->are_nodes_stale = false;
		want_nodes(status);
	}
	if (status->is_scan_due) {
		status->is_scan_due = false;
		scan(status);
	}
	work_off(status);
}

static void on_again(struct loop_timer *timer)
{
	struct status *status = CONTAINER_OF(timer, struct status, again_timer);

	loop_defer(status->loop, &status->task);
}

/* Nodes that were ready a while ago lose their place. */
static void on_nodes_timer(struct loop_timer *timer)
{
	struct status *status = CONTAINER_OF(timer, struct status, nodes_timer);

	status->are_nodes_stale = true;
	loop_defer(status->loop, &status->task);
	loop_timer_set(status->loop, timer, status->loop->now_ms + NODES_SWEEP_MS);
}

/* ---------------------------------------------------------------------- events */

static void on_ingress(struct status *status, enum api_watch_change change, struct str namespace,
		       const struct node *object)
{
	struct str name = text_member(node_find(object, "metadata"), "name");
	struct slot *slot;

	if (change == API_WATCH_DELETED) {
		slot = find_slot(status, namespace, name);
		if (slot)
			drop_slot(status, slot);
		return;
	}
	slot = get_slot(status, namespace, name);
	read_slot(slot, object);
	if (change == API_WATCH_LISTED) /* status_look_again follows */
		return;
	/* The store has not got this object yet: it is looked at after the events. */
	push(slot);
	loop_defer(status->loop, &status->task);
}

void status_on_object(struct status *status, enum object_kind kind, enum api_watch_change change,
		      const struct node *object)
{
	const struct node *metadata = node_find(object, "metadata");
	struct str namespace = text_member(metadata, "namespace");
	struct str service;

	if (status->options.mode == STATUS_OFF)
		return;
	if (kind == OBJECT_KIND_INGRESS) {
		on_ingress(status, change, namespace, object);
		return;
	}
	if (!str_eq(namespace, status->options.namespace))
		return;
	if (kind == OBJECT_KIND_SERVICE && status->options.mode == STATUS_SERVICE &&
	    change != API_WATCH_DELETED &&
	    str_eq(text_member(metadata, "name"), status->options.service))
		want_service(status, object);
	if (kind != OBJECT_KIND_ENDPOINT_SLICE || status->options.mode != STATUS_NODES)
		return;
	service = text_member(node_find(metadata, "labels"), "kubernetes.io/service-name");
	if (!str_eq(service, status->options.service))
		return;
	status->are_nodes_stale = true;
	loop_defer(status->loop, &status->task);
}

void status_look_again(struct status *status)
{
	status->is_begun = true;
	status->is_scan_due = true;
	status->are_nodes_stale = status->nodes != NULL; /* slices too have been read */
	loop_defer(status->loop, &status->task);
}

void status_set_leader(struct status *status, bool is_leader)
{
	status->is_leader = is_leader;
	status->is_scan_due = true;
	if (status->nodes) {
		status_nodes_follow(status->nodes, is_leader);
		status->is_known &= is_leader; /* what is wanted may be another thing by then */
	}
	loop_defer(status->loop, &status->task);
}

/* ------------------------------------------------------------------- lifetime */

static struct str copy_of(struct str text)
{
	return text.len ? str_of(mem_copy_text(text.at, text.len), text.len) : str_of(NULL, 0);
}

struct status *status_new(struct api_client *client, struct loop *loop, struct store *store,
			  const struct status_options *options)
{
	struct status *status = mem_new(1, sizeof(*status));

	status->client = client;
	status->loop = loop;
	status->store = store;
	status->options = *options;
	status->options.addresses = copy_of(options->addresses);
	status->options.namespace = copy_of(options->namespace);
	status->options.service = copy_of(options->service);
	status->last_queued = &status->first_queued;
	status->task.run = on_task;
	status->again_timer.on_due = on_again;
	status->nodes_timer.on_due = on_nodes_timer;
	random_bytes(&status->key, sizeof(status->key));
	if (options->mode == STATUS_ADDRESSES)
		want_fixed(status);
	if (options->mode != STATUS_NODES)
		return status;
	status->nodes = status_nodes_new(client, loop,
					 &(struct status_nodes_options){ on_nodes_change, status });
	loop_timer_set(loop, &status->nodes_timer, loop->now_ms + NODES_SWEEP_MS);
	return status;
}

static void release_slots(struct status *status)
{
	struct table_item *item = table_next(&status->slots, NULL);

	/* Queued ones that are gone stand in no table. */
	while (status->first_queued) {
		struct slot *slot = status->first_queued;

		status->first_queued = slot->next_queued;
		if (slot->is_gone)
			free_slot(slot);
	}
	while (item) {
		struct slot *slot = (struct slot *)item; /* item is its first member */

		item = table_next(&status->slots, item);
		api_cancel(status->client, &slot->request);
		free_slot(slot);
	}
	table_release(&status->slots);
}

void status_free(struct status *status)
{
	if (!status)
		return;
	release_slots(status);
	loop_undefer(status->loop, &status->task);
	loop_timer_clear(status->loop, &status->again_timer);
	loop_timer_clear(status->loop, &status->nodes_timer);
	buf_release(&status->wanted);
	status_nodes_free(status->nodes);
	mem_free((char *)status->options.addresses.at); /* made by copy_of, as the next two */
	mem_free((char *)status->options.namespace.at);
	mem_free((char *)status->options.service.at);
	mem_free(status);
}

void status_stats(const struct status *status, struct status_stats *stats)
{
	*stats = status->stats;
}
