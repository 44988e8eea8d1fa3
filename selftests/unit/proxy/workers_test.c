// SPDX-License-Identifier: Apache-2.0
/* Workers together and over time: hand-off, balance, draining, shedding, TLS, the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "tls/tls_inspect.h"
#include "unit/proxy/client.h"
#include "unit/proxy/endpoint.h"
#include "unit/proxy/site.h"

#define GET(host, path) "GET " path " HTTP/1.1\r\nHost: " host "\r\n\r\n"

static struct site site;

static uint64_t sum(const struct site *of, size_t offset)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < of->settings.worker_count; i++)
		total += counter_read((const uint64_t *)((const char *)&of->counters[i] + offset));
	return total;
}

#define SUM(field) sum(&site, offsetof(struct counters, field))

static bool wait_for_zero(size_t offset)
{
	for (int i = 0; i < 3000 && sum(&site, offset) > 0; i++)
		usleep(1000);
	return sum(&site, offset) == 0;
}

/* ------------------------------------------------------------------- hand-off */

static void test_connection_goes_to_the_owner(void **state)
{
	struct endpoint_server server;
	struct site_route *owned;

	(void)state;
	endpoint_start(&server, "one");
	site_init(&site, 3);
	site.settings.is_handing_off = true;
	site_make_workers(&site);
	owned = site_add_route(&site, "owned.test", "/", 0);
	owned->owner_first = 1;
	owned->owner_spread = 1;
	site_add_route(&site, "any.test", "/", 0);
	site_add_endpoint(&site, 0, &server.addr, ENDPOINT_READY);
	site_listen(&site, false);
	site_start(&site);
	assert_true(site_settle(&site));

	for (uint32_t i = 0; i < 3; i++) {
		struct client client = client_open(&site.http[i]);

		assert_true(client_ask(&client, GET("owned.test", "/len"), "hello"));
		/* Later requests stay where the connection is, whatever their host. */
		assert_true(client_ask(&client, GET("any.test", "/len"), "hello"));
		client_close(&client);
		client = client_open(&site.http[i]);
		assert_true(client_ask(&client, GET("any.test", "/len"), "hello"));
		client_close(&client);
	}
	assert_int_equal(counter_read(&site.counters[0].connections_handed_off), 1);
	assert_int_equal(counter_read(&site.counters[1].connections_handed_off), 0);
	assert_int_equal(counter_read(&site.counters[2].connections_handed_off), 1);
	assert_int_equal(counter_read(&site.counters[1].responses_2xx), 3 * 2 + 1);
	assert_true(wait_for_zero(offsetof(struct counters, connections_active)));
	site_release(&site);
	endpoint_stop(&server);
}

/* -------------------------------------------------------------------- balance */

static void test_ten_of_ten_endpoints(void **state)
{
	enum { ENDPOINTS = 10, REQUESTS = 100 };
	static struct endpoint_server servers[ENDPOINTS];
	int seen = 0;

	(void)state;
	site_init(&site, 2);
	site_make_workers(&site);
	site_add_route(&site, "a.test", "/", 0);
	for (int i = 0; i < ENDPOINTS; i++) {
		endpoint_start(&servers[i], "x");
		site_add_endpoint(&site, 0, &servers[i].addr, ENDPOINT_READY);
	}
	site_listen(&site, false);
	site_start(&site);
	assert_true(site_settle(&site));
	for (int i = 0; i < REQUESTS; i++) {
		struct client client = client_open(&site.http[i % 2]);

		assert_true(client_ask(&client, GET("a.test", "/len"), "hello"));
		client_close(&client);
	}
	for (int i = 0; i < ENDPOINTS; i++) {
		assert_int_equal(atomic_load(&servers[i].requests), REQUESTS / ENDPOINTS);
		seen++;
	}
	assert_int_equal(seen, ENDPOINTS);

	/* Connections to endpoints that are gone are closed, the others stay. */
	for (int i = 0; i < 1000 && SUM(upstream_connections_idle) < 2 * ENDPOINTS; i++)
		usleep(1000);
	assert_int_equal(SUM(upstream_connections_idle), 2 * ENDPOINTS);
	site.endpoint_count = 1;
	site_publish(&site, false);
	assert_true(site_settle(&site));
	assert_int_equal(SUM(upstream_connections_idle), 2);
	site_release(&site);
	for (int i = 0; i < ENDPOINTS; i++)
		endpoint_stop(&servers[i]);
}

