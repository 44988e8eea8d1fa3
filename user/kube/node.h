/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node: a document as a tree, whether it was written in YAML or in JSON.
 *
 *   spec:                     map ─┬─ "spec" ─ map ─── "rules" ─ sequence ─── map ...
 *     rules:                       └─ ...
 *     - host: a.example
 *
 * Plain YAML scalars have the type that the core schema gives them (YAML 1.2
 * chapter 10.3), quoted ones are text: `port: "80"` and `host: 123` are seen for
 * what they are. Every node knows the line it begins at.
 *
 * An alias shares the children of its anchor: it costs one node of memory, but
 * whoever walks the tree meets them again. How much aliases may add to a walk is
 * bounded, so time is bounded by the bytes that were read.
 */
#ifndef SLUICE_KUBE_NODE_H
#define SLUICE_KUBE_NODE_H

#include "base/str.h"

enum {
	NODE_TEXT_MAX = 64 << 20,      /* bytes of one file or answer */
	NODE_DOCUMENTS_MAX = 1 << 18,  /* documents of one file */
	NODE_DEPTH_MAX = 64,           /* maps and sequences within each other, aliases followed */
	NODE_COUNT_MAX = 4 << 20,      /* nodes written in one document */
	NODE_ALIASED_MAX = 128 * 1024, /* weight that aliases and merge keys add to one document */
	NODE_WEIGHT_BYTES = 64,        /* so much text weighs as much as a node */
};

enum node_type {
	NODE_NULL,
	NODE_BOOL,
	NODE_INT,   /* fits an int64_t */
	NODE_FLOAT, /* also an integer that does not fit */
	NODE_TEXT,
	NODE_SEQUENCE,
	NODE_MAP,
};

struct node_child;

struct node {
	enum node_type type;
	uint32_t line;   /* 1 is the first */
	uint32_t count;  /* children */
	uint32_t weight; /* nodes and text of this tree, aliases followed, itself included */
	uint16_t height; /* maps and sequences on the longest way down, itself included */
	union {
		struct str text;                   /* of a scalar, without quotes and escapes */
		const struct node_child *children; /* of a map (no key twice) or sequence */
	};
	int64_t number; /* of NODE_INT; 0 or 1 of NODE_BOOL */
};

/* A member of a map, or an item of a sequence (key.at == NULL). */
struct node_child {
	struct str key;
	uint32_t line; /* of the key, of the item */
	struct node value;
};

/* The member @key, or NULL; NULL too where @map is NULL or no map. */
const struct node *node_find(const struct node *map, const char *key);

/* "null", "boolean", "number", "text", "list", "map": what people are told. */
const char *node_type_name(enum node_type type);

#endif
