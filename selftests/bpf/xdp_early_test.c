// SPDX-License-Identifier: Apache-2.0
/*
 * xdp_early: the life of a connection before it has a socket, packet by packet.
 *
 * Each case is one packet through xdp_steer (BPF_PROG_TEST_RUN), with the name of
 * the counter that must have moved, and of it alone among those that end a packet.
 * Answers are read back and checked down to both checksums.
 */
#include "selftests/bpf/early_world.h"

static void answers_syns(void **state)
{
	static const struct {
		const char *name;
		struct frame_spec frame;
		uint8_t flags;
		struct str head, tail; /* of the options; our timestamp stands between */
		uint16_t mss;          /* that the cookie says */
		uint8_t agreed;        /* that the timestamp says */
	} cases[] = {
		{ "as Linux sends it",
		  { .tcp_options = STR_INIT(SYN_OPTIONS) },
		  FRAME_SYN | FRAME_ACK,
		  STR_INIT(OPTION_MSS OPTION_SACK "\x08\x0a"),
		  STR_INIT("\x01\x02\x03\x04\x01\x03\x03\x07"),
		  1460,
		  9 | COOKIE_SACK },
		{ "IPv6, QinQ",
		  { .is_ipv6 = true, .vlan_tags = 2, .tcp_options = STR_INIT(SYN_OPTIONS) },
		  FRAME_SYN | FRAME_ACK,
		  STR_INIT("\x02\x04\x05\xa0" OPTION_SACK "\x08\x0a"),
		  STR_INIT("\x01\x02\x03\x04\x01\x03\x03\x07"),
		  1460,
		  9 | COOKIE_SACK },
		{ "timestamps alone, padded frame",
		  { .trailer_bytes = 12, .tcp_options = STR_INIT("\x01\x01" OPTION_TIMES) },
		  FRAME_SYN | FRAME_ACK,
		  STR_INIT(OPTION_MSS "\x01\x01\x08\x0a"),
		  STR_INIT("\x01\x02\x03\x04"),
		  536,
		  COOKIE_SCALE_NONE },
		{ "no SACK, forty bytes of options, VLAN",
		  { .vlan_tags = 1,
		    .tcp_options = STR_INIT(NOPS_23 OPTION_TIMES OPTION_MSS OPTION_SCALE) },
		  FRAME_SYN | FRAME_ACK,
		  STR_INIT(OPTION_MSS "\x01\x01\x08\x0a"),
		  STR_INIT("\x01\x02\x03\x04\x01\x03\x03\x07"),
		  1460,
		  9 },
		{ "ECN",
		  { .tcp_flags = FRAME_SYN | 0x40 | 0x80, .tcp_options = STR_INIT(SYN_OPTIONS) },
		  FRAME_SYN | FRAME_ACK | 0x40,
		  STR_INIT(OPTION_MSS OPTION_SACK "\x08\x0a"),
		  STR_INIT("\x01\x02\x03\x04\x01\x03\x03\x07"),
		  1460,
		  9 | COOKIE_SACK | COOKIE_ECN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame_spec spec = cases[i].frame;
		const char *name = cases[i].name;
		struct flow_key key = key_of(&spec);
		struct frame sent, got;
		const uint8_t *tcp;

		spec.seq = CLIENT_ISN;
		if (!spec.tcp_flags)
			spec.tcp_flags = FRAME_SYN;
		frame_build(&sent, &spec);
		got = sent;
		run_frame(name, &got, "answer_syn");
		tcp = checked_tcp(name, &got, &spec);
		check_turned(name, &sent, &got, &spec);
		assert_int_equal(tcp[13], cases[i].flags);
		assert_int_equal(u32_at(tcp + 8), CLIENT_ISN + 1u);
		assert_memory_equal(tcp + 20, cases[i].head.at, cases[i].head.len);
		assert_memory_equal(tcp + 32, cases[i].tail.at, cases[i].tail.len);
		assert_int_equal(got.len - (size_t)(tcp - got.at), 32 + cases[i].tail.len);
		assert_int_equal(u32_at(tcp + 28) & COOKIE_OPTION_MASK, cases[i].agreed);
		assert_int_equal(cookie_mss(u32_at(tcp + 4)), cases[i].mss);
		assert_int_equal(cookie_check(&cookie_key, &key, u32_at(tcp + 4), CLIENT_ISN + 1u,
					      clock_monotonic_ns()),
				 COOKIE_FIRST);
	}
}

static void leaves_syns_to_the_kernel(void **state)
{
	static const struct {
		const char *name;
		struct frame_spec frame;
		const char *counter;
	} cases[] = {
		{ "no options", { 0 }, "pass_syn_plain" },
		{ "no timestamps", { .tcp_options = STR_INIT(OPTION_MSS) }, "pass_syn_plain" },
		{ "a size too small",
		  { .tcp_options = STR_INIT("\x02\x04\x00\x40\x01\x01" OPTION_TIMES) },
		  "pass_syn_plain" },
		{ "too small for IPv6 alone",
		  { .is_ipv6 = true,
		    .tcp_options = STR_INIT("\x02\x04\x02\x18\x01\x01" OPTION_TIMES) },
		  "pass_syn_plain" },
		{ "data in it",
		  { .tcp_options = STR_INIT(SYN_OPTIONS), .payload = REQUEST("far.test") },
		  "pass_syn_plain" },
		{ "nobody listens",
		  { .local_port = 81, .tcp_options = STR_INIT(SYN_OPTIONS) },
		  "pass_syn_plain" },
		{ "FIN with it",
		  { .tcp_flags = FRAME_SYN | FRAME_FIN, .tcp_options = STR_INIT(SYN_OPTIONS) },
		  "drop_malformed" },
		{ "RST with it", { .tcp_flags = FRAME_SYN | FRAME_RST }, "drop_malformed" },
		{ "all flags", { .tcp_flags = 0xff }, "drop_malformed" },
		{ "FIN alone", { .tcp_flags = FRAME_FIN }, "drop_malformed" },
		{ "PSH alone", { .tcp_flags = FRAME_PSH }, "drop_malformed" },
	};
	struct settings_value quiet = usual_settings();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame_spec spec = cases[i].frame;

		if (!spec.tcp_flags)
			spec.tcp_flags = FRAME_SYN;
		run(cases[i].name, &spec, cases[i].counter);
	}
	quiet.is_answering = 0;
	set_settings(quiet);
	run("not answering",
	    &(struct frame_spec){ .tcp_flags = FRAME_SYN, .tcp_options = STR(SYN_OPTIONS) },
	    "pass_no_payload");
	set_settings(usual_settings());
}

