// SPDX-License-Identifier: Apache-2.0
/* node_reader: cuts a text into documents and has them read; see node_reader.h. */
#include "kube/node_reader.h"

#include "kube/node_json.h"
#include "kube/node_yaml.h"

enum { ARENA_CHUNK_BYTES = 64 << 10 };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str skip_bom(struct str text)
{
	static const char bom[] = "\xef\xbb\xbf";

	return str_starts_with(text, STR(bom)) ? str_slice(text, 3, text.len) : text;
}

enum node_format node_format_of(struct str name, struct str text)
{
	size_t i = 0;

	if (str_ends_with(name, STR(".json")))
		return NODE_FORMAT_JSON;
	text = skip_bom(text);
	while (i < text.len && is_space(text.at[i]))
		i++;
	if (i < text.len && (text.at[i] == '{' || text.at[i] == '['))
		return NODE_FORMAT_JSON;
	return NODE_FORMAT_YAML;
}

void node_reader_init(struct node_reader *reader, struct str text, enum node_format format)
{
	*reader = (struct node_reader){ .format = format, .rest = skip_bom(text), .line = 1 };
	arena_init(&reader->arena, ARENA_CHUNK_BYTES);
}

void node_reader_release(struct node_reader *reader)
{
	arena_release(&reader->arena);
}

/* `---` or `...` and then a space or the end (YAML 1.2, 9.1.4 c-forbidden). */
static bool is_marker(struct str line, const char *marker)
{
	return str_starts_with(line, str_from_c(marker)) && (line.len == 3 || is_space(line.at[3]));
}

/* Comments, directives and blank lines belong to the document that follows. */
static bool is_prologue(struct str line)
{
	size_t i = 0;

	if (line.len && line.at[0] == '%')
		return true;
	while (i < line.len && is_space(line.at[i]))
		i++;
	return i == line.len || line.at[i] == '#';
}

/* Takes the bytes of the next YAML document off the rest. @line_count: how many lines they are. */
static struct str take_chunk(struct node_reader *reader, uint32_t *line_count)
{
	struct str rest = reader->rest;
	struct str chunk;
	bool has_content = false;
	size_t taken = 0;

	*line_count = 0;
	while (taken < rest.len) {
		struct str line = str_slice(rest, taken, rest.len);

		line = str_slice(line, 0, str_find_char(line, '\n') + 1);
		if (has_content && is_marker(line, "---"))
			break;
		has_content |= !is_prologue(line);
		taken += line.len;
		*line_count += 1;
		if (has_content && is_marker(line, "..."))
			break;
	}
	chunk = str_slice(rest, 0, taken);
	reader->rest = str_slice(rest, taken, rest.len);
	return chunk;
}

static bool next_yaml(struct node_reader *reader, struct node_document *document)
{
	while (reader->rest.len) {
		uint32_t line = reader->line, line_count;
		struct str chunk = take_chunk(reader, &line_count);

		reader->line += line_count;
		arena_reset(&reader->arena);
		if (!node_yaml_read(chunk, line, &reader->arena, document))
			continue;
		if (document->state != NODE_STATE_SOUND || document->root.type != NODE_NULL)
			return true;
	}
	return false;
}

static bool next_json(struct node_reader *reader, struct node_document *document)
{
	size_t taken;

	while (reader->rest.len && is_space(reader->rest.at[0])) {
		reader->line += reader->rest.at[0] == '\n';
		reader->rest = str_slice(reader->rest, 1, reader->rest.len);
	}
	if (reader->rest.len == 0)
		return false;
	arena_reset(&reader->arena);
	taken = node_json_read(reader->rest, reader->line, &reader->arena, document);
	for (size_t i = 0; i < taken; i++)
		reader->line += reader->rest.at[i] == '\n';
	reader->rest = str_slice(reader->rest, taken, reader->rest.len);
	return true;
}

/* A document that says why the rest is not read. */
static void refuse_rest(struct node_reader *reader, struct str flaw, struct node_document *document)
{
	*document = (struct node_document){
		.root = { .type = NODE_NULL, .line = reader->line },
		.text = reader->rest,
		.line = reader->line,
		.state = NODE_STATE_BROKEN,
		.flaw = flaw,
		.flaw_line = reader->line,
	};
	reader->is_ended = true;
}

bool node_reader_next(struct node_reader *reader, struct node_document *document)
{
	bool has_document;

	if (reader->is_ended)
		return false;
	if (reader->rest.len > NODE_TEXT_MAX) {
		refuse_rest(reader, STR("too large to be read"), document);
		return true;
	}
	if (reader->document_count == NODE_DOCUMENTS_MAX && reader->rest.len) {
		refuse_rest(reader, STR("too many documents in one file"), document);
		return true;
	}
	has_document = reader->format == NODE_FORMAT_JSON ? next_json(reader, document)
							  : next_yaml(reader, document);
	reader->document_count += has_document;
	reader->is_ended = !has_document;
	return has_document;
}
