// SPDX-License-Identifier: Apache-2.0
/*
 * datapath: what one packet costs in xdp_steer, in the kernel, without a network.
 *
 * BPF_PROG_TEST_RUN times the program alone. Each kind of packet is set against
 * an empty program in the same round (steer_loop.bpf.c says which), and the
 * medians of the rounds are compared: other work on the machine then touches both
 * alike.
 *
 * Then what a flood of SYNs costs the whole machine (datapath_flood.h).
 *
 *   datapath_bench [rounds [name]]    only the kinds that have @name in their names; or "flood"
 */
#include <stdlib.h>
#include <sys/resource.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bpf/cookie.h"
#include "datapath/internal.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/lab.h"
#include "selftests/bpf/listen.h"
#include "steer_loop.skel.h"

enum {
	ROUNDS = 41,
	ROUNDS_MAX = 10000,
	FLOOD_ROUNDS = 9,
	HOSTS = 10000,
	REPEATS = 1000,
	DENIED = 100000, /* prefixes */
	OTHER_FLOWS = 1000,
	CLIENT_ISN = 1000
};

#include "selftests/bench/datapath_flood.h"

/* What is to be done before each run of a kind of packet. */
enum kind { KIND_KNOWN, KIND_FIRST, KIND_ANSWERED };

static struct steer_loop *skeleton;
static const struct cookie_key cookie_key = { 3, 4, 0 };

#define SYN_OPTIONS                                                                                \
	"\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x01\x02\x03\x00\x00\x00\x00\x01\x03\x03\x07"
#define DATA_OPTIONS "\x01\x01\x08\x0a\x00\x01\x02\x03\x00\x00\x00\x47"

#define BROWSER                                                                                    \
	"GET /a/page?with=query HTTP/1.1\r\nConnection: keep-alive\r\nPragma: no-cache\r\n"        \
	"sec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n"  \
	"sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n"                        \
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "      \
	"Chrome/124.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,"               \
	"application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: none\r\n"        \
	"Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"                                 \
	"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n"          \
	"Cookie: session=0123456789abcdef0123456789abcdef\r\nHost: h05000.example.com\r\n\r\n"

