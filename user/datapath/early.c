// SPDX-License-Identifier: Apache-2.0
/*
 * early: whether XDP answers SYNs, and with what.
 *
 * Early dispatch takes all of these: XDP that can read a payload, tc_admit with
 * the kernel's way to make a socket from it, a link of it on each interface that
 * has XDP, and timestamps in this network namespace. What is missing is said in
 * one text, and the kernel answers SYNs as ever.
 *
 * What an answered SYN promises is what this kernel would have promised: our
 * window scale, SACK and ECN follow its settings. Answers are given on interfaces
 * where they arrive (reach.c) and tc_admit will see what follows (admit.c); on the
 * others the kernel gives its own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/clock.h"
#include "base/random.h"
#include "datapath/internal.h"

enum {
	IPV4_TCP_BYTES = 40,
	IPV6_TCP_BYTES = 60,
	MTU_USUAL = 1500,
	MTU_MIN = 576,
	WINDOW_SCALE_MAX = 14,
	WINDOW_BITS = 15, /* the kernel scales a buffer of more than 2^15 bytes */
};

/* ---- what this kernel would have done ------------------------------------------------------- */

/* The last number in a file of /proc/sys/net; @missing where there is none. */
static uint64_t read_sysctl(const char *name, uint64_t missing)
{
	unsigned long long value = missing, next;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	file = fopen(path, "re");
	if (!file)
		return missing;
	while (fscanf(file, "%llu", &next) == 1)
		value = next;
	fclose(file);
	return value;
}

static uint8_t our_window_scale(void)
{
	uint64_t space = read_sysctl("ipv4/tcp_rmem", 0), most = read_sysctl("core/rmem_max", 0);
	uint8_t scale = 0;

	if (!read_sysctl("ipv4/tcp_window_scaling", 1))
		return 0;
	for (space = space > most ? space : most; space >> (WINDOW_BITS + 1); space >>= 1)
		scale++;
	return scale < WINDOW_SCALE_MAX ? scale : WINDOW_SCALE_MAX;
}

static int interface_mtu(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int mtu = MTU_USUAL;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0)
		mtu = request.ifr_mtu;
	if (fd >= 0)
		close(fd);
	return mtu;
}

/* One number for all interfaces: the smallest is good on each of them. */
static uint16_t smallest_mtu(const struct datapath *dp)
{
	int smallest = UINT16_MAX;

	for (size_t i = 0; i < dp->attachment_count; i++) {
		int mtu;

		if (dp->attachments[i].interface.mode == XDP_MODE_OFF)
			continue;
		mtu = interface_mtu(dp->attachments[i].interface.name);
		if (mtu >= MTU_MIN && mtu < smallest)
			smallest = mtu;
	}
	return (uint16_t)smallest;
}

/* ---- settings and keys ---------------------------------------------------------------------- */

int early_read_settings(const struct datapath *dp, struct settings_value *value, struct err *err)
{
	uint32_t row = 0;

	if (bpf_map_lookup_elem(dp->map_fds[MAP_SETTINGS], &row, value))
		return err_set_os(err, -errno, "cannot read map 'settings'");
	return 0;
}

int early_set_settings(const struct datapath *dp, const struct settings_value *value,
		       struct err *err)
{
	uint32_t row = 0;

	if (bpf_map_update_elem(dp->map_fds[MAP_SETTINGS], &row, value, BPF_ANY))
		return err_set_os(err, -errno, "cannot write map 'settings'");
	return 0;
}

static int write_key(const struct datapath *dp, uint32_t slot, struct err *err)
{
	struct cookie_key key = { .valid_from_ns = clock_monotonic_ns() };

	random_bytes(&key.k0, sizeof(key.k0));
	random_bytes(&key.k1, sizeof(key.k1));
	if (bpf_map_update_elem(dp->map_fds[MAP_COOKIE_KEYS], &slot, &key, BPF_ANY))
		return err_set_os(err, -errno, "cannot write map 'cookie_keys'");
	return 0;
}

int datapath_rotate_keys(struct datapath *dp, struct err *err)
{
	struct settings_value value;
	int code = early_read_settings(dp, &value, err);
	uint8_t slot;

	if (code)
		return code;
	slot = !value.cookie_slot;
	code = write_key(dp, slot, err);
	if (code)
		return code;
	value.cookie_slot = slot; /* only now: the key is there before it is used */
	return early_set_settings(dp, &value, err);
}

