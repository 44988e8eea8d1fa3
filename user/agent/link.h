/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link: a proxy that is connected, from HELLO to its end.
 *
 *     connect ─► GREETING ─HELLO─► TAKING ─┬─ has no workers ─► WAITING ─complete─► WORKING
 *                                          ├─ keeps its place ──────────────────────► WORKING
 *                                          └─ cannot be kept ─► DRAINING
 *
 * TAKING: it gives back what it holds. WAITING: for the first complete configuration, or, beside a
 * proxy at work, for the end of that one. LEAVING: it was asked to end from outside and serves on
 * until another one does. SUCCESSOR is no proxy but the next agent (upgrade.h). One link is the
 * current one; when another proxy serves in its place, it is told to drain. A proxy
 * that an agent before this one left behind is kept where it has the workers and the listeners
 * that are wanted now; otherwise its sockets go to the next one.
 */
#ifndef SLUICE_AGENT_LINK_H
#define SLUICE_AGENT_LINK_H

#include "agent/publisher.h"
#include "control/channel.h"

enum {
	LINK_ADOPT_WAIT_MS = 2000, /* for the HELLO of a proxy that is there already */
	LINK_ADOPT_OTHERS_MS = 4 * CONTROL_RETRY_MS, /* where one is heard that has nothing */
	LINK_GREETING_MS = 2000,                     /* a connection that says nothing is closed */
};

enum link_state {
	LINK_GREETING,
	LINK_TAKING,
	LINK_WAITING,
	LINK_WORKING,
	LINK_LEAVING,
	LINK_DRAINING,
	LINK_SUCCESSOR,
};

/* "greeting", "working" ... */
const char *link_state_name(enum link_state state);

struct tally_segment;

struct link {
	struct channel channel;
	struct links *links;
	struct link *next;
	enum link_state state;
	int pid;
	struct control_hello hello;
	uint32_t give_back_left;
	uint32_t sockets_kept;         /* of those given back */
	struct tally_segment *segment; /* where it counts; NULL: not known */
	int given_counters;            /* descriptors given back, -1: none */
	int given[PUBLISHED_COUNT];
	uint64_t in_force[PUBLISHED_COUNT]; /* generations; 0: none */
	uint64_t refused[PUBLISHED_COUNT];  /* the newest that it refused */
	bool is_closed;
	struct loop_task free_task;
	struct loop_timer greeting_timer;
};

struct agent;

struct links {
	struct agent *agent;
	struct loop_watch listen_watch; /* control.sock */
	struct link *first;
	struct link *current; /* WORKING, or NULL */
	bool is_started;      /* no proxy of an earlier agent is waited for any more */
	/* Given back by the one that was kept, for the compiler's ids; -1: none. */
	int adopted_image, adopted_endpoints;
};

/* Listens on run-dir/control.sock. 0 or -errno with a text. */
int links_open(struct links *links, struct agent *agent, struct err *err);
void links_close(struct links *links);

/*
 * Gives a proxy that lives already (run-dir/proxy.pid says so) up to LINK_ADOPT_WAIT_MS to say
 * what it has. Afterwards links->current is that proxy, or NULL.
 */
void links_adopt(struct links *links);

/* What is published (it was saved) goes to whoever waits, and gives the compiler its ids. */
void links_adopt_published(struct links *links);

/* Sends the segments whose bits (1u << kind) are set as one change; sets up who waits for them. */
void links_publish(struct links *links, unsigned int kinds);
void links_start_waiting(struct links *links);
/* A proxy that has nothing yet and waits for its setup, or NULL. */
struct link *links_waiting(const struct links *links);

/* True when the current proxy has all that is published in force in all its workers. */
bool links_is_in_force(const struct links *links);
/* The same, or it refused what is not: nothing more is to be waited for. */
bool links_is_settled(const struct links *links);

void links_send_ticket_keys(struct links *links);
void links_send_access_log(struct links *links);
void links_send_settings(struct links *links);
void links_send_sources(struct links *links);
/* Whether any proxy is connected. */
bool links_has_proxy(const struct links *links);
/* Lets go of those that wait: they connect again, to whoever listens then. */
void links_drop_waiting(struct links *links);
/* The same of all proxies; they go on. */
void links_drop_proxies(struct links *links);
/* Takes the place of whoever listens on run-dir/control.sock. 0 or -errno with a text. */
int links_listen_over(struct links *links, struct err *err);
void links_stop_listening(struct links *links);
/* Tells every proxy to drain. */
void links_drain(struct links *links, uint32_t grace_ms);
/* The process of one of them is gone. */
void links_on_exit(struct links *links, int pid);

#endif
