/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listeners: the listening sockets, which the agent makes and keeps.
 *
 * Every listener has one socket for each worker, in one SO_REUSEPORT group, so that a connection
 * waits where it is going to be served. The proxy gets duplicates; as the agent's own stay open, a
 * proxy that dies refuses nobody: what waited in the accept queues waits for the next one.
 *
 * A listener on many addresses or ports has no more sockets than one on a single address: they are
 * bound to the first of them, and sk_lookup (bpf/) brings the others' connections there.
 */
#ifndef SLUICE_AGENT_LISTENERS_H
#define SLUICE_AGENT_LISTENERS_H

#include "agent/options.h"
#include "base/addr.h"
#include "control/control.h"

enum {
	LISTENERS_BACKLOG = 65535, /* the kernel cuts it to net.core.somaxconn */
	/* How long the kernel keeps a connection to itself that has sent nothing yet. */
	LISTENERS_DEFER_ACCEPT_S = 5,
};

struct listener {
	struct addr_range range; /* what it takes */
	struct addr addr;        /* where its sockets are bound: the first of that */
	enum control_protocol protocol;
	uint16_t id;
	bool is_optional; /* it may be missing: nobody asked for it by name */
	int *fds;         /* worker_count of them, -1 where there is none yet */
};

struct listeners {
	struct listener at[LISTENERS_MAX];
	size_t count;
	uint32_t worker_count;
};

/* What @options asks for, without any socket yet. 0, or -EINVAL where it is too much. */
int listeners_init(struct listeners *listeners, const struct options *options,
		   uint32_t worker_count, struct err *err);
/* Closes all sockets. Harmless on zeroed memory. */
void listeners_release(struct listeners *listeners);

/*
 * Takes a socket that a living proxy gave back, where one is wanted for that address, protocol and
 * worker. Takes @fd: keeps it, or closes it. True when it was kept; the listener then has the id
 * that the proxy knows it by.
 */
bool listeners_take(struct listeners *listeners, const struct control_listener *from, int fd);

/*
 * Opens every socket that is still missing. 0; -errno with a text that names the address. An
 * optional listener whose address family the kernel does not have is dropped with a warning.
 */
int listeners_open(struct listeners *listeners, struct err *err);

/* How many sockets are missing. */
size_t listeners_missing(const struct listeners *listeners);

/* Whether any of them needs sk_lookup. */
bool listeners_have_ranges(const struct listeners *listeners);

/* "http" or "tls". */
const char *listener_protocol_name(enum control_protocol protocol);

#endif
