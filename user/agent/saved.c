// SPDX-License-Identifier: Apache-2.0
/* saved: see saved.h. */
#include "agent/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/container.h"
#include "base/log.h"
#include "base/memfd.h"

enum { PATH_BYTES = 4096 };

static const char *const names[PUBLISHED_COUNT] = {
	[PUBLISHED_ENDPOINTS] = "saved-endpoints",
	[PUBLISHED_CERTS] = "saved-certs",
	[PUBLISHED_IMAGE] = "saved-image",
};

/* ------------------------------------------------------------------------------- files */

static int write_all(int fd, struct str bytes)
{
	while (bytes.len) {
		ssize_t len = write(fd, bytes.at, bytes.len);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		bytes = str_slice(bytes, (size_t)len, bytes.len);
	}
	return 0;
}

int saved_write_file(const char *path, struct str bytes, struct err *err)
{
	char beside[PATH_BYTES];
	int fd, rc;

	snprintf(beside, sizeof(beside), "%s.new", path);
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_os(err, -errno, "cannot write '%s'", beside);
	rc = write_all(fd, bytes);
	close(fd);
	if (!rc && rename(beside, path) < 0)
		rc = -errno;
	if (rc) {
		unlink(beside);
		return err_set_os(err, rc, "cannot write '%s'", path);
	}
	return 0;
}

int saved_read_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat facts;
	void *at;
	int rc;

	if (fd < 0)
		return err_set_os(err, -errno, "cannot read '%s'", path);
	if (fstat(fd, &facts) < 0 || facts.st_size <= 0) {
		close(fd);
		return err_set(err, -EINVAL, "'%s' is empty", path);
	}
	at = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	rc = at == MAP_FAILED ? err_set_os(err, -errno, "cannot read '%s'", path) : 0;
	close(fd);
	if (rc)
		return rc;
	rc = memfd_seal("sluice-saved", str_of(at, (size_t)facts.st_size), err);
	munmap(at, (size_t)facts.st_size);
	return rc;
}

static void make_path(const struct saved *saved, enum published_kind kind, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/%s", saved->agent->options->run_dir, names[kind]);
}

/* ------------------------------------------------------------------------------- write */

static void on_due(struct loop_timer *timer)
{
	struct saved *saved = CONTAINER_OF(timer, struct saved, timer);
	const struct publisher *publisher = &saved->agent->publisher;

	for (int i = 0; i < PUBLISHED_COUNT; i++) {
		struct err err = { 0 };
		char path[PATH_BYTES];

		if (saved->generations[i] == publisher->of[i].generation)
			continue;
		make_path(saved, (enum published_kind)i, path);
		if (saved_write_file(path, publisher->of[i].bytes, &err)) {
			log_warning("agent", "the configuration is not saved: %s", err.text);
			return;
		}
		saved->generations[i] = publisher->of[i].generation;
	}
}

void saved_on_in_force(struct saved *saved)
{
	struct loop *loop = &saved->agent->loop;

	if (saved->is_on && !saved->timer.next)
		loop_timer_set(loop, &saved->timer, loop->now_ms + SAVED_AFTER_MS);
}

/* -------------------------------------------------------------------------------- load */

/* Bytes that were made for another version, or cut short, are refused by the segment's reader. */
static int load_one(struct saved *saved, enum published_kind kind, struct err *err)
{
	char path[PATH_BYTES];
	struct str bytes;
	int fd, rc;

	make_path(saved, kind, path);
	fd = saved_read_file(path, err);
	if (fd < 0)
		return fd;
	rc = memfd_map_sealed(fd, &bytes, err);
	close(fd);
	if (rc)
		return rc;
	rc = publisher_set(&saved->agent->publisher, kind, bytes, err);
	memfd_unmap(bytes.at, bytes.len);
	return rc;
}

bool saved_load(struct saved *saved)
{
	struct publisher *publisher = &saved->agent->publisher;
	struct err err = { 0 };

	if (!saved->is_on)
		return false;
	for (int i = 0; i < PUBLISHED_COUNT; i++) {
		int rc = load_one(saved, (enum published_kind)i, &err);

		if (rc && rc != -ENOENT)
			log_warning("agent", "the saved configuration is not used: %s", err.text);
		if (rc) {
			publisher_release(publisher);
			return false;
		}
	}
	for (int i = 0; i < PUBLISHED_COUNT; i++)
		saved->generations[i] = publisher->of[i].generation;
	log_info("agent", "serving the saved generation %" PRIu64 " until the API server answers",
		 publisher_generation(publisher));
	return true;
}

/* ------------------------------------------------------------------------- open, close */

void saved_open(struct saved *saved, struct agent *agent)
{
	struct statfs facts;

	*saved = (struct saved){ .agent = agent, .timer.on_due = on_due };
	if (!cluster_is_wanted(agent->options))
		return;
	saved->is_on = statfs(agent->options->run_dir, &facts) == 0 &&
		       (facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC);
	if (!saved->is_on)
		log_info("agent",
			 "run dir '%s' is not on a tmpfs: private keys do not go there, so a "
			 "restart needs the API server",
			 agent->options->run_dir);
}

void saved_close(struct saved *saved)
{
	if (saved->agent)
		loop_timer_clear(&saved->agent->loop, &saved->timer);
}
