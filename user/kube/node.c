// SPDX-License-Identifier: Apache-2.0
/* node: see node.h. Maps of manifests are small, so a member is found by looking at each. */
#include "kube/node.h"

const struct node *node_find(const struct node *map, const char *key)
{
	struct str wanted = str_from_c(key);

	if (!map || map->type != NODE_MAP)
		return NULL;
	for (uint32_t i = 0; i < map->count; i++) {
		if (str_eq(map->children[i].key, wanted))
			return &map->children[i].value;
	}
	return NULL;
}

const char *node_type_name(enum node_type type)
{
	static const char *const names[] = {
		[NODE_NULL] = "null",    [NODE_BOOL] = "boolean", [NODE_INT] = "number",
		[NODE_FLOAT] = "number", [NODE_TEXT] = "text",    [NODE_SEQUENCE] = "list",
		[NODE_MAP] = "map",
	};

	return names[type];
}
