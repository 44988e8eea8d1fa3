// SPDX-License-Identifier: Apache-2.0
/*
 * taken: see taken.h.
 *
 * /proc/net/tcp has the listening sockets first, and all others behind them: what is read is no
 * more than there are listeners, however many connections this machine has.
 */
#include "agent/taken.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STATE_LISTEN = 0x0a, LINE_BYTES = 256 };

/* "0100007F:1F90" or 32 digits: words of network order, printed as this machine reads them. */
static bool read_address(const char *hex, unsigned int port, struct addr *addr)
{
	uint32_t words[4] = { 0, 0, htonl(0xffff), 0 };
	bool is_v4 = strlen(hex) == 8;
	int read = is_v4 ? sscanf(hex, "%8x", &words[3])
			 : sscanf(hex, "%8x%8x%8x%8x", &words[0], &words[1], &words[2], &words[3]);

	memcpy(addr->ip, words, sizeof(addr->ip));
	addr->port = (uint16_t)port;
	return read == (is_v4 ? 1 : 4);
}

static bool is_ours(const struct listeners *ours, const struct addr *addr)
{
	for (size_t i = 0; i < ours->count; i++)
		if (addr_eq(&ours->at[i].addr, addr))
			return true;
	return false;
}

/* A socket on [::] has IPv4 or not, which /proc does not say and bind(2) knows. */
static bool is_bound_in(const struct addr_range *range, uint16_t port)
{
	struct addr addr = range->first;
	struct sockaddr_storage sa;
	socklen_t len;
	int one = 1, fd;
	bool is_bound;

	addr.port = port;
	len = addr_to_sockaddr(&addr, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	/* Connections that ended stand in nobody's way, and the address need not be ours. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	is_bound = bind(fd, (struct sockaddr *)&sa, len) < 0 && errno == EADDRINUSE;
	close(fd);
	return is_bound;
}

static bool is_taken(const struct addr_range *range, const struct addr *addr)
{
	return addr_range_takes_from(range, addr, false) ||
	       (addr_range_takes_from(range, addr, true) && is_bound_in(range, addr->port));
}

static bool find_in(const char *path, const struct addr_range *range, const struct listeners *ours,
		    struct addr *taken)
{
	FILE *file = fopen(path, "re");
	char line[LINE_BYTES], hex[33];
	unsigned int port, state;
	bool is_found = false;

	if (!file)
		return false; /* a kernel without IPv6 */
	if (!fgets(line, sizeof(line), file))
		line[0] = 0; /* the names of the columns */
	while (!is_found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*d: %32[0-9A-F]:%x %*s %x", hex, &port, &state) != 3 ||
		    state != STATE_LISTEN)
			break;
		is_found = read_address(hex, port, taken) && !is_ours(ours, taken) &&
			   is_taken(range, taken);
	}
	fclose(file);
	return is_found;
}

bool taken_find(const struct addr_range *range, const struct listeners *ours, struct addr *taken)
{
	return find_in("/proc/thread-self/net/tcp", range, ours, taken) ||
	       find_in("/proc/thread-self/net/tcp6", range, ours, taken);
}
