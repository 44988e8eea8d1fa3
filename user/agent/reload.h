/* SPDX-License-Identifier: Apache-2.0 */
/* reload: SIGHUP. --config is read again, and the access log is opened again. */
#ifndef SLUICE_AGENT_RELOAD_H
#define SLUICE_AGENT_RELOAD_H

#include "base/err.h"

struct agent;

/* Opens agent->options->access_log in the place of the one before. 0 or -errno with a text. */
int reload_access_log(struct agent *agent, struct err *err);

/*
 * What may change is changed, in the agent and in its proxies; what may not is named in the log and
 * stays. A file with a mistake changes nothing.
 */
void reload(struct agent *agent);

#endif
