// SPDX-License-Identifier: Apache-2.0
/* get: one HTTP request to the agent, waiting for the whole answer. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "control/control.h"

enum { ANSWER_TIMEOUT_S = 30, READ_BYTES = 64 * 1024 };

static int connect_tcp(const struct addr *addr, struct err *err)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[ADDR_TEXT_MAX];

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, len) == 0)
		return fd;
	err_set_os(err, -errno, "cannot reach the agent at '%s'", addr_format(addr, text));
	if (fd >= 0)
		close(fd);
	return err->code;
}

static int connect_unix(const char *run_dir, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int len = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", run_dir, CONTROL_ADMIN_NAME);
	int fd;

	if (len < 0 || (size_t)len >= sizeof(sa.sun_path))
		return err_set(err, -ENAMETOOLONG, "run dir '%s' is too long", run_dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED)
		err_set(err, -errno, "no agent is running with the run dir '%s' (see --run-dir)",
			run_dir);
	else
		err_set_os(err, -errno, "cannot reach the agent at '%s'", sa.sun_path);
	if (fd >= 0)
		close(fd);
	return err->code;
}

static int send_request(int fd, struct str wanted, struct err *err)
{
	struct buf request;
	ssize_t len;

	buf_init(&request, 0);
	buf_printf(&request, "%.*s HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n\r\n",
		   STR_ARG(wanted));
	len = send(fd, request.at, request.len, MSG_NOSIGNAL);
	buf_release(&request);
	return len < 0 ? err_set_os(err, -errno, "cannot ask the agent") : 0;
}

static int receive_all(int fd, struct buf *answer, struct err *err)
{
	char part[READ_BYTES];
	ssize_t len;

	while ((len = recv(fd, part, sizeof(part), 0)) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_set_os(err, -errno, "the agent does not answer");
		buf_add(answer, str_of(part, (size_t)len));
	}
	return 0;
}

/* "HTTP/1.1 200 OK", fields, an empty line, the body. */
static int split(struct str answer, unsigned int *status, struct str *body, struct err *err)
{
	const char *end = memmem(answer.at, answer.len, "\r\n\r\n", 4);
	uint64_t number;

	if (!end || !str_starts_with(answer, STR("HTTP/1.1 ")) ||
	    str_parse_u64(str_slice(answer, 9, 3), 999, &number))
		return err_set(err, -EPROTO, "the agent's answer is not HTTP");
	*status = (unsigned int)number;
	*body = str_slice(answer, (size_t)(end - answer.at) + 4, answer.len);
	return 0;
}

int cli_get(const struct cli_server *server, struct str request, struct buf *body,
	    unsigned int *status, struct err *err)
{
	struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
	struct buf answer;
	struct str rest;
	int fd = server->has_admin ? connect_tcp(&server->admin, err)
				   : connect_unix(server->run_dir, err);
	int rc;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	buf_init(&answer, 0);
	rc = send_request(fd, request, err);
	if (!rc)
		rc = receive_all(fd, &answer, err);
	if (!rc)
		rc = split(buf_str(&answer), status, &rest, err);
	if (!rc)
		buf_add(body, rest);
	buf_release(&answer);
	close(fd);
	return rc;
}

void cli_add_parameter(struct buf *target, const char *name, struct str value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/:";
	bool has_query = str_find_char(buf_str(target), '?') < target->len;

	buf_printf(target, "%c%s=", has_query ? '&' : '?', name);
	for (size_t i = 0; i < value.len; i++) {
		char c = value.at[i];

		if (c && strchr(plain, c))
			buf_add_char(target, c);
		else
			buf_printf(target, "%%%02X", (unsigned char)c);
	}
}
