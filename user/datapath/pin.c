// SPDX-License-Identifier: Apache-2.0
/*
 * pin: where BPF objects stay when no process holds them.
 *
 * A directory of pins is made beside its place and renamed into it, so that it
 * is there whole or not at all. Writers hold flock(2) on the directory of the
 * network namespace. Readers need no lock: what they find is complete.
 *
 * bpffs knows neither dots in names nor files: only directories, pins and links.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "datapath/internal.h"

static const char *const bpffs_default = "/sys/fs/bpf";
static const char *const link_prefix = "link_xdp_steer-";
static const char *const admit_prefix = "link_tc_admit-";

static int join(char path[PIN_PATH_MAX], const char *dir, const char *name, struct err *err)
{
	int len = snprintf(path, PIN_PATH_MAX, "%s/%s", dir, name);

	if (len < 0 || len >= PIN_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "path '%s/%s' is too long", dir, name);
	return 0;
}

int pin_paths(struct datapath *dp, const char *bpf_dir, struct err *err)
{
	char name[32];
	struct stat netns;
	int code;

	if (stat("/proc/thread-self/ns/net", &netns))
		return err_set_os(err, -errno,
				  "no network namespace in '/proc/thread-self/ns/net'");
	snprintf(name, sizeof(name), "%llu", (unsigned long long)netns.st_ino);
	code = join(dp->netns_dir, bpf_dir, name, err);
	if (code)
		return code;
	snprintf(name, sizeof(name), "v%d", CONTRACT_SCHEMA);
	return join(dp->pin_dir, dp->netns_dir, name, err);
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (uint32_t)fs.f_type == BPF_FS_MAGIC;
}

static int make_dir(const char *path, struct err *err)
{
	if (mkdir(path, PIN_DIR_MODE) && errno != EEXIST)
		return err_set_os(err, -errno, "cannot make directory '%s'", path);
	return 0;
}

/* Makes all of @path that is missing. */
static int make_dirs(const char *path, struct err *err)
{
	char part[PIN_PATH_MAX];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path);

		if (len >= sizeof(part))
			return err_set(err, -ENAMETOOLONG, "path '%s' is too long", path);
		memcpy(part, path, len);
		part[len] = 0;
		if (access(part, F_OK) && make_dir(part, err))
			return err ? err->code : -EIO;
	}
	return make_dir(path, err);
}

/* The usual place is mounted as a whole, so that other tools find it; any other for us alone. */
static int mount_bpffs(const char *bpf_dir, struct err *err)
{
	size_t len = strlen(bpffs_default);
	bool is_usual = strncmp(bpf_dir, bpffs_default, len) == 0 &&
			(bpf_dir[len] == '/' || bpf_dir[len] == 0);
	const char *target = is_usual ? bpffs_default : bpf_dir;
	int code;

	if (is_bpffs(target))
		return 0;
	code = make_dirs(target, err);
	if (code)
		return code;
	if (is_bpffs(target)) /* it stands inside of one that was mounted by hand */
		return 0;
	if (mount("bpf", target, "bpf", 0, "mode=0700"))
		return err_set_os(err, -errno, "cannot mount bpffs on '%s'", target);
	return 0;
}

int pin_prepare(struct datapath *dp, const char *bpf_dir, struct err *err)
{
	int code;

	if (bpf_dir[0] != '/')
		return err_set(err, -EINVAL, "bpf directory '%s' is not an absolute path", bpf_dir);
	code = mount_bpffs(bpf_dir, err);
	if (code)
		return code;
	return make_dirs(dp->netns_dir, err);
}

