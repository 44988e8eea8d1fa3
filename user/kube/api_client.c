// SPDX-License-Identifier: Apache-2.0
/*
 * api_client: libcurl's multi interface on the agent's loop; see api_client.h.
 *
 * libcurl says which descriptors it waits for and until when (on_socket, on_timer);
 * the loop tells it what came up. libcurl must not be entered from within its own
 * callbacks, so requests begin and cancelled ones end in a task of the loop.
 *
 *   NEW ──begin──► UNDER_WAY ──► on_done, freed
 *    └──────────────┴── api_cancel ─► CANCELLED ─► freed
 *
 * libcurl's own resolver thread looks up the server's name; nothing else is a thread.
 */
#include "kube/api_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/node_reader.h"

enum {
	HEADER_BYTES = 16 << 10, /* "Authorization: Bearer " and a token */
	TOKEN_BYTES_MAX = HEADER_BYTES - 64,
	RECEIVE_BYTES = 32 << 10, /* held by each request under way */
	KEEPALIVE_IDLE_S = 10,
	KEEPALIVE_INTERVAL_S = 5,
	USER_TIMEOUT_MS = 20000, /* RFC 5482: unacknowledged for so long is dead */
	RETRY_AFTER_MAX_S = 300,
};

enum exchange_state {
	EXCHANGE_NEW,
	EXCHANGE_UNDER_WAY,
	EXCHANGE_CANCELLED,
};

struct api_exchange {
	struct api_client *client;
	struct api_exchange *next, *prev;
	struct api_request *request; /* NULL: nobody listens any more */
	enum exchange_state state;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	char *body; /* owned copy */
	struct buf answer;
	uint64_t last_byte_ms;
	char curl_text[CURL_ERROR_SIZE];
};

/* A descriptor of libcurl. Freed in the task: an event of this turn may still name it. */
struct api_socket {
	struct loop_watch watch;
	struct api_client *client;
	struct api_socket *next_dead;
};

struct api_client {
	/* fixed after open */
	const struct kubeconfig *config; /* borrowed */
	struct loop *loop;               /* borrowed */
	char *base_url;                  /* with tls_server_name where there is one */
	char *connect_to;                /* then where to connect really; else NULL */
	/* this thread only */
	CURLM *multi;
	struct loop_timer curl_timer, sweep_timer;
	struct loop_task task;
	bool is_curl_due;
	struct api_exchange *exchanges; /* all */
	struct api_socket *dead_sockets;
	uint64_t last_byte_ms;
	struct api_request probe;
	bool is_probe_lost; /* it was not answered */
	char token[TOKEN_BYTES_MAX];
	uint64_t token_read_ms; /* 0: never */
	struct api_client_stats stats;
};

/* --------------------------------------------------------------------- token */

/* Reads the token file where what we have may be out of date. Keeps the old one on failure. */
static void refresh_token(struct api_client *client)
{
	const char *path = client->config->token_file;
	struct str text;
	ssize_t got;
	int fd;

	if (!path)
		return;
	if (client->token_read_ms &&
	    client->loop->now_ms - client->token_read_ms < API_TOKEN_AGE_MAX_MS)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		log_warning("kube", "cannot open token file '%s'", path);
		return;
	}
	got = read(fd, client->token, sizeof(client->token) - 1);
	close(fd);
	if (got <= 0) {
		log_warning("kube", "token file '%s' is empty", path);
		client->token[0] = '\0';
		return;
	}
	text = str_of(client->token, (size_t)got); /* positive */
	while (text.len && strchr(" \t\r\n", text.at[text.len - 1]))
		text.len--;
	client->token[text.len] = '\0';
	client->token_read_ms = client->loop->now_ms;
}

static void add_header(struct api_exchange *exchange, const char *name, const char *value)
{
	char line[HEADER_BYTES];
	struct curl_slist *list;

	snprintf(line, sizeof(line), "%s: %s", name, value);
	list = curl_slist_append(exchange->headers, line);
	explicit_bzero(line, sizeof(line));
	if (list)
		exchange->headers = list;
}

static void add_headers(struct api_exchange *exchange)
{
	struct api_client *client = exchange->client;
	const struct api_request *request = exchange->request;
	char bearer[HEADER_BYTES];

	add_header(exchange, "Accept", "application/json");
	if (request->body.at)
		add_header(exchange, "Content-Type",
			   request->content_type ? request->content_type : "application/json");
	add_header(exchange, "Expect", ""); /* libcurl would wait for 100 (Continue) */
	refresh_token(client);
	if (!client->token[0])
		return;
	snprintf(bearer, sizeof(bearer), "Bearer %s", client->token);
	add_header(exchange, "Authorization", bearer);
	explicit_bzero(bearer, sizeof(bearer));
}

