/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workers: all of them, seen from the main thread.
 *
 *   published ──► config 9          every worker will come to it
 *   retired   ──► config 8 ► config 7     freed when no worker is at or before it
 */
#ifndef SLUICE_PROXY_WORKERS_H
#define SLUICE_PROXY_WORKERS_H

#include "proxy/worker.h"

struct workers {
	/* fixed after init */
	struct worker **at;
	uint32_t count;
	struct worker_settings settings;
	struct counters *counters; /* shared memory, @count of them */
	/* main thread only */
	bool is_running;
	struct config *published; /* NULL: none yet */
	struct config *retired;   /* newest first */
};

/* Makes workers that do not run yet; takes over settings->worker_count counters. 0 or -errno. */
int workers_init(struct workers *workers, const struct worker_settings *settings,
		 struct counters *counters, struct loop *main_loop, struct err *err);
/* After workers_stop. Harmless on a zeroed struct. */
void workers_release(struct workers *workers);

/* Starts the threads. 0 or -errno with a text. */
int workers_start(struct workers *workers, struct err *err);
/* Lets them accept. After the first config was published: without one all they have is 503. */
void workers_accept_now(struct workers *workers);
/* Ends the threads; connections stay open until release. */
void workers_stop(struct workers *workers);

/* Takes @config: every worker will have it in force soon. */
void workers_publish(struct workers *workers, struct config *config);
/*
 * The newest config that all workers have reached, or NULL; what came before it is freed. Call when
 * the main loop was woken.
 */
const struct config *workers_settle(struct workers *workers);

/* Downstream connections that are open now. */
uint64_t workers_connections(const struct workers *workers);
void workers_set_logging(struct workers *workers, bool is_on);

#endif
