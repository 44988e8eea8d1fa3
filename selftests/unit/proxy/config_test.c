// SPDX-License-Identifier: Apache-2.0
/* A hostile or torn segment must never reach a worker; a good one lives as long as it is used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "image/writer.h"
#include "proxy/config.h"

static int sealed_image(uint64_t generation)
{
	struct image_writer *writer = image_writer_new(generation, (struct siphash_key){ 1, 2 });
	struct err err;
	struct str bytes;
	int fd;

	assert_int_equal(image_writer_finish(writer, &bytes, &err), 0);
	fd = memfd_seal("image", bytes, &err);
	assert_true(fd >= 0);
	image_writer_free(writer);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_refused(void **state)
{
	struct config_segment *segment = NULL;
	struct err err = { 0 };
	int good = sealed_image(7), unsealed = memfd_create("x", MFD_ALLOW_SEALING), noise;

	(void)state;
	noise = memfd_seal("noise", STR("this is not an image at all, by no means"), &err);
	assert_int_equal(config_segment_open(CONFIG_IMAGE, noise, 7, &segment, &err), -EINVAL);
	assert_int_equal(config_segment_open(CONFIG_CERTS, good, 7, &segment, &err), -EINVAL);
	assert_int_equal(config_segment_open(CONFIG_IMAGE, good, 8, &segment, &err), -EINVAL);
	assert_int_equal(ftruncate(unsealed, 4096), 0);
	assert_int_equal(config_segment_open(CONFIG_IMAGE, unsealed, 7, &segment, &err), -EPERM);
	mem_fail_at(1);
	assert_int_equal(config_segment_open(CONFIG_IMAGE, good, 7, &segment, &err), -ENOMEM);
	mem_fail_at(0);
	assert_null(segment);
	/* The descriptors stay the caller's. */
	assert_true(is_open(good) && is_open(noise) && is_open(unsealed));
	close(good);
	close(noise);
	close(unsealed);
}

static void test_segment_lives_as_long_as_a_config_has_it(void **state)
{
	struct config *first = config_new(NULL), *second, *third;
	struct config_segment *segment;
	struct err err;
	int seven = sealed_image(7), eight = sealed_image(8);

	(void)state;
	assert_int_equal(config_segment_open(CONFIG_IMAGE, seven, 7, &segment, &err), 0);
	config_set(first, CONFIG_IMAGE, segment);
	config_segment_put(segment);
	assert_int_equal(first->image->generation, 7);
	second = config_new(first);
	assert_int_equal(second->serial, first->serial + 1);
	assert_int_equal(config_segment_open(CONFIG_IMAGE, eight, 8, &segment, &err), 0);
	config_set(second, CONFIG_IMAGE, segment);
	config_segment_put(segment);
	third = config_new(second);
	assert_int_equal(first->image->generation, 7);
	assert_int_equal(third->image->generation, 8);
	config_free(first);
	assert_false(is_open(seven));
	config_free(second);
	assert_true(is_open(eight));
	config_free(third);
	assert_false(is_open(eight));
	config_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_segment_lives_as_long_as_a_config_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
