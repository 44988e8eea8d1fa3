// SPDX-License-Identifier: Apache-2.0
/* How busy a worker is, from its heartbeats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/steering.h"

static const struct {
	const char *name;
	struct steering_beat before;
	uint64_t heartbeat_ms, cpu_us;
	uint32_t expected;
} cases[] = {
	{ "the first one says nothing", { 0, 0, 0 }, 1000, 900000, 0 },
	{ "half", { 1000, 0, 0 }, 2000, 500000, 500 },
	{ "all, and a rounding more", { 1000, 0, 0 }, 2000, 1000900, 1000 },
	{ "in steps", { 1000, 0, 0 }, 2000, 149999, 100 },
	{ "no new heartbeat", { 1000, 0, 350 }, 1000, 500000, 350 },
	{ "a heartbeat whose microseconds are 0 again",
	  { 1000, 0, 350 },
	  1000 + (1ull << 61),
	  500000,
	  350 },
	{ "another proxy counts anew", { 1000, 900000, 350 }, 2000, 0, 0 },
};

static void test_load(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct steering_beat beat = cases[i].before;

		steering_beat_take(&beat, cases[i].heartbeat_ms, cases[i].cpu_us);
		if (beat.load_permille != cases[i].expected)
			fail_msg("%s: got %u, expected %u", cases[i].name, beat.load_permille,
				 cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_load) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
