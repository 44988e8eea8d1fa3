// SPDX-License-Identifier: Apache-2.0
/*
 * A worker in a thread, real sockets on loopback, a scripted endpoint behind it: what
 * a client and an endpoint see of each other through sluice.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/proxy/client.h"
#include "unit/proxy/endpoint.h"
#include "unit/proxy/site.h"

static struct site site;
static struct endpoint_server server;

enum { BACKEND_SERVER, BACKEND_NOBODY, BACKEND_DEAD, BACKEND_MIXED, BACKEND_UNREADY };

static void add_dead_endpoint(uint32_t backend)
{
	struct addr dead = { 0 };

	close(site_socket(&dead)); /* a port where nobody listens */
	site_add_endpoint(&site, backend, &dead, ENDPOINT_READY);
}

static int begin(void **state)
{
	struct site_route *quick, *small;

	(void)state;
	endpoint_start(&server, "one");
	site_init(&site, 1);
	site.settings.request_head_timeout_ms = 300;
	site.settings.keepalive_timeout_ms = 1500;
	site.settings.client_body_timeout_ms = 300;
	site.settings.client_send_timeout_ms = 1000;
	site_make_workers(&site);
	site_add_route(&site, "a.test", "/", BACKEND_SERVER);
	site_add_route(&site, "a.test", "/nobody", BACKEND_NOBODY);
	site_add_route(&site, "a.test", "/dead", BACKEND_DEAD);
	site_add_route(&site, "a.test", "/mixed", BACKEND_MIXED);
	site_add_route(&site, "a.test", "/unready", BACKEND_UNREADY);
	site_add_route(&site, "a.test", "/none", UINT32_MAX);
	site_add_route(&site, "a.test", "/denied", BACKEND_SERVER)->policy.flags =
		IMAGE_POLICY_DENY;
	quick = site_add_route(&site, "quick.test", "/", BACKEND_SERVER);
	quick->policy.read_timeout_ms = 200;
	small = site_add_route(&site, "small.test", "/", BACKEND_SERVER);
	small->policy.body_max_bytes = 10;
	site_add_route(&site, "tls.test", "/", BACKEND_SERVER)->policy.flags =
		IMAGE_POLICY_FORCE_SSL_REDIRECT;
	site_add_endpoint(&site, BACKEND_SERVER, &server.addr, ENDPOINT_READY);
	add_dead_endpoint(BACKEND_DEAD);
	add_dead_endpoint(BACKEND_MIXED);
	site_add_endpoint(&site, BACKEND_MIXED, &server.addr, ENDPOINT_READY);
	site_add_endpoint(&site, BACKEND_UNREADY, &server.addr, ENDPOINT_SERVING);
	site_listen(&site, false);
	site_start(&site);
	return site_settle(&site) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	site_release(&site);
	endpoint_stop(&server);
	return 0;
}

/* ------------------------------------------------------------------ the table */

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.test\r\n\r\n"

struct exchange {
	const char *name;
	const char *request;
	const char *status; /* how the response begins */
	const char *wanted[6];
	const char *unwanted[4];
	const char *body; /* how the response ends */
	bool is_closed;   /* afterwards */
};

