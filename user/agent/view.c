// SPDX-License-Identifier: Apache-2.0
/*
 * view: JSON is written as it comes, text when it is known how wide it gets.
 *
 * Widths are counted in bytes. What is shown are names of Kubernetes objects, hosts, paths and
 * addresses, all ASCII; in the rare text that is not, a column may stand a little to the right.
 */
#include "agent/view.h"

#include <stdarg.h>
#include <stdio.h>

void view_begin(struct view *view, struct buf *out, bool is_json)
{
	*view = (struct view){ .out = out, .is_json = is_json };
	arena_init(&view->arena, 0);
	json_init(&view->json, out);
	if (is_json)
		json_object_begin(&view->json, NULL);
}

static void add_spaces(struct buf *out, size_t count)
{
	buf_printf(out, "%*s", (int)count, "");
}

/* Control bytes would move the reader's cursor: a path may hold what its author liked. */
static void add_shown(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_add_char(out, text.at[i]);
	}
}

static void flush_fields(struct view *view)
{
	size_t width = 0;

	for (size_t i = 0; i < view->fields.len; i++)
		if (view->fields.at[i].name && strlen(view->fields.at[i].name) > width)
			width = strlen(view->fields.at[i].name);
	for (size_t i = 0; i < view->fields.len; i++) {
		const struct view_field *field = &view->fields.at[i];

		for (const char *c = field->name; c && *c; c++)
			buf_add_char(view->out, *c == '_' ? ' ' : *c);
		if (field->name) {
			add_spaces(view->out, width + 2 - strlen(field->name));
			add_shown(view->out, field->text);
		} else {
			buf_add(view->out, field->text);
		}
		buf_add_char(view->out, '\n');
	}
	view->has_output = view->has_output || view->fields.len > 0;
	view->fields.len = 0;
}

void view_end(struct view *view)
{
	if (view->is_json) {
		json_object_end(&view->json);
		buf_add_char(view->out, '\n');
	} else {
		flush_fields(view);
	}
	vec_release(&view->fields);
	vec_release(&view->cells);
	arena_release(&view->arena);
}

/* ------------------------------------------------------------------------------- values */

static void add_field(struct view *view, const char *name, struct str text)
{
	*vec_push(&view->fields) = (struct view_field){ name, text };
}

void view_text(struct view *view, const char *name, struct str value)
{
	if (view->is_json)
		json_text(&view->json, name, value);
	else
		add_field(view, name, arena_copy(&view->arena, value));
}

void view_text_c(struct view *view, const char *name, const char *value)
{
	view_text(view, name, str_from_c(value));
}

/* A text of any length, in the view's arena. */
static struct str format_text(struct view *view, const char *format, va_list arguments)
{
	va_list again;
	struct str text;
	char *at;
	int len;

	va_copy(again, arguments);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	at = arena_new(&view->arena, (size_t)len + 1, 1);
	vsnprintf(at, (size_t)len + 1, format, arguments);
	text = str_of(at, (size_t)len);
	return text;
}

void view_printf(struct view *view, const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	view_text(view, name, format_text(view, format, arguments));
	va_end(arguments);
}

void view_u64(struct view *view, const char *name, uint64_t value)
{
	if (view->is_json)
		json_u64(&view->json, name, value);
	else
		add_field(view, name,
			  arena_printf(&view->arena, "%llu", (unsigned long long)value));
}

void view_bool(struct view *view, const char *name, bool value)
{
	if (view->is_json)
		json_bool(&view->json, name, value);
	else
		add_field(view, name, value ? STR("yes") : STR("no"));
}

void view_double(struct view *view, const char *name, double value, const char *unit)
{
	if (view->is_json)
		json_double(&view->json, name, value);
	else
		add_field(view, name, arena_printf(&view->arena, "%.1f %s", value, unit));
}

void view_line(struct view *view, struct str line)
{
	if (!view->is_json)
		add_field(view, NULL, arena_copy(&view->arena, line));
}

/* ------------------------------------------------------------------------------- tables */

void view_table_begin(struct view *view, const char *name, const struct view_column *columns,
		      size_t column_count)
{
	view->table_name = name;
	view->columns = columns;
	view->column_count = column_count;
	view->column = 0;
	view->cells.len = 0;
	if (view->is_json)
		json_array_begin(&view->json, name);
	else
		flush_fields(view);
}

static void add_head(struct buf *out, const char *name)
{
	for (; *name; name++) {
		if (*name == '_')
			buf_add_char(out, ' ');
		else if (*name >= 'a' && *name <= 'z')
			buf_add_char(out, (char)(*name - 'a' + 'A'));
		else
			buf_add_char(out, *name);
	}
}

