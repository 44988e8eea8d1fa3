// SPDX-License-Identifier: Apache-2.0
/*
 * api_watch: see api_watch.h for the states.
 *
 * What went wrong decides how it goes on:
 *
 *   410, "Expired"            list again, at once the first time
 *   429, 5xx                  the same again after Retry-After or back-off
 *   400, 422 on a list stream the server does not know it: pages from now on
 *   401                       back-off; the client reads its token anew
 *   403, 404                  told, asked again every API_FORBIDDEN_MS
 *   a stream that ended       taken up where it was; at once if it had brought something
 *   anything else             back-off with jitter, doubled up to API_BACKOFF_MAX_MS
 */
#include "kube/api_watch.h"

#include <errno.h>
#include <stdio.h>

#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"

enum { PATH_BYTES = 4096, CONTINUE_BYTES_MAX = 3000, RESUME_MS = 50 };

static void ask(struct api_watch *watch);

/* ------------------------------------------------------------------- problems */

static void set_problem(struct api_watch *watch, enum api_watch_problem problem, const char *text)
{
	if (watch->problem == problem && strcmp(watch->problem_text, text) == 0)
		return;
	watch->problem = problem;
	snprintf(watch->problem_text, sizeof(watch->problem_text), "%s", text);
	if (watch->handler->on_problem)
		watch->handler->on_problem(watch);
}

/* ----------------------------------------------------------------- to wait, to go on */

static void wait_for(struct api_watch *watch, enum api_watch_state next, uint32_t ms)
{
	watch->next = next;
	watch->state = API_WATCH_WAITING;
	loop_timer_set(watch->loop, &watch->timer, watch->loop->now_ms + ms);
}

/* Half of the time is certain, half is chance: agents that lost one server come back apart. */
static uint32_t jitter(struct api_watch *watch, uint32_t ms)
{
	return ms / 2 + random_below(&watch->random, ms / 2 + 1);
}

static void back_off(struct api_watch *watch, enum api_watch_state next)
{
	uint32_t ms = watch->backoff_ms;

	watch->backoff_ms = ms * 2 < API_BACKOFF_MAX_MS ? ms * 2 : API_BACKOFF_MAX_MS;
	wait_for(watch, next, jitter(watch, ms));
}

static void on_timer(struct loop_timer *timer)
{
	struct api_watch *watch = CONTAINER_OF(timer, struct api_watch, timer);

	watch->state = watch->next;
	ask(watch);
}

static enum api_watch_state first_listing(const struct api_watch *watch)
{
	return watch->has_no_stream_list ? API_WATCH_LISTING_PAGES : API_WATCH_LISTING_STREAM;
}

/*
 * The server is there and has forgotten where a watch was: however long it was away, there is no
 * more to wait for. One that forgets a list while it is read is another matter.
 */
static void on_forgotten(struct api_watch *watch)
{
	watch->resource_version[0] = '\0';
	if (watch->state == API_WATCH_FOLLOWING)
		watch->backoff_ms = API_BACKOFF_MIN_MS;
}

/* ---------------------------------------------------------------------- lists */

static void forget_continue(struct api_watch *watch)
{
	mem_free(watch->continue_token);
	watch->continue_token = NULL;
}

static void begin_list(struct api_watch *watch)
{
	forget_continue(watch);
	watch->resource_version[0] = '\0';
	watch->is_list_open = true;
	watch->handler->on_list_begin(watch);
}

static void end_list(struct api_watch *watch)
{
	watch->is_list_open = false;
	watch->has_listed = true;
	watch->list_count++;
	watch->backoff_ms = API_BACKOFF_MIN_MS;
	forget_continue(watch);
	watch->handler->on_list_end(watch);
	set_problem(watch, API_WATCH_FINE, "");
}

static bool keep_resource_version(struct api_watch *watch, const struct node *object)
{
	const struct node *version = node_find(node_find(object, "metadata"), "resourceVersion");

	if (!version || version->type != NODE_TEXT || version->text.len == 0 ||
	    version->text.len >= sizeof(watch->resource_version))
		return false;
	memcpy(watch->resource_version, version->text.at, version->text.len);
	watch->resource_version[version->text.len] = '\0';
	return true;
}

