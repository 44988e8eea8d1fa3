// SPDX-License-Identifier: Apache-2.0
/*
 * watch: what others change while we run.
 *
 *   an interface is made anew      XDP goes on it again, as at start
 *   XDP was taken off ours         it stays off: whoever did that wanted it, and
 *                                  the next start puts it back
 *   a veth's peer changed          answering follows it (reach.c)
 *   tc_admit was taken off, or     no SYNs are answered there, as long as that is so
 *   another stands in front of it
 *
 * All of it is read again at each look: nothing has to be noticed in time, and
 * nothing that was missed stays wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "datapath/internal.h"

static void say(struct datapath_interface *interface, const char *text)
{
	snprintf(interface->text, sizeof(interface->text), "%.*s", (int)sizeof(interface->text) - 1,
		 text);
}

/* True where there is an interface of that name, and it is not the one we knew. */
static bool is_made_anew(const struct datapath_interface *interface)
{
	unsigned int index = if_nametoindex(interface->name);

	return index && index != interface->index;
}

static void meet_new_interface(struct datapath *dp, struct attachment *attachment)
{
	struct err err = { 0 };
	int code = attach_again(dp, attachment, &err);

	if (code == 0 && dp->is_early && attachment->interface.mode != XDP_MODE_OFF)
		code = admit_attach(dp, attachment, &err);
	if (code)
		say(&attachment->interface, err.text);
}

static void look_at_link(struct datapath *dp, struct attachment *attachment)
{
	struct datapath_interface *interface = &attachment->interface;

	if (attachment->link_fd >= 0 && !attach_is_alive(attachment)) {
		attach_forget(dp, attachment);
		say(interface, if_nametoindex(interface->name) ? "XDP was taken off while we ran"
							       : "the interface is gone");
	}
	if (attachment->link_fd < 0 && is_made_anew(interface))
		meet_new_interface(dp, attachment);
}

void datapath_recheck(struct datapath *dp)
{
	int lock;

	if (dp->xdp == XDP_MODE_OFF)
		return;
	lock = pin_try_lock(dp);
	if (lock == -EWOULDBLOCK)
		return; /* whoever writes now looks, too */
	for (size_t i = 0; i < dp->attachment_count; i++)
		look_at_link(dp, &dp->attachments[i]);
	if (dp->is_early)
		early_follow_interfaces(dp, NULL);
	if (lock >= 0)
		close(lock);
}
