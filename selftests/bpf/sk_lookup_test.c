// SPDX-License-Identifier: Apache-2.0
/*
 * sk_lookup: which socket a look-up ends with, look-up by look-up
 * (BPF_PROG_TEST_RUN), and with real connections through the loopback interface.
 * The former does not know groups of sockets (SO_REUSEPORT), so single ones stand
 * in for the workers' there.
 *
 * Listeners that lie inside each other, both families, ranges of ports; whoever
 * has an address to himself keeps it, and so does another program's choice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "base/addr_range.h"
#include "datapath/datapath.h"
#include "selftests/bpf/lab.h"
#include "selftests/bpf/listen.h"

enum { WORKERS = 2, NOBODY = -1 };

enum { WIDE, NARROW, PORTS, EVERYWHERE, WIDE6, EVERY6, SINGLE, ANY, LISTENERS };

static const char *const texts[LISTENERS] = {
	[WIDE] = "10.88.0.0/16:80",      [NARROW] = "10.88.7.0/24:80",
	[PORTS] = "10.89.0.1:8000-8099", [EVERYWHERE] = "0.0.0.0:9000-9010",
	[WIDE6] = "[fd00:88::]/32:80",   [EVERY6] = "[::]:65535-65535",
	[SINGLE] = "10.88.7.77:80",      [ANY] = "0.0.0.0:80",
};
static const uint16_t cpus[WORKERS] = { 0, 0 };
static struct datapath *datapath;
static struct datapath_listener listeners[LISTENERS];
static int sockets[LISTENERS][WORKERS];
static int stand_ins[LISTENERS][WORKERS];
static uint64_t cookies[LISTENERS][WORKERS]; /* of these */
static int program;

/* ---- the world ------------------------------------------------------------------------------ */

static struct datapath_listener make_listener(uint16_t id)
{
	struct addr_range range;

	if (addr_range_parse(str_from_c(texts[id]), &range, NULL))
		lab_die(texts[id]);
	return (struct datapath_listener){ .addr = range.first,
					   .protocol = LISTENER_PROTOCOL_HTTP,
					   .id = id,
					   .is_range = !addr_range_is_plain(&range),
					   .bits = range.bits,
					   .port_last = range.port_last };
}

static struct datapath_options options(void)
{
	return (struct datapath_options){ .bpf_dir = LAB_BPF_DIR,
					  .xdp = XDP_MODE_OFF,
					  .listeners = listeners,
					  .listener_count = LISTENERS,
					  .worker_cpus = cpus,
					  .worker_count = WORKERS };
}

static int open_pin(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", datapath_pin_dir(datapath), name);
	return bpf_obj_get(path);
}

static void open_stand_ins(uint16_t listener)
{
	socklen_t len = sizeof(uint64_t);
	int family = addr_is_v4(&listeners[listener].addr) ? AF_INET : AF_INET6;
	int map = open_pin("range_socks");

	for (uint32_t w = 0; w < WORKERS; w++) {
		int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		uint32_t slot = worker_sock_slot(w, listener);
		uint64_t socket = (uint64_t)fd;

		if (listen(fd, 1) || bpf_map_update_elem(map, &slot, &socket, BPF_ANY) ||
		    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookies[listener][w], &len))
			lab_die("stand-in");
		stand_ins[listener][w] = fd;
	}
	close(map);
}

static int open_sockets(uint16_t listener)
{
	struct err err = { 0 };

	for (uint16_t w = 0; w < WORKERS; w++) {
		sockets[listener][w] = listen_open(&listeners[listener].addr);
		if (datapath_set_socket(datapath, w, listener, sockets[listener][w], &err)) {
			print_error("%s\n", err.text);
			return -1;
		}
	}
	return 0;
}

