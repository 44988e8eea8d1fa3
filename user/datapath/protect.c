// SPDX-License-Identifier: Apache-2.0
/*
 * protect: deny and allow lists, and rates.
 *
 * A list is given whole; what the map holds is read back and only the difference
 * is written, so that nobody is let in, or shut out, for a moment in between.
 * Living connections of a source that is denied now keep their entry in flows and
 * go on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/mem.h"
#include "datapath/internal.h"

/* The keys of denylist and allowlist, as the second one has them. */
struct prefix {
	struct allowlist_key key;
	uint32_t rule_id;
};

struct prefixes {
	struct VEC(struct prefix) list;
};

/* What differs between the two maps. */
struct kind {
	enum map_id map;
	size_t key_bytes;
	uint32_t bits_before; /* of what stands before the address */
};

enum { BITS_IPV4 = 96 };

/* What all of IPv4 begins with. */
static const uint8_t any_ipv4[16] = { [10] = 0xff, [11] = 0xff };

static const struct kind deny = { MAP_DENYLIST, sizeof(struct denylist_key), 0 };
static const struct kind allow = { MAP_ALLOWLIST, sizeof(struct allowlist_key), 32 };

/* ---- keys ----------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return memcmp(&((const struct prefix *)a)->key, &((const struct prefix *)b)->key,
		      sizeof(struct allowlist_key));
}

/* The map's own key: denylist's has no listener before the address. */
static const void *map_key(const struct kind *kind, const struct allowlist_key *key,
			   struct denylist_key *room)
{
	if (kind == &allow)
		return key;
	room->bits = key->bits;
	memcpy(room->address, key->address, sizeof(room->address));
	return room;
}

static void from_map_key(const struct kind *kind, const void *from, struct allowlist_key *key)
{
	const struct denylist_key *denied = from;

	if (kind == &allow) {
		memcpy(key, from, sizeof(*key));
		return;
	}
	*key = (struct allowlist_key){ .bits = denied->bits };
	memcpy(key->address, denied->address, sizeof(key->address));
}

static int add_wanted(const struct kind *kind, uint16_t listener_id,
		      const struct datapath_prefix *from, struct prefixes *wanted, struct err *err)
{
	struct prefix prefix = { .rule_id = from->rule_id };
	char text[ADDR_TEXT_MAX];

	if (from->bits > 128)
		return err_set(err, -EINVAL, "prefix '%s' has %u bits",
			       addr_format(&from->addr, text), from->bits);
	prefix.key.bits = from->bits + kind->bits_before;
	prefix.key.listener_id = kind == &allow ? listener_id : 0;
	memcpy(prefix.key.address, from->addr.ip, 16);
	for (uint32_t i = 0; i < 16;
	     i++) { /* what is behind the prefix would make it another key */
		uint32_t kept = from->bits > i * 8 ? from->bits - i * 8 : 0;

		prefix.key.address[i] &= kept >= 8 ? 0xff : (uint8_t)(0xff00 >> kept);
	}
	*vec_push(&wanted->list) = prefix;
	return 0;
}

/* denylist holds no prefix without bits: two of one bit say the same. */
static int add_halves(const struct datapath_prefix *from, struct prefixes *wanted, struct err *err)
{
	struct datapath_prefix half = { .bits = 1, .rule_id = from->rule_id };
	int code = add_wanted(&deny, 0, &half, wanted, err);

	half.addr.ip[0] = 0x80;
	return code ? code : add_wanted(&deny, 0, &half, wanted, err);
}

static uint8_t bit(uint32_t i)
{
	return (uint8_t)(0x80u >> i % 8);
}

static bool has_ipv4_in_it(const struct datapath_prefix *prefix)
{
	for (uint32_t i = 0; i < prefix->bits && i < BITS_IPV4; i++)
		if ((prefix->addr.ip[i / 8] ^ any_ipv4[i / 8]) & bit(i))
			return false;
	return prefix->bits < BITS_IPV4;
}

/*
 * A prefix is of one family, which allowlist's trie does not know: one that has all of IPv4 in it
 * is written as what surrounds IPv4, a prefix for each bit in which that may differ.
 */
static int add_around_ipv4(uint16_t listener_id, const struct datapath_prefix *from,
			   struct prefixes *wanted, struct err *err)
{
	int code = 0;

	for (uint32_t i = from->bits; i < BITS_IPV4 && code == 0; i++) {
		struct datapath_prefix beside = { .bits = i + 1, .rule_id = from->rule_id };

		memcpy(beside.addr.ip, any_ipv4, sizeof(any_ipv4));
		beside.addr.ip[i / 8] ^= bit(i);
		code = add_wanted(&allow, listener_id, &beside, wanted, err);
	}
	return code;
}

