/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_watch: one collection of the API, listed and then followed, without a gap.
 *
 *              ┌────────────── 410 Gone ◄─────────────────┐
 *              ▼                                          │
 *   start ─► LISTING ── on_list_end ─► FOLLOWING ─── stream ends ─► (resume at once, or
 *              │ ▲                        │  ▲            │          back off first)
 *              ▼ │                        ▼  └────────────┘
 *            WAITING (back-off, Retry-After, forbidden: asked again every now and then)
 *
 * Listing is a stream (sendInitialEvents, KEP-3157) where the server has that, else
 * pages of API_PAGE_ITEMS. Both are consistent reads. Following goes on from the last
 * resourceVersion that was seen, be it of an object or of a bookmark; only a
 * server that has forgotten it (410) makes us list again, and all that is known
 * stays meanwhile: the handler gets a whole list and compares.
 *
 * A stream on which nothing comes for API_IDLE_MS is given up: servers send
 * bookmarks about once a minute.
 */
#ifndef SLUICE_KUBE_API_WATCH_H
#define SLUICE_KUBE_API_WATCH_H

#include "base/buf.h"
#include "base/random.h"
#include "kube/api_client.h"
#include "kube/node_reader.h"

enum {
	API_PAGE_ITEMS = 500,
	API_LINE_MAX_BYTES = 16 << 20, /* of one event; etcd holds objects of 1.5 MB */
	API_RESOURCE_VERSION_MAX = 64,
	API_IDLE_MS = 130000,
	API_LIST_IDLE_MS = 15000, /* within a list: then it is tried in pages */
	API_WATCH_SECONDS_MIN = 300,
	API_WATCH_SECONDS_SPREAD = 300, /* watches do not all end at once */
	API_BACKOFF_MIN_MS = 100,
	API_BACKOFF_MAX_MS = 10000,
	API_FORBIDDEN_MS = 30000, /* a role may be granted any time */
	API_WATCH_TEXT_MAX = 256,
};

enum api_watch_state {
	API_WATCH_STOPPED,
	API_WATCH_LISTING_STREAM,
	API_WATCH_LISTING_PAGES,
	API_WATCH_FOLLOWING,
	API_WATCH_WAITING,
};

/* What the present stream has brought. */
enum api_stream {
	API_STREAM_SILENT,
	API_STREAM_ALIVE,
	API_STREAM_FAILED, /* an ERROR that is none of the next */
	API_STREAM_GONE,   /* an ERROR with 410: our resourceVersion is forgotten */
};

enum api_watch_change {
	API_WATCH_LISTED, /* as part of a whole list */
	API_WATCH_ADDED,
	API_WATCH_MODIFIED,
	API_WATCH_DELETED,
};

/* Why a watch does not deliver. */
enum api_watch_problem {
	API_WATCH_FINE,
	API_WATCH_FORBIDDEN,   /* 403: go on without it */
	API_WATCH_UNKNOWN,     /* 404: the server has no such collection */
	API_WATCH_UNREACHABLE, /* anything else */
};

struct api_watch;

struct api_watch_handler {
	/* A whole list begins: what comes until on_list_end is all that there is. */
	void (*on_list_begin)(struct api_watch *watch);
	/*
	 * An object of the list, or a change. @object has kind and apiVersion; it is good
	 * for the call.
	 */
	void (*on_object)(struct api_watch *watch, enum api_watch_change change,
			  const struct node *object);
	void (*on_list_end)(struct api_watch *watch);
	/* watch->problem or its text is another one. */
	void (*on_problem)(struct api_watch *watch);
};

struct api_watch {
	/* set before start; texts live as long as the watch */
	struct api_client *client;
	struct loop *loop;
	const struct api_watch_handler *handler;
	const char *path;        /* "/apis/networking.k8s.io/v1/ingresses" */
	const char *selector;    /* "fieldSelector=type%3Dkubernetes.io%2Ftls"; NULL: none */
	const char *kind;        /* "Ingress" */
	const char *api_version; /* "networking.k8s.io/v1" */
	/* to be read */
	enum api_watch_state state;
	enum api_watch_problem problem;
	char problem_text[API_WATCH_TEXT_MAX];
	bool has_listed; /* at least once in full */
	uint64_t list_count, resume_count;
	/* its own */
	struct api_request request;
	struct loop_timer timer;
	struct random random;
	enum api_watch_state next; /* after WAITING */
	bool has_no_stream_list;   /* the server cannot: pages */
	bool is_list_open;         /* between on_list_begin and on_list_end */
	enum api_stream stream;
	uint32_t backoff_ms;
	uint32_t page_items;
	char resource_version[API_RESOURCE_VERSION_MAX];
	char *continue_token; /* owned, encoded; NULL: first page */
	struct buf line;      /* an event that has not come whole */
};

void api_watch_start(struct api_watch *watch);
/* The watch may be freed then. Nothing is called any more. */
void api_watch_stop(struct api_watch *watch);

#endif