static int open_all(void **state)
{
	struct datapath_options wanted = options();
	struct err err = { 0 };

	(void)state;
	lab_enter();
	if (lab_command("ip", "route", "add", "local", "10.88.0.0/15", "dev", "lo") ||
	    lab_command("ip", "route", "add", "local", "fd00:88::/32", "dev", "lo"))
		return -1;
	for (uint16_t l = 0; l < LISTENERS; l++)
		listeners[l] = make_listener(l);
	listeners[EVERY6].is_range = true; /* one port only: for its prefix of no bits */
	if (datapath_open(&wanted, &datapath, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	program = open_pin("prog_sk_lookup");
	for (uint16_t l = 0; l < LISTENERS; l++)
		if (listeners[l].is_range)
			open_stand_ins(l);
	return program < 0;
}

static int close_all(void **state)
{
	(void)state;
	close(program);
	datapath_detach(datapath);
	return 0;
}

static struct stats stats_now(void)
{
	struct stats stats;

	assert_int_equal(datapath_read_stats(datapath, &stats, NULL), 0);
	return stats;
}

/* ---- look-ups ------------------------------------------------------------------------------- */

struct question {
	const char *name;
	const char *local;
	uint32_t protocol; /* 0: TCP */
	uint32_t family;   /* 0: that of local */
	int listener;      /* what it ends with */
};

/* The listener whose socket the program chose. */
static int ask(const struct question *question)
{
	struct bpf_sk_lookup in = { 0 }, out = { 0 };
	struct addr local = listen_addr(question->local);
	bool is_v4 = addr_is_v4(&local);
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out));

	in.family = question->family ? question->family : is_v4 ? AF_INET : AF_INET6;
	in.protocol = question->protocol ? question->protocol : IPPROTO_TCP;
	in.local_port = local.port;
	in.remote_port = htons(40000);
	if (is_v4)
		memcpy(&in.local_ip4, local.ip + 12, 4);
	else
		memcpy(&in.local_ip6, local.ip, 16);
	if (bpf_prog_test_run_opts(program, &run))
		fail_msg("%s: %s", question->name, strerror(errno));
	assert_int_equal(run.retval, SK_PASS);
	for (int l = 0; out.cookie && l < LISTENERS; l++)
		for (int w = 0; w < WORKERS; w++)
			if (out.cookie == cookies[l][w])
				return l;
	return NOBODY;
}

static void expect(const struct question *questions, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int got = ask(&questions[i]);

		if (got != questions[i].listener)
			fail_msg("%s: %s goes to %s, not to %s", questions[i].name,
				 questions[i].local, got < 0 ? "nobody" : texts[got],
				 questions[i].listener < 0 ? "nobody"
							   : texts[questions[i].listener]);
	}
}

static void finds_the_most_special_listener(void **state)
{
	static const struct question questions[] = {
		{ "first of a prefix, which has sockets of its own", "10.88.0.0:80", 0, 0, NOBODY },
		{ "second", "10.88.0.1:80", 0, 0, WIDE },
		{ "last", "10.88.255.255:80", 0, 0, WIDE },
		{ "before it", "10.87.255.255:80", 0, 0, NOBODY },
		{ "behind it", "10.89.0.0:80", 0, 0, NOBODY },
		{ "inside of a longer one", "10.88.7.1:80", 0, 0, NARROW },
		{ "last of the longer one", "10.88.7.255:80", 0, 0, NARROW },
		{ "behind the longer one", "10.88.8.0:80", 0, 0, WIDE },
		{ "an address with a listener of its own", "10.88.7.77:80", 0, 0, NOBODY },
		{ "another port", "10.88.0.1:81", 0, 0, NOBODY },
		{ "first port, which has sockets of its own", "10.89.0.1:8000", 0, 0, NOBODY },
		{ "second port", "10.89.0.1:8001", 0, 0, PORTS },
		{ "last port", "10.89.0.1:8099", 0, 0, PORTS },
		{ "port before", "10.89.0.1:7999", 0, 0, NOBODY },
		{ "port behind", "10.89.0.1:8100", 0, 0, NOBODY },
		{ "another address", "10.89.0.2:8001", 0, 0, NOBODY },
		{ "every address", "203.0.113.9:9005", 0, 0, EVERYWHERE },
		{ "every address, last port", "127.0.0.1:9010", 0, 0, EVERYWHERE },
		{ "every address, behind", "127.0.0.1:9011", 0, 0, NOBODY },
		{ "every address, the other family", "[::1]:9005", 0, 0, NOBODY },
		{ "IPv6", "[fd00:88::7]:80", 0, 0, WIDE6 },
		{ "IPv6, last", "[fd00:88:ffff:ffff:ffff:ffff:ffff:ffff]:80", 0, 0, WIDE6 },
		{ "IPv6, behind", "[fd00:89::]:80", 0, 0, NOBODY },
		{ "IPv6, every address", "[2001:db8::1]:65535", 0, 0, EVERY6 },
		{ "IPv4, of a listener on every IPv6 address", "10.1.2.3:65535", 0, 0, NOBODY },
		{ "UDP", "10.88.0.1:80", IPPROTO_UDP, 0, NOBODY },
		{ "port 0", "10.88.0.1:0", 0, 0, NOBODY },
	};

	(void)state;
	expect(questions, sizeof(questions) / sizeof(questions[0]));
}

