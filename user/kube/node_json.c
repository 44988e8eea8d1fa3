// SPDX-License-Identifier: Apache-2.0
/*
 * node_json: jansson's values to a node_builder.
 *
 * jansson does not say where a value stood. As it keeps the order of members and
 * refuses keys that stand twice, one walk over the values and the text side by
 * side finds the lines; by then the text is known to be JSON.
 *
 * jansson's messages repeat the text at the error, which may be a password: only
 * its error code is told.
 */
#include "kube/node_json.h"

#include <errno.h>
#include <jansson.h>

#include "kube/node_builder.h"

struct json_walk {
	struct node_builder builder;
	struct str rest;
	uint32_t line;
};

static void skip(struct json_walk *walk, size_t bytes)
{
	walk->rest = str_slice(walk->rest, bytes, walk->rest.len);
}

/* Whitespace and the separators between values. */
static void skip_to_value(struct json_walk *walk)
{
	while (walk->rest.len && memchr(" \t\r\n,:", walk->rest.at[0], 6)) {
		walk->line += walk->rest.at[0] == '\n';
		skip(walk, 1);
	}
}

static void skip_scalar(struct json_walk *walk)
{
	struct str rest = walk->rest;
	size_t i = 0;

	if (rest.len && rest.at[0] == '"') {
		for (i = 1; i < rest.len && rest.at[i] != '"'; i++)
			i += rest.at[i] == '\\';
		i++;
	} else {
		while (i < rest.len && !memchr(" \t\r\n,:]}", rest.at[i], 8))
			i++;
	}
	skip(walk, i);
}

static struct node scalar_node(const json_t *value, struct str written, struct arena *arena)
{
	static const enum node_type types[] = {
		[JSON_STRING] = NODE_TEXT, [JSON_INTEGER] = NODE_INT, [JSON_REAL] = NODE_FLOAT,
		[JSON_TRUE] = NODE_BOOL,   [JSON_FALSE] = NODE_BOOL,  [JSON_NULL] = NODE_NULL,
	};
	struct node node = { .type = types[json_typeof(value)] };

	if (node.type == NODE_TEXT)
		written = str_of(json_string_value(value), json_string_length(value));
	node.text = arena_copy(arena, written);
	node.number = node.type == NODE_INT ? json_integer_value(value) : json_is_true(value);
	return node;
}

static int walk_scalar(struct json_walk *walk, const json_t *value)
{
	struct str before = walk->rest;
	struct node node;

	skip_scalar(walk);
	node = scalar_node(value, str_of(before.at, before.len - walk->rest.len),
			   walk->builder.arena);
	node.line = walk->line;
	return node_builder_scalar(&walk->builder, &node, str_of(NULL, 0));
}

static int walk_value(struct json_walk *walk, const json_t *value);

static int walk_object(struct json_walk *walk, const json_t *object)
{
	void *iter = json_object_iter((json_t *)object); /* jansson iterates without const */
	int rc = 0;

	for (; rc == 0 && iter; iter = json_object_iter_next((json_t *)object, iter)) {
		const char *key = json_object_iter_key(iter);
		struct node node = { .type = NODE_TEXT };

		skip_to_value(walk);
		skip_scalar(walk);
		node.line = walk->line;
		node.text = arena_copy(walk->builder.arena, str_from_c(key));
		rc = node_builder_scalar(&walk->builder, &node, str_of(NULL, 0));
		if (rc == 0)
			rc = walk_value(walk, json_object_iter_value(iter));
	}
	return rc;
}

static int walk_array(struct json_walk *walk, const json_t *array)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < json_array_size(array); i++)
		rc = walk_value(walk, json_array_get(array, i));
	return rc;
}

/* Goes down no further than the builder lets it: NODE_DEPTH_MAX. */
static int walk_value(struct json_walk *walk, const json_t *value)
{
	bool is_object = json_is_object(value);
	int rc;

	skip_to_value(walk);
	if (!is_object && !json_is_array(value))
		return walk_scalar(walk, value);
	rc = node_builder_open(&walk->builder, is_object ? NODE_MAP : NODE_SEQUENCE, walk->line,
			       str_of(NULL, 0));
	if (rc < 0)
		return rc;
	skip(walk, 1);
	rc = is_object ? walk_object(walk, value) : walk_array(walk, value);
	if (rc < 0)
		return rc;
	skip_to_value(walk);
	skip(walk, 1);
	return node_builder_close(&walk->builder);
}

static const char *describe(const json_error_t *error)
{
	static const struct {
		enum json_error_code code;
		const char *text;
	} meanings[] = {
		{ json_error_stack_overflow, "nested too deeply" },
		{ json_error_invalid_utf8, "not UTF-8" },
		{ json_error_premature_end_of_input, "ends too early" },
		{ json_error_null_character, "NUL character in a text" },
		{ json_error_null_byte_in_key, "NUL character in a name" },
		{ json_error_duplicate_key, "a name stands twice in one object" },
		{ json_error_numeric_overflow, "number out of range" },
	};

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (json_error_code(error) == meanings[i].code)
			return meanings[i].text;
	}
	return "syntax error";
}

size_t node_json_read(struct str text, uint32_t line, struct arena *arena,
		      struct node_document *document)
{
	struct json_walk walk = { .rest = text, .line = line };
	json_error_t error = { .line = 1 };
	json_t *value = json_loadb(text.at, text.len,
				   JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
	size_t taken = text.len;

	*document = (struct node_document){ .text = text };
	node_builder_init(&walk.builder, arena, document);
	if (!value) {
		struct str flaw = arena_printf(arena, "not JSON: %s", describe(&error));

		node_builder_break(&walk.builder, flaw,
				   line + (uint32_t)(error.line > 0 ? error.line - 1 : 0));
	} else if (walk_value(&walk, value) == 0) {
		taken = text.len - walk.rest.len;
		document->text = str_slice(text, 0, taken);
	}
	json_decref(value);
	node_builder_release(&walk.builder);
	document->line = document->root.line;
	return taken;
}