static int add_all(const struct kind *kind, uint16_t listener_id,
		   const struct datapath_prefix *from, struct prefixes *wanted, struct err *err)
{
	if (kind == &deny && from->bits == 0)
		return add_halves(from, wanted, err);
	if (kind == &allow && has_ipv4_in_it(from))
		return add_around_ipv4(listener_id, from, wanted, err);
	return add_wanted(kind, listener_id, from, wanted, err);
}

static void sort_once(struct prefixes *prefixes)
{
	size_t kept = 0;

	if (prefixes->list.len == 0)
		return;
	qsort(prefixes->list.at, prefixes->list.len, sizeof(struct prefix), compare);
	for (size_t i = 1; i < prefixes->list.len; i++)
		if (compare(&prefixes->list.at[i], &prefixes->list.at[kept]) != 0)
			prefixes->list.at[++kept] = prefixes->list.at[i];
	prefixes->list.len = kept + 1;
}

/* ---- the difference ------------------------------------------------------------------------- */

static bool is_of_listener(const struct kind *kind, uint16_t listener_id,
			   const struct allowlist_key *key)
{
	return kind == &deny || key->listener_id == listener_id;
}

static void read_back(const struct datapath *dp, const struct kind *kind, uint16_t listener_id,
		      struct prefixes *held)
{
	uint8_t last[sizeof(struct allowlist_key)], next[sizeof(struct allowlist_key)];
	int fd = dp->map_fds[kind->map];
	bool is_first = true;

	while (bpf_map_get_next_key(fd, is_first ? NULL : last, next) == 0 &&
	       held->list.len < DENYLIST_MAX) {
		struct prefix prefix = { 0 };

		from_map_key(kind, next, &prefix.key);
		if (is_of_listener(kind, listener_id, &prefix.key))
			*vec_push(&held->list) = prefix;
		memcpy(last, next, kind->key_bytes);
		is_first = false;
	}
	sort_once(held);
}

static bool has(const struct prefixes *prefixes, const struct prefix *prefix)
{
	return prefixes->list.len &&
	       bsearch(prefix, prefixes->list.at, prefixes->list.len, sizeof(*prefix), compare);
}

static int write_difference(const struct datapath *dp, const struct kind *kind,
			    const struct prefixes *held, const struct prefixes *wanted)
{
	int fd = dp->map_fds[kind->map];
	struct denylist_key room;

	for (size_t i = 0; i < held->list.len; i++)
		if (!has(wanted, &held->list.at[i]))
			bpf_map_delete_elem(fd, map_key(kind, &held->list.at[i].key, &room));
	for (size_t i = 0; i < wanted->list.len; i++) {
		struct prefix_value value = { wanted->list.at[i].rule_id };

		if (bpf_map_update_elem(fd, map_key(kind, &wanted->list.at[i].key, &room), &value,
					BPF_ANY))
			return errno == E2BIG ? -ENOSPC : -errno;
	}
	return 0;
}

static int write_rows(const struct datapath *dp, const struct prefixes *wanted)
{
	struct deny_row *rows = deny_rows_new();
	int code;

	for (size_t i = 0; i < wanted->list.len; i++)
		deny_rows_add(rows, wanted->list.at[i].key.address, wanted->list.at[i].key.bits);
	code = deny_rows_write(dp, rows);
	mem_free(rows);
	return code;
}

static int sync_prefixes(const struct datapath *dp, const struct kind *kind, uint16_t listener_id,
			 const struct datapath_prefixes *from, struct err *err)
{
	struct prefixes held = { 0 }, wanted = { 0 };
	int code = 0;

	for (size_t i = 0; i < from->len && code == 0; i++)
		code = add_all(kind, listener_id, &from->at[i], &wanted, err);
	if (code == 0) {
		sort_once(&wanted);
		read_back(dp, kind, listener_id, &held);
		code = write_difference(dp, kind, &held, &wanted);
		if (code == 0 && kind == &deny)
			code = write_rows(dp, &wanted);
		if (code)
			err_set_os(err, code, "cannot write map '%s'", map_names[kind->map]);
	}
	vec_release(&held.list);
	vec_release(&wanted.list);
	return code;
}

/* ---- lists ---------------------------------------------------------------------------------- */

int datapath_set_denylist(struct datapath *dp, const struct datapath_prefixes *prefixes,
			  struct err *err)
{
	struct settings_value value;
	int code = sync_prefixes(dp, &deny, 0, prefixes, err);

	if (code == 0)
		code = early_read_settings(dp, &value, err);
	if (code)
		return code;
	value.has_denylist = prefixes->len != 0;
	return early_set_settings(dp, &value, err);
}

/* Whether the listener's entries in the map listeners say that it has an allow list. */
static int set_has_allowlist(struct datapath *dp, uint16_t listener_id, bool has, struct err *err)
{
	bool is_changed = false;

	for (size_t i = 0; i < dp->listener_count; i++) {
		if (dp->listeners[i].id != listener_id || dp->listeners[i].has_allowlist == has)
			continue;
		dp->listeners[i].has_allowlist = has;
		is_changed = true;
	}
	return is_changed ? datapath_update_addresses(dp, err) : 0;
}

