/* SPDX-License-Identifier: Apache-2.0 */
/* link_private: what link.c, link_send.c and link_take.c have of each other, and upgrade.c of them.
 */
#ifndef SLUICE_AGENT_LINK_PRIVATE_H
#define SLUICE_AGENT_LINK_PRIVATE_H

#include "agent/link.h"
#include "agent/listeners.h"

/* ---- link.c ---- */

void link_begin_drain(struct link *link, uint32_t grace_ms);
/* The proxy that works from now on; the one before it finishes what it has. */
void link_become_current(struct link *link);

/* Ends the connection; the link is freed once the turn is over. */
void link_drop(struct link *link);
/* The same with a message that says why @type is not taken. */
void link_refuse(struct link *link, enum control_type type, const struct err *why);
/* ---- link_send.c ---- */

/* All that a proxy needs to begin. False without memory for its counters. */
bool link_send_start(struct link *link);
/* The listener with its sockets, one message for each worker. */
void link_send_listener(struct link *link, const struct listener *listener, uint32_t worker_count);
/* All that may have changed since an agent before this one said it. */
void link_send_all(struct link *link);

/* ---- link_take.c ---- */

/* One of the messages that HELLO promised. Takes its descriptor. */
void link_take_back(struct link *link, struct control_message *message);
/* All that was promised is here. */
void link_on_taken(struct link *link);
/* Closes what *@fd was, if it was open. */
void link_replace_fd(int *fd, int by);

#endif
