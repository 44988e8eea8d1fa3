// SPDX-License-Identifier: Apache-2.0
/*
 * source_dir: see source_dir.h.
 *
 * Events only say where to look; what is there is always asked of the file
 * system. First all waiting events are taken, then each file they name is looked
 * at once, or everything is when one of them was about more than a file. So an
 * order of events, or one that is missing after an overflow, changes nothing.
 *
 * A watch is set before its directory is read: what is made in between is seen
 * twice rather than not at all.
 */
#include "kube/source_dir.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kube/source_files.h"
#include "kube/source_watch.h"

enum {
	DIRECTORIES_MAX = 1 << 16,
	EVENT_BYTES = 64 << 10,
	EVENT_READS_MAX = 256, /* in one step; the rest waits for the next */
	TROUBLE_BYTES_MAX = 256,
};

struct source_dir {
	struct source_files files;
	struct source_watches watches;
	struct store *store; /* borrowed */
	struct VEC(struct str) roots;
	struct VEC(struct str) dirty; /* files that events named; owned */
	bool must_rescan;
	uint64_t rescan_count;
	size_t directory_count;
};

/* The directories above the one that is read, against links that lead into a circle. */
struct walk {
	struct {
		dev_t device;
		ino_t inode;
	} above[SOURCE_DIR_DEPTH_MAX];
	uint32_t depth;
};

/* ---------------------------------------------------------------------- paths */

static struct str copy_text(struct str text)
{
	return str_of(mem_copy_text(text.at, text.len), text.len);
}

static struct str join(struct str dir, struct str name)
{
	bool has_slash = dir.len && dir.at[dir.len - 1] == '/';
	size_t len = dir.len + !has_slash + name.len;
	char *path = mem_new(len + 1, 1);

	snprintf(path, len + 1, "%.*s%s%.*s", STR_ARG(dir), has_slash ? "" : "/", STR_ARG(name));
	return str_of(path, len);
}

static void free_path(struct str path)
{
	mem_free((char *)path.at); /* made by copy_text or join */
}

static bool is_hidden(struct str name)
{
	return name.len == 0 || name.at[0] == '.';
}

static bool is_manifest(struct str name)
{
	return str_ends_with(name, STR(".yaml")) || str_ends_with(name, STR(".yml")) ||
	       str_ends_with(name, STR(".json"));
}

static struct str without_end_slashes(struct str path)
{
	while (path.len > 1 && path.at[path.len - 1] == '/')
		path.len--;
	return path;
}

static struct str base_name(struct str path)
{
	size_t start = path.len;

	while (start > 0 && path.at[start - 1] != '/')
		start--;
	return str_slice(path, start, path.len);
}

/* The directory of @path as an owned copy. */
static struct str copy_parent(struct str path)
{
	struct str parent = str_slice(path, 0, path.len - base_name(path).len);

	return copy_text(parent.len ? without_end_slashes(parent) : STR("."));
}

/* -------------------------------------------------------------------- walking */

static void tell_errno(struct source_dir *dir, struct str path, const char *what, int code)
{
	char text[TROUBLE_BYTES_MAX];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(-code));
	source_files_trouble(&dir->files, path, "Unreadable", text);
}

static void watch_path(struct source_dir *dir, struct str path, struct str only)
{
	int rc = source_watches_add(&dir->watches, path, only);

	/* One that is gone by now is told by the watch above it. */
	if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
		tell_errno(dir, path, "changes in here will not be seen", rc);
}

static bool enter(struct source_dir *dir, struct walk *walk, struct str path)
{
	struct stat status;

	if (stat(path.at, &status) < 0)
		return false;
	for (uint32_t i = 0; i < walk->depth; i++) {
		if (walk->above[i].device == status.st_dev && walk->above[i].inode == status.st_ino)
			return false;
	}
	if (walk->depth == SOURCE_DIR_DEPTH_MAX || dir->directory_count == DIRECTORIES_MAX) {
		source_files_trouble(&dir->files, path, "TooLarge",
				     "too many directories, this one is left out");
		return false;
	}
	walk->above[walk->depth].device = status.st_dev;
	walk->above[walk->depth].inode = status.st_ino;
	walk->depth++;
	dir->directory_count++;
	return true;
}

static void visit_dir(struct source_dir *dir, struct walk *walk, struct str path);

