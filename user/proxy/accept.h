/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept: a worker's listening sockets.
 *
 * Level-triggered and a few at a time: a worker that is slow to come back leaves the
 * rest where the kernel counts them. How many are taken in one go follows what was
 * found the time before, so that the call that finds nothing is rarely made.
 */
#ifndef SLUICE_PROXY_ACCEPT_H
#define SLUICE_PROXY_ACCEPT_H

#include "proxy/worker.h"

enum { ACCEPT_BATCH_MAX = 64, ACCEPT_REST_MAX = 65536 };

/* Begins, or ends, to take connections. */
void accept_start(struct worker *worker);
void accept_stop(struct worker *worker);
/* Takes what waits already, and then ends: the kernel has promised those to be served. */
void accept_rest(struct worker *worker);

/* For worker_listener.watch. */
void accept_on_event(struct loop_watch *watch, uint32_t events);

#endif
