// SPDX-License-Identifier: Apache-2.0
/* api_print: a keyed hash chained through the tree; see api_print.h. */
#include "kube/api_print.h"

#include <pthread.h>

#include "base/random.h"
#include "base/siphash.h"

static struct siphash_key print_key;
static pthread_once_t print_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
	random_bytes(&print_key, sizeof(print_key));
}

static uint64_t chain(uint64_t hash, uint64_t tag, struct str text)
{
	struct siphash_key key = { .k0 = print_key.k0 ^ hash, .k1 = print_key.k1 + tag };

	return siphash(key, text);
}

static bool is_any(struct str key, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq_c(key, names[i]))
			return true;
	}
	return false;
}

/* Depth of the tree is bounded by NODE_DEPTH_MAX. */
static uint64_t print_node(uint64_t hash, const struct node *node)
{
	bool has_children = node->type == NODE_MAP || node->type == NODE_SEQUENCE;

	hash = chain(hash, node->type, has_children ? STR("") : node->text);
	for (uint32_t i = 0; has_children && i < node->count; i++) {
		hash = chain(hash, i, node->children[i].key);
		hash = print_node(hash, &node->children[i].value);
	}
	return hash;
}

static uint64_t print_metadata(uint64_t hash, const struct node *metadata)
{
	static const char *const left_out[] = { "resourceVersion", "generation", "managedFields" };

	for (uint32_t i = 0; i < metadata->count; i++) {
		const struct node_child *child = &metadata->children[i];

		if (is_any(child->key, left_out, sizeof(left_out) / sizeof(left_out[0])))
			continue;
		hash = print_node(chain(hash, 0, child->key), &child->value);
	}
	return hash;
}

uint64_t api_print(const struct node *object)
{
	uint64_t hash = 1;

	pthread_once(&print_once, make_key);
	if (object->type != NODE_MAP)
		return api_print_part(object);
	for (uint32_t i = 0; i < object->count; i++) {
		const struct node_child *child = &object->children[i];

		/*
		 * Items of a list do not say what they are, events do. The order of members is the
		 * server's and always the same.
		 */
		if (str_eq(child->key, STR("status")) || str_eq(child->key, STR("kind")) ||
		    str_eq(child->key, STR("apiVersion")))
			continue;
		hash = chain(hash, 0, child->key);
		if (str_eq(child->key, STR("metadata")) && child->value.type == NODE_MAP)
			hash = print_metadata(hash, &child->value);
		else
			hash = print_node(hash, &child->value);
	}
	return hash ? hash : 1;
}

uint64_t api_print_part(const struct node *node)
{
	uint64_t hash;

	pthread_once(&print_once, make_key);
	hash = node ? print_node(1, node) : 1;
	return hash ? hash : 1;
}
