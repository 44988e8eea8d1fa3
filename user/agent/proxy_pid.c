// SPDX-License-Identifier: Apache-2.0
/* proxy_pid: see proxy_pid.h. */
#include "agent/proxy_pid.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

enum { TEXT_MAX = 1024, PATH_BYTES = 4096 };

static struct str read_small(const char *path, char text[TEXT_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return str_of(NULL, 0);
	len = read(fd, text, TEXT_MAX);
	close(fd);
	return len < 0 ? str_of(NULL, 0) : str_of(text, (size_t)len);
}

/* Field 22 of /proc/PID/stat; the name in field 2 may hold spaces and parentheses. 0: gone. */
static uint64_t start_time(int pid)
{
	char path[64], text[TEXT_MAX];
	struct str rest, part;
	uint64_t ticks = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	rest = read_small(path, text);
	while (rest.len && rest.at[rest.len - 1] != ')')
		rest.len--;
	rest = str_of(text + rest.len, rest.len ? strcspn(text + rest.len, "\n") : 0);
	for (int field = 2; field <= 22; field++)
		if (!str_take_part(&rest, ' ', &part))
			return 0;
	return str_parse_u64(part, UINT64_MAX, &ticks) ? 0 : ticks;
}

static void make_path(char path[PATH_BYTES], const char *run_dir)
{
	snprintf(path, PATH_BYTES, "%s/proxy.pid", run_dir);
}

void proxy_pid_write(const char *run_dir, int pid)
{
	char path[PATH_BYTES], text[64];
	int len = snprintf(text, sizeof(text), "%d %" PRIu64 "\n", pid, start_time(pid));
	int fd;

	make_path(path, run_dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)len) != len)
		log_warning("agent", "cannot write '%s': %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void proxy_pid_remove(const char *run_dir)
{
	char path[PATH_BYTES];

	make_path(path, run_dir);
	unlink(path);
}

int proxy_pid_read(const char *run_dir)
{
	char path[PATH_BYTES], text[TEXT_MAX];
	struct str rest, part;
	uint64_t pid, ticks;

	make_path(path, run_dir);
	rest = str_trim(read_small(path, text));
	rest.len = rest.len ? strcspn(text, "\n") : 0;
	if (rest.len == 0 || !str_take_part(&rest, ' ', &part) ||
	    str_parse_u64(part, INT32_MAX, &pid) || str_parse_u64(rest, UINT64_MAX, &ticks))
		return 0;
	return ticks && start_time((int)pid) == ticks ? (int)pid : 0;
}
