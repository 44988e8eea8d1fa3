// SPDX-License-Identifier: Apache-2.0
/* finding: see finding.h. */
#include "model/finding.h"

#include <stdarg.h>
#include <stdio.h>

enum { FINDING_TEXT_MAX = 1024 };

void findings_init(struct findings *findings)
{
	*findings = (struct findings){ 0 };
	arena_init(&findings->arena, 0);
}

void findings_release(struct findings *findings)
{
	arena_release(&findings->arena);
	vec_release(&findings->list);
}

void findings_reset(struct findings *findings)
{
	arena_reset(&findings->arena);
	findings->list.len = 0;
}

void findings_add(struct findings *findings, enum finding_level level, const char *reason,
		  const struct finding_place *place, const char *format, ...)
{
	struct arena *arena = &findings->arena;
	const struct object *object = place->object;
	struct finding *added = vec_push(&findings->list);
	char text[FINDING_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	*added = (struct finding){
		.level = level,
		.reason = reason,
		.file = arena_copy(arena, object ? object->file : place->file),
		.line = place->line,
		.field = arena_copy(arena, place->field),
		.text = arena_copy(arena, str_from_c(text)),
	};
	if (!object)
		return;
	added->kind = str_from_c(object_kind_name(object->kind));
	added->namespace = arena_copy(arena, object->namespace);
	added->name = arena_copy(arena, object->name);
	if (added->line == 0)
		added->line = object->line;
}

void findings_append(struct findings *findings, const struct findings *from)
{
	struct arena *arena = &findings->arena;

	for (size_t i = 0; i < from->list.len; i++) {
		struct finding *copy = vec_push(&findings->list);

		*copy = from->list.at[i];
		copy->kind = arena_copy(arena, copy->kind);
		copy->namespace = arena_copy(arena, copy->namespace);
		copy->name = arena_copy(arena, copy->name);
		copy->file = arena_copy(arena, copy->file);
		copy->field = arena_copy(arena, copy->field);
		copy->text = arena_copy(arena, copy->text);
	}
}

const char *finding_level_name(enum finding_level level)
{
	switch (level) {
	case FINDING_NOTICE:
		return "notice";
	case FINDING_WARNING:
		return "warning";
	case FINDING_ERROR:
		return "error";
	}
	return "?";
}

static void format_object(const struct finding *f, struct buf *out)
{
	if (f->kind.len == 0)
		return;
	buf_printf(out, " %.*s ", STR_ARG(f->kind));
	if (f->namespace.len)
		buf_printf(out, "%.*s/", STR_ARG(f->namespace));
	buf_add(out, f->name);
}

/* "web.yaml:12"; without a line where it is about the file itself. */
static void format_place(const struct finding *f, struct buf *out)
{
	if (f->file.len == 0)
		return;
	buf_add_c(out, f->kind.len ? " (" : " ");
	buf_add(out, f->file);
	if (f->line)
		buf_printf(out, ":%u", f->line);
	buf_add_c(out, f->kind.len ? ")" : "");
}

void finding_format(const struct finding *finding, struct buf *out)
{
	buf_add_c(out, finding_level_name(finding->level));
	format_object(finding, out);
	format_place(finding, out);
	if (finding->field.len)
		buf_printf(out, " %.*s", STR_ARG(finding->field));
	buf_printf(out, ": %.*s", STR_ARG(finding->text));
}
