// SPDX-License-Identifier: Apache-2.0
/*
 * denylist: lists as the agent gives them (datapath_set_denylist), and what
 * xdp_steer makes of SYNs from sources in and beside them; what becomes of the
 * connections that a denied source has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "base/mem.h"
#include "datapath/internal.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/lab.h"
#include "selftests/bpf/listen.h"

enum { MANY = 20000, RULE = 7 };

static const uint16_t cpus[1];
static const char *const interfaces[] = { "slu0" };
static struct datapath_listener listeners[2];
static struct datapath *datapath;
static int program;

static int enter(void **state)
{
	struct datapath_options options = { .bpf_dir = LAB_BPF_DIR,
					    .xdp = XDP_MODE_NATIVE,
					    .interfaces = interfaces,
					    .interface_count = 1,
					    .listeners = listeners,
					    .listener_count = 2,
					    .worker_cpus = cpus,
					    .worker_count = 1 };
	struct err err = { 0 };

	(void)state;
	lab_enter();
	if (lab_command("ip", "link", "add", "slu0", "type", "veth", "peer", "name", "peer0"))
		return -1;
	lab_up("slu0");
	lab_up("peer0");
	if (lab_command("ip", "address", "add", "198.51.100.1/32", "dev", "slu0") ||
	    lab_command("ip", "address", "add", "2001:db8::80/128", "dev", "slu0", "nodad"))
		return -1;
	addr_parse_ip(STR("0.0.0.0"), &listeners[0].addr);
	addr_parse_ip(STR("::"), &listeners[1].addr);
	listeners[0].addr.port = listeners[1].addr.port = 80;
	listeners[0].protocol = listeners[1].protocol = LISTENER_PROTOCOL_HTTP;
	listeners[1].id = 1;
	if (datapath_open(&options, &datapath, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	program = pin_open(datapath, "prog_xdp_steer");
	return program < 0 ? -1 : 0;
}

static int leave(void **state)
{
	(void)state;
	close(program);
	datapath_detach(datapath);
	return 0;
}

/* ---- helpers -------------------------------------------------------------------------------- */

static struct datapath_prefix prefix_of(const char *text, uint32_t bits)
{
	struct datapath_prefix prefix = { .bits = bits, .rule_id = RULE };

	assert_int_equal(addr_parse_ip(str_from_c(text), &prefix.addr), 0);
	return prefix;
}

static void set_list(const struct datapath_prefix *at, size_t len)
{
	struct err err = { 0 };

	if (datapath_set_denylist(datapath, &(struct datapath_prefixes){ at, len }, &err))
		fail_msg("%s", err.text);
}

static struct stats read_stats(void)
{
	struct stats stats;

	assert_int_equal(datapath_read_stats(datapath, &stats, NULL), 0);
	return stats;
}

/* Sends a packet through the program; true where it was dropped as of a denied source. */
static bool is_dropped(const struct frame_spec *spec)
{
	struct stats before = read_stats();
	struct frame frame;

	frame_build(&frame, spec);
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.at,
		    .data_size_in = (uint32_t)frame.len, .repeat = 1);
	assert_int_equal(bpf_prog_test_run_opts(program, &opts), 0);
	return read_stats().drop_denied == before.drop_denied + 1 && opts.retval == 1;
}

