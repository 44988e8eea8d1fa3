// SPDX-License-Identifier: Apache-2.0
/*
 * node_yaml: libyaml's events to a node_builder.
 *
 * libyaml is used as a parser of events only: its own trees know neither types
 * nor limits. The types of plain scalars are those of the core schema, YAML 1.2
 * chapter 10.3.2.
 *
 * Scalars, tags and anchors never stand in a flaw: `password: !abc` is a tag.
 */
#include "kube/node_yaml.h"

#include <errno.h>
#include <yaml.h>

#include "kube/node_builder.h"

#define TAG_PREFIX "tag:yaml.org,2002:"

struct yaml_read {
	yaml_parser_t parser;
	struct node_builder builder;
	struct str text;
	uint32_t first_line; /* of text in its file */
	bool has_document;
};

/* --------------------------------------------------------------- core schema */

static bool is_one_of(struct str text, const char *const *words)
{
	for (; *words; words++) {
		if (str_eq_c(text, *words))
			return true;
	}
	return false;
}

static bool is_null(struct str text)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL", NULL };

	return is_one_of(text, words);
}

static bool is_true(struct str text)
{
	static const char *const words[] = { "true", "True", "TRUE", NULL };

	return is_one_of(text, words);
}

static bool is_false(struct str text)
{
	static const char *const words[] = { "false", "False", "FALSE", NULL };

	return is_one_of(text, words);
}

static struct str skip_sign(struct str text)
{
	bool has_sign = text.len && (text.at[0] == '-' || text.at[0] == '+');

	return has_sign ? str_slice(text, 1, text.len) : text;
}

static size_t count_digits(struct str text)
{
	size_t count = 0;

	while (count < text.len && char_is_digit(text.at[count]))
		count++;
	return count;
}

/* Digits of @base only. 0; -EINVAL where it is none; -ERANGE where it does not fit. */
static int parse_digits(struct str text, int base, int64_t *number)
{
	int rc = text.len ? 0 : -EINVAL;

	*number = 0;
	for (size_t i = 0; i < text.len && rc != -EINVAL; i++) {
		int digit = char_hex_value(text.at[i]);

		if (digit < 0 || digit >= base)
			rc = -EINVAL;
		else if (__builtin_mul_overflow(*number, base, number) ||
			 __builtin_add_overflow(*number, digit, number))
			rc = -ERANGE;
	}
	return rc;
}

static int parse_int(struct str text, int64_t *number)
{
	struct str digits = skip_sign(text);
	int rc;

	if (str_starts_with(text, STR("0o")))
		return parse_digits(str_slice(text, 2, text.len), 8, number);
	if (str_starts_with(text, STR("0x")))
		return parse_digits(str_slice(text, 2, text.len), 16, number);
	rc = parse_digits(digits, 10, number);
	if (rc == 0 && text.at[0] == '-')
		*number = -*number;
	return rc;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_decimal(struct str text)
{
	struct str rest = skip_sign(text);
	size_t whole = count_digits(rest), fraction = 0;

	rest = str_slice(rest, whole, rest.len);
	if (rest.len && rest.at[0] == '.') {
		rest = str_slice(rest, 1, rest.len);
		fraction = count_digits(rest);
		rest = str_slice(rest, fraction, rest.len);
	}
	if (whole + fraction == 0)
		return false;
	if (rest.len == 0)
		return true;
	if (char_lower(rest.at[0]) != 'e')
		return false;
	rest = skip_sign(str_slice(rest, 1, rest.len));
	return rest.len && count_digits(rest) == rest.len;
}

static bool is_float(struct str text)
{
	static const char *const infinities[] = { ".inf", ".Inf", ".INF", NULL };
	static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };

	return is_decimal(text) || is_one_of(skip_sign(text), infinities) || is_one_of(text, nans);
}

static void resolve_plain(struct node *node)
{
	struct str text = node->text;
	int rc;

	/* Most scalars are words: their first letter says that they are text. */
	if (text.len && !memchr("-+.0123456789~nNtTfF", text.at[0], 20))
		return;
	rc = parse_int(text, &node->number);
	if (rc == 0)
		node->type = NODE_INT;
	else if (rc == -ERANGE || is_float(text))
		node->type = NODE_FLOAT;
	else if (is_null(text))
		node->type = NODE_NULL;
	else if (is_true(text) || is_false(text))
		node->type = NODE_BOOL;
	if (node->type != NODE_INT)
		node->number = node->type == NODE_BOOL && is_true(text);
}

/* The type that an explicit tag demands; false where we do not know the tag. */
static bool find_tag(const yaml_char_t *tag, enum node_type *type)
{
	static const struct {
		const char *tag;
		enum node_type type;
	} tags[] = {
		{ "!", NODE_TEXT },
		{ TAG_PREFIX "str", NODE_TEXT },
		{ TAG_PREFIX "int", NODE_INT },
		{ TAG_PREFIX "bool", NODE_BOOL },
		{ TAG_PREFIX "null", NODE_NULL },
		{ TAG_PREFIX "float", NODE_FLOAT },
		{ TAG_PREFIX "map", NODE_MAP },
		{ TAG_PREFIX "seq", NODE_SEQUENCE },
	};

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		/* yaml_char_t is unsigned char */
		if (str_eq_c(str_from_c((const char *)tag), tags[i].tag)) {
			*type = tags[i].type;
			return true;
		}
	}
	return false;
}

/* -------------------------------------------------------------------- events */

static uint32_t line_of(const struct yaml_read *read, const yaml_event_t *event)
{
	return read->first_line + (uint32_t)event->start_mark.line;
}

