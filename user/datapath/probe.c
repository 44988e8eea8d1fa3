// SPDX-License-Identifier: Apache-2.0
/*
 * probe: finds out what the kernel can do by asking it to do it.
 *
 * Version numbers lie (distributions carry patches back, configurations leave
 * things out), so each feature is tried with the smallest thing that needs it.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/internal.h"

static void __attribute__((format(printf, 4, 5)))
add(struct datapath_features *features, const char *name, bool is_there, const char *format, ...)
{
	struct datapath_feature *feature;
	va_list args;

	if (features->len == DATAPATH_FEATURES_MAX)
		return;
	feature = &features->at[features->len++];
	snprintf(feature->name, sizeof(feature->name), "%s", name);
	feature->is_there = is_there;
	va_start(args, format);
	vsnprintf(feature->text, sizeof(feature->text), format, args);
	va_end(args);
}

/* @code as libbpf's probes have it: 1 there, 0 not there, negative: could not be tried. */
static void add_probed(struct datapath_features *features, const char *name, int code,
		       const char *use)
{
	if (code > 0)
		add(features, name, true, "%s", use);
	else if (code == 0)
		add(features, name, false, "the kernel does not have it; without: no %s", use);
	else
		add(features, name, false, "could not be tried: %s; without: no %s",
		    strerror(-code), use);
}

bool probe_may_have(const char *feature)
{
	const char *without = secure_getenv(DATAPATH_WITHOUT_VARIABLE);
	struct str rest = str_from_c(without ? without : ""), name;

	while (str_take_part(&rest, ',', &name))
		if (str_eq_c(str_trim(name), feature))
			return false;
	return true;
}

/* As libbpf's probes: 0 where there is none. */
static int probe_helper(const char *feature, enum bpf_func_id helper)
{
	return probe_may_have(feature) ? libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, helper, NULL)
				       : 0;
}

static int probe_program(const char *feature, enum bpf_prog_type type)
{
	return probe_may_have(feature) ? libbpf_probe_bpf_prog_type(type, NULL) : 0;
}

bool probe_can_dispatch(void)
{
	return probe_helper("bpf_loop", BPF_FUNC_loop) > 0 &&
	       probe_helper("xdp_load_bytes", BPF_FUNC_xdp_load_bytes) > 0;
}

int probe_load_pass(bool has_frags)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = has_frags ? BPF_F_XDP_HAS_FRAGS : 0);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "sluice_probe", "Dual BSD/GPL", insns,
			       sizeof(insns) / sizeof(insns[0]), &opts);

	return fd < 0 ? -errno : fd;
}

/* A descriptor by id takes CAP_SYS_ADMIN, which an agent in a Pod has not. */
static void program_name(uint32_t id, char name[32])
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	snprintf(name, 32, "id %u", id);
	if (fd < 0 && errno == EPERM)
		snprintf(name, 32, "(its name needs CAP_SYS_ADMIN)");
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.name[0])
		snprintf(name, 32, "%s", info.name);
	close(fd);
}

void probe_xdp_program(unsigned int ifindex, uint32_t *id, enum xdp_mode *mode, char name[32])
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	*id = 0;
	*mode = XDP_MODE_OFF;
	name[0] = 0;
	if (bpf_xdp_query((int)ifindex, 0, &query) || query.attach_mode == XDP_ATTACHED_NONE)
		return;
	*mode = query.attach_mode == XDP_ATTACHED_SKB ? XDP_MODE_GENERIC : XDP_MODE_NATIVE;
	*id = query.prog_id       ? query.prog_id
	      : query.drv_prog_id ? query.drv_prog_id
				  : query.skb_prog_id;
	program_name(*id, name);
}

/* ---- features ------------------------------------------------------------------------------- */

static void probe_kernel(struct datapath_features *features)
{
	struct utsname name;
	int fd = probe_load_pass(false);

	if (uname(&name))
		snprintf(name.release, sizeof(name.release), "unknown");
	if (fd >= 0)
		add(features, "bpf", true, "kernel %s loads XDP programs", name.release);
	else
		add(features, "bpf", false, "kernel %s refuses XDP programs: %s", name.release,
		    strerror(-fd));
	if (fd >= 0)
		close(fd);
}

static void probe_bpffs(struct datapath_features *features)
{
	struct statfs fs;

	if (statfs("/sys/fs/bpf", &fs) == 0 && (uint32_t)fs.f_type == BPF_FS_MAGIC)
		add(features, "bpffs", true, "mounted on /sys/fs/bpf");
	else
		add(features, "bpffs", false, "not mounted on /sys/fs/bpf; it is at start");
}