int datapath_set_allowlist(struct datapath *dp, uint16_t listener_id,
			   const struct datapath_prefixes *prefixes, struct err *err)
{
	const struct datapath_prefixes none = { NULL, 0 };
	int code = 0;

	if (listener_id >= LISTENERS_MAX)
		return err_set(err, -EINVAL, "no listener %u", listener_id);
	/* The list is there before it is asked, and is asked no more before it goes. */
	if (!prefixes)
		code = set_has_allowlist(dp, listener_id, false, err);
	if (code == 0)
		code = sync_prefixes(dp, &allow, listener_id, prefixes ? prefixes : &none, err);
	if (code == 0 && prefixes)
		code = set_has_allowlist(dp, listener_id, true, err);
	return code;
}

/* ---- rates ---------------------------------------------------------------------------------- */

int datapath_set_source_rate(struct datapath *dp, const struct datapath_source_rate *rate,
			     struct err *err)
{
	struct settings_value value;
	int code = early_read_settings(dp, &value, err);

	if (code)
		return code;
	if (rate->ipv4_bits > 32 || rate->ipv6_bits > 128)
		return err_set(err, -EINVAL, "a source of %u or %u bits", rate->ipv4_bits,
			       rate->ipv6_bits);
	value.source_rate_per_s = rate->per_s;
	value.source_burst = rate->burst ? rate->burst : rate->per_s;
	value.source_bits_ipv4 = rate->ipv4_bits ? rate->ipv4_bits : 32;
	value.source_bits_ipv6 = rate->ipv6_bits ? rate->ipv6_bits : 64;
	return early_set_settings(dp, &value, err);
}

static uint32_t burst_of(const struct datapath_host_rate *rate)
{
	return rate->burst ? rate->burst : rate->per_s;
}

/* With all of the burst to begin with. */
static int write_rate(const struct datapath *dp, const struct datapath_host_rate *rate,
		      struct err *err)
{
	struct host_rate value = { .rate_per_s = rate->per_s,
				   .burst = burst_of(rate),
				   .bucket.tokens_milli = burst_of(rate) * 1000 };

	snprintf(value.name, sizeof(value.name), "%s", rate->name);
	if (bpf_map_update_elem(dp->map_fds[MAP_HOST_RATES], &rate->host_id, &value, BPF_ANY))
		return err_set_os(err, -errno, "cannot write the rate of host '%s'", rate->name);
	return 0;
}

static int compare_rates(const void *a, const void *b)
{
	const struct datapath_host_rate *x = a, *y = b;

	return (x->host_id > y->host_id) - (x->host_id < y->host_id);
}

static struct datapath_host_rate *find_rate(struct datapath_host_rate *sorted, size_t count,
					    uint32_t host_id)
{
	const struct datapath_host_rate key = { .host_id = host_id };

	return count ? bsearch(&key, sorted, count, sizeof(key), compare_rates) : NULL;
}

/* The wanted limits, sorted, and what is held of others. */
struct rate_sync {
	struct datapath_host_rate *sorted;
	size_t count;
	struct VEC(uint32_t) unwanted;
};

/* Notes who has a limit and should not; per_s of limits that stay as they are becomes 0. */
static bool settle_held(void *arg, const void *keys, const void *values, size_t count)
{
	struct rate_sync *sync = arg;
	const uint32_t *ids = keys;
	const struct host_rate *held = values;

	for (size_t i = 0; i < count; i++) {
		struct datapath_host_rate *wanted = find_rate(sync->sorted, sync->count, ids[i]);

		if (!wanted)
			*vec_push(&sync->unwanted) = ids[i];
		else if (held[i].rate_per_s == wanted->per_s && held[i].burst == burst_of(wanted))
			wanted->per_s = 0;
	}
	return true;
}

int datapath_sync_host_rates(struct datapath *dp, const struct datapath_host_rate *wanted,
			     size_t count, struct err *err)
{
	struct rate_sync sync = { .sorted = mem_new(count + 1, sizeof(*wanted)), .count = count };
	int fd = dp->map_fds[MAP_HOST_RATES];
	int code;

	if (count) {
		memcpy(sync.sorted, wanted, count * sizeof(*wanted));
		qsort(sync.sorted, count, sizeof(*wanted), compare_rates);
	}
	code = look_each_batch(fd, settle_held, &sync);
	if (code)
		err_set_os(err, code, "cannot read map 'host_rates'");
	for (size_t i = 0; i < sync.unwanted.len; i++)
		bpf_map_delete_elem(fd, &sync.unwanted.at[i]);
	for (size_t i = 0; i < count && code == 0; i++)
		if (sync.sorted[i].per_s)
			code = write_rate(dp, &sync.sorted[i], err);
	vec_release(&sync.unwanted);
	mem_free(sync.sorted);
	return code;
}
