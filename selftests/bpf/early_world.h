/* SPDX-License-Identifier: Apache-2.0 */
/*
 * early_world: xdp_steer with early dispatch, one packet at a time.
 *
 * Loads the program into a namespace where somebody listens, runs packets through
 * it (BPF_PROG_TEST_RUN), and checks that of the counters that end a packet exactly
 * the expected one has moved. Two hosts: near.test is of this CPU's worker, far.test
 * of the other's.
 */
#ifndef SLUICE_SELFTESTS_BPF_EARLY_WORLD_H
#define SLUICE_SELFTESTS_BPF_EARLY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bpf/cookie.h"
#include "datapath/internal.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/listen.h"
#include "xdp_steer.skel.h"

#define OPTION_MSS   "\x02\x04\x05\xb4"
#define OPTION_SACK  "\x04\x02"
#define OPTION_TIMES "\x08\x0a\x01\x02\x03\x04\x00\x00\x00\x00"
#define OPTION_NOP   "\x01"
#define OPTION_SCALE "\x03\x03\x09"
#define SYN_OPTIONS  OPTION_MSS OPTION_SACK OPTION_TIMES OPTION_NOP OPTION_SCALE
#define DATA_OPTIONS "\x01\x01\x08\x0a\x01\x02\x03\x04\x00\x00\x00\x59"
#define NOPS_23                                                                                    \
	"\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01" \
	"\x01"
#define REQUEST(host) STR_INIT("GET / HTTP/1.1\r\nHost: " host "\r\n\r\n")

enum {
	WORKERS = 2,
	CLIENT_ISN = 0xfffffffe, /* so that numbers go round */
	OUR_SCALE = 7,
	MSS_IPV4 = 1460,
	MSS_IPV6 = 1440,
	PORTS = 4,
	LOOPBACK_INDEX = 1, /* where BPF_PROG_TEST_RUN lets packets come in */
};

static const struct host_hash_key hash_key = { 11, 22 };
static const struct cookie_key cookie_key = { 3, 4, 0 };
static struct xdp_steer *skeleton;

/* ---- the world ------------------------------------------------------------------------------ */

static inline int fd_of(const struct bpf_map *map)
{
	return bpf_map__fd(map);
}

static inline struct settings_value usual_settings(void)
{
	return (struct settings_value){ .is_answering = 1,
					.answering = { LOOPBACK_INDEX },
					.has_sack = 1,
					.has_ecn = 1,
					.window_scale = OUR_SCALE,
					.mss_ipv4 = MSS_IPV4,
					.mss_ipv6 = MSS_IPV6,
					.source_bits_ipv4 = 32,
					.source_bits_ipv6 = 64 };
}

static inline void set_settings(struct settings_value value)
{
	uint32_t row = 0;

	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.settings), &row, &value, 0), 0);
}

static inline void set_listener(const char *address, uint16_t port, uint8_t flags)
{
	struct addr addr = { .port = port };
	struct listener_key key = { .port = port };
	struct listener_value value = { .id = port % LISTENERS_MAX,
					.protocol = LISTENER_PROTOCOL_HTTP,
					.flags = flags };

	assert_int_equal(addr_parse_ip(str_from_c(address), &addr), 0);
	memcpy(key.address, addr.ip, 16);
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.listeners), &key, &value, 0), 0);
}

static inline void set_host(const char *name, struct host_value value)
{
	struct host_key key = datapath_host_key(hash_key, str_from_c(name));

	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.hosts), &key, &value, 0), 0);
}

static inline void set_workers(void)
{
	for (uint32_t i = 0; i < WORKERS; i++) {
		struct worker_value value = { .cpu = (uint16_t)i,
					      .cpu_worker = (uint16_t)i,
					      .state = WORKER_STATE_ACTIVE };

		assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.workers), &i, &value, 0),
				 0);
	}
}

/* XDP answers where somebody listens: on 80 and 8080, not on 81. */
static inline void open_listeners(void)
{
	static const char *const anywhere[] = { "0.0.0.0:80", "[::]:80", "0.0.0.0:8080" };

	for (size_t i = 0; i < sizeof(anywhere) / sizeof(anywhere[0]); i++) {
		struct addr addr = listen_addr(anywhere[i]);

		listen_open(&addr);
	}
}