/* ------------------------------------------------------------------- draining */

static void test_drain_ends_what_can_end(void **state)
{
	struct endpoint_server server;
	struct client idle, busy, next;

	(void)state;
	endpoint_start(&server, "one");
	site_init(&site, 1);
	site_make_workers(&site);
	site_add_route(&site, "a.test", "/", 0);
	site_add_endpoint(&site, 0, &server.addr, ENDPOINT_READY);
	site_listen(&site, false);
	site_start(&site);
	assert_true(site_settle(&site));
	idle = client_open(&site.http[0]);
	next = client_open(&site.http[0]);
	busy = client_open(&site.http[0]);
	assert_true(client_ask(&idle, GET("a.test", "/len"), "hello"));
	assert_true(client_ask(&next, GET("a.test", "/len"), "hello"));
	client_say(&busy, GET("a.test", "/slow"));
	usleep(100000);
	site_publish(&site, true);
	assert_true(site_settle(&site));
	/* Just idle: its next request is served still, with a word of farewell. */
	assert_true(client_ask(&next, GET("a.test", "/len"), "hello"));
	assert_non_null(strstr(next.text, "Connection: close\r\n"));
	assert_true(client_wait(&busy, "\r\n\r\nslow"));
	assert_non_null(strstr(busy.text, "Connection: close\r\n"));
	assert_true(client_wait_closed(&idle));
	assert_true(client_wait_closed(&busy));
	assert_true(client_wait_closed(&next));
	assert_false(idle.is_reset || busy.is_reset || next.is_reset);
	assert_true(wait_for_zero(offsetof(struct counters, connections_active)));
	client_close(&idle);
	client_close(&busy);
	client_close(&next);
	site_release(&site);
	endpoint_stop(&server);
}

/* ------------------------------------------------------------------- shedding */

static void test_idle_connections_make_way(void **state)
{
	enum { LIMIT = 20, MORE = 60 };
	struct client clients[MORE];
	struct endpoint_server server;

	(void)state;
	endpoint_start(&server, "one");
	site_init(&site, 1);
	site.settings.connections_max = LIMIT;
	site_make_workers(&site);
	site_add_route(&site, "a.test", "/", 0);
	site_add_endpoint(&site, 0, &server.addr, ENDPOINT_READY);
	site_listen(&site, false);
	site_start(&site);
	assert_true(site_settle(&site));
	for (int i = 0; i < MORE; i++) {
		clients[i] = client_open(&site.http[0]);
		assert_true(client_ask(&clients[i], GET("a.test", "/len"), "hello"));
	}
	assert_true(SUM(connections_active) <= LIMIT + 1);
	assert_int_equal(SUM(connections_refused), 0);
	for (int i = 0; i < MORE; i++)
		client_close(&clients[i]);

	/* Those that are not idle stay; what comes above the limit is refused, and counted. */
	assert_true(wait_for_zero(offsetof(struct counters, connections_active)));
	for (int i = 0; i < LIMIT + 5; i++) {
		clients[i] = client_open(&site.http[0]);
		client_say(&clients[i], "GET /");
		usleep(2000);
	}
	assert_true(client_wait_closed(&clients[LIMIT + 4]));
	assert_int_equal(SUM(connections_refused), 5);
	for (int i = 0; i < LIMIT + 5; i++)
		client_close(&clients[i]);
	site_release(&site);
	endpoint_stop(&server);
}

