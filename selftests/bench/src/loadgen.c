// SPDX-License-Identifier: Apache-2.0
/*
 * loadgen: an HTTP/1.1 load generator that costs little itself.
 *
 * One thread, epoll, OpenSSL for TLS. Closed loop (each connection sends its next
 * request when the last answer is complete) or open loop at a fixed rate, where
 * latency is counted from the moment a request was due, so that a stalled proxy
 * cannot hide its stall. Keepalive or a connection per request, full or resumed
 * handshakes, one host or a list of them, or connections that are only held.
 * Prints one JSON object.
 *
 * Bodies are thrown away unread (MSG_TRUNC) where there is no TLS: the generator
 * shares its CPU with the endpoint, and both are to leave room for the proxy.
 *
 *   IDLE ─► CONNECTING ─► (HANDSHAKING) ─► SENDING ─► RECEIVING ─► SENDING ...
 *                                             ▲            │
 *                                             └── WAITING ◄┘  (for its slot, or held)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
	HEAD_MAX = 4096,
	BUFFER_BYTES = 256 << 10,
	EVENTS_MAX = 512,
	TARGETS_MAX = 8,
	LINE_MAX_BYTES = 1024,
	HELD_STEP = 64,         /* held connections opened between two waits */
	HELD_PENDING_MAX = 128, /* of these at most so many unfinished */
	HISTOGRAM_SUB = 64,     /* buckets per power of two */
	HISTOGRAM_SIZE = 64 * HISTOGRAM_SUB,
	NESTING_MAX = 3,
};

struct request {
	char *bytes;
	size_t len;
	char *host;
};

enum state { IDLE, CONNECTING, HANDSHAKING, SENDING, RECEIVING, WAITING };

struct client {
	int fd;
	int id;
	enum state state;
	SSL *ssl;
	SSL_SESSION *session; /* of the last connection, for resumption */
	const struct request *request;
	size_t sent;
	long long body_left;
	bool is_head_done;
	bool is_closing; /* after this answer */
	size_t head_len;
	uint64_t started_ns;
	int request_count; /* on this connection */
	uint32_t events;
	struct client *next_waiting;
	char head[HEAD_MAX];
};

struct options {
	struct sockaddr_in targets[TARGETS_MAX];
	int target_count;
	int connections;
	double seconds, warm_seconds;
	const char *host, *path, *list;
	bool is_tls, is_closing_each, is_resuming, is_held, is_shuffled, is_graceful;
	int rate;
	struct in_addr first_source; /* 0: the kernel's choice */
	uint32_t source_count;
};

static struct options options = {
	.connections = 64,
	.seconds = 5,
	.warm_seconds = 1,
	.host = "h00000.bench.test",
	.path = "/",
};
static struct {
	unsigned long long requests, bytes, errors, resets, not_200, connections;
	unsigned long long handshakes_full, handshakes_resumed;
} counts;
static uint64_t histogram[HISTOGRAM_SIZE];
static struct request *requests;
static size_t request_count, request_next;
static SSL_CTX *tls;
static int epoll_fd;
static bool is_measuring;
static uint64_t start_ns, end_ns, slots_taken;
static struct client *first_waiting; /* for their slot of the rate */
static char buffer[BUFFER_BYTES];
static int nesting;

static void start_request(struct client *client);
static void drive(struct client *client);

/* -------------------------------------------------------------- histogram, ns */

static void histogram_add(uint64_t ns)
{
	int power, index;

	if (ns < HISTOGRAM_SUB) {
		histogram[ns]++;
		return;
	}
	power = 63 - __builtin_clzll(ns);
	index = (power - 5) * HISTOGRAM_SUB + (int)(ns >> (power - 6) & (HISTOGRAM_SUB - 1));
	histogram[index < HISTOGRAM_SIZE ? index : HISTOGRAM_SIZE - 1]++;
}

static double histogram_us(double percent)
{
	uint64_t total = 0, seen = 0, wanted;

	for (int i = 0; i < HISTOGRAM_SIZE; i++)
		total += histogram[i];
	wanted = (uint64_t)((double)total * percent / 100);
	for (int i = 0; i < HISTOGRAM_SIZE && total; i++) {
		int power = i / HISTOGRAM_SUB + 5;

		seen += histogram[i];
		if (seen > wanted && i < HISTOGRAM_SUB)
			return i / 1e3;
		if (seen > wanted)
			return (double)((1ull << power) +
					((uint64_t)(i % HISTOGRAM_SUB) << (power - 6))) /
			       1e3;
	}
	return 0;
}