/* What XDP sends out of some interfaces does not arrive: there it leaves SYNs to the kernel. */
static void answers_on_listed_interfaces(void **state)
{
	static const struct {
		const char *name;
		uint32_t answering[ANSWERING_MAX];
		const char *counter;
	} cases[] = {
		{ "first", { LOOPBACK_INDEX, 7 }, "answer_syn" },
		{ "in the middle", { 7, LOOPBACK_INDEX, 8 }, "answer_syn" },
		{ "last of a full list",
		  { 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, LOOPBACK_INDEX },
		  "answer_syn" },
		{ "another", { 7 }, "pass_no_payload" },
		{ "behind the end", { 7, 0, LOOPBACK_INDEX }, "pass_no_payload" },
		{ "none", { 0 }, "pass_no_payload" },
	};
	struct settings_value settings = usual_settings();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame_spec spec = { .tcp_flags = FRAME_SYN,
					   .tcp_options = STR_INIT(SYN_OPTIONS) };

		memcpy(settings.answering, cases[i].answering, sizeof(settings.answering));
		set_settings(settings);
		run(cases[i].name, &spec, cases[i].counter);
	}
	set_settings(usual_settings());
}

/* ---- what comes after ----------------------------------------------------------------------- */

static void meets_segments(void **state)
{
	static const struct {
		const char *name;
		struct frame_spec frame;
		uint32_t seq_ahead, ack_ahead;
		const char *counter;
		enum flow_state flow;
	} cases[] = {
		{ "bare ACK", { 0 }, 0, 0, "absorb_ack", FLOW_STATE_NONE },
		{ "bare ACK, IPv6", { .is_ipv6 = true }, 0, 0, "absorb_ack", FLOW_STATE_NONE },
		{ "the ACK of both FINs", { 0 }, 1, 1, "absorb_ack", FLOW_STATE_NONE },
		{ "keepalive probe", { 0 }, (uint32_t)-1, 0, "answer_keepalive", FLOW_STATE_NONE },
		{ "keepalive probe with a byte",
		  { .payload = STR_INIT("\0") },
		  (uint32_t)-1,
		  0,
		  "answer_keepalive",
		  FLOW_STATE_NONE },
		{ "FIN before anything is said",
		  { .tcp_flags = FRAME_FIN | FRAME_ACK },
		  0,
		  0,
		  "answer_fin",
		  FLOW_STATE_NONE },
		{ "RST", { .tcp_flags = FRAME_RST }, 0, 0, "pass_no_payload", FLOW_STATE_NONE },
		{ "RST with ACK",
		  { .tcp_flags = FRAME_RST | FRAME_ACK },
		  0,
		  0,
		  "pass_no_payload",
		  FLOW_STATE_NONE },
		{ "first payload for this CPU",
		  { .payload = REQUEST("near.test") },
		  0,
		  0,
		  "pass_local",
		  FLOW_STATE_ADMIT },
		{ "first payload for the other",
		  { .payload = REQUEST("far.test") },
		  0,
		  0,
		  "steer_redirect",
		  FLOW_STATE_ADMIT },
		{ "first payload, IPv6, VLAN",
		  { .is_ipv6 = true, .vlan_tags = 1, .payload = REQUEST("far.test") },
		  0,
		  0,
		  "steer_redirect",
		  FLOW_STATE_ADMIT },
		{ "first payload with FIN",
		  { .tcp_flags = FRAME_FIN | FRAME_ACK, .payload = REQUEST("far.test") },
		  0,
		  0,
		  "steer_redirect",
		  FLOW_STATE_ADMIT },
		{ "one byte", { .payload = STR_INIT("G") }, 0, 0, "pass_local", FLOW_STATE_ADMIT },
		{ "a host that nobody knows",
		  { .payload = REQUEST("nobody.test") },
		  0,
		  0,
		  "pass_local",
		  FLOW_STATE_ADMIT },
		{ "a host that is refused",
		  { .payload = REQUEST("refused.test") },
		  0,
		  0,
		  "drop_host_policy",
		  FLOW_STATE_NONE },
		{ "second segment before the first",
		  { .payload = REQUEST("far.test") },
		  1448,
		  0,
		  "drop_early_order",
		  FLOW_STATE_NONE },
		{ "FIN before the first segment",
		  { .tcp_flags = FRAME_FIN | FRAME_ACK },
		  100,
		  0,
		  "drop_early_order",
		  FLOW_STATE_NONE },
		{ "far behind the window",
		  { .payload = REQUEST("far.test") },
		  1 << 20,
		  0,
		  "steer_redirect",
		  FLOW_STATE_STEERED },
		{ "another number acknowledged",
		  { 0 },
		  0,
		  0x10000,
		  "pass_no_payload",
		  FLOW_STATE_NONE },
		{ "no timestamps",
		  { .tcp_options = STR_INIT("\x01\x01\x01\x01") },
		  0,
		  0,
		  "pass_no_payload",
		  FLOW_STATE_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame_spec spec = cases[i].frame;
		struct flow_value flow = { 0 };

		answer(&spec, cases[i].seq_ahead, cases[i].ack_ahead);
		forget_flow(&spec);
		run(cases[i].name, &spec, cases[i].counter);
		read_flow(&spec, &flow);
		if (flow.state != cases[i].flow)
			fail_msg("%s: flow is %s", cases[i].name, flow_state_name(flow.state));
		if (flow.state == FLOW_STATE_ADMIT &&
		    (flow.admit_seq != spec.seq || flow.admit_ack != spec.ack_seq))
			fail_msg("%s: other numbers", cases[i].name);
		forget_flow(&spec);
	}
}

/* A probe is told what was said before: the same numbers, and options that stay. */
static void answers_in_its_own_name(void **state)
{
	struct frame_spec spec = { .is_ipv6 = true };
	struct frame got;
	const uint8_t *tcp;

	(void)state;
	answer(&spec, (uint32_t)-1, 0);
	frame_build(&got, &spec);
	run_frame("probe", &got, "answer_keepalive");
	tcp = checked_tcp("probe", &got, &spec);
	assert_int_equal(tcp[13], FRAME_ACK);
	assert_int_equal(u32_at(tcp + 4), spec.ack_seq);
	assert_int_equal(u32_at(tcp + 8), CLIENT_ISN + 1u);
	assert_int_equal(u32_at(tcp + 24) & COOKIE_OPTION_MASK, 0x19);
	assert_memory_equal(tcp + 28, "\x01\x02\x03\x04", 4);

	spec = (struct frame_spec){ .tcp_flags = FRAME_FIN | FRAME_ACK };
	answer(&spec, 0, 0);
	frame_build(&got, &spec);
	run_frame("FIN", &got, "answer_fin");
	tcp = checked_tcp("FIN", &got, &spec);
	assert_int_equal(tcp[13], FRAME_FIN | FRAME_ACK);
	assert_int_equal(u32_at(tcp + 4), spec.ack_seq);
	assert_int_equal(u32_at(tcp + 8), CLIENT_ISN + 2u);
}

/* Retransmissions of the first payload meet the entry that the first one made. */
static void repeats_harmlessly(void **state)
{
	struct frame_spec first = { .payload = REQUEST("far.test") };
	struct frame_spec syn = { .tcp_flags = FRAME_SYN, .tcp_options = STR(SYN_OPTIONS) };
	struct frame_spec rst = { .tcp_flags = FRAME_RST };
	struct flow_value flow;

	(void)state;
	answer(&first, 0, 0);
	forget_flow(&first);
	run("first", &first, "steer_redirect");
	run("again", &first, "steer_redirect");
	run("RST that nobody has looked at", &rst, "steer_redirect");
	assert_true(read_flow(&first, &flow));
	assert_int_equal(flow.state, FLOW_STATE_ADMIT);
	/* The kernel knows nothing of it: a new connection from the same port is answered. */
	run("SYN", &syn, "answer_syn");
	assert_false(read_flow(&first, &flow));
}

/* ---- a socket of the kernel's --------------------------------------------------------------- */

/* The packets of a connection that the kernel has, as they would come without an entry. */
static void respects_what_the_kernel_knows(void **state)
{
	struct addr addr = listen_addr("127.0.0.1:80");
	int connection = listen_connect(&addr);
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	struct frame_spec spec = { .client = "127.0.0.1", .local = "127.0.0.1" };
	struct flow_key key;
	struct frame frame;

	(void)state;
	assert_true(connection >= 0);
	assert_int_equal(getsockname(connection, (struct sockaddr *)&name, &len), 0);
	spec.client_port = ntohs(name.sin_port);
	key = key_of(&spec);
	memcpy(key.local_address, key.client_address, 16);
	spec.tcp_flags = FRAME_SYN;
	spec.tcp_options = STR(SYN_OPTIONS);
	run("SYN", &spec, "pass_syn_known");
	spec.tcp_flags = FRAME_FIN | FRAME_ACK;
	spec.tcp_options = STR(DATA_OPTIONS);
	spec.seq = CLIENT_ISN + 1u;
	spec.ack_seq = cookie_make(&cookie_key, &key, CLIENT_ISN, clock_monotonic_ns(),
				   cookie_slot_and_mss(0, 6)) +
		       1;
	frame_build(&frame, &spec);
	run_frame("FIN with a good cookie", &frame, "pass_not_early");
	close(connection);
}

/* ---- protection ----------------------------------------------------------------------------- */

static void deny(struct deny_row *rows, const char *address, uint32_t bits)
{
	struct denylist_key key = { .bits = bits };
	struct prefix_value value = { 7 };
	struct addr addr;

	assert_int_equal(addr_parse_ip(str_from_c(address), &addr), 0);
	memcpy(key.address, addr.ip, 16);
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.denylist), &key, &value, 0), 0);
	deny_rows_add(rows, addr.ip, bits);
}

