// SPDX-License-Identifier: Apache-2.0
/*
 * protect: lists and rates as the agent gives them (datapath.h), judged by what the
 * pinned XDP program does with packets, and the samples that come back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "base/mem.h"
#include "datapath/datapath.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/lab.h"

enum { MANY = 100000 };

static struct datapath *datapath;
static int steer_fd = -1;

static int enter(void **state)
{
	static const char *const interfaces[] = { "slu0" };
	static const uint16_t cpus[] = { 0 };
	struct datapath_listener listener = { .protocol = LISTENER_PROTOCOL_HTTP, .id = 3 };
	struct datapath_options options = { .bpf_dir = LAB_BPF_DIR,
					    .xdp = XDP_MODE_GENERIC,
					    .interfaces = interfaces,
					    .interface_count = 1,
					    .listeners = &listener,
					    .listener_count = 1,
					    .worker_cpus = cpus,
					    .worker_count = 1 };
	char path[512];
	struct err err = { 0 };

	(void)state;
	lab_enter();
	if (lab_command("ip", "link", "add", "slu0", "type", "veth", "peer", "name", "peer0"))
		return -1;
	lab_up("slu0");
	if (lab_command("ip", "address", "add", "198.51.100.1/32", "dev", "slu0"))
		return -1;
	addr_parse_ip(STR("0.0.0.0"), &listener.addr);
	listener.addr.port = 80;
	if (datapath_open(&options, &datapath, &err))
		fail_msg("%s", err.text);
	snprintf(path, sizeof(path), "%s/prog_xdp_steer", datapath_pin_dir(datapath));
	steer_fd = bpf_obj_get(path);
	return steer_fd < 0 ? -1 : 0;
}

static int leave(void **state)
{
	(void)state;
	close(steer_fd);
	datapath_detach(datapath);
	return 0;
}

/* ---- what becomes of a SYN ------------------------------------------------------------------ */

static bool is_frame_dropped(const struct frame_spec *spec)
{
	struct frame frame = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .repeat = 1);

	frame_build(&frame, spec);
	run.data_in = frame.at;
	run.data_size_in = (uint32_t)frame.len;
	assert_int_equal(bpf_prog_test_run_opts(steer_fd, &run), 0);
	return run.retval == XDP_DROP;
}

static bool is_dropped(const char *client)
{
	const struct frame_spec spec = { .client = client, .tcp_flags = FRAME_SYN };

	return is_frame_dropped(&spec);
}

/* The first payload of a connection from another port each time. */
static bool is_request_dropped(const char *host)
{
	static uint16_t port = 20000;
	char text[128];
	struct frame_spec spec = { .client_port = ++port };

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	spec.payload = str_from_c(text);
	return is_frame_dropped(&spec);
}

static void expect(const char *what, const char *client, bool is)
{
	if (is_dropped(client) != is)
		fail_msg("%s: %s is %s", what, client, is ? "not dropped" : "dropped");
}

/* "10.0.0.0", 8. */
static struct datapath_prefix prefix(const char *ip, uint32_t bits, uint32_t rule_id)
{
	struct datapath_prefix made = { .bits = 96 + bits, .rule_id = rule_id };

	assert_int_equal(addr_parse_ip(str_from_c(ip), &made.addr), 0);
	return made;
}

static void set_denylist(const struct datapath_prefix *at, size_t len)
{
	const struct datapath_prefixes prefixes = { at, len };
	struct err err = { 0 };

	if (datapath_set_denylist(datapath, &prefixes, &err))
		fail_msg("%s", err.text);
}

