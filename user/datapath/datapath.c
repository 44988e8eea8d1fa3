// SPDX-License-Identifier: Apache-2.0
/* datapath: see datapath.h. Opening and closing, listeners, workers and sockets. */
#include "datapath/datapath.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "datapath/internal.h"

/* ---- what open writes into the maps --------------------------------------------------------- */

static int check_options(const struct datapath_options *options, struct err *err)
{
	int cpus = libbpf_num_possible_cpus();

	if (options->worker_count == 0 || options->worker_count > WORKERS_MAX)
		return err_set(err, -EINVAL, "%zu workers: from 1 to %d can be had",
			       options->worker_count, WORKERS_MAX);
	if (options->listener_count > LISTENERS_MAX)
		return err_set(err, -E2BIG, "%zu listeners: at most %d can be had",
			       options->listener_count, LISTENERS_MAX);
	for (size_t i = 0; i < options->listener_count; i++)
		if (options->listeners[i].id >= LISTENERS_MAX)
			return err_set(err, -EINVAL, "listener id %u is not below %d",
				       options->listeners[i].id, LISTENERS_MAX);
	for (size_t i = 0; i < options->worker_count; i++)
		if (options->worker_cpus[i] >= cpus)
			return err_set(err, -EINVAL, "worker %zu is to run on CPU %u of %d", i,
				       options->worker_cpus[i], cpus);
	return 0;
}

/* The first worker that runs on @cpu; for CPUs without one of their own, round robin. */
static uint16_t worker_of_cpu(const struct datapath_options *options, uint32_t cpu)
{
	for (size_t i = 0; i < options->worker_count; i++)
		if (options->worker_cpus[i] == cpu)
			return (uint16_t)i;
	return (uint16_t)(cpu % options->worker_count);
}

static uint32_t map_capacity(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.max_entries;
}

/* What an earlier agent said about a worker's state stays until ours says more. */
static int write_workers(const struct datapath *dp, const struct datapath_options *options,
			 struct err *err)
{
	int fd = dp->map_fds[MAP_WORKERS];
	uint32_t rows = map_capacity(fd);

	if (options->worker_count > rows)
		return err_set(err, -E2BIG, "%zu workers, and map 'workers' has %u rows",
			       options->worker_count, rows);
	for (uint32_t row = 0; row < rows; row++) {
		struct worker_value value = { 0 };

		if (dp->is_taken_over && row < options->worker_count)
			bpf_map_lookup_elem(fd, &row, &value);
		value.cpu = row < options->worker_count ? options->worker_cpus[row] : 0;
		value.cpu_worker = worker_of_cpu(options, row);
		if (bpf_map_update_elem(fd, &row, &value, BPF_ANY))
			return err_set_os(err, -errno, "cannot write worker %u", row);
	}
	return 0;
}

static int write_maps(struct datapath *dp, const struct datapath_options *options, struct err *err)
{
	int code = datapath_update_addresses(dp, err);

	if (code == 0)
		code = write_workers(dp, options, err);
	if (code == 0)
		code = early_write_settings(dp, err);
	for (size_t i = 0; i < options->worker_count && code == 0; i++)
		if (dp->xdp != XDP_MODE_OFF)
			code = load_open_cpu(dp->map_fds[MAP_STEER_CPUS], options->worker_cpus[i],
					     err);
	return code;
}

enum { DETACH_GRACE_MS = 300 }; /* for the first payload of connections that XDP answered */

/* ---- open and close ------------------------------------------------------------------------- */

static int pin_programs(const struct datapath *dp, struct err *err)
{
	if (dp->select_fd < 0)
		pin_remove(dp, "prog_sk_select");
	else if (pin_replace(dp, dp->select_fd, "prog_sk_select", err))
		return -EIO;
	if (dp->admit_fd < 0)
		pin_remove(dp, "prog_tc_admit");
	else if (pin_replace(dp, dp->admit_fd, "prog_tc_admit", err))
		return -EIO;
	if (dp->lookup_fd < 0)
		pin_remove(dp, "prog_sk_lookup");
	else if (pin_replace(dp, dp->lookup_fd, "prog_sk_lookup", err))
		return -EIO;
	if (dp->steer_fd < 0) {
		pin_remove(dp, "prog_xdp_steer");
		return 0;
	}
	return pin_replace(dp, dp->steer_fd, "prog_xdp_steer", err);
}