static mode_t type_of(const struct dirent *item, struct str path)
{
	struct stat status;

	if (item->d_type == DT_REG)
		return S_IFREG;
	if (item->d_type == DT_DIR)
		return S_IFDIR;
	return stat(path.at, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

static void visit_item(struct source_dir *dir, struct walk *walk, struct str parent,
		       const struct dirent *item)
{
	struct str name = str_from_c(item->d_name);
	struct str path;
	mode_t type;

	if (is_hidden(name) || (item->d_type == DT_REG && !is_manifest(name)))
		return;
	path = join(parent, name);
	type = type_of(item, path);
	if (type == S_IFDIR)
		visit_dir(dir, walk, path);
	else if (type && is_manifest(name))
		source_files_visit(&dir->files, path);
	free_path(path);
}

static void visit_dir(struct source_dir *dir, struct walk *walk, struct str path)
{
	struct dirent *item;
	DIR *handle;

	if (!enter(dir, walk, path))
		return;
	watch_path(dir, path, str_of(NULL, 0));
	handle = opendir(path.at);
	if (!handle && errno != ENOENT && errno != ENOTDIR) {
		tell_errno(dir, path, "directory cannot be read", -errno);
		source_files_keep_below(&dir->files, path);
		source_watches_keep_below(&dir->watches, path);
	}
	while (handle && (item = readdir(handle)))
		visit_item(dir, walk, path, item);
	if (handle)
		closedir(handle);
	walk->depth--;
}

/* A root may go and come back under its name: the directory above it tells. */
static void watch_above(struct source_dir *dir, struct str root)
{
	struct str name = base_name(root);
	struct str parent;

	if (name.len == 0 || str_eq(name, STR(".")) || str_eq(name, STR("..")))
		return;
	parent = copy_parent(root);
	watch_path(dir, parent, name);
	free_path(parent);
}

static void visit_root(struct source_dir *dir, struct str root)
{
	struct walk walk = { 0 };
	struct stat status;

	watch_above(dir, root);
	if (stat(root.at, &status) < 0) {
		/* A directory that went is a mistake or a lost volume: not the end of each route.
		 */
		tell_errno(dir, root, "cannot be found", -errno);
		source_files_keep_below(&dir->files, root);
	} else if (S_ISDIR(status.st_mode)) {
		visit_dir(dir, &walk, root);
	} else {
		source_files_visit(&dir->files, root);
	}
}

static void rescan(struct source_dir *dir)
{
	dir->must_rescan = false;
	dir->rescan_count++;
	dir->directory_count = 0;
	source_files_begin(&dir->files);
	source_watches_begin(&dir->watches);
	for (size_t i = 0; i < dir->roots.len; i++)
		visit_root(dir, dir->roots.at[i]);
	if (dir->files.table.count >= SOURCE_DIR_FILES_MAX)
		source_files_trouble(&dir->files, STR("--manifests"), "TooLarge",
				     "too many files, some are left out");
	source_files_sweep(&dir->files);
	source_watches_sweep(&dir->watches);
}

/* --------------------------------------------------------------------- events */

enum { LEFT = IN_DELETE | IN_MOVED_FROM, CAME = IN_CREATE | IN_MOVED_TO };

/* A link came: who knows to what, and what else is reached through it. */
static bool is_symlink_come(struct str path, uint32_t mask)
{
	struct stat status;

	return (mask & CAME) && lstat(path.at, &status) == 0 && S_ISLNK(status.st_mode);
}

/* The file at @path was just made and its writer has not closed it (a second name has none). */
static bool is_unfinished(struct str path, uint32_t mask)
{
	struct stat status;

	return (mask & IN_CREATE) && lstat(path.at, &status) == 0 && S_ISREG(status.st_mode) &&
	       status.st_nlink == 1;
}

/* Whether the event is about more than one file. */
static bool is_about_many(const struct source_dir *dir, struct str path, struct str name,
			  uint32_t mask)
{
	/* Hidden too: files of ConfigMap volumes are links through `..data`, which is swapped. */
	if (is_symlink_come(path, mask))
		return true;
	if (is_hidden(name))
		return false;
	if (mask & IN_ISDIR)
		return true;
	return (mask & LEFT) && source_watches_has(&dir->watches, path);
}

/* An event about a name in a directory that we read. */
static void on_item(struct source_dir *dir, struct str path, struct str name, uint32_t mask)
{
	if (is_about_many(dir, path, name, mask)) {
		dir->must_rescan = true;
		return;
	}
	if (is_hidden(name) || !is_manifest(name) || is_unfinished(path, mask))
		return;
	if ((mask & IN_ATTRIB) && !source_files_is_unread(&dir->files, path))
		return;
	*vec_push(&dir->dirty) = copy_text(path);
}

/* An event beside a root, which may be gone, back or another one. */
static void on_neighbour(struct source_dir *dir, const struct source_watch *watch, struct str path,
			 struct str name, uint32_t mask)
{
	if (str_eq(watch->only, name))
		dir->must_rescan |= !is_unfinished(path, mask);
	else if (is_hidden(name))
		dir->must_rescan |= is_symlink_come(path, mask);
}

static void on_watch_event(struct source_dir *dir, const struct source_watch *watch,
			   struct str name, uint32_t mask)
{
	struct str path = join(watch->path, name);

	if (watch->only.at)
		on_neighbour(dir, watch, path, name, mask);
	else
		on_item(dir, path, name, mask);
	free_path(path);
}

static void on_event(struct source_dir *dir, const struct inotify_event *event)
{
	struct str name = str_from_c(event->len ? event->name : NULL);
	size_t i;

	if (event->mask & IN_Q_OVERFLOW)
		dir->must_rescan = true;
	if (event->mask & IN_IGNORED) {
		source_watches_forget(&dir->watches, event->wd);
		return;
	}
	i = source_watches_find(&dir->watches, event->wd);
	for (; i < dir->watches.list.len && dir->watches.list.at[i].wd == event->wd; i++) {
		if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
			dir->must_rescan = true;
		else if (name.len)
			on_watch_event(dir, &dir->watches.list.at[i], name, event->mask);
	}
}

/* 0; -EAGAIN when no event waits any more; -errno. */
static int read_events(struct source_dir *dir)
{
	_Alignas(struct inotify_event) char bytes[EVENT_BYTES];
	ssize_t got = read(dir->watches.fd, bytes, sizeof(bytes));
	size_t at = 0;

	if (got < 0)
		return errno == EINTR ? 0 : -errno;
	while (at + sizeof(struct inotify_event) <= (size_t)got) {
		/* The kernel pads each event so that the next one is aligned. */
		const struct inotify_event *event = (const struct inotify_event *)(bytes + at);

		on_event(dir, event);
		at += sizeof(*event) + event->len;
	}
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b); /* qsort's signature */
}

/* Looks at each file that events named, once. */
static void refresh_dirty(struct source_dir *dir)
{
	if (dir->dirty.len)
		qsort(dir->dirty.at, dir->dirty.len, sizeof(*dir->dirty.at), compare_paths);
	for (size_t i = 0; i < dir->dirty.len; i++) {
		bool is_repeated = i > 0 && str_eq(dir->dirty.at[i], dir->dirty.at[i - 1]);

		if (!dir->must_rescan && !is_repeated)
			source_files_refresh(&dir->files, dir->dirty.at[i]);
	}
	for (size_t i = 0; i < dir->dirty.len; i++)
		free_path(dir->dirty.at[i]);
	dir->dirty.len = 0;
}

/* --------------------------------------------------------------------- public */

struct generations {
	uint64_t of[OBJECT_KIND_COUNT];
};

static struct generations generations_of(const struct store *store)
{
	struct generations generations;

	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++)
		generations.of[kind] = store_generation(store, (enum object_kind)kind);
	return generations;
}

