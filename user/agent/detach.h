/* SPDX-License-Identifier: Apache-2.0 */
/* detach: `sluice detach` takes BPF programs and pins away, also beside a running sluice. */
#ifndef SLUICE_AGENT_DETACH_H
#define SLUICE_AGENT_DETACH_H

#include "agent/options.h"

/* Says what it removed, one line each. Returns the exit code: 0 also where there was nothing. */
int detach_main(const struct options *options);

#endif
