// SPDX-License-Identifier: Apache-2.0
/*
 * node_builder: see node_builder.h.
 *
 * Merge keys are part of YAML 1.1 only, but kubectl understands them and people
 * use them: own members win over merged ones, earlier merged ones over later.
 */
#include "kube/node_builder.h"

#include <errno.h>
#include <stdlib.h>

#include "kube/say.h"

enum { FEW_KEYS = 8, FIELD_BYTES_MAX = 1024 };

void node_builder_init(struct node_builder *builder, struct arena *arena,
		       struct node_document *document)
{
	*builder = (struct node_builder){ .arena = arena, .document = document };
}

void node_builder_release(struct node_builder *builder)
{
	vec_release(&builder->pending);
	vec_release(&builder->anchors);
	vec_release(&builder->order);
}

/* Where the reading stands, and @key in that map (where it is not absent). */
static struct str current_field(struct node_builder *builder, struct str key)
{
	struct str field;
	struct buf out;

	buf_init(&out, FIELD_BYTES_MAX);
	for (uint32_t i = 0; i < builder->depth; i++) {
		const struct node_frame *frame = &builder->frames[i];
		bool is_last = i + 1 == builder->depth;
		size_t end = is_last ? builder->pending.len : frame[1].first;

		if (frame->type == NODE_SEQUENCE)
			say_index(&out, end - frame->first);
		else if (is_last && key.at)
			say_field(&out, key);
		else if (frame->has_key)
			say_field(&out, frame->key);
	}
	field = arena_copy(builder->arena, buf_str(&out));
	buf_release(&out);
	return field;
}

int node_builder_break(struct node_builder *builder, struct str flaw, uint32_t line)
{
	struct node_document *document = builder->document;

	document->state = NODE_STATE_BROKEN;
	document->flaw = flaw;
	document->flaw_line = line;
	document->flaw_field = current_field(builder, str_of(NULL, 0));
	document->root = (struct node){ .type = NODE_NULL, .line = line };
	return -EBADMSG;
}

static void mark_duplicate(struct node_builder *builder, const struct node_child *child)
{
	struct node_document *document = builder->document;
	char text[SAY_MAX];

	if (document->state != NODE_STATE_SOUND)
		return;
	document->state = NODE_STATE_DUPLICATE;
	document->flaw = arena_printf(builder->arena, "field '%s' stands twice in one map",
				      say_text(child->key, text));
	document->flaw_line = child->line;
	document->flaw_field = current_field(builder, child->key);
}

/* ------------------------------------------------------------------ placing */

static struct node_frame *top_frame(struct node_builder *builder)
{
	return builder->depth ? &builder->frames[builder->depth - 1] : NULL;
}

static int place(struct node_builder *builder, const struct node *node)
{
	struct node_frame *frame = top_frame(builder);
	struct node_child *child;

	if (++builder->written > NODE_COUNT_MAX)
		return node_builder_break(builder, STR("document has too many nodes"), node->line);
	if (!frame) {
		builder->document->root = *node;
		return 0;
	}
	child = vec_push(&builder->pending);
	child->value = *node;
	child->line = node->line;
	if (frame->type != NODE_MAP)
		return 0;
	child->key = frame->key;
	child->line = frame->key_line;
	frame->has_key = false;
	return 0;
}

static bool is_key_wanted(struct node_builder *builder)
{
	struct node_frame *frame = top_frame(builder);

	return frame && frame->type == NODE_MAP && !frame->has_key;
}

static int place_key(struct node_builder *builder, const struct node *node)
{
	struct node_frame *frame = top_frame(builder);

	if (node->type == NODE_MAP || node->type == NODE_SEQUENCE)
		return node_builder_break(builder, STR("key of a map is a map or a list"),
					  node->line);
	frame->key = node->text;
	frame->key_line = node->line;
	frame->has_key = true;
	return 0;
}

static int remember(struct node_builder *builder, const struct node *node, struct str name)
{
	struct node_anchor *anchor;

	if (!name.at)
		return 0;
	if (builder->anchors.len == NODE_ANCHORS_MAX)
		return node_builder_break(builder, STR("document has too many anchors"),
					  node->line);
	anchor = vec_push(&builder->anchors);
	anchor->name = name;
	anchor->node = *node;
	return 0;
}

int node_builder_scalar(struct node_builder *builder, const struct node *scalar, struct str anchor)
{
	struct node node = *scalar;
	int rc;

	node.weight = 1 + (uint32_t)(node.text.len / NODE_WEIGHT_BYTES);
	rc = remember(builder, &node, anchor);
	if (rc < 0)
		return rc;
	return is_key_wanted(builder) ? place_key(builder, &node) : place(builder, &node);
}

void node_builder_merge(struct node_builder *builder)
{
	if (is_key_wanted(builder))
		top_frame(builder)->has_merge = true;
}

/* ------------------------------------------------------------------ aliases */

static int charge_aliased(struct node_builder *builder, uint32_t weight, uint32_t line)
{
	if (weight > NODE_ALIASED_MAX - builder->aliased)
		return node_builder_break(builder, STR("aliases make the document too large"),
					  line);
	builder->aliased += weight;
	return 0;
}

int node_builder_alias(struct node_builder *builder, struct str anchor, uint32_t line)
{
	struct node node;
	size_t i = builder->anchors.len;
	int rc;

	/* The last one of that name counts. One that is still open contains this alias. */
	while (i > 0 && !str_eq(builder->anchors.at[i - 1].name, anchor))
		i--;
	if (i == 0)
		return node_builder_break(builder, STR("alias of no anchor that stands before it"),
					  line);
	node = builder->anchors.at[i - 1].node;
	node.line = line;
	rc = charge_aliased(builder, node.weight, line);
	if (rc < 0)
		return rc;
	if (builder->depth + node.height > NODE_DEPTH_MAX)
		return node_builder_break(builder, STR("document is nested too deeply"), line);
	return is_key_wanted(builder) ? place_key(builder, &node) : place(builder, &node);
}