static void write_deny_rows(const struct deny_row *rows)
{
	for (uint32_t i = 0; i < DENY_ROWS_MAX; i++)
		assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.deny_rows), &i, &rows[i],
						     0),
				 0);
}

static void denies_sources(void **state)
{
	static const struct {
		const char *name;
		struct frame_spec frame;
		bool is_denied;
	} cases[] = {
		{ "in the network", { .client = "203.0.113.9" }, true },
		{ "beside it", { .client = "203.0.112.255" }, false },
		{ "one address", { .client = "192.0.2.77" }, true },
		{ "the next one", { .client = "192.0.2.78" }, false },
		{ "beside the one address, in a network", { .client = "192.0.2.31" }, true },
		{ "behind that network", { .client = "192.0.2.32" }, false },
		{ "a great network", { .client = "10.200.3.4" }, true },
		{ "before it", { .client = "9.255.255.255" }, false },
		{ "short IPv6 prefix", { .is_ipv6 = true, .client = "33ff:1::1" }, true },
		{ "behind it", { .is_ipv6 = true, .client = "3400::1" }, false },
		{ "one IPv6 address", { .is_ipv6 = true, .client = "2001:db8:67::1" }, true },
		{ "IPv6 network", { .is_ipv6 = true, .client = "2001:db8:66::5" }, true },
		{ "beside the IPv6 network",
		  { .is_ipv6 = true, .client = "2001:db8:67::5" },
		  false },
	};
	struct settings_value denying = usual_settings();
	struct deny_row *rows = deny_rows_new();

	(void)state;
	denying.has_denylist = 1;
	set_settings(denying);
	deny(rows, "203.0.113.0", 96 + 24);
	deny(rows, "192.0.2.77", 128);
	deny(rows, "192.0.2.0", 96 + 27); /* around a longer one */
	deny(rows, "10.0.0.0", 96 + 8);
	deny(rows, "2001:db8:66::", 48);
	deny(rows, "3000::", 6);
	deny(rows, "2001:db8:67::1", 128);
	write_deny_rows(rows);
	mem_free(rows);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame_spec spec = cases[i].frame;

		spec.tcp_flags = FRAME_SYN;
		spec.tcp_options = STR(SYN_OPTIONS);
		run(cases[i].name, &spec, cases[i].is_denied ? "drop_denied" : "answer_syn");
		spec.tcp_flags = FRAME_ACK;
		run(cases[i].name, &spec, cases[i].is_denied ? "drop_denied" : "pass_no_payload");
	}
	set_settings(usual_settings());
	run("list not in force",
	    &(struct frame_spec){ .client = "203.0.113.9",
				  .tcp_flags = FRAME_SYN,
				  .tcp_options = STR(SYN_OPTIONS) },
	    "answer_syn");
}