static void set_allowlist(const struct datapath_prefixes *prefixes)
{
	struct err err = { 0 };

	if (datapath_set_allowlist(datapath, 3, prefixes, &err))
		fail_msg("%s", err.text);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void denies_what_the_list_says_now(void **state)
{
	const struct datapath_prefix before[] = { prefix("10.0.0.0", 8, 1),
						  prefix("192.0.2.7", 32, 2) };
	const struct datapath_prefix after[] = { prefix("192.0.2.0", 24, 1) };

	(void)state;
	expect("no list", "10.1.2.3", false);
	set_denylist(before, 2);
	expect("a network", "10.1.2.3", true);
	expect("an address", "192.0.2.7", true);
	expect("beside it", "192.0.2.8", false);
	set_denylist(after, 1);
	expect("the network is gone", "10.1.2.3", false);
	expect("another is there", "192.0.2.8", true);
	set_denylist(NULL, 0);
	expect("the list is empty", "192.0.2.8", false);
}

static void denies_a_hundred_thousand(void **state)
{
	struct datapath_prefix *many = mem_new(MANY, sizeof(*many));
	char ip[ADDR_TEXT_MAX];

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(ip, sizeof(ip), "10.%u.%u.%u", i >> 15, i >> 7 & 255, (i & 127) << 1);
		many[i] = prefix(ip, 31, i);
	}
	set_denylist(many, MANY);
	for (uint32_t i = 0; i < MANY; i += 9973) {
		snprintf(ip, sizeof(ip), "10.%u.%u.%u", i >> 15, i >> 7 & 255, (i & 127) << 1 | 1);
		expect("one of many", ip, true);
	}
	expect("none of them", "10.200.0.1", false);
	set_denylist(NULL, 0);
	expect("none is left", "10.0.0.1", false);
	mem_free(many);
}

/* The listener is on every address; 198.51.100.2 is another machine's, to which we forward. */
static void denies_nothing_that_is_forwarded(void **state)
{
	const struct frame_spec syn = { .local = "198.51.100.2", .tcp_flags = FRAME_SYN };
	const struct datapath_prefix all = prefix("0.0.0.0", 0, 1);
	const struct datapath_prefixes none = { NULL, 0 };

	(void)state;
	set_denylist(&all, 1);
	expect("denied", "192.0.2.1", true);
	assert_false(is_frame_dropped(&syn));
	set_denylist(NULL, 0);
	set_allowlist(&none);
	expect("not allowed", "192.0.2.1", true);
	assert_false(is_frame_dropped(&syn));
	set_allowlist(NULL);
}

static void allows_from_nobody_to_everybody(void **state)
{
	const struct datapath_prefix office = prefix("10.0.0.0", 8, 1);
	const struct datapath_prefixes one = { &office, 1 }, none = { NULL, 0 };

	(void)state;
	expect("no list", "192.0.2.1", false);
	set_allowlist(&one);
	expect("who is on the list", "10.1.2.3", false);
	expect("who is not", "192.0.2.1", true);
	set_allowlist(&none);
	expect("a list of nobody", "10.1.2.3", true);
	set_allowlist(NULL);
	expect("the list is taken away", "192.0.2.1", false);
}

/* Asks the map: the listener is one of IPv4. */
static bool is_ipv6_allowed(const char *ip)
{
	struct allowlist_key key = { .bits = 160, .listener_id = 3 };
	struct prefix_value value;
	struct addr addr;
	char path[512];
	int fd;
	bool is;

	assert_int_equal(addr_parse_ip(str_from_c(ip), &addr), 0);
	memcpy(key.address, addr.ip, sizeof(key.address));
	snprintf(path, sizeof(path), "%s/allowlist", datapath_pin_dir(datapath));
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	is = bpf_map_lookup_elem(fd, &key, &value) == 0;
	close(fd);
	return is;
}

static void takes_a_prefix_as_one_of_its_family(void **state)
{
	static const uint32_t bits[] = { 0, 1, 80, 95 };

	(void)state;
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		struct datapath_prefix both[] = { { .bits = bits[i] }, prefix("10.0.0.0", 8, 1) };
		const struct datapath_prefixes six = { both, 1 }, six_and_ten = { both, 2 };

		/* Until the last of them differ, the first bits are those of IPv4. */
		both[0].addr.ip[10] = bits[i] > 80 ? 0xff : 0;
		both[0].addr.ip[11] = bits[i] > 88 ? 0xfe : 0;
		set_denylist(both, 1);
		expect("denied: IPv6", "192.0.2.1", false);
		set_denylist(NULL, 0);
		set_allowlist(&six);
		expect("allowed: IPv6 alone", "192.0.2.1", true);
		assert_int_equal(is_ipv6_allowed("2001:db8::1"), bits[i] <= 1);
		assert_int_equal(is_ipv6_allowed("::2"), bits[i] <= 80);
		set_allowlist(&six_and_ten);
		expect("allowed: a network of IPv4 too", "10.0.0.1", false);
		expect("not allowed: the rest of IPv4", "192.0.2.1", true);
		set_allowlist(NULL);
	}
}

static bool count_allowlist(void *arg, const struct datapath_map *map)
{
	if (strcmp(map->name, "allowlist") == 0)
		*(uint32_t *)arg = map->entries;
	return true;
}

