// SPDX-License-Identifier: Apache-2.0
/*
 * source_api: see source_api.h.
 *
 * A feed is one watch and the origin of the store that it fills. Some feeds stand
 * always (the kinds), others come and go with what Ingresses and classes name:
 *
 *   namers (objects that name something) ──► wanted names ──► feeds by name
 *
 * Only a change of a namer makes this be looked at again, so that an Ingress that
 * names nothing costs nothing here, however many there are.
 */
#include "kube/source_api.h"

#include <stdio.h>

#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/siphash.h"
#include "kube/api_names.h"
#include "kube/api_print.h"
#include "kube/say.h"
#include "kube/table.h"

#define TLS_TYPE     "fieldSelector=type%3Dkubernetes.io%2Ftls"
#define BY_NAME      "fieldSelector=metadata.name%3D"
#define NOT_TLS_TYPE ",type%21%3Dkubernetes.io%2Ftls"
#define BY_SERVICE   "labelSelector=kubernetes.io%2Fservice-name%3D"

static const struct str complaints_origin = STR_INIT("api");

struct kind_row {
	const char *root;     /* of its API group */
	const char *resource; /* plural */
	const char *kind, *api_version;
	bool has_namespace;
	bool is_observed; /* on_object */
};

static const struct kind_row kinds[OBJECT_KIND_COUNT] = {
	[OBJECT_KIND_INGRESS] = { "/apis/networking.k8s.io/v1", "ingresses", "Ingress",
				  "networking.k8s.io/v1", true, true },
	[OBJECT_KIND_INGRESS_CLASS] = { "/apis/networking.k8s.io/v1", "ingressclasses",
					"IngressClass", "networking.k8s.io/v1", false, false },
	[OBJECT_KIND_SERVICE] = { "/api/v1", "services", "Service", "v1", true, true },
	[OBJECT_KIND_ENDPOINT_SLICE] = { "/apis/discovery.k8s.io/v1", "endpointslices",
					 "EndpointSlice", "discovery.k8s.io/v1", true, true },
	[OBJECT_KIND_SECRET] = { "/api/v1", "secrets", "Secret", "v1", true, false },
	[OBJECT_KIND_CONFIG_MAP] = { "/api/v1", "configmaps", "ConfigMap", "v1", true, false },
};

struct feed {
	struct api_watch watch;
	struct source_api *source;
	struct feed *next;
	enum object_kind kind;
	struct arena arena; /* of the texts */
	struct str origin;
	struct str namespace;  /* absent: all */
	struct str name;       /* absent: all of that selector */
	struct decoded listed; /* the list that is being read */
	bool is_standing;      /* not by name */
	bool is_wanted;        /* by name: still */
	bool is_dropped;       /* freed in the next task */
};

/* Something that is wrong with one object, until it comes again. */
struct complaint {
	struct arena arena; /* of the key's texts */
	struct object_key key;
	struct findings findings;
};

/* An object that names others. */
struct namer {
	struct table_item item;
	enum object_kind kind;
	struct str namespace, name; /* owned */
};

struct source_api {
	/* fixed after open */
	struct api_client *client; /* borrowed, as the next two */
	struct loop *loop;
	struct store *store;
	struct source_api_options options;
	struct str namespace; /* owned; absent: all */
	struct siphash_key key;
	/* this thread only */
	struct feed *feeds;
	struct feed *secrets; /* the standing feed of all TLS Secrets */
	size_t named_count, namespace_count;
	struct table namers;
	bool are_names_stale;
	bool is_complete; /* once true, for ever */
	struct VEC(struct complaint) complaints;
	bool are_complaints_stale;
	struct loop_task task;
	uint64_t generations[OBJECT_KIND_COUNT]; /* of the store, as told by on_change */
	uint64_t findings_generation;
	struct source_api_stats stats;
};

/* ---------------------------------------------------------------- complaints */

static void free_complaint(struct complaint *complaint)
{
	findings_release(&complaint->findings);
	arena_release(&complaint->arena);
}

static bool is_same_key(const struct object_key *a, const struct object_key *b)
{
	return a->kind == b->kind && str_eq(a->name, b->name) && str_eq(a->namespace, b->namespace);
}

static void forget_complaint(struct source_api *source, const struct object_key *key)
{
	for (size_t i = 0; i < source->complaints.len; i++) {
		if (!is_same_key(&source->complaints.at[i].key, key))
			continue;
		free_complaint(&source->complaints.at[i]);
		source->complaints.at[i] = source->complaints.at[--source->complaints.len];
		source->are_complaints_stale = true;
		return;
	}
}