static struct str copy_name(struct yaml_read *read, const yaml_char_t *name)
{
	/* yaml_char_t is unsigned char */
	return name ? arena_copy(read->builder.arena, str_from_c((const char *)name))
		    : str_of(NULL, 0);
}

/* Gives the scalar the type that its @tag demands; a flaw where that cannot be. */
static const char *resolve_tagged(struct node *node, const yaml_char_t *tag)
{
	enum node_type wanted;

	if (!find_tag(tag, &wanted))
		return "unknown tag";
	if (wanted != NODE_TEXT)
		resolve_plain(node);
	if (wanted == NODE_FLOAT && node->type == NODE_INT)
		node->type = NODE_FLOAT;
	return node->type == wanted ? NULL : "scalar does not fit its tag";
}

static int on_scalar(struct yaml_read *read, const yaml_event_t *event)
{
	const yaml_char_t *tag = event->data.scalar.tag;
	const char *flaw = NULL;
	struct node node = {
		.type = NODE_TEXT,
		.line = line_of(read, event),
		/* yaml_char_t is unsigned char */
		.text = arena_copy(read->builder.arena,
				   str_of((const char *)event->data.scalar.value,
					  event->data.scalar.length)),
	};

	if (tag)
		flaw = resolve_tagged(&node, tag);
	else if (event->data.scalar.plain_implicit)
		resolve_plain(&node);
	if (flaw)
		return node_builder_break(&read->builder, str_from_c(flaw), node.line);
	if (!tag && event->data.scalar.plain_implicit && str_eq(node.text, STR("<<")))
		node_builder_merge(&read->builder);
	return node_builder_scalar(&read->builder, &node,
				   copy_name(read, event->data.scalar.anchor));
}

static int on_open(struct yaml_read *read, const yaml_event_t *event, enum node_type type,
		   const yaml_char_t *tag, const yaml_char_t *anchor)
{
	enum node_type wanted = type;
	uint32_t line = line_of(read, event);

	if (tag && strcmp((const char *)tag, "!") != 0 && !find_tag(tag, &wanted))
		return node_builder_break(&read->builder, STR("unknown tag"), line);
	if (wanted != type)
		return node_builder_break(&read->builder, STR("map or list does not fit its tag"),
					  line);
	return node_builder_open(&read->builder, type, line, copy_name(read, anchor));
}

static int on_event(struct yaml_read *read, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(read, event);
	case YAML_ALIAS_EVENT:
		return node_builder_alias(&read->builder, copy_name(read, event->data.alias.anchor),
					  line_of(read, event));
	case YAML_SEQUENCE_START_EVENT:
		return on_open(read, event, NODE_SEQUENCE, event->data.sequence_start.tag,
			       event->data.sequence_start.anchor);
	case YAML_MAPPING_START_EVENT:
		return on_open(read, event, NODE_MAP, event->data.mapping_start.tag,
			       event->data.mapping_start.anchor);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return node_builder_close(&read->builder);
	case YAML_DOCUMENT_START_EVENT:
		if (read->has_document)
			return node_builder_break(&read->builder, STR("two documents in one"),
						  line_of(read, event));
		read->has_document = true;
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	}
	return 0;
}

/* Where that began which ends in a problem further down: an open quote, an open bracket. */
static struct str context_of(struct yaml_read *read)
{
	const yaml_parser_t *parser = &read->parser;

	if (!parser->context || parser->context_mark.line == parser->problem_mark.line)
		return STR("");
	return arena_printf(read->builder.arena, " %s that begins in line %u", parser->context,
			    read->first_line + (uint32_t)parser->context_mark.line);
}

static int on_syntax_error(struct yaml_read *read)
{
	const yaml_parser_t *parser = &read->parser;
	const char *problem = parser->problem ? parser->problem : "out of memory";
	uint32_t line = read->first_line + (uint32_t)parser->problem_mark.line;
	struct str context = context_of(read);

	/* Bad encoding is found before lines are counted. */
	if (parser->error == YAML_READER_ERROR) {
		line = read->first_line;
		for (size_t i = 0; i < parser->problem_offset && i < read->text.len; i++)
			line += read->text.at[i] == '\n';
	}
	read->has_document = true;
	return node_builder_break(&read->builder,
				  arena_printf(read->builder.arena, "not YAML: %s%.*s", problem,
					       STR_ARG(context)),
				  line);
}

static void read_events(struct yaml_read *read)
{
	bool is_ended = false;
	int rc = 0;

	while (rc == 0 && !is_ended) {
		yaml_event_t event;

		if (!yaml_parser_parse(&read->parser, &event)) {
			on_syntax_error(read);
			return;
		}
		is_ended = event.type == YAML_STREAM_END_EVENT;
		rc = on_event(read, &event);
		yaml_event_delete(&event);
	}
}

bool node_yaml_read(struct str text, uint32_t line, struct arena *arena,
		    struct node_document *document)
{
	struct yaml_read read = { .text = text, .first_line = line };

	*document = (struct node_document){ .text = text };
	node_builder_init(&read.builder, arena, document);
	if (yaml_parser_initialize(&read.parser)) {
		yaml_parser_set_encoding(&read.parser, YAML_UTF8_ENCODING);
		/* yaml_char_t is unsigned char */
		yaml_parser_set_input_string(&read.parser, (const unsigned char *)text.at,
					     text.len);
		read_events(&read);
		yaml_parser_delete(&read.parser);
	} else {
		read.has_document = true;
		node_builder_break(&read.builder, STR("not YAML: out of memory"), line);
	}
	node_builder_release(&read.builder);
	document->line = document->root.line;
	return read.has_document;
}
