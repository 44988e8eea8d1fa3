// SPDX-License-Identifier: Apache-2.0
/* trie: see trie.h. The queue of the breadth-first walk is the row of nodes itself. */
#include "image/trie.h"

static uint32_t shared_len(struct str a, struct str b, uint32_t from)
{
	uint32_t i = from;

	while (i < a.len && i < b.len && a.at[i] == b.at[i])
		i++;
	return i;
}

static void push_node(struct trie *trie, uint32_t first, uint32_t end, uint32_t depth)
{
	struct image_node *node = vec_push(&trie->nodes);

	node->exact_route = IMAGE_NONE;
	node->prefix_route = IMAGE_NONE;
	*vec_push(&trie->runs) = (struct trie_run){ first, end, depth };
}

static void set_label(struct image_node *node, const struct trie_path *path, uint32_t depth,
		      uint32_t end)
{
	uint32_t len = end - depth;

	node->label_offset = path->text_offset + depth;
	node->label_len = (uint16_t)len; /* a path has at most PATH_KEY_RULE_MAX bytes */
	memcpy(node->head, path->text.at + depth,
	       len < IMAGE_NODE_HEAD_BYTES ? len : IMAGE_NODE_HEAD_BYTES);
}

/* Cuts [first, end) where the byte at @depth changes; each piece is a child. Returns how many. */
static uint32_t push_children(struct trie *trie, const struct trie_path *paths,
			      struct trie_run below)
{
	uint32_t count = 0;

	for (uint32_t first = below.first, i = first; i < below.end; i++) {
		if (i + 1 < below.end &&
		    paths[i + 1].text.at[below.depth] == paths[first].text.at[below.depth])
			continue;
		push_node(trie, first, i + 1, below.depth);
		first = i + 1;
		count++;
	}
	return count;
}

void trie_add(struct trie *trie, const struct trie_path *paths, uint32_t count)
{
	size_t root = trie->nodes.len;

	trie->runs.len = 0;
	if (count)
		push_node(trie, 0, count, 0);
	for (size_t i = 0; i < trie->runs.len; i++) {
		struct image_node *node = &trie->nodes.at[root + i];
		struct trie_run run = trie->runs.at[i];
		uint32_t children = trie->node_first + (uint32_t)trie->nodes.len;
		uint32_t end =
			shared_len(paths[run.first].text, paths[run.end - 1].text, run.depth);

		set_label(node, &paths[run.first], run.depth, end);
		if (paths[run.first].text.len == end) {
			node->exact_route = paths[run.first].exact_route;
			node->prefix_route = paths[run.first].prefix_route;
			run.first++;
		}
		run.depth = end;
		if (run.first == run.end)
			continue;
		node->child_first = children;
		count = push_children(trie, paths, run);
		trie->nodes.at[root + i].child_count = (uint16_t)count; /* at most 256 */
	}
}

void trie_reset(struct trie *trie, uint32_t node_first)
{
	trie->nodes.len = 0;
	trie->node_first = node_first;
}

void trie_release(struct trie *trie)
{
	vec_release(&trie->nodes);
	vec_release(&trie->runs);
}