static inline void fill_maps(void)
{
	uint32_t row = 0, cpu = 1, queue = 64;

	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.steer_cpus), &cpu, &queue, 0), 0);
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.cookie_keys), &row, &cookie_key,
					     0),
			 0);
	set_settings(usual_settings());
	set_workers();
	set_listener("0.0.0.0", 80, LISTENER_FLAG_EARLY_DISPATCH);
	set_listener("::", 80, LISTENER_FLAG_EARLY_DISPATCH);
	set_listener("0.0.0.0", 81, LISTENER_FLAG_EARLY_DISPATCH);
	set_listener("0.0.0.0", 8080, LISTENER_FLAG_EARLY_DISPATCH | LISTENER_FLAG_ALLOWLIST);
	set_host("far.test", (struct host_value){ 1, 1, 1, .policy = HOST_POLICY_STEER });
	set_host("near.test", (struct host_value){ 2, 0, 1, .policy = HOST_POLICY_STEER });
	set_host("refused.test", (struct host_value){ 3, 0, 1, .policy = HOST_POLICY_DROP });
	set_host("limited.test", (struct host_value){ 4, 0, 1, .flags = HOST_FLAG_LIMITED });
}

static inline int load(void **state)
{
	static const uint16_t ports[PORTS] = { 80, 81, 8080, 8443 };

	(void)state;
	lab_enter();
	skeleton = xdp_steer__open();
	if (!skeleton)
		return -1;
	for (size_t i = 0; i < PORTS; i++)
		skeleton->rodata->listen_ports[i] = ports[i];
	skeleton->rodata->listen_port_count = PORTS;
	skeleton->rodata->worker_count = WORKERS;
	skeleton->rodata->hash_key.k0 = hash_key.k0;
	skeleton->rodata->hash_key.k1 = hash_key.k1;
	skeleton->rodata->event_interval_ns = 0;
	skeleton->rodata->can_admit = true;
	bpf_map__set_max_entries(skeleton->maps.steer_cpus, (uint32_t)libbpf_num_possible_cpus());
	bpf_program__set_flags(skeleton->progs.xdp_steer, BPF_F_XDP_HAS_FRAGS);
	if (xdp_steer__load(skeleton))
		return -1;
	fill_maps();
	open_listeners();
	lab_pin_to_cpu(0);
	return 0;
}

static inline int unload(void **state)
{
	(void)state;
	xdp_steer__destroy(skeleton);
	return 0;
}

/* ---- one packet ----------------------------------------------------------------------------- */

static inline struct stats read_stats(void)
{
	struct stats *each = mem_new((size_t)libbpf_num_possible_cpus(), sizeof(*each));
	struct stats here;
	uint32_t row = 0;

	assert_int_equal(bpf_map_lookup_elem(fd_of(skeleton->maps.stats), &row, each), 0);
	here = each[0];
	mem_free(each);
	return here;
}

/* True for the counters of which each packet moves exactly one. */
static inline bool ends_a_packet(const char *name)
{
	return strncmp(name, "pass_", 5) == 0 || strncmp(name, "steer_", 6) == 0 ||
	       strncmp(name, "drop_", 5) == 0 || strncmp(name, "answer_", 7) == 0 ||
	       strncmp(name, "absorb_", 7) == 0;
}

static const char *action_expected(const char *counter)
{
	if (strncmp(counter, "answer_", 7) == 0)
		return "tx";
	if (strncmp(counter, "pass_", 5) == 0)
		return "pass";
	return strncmp(counter, "steer_redirect", 14) == 0 ? "redirect" : "drop";
}

static inline void check_counter(const char *case_name, const struct stats *before, uint32_t action,
				 const char *counter)
{
	static const char *const actions[] = { "aborted", "drop", "pass", "tx", "redirect" };
	struct stats after = read_stats();

#define CHECK_COUNTER(name, help)                                                                  \
	if (ends_a_packet(#name) &&                                                                \
	    after.name - before->name != (strcmp(#name, counter) == 0 ? 1u : 0u))                  \
		fail_msg("%s: counter %s moved by %llu, expected %s", case_name, #name,            \
			 (unsigned long long)(after.name - before->name), counter);
	STATS_COUNTERS(CHECK_COUNTER)
#undef CHECK_COUNTER
	if (action > 4 || strcmp(actions[action], action_expected(counter)) != 0)
		fail_msg("%s: action %u, expected %s", case_name, action, action_expected(counter));
}

/* Runs @frame, which becomes what the program made of it. */
static inline void run_frame(const char *case_name, struct frame *frame, const char *counter)
{
	struct frame out = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->at,
		    .data_size_in = (uint32_t)frame->len, .data_out = out.at,
		    .data_size_out = sizeof(out.at), .repeat = 1);
	struct stats before = read_stats();

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skeleton->progs.xdp_steer), &opts),
			 0);
	check_counter(case_name, &before, opts.retval, counter);
	out.len = opts.data_size_out;
	*frame = out;
}

