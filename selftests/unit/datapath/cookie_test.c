// SPDX-License-Identifier: Apache-2.0
/* cookie: the code that XDP and tc run, compiled natively (bpf/cookie.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "bpf/cookie.h"

enum { FORGED = 200000, CLIENT_ISN = 0x89abcdef };

static const struct cookie_key key = { 0x0123456789abcdefull, 0xfedcba9876543210ull, 0 };
static const struct cookie_key other_key = { 1, 2, 0 };
static const uint64_t now_ns = 1000ull << COOKIE_PERIOD_SHIFT;
static const uint16_t sizes[COOKIE_MSS_COUNT] = COOKIE_MSS_TABLE;

static struct flow_key ipv4_flow(void)
{
	struct flow_key flow;

	flow_key_ipv4(&flow, 0x010200c0, 0x016433c6);
	flow_key_ports(&flow, 0x409c, 0x5000);
	return flow;
}

static struct flow_key ipv6_flow(void)
{
	const uint8_t client[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	const uint8_t local[16] = { 0x20, 1, 0xd, 0xb8, [15] = 0x80 };
	struct flow_key flow;

	flow_key_ipv6(&flow, client, local);
	flow_key_ports(&flow, 0x409c, 0x5000);
	return flow;
}

static uint32_t make(const struct flow_key *flow, uint32_t isn, uint64_t at_ns, uint32_t slot,
		     int mss)
{
	return cookie_make(&key, flow, isn, at_ns, cookie_slot_and_mss(slot, (uint32_t)mss));
}

/* Every size, window scale and SACK and ECN of both families comes back as it went. */
static void brings_back_what_was_agreed(void **state)
{
	const struct flow_key flows[] = { ipv4_flow(), ipv6_flow() };
	const uint32_t isns[] = { 0, 1, CLIENT_ISN, UINT32_MAX - 1, UINT32_MAX };

	(void)state;
	for (int i = 0; i < 2 * 5 * 2 * COOKIE_MSS_COUNT; i++) {
		const struct flow_key *flow = &flows[i % 2];
		uint32_t isn = isns[i / 2 % 5], slot = (uint32_t)i / 10 % 2;
		int mss = i / 20;
		uint32_t cookie = make(flow, isn, now_ns, slot, mss);

		assert_int_equal(cookie_slot(cookie), slot);
		assert_int_equal(cookie_mss(cookie), sizes[mss]);
		assert_int_equal(cookie_check(&key, flow, cookie, isn + 1, now_ns), COOKIE_FIRST);
	}
	for (uint32_t options = 0; options <= COOKIE_OPTION_MASK; options++)
		for (uint64_t at_ns = 1; at_ns; at_ns <<= 1)
			assert_int_equal(cookie_timestamp(at_ns, 0x12345678, options) &
						 COOKIE_OPTION_MASK,
					 options);
}

static void rounds_sizes_down(void **state)
{
	static const struct {
		uint32_t mss;
		int index;
	} cases[] = { { 0, -1 },   { 535, -1 }, { 536, 0 },  { 1219, 0 }, { 1220, 1 },
		      { 1439, 4 }, { 1440, 5 }, { 1460, 6 }, { 8939, 6 }, { 65535, 7 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cookie_mss_index(cases[i].mss), cases[i].index);
}

static void knows_the_place_of_a_segment(void **state)
{
	static const struct {
		const char *name;
		uint32_t seq, ack; /* over the connection's first byte, and ours */
		enum cookie_place place;
	} cases[] = {
		{ "first payload", 0, 0, COOKIE_FIRST },
		{ "keepalive probe", (uint32_t)-1, 0, COOKIE_BEFORE },
		{ "second segment", 1448, 0, COOKIE_AHEAD },
		{ "last of the window", 65535, 0, COOKIE_AHEAD },
		{ "behind the window", 65536, 0, COOKIE_INVALID },
		{ "long before", (uint32_t)-2, 0, COOKIE_INVALID },
		{ "the ACK of both FINs", 1, 1, COOKIE_FIRST },
		{ "an ACK of more than we sent", 0, 1000, COOKIE_INVALID },
	};
	const struct flow_key flow = ipv4_flow();
	const uint32_t cookie = make(&flow, CLIENT_ISN, now_ns, 0, 6);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum cookie_place place = cookie_check(&key, &flow, cookie + cases[i].ack,
						       CLIENT_ISN + 1 + cases[i].seq, now_ns);

		if (place != cases[i].place)
			fail_msg("%s: %d, expected %d", cases[i].name, place, cases[i].place);
	}
}

