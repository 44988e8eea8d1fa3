/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saved: the last good configuration, for a restart while the API server is gone.
 *
 * The three segments as they were last in force, in run-dir/saved-image and so on, 0600, written
 * beside and renamed. They hold private keys, so they are written only where the run dir is on a
 * tmpfs. Manifests need none of this: they are there to be read again.
 */
#ifndef SLUICE_AGENT_SAVED_H
#define SLUICE_AGENT_SAVED_H

#include "agent/publisher.h"
#include "event/loop.h"

enum { SAVED_AFTER_MS = 1000 }; /* a burst of changes is written once */

struct agent;

struct saved {
	struct agent *agent;
	bool is_on; /* there is an API server, and the run dir is good for it */
	uint64_t generations[PUBLISHED_COUNT]; /* as last written */
	struct loop_timer timer;
};

void saved_open(struct saved *saved, struct agent *agent);
void saved_close(struct saved *saved);

/*
 * Publishes what was saved, where all of it is there and sound. True then; the agent serves it
 * until something newer is compiled.
 */
bool saved_load(struct saved *saved);
/* What is published is in force: it will be written soon. */
void saved_on_in_force(struct saved *saved);

/* Writes @bytes to @path, whole or not at all. 0 or -errno with a text. */
int saved_write_file(const char *path, struct str bytes, struct err *err);
/* A sealed memfd (owned) of the file's bytes, or -errno with a text. */
int saved_read_file(const char *path, struct err *err);

#endif
