// SPDX-License-Identifier: Apache-2.0
/*
 * relay: the floor. It copies bytes and does nothing else.
 *
 *   relay LISTEN_IP:PORT ENDPOINT_IP:PORT [-t CERT KEY] [-1]
 *
 * One thread, epoll, recv and send, no parsing: what any proxy must spend on the
 * kernel (and, with -t, on OpenSSL) is spent here too. Without -1 each client gets
 * an upstream connection of its own. With -1 upstream connections are pooled, one
 * receive is taken for one whole message, and the client's connection is closed
 * after its answer: the floor for a connection per request.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { BUFFER_BYTES = 256 << 10, EVENTS_MAX = 512, RECORD_MAX = 16384 };

struct side {
	int fd;
	bool is_upstream, is_connecting, is_listening, is_shaking, is_dead;
	SSL *ssl;
	struct side *other; /* the peer it is tied to, or NULL */
	char *kept;         /* what could not be sent */
	size_t kept_len, kept_sent;
	uint32_t events;
	struct side *next_pooled, *next_dead;
};

static int epoll_fd;
static bool is_oneshot;
static struct sockaddr_in listen_address, endpoint_address;
static SSL_CTX *tls;
static struct side *pool, *dead;
static char buffer[BUFFER_BYTES];

static void watch(struct side *side, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = side };

	if (side->events == events)
		return;
	epoll_ctl(epoll_fd, side->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, side->fd, &event);
	side->events = events;
}

static void close_side(struct side *side)
{
	if (!side || side->is_dead)
		return;
	side->is_dead = true;
	if (side->ssl) {
		SSL_set_quiet_shutdown(side->ssl, 1);
		SSL_shutdown(side->ssl);
		SSL_free(side->ssl);
	}
	close(side->fd);
	mem_free(side->kept);
	side->kept = NULL;
	side->next_dead = dead;
	dead = side;
}

static void close_both(struct side *side)
{
	struct side *other = side->other;

	side->other = NULL;
	close_side(side);
	if (other) {
		other->other = NULL;
		close_side(other);
	}
}

static struct side *dial(void)
{
	struct side *side = mem_new(1, sizeof(*side));
	int one = 1;

	side->is_upstream = side->is_connecting = true;
	side->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(side->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(side->fd, (const struct sockaddr *)&endpoint_address,
		    sizeof(endpoint_address)) < 0 &&
	    errno != EINPROGRESS)
		perror("relay: connect");
	watch(side, EPOLLIN | EPOLLOUT);
	return side;
}

static void tie(struct side *client)
{
	struct side *upstream = pool;

	while (upstream && upstream->is_dead)
		upstream = upstream->next_pooled;
	pool = upstream ? upstream->next_pooled : NULL;
	if (!upstream)
		upstream = dial();
	upstream->next_pooled = NULL;
	upstream->other = client;
	client->other = upstream;
}

static void untie(struct side *upstream)
{
	upstream->other->other = NULL;
	upstream->other = NULL;
	upstream->next_pooled = pool;
	pool = upstream;
}

/* As recv: > 0 bytes in the buffer, 0 closed, -1 with errno. */
static ssize_t receive(struct side *side)
{
	int len;

	if (!side->ssl)
		return recv(side->fd, buffer, sizeof(buffer), 0);
	ERR_clear_error();
	len = SSL_read(side->ssl, buffer, sizeof(buffer));
	if (len > 0)
		return len;
	if (SSL_get_error(side->ssl, len) != SSL_ERROR_WANT_READ)
		return 0;
	errno = EAGAIN;
	return -1;
}

static ssize_t transmit(struct side *side, const char *at, size_t len)
{
	size_t sent = 0;

	if (!side->ssl)
		return send(side->fd, at, len, MSG_NOSIGNAL);
	while (sent < len) {
		size_t part = len - sent < RECORD_MAX ? len - sent : RECORD_MAX;
		int done;

		ERR_clear_error();
		done = SSL_write(side->ssl, at + sent, (int)part);
		if (done <= 0 && SSL_get_error(side->ssl, done) != SSL_ERROR_WANT_WRITE)
			errno = EPIPE;
		else if (done <= 0)
			errno = EAGAIN;
		if (done <= 0)
			return sent ? (ssize_t)sent : -1;
		sent += (size_t)done;
	}
	return (ssize_t)sent;
}

static void keep(struct side *side, const char *at, size_t len)
{
	side->kept = mem_resize(side->kept, side->kept_len + len, 1);
	memcpy(side->kept + side->kept_len, at, len);
	side->kept_len += len;
}

/* 1 all gone, 0 some of it kept, -1 failed */
static int pass_on(struct side *to, size_t len)
{
	ssize_t done = 0;

	if (!to->is_connecting && !to->kept_len) {
		done = transmit(to, buffer, len);
		if (done < 0 && errno != EAGAIN)
			return -1;
		if (done < 0)
			done = 0;
	}
	if ((size_t)done == len)
		return 1;
	keep(to, buffer + done, len - (size_t)done);
	if (!to->is_connecting)
		watch(to, EPOLLIN | EPOLLOUT);
	return 0;
}

