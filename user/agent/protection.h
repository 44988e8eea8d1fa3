/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protection: who may connect: deny list, allow lists of listeners, rates.
 *
 *   --denylist, --allow-sources ─► source_list ┬► denylist, allowlist    (maps: XDP)
 *                                              └► sources (a segment: every worker)
 *   --source-rate ───────────────────────────────► settings (a map)
 *
 * Lists hold in XDP, where it costs next to nothing, and again where a worker accepts: without XDP
 * the answer is the same. They are about the source of the connection, whoever is behind it: an
 * address in X-Forwarded-For is not looked at. The rate is counted in XDP alone.
 *
 * Files are watched and read again when they change, all of them on SIGHUP. One that cannot be read
 * then leaves its list as it was: a protection does not go away by itself. At start it is an error.
 */
#ifndef SLUICE_AGENT_PROTECTION_H
#define SLUICE_AGENT_PROTECTION_H

#include "agent/options.h"
#include "agent/source_list.h"
#include "event/loop.h"

enum { PROTECTION_SETTLE_MS = 50 }; /* an editor writes a file in several steps */

struct agent;

/* Whom a listener is for; without any source for nobody. */
struct protection_allow {
	bool is_limited; /* false: for everybody */
	struct source_list list;
};

struct protection {
	struct agent *agent;
	struct source_list deny;
	struct protection_allow allow[LISTENERS_MAX]; /* by listener id */
	int sources_fd;                               /* sealed memfd of the segment; -1: none */
	uint64_t generation;                          /* of the segment */
	struct loop_watch watch;                      /* the directories of the files */
	struct loop_timer timer;                      /* what changed is read when it is due */
};

/* Reads the lists. After the listeners have their ids. 0 or -errno with a text. */
int protection_open(struct protection *protection, struct agent *agent, struct err *err);
/* Harmless on zeroed memory. */
void protection_close(struct protection *protection);

/* Writes lists and rates into the maps, where there are any, and tells proxies at work. */
void protection_apply(struct protection *protection);
/* Other options are in force: reads all of it again. */
void protection_reload(struct protection *protection);

#endif
