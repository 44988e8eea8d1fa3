/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_client: requests to one API server, in the agent's loop.
 *
 *   api_send ─► libcurl ═══ one HTTP/2 connection (or some of HTTP/1.1) ═══ API server
 *   on_data  ◄─┤  ▲
 *   on_done  ◄─┘  └── loop: descriptors, timers
 *
 * Nothing here waits. Who we are (kubeconfig.h) goes with each request; a token
 * in a file is read again when it may have been rotated.
 *
 * Dead connections are found in three ways: TCP keepalive with a short user
 * timeout; where nothing came for API_PROBE_AFTER_MS, a small request over the same
 * connection that must be answered; and a limit a request for the time without a
 * byte. When the server does not answer the probe, every request ends and
 * what comes after begins with new connections.
 *
 * Callbacks run from the loop, never from within api_send or api_cancel.
 */
#ifndef SLUICE_KUBE_API_CLIENT_H
#define SLUICE_KUBE_API_CLIENT_H

#include "base/err.h"
#include "base/str.h"
#include "event/loop.h"
#include "kube/kubeconfig.h"

enum {
	API_CONNECT_TIMEOUT_MS = 5000,
	API_BODY_MAX_BYTES = 64 << 20, /* of an answer that is collected */
	API_TOKEN_AGE_MAX_MS = 10000,  /* then a token file is read again */
	API_PROBE_AFTER_MS = 15000,    /* without a byte while something is asked for */
	API_PROBE_TIMEOUT_MS = 10000,
	API_SWEEP_MS = 1000, /* how often all this is looked at */
};

enum api_method {
	API_GET,
	API_POST,
	API_PUT,
	API_PATCH,
	API_DELETE,
};

struct api_answer {
	int status;              /* of HTTP; 0: none, or cut off: err says why */
	struct str body;         /* what on_data did not take */
	uint32_t retry_after_ms; /* Retry-After; 0: not said */
	struct err err;          /* set unless the answer came whole */
};

struct api_exchange;

/* The caller's; stays where it is until on_done or api_cancel. */
struct api_request {
	/* set before api_send; texts are copied there */
	enum api_method method;
	const char *path;         /* "/api/v1/services?limit=500", encoded */
	const char *content_type; /* of body */
	struct str body;
	uint32_t timeout_ms; /* for all of it; 0: none */
	uint32_t idle_ms;    /* without a byte of the answer; 0: none; may change under way */
	/* The body of a good (2xx) answer as it comes; NULL: it is collected. */
	void (*on_data)(struct api_request *request, struct str bytes);
	/* The end, once. The request may be freed or sent again. @answer is borrowed. */
	void (*on_done)(struct api_request *request, const struct api_answer *answer);
	/* the client's own; NULL when not under way */
	struct api_exchange *exchange;
};

struct api_client;

/* Borrows @config and @loop until close. Connects to nobody yet. 0 or -errno with a text. */
int api_client_open(const struct kubeconfig *config, struct loop *loop, struct api_client **client,
		    struct err *err);
/*
 * Ends all requests without on_done. Not from within a callback of the loop's watches. Accepts
 * NULL.
 */
void api_client_close(struct api_client *client);

void api_send(struct api_client *client, struct api_request *request);
/* on_data and on_done are not called any more. Nothing happens where it is not under way. */
void api_cancel(struct api_client *client, struct api_request *request);

/* As the process ends: turns the loop until no request is under way, at most @wait_ms. */
void api_client_flush(struct api_client *client, uint32_t wait_ms);

struct api_client_stats {
	uint64_t requests;
	uint64_t failures;  /* without a whole answer */
	uint64_t bytes;     /* of answers, uncompressed */
	uint64_t resets;    /* a probe was not answered */
	uint32_t under_way; /* now */
};

void api_client_stats(const struct api_client *client, struct api_client_stats *stats);

/* "ingresses.networking.k8s.io is forbidden: ..." out of the Status in @body, cut to fit. */
void api_status_text(struct str body, char *text, size_t text_bytes);

#endif
