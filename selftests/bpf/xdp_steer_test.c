// SPDX-License-Identifier: Apache-2.0
/*
 * xdp_steer: one packet, what becomes of it, and which counters say so.
 *
 * Each case builds a packet, runs the program over it (BPF_PROG_TEST_RUN) on CPU 0
 * and names every counter that must have moved, by one. Workers 0 and 2 run on
 * CPU 0, worker 1 on CPU 1, worker 3 is gone.
 *
 *   exact.test      host 1, worker 1        *.wild.test     host 3, worker 1
 *   wide.test       host 2, workers 0 to 3  gone.test       host 4, worker 3
 *   refused.test    host 5, drop            passed.test     host 6, pass
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "datapath/datapath.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/lab.h"
#include "xdp_steer.skel.h"

enum { WORKERS = 4, CPU_HERE = 0, CPU_OTHER = 1, COUNTERS_TEXT_MAX = 400 };

static const struct host_hash_key hash_key = { 11, 22 };
static struct xdp_steer *skeleton;

#define REQUEST(host)       STR_INIT("GET / HTTP/1.1\r\nHost: " host "\r\n\r\n")
#define STEERED_ON_EXACT    "steer_redirect host_exact flow_created"
#define STEERED_ON_WILDCARD "steer_redirect host_wildcard flow_created"

/* ---- the world the packets meet ------------------------------------------------------------- */

static int fd_of(const struct bpf_map *map)
{
	return bpf_map__fd(map);
}

static void set_worker(uint32_t worker, enum worker_state state, uint32_t load_permille)
{
	struct worker_value value = { .cpu = worker == 1 ? CPU_OTHER : CPU_HERE,
				      .cpu_worker = (uint16_t)worker,
				      .load_permille = load_permille,
				      .state = state };

	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.workers), &worker, &value, 0), 0);
}

static void set_workers(void)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		set_worker(i, i == 3 ? WORKER_STATE_GONE : WORKER_STATE_ACTIVE, 0);
}

static void set_host(const char *name, struct host_value value)
{
	struct host_key key = datapath_host_key(hash_key, str_from_c(name));

	snprintf(value.name, sizeof(value.name), "%s", name);
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.hosts), &key, &value, 0), 0);
}

static void remove_host(const char *name)
{
	struct host_key key = datapath_host_key(hash_key, str_from_c(name));

	assert_int_equal(bpf_map_delete_elem(fd_of(skeleton->maps.hosts), &key), 0);
}

static void set_hosts(void)
{
	set_host("exact.test", (struct host_value){ 1, 1, 1, .policy = HOST_POLICY_STEER });
	set_host("wide.test", (struct host_value){ 2, 0, 4, .policy = HOST_POLICY_STEER });
	set_host("*.wild.test", (struct host_value){ 3, 1, 1, .policy = HOST_POLICY_STEER });
	set_host("gone.test", (struct host_value){ 4, 3, 1, .policy = HOST_POLICY_STEER });
	set_host("refused.test", (struct host_value){ 5, 1, 1, .policy = HOST_POLICY_DROP });
	set_host("passed.test", (struct host_value){ 6, 1, 1, .policy = HOST_POLICY_PASS });
}

static void set_listener(const char *address, uint16_t port, enum listener_protocol protocol)
{
	struct addr addr = { .port = port };
	struct listener_key key = { .port = port };
	struct listener_value value = { .id = port % LISTENERS_MAX,
					.protocol = protocol,
					.flags = LISTENER_FLAG_LOCAL };

	assert_int_equal(addr_parse_ip(str_from_c(address), &addr), 0);
	memcpy(key.address, addr.ip, 16);
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.listeners), &key, &value, 0), 0);
}