static void probe_frags(struct datapath_features *features)
{
	int fd = probe_load_pass(true);

	if (fd >= 0) {
		add(features, "xdp_frags", true, "XDP on interfaces with jumbo frames");
		close(fd);
		return;
	}
	add(features, "xdp_frags", false, "%s; without: no XDP where the MTU is above a page",
	    strerror(-fd));
}

int probe_cpumap(void)
{
	uint32_t cpu = 0, queue = 16;
	int fd, code = 0;

	if (!probe_may_have("cpumap"))
		return -EOPNOTSUPP;
	fd = bpf_map_create(BPF_MAP_TYPE_CPUMAP, "probe", 4, 4, 1, NULL);
	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(fd, &cpu, &queue, 0))
		code = -errno;
	close(fd);
	return code;
}

int probe_sockmap(void)
{
	int fd;

	if (!probe_may_have("sockmap"))
		return -EOPNOTSUPP;
	fd = bpf_map_create(BPF_MAP_TYPE_SOCKMAP, "probe", 4, 8, 1, NULL);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void add_tried(struct datapath_features *features, const char *name, int code,
		      const char *use)
{
	if (code == 0)
		add(features, name, true, "%s", use);
	else
		add(features, name, false, "%s; without: no %s", strerror(-code), use);
}

/* The way to see whether a driver has XDP: attach a program that lets all pass, for a moment. */
static void probe_native_xdp(struct datapath_features *features, const char *interface)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	char feature[40], holder[32];
	unsigned int index = if_nametoindex(interface);
	enum xdp_mode mode;
	int prog, link;
	uint32_t id;

	snprintf(feature, sizeof(feature), "native_xdp:%s", interface);
	if (!index) {
		add(features, feature, false, "no interface of this name");
		return;
	}
	probe_xdp_program(index, &id, &mode, holder);
	if (id) {
		add(features, feature, mode == XDP_MODE_NATIVE,
		    "carries program '%s' in %s mode already", holder, xdp_mode_name(mode));
		return;
	}
	if (!probe_may_have("native_xdp")) {
		add(features, feature, false,
		    "taken to be missing (" DATAPATH_WITHOUT_VARIABLE ")");
		return;
	}
	prog = probe_load_pass(probe_can_dispatch());
	link = prog < 0 ? -1 : bpf_link_create(prog, (int)index, BPF_XDP, &opts);
	if (link >= 0)
		add(features, feature, true, "XDP in the driver");
	else
		add(features, feature, false, "the driver refused a program: %s",
		    strerror(prog < 0 ? -prog : errno));
	if (link >= 0)
		close(link);
	if (prog >= 0)
		close(prog);
}

void datapath_probe(const char *const *interfaces, size_t interface_count,
		    struct datapath_features *features)
{
	memset(features, 0, sizeof(*features));
	load_quiet_libbpf();
	probe_kernel(features);
	probe_bpffs(features);
	add_probed(features, "sk_reuseport",
		   probe_program("sk_reuseport", BPF_PROG_TYPE_SK_REUSEPORT),
		   "giving a connection to the worker of its CPU");
	add_probed(features, "sk_lookup", probe_program("sk_lookup", BPF_PROG_TYPE_SK_LOOKUP),
		   "listeners on many addresses or ports");
	add_tried(features, "sockmap", probe_sockmap(), "listeners on many addresses or ports");
	add_tried(features, "cpumap", probe_cpumap(), "steering packets to another CPU");
	add_probed(features, "bpf_loop", probe_helper("bpf_loop", BPF_FUNC_loop),
		   "reading the host in XDP");
	add_probed(features, "xdp_load_bytes",
		   probe_helper("xdp_load_bytes", BPF_FUNC_xdp_load_bytes),
		   "reading the host in XDP");
	probe_frags(features);
	add_probed(features, "ringbuf", libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL),
		   "samples of drops");
	for (size_t i = 0; i < interface_count && i < DATAPATH_INTERFACES_MAX; i++)
		probe_native_xdp(features, interfaces[i]);
}

const struct datapath_feature *datapath_feature_find(const struct datapath_features *features,
						     const char *name)
{
	for (size_t i = 0; i < features->len; i++)
		if (strcmp(features->at[i].name, name) == 0)
			return &features->at[i];
	return NULL;
}
