// SPDX-License-Identifier: Apache-2.0
/* look: reads counters and maps, for status, metrics and `sluicectl`. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "datapath/internal.h"

/* ---- a map, batch by batch ------------------------------------------------------------------ */

static size_t cpu_count(void)
{
	int cpus = libbpf_num_possible_cpus();

	return cpus > 0 ? (size_t)cpus : 1;
}

static bool is_per_cpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

/* What one look-up writes: the value, or one value for each CPU, each rounded up to 8 bytes. */
static size_t value_bytes(const struct bpf_map_info *info)
{
	if (!is_per_cpu(info->type))
		return info->value_size;
	return (info->value_size + 7u) / 8 * 8 * cpu_count();
}

static int map_info(int fd, struct bpf_map_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len) ? -errno : 0;
}

/*
 * The kernel walks a hash map bucket by bucket and hands its own position out
 * and in again: 4 bytes whatever the key is.
 */
int look_each_batch(int fd,
		    bool (*on_entries)(void *arg, const void *keys, const void *values,
				       size_t count),
		    void *arg)
{
	struct bpf_map_info info;
	uint32_t position = 0, count;
	bool is_first = true;
	char *keys, *values;
	int code = map_info(fd, &info);

	if (code)
		return code;
	keys = mem_new(BATCH_ENTRIES, info.key_size);
	values = mem_new(BATCH_ENTRIES, value_bytes(&info));
	do {
		count = BATCH_ENTRIES;
		code = bpf_map_lookup_batch(fd, is_first ? NULL : &position, &position, keys,
					    values, &count, NULL);
		code = code ? -errno : 0;
		is_first = false;
		if ((code == 0 || code == -ENOENT) && count &&
		    !on_entries(arg, keys, values, count))
			break;
	} while (code == 0);
	mem_free(keys);
	mem_free(values);
	return code == -ENOENT ? 0 : code; /* the end */
}

/* ---- counters ------------------------------------------------------------------------------- */

int datapath_read_stats(const struct datapath *dp, struct stats *sum, struct err *err)
{
	size_t cpus = cpu_count();
	struct stats *each = mem_new(cpus, sizeof(*each));
	uint32_t row = 0;
	int code = 0;

	memset(sum, 0, sizeof(*sum));
	if (bpf_map_lookup_elem(dp->map_fds[MAP_STATS], &row, each))
		code = err_set_os(err, -errno, "cannot read map 'stats'");
	for (size_t i = 0; i < cpus && code == 0; i++) {
#define ADD_COUNTER(name, help) sum->name += each[i].name;
		STATS_COUNTERS(ADD_COUNTER)
#undef ADD_COUNTER
	}
	mem_free(each);
	return code;
}

/* ---- maps ----------------------------------------------------------------------------------- */

static const char *type_name(uint32_t type)
{
	const char *name = libbpf_bpf_map_type_str((enum bpf_map_type)type);

	return name ? name : "unknown";
}

/* The kernel says in fdinfo what it accounts for. */
static uint64_t memory_bytes(int fd)
{
	unsigned long long bytes = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	fclose(file);
	return bytes;
}

static bool count_batch(void *arg, const void *keys, const void *values, size_t count)
{
	(void)keys;
	(void)values;
	*(uint32_t *)arg += (uint32_t)count;
	return true;
}

/* Of maps whose keys are 0, 1, 2 ...: those that have something. */
static uint32_t count_slots(int fd, const struct bpf_map_info *info)
{
	char *value = mem_new(1, value_bytes(info));
	uint32_t entries = 0;

	for (uint32_t slot = 0; slot < info->max_entries; slot++)
		if (bpf_map_lookup_elem(fd, &slot, value) == 0)
			entries++;
	mem_free(value);
	return entries;
}

static bool is_hash(uint32_t type)
{
	return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

/* A trie has no slots, and its batches begin at a whole key. */
static uint32_t count_keys(int fd, const struct bpf_map_info *info)
{
	char *last = mem_new(2, info->key_size), *next = last + info->key_size;
	uint32_t count = 0;

	while (count < info->max_entries &&
	       bpf_map_get_next_key(fd, count ? last : NULL, next) == 0) {
		memcpy(last, next, info->key_size);
		count++;
	}
	mem_free(last);
	return count;
}

static void describe(const struct datapath *dp, enum map_id id, struct datapath_map *map)
{
	int fd = dp->map_fds[id];
	struct bpf_map_info info;

	*map = (struct datapath_map){ .name = map_names[id],
				      .type = "unknown",
				      .holds = map_holds[id] };
	if (map_info(fd, &info))
		return;
	map->type = type_name(info.type);
	map->capacity = info.max_entries;
	map->key_bytes = info.key_size;
	map->value_bytes = info.value_size;
	map->memory_bytes = memory_bytes(fd);
	map->is_counted = info.type != BPF_MAP_TYPE_RINGBUF;
	if (id == MAP_WORKERS)
		map->entries = (uint32_t)dp->worker_count;
	else if (info.type == BPF_MAP_TYPE_LPM_TRIE)
		map->entries = count_keys(fd, &info);
	else if (is_hash(info.type))
		look_each_batch(fd, count_batch, &map->entries);
	else if (map->is_counted)
		map->entries = count_slots(fd, &info);
}

void datapath_each_map(const struct datapath *dp,
		       bool (*on_map)(void *arg, const struct datapath_map *map), void *arg)
{
	struct datapath_map map;

	for (int i = 0; i < MAP_COUNT; i++) {
		describe(dp, (enum map_id)i, &map);
		if (!on_map(arg, &map))
			return;
	}
}

/* ---- hosts ---------------------------------------------------------------------------------- */

void datapath_read_host(const struct datapath *dp, uint32_t host_id, struct host_counters *sum)
{
	size_t cpus = cpu_count();
	struct host_counters *each = mem_new(cpus, sizeof(*each));

	*sum = (struct host_counters){ 0 };
	if (bpf_map_lookup_elem(dp->map_fds[MAP_HOST_STATS], &host_id, each) == 0) {
		for (size_t i = 0; i < cpus; i++) {
			sum->dispatched += each[i].dispatched;
			sum->refused += each[i].refused;
			sum->sockets_born += each[i].sockets_born;
			sum->limited += each[i].limited;
		}
	}
	mem_free(each);
}

/* ---- flows ---------------------------------------------------------------------------------- */

struct flow_visit {
	bool (*on_flow)(void *arg, const struct datapath_flow *flow);
	void *arg;
};

static bool visit_flows(void *arg, const void *keys, const void *values, size_t count)
{
	const struct flow_visit *visit = arg;
	const struct flow_key *key = keys;
	const struct flow_value *value = values;

	for (size_t i = 0; i < count; i++) {
		struct datapath_flow flow = { key[i], value[i] };

		if (!visit->on_flow(visit->arg, &flow))
			return false;
	}
	return true;
}

int datapath_each_flow(const struct datapath *dp,
		       bool (*on_flow)(void *arg, const struct datapath_flow *flow), void *arg,
		       struct err *err)
{
	struct flow_visit visit = { on_flow, arg };
	int code = look_each_batch(dp->map_fds[MAP_FLOWS], visit_flows, &visit);

	return code ? err_set_os(err, code, "cannot read map 'flows'") : 0;
}
