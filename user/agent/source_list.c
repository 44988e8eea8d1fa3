// SPDX-License-Identifier: Apache-2.0
/* source_list: see source_list.h. */
#include "agent/source_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"

enum { LINE_SHOWN_MAX = 80 };

static void add_entry(struct source_list *list, const struct prefix *prefix, uint32_t file,
		      uint32_t line)
{
	*vec_push(&list->entries) = (struct source_entry){
		.prefix = *prefix,
		.file = file,
		.line = line,
	};
}

static void refuse_line(struct source_list *list, uint32_t line, struct str text, const char *why)
{
	const struct source_file *file = &list->files.at[list->files.len - 1];
	struct str shown = str_slice(text, 0, LINE_SHOWN_MAX);

	list->refused_count++;
	if (list->complaints.len < SOURCE_LIST_COMPLAINTS_MAX)
		*vec_push(&list->complaints) =
			arena_printf(&list->arena, "%s:%u: '%.*s' %s; the line is left out",
				     file->path, line, STR_ARG(shown), why);
}

static void take_line(struct source_list *list, uint32_t number, struct str line)
{
	struct str text = str_slice(line, 0, str_find_char(line, '#'));
	struct prefix prefix;

	if (text.len && text.at[text.len - 1] == '\r')
		text.len--;
	text = str_trim(text);
	if (text.len == 0)
		return;
	if (prefix_parse(text, &prefix))
		refuse_line(list, number, text, "is no network such as 10.0.0.0/8");
	else if (list->entries.len == SOURCE_LIST_MAX)
		refuse_line(list, number, text, "is one network too many");
	else
		add_entry(list, &prefix, (uint32_t)list->files.len - 1, number);
}

static int read_lines(struct source_list *list, struct str path, struct err *err)
{
	struct source_file file = { .path = arena_copy(&list->arena, path).at };
	uint32_t number = 0;
	struct str rest, line;
	struct buf text;
	int code;

	/* Before it is read: what changes meanwhile will be read again. */
	if (stat(file.path, &file.identity) < 0)
		return err_set_os(err, -errno, "cannot read '%s'", file.path);
	*vec_push(&list->files) = file;
	buf_init(&text, SOURCE_LIST_FILE_BYTES);
	code = file_read(file.path, &text, err);
	rest = buf_str(&text);
	while (!code && str_take_part(&rest, '\n', &line))
		take_line(list, ++number, line);
	buf_release(&text);
	return code;
}

static int compare(const void *a, const void *b)
{
	const struct source_entry *x = a, *y = b;
	int order = prefix_compare(&x->prefix, &y->prefix);

	if (order)
		return order;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return (x->line > y->line) - (x->line < y->line);
}

/* Of equal networks the first one stays. */
static void sort_once(struct source_list *list)
{
	struct source_entry *at = list->entries.at;
	size_t kept = 0;

	if (list->entries.len == 0)
		return;
	qsort(at, list->entries.len, sizeof(*at), compare);
	for (size_t i = 1; i < list->entries.len; i++)
		if (prefix_compare(&at[i].prefix, &at[kept].prefix) != 0)
			at[++kept] = at[i];
	list->entries.len = kept + 1;
}

int source_list_read(struct source_list *list, const struct str *sources, size_t count,
		     struct err *err)
{
	struct prefix prefix;

	*list = (struct source_list){ .refused_count = 0 };
	arena_init(&list->arena, 0);
	for (size_t i = 0; i < count; i++) {
		if (prefix_parse(sources[i], &prefix) == 0) {
			add_entry(list, &prefix, 0, 0);
			continue;
		}
		if (read_lines(list, sources[i], err))
			return err->code;
	}
	sort_once(list);
	return 0;
}

void source_list_release(struct source_list *list)
{
	vec_release(&list->files);
	vec_release(&list->entries);
	vec_release(&list->complaints);
	arena_release(&list->arena);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool source_list_is_outdated(const struct source_list *list)
{
	for (size_t i = 0; i < list->files.len; i++) {
		struct stat now;

		if (stat(list->files.at[i].path, &now) < 0 ||
		    !is_same_file(&now, &list->files.at[i].identity))
			return true;
	}
	return false;
}

static int compare_prefix(const void *key, const void *element)
{
	return prefix_compare(key, &((const struct source_entry *)element)->prefix);
}

const struct source_entry *source_list_find(const struct source_list *list, const uint8_t ip[16])
{
	struct addr addr = { .port = 0 };
	int least;

	memcpy(addr.ip, ip, sizeof(addr.ip));
	least = addr_is_v4(&addr) ? PREFIX_BITS_IPV4 : 0;
	for (int bits = PREFIX_BITS_MAX; list->entries.len && bits >= least; bits--) {
		struct prefix wanted = prefix_of(ip, (uint32_t)bits);
		const struct source_entry *found =
			bsearch(&wanted, list->entries.at, list->entries.len,
				sizeof(*list->entries.at), compare_prefix);

		if (found)
			return found;
	}
	return NULL;
}

const char *source_list_format(const struct source_list *list, const struct source_entry *entry,
			       char *text, size_t text_bytes)
{
	char prefix[PREFIX_TEXT_MAX];

	prefix_format(&entry->prefix, prefix);
	if (entry->line)
		snprintf(text, text_bytes, "%s, %s:%u", prefix, list->files.at[entry->file].path,
			 entry->line);
	else
		snprintf(text, text_bytes, "%s", prefix);
	return text;
}