/* ------------------------------------------------------------------ exchanges */

static void free_exchange(struct api_exchange *exchange)
{
	struct api_client *client = exchange->client;

	if (exchange->next)
		exchange->next->prev = exchange->prev;
	if (exchange->prev)
		exchange->prev->next = exchange->next;
	else
		client->exchanges = exchange->next;
	if (exchange->easy) {
		curl_multi_remove_handle(client->multi, exchange->easy);
		curl_easy_cleanup(exchange->easy);
	}
	curl_slist_free_all(exchange->headers);
	curl_slist_free_all(exchange->connect_to);
	buf_release(&exchange->answer);
	mem_free(exchange->body);
	mem_free(exchange);
	client->stats.under_way--;
}

/* Tells the caller, frees. @code, @text: why it failed; 0, NULL: the answer came whole. */
static void finish(struct api_exchange *exchange, int code, const char *text)
{
	struct api_request *request = exchange->request;
	struct api_answer answer = { .body = buf_str(&exchange->answer) };
	curl_off_t retry_after_s = 0;
	long status = 0;

	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(exchange->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	if (retry_after_s > RETRY_AFTER_MAX_S)
		retry_after_s = RETRY_AFTER_MAX_S;
	answer.status = (int)status; /* three digits */
	answer.retry_after_ms = (uint32_t)retry_after_s * 1000;
	if (exchange->answer.is_cut) {
		code = -EMSGSIZE;
		text = "the answer is too large";
	}
	if (code) {
		answer.status = 0;
		exchange->client->stats.failures++;
		err_set(&answer.err, code, "%s", text);
	}
	if (status == 401)
		exchange->client->token_read_ms = 0;
	if (request) {
		request->exchange = NULL;
		request->on_done(request, &answer);
	}
	free_exchange(exchange);
}

/* Bytes of an answer. What a good answer brings goes on; what explains a bad one is kept. */
static size_t on_bytes(char *at, size_t size, size_t count, void *context)
{
	struct api_exchange *exchange = context;
	struct api_client *client = exchange->client;
	size_t len = size * count;
	long status = 0;

	exchange->last_byte_ms = client->last_byte_ms = client->loop->now_ms;
	client->stats.bytes += len;
	if (!exchange->request)
		return 0; /* ends the transfer */
	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	if (exchange->request->on_data && status >= 200 && status < 300)
		exchange->request->on_data(exchange->request, str_of(at, len));
	else
		buf_add(&exchange->answer, str_of(at, len));
	return exchange->answer.is_cut ? 0 : len;
}

static int on_new_socket(void *context, curl_socket_t fd, curlsocktype purpose)
{
	unsigned int timeout_ms = USER_TIMEOUT_MS;

	(void)context;
	(void)purpose;
	/* Without it a server that is gone is noticed after minutes; where refused, after more. */
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return CURL_SOCKOPT_OK;
}

static void set_blob(CURL *easy, CURLoption option, struct str bytes)
{
	struct curl_blob blob = {
		.data = (char *)bytes.at, /* libcurl copies it */
		.len = bytes.len,
		.flags = CURL_BLOB_COPY,
	};

	curl_easy_setopt(easy, option, &blob);
}

static void set_identity(CURL *easy, const struct kubeconfig *config)
{
	if (config->ca_data.at)
		set_blob(easy, CURLOPT_CAINFO_BLOB, config->ca_data);
	else if (config->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
	if (config->client_cert_data.at)
		set_blob(easy, CURLOPT_SSLCERT_BLOB, config->client_cert_data);
	else if (config->client_cert_file)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, config->client_cert_file);
	if (config->client_key_data.at)
		set_blob(easy, CURLOPT_SSLKEY_BLOB, config->client_key_data);
	else if (config->client_key_file)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, config->client_key_file);
	if (config->proxy_url)
		curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy_url);
	if (config->is_insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_connection(struct api_exchange *exchange)
{
	CURL *easy = exchange->easy;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/*
	 * Share the connection that is being made, once ALPN has told whether it can be. Without
	 * TLS nothing tells, and libcurl would wait until the first stream ends.
	 */
	if (str_starts_with(str_from_c(exchange->client->base_url), STR("https://")))
		curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)API_CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_INTERVAL_S);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	if (exchange->client->connect_to) {
		exchange->connect_to = curl_slist_append(NULL, exchange->client->connect_to);
		curl_easy_setopt(easy, CURLOPT_CONNECT_TO, exchange->connect_to);
	}
	set_identity(easy, exchange->client->config);
}