static const struct {
	const char *name;
	struct frame_spec frame;
	const char *hello_name; /* NULL: the payload is in frame */
	enum kind kind;
	bool has_cookie; /* numbers and timestamps of a connection that XDP answered */
	bool has_denylist;
} cases[] = {
	{ "not ours", { .local_port = 22 }, NULL, KIND_KNOWN, false, false },
	{ "known flow", { .payload = STR_INIT("more") }, NULL, KIND_KNOWN, false, false },
	{ "known flow, IPv6",
	  { .is_ipv6 = true, .payload = STR_INIT("more") },
	  NULL,
	  KIND_KNOWN,
	  false,
	  false },
	{ "unknown flow, no payload", { 0 }, NULL, KIND_FIRST, false, false },
	{ "first GET, small",
	  { .payload = STR_INIT("GET / HTTP/1.1\r\nHost: h05000.example.com\r\n"
				"User-Agent: curl/8.0\r\nAccept: */*\r\n\r\n") },
	  NULL,
	  KIND_FIRST,
	  false,
	  false },
	{ "first GET, browser, Host last",
	  { .payload = STR_INIT(BROWSER) },
	  NULL,
	  KIND_FIRST,
	  false,
	  false },
	{ "first ClientHello",
	  { .local_port = 443 },
	  "h05000.example.com",
	  KIND_FIRST,
	  false,
	  false },
	{ "SYN answered",
	  { .tcp_flags = FRAME_SYN, .tcp_options = STR_INIT(SYN_OPTIONS) },
	  NULL,
	  KIND_ANSWERED,
	  false,
	  false },
	{ "SYN answered, IPv6",
	  { .is_ipv6 = true, .tcp_flags = FRAME_SYN, .tcp_options = STR_INIT(SYN_OPTIONS) },
	  NULL,
	  KIND_ANSWERED,
	  false,
	  false },
	{ "bare ACK absorbed", { 0 }, NULL, KIND_FIRST, true, false },
	{ "first GET, small, to be admitted",
	  { .payload = STR_INIT("GET / HTTP/1.1\r\nHost: h05000.example.com\r\n"
				"User-Agent: curl/8.0\r\nAccept: */*\r\n\r\n") },
	  NULL,
	  KIND_FIRST,
	  true,
	  false },
	{ "first ClientHello, to be admitted",
	  { .local_port = 443 },
	  "h05000.example.com",
	  KIND_FIRST,
	  true,
	  false },
	{ "denied source",
	  { .tcp_flags = FRAME_SYN, .tcp_options = STR_INIT(SYN_OPTIONS), .client = "203.0.113.7" },
	  NULL,
	  KIND_KNOWN,
	  false,
	  true },
	{ "denied source, IPv6",
	  { .is_ipv6 = true,
	    .tcp_flags = FRAME_SYN,
	    .tcp_options = STR_INIT(SYN_OPTIONS),
	    .client = "2001:db8:66::7" },
	  NULL,
	  KIND_KNOWN,
	  false,
	  true },
	{ "SYN answered, source not denied",
	  { .tcp_flags = FRAME_SYN, .tcp_options = STR_INIT(SYN_OPTIONS) },
	  NULL,
	  KIND_ANSWERED,
	  false,
	  true },
	{ "SYN answered, not denied, IPv6",
	  { .is_ipv6 = true, .tcp_flags = FRAME_SYN, .tcp_options = STR_INIT(SYN_OPTIONS) },
	  NULL,
	  KIND_ANSWERED,
	  false,
	  true },
	{ "unknown host",
	  { .payload = STR_INIT("GET / HTTP/1.1\r\nHost: nobody.example.org\r\n\r\n") },
	  NULL,
	  KIND_FIRST,
	  false,
	  false },
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

/* ---- the world ------------------------------------------------------------------------------ */

static void must(int code, const char *what)
{
	if (code == 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_listener(const char *local, uint16_t port, enum listener_protocol protocol)
{
	struct addr addr = { 0 };
	struct listener_key key = { .port = port };
	struct listener_value value = { .id = port % LISTENERS_MAX,
					.protocol = protocol,
					.flags = LISTENER_FLAG_EARLY_DISPATCH };

	addr_parse_ip(str_from_c(local), &addr);
	memcpy(key.address, addr.ip, 16);
	must(bpf_map_update_elem(bpf_map__fd(skeleton->maps.listeners), &key, &value, 0),
	     "listener");
}

static void write_hosts(void)
{
	struct host_hash_key hash_key = { 1, 2 };

	for (uint32_t i = 0; i < HOSTS; i++) {
		struct host_value value = { .host_id = i, .worker_spread = 1 };
		struct host_key key;

		snprintf(value.name, sizeof(value.name), "h%05u.example.com", i);
		key = datapath_host_key(hash_key, str_from_c(value.name));
		must(bpf_map_update_elem(bpf_map__fd(skeleton->maps.hosts), &key, &value, 0),
		     "host");
	}
}

static void write_prefix(struct deny_row *rows, const uint8_t address[16], uint32_t bits)
{
	struct prefix_value value = { 1 };
	struct denylist_key key = { .bits = bits };

	memcpy(key.address, address, 16);
	for (uint32_t i = bits; i < 128; i++)
		key.address[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	must(bpf_map_update_elem(bpf_map__fd(skeleton->maps.denylist), &key, &value, 0),
	     "denylist");
	deny_rows_add(rows, key.address, bits);
}

/*
 * 100,000 prefixes, four of five of them IPv4: all lengths from 16 on, every
 * other one a single address. The networks of the denied sources are two more.
 */
static void write_denylist(void)
{
	uint8_t ipv4[16] = { [10] = 0xff, [11] = 0xff }, ipv6[16] = { 0x20, 0x01 };
	struct deny_row *rows = deny_rows_new();

	for (uint32_t i = 0; i < DENIED; i++) {
		uint32_t spread = htonl(i * 2654435761u);
		bool is_ipv6 = i % 5 == 0;

		memcpy((is_ipv6 ? ipv6 + 3 : ipv4 + 12), &spread, 4);
		if (is_ipv6)
			write_prefix(rows, ipv6, i % 2 ? 128 : 32 + i / 10 % 33);
		else
			write_prefix(rows, ipv4, i % 2 ? 128 : 96 + 16 + i / 10 % 17);
	}
	write_prefix(rows, (const uint8_t *)"\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\x00\x71", 120);
	write_prefix(rows, (const uint8_t *)"\x20\x01\x0d\xb8\x00\x66\0\0\0\0\0\0\0\0\0", 48);
	for (uint32_t i = 0; i < DENY_ROWS_MAX; i++)
		must(bpf_map_update_elem(bpf_map__fd(skeleton->maps.deny_rows), &i, &rows[i], 0),
		     "deny_rows");
	mem_free(rows);
}

static void write_settings(bool has_denylist)
{
	struct settings_value value = { .is_answering = 1,
					.answering = { 1 }, /* lo */
					.has_denylist = has_denylist,
					.window_scale = 7,
					.has_sack = 1,
					.mss_ipv4 = 1460,
					.mss_ipv6 = 1440 };
	uint32_t row = 0;

	must(bpf_map_update_elem(bpf_map__fd(skeleton->maps.settings), &row, &value, 0),
	     "settings");
	must(bpf_map_update_elem(bpf_map__fd(skeleton->maps.cookie_keys), &row, &cookie_key, 0),
	     "cookie key");
}

static void write_workers(void)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct worker_value value = { .cpu = (uint16_t)i,
					      .cpu_worker = (uint16_t)i,
					      .state = WORKER_STATE_ACTIVE };

		must(bpf_map_update_elem(bpf_map__fd(skeleton->maps.workers), &i, &value, 0),
		     "worker");
	}
}

static struct flow_key key_of(const struct frame_spec *spec)
{
	struct flow_key key = { .client_port = FRAME_CLIENT_PORT,
				.local_port =
					spec->local_port ? spec->local_port : FRAME_LOCAL_PORT };
	struct addr client, local;

	addr_parse_ip(spec->is_ipv6 ? STR("2001:db8::1") : STR("192.0.2.1"), &client);
	addr_parse_ip(spec->is_ipv6 ? STR("2001:db8::80") : STR("198.51.100.1"), &local);
	memcpy(key.client_address, client.ip, 16);
	memcpy(key.local_address, local.ip, 16);
	return key;
}

static void load_steer(size_t i)
{
	struct flow_key key = key_of(&cases[i].frame);
	struct bpf_program *program;

	skeleton = steer_loop__open();
	if (!skeleton)
		must(-1, "open");
	skeleton->rodata->listen_ports[0] = 80;
	skeleton->rodata->listen_ports[1] = 443;
	skeleton->rodata->listen_port_count = 2;
	skeleton->rodata->worker_count = 2;
	skeleton->rodata->can_admit = true;
	skeleton->rodata->hash_key.k0 = 1;
	skeleton->rodata->hash_key.k1 = 2;
	memcpy((void *)skeleton->rodata->loop_flow, &key, sizeof(key));
	bpf_map__set_max_entries(skeleton->maps.steer_cpus, (uint32_t)libbpf_num_possible_cpus());
	bpf_object__for_each_program(program, skeleton->obj)
		bpf_program__set_flags(program, BPF_F_XDP_HAS_FRAGS);
	must(steer_loop__load(skeleton), "load");
	write_listener("198.51.100.1", 80, LISTENER_PROTOCOL_HTTP);
	write_listener("2001:db8::80", 80, LISTENER_PROTOCOL_HTTP);
	write_listener("198.51.100.1", 443, LISTENER_PROTOCOL_TLS);
	write_hosts();
	write_workers();
	write_settings(cases[i].has_denylist);
	if (cases[i].has_denylist)
		write_denylist();
}

/* A SYN is answered only where somebody listens. */
static void open_listeners(void)
{
	static const char *const anywhere[] = { "0.0.0.0:80", "[::]:80", "0.0.0.0:443" };

	for (size_t i = 0; i < sizeof(anywhere) / sizeof(anywhere[0]); i++) {
		struct addr addr = listen_addr(anywhere[i]);

		listen_open(&addr);
	}
}

/* ---- one packet ----------------------------------------------------------------------------- */

static uint32_t run(int fd, const struct frame *frame)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->at,
		    .data_size_in = (uint32_t)frame->len, .repeat = REPEATS);

	must(bpf_prog_test_run_opts(fd, &opts), "test run");
	return opts.duration;
}