/* Items of a list do not say their kind: it is put in front. */
static void give_item(struct api_watch *watch, const struct node *item, struct arena *arena)
{
	struct node full = *item;
	struct node_child *children;

	if (item->type != NODE_MAP)
		return;
	if (!node_find(item, "kind")) {
		children = arena_new(arena, item->count + 2u, sizeof(*children));
		children[0] = (struct node_child){
			.key = STR_INIT("kind"),
			.value = { .type = NODE_TEXT, .text = str_from_c(watch->kind) },
		};
		children[1] = (struct node_child){
			.key = STR_INIT("apiVersion"),
			.value = { .type = NODE_TEXT, .text = str_from_c(watch->api_version) },
		};
		if (item->count)
			memcpy(children + 2, item->children, item->count * sizeof(*children));
		full.children = children;
		full.count = item->count + 2;
	}
	watch->handler->on_object(watch, API_WATCH_LISTED, &full);
}

static void keep_continue(struct api_watch *watch, const struct node *list)
{
	const struct node *token = node_find(node_find(list, "metadata"), "continue");
	struct buf encoded;

	forget_continue(watch);
	if (!token || token->type != NODE_TEXT || token->text.len == 0 ||
	    token->text.len > CONTINUE_BYTES_MAX)
		return;
	buf_init(&encoded, 0);
	for (size_t i = 0; i < token->text.len; i++)
		buf_printf(&encoded, "%%%02X", (unsigned char)token->text.at[i]);
	watch->continue_token = mem_copy_text(encoded.at, encoded.len);
	buf_release(&encoded);
}

/* One page. False where it is no list. */
static bool take_page(struct api_watch *watch, struct str body)
{
	struct node_document document;
	struct node_reader reader;
	const struct node *items;
	bool is_list = false;

	node_reader_init(&reader, body, NODE_FORMAT_JSON);
	if (node_reader_next(&reader, &document) && document.state == NODE_STATE_SOUND &&
	    keep_resource_version(watch, &document.root)) {
		is_list = true;
		items = node_find(&document.root, "items");
		for (uint32_t i = 0; items && items->type == NODE_SEQUENCE && i < items->count; i++)
			give_item(watch, &items->children[i].value, &reader.arena);
		keep_continue(watch, &document.root);
	}
	node_reader_release(&reader);
	return is_list;
}

/* --------------------------------------------------------------------- events */

static void take_error_event(struct api_watch *watch, const struct node *status)
{
	const struct node *code = node_find(status, "code");
	const struct node *message = node_find(status, "message");
	char text[API_WATCH_TEXT_MAX] = "the stream ended with an error";

	if (message && message->type == NODE_TEXT)
		snprintf(text, sizeof(text), "%.*s", STR_ARG(message->text));
	if (code && code->type == NODE_INT && code->number == 410)
		watch->stream = API_STREAM_GONE;
	else
		watch->stream = API_STREAM_FAILED;
	if (watch->stream == API_STREAM_FAILED)
		set_problem(watch, API_WATCH_UNREACHABLE, text);
}

static bool ends_initial_list(const struct node *object)
{
	const struct node *annotations = node_find(node_find(object, "metadata"), "annotations");
	const struct node *end = node_find(annotations, "k8s.io/initial-events-end");

	return end && end->type == NODE_TEXT && str_eq(end->text, STR("true"));
}

static void take_bookmark(struct api_watch *watch, const struct node *object)
{
	keep_resource_version(watch, object);
	if (watch->state != API_WATCH_LISTING_STREAM || !ends_initial_list(object))
		return;
	watch->state = API_WATCH_FOLLOWING;
	watch->request.idle_ms = API_IDLE_MS;
	end_list(watch);
}

static void take_event(struct api_watch *watch, const struct node *event)
{
	static const struct {
		const char *type;
		enum api_watch_change change;
	} changes[] = {
		{ "ADDED", API_WATCH_ADDED },
		{ "MODIFIED", API_WATCH_MODIFIED },
		{ "DELETED", API_WATCH_DELETED },
	};
	const struct node *type = node_find(event, "type");
	const struct node *object = node_find(event, "object");

	if (!type || !object || type->type != NODE_TEXT || object->type != NODE_MAP)
		return;
	if (str_eq(type->text, STR("ERROR"))) {
		take_error_event(watch, object);
		return;
	}
	watch->stream = API_STREAM_ALIVE;
	watch->backoff_ms = API_BACKOFF_MIN_MS;
	if (watch->state == API_WATCH_FOLLOWING)
		set_problem(watch, API_WATCH_FINE, "");
	if (str_eq(type->text, STR("BOOKMARK"))) {
		take_bookmark(watch, object);
		return;
	}
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		if (!str_eq_c(type->text, changes[i].type))
			continue;
		watch->handler->on_object(watch,
					  watch->is_list_open ? API_WATCH_LISTED
							      : changes[i].change,
					  object);
		/* Objects of the initial stream come in the order of their names. */
		if (watch->state == API_WATCH_FOLLOWING)
			keep_resource_version(watch, object);
	}
}

