/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics: numbers in the text format of Prometheus (version 0.0.4).
 *
 * Every name has its # HELP and # TYPE once, in front of its samples. There is no series per host,
 * route or endpoint: how many series there are depends on the source and on the number of
 * interfaces and maps, not on what is served.
 */
#ifndef SLUICE_AGENT_METRICS_H
#define SLUICE_AGENT_METRICS_H

#include "agent/tally.h"
#include "base/buf.h"

/* All of counters.h. */
void metrics_add_counters(struct buf *out, const struct tally *tally);

/* HELP and TYPE; @type: "counter", "gauge" or "histogram". */
void metrics_add_head(struct buf *out, const char *name, const char *type, const char *help);

#endif
