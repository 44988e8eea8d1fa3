// SPDX-License-Identifier: Apache-2.0
/* file: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PART_BYTES = 64 * 1024 };

int file_read(const char *path, struct buf *text, struct err *err)
{
	char part[PART_BYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;
	int code = 0;

	if (fd < 0)
		return err_set_os(err, -errno, "cannot read '%s'", path);
	while (!text->is_cut && (len = read(fd, part, sizeof(part))) != 0) {
		if (len < 0) {
			code = err_set_os(err, -errno, "cannot read '%s'", path);
			break;
		}
		buf_add(text, str_of(part, (size_t)len));
	}
	close(fd);
	if (text->is_cut)
		return err_set(err, -EFBIG, "'%s' is larger than %zu bytes", path, text->max);
	return code;
}