/* ----------------------------------------------------------------- connection */

static void wait_for(struct client *client, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = client };

	if (client->events == events)
		return;
	epoll_ctl(epoll_fd, client->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, client->fd, &event);
	client->events = events;
}

static void close_client(struct client *client, bool is_polite)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (client->ssl) {
		if (is_polite) {
			SSL_set_quiet_shutdown(client->ssl, 1);
			SSL_shutdown(client->ssl);
		}
		SSL_free(client->ssl);
		client->ssl = NULL;
	}
	if (client->fd >= 0) {
		if (!options.is_graceful) /* no TIME_WAIT for what is not measured */
			setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(client->fd);
	}
	client->fd = -1;
	client->events = 0;
	client->state = IDLE;
}

static void fail(struct client *client, bool is_reset)
{
	if (is_measuring)
		(*(is_reset ? &counts.resets : &counts.errors))++;
	close_client(client, false);
	if (clock_monotonic_ns() < end_ns)
		start_request(client);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *client = SSL_get_app_data(ssl);

	SSL_SESSION_free(client->session);
	client->session = session;
	return 1; /* taken */
}

/*
 * Each connection from the next source. From one address alone the ports come back before the
 * proxy's kernel has forgotten their last connections, which no crowd of clients does.
 */
static void choose_source(int fd)
{
	static uint32_t turn;
	struct sockaddr_in source = { .sin_family = AF_INET };
	int one = 1;

	if (!options.source_count)
		return;
	source.sin_addr.s_addr =
		htonl(ntohl(options.first_source.s_addr) + turn++ % options.source_count);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&source, sizeof(source)) < 0) {
		perror("bind");
		exit(1);
	}
}

static void open_client(struct client *client)
{
	const struct sockaddr_in *target = &options.targets[client->id % options.target_count];
	int one = 1;

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (client->fd < 0) {
		perror("socket");
		exit(1);
	}
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	choose_source(client->fd);
	client->request_count = 0;
	if (is_measuring)
		counts.connections++;
	if (connect(client->fd, (const struct sockaddr *)target, sizeof(*target)) < 0 &&
	    errno != EINPROGRESS) {
		if (is_measuring)
			counts.errors++;
		close_client(client, false);
		client->state = WAITING;
		client->next_waiting = first_waiting;
		first_waiting = client;
		return;
	}
	client->state = CONNECTING;
	wait_for(client, EPOLLOUT);
}

/* -------------------------------------------------------------------- requests */

static void pick_request(struct client *client)
{
	size_t n = request_next++;

	if (options.is_shuffled) {
		n *= 2654435761u;
		n ^= n >> 17;
	}
	client->request = &requests[n % request_count];
	client->sent = client->head_len = 0;
	client->is_head_done = false;
	client->is_closing = options.is_closing_each;
}

static uint64_t next_slot_ns(void)
{
	return start_ns + (uint64_t)((double)slots_taken * 1e9 / options.rate);
}

/* False: the client waits for its slot. */
static bool take_slot(struct client *client)
{
	uint64_t now_ns = clock_monotonic_ns();

	client->started_ns = now_ns;
	if (!options.rate)
		return true;
	if (next_slot_ns() > now_ns) {
		client->state = WAITING;
		client->next_waiting = first_waiting;
		first_waiting = client;
		return false;
	}
	client->started_ns = next_slot_ns();
	slots_taken++;
	return true;
}

static void send_request(struct client *client)
{
	if (client->fd < 0) {
		open_client(client);
		return;
	}
	client->state = SENDING;
	drive(client);
}

static void start_request(struct client *client)
{
	pick_request(client);
	if (take_slot(client))
		send_request(client);
}

static void resume_waiting(void)
{
	struct client *waiting = first_waiting;

	if (!options.rate)
		first_waiting = NULL;
	while (waiting && (!options.rate || next_slot_ns() <= clock_monotonic_ns())) {
		struct client *client = waiting;

		waiting = client->next_waiting;
		if (options.rate)
			first_waiting = waiting;
		start_request(client);
		if (options.rate)
			waiting = first_waiting;
	}
}

