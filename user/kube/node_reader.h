/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_reader: bytes to documents, one after the other.
 *
 *   struct node_reader reader;
 *   struct node_document document;
 *
 *   node_reader_init(&reader, text, node_format_of(name, text));
 *   while (node_reader_next(&reader, &document))
 *           use(&document);
 *   node_reader_release(&reader);
 *
 * YAML is cut into documents before it is parsed, at the lines that begin with
 * `---` or `...` (such a line can be nothing else: YAML 1.2, c-forbidden). So a
 * syntax error costs its own document and not those behind it. JSON documents
 * may follow each other too; a syntax error ends the file.
 *
 * No text here ever holds a scalar of the document, as it may be a password.
 */
#ifndef SLUICE_KUBE_NODE_READER_H
#define SLUICE_KUBE_NODE_READER_H

#include "base/arena.h"
#include "base/str.h"
#include "kube/node.h"

enum node_format { NODE_FORMAT_YAML, NODE_FORMAT_JSON };

/* JSON where @name ends in .json or the first character of @text is '{' or '['. */
enum node_format node_format_of(struct str name, struct str text);

enum node_state {
	NODE_STATE_SOUND,
	NODE_STATE_DUPLICATE, /* a key stands twice in a map; root holds the first one */
	NODE_STATE_BROKEN,    /* cannot be read; root is a null */
};

/* Borrowed from the reader: good until its next call. An empty document is skipped. */
struct node_document {
	struct node root;
	struct str text; /* the bytes it was made from */
	uint32_t line;   /* where its content begins */
	enum node_state state;
	/* Unless sound: what is wrong and where. */
	struct str flaw;
	struct str flaw_field; /* spec.rules[0].host; empty where unknown */
	uint32_t flaw_line;
};

struct node_reader {
	enum node_format format;
	struct str rest; /* not read yet */
	uint32_t line;   /* where rest begins */
	uint32_t document_count;
	bool is_ended;
	struct arena arena; /* the current document */
};

/* Borrows @text until release. */
void node_reader_init(struct node_reader *reader, struct str text, enum node_format format);
void node_reader_release(struct node_reader *reader);

/* False at the end. */
bool node_reader_next(struct node_reader *reader, struct node_document *document);

#endif
