// SPDX-License-Identifier: Apache-2.0
/*
 * Watched files and directories, with a real directory: each test has one of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "kube/source_dir.h"

enum { PATH_BYTES = 512, MAPS = 1u << OBJECT_KIND_CONFIG_MAP };

struct place {
	char base[64];
	struct store *store;
	struct source_dir *dir;
};

/* ------------------------------------------------------------ files of a test */

static const char *path_of(const struct place *place, const char *name, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s%s%s", place->base, name[0] ? "/" : "", name);
	return path;
}

static void write_text(const struct place *place, const char *name, const char *text)
{
	char path[PATH_BYTES];
	FILE *file = fopen(path_of(place, name, path), "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* The ConfigMap @map with a value. */
static void write_map(const struct place *place, const char *name, const char *map,
		      const char *value)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {v: '%s'}\n", map,
		 value);
	write_text(place, name, text);
}

static void make_dir(const struct place *place, const char *name)
{
	char path[PATH_BYTES];

	assert_int_equal(mkdir(path_of(place, name, path), 0755), 0);
}

static void move(const struct place *place, const char *from, const char *to)
{
	char source[PATH_BYTES], target[PATH_BYTES];

	assert_int_equal(rename(path_of(place, from, source), path_of(place, to, target)), 0);
}

static void delete (const struct place *place, const char *name)
{
	char path[PATH_BYTES];

	assert_int_equal(remove(path_of(place, name, path)), 0);
}

static void make_symlink(const struct place *place, const char *target, const char *name)
{
	char path[PATH_BYTES];

	assert_int_equal(symlink(target, path_of(place, name, path)), 0);
}

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	snprintf(place->base, sizeof(place->base), "/tmp/sluice-source-XXXXXX");
	assert_non_null(mkdtemp(place->base));
	place->store = store_new();
	*state = place;
	return 0;
}

static int delete_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
	(void)status;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct place *place = *state;

	source_dir_close(place->dir);
	store_free(place->store);
	nftw(place->base, delete_one, 16, FTW_DEPTH | FTW_PHYS);
	free(place);
	return 0;
}

/* --------------------------------------------------------------- what is seen */

static void open_at(struct place *place, const char *name)
{
	char path[PATH_BYTES];
	struct str paths[] = { str_from_c(path_of(place, name, path)) };
	struct err err;

	if (source_dir_open(paths, 1, place->store, &place->dir, &err) < 0)
		fail_msg("%s", err.text);
}

static uint32_t step(struct place *place)
{
	struct pollfd waiting = { .fd = source_dir_fd(place->dir), .events = POLLIN };
	uint32_t changed = 0;
	struct err err;

	if (poll(&waiting, 1, 0) == 0)
		return 0;
	assert_int_equal(source_dir_step(place->dir, &changed, &err), 0);
	return changed;
}

static struct source_dir_stats stats_of(const struct place *place)
{
	struct source_dir_stats stats;

	source_dir_stats(place->dir, &stats);
	return stats;
}

static void assert_maps(struct place *place, const char *expected)
{
	const struct object_set *set = store_set(place->store);
	struct buf out;

	buf_init(&out, 0);
	for (size_t i = 0; i < set->of[OBJECT_KIND_CONFIG_MAP].count; i++) {
		const struct object *object = set->of[OBJECT_KIND_CONFIG_MAP].at[i];
		struct str value = object_pairs_find(object->config_map.data, STR("v"));

		buf_printf(&out, "%s%.*s=%.*s", i ? " " : "", STR_ARG(object->name),
			   STR_ARG(value));
	}
	if (!str_eq_c(buf_str(&out), expected))
		fail_msg("in force: '%.*s', wanted '%s'", (int)out.len, out.at ? out.at : "",
			 expected);
	buf_release(&out);
}

/* How many findings there are, and that each has one of the words. */
static void assert_findings(struct place *place, size_t count, const char *word)
{
	struct findings findings;
	struct buf out;

	findings_init(&findings);
	store_findings(place->store, &findings);
	for (size_t i = 0; i < findings.list.len; i++) {
		buf_init(&out, 0);
		finding_format(&findings.list.at[i], &out);
		buf_add_char(&out, 0);
		if (i >= count || !strstr(out.at, word))
			fail_msg("finding: %s", out.at);
		buf_release(&out);
	}
	assert_int_equal(findings.list.len, count);
	findings_release(&findings);
}

/* ----------------------------------------------------------------------- tests */