static void finish_request(struct client *client)
{
	uint64_t now_ns = clock_monotonic_ns();

	client->request_count++;
	if (is_measuring) {
		counts.requests++;
		histogram_add(now_ns - client->started_ns);
	}
	client->state = WAITING;
	if (options.is_held)
		return;
	if (client->is_closing)
		close_client(client, true);
	if (now_ns < end_ns)
		start_request(client);
}

/* ----------------------------------------------------------- the state machine */

/* Each step: 1 go on with the next state, 0 wait for an event or done, -1 failed. */

static int step_connect(struct client *client)
{
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		errno = error;
		return -1;
	}
	client->state = SENDING;
	if (!options.is_tls)
		return 1;
	client->ssl = SSL_new(tls);
	SSL_set_fd(client->ssl, client->fd);
	SSL_set_app_data(client->ssl, client);
	SSL_set_tlsext_host_name(client->ssl, client->request->host);
	if (options.is_resuming && client->session)
		SSL_set_session(client->ssl, client->session);
	SSL_set_connect_state(client->ssl);
	client->state = HANDSHAKING;
	return 1;
}

static int wait_for_tls(struct client *client, int result)
{
	switch (SSL_get_error(client->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		wait_for(client, EPOLLIN);
		return 0;
	case SSL_ERROR_WANT_WRITE:
		wait_for(client, EPOLLOUT);
		return 0;
	default:
		return -1;
	}
}

static int step_handshake(struct client *client)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(client->ssl);
	if (result != 1)
		return wait_for_tls(client, result);
	if (is_measuring) {
		if (SSL_session_reused(client->ssl))
			counts.handshakes_resumed++;
		else
			counts.handshakes_full++;
	}
	client->state = SENDING;
	return 1;
}

static int step_send(struct client *client)
{
	const struct request *request = client->request;
	const char *at = request->bytes + client->sent;
	size_t left = request->len - client->sent;
	ssize_t done;

	if (client->ssl) {
		ERR_clear_error();
		done = SSL_write(client->ssl, at, (int)left);
		if (done <= 0)
			return wait_for_tls(client, (int)done);
	} else {
		done = send(client->fd, at, left, MSG_NOSIGNAL);
		if (done < 0 && errno == EAGAIN) {
			wait_for(client, EPOLLOUT);
			return 0;
		}
		if (done < 0)
			return -1;
	}
	client->sent += (size_t)done;
	if (client->sent < request->len)
		return 1;
	client->state = RECEIVING;
	wait_for(client, EPOLLIN);
	return client->ssl ? 1 : 0; /* a plain answer cannot be there yet */
}

/* Takes @len bytes at the buffer's start into the head; 1 done, 0 more wanted, -1 bad. */
static int read_head(struct client *client, size_t len)
{
	size_t had = client->head_len;
	size_t room = sizeof(client->head) - 1 - had;
	size_t take = len < room ? len : room;
	const char *end, *length;
	int status;

	memcpy(client->head + had, buffer, take);
	client->head_len += take;
	client->head[client->head_len] = 0;
	end = strstr(client->head, "\r\n\r\n");
	if (!end)
		return client->head_len >= sizeof(client->head) - 1 ? -1 : 0;
	if (sscanf(client->head, "HTTP/1.%*1d %3d", &status) != 1)
		return -1;
	length = strcasestr(client->head, "\r\ncontent-length:");
	if (strcasestr(client->head, "\r\nconnection: close"))
		client->is_closing = true;
	client->body_left = length && length < end ? strtoll(length + 17, NULL, 10) : 0;
	client->body_left -= (long long)(had + len - (size_t)(end + 4 - client->head));
	client->is_head_done = true;
	if (is_measuring && status != 200)
		counts.not_200++;
	return 1;
}

/* > 0 bytes, 0 nothing there now, -1 closed or failed */
static ssize_t receive(struct client *client)
{
	ssize_t len;

	if (!client->ssl) {
		len = recv(client->fd, buffer, sizeof(buffer),
			   client->is_head_done ? MSG_TRUNC : 0);
		if (len < 0 && errno == EAGAIN)
			return 0;
		return len > 0 ? len : -1;
	}
	ERR_clear_error();
	len = SSL_read(client->ssl, buffer, sizeof(buffer));
	if (len <= 0)
		return wait_for_tls(client, (int)len);
	return len;
}