static void find_widths(const struct view *view, size_t widths[VIEW_COLUMNS_MAX])
{
	for (size_t i = 0; i < view->column_count; i++)
		widths[i] = strlen(view->columns[i].name);
	for (size_t i = 0; i < view->cells.len; i++) {
		size_t column = i % view->column_count;

		if (view->cells.at[i].text.len > widths[column])
			widths[column] = view->cells.at[i].text.len;
	}
}

/* One row of text; the last column is not filled up, so no line ends in spaces. */
static void print_row(struct view *view, const struct view_cell *cells, const size_t *widths)
{
	for (size_t i = 0; i < view->column_count; i++) {
		struct str text = cells ? cells[i].text : str_from_c(view->columns[i].name);
		size_t gap = widths[i] - text.len;
		bool is_right = view->columns[i].align == VIEW_RIGHT;

		if (is_right)
			add_spaces(view->out, gap);
		if (cells)
			add_shown(view->out, text);
		else
			add_head(view->out, view->columns[i].name);
		if (i + 1 < view->column_count)
			add_spaces(view->out, (is_right ? 0 : gap) + 2);
	}
	buf_add_char(view->out, '\n');
}

void view_table_end(struct view *view)
{
	size_t widths[VIEW_COLUMNS_MAX];

	if (view->is_json) {
		json_array_end(&view->json);
		return;
	}
	if (view->has_output)
		buf_add_char(view->out, '\n');
	view->has_output = true;
	if (view->cells.len == 0) {
		buf_add_c(view->out, "no ");
		for (const char *c = view->table_name; *c; c++)
			buf_add_char(view->out, *c == '_' ? ' ' : *c);
		buf_add_char(view->out, '\n');
		return;
	}
	find_widths(view, widths);
	print_row(view, NULL, widths);
	for (size_t i = 0; i < view->cells.len; i += view->column_count)
		print_row(view, &view->cells.at[i], widths);
}

/* ------------------------------------------------------------------------------- cells */

/* The name of the cell that comes now, in JSON; begins a row where one begins. */
static const char *next_cell(struct view *view)
{
	const char *name = view->columns[view->column].name;

	if (view->column == 0 && view->is_json)
		json_object_begin(&view->json, NULL);
	return name;
}

static void cell_done(struct view *view)
{
	view->column = (view->column + 1) % view->column_count;
	if (view->column == 0 && view->is_json)
		json_object_end(&view->json);
}

static void add_cell(struct view *view, struct str text)
{
	vec_push(&view->cells)->text = text;
}

void view_cell(struct view *view, struct str value)
{
	const char *name = next_cell(view);

	if (view->is_json)
		json_text(&view->json, name, value);
	else
		add_cell(view, value.len ? arena_copy(&view->arena, value) : STR("-"));
	cell_done(view);
}

void view_cell_c(struct view *view, const char *value)
{
	view_cell(view, str_from_c(value));
}

void view_cell_printf(struct view *view, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	view_cell(view, format_text(view, format, arguments));
	va_end(arguments);
}

void view_cell_u64(struct view *view, uint64_t value)
{
	const char *name = next_cell(view);

	if (view->is_json)
		json_u64(&view->json, name, value);
	else
		add_cell(view, arena_printf(&view->arena, "%llu", (unsigned long long)value));
	cell_done(view);
}

void view_cell_bool(struct view *view, bool value)
{
	const char *name = next_cell(view);

	if (view->is_json)
		json_bool(&view->json, name, value);
	else
		add_cell(view, value ? STR("yes") : STR("no"));
	cell_done(view);
}

static struct str join(struct view *view, const struct str *items, size_t count)
{
	struct buf text;
	struct str joined;

	buf_init(&text, 0);
	for (size_t i = 0; i < count; i++) {
		buf_add_c(&text, i ? ", " : "");
		buf_add(&text, items[i]);
	}
	joined = arena_copy(&view->arena, buf_str(&text));
	buf_release(&text);
	return joined;
}

void view_cell_list(struct view *view, const struct str *items, size_t count)
{
	const char *name = next_cell(view);

	if (view->is_json) {
		json_array_begin(&view->json, name);
		for (size_t i = 0; i < count; i++)
			json_text(&view->json, NULL, items[i]);
		json_array_end(&view->json);
	} else {
		add_cell(view, count ? join(view, items, count) : STR("-"));
	}
	cell_done(view);
}

void view_cell_none(struct view *view)
{
	const char *name = next_cell(view);

	if (view->is_json)
		json_null(&view->json, name);
	else
		add_cell(view, STR("-"));
	cell_done(view);
}
