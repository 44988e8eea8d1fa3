/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view: the same facts for people and for programs.
 *
 * What the admin server shows is said once, as named values, lists and tables, and comes out as
 * aligned text or as one JSON object:
 *
 *   view_u64(&v, "generation", 7);         generation   7            {"generation": 7,
 *   view_table_begin(&v, "workers",        WORKER  CPU  STATE         "workers": [
 *                    columns, 3);          0       2    active          {"worker": 0, "cpu": 2,
 *   view_cell_u64(&v, 0); ...                                            "state": "active"}, ...
 *
 * Names are those of the JSON; text shows them with spaces for underscores, and the heads of
 * columns in capitals. Strings are borrowed for the call.
 */
#ifndef SLUICE_AGENT_VIEW_H
#define SLUICE_AGENT_VIEW_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/vec.h"

enum { VIEW_COLUMNS_MAX = 12 };

enum view_align { VIEW_LEFT, VIEW_RIGHT };

struct view_column {
	const char *name;
	enum view_align align;
};

struct view_cell {
	struct str text;
};

struct view_field {
	const char *name; /* NULL: a line of text on its own */
	struct str text;
};

struct view {
	struct buf *out; /* borrowed */
	bool is_json;
	struct json json;
	struct arena arena; /* texts that wait until the width of their column is known */
	/* text: fields that wait for the longest name among them */
	struct VEC(struct view_field) fields;
	/* the table at hand */
	const struct view_column *columns;
	size_t column_count;
	size_t column;
	const char *table_name;
	bool has_output; /* something stands above: a gap comes before the next table */
	struct VEC(struct view_cell) cells;
};

/* Appends to @out. */
void view_begin(struct view *view, struct buf *out, bool is_json);
/* Writes what waits, and gives all memory back. */
void view_end(struct view *view);

/* ---- values of the object itself ---------------------------------------------------------- */

void view_text(struct view *view, const char *name, struct str value);
void view_text_c(struct view *view, const char *name, const char *value);
void view_printf(struct view *view, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void view_u64(struct view *view, const char *name, uint64_t value);
void view_bool(struct view *view, const char *name, bool value); /* "yes" and "no" in text */
/* "12.3 ms" in text, the bare number in JSON. @unit: "ms". */
void view_double(struct view *view, const char *name, double value, const char *unit);
/* Only in text: a line of its own, as it is; with line feeds several. */
void view_line(struct view *view, struct str line);

/* ---- tables: each row is one call per column, in their order ------------------------------- */

/* @columns: static. A table without rows shows in text as "no <name>". */
void view_table_begin(struct view *view, const char *name, const struct view_column *columns,
		      size_t column_count);
void view_table_end(struct view *view);

void view_cell(struct view *view, struct str value);
void view_cell_c(struct view *view, const char *value);
void view_cell_printf(struct view *view, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void view_cell_u64(struct view *view, uint64_t value);
void view_cell_bool(struct view *view, bool value);
/* "a, b" in text, an array in JSON. */
void view_cell_list(struct view *view, const struct str *items, size_t count);
/* "-" in text, null in JSON. */
void view_cell_none(struct view *view);

#endif