static void allows_sources(void **state)
{
	struct frame_spec spec = { .local_port = 8080,
				   .client = "192.0.2.10",
				   .tcp_flags = FRAME_SYN,
				   .tcp_options = STR(SYN_OPTIONS) };
	struct allowlist_key key = { .bits = 32 + 128, .listener_id = 8080 % LISTENERS_MAX };
	struct prefix_value value = { 1 };
	struct addr addr;

	(void)state;
	run("nobody is allowed", &spec, "drop_not_allowed");
	addr_parse_ip(STR("192.0.2.10"), &addr);
	memcpy(key.address, addr.ip, 16);
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.allowlist), &key, &value, 0), 0);
	run("allowed", &spec, "answer_syn");
	spec.client = "192.0.2.11";
	run("another", &spec, "drop_not_allowed");
	spec.local_port = 80;
	run("another listener", &spec, "answer_syn");
}

/* Where XDP answers, a first payload counts; SYNs from false addresses do not. */
static void limits_sources(void **state)
{
	struct settings_value limiting = usual_settings();
	struct frame_spec syn = { .tcp_flags = FRAME_SYN, .tcp_options = STR(SYN_OPTIONS) };
	struct frame_spec plain = { .client_port = 1, .tcp_flags = FRAME_SYN };
	struct frame_spec first = { .payload = REQUEST("near.test") };

	(void)state;
	limiting.source_rate_per_s = 1;
	limiting.source_burst = 2;
	set_settings(limiting);
	for (int i = 0; i < 5; i++)
		run("SYN", &syn, "answer_syn");
	for (int i = 0; i < 4; i++) {
		first.client_port = (uint16_t)(50000 + i);
		answer(&first, 0, 0);
		run("first payload", &first, i < 2 ? "pass_local" : "drop_source_rate");
		forget_flow(&first);
	}
	run("SYN for the kernel", &plain, "drop_source_rate");
	plain.client = "192.0.2.200";
	run("SYN of another source", &plain, "pass_syn_plain");
	set_settings(usual_settings());
}

