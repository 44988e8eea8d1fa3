/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_client: the proxy's end of the control socket.
 *
 *   CLIENT_AWAY ── connect, HELLO, what we hold ──► CLIENT_CONNECTED
 *       ▲                                                 │
 *       └──────────── the agent is gone ──────────────────┘   (serving goes on)
 *
 * It turns messages into what the proxy does, verifies each segment before anything
 * else sees it, and keeps the descriptors that the next agent gets back.
 */
#ifndef SLUICE_PROXY_CONTROL_CLIENT_H
#define SLUICE_PROXY_CONTROL_CLIENT_H

#include "control/channel.h"
#include "proxy/config.h"

struct proxy;

enum { CLIENT_LISTENERS_MAX = CONTROL_WORKERS_MAX * 16 };

struct held_listener {
	struct control_listener listener;
	int fd; /* owned */
};

struct control_client {
	struct proxy *proxy;
	const char *path;
	struct channel channel;
	struct loop_timer retry;
	bool is_away_said;    /* logged once that there is no agent */
	bool is_refused_said; /* the same of one that does not speak with us */
	bool is_set_up;       /* SETUP was taken; the agent may not send another one */
	struct control_setup setup;
	int counters_fd; /* owned; -1: none yet */
	struct control_counters counters;
	struct held_listener *listeners;
	uint32_t listener_count;
	uint64_t reported[CONFIG_REPORTED_COUNT]; /* generations that IN_FORCE was said for */
};

void control_client_init(struct control_client *client, struct proxy *proxy, const char *path);
/* Closes the connection and all that is held. */
void control_client_release(struct control_client *client);
/* Gives up the listening sockets; after every worker has stopped to accept. */
void control_client_close_listeners(struct control_client *client);

/* Connects now; where there is no agent, again and again. */
void control_client_connect(struct control_client *client);
/* Every worker uses @config. */
void control_client_report(struct control_client *client, const struct config *config);
/* A signal asks the proxy to end. False where there is no agent to be told. */
bool control_client_say_leaving(struct control_client *client);
void control_client_say_drained(struct control_client *client, uint32_t cut_count);

#endif