static int load(void **state)
{
	const uint16_t ports[] = { 80, 443, 8080 };
	uint32_t cpu = CPU_OTHER, queue = 64;

	(void)state;
	skeleton = xdp_steer__open();
	if (!skeleton)
		return -1;
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		skeleton->rodata->listen_ports[i] = ports[i];
	skeleton->rodata->listen_port_count = 3;
	skeleton->rodata->worker_count = WORKERS;
	skeleton->rodata->hash_key.k0 = hash_key.k0;
	skeleton->rodata->hash_key.k1 = hash_key.k1;
	skeleton->rodata->event_interval_ns = 0;
	bpf_map__set_max_entries(skeleton->maps.steer_cpus, (uint32_t)libbpf_num_possible_cpus());
	bpf_program__set_flags(skeleton->progs.xdp_steer, BPF_F_XDP_HAS_FRAGS);
	if (xdp_steer__load(skeleton))
		return -1;
	if (bpf_map_update_elem(fd_of(skeleton->maps.steer_cpus), &cpu, &queue, 0))
		return -1;
	set_workers();
	set_hosts();
	set_listener("0.0.0.0", 80, LISTENER_PROTOCOL_HTTP);
	set_listener("::", 80, LISTENER_PROTOCOL_HTTP);
	set_listener("0.0.0.0", 443, LISTENER_PROTOCOL_TLS);
	set_listener("198.51.100.1", 8080, LISTENER_PROTOCOL_HTTP);
	lab_pin_to_cpu(CPU_HERE);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	xdp_steer__destroy(skeleton);
	return 0;
}

/* ---- one packet ----------------------------------------------------------------------------- */

static struct stats read_stats(void)
{
	struct stats *each = mem_new((size_t)libbpf_num_possible_cpus(), sizeof(*each));
	struct stats here;
	uint32_t row = 0;

	assert_int_equal(bpf_map_lookup_elem(fd_of(skeleton->maps.stats), &row, each), 0);
	here = each[CPU_HERE];
	mem_free(each);
	return here;
}

/* The names of the counters that moved, in the contract's order; "name*2" for more than one. */
static void list_moved(const struct stats *before, const struct stats *after,
		       char text[COUNTERS_TEXT_MAX])
{
	size_t len = 0;

	text[0] = 0;
#define LIST_MOVED(name, help)                                                                     \
	if (after->name != before->name)                                                           \
		len += (size_t)snprintf(text + len, COUNTERS_TEXT_MAX - len, "%s%s%s",             \
					len ? " " : "", #name,                                     \
					after->name - before->name > 1 ? "*" : "");
	STATS_COUNTERS(LIST_MOVED)
#undef LIST_MOVED
}

static const char *action_name(uint32_t action)
{
	static const char *const names[] = { "aborted", "drop", "pass", "tx", "redirect" };

	return action < 5 ? names[action] : "?";
}

/* What the counters say must be what was done. */
static const char *action_expected(const char *counters)
{
	if (strstr(counters, "steer_redirect"))
		return "redirect";
	return strstr(counters, "drop_") ? "drop" : "pass";
}

static void run_bytes(const char *case_name, const uint8_t *bytes, size_t len, const char *counters)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes, .data_size_in = (uint32_t)len,
		    .repeat = 1);
	struct stats before = read_stats(), after;
	char moved[COUNTERS_TEXT_MAX];
	int code = bpf_prog_test_run_opts(bpf_program__fd(skeleton->progs.xdp_steer), &opts);

	if (code)
		fail_msg("%s: test run: %s", case_name, strerror(-code));
	after = read_stats();
	list_moved(&before, &after, moved);
	if (strcmp(moved, counters) != 0)
		fail_msg("%s: counted '%s', expected '%s'", case_name, moved, counters);
	if (strcmp(action_name(opts.retval), action_expected(counters)) != 0)
		fail_msg("%s: %s, expected %s", case_name, action_name(opts.retval),
			 action_expected(counters));
}

static struct flow_key key_of(const struct frame_spec *spec)
{
	struct flow_key key = { .client_port =
					spec->client_port ? spec->client_port : FRAME_CLIENT_PORT,
				.local_port =
					spec->local_port ? spec->local_port : FRAME_LOCAL_PORT };
	struct addr client, local;
	const char *usual = spec->is_ipv6 ? "2001:db8::80" : "198.51.100.1";

