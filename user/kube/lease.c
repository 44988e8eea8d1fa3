// SPDX-License-Identifier: Apache-2.0
/*
 * lease: look, then write if it is ours to write; see lease.h.
 *
 *   timer ─► GET ─┬─ 404 ──────────────► POST ─┬─► held
 *                 ├─ ours, free, expired ► PUT ─┘
 *                 └─ somebody's ──────────────────► look again later
 *
 * A PUT names the resourceVersion that was looked at: of two agents that want the
 * Lease at once the server refuses one (409).
 */
#include "kube/lease.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/container.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "kube/api_time.h"
#include "kube/node_reader.h"

enum { REQUEST_TIMEOUT_MS = 4000 };

static void set_held(struct lease *lease, bool is_held)
{
	if (lease->is_held == is_held)
		return;
	lease->is_held = is_held;
	log_info("kube",
		 is_held ? "this agent writes status and Events (Lease '%s/%s')"
			 : "another agent may write status and Events (Lease '%s/%s')",
		 lease->namespace, lease->name);
	if (lease->on_change)
		lease->on_change(lease);
}

static void look_later(struct lease *lease)
{
	uint32_t ms = lease->is_held ? LEASE_RENEW_MS : LEASE_RETRY_MS;
	uint32_t chance;

	random_bytes(&chance, sizeof(chance));
	loop_timer_set(lease->loop, &lease->timer, lease->loop->now_ms + ms + chance % (ms / 5));
}

/* Held only as long as nobody else can believe to hold it. */
static void check_deadline(struct lease *lease)
{
	if (lease->is_held && lease->loop->now_ms - lease->renewed_ms > LEASE_RENEW_DEADLINE_MS)
		set_held(lease, false);
}

static void copy_text(const struct node *map, const char *name, char text[LEASE_TEXT_MAX])
{
	const struct node *node = node_find(map, name);

	text[0] = '\0';
	if (node && node->type == NODE_TEXT)
		snprintf(text, LEASE_TEXT_MAX, "%.*s", STR_ARG(node->text));
}

static int64_t number_of(const struct node *map, const char *name, int64_t otherwise)
{
	const struct node *node = node_find(map, name);

	return node && node->type == NODE_INT && node->number >= 0 ? node->number : otherwise;
}

static bool read_lease(struct lease *lease, struct str body)
{
	char seen[LEASE_TEXT_MAX];
	struct node_document document;
	struct node_reader reader;
	const struct node *spec;
	bool is_read;

	node_reader_init(&reader, body, NODE_FORMAT_JSON);
	is_read = node_reader_next(&reader, &document) && document.state == NODE_STATE_SOUND;
	if (is_read) {
		spec = node_find(&document.root, "spec");
		copy_text(spec, "holderIdentity", lease->holder);
		copy_text(spec, "acquireTime", lease->acquired);
		copy_text(spec, "renewTime", seen);
		copy_text(node_find(&document.root, "metadata"), "resourceVersion", lease->version);
		lease->transitions = number_of(spec, "leaseTransitions", 0);
		lease->duration_ms =
			(uint64_t)number_of(spec, "leaseDurationSeconds", LEASE_DURATION_S) *
			1000; /* not negative */
		if (strcmp(seen, lease->seen) != 0 || !lease->seen_ms)
			lease->seen_ms = lease->loop->now_ms;
		memcpy(lease->seen, seen, sizeof(seen));
	}
	node_reader_release(&reader);
	return is_read;
}

static bool may_take(const struct lease *lease)
{
	return !lease->holder[0] || strcmp(lease->holder, lease->identity) == 0 ||
	       lease->loop->now_ms - lease->seen_ms > lease->duration_ms;
}

