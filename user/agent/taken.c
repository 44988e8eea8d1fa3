// SPDX-License-Identifier: Apache-2.0
/*
 * taken: see taken.h.
 *
 * /proc/net/tcp has the listening sockets first, and all others behind them: what is read is no
 * more than there are listeners, however many connections this machine has.
 */
#include "agent/taken.h"

#include <stdio.h>

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
		is_found = read_address(hex, port, taken) && addr_range_covers(range, taken) &&
			   !is_ours(ours, taken);
	}
	fclose(file);
	return is_found;
}

bool taken_find(const struct addr_range *range, const struct listeners *ours, struct addr *taken)
{
	return find_in("/proc/thread-self/net/tcp", range, ours, taken) ||
	       find_in("/proc/thread-self/net/tcp6", range, ours, taken);
}
