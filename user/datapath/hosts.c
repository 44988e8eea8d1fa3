// SPDX-License-Identifier: Apache-2.0
/*
 * hosts: the hosts map follows the plan.
 *
 * We keep a sorted copy of what the map holds (an earlier agent's entries are
 * read back first), walk it and the plan side by side, and write what differs,
 * in batches where the kernel has them (5.6). Removals come before additions, so
 * that a full map changes its entries without refusing any.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "bpf/host.h"
#include "datapath/internal.h"

/* ---- keys ----------------------------------------------------------------------------------- */

struct host_hash_key datapath_hash_key(const struct datapath *dp)
{
	return dp->hash_key;
}

struct host_key datapath_host_key(struct host_hash_key hash_key, struct str name)
{
	struct host_name host = { .len = (uint32_t)name.len };

	if (name.len == 0 || name.len > HOST_NAME_MAX_BYTES)
		return datapath_host_key_catch_all();
	memcpy(host.words, name.at, name.len);
	return (struct host_key){ .hash = host_hash(hash_key.k0, hash_key.k1, &host) };
}

struct host_key datapath_host_key_catch_all(void)
{
	return (struct host_key){ .hash = HOST_HASH_CATCH_ALL };
}

int datapath_host_compare(const void *a, const void *b)
{
	const struct datapath_host *x = a, *y = b;

	return (x->key.hash > y->key.hash) - (x->key.hash < y->key.hash);
}

/* Equal but for the generation, which says when an entry last changed. */
static bool is_same_value(const struct host_value *a, const struct host_value *b)
{
	struct host_value x = *a;

	x.generation = b->generation;
	return memcmp(&x, b, sizeof(x)) == 0;
}

/* ---- reading back --------------------------------------------------------------------------- */

static bool keep_hosts(void *arg, const void *keys, const void *values, size_t count)
{
	struct datapath *dp = arg;
	const struct host_key *key = keys;
	const struct host_value *value = values;

	for (size_t i = 0; i < count; i++)
		*vec_push(&dp->hosts) = (struct datapath_host){ key[i], value[i] };
	return true;
}

