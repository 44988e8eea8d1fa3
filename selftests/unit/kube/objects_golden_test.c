// SPDX-License-Identifier: Apache-2.0
/*
 * Each directory of selftests/golden/objects holds manifests and what is made of them:
 *
 *   *.yaml *.json ──► store ──► objects.txt, findings.txt
 *
 * Runs in the top directory of the source. GOLDEN_UPDATE=1 (`make golden-update`) writes
 * the texts anew.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kube/store.h"

#define GOLDEN_DIR "selftests/golden/objects"

enum { PATH_BYTES = 1024 };

static void read_file(const char *path, struct buf *out)
{
	char bytes[4096];
	FILE *file = fopen(path, "r");
	size_t got;

	if (!file)
		return;
	while ((got = fread(bytes, 1, sizeof(bytes), file)) > 0)
		buf_add(out, str_of(bytes, got));
	fclose(file);
}

static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool is_manifest(struct str name)
{
	return str_ends_with(name, STR(".yaml")) || str_ends_with(name, STR(".json"));
}

static void put_file(struct store *store, const char *directory, const char *name)
{
	char path[PATH_BYTES];
	struct decoded decoded;
	struct buf text;

	if (!is_manifest(str_from_c(name)))
		return;
	snprintf(path, sizeof(path), "%.500s/%.400s", directory, name);
	buf_init(&text, 0);
	read_file(path, &text);
	decoded_init(&decoded);
	decode_text(str_from_c(name), buf_str(&text),
		    node_format_of(str_from_c(name), buf_str(&text)), &decoded);
	store_put_origin(store, str_from_c(name), &decoded);
	decoded_release(&decoded);
	buf_release(&text);
}

static void put_directory(struct store *store, const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_shown, alphasort);

	assert_true(count > 0);
	for (int i = 0; i < count; i++) {
		put_file(store, directory, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void update_or_compare(const char *directory, const char *name, const struct buf *got)
{
	char path[PATH_BYTES];
	struct buf wanted;
	FILE *file;

	snprintf(path, sizeof(path), "%.500s/%.100s", directory, name);
	if (getenv("GOLDEN_UPDATE")) {
		file = fopen(path, "w");
		assert_non_null(file);
		fwrite(got->at, 1, got->len, file);
		assert_int_equal(fclose(file), 0);
		return;
	}
	buf_init(&wanted, 0);
	read_file(path, &wanted);
	if (!str_eq(buf_str(got), buf_str(&wanted)))
		fail_msg("%s: got\n%.*s\nwanted\n%.*s", path, (int)got->len, got->at ? got->at : "",
			 (int)wanted.len, wanted.at ? wanted.at : "");
	buf_release(&wanted);
}

static void check_directory(void **state)
{
	const char *directory = *state;
	struct store *store = store_new();
	struct findings findings;
	struct buf out;

	put_directory(store, directory);
	buf_init(&out, 0);
	store_dump(store, &out);
	update_or_compare(directory, "objects.txt", &out);
	buf_reset(&out);
	findings_init(&findings);
	store_findings(store, &findings);
	for (size_t i = 0; i < findings.list.len; i++) {
		finding_format(&findings.list.at[i], &out);
		buf_add_char(&out, '\n');
	}
	update_or_compare(directory, "findings.txt", &out);
	findings_release(&findings);
	buf_release(&out);
	store_free(store);
}

int main(void)
{
	static const char *const cases[] = { "ingress", "services", "secrets",
					     "lists",   "broken",   "examples" };
	enum { COUNT = sizeof(cases) / sizeof(cases[0]) };
	struct CMUnitTest tests[COUNT];
	char paths[COUNT][PATH_BYTES];

	for (size_t i = 0; i < COUNT; i++) {
		snprintf(paths[i], sizeof(paths[i]), GOLDEN_DIR "/%s", cases[i]);
		tests[i] = (struct CMUnitTest){
			.name = cases[i],
			.test_func = check_directory,
			.initial_state = paths[i],
		};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