static void limits_hosts(void **state)
{
	struct frame_spec first = { .payload = REQUEST("limited.test") };
	struct host_rate rate = { .rate_per_s = 1, .burst = 3, .bucket.tokens_milli = 3000 };
	uint32_t host_id = 4;

	(void)state;
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.host_rates), &host_id, &rate, 0),
			 0);
	for (int i = 0; i < 5; i++) {
		first.client_port = (uint16_t)(51000 + i);
		answer(&first, 0, 0);
		run("first payload", &first, i < 3 ? "pass_local" : "drop_host_rate");
		forget_flow(&first);
	}
}

static void drops_unknown_hosts_when_told(void **state)
{
	struct frame_spec first = { .payload = REQUEST("nobody.test") };
	struct host_key key = datapath_host_key_catch_all();
	struct host_value value = { 9, 0, 1, .policy = HOST_POLICY_DROP };

	(void)state;
	answer(&first, 0, 0);
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.hosts), &key, &value, 0), 0);
	run("unknown", &first, "drop_host_unknown");
	assert_int_equal(bpf_map_delete_elem(fd_of(skeleton->maps.hosts), &key), 0);
}

/* ---- addresses of others -------------------------------------------------------------------- */

/* On every address, of which one is this machine's; XDP does not answer SYNs. */
static void set_forwarding_listener(uint8_t flags)
{
	set_listener("0.0.0.0", 8443, flags);
	set_listener("198.51.100.1", 8443, LISTENER_FLAG_LOCAL | flags);
}

