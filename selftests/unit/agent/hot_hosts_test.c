// SPDX-License-Identifier: Apache-2.0
/* Hot hosts: loads in, workers out; what lies between the thresholds changes nothing, and what goes
 * up and down changes less and less. The time is the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/hot_hosts.h"

enum { HOST = 7, TICK_MS = 1000, REST_MS = 30000, STEPS_MAX = 8 };

static const struct hot_hosts_rules usual = { .worker_count = 8,
					      .widen_permille = 600,
					      .rest_ms = REST_MS };

struct world {
	struct hot_hosts hosts;
	uint64_t now_ms;
};

static bool tick(struct world *world, const struct hot_hosts_rules *rules, uint32_t load_permille)
{
	const struct hot_host_load load = { HOST, load_permille };

	world->now_ms += TICK_MS;
	return hot_hosts_take(&world->hosts, rules, &load, load_permille ? 1 : 0, world->now_ms);
}

static uint16_t spread_of(const struct world *world)
{
	const struct hot_host *host = hot_hosts_find(&world->hosts, HOST);

	return host ? host->spread : 1;
}

/* @seconds of that load. */
struct step {
	uint32_t seconds, load_permille;
	uint16_t spread; /* afterwards */
};

static const struct {
	const char *name;
	struct step steps[STEPS_MAX];
} cases[] = {
	{ "a quiet host stays with its worker", { { 100, 300, 1 } } },
	{ "one at the threshold too", { { 100, 600, 1 } } },
	{ "a peak of a second changes nothing",
	  { { 10, 100, 1 }, { 1, 2000, 1 }, { 10, 100, 1 } } },
	{ "a load for two workers gets two", { { 20, 900, 2 } } },
	{ "a load for five gets eight, and no more than there are",
	  { { 60, 3000, 8 }, { 60, 9000, 8 } } },
	{ "what two bear stays with two", { { 20, 900, 2 }, { 600, 700, 2 } } },
	{ "less, but more than half of one's", { { 20, 900, 2 }, { 600, 320, 2 } } },
	{ "a pause shorter than the rest", { { 20, 900, 2 }, { 25, 0, 2 }, { 20, 900, 2 } } },
	{ "nothing for long enough", { { 20, 900, 2 }, { 40, 0, 1 } } },
	{ "back one step after the other",
	  { { 60, 4700, 8 }, { 33, 0, 4 }, { 31, 0, 2 }, { 31, 0, 1 } } },
	{ "less for long: half", { { 60, 4700, 8 }, { 60, 900, 4 }, { 600, 900, 4 } } },
};

static void test_loads_and_workers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world = { .now_ms = 0 };

		for (int n = 0; n < STEPS_MAX && cases[i].steps[n].seconds; n++) {
			const struct step *step = &cases[i].steps[n];

			for (uint32_t s = 0; s < step->seconds; s++)
				tick(&world, &usual, step->load_permille);
			if (spread_of(&world) != step->spread)
				fail_msg("%s: step %d: got %u workers, expected %u", cases[i].name,
					 n, spread_of(&world), step->spread);
		}
		hot_hosts_release(&world.hosts);
	}
}

/* Whatever a constant load is, in the end there are no changes. */
static void test_a_constant_load_settles(void **state)
{
	(void)state;
	for (uint32_t load = 0; load < 6000; load += 50) {
		struct world world = { .now_ms = 0 };

		for (int s = 0; s < 120; s++)
			tick(&world, &usual, load);
		for (int s = 0; s < 600; s++)
			if (tick(&world, &usual, load))
				fail_msg("load %u still changes", load);
		hot_hosts_release(&world.hosts);
	}
}

/* The worst there is: loud as long as it takes to be widened, quiet as long as it takes to be
 * narrowed. */
static void test_flapping_is_bounded(void **state)
{
	struct world world = { .now_ms = 0 };
	uint64_t changes = 0;

	(void)state;
	for (int s = 0; s < 4 * 3600; s++)
		changes += tick(&world, &usual, spread_of(&world) == 1 ? 1000 : 0);
	/* Without backoff there would be two changes in 40 seconds, 720 in all. */
	assert_true(changes > 10);
	assert_true(changes <= 2u * (4 * 3600 * 1000u / (REST_MS * HOT_HOSTS_BACKOFF_MAX) + 5));
	assert_int_equal(world.hosts.widened_count + world.hosts.narrowed_count, changes);
	hot_hosts_release(&world.hosts);
}

static void test_backoff_is_forgiven(void **state)
{
	struct world world = { .now_ms = 0 };

	(void)state;
	for (int round = 0; round < 3; round++) {
		while (spread_of(&world) == 1)
			tick(&world, &usual, 1000);
		while (spread_of(&world) == 2)
			tick(&world, &usual, 0);
	}
	for (int s = 0; s < REST_MS / 1000 * HOT_HOSTS_FORGIVEN_AFTER + 10; s++)
		tick(&world, &usual, 100);
	while (spread_of(&world) == 1)
		tick(&world, &usual, 1000);
	assert_int_equal(hot_hosts_find(&world.hosts, HOST)->backoff, 1);
	hot_hosts_release(&world.hosts);
}

/* Rules may change at any time: fewer workers, or none is to be widened any more. */
static void test_other_rules(void **state)
{
	struct hot_hosts_rules rules = usual;
	struct world world = { .now_ms = 0 };

	(void)state;
	for (int s = 0; s < 60; s++)
		tick(&world, &rules, 4700);
	assert_int_equal(spread_of(&world), 8);
	rules.worker_count = 3;
	assert_true(tick(&world, &rules, 4700));
	assert_int_equal(spread_of(&world), 3);
	rules.widen_permille = 0;
	for (int s = 0; s < 70; s++)
		tick(&world, &rules, 4700);
	assert_int_equal(spread_of(&world), 1);
	hot_hosts_release(&world.hosts);
}

static void test_many_hosts_are_told_apart_and_forgotten(void **state)
{
	static struct hot_host_load loads[2 * HOT_HOSTS_MAX];
	struct hot_hosts hosts = { .widened_count = 0 };
	uint64_t now_ms = 0;

	(void)state;
	for (size_t i = 0; i < 2 * HOT_HOSTS_MAX; i++)
		loads[i] = (struct hot_host_load){ i * 3, i % 2 ? 900 : 10 };
	for (int s = 0; s < 10; s++)
		hot_hosts_take(&hosts, &usual, loads, 2 * HOT_HOSTS_MAX, now_ms += TICK_MS);
	assert_int_equal(hosts.list.len, HOT_HOSTS_MAX);
	for (size_t i = 0; i < HOT_HOSTS_MAX; i++)
		assert_int_equal(hot_hosts_find(&hosts, i * 3)->spread, i % 2 ? 2 : 1);
	assert_null(hot_hosts_find(&hosts, 1));
	for (int s = 0; s < 1000; s++)
		hot_hosts_take(&hosts, &usual, NULL, 0, now_ms += TICK_MS);
	assert_int_equal(hosts.list.len, 0);
	hot_hosts_release(&hosts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads_and_workers),
		cmocka_unit_test(test_a_constant_load_settles),
		cmocka_unit_test(test_flapping_is_bounded),
		cmocka_unit_test(test_backoff_is_forgiven),
		cmocka_unit_test(test_other_rules),
		cmocka_unit_test(test_many_hosts_are_told_apart_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
