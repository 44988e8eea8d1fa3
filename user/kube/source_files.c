// SPDX-License-Identifier: Apache-2.0
/* source_files: see source_files.h. */
#include "kube/source_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "kube/source_dir.h"

enum {
	BUFFER_LEAST_BYTES = 64 << 10,
	/* Coarser than the clock of any file system we know. */
	SETTLED_AFTER_S = 2,
	TROUBLE_BYTES_MAX = 256,
};

/* What stat(2) tells of a version of a file. */
struct stamp {
	uint64_t device, inode, size_bytes;
	uint64_t modified_ns, changed_ns;
};

struct source_file {
	struct table_item item;
	struct str path; /* owned */
	struct stamp stamp;
	bool is_settled; /* stamp alone tells whether the file changed */
	bool was_read;   /* hash is that of what the store was told */
	uint64_t hash;
	uint64_t round;
};

void source_files_init(struct source_files *files, struct store *store)
{
	*files = (struct source_files){ .store = store };
	random_bytes(&files->key, sizeof(files->key));
}

static void free_file(struct source_file *file)
{
	mem_free((char *)file->path.at); /* made by get_file */
	mem_free(file);
}

void source_files_release(struct source_files *files)
{
	struct table_item *item = table_next(&files->table, NULL);

	while (item) {
		struct source_file *file = (struct source_file *)item; /* its first member */

		item = table_next(&files->table, item);
		free_file(file);
	}
	table_release(&files->table);
	mem_free(files->buffer);
}

static struct source_file *find_file(const struct source_files *files, struct str path)
{
	uint64_t hash = siphash(files->key, path);
	struct table_item *item = table_first(&files->table, hash);

	for (; item; item = item->next) {
		struct source_file *file = (struct source_file *)item; /* its first member */

		if (item->hash == hash && str_eq(file->path, path))
			return file;
	}
	return NULL;
}

static struct source_file *get_file(struct source_files *files, struct str path)
{
	struct source_file *file = find_file(files, path);

	if (!file) {
		file = mem_new(1, sizeof(*file));
		file->item.hash = siphash(files->key, path);
		file->path = str_of(mem_copy_text(path.at, path.len), path.len);
		table_add(&files->table, &file->item);
	}
	file->round = files->round;
	return file;
}

static void remove_file(struct source_files *files, struct source_file *file)
{
	store_remove_origin(files->store, file->path);
	table_remove(&files->table, &file->item);
	free_file(file);
}

/* ------------------------------------------------------------------ findings */

/* @is_broken: what the file said before stays in force. */
static void tell(struct source_files *files, struct source_file *file, bool is_broken,
		 const char *reason, const char *text)
{
	struct finding_place place = { .file = file->path };
	struct decoded decoded;

	decoded_init(&decoded);
	decoded.is_broken = is_broken;
	findings_add(&decoded.findings, FINDING_ERROR, reason, &place, "%s", text);
	store_put_origin(files->store, file->path, &decoded);
	decoded_release(&decoded);
	file->is_settled = false;
	file->was_read = false;
}

void source_files_trouble(struct source_files *files, struct str path, const char *reason,
			  const char *text)
{
	tell(files, get_file(files, path), false, reason, text);
}

static void tell_errno(struct source_files *files, struct source_file *file, const char *what,
		       int code)
{
	char text[TROUBLE_BYTES_MAX];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(-code));
	tell(files, file, true, "Unreadable", text);
}

/* ------------------------------------------------------------------- reading */