/* ---- sockets that come and go --------------------------------------------------------------- */

static void goes_on_without_a_worker(void **state)
{
	static const struct question question = { "one worker less", "10.88.0.1:80", 0, 0, WIDE };
	static const struct question nobody = { "no worker", "10.88.0.1:80", 0, 0, NOBODY };
	uint64_t before;

	(void)state;
	close(stand_ins[WIDE][0]);
	expect(&question, 1);
	close(stand_ins[WIDE][1]);
	before = stats_now().lookup_no_socket;
	expect(&nobody, 1);
	assert_int_equal(stats_now().lookup_no_socket - before, 1);
	open_stand_ins(WIDE);
	expect(&question, 1);
}

static void passes_without_entries(void **state)
{
	static const struct question nobody = { "empty map", "10.88.0.1:80", 0, 0, NOBODY };
	static const struct question again = { "filled again", "10.88.0.1:80", 0, 0, WIDE };
	int fd = open_pin("ranges");
	struct range_key key;

	(void)state;
	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	expect(&nobody, 1);
	assert_int_equal(datapath_update_addresses(datapath, NULL), 0);
	expect(&again, 1);
	close(fd);
}

static void finds_its_way_in_a_full_map(void **state)
{
	static const struct question questions[] = {
		{ "full map", "10.88.0.1:80", 0, 0, WIDE },
		{ "full map, longer prefix", "10.88.7.1:80", 0, 0, NARROW },
		{ "full map, nobody", "10.90.0.1:80", 0, 0, NOBODY },
	};
	struct range_key key = { .bits = 32 + 128, .ports = { 80, 80 }, .address = { 0xfd } };
	struct range_value value = { .prefix_bits = 128 };
	int fd = open_pin("ranges");
	uint32_t count = 0;

	(void)state;
	while (count < 2 * RANGES_MAX) {
		memcpy(key.address + 12, &count, sizeof(count));
		if (bpf_map_update_elem(fd, &key, &value, BPF_NOEXIST))
			break;
		count++;
	}
	assert_int_equal(errno, ENOSPC);
	expect(questions, 3);
	assert_int_equal(datapath_update_addresses(datapath, NULL), 0);
	expect(questions, 3);
	assert_true(bpf_map_lookup_elem(fd, &key, &value) != 0);
	close(fd);
}

/* ---- connections ---------------------------------------------------------------------------- */

static void set_active(uint16_t worker, bool is_active)
{
	struct datapath_worker value = { .state = is_active ? WORKER_STATE_ACTIVE
							    : WORKER_STATE_GONE };

	assert_int_equal(datapath_set_worker(datapath, worker, &value, NULL), 0);
}

/* The worker that a connection to @address is given to. */
static int worker_of_connection(int listener, const char *address)
{
	struct addr addr = listen_addr(address);
	int client = listen_connect(&addr), connection, worker;

	if (client < 0)
		fail_msg("no connection to %s", address);
	worker = listen_accept(sockets[listener], WORKERS, &connection);
	close(connection);
	close(client);
	return worker;
}

