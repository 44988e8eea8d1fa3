/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_list: a list of addresses as it stands in status.loadBalancer.ingress, twice:
 * as JSON to be written, and as text to be compared ("192.0.2.1 \n", " lb.example\n").
 */
#ifndef SLUICE_KUBE_STATUS_LIST_H
#define SLUICE_KUBE_STATUS_LIST_H

#include "base/buf.h"
#include "base/json.h"
#include "kube/node.h"

enum { STATUS_ADDRESSES_MAX = 1024 };

struct status_list {
	struct buf json_text, canonical;
	struct json json;
	size_t count;
};

void status_list_init(struct status_list *list);
void status_list_release(struct status_list *list);

/* One of the two is empty, or both: then nothing is added. */
void status_list_add(struct status_list *list, struct str ip, struct str hostname);
/* What a status has; @node may be NULL. */
void status_list_add_node(struct status_list *list, const struct node *node);
/* After the last one: json_text is whole. */
void status_list_end(struct status_list *list);

#endif
