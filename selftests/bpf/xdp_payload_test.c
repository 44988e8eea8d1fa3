// SPDX-License-Identifier: Apache-2.0
/*
 * xdp_payload: first payloads of all kinds on connections that XDP answered, cookies
 * of all kinds brought back through the program, and each combination of flags.
 */
#include "bpf/options.h"
#include "selftests/bpf/early_world.h"

#define REQUEST_FAR "GET / HTTP/1.1\r\nHost: far.test\r\n\r\n"
#define PROXY_V2                                                                                   \
	"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"

/* ---- kinds of payload ----------------------------------------------------------------------- */

static void reads_each_kind(void **state)
{
	static const struct {
		const char *name;
		struct frame_spec frame;
		bool has_host; /* far.test; else any worker may have it, here this CPU's */
	} cases[] = {
		{ "origin form", { .payload = STR_INIT(REQUEST_FAR) }, true },
		{ "absolute form beats Host",
		  { .payload =
			    STR_INIT("GET http://far.test/ HTTP/1.1\r\nHost: near.test\r\n\r\n") },
		  true },
		{ "letter case, last field",
		  { .payload = STR_INIT("GET / HTTP/1.1\r\nA: b\r\nhOsT:FAR.Test\r\n\r\n") },
		  true },
		{ "PROXY v1",
		  { .payload = STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.8 1 80\r\n" REQUEST_FAR) },
		  true },
		{ "PROXY v2", { .payload = STR_INIT(PROXY_V2 REQUEST_FAR) }, true },
		{ "PROXY v2 alone", { .payload = STR_INIT(PROXY_V2) }, false },
		{ "HTTP/2 with prior knowledge",
		  { .payload = STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0") },
		  false },
		{ "HTTP/2 behind PROXY v2",
		  { .payload = STR_INIT(PROXY_V2 "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
		  false },
		{ "VLAN", { .vlan_tags = 1, .payload = STR_INIT(REQUEST_FAR) }, true },
		{ "QinQ, IPv6",
		  { .vlan_tags = 2, .is_ipv6 = true, .payload = STR_INIT(REQUEST_FAR) },
		  true },
		{ "not HTTP", { .payload = STR_INIT("\0\x01\x02") }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame_spec spec = cases[i].frame;
		uint64_t unread = read_stats().early_no_host;
		struct flow_value flow = { 0 };

		answer(&spec, 0, 0);
		forget_flow(&spec);
		run(cases[i].name, &spec, cases[i].has_host ? "steer_redirect" : "pass_local");
		if (!read_flow(&spec, &flow) || flow.state != FLOW_STATE_ADMIT)
			fail_msg("%s: flow is %s", cases[i].name, flow_state_name(flow.state));
		if (read_stats().early_no_host - unread != !cases[i].has_host)
			fail_msg("%s: early_no_host", cases[i].name);
		forget_flow(&spec);
	}
}

/* A jumbo frame comes in several buffers; Host stands in the last one. */
static void reads_jumbo_frames(void **state)
{
	static char request[8000];
	int len = snprintf(request, sizeof(request),
			   "GET / HTTP/1.1\r\nCookie: %07800d\r\nHost: far.test\r\n\r\n", 0);

	(void)state;
	for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		struct frame_spec spec = { .is_ipv6 = is_ipv6,
					   .payload = { request, (size_t)len } };

		answer(&spec, 0, 0);
		forget_flow(&spec);
		run(is_ipv6 ? "IPv6" : "IPv4", &spec, "steer_redirect");
		forget_flow(&spec);
	}
}

/* ---- cookies -------------------------------------------------------------------------------- */

/* The options of a SYN: timestamps, and what else the client has. In @at; its length. */
static size_t put_options(uint8_t *at, uint32_t mss, int scale, bool has_sack)
{
	uint8_t *start = at;

	if (mss) {
		memcpy(at, "\x02\x04", 2);
		at[2] = (uint8_t)(mss >> 8);
		at[3] = (uint8_t)mss;
		at += 4;
	}
	memcpy(at, "\x01\x01" OPTION_TIMES, 12);
	at += 12;
	if (has_sack) {
		memcpy(at, OPTION_NOP OPTION_NOP OPTION_SACK, 4);
		at += 4;
	}
	if (scale >= 0) {
		memcpy(at, OPTION_NOP "\x03\x03", 3);
		at[3] = (uint8_t)scale;
		at += 4;
	}
	return (size_t)(at - start);
}

/* One SYN, its answer, and the first payload that repeats the answer's numbers. */
static void bring_back(uint32_t mss, uint32_t mss_kept, int scale, bool has_sack)
{
	uint8_t options[40], data_options[12] = "\x01\x01\x08\x0a\x01\x02\x03\x05";
	struct frame_spec spec = { .tcp_flags = FRAME_SYN, .seq = CLIENT_ISN };
	struct flow_value flow = { 0 };
	struct frame frame;
	const uint8_t *tcp;
	uint32_t agreed;
	char name[64];

	snprintf(name, sizeof(name), "mss %u, scale %d, SACK %d", mss, scale, has_sack);
	spec.tcp_options =
		str_of((const char *)options, put_options(options, mss, scale, has_sack));
	frame_build(&frame, &spec);
	run_frame(name, &frame, "answer_syn");
	tcp = checked_tcp(name, &frame, &spec);
	agreed = (scale < 0 ? COOKIE_SCALE_NONE : (uint32_t)scale) | (has_sack ? COOKIE_SACK : 0);
	if ((u32_at(tcp + 28) & COOKIE_OPTION_MASK) != agreed ||
	    cookie_mss(u32_at(tcp + 4)) != mss_kept)
		fail_msg("%s: kept %#x, mss %u", name, u32_at(tcp + 28) & COOKIE_OPTION_MASK,
			 cookie_mss(u32_at(tcp + 4)));
	memcpy(data_options + 8, tcp + 28, 4);
	spec = (struct frame_spec){ .seq = CLIENT_ISN + 1u,
				    .ack_seq = u32_at(tcp + 4) + 1,
				    .tcp_options = { (const char *)data_options, 12 },
				    .payload = STR(REQUEST_FAR) };
	run(name, &spec, "steer_redirect");
	if (!read_flow(&spec, &flow) || flow.state != FLOW_STATE_ADMIT ||
	    flow.admit_ack != spec.ack_seq)
		fail_msg("%s: not to be admitted", name);
	forget_flow(&spec);
}

static void brings_back_each_combination(void **state)
{
	static const struct {
		uint32_t mss, kept;
	} sizes[] = { { 0, 536 },     { 536, 536 },   { 1219, 536 },  { 1220, 1220 },
		      { 1340, 1340 }, { 1360, 1360 }, { 1400, 1400 }, { 1440, 1440 },
		      { 1460, 1460 }, { 8940, 8940 }, { 65535, 8940 } };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (int scale = -1; scale <= TCP_WINDOW_SCALE_MAX; scale++)
			for (int has_sack = 0; has_sack < 2; has_sack++)
				bring_back(sizes[i].mss, sizes[i].kept, scale, has_sack);
}

/* ---- flags ---------------------------------------------------------------------------------- */

/* What has to become of a bare packet of an unknown connection with these flags. */
static const char *expected_of(uint8_t flags)
{
	bool syn = flags & FRAME_SYN, rst = flags & FRAME_RST, ack = flags & FRAME_ACK;

	if (syn && (rst || flags & FRAME_FIN))
		return "drop_malformed";
	if (!syn && !rst && !ack)
		return "drop_malformed";
	return syn && !ack ? "answer_syn" : "pass_no_payload";
}

static void meets_each_combination_of_flags(void **state)
{
	(void)state;
	for (unsigned int flags = 1; flags <= 0xff; flags++) {
		struct frame_spec spec = { .tcp_flags = (uint8_t)flags,
					   .tcp_options = STR(SYN_OPTIONS) };
		char name[32];

		snprintf(name, sizeof(name), "flags %#x", flags);
		run(name, &spec, expected_of((uint8_t)flags));
	}
}

/* A connection that is known keeps its CPU, whatever sane flags its packets have. */
static void keeps_known_flows_on_their_cpu(void **state)
{
	struct frame_spec spec = { 0 };
	struct flow_key key = key_of(&spec);

	(void)state;
	for (unsigned int flags = 1; flags <= 0xff; flags++) {
		struct flow_value flow = { .worker = 1, .state = FLOW_STATE_STEERED };
		const char *expected = expected_of((uint8_t)flags);
		char name[32];

		if (flags & FRAME_SYN && !(flags & FRAME_ACK))
			continue; /* a new connection, as the kernel knows no other */
		snprintf(name, sizeof(name), "flags %#x", flags);
		assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.flows), &key, &flow, 0),
				 0);
		spec.tcp_flags = (uint8_t)flags;
		run(name, &spec,
		    strcmp(expected, "drop_malformed") == 0 ? expected : "steer_redirect");
	}
	forget_flow(&spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_each_kind),
		cmocka_unit_test(reads_jumbo_frames),
		cmocka_unit_test(brings_back_each_combination),
		cmocka_unit_test(meets_each_combination_of_flags),
		cmocka_unit_test(keeps_known_flows_on_their_cpu),
	};

	if (libbpf_num_possible_cpus() < 2) {
		print_message("[  SKIPPED ] xdp_payload: steering takes two CPUs\n");
		return 0;
	}
	return cmocka_run_group_tests_name("xdp_payload", tests, load, unload);
}
