/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hot_hosts: which hosts need more than one worker, decided from what they cost.
 *
 *   load of a host above `widen` of each worker that it has, for a while  ─► twice the workers
 *   load that half of them would bear with room to spare, for much longer ─► half of them
 *
 * Nothing is read and nothing is written here: loads come in, sets of workers come out, and the
 * caller says what time it is. Between the two thresholds nothing happens, so that a load that
 * stays where it is changes nothing; a host that has to be widened soon after it was narrowed is
 * narrowed later the next time, so that one that goes up and down changes less and less often.
 */
#ifndef SLUICE_AGENT_HOT_HOSTS_H
#define SLUICE_AGENT_HOT_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"

enum {
	HOT_HOSTS_MAX = 1024,          /* hosts that are looked at; the loads of others are 0 */
	HOT_HOSTS_OVER_MS = 2000,      /* for so long above before it is widened */
	HOT_HOSTS_BACKOFF_MAX = 16,    /* times as long before it is narrowed */
	HOT_HOSTS_FORGIVEN_AFTER = 10, /* times the rest without need for more: no backoff */
};

struct hot_hosts_rules {
	uint16_t worker_count;
	uint32_t widen_permille; /* of one worker's time; 0: no host is widened */
	uint64_t rest_ms;        /* for so long below before it is narrowed */
};

struct hot_host {
	uint64_t hash;          /* of its name, as the map `hosts` has it */
	uint32_t load_permille; /* of one worker's time, over some seconds */
	uint16_t spread;        /* workers that it needs; at least 1 */
	uint16_t backoff;       /* times rest_ms until it is narrowed */
	uint64_t over_since_ms; /* 0: it is not above */
	uint64_t under_since_ms;
	uint64_t narrowed_ms; /* 0: never */
};

struct hot_hosts {
	struct VEC(struct hot_host) list; /* by hash */
	uint64_t widened_count, narrowed_count;
};

struct hot_host_load {
	uint64_t hash;
	uint32_t load_permille; /* since the last time */
};

void hot_hosts_release(struct hot_hosts *hosts);

/*
 * Takes what hosts cost since the last time (sorted by hash, each once). @now_ms is not 0 and never
 * goes back. True where some host needs another number of workers now.
 */
bool hot_hosts_take(struct hot_hosts *hosts, const struct hot_hosts_rules *rules,
		    const struct hot_host_load *loads, size_t count, uint64_t now_ms);

/* NULL where nothing is known of that host. */
const struct hot_host *hot_hosts_find(const struct hot_hosts *hosts, uint64_t hash);

#endif
