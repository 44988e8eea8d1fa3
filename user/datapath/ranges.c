// SPDX-License-Identifier: Apache-2.0
/*
 * ranges: listeners on many addresses, or on many ports.
 *
 * Map ranges has one entry for each, and one more for each part of it that belongs
 * to this machine: only there XDP answers and drops. The part may be a single
 * address or a prefix, whatever the kernel has a local route for.
 */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/prefix.h"
#include "datapath/internal.h"

enum { PORT_BITS = 32 };

struct entry {
	struct range_key key;
	struct range_value value;
};

struct entries {
	const struct datapath *dp;
	struct VEC(struct entry) list;
};

static struct prefix prefix_of_listener(const struct datapath_listener *listener)
{
	return prefix_of(listener->addr.ip, listener->bits);
}

static bool has_port(const struct datapath_listener *listener, uint16_t port)
{
	return port >= listener->addr.port && port <= listener->port_last;
}

/* ---- what programs know by heart ------------------------------------------------------------ */

int ranges_list_ports(const struct datapath_options *options, struct port_ranges *ranges,
		      struct err *err)
{
	memset(ranges, 0, sizeof(*ranges));
	for (size_t i = 0; i < options->listener_count; i++) {
		const struct datapath_listener *listener = &options->listeners[i];
		struct port_range ports = { listener->addr.port, listener->port_last };
		uint32_t at = 0;

		if (!listener->is_range)
			continue;
		while (at < ranges->count && memcmp(&ranges->at[at], &ports, sizeof(ports)) != 0)
			at++;
		if (at < ranges->count)
			continue;
		if (at == PORT_RANGES_MAX)
			return err_set(err, -E2BIG,
				       "listeners on many addresses have more than %d different "
				       "ranges of ports",
				       PORT_RANGES_MAX);
		ranges->at[ranges->count++] = ports;
	}
	return 0;
}

const struct datapath_listener *ranges_find(const struct datapath *dp, const struct addr *addr)
{
	for (size_t i = 0; i < dp->listener_count; i++) {
		const struct datapath_listener *listener = &dp->listeners[i];
		struct prefix prefix = prefix_of_listener(listener);

		if (listener->is_range && !listeners_is_every_address(&listener->addr) &&
		    has_port(listener, addr->port) && prefix_covers(&prefix, addr->ip))
			return listener;
	}
	return NULL;
}

/* ---- the map -------------------------------------------------------------------------------- */

/* The entry of that prefix; where there is none yet, a new one. */
static struct entry *entry_of(struct entries *entries, const struct datapath_listener *listener,
			      const struct prefix *prefix)
{
	struct entry entry = {
		.key = { .bits = PORT_BITS + prefix->bits,
			 .ports = { listener->addr.port, listener->port_last } },
		.value = { .listener = { .id = listener->id, .protocol = listener->protocol },
			   .prefix_bits = listener->bits },
	};

	memcpy(entry.key.address, prefix->ip, sizeof(entry.key.address));
	for (size_t i = 0; i < entries->list.len; i++)
		if (memcmp(&entries->list.at[i].key, &entry.key, sizeof(entry.key)) == 0)
			return &entries->list.at[i];
	*vec_push(&entries->list) = entry;
	return &entries->list.at[entries->list.len - 1];
}

/* Of two listeners with the same ports the one with the longer prefix has what is local in both. */
static void add(struct entries *entries, const struct datapath_listener *listener,
		const struct prefix *prefix, enum listener_flags flags)
{
	struct entry *entry = entry_of(entries, listener, prefix);

	if (entry->value.prefix_bits < listener->bits) {
		entry->value.prefix_bits = listener->bits;
		entry->value.listener.id = listener->id;
		entry->value.listener.protocol = listener->protocol;
		entry->value.listener.flags = 0;
	}
	if (entry->value.prefix_bits > listener->bits)
		return;
	entry->value.listener.flags |= LISTENER_FLAG_RANGE | flags;
	if (listener->has_allowlist)
		entry->value.listener.flags |= LISTENER_FLAG_ALLOWLIST;
}

/* The part of each listener that is also part of the local @ip/@bits. */
static void add_local(void *arg, const uint8_t ip[16], uint32_t bits)
{
	struct entries *entries = arg;
	struct prefix local = prefix_of(ip, bits);
	enum listener_flags flag = listeners_local_flag(entries->dp);

	for (size_t i = 0; i < entries->dp->listener_count; i++) {
		const struct datapath_listener *listener = &entries->dp->listeners[i];
		struct prefix wanted = prefix_of_listener(listener);
		bool is_inside = bits >= listener->bits && prefix_covers(&wanted, local.ip);

		if (!listener->is_range || entries->list.len >= RANGES_MAX)
			continue;
		if (is_inside)
			add(entries, listener, &local, flag);
		else if (bits < listener->bits && prefix_covers(&local, wanted.ip))
			add(entries, listener, &wanted, flag);
	}
}

static bool is_wanted(const struct entries *entries, const struct range_key *key)
{
	for (size_t i = 0; i < entries->list.len; i++)
		if (memcmp(&entries->list.at[i].key, key, sizeof(*key)) == 0)
			return true;
	return false;
}

/* What is no longer there; the walk starts anew after each. */
static void remove_others(int fd, const struct entries *entries)
{
	struct range_key key, *last = NULL;

	for (int i = 0; i < 2 * RANGES_MAX && bpf_map_get_next_key(fd, last, &key) == 0; i++) {
		last = &key;
		if (is_wanted(entries, &key))
			continue;
		bpf_map_delete_elem(fd, &key);
		last = NULL;
	}
}

static void list_entries(struct entries *entries)
{
	for (size_t i = 0; i < entries->dp->listener_count; i++) {
		const struct datapath_listener *listener = &entries->dp->listeners[i];
		struct prefix prefix = prefix_of_listener(listener);

		if (listener->is_range)
			add(entries, listener, &prefix, LISTENER_FLAG_NONE);
	}
	if (entries->list.len)
		local_each(add_local, entries);
}

int ranges_update(struct datapath *dp, struct err *err)
{
	struct entries entries = { .dp = dp };
	int fd = dp->map_fds[MAP_RANGES], code = 0;

	list_entries(&entries);
	remove_others(fd, &entries);
	for (size_t i = 0; i < entries.list.len && code == 0; i++)
		if (bpf_map_update_elem(fd, &entries.list.at[i].key, &entries.list.at[i].value,
					BPF_ANY))
			code = err_set_os(err, -errno, "cannot write map 'ranges'");
	vec_release(&entries.list);
	return code;
}
