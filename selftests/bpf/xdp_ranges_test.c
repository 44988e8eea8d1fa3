// SPDX-License-Identifier: Apache-2.0
/*
 * xdp_ranges: xdp_steer knows listeners on many addresses and ports as its own.
 *
 * Each case is the SYN of a new connection through BPF_PROG_TEST_RUN; the counter
 * says whether a listener was found for it, and whose allow list it met says which.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/addr_range.h"
#include "base/mem.h"
#include "bpf/contract.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/lab.h"
#include "xdp_steer.skel.h"

/* Those with an allow list, which is empty, drop what is theirs. */
static const struct {
	const char *range;
	bool has_allowlist;
} listeners[] = {
	{ "10.88.0.0/16:80", false },     { "10.88.7.0/24:80", true },
	{ "10.89.0.1:8000-8099", false }, { "10.89.0.0/24:8050-8060", true },
	{ "[fd00:88::]/32:80", false },   { "[::]:9000-9001", false },
};

enum { LISTENERS = sizeof(listeners) / sizeof(listeners[0]) };

static struct xdp_steer *skeleton;

static struct addr_range range_of(const char *text)
{
	struct addr_range range;

	if (addr_range_parse(str_from_c(text), &range, NULL))
		lab_die(text);
	return range;
}

static void set_port_range(uint16_t first, uint16_t last)
{
	uint32_t count = skeleton->rodata->port_range_count;

	for (uint32_t i = 0; i < count; i++)
		if (skeleton->rodata->port_ranges[i].first == first &&
		    skeleton->rodata->port_ranges[i].last == last)
			return;
	skeleton->rodata->port_ranges[count].first = first;
	skeleton->rodata->port_ranges[count].last = last;
	skeleton->rodata->port_range_count = count + 1;
}

static void set_range(uint16_t id)
{
	struct addr_range range = range_of(listeners[id].range);
	struct range_key key = { .bits = 32 + range.bits,
				 .ports = { range.first.port, range.port_last } };
	struct range_value value = { .listener = { .id = id, .protocol = LISTENER_PROTOCOL_HTTP },
				     .prefix_bits = range.bits };

	memcpy(key.address, range.first.ip, 16);
	if (listeners[id].has_allowlist)
		value.listener.flags = LISTENER_FLAG_LOCAL | LISTENER_FLAG_ALLOWLIST;
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skeleton->maps.ranges), &key, &value, 0),
			 0);
}

static int load(void **state)
{
	(void)state;
	lab_enter();
	skeleton = xdp_steer__open();
	if (!skeleton)
		return -1;
	skeleton->rodata->listen_ports[0] = 443;
	skeleton->rodata->listen_port_count = 1;
	for (uint16_t i = 0; i < LISTENERS; i++) {
		struct addr_range range = range_of(listeners[i].range);

		set_port_range(range.first.port, range.port_last);
	}
	if (xdp_steer__load(skeleton))
		return -1;
	for (uint16_t i = 0; i < LISTENERS; i++)
		set_range(i);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	xdp_steer__destroy(skeleton);
	return 0;
}

static struct stats read_stats(void)
{
	int cpus = libbpf_num_possible_cpus();
	struct stats *each = mem_new((size_t)cpus, sizeof(*each)), sum = { 0 };
	uint32_t row = 0;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skeleton->maps.stats), &row, each), 0);
	for (int i = 0; i < cpus; i++) {
		sum.pass_other_port += each[i].pass_other_port;
		sum.pass_other_address += each[i].pass_other_address;
		sum.pass_no_payload += each[i].pass_no_payload;
		sum.drop_not_allowed += each[i].drop_not_allowed;
	}
	mem_free(each);
	return sum;
}

/* What became of a SYN to @local, by the counter that moved. */
static const char *meet(const char *local)
{
	struct addr addr = range_of(local).first;
	struct frame_spec spec = { .tcp_flags = FRAME_SYN,
				   .is_ipv6 = !addr_is_v4(&addr),
				   .local_port = addr.port };
	struct stats before = read_stats(), after;
	char ip[ADDR_TEXT_MAX];
	struct frame frame;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.at, .repeat = 1);

	spec.local = addr_format_ip(&addr, ip);
	frame_build(&frame, &spec);
	opts.data_size_in = (uint32_t)frame.len;
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skeleton->progs.xdp_steer), &opts),
			 0);
	after = read_stats();
	if (after.pass_other_port != before.pass_other_port)
		return "other port";
	if (after.pass_other_address != before.pass_other_address)
		return "other address";
	if (after.drop_not_allowed != before.drop_not_allowed)
		return "allow list";
	return after.pass_no_payload != before.pass_no_payload ? "ours" : "nothing";
}

static void finds_listeners(void **state)
{
	static const struct {
		const char *local, *wanted;
	} cases[] = {
		{ "10.88.0.0:80", "ours" },
		{ "10.88.255.255:80", "ours" },
		{ "10.87.255.255:80", "other address" },
		{ "10.89.0.0:80", "other address" },
		{ "10.88.7.200:80", "allow list" },
		{ "10.88.8.0:80", "ours" },
		{ "10.88.0.1:81", "other port" },
		{ "10.89.0.1:8000", "ours" },
		{ "10.89.0.1:8099", "ours" },
		{ "10.89.0.1:8100", "other port" },
		{ "10.89.0.1:8055", "ours" },       /* the longer of two prefixes */
		{ "10.89.0.2:8055", "allow list" }, /* in both ranges of ports, in one prefix */
		{ "10.89.0.2:8000", "other address" },
		{ "[fd00:88::1]:80", "ours" },
		{ "[fd00:89::1]:80", "other address" },
		{ "[2001:db8::1]:9001", "ours" },
		{ "10.88.0.1:9001", "other address" }, /* [::] is every address of IPv6 alone */
		{ "10.88.0.1:443", "other address" },
		{ "10.88.0.1:22", "other port" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = meet(cases[i].local);

		if (strcmp(got, cases[i].wanted) != 0)
			fail_msg("%s: %s, not %s", cases[i].local, got, cases[i].wanted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_listeners),
	};

	return cmocka_run_group_tests_name("xdp_ranges", tests, load, unload);
}
