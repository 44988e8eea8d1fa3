// SPDX-License-Identifier: Apache-2.0
/*
 * attach: xdp_steer on interfaces, by bpf_link.
 *
 * A link belongs to whoever holds it: nobody attaches over it, and we never
 * attach over a program of others. Our links are pinned, so that steering goes
 * on without an agent; the next one puts its program into the same link in one
 * step, between two packets.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/internal.h"

static uint32_t mode_flag(enum xdp_mode mode)
{
	return mode == XDP_MODE_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

static int program_for(const struct datapath *dp, enum xdp_mode mode)
{
	return mode == XDP_MODE_GENERIC && dp->steer_generic_fd >= 0 ? dp->steer_generic_fd
								     : dp->steer_fd;
}

/* Whether @link_fd is a live link on @ifindex: one whose interface went away has none. */
static bool is_link_on(int link_fd, unsigned int ifindex)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(link_fd, &info, &len) == 0 &&
	       info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex;
}

/* Our own link on the interface from earlier, or -1. Dead ones are cleared away. */
static int open_own_link(const struct datapath *dp, const struct datapath_interface *interface)
{
	char name[PIN_PATH_MAX];
	int fd;

	pin_link_name(interface->name, name);
	fd = pin_open(dp, name);
	if (fd < 0)
		return -1;
	if (is_link_on(fd, interface->index))
		return fd;
	close(fd);
	pin_remove(dp, name);
	return -1;
}

static void remove_link(const struct datapath *dp, struct attachment *attachment)
{
	char name[PIN_PATH_MAX];

	admit_remove(dp, attachment->interface.name, &attachment->admit_fd);
	pin_link_name(attachment->interface.name, name);
	if (attachment->link_fd >= 0) {
		bpf_link_detach(attachment->link_fd);
		close(attachment->link_fd);
	}
	attachment->link_fd = -1;
	attachment->interface.mode = XDP_MODE_OFF;
	pin_remove(dp, name);
}

/* Says in @err who stands in the way, or what the driver said. */
static int explain_refusal(const struct datapath_interface *interface, enum xdp_mode mode, int code,
			   struct err *err)
{
	enum xdp_mode holder_mode;
	char holder[32];
	uint32_t id;

	probe_xdp_program(interface->index, &id, &holder_mode, holder);
	if (!id)
		return err_set_os(err, code, "interface '%s' refuses %s XDP", interface->name,
				  xdp_mode_name(mode));
	if (strcmp(holder, "xdp_dispatcher") == 0)
		return err_set(err, -EBUSY,
			       "interface '%s' is held by libxdp's dispatcher (program id %u)",
			       interface->name, id);
	return err_set(err, -EBUSY,
		       "interface '%s' already carries XDP program '%s' (id %u, %s), "
		       "which is not displaced",
		       interface->name, holder, id, xdp_mode_name(holder_mode));
}

static int attach_in_mode(const struct datapath *dp, struct attachment *attachment,
			  enum xdp_mode mode, struct err *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode_flag(mode));
	struct datapath_interface *interface = &attachment->interface;
	char name[PIN_PATH_MAX];
	int code;

	if (!probe_may_have(mode == XDP_MODE_NATIVE ? "native_xdp" : "generic_xdp"))
		return explain_refusal(interface, mode, -EOPNOTSUPP, err);
	attachment->link_fd =
		bpf_link_create(program_for(dp, mode), (int)interface->index, BPF_XDP, &opts);
	if (attachment->link_fd < 0)
		return explain_refusal(interface, mode, -errno, err);
	interface->mode = mode;
	pin_link_name(interface->name, name);
	code = pin_replace(dp, attachment->link_fd, name, err);
	if (code)
		remove_link(dp, attachment);
	return code;
}

/* The text a person reads beside an interface that got less than the best. */
static void note(struct datapath_interface *interface, const struct err *err)
{
	snprintf(interface->text, sizeof(interface->text), "%.*s", (int)sizeof(interface->text) - 1,
		 err->text);
}

/* Native, else generic, else off. A foreign program ends it: generic would displace it too. */
static void attach_best(const struct datapath *dp, struct attachment *attachment)
{
	struct err err = { 0 };

	if (attach_in_mode(dp, attachment, XDP_MODE_NATIVE, &err) == 0)
		return;
	note(&attachment->interface, &err);
	if (err.code != -EBUSY && attach_in_mode(dp, attachment, XDP_MODE_GENERIC, &err))
		note(&attachment->interface, &err);
}

/* The next program in the link that is there already, where its mode is good enough. */
static int update_own_link(const struct datapath *dp, struct attachment *attachment,
			   struct err *err)
{
	struct datapath_interface *interface = &attachment->interface;
	enum xdp_mode mode;
	char holder[32];
	uint32_t id;