	addr_parse_ip(spec->is_ipv6 ? STR("2001:db8::1") : STR("192.0.2.1"), &client);
	addr_parse_ip(str_from_c(spec->local ? spec->local : usual), &local);
	memcpy(key.client_address, client.ip, 16);
	memcpy(key.local_address, local.ip, 16);
	return key;
}

static void forget_flow(const struct frame_spec *spec)
{
	struct flow_key key = key_of(spec);

	bpf_map_delete_elem(fd_of(skeleton->maps.flows), &key);
}

static bool read_flow(const struct frame_spec *spec, struct flow_value *flow)
{
	struct flow_key key = key_of(spec);

	return bpf_map_lookup_elem(fd_of(skeleton->maps.flows), &key, flow) == 0;
}

static void set_flow(const struct frame_spec *spec, uint16_t worker, enum flow_state state)
{
	struct flow_key key = key_of(spec);
	struct flow_value value = { .worker = worker, .state = state };

	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.flows), &key, &value, 0), 0);
}

/* Runs the packet of @spec; a flow that it is to begin is unknown before. */
static void run(const char *case_name, const struct frame_spec *spec, const char *counters)
{
	struct frame frame;

	frame_build(&frame, spec);
	run_bytes(case_name, frame.at, frame.len, counters);
}

static void run_unknown(const char *case_name, const struct frame_spec *spec, const char *counters)
{
	forget_flow(spec);
	run(case_name, spec, counters);
	forget_flow(spec);
}

/* ---- headers -------------------------------------------------------------------------------- */

