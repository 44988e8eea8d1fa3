// SPDX-License-Identifier: Apache-2.0
/*
 * Who may connect, as a worker sees it: deny and allow lists that change while it serves, and hosts
 * that nobody serves.
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

#define GET(host) "GET /len HTTP/1.1\r\nHost: " host "\r\n\r\n"

static struct site site;
static struct endpoint_server server;
static uint64_t generation;

static int begin(void **state)
{
	(void)state;
	endpoint_start(&server, "one");
	site_init(&site, 1);
	site_make_workers(&site);
	site_add_route(&site, "a.test", "/", 0);
	site_add_endpoint(&site, 0, &server.addr, ENDPOINT_READY);
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

/* Puts lists of one network each, or none with NULL, in force. */
static void use_lists(const char *deny, const char *allow)
{
	struct sources_writer *writer = sources_writer_new(++generation);
	struct config *config = config_new(site.workers.published);
	const char *const texts[] = { deny, allow };
	struct str bytes;

	for (int i = 0; i < 2; i++) {
		struct prefix prefix;

		if (!texts[i])
			continue;
		assert_int_equal(prefix_parse(str_from_c(texts[i]), &prefix), 0);
		sources_writer_begin(writer, i == 0 ? NULL : &site.http[0]);
		sources_writer_add(writer, &prefix);
	}
	assert_int_equal(sources_writer_finish(writer, &bytes, NULL), 0);
	site_use(config, CONFIG_SOURCES, bytes, generation);
	sources_writer_free(writer);
	workers_publish(&site.workers, config);
	assert_true(site_settle(&site));
}

static bool is_served(const char *request)
{
	struct client client = client_open(&site.http[0]);
	bool is = client_ask(&client, request, "hello");

	assert_true(is || client_wait_closed(&client));
	client_close(&client);
	return is;
}

static uint64_t counted(const uint64_t *counter)
{
	return counter_read(counter);
}

static void test_deny_list(void **state)
{
	struct client living = client_open(&site.http[0]);
	const struct counters *counters = &site.counters[0];

	(void)state;
	assert_true(client_ask(&living, GET("a.test"), "hello"));
	use_lists("192.0.2.0/24", NULL);
	assert_true(is_served(GET("a.test")));
	assert_int_equal(counted(&counters->drop_denied), 0);
	use_lists("127.0.0.0/8", NULL);
	assert_true(client_wait_closed(&living));
	assert_false(is_served(GET("a.test")));
	assert_int_equal(counted(&counters->drop_denied), 2);
	use_lists(NULL, NULL);
	assert_true(is_served(GET("a.test")));
	client_close(&living);
}

static void test_allow_list(void **state)
{
	struct client living = client_open(&site.http[0]);
	const struct counters *counters = &site.counters[0];

	(void)state;
	assert_true(client_ask(&living, GET("a.test"), "hello"));
	use_lists(NULL, "127.0.0.0/8");
	assert_true(is_served(GET("a.test")));
	use_lists(NULL, "192.0.2.0/24");
	assert_false(is_served(GET("a.test")));
	assert_int_equal(counted(&counters->drop_not_allowed), 1);
	/* New connections alone are asked. */
	assert_true(client_ask(&living, GET("a.test"), "hello"));
	use_lists(NULL, NULL);
	assert_true(is_served(GET("a.test")));
	client_close(&living);
}

static void test_unknown_hosts(void **state)
{
	struct client living = client_open(&site.http[0]);
	const struct counters *counters = &site.counters[0];
	struct client client;

	(void)state;
	site.image_flags = IMAGE_DROPS_UNKNOWN_HOSTS;
	site_publish(&site, false);
	assert_true(site_settle(&site));
	assert_false(is_served(GET("b.test")));
	assert_int_equal(counted(&counters->drop_host_unknown), 1);
	assert_true(is_served(GET("A.test")));
	/* What has been let in is answered, and so is who names no host at all. */
	assert_true(client_ask(&living, GET("a.test"), "hello"));
	assert_true(client_ask(&living, GET("b.test"), "404"));
	client = client_open(&site.http[0]);
	assert_true(client_ask(&client, "GET / HTTP/1.0\r\n\r\n", "404"));
	assert_int_equal(counted(&counters->drop_host_unknown), 1);
	client_close(&client);
	client_close(&living);
	site.image_flags = 0;
	site_publish(&site, false);
	assert_true(site_settle(&site));
}

/* Requests of known hosts are noted for their load; those of others are not. */
static void test_hosts_are_noted(void **state)
{
	const struct counters *counters = &site.counters[0];
	uint64_t requests = 0;

	(void)state;
	assert_true(is_served(GET("a.test")));
	for (int i = 0; i < COUNTERS_HOSTS; i++)
		requests += counted(&counters->hosts[i].requests);
	assert_true(requests > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deny_list),
		cmocka_unit_test(test_allow_list),
		cmocka_unit_test(test_unknown_hosts),
		cmocka_unit_test(test_hosts_are_noted),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
