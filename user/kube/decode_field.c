// SPDX-License-Identifier: Apache-2.0
/*
 * decode_field: see decode_field.h.
 *
 * Values stand in a finding only where a range or a choice is wrong, and fields
 * of Secrets and ConfigMaps are neither: texts of theirs are never repeated.
 */
#include "kube/decode_field.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "kube/say.h"

enum { FIELD_BYTES_MAX = 1024, REFUSAL_BYTES_MAX = 512, CHOICES_BYTES_MAX = 256 };

/* ------------------------------------------------------------------ findings */

static void add_steps(struct buf *out, const struct decode_step *step)
{
	const struct decode_step *way[NODE_DEPTH_MAX];
	size_t depth = 0;

	for (; step && depth < NODE_DEPTH_MAX; step = step->up)
		way[depth++] = step;
	while (depth > 0) {
		step = way[--depth];
		if (step->name.at)
			say_field(out, step->name);
		else
			say_index(out, step->index);
	}
}

void decode_tell(struct findings *findings, enum finding_level level, const char *reason,
		 const struct finding_place *place, const char *text)
{
	if (findings->list.len > DECODE_ALL_FINDINGS_MAX)
		return;
	if (findings->list.len == DECODE_ALL_FINDINGS_MAX)
		text = "more is wrong from here on than is told";
	findings_add(findings, level, reason, place, "%s", text);
}

static void add_finding(struct decoder *decoder, enum finding_level level, const char *reason,
			uint32_t line, const char *text)
{
	struct finding_place place = { .object = decoder->object, .line = line };
	struct buf field;

	if (decoder->finding_count > DECODE_FINDINGS_MAX)
		return;
	if (decoder->finding_count++ == DECODE_FINDINGS_MAX) {
		decode_tell(decoder->findings, level, reason, &place,
			    "more is wrong with it than is told here");
		return;
	}
	buf_init(&field, FIELD_BYTES_MAX);
	add_steps(&field, decoder->here);
	place.field = buf_str(&field);
	decode_tell(decoder->findings, level, reason, &place, text);
	buf_release(&field);
}

int decode_refuse(struct decoder *decoder, uint32_t line, const char *reason, const char *format,
		  ...)
{
	char text[REFUSAL_BYTES_MAX], whole[REFUSAL_BYTES_MAX + 64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(whole, sizeof(whole), "%s, the %s is left out", text, decoder->loss);
	add_finding(decoder, FINDING_ERROR, reason, line, whole);
	return -EINVAL;
}

int decode_refuse_type(struct decoder *decoder, const struct node *value, const char *wanted)
{
	bool is_scalar = value->type != NODE_MAP && value->type != NODE_SEQUENCE;
	bool wants_quotes = is_scalar && strcmp(wanted, "text") == 0;

	return decode_refuse(decoder, value->line, "WrongType", "%s where %s is wanted%s",
			     node_type_name(value->type), wanted,
			     wants_quotes ? " (put it in quotes)" : "");
}

int decode_refuse_missing(struct decoder *decoder, uint32_t line, const char *name)
{
	struct decode_step step = { .up = decoder->here, .name = str_from_c(name) };
	int rc;

	decoder->here = &step;
	rc = decode_refuse(decoder, line, "MissingField", "required field is missing");
	decoder->here = step.up;
	return rc;
}

static void warn_unknown(struct decoder *decoder, const struct node_child *member)
{
	struct decode_step step = { .up = decoder->here, .name = member->key };

	decoder->here = &step;
	add_finding(decoder, FINDING_WARNING, "UnknownField", member->line,
		    "unknown field, ignored");
	decoder->here = step.up;
}

/* -------------------------------------------------------------------- tables */

static const struct decode_field *find_field(const struct decode_table *table, struct str name)
{
	for (size_t i = 0; i < table->count; i++) {
		if (str_eq_c(name, table->fields[i].name))
			return &table->fields[i];
	}
	return NULL;
}

static int decode_member(struct decoder *decoder, const struct node_child *member,
			 const struct decode_field *field, void *out)
{
	struct decode_step step = { .up = decoder->here, .name = member->key };
	const char *loss = decoder->loss;
	int rc;

	decoder->here = &step;
	decoder->loss = field->loss ? field->loss : loss;
	rc = field->decode(decoder, &member->value, (char *)out + field->offset);
	decoder->here = step.up;
	decoder->loss = loss;
	return field->loss ? 0 : rc;
}

static bool is_given(const struct node *map, const char *name)
{
	const struct node *value = node_find(map, name);

	return value && value->type != NODE_NULL;
}

static int check_required(struct decoder *decoder, const struct node *map,
			  const struct decode_table *table)
{
	int rc = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct decode_field *field = &table->fields[i];

		if ((field->flags & DECODE_REQUIRED) && !is_given(map, field->name))
			rc = decode_refuse_missing(decoder, map->line, field->name);
	}
	return rc;
}

int decode_fields(struct decoder *decoder, const struct node *map, const struct decode_table *table,
		  void *out)
{
	int rc;

	if (map->type != NODE_MAP)
		return decode_refuse_type(decoder, map, "map");
	rc = check_required(decoder, map, table);
	for (uint32_t i = 0; i < map->count; i++) {
		const struct node_child *member = &map->children[i];
		const struct decode_field *field = find_field(table, member->key);

		if (!field && table->is_complete && decoder->is_strict)
			warn_unknown(decoder, member);
		if (!field || !field->decode || member->value.type == NODE_NULL)
			continue;
		if (decode_member(decoder, member, field, out) < 0)
			rc = -EINVAL;
	}
	return rc;
}