/* Everything that has to happen while no other agent does it. */
static int open_locked(struct datapath *dp, const struct datapath_options *options, struct err *err)
{
	int code = pin_check_other_schemas(dp, err);

	if (code == 0)
		code = load_maps(dp, options, err);
	if (code == 0)
		code = load_programs(dp, options, err);
	if (code == 0)
		code = write_maps(dp, options, err);
	if (code == 0 && !dp->is_taken_over)
		code = pin_publish(dp, err);
	if (code)
		return code;
	code = lookup_attach(dp, err);
	if (code == 0)
		code = attach_all(dp, options, err);
	if (code == 0)
		early_start(dp, options);
	if (code == 0)
		code = pin_programs(dp, err);
	if (code && !dp->is_taken_over)
		pin_remove_all(dp);
	return code;
}

int datapath_open(const struct datapath_options *options, struct datapath **datapath,
		  struct err *err)
{
	const char *bpf_dir = options->bpf_dir ? options->bpf_dir : DATAPATH_DIR_DEFAULT;
	struct datapath *dp = mem_new(1, sizeof(*dp));
	int code, lock;

	load_quiet_libbpf();
	for (int i = 0; i < MAP_COUNT; i++)
		dp->map_fds[i] = -1;
	dp->steer_fd = dp->steer_generic_fd = dp->select_fd = dp->admit_fd = -1;
	dp->lookup_fd = dp->lookup_link_fd = -1;
	dp->xdp = options->xdp;
	dp->worker_count = options->worker_count;
	dp->wants_early_dispatch = options->wants_early_dispatch;
	dp->listener_count = options->listener_count;
	for (size_t i = 0; i < options->listener_count && i < LISTENERS_MAX; i++)
		dp->listeners[i] = options->listeners[i];
	code = check_options(options, err);
	if (code == 0 && !probe_may_have("bpf"))
		code = err_set(err, -EOPNOTSUPP, "the kernel has no BPF");
	if (code == 0)
		code = pin_paths(dp, bpf_dir, err);
	if (code == 0)
		code = pin_prepare(dp, bpf_dir, err);
	if (code)
		goto err_close;
	code = lock = pin_lock(dp, err);
	if (lock < 0)
		goto err_close;
	code = open_locked(dp, options, err);
	close(lock);
	if (code)
		goto err_close;
	*datapath = dp;
	return 0;

err_close:
	datapath_close(dp);
	return code;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void datapath_close(struct datapath *dp)
{
	if (!dp)
		return;
	for (size_t i = 0; i < dp->attachment_count; i++) {
		close_if_open(dp->attachments[i].link_fd);
		close_if_open(dp->attachments[i].admit_fd);
	}
	for (int i = 0; i < MAP_COUNT; i++)
		close_if_open(dp->map_fds[i]);
	close_if_open(dp->steer_fd);
	close_if_open(dp->steer_generic_fd);
	close_if_open(dp->select_fd);
	close_if_open(dp->admit_fd);
	close_if_open(dp->lookup_fd);
	close_if_open(dp->lookup_link_fd);
	events_close(dp);
	vec_release(&dp->hosts);
	mem_free(dp);
}

static void detach_locked(struct datapath *dp)
{
	int lock = pin_lock(dp, NULL);

	attach_remove_all(dp);
	lookup_remove(dp);
	pin_remove_all(dp);
	close_if_open(lock);
}

void datapath_detach(struct datapath *dp)
{
	if (!dp)
		return;
	if (dp->is_early) {
		early_stop(dp);
		usleep(DETACH_GRACE_MS * 1000);
	}
	detach_locked(dp);
	datapath_close(dp);
}

int datapath_remove(const char *bpf_dir, struct err *err)
{
	struct datapath dp = { .lookup_link_fd = -1 };
	int code = pin_paths(&dp, bpf_dir ? bpf_dir : DATAPATH_DIR_DEFAULT, err);

	if (code)
		return code;
	if (pin_is_published(&dp))
		detach_locked(&dp);
	return 0;
}

/* ---- what was opened ------------------------------------------------------------------------ */

size_t datapath_interface_count(const struct datapath *dp)
{
	return dp->attachment_count;
}

const struct datapath_interface *datapath_interface(const struct datapath *dp, size_t i)
{
	return &dp->attachments[i].interface;
}

const char *datapath_pin_dir(const struct datapath *dp)
{
	return dp->pin_dir;
}

bool datapath_is_taken_over(const struct datapath *dp)
{
	return dp->is_taken_over;
}

bool datapath_can_dispatch(const struct datapath *dp)
{
	return dp->can_dispatch && dp->steer_fd >= 0;
}

/* ---- sockets and workers -------------------------------------------------------------------- */

/* A socket that an earlier agent put there already is busy until its slot is emptied. */
static int update_socket(int map_fd, uint32_t slot, uint64_t socket)
{
	if (bpf_map_update_elem(map_fd, &slot, &socket, BPF_ANY) == 0)
		return 0;
	if (errno != EBUSY || bpf_map_delete_elem(map_fd, &slot))
		return -1;
	return bpf_map_update_elem(map_fd, &slot, &socket, BPF_ANY);
}

/* A socket can be in one of the two maps: it may be in the other one from before. */
static int put_socket(const struct datapath *dp, uint16_t listener_id, uint32_t slot,
		      uint64_t socket)
{
	const int *fds = dp->map_fds;
	bool is_range = false;

	for (size_t i = 0; i < dp->listener_count; i++)
		if (dp->listeners[i].id == listener_id)
			is_range = dp->listeners[i].is_range;
	bpf_map_delete_elem(fds[is_range ? MAP_WORKER_SOCKS : MAP_RANGE_SOCKS], &slot);
	return update_socket(fds[is_range ? MAP_RANGE_SOCKS : MAP_WORKER_SOCKS], slot, socket);
}

int datapath_set_socket(struct datapath *dp, uint16_t worker, uint16_t listener_id, int fd,
			struct err *err)
{
	uint32_t slot = worker_sock_slot(worker, listener_id);
	uint64_t socket = (uint64_t)fd;

