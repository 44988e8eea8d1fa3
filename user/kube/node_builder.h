/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_builder: puts a tree together in the order in which a document is read.
 *
 * Used by node_yaml and node_json. Holds the limits of node.h, finds keys that
 * stand twice, resolves aliases and merge keys (`<<`). Children of maps and
 * sequences that are still open wait on one stack and move into the arena when
 * their parent is closed:
 *
 *   frames   [ map          ][ sequence ][ map  ]
 *   pending  [ a: 1 | b: 2   | 7 | 8      | x: y ]
 */
#ifndef SLUICE_KUBE_NODE_BUILDER_H
#define SLUICE_KUBE_NODE_BUILDER_H

#include "base/arena.h"
#include "base/vec.h"
#include "kube/node_reader.h"

enum { NODE_ANCHORS_MAX = 1024 }; /* in one document */

struct node_frame {
	enum node_type type; /* NODE_MAP or NODE_SEQUENCE */
	uint32_t line;
	size_t first; /* its first child in pending */
	struct str key;
	uint32_t key_line;
	bool has_key;
	bool has_merge; /* a member is a merge key */
	struct str anchor;
};

struct node_anchor {
	struct str name;
	struct node node;
};

struct node_builder {
	struct arena *arena; /* borrowed */
	struct node_document *document;
	struct VEC(struct node_child) pending;
	struct VEC(struct node_anchor) anchors;
	struct VEC(uint32_t) order; /* scratch */
	struct node_frame frames[NODE_DEPTH_MAX];
	uint32_t depth;
	uint32_t written;
	uint32_t aliased;
};

/* Trees and texts lie in @arena; root, state and flaw in @document. */
void node_builder_init(struct node_builder *builder, struct arena *arena,
		       struct node_document *document);
void node_builder_release(struct node_builder *builder);

/*
 * These return 0, or -EBADMSG after the document was marked broken. A scalar where a map waits
 * for a key is that key. Texts must lie in the arena. @anchor may be absent.
 */
int node_builder_scalar(struct node_builder *builder, const struct node *scalar, struct str anchor);
int node_builder_alias(struct node_builder *builder, struct str anchor, uint32_t line);
int node_builder_open(struct node_builder *builder, enum node_type type, uint32_t line,
		      struct str anchor);
int node_builder_close(struct node_builder *builder);

/* The next scalar is the key `<<` and merges what follows it. */
void node_builder_merge(struct node_builder *builder);

/* Marks the document broken; @flaw is static or lies in the arena. Returns -EBADMSG. */
int node_builder_break(struct node_builder *builder, struct str flaw, uint32_t line);

#endif
