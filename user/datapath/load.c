// SPDX-License-Identifier: Apache-2.0
/*
 * load: brings maps and programs into the kernel.
 *
 * The maps come first, from an object without a program (bpf/maps.bpf.c), or
 * from the pins of an earlier agent; then each program is loaded on top of those
 * same maps. Settings reach a program as read-only data, before it is verified,
 * so that what is turned off is not even looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "base/random.h"
#include "datapath/internal.h"

#include "maps.skel.h"
#include "sk_lookup.skel.h"
#include "sk_select.skel.h"
#include "tc_admit.skel.h"
#include "xdp_steer.skel.h"

#define DATAPATH_MAP_NAME(id, name, holds) [MAP_##id] = #name,
const char *const map_names[MAP_COUNT] = { DATAPATH_MAPS(DATAPATH_MAP_NAME) };
#define DATAPATH_MAP_HOLDS(id, name, holds) [MAP_##id] = holds,
const char *const map_holds[MAP_COUNT] = { DATAPATH_MAPS(DATAPATH_MAP_HOLDS) };

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[512];
	int len;

	if (level == LIBBPF_DEBUG || !log_is_on(LOG_LEVEL_DEBUG))
		return 0;
	len = vsnprintf(line, sizeof(line), format, args);
	while (len > 0 && len < (int)sizeof(line) && line[len - 1] == '\n')
		line[--len] = 0;
	log_debug("datapath", "%s", line);
	return 0;
}

void load_quiet_libbpf(void)
{
	libbpf_set_print(print_libbpf);
}

/* ---- maps ----------------------------------------------------------------------------------- */

/* At least one row a CPU, and the same number on each start of this machine. */
static uint32_t worker_rows(void)
{
	int cpus = libbpf_num_possible_cpus();

	return cpus > WORKERS_MIN_ROWS ? (uint32_t)cpus : WORKERS_MIN_ROWS;
}

/*
 * Maps of a type that this kernel does not have are arrays: programs declare them, and use them
 * only where they are what they should be.
 */
static void replace_missing(const struct datapath *dp, struct bpf_map *steer_cpus,
			    struct bpf_map *range_socks)
{
	if (!dp->can_redirect)
		bpf_map__set_type(steer_cpus, BPF_MAP_TYPE_ARRAY);
	if (!dp->has_sockmap)
		bpf_map__set_type(range_socks, BPF_MAP_TYPE_ARRAY);
}

static void size_maps(const struct datapath *dp, struct maps *maps,
		      const struct datapath_options *options)
{
	int cpus = libbpf_num_possible_cpus();

	bpf_map__set_max_entries(maps->maps.workers, worker_rows());
	bpf_map__set_max_entries(maps->maps.worker_socks, worker_rows() * LISTENERS_MAX);
	bpf_map__set_max_entries(maps->maps.range_socks, worker_rows() * LISTENERS_MAX);
	bpf_map__set_max_entries(maps->maps.steer_cpus, cpus > 0 ? (uint32_t)cpus : 1);
	replace_missing(dp, maps->maps.steer_cpus, maps->maps.range_socks);
	if (options->hosts_capacity)
		bpf_map__set_max_entries(maps->maps.hosts, options->hosts_capacity);
	if (options->flows_capacity)
		bpf_map__set_max_entries(maps->maps.flows, options->flows_capacity);
}

static int write_schema(struct datapath *dp, struct err *err)
{
	struct schema_value value = { .schema = CONTRACT_SCHEMA };
	uint32_t row = 0;

	random_bytes(&value.hash_key, sizeof(value.hash_key));
	if (bpf_map_update_elem(dp->map_fds[MAP_SCHEMA], &row, &value, BPF_ANY))
		return err_set_os(err, -errno, "cannot write map 'schema'");
	dp->hash_key = value.hash_key;
	return 0;
}