static uint64_t time_ns(struct timespec time)
{
	return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static struct stamp stamp_of(const struct stat *status)
{
	return (struct stamp){
		.device = status->st_dev,
		.inode = status->st_ino,
		.size_bytes = (uint64_t)status->st_size,
		.modified_ns = time_ns(status->st_mtim),
		.changed_ns = time_ns(status->st_ctim),
	};
}

static bool stamp_eq(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size_bytes == b->size_bytes &&
	       a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

/* All bytes of @fd, at most NODE_TEXT_MAX + 1 of them, so that more is seen as too many. */
static int read_all(struct source_files *files, int fd, struct str *text)
{
	size_t len = 0;

	for (;;) {
		ssize_t got;

		if (len == files->buffer_bytes) {
			files->buffer_bytes = len ? len * 2 : BUFFER_LEAST_BYTES;
			files->buffer = mem_resize(files->buffer, files->buffer_bytes, 1);
		}
		got = read(fd, files->buffer + len, files->buffer_bytes - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		len += (size_t)got;
		if (got == 0 || len > NODE_TEXT_MAX)
			break;
	}
	*text = str_of(files->buffer, len);
	return 0;
}

/* What @text says goes to the store, unless it said so before. */
static void take_text(struct source_files *files, struct source_file *file, struct str text)
{
	uint64_t hash = siphash(files->key, text);
	struct decoded decoded;

	files->read_count++;
	if (file->was_read && file->hash == hash)
		return;
	file->hash = hash;
	file->was_read = true;
	decoded_init(&decoded);
	decode_text(file->path, text, node_format_of(file->path, text), &decoded);
	store_put_origin(files->store, file->path, &decoded);
	decoded_release(&decoded);
}

static void read_file(struct source_files *files, struct source_file *file, int fd)
{
	uint64_t now_ns = clock_wall_ns();
	struct stat status;
	struct str text;
	int rc = fstat(fd, &status) < 0 ? -errno : 0;

	if (rc == 0 && !S_ISREG(status.st_mode)) {
		tell(files, file, true, "Unreadable", "no regular file");
		return;
	}
	if (rc == 0)
		rc = read_all(files, fd, &text);
	if (rc < 0) {
		tell_errno(files, file, "cannot be read", rc);
		return;
	}
	if (text.len > NODE_TEXT_MAX) {
		tell(files, file, true, "TooLarge", "file is too large to be read");
		return;
	}
	file->stamp = stamp_of(&status);
	file->is_settled = file->stamp.modified_ns + SETTLED_AFTER_S * NS_PER_S < now_ns &&
			   file->stamp.changed_ns + SETTLED_AFTER_S * NS_PER_S < now_ns;
	take_text(files, file, text);
}

/* 0; -ENOENT where there is no such file any more, and nothing was done. */
static int look_at(struct source_files *files, struct source_file *file)
{
	struct stat status;
	struct stamp stamp;
	int fd;

	if (file->is_settled && stat(file->path.at, &status) == 0) {
		stamp = stamp_of(&status);
		if (stamp_eq(&stamp, &file->stamp)) {
			files->unread_count++;
			return 0;
		}
	}
	/* O_NONBLOCK: a FIFO must not stop us. */
	fd = open(file->path.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return -ENOENT;
	if (fd < 0) {
		tell_errno(files, file, "cannot be opened", -errno);
		return 0;
	}
	read_file(files, file, fd);
	close(fd);
	return 0;
}

bool source_files_is_unread(const struct source_files *files, struct str path)
{
	const struct source_file *file = find_file(files, path);

	return file && !file->was_read;
}

/* -------------------------------------------------------------------- rounds */

void source_files_begin(struct source_files *files)
{
	files->round++;
}

void source_files_refresh(struct source_files *files, struct str path)
{
	struct source_file *file = get_file(files, path);

	if (look_at(files, file) < 0)
		remove_file(files, file);
}

void source_files_visit(struct source_files *files, struct str path)
{
	bool is_new = !find_file(files, path);

	if (is_new && files->table.count >= SOURCE_DIR_FILES_MAX)
		return;
	source_files_refresh(files, path);
}

void source_files_keep_below(struct source_files *files, struct str path)
{
	struct table_item *item = NULL;

	while ((item = table_next(&files->table, item))) {
		struct source_file *file = (struct source_file *)item; /* its first member */

		if (str_starts_with(file->path, path) && file->path.len > path.len &&
		    file->path.at[path.len] == '/')
			file->round = files->round;
	}
}

void source_files_sweep(struct source_files *files)
{
	struct table_item *item = table_next(&files->table, NULL);

	while (item) {
		struct source_file *file = (struct source_file *)item; /* its first member */

		item = table_next(&files->table, item);
		if (file->round != files->round)
			remove_file(files, file);
	}
}