static void passes_what_it_does_not_know(void **state)
{
	static const struct {
		const char *name;
		struct frame_spec frame;
		const char *counters;
	} cases[] = {
		{ "ARP", { .ethertype = ETH_P_ARP }, "pass_not_ip" },
		{ "three VLAN tags", { .vlan_tags = 3 }, "pass_not_ip" },
		{ "IPv4 options",
		  { .ip_options_bytes = 8, .payload = REQUEST("exact.test") },
		  "pass_ipv4_options" },
		{ "IPv6 hop-by-hop",
		  { .is_ipv6 = true, .has_ipv6_extension = true, .payload = REQUEST("exact.test") },
		  "pass_ipv6_extension" },
		{ "IPv6 fragment",
		  { .is_ipv6 = true, .has_ipv6_extension = true, .ipv6_extension = 44 },
		  "pass_ipv6_extension" },
		{ "first fragment",
		  { .fragment = 0x2000, .payload = REQUEST("exact.test") },
		  "pass_fragment" },
		{ "later fragment", { .fragment = 0x00b9 }, "pass_fragment" },
		{ "UDP", { .protocol = 17 }, "pass_not_tcp" },
		{ "another port",
		  { .local_port = 81, .payload = REQUEST("exact.test") },
		  "pass_other_port" },
		{ "a listener's port at another address",
		  { .local_port = 8080, .local = "198.51.100.2", .payload = REQUEST("exact.test") },
		  "pass_other_address" },
		{ "IPv6 to a port that only IPv4 listens on",
		  { .is_ipv6 = true, .local_port = 443, .payload = REQUEST("exact.test") },
		  "pass_other_address" },
		{ "SYN", { .tcp_flags = FRAME_SYN }, "pass_no_payload" },
		{ "bare ACK", { 0 }, "pass_no_payload" },
		{ "padding is no payload", { .trailer_bytes = 6 }, "pass_no_payload" },
		{ "FIN of an unknown flow",
		  { .tcp_flags = FRAME_FIN | FRAME_ACK },
		  "pass_no_payload" },
		{ "RST of an unknown flow", { .tcp_flags = FRAME_RST }, "pass_no_payload" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_unknown(cases[i].name, &cases[i].frame, cases[i].counters);
}

/* The kernel's test run takes 14 bytes at least. */
static void passes_each_cut(void **state)
{
	static const struct frame_spec specs[] = {
		{ .payload = STR_INIT("") },
		{ .is_ipv6 = true },
		{ .vlan_tags = 1 },
		{ .vlan_tags = 2, .is_ipv6 = true },
	};
	struct frame frame;
	char case_name[48];

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		frame_build(&frame, &specs[i]);
		for (size_t len = ETH_HLEN; len < frame.len; len++) {
			snprintf(case_name, sizeof(case_name), "frame %zu cut to %zu", i, len);
			run_bytes(case_name, frame.at, len, "pass_malformed");
		}
	}
}

/* ---- first payloads ------------------------------------------------------------------------- */

static void dispatches_by_host(void **state)
{
	static const struct {
		const char *name;
		struct frame_spec frame;
		const char *counters;
	} cases[] = {
		{ "exact", { .payload = REQUEST("exact.test") }, STEERED_ON_EXACT },
		{ "upper case and port",
		  { .payload = REQUEST("EXACT.Test:80") },
		  STEERED_ON_EXACT },
		{ "final dot", { .payload = REQUEST("exact.test.") }, STEERED_ON_EXACT },
		{ "absolute form beats the field",
		  { .payload =
			    STR_INIT("GET http://exact.test/ HTTP/1.1\r\nHost: no.test\r\n\r\n") },
		  STEERED_ON_EXACT },
		{ "Host as the last field",
		  { .payload = STR_INIT(
			    "PUT /a HTTP/1.1\r\nA: b\r\nC: d\r\nhost:exact.test\r\n\r\n") },
		  STEERED_ON_EXACT },
		{ "IPv6", { .is_ipv6 = true, .payload = REQUEST("exact.test") }, STEERED_ON_EXACT },
		{ "VLAN", { .vlan_tags = 1, .payload = REQUEST("exact.test") }, STEERED_ON_EXACT },
		{ "QinQ, TCP options",
		  { .vlan_tags = 2, .tcp_options_bytes = 12, .payload = REQUEST("exact.test") },
		  STEERED_ON_EXACT },
		{ "listener at one address",
		  { .local_port = 8080, .payload = REQUEST("exact.test") },
		  STEERED_ON_EXACT },
		{ "with FIN",
		  { .tcp_flags = FRAME_FIN | FRAME_ACK, .payload = REQUEST("exact.test") },
		  STEERED_ON_EXACT },
		{ "wildcard", { .payload = REQUEST("a.wild.test") }, STEERED_ON_WILDCARD },
		{ "wildcard, other case",
		  { .payload = REQUEST("A.WILD.test") },
		  STEERED_ON_WILDCARD },
		{ "wildcard stands for one label",
		  { .payload = REQUEST("a.b.wild.test") },
		  "pass_host_unknown" },
		{ "wildcard stands for no less",
		  { .payload = REQUEST("wild.test") },
		  "pass_host_unknown" },
		{ "set that this CPU's worker is in",
		  { .payload = REQUEST("wide.test") },
		  "pass_local host_exact flow_created" },
		{ "unknown", { .payload = REQUEST("no.test") }, "pass_host_unknown" },
		{ "worker gone", { .payload = REQUEST("gone.test") }, "pass_no_worker host_exact" },
		{ "policy pass",
		  { .payload = REQUEST("passed.test") },
		  "pass_host_policy host_exact" },
		{ "policy drop",
		  { .payload = REQUEST("refused.test") },
		  "drop_host_policy host_exact" },
		{ "no Host", { .payload = STR_INIT("GET / HTTP/1.0\r\n\r\n") }, "pass_no_host" },
		{ "Host not whole",
		  { .payload = STR_INIT("GET / HTTP/1.1\r\nHost: exact") },
		  "pass_no_host" },
		{ "not HTTP", { .payload = STR_INIT("\x16\x03\x01 and so on") }, "pass_no_host" },
		{ "HTTP to a TLS listener",
		  { .local_port = 443, .payload = REQUEST("exact.test") },
		  "pass_no_host" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_unknown(cases[i].name, &cases[i].frame, cases[i].counters);
}

static void dispatches_by_server_name(void **state)
{
	static const struct {
		const char *name;
		struct hello_spec hello;
		const char *counters;
	} cases[] = {
		{ "plain", { .name = "exact.test" }, STEERED_ON_EXACT },
		{ "upper case", { .name = "Exact.Test" }, STEERED_ON_EXACT },
		{ "wildcard", { .name = "shop.wild.test" }, STEERED_ON_WILDCARD },
		{ "session id, GREASE",
		  { .name = "exact.test", .session_id_bytes = 32, .has_grease = true },
		  STEERED_ON_EXACT },
		{ "post-quantum, name last",
		  { .name = "exact.test", .before_bytes = 1216 },
		  STEERED_ON_EXACT },
		{ "post-quantum over two segments, name in the first",
		  { .name = "exact.test", .after_bytes = 1300, .cut = 1400 },
		  STEERED_ON_EXACT },
		{ "post-quantum over two segments, name in the second",
		  { .name = "exact.test", .before_bytes = 1400, .cut = 1400 },
		  "pass_no_host" },
		{ "no name", { .after_bytes = 30 }, "pass_no_host" },
		{ "unknown name", { .name = "no.test" }, "pass_host_unknown" },
	};
	struct frame hello;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame_spec spec = { .local_port = 443,
					   .payload = hello_build(&hello, &cases[i].hello) };

		run_unknown(cases[i].name, &spec, cases[i].counters);
	}
}

/* Jumbo frames come in several buffers; the host may be in a later one. */
static void reads_later_buffers(void **state)
{
	static char request[8000];
	int len = snprintf(request, sizeof(request),
			   "GET / HTTP/1.1\r\nCookie: %06000d\r\nHost: exact.test\r\n\r\n", 0);
	struct frame_spec spec = { .payload = { request, (size_t)len } };

	(void)state;
	run_unknown("6 kB before Host", &spec, STEERED_ON_EXACT);
}

static void falls_to_the_catch_all(void **state)
{
	struct host_key key = datapath_host_key_catch_all();
	struct host_value value = { 9, 1, 1, .name = "*" };

	(void)state;
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.hosts), &key, &value, 0), 0);
	run_unknown("catch-all", &(struct frame_spec){ .payload = REQUEST("no.test") },
		    "steer_redirect host_catch_all flow_created");
	run_unknown("literal", &(struct frame_spec){ .payload = REQUEST("[2001:db8::80]") },
		    "steer_redirect host_catch_all flow_created");
	run_unknown("exact beats it", &(struct frame_spec){ .payload = REQUEST("exact.test") },
		    STEERED_ON_EXACT);
	run_unknown("no host at all",
		    &(struct frame_spec){ .payload = STR("GET / HTTP/1.0\r\n\r\n") },
		    "pass_no_host");
	assert_int_equal(bpf_map_delete_elem(fd_of(skeleton->maps.hosts), &key), 0);
}