	if (worker >= dp->worker_count || listener_id >= LISTENERS_MAX)
		return err_set(err, -EINVAL, "no worker %u, or no listener %u", worker,
			       listener_id);
	if (put_socket(dp, listener_id, slot, socket))
		return err_set_os(err, -errno, "cannot select the socket of worker %u, listener %u",
				  worker, listener_id);
	if (dp->select_fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF,
					     &dp->select_fd, sizeof(dp->select_fd)))
		return err_set_os(err, -errno, "cannot attach sk_select to listener %u",
				  listener_id);
	return 0;
}

int datapath_set_worker(struct datapath *dp, uint16_t worker, const struct datapath_worker *state,
			struct err *err)
{
	int fd = dp->map_fds[MAP_WORKERS];
	struct worker_value value;
	uint32_t row = worker;

	if (worker >= dp->worker_count)
		return err_set(err, -EINVAL, "no worker %u", worker);
	if (bpf_map_lookup_elem(fd, &row, &value))
		return err_set_os(err, -errno, "cannot read worker %u", worker);
	value.state = state->state;
	value.connections = state->connections;
	value.load_permille = state->load_permille;
	if (bpf_map_update_elem(fd, &row, &value, BPF_ANY))
		return err_set_os(err, -errno, "cannot write worker %u", worker);
	return 0;
}
