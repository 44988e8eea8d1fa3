// SPDX-License-Identifier: Apache-2.0
/*
 * admit: tc_admit on interfaces, by tcx link.
 *
 * A tcx link (kernel 6.6) stands beside the programs of others on the interface
 * and displaces none. Ours stands in front: a program that lets a packet in by
 * TC_ACT_OK ends the row, and nobody behind it would see a first payload; ours
 * always gives to the next. Who puts one in front of ours later is not displaced,
 * but XDP answers no SYNs there any more. Kernels without it have no way to make a socket from BPF
 * either (6.9), so the older tc hook is not tried.
 */
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "datapath/internal.h"

/* linux/bpf.h of the build may be older than the kernel. */
enum { TCX_INGRESS = 46, LINK_TYPE_TCX = 11, FLAG_BEFORE = 1 << 3, ROW_MAX = 64 };

/* Id of the program of @link_fd; 0 where it is not alive on @ifindex, or that went away. */
static uint32_t program_on(int link_fd, unsigned int ifindex)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	/* The interface stands in the same place for XDP and tcx. */
	if (bpf_obj_get_info_by_fd(link_fd, &info, &len) || info.type != LINK_TYPE_TCX ||
	    info.xdp.ifindex != ifindex)
		return 0;
	return info.prog_id;
}

/* @id: of the program that sees packets of @ifindex first. 0 or -errno. */
static int read_first(unsigned int ifindex, uint32_t *id)
{
	uint32_t ids[ROW_MAX] = { 0 }, count = ROW_MAX;

	if (bpf_prog_query((int)ifindex, (enum bpf_attach_type)TCX_INGRESS, 0, NULL, ids, &count))
		return -errno;
	*id = ids[0];
	return 0;
}

int admit_check(const struct attachment *attachment, struct err *err)
{
	unsigned int ifindex = attachment->interface.index;
	uint32_t id = attachment->admit_fd < 0 ? 0 : program_on(attachment->admit_fd, ifindex);
	uint32_t first;
	int code;

	if (!id)
		return err_set(err, -ENOENT, "tc_admit is not there, or was taken off");
	code = read_first(ifindex, &first);
	if (code)
		return err_set_os(err, code, "cannot see who stands in front of tc_admit");
	if (first != id)
		return err_set(err, -EBUSY,
			       "another tcx program (id %u) stands in front of tc_admit", first);
	return 0;
}

static int update(const struct datapath *dp, int link_fd, struct err *err)
{
	if (bpf_link_update(link_fd, dp->admit_fd, NULL))
		return err_set_os(err, -errno, "cannot replace tc_admit");
	return 0;
}

/* In front of all others; a program of ours that had lost its place goes when this one is there. */
static int attach_first(const struct datapath *dp, struct attachment *attachment, const char *pin,
			struct err *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = FLAG_BEFORE);
	const struct datapath_interface *interface = &attachment->interface;
	int before = attachment->admit_fd;
	int fd = bpf_link_create(dp->admit_fd, (int)interface->index,
				 (enum bpf_attach_type)TCX_INGRESS, &opts);
	int code;

	if (fd < 0)
		return err_set_os(err, -errno, "interface '%s' refuses tc_admit", interface->name);
	attachment->admit_fd = fd;
	code = pin_replace(dp, fd, pin, err);
	if (before >= 0) {
		bpf_link_detach(before);
		close(before);
	}
	if (code)
		admit_remove(dp, interface->name, &attachment->admit_fd);
	return code;
}

int admit_attach(const struct datapath *dp, struct attachment *attachment, struct err *err)
{
	const struct datapath_interface *interface = &attachment->interface;
	char name[PIN_PATH_MAX];

	if (!probe_may_have("tcx"))
		return err_set_os(err, -EOPNOTSUPP, "interface '%s' refuses tc_admit",
				  interface->name);
	pin_admit_name(interface->name, name);
	if (attachment->admit_fd < 0)
		attachment->admit_fd = pin_open(dp, name);
	if (attachment->admit_fd >= 0 && admit_check(attachment, NULL) == 0)
		return update(dp, attachment->admit_fd, err);
	return attach_first(dp, attachment, name, err);
}

void admit_remove(const struct datapath *dp, const char *interface, int *link_fd)
{
	char name[PIN_PATH_MAX];

	pin_admit_name(interface, name);
	if (*link_fd < 0)
		*link_fd = pin_open(dp, name);
	if (*link_fd >= 0) {
		bpf_link_detach(*link_fd);
		close(*link_fd);
	}
	*link_fd = -1;
	pin_remove(dp, name);
}