/*
 * Others' flows. Where the only one comes and goes, it always gets the first element of the map,
 * and copying its key to that very place (it begins a page) takes 85 ns instead of 5.
 */
static void make_others(void)
{
	struct flow_value value = { .state = FLOW_STATE_STEERED };

	for (uint16_t port = 1; port <= OTHER_FLOWS; port++) {
		struct flow_key key = { .client_port = port, .local_port = 80 };

		must(bpf_map_update_elem(bpf_map__fd(skeleton->maps.flows), &key, &value, BPF_ANY),
		     "flow");
	}
}

static void make_known(size_t i)
{
	struct flow_key key = key_of(&cases[i].frame);
	struct flow_value value = { .worker = 0, .state = FLOW_STATE_STEERED };

	if (cases[i].kind == KIND_KNOWN)
		bpf_map_update_elem(bpf_map__fd(skeleton->maps.flows), &key, &value, BPF_ANY);
}

static void build(size_t i, struct frame *frame)
{
	static struct frame hello;
	struct frame_spec spec = cases[i].frame;

	if (cases[i].hello_name)
		spec.payload =
			hello_build(&hello, &(struct hello_spec){ .name = cases[i].hello_name,
								  .has_grease = true,
								  .session_id_bytes = 32,
								  .before_bytes = 120,
								  .after_bytes = 235 });
	if (!spec.tcp_options.len)
		spec.tcp_options = STR(DATA_OPTIONS);
	spec.seq = CLIENT_ISN;
	if (cases[i].has_cookie) {
		struct flow_key flow = key_of(&spec);

		spec.seq = CLIENT_ISN + 1;
		spec.ack_seq = cookie_make(&cookie_key, &flow, CLIENT_ISN, clock_monotonic_ns(),
					   cookie_slot_and_mss(0, 6)) +
			       1;
	}
	frame_build(frame, &spec);
}