/* The packet at this machine's address, and at one that it forwards to. */
static void run_here_and_beyond(const char *name, struct frame_spec spec, const char *here,
				const char *beyond)
{
	spec.local_port = 8443;
	spec.local = "198.51.100.7";
	run(name, &spec, beyond);
	forget_flow(&spec);
	spec.local = "198.51.100.1";
	run(name, &spec, here);
	forget_flow(&spec);
}

static void forwards_what_senders_may_not_send_here(void **state)
{
	const struct frame_spec syn = { .client = "203.0.113.9", .tcp_flags = FRAME_SYN };
	const struct frame_spec fin = { .tcp_flags = FRAME_FIN };
	const struct frame_spec payload = { .tcp_flags = FRAME_PSH,
					    .payload = REQUEST("far.test") };
	const struct frame_spec both = { .tcp_flags = FRAME_SYN | FRAME_FIN };
	struct settings_value settings = usual_settings();

	(void)state;
	set_forwarding_listener(LISTENER_FLAG_NONE);
	run_here_and_beyond("FIN alone", fin, "drop_malformed", "pass_other_address");
	run_here_and_beyond("PSH alone", payload, "drop_malformed", "pass_other_address");
	run_here_and_beyond("SYN and FIN", both, "drop_malformed", "pass_other_address");
	settings.has_denylist = 1;
	set_settings(settings);
	run_here_and_beyond("denied", syn, "drop_denied", "pass_syn_plain");
	settings = usual_settings();
	settings.source_rate_per_s = 1; /* and a burst of none */
	set_settings(settings);
	run_here_and_beyond("makes a bucket", syn, "pass_syn_plain", "pass_syn_plain");
	run_here_and_beyond("over its rate", syn, "drop_source_rate", "pass_syn_plain");
	set_settings(usual_settings());
	set_forwarding_listener(LISTENER_FLAG_ALLOWLIST);
	run_here_and_beyond("not allowed", syn, "drop_not_allowed", "pass_syn_plain");
}