static uint32_t changed_since(const struct store *store, const struct generations *before)
{
	struct generations now = generations_of(store);
	uint32_t changed = 0;

	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++)
		changed |= (uint32_t)(now.of[kind] != before->of[kind]) << kind;
	return changed;
}

int source_dir_step(struct source_dir *dir, uint32_t *changed, struct err *err)
{
	struct generations before = generations_of(dir->store);
	int rc = 0;

	for (int i = 0; rc == 0 && i < EVENT_READS_MAX; i++)
		rc = read_events(dir);
	refresh_dirty(dir);
	if (dir->must_rescan)
		rescan(dir);
	*changed = changed_since(dir->store, &before);
	if (rc < 0 && rc != -EAGAIN)
		return err_set_os(err, rc, "read events of inotify");
	return 0;
}

void source_dir_rescan(struct source_dir *dir, uint32_t *changed)
{
	struct generations before = generations_of(dir->store);

	rescan(dir);
	*changed = changed_since(dir->store, &before);
}

int source_dir_fd(const struct source_dir *dir)
{
	return dir->watches.fd;
}

void source_dir_stats(const struct source_dir *dir, struct source_dir_stats *stats)
{
	*stats = (struct source_dir_stats){
		.files = dir->files.table.count,
		.directories = dir->directory_count,
		.files_read = dir->files.read_count,
		.files_unread = dir->files.unread_count,
		.rescans = dir->rescan_count,
	};
}

static int add_root(struct source_dir *dir, struct str path, struct err *err)
{
	struct str root;

	if (path.len == 0 || path.len >= PATH_MAX || memchr(path.at, 0, path.len))
		return err_set(err, -EINVAL, "not a path: '%.*s'", STR_ARG(path));
	root = copy_text(without_end_slashes(path));
	*vec_push(&dir->roots) = root;
	if (access(root.at, R_OK) < 0)
		return err_set_os(err, -errno, "read '%s'", root.at);
	return 0;
}

int source_dir_open(const struct str *paths, size_t path_count, struct store *store,
		    struct source_dir **opened, struct err *err)
{
	struct source_dir *dir = mem_new(1, sizeof(*dir));
	int rc;

	dir->store = store;
	source_files_init(&dir->files, store);
	rc = source_watches_open(&dir->watches);
	if (rc < 0)
		err_set_os(err, rc, "open inotify");
	for (size_t i = 0; rc == 0 && i < path_count; i++)
		rc = add_root(dir, paths[i], err);
	if (rc < 0) {
		source_dir_close(dir);
		return rc;
	}
	rescan(dir);
	*opened = dir;
	return 0;
}

void source_dir_close(struct source_dir *dir)
{
	if (!dir)
		return;
	source_watches_close(&dir->watches);
	source_files_release(&dir->files);
	for (size_t i = 0; i < dir->roots.len; i++)
		free_path(dir->roots.at[i]);
	vec_release(&dir->roots);
	vec_release(&dir->dirty);
	mem_free(dir);
}