static void complain(struct source_api *source, const struct object_key *key,
		     const struct decoded *decoded)
{
	struct complaint *complaint;

	forget_complaint(source, key);
	if (decoded->findings.list.len == 0 || source->complaints.len == SOURCE_API_COMPLAINTS_MAX)
		return;
	complaint = vec_push(&source->complaints);
	arena_init(&complaint->arena, 512);
	complaint->key = (struct object_key){
		.kind = key->kind,
		.namespace = arena_copy(&complaint->arena, key->namespace),
		.name = arena_copy(&complaint->arena, key->name),
	};
	findings_init(&complaint->findings);
	findings_append(&complaint->findings, &decoded->findings);
	source->are_complaints_stale = true;
}

static const char *problem_reason(enum api_watch_problem problem)
{
	switch (problem) {
	case API_WATCH_FORBIDDEN:
		return "Forbidden";
	case API_WATCH_UNKNOWN:
		return "UnknownToServer";
	case API_WATCH_FINE:
	case API_WATCH_UNREACHABLE:
		return NULL;
	}
	return NULL;
}

/* All that is wrong goes into the store under one origin, which has no objects. */
static void tell_complaints(struct source_api *source)
{
	struct decoded decoded;

	if (!source->are_complaints_stale)
		return;
	source->are_complaints_stale = false;
	decoded_init(&decoded);
	for (struct feed *feed = source->feeds; feed; feed = feed->next) {
		const char *reason = problem_reason(feed->watch.problem);
		struct finding_place place = { .file = feed->origin };
		/* Where all Secrets may not be read, those of each namespace are asked for. */
		bool is_settled = feed == source->secrets && source->namespace_count;

		if (reason && !feed->is_dropped)
			findings_add(&decoded.findings, is_settled ? FINDING_NOTICE : FINDING_ERROR,
				     reason, &place, "%s", feed->watch.problem_text);
	}
	for (size_t i = 0; i < source->complaints.len; i++)
		findings_append(&decoded.findings, &source->complaints.at[i].findings);
	store_put_origin(source->store, complaints_origin, &decoded);
	decoded_release(&decoded);
}

/* --------------------------------------------------------------------- namers */

static uint64_t hash_namer(const struct source_api *source, enum object_kind kind,
			   struct str namespace, struct str name)
{
	struct siphash_key second = { .k0 = siphash(source->key, name),
				      .k1 = source->key.k1 + kind };

	return siphash(second, namespace);
}

static struct namer *find_namer(const struct source_api *source, const struct object_key *key)
{
	uint64_t hash = hash_namer(source, key->kind, key->namespace, key->name);
	struct table_item *item = table_first(&source->namers, hash);

	for (; item; item = item->next) {
		struct namer *namer = (struct namer *)item; /* item is its first member */

		if (item->hash == hash && namer->kind == key->kind &&
		    str_eq(namer->name, key->name) && str_eq(namer->namespace, key->namespace))
			return namer;
	}
	return NULL;
}

static void add_namer(struct source_api *source, const struct object_key *key)
{
	struct namer *namer = mem_new(1, sizeof(*namer));

	namer->item.hash = hash_namer(source, key->kind, key->namespace, key->name);
	namer->kind = key->kind;
	namer->namespace =
		str_of(mem_copy_text(key->namespace.at, key->namespace.len), key->namespace.len);
	namer->name = str_of(mem_copy_text(key->name.at, key->name.len), key->name.len);
	table_add(&source->namers, &namer->item);
}

static void free_namer(struct namer *namer)
{
	mem_free((char *)namer->namespace.at); /* made by mem_copy_text, as the next */
	mem_free((char *)namer->name.at);
	mem_free(namer);
}

static void remove_namer(struct source_api *source, struct namer *namer)
{
	table_remove(&source->namers, &namer->item);
	free_namer(namer);
}

/* Whether all Secrets may not be read, so that each namespace is asked for its own. */
static bool asks_namespaces(const struct source_api *source)
{
	return source->secrets->watch.problem == API_WATCH_FORBIDDEN && !source->namespace.len;
}