int decode_items(struct decoder *decoder, const struct node *value, const struct decode_items *list,
		 void *out)
{
	struct decode_step step = { .up = decoder->here };
	const char *loss = decoder->loss;
	uint32_t count = 0;
	char *items;

	if (value->type != NODE_SEQUENCE)
		return decode_refuse_type(decoder, value, "list");
	items = arena_new(&decoder->object->arena, value->count, list->size_bytes);
	decoder->here = &step;
	decoder->loss = list->loss;
	for (uint32_t i = 0; i < value->count; i++) {
		char *item = items + (size_t)count * list->size_bytes;

		step.index = i;
		if (list->decode(decoder, &value->children[i].value, item) == 0)
			count++;
		else
			memset(item, 0, list->size_bytes);
	}
	decoder->here = step.up;
	decoder->loss = loss;
	/* The pointer there has the type of the items; all of them look alike. */
	memcpy((char *)out + list->items_offset, &items, sizeof(items));
	memcpy((char *)out + list->count_offset, &count, sizeof(count));
	return 0;
}

/* ------------------------------------------------------------------- scalars */

int decode_str(struct decoder *decoder, const struct node *value, void *out)
{
	struct str *str = out;

	if (value->type != NODE_TEXT)
		return decode_refuse_type(decoder, value, "text");
	*str = arena_copy(&decoder->object->arena, value->text);
	return 0;
}

int decode_bool(struct decoder *decoder, const struct node *value, void *out)
{
	bool *answer = out;

	if (value->type != NODE_BOOL)
		return decode_refuse_type(decoder, value, "true or false");
	*answer = value->number != 0;
	return 0;
}

int decode_port_number(struct decoder *decoder, const struct node *value, void *out)
{
	uint16_t *port = out;

	if (value->type != NODE_INT)
		return decode_refuse_type(decoder, value, "a port number");
	if (value->number < 1 || value->number > UINT16_MAX)
		return decode_refuse(decoder, value->line, "InvalidValue",
				     "port %lld is not in 1 to 65535", (long long)value->number);
	*port = (uint16_t)value->number;
	return 0;
}

int decode_port(struct decoder *decoder, const struct node *value, void *out)
{
	struct object_port *port = out;

	if (value->type == NODE_TEXT)
		return decode_str(decoder, value, &port->name);
	if (value->type != NODE_INT)
		return decode_refuse_type(decoder, value, "a port number or name");
	return decode_port_number(decoder, value, &port->number);
}

int decode_choice(struct decoder *decoder, const struct node *text, const struct decode_word *words,
		  size_t word_count, int *value)
{
	char choices[CHOICES_BYTES_MAX] = "", said[SAY_MAX];
	size_t used = 0;

	if (text->type != NODE_TEXT)
		return decode_refuse_type(decoder, text, "text");
	for (size_t i = 0; i < word_count; i++) {
		if (str_eq_c(text->text, words[i].text)) {
			*value = words[i].value;
			return 0;
		}
	}
	for (size_t i = 0; i < word_count && used < sizeof(choices); i++)
		used += (size_t)snprintf(choices + used, sizeof(choices) - used, "%s%s",
					 i ? ", " : "", words[i].text);
	return decode_refuse(decoder, text->line, "InvalidValue", "'%s' is none of %s",
			     say_text(text->text, said), choices);
}

int decode_protocol(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_word words[] = {
		{ "TCP", OBJECT_PROTOCOL_TCP },
		{ "UDP", OBJECT_PROTOCOL_UDP },
		{ "SCTP", OBJECT_PROTOCOL_SCTP },
	};
	enum object_protocol *protocol = out;
	int choice;
	int rc = decode_choice(decoder, value, words, sizeof(words) / sizeof(words[0]), &choice);

	if (rc == 0)
		*protocol = (enum object_protocol)choice; /* one of the words above */
	return rc;
}

/* --------------------------------------------------------------------- lists */

int decode_strs(struct decoder *decoder, const struct node *list, const struct str **strs,
		uint32_t *count)
{
	struct decode_step step = { .up = decoder->here };
	struct str *copies;
	int rc = 0;

	if (list->type != NODE_SEQUENCE)
		return decode_refuse_type(decoder, list, "list");
	copies = arena_new(&decoder->object->arena, list->count, sizeof(*copies));
	decoder->here = &step;
	for (uint32_t i = 0; i < list->count; i++) {
		step.index = i;
		if (decode_str(decoder, &list->children[i].value, &copies[i]) < 0)
			rc = -EINVAL;
	}
	decoder->here = step.up;
	*strs = copies;
	*count = list->count;
	return rc;
}

/* kubectl keeps the whole object in this annotation, Secrets with their values. */
static bool is_kept(struct str key)
{
	return !str_eq(key, STR("kubectl.kubernetes.io/last-applied-configuration"));
}

int decode_pairs(struct decoder *decoder, const struct node *map, void *out)
{
	struct decode_step step = { .up = decoder->here };
	struct arena *arena = &decoder->object->arena;
	struct object_pairs *pairs = out;
	struct object_pair *at;
	int rc = 0;

	if (map->type != NODE_MAP)
		return decode_refuse_type(decoder, map, "map");
	at = arena_new(arena, map->count, sizeof(*at));
	pairs->at = at;
	decoder->here = &step;
	for (uint32_t i = 0; i < map->count; i++) {
		const struct node_child *member = &map->children[i];
		struct object_pair *pair = &at[pairs->count];

		step.name = member->key;
		if (!is_kept(member->key))
			continue;
		pair->key = arena_copy(arena, member->key);
		pair->line = member->line;
		pair->value = STR("");
		if (member->value.type != NODE_NULL &&
		    decode_str(decoder, &member->value, &pair->value) < 0)
			rc = -EINVAL;
		pairs->count++;
	}
	decoder->here = step.up;
	return rc;
}
