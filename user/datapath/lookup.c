// SPDX-License-Identifier: Apache-2.0
/*
 * lookup: sk_lookup in this network namespace, by link.
 *
 * Programs of this kind stand one behind the other (up to 64 of them) and none
 * displaces another. The link is pinned: the connections of listeners on many
 * addresses find their sockets also while no agent runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "datapath/internal.h"

static const char *const link_name = "link_sk_lookup";
static const char *const netns_path = "/proc/thread-self/ns/net";

/* A link whose namespace is gone names none any more; numbers of namespaces come again. */
static bool is_link_here(int link_fd)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	struct stat netns;

	return stat(netns_path, &netns) == 0 && bpf_obj_get_info_by_fd(link_fd, &info, &len) == 0 &&
	       info.type == BPF_LINK_TYPE_NETNS && info.netns.netns_ino == netns.st_ino;
}

static int attach_anew(struct datapath *dp, struct err *err)
{
	int netns = open(netns_path, O_RDONLY | O_CLOEXEC);

	if (netns < 0)
		return err_set_os(err, -errno, "no network namespace in '%s'", netns_path);
	dp->lookup_link_fd = bpf_link_create(dp->lookup_fd, netns, BPF_SK_LOOKUP, NULL);
	if (dp->lookup_link_fd < 0)
		err_set_os(err, -errno, "the network namespace refuses sk_lookup");
	close(netns);
	if (dp->lookup_link_fd < 0)
		return err ? err->code : -EIO;
	return pin_replace(dp, dp->lookup_link_fd, link_name, err);
}

int lookup_attach(struct datapath *dp, struct err *err)
{
	if (dp->lookup_fd < 0) {
		lookup_remove(dp);
		return 0;
	}
	dp->lookup_link_fd = pin_open(dp, link_name);
	if (dp->lookup_link_fd >= 0 && is_link_here(dp->lookup_link_fd)) {
		if (bpf_link_update(dp->lookup_link_fd, dp->lookup_fd, NULL))
			return err_set_os(err, -errno, "cannot replace sk_lookup");
		return 0;
	}
	if (dp->lookup_link_fd >= 0)
		close(dp->lookup_link_fd);
	return attach_anew(dp, err);
}

void lookup_remove(struct datapath *dp)
{
	if (dp->lookup_link_fd < 0)
		dp->lookup_link_fd = pin_open(dp, link_name);
	if (dp->lookup_link_fd >= 0) {
		bpf_link_detach(dp->lookup_link_fd);
		close(dp->lookup_link_fd);
	}
	dp->lookup_link_fd = -1;
	pin_remove(dp, link_name);
}