static void take_line(struct api_watch *watch, struct str line)
{
	struct node_document document;
	struct node_reader reader;

	node_reader_init(&reader, line, NODE_FORMAT_JSON);
	if (node_reader_next(&reader, &document) && document.state == NODE_STATE_SOUND)
		take_event(watch, &document.root);
	else
		log_warning("kube", "an event of '%s' cannot be read: %.*s", watch->path,
			    STR_ARG(document.flaw));
	node_reader_release(&reader);
}

/* -------------------------------------------------------------- ends of streams */

/*
 * By the server's plan or not. @answer: NULL where an ERROR has ended it.
 */
static void on_stream_end(struct api_watch *watch, const struct api_answer *answer)
{
	bool was_listing = watch->state == API_WATCH_LISTING_STREAM;

	buf_reset(&watch->line);
	if (watch->stream == API_STREAM_GONE) {
		on_forgotten(watch);
		back_off(watch, first_listing(watch));
	} else if (was_listing) {
		/* A server that ignores sendInitialEvents is silent after the last object. */
		if (answer && answer->err.code == -ETIMEDOUT)
			watch->has_no_stream_list = true;
		back_off(watch, first_listing(watch));
	} else {
		watch->resume_count++;
		if (watch->stream == API_STREAM_ALIVE)
			wait_for(watch, API_WATCH_FOLLOWING,
				 random_below(&watch->random, RESUME_MS));
		else
			back_off(watch, API_WATCH_FOLLOWING);
	}
}

/* Bytes of the stream: whole lines are taken where they lie, the rest waits in watch->line. */
static void on_data(struct api_request *request, struct str bytes)
{
	struct api_watch *watch = CONTAINER_OF(request, struct api_watch, request);

	while (bytes.len && watch->state != API_WATCH_STOPPED &&
	       watch->stream <= API_STREAM_ALIVE) {
		size_t end = str_find_char(bytes, '\n');
		struct str part = str_slice(bytes, 0, end);

		if (end == bytes.len) {
			buf_add(&watch->line, part);
			break;
		}
		if (watch->line.len) {
			buf_add(&watch->line, part);
			part = buf_str(&watch->line);
		}
		if (!watch->line.is_cut && part.len)
			take_line(watch, part);
		/* One large event does not keep its memory for ever. */
		buf_release(&watch->line);
		buf_init(&watch->line, API_LINE_MAX_BYTES);
		bytes = str_slice(bytes, end + 1, bytes.len);
	}
	if (watch->stream > API_STREAM_ALIVE && watch->request.exchange) {
		/* After an ERROR nothing follows; a server that keeps the stream is not waited for.
		 */
		api_cancel(watch->client, &watch->request);
		on_stream_end(watch, NULL);
	}
}

/* -------------------------------------------------------------- the ends of requests */

/* What to do again after a failure: a list that was begun is begun anew. */
static enum api_watch_state again(const struct api_watch *watch)
{
	return watch->is_list_open || !watch->resource_version[0] ? first_listing(watch)
								  : API_WATCH_FOLLOWING;
}

static void describe(const struct api_watch *watch, const struct api_answer *answer, char *text,
		     size_t text_bytes)
{
	char status_text[API_WATCH_TEXT_MAX];

	if (answer->status == 0) {
		snprintf(text, text_bytes, "%.*s", (int)text_bytes - 1, answer->err.text);
		return;
	}
	api_status_text(answer->body, status_text, sizeof(status_text));
	if (status_text[0])
		snprintf(text, text_bytes, "%s", status_text);
	else
		snprintf(text, text_bytes, "'%s' was answered with status %d", watch->path,
			 answer->status);
}

static void on_refused(struct api_watch *watch, enum api_watch_problem problem, const char *text)
{
	watch->resource_version[0] = '\0';
	wait_for(watch, first_listing(watch), jitter(watch, API_FORBIDDEN_MS));
	set_problem(watch, problem, text);
}

/* 400, 422: it says so. Silence: it may be one that ignores what it does not know. */
static bool knows_no_stream_list(const struct api_watch *watch, const struct api_answer *answer)
{
	return watch->state == API_WATCH_LISTING_STREAM &&
	       (answer->status == 400 || answer->status == 422 || answer->err.code == -ETIMEDOUT);
}