static void set_request(struct api_exchange *exchange)
{
	static const char *const methods[] = {
		[API_GET] = "GET",     [API_POST] = "POST",     [API_PUT] = "PUT",
		[API_PATCH] = "PATCH", [API_DELETE] = "DELETE",
	};
	const struct api_request *request = exchange->request;
	CURL *easy = exchange->easy;
	struct buf url;

	buf_init(&url, 0);
	buf_printf(&url, "%s%s", exchange->client->base_url, request->path);
	buf_add_char(&url, '\0');
	curl_easy_setopt(easy, CURLOPT_URL, url.at);
	buf_release(&url);
	if (request->body.at) {
		exchange->body = mem_copy_text(request->body.at, request->body.len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)request->body.len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->body);
	}
	if (request->method != API_GET || request->body.at)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, methods[request->method]);
	/* A stream comes as it is; a list of megabytes shrinks to a twentieth. */
	if (!request->on_data)
		curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION);
	add_headers(exchange);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->curl_text);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
}

void api_send(struct api_client *client, struct api_request *request)
{
	struct api_exchange *exchange = mem_new(1, sizeof(*exchange));

	exchange->client = client;
	exchange->request = request;
	exchange->last_byte_ms = client->loop->now_ms;
	buf_init(&exchange->answer, API_BODY_MAX_BYTES);
	exchange->easy = curl_easy_init();
	if (!exchange->easy) {
		log_error("kube", "out of memory");
		abort(); /* as base/mem does: the agent's state is rebuilt */
	}
	set_connection(exchange);
	set_request(exchange);
	exchange->next = client->exchanges;
	if (exchange->next)
		exchange->next->prev = exchange;
	client->exchanges = exchange;
	request->exchange = exchange;
	client->stats.requests++;
	client->stats.under_way++;
	loop_defer(client->loop, &client->task);
}

void api_cancel(struct api_client *client, struct api_request *request)
{
	struct api_exchange *exchange = request->exchange;

	if (!exchange)
		return;
	request->exchange = NULL;
	exchange->request = NULL;
	exchange->state = EXCHANGE_CANCELLED;
	loop_defer(client->loop, &client->task);
}

/* ------------------------------------------------------------- libcurl's wishes */

static void free_dead_sockets(struct api_client *client)
{
	while (client->dead_sockets) {
		struct api_socket *socket = client->dead_sockets;

		client->dead_sockets = socket->next_dead;
		mem_free(socket);
	}
}

static void take_messages(struct api_client *client);

static void on_socket_event(struct loop_watch *watch, uint32_t events)
{
	struct api_socket *socket = CONTAINER_OF(watch, struct api_socket, watch);
	struct api_client *client = socket->client;
	int running, what = (events & LOOP_READABLE ? CURL_CSELECT_IN : 0) |
			    (events & LOOP_WRITABLE ? CURL_CSELECT_OUT : 0) |
			    (events & LOOP_FAILED ? CURL_CSELECT_ERR : 0);

	curl_multi_socket_action(client->multi, watch->fd, what, &running);
	take_messages(client);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *attached)
{
	struct api_client *client = context;
	struct api_socket *socket = attached;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (!socket)
			return 0;
		loop_unwatch(client->loop, &socket->watch);
		socket->watch.fd = -1;
		socket->next_dead = client->dead_sockets;
		client->dead_sockets = socket;
		loop_defer(client->loop, &client->task);
		curl_multi_assign(client->multi, fd, NULL);
		return 0;
	}
	if (!socket) {
		socket = mem_new(1, sizeof(*socket));
		*socket = (struct api_socket){
			.watch = { .fd = fd, .on_event = on_socket_event },
			.client = client,
		};
		curl_multi_assign(client->multi, fd, socket);
	}
	if (loop_watch_level_for(client->loop, &socket->watch,
				 (what & CURL_POLL_IN ? LOOP_READABLE : 0u) |
					 (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0u)) < 0)
		log_error("kube", "cannot watch a connection to the API server");
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct api_client *client = context;

	(void)multi;
	if (timeout_ms < 0) {
		loop_timer_clear(client->loop, &client->curl_timer);
		client->is_curl_due = false;
	} else if (timeout_ms == 0) {
		client->is_curl_due = true;
		loop_defer(client->loop, &client->task);
	} else {
		loop_timer_set(client->loop, &client->curl_timer,
			       client->loop->now_ms + (uint64_t)timeout_ms); /* not negative */
	}
	return 0;
}