int pin_lock(const struct datapath *dp, struct err *err)
{
	int fd = open(dp->netns_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code;

	if (fd < 0)
		return err_set_os(err, -errno, "cannot open '%s'", dp->netns_dir);
	if (flock(fd, LOCK_EX)) {
		code = err_set_os(err, -errno, "cannot lock '%s'", dp->netns_dir);
		close(fd);
		return code;
	}
	return fd;
}

int pin_try_lock(const struct datapath *dp)
{
	int fd = open(dp->netns_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd < 0 ? -errno : fd;
	code = -errno;
	close(fd);
	return code;
}

bool pin_is_published(const struct datapath *dp)
{
	return access(dp->pin_dir, F_OK) == 0;
}

/* ---- one pin -------------------------------------------------------------------------------- */

static int pin_at(const char *dir, int fd, const char *name, struct err *err)
{
	char path[PIN_PATH_MAX];
	int code = join(path, dir, name, err);

	if (code)
		return code;
	if (bpf_obj_pin(fd, path))
		return err_set_os(err, -errno, "cannot pin '%s'", path);
	if (chmod(path, PIN_FILE_MODE))
		return err_set_os(err, -errno, "cannot set the mode of '%s'", path);
	return 0;
}

int pin_open(const struct datapath *dp, const char *name)
{
	char path[PIN_PATH_MAX];
	int fd;

	if (join(path, dp->pin_dir, name, NULL))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

void pin_remove(const struct datapath *dp, const char *name)
{
	char path[PIN_PATH_MAX];

	if (join(path, dp->pin_dir, name, NULL) == 0)
		unlink(path);
}

int pin_replace(const struct datapath *dp, int fd, const char *name, struct err *err)
{
	char fresh_name[PIN_PATH_MAX / 2];
	char fresh[PIN_PATH_MAX], path[PIN_PATH_MAX];
	int code;

	snprintf(fresh_name, sizeof(fresh_name), "%s-new", name);
	code = join(fresh, dp->pin_dir, fresh_name, err);
	if (code == 0)
		code = join(path, dp->pin_dir, name, err);
	if (code)
		return code;
	unlink(fresh); /* left behind by one that died here */
	code = pin_at(dp->pin_dir, fd, fresh_name, err);
	if (code)
		return code;
	if (rename(fresh, path))
		return err_set_os(err, -errno, "cannot rename '%s'", fresh);
	return 0;
}

/* ---- directories ---------------------------------------------------------------------------- */

void pin_each_name(const char *dir, void (*on_name)(void *arg, const char *name), void *arg)
{
	DIR *open_dir = opendir(dir);
	struct dirent *entry;

	if (!open_dir)
		return;
	while ((entry = readdir(open_dir)))
		if (entry->d_name[0] != '.')
			on_name(arg, entry->d_name);
	closedir(open_dir);
}

static void unlink_in(void *arg, const char *name)
{
	char path[PIN_PATH_MAX];

	if (join(path, arg, name, NULL) == 0)
		unlink(path);
}

static void remove_dir(char *dir)
{
	pin_each_name(dir, unlink_in, dir);
	rmdir(dir);
}

void pin_remove_all(const struct datapath *dp)
{
	char dir[PIN_PATH_MAX];

	memcpy(dir, dp->pin_dir, sizeof(dir));
	remove_dir(dir);
	rmdir(dp->netns_dir); /* stays where another schema lives in it */
}

int pin_publish(const struct datapath *dp, struct err *err)
{
	char dir[PIN_PATH_MAX];
	int code = join(dir, dp->netns_dir, "tmp-XXXXXX", err);

	if (code)
		return code;
	if (!mkdtemp(dir))
		return err_set_os(err, -errno, "cannot make directory '%s'", dir);
	if (chmod(dir, PIN_DIR_MODE))
		code = err_set_os(err, -errno, "cannot set the mode of '%s'", dir);
	for (int i = 0; i < MAP_COUNT && code == 0; i++)
		code = pin_at(dir, dp->map_fds[i], map_names[i], err);
	if (code == 0 && rename(dir, dp->pin_dir))
		code = err_set_os(err, -errno, "cannot rename '%s' to '%s'", dir, dp->pin_dir);
	if (code)
		remove_dir(dir);
	return code;
}

/* ---- links ---------------------------------------------------------------------------------- */

static void name_pin(const char *prefix, const char *interface, char name[PIN_PATH_MAX])
{
	size_t len = strlen(prefix);

	memcpy(name, prefix, len);
	for (; *interface && len < PIN_PATH_MAX - 4; interface++) {
		if (*interface != '.') {
			name[len++] = *interface;
			continue;
		}
		memcpy(name + len, "%2e", 3);
		len += 3;
	}
	name[len] = 0;
}

void pin_link_name(const char *interface, char name[PIN_PATH_MAX])
{
	name_pin(link_prefix, interface, name);
}

void pin_admit_name(const char *interface, char name[PIN_PATH_MAX])
{
	name_pin(admit_prefix, interface, name);
}

struct link_visit {
	void (*on_link)(void *arg, const char *interface);
	void *arg;
};

static void visit_link(void *arg, const char *name)
{
	struct link_visit *visit = arg;
	char interface[PIN_PATH_MAX];
	size_t len = 0;

	if (strncmp(name, link_prefix, strlen(link_prefix)) != 0)
		return;
	for (name += strlen(link_prefix); *name && len < sizeof(interface) - 1; name++) {
		bool is_dot = strncmp(name, "%2e", 3) == 0;

		interface[len++] = is_dot ? '.' : *name;
		if (is_dot)
			name += 2;
	}
	interface[len] = 0;
	visit->on_link(visit->arg, interface);
}

void pin_each_link(const struct datapath *dp, void (*on_link)(void *arg, const char *interface),
		   void *arg)
{
	struct link_visit visit = { on_link, arg };

	pin_each_name(dp->pin_dir, visit_link, &visit);
}

/* ---- other schemas -------------------------------------------------------------------------- */

struct schema_search {
	const struct datapath *dp;
	unsigned int found; /* the schema whose links are still there; 0: none */
};

static void note_any(void *arg, const char *interface)
{
	(void)interface;
	*(bool *)arg = true;
}

static void look_for_links(void *arg, const char *name)
{
	struct schema_search *search = arg;
	struct datapath other = { 0 };
	bool has_link = false;
	unsigned int schema;
	char rest;

	if (sscanf(name, "v%u%c", &schema, &rest) != 1 || schema == CONTRACT_SCHEMA)
		return;
	if (join(other.pin_dir, search->dp->netns_dir, name, NULL))
		return;
	pin_each_link(&other, note_any, &has_link);
	if (has_link)
		search->found = schema;
}

int pin_check_other_schemas(const struct datapath *dp, struct err *err)
{
	struct schema_search search = { .dp = dp };

	pin_each_name(dp->netns_dir, look_for_links, &search);
	if (!search.found)
		return 0;
	return err_set(err, -EPROTO,
		       "'%s/v%u' holds XDP links of schema %u, and this is schema %d; "
		       "end the other sluice and remove that directory",
		       dp->netns_dir, search.found, search.found, CONTRACT_SCHEMA);
}
