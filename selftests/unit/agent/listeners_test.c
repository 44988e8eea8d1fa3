// SPDX-License-Identifier: Apache-2.0
/* Listening sockets on loopback: one a worker, refused where somebody listens, taken back. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/listeners.h"
#include "agent/taken.h"

/* A port that nobody has at the moment. */
static uint16_t free_port(const char *ip)
{
	struct addr addr = { .port = 0 };
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	assert_int_equal(addr_parse_ip(str_from_c(ip), &addr), 0);
	len = addr_to_sockaddr(&addr, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(addr_from_sockaddr(&sa, &addr), 0);
	close(fd);
	return addr.port;
}

static void want(struct options *options, const char *ip)
{
	struct addr_range *range = &options->http.at[options->http.count++];

	*range = (struct addr_range){ .bits = PREFIX_BITS_MAX };
	assert_int_equal(addr_parse_ip(str_from_c(ip), &range->first), 0);
	range->first.port = range->port_last = free_port(ip);
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void test_one_socket_for_each_worker(void **state)
{
	struct options options = { .http.count = 0 };
	struct listeners listeners;
	struct err err = { 0 };

	(void)state;
	want(&options, "127.0.0.1");
	want(&options, "::1");
	assert_int_equal(listeners_init(&listeners, &options, 3, &err), 0);
	assert_int_equal(listeners_missing(&listeners), 6);
	if (listeners_open(&listeners, &err))
		fail_msg("%s", err.text);
	assert_int_equal(listeners_missing(&listeners), 0);
	for (uint32_t i = 0; i < 3; i++) {
		int fd = listeners.at[0].fds[i];

		assert_int_equal(option_of(fd, SOL_SOCKET, SO_REUSEPORT), 1);
		assert_int_equal(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
		assert_true(option_of(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	}
	assert_int_equal(option_of(listeners.at[1].fds[0], IPPROTO_IPV6, IPV6_V6ONLY), 1);
	listeners_release(&listeners);
}

static void test_an_address_that_is_taken_is_named(void **state)
{
	struct options options = { .http.count = 0 };
	struct listeners first, second;
	struct err err = { 0 };
	char text[ADDR_RANGE_TEXT_MAX];

	(void)state;
	want(&options, "127.0.0.1");
	assert_int_equal(listeners_init(&first, &options, 1, &err), 0);
	assert_int_equal(listeners_open(&first, &err), 0);
	assert_int_equal(listeners_init(&second, &options, 1, &err), 0);
	assert_int_equal(listeners_open(&second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, addr_range_format(&options.http.at[0], text)));
	assert_non_null(strstr(err.text, "for http"));
	listeners_release(&second);
	listeners_release(&first);
}

static void test_the_same_address_twice(void **state)
{
	struct options options = { .http.count = 0 };
	struct listeners listeners;
	struct err err = { 0 };

	(void)state;
	want(&options, "127.0.0.1");
	options.https.at[0] = options.http.at[0];
	options.https.count = 1;
	assert_int_equal(listeners_init(&listeners, &options, 1, &err), -EINVAL);
	assert_non_null(strstr(err.text, "stands there twice"));
	listeners_release(&listeners);
}

/* Ports that nobody has: three in a row, the first of which is returned. */
static uint16_t free_ports(const char *ip)
{
	uint16_t port;

	do
		port = free_port(ip);
	while (port > UINT16_MAX - 2);
	return port;
}

static void want_text(struct options_addresses *addresses, const char *text)
{
	struct err err = { 0 };

	if (addr_range_parse(str_from_c(text), &addresses->at[addresses->count++], &err))
		fail_msg("%s", err.text);
}

static void want_ports(struct options_addresses *addresses, const char *prefix, uint16_t first,
		       uint16_t last)
{
	char text[ADDR_RANGE_TEXT_MAX];

	snprintf(text, sizeof(text), "%s:%u-%u", prefix, first, last);
	want_text(addresses, text);
}

/* However many addresses and ports: one socket a worker, on the first of them. */
static void test_a_range_has_one_set_of_sockets(void **state)
{
	struct options options = { .http.count = 0 };
	uint16_t port = free_ports("127.0.0.0");
	struct listeners listeners;
	struct err err = { 0 };

	(void)state;
	want_ports(&options.http, "127.0.0.0/8", port, (uint16_t)(port + 2));
	assert_int_equal(listeners_init(&listeners, &options, 2, &err), 0);
	assert_true(listeners_have_ranges(&listeners));
	if (listeners_open(&listeners, &err))
		fail_msg("%s", err.text);
	assert_int_equal(listeners_missing(&listeners), 0);
	assert_int_equal(listeners.at[0].addr.port, port);
	assert_int_equal(listeners.at[0].addr.ip[15], 0);
	listeners_release(&listeners);
}

/* Ours do not stand in each other's way, whatever comes first. */
static void test_every_address_and_one_of_them(void **state)
{
	struct options options = { .http.count = 0 };
	struct listeners listeners;
	struct err err = { 0 };

	(void)state;
	want(&options, "0.0.0.0");
	options.http.at[0].bits = PREFIX_BITS_IPV4;
	want(&options, "127.0.0.1");
	options.http.at[1].first.port = options.http.at[1].port_last = options.http.at[0].port_last;
	assert_int_equal(listeners_init(&listeners, &options, 2, &err), 0);
	if (listeners_open(&listeners, &err))
		fail_msg("%s", err.text);
	assert_int_equal(listeners_missing(&listeners), 0);
	listeners_release(&listeners);
}

/* As a socket that is bound would be refused: by name. */
static void test_a_range_takes_nothing_from_others(void **state)
{
	struct options options = { .http.count = 0 }, other = { .http.count = 0 };
	struct listeners listeners, others;
	struct err err = { 0 };
	char wanted[64];

	(void)state;
	want(&other, "127.0.0.9");
	assert_int_equal(listeners_init(&others, &other, 1, &err), 0);
	assert_int_equal(listeners_open(&others, &err), 0);
	snprintf(wanted, sizeof(wanted), "somebody listens on '127.0.0.9:%u' already",
		 others.at[0].addr.port);
	want_ports(&options.http, "127.0.0.8/29", others.at[0].addr.port, others.at[0].addr.port);
	assert_int_equal(listeners_init(&listeners, &options, 1, &err), 0);
	assert_int_equal(listeners_open(&listeners, &err), -EADDRINUSE);
	if (!strstr(err.text, wanted))
		fail_msg("'%s', not '%s'", err.text, wanted);
	listeners_release(&listeners);
	listeners_release(&others);
}

/* A listening socket as another program has it, on a port that nobody had. */
static int listen_beside(const char *ip, int is_v6_only, struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	*addr = (struct addr){ .port = 0 };
	assert_int_equal(addr_parse_ip(str_from_c(ip), addr), 0);
	len = addr_to_sockaddr(addr, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (sa.ss_family == AF_INET6)
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_v6_only,
					    sizeof(is_v6_only)),
				 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	len = sizeof(sa);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(addr_from_sockaddr(&sa, addr), 0);
	return fd;
}

/* Another program on every address, of this family or of both. */
static void test_a_range_takes_nothing_from_every_address(void **state)
{
	static const struct {
		const char *name, *other;
		int is_v6_only;
		const char *range;
		bool is_taken;
	} cases[] = {
		{ "IPv4", "0.0.0.0", 0, "127.0.0.8/29", true },
		{ "both", "::", 0, "127.0.0.8/29", true },
		{ "both, IPv6", "::", 0, "[fd00::8]/125", true },
		{ "IPv6 alone", "::", 1, "127.0.0.8/29", false },
		{ "IPv6 alone, IPv6", "::", 1, "[fd00::8]/125", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options = { .http.count = 0 };
		struct listeners none = { .count = 0 };
		struct addr other, taken;
		int fd = listen_beside(cases[i].other, cases[i].is_v6_only, &other);

		want_ports(&options.http, cases[i].range, other.port, other.port);
		if (taken_find(&options.http.at[0], &none, &taken) != cases[i].is_taken)
			fail_msg("%s: not %d", cases[i].name, cases[i].is_taken);
		if (cases[i].is_taken)
			assert_true(addr_eq(&taken, &other));
		close(fd);
	}
}

static void test_ranges_that_cannot_be(void **state)
{
	static const struct {
		const char *http, *https, *why;
	} cases[] = {
		{ "10.0.0.0/24:80", "10.0.0.0/24:80", "stands there twice" },
		{ "10.0.0.0/24:80-90", "10.0.0.0/24:85-99", "have a port in common" },
		{ "0.0.0.0:80", "0.0.0.0:1-99", "have a port in common" },
		{ "10.0.0.0/24:80", "10.0.0.0/16:80", "begin with the same address and port" },
		{ "10.0.0.0:80", "10.0.0.0/16:80", "begin with the same address and port" },
		{ "10.0.0.0/24:80", "127.0.0.0/8:9000-9999",
		  "covers the admin address '127.0.0.1" },
		{ "10.0.0.0/24:80", "0.0.0.0:9980-9981", "covers the admin address '127.0.0.1" },
		{ "10.0.0.0/24:80", "10.0.0.16/28:80", NULL },
		{ "10.0.0.9:80", "10.0.0.0/24:80", NULL },
		{ "0.0.0.0:80", "10.0.0.0/24:80", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options = { .has_admin = true };
		struct listeners listeners;
		struct err err = { 0 };
		int rc;

		assert_int_equal(addr_parse(STR("127.0.0.1:9980"), &options.admin, NULL), 0);
		want_text(&options.http, cases[i].http);
		want_text(&options.https, cases[i].https);
		rc = listeners_init(&listeners, &options, 1, &err);
		if (rc != (cases[i].why ? -EINVAL : 0) ||
		    (cases[i].why && !strstr(err.text, cases[i].why)))
			fail_msg("'%s' and '%s': %d, '%s'", cases[i].http, cases[i].https, rc,
				 err.text);
		listeners_release(&listeners);
	}
}

static void test_an_admin_on_every_address_is_not_shut_off(void **state)
{
	static const struct {
		const char *admin, *http;
		bool is_shut_off;
	} cases[] = {
		{ "0.0.0.0:9980", "10.0.0.0/24:9000-9999", true },
		{ "[::]:9980", "10.0.0.0/24:9000-9999", true },
		{ "[::]:9980", "[fd00::]/64:9980", true },
		{ "0.0.0.0:9980", "[fd00::]/64:9980", false },
		{ "0.0.0.0:9980", "10.0.0.0/24:8000-8999", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options options = { .has_admin = true };
		struct listeners listeners;
		struct err err = { 0 };
		int rc;

		assert_int_equal(addr_parse(str_from_c(cases[i].admin), &options.admin, NULL), 0);
		want_text(&options.http, cases[i].http);
		rc = listeners_init(&listeners, &options, 1, &err);
		if (rc != (cases[i].is_shut_off ? -EINVAL : 0))
			fail_msg("'%s' and '%s': %d", cases[i].http, cases[i].admin, rc);
		listeners_release(&listeners);
	}
}

static struct control_listener message_of(const struct listener *listener, uint16_t worker)
{
	struct control_listener message = {
		.port = listener->addr.port,
		.listener_id = listener->id,
		.worker = worker,
		.protocol = (uint16_t)listener->protocol,
	};

	memcpy(message.ip, listener->addr.ip, sizeof(message.ip));
	return message;
}

/* The next agent gets the very sockets, so that nobody who waits in them is lost. */
static void test_sockets_that_are_given_back(void **state)
{
	struct options options = { .http.count = 0 };
	struct listeners old, new;
	struct control_listener message;
	struct err err = { 0 };
	int kept[2];

	(void)state;
	want(&options, "127.0.0.1");
	want(&options, "127.0.0.1");
	assert_int_equal(listeners_init(&old, &options, 2, &err), 0);
	assert_int_equal(listeners_open(&old, &err), 0);
	options.http.at[2] = options.http.at[0]; /* the other order: ids must follow */
	options.http.at[0] = options.http.at[1];
	options.http.at[1] = options.http.at[2];
	assert_int_equal(listeners_init(&new, &options, 2, &err), 0);
	for (uint16_t worker = 0; worker < 2; worker++) {
		kept[worker] = dup(old.at[0].fds[worker]);
		message = message_of(&old.at[0], worker);
		assert_true(listeners_take(&new, &message, kept[worker]));
	}
	assert_int_equal(listeners_missing(&new), 2);
	assert_int_equal(new.at[1].fds[0], kept[0]);
	assert_int_equal(new.at[1].fds[1], kept[1]);
	assert_int_equal(new.at[1].id, old.at[0].id);
	assert_true(new.at[0].id != new.at[1].id);
	listeners_release(&new);
	listeners_release(&old);
}

static void test_what_is_not_wanted_is_closed(void **state)
{
	struct options options = { .http.count = 0 };
	struct listeners listeners;
	struct control_listener message;
	struct err err = { 0 };
	int fd;

	(void)state;
	want(&options, "127.0.0.1");
	assert_int_equal(listeners_init(&listeners, &options, 1, &err), 0);

	message = message_of(&listeners.at[0], 7);
	fd = dup(0);
	assert_false(listeners_take(&listeners, &message, fd));
	assert_int_equal(fcntl(fd, F_GETFD), -1);

	message = message_of(&listeners.at[0], 0);
	message.protocol = CONTROL_PROTOCOL_TLS;
	fd = dup(0);
	assert_false(listeners_take(&listeners, &message, fd));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	listeners_release(&listeners);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_socket_for_each_worker),
		cmocka_unit_test(test_an_address_that_is_taken_is_named),
		cmocka_unit_test(test_the_same_address_twice),
		cmocka_unit_test(test_a_range_has_one_set_of_sockets),
		cmocka_unit_test(test_every_address_and_one_of_them),
		cmocka_unit_test(test_a_range_takes_nothing_from_others),
		cmocka_unit_test(test_a_range_takes_nothing_from_every_address),
		cmocka_unit_test(test_an_admin_on_every_address_is_not_shut_off),
		cmocka_unit_test(test_ranges_that_cannot_be),
		cmocka_unit_test(test_sockets_that_are_given_back),
		cmocka_unit_test(test_what_is_not_wanted_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