static void passes_when_hosts_is_empty(void **state)
{
	(void)state;
	remove_host("exact.test");
	run_unknown("empty", &(struct frame_spec){ .payload = REQUEST("exact.test") },
		    "pass_host_unknown");
	set_hosts();
}

/* ---- which worker --------------------------------------------------------------------------- */

static uint16_t worker_chosen(const char *case_name, const char *counters)
{
	const struct frame_spec spec = { .payload = REQUEST("wide.test") };
	struct flow_value flow = { 0 };

	forget_flow(&spec);
	run(case_name, &spec, counters);
	assert_true(read_flow(&spec, &flow));
	assert_int_equal(flow.host_id, 2);
	forget_flow(&spec);
	return flow.worker;
}

static void chooses_near_then_idle(void **state)
{
	(void)state;
	assert_int_equal(worker_chosen("near", "pass_local host_exact flow_created"), 0);
	set_worker(0, WORKER_STATE_ACTIVE, 700);
	set_worker(2, WORKER_STATE_ACTIVE, 600);
	set_worker(1, WORKER_STATE_ACTIVE, 500);
	assert_int_equal(worker_chosen("busy, but not clearly busier",
				       "pass_local host_exact flow_created"),
			 0);
	set_worker(1, WORKER_STATE_ACTIVE, 100);
	assert_int_equal(worker_chosen("clearly busier", STEERED_ON_EXACT), 1);
	set_worker(0, WORKER_STATE_DRAINING, 0);
	assert_int_equal(worker_chosen("near is draining", STEERED_ON_EXACT), 1);
	set_worker(0, WORKER_STATE_ACTIVE, WORKER_LOAD_STALLED_PERMILLE);
	assert_int_equal(worker_chosen("near is stalled", STEERED_ON_EXACT), 1);
	set_worker(1, WORKER_STATE_ACTIVE, WORKER_LOAD_STALLED_PERMILLE);
	assert_int_equal(worker_chosen("two are", "pass_local host_exact flow_created"), 2);
	set_worker(2, WORKER_STATE_GONE, 0);
	run_unknown("nobody is left", &(struct frame_spec){ .payload = REQUEST("wide.test") },
		    "pass_no_worker host_exact");
	set_workers();
}

