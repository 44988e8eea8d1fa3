/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_list: networks, and where each was written.
 *
 * A list is made of networks (on the command line, in --config) and of files with one network a
 * line; what follows a '#' is for people. A line that is no network is left out, and said so with
 * file and line: the others stay in force.
 */
#ifndef SLUICE_AGENT_SOURCE_LIST_H
#define SLUICE_AGENT_SOURCE_LIST_H

#include <sys/stat.h>

#include "base/arena.h"
#include "base/prefix.h"
#include "base/vec.h"

enum {
	SOURCE_LIST_MAX = 131072, /* networks of one list: as many as the map has room for */
	SOURCE_LIST_FILE_BYTES = 16 << 20, /* of one file */
	SOURCE_LIST_COMPLAINTS_MAX = 16,   /* lines that are named; the rest is counted */
};

struct source_file {
	const char *path;
	struct stat identity; /* when it was read */
};

struct source_entry {
	struct prefix prefix;
	uint32_t file; /* index of its file */
	uint32_t line; /* from 1; 0: it stands in no file */
};

struct source_list {
	struct arena arena;
	struct VEC(struct source_file) files;
	struct VEC(struct source_entry) entries; /* by prefix, each once */
	struct VEC(struct str) complaints;
	size_t refused_count; /* lines that are left out */
};

/*
 * Reads the networks and files of @sources. 0, or -errno with a text where a file cannot be read.
 * Release in each case.
 */
int source_list_read(struct source_list *list, const struct str *sources, size_t count,
		     struct err *err);
/* Harmless on zeroed memory. */
void source_list_release(struct source_list *list);

/* True where a file is not the one that was read. */
bool source_list_is_outdated(const struct source_list *list);

/* The narrowest network of its family that @ip is in, or NULL. */
const struct source_entry *source_list_find(const struct source_list *list, const uint8_t ip[16]);
/* "10.0.0.0/8, /etc/sluice/deny:12"; returns @text. */
const char *source_list_format(const struct source_list *list, const struct source_entry *entry,
			       char *text, size_t text_bytes);

#endif