static void shows_how_many_are_allowed(void **state)
{
	const struct datapath_prefix offices[] = { prefix("10.0.0.0", 8, 1),
						   prefix("10.1.0.0", 16, 2),
						   prefix("192.0.2.1", 32, 3) };
	const struct datapath_prefixes three = { offices, 3 };
	uint32_t entries = 9;

	(void)state;
	datapath_each_map(datapath, count_allowlist, &entries);
	assert_int_equal(entries, 0);
	set_allowlist(&three);
	datapath_each_map(datapath, count_allowlist, &entries);
	assert_int_equal(entries, 3);
	set_allowlist(NULL);
}

static void limits_a_source_of_several_addresses(void **state)
{
	const struct datapath_source_rate one = { .per_s = 1, .burst = 2, .ipv4_bits = 24 };
	const struct datapath_source_rate off = { 0 };
	struct err err = { 0 };
	int dropped = 0;

	(void)state;
	assert_int_equal(datapath_set_source_rate(datapath, &one, &err), 0);
	expect("the first", "198.51.100.1", false);
	expect("another of the same source", "198.51.100.2", false);
	/* That they take as many seconds as they are does not happen on any machine. */
	for (int i = 0; i < 1000; i++)
		dropped += is_dropped("198.51.100.3");
	assert_true(dropped > 0);
	expect("another source", "198.51.101.1", false);
	assert_int_equal(datapath_set_source_rate(datapath, &off, &err), 0);
	expect("no limit any more", "198.51.100.3", false);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static struct datapath_host host(const char *name, uint32_t host_id, uint8_t flags)
{
	struct datapath_host made = {
		.value = { .host_id = host_id, .worker_spread = 1, .flags = flags }
	};

	made.key = datapath_host_key(datapath_hash_key(datapath), str_from_c(name));
	if (strcmp(name, "*") == 0) {
		made.key = datapath_host_key_catch_all();
		made.value.worker_spread = 0;
		made.value.policy = HOST_POLICY_DROP;
	}
	return made;
}

static void sync_hosts(struct datapath_host *at, size_t count, struct datapath_sync *done)
{
	struct err err = { 0 };

	qsort(at, count, sizeof(*at), datapath_host_compare);
	if (datapath_sync_hosts(datapath, at, count, 1, done, &err))
		fail_msg("%s", err.text);
}

static void drops_hosts_that_nobody_serves(void **state)
{
	struct datapath_host hosts[] = { host("*", 9, 0), host("near.test", 1, 0),
					 host("*.wild.test", 2, 0) };
	struct datapath_sync done;

	(void)state;
	assert_false(is_request_dropped("nobody.test"));
	sync_hosts(hosts, 3, &done);
	assert_int_equal(done.added, 3);
	assert_true(is_request_dropped("nobody.test"));
	assert_true(is_request_dropped("a.b.wild.test"));
	assert_false(is_request_dropped("near.test"));
	assert_false(is_request_dropped("NEAR.test:80"));
	assert_false(is_request_dropped("a.wild.test"));
	sync_hosts(hosts, 3, &done);
	assert_int_equal(done.added + done.changed + done.removed, 0);
	/* Without the entry for all others they pass again; with it alone everything is dropped. */
	sync_hosts(hosts + 1, 2, &done);
	assert_int_equal(done.removed, 1);
	assert_false(is_request_dropped("nobody.test"));
	sync_hosts(hosts, 1, &done);
	assert_true(is_request_dropped("near.test"));
	sync_hosts(hosts, 0, &done);
	assert_false(is_request_dropped("near.test"));
}

static int count_rates(void)
{
	uint32_t id, *last = NULL;
	char path[512];
	int fd, count = 0;

	snprintf(path, sizeof(path), "%s/host_rates", datapath_pin_dir(datapath));
	fd = bpf_obj_get(path);
	for (; bpf_map_get_next_key(fd, last, &id) == 0; count++)
		last = &id;
	close(fd);
	return count;
}

static void sync_rates(const struct datapath_host_rate *at, size_t count)
{
	struct err err = { 0 };

	if (datapath_sync_host_rates(datapath, at, count, &err))
		fail_msg("%s", err.text);
}

/* A limit that stays the same is not filled up again by writing it again. */
static void keeps_what_is_left_of_a_rate(void **state)
{
	struct datapath_host hosts[] = { host("limited.test", 4, HOST_FLAG_LIMITED) };
	const struct datapath_host_rate rates[] = { { 8, 7, 0, "other.test" },
						    { 4, 1, 3, "limited.test" } };
	struct datapath_sync done;
	int dropped = 0;

	(void)state;
	sync_hosts(hosts, 1, &done);
	sync_rates(rates, 2);
	assert_int_equal(count_rates(), 2);
	for (int i = 0; i < 1000; i++)
		dropped += is_request_dropped("limited.test");
	assert_true(dropped > 0);
	for (int i = 0; i < 1000; i++) {
		sync_rates(rates + 1, 1);
		dropped += is_request_dropped("limited.test");
	}
	/* 2000 requests at one a second, three at first: they did not take half an hour. */
	assert_true(dropped > 1000);
	assert_int_equal(count_rates(), 1);
	sync_rates(NULL, 0);
	assert_int_equal(count_rates(), 0);
	assert_false(is_request_dropped("limited.test"));
	sync_hosts(hosts, 0, &done);
}

struct sample {
	int count;
	struct event last;
};

static void keep_sample(void *arg, const struct event *event)
{
	struct sample *sample = arg;

	sample->count++;
	sample->last = *event;
}

static void hands_over_samples(void **state)
{
	const struct datapath_prefix denied = prefix("203.0.113.0", 24, 1);
	struct sample sample = { 0 };

	(void)state;
	assert_true(datapath_events_fd(datapath) >= 0);
	assert_true(datapath_read_events(datapath, keep_sample, &sample) >= 0);
	sample.count = 0;
	set_denylist(&denied, 1);
	/* On each CPU one in 10 ms is taken: it is waited for. */
	for (int i = 0; i < 10000 && sample.count == 0; i++) {
		expect("denied", "203.0.113.9", true);
		assert_true(datapath_read_events(datapath, keep_sample, &sample) >= 0);
		usleep(1000);
	}
	assert_true(sample.count > 0);
	assert_int_equal(sample.last.reason, DROP_REASON_DENIED);
	assert_string_equal(drop_reason_name(sample.last.reason), "denied");
	assert_int_equal(sample.last.client_address[12], 203);
	assert_int_equal(sample.last.client_address[15], 9);
	assert_int_equal(sample.last.local_port, 80);
	set_denylist(NULL, 0);
}

/* A sample of an unknown host has the name that was asked for, wherever it was looked for. */
static void names_the_unknown_host(void **state)
{
	static const struct {
		const char *asked, *shown;
	} names[] = {
		{ "Nobody.TEST", "nobody.test" },
		{ "x", "x" },
		{ "a.b.wild.test:8080", "a.b.wild.test" },
		{ "a-name.of-more-than.48-bytes.is-cut.in-the-sample-of.it",
		  "a-name.of-more-than.48-bytes.is-cut.in-the-samp" },
	};
	struct datapath_host hosts[] = { host("*", 9, 0), host("*.wild.test", 2, 0) };
	struct sample sample = { 0 };
	struct datapath_sync done;

	(void)state;
	sync_hosts(hosts, 2, &done);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_true(datapath_read_events(datapath, keep_sample, &sample) >= 0);
		sample.count = 0;
		for (int n = 0; n < 10000 && sample.count == 0; n++) {
			assert_true(is_request_dropped(names[i].asked));
			assert_true(datapath_read_events(datapath, keep_sample, &sample) >= 0);
			usleep(1000);
		}
		assert_int_equal(sample.last.reason, DROP_REASON_HOST_UNKNOWN);
		assert_string_equal(sample.last.name, names[i].shown);
	}
	sync_hosts(hosts, 0, &done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(denies_what_the_list_says_now),
		cmocka_unit_test(denies_a_hundred_thousand),
		cmocka_unit_test(denies_nothing_that_is_forwarded),
		cmocka_unit_test(allows_from_nobody_to_everybody),
		cmocka_unit_test(takes_a_prefix_as_one_of_its_family),
		cmocka_unit_test(shows_how_many_are_allowed),
		cmocka_unit_test(limits_a_source_of_several_addresses),
		cmocka_unit_test(drops_hosts_that_nobody_serves),
		cmocka_unit_test(keeps_what_is_left_of_a_rate),
		cmocka_unit_test(hands_over_samples),
		cmocka_unit_test(names_the_unknown_host),
	};

	return cmocka_run_group_tests_name("protect", tests, enter, leave);
}
