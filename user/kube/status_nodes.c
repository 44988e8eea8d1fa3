// SPDX-License-Identifier: Apache-2.0
/*
 * status_nodes: see status_nodes.h.
 *
 * Addresses of one kind are kept as one text, "10.0.0.5,2001:db8::5", which is
 * compared to tell a change from a report that all is as before.
 */
#include "kube/status_nodes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/siphash.h"
#include "base/vec.h"
#include "kube/api_watch.h"
#include "kube/table.h"

enum {
	IP_TEXT_MAX = 46,    /* as INET6_ADDRSTRLEN */
	NODE_NAME_MAX = 254, /* a DNS name and NUL */
	ADDRESSES_BYTES = STATUS_NODE_ADDRESSES_MAX * IP_TEXT_MAX,
};

/* One Node. */
struct entry {
	struct table_item item;
	struct str name;      /* owned */
	struct str addresses; /* owned; separated by commas; may be empty */
	uint64_t round;       /* the last list that had it */
};

/* A node on which sluice is ready, or was a moment ago. */
struct ready {
	char name[NODE_NAME_MAX]; /* may be empty; then the address tells one from another */
	char address[IP_TEXT_MAX];
	uint64_t ready_ms; /* when it was last seen to be */
};

struct status_nodes {
	struct status_nodes_options options;
	struct VEC(struct ready) ready;
	struct siphash_key key;
	struct api_watch watch;
	struct table entries;
	uint64_t round;
	bool has_changed; /* since the list began */
	bool is_following;
};

static struct str owned_copy(struct str text)
{
	return str_of(mem_copy_text(text.at, text.len), text.len);
}

static void free_owned(struct str text)
{
	mem_free((char *)text.at); /* made by owned_copy */
}

static struct entry *find(const struct status_nodes *nodes, struct str name)
{
	uint64_t hash = siphash(nodes->key, name);
	struct table_item *item = table_first(&nodes->entries, hash);

	for (; item; item = item->next) {
		struct entry *entry = (struct entry *)item; /* item is its first member */

		if (item->hash == hash && str_eq(entry->name, name))
			return entry;
	}
	return NULL;
}

static void remove_entry(struct status_nodes *nodes, struct entry *entry)
{
	table_remove(&nodes->entries, &entry->item);
	free_owned(entry->name);
	free_owned(entry->addresses);
	mem_free(entry);
}

static void remove_all_before(struct status_nodes *nodes, uint64_t round)
{
	struct table_item *item = table_next(&nodes->entries, NULL);

	while (item) {
		struct entry *entry = (struct entry *)item; /* item is its first member */

		item = table_next(&nodes->entries, item);
		if (entry->round >= round)
			continue;
		remove_entry(nodes, entry);
		nodes->has_changed = true;
	}
}

/* ------------------------------------------------------------------ reading Nodes */

static struct str text_member(const struct node *map, const char *name)
{
	const struct node *node = node_find(map, name);

	return node && node->type == NODE_TEXT ? node->text : STR("");
}

/* The addresses of @type in status.addresses, with commas between. */
static void gather(const struct node *list, struct str type, struct buf *out)
{
	uint32_t count = 0;

	for (uint32_t i = 0; list && list->type == NODE_SEQUENCE && i < list->count; i++) {
		const struct node *item = &list->children[i].value;
		struct str address = text_member(item, "address");
		struct addr parsed;

		if (!str_eq(text_member(item, "type"), type) || addr_parse_ip(address, &parsed) ||
		    count == STATUS_NODE_ADDRESSES_MAX)
			continue;
		buf_printf(out, "%s%.*s", count++ ? "," : "", STR_ARG(address));
	}
}

static void put(struct status_nodes *nodes, struct str name, struct str addresses)
{
	struct entry *entry = find(nodes, name);

	if (!entry) {
		entry = mem_new(1, sizeof(*entry));
		entry->item.hash = siphash(nodes->key, name);
		entry->name = owned_copy(name);
		table_add(&nodes->entries, &entry->item);
	}
	entry->round = nodes->round;
	if (entry->addresses.at && str_eq(entry->addresses, addresses))
		return;
	free_owned(entry->addresses);
	entry->addresses = owned_copy(addresses);
	nodes->has_changed = true;
}

static void take(struct status_nodes *nodes, const struct node *object)
{
	const struct node *list = node_find(node_find(object, "status"), "addresses");
	struct buf addresses;

	buf_init(&addresses, ADDRESSES_BYTES);
	gather(list, STR("ExternalIP"), &addresses);
	if (!addresses.len)
		gather(list, STR("InternalIP"), &addresses);
	put(nodes, text_member(node_find(object, "metadata"), "name"), buf_str(&addresses));
	buf_release(&addresses);
}

static void tell(struct status_nodes *nodes)
{
	if (!nodes->has_changed)
		return;
	nodes->has_changed = false;
	nodes->options.on_change(nodes->options.owner);
}

/* ------------------------------------------------------------------------ watching */

static void on_list_begin(struct api_watch *watch)
{
	CONTAINER_OF(watch, struct status_nodes, watch)->round++;
}

