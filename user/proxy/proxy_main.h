/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_main: what the agent's messages make the proxy do. Main thread only; see proxy.h. */
#ifndef SLUICE_PROXY_PROXY_MAIN_H
#define SLUICE_PROXY_PROXY_MAIN_H

#include "control/control.h"
#include "proxy/config.h"

struct proxy;
struct loop;

struct loop *proxy_loop(struct proxy *proxy);
/* The newest config, or NULL. */
const struct config *proxy_config(const struct proxy *proxy);
bool proxy_is_running(const struct proxy *proxy);
bool proxy_is_draining(const struct proxy *proxy);

/* Makes the workers. A failure ends the proxy. */
void proxy_set_up(struct proxy *proxy, const struct control_setup *setup,
		  const struct control_counters *counters, int counters_fd);
/* @fd stays the caller's. 0 or -errno. */
int proxy_add_listener(struct proxy *proxy, const struct control_listener *listener, int fd);
/* Takes @fd. */
void proxy_set_access_log(struct proxy *proxy, int fd);
/* What may change while it serves; before START too. */
void proxy_use_settings(struct proxy *proxy, const struct config_settings *settings);
void proxy_use_ticket_keys(struct proxy *proxy, const struct tls_ticket_key *keys, uint32_t count);
/* Part of the next config that is published. 0 or -ENOMEM; adds a user to @segment. */
int proxy_use_segment(struct proxy *proxy, enum config_kind kind, struct config_segment *segment);
/* Leaves what was gathered with every worker; before START it waits. */
void proxy_publish(struct proxy *proxy);
/* Enters the sandbox and begins to serve. A failure ends the proxy. */
void proxy_start(struct proxy *proxy);
void proxy_drain(struct proxy *proxy, uint32_t grace_ms);
/* The agent that was told of a signal is gone: what it would have said is done now. */
void proxy_agent_lost(struct proxy *proxy);
/* Ends the proxy, which has failed; its supervisor starts another. */
void proxy_give_up(struct proxy *proxy);

#endif
