/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * maps: all maps of the datapath, and no others anywhere.
 *
 * Each program's object declares all of them; the loader makes them once (from
 * maps.bpf.c), or finds them pinned, and gives every object the same ones. Sizes
 * marked "at load" are set by the loader: they depend on CPUs or options.
 */
#ifndef SLUICE_BPF_MAPS_H
#define SLUICE_BPF_MAPS_H

/* Before bpf_helpers.h, which uses its types. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "contract.h"
#include "platform.h"
#include "scratch.h"

/* Which address and port is which listener. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LISTENER_KEYS_MAX);
	__type(key, struct listener_key);
	__type(value, struct listener_value);
} listeners SEC(".maps");

/* Which address and port is which listener, of those on many addresses. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, RANGES_MAX);
	__type(key, struct range_key);
	__type(value, struct range_value);
} ranges SEC(".maps");

/* Which workers own a host; size at load. Written by user space alone, so grown as needed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, HOSTS_MAX);
	__type(key, struct host_key);
	__type(value, struct host_value);
} hosts SEC(".maps");

/* Which worker has a connection; size at load. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FLOWS_MAX);
	__type(key, struct flow_key);
	__type(value, struct flow_value);
} flows SEC(".maps");

/* One row: what may change at any time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings_value);
} settings SEC(".maps");

/* The keys of cookies, by slot: the present one and the one before. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COOKIE_KEYS_COUNT);
	__type(key, __u32);
	__type(value, struct cookie_key);
} cookie_keys SEC(".maps");

/* Sources that open no connection. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DENYLIST_MAX);
	__type(key, struct denylist_key);
	__type(value, struct prefix_value);
} denylist SEC(".maps");

/* Where in denylist it is worth looking. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DENY_ROWS_MAX);
	__type(key, __u32);
	__type(value, struct deny_row);
} deny_rows SEC(".maps");

/* Sources that a listener with LISTENER_FLAG_ALLOWLIST is for. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DENYLIST_MAX);
	__type(key, struct allowlist_key);
	__type(value, struct prefix_value);
} allowlist SEC(".maps");

/* What is left to each source of its rate of new connections. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SOURCES_MAX);
	__type(key, struct source_key);
	__type(value, struct bucket);
} source_rates SEC(".maps");

/* The limits of hosts that have one, by host id, and what is left of them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, HOST_RATES_MAX);
	__type(key, __u32);
	__type(value, struct host_rate);
} host_rates SEC(".maps");

/* Where a worker runs and how it is; which worker a CPU has. Rows at load. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WORKERS_MIN_ROWS);
	__type(key, __u32);
	__type(value, struct worker_value);
} workers SEC(".maps");

/* The way to another CPU: the value is its queue's length. CPUs at load. */
struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} steer_cpus SEC(".maps");

/* Listening sockets, at worker_sock_slot(). Slots at load. */
struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, WORKERS_MIN_ROWS *LISTENERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} worker_socks SEC(".maps");

/* The same, of listeners on many addresses: sk_lookup takes them from here. Slots at load. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, WORKERS_MIN_ROWS *LISTENERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} range_socks SEC(".maps");

/* One row: the counters of the CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stats);
} stats SEC(".maps");

/* One row: where this CPU reads a first payload. Not pinned: nothing of it lasts. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct window);
} windows SEC(".maps");

/* Counters by host id. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, HOST_STATS_MAX);
	__type(key, __u32);
	__type(value, struct host_counters);
} host_stats SEC(".maps");

/* Samples of what was dropped. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_BYTES);
} events SEC(".maps");

/* One row: who wrote all these. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct schema_value);
} schema SEC(".maps");

#endif
