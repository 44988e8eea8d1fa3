// SPDX-License-Identifier: Apache-2.0
/* hot_hosts: see hot_hosts.h. */
#include "agent/hot_hosts.h"

#include <stdlib.h>

enum { FORGOTTEN_PERMILLE = 1 };

void hot_hosts_release(struct hot_hosts *hosts)
{
	vec_release(&hosts->list);
}

static int compare(const void *a, const void *b)
{
	const struct hot_host *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

static struct hot_host *find(const struct hot_hosts *hosts, uint64_t hash, size_t len)
{
	const struct hot_host key = { .hash = hash };

	return len ? bsearch(&key, hosts->list.at, len, sizeof(key), compare) : NULL;
}

const struct hot_host *hot_hosts_find(const struct hot_hosts *hosts, uint64_t hash)
{
	return find(hosts, hash, hosts->list.len);
}

/* Half of what it was and half of what it is. */
static uint32_t smooth(uint32_t before, uint32_t now)
{
	return (before + now + 1) / 2;
}

static void take_loads(struct hot_hosts *hosts, const struct hot_host_load *loads, size_t count)
{
	size_t known = hosts->list.len;

	for (size_t i = 0; i < known; i++)
		hosts->list.at[i].load_permille /= 2; /* as if it cost nothing now */
	for (size_t i = 0; i < count; i++) {
		struct hot_host *host = find(hosts, loads[i].hash, known);

		if (host)
			host->load_permille += loads[i].load_permille / 2;
		else if (hosts->list.len < HOT_HOSTS_MAX)
			*vec_push(&hosts->list) = (struct hot_host){
				.hash = loads[i].hash,
				.load_permille = smooth(0, loads[i].load_permille),
				.spread = 1,
				.backoff = 1,
			};
	}
	if (hosts->list.len > known)
		qsort(hosts->list.at, hosts->list.len, sizeof(*hosts->list.at), compare);
}

/* When @is began to be true without a break; 0 where it is not. */
static uint64_t since(uint64_t before_ms, bool is, uint64_t now_ms)
{
	if (!is)
		return 0;
	return before_ms ? before_ms : now_ms;
}

static bool is_over(const struct hot_host *host, const struct hot_hosts_rules *rules)
{
	return rules->widen_permille && host->spread < rules->worker_count &&
	       host->load_permille > host->spread * rules->widen_permille;
}

/* Half the workers would be busy to half of what widens, at most. */
static bool is_under(const struct hot_host *host, const struct hot_hosts_rules *rules)
{
	return host->spread > 1 &&
	       (!rules->widen_permille ||
		host->load_permille < host->spread / 2 * rules->widen_permille / 2);
}

static void widen(struct hot_hosts *hosts, struct hot_host *host,
		  const struct hot_hosts_rules *rules, uint64_t now_ms)
{
	uint64_t forgiven_ms = host->narrowed_ms + rules->rest_ms * HOT_HOSTS_FORGIVEN_AFTER;

	host->spread = host->spread * 2 < rules->worker_count ? (uint16_t)(host->spread * 2)
							      : rules->worker_count;
	if (host->narrowed_ms && now_ms < forgiven_ms)
		host->backoff = host->backoff * 2 < HOT_HOSTS_BACKOFF_MAX
					? (uint16_t)(host->backoff * 2)
					: HOT_HOSTS_BACKOFF_MAX;
	else
		host->backoff = 1;
	host->over_since_ms = 0;
	hosts->widened_count++;
}

static void narrow(struct hot_hosts *hosts, struct hot_host *host, uint64_t now_ms)
{
	host->spread /= 2;
	host->narrowed_ms = now_ms;
	host->under_since_ms = 0;
	hosts->narrowed_count++;
}

/* True where its set changed. */
static bool decide(struct hot_hosts *hosts, struct hot_host *host,
		   const struct hot_hosts_rules *rules, uint64_t now_ms)
{
	bool has_too_many = host->spread > rules->worker_count;

	if (has_too_many)
		host->spread = rules->worker_count;
	host->over_since_ms = since(host->over_since_ms, is_over(host, rules), now_ms);
	host->under_since_ms = since(host->under_since_ms, is_under(host, rules), now_ms);
	if (host->over_since_ms && now_ms - host->over_since_ms >= HOT_HOSTS_OVER_MS) {
		widen(hosts, host, rules, now_ms);
		return true;
	}
	if (host->under_since_ms &&
	    now_ms - host->under_since_ms >= rules->rest_ms * host->backoff) {
		narrow(hosts, host, now_ms);
		return true;
	}
	return has_too_many;
}

/* Whether there is nothing to remember of it. */
static bool is_cold(const struct hot_host *host, const struct hot_hosts_rules *rules,
		    uint64_t now_ms)
{
	return host->spread == 1 && host->load_permille < FORGOTTEN_PERMILLE &&
	       (!host->narrowed_ms ||
		now_ms >= host->narrowed_ms + rules->rest_ms * HOT_HOSTS_FORGIVEN_AFTER);
}

bool hot_hosts_take(struct hot_hosts *hosts, const struct hot_hosts_rules *rules,
		    const struct hot_host_load *loads, size_t count, uint64_t now_ms)
{
	bool has_changed = false;
	size_t kept = 0;

	take_loads(hosts, loads, count);
	for (size_t i = 0; i < hosts->list.len; i++) {
		struct hot_host *host = &hosts->list.at[i];

		has_changed |= decide(hosts, host, rules, now_ms);
		if (!is_cold(host, rules, now_ms))
			hosts->list.at[kept++] = *host;
	}
	hosts->list.len = kept;
	return has_changed;
}
