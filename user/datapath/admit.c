// SPDX-License-Identifier: Apache-2.0
/*
 * admit: tc_admit on interfaces, by tcx link.
 *
 * A tcx link (kernel 6.6) stands beside the programs of others on the interface
 * and displaces none. Kernels without it have no way to make a socket from BPF
 * either (6.9), so the older tc hook is not tried.
 */
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "datapath/internal.h"

/* linux/bpf.h of the build may be older than the kernel. */
enum { TCX_INGRESS = 46, LINK_TYPE_TCX = 11 };

/* Whether @link_fd is alive on @ifindex: one whose interface went away has none. */
static bool is_link_on(int link_fd, unsigned int ifindex)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	/* The interface stands in the same place for XDP and tcx. */
	return bpf_obj_get_info_by_fd(link_fd, &info, &len) == 0 && info.type == LINK_TYPE_TCX &&
	       info.xdp.ifindex == ifindex;
}

static int update(const struct datapath *dp, int link_fd, struct err *err)
{
	if (bpf_link_update(link_fd, dp->admit_fd, NULL))
		return err_set_os(err, -errno, "cannot replace tc_admit");
	return 0;
}

int admit_attach(const struct datapath *dp, struct attachment *attachment, struct err *err)
{
	const struct datapath_interface *interface = &attachment->interface;
	char name[PIN_PATH_MAX];
	int fd, code;

	if (!probe_may_have("tcx"))
		return err_set_os(err, -EOPNOTSUPP, "interface '%s' refuses tc_admit",
				  interface->name);
	pin_admit_name(interface->name, name);
	fd = pin_open(dp, name);
	if (fd >= 0 && is_link_on(fd, interface->index)) {
		attachment->admit_fd = fd;
		return update(dp, fd, err);
	}
	if (fd >= 0)
		close(fd);
	pin_remove(dp, name);
	fd = bpf_link_create(dp->admit_fd, (int)interface->index, (enum bpf_attach_type)TCX_INGRESS,
			     NULL);
	if (fd < 0)
		return err_set_os(err, -errno, "interface '%s' refuses tc_admit", interface->name);
	attachment->admit_fd = fd;
	code = pin_replace(dp, fd, name, err);
	if (code)
		admit_remove(dp, interface->name, &attachment->admit_fd);
	return code;
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
