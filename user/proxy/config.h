/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: all that is in force at one time, and how it is replaced.
 *
 * The main thread maps and verifies each segment once, puts it together with the
 * others into a new struct config, and leaves a pointer to it with every worker.
 * A worker takes it up between two events, says so, and never looks back: whatever
 * a stream needs later (a policy's timeouts, a backend's id) it copied when it was
 * matched, so no stream and no tunnel ever holds an image. When the last worker has
 * taken up a config, what only the one before it used is unmapped.
 *
 *   main thread                               worker
 *   config 8 ──► next_config (atomic), wake ──► between two events: config = 8
 *   ...all at 8?  ◄── config_serial (atomic), wake ──┘
 *   yes: IN_FORCE to the agent, config 7 and what only it held are freed
 *
 * What was refused: counting users of each image. It costs two writes per request
 * and keeps images alive for as long as the slowest stream.
 */
#ifndef SLUICE_PROXY_CONFIG_H
#define SLUICE_PROXY_CONFIG_H

#include "base/memfd.h"
#include "image/certs.h"
#include "image/endpoints.h"
#include "image/image.h"
#include "image/sources.h"
#include "proxy/trust.h"
#include "tls/tls.h"

enum config_kind {
	CONFIG_IMAGE,
	CONFIG_ENDPOINTS,
	CONFIG_CERTS,
	CONFIG_SOURCES,
	CONFIG_KIND_COUNT,
	CONFIG_REPORTED_COUNT = CONFIG_SOURCES, /* the agent hears of these, and gets them back */
};

/* A sealed memfd and its mapping. Belongs to the main thread; workers see only its bytes. */
struct config_segment {
	int fd; /* owned: the next agent gets it back */
	struct str bytes;
	uint64_t generation;
	uint32_t users;  /* configs that hold it */
	bool is_at_rest; /* config_rest was here */
	union {
		struct image image;
		struct endpoints endpoints;
		struct certs certs;
		struct sources sources;
	};
};

enum { CONFIG_TICKET_KEYS_MAX = 2 };

/* What an operator may change while the proxy serves; 0 stands for the default. */
struct config_settings {
	struct trust trust;
	uint32_t request_head_timeout_ms;
	uint32_t keepalive_timeout_ms;
	uint32_t upstream_idle_timeout_ms;
};

struct config {
	/* fixed once it is published; kind by kind NULL until the first one came */
	uint64_t serial; /* grows with each config */
	const struct image *image;
	const struct endpoints *endpoints;
	const struct certs *certs;
	const struct sources *sources;
	struct tls_ticket_key ticket_keys[CONFIG_TICKET_KEYS_MAX];
	uint32_t ticket_key_count;
	bool has_settings;
	struct config_settings settings;
	bool is_draining; /* accept nothing, end what is idle, close after each response */
	/* main thread only */
	struct config *next; /* retired before this one */
	struct config_segment *segments[CONFIG_KIND_COUNT];
};

/*
 * Maps and verifies the sealed memfd @fd, which must carry @generation. 0 and a segment that
 * owns @fd, with one user (the caller); or -errno with a text, and @fd stays the caller's.
 */
int config_segment_open(enum config_kind kind, int fd, uint64_t generation,
			struct config_segment **segment, struct err *err);
/*
 * All of @config have been in force for a while, and may well stay: makes their memory quicker to
 * read, once for each segment. Milliseconds for tens of thousands of routes.
 */
void config_rest(struct config *config);
/* One user less; the last one unmaps and closes. Accepts NULL. */
void config_segment_put(struct config_segment *segment);

/* A copy of @old (NULL: empty) with the next serial, holding the same segments. NULL: no memory. */
struct config *config_new(const struct config *old);
/* Puts @segment (a user is added) in the place of @kind. Before it is published. */
void config_set(struct config *config, enum config_kind kind, struct config_segment *segment);
/* Whether connections for hosts without a vhost are dropped. Accepts NULL. */
static inline bool config_drops_unknown(const struct config *config)
{
	return config && config->image &&
	       (config->image->header->flags & IMAGE_DROPS_UNKNOWN_HOSTS);
}

/* Accepts NULL. */
void config_free(struct config *config);

#endif
