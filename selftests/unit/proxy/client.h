/* SPDX-License-Identifier: Apache-2.0 */
/* client: a blocking client for tests: sends bytes as they are, reads what comes. */
#ifndef SLUICE_SELFTESTS_UNIT_PROXY_CLIENT_H
#define SLUICE_SELFTESTS_UNIT_PROXY_CLIENT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/addr.h"

enum { CLIENT_TEXT_MAX = 1 << 20, CLIENT_TIMEOUT_S = 5 };

struct client {
	int fd;
	size_t len;
	bool is_closed; /* the other end has closed */
	bool is_reset;
	char *text; /* all that came and was not dropped; NUL-terminated */
};

static inline struct client client_open(const struct addr *addr)
{
	struct client client = { .text = calloc(1, CLIENT_TEXT_MAX + 1) };
	struct timeval timeout = { .tv_sec = CLIENT_TIMEOUT_S };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);

	client.fd = socket(sa.ss_family, SOCK_STREAM, 0);
	setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (connect(client.fd, (struct sockaddr *)&sa, len) < 0)
		client.is_closed = true;
	return client;
}

static inline void client_close(struct client *client)
{
	close(client->fd);
	free(client->text);
}

static inline void client_send(struct client *client, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(client->fd, bytes, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		bytes += sent;
		len -= (size_t)sent;
	}
}

static inline void client_say(struct client *client, const char *text)
{
	client_send(client, text, strlen(text));
}

/* Receives once more. False at the end, or when nothing came in time. */
static inline bool client_fill(struct client *client)
{
	ssize_t got;

	if (client->is_closed || client->len == CLIENT_TEXT_MAX)
		return false;
	got = recv(client->fd, client->text + client->len, CLIENT_TEXT_MAX - client->len, 0);
	if (got > 0) {
		client->len += (size_t)got;
		client->text[client->len] = 0;
		return true;
	}
	client->is_closed = got == 0 || errno == ECONNRESET;
	client->is_reset = got < 0 && errno == ECONNRESET;
	return false;
}

/* Until @text has come. */
static inline bool client_wait(struct client *client, const char *text)
{
	while (!strstr(client->text, text))
		if (!client_fill(client))
			return false;
	return true;
}

/* Until the other end closes. */
static inline bool client_wait_closed(struct client *client)
{
	while (client_fill(client))
		;
	return client->is_closed;
}

static inline void client_drop(struct client *client)
{
	client->len = 0;
	client->text[0] = 0;
}

/* Sends one request and waits until @end has come. */
static inline bool client_ask(struct client *client, const char *request, const char *end)
{
	client_drop(client);
	client_say(client, request);
	return client_wait(client, end);
}

#endif