static void on_object(struct api_watch *watch, enum api_watch_change change,
		      const struct node *object)
{
	struct status_nodes *nodes = CONTAINER_OF(watch, struct status_nodes, watch);
	struct entry *entry;

	if (change == API_WATCH_DELETED) {
		entry = find(nodes, text_member(node_find(object, "metadata"), "name"));
		if (entry)
			remove_entry(nodes, entry);
		nodes->has_changed |= entry != NULL;
	} else {
		take(nodes, object);
	}
	if (change != API_WATCH_LISTED)
		tell(nodes);
}

static void on_list_end(struct api_watch *watch)
{
	struct status_nodes *nodes = CONTAINER_OF(watch, struct status_nodes, watch);

	remove_all_before(nodes, nodes->round);
	/* The first list settles it, whatever it says. */
	nodes->has_changed |= watch->list_count == 1;
	tell(nodes);
}

static void on_problem(struct api_watch *watch)
{
	struct status_nodes *nodes = CONTAINER_OF(watch, struct status_nodes, watch);

	if (watch->problem == API_WATCH_FINE)
		return;
	log_warning("kube", "Nodes are not read, addresses of Pods stand for theirs: %s",
		    watch->problem_text);
	nodes->has_changed = true;
	tell(nodes);
}

static const struct api_watch_handler handler = {
	.on_list_begin = on_list_begin,
	.on_object = on_object,
	.on_list_end = on_list_end,
	.on_problem = on_problem,
};

static struct api_watch make_watch(struct api_client *client, struct loop *loop)
{
	return (struct api_watch){
		.client = client,
		.loop = loop,
		.handler = &handler,
		.path = "/api/v1/nodes",
		.kind = "Node",
		.api_version = "v1",
	};
}

void status_nodes_follow(struct status_nodes *nodes, bool is_wanted)
{
	if (nodes->is_following == is_wanted)
		return;
	nodes->is_following = is_wanted;
	if (is_wanted) {
		api_watch_start(&nodes->watch);
		return;
	}
	api_watch_stop(&nodes->watch);
	nodes->watch = make_watch(nodes->watch.client, nodes->watch.loop);
	remove_all_before(nodes, nodes->round + 1);
	nodes->has_changed = false;
}

/* ---------------------------------------------------------------------- ready ones */

static struct ready *find_ready(const struct status_nodes *nodes, struct str name,
				struct str address)
{
	for (size_t i = 0; i < nodes->ready.len; i++) {
		struct ready *ready = &nodes->ready.at[i];

		if (str_eq_c(name, ready->name) && (name.len || str_eq_c(address, ready->address)))
			return ready;
	}
	return NULL;
}

void status_nodes_note_ready(struct status_nodes *nodes, struct str name, struct str address)
{
	struct ready *ready = find_ready(nodes, name, address);

	if (name.len >= sizeof(ready->name) || address.len >= sizeof(ready->address))
		return;
	if (!ready && nodes->ready.len == STATUS_ADDRESSES_MAX)
		return;
	if (!ready)
		ready = vec_push(&nodes->ready);
	snprintf(ready->name, sizeof(ready->name), "%.*s", STR_ARG(name));
	snprintf(ready->address, sizeof(ready->address), "%.*s", STR_ARG(address));
	ready->ready_ms = nodes->watch.loop->now_ms;
}

static void forget_old(struct status_nodes *nodes)
{
	uint64_t now_ms = nodes->watch.loop->now_ms;
	size_t kept = 0;

	for (size_t i = 0; i < nodes->ready.len; i++) {
		if (now_ms - nodes->ready.at[i].ready_ms <= STATUS_NODE_KEPT_MS)
			nodes->ready.at[kept++] = nodes->ready.at[i];
	}
	nodes->ready.len = kept;
}

static int compare_ready(const void *a, const void *b)
{
	const struct ready *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order ? order : strcmp(left->address, right->address);
}

static bool is_settled(const struct status_nodes *nodes)
{
	const struct api_watch *watch = &nodes->watch;

	return watch->has_listed || watch->problem == API_WATCH_FORBIDDEN ||
	       watch->problem == API_WATCH_UNKNOWN;
}

bool status_nodes_list(struct status_nodes *nodes, struct status_list *list)
{
	struct str rest, part;

	if (!is_settled(nodes))
		return false;
	forget_old(nodes);
	if (nodes->ready.len)
		qsort(nodes->ready.at, nodes->ready.len, sizeof(*nodes->ready.at), compare_ready);
	for (size_t i = 0; i < nodes->ready.len; i++) {
		const struct ready *ready = &nodes->ready.at[i];
		const struct entry *entry = find(nodes, str_from_c(ready->name));

		rest = entry && entry->addresses.len ? entry->addresses
						     : str_from_c(ready->address);
		while (str_take_part(&rest, ',', &part))
			status_list_add(list, part, STR(""));
	}
	return true;
}

/* ----------------------------------------------------------------------- lifetime */

struct status_nodes *status_nodes_new(struct api_client *client, struct loop *loop,
				      const struct status_nodes_options *options)
{
	struct status_nodes *nodes = mem_new(1, sizeof(*nodes));

	nodes->options = *options;
	random_bytes(&nodes->key, sizeof(nodes->key));
	nodes->watch = make_watch(client, loop);
	return nodes;
}

void status_nodes_free(struct status_nodes *nodes)
{
	if (!nodes)
		return;
	api_watch_stop(&nodes->watch);
	remove_all_before(nodes, nodes->round + 1);
	table_release(&nodes->entries);
	vec_release(&nodes->ready);
	mem_free(nodes);
}