/* @holder: "" gives it back. */
static void make_body(struct lease *lease, const char *holder, struct buf *out)
{
	bool is_new = strcmp(lease->holder, lease->identity) != 0;
	char now[API_TIME_MAX];
	struct json json;

	api_time_now(now);
	json_init(&json, out);
	json_object_begin(&json, NULL);
	json_text_c(&json, "apiVersion", "coordination.k8s.io/v1");
	json_text_c(&json, "kind", "Lease");
	json_object_begin(&json, "metadata");
	json_text_c(&json, "name", lease->name);
	json_text_c(&json, "namespace", lease->namespace);
	if (lease->version[0])
		json_text_c(&json, "resourceVersion", lease->version);
	json_object_end(&json);
	json_object_begin(&json, "spec");
	json_text_c(&json, "holderIdentity", holder);
	json_u64(&json, "leaseDurationSeconds", holder[0] ? LEASE_DURATION_S : 1);
	json_text_c(&json, "acquireTime", is_new || !lease->acquired[0] ? now : lease->acquired);
	json_text_c(&json, "renewTime", now);
	json_u64(&json, "leaseTransitions",
		 (uint64_t)lease->transitions + (is_new && lease->version[0])); /* >= 0 */
	json_object_end(&json);
	json_object_end(&json);
}

static void on_written(struct api_request *request, const struct api_answer *answer)
{
	struct lease *lease = CONTAINER_OF(request, struct lease, request);
	char text[LEASE_TEXT_MAX];

	if (answer->status == 200 || answer->status == 201) {
		read_lease(lease, answer->body);
		lease->renewed_ms = lease->loop->now_ms;
		set_held(lease, true);
	} else {
		if (answer->status == 409)
			set_held(lease, false);
		api_status_text(answer->body, text, sizeof(text));
		log_debug("kube", "Lease is not written: %d %s", answer->status, text);
	}
	check_deadline(lease);
	look_later(lease);
}

static void write_lease(struct lease *lease, enum api_method method, const char *holder)
{
	char path[LEASE_TEXT_MAX * 2 + 64];
	struct buf body;

	if (method == API_POST)
		snprintf(path, sizeof(path), "/apis/coordination.k8s.io/v1/namespaces/%s/leases",
			 lease->namespace);
	else
		snprintf(path, sizeof(path), "%s", lease->path);
	buf_init(&body, 0);
	make_body(lease, holder, &body);
	lease->request = (struct api_request){
		.method = method,
		.path = path,
		.body = buf_str(&body),
		.timeout_ms = REQUEST_TIMEOUT_MS,
		.on_done = on_written,
	};
	api_send(lease->client, &lease->request);
	buf_release(&body);
}

static void on_looked(struct api_request *request, const struct api_answer *answer)
{
	struct lease *lease = CONTAINER_OF(request, struct lease, request);

	check_deadline(lease);
	if (answer->status == 404) {
		lease->version[0] = lease->holder[0] = '\0';
		write_lease(lease, API_POST, lease->identity);
	} else if (answer->status == 200 && read_lease(lease, answer->body)) {
		if (strcmp(lease->holder, lease->identity) != 0)
			set_held(lease, false);
		if (may_take(lease))
			write_lease(lease, API_PUT, lease->identity);
		else
			look_later(lease);
	} else {
		char text[LEASE_TEXT_MAX];

		api_status_text(answer->body, text, sizeof(text));
		if (answer->status)
			log_warning("kube", "Lease cannot be read: %d %s", answer->status, text);
		look_later(lease);
	}
}

static void on_timer(struct loop_timer *timer)
{
	struct lease *lease = CONTAINER_OF(timer, struct lease, timer);

	check_deadline(lease);
	lease->request = (struct api_request){
		.method = API_GET,
		.path = lease->path,
		.timeout_ms = REQUEST_TIMEOUT_MS,
		.on_done = on_looked,
	};
	api_send(lease->client, &lease->request);
}

void lease_start(struct lease *lease)
{
	snprintf(lease->path, sizeof(lease->path),
		 "/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s", lease->namespace,
		 lease->name);
	lease->timer.on_due = on_timer;
	on_timer(&lease->timer);
}

static void on_given_back(struct api_request *request, const struct api_answer *answer)
{
	(void)request;
	(void)answer;
}

void lease_stop(struct lease *lease)
{
	if (!lease->client || !lease->timer.on_due)
		return;
	lease->timer.on_due = NULL;
	loop_timer_clear(lease->loop, &lease->timer);
	api_cancel(lease->client, &lease->request);
	if (!lease->is_held)
		return;
	lease->is_held = false;
	write_lease(lease, API_PUT, "");
	lease->request.on_done = on_given_back;
}
