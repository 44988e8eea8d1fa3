/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_nodes: the addresses of the nodes on which sluice is ready.
 *
 *   ready on "a", Node "a": ExternalIP 203.0.113.4, InternalIP 10.0.0.4   ─► 203.0.113.4
 *   ready on "b", Node "b": InternalIP 10.0.0.5, InternalIP 2001:db8::5   ─► 10.0.0.5, 2001:db8::5
 *   ready on "c", no such Node, or it has no address                      ─► that of the Pod
 *
 * A node counts for STATUS_NODE_KEPT_MS after sluice was last ready there, so that a
 * rolling update takes none away.
 *
 * Of each Node only the addresses are kept. Nodes are many, large, and change all
 * the time (the kubelet reports): whoever does not write status does not follow
 * them, so that one agent of all does.
 */
#ifndef SLUICE_KUBE_STATUS_NODES_H
#define SLUICE_KUBE_STATUS_NODES_H

#include "kube/api_client.h"
#include "kube/status_list.h"

enum {
	STATUS_NODE_KEPT_MS = 300000,
	STATUS_NODE_ADDRESSES_MAX = 8, /* of one node */
};

struct status_nodes;

struct status_nodes_options {
	/* The list may be another one. */
	void (*on_change)(void *owner);
	void *owner;
};

/* Borrows client and loop until free. Follows nothing yet. Never NULL. */
struct status_nodes *status_nodes_new(struct api_client *client, struct loop *loop,
				      const struct status_nodes_options *options);
/* Accepts NULL. */
void status_nodes_free(struct status_nodes *nodes);

/* Begins to follow the Nodes, or ends and forgets what they said. */
void status_nodes_follow(struct status_nodes *nodes, bool is_wanted);

/* Sluice is ready on the node @name (may be empty), in a Pod with that address. */
void status_nodes_note_ready(struct status_nodes *nodes, struct str name, struct str address);

/* Adds the addresses, always in the same order. False, and nothing added: not known yet. */
bool status_nodes_list(struct status_nodes *nodes, struct status_list *list);

#endif