	probe_xdp_program(interface->index, &id, &mode, holder);
	if (mode != dp->xdp && dp->xdp != XDP_MODE_AUTO) {
		remove_link(dp, attachment);
		return attach_in_mode(dp, attachment, dp->xdp, err);
	}
	if (bpf_link_update(attachment->link_fd, program_for(dp, mode), NULL))
		return err_set_os(err, -errno, "cannot replace our program on interface '%s'",
				  interface->name);
	interface->mode = mode;
	return 0;
}

/* A fresh link on the interface, or the next program in ours. */
static int attach_wanted(const struct datapath *dp, struct attachment *attachment, struct err *err)
{
	attachment->link_fd = open_own_link(dp, &attachment->interface);
	if (attachment->link_fd >= 0)
		return update_own_link(dp, attachment, err);
	if (dp->xdp != XDP_MODE_AUTO)
		return attach_in_mode(dp, attachment, dp->xdp, err);
	attach_best(dp, attachment);
	return 0;
}

static int attach_one(struct datapath *dp, const char *name, struct err *err)
{
	struct attachment *attachment = &dp->attachments[dp->attachment_count];
	struct datapath_interface *interface = &attachment->interface;

	memset(attachment, 0, sizeof(*attachment));
	attachment->link_fd = attachment->admit_fd = -1;
	snprintf(interface->name, sizeof(interface->name), "%s", name);
	interface->mode = XDP_MODE_OFF;
	interface->index = if_nametoindex(name);
	dp->attachment_count++;
	if (dp->xdp == XDP_MODE_OFF)
		return 0;
	if (!interface->index && dp->xdp != XDP_MODE_AUTO)
		return err_set(err, -ENODEV, "no interface '%s'", name);
	if (!interface->index) {
		snprintf(interface->text, sizeof(interface->text), "no such interface");
		return 0;
	}
	return attach_wanted(dp, attachment, err);
}

/* ---- while we run --------------------------------------------------------------------------- */

bool attach_is_alive(const struct attachment *attachment)
{
	return attachment->link_fd >= 0 &&
	       is_link_on(attachment->link_fd, attachment->interface.index);
}

void attach_forget(const struct datapath *dp, struct attachment *attachment)
{
	remove_link(dp, attachment);
}

int attach_again(struct datapath *dp, struct attachment *attachment, struct err *err)
{
	struct datapath_interface *interface = &attachment->interface;

	interface->index = if_nametoindex(interface->name);
	interface->text[0] = 0;
	if (!interface->index)
		return err_set(err, -ENODEV, "no such interface");
	return attach_wanted(dp, attachment, err);
}

/* ---- links that are no longer wanted -------------------------------------------------------- */

static void remove_unwanted(void *arg, const char *name)
{
	struct datapath *dp = arg;
	struct attachment unwanted = { .link_fd = -1, .admit_fd = -1 };
	char pin[PIN_PATH_MAX];

	for (size_t i = 0; i < dp->attachment_count; i++)
		if (dp->attachments[i].link_fd >= 0 &&
		    strcmp(dp->attachments[i].interface.name, name) == 0)
			return;
	snprintf(unwanted.interface.name, sizeof(unwanted.interface.name), "%s", name);
	pin_link_name(name, pin);
	unwanted.link_fd = pin_open(dp, pin);
	remove_link(dp, &unwanted);
}

/* Takes off again what this call attached; links that were there before stay as they are. */
static void undo(struct datapath *dp, const bool was_there[DATAPATH_INTERFACES_MAX])
{
	for (size_t i = 0; i < dp->attachment_count; i++)
		if (!was_there[i])
			remove_link(dp, &dp->attachments[i]);
}

int attach_all(struct datapath *dp, const struct datapath_options *options, struct err *err)
{
	bool was_there[DATAPATH_INTERFACES_MAX] = { false };
	char pin[PIN_PATH_MAX];
	int code = 0;

	if (options->interface_count > DATAPATH_INTERFACES_MAX)
		return err_set(err, -E2BIG, "more than %d interfaces", DATAPATH_INTERFACES_MAX);
	for (size_t i = 0; i < options->interface_count && code == 0; i++) {
		int fd;

		pin_link_name(options->interfaces[i], pin);
		fd = pin_open(dp, pin);
		was_there[i] = fd >= 0;
		if (fd >= 0)
			close(fd);
		code = attach_one(dp, options->interfaces[i], err);
	}
	if (code) {
		undo(dp, was_there);
		return code;
	}
	pin_each_link(dp, remove_unwanted, dp);
	return 0;
}

void attach_remove_all(struct datapath *dp)
{
	for (size_t i = 0; i < dp->attachment_count; i++)
		remove_link(dp, &dp->attachments[i]);
	dp->attachment_count = 0;
	pin_each_link(dp, remove_unwanted, dp);
}
