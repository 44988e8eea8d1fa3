/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint: an HTTP/1.1 server for tests that does what the path says, also what no
 * good server would do. One thread a connection; it keeps the last head it saw.
 */
#ifndef SLUICE_SELFTESTS_UNIT_PROXY_ENDPOINT_H
#define SLUICE_SELFTESTS_UNIT_PROXY_ENDPOINT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"

enum { ENDPOINT_HEAD_MAX = 70000 };

struct endpoint_server {
	int fd;
	struct addr addr;
	pthread_t thread;
	atomic_int connections, requests;
	pthread_mutex_t lock;
	char head[ENDPOINT_HEAD_MAX]; /* of the last request */
	const char *name;             /* sent as X-Endpoint */
};

struct endpoint_conn {
	struct endpoint_server *server;
	int fd;
	size_t len;
	char buffer[ENDPOINT_HEAD_MAX];
};

static inline void endpoint_send(struct endpoint_conn *conn, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(conn->fd, bytes, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		bytes += sent;
		len -= (size_t)sent;
	}
}

static inline void endpoint_say(struct endpoint_conn *conn, const char *text)
{
	endpoint_send(conn, text, strlen(text));
}

static inline bool endpoint_fill(struct endpoint_conn *conn)
{
	ssize_t got =
		recv(conn->fd, conn->buffer + conn->len, sizeof(conn->buffer) - 1 - conn->len, 0);

	if (got <= 0)
		return false;
	conn->len += (size_t)got;
	conn->buffer[conn->len] = 0;
	return true;
}

static inline void endpoint_drop(struct endpoint_conn *conn, size_t len)
{
	memmove(conn->buffer, conn->buffer + len, conn->len - len);
	conn->len -= len;
	conn->buffer[conn->len] = 0;
}

/* Reads the body that @head announces; its length, or -1 where the connection ended in it. */
static inline long endpoint_body(struct endpoint_conn *conn, const char *head)
{
	const char *length = strcasestr(head, "\r\nContent-Length:");
	long want = length ? atol(length + 17) : 0, seen = 0;

	if (strcasestr(head, "\r\nTransfer-Encoding: chunked")) {
		char *end;

		while (!(end = strstr(conn->buffer, "\r\n0\r\n\r\n")) &&
		       strncmp(conn->buffer, "0\r\n\r\n", 5) != 0)
			if (!endpoint_fill(conn))
				return -1;
		seen = end ? (long)(end - conn->buffer) + 7 : 5;
		endpoint_drop(conn, (size_t)seen);
		return seen;
	}
	while (seen < want) {
		long here = (long)conn->len < want - seen ? (long)conn->len : want - seen;

		endpoint_drop(conn, (size_t)here);
		seen += here;
		if (seen < want && !endpoint_fill(conn))
			return -1;
	}
	return seen;
}

static inline void endpoint_fixed(struct endpoint_conn *conn, const char *fields, const char *body,
				  bool has_body)
{
	char text[ENDPOINT_HEAD_MAX + 1000];

	snprintf(text, sizeof(text),
		 "HTTP/1.1 200 OK\r\nX-Endpoint: %s\r\n%sContent-Length: %zu\r\n\r\n%s",
		 conn->server->name, fields, strlen(body), has_body ? body : "");
	endpoint_say(conn, text);
}

static inline void endpoint_big(struct endpoint_conn *conn, long size)
{
	static const char block[65536] = { 1 };
	char head[100];

	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", size);
	endpoint_say(conn, head);
	for (; size > 0; size -= (long)sizeof(block))
		endpoint_send(conn, block,
			      size < (long)sizeof(block) ? (size_t)size : sizeof(block));
}

static inline void endpoint_tunnel(struct endpoint_conn *conn)
{
	endpoint_say(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			   "Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n");
	do {
		endpoint_send(conn, conn->buffer, conn->len);
		conn->len = 0;
	} while (endpoint_fill(conn));
	endpoint_say(conn, "bye");
}