/* Classes decide whose names count; an Ingress with TLS counts where namespaces are asked. */
static bool is_namer(const struct source_api *source, const struct object *object)
{
	if (object->kind == OBJECT_KIND_INGRESS_CLASS)
		return true;
	if (object->kind != OBJECT_KIND_INGRESS)
		return false;
	return (asks_namespaces(source) && object->ingress.tls_count) ||
	       api_names(object, NULL, NULL);
}

/* @object: NULL where it is gone. */
static void note_namer(struct source_api *source, const struct object_key *key,
		       const struct object *object)
{
	struct namer *namer;
	bool names;

	if (key->kind != OBJECT_KIND_INGRESS && key->kind != OBJECT_KIND_INGRESS_CLASS)
		return;
	namer = find_namer(source, key);
	names = object && is_namer(source, object);
	if (names || namer)
		source->are_names_stale = true;
	if (names && !namer)
		add_namer(source, key);
	else if (!names && namer)
		remove_namer(source, namer);
}

/* ---------------------------------------------------------------------- feeds */

static void touch(struct source_api *source)
{
	loop_defer(source->loop, &source->task);
}

static void on_list_begin(struct api_watch *watch)
{
	struct feed *feed = CONTAINER_OF(watch, struct feed, watch);

	decoded_release(&feed->listed);
	decoded_init(&feed->listed);
}

/* Namers that a list does not name any more are found by asking the store. */
static void forget_gone_namers(struct source_api *source)
{
	const struct object_set *set = store_set(source->store);
	struct table_item *item = table_next(&source->namers, NULL);

	while (item) {
		struct namer *namer = (struct namer *)item; /* item is its first member */

		item = table_next(&source->namers, item);
		if (object_set_find(set, namer->kind, namer->namespace, namer->name))
			continue;
		remove_namer(source, namer);
		source->are_names_stale = true;
	}
}

static void note_listed_namers(struct source_api *source, const struct decoded *listed)
{
	for (size_t i = 0; i < listed->objects.len; i++) {
		const struct object *object = listed->objects.at[i].object;
		struct object_key key = { object->kind, object->namespace, object->name };

		note_namer(source, &key, object);
	}
}

/* Of the kind @kind, one by one, nothing is wrong any more: the list has said it all. */
static void forget_complaints_of(struct source_api *source, enum object_kind kind)
{
	for (size_t i = source->complaints.len; i-- > 0;) {
		struct complaint *complaint = &source->complaints.at[i];

		if (complaint->key.kind != kind)
			continue;
		free_complaint(complaint);
		*complaint = source->complaints.at[--source->complaints.len];
		source->are_complaints_stale = true;
	}
}

static void on_list_end(struct api_watch *watch)
{
	struct feed *feed = CONTAINER_OF(watch, struct feed, watch);
	struct source_api *source = feed->source;
	bool may_name =
		feed->kind == OBJECT_KIND_INGRESS || feed->kind == OBJECT_KIND_INGRESS_CLASS;

	source->stats.lists++;
	if (may_name)
		note_listed_namers(source, &feed->listed);
	if (feed->is_standing)
		forget_complaints_of(source, feed->kind);
	log_debug("kube", "'%.*s' lists %zu objects", STR_ARG(feed->origin),
		  feed->listed.objects.len);
	store_put_origin(source->store, feed->origin, &feed->listed);
	decoded_release(&feed->listed);
	decoded_init(&feed->listed);
	if (may_name)
		forget_gone_namers(source);
	if (source->options.on_listed)
		source->options.on_listed(source->options.owner, feed->kind);
	touch(source);
}

static struct object_key key_of_node(const struct feed *feed, const struct node *object)
{
	const struct node *metadata = node_find(object, "metadata");
	const struct node *namespace = node_find(metadata, "namespace");
	const struct node *name = node_find(metadata, "name");

	return (struct object_key){
		.kind = feed->kind,
		.namespace = namespace && namespace->type == NODE_TEXT ? namespace->text : STR(""),
		.name = name && name->type == NODE_TEXT ? name->text : STR(""),
	};
}

static void put_object(struct feed *feed, const struct node *object, const struct object_key *key)
{
	struct source_api *source = feed->source;
	uint64_t before = store_generation(source->store, feed->kind);
	struct decoded decoded;

	decoded_init(&decoded);
	decode_node(str_of(NULL, 0), object, api_print(object), &decoded);
	complain(source, key, &decoded);
	if (decoded.objects.len == 1) {
		note_namer(source, key, decoded.objects.at[0].object);
		store_put_decoded(source->store, feed->origin, &decoded.objects.at[0]);
	}
	decoded_release(&decoded);
	if (store_generation(source->store, feed->kind) == before)
		source->stats.unchanged++;
}

