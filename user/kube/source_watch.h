/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_watch: which directory an inotify watch stands for. source_dir's own.
 *
 * The kernel has one watch per inode, so one descriptor (wd) may stand for
 * several paths; all get the same events.
 */
#ifndef SLUICE_KUBE_SOURCE_WATCH_H
#define SLUICE_KUBE_SOURCE_WATCH_H

#include <stdbool.h>

#include "base/str.h"
#include "base/vec.h"

struct source_watch {
	int wd;
	struct str path; /* owned */
	/* Not the directory is of interest, only this name in it (owned; absent: all is). */
	struct str only;
	uint64_t round;
};

struct source_watches {
	int fd;                               /* of inotify, owned */
	struct VEC(struct source_watch) list; /* by wd */
	uint64_t round;
};

/* 0 or -errno. */
int source_watches_open(struct source_watches *watches);
void source_watches_close(struct source_watches *watches);

/* A new look at everything: what is not added again until the sweep is dropped. */
void source_watches_begin(struct source_watches *watches);
/* 0 or -errno (-ENOSPC: the system's limit of watches). */
int source_watches_add(struct source_watches *watches, struct str path, struct str only);
/* Directory @path cannot be read: watches below it stay. */
void source_watches_keep_below(struct source_watches *watches, struct str path);
void source_watches_sweep(struct source_watches *watches);

/* The kernel has dropped @wd. */
void source_watches_forget(struct source_watches *watches, int wd);

/* The first of @wd, or where it would stand; the others follow. */
size_t source_watches_find(const struct source_watches *watches, int wd);
/* Whether the directory @path is watched. */
bool source_watches_has(const struct source_watches *watches, struct str path);

#endif
