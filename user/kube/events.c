// SPDX-License-Identifier: Apache-2.0
/*
 * events: see events.h. events.k8s.io/v1; KEP-383 for series.
 *
 * What has been told is a sorted array of hashes that is replaced at each round of
 * findings: what is not found any more is forgotten and may be told again.
 */
#include "kube/events.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/container.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "kube/api_time.h"

enum {
	REQUEST_TIMEOUT_MS = 10000,
	REFILL_MS = 1000 / EVENTS_PER_S,
	NAME_PART_MAX = 200, /* of the object's name; an Event's has at most 253 bytes */
	PATH_BYTES = 1024,
	COUNTED_MAX = 256,
};

/* Events must have the same names whichever agent writes them: no secret in the key. */
static const struct siphash_key name_key = { 0x736c75696365, 0x6576656e7473 };

static const char controller[] = "sluice.dev/ingress-controller";

struct event {
	struct arena arena; /* of the texts */
	struct api_request request;
	struct events *events;
	struct event *next;
	const char *reason;
	bool is_warning;
	struct str kind, namespace, object_name, uid;
	struct str event_namespace, name, note;
	uint64_t hash;
};

/* How often an Event was said, of some: by the last digits of its hash. */
struct counted {
	uint64_t hash;
	uint32_t count;
};

struct events {
	struct api_client *client; /* borrowed, as the next two */
	struct loop *loop;
	const char *identity;
	bool is_leader;
	struct event *first, **last;
	struct event *under_way; /* list */
	uint32_t queued_count, under_way_count;
	uint32_t tokens;
	struct loop_timer timer;
	struct VEC(uint64_t) told; /* sorted */
	struct counted counted[COUNTED_MAX];
	struct events_stats stats;
};

static uint64_t hash_texts(const struct str *texts, size_t count)
{
	struct siphash_key key = name_key;

	for (size_t i = 0; i < count; i++)
		key.k0 ^= siphash(key, texts[i]) + i;
	return key.k0;
}

/* ----------------------------------------------------------------------- writing */

static void free_event(struct event *event)
{
	arena_release(&event->arena);
	mem_free(event);
}

static void work_off(struct events *events);

static void end_event(struct event *event)
{
	struct events *events = event->events;
	struct event **link = &events->under_way;

	while (*link != event)
		link = &(*link)->next;
	*link = event->next;
	events->under_way_count--;
	free_event(event);
	work_off(events);
}

static void on_done(struct api_request *request, const struct api_answer *answer);

/* Of a series that another agent began only the last part is known. */
static uint32_t count_on(struct events *events, uint64_t hash)
{
	struct counted *counted = &events->counted[hash % COUNTED_MAX];

	if (counted->hash != hash)
		*counted = (struct counted){ .hash = hash, .count = 1 };
	return ++counted->count;
}

/* The same was said before: it is counted on. */
static void send_series(struct event *event)
{
	uint32_t count = count_on(event->events, event->hash);
	char path[PATH_BYTES], now[API_TIME_MAX];
	struct buf body;

	snprintf(path, sizeof(path), "/apis/events.k8s.io/v1/namespaces/%.*s/events/%.*s",
		 STR_ARG(event->event_namespace), STR_ARG(event->name));
	buf_init(&body, 0);
	buf_printf(&body, "{\"series\":{\"count\":%u,\"lastObservedTime\":\"%s\"}}", count,
		   api_time_now(now));
	event->request = (struct api_request){
		.method = API_PATCH,
		.path = path,
		.content_type = "application/merge-patch+json",
		.body = buf_str(&body),
		.timeout_ms = REQUEST_TIMEOUT_MS,
		.on_done = on_done,
	};
	api_send(event->events->client, &event->request);
	buf_release(&body);
}