static void on_object(struct api_watch *watch, enum api_watch_change change,
		      const struct node *object)
{
	struct feed *feed = CONTAINER_OF(watch, struct feed, watch);
	struct source_api *source = feed->source;
	struct object_key key = key_of_node(feed, object);

	source->stats.objects++;
	source->stats.last_ns = source->loop->now_ns;
	if (source->options.on_object && kinds[feed->kind].is_observed)
		source->options.on_object(source->options.owner, feed->kind, change, object);
	if (watch->is_list_open) {
		decode_node(str_of(NULL, 0), object, api_print(object), &feed->listed);
		return;
	}
	if (change == API_WATCH_DELETED) {
		forget_complaint(source, &key);
		note_namer(source, &key, NULL);
		store_remove(source->store, feed->origin, &key);
	} else {
		put_object(feed, object, &key);
	}
	touch(source);
}

static void rescan_namers(struct source_api *source);

static void on_problem(struct api_watch *watch)
{
	struct feed *feed = CONTAINER_OF(watch, struct feed, watch);

	switch (watch->problem) {
	case API_WATCH_FINE:
		log_info("kube", "'%.*s' is read", STR_ARG(feed->origin));
		break;
	case API_WATCH_FORBIDDEN:
	case API_WATCH_UNKNOWN:
	case API_WATCH_UNREACHABLE:
		log_warning("kube", "'%.*s' is not read: %s", STR_ARG(feed->origin),
			    watch->problem_text);
		break;
	}
	if (feed == feed->source->secrets)
		rescan_namers(feed->source);
	feed->source->are_complaints_stale = true;
	touch(feed->source);
}

static const struct api_watch_handler feed_handler = {
	.on_list_begin = on_list_begin,
	.on_object = on_object,
	.on_list_end = on_list_end,
	.on_problem = on_problem,
};

static const char *text_or_null(struct str text)
{
	return text.len ? text.at : NULL;
}

/* @selector: "fieldSelector=...", encoded; absent: none */
static struct feed *add_feed(struct source_api *source, const struct object_key *key,
			     struct str selector)
{
	const struct kind_row *row = &kinds[key->kind];
	struct feed *feed = mem_new(1, sizeof(*feed));
	struct arena *arena = &feed->arena;
	struct str path;

	arena_init(arena, 1024);
	feed->source = source;
	feed->kind = key->kind;
	feed->namespace = arena_copy(arena, key->namespace);
	feed->name = arena_copy(arena, key->name);
	if (key->namespace.len && row->has_namespace)
		path = arena_printf(arena, "%s/namespaces/%.*s/%s", row->root,
				    STR_ARG(feed->namespace), row->resource);
	else
		path = arena_printf(arena, "%s/%s", row->root, row->resource);
	if (selector.len)
		selector = arena_printf(arena, "%.*s", STR_ARG(selector)); /* ends with NUL */
	feed->origin = arena_printf(arena, "api:%s%s%.*s%s%.*s", row->resource,
				    key->name.len || key->namespace.len ? "/" : "",
				    STR_ARG(feed->namespace), key->name.len ? "/" : "",
				    STR_ARG(feed->name));
	decoded_init(&feed->listed);
	feed->watch = (struct api_watch){
		.client = source->client,
		.loop = source->loop,
		.handler = &feed_handler,
		.path = path.at,
		.selector = text_or_null(selector),
		.kind = row->kind,
		.api_version = row->api_version,
	};
	feed->next = source->feeds;
	source->feeds = feed;
	source->stats.watches++;
	api_watch_start(&feed->watch);
	return feed;
}

static void free_feed(struct feed *feed)
{
	api_watch_stop(&feed->watch);
	decoded_release(&feed->listed);
	arena_release(&feed->arena);
	mem_free(feed);
}

/* ---------------------------------------------------------------- feeds by name */

static struct feed *find_named(struct source_api *source, const struct object_key *key)
{
	struct feed *feed = source->feeds;

	while (feed && (feed->is_standing || feed->is_dropped || feed->kind != key->kind ||
			!str_eq(feed->name, key->name) || !str_eq(feed->namespace, key->namespace)))
		feed = feed->next;
	return feed;
}

