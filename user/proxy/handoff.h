/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff: a connection goes to a worker that owns its host.
 *
 * The dispatch set of a host is owner_spread workers from owner_first on. Where the
 * kernel put a connection on a worker outside of it, the first bytes tell, and the
 * descriptor moves on with them, once. It is a matter of warm caches and pools, never
 * of correctness: when the owner is clearly busier, or stalled, or its mailbox full,
 * the connection stays.
 */
#ifndef SLUICE_PROXY_HANDOFF_H
#define SLUICE_PROXY_HANDOFF_H

#include "proxy/conn.h"

enum {
	HANDOFF_LOAD_SLACK = 32,  /* connections an owner may have above twice ours */
	HANDOFF_STALLED_MS = 200, /* a turn that takes longer is a stall */
};

/*
 * The worker that should have a connection for @vhost that worker @self received, or NULL: keep
 * it. Reads what other workers publish.
 */
struct worker *handoff_owner(const struct worker *self, const struct image_vhost *vhost);

/*
 * Gives the connection with the @bytes it sent so far to the owner of @vhost (may be NULL). True
 * when it is gone: @conn is then closed here, its descriptor lives on there.
 */
bool handoff_try(struct conn *conn, const struct image_vhost *vhost, struct str bytes);

/* Opens what others have posted. In the worker's thread. */
void handoff_take_all(struct worker *worker);

#endif