static void on_done(struct api_request *request, const struct api_answer *answer)
{
	struct event *event = CONTAINER_OF(request, struct event, request);
	struct events *events = event->events;
	bool was_new = request->method == API_POST;
	char text[256];

	if (answer->status == 409 && was_new) {
		send_series(event);
		return;
	}
	if (answer->status == 200 || answer->status == 201) {
		events->stats.written++;
	} else {
		events->stats.refused++;
		api_status_text(answer->body, text, sizeof(text));
		log_warning("kube", "Event about '%.*s/%.*s' is not written: %d %s",
			    STR_ARG(event->namespace), STR_ARG(event->object_name), answer->status,
			    text[0] ? text : answer->err.text);
	}
	end_event(event);
}

static const char *api_version_of(struct str kind)
{
	if (str_eq(kind, STR("Ingress")) || str_eq(kind, STR("IngressClass")))
		return "networking.k8s.io/v1";
	return str_eq(kind, STR("EndpointSlice")) ? "discovery.k8s.io/v1" : "v1";
}

static void make_body(const struct event *event, struct buf *out)
{
	char now[API_TIME_MAX];
	struct json json;

	json_init(&json, out);
	json_object_begin(&json, NULL);
	json_text_c(&json, "apiVersion", "events.k8s.io/v1");
	json_text_c(&json, "kind", "Event");
	json_object_begin(&json, "metadata");
	json_text(&json, "name", event->name);
	json_text(&json, "namespace", event->event_namespace);
	json_object_end(&json);
	json_text_c(&json, "eventTime", api_time_now(now));
	json_text_c(&json, "reportingController", controller);
	json_text_c(&json, "reportingInstance", event->events->identity);
	json_text_c(&json, "action", "Compile");
	json_text_c(&json, "reason", event->reason);
	json_text_c(&json, "type", event->is_warning ? "Warning" : "Normal");
	json_text(&json, "note", event->note);
	json_object_begin(&json, "regarding");
	json_text_c(&json, "apiVersion", api_version_of(event->kind));
	json_text(&json, "kind", event->kind);
	if (event->namespace.len)
		json_text(&json, "namespace", event->namespace);
	json_text(&json, "name", event->object_name);
	json_text(&json, "uid", event->uid);
	json_object_end(&json);
	json_object_end(&json);
}

static void send_event(struct event *event)
{
	char path[PATH_BYTES];
	struct buf body;

	snprintf(path, sizeof(path), "/apis/events.k8s.io/v1/namespaces/%.*s/events",
		 STR_ARG(event->event_namespace));
	buf_init(&body, 0);
	make_body(event, &body);
	event->request = (struct api_request){
		.method = API_POST,
		.path = path,
		.body = buf_str(&body),
		.timeout_ms = REQUEST_TIMEOUT_MS,
		.on_done = on_done,
	};
	api_send(event->events->client, &event->request);
	buf_release(&body);
}

static void work_off(struct events *events)
{
	while (events->first && events->tokens && events->under_way_count < EVENTS_UNDER_WAY_MAX) {
		struct event *event = events->first;

		events->first = event->next;
		if (!events->first)
			events->last = &events->first;
		events->queued_count--;
		events->tokens--;
		event->next = events->under_way;
		events->under_way = event;
		events->under_way_count++;
		send_event(event);
	}
}

static void on_refill(struct loop_timer *timer)
{
	struct events *events = CONTAINER_OF(timer, struct events, timer);

	if (events->tokens < EVENTS_BURST)
		events->tokens++;
	work_off(events);
	if (events->tokens < EVENTS_BURST || events->first)
		loop_timer_set(events->loop, timer, events->loop->now_ms + REFILL_MS);
}

/* ------------------------------------------------------------------------- telling */

static struct event *add_event(struct events *events, const struct object *object, uint64_t hash)
{
	struct event *event;
	struct str name;

	if (events->queued_count == EVENTS_QUEUE_MAX) {
		events->stats.dropped++;
		return NULL;
	}
	event = mem_new(1, sizeof(*event));
	arena_init(&event->arena, 1024);
	event->events = events;
	event->hash = hash;
	event->kind = str_from_c(object_kind_name(object->kind));
	event->namespace = arena_copy(&event->arena, object->namespace);
	event->object_name = arena_copy(&event->arena, object->name);
	event->uid = arena_copy(&event->arena, object->uid);
	/* Events about what is in no namespace stand in `default`. */
	event->event_namespace = object->namespace.len ? event->namespace : STR("default");
	name = str_slice(event->object_name, 0, NAME_PART_MAX);
	event->name = arena_printf(&event->arena, "%.*s.%016llx", STR_ARG(name),
				   (unsigned long long)hash);
	*events->last = event;
	events->last = &event->next;
	events->queued_count++;
	loop_timer_set(events->loop, &events->timer, events->loop->now_ms + REFILL_MS);
	return event;
}

