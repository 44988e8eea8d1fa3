// SPDX-License-Identifier: Apache-2.0
/* status_list: see status_list.h. */
#include "kube/status_list.h"

void status_list_init(struct status_list *list)
{
	*list = (struct status_list){ 0 };
	buf_init(&list->json_text, 0);
	buf_init(&list->canonical, 0);
	json_init(&list->json, &list->json_text);
	json_array_begin(&list->json, NULL);
}

void status_list_release(struct status_list *list)
{
	buf_release(&list->json_text);
	buf_release(&list->canonical);
}

void status_list_add(struct status_list *list, struct str ip, struct str hostname)
{
	if ((!ip.len && !hostname.len) || list->count == STATUS_ADDRESSES_MAX)
		return;
	list->count++;
	json_object_begin(&list->json, NULL);
	if (ip.len)
		json_text(&list->json, "ip", ip);
	if (hostname.len)
		json_text(&list->json, "hostname", hostname);
	json_object_end(&list->json);
	buf_printf(&list->canonical, "%.*s %.*s\n", STR_ARG(ip), STR_ARG(hostname));
}

static struct str text_member(const struct node *map, const char *name)
{
	const struct node *node = node_find(map, name);

	return node && node->type == NODE_TEXT ? node->text : STR("");
}

void status_list_add_node(struct status_list *list, const struct node *node)
{
	for (uint32_t i = 0; node && node->type == NODE_SEQUENCE && i < node->count; i++) {
		const struct node *item = &node->children[i].value;

		status_list_add(list, text_member(item, "ip"), text_member(item, "hostname"));
	}
}

void status_list_end(struct status_list *list)
{
	json_array_end(&list->json);
}