static void turn_curl(struct api_client *client)
{
	int running;

	client->is_curl_due = false;
	curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_messages(client);
}

static void on_curl_timer(struct loop_timer *timer)
{
	turn_curl(CONTAINER_OF(timer, struct api_client, curl_timer));
}

static void take_messages(struct api_client *client)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(client->multi, &left))) {
		struct api_exchange *exchange;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
		if (code == CURLE_OK)
			finish(exchange, 0, NULL);
		else
			finish(exchange, -EIO,
			       exchange->curl_text[0] ? exchange->curl_text
						      : curl_easy_strerror(code));
	}
}

/* Begins what is new, ends what was cancelled, lets libcurl go on. */
static void on_task(struct loop_task *task)
{
	struct api_client *client = CONTAINER_OF(task, struct api_client, task);
	struct api_exchange *exchange = client->exchanges, *next;

	free_dead_sockets(client);
	for (; exchange; exchange = next) {
		next = exchange->next;
		switch (exchange->state) {
		case EXCHANGE_NEW:
			exchange->state = EXCHANGE_UNDER_WAY;
			curl_multi_add_handle(client->multi, exchange->easy);
			break;
		case EXCHANGE_CANCELLED:
			free_exchange(exchange);
			break;
		case EXCHANGE_UNDER_WAY:
			break;
		}
	}
	if (client->is_curl_due)
		turn_curl(client);
}

/* -------------------------------------------------------- dead connections */

static int open_multi(struct api_client *client)
{
	client->multi = curl_multi_init();
	if (!client->multi)
		return -ENOMEM;
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	return 0;
}

/* Every request ends with @text; later ones begin with new connections. */
static void reset_connections(struct api_client *client, const char *text)
{
	struct api_exchange *exchange = client->exchanges, *next;

	client->stats.resets++;
	client->last_byte_ms = client->loop->now_ms;
	for (; exchange; exchange = next) {
		next = exchange->next;
		if (exchange->state == EXCHANGE_UNDER_WAY)
			curl_multi_remove_handle(client->multi, exchange->easy);
	}
	curl_multi_cleanup(client->multi);
	if (open_multi(client) < 0)
		abort(); /* out of memory */
	/* What on_done sends anew is NEW and stands in front: it is not met here. */
	for (exchange = client->exchanges; exchange; exchange = next) {
		next = exchange->next;
		if (exchange->state == EXCHANGE_UNDER_WAY)
			finish(exchange, -EHOSTUNREACH, text);
	}
}

static void on_probe_done(struct api_request *request, const struct api_answer *answer)
{
	struct api_client *client = CONTAINER_OF(request, struct api_client, probe);

	client->is_probe_lost = answer->status == 0;
	if (client->is_probe_lost)
		loop_timer_set(client->loop, &client->sweep_timer, client->loop->now_ms);
	else
		client->last_byte_ms = client->loop->now_ms;
}

static void send_probe(struct api_client *client)
{
	client->probe = (struct api_request){
		.method = API_GET,
		.path = "/version", /* open to everybody who is somebody */
		.timeout_ms = API_PROBE_TIMEOUT_MS,
		.on_done = on_probe_done,
	};
	api_send(client, &client->probe);
}

/* Ends what has brought nothing for too long. */
static void end_idle(struct api_client *client)
{
	struct api_exchange *exchange = client->exchanges, *next;
	uint64_t now_ms = client->loop->now_ms;

	for (; exchange; exchange = next) {
		next = exchange->next;
		if (exchange->state == EXCHANGE_UNDER_WAY && exchange->request->idle_ms &&
		    now_ms - exchange->last_byte_ms > exchange->request->idle_ms)
			finish(exchange, -ETIMEDOUT, "no byte for too long");
	}
}

static void on_sweep(struct loop_timer *timer)
{
	struct api_client *client = CONTAINER_OF(timer, struct api_client, sweep_timer);
	uint64_t silent_ms = client->loop->now_ms - client->last_byte_ms;

	if (!client->exchanges)
		client->last_byte_ms = client->loop->now_ms;
	else if (client->is_probe_lost && silent_ms >= API_PROBE_AFTER_MS)
		reset_connections(client, "the server does not answer");
	else if (silent_ms >= API_PROBE_AFTER_MS && !client->probe.exchange)
		send_probe(client);
	client->is_probe_lost = false;
	/* After the probe was sent: that nobody asks any more is no sign of life. */
	end_idle(client);
	loop_timer_set(client->loop, &client->sweep_timer, client->loop->now_ms + API_SWEEP_MS);
}

