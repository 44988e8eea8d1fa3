// SPDX-License-Identifier: Apache-2.0
/*
 * control_socket: the socket file that agent and proxy meet at.
 *
 * The file's mode keeps others out, and SO_PEERCRED says so once more: who is root or runs under
 * our own id may talk, nobody else. A socket file that an agent left behind when it was killed is
 * told from a living one by connecting to it.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control.h"

enum { BACKLOG = 8 };

static int make_address(const char *path, struct sockaddr_un *address, struct err *err)
{
	size_t len = strlen(path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(address->sun_path))
		return err_set(err, -ENAMETOOLONG, "path '%s' is too long for a socket", path);
	memcpy(address->sun_path, path, len);
	return 0;
}

static int make_socket(struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? err_set_os(err, -errno, "cannot make a control socket") : fd;
}

int control_connect(const char *path, struct err *err)
{
	struct sockaddr_un address;
	int rc = make_address(path, &address, err);
	int fd;

	if (rc)
		return rc;
	fd = make_socket(err);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		rc = err_set_os(err, -errno, "cannot connect to '%s'", path);
		close(fd);
		return rc;
	}
	return fd;
}

/* Whether somebody listens at @path; a full backlog (-EAGAIN) is somebody too. */
static bool is_alive(const char *path)
{
	int fd = control_connect(path, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

/* Bound under the umask that gives the file 0600 from its first moment on. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t mask = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

	umask(mask);
	return rc;
}

/* A listening socket that is bound to @path, where nothing may stand. */
static int listen_at(const char *path, struct err *err)
{
	struct sockaddr_un address;
	int rc = make_address(path, &address, err);
	int fd;

	if (rc)
		return rc;
	fd = make_socket(err);
	if (fd < 0)
		return fd;
	rc = bind_private(fd, &address);
	if (!rc && listen(fd, BACKLOG) < 0)
		rc = -errno;
	if (rc) {
		err_set_os(err, rc, "cannot listen on '%s'", path);
		close(fd);
		return rc;
	}
	return fd;
}

static int remove_file(const char *path, struct err *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set_os(err, -errno, "cannot remove '%s'", path);
	return 0;
}

int control_listen(const char *path, struct err *err)
{
	int rc;

	if (is_alive(path))
		return err_set(err, -EADDRINUSE, "another agent listens on '%s'", path);
	rc = remove_file(path, err);
	return rc ? rc : listen_at(path, err);
}

int control_listen_over(const char *path, struct err *err)
{
	char beside[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int len = snprintf(beside, sizeof(beside), "%s.new", path);
	int rc, fd;

	if (len < 0 || (size_t)len >= sizeof(beside))
		return err_set(err, -ENAMETOOLONG, "path '%s' is too long for a socket", path);
	rc = remove_file(beside, err);
	if (rc)
		return rc;
	fd = listen_at(beside, err);
	if (fd < 0)
		return fd;
	if (rename(beside, path) < 0) {
		rc = err_set_os(err, -errno, "cannot rename '%s'", beside);
		close(fd);
		return rc;
	}
	return fd;
}

int control_accept(int listen_fd, struct err *err)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return errno == EAGAIN ? -EAGAIN
				       : err_set_os(err, -errno, "cannot accept a connection");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		int rc = err_set_os(err, -errno, "cannot tell who connects");

		close(fd);
		return rc;
	}
	if (peer.uid != 0 && peer.uid != geteuid()) {
		close(fd);
		return err_set(err, -EPERM, "process %d of user %u may not connect", peer.pid,
			       peer.uid);
	}
	return fd;
}

int control_peer_pid(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	return peer.pid;
}