static void expires(void **state)
{
	const uint64_t period_ns = 1ull << COOKIE_PERIOD_SHIFT;
	const struct flow_key flow = ipv4_flow();
	const uint32_t cookie = make(&flow, CLIENT_ISN, now_ns, 1, 3);

	(void)state;
	for (uint64_t i = 0; i < 300; i++) {
		bool is_good = i <= COOKIE_AGE_MAX;

		assert_int_equal(cookie_check(&key, &flow, cookie, CLIENT_ISN + 1,
					      now_ns + i * period_ns),
				 is_good ? COOKIE_FIRST : COOKIE_INVALID);
	}
	/* Nor is one from the future good. */
	assert_int_equal(cookie_check(&key, &flow, cookie, CLIENT_ISN + 1, now_ns - period_ns),
			 COOKIE_INVALID);
	assert_int_equal(cookie_check(&key, &flow, cookie, CLIENT_ISN + 1, 0), COOKIE_INVALID);
}

static void belongs_to_one_connection(void **state)
{
	const struct flow_key flow = ipv6_flow();
	const uint32_t cookie = make(&flow, CLIENT_ISN, now_ns, 0, 6);
	const struct cookie_key none = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(flow); i++) {
		struct flow_key other = flow;

		((uint8_t *)&other)[i] ^= 1;
		if (cookie_check(&key, &other, cookie, CLIENT_ISN + 1, now_ns) == COOKIE_FIRST)
			fail_msg("byte %zu of the key makes no difference", i);
	}
	assert_int_not_equal(cookie_check(&other_key, &flow, cookie, CLIENT_ISN + 1, now_ns),
			     COOKIE_FIRST);
	assert_int_equal(cookie_check(&none, &flow, cookie, CLIENT_ISN + 1, now_ns),
			 COOKIE_INVALID);
	for (int bit = COOKIE_CHECK_BITS; bit < 32; bit++)
		assert_int_not_equal(cookie_check(&key, &flow, cookie ^ 1u << bit, CLIENT_ISN + 1,
						  now_ns),
				     COOKIE_FIRST);
}

/* Of 200,000 guesses about 0.003 are right: two would be a bad hash. */
static void is_not_guessed(void **state)
{
	const struct flow_key flow = ipv4_flow();
	int right = 0;

	(void)state;
	for (uint32_t i = 0; i < FORGED; i++) {
		uint32_t numbers[2];

		random_bytes(numbers, sizeof(numbers));
		right += cookie_check(&key, &flow, numbers[0], numbers[1], now_ns) == COOKIE_FIRST;
	}
	assert_true(right < 2);
}

/* As the kernel's: each goes on from the one before, whatever options it carries. */
static void lets_time_go_on(void **state)
{
	uint32_t last = cookie_timestamp(0, 0xffffff00, 0);

	(void)state;
	for (uint64_t ms = 64; ms < 100000; ms += 64) {
		uint32_t next = cookie_timestamp(ms * NS_PER_MS_COOKIE, 0xffffff00, ms & 63);

		assert_true((int32_t)(next - last) >= 0);
		last = next;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(brings_back_what_was_agreed),
		cmocka_unit_test(rounds_sizes_down),
		cmocka_unit_test(knows_the_place_of_a_segment),
		cmocka_unit_test(expires),
		cmocka_unit_test(belongs_to_one_connection),
		cmocka_unit_test(is_not_guessed),
		cmocka_unit_test(lets_time_go_on),
	};

	return cmocka_run_group_tests_name("cookie", tests, NULL, NULL);
}