static void forwards_hosts_that_are_dropped_here(void **state)
{
	const struct frame_spec refused = { .payload = REQUEST("refused.test") };
	const struct frame_spec limited = { .payload = REQUEST("limited.test") };
	const struct frame_spec unknown = { .payload = REQUEST("nobody.test") };
	const struct host_value drop = { 9, 0, 1, .policy = HOST_POLICY_DROP };
	const struct host_rate none = { .rate_per_s = 1 };
	struct host_key all = datapath_host_key_catch_all();
	uint32_t host_id = 4;

	(void)state;
	set_forwarding_listener(LISTENER_FLAG_NONE);
	run_here_and_beyond("refused", refused, "drop_host_policy", "pass_host_policy");
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.host_rates), &host_id, &none, 0),
			 0);
	run_here_and_beyond("over its rate", limited, "drop_host_rate", "pass_local");
	assert_int_equal(bpf_map_update_elem(fd_of(skeleton->maps.hosts), &all, &drop, 0), 0);
	run_here_and_beyond("unknown", unknown, "drop_host_unknown", "pass_host_policy");
	assert_int_equal(bpf_map_delete_elem(fd_of(skeleton->maps.hosts), &all), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_syns),
		cmocka_unit_test(leaves_syns_to_the_kernel),
		cmocka_unit_test(answers_on_listed_interfaces),
		cmocka_unit_test(meets_segments),
		cmocka_unit_test(answers_in_its_own_name),
		cmocka_unit_test(repeats_harmlessly),
		cmocka_unit_test(respects_what_the_kernel_knows),
		cmocka_unit_test(denies_sources),
		cmocka_unit_test(allows_sources),
		cmocka_unit_test(limits_sources),
		cmocka_unit_test(limits_hosts),
		cmocka_unit_test(drops_unknown_hosts_when_told),
		cmocka_unit_test(forwards_what_senders_may_not_send_here),
		cmocka_unit_test(forwards_hosts_that_are_dropped_here),
	};

	if (libbpf_num_possible_cpus() < 2) {
		print_message("[  SKIPPED ] xdp_early: steering takes two CPUs\n");
		return 0;
	}
	return cmocka_run_group_tests_name("xdp_early", tests, load, unload);
}
