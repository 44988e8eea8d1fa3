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
#include <string.h>
#include <unistd.h>

#include "agent/taken.h"
#include "base/log.h"
#include "base/mem.h"

const char *listener_protocol_name(enum control_protocol protocol)
{
	return protocol == CONTROL_PROTOCOL_TLS ? "https" : "http";
}

/* Two listeners that could not be told apart, or whose sockets would be in one group. */
static int check_beside(const struct listener *other, const struct addr_range *range,
			struct err *err)
{
	char text[ADDR_RANGE_TEXT_MAX], other_text[ADDR_RANGE_TEXT_MAX];

	addr_range_format(range, text);
	addr_range_format(&other->range, other_text);
	if (addr_range_eq(&other->range, range))
		return err_set(err, -EINVAL, "'%s' stands there twice", text);
	if (addr_range_clashes(&other->range, range))
		return err_set(err, -EINVAL, "'%s' and '%s' have a port in common", other_text,
			       text);
	if (addr_eq(&other->addr, &range->first))
		return err_set(err, -EINVAL,
			       "'%s' and '%s' begin with the same address and port, where each "
			       "has its sockets",
			       other_text, text);
	return 0;
}

static int add_one(struct listeners *listeners, const struct addr_range *range,
		   enum control_protocol protocol, struct err *err)
{
	struct listener *listener = &listeners->at[listeners->count];

	if (listeners->count == LISTENERS_MAX)
		return err_set(err, -EINVAL, "more than %d listeners", LISTENERS_MAX);
	for (size_t i = 0; i < listeners->count; i++)
		if (check_beside(&listeners->at[i], range, err))
			return -EINVAL;
	*listener = (struct listener){
		.range = *range,
		.addr = range->first,
		.protocol = protocol,
		.id = (uint16_t)listeners->count,
		.fds = mem_new(listeners->worker_count, sizeof(int)),
	};
	for (uint32_t i = 0; i < listeners->worker_count; i++)
		listener->fds[i] = -1;
	listeners->count++;
	return 0;
}

static int add(struct listeners *listeners, const struct options_addresses *addresses,
	       enum control_protocol protocol, struct err *err)
{
	for (size_t i = 0; i < addresses->count; i++) {
		int rc = add_one(listeners, &addresses->at[i], protocol, err);

		if (rc)
			return rc;
		listeners->at[listeners->count - 1].is_optional =
			addresses->is_default && !addr_is_v4(&addresses->at[i].first);
	}
	return 0;
}

/*
 * What a range takes, nobody else gets: our own admin address would be shut off, too. On [::] it
 * has IPv4 as well.
 */
static int check_admin(const struct listeners *listeners, const struct options *options,
		       struct err *err)
{
	char text[ADDR_RANGE_TEXT_MAX], admin[ADDR_TEXT_MAX];

	for (size_t i = 0; options->has_admin && i < listeners->count; i++) {
		const struct addr_range *range = &listeners->at[i].range;

		if (addr_range_is_plain(range) ||
		    !addr_range_takes_from(range, &options->admin, true))
			continue;
		return err_set(err, -EINVAL, "'%s' covers the admin address '%s'",
			       addr_range_format(range, text), addr_format(&options->admin, admin));
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
	return rc ? rc : check_admin(listeners, options, err);
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

bool listeners_have_ranges(const struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++)
		if (!addr_range_is_plain(&listeners->at[i].range))
			return true;
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

/* The first address of a prefix need not be one of this machine's. */
static int bind_anywhere(int fd, int family)
{
	return family == AF_INET6 ? set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1)
				  : set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
}

/* A bound socket, or -errno. */
static int bind_socket(const struct listener *listener, bool is_shared)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&listener->addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!rc && is_shared)
		rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!rc && sa.ss_family == AF_INET6)
		rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!rc && !addr_range_is_plain(&listener->range))
		rc = bind_anywhere(fd, sa.ss_family);
	if (!rc && bind(fd, (struct sockaddr *)&sa, len) < 0)
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

static int open_socket(const struct listener *listener)
{
	int fd = bind_socket(listener, true);
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

/* A range would take these connections away from whoever listens there. */
static int check_taken(const struct listeners *listeners, const struct listener *listener,
		       struct err *err)
{
	char text[ADDR_TEXT_MAX];
	struct addr taken;

	if (addr_range_is_plain(&listener->range) ||
	    !taken_find(&listener->range, listeners, &taken))
		return 0;
	return err_set(err, -EADDRINUSE, "somebody listens on '%s' already",
		       addr_format(&taken, text));
}

/* Whether it can be had: nobody of others listens there. Nothing of ours may be open yet. */
static int probe_listener(const struct listeners *listeners, struct listener *listener,
			  struct err *err)
{
	int fd;

	if (has_any(listener, listeners->worker_count))
		return 0;
	if (check_taken(listeners, listener, err))
		return -EADDRINUSE;
	fd = bind_socket(listener, false);
	if (fd < 0)
		return err_set(err, fd, "%s", strerror(-fd));
	close(fd);
	return 0;
}

static int open_listener(const struct listeners *listeners, struct listener *listener,
			 struct err *err)
{
	for (uint32_t i = 0; i < listeners->worker_count; i++) {
		if (listener->fds[i] < 0)
			listener->fds[i] = open_socket(listener);
		if (listener->fds[i] < 0)
			return err_set(err, listener->fds[i], "%s", strerror(-listener->fds[i]));
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

/* Does @step with each; those that may be missing are dropped where it fails. */
static int each_listener(struct listeners *listeners,
			 int (*step)(const struct listeners *listeners, struct listener *listener,
				     struct err *err),
			 struct err *err)
{
	for (size_t i = 0; i < listeners->count;) {
		struct listener *listener = &listeners->at[i];
		char text[ADDR_RANGE_TEXT_MAX];
		int rc = step(listeners, listener, err);

		addr_range_format(&listener->range, text);
		if (rc && listener->is_optional && (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL)) {
			log_warning("agent", "not listening on %s: this kernel has no IPv6", text);
			drop(listeners, i);
			continue;
		}
		if (rc)
			return err_prefix(err, "cannot listen on '%s' for %s", text,
					  listener_protocol_name(listener->protocol));
		i++;
	}
	return 0;
}

/* Two rounds: one of ours on every address would stand in the way of one on a single address. */
int listeners_open(struct listeners *listeners, struct err *err)
{
	int rc = each_listener(listeners, probe_listener, err);

	return rc ? rc : each_listener(listeners, open_listener, err);
}