/* A request that was not answered as hoped for. */
static void on_failure(struct api_watch *watch, const struct api_answer *answer)
{
	char text[API_WATCH_TEXT_MAX];

	describe(watch, answer, text, sizeof(text));
	if (answer->status == 403 || answer->status == 404) {
		on_refused(watch, answer->status == 403 ? API_WATCH_FORBIDDEN : API_WATCH_UNKNOWN,
			   text);
		return;
	}
	if (knows_no_stream_list(watch, answer)) {
		watch->has_no_stream_list = true;
		wait_for(watch, API_WATCH_LISTING_PAGES, 0);
		return;
	}
	if (answer->status == 410) {
		on_forgotten(watch);
		forget_continue(watch);
	} else if (answer->err.code == -EMSGSIZE && watch->page_items > 1) {
		watch->page_items /= 2;
	}
	if (answer->retry_after_ms)
		wait_for(watch, again(watch),
			 answer->retry_after_ms + random_below(&watch->random, 1000));
	else
		back_off(watch, again(watch));
	if (answer->status != 410)
		set_problem(watch, API_WATCH_UNREACHABLE, text);
}

static void on_page(struct api_watch *watch, const struct api_answer *answer)
{
	if (!take_page(watch, answer->body)) {
		struct api_answer none = { .err = { -EBADMSG, "the answer is no list" } };

		on_failure(watch, &none);
		return;
	}
	if (watch->continue_token) {
		ask(watch);
		return;
	}
	watch->state = API_WATCH_FOLLOWING;
	end_list(watch);
	if (watch->state == API_WATCH_FOLLOWING)
		ask(watch);
}

static void on_done(struct api_request *request, const struct api_answer *answer)
{
	struct api_watch *watch = CONTAINER_OF(request, struct api_watch, request);
	bool is_stream = watch->state != API_WATCH_LISTING_PAGES;
	bool was_answered = answer->status == 200 || watch->stream != API_STREAM_SILENT;

	if (is_stream && was_answered)
		on_stream_end(watch, answer);
	else if (is_stream || answer->status != 200)
		on_failure(watch, answer);
	else
		on_page(watch, answer);
}

/* ----------------------------------------------------------------- requests */

static void add_parameter(struct buf *path, const char *text)
{
	buf_add_char(path, memchr(path->at, '?', path->len) ? '&' : '?');
	buf_add_c(path, text);
}

static void make_path(struct api_watch *watch, struct buf *path)
{
	char text[PATH_BYTES];

	buf_add_c(path, watch->path);
	if (watch->selector)
		add_parameter(path, watch->selector);
	if (watch->state == API_WATCH_LISTING_PAGES) {
		snprintf(text, sizeof(text), "limit=%u", watch->page_items);
		add_parameter(path, text);
		if (watch->continue_token) {
			add_parameter(path, "continue=");
			buf_add_c(path, watch->continue_token);
		}
		buf_add_char(path, '\0');
		return;
	}
	snprintf(text, sizeof(text), "watch=1&allowWatchBookmarks=true&timeoutSeconds=%u",
		 API_WATCH_SECONDS_MIN + random_below(&watch->random, API_WATCH_SECONDS_SPREAD));
	add_parameter(path, text);
	if (watch->state == API_WATCH_LISTING_STREAM) {
		add_parameter(path, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
	} else {
		add_parameter(path, "resourceVersion=");
		buf_add_c(path, watch->resource_version);
	}
	buf_add_char(path, '\0');
}

static void ask(struct api_watch *watch)
{
	bool is_page = watch->state == API_WATCH_LISTING_PAGES;
	struct buf path;

	if (watch->state != API_WATCH_FOLLOWING && !(is_page && watch->continue_token))
		begin_list(watch);
	watch->stream = API_STREAM_SILENT;
	buf_init(&path, 0);
	make_path(watch, &path);
	watch->request = (struct api_request){
		.method = API_GET,
		.path = path.at,
		.idle_ms = watch->state == API_WATCH_FOLLOWING ? API_IDLE_MS : API_LIST_IDLE_MS,
		.on_data = is_page ? NULL : on_data,
		.on_done = on_done,
	};
	api_send(watch->client, &watch->request);
	buf_release(&path);
}

void api_watch_start(struct api_watch *watch)
{
	random_init(&watch->random, 0);
	buf_init(&watch->line, API_LINE_MAX_BYTES);
	watch->timer = (struct loop_timer){ .on_due = on_timer };
	watch->backoff_ms = API_BACKOFF_MIN_MS;
	watch->page_items = API_PAGE_ITEMS;
	watch->state = first_listing(watch);
	ask(watch);
}

void api_watch_stop(struct api_watch *watch)
{
	if (watch->state == API_WATCH_STOPPED)
		return;
	watch->state = API_WATCH_STOPPED;
	api_cancel(watch->client, &watch->request);
	loop_timer_clear(watch->loop, &watch->timer);
	buf_release(&watch->line);
	forget_continue(watch);
}