static bool is_denied_syn(const char *source)
{
	return is_dropped(&(struct frame_spec){
		.is_ipv6 = strchr(source, ':') != NULL, .client = source, .tcp_flags = FRAME_SYN });
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void follows_the_list(void **state)
{
	static const struct {
		const char *name, *prefix;
		uint32_t bits;
		const char *in, *beside;
	} cases[] = {
		{ "one address", "192.0.2.7", 128, "192.0.2.7", "192.0.2.6" },
		{ "not cut", "192.0.2.7", 96 + 24, "192.0.2.200", "192.0.3.7" },
		{ "/15", "10.2.0.0", 96 + 15, "10.3.255.255", "10.4.0.0" },
		{ "/16", "10.2.0.0", 96 + 16, "10.2.255.255", "10.3.0.0" },
		{ "/1", "128.0.0.0", 96 + 1, "255.255.255.255", "127.255.255.255" },
		{ "all of IPv4", "0.0.0.0", 96, "203.0.113.1", "2001:db8::1" },
		{ "all of IPv6", "::", 0, "2001:db8::1", "203.0.113.1" },
		{ "/31 of IPv6", "2001:db8::", 31, "2001:db9::1", "2001:dba::1" },
		{ "/32 of IPv6", "2001:db8::", 32, "2001:db8:ffff::1", "2001:db9::1" },
		{ "/64", "2001:db8:0:1::", 64, "2001:db8:0:1:ffff::", "2001:db8:0:2::" },
		{ "/65", "2001:db8:0:1::", 65, "2001:db8:0:1:7fff::", "2001:db8:0:1:8000::" },
		{ "one IPv6 address", "2001:db8::7", 128, "2001:db8::7", "2001:db8::6" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct datapath_prefix prefix = prefix_of(cases[i].prefix, cases[i].bits);

		set_list(&prefix, 1);
		if (!is_denied_syn(cases[i].in))
			fail_msg("%s: %s is not denied", cases[i].name, cases[i].in);
		if (is_denied_syn(cases[i].beside))
			fail_msg("%s: %s is denied", cases[i].name, cases[i].beside);
	}
	set_list(NULL, 0);
	assert_false(is_denied_syn("2001:db8::7"));
}

/* The map shows each prefix under its rule, and holds no more than the last list. */
static void shows_the_rule(void **state)
{
	struct datapath_prefix *many = mem_new(MANY, sizeof(*many));
	int fd = datapath->map_fds[MAP_DENYLIST];
	struct denylist_key key = { .bits = 128 };
	struct prefix_value value = { 0 };

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		many[i] = prefix_of("10.0.0.0", 128 - i % 8);
		many[i].addr.ip[13] = (uint8_t)(i >> 8);
		many[i].addr.ip[14] = (uint8_t)i;
		many[i].rule_id = i + 1;
	}
	set_list(many, MANY);
	memcpy(key.address, many[8].addr.ip, 16);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
	assert_int_equal(value.rule_id, 9);
	assert_true(is_denied_syn("10.0.8.0"));
	set_list(many, 1);
	assert_int_not_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
	assert_false(is_denied_syn("10.0.8.0"));
	assert_true(is_denied_syn("10.0.0.0"));
	set_list(NULL, 0);
	mem_free(many);
}

/* A denied source opens nothing; what it has goes on, remembered in flows or not. */
static void spares_living_connections(void **state)
{
	struct addr addr = listen_addr("127.0.0.1:80");
	struct datapath_prefix prefix = prefix_of("127.0.0.0", 96 + 8);
	struct frame_spec spec = { .client = "127.0.0.1", .local = "127.0.0.1" };
	int listening = listen_open(&addr), connection = listen_connect(&addr);
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	struct flow_value flow = { .state = FLOW_STATE_STEERED };
	struct flow_key key = { .client_port = 40000, .local_port = 80 };

	(void)state;
	assert_true(connection >= 0);
	assert_int_equal(getsockname(connection, (struct sockaddr *)&name, &len), 0);
	set_list(&prefix, 1);
	spec.client_port = ntohs(name.sin_port);
	assert_false(is_dropped(&spec));
	spec.client_port = 40000;
	assert_true(is_dropped(&spec));
	memcpy(key.client_address, prefix.addr.ip, 16);
	key.client_address[15] = 1;
	memcpy(key.local_address, key.client_address, 16);
	assert_int_equal(bpf_map_update_elem(datapath->map_fds[MAP_FLOWS], &key, &flow, BPF_ANY),
			 0);
	assert_false(is_dropped(&spec));
	set_list(&prefix, 1);
	assert_false(is_dropped(&spec));
	set_list(NULL, 0);
	close(connection);
	close(listening);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_list),
		cmocka_unit_test(shows_the_rule),
		cmocka_unit_test(spares_living_connections),
	};

	return cmocka_run_group_tests_name("denylist", tests, enter, leave);
}