static int make_maps(struct datapath *dp, struct maps *maps, struct err *err)
{
	int code;

	code = maps__load(maps);
	if (code)
		return err_set_os(err, code, "the kernel refused the BPF maps");
	for (int i = 0; i < MAP_COUNT; i++) {
		int fd = bpf_object__find_map_fd_by_name(maps->obj, map_names[i]);

		dp->map_fds[i] = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (dp->map_fds[i] < 0)
			return err_set_os(err, -errno, "no descriptor for map '%s'", map_names[i]);
	}
	return write_schema(dp, err);
}

static int check_schema(struct datapath *dp, struct err *err)
{
	struct schema_value value;
	uint32_t row = 0;

	if (bpf_map_lookup_elem(dp->map_fds[MAP_SCHEMA], &row, &value))
		return err_set_os(err, -errno, "cannot read map '%s/schema'", dp->pin_dir);
	if (value.schema != CONTRACT_SCHEMA)
		return err_set(err, -EPROTO, "'%s' holds maps of schema %u, and this is schema %d",
			       dp->pin_dir, value.schema, CONTRACT_SCHEMA);
	dp->hash_key = value.hash_key;
	return 0;
}

/* libbpf compares sizes only when it pins by itself, and the kernel never does. */
static int check_shape(const struct datapath *dp, enum map_id id, const struct bpf_map *map,
		       struct err *err)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(dp->map_fds[id], &info, &len))
		return err_set_os(err, -errno, "cannot look at map '%s/%s'", dp->pin_dir,
				  map_names[id]);
	if (info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
	    info.value_size == bpf_map__value_size(map))
		return 0;
	return err_set(err, -EPROTO,
		       "map '%s/%s' is of another shape (type %u, key %u, value %u bytes) than "
		       "schema %d has; remove that directory",
		       dp->pin_dir, map_names[id], info.type, info.key_size, info.value_size,
		       CONTRACT_SCHEMA);
}

static int take_over_maps(struct datapath *dp, struct maps *maps, struct err *err)
{
	for (int i = 0; i < MAP_COUNT; i++) {
		int code;

		dp->map_fds[i] = pin_open(dp, map_names[i]);
		if (dp->map_fds[i] < 0)
			return err_set_os(err, dp->map_fds[i], "cannot open map '%s/%s'",
					  dp->pin_dir, map_names[i]);
		code = check_shape(dp, (enum map_id)i,
				   bpf_object__find_map_by_name(maps->obj, map_names[i]), err);
		if (code)
			return code;
	}
	dp->is_taken_over = true;
	return check_schema(dp, err);
}

int load_maps(struct datapath *dp, const struct datapath_options *options, struct err *err)
{
	struct maps *maps = maps__open();
	int code;

	if (!maps)
		return err_set_os(err, -errno, "cannot open the BPF object of the maps");
	dp->can_redirect = probe_cpumap() == 0;
	dp->has_sockmap = probe_sockmap() == 0;
	size_maps(dp, maps, options);
	if (pin_is_published(dp))
		code = take_over_maps(dp, maps, err);
	else
		code = make_maps(dp, maps, err);
	maps__destroy(maps);
	return code;
}

/* ---- programs ------------------------------------------------------------------------------- */

int load_open_cpu(int fd, uint32_t cpu, struct err *err)
{
	uint32_t queue;

	if (bpf_map_lookup_elem(fd, &cpu, &queue) == 0 && queue == STEER_QUEUE_PACKETS)
		return 0;
	queue = STEER_QUEUE_PACKETS;
	if (bpf_map_update_elem(fd, &cpu, &queue, BPF_ANY))
		return err_set_os(err, -errno, "cannot open the queue to CPU %u", cpu);
	return 0;
}

/* All but @own, of which @object gets one of its own (MAP_COUNT: none). */
static int use_maps(const struct datapath *dp, struct bpf_object *object, enum map_id own,
		    struct err *err)
{
	for (int i = 0; i < MAP_COUNT; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, map_names[i]);
		int code = map ? 0 : -ENOENT;

		if (map && i != (int)own)
			code = bpf_map__reuse_fd(map, dp->map_fds[i]);
		if (code)
			return err_set_os(err, code, "cannot use map '%s'", map_names[i]);
	}
	return 0;
}

