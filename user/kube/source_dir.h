/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_dir: a store fed from files and directories of manifests, watched.
 *
 * Each file *.yaml, *.yml or *.json is an origin of the store, named by its path
 * as found from the PATH that was given. Directories are searched to the bottom;
 * names that begin with '.' are left out. A PATH may also be one file, of any
 * name.
 *
 * Changes come from inotify: a file that was closed after writing, moved in or
 * out, or deleted is looked at by itself; anything that concerns more than one
 * file (a directory, a symbolic link that was swapped as in ConfigMap volumes, a
 * queue that overflowed) makes all PATHs be searched again, with files whose
 * size, times and inode are as before left unread.
 *
 * A symbolic link is followed. That what it points to is changed in place is not
 * seen (inotify watches the directory in which the link stands).
 *
 * A PATH that is a directory and cannot be found any more keeps what it said; a
 * file that is gone takes its objects with it. As editors replace files in several
 * steps, a caller does well to wait some 10 ms between source_dir_fd() becoming
 * readable and source_dir_step().
 *
 * One thread only. What it finds wrong with files it tells the store.
 */
#ifndef SLUICE_KUBE_SOURCE_DIR_H
#define SLUICE_KUBE_SOURCE_DIR_H

#include "base/err.h"
#include "base/str.h"
#include "kube/store.h"

enum {
	SOURCE_DIR_DEPTH_MAX = 32,     /* directories within each other */
	SOURCE_DIR_FILES_MAX = 1 << 20 /* files in all */
};

struct source_dir;

/*
 * Reads everything under @paths into @store, which is borrowed until close. 0 and
 * an owned *@dir; -errno with a text where a PATH is not there or inotify is not
 * to be had. Bad files are no failure: they are findings of the store.
 */
int source_dir_open(const struct str *paths, size_t path_count, struct store *store,
		    struct source_dir **dir, struct err *err);
/* Accepts NULL. Leaves the store as it is. */
void source_dir_close(struct source_dir *dir);

/* Readable when source_dir_step has something to do. Borrowed. */
int source_dir_fd(const struct source_dir *dir);

/*
 * Takes all waiting events, reads what changed, updates the store. Never blocks.
 * @changed: bit 1u << kind for each object kind whose objects in force changed.
 * 0, or -errno where the watch is lost (with a text): then only source_dir_rescan
 * sees changes.
 */
int source_dir_step(struct source_dir *dir, uint32_t *changed, struct err *err);

/* Looks at everything again, as after an overflow. */
void source_dir_rescan(struct source_dir *dir, uint32_t *changed);

struct source_dir_stats {
	size_t files;
	size_t directories;
	uint64_t files_read;   /* since open */
	uint64_t files_unread; /* looked at and found unchanged */
	uint64_t rescans;      /* the first included */
};

void source_dir_stats(const struct source_dir *dir, struct source_dir_stats *stats);

#endif