/* ------------------------------------------------------------------------ TLS */

struct tls_client {
	struct client plain;
	SSL *ssl;
};

static SSL_CTX *client_context;

static struct tls_client tls_open(const struct addr *addr, const char *name)
{
	struct tls_client client = { .plain = client_open(addr) };

	if (!client_context)
		client_context = SSL_CTX_new(TLS_client_method());
	client.ssl = SSL_new(client_context);
	SSL_set_fd(client.ssl, client.plain.fd);
	SSL_set_tlsext_host_name(client.ssl, name);
	assert_int_equal(SSL_connect(client.ssl), 1);
	return client;
}

static bool tls_ask(struct tls_client *client, const char *request, const char *end)
{
	struct client *plain = &client->plain;

	client_drop(plain);
	if (SSL_write(client->ssl, request, (int)strlen(request)) <= 0)
		return false;
	while (!strstr(plain->text, end)) {
		int got = SSL_read(client->ssl, plain->text + plain->len,
				   (int)(CLIENT_TEXT_MAX - plain->len));

		if (got <= 0)
			return false;
		plain->len += (size_t)got;
		plain->text[plain->len] = 0;
	}
	return true;
}

static void tls_close(struct tls_client *client)
{
	SSL_free(client->ssl);
	client_close(&client->plain);
}

static void open_tls_site(struct endpoint_server *server)
{
	static struct buf chain, key;

	buf_init(&chain, 0);
	buf_init(&key, 0);
	assert_int_equal(tls_self_signed(STR("a.test"), 2, &chain, &key, NULL), 0);
	endpoint_start(server, "one");
	site_init(&site, 2);
	site.settings.is_handing_off = true;
	site_make_workers(&site);
	site_add_route(&site, "a.test", "/", 0)->policy.flags =
		IMAGE_POLICY_HSTS | IMAGE_POLICY_HSTS_SUBDOMAINS | IMAGE_POLICY_FORCE_SSL_REDIRECT;
	site.routes[0].policy.hsts_max_age_s = 99;
	site.routes[0].owner_first = 1;
	site.routes[0].owner_spread = 1;
	site_add_endpoint(&site, 0, &server->addr, ENDPOINT_READY);
	site.chain = buf_str(&chain);
	site.key = buf_str(&key);
	site_listen(&site, true);
	site_start(&site);
	assert_true(site_settle(&site));
}

static void test_tls(void **state)
{
	struct endpoint_server server;
	struct tls_client client;
	char last;

	(void)state;
	open_tls_site(&server);
	for (uint32_t i = 0; i < 2; i++) {
		client = tls_open(&site.https[i], "a.test");
		for (int k = 0; k < 3; k++)
			assert_true(tls_ask(&client, GET("a.test", "/len"), "\r\n\r\nhello"));
		assert_non_null(strstr(client.plain.text, "Strict-Transport-Security: max-age=99; "
							  "includeSubDomains\r\n"));
		assert_true(tls_ask(&client, GET("a.test", "/big1000000"), "\r\n\r\n"));
		tls_close(&client);
	}
	/* The owner did all the work, by its SNI. */
	assert_int_equal(counter_read(&site.counters[0].connections_handed_off), 1);
	assert_int_equal(counter_read(&site.counters[1].tls_handshakes), 2);
	assert_int_equal(counter_read(&site.counters[0].tls_handshakes), 0);

	client = tls_open(&site.https[1], "a.test");
	assert_true(tls_ask(&client,
			    "GET /see HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
			    "Connection: close\r\n"));
	assert_non_null(strstr(server.head, "X-Forwarded-Proto: https\r\n"));
	while (SSL_read(client.ssl, &last, 1) > 0)
		;
	/* A proper end: close_notify, not just a FIN. */
	assert_int_equal(SSL_get_shutdown(client.ssl), SSL_RECEIVED_SHUTDOWN);
	tls_close(&client);
	assert_true(wait_for_zero(offsetof(struct counters, connections_active)));
	site_release(&site);
	endpoint_stop(&server);
	SSL_CTX_free(client_context);
}