/* Answers; false where the connection ends. */
static inline bool endpoint_answer(struct endpoint_conn *conn, const char *head, const char *path)
{
	bool is_head = strncmp(head, "HEAD", 4) == 0;
	char text[64];
	long body;

	if (strcmp(path, "/len") == 0)
		endpoint_fixed(conn, "", "hello", !is_head);
	else if (strcmp(path, "/see") == 0)
		endpoint_fixed(conn, "", head, true);
	else if (strcmp(path, "/plain") == 0)
		endpoint_fixed(conn, "Server: its own\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
			       "hello", !is_head);
	else if (strcmp(path, "/hop") == 0)
		endpoint_fixed(conn, "Connection: X-Private\r\nX-Private: 1\r\nKeep-Alive: 5\r\n",
			       "hello", true);
	else if (strcmp(path, "/chunked") == 0)
		endpoint_say(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n");
	else if (strcmp(path, "/204") == 0)
		endpoint_say(conn, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
	else if (strcmp(path, "/304") == 0)
		endpoint_say(conn, "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n");
	else if (strcmp(path, "/hints") == 0)
		endpoint_say(conn,
			     "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
			     "Content-Length: 2\r\n\r\nok");
	else if (strcmp(path, "/ws") == 0)
		return endpoint_tunnel(conn), false;
	else if (strncmp(path, "/big", 4) == 0)
		endpoint_big(conn, atol(path + 4));
	else if (strcmp(path, "/early") == 0)
		return endpoint_fixed(conn, "", "early", true), usleep(300000), false;
	else if (strcmp(path, "/garbage") == 0)
		return endpoint_say(conn, "nonsense\r\n\r\n"), false;
	else if (strcmp(path, "/cut") == 0)
		return endpoint_say(conn,
				    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes."),
		       false;
	else if (strcmp(path, "/eof") == 0)
		return endpoint_say(conn, "HTTP/1.1 200 OK\r\n\r\nuntil the end"), false;
	else if (strcmp(path, "/old") == 0)
		return endpoint_say(conn, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold"), false;
	else if (strcmp(path, "/close") == 0)
		return endpoint_fixed(conn, "Connection: close\r\n", "hello", true), false;
	else if (strcmp(path, "/drop") == 0)
		return false;
	else if (strcmp(path, "/slow") == 0)
		return usleep(1500000), endpoint_fixed(conn, "", "slow", true), true;
	else if (strcmp(path, "/pieces") == 0) {
		const char *answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

		for (; *answer; answer++, usleep(1000))
			endpoint_send(conn, answer, 1);
	} else {
		if (strcasestr(head, "\r\nExpect: 100-continue"))
			endpoint_say(conn, "HTTP/1.1 100 Continue\r\n\r\n");
		if (strcmp(path, "/sleepy") == 0)
			usleep(500000);
		body = endpoint_body(conn, head);
		if (body < 0)
			return false;
		snprintf(text, sizeof(text), "%ld bytes", body);
		endpoint_fixed(conn, "", text, true);
	}
	return true;
}

static inline void *endpoint_serve(void *arg)
{
	struct endpoint_conn *conn = arg;
	bool goes_on = true;
	char *end;

	while (goes_on) {
		static __thread char head[ENDPOINT_HEAD_MAX];
		char path[256] = "";
		bool is_open = true;

		while (!(end = strstr(conn->buffer, "\r\n\r\n")) && (is_open = endpoint_fill(conn)))
			;
		if (!is_open)
			break;
		snprintf(head, sizeof(head), "%.*s", (int)(end + 4 - conn->buffer), conn->buffer);
		sscanf(head, "%*s %255s", path);
		endpoint_drop(conn, strlen(head));
		pthread_mutex_lock(&conn->server->lock);
		memcpy(conn->server->head, head, sizeof(head));
		pthread_mutex_unlock(&conn->server->lock);
		atomic_fetch_add(&conn->server->requests, 1);
		goes_on = endpoint_answer(conn, head, path);
	}
	close(conn->fd);
	free(conn);
	return NULL;
}

static inline void *endpoint_accept(void *arg)
{
	struct endpoint_server *server = arg;
	int fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		struct endpoint_conn *conn = calloc(1, sizeof(*conn));
		pthread_t thread;

		conn->server = server;
		conn->fd = fd;
		atomic_fetch_add(&server->connections, 1);
		pthread_create(&thread, NULL, endpoint_serve, conn);
		pthread_detach(thread);
	}
	return NULL;
}

static inline void endpoint_start(struct endpoint_server *server, const char *name)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	memset(server, 0, sizeof(*server));
	pthread_mutex_init(&server->lock, NULL);
	server->name = name;
	addr_parse(STR("127.0.0.1:1"), &server->addr, NULL);
	server->addr.port = 0;
	addr_to_sockaddr(&server->addr, &sa);
	server->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(server->fd, (struct sockaddr *)&sa, sizeof(struct sockaddr_in)) < 0 ||
	    listen(server->fd, 128) < 0)
		abort();
	getsockname(server->fd, (struct sockaddr *)&sa, &len);
	addr_from_sockaddr(&sa, &server->addr);
	pthread_create(&server->thread, NULL, endpoint_accept, server);
}

static inline void endpoint_stop(struct endpoint_server *server)
{
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
}

#endif