/* sk_lookup finds the listener, and sk_select the worker as ever. */
static void gives_connections_to_the_worker(void **state)
{
	static const struct {
		int listener;
		const char *address;
	} cases[] = {
		{ WIDE, "10.88.0.0:80" },         { WIDE, "10.88.200.1:80" },
		{ NARROW, "10.88.7.9:80" },       { SINGLE, "10.88.7.77:80" },
		{ PORTS, "10.89.0.1:8000" },      { PORTS, "10.89.0.1:8050" },
		{ EVERYWHERE, "127.0.0.1:9007" }, { WIDE6, "[fd00:88::1:2]:80" },
		{ ANY, "127.0.0.1:80" },
	};

	(void)state;
	for (uint16_t l = 0; l < LISTENERS; l++)
		assert_int_equal(open_sockets(l), 0);
	for (int chosen = 0; chosen < WORKERS; chosen++) {
		set_active((uint16_t)chosen, true);
		set_active((uint16_t)!chosen, false);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			int got = worker_of_connection(cases[i].listener, cases[i].address);

			if (got != chosen)
				fail_msg("%s: worker %d, not %d", cases[i].address, got, chosen);
		}
	}
	assert_int_equal(stats_now().select_kernel, 0);
}

/* ---- beside others -------------------------------------------------------------------------- */

/* A program of somebody else that says nothing. */
static int attach_silent(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_SK_LOOKUP);
	int silent = bpf_prog_load(BPF_PROG_TYPE_SK_LOOKUP, "silent", "GPL", insns, 2, &opts);
	int netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int link = bpf_link_create(silent, netns, BPF_SK_LOOKUP, NULL);

	close(silent);
	close(netns);
	return link;
}

static void stands_beside_other_programs(void **state)
{
	int link = attach_silent();

	(void)state;
	assert_true(link >= 0);
	set_active(0, true);
	set_active(1, true);
	assert_true(worker_of_connection(WIDE, "10.88.1.1:80") >= 0);
	close(link);
}

/* The next agent puts its program into the same link, and takes it away where nobody needs it. */
static void is_taken_over(void **state)
{
	struct datapath_options wanted = options();
	struct err err = { 0 };
	struct addr addr = listen_addr("10.88.1.1:80");
	int silent;

	(void)state;
	datapath_close(datapath); /* no agent: the link is pinned */
	silent = listen_connect(&addr);
	assert_true(silent >= 0);
	close(silent);
	if (datapath_open(&wanted, &datapath, &err))
		fail_msg("%s", err.text);
	assert_true(datapath_is_taken_over(datapath));
	for (uint16_t l = 0; l < LISTENERS; l++)
		for (uint16_t w = 0; w < WORKERS; w++)
			assert_int_equal(datapath_set_socket(datapath, w, l, sockets[l][w], &err),
					 0);
	for (int i = 0; i < 2; i++) /* the connection before is still waiting */
		assert_true(worker_of_connection(WIDE, "10.88.1.1:80") >= 0);

	datapath_close(datapath);
	wanted.listeners = &listeners[SINGLE];
	wanted.listener_count = 1;
	if (datapath_open(&wanted, &datapath, &err))
		fail_msg("%s", err.text);
	assert_true(open_pin("link_sk_lookup") < 0);
	assert_true(open_pin("prog_sk_lookup") < 0);
	datapath_close(datapath);
	wanted = options();
	if (datapath_open(&wanted, &datapath, &err))
		fail_msg("%s", err.text);
}

static void note_removed(void *arg, const char *text)
{
	if (strstr(text, "link_sk_lookup"))
		snprintf(arg, 256, "%s", text);
}

/* In a Pod nobody can ask for a link by its id: what is not known is not claimed. */
static void is_taken_away_in_a_pod(void **state)
{
	char text[256] = "";
	struct datapath_removal removal = { .on_removed = note_removed, .arg = text };
	int code;

	(void)state;
	lab_use_sys_admin(false);
	code = datapath_take_away(LAB_BPF_DIR, &removal, NULL);
	lab_use_sys_admin(true);
	assert_int_equal(code, 0);
	if (!strstr(text, ", which stays where a sluice still serves by it") ||
	    !strstr(text, "needs CAP_SYS_ADMIN"))
		fail_msg("said: %s", text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_most_special_listener),
		cmocka_unit_test(goes_on_without_a_worker),
		cmocka_unit_test(passes_without_entries),
		cmocka_unit_test(finds_its_way_in_a_full_map),
		cmocka_unit_test(gives_connections_to_the_worker),
		cmocka_unit_test(stands_beside_other_programs),
		cmocka_unit_test(is_taken_over),
		cmocka_unit_test(is_taken_away_in_a_pod),
	};

	return cmocka_run_group_tests_name("sk_lookup", tests, open_all, close_all);
}
