/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease: one of all agents of a cluster, by a Lease (coordination.k8s.io/v1).
 *
 * Who holds it writes status and Events; everybody serves. A Lease that was not
 * renewed for LEASE_DURATION_S, by our own clock since we saw it change (clocks of
 * nodes differ), is taken over. The holder gives it back at its end, so that
 * another one goes on at once; it ceases to be the holder by itself when it could not
 * renew for LEASE_RENEW_DEADLINE_MS, before anybody else may take it.
 */
#ifndef SLUICE_KUBE_LEASE_H
#define SLUICE_KUBE_LEASE_H

#include "kube/api_client.h"

enum {
	LEASE_DURATION_S = 15,
	LEASE_RENEW_DEADLINE_MS = 10000,
	LEASE_RENEW_MS = 5000,
	LEASE_RETRY_MS = 2000,
	LEASE_TEXT_MAX = 256,
};

struct lease {
	/* set before start; texts live as long as the lease */
	struct api_client *client;
	struct loop *loop;
	const char *namespace;
	const char *name;
	const char *identity; /* ours: one of its own for each agent */
	void (*on_change)(struct lease *lease);
	/* to be read */
	bool is_held;
	/* its own */
	struct api_request request;
	struct loop_timer timer;
	char path[LEASE_TEXT_MAX * 2];
	char holder[LEASE_TEXT_MAX];
	char seen[LEASE_TEXT_MAX];     /* renewTime of the last look: opaque */
	char acquired[LEASE_TEXT_MAX]; /* acquireTime */
	char version[LEASE_TEXT_MAX];  /* resourceVersion */
	int64_t transitions;
	uint64_t seen_ms;     /* when it was seen to change */
	uint64_t duration_ms; /* as the holder has it */
	uint64_t renewed_ms;  /* by us; 0: never */
};

void lease_start(struct lease *lease);
/* Gives it back where it is held; api_client_flush lets that get through. Once is enough. */
void lease_stop(struct lease *lease);

#endif