static void want_named(void *context, const struct object_key *key)
{
	struct source_api *source = context;
	struct feed *feed = find_named(source, key);
	char selector[512];
	int len;

	if (source->namespace.len && !str_eq(key->namespace, source->namespace) &&
	    key->kind == OBJECT_KIND_SECRET)
		return;
	if (feed) {
		feed->is_wanted = true;
		return;
	}
	if (source->named_count == SOURCE_API_NAMED_MAX)
		return;
	/* Those of type TLS have come already. */
	len = snprintf(selector, sizeof(selector), "%s%.*s%s", BY_NAME, STR_ARG(key->name),
		       key->kind == OBJECT_KIND_SECRET ? NOT_TLS_TYPE : "");
	if (len < 0 || (size_t)len >= sizeof(selector))
		return; /* no name of an object is that long */
	source->named_count++;
	feed = add_feed(source, key, str_of(selector, (size_t)len));
	feed->is_wanted = true;
}

static void want_namespace(struct source_api *source, struct str namespace)
{
	struct object_key key = { .kind = OBJECT_KIND_SECRET, .namespace = namespace };
	struct feed *feed = find_named(source, &key);

	if (!feed && source->namespace_count == SOURCE_API_NAMESPACES_MAX)
		return;
	if (!feed) {
		source->namespace_count++;
		feed = add_feed(source, &key, STR(TLS_TYPE));
	}
	feed->is_wanted = true;
}

static void drop_unwanted(struct source_api *source)
{
	for (struct feed *feed = source->feeds; feed; feed = feed->next) {
		if (feed->is_standing || feed->is_wanted || feed->is_dropped)
			continue;
		feed->is_dropped = true;
		if (feed->name.len)
			source->named_count--;
		else
			source->namespace_count--;
		source->are_complaints_stale = true;
	}
}

/* Feeds that were dropped, with what they had said. */
static void free_dropped(struct source_api *source)
{
	struct feed **link = &source->feeds;

	while (*link) {
		struct feed *feed = *link;

		if (!feed->is_dropped) {
			link = &feed->next;
			continue;
		}
		*link = feed->next;
		store_remove_origin(source->store, feed->origin);
		source->stats.watches--;
		free_feed(feed);
	}
}

static void follow_names(struct source_api *source)
{
	const struct object_set *set = store_set(source->store);
	struct table_item *item = NULL;
	bool by_namespace = asks_namespaces(source);

	if (!source->are_names_stale)
		return;
	source->are_names_stale = false;
	for (struct feed *feed = source->feeds; feed; feed = feed->next)
		feed->is_wanted = false;
	while ((item = table_next(&source->namers, item))) {
		const struct namer *namer = (struct namer *)item; /* item is its first member */
		const struct object *object =
			object_set_find(set, namer->kind, namer->namespace, namer->name);

		if (!object)
			continue;
		if (namer->kind == OBJECT_KIND_INGRESS && source->options.is_ours &&
		    !source->options.is_ours(source->options.owner, object))
			continue;
		api_names(object, want_named, source);
		if (by_namespace && namer->kind == OBJECT_KIND_INGRESS && object->ingress.tls_count)
			want_namespace(source, object->namespace);
	}
	drop_unwanted(source);
	free_dropped(source);
}

/* Who is a namer depends on what may be read. */
static void rescan_namers(struct source_api *source)
{
	const struct object_set *set = store_set(source->store);

	for (size_t i = 0; i < set->of[OBJECT_KIND_INGRESS].count; i++) {
		const struct object *object = set->of[OBJECT_KIND_INGRESS].at[i];
		struct object_key key = { object->kind, object->namespace, object->name };

		note_namer(source, &key, object);
	}
	source->are_names_stale = true;
}

/* ------------------------------------------------------------------- on_change */

static bool is_settled(const struct feed *feed)
{
	return feed->watch.has_listed || feed->watch.problem == API_WATCH_FORBIDDEN ||
	       feed->watch.problem == API_WATCH_UNKNOWN;
}

static const struct feed *first_unsettled(const struct source_api *source)
{
	const struct feed *feed = source->feeds;

	while (feed && is_settled(feed))
		feed = feed->next;
	return feed;
}

static uint32_t take_changes(struct source_api *source)
{
	uint32_t changed = 0;

	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		uint64_t now = store_generation(source->store, (enum object_kind)kind);

		if (now != source->generations[kind])
			changed |= 1u << kind;
		source->generations[kind] = now;
	}
	return changed;
}