static void test_load(void **state)
{
	struct place *place = *state;

	write_map(place, "a.yaml", "a", "1");
	write_map(place, "b.yml", "b", "1");
	write_text(place, "c.json",
		   "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\"}}");
	write_map(place, ".hidden.yaml", "d", "1");
	write_map(place, "readme.txt", "e", "1");
	write_map(place, "a.yaml~", "f", "1");
	make_dir(place, "sub");
	make_dir(place, "sub/deeper");
	make_dir(place, ".git");
	write_map(place, "sub/deeper/g.yaml", "g", "1");
	write_map(place, ".git/h.yaml", "h", "1");
	open_at(place, "");
	assert_maps(place, "a=1 b=1 c= g=1");
	assert_findings(place, 0, "");
	assert_int_equal(stats_of(place).files, 4);
	assert_int_equal(stats_of(place).directories, 3);
	assert_int_equal(step(place), 0);
}

static void test_write_and_delete(void **state)
{
	struct place *place = *state;
	char path[PATH_BYTES];

	write_map(place, "a.yaml", "a", "1");
	write_map(place, "b.yaml", "b", "1");
	open_at(place, "");
	write_map(place, "a.yaml", "a", "2");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2 b=1");
	write_map(place, "c.yaml", "c", "1");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2 b=1 c=1");
	delete (place, "b.yaml");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2 c=1");
	/* Written again as it was, and touched: nothing changed. */
	write_map(place, "a.yaml", "a", "2");
	assert_int_equal(utimensat(AT_FDCWD, path_of(place, "a.yaml", path), NULL, 0), 0);
	assert_int_equal(step(place), 0);
	/* Other files were not touched by any of this. */
	assert_int_equal(stats_of(place).rescans, 1);
	assert_int_equal(stats_of(place).files_read, 2 + 3);
	write_map(place, "d.txt", "d", "1");
	write_map(place, ".d.yaml", "d", "1");
	assert_int_equal(step(place), 0);
	assert_int_equal(stats_of(place).rescans, 1);
}

static void test_same_size_and_time(void **state)
{
	struct place *place = *state;
	uint32_t changed;

	write_map(place, "a.yaml", "a", "1");
	open_at(place, "");
	/* Within one tick of the file system's clock; no event is looked at. */
	for (int i = 0; i < 50; i++) {
		char value[8], expected[16];

		snprintf(value, sizeof(value), "%d", i % 10);
		snprintf(expected, sizeof(expected), "a=%s", value);
		write_map(place, "a.yaml", "a", value);
		source_dir_rescan(place->dir, &changed);
		assert_maps(place, expected);
	}
}

static void test_old_files_stay_unread(void **state)
{
	struct place *place = *state;
	uint32_t changed;

	write_map(place, "a.yaml", "a", "1");
	/* An hour later the file's times can be trusted. */
	clock_freeze(1, clock_wall_ns() + 3600 * NS_PER_S);
	open_at(place, "");
	clock_freeze(0, 0);
	source_dir_rescan(place->dir, &changed);
	assert_int_equal(changed, 0);
	assert_int_equal(stats_of(place).files_read, 1);
	assert_int_equal(stats_of(place).files_unread, 1);
	write_map(place, "a.yaml", "a", "two");
	source_dir_rescan(place->dir, &changed);
	assert_int_equal(changed, MAPS);
	assert_maps(place, "a=two");
}

static void test_rename_over(void **state)
{
	struct place *place = *state;

	write_map(place, "a.yaml", "a", "1");
	open_at(place, "");
	write_map(place, ".a.yaml.tmp", "a", "2");
	move(place, ".a.yaml.tmp", "a.yaml");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2");
	move(place, "a.yaml", "b.yaml");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2");
	assert_int_equal(stats_of(place).files, 1);
	move(place, "b.yaml", "b.bak");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "");
	assert_int_equal(stats_of(place).rescans, 1);
}

static void test_not_before_it_is_closed(void **state)
{
	struct place *place = *state;
	char path[PATH_BYTES];
	FILE *file;

	open_at(place, "");
	file = fopen(path_of(place, "a.yaml", path), "w");
	assert_non_null(file);
	fputs("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nda", file);
	fflush(file);
	assert_int_equal(step(place), 0);
	assert_findings(place, 0, "");
	fputs("ta: {v: x}\n", file);
	fclose(file);
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=x");
}