/* Loads @object on the maps; a descriptor of its @program, or -errno. */
static int load_object(const struct datapath *dp, struct bpf_object *object,
		       const struct bpf_program *program, enum map_id own, struct err *err)
{
	int code = use_maps(dp, object, own, err);
	int fd;

	if (code)
		return code;
	code = bpf_object__load(object);
	if (code)
		return err_set_os(err, code, "the kernel refused program '%s'",
				  bpf_program__name(program));
	fd = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? err_set_os(err, -errno, "no descriptor for program '%s'",
				   bpf_program__name(program))
		      : fd;
}

/* What every program knows by heart of the listeners on many addresses. */
#define SET_PORT_RANGES(rodata, ranges)                                                            \
	do {                                                                                       \
		memcpy((void *)(rodata)->port_ranges, (ranges)->at, sizeof((ranges)->at));         \
		(rodata)->port_range_count = (ranges)->count;                                      \
	} while (0)

/* For listeners on many addresses: without it they would be on one. */
static int load_lookup(struct datapath *dp, const struct port_ranges *ranges, struct err *err)
{
	struct sk_lookup *object;

	if (!dp->has_sockmap || !probe_may_have("sk_lookup"))
		return err_set(err, -EOPNOTSUPP,
			       "the kernel has no sk_lookup (5.9), or no sockmap, for listeners on "
			       "many addresses");
	object = sk_lookup__open();
	if (!object)
		return err_set_os(err, -errno, "cannot open the BPF object of sk_lookup");
	object->rodata->worker_count = (uint32_t)dp->worker_count;
	SET_PORT_RANGES(object->rodata, ranges);
	dp->lookup_fd = load_object(dp, object->obj, object->progs.sk_lookup_range, MAP_COUNT, err);
	sk_lookup__destroy(object);
	return dp->lookup_fd < 0 ? dp->lookup_fd : 0;
}

static int load_select(struct datapath *dp, const struct port_ranges *ranges, struct err *err)
{
	struct sk_select *object;

	if (!probe_may_have("sk_reuseport"))
		return 0; /* the kernel chooses, and workers hand over what is not theirs */
	object = sk_select__open();
	if (!object)
		return err_set_os(err, -errno, "cannot open the BPF object of sk_select");
	object->rodata->worker_count = (uint32_t)dp->worker_count;
	SET_PORT_RANGES(object->rodata, ranges);
	dp->select_fd = load_object(dp, object->obj, object->progs.sk_select, MAP_COUNT, err);
	sk_select__destroy(object);
	return dp->select_fd < 0 ? dp->select_fd : 0;
}

/* The ports of all listeners, or none where they are too many: then the program asks the map. */
static uint32_t list_ports(const struct datapath_options *options, uint16_t ports[LISTEN_PORTS_MAX])
{
	uint32_t count = 0;

	for (size_t i = 0; i < options->listener_count; i++) {
		uint16_t port = options->listeners[i].addr.port;
		uint32_t at = 0;

		while (at < count && ports[at] != port)
			at++;
		if (at < count)
			continue;
		if (count == LISTEN_PORTS_MAX)
			return 0;
		ports[count++] = port;
	}
	return count;
}

/* Without it the kernel answers SYNs; why it could not be had is for early_start to say. */
static void load_admit(struct datapath *dp, const struct datapath_options *options,
		       const struct port_ranges *ranges)
{
	struct tc_admit *object = probe_may_have("kfunc") ? tc_admit__open() : NULL;
	uint16_t ports[LISTEN_PORTS_MAX] = { 0 };
	struct err err = { 0 };

	snprintf(dp->early_text, sizeof(dp->early_text),
		 "the kernel has no bpf_sk_assign_tcp_reqsk (6.9)");
	if (!object)
		return;
	object->rodata->listen_port_count = list_ports(options, ports);
	memcpy((void *)object->rodata->listen_ports, ports, sizeof(ports));
	SET_PORT_RANGES(object->rodata, ranges);
	dp->admit_fd = load_object(dp, object->obj, object->progs.tc_admit, MAP_COUNT, &err);
	if (dp->admit_fd < 0)
		snprintf(dp->early_text, sizeof(dp->early_text),
			 "the kernel has no bpf_sk_assign_tcp_reqsk (6.9), or refuses tc_admit: %s",
			 strerror(-dp->admit_fd));
	tc_admit__destroy(object);
}

