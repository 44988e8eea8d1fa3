/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drops: the last connections that XDP dropped, as samples.
 *
 * XDP writes at most one sample in 10 ms on each CPU into a ring buffer; they are read here as they
 * come and the last DROPS_KEPT of them kept for `sluicectl drops`. What was dropped is counted
 * elsewhere, in full: in the map stats, and by workers in their counters.
 */
#ifndef SLUICE_AGENT_DROPS_H
#define SLUICE_AGENT_DROPS_H

#include "datapath/datapath.h"
#include "event/loop.h"

enum { DROPS_KEPT = 256 };

struct agent;

struct drops {
	struct agent *agent;
	struct loop_watch watch; /* the ring buffer */
	uint64_t count;          /* samples that ever came */
	struct event kept[DROPS_KEPT];
};

/* Begins to read samples, where there is a datapath. */
void drops_open(struct drops *drops, struct agent *agent);
/* Before the datapath closes. Harmless on zeroed memory. */
void drops_close(struct drops *drops);

void drops_add(struct drops *drops, const struct event *event);
/* The newest sample with @back 0, the one before with 1 ...; NULL where none is kept. */
const struct event *drops_at(const struct drops *drops, uint64_t back);

#endif