/* ------------------------------------------------------------------- lifetime */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/*
 * The name that the certificate must have takes the place of the host in the URL; where to connect
 * is then said apart from it.
 */
static int make_base_url(struct api_client *client, struct err *err)
{
	const struct kubeconfig *config = client->config;
	char *scheme = NULL, *host = NULL, *port = NULL, *url = NULL;
	CURLU *parts = curl_url();
	struct buf to;
	int rc = 0;

	buf_init(&to, 0);
	if (!parts || curl_url_set(parts, CURLUPART_URL, config->server, 0) ||
	    curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)) {
		rc = err_set(err, -EINVAL, "server '%s' is no URL", config->server);
	} else if (!config->tls_server_name) {
		client->base_url = mem_copy_text(config->server, strlen(config->server));
	} else if (curl_url_set(parts, CURLUPART_HOST, config->tls_server_name, 0) ||
		   curl_url_get(parts, CURLUPART_URL, &url, CURLU_NO_DEFAULT_PORT)) {
		rc = err_set(err, -EINVAL, "'%s' is no server name", config->tls_server_name);
	} else {
		struct str base = str_from_c(url);

		while (base.len && base.at[base.len - 1] == '/')
			base.len--;
		client->base_url = mem_copy_text(base.at, base.len);
		buf_printf(&to, "%s:%s:%s:%s", config->tls_server_name, port, host, port);
		client->connect_to = mem_copy_text(to.at, to.len);
	}
	buf_release(&to);
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(url);
	curl_url_cleanup(parts);
	return rc;
}

int api_client_open(const struct kubeconfig *config, struct loop *loop, struct api_client **opened,
		    struct err *err)
{
	struct api_client *client = mem_new(1, sizeof(*client));
	int rc;

	pthread_once(&curl_once, init_curl);
	client->config = config;
	client->loop = loop;
	client->curl_timer.on_due = on_curl_timer;
	client->sweep_timer.on_due = on_sweep;
	client->task.run = on_task;
	client->last_byte_ms = loop->now_ms;
	if (config->token.len >= sizeof(client->token)) {
		rc = err_set(err, -EINVAL, "the token is too long");
		goto err_free;
	}
	if (config->token.len)
		memcpy(client->token, config->token.at, config->token.len);
	rc = make_base_url(client, err);
	if (rc < 0)
		goto err_free;
	if (open_multi(client) < 0) {
		rc = err_set(err, -ENOMEM, "cannot start libcurl");
		goto err_free;
	}
	if (config->is_insecure)
		log_warning("kube",
			    "the certificate of '%s' is not checked (insecure-skip-tls-verify)",
			    config->server);
	loop_timer_set(loop, &client->sweep_timer, loop->now_ms + API_SWEEP_MS);
	*opened = client;
	return 0;
err_free:
	mem_free(client->base_url);
	mem_free(client->connect_to);
	mem_free(client);
	return rc;
}

void api_client_close(struct api_client *client)
{
	if (!client)
		return;
	while (client->exchanges) {
		if (client->exchanges->request)
			client->exchanges->request->exchange = NULL;
		free_exchange(client->exchanges);
	}
	curl_multi_cleanup(client->multi);
	loop_timer_clear(client->loop, &client->curl_timer);
	loop_timer_clear(client->loop, &client->sweep_timer);
	loop_undefer(client->loop, &client->task);
	free_dead_sockets(client);
	mem_free(client->base_url);
	mem_free(client->connect_to);
	explicit_bzero(client->token, sizeof(client->token));
	mem_free(client);
}

void api_client_flush(struct api_client *client, uint32_t wait_ms)
{
	uint64_t until_ns = clock_monotonic_ns() + wait_ms * NS_PER_MS;

	while (client->exchanges && clock_monotonic_ns() < until_ns)
		loop_turn(client->loop, 10);
}

void api_client_stats(const struct api_client *client, struct api_client_stats *stats)
{
	*stats = client->stats;
}

void api_status_text(struct str body, char *text, size_t text_bytes)
{
	struct node_document document;
	struct node_reader reader;
	const struct node *message = NULL;

	node_reader_init(&reader, body, NODE_FORMAT_JSON);
	if (body.len && node_reader_next(&reader, &document))
		message = node_find(&document.root, "message");
	text[0] = '\0';
	if (message && message->type == NODE_TEXT)
		snprintf(text, text_bytes, "%.*s", STR_ARG(message->text));
	node_reader_release(&reader);
	for (; *text; text++)
		if ((unsigned char)*text < ' ')
			*text = ' ';
}
