/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: what the map `hosts` should hold.
 *
 * The datapath compares it with what the map does hold and writes the difference.
 * Entries are sorted by hash and no hash stands there twice; two hosts that hash alike
 * share the older one's entry (dispatch is a hint: any worker serves any host).
 *
 * An entry keeps its generation for as long as nothing else in it changes, so an
 * unchanged host is an unchanged value.
 */
#ifndef SLUICE_COMPILE_PLAN_H
#define SLUICE_COMPILE_PLAN_H

#include <stddef.h>

#include "base/buf.h"
#include "bpf/contract.h"

struct plan_host {
	struct host_key key;
	struct host_value value;
	uint32_t rate_per_s, rate_burst; /* with HOST_FLAG_LIMITED, for the map `host_rates` */
};

struct plan {
	struct plan_host *hosts;
	size_t host_count;
};

/* The plan as text, by hash: the format of the golden files. */
void plan_dump(const struct plan *plan, struct buf *out);

void plan_release(struct plan *plan);

#endif
