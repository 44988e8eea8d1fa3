// SPDX-License-Identifier: Apache-2.0
/* Saved files: for us alone, whole or not at all, and sealed when they are read again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/saved.h"
#include "base/memfd.h"

static char directory[64], path[128];

static int setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/sluice-saved-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/saved-image", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	rmdir(directory);
	return 0;
}

static void test_write_and_read(void **state)
{
	struct err err = { 0 };
	struct str bytes;
	struct stat facts;
	int fd;

	(void)state;
	for (int round = 0; round < 2; round++) {
		struct str text = round ? STR("the second") : STR("the first one");

		assert_int_equal(saved_write_file(path, text, &err), 0);
		assert_int_equal(stat(path, &facts), 0);
		assert_int_equal(facts.st_mode & 0777, 0600);
		fd = saved_read_file(path, &err);
		assert_true(fd >= 0);
		assert_int_equal(memfd_map_sealed(fd, &bytes, &err), 0);
		assert_true(str_eq(bytes, text));
		memfd_unmap(bytes.at, bytes.len);
		close(fd);
	}
}

static void test_what_is_not_there(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(saved_read_file(path, &err), -ENOENT);
	assert_int_equal(saved_write_file("/nonexistent/saved-image", STR("x"), &err), -ENOENT);
	assert_int_equal(saved_write_file(path, STR(""), &err), 0);
	assert_int_equal(saved_read_file(path, &err), -EINVAL);
}

/* A link in the place of the file is somebody's attempt to have us write elsewhere. */
static void test_links_are_not_followed(void **state)
{
	char elsewhere[160];
	struct err err = { 0 };

	(void)state;
	snprintf(elsewhere, sizeof(elsewhere), "%s.new", path);
	assert_int_equal(symlink("/tmp/sluice-saved-elsewhere", elsewhere), 0);
	assert_int_equal(saved_write_file(path, STR("x"), &err), -ELOOP);
	unlink(elsewhere);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	assert_int_equal(saved_read_file(path, &err), -ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_write_and_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_are_not_followed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