/* ---- known flows ---------------------------------------------------------------------------- */

/*
 * Makes the real checksum of @frame what the sum of its pseudo-header is; the window
 * takes what that needs. @unmade is the same packet with nothing but that sum.
 */
static void make_checksum_look_unmade(struct frame *frame, struct frame_spec spec,
				      const struct frame *unmade)
{
	size_t check = frame_ip_pos(unmade) +
		       (spec.is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) +
		       offsetof(struct tcphdr, check);

	for (uint32_t window = 0; window <= UINT16_MAX; window++) {
		spec.window = (uint16_t)window;
		frame_build(frame, &spec);
		frame_put_checksums(frame);
		if (memcmp(frame->at + check, unmade->at + check, 2) == 0)
			return;
	}
	fail_msg("no window makes it so");
}

/* By chance one packet in 65,536 has such a checksum; the way it takes is that of all others. */
static void steers_good_checksums_that_look_unmade(void **state)
{
	static char bytes[8000];
	static const size_t payload_bytes[] = { 0, 1, 3, 512, 1448, 2047, 8000 };

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < sizeof(payload_bytes) / sizeof(payload_bytes[0]) * 2; i++) {
		struct frame_spec spec = { .is_ipv6 = i % 2,
					   .payload = { bytes, payload_bytes[i / 2] } };
		struct frame_spec partial = spec;
		struct frame frame, unmade;
		char name[40];

		snprintf(name, sizeof(name), "IPv%d, %zu bytes", i % 2 ? 6 : 4,
			 payload_bytes[i / 2]);
		partial.is_checksum_partial = true;
		frame_build(&unmade, &partial);
		make_checksum_look_unmade(&frame, spec, &unmade);
		set_flow(&spec, 1, FLOW_STATE_STEERED);
		run_bytes(name, frame.at, frame.len, "steer_redirect");
		frame.at[frame.len - 1]++;
		run_bytes(name, frame.at, frame.len, "pass_checksum");
		forget_flow(&spec);
	}
}