int early_write_settings(const struct datapath *dp, struct err *err)
{
	struct settings_value value;
	int code = early_read_settings(dp, &value, err);

	if (code)
		return code;
	value.has_sack = read_sysctl("ipv4/tcp_sack", 1) != 0;
	value.has_ecn = read_sysctl("ipv4/tcp_ecn", 2) != 0;
	value.window_scale = our_window_scale();
	if (!dp->is_taken_over) {
		random_bytes(&value.timestamp_offset, sizeof(value.timestamp_offset));
		value.source_bits_ipv4 = 32;
		value.source_bits_ipv6 = 64;
		code = write_key(dp, value.cookie_slot, err);
	}
	return code ? code : early_set_settings(dp, &value, err);
}

/* Whether it answers is written in the interface's own row, with the reason. */
static void look_at(struct attachment *attachment)
{
	struct datapath_interface *interface = &attachment->interface;
	struct err err = { 0 };

	interface->is_early =
		reach_check(interface, &err) == 0 && admit_check(attachment, &err) == 0;
	snprintf(interface->early_text, sizeof(interface->early_text), "%.*s",
		 (int)sizeof(interface->early_text) - 1, err.text);
}

static void list_answering(struct datapath *dp, struct settings_value *value)
{
	uint32_t count = 0;

	memset(value->answering, 0, sizeof(value->answering));
	for (size_t i = 0; i < dp->attachment_count && count < ANSWERING_MAX; i++) {
		struct datapath_interface *interface = &dp->attachments[i].interface;

		look_at(&dp->attachments[i]);
		if (interface->is_early)
			value->answering[count++] = interface->index;
	}
	value->is_answering = count > 0;
}

int early_follow_interfaces(struct datapath *dp, struct err *err)
{
	struct settings_value value, before;
	int code = early_read_settings(dp, &value, err);
	uint16_t mtu = smallest_mtu(dp);

	if (code)
		return code;
	before = value;
	list_answering(dp, &value);
	value.mss_ipv4 = mtu - IPV4_TCP_BYTES;
	value.mss_ipv6 = mtu - IPV6_TCP_BYTES;
	return memcmp(&value, &before, sizeof(value)) ? early_set_settings(dp, &value, err) : 0;
}

/* ---- on and off ----------------------------------------------------------------------------- */

static int attach_all_admit(struct datapath *dp, struct err *err)
{
	size_t attached = 0;
	int code = 0;

	for (size_t i = 0; i < dp->attachment_count && code == 0; i++) {
		if (dp->attachments[i].interface.mode == XDP_MODE_OFF)
			continue;
		code = admit_attach(dp, &dp->attachments[i], err);
		attached++;
	}
	if (code == 0 && attached == 0)
		return err_set(err, -ENODEV, "no interface has XDP");
	return code;
}

static int start(struct datapath *dp, struct err *err)
{
	if (!dp->can_dispatch)
		return err_set(err, -ENOTSUP, "XDP cannot read a payload on this kernel");
	if (dp->admit_fd < 0)
		return err_set(err, -ENOTSUP, "%s", dp->early_text);
	if (read_sysctl("ipv4/tcp_timestamps", 1) == 0)
		return err_set(err, -ENOTSUP, "net.ipv4.tcp_timestamps is 0");
	if (attach_all_admit(dp, err))
		return err->code;
	return early_follow_interfaces(dp, err);
}

void early_start(struct datapath *dp, const struct datapath_options *options)
{
	struct err err = { 0 };

	if (options->wants_early_dispatch && start(dp, &err) == 0) {
		dp->early_text[0] = 0;
		dp->is_early = true;
		return;
	}
	early_stop(dp);
	for (size_t i = 0; i < dp->attachment_count; i++)
		admit_remove(dp, dp->attachments[i].interface.name, &dp->attachments[i].admit_fd);
	if (options->wants_early_dispatch)
		snprintf(dp->early_text, sizeof(dp->early_text), "%.*s",
			 (int)sizeof(dp->early_text) - 1, err.text);
}

void early_stop(struct datapath *dp)
{
	struct settings_value value;

	dp->is_early = false;
	for (size_t i = 0; i < dp->attachment_count; i++) {
		dp->attachments[i].interface.is_early = false;
		dp->attachments[i].interface.early_text[0] = 0;
	}
	if (early_read_settings(dp, &value, NULL))
		return;
	value.is_answering = 0;
	memset(value.answering, 0, sizeof(value.answering));
	early_set_settings(dp, &value, NULL);
}

bool datapath_is_early(const struct datapath *dp)
{
	return dp->is_early;
}

const char *datapath_early_text(const struct datapath *dp)
{
	return dp->early_text;
}