static const struct exchange exchanges[] = {
	{ .name = "fixed length",
	  .request = GET("/len"),
	  .status = "HTTP/1.1 200 OK\r\n",
	  .wanted = { "Content-Length: 5\r\n", "\r\nServer: sluice\r\n", "\r\nDate: " },
	  .unwanted = { "Connection:" },
	  .body = "\r\n\r\nhello" },
	{ .name = "nothing to change",
	  .request = GET("/plain"),
	  .status = "HTTP/1.1 200 OK\r\nX-Endpoint: one\r\n",
	  .wanted = { "\r\nServer: its own\r\n", "\r\nDate: Sun, 06 Nov 1994" },
	  .unwanted = { "sluice" },
	  .body = "\r\n\r\nhello" },
	{ .name = "hop-by-hop fields of the endpoint",
	  .request = GET("/hop"),
	  .status = "HTTP/1.1 200 OK\r\n",
	  .unwanted = { "X-Private", "Keep-Alive", "Connection" },
	  .body = "\r\n\r\nhello" },
	{ .name = "chunks, without extension and trailer",
	  .request = GET("/chunked"),
	  .status = "HTTP/1.1 200 OK\r\n",
	  .wanted = { "Transfer-Encoding: chunked\r\n" },
	  .unwanted = { "a=b", "X-Trailer" },
	  .body = "\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" },
	{ .name = "until close is put into chunks",
	  .request = GET("/eof"),
	  .status = "HTTP/1.1 200 OK\r\n",
	  .wanted = { "Transfer-Encoding: chunked\r\n", "\r\nd\r\nuntil the end\r\n" },
	  .unwanted = { "Connection" },
	  .body = "0\r\n\r\n" },
	{ .name = "an endpoint of HTTP/1.0",
	  .request = GET("/old"),
	  .status = "HTTP/1.1 200 OK\r\n",
	  .unwanted = { "Connection" },
	  .body = "\r\n\r\nold" },
	{ .name = "an endpoint that closes",
	  .request = GET("/close"),
	  .status = "HTTP/1.1 200 OK\r\n",
	  .unwanted = { "Connection" },
	  .body = "\r\n\r\nhello" },
	{ .name = "a response in pieces of one byte",
	  .request = GET("/pieces"),
	  .status = "HTTP/1.1 200 OK\r\n",
	  .body = "\r\n\r\nhello" },
	{ .name = "no content",
	  .request = GET("/204"),
	  .status = "HTTP/1.1 204 No Content\r\n",
	  .unwanted = { "Content-Length" },
	  .body = "\r\n\r\n" },
	{ .name = "not modified",
	  .request = GET("/304"),
	  .status = "HTTP/1.1 304 Not Modified\r\n",
	  .wanted = { "Content-Length: 77\r\n" },
	  .body = "\r\n\r\n" },
	{ .name = "head",
	  .request = "HEAD /len HTTP/1.1\r\nHost: a.test\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .wanted = { "Content-Length: 5\r\n" },
	  .body = "\r\n\r\n" },
	{ .name = "early hints",
	  .request = GET("/hints"),
	  .status = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n",
	  .body = "\r\n\r\nok" },
	{ .name = "early hints for HTTP/1.0",
	  .request = "GET /hints HTTP/1.0\r\nHost: a.test\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .wanted = { "Connection: close\r\n" },
	  .body = "\r\n\r\nok",
	  .is_closed = true },
	{ .name = "HTTP/1.0 that keeps alive",
	  .request = "GET /len HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .wanted = { "Connection: keep-alive\r\n" },
	  .body = "\r\n\r\nhello" },
	{ .name = "chunks for HTTP/1.0",
	  .request = "GET /chunked HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .wanted = { "Connection: close\r\n" },
	  .unwanted = { "Transfer-Encoding" },
	  .body = "\r\n\r\nhello world",
	  .is_closed = true },
	{ .name = "until close for HTTP/1.0",
	  .request = "GET /eof HTTP/1.0\r\nHost: a.test\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .unwanted = { "Transfer-Encoding" },
	  .body = "\r\n\r\nuntil the end",
	  .is_closed = true },
	{ .name = "a client that closes",
	  .request = "GET /len HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .wanted = { "Connection: close\r\n" },
	  .body = "\r\n\r\nhello",
	  .is_closed = true },
	{ .name = "a body of a length",
	  .request = "POST /body HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .body = "\r\n\r\n4 bytes" },
	{ .name = "a body of chunks",
	  .request = "POST /body HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
		     "4;x=y\r\nbody\r\n0\r\nX-T: 1\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .body = "\r\n\r\n14 bytes" },
	{ .name = "absolute target",
	  .request = "GET http://a.test/len HTTP/1.1\r\nHost: other.test\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .body = "\r\n\r\nhello" },
	{ .name = "no such host",
	  .request = "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n",
	  .status = "HTTP/1.1 404 Not Found\r\n",
	  .wanted = { "Server: sluice\r\n", "Date: " },
	  .body = "\r\n\r\n404 Not Found\n" },
	{ .name = "no such host, with a body that is skipped",
	  .request = "POST / HTTP/1.1\r\nHost: other.test\r\nContent-Length: 3\r\n\r\nabc",
	  .status = "HTTP/1.1 404 Not Found\r\n",
	  .unwanted = { "Connection" },
	  .body = "\r\n\r\n404 Not Found\n" },
	{ .name = "no such host, for HEAD",
	  .request = "HEAD / HTTP/1.1\r\nHost: other.test\r\n\r\n",
	  .status = "HTTP/1.1 404 Not Found\r\n",
	  .wanted = { "Content-Length: 14\r\n" },
	  .body = "\r\n\r\n" },
	{ .name = "a path above the root",
	  .request = GET("/../x"),
	  .status = "HTTP/1.1 400 Bad Request\r\n",
	  .body = "\r\n\r\n400 Bad Request\n" },
	{ .name = "no endpoint",
	  .request = GET("/nobody"),
	  .status = "HTTP/1.1 503 Service Unavailable\r\n",
	  .wanted = { "Retry-After: 5\r\n" },
	  .body = "\r\n\r\n503 Service Unavailable\n" },
	{ .name = "no ready endpoint",
	  .request = GET("/unready"),
	  .status = "HTTP/1.1 503 Service Unavailable\r\n",
	  .body = "\n" },
	{ .name = "no backend",
	  .request = GET("/none"),
	  .status = "HTTP/1.1 503 Service Unavailable\r\n",
	  .body = "\n" },
	{ .name = "denied",
	  .request = GET("/denied"),
	  .status = "HTTP/1.1 503 Service Unavailable\r\n",
	  .body = "\n" },
	{ .name = "an endpoint that refuses",
	  .request = GET("/dead"),
	  .status = "HTTP/1.1 502 Bad Gateway\r\n",
	  .body = "\r\n\r\n502 Bad Gateway\n" },
	{ .name = "one that refuses is passed over",
	  .request = GET("/mixed"),
	  .status = "HTTP/1.1 200 OK\r\n",
	  .body = "\r\n\r\n0 bytes" },
	{ .name = "an endpoint that breaks off",
	  .request = "POST /drop HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
	  .status = "HTTP/1.1 502 Bad Gateway\r\n",
	  .body = "\n" },
	{ .name = "an endpoint that does not speak HTTP",
	  .request = GET("/garbage"),
	  .status = "HTTP/1.1 502 Bad Gateway\r\n",
	  .body = "\n" },
	{ .name = "a body cut short",
	  .request = GET("/cut"),
	  .status = "HTTP/1.1 200 OK\r\n",
	  .body = "ten bytes.",
	  .is_closed = true },
	{ .name = "an endpoint that is too slow",
	  .request = "GET /slow HTTP/1.1\r\nHost: quick.test\r\n\r\n",
	  .status = "HTTP/1.1 504 Gateway Timeout\r\n",
	  .body = "\r\n\r\n504 Gateway Timeout\n" },
	{ .name = "too large",
	  .request = "POST /body HTTP/1.1\r\nHost: small.test\r\nContent-Length: "
		     "11\r\n\r\n01234567890",
	  .status = "HTTP/1.1 413 Content Too Large\r\n",
	  .body = "\n" },
	{ .name = "too large, in chunks",
	  .request =
		  "POST /sleepy HTTP/1.1\r\nHost: small.test\r\nTransfer-Encoding: chunked\r\n\r\n"
		  "6\r\n012345\r\n5\r\n01234\r\n0\r\n\r\n",
	  .status = "HTTP/1.1 413 Content Too Large\r\n",
	  .body = "\n" },
	{ .name = "as large as allowed",
	  .request =
		  "POST /body HTTP/1.1\r\nHost: small.test\r\nContent-Length: 10\r\n\r\n0123456789",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .body = "\r\n\r\n10 bytes" },
	{ .name = "redirect to https",
	  .request = "GET /x/?y=z HTTP/1.1\r\nHost: tls.test:8080\r\n\r\n",
	  .status = "HTTP/1.1 308 Permanent Redirect\r\n",
	  .wanted = { "Location: https://tls.test/x/?y=z\r\n" },
	  .body = "\n" },
	{ .name = "no redirect for certificates to come",
	  .request = "GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: tls.test\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .body = "\r\n\r\n0 bytes" },
	{ .name = "malformed",
	  .request = "GET /x HTTP/1.1\r\nHost: a.test\r\nX : y\r\n\r\nGET /smuggled HTTP/1.1\r\n",
	  .status = "HTTP/1.1 400 Bad Request\r\n",
	  .wanted = { "Connection: close\r\n", "Server: sluice\r\n" },
	  .body = "\r\n\r\n400 Bad Request\n",
	  .is_closed = true },
	{ .name = "another version",
	  .request = "GET /x HTTP/2.0\r\nHost: a.test\r\n\r\n",
	  .status = "HTTP/1.1 505 HTTP Version Not Supported\r\n",
	  .body = "\n",
	  .is_closed = true },
	{ .name = "a malformed chunk",
	  .request =
		  "POST /body HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	  .status = "HTTP/1.1 400 Bad Request\r\n",
	  .body = "\n",
	  .is_closed = true },
	{ .name = "an answer before the body was sent",
	  .request = "POST /early HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nsome",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .wanted = { "Connection: close\r\n" },
	  .body = "\r\n\r\nearly",
	  .is_closed = true },
	{ .name = "an upgrade that nobody wants is a request",
	  .request = "GET /len HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n"
		     "Upgrade: websocket\r\n\r\n",
	  .status = "HTTP/1.1 200 OK\r\n",
	  .body = "\r\n\r\nhello" },
};

static void check_exchange(const struct exchange *exchange)
{
	struct client client = client_open(&site.http[0]);
	bool is_good;

	is_good = client_ask(&client, exchange->request, exchange->body) &&
		  strncmp(client.text, exchange->status, strlen(exchange->status)) == 0;
	for (size_t i = 0; is_good && i < 6 && exchange->wanted[i]; i++)
		is_good = strstr(client.text, exchange->wanted[i]) != NULL;
	for (size_t i = 0; is_good && i < 4 && exchange->unwanted[i]; i++)
		is_good = strstr(client.text, exchange->unwanted[i]) == NULL;
	if (is_good && exchange->is_closed)
		is_good = client_wait_closed(&client);
	is_good = is_good &&
		  strcmp(client.text + client.len - strlen(exchange->body), exchange->body) == 0;
	/* Where the connection lives on, the next request finds it in order. */
	if (is_good && !exchange->is_closed && !strstr(client.text, "Connection: close"))
		is_good = client_ask(&client, GET("/len"), "\r\n\r\nhello") &&
			  strncmp(client.text, "HTTP/1.1 200 OK\r\n", 17) == 0;
	if (!is_good)
		fail_msg("%s: got\n%s", exchange->name, client.text);
	client_close(&client);
}

static void test_exchanges(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++)
		check_exchange(&exchanges[i]);
}

/* -------------------------------------------------------------------- heads */

static void test_endpoint_sees_what_it_should(void **state)
{
	struct client client = client_open(&site.http[0]);
	static const char *const wanted[] = {
		"GET /see?x=%2f HTTP/1.1\r\nHost: a.test:80\r\n",
		"\r\nAccept: */*\r\n",
		"\r\nX-Kept: yes\r\n",
		"\r\nX-Forwarded-For: 127.0.0.1\r\n",
		"\r\nX-Real-IP: 127.0.0.1\r\n",
		"\r\nX-Forwarded-Proto: http\r\n",
		"\r\nX-Forwarded-Host: a.test:80\r\n",
		"\r\nX-Forwarded-Port: ",
		"\r\nX-Request-ID: my-id\r\n",
	};
	static const char *const unwanted[] = { "1.2.3.4",    "X-Named", "Keep-Alive",
						"X_Under",    "evil",    "Forwarded:",
						"Connection", "TE:",     "Proxy:" };

	(void)state;
	assert_true(client_ask(&client,
			       "GET /see?x=%2f HTTP/1.1\r\nHost: a.test:80\r\nAccept: */*\r\n"
			       "X-Kept: yes\r\nConnection: keep-alive, X-Named\r\nX-Named: 1\r\n"
			       "Keep-Alive: 5\r\nX_Under: 1\r\nTE: trailers\r\nProxy: evil\r\n"
			       "X-Forwarded-For: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n"
			       "X-Forwarded-Host: evil\r\nX-Forwarded-Proto: evil\r\n"
			       "Forwarded: for=1.2.3.4\r\nX-Request-ID: my-id\r\n\r\n",
			       "0 bytes"));
	pthread_mutex_lock(&server.lock);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!strstr(server.head, wanted[i]))
			fail_msg("no '%s' in\n%s", wanted[i], server.head);
	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
		if (strstr(server.head, unwanted[i]))
			fail_msg("'%s' in\n%s", unwanted[i], server.head);
	pthread_mutex_unlock(&server.lock);
	client_close(&client);
}

static void test_head_in_pieces(void **state)
{
	struct client client = client_open(&site.http[0]);
	const char *request = GET("/len");

	(void)state;
	for (; *request; request++) {
		client_send(&client, request, 1);
		usleep(1000);
	}
	assert_true(client_wait(&client, "hello"));
	client_close(&client);
}

static void test_pipelined(void **state)
{
	enum { COUNT = 200 };
	struct client client = client_open(&site.http[0]);
	char requests[COUNT * 64];
	size_t len = 0, seen = 0;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		len += (size_t)snprintf(requests + len, sizeof(requests) - len,
					i % 3 ? GET("/len")
					      : "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
	client_send(&client, requests, len);
	while (seen < COUNT) {
		seen = 0;
		assert_true(client_fill(&client));
		for (const char *at = client.text; (at = strstr(at, "HTTP/1.1 ")); at++) {
			if (client.text + client.len < at + 12)
				break;
			assert_int_equal(strncmp(at + 9, seen % 3 ? "200" : "404", 3), 0);
			seen++;
		}
	}
	client_close(&client);
}

/* ---------------------------------------------------------------- connections */

static void test_upstream_connections_are_pooled(void **state)
{
	struct client client = client_open(&site.http[0]);
	int before;

	(void)state;
	assert_true(client_ask(&client, GET("/len"), "hello"));
	before = atomic_load(&server.connections);
	for (int i = 0; i < 50; i++)
		assert_true(client_ask(&client, GET("/len"), "hello"));
	assert_int_equal(atomic_load(&server.connections), before);
	client_close(&client);
}

static void test_stale_connection_is_not_seen(void **state)
{
	struct client client = client_open(&site.http[0]);

	(void)state;
	/* It says nothing of closing, and closes. */
	for (int i = 0; i < 20; i++) {
		assert_true(client_ask(&client, GET("/eof"), "0\r\n\r\n"));
		assert_true(client_ask(&client, GET("/len"), "hello"));
		assert_int_equal(strncmp(client.text, "HTTP/1.1 200", 12), 0);
	}
	client_close(&client);
}

static void test_request_is_sent_again_only_where_safe(void **state)
{
	struct client client = client_open(&site.http[0]);
	int before;

	(void)state;
	/* On a pooled connection: a GET that is dropped comes twice, a POST once. */
	assert_true(client_ask(&client, GET("/len"), "hello"));
	before = atomic_load(&server.requests);
	assert_true(client_ask(&client, GET("/drop"), "502 Bad Gateway\n"));
	assert_int_equal(atomic_load(&server.requests), before + 2);
	assert_true(client_ask(&client, GET("/len"), "hello"));
	before = atomic_load(&server.requests);
	assert_true(client_ask(&client,
			       "POST /drop HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx",
			       "502 Bad Gateway\n"));
	assert_int_equal(atomic_load(&server.requests), before + 1);
	client_close(&client);
}

static void test_slow_head_is_408(void **state)
{
	struct client client = client_open(&site.http[0]);

	(void)state;
	client_say(&client, "GET /len HTTP/1.1\r\nHo");
	assert_true(client_wait_closed(&client));
	assert_int_equal(strncmp(client.text, "HTTP/1.1 408 Request Timeout\r\n", 30), 0);
	client_close(&client);
}

static void test_idle_connection_is_closed(void **state)
{
	struct client client = client_open(&site.http[0]);

	(void)state;
	assert_true(client_ask(&client, GET("/len"), "hello"));
	client_drop(&client);
	assert_true(client_wait_closed(&client));
	assert_int_equal(client.len, 0);
	assert_false(client.is_reset);
	client_close(&client);
}

static void test_half_closed_client_gets_its_answer(void **state)
{
	struct client client = client_open(&site.http[0]);

	(void)state;
	client_say(&client, GET("/len"));
	shutdown(client.fd, SHUT_WR);
	assert_true(client_wait(&client, "\r\n\r\nhello"));
	assert_true(client_wait_closed(&client));
	client_close(&client);
}

static void test_expect_continue(void **state)
{
	struct client client = client_open(&site.http[0]);

	(void)state;
	assert_true(client_ask(&client,
			       "POST /body HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n"
			       "Content-Length: 4\r\n\r\n",
			       "HTTP/1.1 100 Continue\r\n\r\n"));
	assert_true(client_ask(&client, "body", "4 bytes"));
	assert_true(client_ask(&client, GET("/len"), "hello"));
	client_close(&client);
}

/* --------------------------------------------------------------- large bodies */

static void test_slow_client_is_waited_for_in_little_memory(void **state)
{
	enum { SIZE = 32 << 20 };
	struct client client = client_open(&site.http[0]);
	size_t total = 0, body;

	(void)state;
	client_say(&client, GET("/big33554432"));
	usleep(300000); /* every buffer is full by now */
	assert_true(client_wait(&client, "\r\n\r\n"));
	body = client.len - (size_t)(strstr(client.text, "\r\n\r\n") + 4 - client.text);
	for (total = body; total < SIZE; total += client.len) {
		client_drop(&client);
		assert_true(client_fill(&client));
	}
	assert_int_equal(total, SIZE);
	assert_true(client_ask(&client, GET("/len"), "hello"));
	client_close(&client);
}

static void test_slow_endpoint_is_waited_for(void **state)
{
	enum { SIZE = 16 << 20, PIECE = 1 << 20 };
	struct client client = client_open(&site.http[0]);
	char *piece = calloc(1, PIECE);

	(void)state;
	client_say(&client,
		   "POST /sleepy HTTP/1.1\r\nHost: a.test\r\nContent-Length: 16777216\r\n\r\n");
	for (int sent = 0; sent < SIZE; sent += PIECE)
		client_send(&client, piece, PIECE);
	assert_true(client_wait(&client, "16777216 bytes"));
	assert_true(client_ask(&client, GET("/len"), "hello"));
	free(piece);
	client_close(&client);
}

static void test_client_that_goes_away(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		struct client client = client_open(&site.http[0]);

		client_say(&client, GET("/big8388608"));
		assert_true(client_wait(&client, "\r\n\r\n"));
		client_close(&client);
		client = client_open(&site.http[0]);
		client_say(&client,
			   "POST /body HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nhalf");
		client_close(&client);
	}
	for (int i = 0; i < 2000 && counter_read(&site.counters[0].streams_active); i++)
		usleep(1000);
	assert_int_equal(counter_read(&site.counters[0].streams_active), 0);
}

static void test_slow_body_is_408(void **state)
{
	struct client client = client_open(&site.http[0]);

	(void)state;
	client_say(&client, "POST /body HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\n12");
	usleep(200000);
	client_say(&client, "34");
	assert_true(client_wait_closed(&client));
	assert_int_equal(strncmp(client.text, "HTTP/1.1 408 Request Timeout\r\n", 30), 0);
	client_close(&client);

	/* The time begins anew when a slow endpoint has taken what came before. */
	client = client_open(&site.http[0]);
	client_say(&client,
		   "POST /sleepy HTTP/1.1\r\nHost: a.test\r\nContent-Length: 16777216\r\n\r\n");
	for (int i = 0; i < 1000; i++)
		client_say(&client, "some bytes that fill whatever holds them until it is full.");
	usleep(900000);
	assert_true(client_wait_closed(&client));
	assert_int_equal(strncmp(client.text, "HTTP/1.1 408 Request Timeout\r\n", 30), 0);
	client_close(&client);
}

static void test_client_that_reads_nothing_is_cut(void **state)
{
	struct client client = client_open(&site.http[0]);
	uint64_t before = counter_read(&site.counters[0].downstream_timeouts);

	(void)state;
	client_say(&client, GET("/big33554432"));
	for (int i = 0; i < 4000; i++, usleep(1000))
		if (counter_read(&site.counters[0].downstream_timeouts) > before)
			break;
	assert_int_equal(counter_read(&site.counters[0].downstream_timeouts), before + 1);
	client_close(&client);
}

static void test_post_finds_a_living_connection(void **state)
{
	struct client client = client_open(&site.http[0]);

	(void)state;
	/* /eof leaves none behind, /len one that is good: neither may fail a POST. */
	for (int i = 0; i < 20; i++) {
		assert_true(client_ask(&client, i % 2 ? GET("/eof") : GET("/len"),
				       i % 2 ? "0\r\n\r\n" : "hello"));
		assert_true(client_ask(&client,
				       "POST /body HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2"
				       "\r\n\r\nxy",
				       "2 bytes"));
	}
	client_close(&client);
}

/* --------------------------------------------------------------------- tunnels */

static const char websocket[] = "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n"
				"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\nearly";

static void test_tunnel(void **state)
{
	enum { SIZE = 300000 };
	struct client client = client_open(&site.http[0]);
	char *bytes = malloc(SIZE);

	(void)state;
	assert_true(client_ask(&client, websocket, "\r\n\r\nearly"));
	assert_int_equal(strncmp(client.text, "HTTP/1.1 101 Switching Protocols\r\n", 34), 0);
	assert_non_null(strstr(client.text, "Connection: upgrade\r\nUpgrade: websocket\r\n"));
	assert_int_equal(counter_read(&site.counters[0].tunnels_active), 1);
	client_drop(&client);
	memset(bytes, 'x', SIZE);
	for (int sent = 0; sent < SIZE; sent += 50000) {
		client_send(&client, bytes, 50000);
		while (client.len < (size_t)sent + 50000)
			assert_true(client_fill(&client));
	}
	/* A new config does not touch it. */
	site_publish(&site, false);
	assert_true(site_settle(&site));
	assert_true(client_ask(&client, "still here", "still here"));
	/* Our end is passed on, and the endpoint's last word comes back. */
	shutdown(client.fd, SHUT_WR);
	assert_true(client_wait(&client, "bye"));
	assert_true(client_wait_closed(&client));
	for (int i = 0; i < 1000 && counter_read(&site.counters[0].tunnels_active); i++)
		usleep(1000);
	assert_int_equal(counter_read(&site.counters[0].tunnels_active), 0);
	free(bytes);
	client_close(&client);
}

/* --------------------------------------------------------------------- configs */

static void test_configs_replace_each_other_under_load(void **state)
{
	struct client client = client_open(&site.http[0]);

	(void)state;
	for (int i = 0; i < 100; i++) {
		site_publish(&site, false);
		assert_true(client_ask(&client, GET("/len"), "hello"));
		assert_int_equal(strncmp(client.text, "HTTP/1.1 200", 12), 0);
	}
	assert_true(site_settle(&site));
	assert_null(site.workers.retired);
	assert_int_equal(counter_read(&site.counters[0].image_generation), site.generation);
	client_close(&client);
}

/* How many objects the pool ever had. */
static size_t objects_of(struct pool *pool)
{
	struct pool_walk walk = { 0 };
	size_t count = 0;

	while (pool_walk_next(pool, &walk))
		count++;
	return count;
}

static void test_nothing_is_left(void **state)
{
	const struct counters *counters = &site.counters[0];
	struct worker *worker = site.workers.at[0];

	(void)state;
	for (int i = 0; i < 3000 && counter_read(&counters->connections_active); i++)
		usleep(1000);
	assert_int_equal(counter_read(&counters->connections_active), 0);
	assert_int_equal(counter_read(&counters->streams_active), 0);
	assert_int_equal(counter_read(&counters->upstream_connections_active),
			 counter_read(&counters->upstream_connections_idle));
	workers_stop(&site.workers); /* now its pools can be looked at */
	for (int i = 0; i < BLOCK_CLASSES; i++)
		assert_int_equal(worker->blocks.pools[i].used, 0);
	assert_int_equal(worker->request_parsers.used, 0);
	assert_int_equal(worker->response_parsers.used, 0);
	assert_int_equal(worker->streams.used, 0);
	/* What waited at once, of slow clients and slow endpoints, never was more than this. */
	assert_true(objects_of(&worker->blocks.pools[1]) * worker->blocks.pools[1].object_bytes <=
		    QUEUE_BYTES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_endpoint_sees_what_it_should),
		cmocka_unit_test(test_head_in_pieces),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_upstream_connections_are_pooled),
		cmocka_unit_test(test_stale_connection_is_not_seen),
		cmocka_unit_test(test_request_is_sent_again_only_where_safe),
		cmocka_unit_test(test_slow_head_is_408),
		cmocka_unit_test(test_idle_connection_is_closed),
		cmocka_unit_test(test_half_closed_client_gets_its_answer),
		cmocka_unit_test(test_expect_continue),
		cmocka_unit_test(test_slow_client_is_waited_for_in_little_memory),
		cmocka_unit_test(test_slow_endpoint_is_waited_for),
		cmocka_unit_test(test_client_that_goes_away),
		cmocka_unit_test(test_slow_body_is_408),
		cmocka_unit_test(test_client_that_reads_nothing_is_cut),
		cmocka_unit_test(test_post_finds_a_living_connection),
		cmocka_unit_test(test_tunnel),
		cmocka_unit_test(test_configs_replace_each_other_under_load),
		cmocka_unit_test(test_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