static void set_up_steer(const struct datapath *dp, const struct datapath_options *options,
			 struct xdp_steer *object)
{
	struct port_ranges ranges;
	uint16_t ports[LISTEN_PORTS_MAX] = { 0 };
	int cpus = libbpf_num_possible_cpus();

	object->rodata->listen_port_count = list_ports(options, ports);
	memcpy((void *)object->rodata->listen_ports, ports, sizeof(ports));
	ranges_list_ports(options, &ranges, NULL);
	SET_PORT_RANGES(object->rodata, &ranges);
	object->rodata->worker_count = (uint32_t)dp->worker_count;
	object->rodata->hash_key.k0 = dp->hash_key.k0;
	object->rodata->hash_key.k1 = dp->hash_key.k1;
	object->rodata->can_dispatch = dp->can_dispatch;
	object->rodata->can_redirect = dp->can_redirect;
	object->rodata->can_admit = dp->can_dispatch && dp->admit_fd >= 0;
	bpf_map__set_max_entries(object->maps.steer_cpus, cpus > 0 ? (uint32_t)cpus : 1);
	replace_missing(dp, object->maps.steer_cpus, object->maps.range_socks);
}

static int load_steer(struct datapath *dp, const struct datapath_options *options, struct err *err)
{
	struct xdp_steer *object = xdp_steer__open();

	if (!object)
		return err_set_os(err, -errno, "cannot open the BPF object of xdp_steer");
	set_up_steer(dp, options, object);
	/* Payload in several buffers came to XDP together with the helper that reads it. */
	if (dp->can_dispatch)
		bpf_program__set_flags(object->progs.xdp_steer, BPF_F_XDP_HAS_FRAGS);
	dp->steer_fd = load_object(dp, object->obj, object->progs.xdp_steer, MAP_COUNT, err);
	xdp_steer__destroy(object);
	return dp->steer_fd < 0 ? dp->steer_fd : 0;
}

/*
 * A program that takes payload in several buffers must not redirect in generic mode: the kernel
 * (seen: 6.18) gives it a copy of the packet whose mac_len is 0, and the stack behind the cpumap
 * then reads the Ethernet header as an IP header. So generic mode gets a program without frags, to
 * which packets come in one piece; and since the kernel keeps programs with and without frags
 * off the same cpumap, one with a cpumap of its own.
 */
static int load_steer_generic(struct datapath *dp, const struct datapath_options *options,
			      struct err *err)
{
	struct xdp_steer *object = xdp_steer__open();
	int code = 0;

	if (!object)
		return err_set_os(err, -errno, "cannot open the BPF object of xdp_steer");
	set_up_steer(dp, options, object);
	dp->steer_generic_fd =
		load_object(dp, object->obj, object->progs.xdp_steer, MAP_STEER_CPUS, err);
	if (dp->steer_generic_fd < 0)
		code = dp->steer_generic_fd;
	for (size_t i = 0; i < options->worker_count && code == 0; i++)
		code = load_open_cpu(bpf_map__fd(object->maps.steer_cpus), options->worker_cpus[i],
				     err);
	xdp_steer__destroy(object);
	return code;
}

int load_programs(struct datapath *dp, const struct datapath_options *options, struct err *err)
{
	struct port_ranges ranges;
	int code = ranges_list_ports(options, &ranges, err);

	dp->can_dispatch = probe_can_dispatch();
	if (code == 0 && ranges.count)
		code = load_lookup(dp, &ranges, err);
	if (code == 0)
		code = load_select(dp, &ranges, err);
	if (code || options->xdp == XDP_MODE_OFF)
		return code;
	if (options->wants_early_dispatch && dp->can_dispatch)
		load_admit(dp, options, &ranges);
	code = load_steer(dp, options, err);
	if (code == 0 && dp->can_dispatch && options->xdp != XDP_MODE_NATIVE)
		code = load_steer_generic(dp, options, err);
	return code;
}