static void follows_known_flows(void **state)
{
	static const struct {
		const char *name;
		struct frame_spec frame;
		uint16_t worker;
		enum flow_state before, after;
		const char *counters;
	} cases[] = {
		{ "other CPU", { 0 }, 1, FLOW_STATE_STEERED, FLOW_STATE_STEERED, "steer_redirect" },
		{ "this CPU", { 0 }, 2, FLOW_STATE_STEERED, FLOW_STATE_STEERED, "pass_local" },
		{ "IPv6",
		  { .is_ipv6 = true },
		  1,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_STEERED,
		  "steer_redirect" },
		{ "checksum yet to be made",
		  { .is_checksum_partial = true, .payload = STR_INIT("odd") },
		  1,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_STEERED,
		  "pass_checksum" },
		{ "checksum yet to be made, IPv6",
		  { .is_checksum_partial = true, .is_ipv6 = true, .payload = STR_INIT("even") },
		  1,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_STEERED,
		  "pass_checksum" },
		{ "checksum yet to be made, this CPU",
		  { .is_checksum_partial = true },
		  2,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_STEERED,
		  "pass_local" },
		{ "a later request for another host",
		  { .payload = REQUEST("wide.test") },
		  1,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_STEERED,
		  "steer_redirect" },
		{ "worker gone",
		  { 0 },
		  3,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_STEERED,
		  "pass_no_worker" },
		{ "worker that never was",
		  { 0 },
		  60000,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_STEERED,
		  "pass_no_worker" },
		{ "FIN",
		  { .tcp_flags = FRAME_FIN | FRAME_ACK },
		  1,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_CLOSING,
		  "steer_redirect flow_closed" },
		{ "FIN again",
		  { .tcp_flags = FRAME_FIN | FRAME_ACK },
		  1,
		  FLOW_STATE_CLOSING,
		  FLOW_STATE_CLOSING,
		  "steer_redirect" },
		{ "last ACK", { 0 }, 1, FLOW_STATE_CLOSING, FLOW_STATE_CLOSING, "steer_redirect" },
		{ "RST",
		  { .tcp_flags = FRAME_RST },
		  1,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_CLOSED,
		  "steer_redirect flow_closed" },
		{ "RST after FIN",
		  { .tcp_flags = FRAME_RST },
		  1,
		  FLOW_STATE_CLOSING,
		  FLOW_STATE_CLOSED,
		  "steer_redirect flow_closed" },
		{ "FIN after RST",
		  { .tcp_flags = FRAME_FIN | FRAME_ACK },
		  1,
		  FLOW_STATE_CLOSED,
		  FLOW_STATE_CLOSED,
		  "steer_redirect" },
		{ "SYN on a living flow",
		  { .tcp_flags = FRAME_SYN },
		  1,
		  FLOW_STATE_STEERED,
		  FLOW_STATE_STEERED,
		  "steer_redirect" },
		{ "SYN after FIN",
		  { .tcp_flags = FRAME_SYN },
		  1,
		  FLOW_STATE_CLOSING,
		  FLOW_STATE_NONE,
		  "pass_flow_ended" },
		{ "SYN after RST",
		  { .tcp_flags = FRAME_SYN },
		  1,
		  FLOW_STATE_CLOSED,
		  FLOW_STATE_NONE,
		  "pass_flow_ended" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flow_value flow = { 0 };
		bool is_there;

		set_flow(&cases[i].frame, cases[i].worker, cases[i].before);
		run(cases[i].name, &cases[i].frame, cases[i].counters);
		is_there = read_flow(&cases[i].frame, &flow);
		if (is_there != (cases[i].after != FLOW_STATE_NONE) || flow.state != cases[i].after)
			fail_msg("%s: flow is %s", cases[i].name, flow_state_name(flow.state));
		forget_flow(&cases[i].frame);
	}
}

/* What a first payload begins, later packets follow, until the end. */
static void remembers_what_it_dispatched(void **state)
{
	const struct frame_spec first = { .payload = REQUEST("exact.test") };
	const struct frame_spec later = { .payload = STR("more") };
	const struct frame_spec fin = { .tcp_flags = FRAME_FIN | FRAME_ACK };
	const struct frame_spec syn = { .tcp_flags = FRAME_SYN };
	struct flow_value flow;

	(void)state;
	forget_flow(&first);
	run("first", &first, STEERED_ON_EXACT);
	assert_true(read_flow(&first, &flow));
	assert_int_equal(flow.worker, 1);
	assert_int_equal(flow.host_id, 1);
	assert_int_equal(flow.state, FLOW_STATE_STEERED);
	assert_true(flow.last_seen_ns > 0);
	run("later", &later, "steer_redirect");
	run("FIN", &fin, "steer_redirect flow_closed");
	run("SYN of the next connection", &syn, "pass_flow_ended");
	run("its first payload", &first, STEERED_ON_EXACT);
	forget_flow(&first);
}

/* A CPU that steer_cpus does not have: the packet is not lost. */
static void passes_when_steering_fails(void **state)
{
	const struct frame_spec spec = { 0 };
	uint32_t worker = 1;
	struct worker_value value = { .cpu = 4000, .state = WORKER_STATE_ACTIVE };

	(void)state;
	bpf_map_update_elem(fd_of(skeleton->maps.workers), &worker, &value, 0);
	set_flow(&spec, 1, FLOW_STATE_STEERED);
	run("no such CPU", &spec, "steer_failed");
	forget_flow(&spec);
	set_workers();
}

/* ---- what is written beside the verdict ----------------------------------------------------- */

static int keep_event(void *arg, void *data, size_t len)
{
	struct event *event = arg;

	assert_int_equal(len, sizeof(*event));
	memcpy(event, data, sizeof(*event));
	return 0;
}

static void reports_drops(void **state)
{
	struct event event = { 0 };
	struct ring_buffer *ring =
		ring_buffer__new(fd_of(skeleton->maps.events), keep_event, &event, NULL);

	(void)state;
	assert_non_null(ring);
	ring_buffer__consume(ring);
	run_unknown("drop", &(struct frame_spec){ .payload = REQUEST("refused.test") },
		    "drop_host_policy host_exact");
	assert_int_equal(ring_buffer__consume(ring), 1);
	assert_int_equal(event.reason, DROP_REASON_HOST_POLICY);
	assert_int_equal(event.verdict, VERDICT_DROP);
	assert_int_equal(event.host_id, 5);
	assert_int_equal(event.client_port, FRAME_CLIENT_PORT);
	assert_int_equal(event.client_address[15], 1);
	assert_string_equal(event.name, "refused.test");
	ring_buffer__free(ring);
}

static struct host_counters read_host_counters(uint32_t host_id)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus();
	struct host_counters *each = mem_new(cpus, sizeof(*each));
	struct host_counters here = { 0 };

	if (bpf_map_lookup_elem(fd_of(skeleton->maps.host_stats), &host_id, each) == 0)
		here = each[CPU_HERE];
	mem_free(each);
	return here;
}

