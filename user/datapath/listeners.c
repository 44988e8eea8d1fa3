// SPDX-License-Identifier: Apache-2.0
/*
 * listeners: the listeners map follows the addresses of this machine.
 *
 * A listener on every address has one entry for that, and one for each address that
 * the machine has: only these let XDP answer and drop. A packet that is merely
 * forwarded, or that a promiscuous interface sees, is nobody's business here, and
 * XDP cannot tell by itself. Addresses of an interface that is down have no entry:
 * nobody comes there, or another forwarder has them (kube-proxy's IPVS keeps each
 * Service IP on one that never goes up). A listener that names one has its own.
 *
 * A listener on many addresses (ranges.c) has one entry here: that of its sockets.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "base/log.h"
#include "base/mem.h"
#include "datapath/internal.h"

struct entry {
	struct listener_key key;
	struct listener_value value;
};

struct entries {
	struct VEC(struct entry) list;
	size_t left_out; /* addresses that the map has no room for */
};

bool listeners_is_every_address(const struct addr *addr)
{
	for (size_t i = addr_is_v4(addr) ? 12 : 0; i < sizeof(addr->ip); i++)
		if (addr->ip[i])
			return false;
	return true;
}

enum listener_flags listeners_local_flag(const struct datapath *dp)
{
	return dp->wants_early_dispatch ? LISTENER_FLAG_EARLY_DISPATCH : LISTENER_FLAG_LOCAL;
}

/* @flags: of what the address is. */
static void add(struct entries *entries, const struct datapath_listener *listener,
		const uint8_t ip[16], enum listener_flags flags)
{
	struct entry entry = {
		.key.port = listener->addr.port,
		.value = { .id = listener->id, .protocol = listener->protocol, .flags = flags }
	};

	memcpy(entry.key.address, ip, sizeof(entry.key.address));
	if (listener->has_allowlist)
		entry.value.flags |= LISTENER_FLAG_ALLOWLIST;
	if (listener->is_range)
		entry.value.flags |= LISTENER_FLAG_RANGE;
	*vec_push(&entries->list) = entry;
}

static bool read_address(const struct ifaddrs *from, struct addr *addr)
{
	struct sockaddr_storage sa = { 0 };
	size_t len;

	if (!from->ifa_addr)
		return false;
	if (from->ifa_addr->sa_family == AF_INET)
		len = sizeof(struct sockaddr_in);
	else if (from->ifa_addr->sa_family == AF_INET6)
		len = sizeof(struct sockaddr_in6);
	else
		return false;
	memcpy(&sa, from->ifa_addr, len);
	return addr_from_sockaddr(&sa, addr) == 0;
}

/* One that is more special than a listener on every address. */
static bool has_listener_of_its_own(const struct datapath *dp, const struct addr *addr)
{
	for (size_t i = 0; i < dp->listener_count; i++)
		if (addr_eq(&dp->listeners[i].addr, addr))
			return true;
	return ranges_find(dp, addr) != NULL;
}

static void add_each_address(const struct datapath *dp, struct entries *entries,
			     const struct datapath_listener *listener, const struct ifaddrs *first)
{
	for (const struct ifaddrs *at = first; at; at = at->ifa_next) {
		struct addr addr;

		if (!(at->ifa_flags & IFF_UP) || !read_address(at, &addr) ||
		    addr_is_v4(&addr) != addr_is_v4(&listener->addr))
			continue;
		addr.port = listener->addr.port;
		if (has_listener_of_its_own(dp, &addr))
			continue;
		if (entries->list.len < LISTENER_KEYS_MAX)
			add(entries, listener, addr.ip, listeners_local_flag(dp));
		else
			entries->left_out++;
	}
}

/* The listeners' own come first: without them nothing would find the listener. */
static void list_entries(const struct datapath *dp, struct entries *entries)
{
	struct ifaddrs *first = NULL;

	for (size_t i = 0; i < dp->listener_count; i++) {
		const struct datapath_listener *listener = &dp->listeners[i];
		bool is_one = !listener->is_range && !listeners_is_every_address(&listener->addr);

		add(entries, listener, listener->addr.ip,
		    is_one ? listeners_local_flag(dp) : LISTENER_FLAG_NONE);
	}
	if (getifaddrs(&first))
		first = NULL;
	for (size_t i = 0; i < dp->listener_count; i++)
		if (!dp->listeners[i].is_range &&
		    listeners_is_every_address(&dp->listeners[i].addr))
			add_each_address(dp, entries, &dp->listeners[i], first);
	if (first)
		freeifaddrs(first);
}

static void say_what_is_left_out(struct datapath *dp, size_t left_out)
{
	if (left_out && left_out != dp->addresses_left_out)
		log_warning("datapath",
			    "%zu addresses of this machine have no room in map 'listeners': "
			    "there the kernel answers",
			    left_out);
	dp->addresses_left_out = left_out;
}

static bool is_wanted(const struct entries *entries, const struct listener_key *key)
{
	for (size_t i = 0; i < entries->list.len; i++)
		if (memcmp(&entries->list.at[i].key, key, sizeof(*key)) == 0)
			return true;
	return false;
}

/* What an earlier agent, or an address that went, left behind; the walk starts anew after each. */
static void remove_others(int fd, const struct entries *entries)
{
	struct listener_key key, *last = NULL;

	for (int i = 0; i < 2 * LISTENER_KEYS_MAX && bpf_map_get_next_key(fd, last, &key) == 0;
	     i++) {
		last = &key;
		if (is_wanted(entries, &key))
			continue;
		bpf_map_delete_elem(fd, &key);
		last = NULL;
	}
}

int datapath_update_addresses(struct datapath *dp, struct err *err)
{
	int fd = dp->map_fds[MAP_LISTENERS];
	struct entries entries = { 0 };
	int code = 0;

	list_entries(dp, &entries);
	say_what_is_left_out(dp, entries.left_out);
	remove_others(fd, &entries);
	for (size_t i = 0; i < entries.list.len && code == 0; i++)
		if (bpf_map_update_elem(fd, &entries.list.at[i].key, &entries.list.at[i].value,
					BPF_ANY))
			code = err_set_os(err, -errno, "cannot write map 'listeners'");
	vec_release(&entries.list);
	return code ? code : ranges_update(dp, err);
}