static bool kind_of(struct str name, enum object_kind *kind)
{
	for (int i = 0; i < OBJECT_KIND_COUNT; i++) {
		if (str_eq_c(name, object_kind_name((enum object_kind)i))) {
			*kind = (enum object_kind)i;
			return true;
		}
	}
	return false;
}

static int compare_hashes(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static bool was_told(const struct events *events, uint64_t hash)
{
	return events->told.len &&
	       bsearch(&hash, events->told.at, events->told.len, sizeof(hash), compare_hashes);
}

static void tell_finding(struct events *events, const struct finding *finding,
			 const struct object *object, uint64_t hash)
{
	struct event *event = add_event(events, object, hash);
	struct str note;

	if (!event)
		return;
	event->reason = finding->reason;
	event->is_warning = finding->level != FINDING_NOTICE;
	note = arena_printf(&event->arena, "%.*s%s%.*s", STR_ARG(finding->field),
			    finding->field.len ? ": " : "", STR_ARG(finding->text));
	event->note = str_slice(note, 0, EVENTS_NOTE_MAX);
	work_off(events);
}

void events_on_findings(struct events *events, const struct findings *findings,
			const struct object_set *set)
{
	struct VEC(uint64_t) now = { 0 };

	if (!events->is_leader)
		return;
	for (size_t i = 0; i < findings->list.len; i++) {
		const struct finding *finding = &findings->list.at[i];
		const struct object *object;
		enum object_kind kind;
		uint64_t hash;

		if (!kind_of(finding->kind, &kind))
			continue;
		object = object_set_find(set, kind, finding->namespace, finding->name);
		if (!object || !object->uid.len)
			continue;
		hash = hash_texts((struct str[]){ object->uid, str_from_c(finding->reason),
						  finding->field, finding->text },
				  4);
		*vec_push(&now) = hash;
		if (!was_told(events, hash))
			tell_finding(events, finding, object, hash);
	}
	if (now.len)
		qsort(now.at, now.len, sizeof(*now.at), compare_hashes);
	vec_release(&events->told);
	events->told.at = now.at;
	events->told.len = now.len;
	events->told.cap = now.cap;
}

void events_synced(struct events *events, const struct object *ingress)
{
	struct event *event;

	if (!events->is_leader || !ingress->uid.len)
		return;
	event = add_event(events, ingress,
			  hash_texts((struct str[]){ ingress->uid, STR("Synced") }, 2));
	if (!event)
		return;
	event->reason = "Synced";
	event->note = STR("is served as it says");
	work_off(events);
}

void events_set_leader(struct events *events, bool is_leader)
{
	events->is_leader = is_leader;
	if (!is_leader)
		vec_release(&events->told);
}

/* ------------------------------------------------------------------------ lifetime */

struct events *events_new(struct api_client *client, struct loop *loop, const char *identity)
{
	struct events *events = mem_new(1, sizeof(*events));

	events->client = client;
	events->loop = loop;
	events->identity = identity;
	events->last = &events->first;
	events->tokens = EVENTS_BURST;
	events->timer.on_due = on_refill;
	return events;
}

static void free_list(struct events *events, struct event *event)
{
	while (event) {
		struct event *next = event->next;

		api_cancel(events->client, &event->request);
		free_event(event);
		event = next;
	}
}

void events_free(struct events *events)
{
	if (!events)
		return;
	free_list(events, events->first);
	free_list(events, events->under_way);
	loop_timer_clear(events->loop, &events->timer);
	vec_release(&events->told);
	mem_free(events);
}

void events_stats(const struct events *events, struct events_stats *stats)
{
	*stats = events->stats;
}