static void test_directories(void **state)
{
	struct place *place = *state;

	open_at(place, "");
	make_dir(place, "new");
	make_dir(place, "new/er");
	write_map(place, "new/er/a.yaml", "a", "1");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=1");
	write_map(place, "new/er/a.yaml", "a", "2");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2");
	move(place, "new", "old");
	assert_int_equal(step(place), MAPS); /* the same object, but of another file */
	assert_maps(place, "a=2");
	write_map(place, "old/er/b.yaml", "b", "1");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2 b=1");
	move(place, "old", ".gone");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "");
	/* Out of sight: nobody looks there any more. */
	write_map(place, ".gone/er/b.yaml", "b", "2");
	assert_int_equal(step(place), 0);
	assert_int_equal(stats_of(place).directories, 1);
	assert_findings(place, 0, "");
}

/* As kubelet does it: files are links through ..data, which is swapped. */
static void test_config_map_volume(void **state)
{
	struct place *place = *state;

	make_dir(place, "..1");
	make_dir(place, "..1/sub");
	write_map(place, "..1/a.yaml", "a", "1");
	write_map(place, "..1/sub/b.yaml", "b", "1");
	make_symlink(place, "..1", "..data");
	make_symlink(place, "..data/a.yaml", "a.yaml");
	make_symlink(place, "..data/sub", "sub");
	open_at(place, "");
	assert_maps(place, "a=1 b=1");

	make_dir(place, "..2");
	make_dir(place, "..2/sub");
	write_map(place, "..2/a.yaml", "a", "2");
	write_map(place, "..2/sub/b.yaml", "b", "2");
	make_symlink(place, "..2", "..data_tmp");
	move(place, "..data_tmp", "..data");
	delete (place, "..1/a.yaml");
	delete (place, "..1/sub/b.yaml");
	delete (place, "..1/sub");
	delete (place, "..1");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2 b=2");
	write_map(place, "..2/sub/b.yaml", "b", "3");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2 b=3");
	assert_findings(place, 0, "");
}

static void test_links(void **state)
{
	struct place *place = *state;

	make_dir(place, "watched");
	make_dir(place, "one");
	make_dir(place, "two");
	write_map(place, "one/a.yaml", "a", "1");
	write_map(place, "two/a.yaml", "a", "2");
	open_at(place, "watched");
	make_symlink(place, "../one/a.yaml", "watched/x.yaml");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=1");
	delete (place, "watched/x.yaml");
	make_symlink(place, "../two", "watched/dir");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2");
	delete (place, "watched/dir");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "");
	/* A directory that is called like a manifest. */
	make_symlink(place, "../two", "watched/dir.yaml");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2");
	delete (place, "watched/dir.yaml");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "");
	/* To nowhere, and in a circle. */
	make_symlink(place, "nowhere.yaml", "watched/n.yaml");
	make_symlink(place, "..", "watched/up");
	make_symlink(place, ".", "watched/self");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=1");
	assert_findings(place, 1, "the same object stands in");
}

static void test_one_file(void **state)
{
	struct place *place = *state;

	write_map(place, "manifest", "a", "1");
	write_map(place, "other.yaml", "b", "1");
	open_at(place, "manifest");
	assert_maps(place, "a=1");
	write_map(place, "manifest", "a", "2");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2");
	write_map(place, "tmp", "a", "3");
	move(place, "tmp", "manifest");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=3");
	write_map(place, "other.yaml", "b", "2");
	assert_int_equal(step(place), 0);
	delete (place, "manifest");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "");
	assert_findings(place, 1, "cannot be found");
	write_map(place, "manifest", "a", "4");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=4");
	assert_findings(place, 0, "");
}

static void test_lost_directory(void **state)
{
	struct place *place = *state;

	make_dir(place, "conf");
	write_map(place, "conf/a.yaml", "a", "1");
	open_at(place, "conf");
	move(place, "conf", "away");
	assert_int_equal(step(place), 0);
	assert_maps(place, "a=1");
	assert_findings(place, 1, "cannot be found");
	make_dir(place, "conf");
	write_map(place, "conf/a.yaml", "a", "2");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2");
	assert_findings(place, 0, "");
	write_map(place, "conf/a.yaml", "a", "3");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=3");
}

static void test_broken_file(void **state)
{
	struct place *place = *state;

	write_map(place, "a.yaml", "a", "1");
	open_at(place, "");
	write_text(place, "a.yaml", "apiVersion: v1\nkind: [\n");
	assert_int_equal(step(place), 0);
	assert_maps(place, "a=1");
	assert_findings(place, 2, "a.yaml");
	write_map(place, "a.yaml", "a", "2");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2");
	assert_findings(place, 0, "");
	write_text(place, "a.yaml", "kind: [\n");
	delete (place, "a.yaml");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "");
	assert_findings(place, 0, "");
}