static int read_back(struct datapath *dp, struct err *err)
{
	int code = look_each_batch(dp->map_fds[MAP_HOSTS], keep_hosts, dp);

	if (code)
		return err_set_os(err, code, "cannot read map 'hosts'");
	if (dp->hosts.len)
		qsort(dp->hosts.at, dp->hosts.len, sizeof(*dp->hosts.at), datapath_host_compare);
	dp->is_hosts_known = true;
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Entries to be written or removed together. */
struct batch {
	struct host_key keys[BATCH_ENTRIES];
	struct host_value values[BATCH_ENTRIES];
	size_t len;
};

struct sync {
	struct datapath *dp;
	struct batch *removals, *updates;
	struct VEC(struct datapath_host) held; /* what the map holds afterwards */
	struct datapath_sync *done;
	int code; /* the first failure that is not a full map */
};

static void flush_removals(struct sync *sync)
{
	int fd = sync->dp->map_fds[MAP_HOSTS];
	struct batch *batch = sync->removals;
	uint32_t count = (uint32_t)batch->len;

	if (count && bpf_map_delete_batch(fd, batch->keys, &count, NULL))
		for (size_t i = 0; i < batch->len; i++)
			bpf_map_delete_elem(fd, &batch->keys[i]);
	sync->done->removed += batch->len;
	batch->len = 0;
}

static void hold(struct sync *sync, const struct host_key *key, const struct host_value *value)
{
	*vec_push(&sync->held) = (struct datapath_host){ *key, *value };
}

static void write_one(struct sync *sync, const struct host_key *key, const struct host_value *value)
{
	if (bpf_map_update_elem(sync->dp->map_fds[MAP_HOSTS], key, value, BPF_ANY) == 0)
		hold(sync, key, value);
	else if (errno == E2BIG || errno == ENOMEM)
		sync->done->refused++;
	else if (!sync->code)
		sync->code = -errno;
}

/* Where a batch fails, on a kernel without them or in a full map, each entry is tried alone. */
static void flush_updates(struct sync *sync)
{
	struct batch *batch = sync->updates;
	uint32_t count = (uint32_t)batch->len;
	size_t done = batch->len;

	if (count && bpf_map_update_batch(sync->dp->map_fds[MAP_HOSTS], batch->keys, batch->values,
					  &count, NULL))
		done = 0;
	for (size_t i = 0; i < done; i++)
		hold(sync, &batch->keys[i], &batch->values[i]);
	for (size_t i = done; i < batch->len; i++)
		write_one(sync, &batch->keys[i], &batch->values[i]);
	batch->len = 0;
}

static void remove_host(struct sync *sync, const struct datapath_host *host)
{
	sync->removals->keys[sync->removals->len++] = host->key;
	if (sync->removals->len == BATCH_ENTRIES)
		flush_removals(sync);
}

static void write_host(struct sync *sync, const struct datapath_host *host, uint32_t generation)
{
	struct batch *batch = sync->updates;

	batch->keys[batch->len] = host->key;
	batch->values[batch->len] = host->value;
	batch->values[batch->len].generation = generation;
	batch->len++;
	if (batch->len == BATCH_ENTRIES)
		flush_updates(sync);
}

/* ---- the difference ------------------------------------------------------------------------- */

/* First walk: what is held and not wanted goes. */
static void remove_unwanted(struct sync *sync, const struct datapath_host *wanted, size_t count)
{
	size_t w = 0;

	for (size_t h = 0; h < sync->dp->hosts.len; h++) {
		const struct datapath_host *held = &sync->dp->hosts.at[h];

		while (w < count && wanted[w].key.hash < held->key.hash)
			w++;
		if (w == count || wanted[w].key.hash != held->key.hash)
			remove_host(sync, held);
	}
	flush_removals(sync);
}

static bool drops_others(const struct datapath_host *host)
{
	return host->key.hash == HOST_HASH_CATCH_ALL && host->value.policy == HOST_POLICY_DROP;
}

/*
 * An entry that drops all other hosts comes when the others are there, and not at all where one of
 * them is missing: that one is served without an entry, and must not be dropped.
 */
static void close_to_others(struct sync *sync, const struct datapath_host *wanted, size_t count,
			    uint32_t generation)
{
	const struct datapath *dp = sync->dp;
	bool is_held = dp->hosts.len && dp->hosts.at[0].key.hash == HOST_HASH_CATCH_ALL;

	if (count == 0 || !drops_others(&wanted[0]))
		return;
	if (sync->done->refused || sync->code) {
		if (is_held)
			remove_host(sync, &dp->hosts.at[0]);
		flush_removals(sync);
	} else if (is_held && is_same_value(&dp->hosts.at[0].value, &wanted[0].value)) {
		hold(sync, &wanted[0].key, &dp->hosts.at[0].value);
	} else {
		write_host(sync, &wanted[0], generation);
		flush_updates(sync);
		if (is_held)
			sync->done->changed++;
		else
			sync->done->added++;
	}
}

/* Second walk: what is wanted and not held so is written. */
static void write_wanted(struct sync *sync, const struct datapath_host *wanted, size_t count,
			 uint32_t generation)
{
	const struct datapath *dp = sync->dp;
	size_t h = 0;

	for (size_t w = 0; w < count; w++) {
		bool is_held;

		if ((w > 0 && wanted[w].key.hash == wanted[w - 1].key.hash) ||
		    drops_others(&wanted[w]))
			continue;
		while (h < dp->hosts.len && dp->hosts.at[h].key.hash < wanted[w].key.hash)
			h++;
		is_held = h < dp->hosts.len && dp->hosts.at[h].key.hash == wanted[w].key.hash;
		if (is_held && is_same_value(&dp->hosts.at[h].value, &wanted[w].value)) {
			hold(sync, &wanted[w].key, &dp->hosts.at[h].value);
			continue;
		}
		write_host(sync, &wanted[w], generation);
		if (is_held)
			sync->done->changed++;
		else
			sync->done->added++;
	}
	flush_updates(sync);
}

/* What the map holds now becomes what we know; batches and single hosts mixed its order. */
static void keep_held(struct sync *sync)
{
	struct datapath *dp = sync->dp;

	vec_release(&dp->hosts);
	dp->hosts.at = sync->held.at;
	dp->hosts.len = sync->held.len;
	dp->hosts.cap = sync->held.cap;
	if (dp->hosts.len)
		qsort(dp->hosts.at, dp->hosts.len, sizeof(*dp->hosts.at), datapath_host_compare);
	dp->is_hosts_known = true;
}

int datapath_sync_hosts(struct datapath *dp, const struct datapath_host *wanted,
			size_t wanted_count, uint32_t generation, struct datapath_sync *done,
			struct err *err)
{
	struct sync sync = { .dp = dp, .done = done };

	memset(done, 0, sizeof(*done));
	if (!dp->is_hosts_known) {
		int code = read_back(dp, err);

		if (code)
			return code;
	}
	sync.removals = mem_new(1, sizeof(*sync.removals));
	sync.updates = mem_new(1, sizeof(*sync.updates));
	remove_unwanted(&sync, wanted, wanted_count);
	write_wanted(&sync, wanted, wanted_count, generation);
	close_to_others(&sync, wanted, wanted_count, generation);
	keep_held(&sync);
	mem_free(sync.removals);
	mem_free(sync.updates);
	/* Refused ones were counted as added when they were sent. */
	done->added -= done->refused < done->added ? done->refused : done->added;
	if (!sync.code)
		return 0;
	dp->hosts.len = 0; /* the next call reads back what is really there */
	dp->is_hosts_known = false;
	return err_set_os(err, sync.code, "cannot write map 'hosts'");
}