/* After the events of a turn: names, findings, and the one who waits for changes. */
static void on_task(struct loop_task *task)
{
	struct source_api *source = CONTAINER_OF(task, struct source_api, task);
	bool was_complete = source->is_complete;
	uint32_t changed;

	follow_names(source);
	tell_complaints(source);
	if (!source->is_complete)
		source->is_complete = !first_unsettled(source);
	if (!source->is_complete)
		return;
	changed = take_changes(source);
	if (!changed && was_complete &&
	    source->findings_generation == store_findings_generation(source->store))
		return;
	source->findings_generation = store_findings_generation(source->store);
	if (source->options.on_change)
		source->options.on_change(source->options.owner, changed);
}

/* ------------------------------------------------------------------- lifetime */

/* What status has to know of a Service that stands outside of the namespace that is watched. */
static void follow_beside(struct source_api *source, const struct object_key *beside)
{
	char selector[512];
	int len = snprintf(selector, sizeof(selector), "%s%.*s",
			   beside->kind == OBJECT_KIND_SERVICE ? BY_NAME : BY_SERVICE,
			   STR_ARG(beside->name));

	if (!beside->name.len || !source->namespace.len ||
	    str_eq(beside->namespace, source->namespace) || (size_t)len >= sizeof(selector))
		return;
	add_feed(source, beside, str_of(selector, (size_t)len))->is_standing = true;
}

struct source_api *source_api_open(struct api_client *client, struct loop *loop,
				   struct store *store, const struct source_api_options *options)
{
	static const enum object_kind standing[] = {
		OBJECT_KIND_INGRESS,        OBJECT_KIND_INGRESS_CLASS, OBJECT_KIND_SERVICE,
		OBJECT_KIND_ENDPOINT_SLICE, OBJECT_KIND_SECRET,
	};
	struct source_api *source = mem_new(1, sizeof(*source));

	source->client = client;
	source->loop = loop;
	source->store = store;
	source->options = *options;
	source->options.namespace = str_of(NULL, 0);
	source->options.beside = (struct object_key){ 0 };
	if (options->namespace.len)
		source->namespace =
			str_of(mem_copy_text(options->namespace.at, options->namespace.len),
			       options->namespace.len);
	source->task.run = on_task;
	random_bytes(&source->key, sizeof(source->key));
	for (size_t i = 0; i < sizeof(standing) / sizeof(standing[0]); i++) {
		struct object_key key = { .kind = standing[i] };
		struct feed *feed;

		if (kinds[standing[i]].has_namespace)
			key.namespace = source->namespace;
		feed = add_feed(source, &key,
				standing[i] == OBJECT_KIND_SECRET ? STR(TLS_TYPE)
								  : str_of(NULL, 0));
		feed->is_standing = true;
		if (standing[i] == OBJECT_KIND_SECRET)
			source->secrets = feed;
	}
	follow_beside(source, &options->beside);
	return source;
}

void source_api_close(struct source_api *source)
{
	struct table_item *item;

	if (!source)
		return;
	while (source->feeds) {
		struct feed *feed = source->feeds;

		source->feeds = feed->next;
		free_feed(feed);
	}
	for (size_t i = 0; i < source->complaints.len; i++)
		free_complaint(&source->complaints.at[i]);
	vec_release(&source->complaints);
	item = table_next(&source->namers, NULL);
	while (item) {
		struct namer *namer = (struct namer *)item; /* item is its first member */

		item = table_next(&source->namers, item);
		free_namer(namer);
	}
	table_release(&source->namers);
	mem_free((char *)source->namespace.at); /* made by mem_copy_text */
	loop_undefer(source->loop, &source->task);
	mem_free(source);
}

bool source_api_is_complete(const struct source_api *source)
{
	return source->is_complete;
}

const char *source_api_waits_for(const struct source_api *source)
{
	const struct feed *feed = source->is_complete ? NULL : first_unsettled(source);

	return feed ? feed->origin.at : NULL;
}

void source_api_stats(const struct source_api *source, struct source_api_stats *stats)
{
	*stats = source->stats;
	stats->following = 0;
	stats->resumes = 0;
	for (const struct feed *feed = source->feeds; feed; feed = feed->next) {
		stats->following += feed->watch.state == API_WATCH_FOLLOWING;
		stats->resumes += feed->watch.resume_count;
	}
}