/* ---------------------------------------------------------------- access log */

static void test_access_log(void **state)
{
	struct endpoint_server server;
	struct client client;
	struct str runs[2];
	char line[4096], wanted[64];
	size_t len = 0;

	(void)state;
	endpoint_start(&server, "one");
	site_init(&site, 1);
	site_make_workers(&site);
	workers_set_logging(&site.workers, true);
	site_add_route(&site, "a.test", "/", 0);
	site_add_endpoint(&site, 0, &server.addr, ENDPOINT_READY);
	site_listen(&site, false);
	site_start(&site);
	assert_true(site_settle(&site));
	client = client_open(&site.http[0]);
	assert_true(client_ask(&client,
			       "GET /len?\"x\" HTTP/1.1\r\nHost: a.test\r\nX-Request-ID: my-id\r\n"
			       "User-Agent: odd \"agent\"\\\r\n\r\n",
			       "0 bytes"));
	for (int i = 0; i < 1000 && len == 0; i++, usleep(1000))
		len = log_ring_peek(&site.workers.at[0]->log, runs);
	snprintf(line, sizeof(line), "%.*s", (int)len, runs[0].at);
	snprintf(wanted, sizeof(wanted), "\"upstream\":\"127.0.0.1:%u\"", server.addr.port);
	assert_non_null(strstr(line, wanted));
	assert_non_null(strstr(line,
			       "\"client\":\"127.0.0.1\",\"method\":\"GET\",\"host\":\"a.test\","
			       "\"path\":\"/len?\\\"x\\\"\",\"status\":200,\"bytes_in\":0,"));
	assert_non_null(strstr(line, "\"route\":\"default/site\",\"flag\":\"\","
				     "\"request_id\":\"my-id\","
				     "\"user_agent\":\"odd \\\"agent\\\"\\\\\"}\n"));
	log_ring_take(&site.workers.at[0]->log, len);
	assert_true(client_ask(&client, GET("b.test", "/"), "404 Not Found\n"));
	for (int i = 0; i < 1000 && !(len = log_ring_peek(&site.workers.at[0]->log, runs)); i++)
		usleep(1000);
	snprintf(line, sizeof(line), "%.*s", (int)len, runs[0].at);
	assert_non_null(strstr(line, "\"status\":404,"));
	assert_non_null(strstr(line, "\"flag\":\"no-route\""));
	client_close(&client);
	site_release(&site);
	endpoint_stop(&server);
}

/* --------------------------------------------------------------------- the end */

/* Who releases a worker has used less CPU time than the worker's thread had. */
static void test_cpu_time_never_goes_back(void **state)
{
	struct worker *worker;
	uint64_t used_us;

	(void)state;
	site_init(&site, 1);
	site_make_workers(&site);
	site_start(&site);
	workers_stop(&site.workers);
	worker = site.workers.at[0];
	worker->cpu_us = UINT64_MAX / 2;
	counter_set(&site.counters[0].worker_cpu_us, worker->cpu_us);
	loop_timer_set(&worker->loop, &worker->heartbeat, 0);
	usleep(3 * LOOP_TICK_MS * 1000); /* it is due */
	used_us = counter_read(&site.counters[0].worker_cpu_us);
	workers_release(&site.workers);
	assert_int_equal(counter_read(&site.counters[0].worker_cpu_us), used_us);
	site_release(&site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection_goes_to_the_owner),
		cmocka_unit_test(test_ten_of_ten_endpoints),
		cmocka_unit_test(test_drain_ends_what_can_end),
		cmocka_unit_test(test_idle_connections_make_way),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_access_log),
		cmocka_unit_test(test_cpu_time_never_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
