/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_files: the files of a source_dir, what they were when they were read,
 * and what they told the store. source_dir's own.
 *
 * A file is left unread when inode, size and times are as they were, unless it
 * was written so shortly before it was read that a later write could carry the
 * same time. Bytes that are as before go no further.
 */
#ifndef SLUICE_KUBE_SOURCE_FILES_H
#define SLUICE_KUBE_SOURCE_FILES_H

#include "base/siphash.h"
#include "kube/store.h"
#include "kube/table.h"

struct source_files {
	struct store *store; /* borrowed */
	struct table table;
	struct siphash_key key;
	uint64_t round; /* of looking at everything */
	char *buffer;   /* the file that is read */
	size_t buffer_bytes;
	uint64_t read_count;
	uint64_t unread_count;
};

void source_files_init(struct source_files *files, struct store *store);
void source_files_release(struct source_files *files);

/* A new look at everything: what is not visited until the sweep is gone. */
void source_files_begin(struct source_files *files);
void source_files_visit(struct source_files *files, struct str path);
/* Directory @path cannot be read: what was below it stays. */
void source_files_keep_below(struct source_files *files, struct str path);
void source_files_sweep(struct source_files *files);

/* Looks at this one file, which may be new, changed or gone. */
void source_files_refresh(struct source_files *files, struct str path);

/* Whether @path is known and could not be read. */
bool source_files_is_unread(const struct source_files *files, struct str path);

/*
 * An error finding about @path, a directory or what should be there; it stays until the next look
 * at everything. Objects that @path itself said are removed.
 */
void source_files_trouble(struct source_files *files, struct str path, const char *reason,
			  const char *text);

#endif