static int merge_map(struct node_builder *builder, const struct node *map, uint32_t line)
{
	int rc;

	if (map->type != NODE_MAP)
		return node_builder_break(builder, STR("merge key '<<' wants a map"), line);
	rc = charge_aliased(builder, map->weight, line);
	for (uint32_t i = 0; rc == 0 && i < map->count; i++)
		*vec_push(&builder->pending) = map->children[i];
	return rc;
}

/* Puts the members of what stands behind `<<` at the end, `<<` itself stays for the caller. */
static int merge_all(struct node_builder *builder, const struct node_frame *frame)
{
	size_t end = builder->pending.len;
	int rc = 0;

	for (size_t i = frame->first; rc == 0 && i < end; i++) {
		struct node value = builder->pending.at[i].value;
		uint32_t line = builder->pending.at[i].line;

		if (!str_eq(builder->pending.at[i].key, STR("<<")))
			continue;
		if (value.type != NODE_SEQUENCE) {
			rc = merge_map(builder, &value, line);
			continue;
		}
		for (uint32_t j = 0; rc == 0 && j < value.count; j++)
			rc = merge_map(builder, &value.children[j].value, line);
	}
	return rc;
}

/* ------------------------------------------------------------ keys of a map */

static int compare_children(const void *a, const void *b, void *context)
{
	const struct node_child *children = context;
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b; /* qsort's signature */
	int order = str_compare(children[left].key, children[right].key);

	return order ? order : (left > right) - (left < right);
}

/* Marks each later child of the same key by taking its key away. */
static void drop_repeated(struct node_builder *builder, struct node_child *children, uint32_t count,
			  uint32_t own_count)
{
	uint32_t kept = 0;

	builder->order.len = 0;
	for (uint32_t i = 0; i < count; i++)
		*vec_push(&builder->order) = i;
	qsort_r(builder->order.at, count, sizeof(*builder->order.at), compare_children, children);
	for (uint32_t i = 1; i < count; i++) {
		struct node_child *first = &children[builder->order.at[kept]];
		struct node_child *later = &children[builder->order.at[i]];

		if (!str_eq(first->key, later->key)) {
			kept = i;
			continue;
		}
		if (builder->order.at[i] < own_count)
			mark_duplicate(builder, later);
		later->key.at = NULL;
	}
}

static bool has_repeated(const struct node_child *children, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		for (uint32_t j = 0; j < i; j++) {
			if (str_eq(children[i].key, children[j].key))
				return true;
		}
	}
	return false;
}

/* Each key once: the first one of what was written, then of what was merged. */
static void settle_keys(struct node_builder *builder, struct node_frame *frame, uint32_t own_count)
{
	uint32_t count = (uint32_t)(builder->pending.len - frame->first);
	struct node_child *children;
	uint32_t kept = 0;

	if (count == 0)
		return;
	children = builder->pending.at + frame->first;
	if (!frame->has_merge && count <= FEW_KEYS && !has_repeated(children, count))
		return;
	drop_repeated(builder, children, count, own_count);
	for (uint32_t i = 0; i < count; i++) {
		bool is_merge = frame->has_merge && str_eq(children[i].key, STR("<<"));

		if (children[i].key.at && !is_merge)
			children[kept++] = children[i];
	}
	builder->pending.len = frame->first + kept;
}

/* ----------------------------------------------------------- open and close */

int node_builder_open(struct node_builder *builder, enum node_type type, uint32_t line,
		      struct str anchor)
{
	if (builder->depth == NODE_DEPTH_MAX)
		return node_builder_break(builder, STR("document is nested too deeply"), line);
	if (is_key_wanted(builder))
		return node_builder_break(builder, STR("key of a map is a map or a list"), line);
	builder->frames[builder->depth++] = (struct node_frame){
		.type = type,
		.line = line,
		.first = builder->pending.len,
		.anchor = anchor,
	};
	return 0;
}

static struct node take_children(struct node_builder *builder, const struct node_frame *frame)
{
	uint32_t count = (uint32_t)(builder->pending.len - frame->first);
	struct node_child *children = arena_new(builder->arena, count, sizeof(*children));
	struct node node = {
		.type = frame->type,
		.line = frame->line,
		.count = count,
		.weight = 1,
		.children = children,
	};

	for (uint32_t i = 0; i < count; i++) {
		children[i] = builder->pending.at[frame->first + i];
		node.weight += children[i].value.weight;
		node.weight += (uint32_t)(children[i].key.len / NODE_WEIGHT_BYTES);
		if (children[i].value.height > node.height)
			node.height = children[i].value.height;
	}
	node.height++;
	builder->pending.len = frame->first;
	return node;
}

int node_builder_close(struct node_builder *builder)
{
	struct node_frame *frame = top_frame(builder);
	uint32_t own_count = (uint32_t)(builder->pending.len - frame->first);
	struct node node;
	int rc = 0;

	if (frame->has_merge)
		rc = merge_all(builder, frame);
	if (rc < 0)
		return rc;
	if (frame->type == NODE_MAP)
		settle_keys(builder, frame, own_count);
	node = take_children(builder, frame);
	builder->depth--;
	rc = remember(builder, &node, frame->anchor);
	return rc < 0 ? rc : place(builder, &node);
}
