/* SPDX-License-Identifier: Apache-2.0 */
/* taken: who listens already on one of many addresses, as bind(2) would tell of a single one. */
#ifndef SLUICE_AGENT_TAKEN_H
#define SLUICE_AGENT_TAKEN_H

#include "agent/listeners.h"

/*
 * True and *@taken: a listening socket of this network namespace that is none of @ours and would
 * lose connections to @range. One on every address loses those to the range's.
 */
bool taken_find(const struct addr_range *range, const struct listeners *ours, struct addr *taken);

#endif
