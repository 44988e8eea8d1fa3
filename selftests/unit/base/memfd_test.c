// SPDX-License-Identifier: Apache-2.0
/* Sealed and shared memory: what the seals forbid, and what is refused without them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/memfd.h"

static void test_sealed(void **state)
{
	struct str bytes;
	struct err err;
	int fd = memfd_seal("test", STR("hello"), &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(memfd_map_sealed(fd, &bytes, &err), 0);
	assert_true(str_eq(bytes, STR("hello")));
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(ftruncate(fd, 100), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), -1);
	assert_ptr_equal(mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	/* The mapping outlives the descriptor. */
	close(fd);
	assert_true(str_eq(bytes, STR("hello")));
	memfd_unmap(bytes.at, bytes.len);
	memfd_unmap(NULL, 0);
}

/* Of any size, in huge pages or not, the bytes are the same; and nothing beside them stays mapped.
 */
static void test_large(void **state)
{
	static const size_t sizes[] = { MEMFD_HUGE_BYTES - 1, MEMFD_HUGE_BYTES,
					3 * MEMFD_HUGE_BYTES + 5 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *text = mem_new(sizes[i], 1);
		struct str bytes;
		size_t huge;
		int fd;

		for (size_t k = 0; k < sizes[i]; k++)
			text[k] = (char)(k * 7 + (k >> 12));
		fd = memfd_seal("test", str_of(text, sizes[i]), NULL);
		assert_int_equal(memfd_map_sealed(fd, &bytes, NULL), 0);
		assert_true(str_eq(bytes, str_of(text, sizes[i])));
		huge = memfd_use_huge_pages(bytes);
		assert_true(huge == 0 || huge == sizes[i] - sizes[i] % MEMFD_HUGE_BYTES);
		assert_true(str_eq(bytes, str_of(text, sizes[i])));
		memfd_unmap(bytes.at, bytes.len);
		assert_int_equal(msync((void *)bytes.at, 1, MS_ASYNC), -1);
		assert_int_equal(errno, ENOMEM);
		close(fd);
		mem_free(text);
	}
	assert_int_equal(memfd_use_huge_pages(STR("small")), 0);
}

static void test_unsealed_is_refused(void **state)
{
	static const int seals[] = { 0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW,
				     F_SEAL_WRITE | F_SEAL_SHRINK };
	struct str bytes;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++) {
		int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		assert_true(fd >= 0);
		assert_int_equal(write(fd, "hello", 5), 5);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
		assert_int_equal(memfd_map_sealed(fd, &bytes, &err), -EPERM);
		assert_string_equal(err.text, "memfd is not sealed");
		close(fd);
	}
}

static void test_empty_and_strange_are_refused(void **state)
{
	struct str bytes;
	struct err err;
	int fd = memfd_seal("test", STR(""), &err);
	int pipes[2];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(memfd_map_sealed(fd, &bytes, &err), -EINVAL);
	close(fd);
	assert_int_equal(pipe(pipes), 0);
	assert_true(memfd_map_sealed(pipes[0], &bytes, &err) < 0);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(memfd_map_sealed(-1, &bytes, &err), -EBADF);
}

static void test_shared(void **state)
{
	struct err err;
	uint64_t *first, *second;
	void *at;
	int fd = memfd_shared("test", 4096, &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(memfd_map_shared(fd, 4096, &at, &err), 0);
	first = at;
	assert_int_equal(memfd_map_shared(fd, 64, &at, &err), 0);
	second = at;
	assert_int_equal(second[3], 0);
	first[3] = 42;
	assert_int_equal(second[3], 42);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(memfd_map_shared(fd, 4097, &at, &err), -EINVAL);
	assert_string_equal(err.text, "memfd holds 4096 bytes, 4097 wanted");
	memfd_unmap(first, 4096);
	memfd_unmap(second, 64);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_unsealed_is_refused),
		cmocka_unit_test(test_empty_and_strange_are_refused),
		cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
