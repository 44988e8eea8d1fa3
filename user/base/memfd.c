// SPDX-License-Identifier: Apache-2.0
/* memfd: see memfd.h and memfd_create(2), fcntl(2) "File sealing". */
#include "base/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	SEALS_SIZE = F_SEAL_SHRINK | F_SEAL_GROW,
	SEALS_ALL = SEALS_SIZE | F_SEAL_WRITE | F_SEAL_SEAL,
	COLLAPSE = 25, /* MADV_COLLAPSE, which headers older than kernel 6.1 do not name */
};

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static int write_all(int fd, struct str bytes)
{
	while (bytes.len) {
		ssize_t done = write(fd, bytes.at, bytes.len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		bytes = str_slice(bytes, (size_t)done, bytes.len);
	}
	return 0;
}

int memfd_seal(const char *name, struct str bytes, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc;

	if (fd < 0)
		return err_set_os(err, -errno, "create memfd '%s'", name);
	rc = write_all(fd, bytes);
	if (rc == 0 && fcntl(fd, F_ADD_SEALS, SEALS_ALL) < 0)
		rc = -errno;
	if (rc == 0)
		return fd;
	close(fd);
	return err_set_os(err, rc, "write memfd '%s'", name);
}

int memfd_shared(const char *name, size_t size_bytes, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc;

	if (fd < 0)
		return err_set_os(err, -errno, "create memfd '%s'", name);
	if (ftruncate(fd, (off_t)size_bytes) == 0 &&
	    fcntl(fd, F_ADD_SEALS, SEALS_SIZE | F_SEAL_SEAL) == 0)
		return fd;
	rc = err_set_os(err, -errno, "size memfd '%s'", name);
	close(fd);
	return rc;
}

/* By lseek: fstat is a look-up by name for some C libraries, which the proxy may not do. */
static off_t size_of(int fd)
{
	return lseek(fd, 0, SEEK_END);
}

/* Only what begins on a multiple of their size can have huge pages. MAP_FAILED, or a mapping. */
static void *map_aligned(int fd, size_t size)
{
	size_t reserved_bytes = size + MEMFD_HUGE_BYTES;
	char *reserved = mmap(NULL, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at, *end;

	if (reserved == MAP_FAILED)
		return MAP_FAILED;
	at = reserved + (-(uintptr_t)reserved & (MEMFD_HUGE_BYTES - 1));
	if (mmap(at, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
		munmap(reserved, reserved_bytes);
		return MAP_FAILED;
	}
	end = at + size + (-size & (page_bytes() - 1));
	if (at > reserved)
		munmap(reserved, (size_t)(at - reserved));
	if (end < reserved + reserved_bytes)
		munmap(end, (size_t)(reserved + reserved_bytes - end));
	return at;
}

size_t memfd_use_huge_pages(struct str bytes)
{
	size_t whole = bytes.len - bytes.len % MEMFD_HUGE_BYTES;

	if (whole == 0 || (uintptr_t)bytes.at % MEMFD_HUGE_BYTES)
		return 0;
	return madvise((void *)bytes.at, whole, COLLAPSE) == 0 ? whole : 0; /* reads and moves */
}

int memfd_map_sealed(int fd, struct str *bytes, struct err *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	off_t size = size_of(fd);
	void *at;

	if (seals < 0 || size < 0)
		return err_set_os(err, -errno, "inspect memfd");
	if ((seals & (SEALS_SIZE | F_SEAL_WRITE)) != (SEALS_SIZE | F_SEAL_WRITE))
		return err_set(err, -EPERM, "memfd is not sealed");
	if (size == 0)
		return err_set(err, -EINVAL, "memfd is empty");
	if (size < MEMFD_HUGE_BYTES)
		at = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	else
		at = map_aligned(fd, (size_t)size);
	if (at == MAP_FAILED)
		return err_set_os(err, -errno, "map memfd");
	*bytes = str_of(at, (size_t)size);
	return 0;
}

int memfd_map_shared(int fd, size_t size_bytes, void **at, struct err *err)
{
	off_t size = size_of(fd);

	if (size < 0)
		return err_set_os(err, -errno, "inspect memfd");
	if ((size_t)size < size_bytes)
		return err_set(err, -EINVAL, "memfd holds %lld bytes, %zu wanted", (long long)size,
			       size_bytes);
	*at = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*at == MAP_FAILED)
		return err_set_os(err, -errno, "map memfd");
	return 0;
}

void memfd_unmap(const void *at, size_t size_bytes)
{
	if (at)
		munmap((void *)at, size_bytes); /* the cast gives back what mmap gave */
}