static int step_receive(struct client *client)
{
	ssize_t len = receive(client);

	if (len <= 0)
		return (int)len;
	if (is_measuring)
		counts.bytes += (unsigned long long)len;
	if (client->is_head_done) {
		client->body_left -= len;
	} else {
		int rc = read_head(client, (size_t)len);

		if (rc <= 0)
			return rc < 0 ? -1 : 1;
	}
	if (client->body_left > 0)
		return 1;
	finish_request(client);
	return 0;
}

/* Bytes or the end of a connection that nothing was asked on. */
static int step_waiting(struct client *client)
{
	ssize_t len = receive(client);

	if (len >= 0)
		return 0;
	if (is_measuring)
		counts.resets++;
	close_client(client, false);
	return 0;
}

static int step(struct client *client)
{
	switch (client->state) {
	case CONNECTING:
		return step_connect(client);
	case HANDSHAKING:
		return step_handshake(client);
	case SENDING:
		return step_send(client);
	case RECEIVING:
		return step_receive(client);
	case WAITING:
		return client->fd >= 0 ? step_waiting(client) : 0;
	case IDLE:
		return 0;
	}
	return 0;
}

static void drive(struct client *client)
{
	int rc = 1;

	if (nesting > NESTING_MAX && client->state == SENDING) {
		wait_for(client, EPOLLOUT); /* answers that are always there must not nest */
		return;
	}
	nesting++;
	while (rc > 0)
		rc = step(client);
	if (rc < 0)
		fail(client, errno == ECONNRESET || errno == EPIPE);
	nesting--;
}

/* ------------------------------------------------------------------------ main */

static void usage(void)
{
	fputs("loadgen -t IP:PORT[,IP:PORT] [-c connections] [-d seconds] [-w warm seconds]\n"
	      "        [-H host] [-p path] [-f file of 'host path' lines] [-x shuffle]\n"
	      "        [-S TLS] [-R resume] [-K connection per request] [-g close politely]\n"
	      "        [-s first source address/how many]\n"
	      "        [-r requests per second] [-I open, ask once, hold until stdin ends]\n",
	      stderr);
	exit(2);
}

static void parse_targets(char *text)
{
	char *rest, *part = strtok_r(text, ",", &rest);

	for (; part && options.target_count < TARGETS_MAX; part = strtok_r(NULL, ",", &rest)) {
		struct sockaddr_in *target = &options.targets[options.target_count++];
		char *colon = strrchr(part, ':');

		if (!colon)
			usage();
		*colon = 0;
		target->sin_family = AF_INET;
		target->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
		if (inet_pton(AF_INET, part, &target->sin_addr) != 1)
			usage();
	}
}

/* "10.78.0.1/256": so many addresses from that one on. */
static void parse_sources(char *text)
{
	char *slash = strchr(text, '/');

	if (!slash)
		usage();
	*slash = 0;
	options.source_count = (uint32_t)strtoul(slash + 1, NULL, 10);
	if (inet_pton(AF_INET, text, &options.first_source) != 1 || !options.source_count)
		usage();
}

static void parse_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "t:c:d:w:H:p:f:s:SKRr:Ixg")) != -1) {
		switch (option) {
		case 't':
			parse_targets(optarg);
			break;
		case 'c':
			options.connections = (int)strtol(optarg, NULL, 10);
			break;
		case 'd':
			options.seconds = strtod(optarg, NULL);
			break;
		case 'w':
			options.warm_seconds = strtod(optarg, NULL);
			break;
		case 'H':
			options.host = optarg;
			break;
		case 'p':
			options.path = optarg;
			break;
		case 'f':
			options.list = optarg;
			break;
		case 's':
			parse_sources(optarg);
			break;
		case 'r':
			options.rate = (int)strtol(optarg, NULL, 10);
			break;
		case 'S':
			options.is_tls = true;
			break;
		case 'K':
			options.is_closing_each = true;
			break;
		case 'R':
			options.is_resuming = true;
			break;
		case 'I':
			options.is_held = true;
			break;
		case 'x':
			options.is_shuffled = true;
			break;
		case 'g':
			options.is_graceful = true;
			break;
		default:
			usage();
		}
	}
	if (!options.target_count || options.connections < 1)
		usage();
}

static void add_request(const char *host, const char *path)
{
	struct request *request;
	int len;

	if ((request_count & (request_count - 1)) == 0)
		requests = mem_resize(requests, request_count ? request_count * 2 : 1,
				      sizeof(*requests));
	request = &requests[request_count++];
	len = asprintf(
		&request->bytes,
		"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: loadgen/1\r\nAccept: */*\r\n%s\r\n",
		path, host, options.is_closing_each ? "Connection: close\r\n" : "");
	if (len < 0)
		exit(1);
	request->len = (size_t)len;
	request->host = mem_copy_text(host, strlen(host));
}

