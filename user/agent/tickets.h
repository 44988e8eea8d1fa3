/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tickets: the keys of TLS session tickets, made anew every TICKETS_ROTATE_MS.
 *
 * They outlive the proxy, so a session is resumed after its restart; they do not outlive the
 * agent and are never written anywhere.
 */
#ifndef SLUICE_AGENT_TICKETS_H
#define SLUICE_AGENT_TICKETS_H

#include "control/control.h"
#include "event/loop.h"

enum { TICKETS_ROTATE_MS = 12 * 3600 * 1000 };

struct agent;

struct tickets {
	struct agent *agent;
	struct control_ticket_keys keys;
	struct loop_timer timer;
};

/* Goes on with the keys in @tickets, where the agent before this one handed some over. */
void tickets_open(struct tickets *tickets, struct agent *agent);
/* Wipes the keys. */
void tickets_close(struct tickets *tickets);
/* A new key, with the one before it still taken. */
void tickets_rotate(struct control_ticket_keys *keys);

#endif
