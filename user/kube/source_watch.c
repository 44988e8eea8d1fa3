// SPDX-License-Identifier: Apache-2.0
/* source_watch: see source_watch.h and inotify(7). */
#include "kube/source_watch.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
	/*
	 * CREATE is for directories and links, ATTRIB for what could not be read: a file that is
	 * still written is of no use.
	 */
	WATCH_MASK = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE |
		     IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
};

int source_watches_open(struct source_watches *watches)
{
	*watches = (struct source_watches){ .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };
	return watches->fd < 0 ? -errno : 0;
}

static void release_watch(struct source_watch *watch)
{
	/* Both were made by mem_copy_text. */
	mem_free((char *)watch->path.at);
	mem_free((char *)watch->only.at);
}

void source_watches_close(struct source_watches *watches)
{
	for (size_t i = 0; i < watches->list.len; i++)
		release_watch(&watches->list.at[i]);
	vec_release(&watches->list);
	if (watches->fd >= 0)
		close(watches->fd);
	watches->fd = -1;
}

void source_watches_begin(struct source_watches *watches)
{
	watches->round++;
}

size_t source_watches_find(const struct source_watches *watches, int wd)
{
	size_t low = 0, high = watches->list.len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (watches->list.at[middle].wd < wd)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool source_watches_has(const struct source_watches *watches, struct str path)
{
	for (size_t i = 0; i < watches->list.len; i++) {
		const struct source_watch *watch = &watches->list.at[i];

		if (!watch->only.at && str_eq(watch->path, path))
			return true;
	}
	return false;
}

static struct str copy_text(struct str text)
{
	if (!text.at)
		return text;
	return str_of(mem_copy_text(text.at, text.len), text.len);
}

int source_watches_add(struct source_watches *watches, struct str path, struct str only)
{
	int wd = inotify_add_watch(watches->fd, path.at, WATCH_MASK);
	struct source_watch *list;
	size_t i;

	if (wd < 0)
		return -errno;
	for (i = source_watches_find(watches, wd); i < watches->list.len; i++) {
		struct source_watch *watch = &watches->list.at[i];

		if (watch->wd != wd)
			break;
		if (str_eq(watch->path, path) && str_eq(watch->only, only)) {
			watch->round = watches->round;
			return 0;
		}
	}
	vec_push(&watches->list);
	list = watches->list.at;
	memmove(&list[i + 1], &list[i], (watches->list.len - 1 - i) * sizeof(*list));
	list[i] = (struct source_watch){
		.wd = wd,
		.path = copy_text(path),
		.only = copy_text(only),
		.round = watches->round,
	};
	return 0;
}

void source_watches_keep_below(struct source_watches *watches, struct str path)
{
	for (size_t i = 0; i < watches->list.len; i++) {
		struct source_watch *watch = &watches->list.at[i];

		if (str_starts_with(watch->path, path) && watch->path.len > path.len &&
		    watch->path.at[path.len] == '/')
			watch->round = watches->round;
	}
}

/* Whether another path of the same wd is still wanted. */
static bool is_shared(const struct source_watches *watches, int wd)
{
	size_t i = source_watches_find(watches, wd);

	for (; i < watches->list.len && watches->list.at[i].wd == wd; i++) {
		if (watches->list.at[i].round == watches->round)
			return true;
	}
	return false;
}

void source_watches_sweep(struct source_watches *watches)
{
	size_t kept = 0;

	/* Before anything moves: fails where the kernel has dropped the watch already. */
	for (size_t i = 0; i < watches->list.len; i++) {
		const struct source_watch *watch = &watches->list.at[i];

		if (watch->round != watches->round && !is_shared(watches, watch->wd))
			inotify_rm_watch(watches->fd, watch->wd);
	}
	for (size_t i = 0; i < watches->list.len; i++) {
		struct source_watch *watch = &watches->list.at[i];

		if (watch->round == watches->round)
			watches->list.at[kept++] = *watch;
		else
			release_watch(watch);
	}
	watches->list.len = kept;
}

void source_watches_forget(struct source_watches *watches, int wd)
{
	size_t first = source_watches_find(watches, wd), end = first;

	while (end < watches->list.len && watches->list.at[end].wd == wd)
		release_watch(&watches->list.at[end++]);
	if (end == first)
		return;
	memmove(&watches->list.at[first], &watches->list.at[end],
		(watches->list.len - end) * sizeof(*watches->list.at));
	watches->list.len -= end - first;
}