static inline void run(const char *case_name, const struct frame_spec *spec, const char *counter)
{
	struct frame frame;

	frame_build(&frame, spec);
	run_frame(case_name, &frame, counter);
}

static inline struct flow_key key_of(const struct frame_spec *spec)
{
	struct flow_key key = { .client_port =
					spec->client_port ? spec->client_port : FRAME_CLIENT_PORT,
				.local_port =
					spec->local_port ? spec->local_port : FRAME_LOCAL_PORT };
	struct addr client, local;

	addr_parse_ip(spec->client    ? str_from_c(spec->client)
		      : spec->is_ipv6 ? STR("2001:db8::1")
				      : STR("192.0.2.1"),
		      &client);
	addr_parse_ip(spec->local     ? str_from_c(spec->local)
		      : spec->is_ipv6 ? STR("2001:db8::80")
				      : STR("198.51.100.1"),
		      &local);
	memcpy(key.client_address, client.ip, 16);
	memcpy(key.local_address, local.ip, 16);
	return key;
}

static inline bool read_flow(const struct frame_spec *spec, struct flow_value *flow)
{
	struct flow_key key = key_of(spec);

	return bpf_map_lookup_elem(fd_of(skeleton->maps.flows), &key, flow) == 0;
}

static inline void forget_flow(const struct frame_spec *spec)
{
	struct flow_key key = key_of(spec);

	bpf_map_delete_elem(fd_of(skeleton->maps.flows), &key);
}

/* Gives @spec the numbers of a connection that was answered now. */
static inline void answer(struct frame_spec *spec, uint32_t seq_ahead, uint32_t ack_ahead)
{
	struct flow_key key = key_of(spec);
	uint32_t cookie = cookie_make(&cookie_key, &key, CLIENT_ISN, clock_monotonic_ns(),
				      cookie_slot_and_mss(0, 6));

	spec->seq = CLIENT_ISN + 1u + seq_ahead;
	spec->ack_seq = cookie + 1 + ack_ahead;
	if (!spec->tcp_options.len)
		spec->tcp_options = STR(DATA_OPTIONS);
}

/* ---- answers -------------------------------------------------------------------------------- */

static inline uint32_t u32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint32_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Where the TCP header is; both checksums are right and the packet ends with the frame. */
static const uint8_t *checked_tcp(const char *case_name, const struct frame *frame,
				  const struct frame_spec *spec)
{
	size_t ip = ETH_HLEN + 4u * (size_t)spec->vlan_tags;
	size_t tcp = ip + (spec->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	size_t addresses = spec->is_ipv6 ? 32 : 8;
	uint32_t sum = IPPROTO_TCP + (uint32_t)(frame->len - tcp);

	if (!spec->is_ipv6 && folded(frame_sum(frame->at + ip, sizeof(struct iphdr))) != 0xffff)
		fail_msg("%s: IP checksum", case_name);
	sum += frame_sum(frame->at + tcp - addresses, addresses);
	sum += frame_sum(frame->at + tcp, frame->len - tcp);
	if (folded(sum) != 0xffff)
		fail_msg("%s: TCP checksum", case_name);
	if (frame->len != tcp + (size_t)(frame->at[tcp + 12] >> 4) * 4)
		fail_msg("%s: %zu bytes", case_name, frame->len);
	return frame->at + tcp;
}

/* Addresses and ports have changed places; the tags are as they were. */
static inline void check_turned(const char *case_name, const struct frame *sent,
				const struct frame *got, const struct frame_spec *spec)
{
	size_t ip = ETH_HLEN + 4u * (size_t)spec->vlan_tags;
	size_t size = spec->is_ipv6 ? 16 : 4;
	size_t from = ip + (spec->is_ipv6 ? 8 : 12), tcp = from + 2 * size;

	if (memcmp(sent->at, got->at + 6, 6) != 0 || memcmp(sent->at + 6, got->at, 6) != 0 ||
	    memcmp(sent->at + 12, got->at + 12, ip - 12) != 0 ||
	    memcmp(sent->at + from, got->at + from + size, size) != 0 ||
	    memcmp(sent->at + from + size, got->at + from, size) != 0 ||
	    memcmp(sent->at + tcp, got->at + tcp + 2, 2) != 0 ||
	    memcmp(sent->at + tcp + 2, got->at + tcp, 2) != 0)
		fail_msg("%s: not turned round", case_name);
}

#endif