static void counts_by_host(void **state)
{
	uint64_t dispatched = read_host_counters(1).dispatched;
	uint64_t refused = read_host_counters(5).refused;

	(void)state;
	run_unknown("dispatched", &(struct frame_spec){ .payload = REQUEST("exact.test") },
		    STEERED_ON_EXACT);
	run_unknown("refused", &(struct frame_spec){ .payload = REQUEST("refused.test") },
		    "drop_host_policy host_exact");
	assert_int_equal(read_host_counters(1).dispatched, dispatched + 1);
	assert_int_equal(read_host_counters(5).refused, refused + 1);
}

/* ---- the other settings load, too ----------------------------------------------------------- */

/* Code that a setting turns off is not verified, so each of them is loaded once. */
static void loads_with_each_setting(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		struct xdp_steer *object = xdp_steer__open();

		assert_non_null(object);
		object->rodata->can_dispatch = i & 1;
		object->rodata->listen_ports[0] = 80;
		object->rodata->listen_port_count = i & 2 ? 1 : 0;
		object->rodata->can_admit = i & 4;
		if (i & 1)
			bpf_program__set_flags(object->progs.xdp_steer, BPF_F_XDP_HAS_FRAGS);
		assert_int_equal(xdp_steer__load(object), 0);
		xdp_steer__destroy(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_what_it_does_not_know),
		cmocka_unit_test(passes_each_cut),
		cmocka_unit_test(dispatches_by_host),
		cmocka_unit_test(dispatches_by_server_name),
		cmocka_unit_test(reads_later_buffers),
		cmocka_unit_test(falls_to_the_catch_all),
		cmocka_unit_test(passes_when_hosts_is_empty),
		cmocka_unit_test(chooses_near_then_idle),
		cmocka_unit_test(follows_known_flows),
		cmocka_unit_test(steers_good_checksums_that_look_unmade),
		cmocka_unit_test(remembers_what_it_dispatched),
		cmocka_unit_test(passes_when_steering_fails),
		cmocka_unit_test(reports_drops),
		cmocka_unit_test(counts_by_host),
		cmocka_unit_test(loads_with_each_setting),
	};

	if (libbpf_num_possible_cpus() < 2) {
		print_message("[  SKIPPED ] xdp_steer: steering takes two CPUs\n");
		return 0;
	}
	return cmocka_run_group_tests_name("xdp_steer", tests, load, unload);
}