/* The answer has gone out: frees the upstream connection and ends the client's. */
static void finish_oneshot(struct side *upstream)
{
	struct side *client = upstream->other;

	untie(upstream);
	close_side(client);
}

static void read_side(struct side *side)
{
	for (;;) {
		ssize_t len = receive(side);
		int rc;

		if (len < 0 && errno == EAGAIN)
			return;
		if (len <= 0) {
			close_both(side);
			return;
		}
		if (is_oneshot && !side->is_upstream && !side->other)
			tie(side);
		if (!side->other)
			return;
		rc = pass_on(side->other, (size_t)len);
		if (rc < 0) {
			close_both(side);
			return;
		}
		if (is_oneshot && side->is_upstream && rc == 1) {
			finish_oneshot(side);
			return;
		}
		if (rc == 0 && !side->other->is_connecting) {
			watch(side, EPOLLRDHUP); /* back-pressure */
			return;
		}
		if (!side->ssl && (size_t)len < sizeof(buffer))
			return;
	}
}

static bool is_connected(struct side *side)
{
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	side->is_connecting = false;
	return error == 0;
}

static bool send_kept(struct side *side)
{
	ssize_t done;

	if (!side->kept_len)
		return true;
	done = transmit(side, side->kept + side->kept_sent, side->kept_len - side->kept_sent);
	if (done < 0)
		return errno == EAGAIN;
	side->kept_sent += (size_t)done;
	if (side->kept_sent == side->kept_len) {
		mem_free(side->kept);
		side->kept = NULL;
		side->kept_len = side->kept_sent = 0;
	}
	return true;
}

static void write_side(struct side *side)
{
	struct side *other = side->other;

	if ((side->is_connecting && !is_connected(side)) || !send_kept(side)) {
		close_both(side);
		return;
	}
	if (side->kept_len)
		return;
	watch(side, EPOLLIN);
	if (other && other->events == EPOLLRDHUP)
		watch(other, EPOLLIN);
	if (is_oneshot && !side->is_upstream && other)
		finish_oneshot(other);
}

static void shake_hands(struct side *side)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(side->ssl);
	if (rc == 1) {
		side->is_shaking = false;
		read_side(side);
		return;
	}
	switch (SSL_get_error(side->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		watch(side, EPOLLIN);
		break;
	case SSL_ERROR_WANT_WRITE:
		watch(side, EPOLLOUT);
		break;
	default:
		close_both(side);
	}
}

static void accept_clients(int listen_fd)
{
	int one = 1;

	for (int i = 0; i < 64; i++) {
		struct side *client;
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);

		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		client = mem_new(1, sizeof(*client));
		client->fd = fd;
		if (tls) {
			client->ssl = SSL_new(tls);
			SSL_set_fd(client->ssl, fd);
			SSL_set_accept_state(client->ssl);
			client->is_shaking = true;
		}
		if (!is_oneshot) {
			client->other = dial();
			client->other->other = client;
		}
		watch(client, EPOLLIN);
		if (!tls && is_oneshot)
			read_side(client);
	}
}

static void on_event(struct side *side, uint32_t events)
{
	if (side->is_dead)
		return;
	if (side->is_listening) {
		accept_clients(side->fd);
		return;
	}
	if (side->is_shaking) {
		shake_hands(side);
		return;
	}
	if (events & EPOLLOUT)
		write_side(side);
	if (side->is_dead || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
		return;
	read_side(side);
}

static void free_dead(void)
{
	while (dead) {
		struct side *side = dead;

		dead = side->next_dead;
		for (struct side **at = &pool; side->is_upstream && *at; at = &(*at)->next_pooled) {
			if (*at == side) {
				*at = side->next_pooled;
				break;
			}
		}
		mem_free(side);
	}
}

static void parse_address(char *text, struct sockaddr_in *address)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		exit(2);
	*colon = 0;
	address->sin_family = AF_INET;
	address->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	inet_pton(AF_INET, text, &address->sin_addr);
}

static void open_tls(const char *certificate, const char *key)
{
	tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate_chain_file(tls, certificate);
	SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM);
	SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(tls, (const unsigned char *)"relay", 5);
}

static struct side open_listener(void)
{
	struct side listener = { .is_listening = true };
	int one = 1;

	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener.fd, (const struct sockaddr *)&listen_address, sizeof(listen_address)) <
		    0 ||
	    listen(listener.fd, SOMAXCONN) < 0) {
		perror("relay: listen");
		exit(1);
	}
	return listener;
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	struct side listener;
	struct rlimit files;

	if (argc < 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	parse_address(argv[1], &listen_address);
	parse_address(argv[2], &endpoint_address);
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], "-1") == 0)
			is_oneshot = true;
		else if (strcmp(argv[i], "-t") == 0 && i + 2 < argc)
			open_tls(argv[i + 1], argv[i + 2]);
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = open_listener();
	watch(&listener, EPOLLIN);
	for (;;) {
		int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++)
			on_event(events[i].data.ptr, events[i].events);
		free_dead();
	}
}
