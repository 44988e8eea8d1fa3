/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trie: makes the nodes of one vhost out of its sorted paths. Used by the writer only.
 *
 *   "/"  "/cart"  "/cat"          "/" - "ca" -+- "rt"
 *                                             +- "t"
 *
 * Since the paths are sorted, everything below a node is one run of them, the label is
 * what the first and the last of the run share, and each child is a run within the run. Nodes
 * are made breadth first, in the order in which they lie in the image.
 */
#ifndef SLUICE_IMAGE_TRIE_H
#define SLUICE_IMAGE_TRIE_H

#include "base/vec.h"
#include "image/image.h"

/* One path and what is served there. */
struct trie_path {
	struct str text;
	uint32_t text_offset;  /* of @text in strings */
	uint32_t exact_route;  /* or IMAGE_NONE */
	uint32_t prefix_route; /* or IMAGE_NONE */
};

/* The paths below a node, and how many of their bytes lead to its parent. */
struct trie_run {
	uint32_t first, end;
	uint32_t depth;
};

/* Zero is empty. */
struct trie {
	struct VEC(struct image_node) nodes;
	uint32_t node_first; /* the index that the first of them will have in the image */
	struct VEC(struct trie_run) runs; /* of the nodes of the vhost at hand */
};

/* Appends the nodes of @paths: sorted by str_compare, no two alike, each beginning with '/'. */
void trie_add(struct trie *trie, const struct trie_path *paths, uint32_t count);
/* Empty; the nodes to come will stand from @node_first on among those of others. */
void trie_reset(struct trie *trie, uint32_t node_first);
void trie_release(struct trie *trie);

#endif
