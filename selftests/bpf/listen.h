/* SPDX-License-Identifier: Apache-2.0 */
/* listen: TCP sockets for tests, each call bounded by a time. */
#ifndef SLUICE_SELFTESTS_BPF_LISTEN_H
#define SLUICE_SELFTESTS_BPF_LISTEN_H

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "selftests/bpf/lab.h"

enum { LISTEN_WAIT_MS = 2000, LISTEN_BACKLOG = 64 };

static inline struct addr listen_addr(const char *text)
{
	struct addr addr = { 0 };

	if (addr_parse(str_from_c(text), &addr, NULL))
		lab_die(text);
	return addr;
}

static inline void listen_set_on(int fd, int level, int option)
{
	int on = 1;

	if (setsockopt(fd, level, option, &on, sizeof(on)))
		lab_die("setsockopt");
}

/* A listening socket of a group that shares @addr. */
static inline int listen_open(const struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		lab_die("socket");
	listen_set_on(fd, SOL_SOCKET, SO_REUSEADDR);
	listen_set_on(fd, SOL_SOCKET, SO_REUSEPORT);
	if (sa.ss_family == AF_INET6) {
		listen_set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
		/* Of a prefix that is local as a whole no address is one of an interface. */
		listen_set_on(fd, IPPROTO_IPV6, IPV6_FREEBIND);
	}
	if (bind(fd, (struct sockaddr *)&sa, len) || listen(fd, LISTEN_BACKLOG))
		lab_die("listen");
	return fd;
}

/* A connection to @addr, or -1. */
static inline int listen_connect(const struct addr *addr)
{
	struct timeval wait = { LISTEN_WAIT_MS / 1000, 0 };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&sa, len) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Which of @fds has a connection waiting, accepted into *@connection; -1 for none in time. */
static inline int listen_accept(const int *fds, int count, int *connection)
{
	struct pollfd polls[16];

	*connection = -1;
	for (int i = 0; i < count; i++)
		polls[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	if (poll(polls, (nfds_t)count, LISTEN_WAIT_MS) <= 0)
		return -1;
	for (int i = 0; i < count; i++) {
		if (!(polls[i].revents & POLLIN))
			continue;
		*connection = accept4(fds[i], NULL, NULL, SOCK_CLOEXEC);
		return *connection < 0 ? -1 : i;
	}
	return -1;
}

#endif