static void read_list(void)
{
	char line[LINE_MAX_BYTES], host[LINE_MAX_BYTES], path[LINE_MAX_BYTES];
	FILE *file = fopen(options.list, "r");

	if (!file) {
		perror(options.list);
		exit(2);
	}
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%1023s %1023s", host, path) == 2)
			add_request(host, path);
	}
	fclose(file);
}

static void open_tls(void)
{
	tls = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
	SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set1_groups_list(tls, "X25519");
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	if (options.is_resuming) {
		SSL_CTX_set_session_cache_mode(tls,
					       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(tls, keep_session);
	}
}

static void on_terminate(int signal_number)
{
	(void)signal_number;
	end_ns = 0;
}

/* Opens the next connections; held ones in steps, so that the proxy's backlog holds them. */
static int open_more(struct client *clients, int opened)
{
	int step_max = options.is_held ? HELD_STEP : options.connections;
	int pending = 0;

	if (options.is_held) {
		for (int i = opened > 2 * HELD_PENDING_MAX ? opened - 2 * HELD_PENDING_MAX : 0;
		     i < opened; i++)
			pending += clients[i].state != WAITING;
	}
	while (opened < options.connections && step_max-- > 0 && pending < HELD_PENDING_MAX) {
		clients[opened].fd = -1;
		clients[opened].id = opened;
		start_request(&clients[opened++]);
	}
	return opened;
}

static int wait_ns_to_ms(uint64_t until_ns, uint64_t now_ns)
{
	return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns) / NS_PER_MS);
}

static int run(struct client *clients)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t measure_ns = start_ns + (uint64_t)(options.warm_seconds * 1e9);
	int opened = 0;

	for (uint64_t now_ns = start_ns; now_ns < end_ns; now_ns = clock_monotonic_ns()) {
		int wait_ms = 10, count;

		is_measuring = now_ns >= measure_ns;
		opened = open_more(clients, opened);
		if (first_waiting && !options.is_held)
			resume_waiting();
		if (opened < options.connections)
			wait_ms = 0;
		else if (first_waiting && options.rate)
			wait_ms = wait_ns_to_ms(next_slot_ns(), clock_monotonic_ns());
		count = epoll_wait(epoll_fd, events, EVENTS_MAX, wait_ms);
		for (int i = 0; i < count; i++)
			drive(events[i].data.ptr);
	}
	return opened;
}

static void print_result(const struct client *clients, int opened, double seconds)
{
	int alive = 0;

	for (int i = 0; i < opened; i++)
		alive += clients[i].fd >= 0;
	printf("{\"requests\":%llu,\"seconds\":%.3f,\"rps\":%.1f,\"bytes\":%llu,\"gbps\":%.4f,"
	       "\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
	       "\"errors\":%llu,\"resets\":%llu,\"not_200\":%llu,\"connections\":%llu,"
	       "\"tls_full\":%llu,\"tls_resumed\":%llu,\"alive\":%d}\n",
	       counts.requests, seconds, (double)counts.requests / seconds, counts.bytes,
	       (double)counts.bytes * 8 / seconds / 1e9, histogram_us(50), histogram_us(90),
	       histogram_us(99), histogram_us(99.9), counts.errors, counts.resets, counts.not_200,
	       counts.connections, counts.handshakes_full, counts.handshakes_resumed, alive);
	fflush(stdout);
}

static void hold_until_stdin_ends(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct client *clients;
	uint64_t measured_from_ns;
	int opened;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_terminate);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	parse_options(argc, argv);
	if (options.list)
		read_list();
	else
		add_request(options.host, options.path);
	if (options.is_tls)
		open_tls();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	clients = mem_new((size_t)options.connections, sizeof(*clients));
	start_ns = clock_monotonic_ns();
	measured_from_ns = start_ns + (uint64_t)(options.warm_seconds * 1e9);
	end_ns = measured_from_ns + (uint64_t)(options.seconds * 1e9);
	opened = run(clients);
	print_result(clients, opened, (double)(clock_monotonic_ns() - measured_from_ns) / 1e9);
	if (options.is_held)
		hold_until_stdin_ends();
	return 0;
}