/* ---- medians -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t median(uint32_t *samples, int count)
{
	qsort(samples, (size_t)count, sizeof(*samples), compare);
	return samples[count / 2];
}

static void programs_of(enum kind kind, int *ours_fd, int *base_fd)
{
	switch (kind) {
	case KIND_KNOWN:
		*ours_fd = bpf_program__fd(skeleton->progs.loop_known);
		*base_fd = bpf_program__fd(skeleton->progs.loop_known_base);
		return;
	case KIND_FIRST:
		*ours_fd = bpf_program__fd(skeleton->progs.loop_first);
		*base_fd = bpf_program__fd(skeleton->progs.loop_first_base);
		return;
	case KIND_ANSWERED:
		*ours_fd = bpf_program__fd(skeleton->progs.loop_answer);
		*base_fd = bpf_program__fd(skeleton->progs.loop_answer_base);
		return;
	}
}

static void measure(size_t i, int rounds, uint32_t *ours, uint32_t *base)
{
	struct frame frame;
	int ours_fd = -1, base_fd = -1;

	load_steer(i);
	programs_of(cases[i].kind, &ours_fd, &base_fd);
	build(i, &frame);
	make_others();
	make_known(i);
	for (int round = 0; round < rounds; round++) {
		base[round] = run(base_fd, &frame);
		ours[round] = run(ours_fd, &frame);
	}
	printf("  %-32s %5d ns\n", cases[i].name,
	       (int)median(ours, rounds) - (int)median(base, rounds));
	steer_loop__destroy(skeleton);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void measure_packets(int rounds, const char *name)
{
	uint32_t *ours = mem_new((size_t)rounds, sizeof(*ours));
	uint32_t *base = mem_new((size_t)rounds, sizeof(*base));

	printf("xdp_steer over an empty program, medians of %d rounds of %d, %d hosts:\n", rounds,
	       REPEATS, HOSTS);
	for (size_t i = 0; i < CASES; i++)
		if (!name || strstr(cases[i].name, name))
			measure(i, rounds, ours, base);
	mem_free(ours);
	mem_free(base);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : ROUNDS;
	const char *name = argc > 2 ? argv[2] : NULL;

	if (geteuid() != 0) {
		printf("datapath: loading BPF programs takes root\n");
		return 0;
	}
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	lab_enter();
	lab_pin_to_cpu(0);
	if (!name || strcmp(name, "flood") == 0)
		flood_run(rounds < FLOOD_ROUNDS ? rounds : FLOOD_ROUNDS, STR(SYN_OPTIONS));
	open_listeners();
	if (!name || strcmp(name, "flood") != 0)
		measure_packets(rounds, name);
	return 0;
}
