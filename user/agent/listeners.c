// SPDX-License-Identifier: Apache-2.0
/*
 * listeners: one SO_REUSEPORT socket for each listener and worker.
 *
 * SO_REUSEPORT lets any process of ours join, also a second sluice that was started by mistake:
 * both would then get a part of the connections. So before the first socket of a group is made,
 * one without SO_REUSEPORT is bound to the address for a moment, which fails where anybody listens.
 */
#include "agent/listeners.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

const char *listener_protocol_name(enum control_protocol protocol)
{
	return protocol == CONTROL_PROTOCOL_TLS ? "https" : "http";
}

static int add(struct listeners *listeners, const struct options_addresses *addresses,
	       enum control_protocol protocol, struct err *err)
{
	for (size_t i = 0; i < addresses->count; i++) {
		struct listener *listener = &listeners->at[listeners->count];
		char text[ADDR_TEXT_MAX];

		if (listeners->count == LISTENERS_MAX)
			return err_set(err, -EINVAL, "more than %d listeners", LISTENERS_MAX);
		for (size_t n = 0; n < listeners->count; n++)
			if (addr_eq(&listeners->at[n].addr, &addresses->at[i]))
				return err_set(err, -EINVAL, "'%s' stands there twice",
					       addr_format(&addresses->at[i], text));
		*listener = (struct listener){
			.addr = addresses->at[i],
			.protocol = protocol,
			.id = (uint16_t)listeners->count,
			.is_optional = addresses->is_default && !addr_is_v4(&addresses->at[i]),
			.fds = mem_new(listeners->worker_count, sizeof(int)),
		};
		for (uint32_t n = 0; n < listeners->worker_count; n++)
			listener->fds[n] = -1;
		listeners->count++;
	}
	return 0;
}

int listeners_init(struct listeners *listeners, const struct options *options,
		   uint32_t worker_count, struct err *err)
{
	int rc;

	*listeners = (struct listeners){ .worker_count = worker_count };
	rc = add(listeners, &options->http, CONTROL_PROTOCOL_HTTP, err);
	if (!rc)
		rc = add(listeners, &options->https, CONTROL_PROTOCOL_TLS, err);
	return rc;
}

static void release_one(struct listeners *listeners, struct listener *listener)
{
	for (uint32_t i = 0; i < listeners->worker_count; i++)
		if (listener->fds[i] >= 0)
			close(listener->fds[i]);
	mem_free(listener->fds);
}

void listeners_release(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++)
		release_one(listeners, &listeners->at[i]);
	listeners->count = 0;
}

/* --------------------------------------------------------------------------- taking back */

/* An id that no other listener has: the one whose place is taken gets the id that falls free. */
static void give_id(struct listeners *listeners, struct listener *to, uint16_t id)
{
	for (size_t i = 0; i < listeners->count; i++)
		if (listeners->at[i].id == id)
			listeners->at[i].id = to->id;
	to->id = id;
}

/* Two descriptors of one socket: the kernel gives each socket a number of its own. */
static bool is_same_socket(int a, int b)
{
	uint64_t cookie_a = 0, cookie_b = 1;
	socklen_t len = sizeof(uint64_t);

	return getsockopt(a, SOL_SOCKET, SO_COOKIE, &cookie_a, &len) == 0 &&
	       getsockopt(b, SOL_SOCKET, SO_COOKIE, &cookie_b, &len) == 0 && cookie_a == cookie_b;
}

bool listeners_take(struct listeners *listeners, const struct control_listener *from, int fd)
{
	struct addr addr = { .port = from->port };

	memcpy(addr.ip, from->ip, sizeof(addr.ip));
	for (size_t i = 0; i < listeners->count; i++) {
		struct listener *listener = &listeners->at[i];

		if (!addr_eq(&listener->addr, &addr) || listener->protocol != from->protocol ||
		    from->worker >= listeners->worker_count || from->listener_id >= LISTENERS_MAX)
			continue;
		if (listener->fds[from->worker] >= 0) {
			bool is_kept = is_same_socket(listener->fds[from->worker], fd);

			close(fd);
			return is_kept;
		}
		listener->fds[from->worker] = fd;
		give_id(listeners, listener, from->listener_id);
		return true;
	}
	close(fd);
	return false;
}

size_t listeners_missing(const struct listeners *listeners)
{
	size_t count = 0;

	for (size_t i = 0; i < listeners->count; i++)
		for (uint32_t n = 0; n < listeners->worker_count; n++)
			count += listeners->at[i].fds[n] < 0;
	return count;
}

/* ------------------------------------------------------------------------------- opening */

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* A bound socket, or -errno. */
static int bind_socket(const struct addr *addr, bool is_shared)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!rc && is_shared)
		rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!rc && sa.ss_family == AF_INET6)
		rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!rc && bind(fd, (struct sockaddr *)&sa, len) < 0)
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

static int open_socket(const struct addr *addr)
{
	int fd = bind_socket(addr, true);
	int rc;

	if (fd < 0)
		return fd;
	/* A hint: where it cannot be had, a worker waits for the first bytes itself. */
	set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, LISTENERS_DEFER_ACCEPT_S);
	/* Accepted connections inherit this: no system call for each of them. */
	rc = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (!rc && listen(fd, LISTENERS_BACKLOG) < 0)
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

static bool has_any(const struct listener *listener, uint32_t worker_count)
{
	for (uint32_t i = 0; i < worker_count; i++)
		if (listener->fds[i] >= 0)
			return true;
	return false;
}

static int open_listener(struct listeners *listeners, struct listener *listener)
{
	if (!has_any(listener, listeners->worker_count)) {
		int probe = bind_socket(&listener->addr, false);

		if (probe < 0)
			return probe;
		close(probe);
	}
	for (uint32_t i = 0; i < listeners->worker_count; i++) {
		if (listener->fds[i] < 0)
			listener->fds[i] = open_socket(&listener->addr);
		if (listener->fds[i] < 0)
			return listener->fds[i];
	}
	return 0;
}

static void drop(struct listeners *listeners, size_t index)
{
	release_one(listeners, &listeners->at[index]);
	listeners->count--;
	memmove(&listeners->at[index], &listeners->at[index + 1],
		(listeners->count - index) * sizeof(listeners->at[0]));
}

int listeners_open(struct listeners *listeners, struct err *err)
{
	for (size_t i = 0; i < listeners->count;) {
		struct listener *listener = &listeners->at[i];
		char text[ADDR_TEXT_MAX];
		int rc = open_listener(listeners, listener);

		addr_format(&listener->addr, text);
		if (rc && listener->is_optional && (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL)) {
			log_warning("agent", "not listening on %s: this kernel has no IPv6", text);
			drop(listeners, i);
			continue;
		}
		if (rc)
			return err_set_os(err, rc, "cannot listen on '%s' for %s", text,
					  listener_protocol_name(listener->protocol));
		i++;
	}
	return 0;
}