static void test_no_regular_file(void **state)
{
	struct place *place = *state;
	char path[PATH_BYTES];

	assert_int_equal(mkfifo(path_of(place, "a.yaml", path), 0644), 0);
	make_dir(place, "d.yaml");
	write_map(place, "d.yaml/b.yaml", "b", "1");
	open_at(place, "");
	assert_maps(place, "b=1");
	assert_findings(place, 1, "no regular file");
	delete (place, "a.yaml");
	assert_int_equal(step(place), 0);
	assert_findings(place, 0, "");
}

static void test_unreadable(void **state)
{
	struct place *place = *state;
	char path[PATH_BYTES];

	if (geteuid() == 0)
		skip(); /* root reads everything */
	write_map(place, "a.yaml", "a", "1");
	open_at(place, "");
	write_map(place, "a.yaml", "a", "2");
	assert_int_equal(chmod(path_of(place, "a.yaml", path), 0), 0);
	assert_int_equal(step(place), 0);
	assert_maps(place, "a=1");
	assert_findings(place, 2, "a.yaml");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2");
	assert_findings(place, 0, "");
}

/* More events than the kernel keeps: everything is looked at again. */
static void test_overflow(void **state)
{
	struct place *place = *state;
	unsigned long limit = 0;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	uint32_t changed;
	char name[32];

	if (file) {
		char line[32];

		if (fgets(line, sizeof(line), file))
			limit = strtoul(line, NULL, 10);
		fclose(file);
	}
	if (limit == 0 || limit > 100000)
		skip();
	write_map(place, "a.yaml", "a", "1");
	open_at(place, "");
	/* Events that are alike are joined by the kernel: two names by turns. */
	for (unsigned long i = 0; i < limit + 10; i++) {
		snprintf(name, sizeof(name), "n%lu", i & 1);
		write_text(place, name, "");
	}
	write_map(place, "a.yaml", "a", "2");
	write_map(place, "b.yaml", "b", "1");
	changed = step(place);
	assert_int_equal(changed, MAPS);
	assert_maps(place, "a=2 b=1");
	assert_int_equal(stats_of(place).rescans, 2);
}

static void test_many_changes_at_once(void **state)
{
	struct place *place = *state;
	char name[32], map[32];

	open_at(place, "");
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "%03d.yaml", i);
		snprintf(map, sizeof(map), "m%03d", i);
		write_map(place, name, map, "1");
		write_map(place, name, map, "2");
		write_map(place, name, map, "3");
	}
	assert_int_equal(step(place), MAPS);
	assert_int_equal(stats_of(place).files, 300);
	assert_int_equal(stats_of(place).files_read, 300);
	assert_int_equal(store_set(place->store)->of[OBJECT_KIND_CONFIG_MAP].count, 300);
}

static void test_open_fails(void **state)
{
	struct place *place = *state;
	struct str missing[] = { STR("/nonexistent/of/sluice") };
	struct source_dir *dir = NULL;
	struct err err;

	assert_int_equal(source_dir_open(missing, 1, place->store, &dir, &err), -ENOENT);
	assert_null(dir);
	assert_string_equal(err.text, "read '/nonexistent/of/sluice': No such file or directory");
}

static void test_relative_path(void **state)
{
	struct place *place = *state;
	struct str paths[] = { STR("a.yaml"), STR("sub/") };
	int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err;

	assert_int_equal(chdir(place->base), 0);
	write_map(place, "a.yaml", "a", "1");
	make_dir(place, "sub");
	write_map(place, "sub/b.yaml", "b", "1");
	assert_int_equal(source_dir_open(paths, 2, place->store, &place->dir, &err), 0);
	assert_maps(place, "a=1 b=1");
	assert_true(str_eq_c(store_set(place->store)->of[OBJECT_KIND_CONFIG_MAP].at[1]->file,
			     "sub/b.yaml"));
	write_map(place, "a.yaml", "a", "2");
	write_map(place, "sub/b.yaml", "b", "2");
	assert_int_equal(step(place), MAPS);
	assert_maps(place, "a=2 b=2");
	assert_int_equal(fchdir(home), 0);
	close(home);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_load),
		TEST(test_write_and_delete),
		TEST(test_same_size_and_time),
		TEST(test_old_files_stay_unread),
		TEST(test_rename_over),
		TEST(test_not_before_it_is_closed),
		TEST(test_directories),
		TEST(test_config_map_volume),
		TEST(test_links),
		TEST(test_one_file),
		TEST(test_lost_directory),
		TEST(test_broken_file),
		TEST(test_no_regular_file),
		TEST(test_unreadable),
		TEST(test_overflow),
		TEST(test_many_changes_at_once),
		TEST(test_open_fails),
		TEST(test_relative_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
