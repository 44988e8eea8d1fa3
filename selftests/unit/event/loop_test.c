// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/random.h"
#include "event/loop.h"

static struct loop loop;
static uint64_t now_ms;
static int wakes;

static void on_wake(struct loop *woken)
{
	assert_ptr_equal(woken->owner, &wakes);
	wakes++;
}

/* The loop's clock moves only here; the first value is far from zero, as in life. */
static void set_now(uint64_t ms)
{
	now_ms = ms;
	clock_freeze(ms * NS_PER_MS + 1, 1);
}

static int begin(void **state)
{
	(void)state;
	set_now(123456);
	wakes = 0;
	return loop_init(&loop, on_wake, &wakes, NULL);
}

static int end(void **state)
{
	(void)state;
	loop_release(&loop);
	clock_freeze(0, 0);
	return 0;
}

/* ------------------------------------------------------------------- timers */

struct alarm {
	struct loop_timer timer;
	uint64_t fired_ms;
	int count;
	uint64_t again_ms; /* sets itself so much later; 0: not again */
};

static void on_due(struct loop_timer *timer)
{
	struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

	alarm->fired_ms = loop.now_ms;
	alarm->count++;
	if (alarm->again_ms)
		loop_timer_set(&loop, timer, loop.now_ms + alarm->again_ms);
}

static void step_to(uint64_t ms, uint64_t step_ms)
{
	while (now_ms < ms) {
		set_now(now_ms + step_ms < ms ? now_ms + step_ms : ms);
		loop_turn(&loop, 0);
	}
}

static void test_timer_is_never_early_and_a_tick_late_at_most(void **state)
{
	static const uint64_t delays[] = { 0,     1,     7,     8,     9,      100,   1000,
					   65528, 65536, 65544, 75000, 600000, 123457 };

	(void)state;
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		struct alarm alarm = { .timer.on_due = on_due };
		uint64_t due_ms = now_ms + delays[i];

		loop_turn(&loop, 0);
		loop_timer_set(&loop, &alarm.timer, due_ms);
		step_to(due_ms + 2 * LOOP_TICK_MS, 1);
		assert_int_equal(alarm.count, 1);
		assert_true(alarm.fired_ms >= due_ms);
		assert_true(alarm.fired_ms <= due_ms + LOOP_TICK_MS);
		assert_int_equal(loop.timer_count, 0);
	}
}

static void test_timer_can_be_put_off_brought_forward_cleared(void **state)
{
	struct alarm alarm = { .timer.on_due = on_due };
	uint64_t start_ms = now_ms;

	(void)state;
	loop_timer_set(&loop, &alarm.timer, start_ms + 100);
	for (int i = 0; i < 50; i++) {
		step_to(now_ms + 90, 10);
		loop_timer_set(&loop, &alarm.timer, now_ms + 100);
	}
	assert_int_equal(alarm.count, 0);
	loop_timer_set(&loop, &alarm.timer, now_ms + 10);
	step_to(now_ms + 10 + LOOP_TICK_MS, 1);
	assert_int_equal(alarm.count, 1);
	loop_timer_set(&loop, &alarm.timer, now_ms + 50);
	loop_timer_clear(&loop, &alarm.timer);
	loop_timer_clear(&loop, &alarm.timer);
	step_to(now_ms + 200, 7);
	assert_int_equal(alarm.count, 1);
	assert_int_equal(loop.timer_count, 0);
}

static void test_timers_fire_after_a_long_sleep(void **state)
{
	struct alarm alarms[100] = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++) {
		alarms[i].timer.on_due = on_due;
		loop_timer_set(&loop, &alarms[i].timer, now_ms + (uint64_t)i * 1000);
	}
	set_now(now_ms + 10ull * 3600 * 1000); /* a machine that was suspended */
	loop_turn(&loop, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(alarms[i].count, 1);
}

static void test_timer_sets_itself_again(void **state)
{
	struct alarm alarm = { .timer.on_due = on_due, .again_ms = 1000 };

	(void)state;
	loop_timer_set(&loop, &alarm.timer, now_ms + 1000);
	step_to(now_ms + 100 * 1000, 13);
	assert_in_range(alarm.count, 98, 100);
	loop_timer_clear(&loop, &alarm.timer);
}

/* What the wheel does, held against what a list would do. */
static void test_timers_at_random(void **state)
{
	enum { COUNT = 300, ROUNDS = 5000 };
	static struct alarm alarms[COUNT];
	static uint64_t due[COUNT]; /* 0: not armed */
	struct random random;

	(void)state;
	random_init(&random, 7);
	for (int i = 0; i < COUNT; i++)
		alarms[i] = (struct alarm){ .timer.on_due = on_due };
	for (int round = 0; round < ROUNDS; round++) {
		uint32_t i = random_below(&random, COUNT);

		due[i] = now_ms + random_below(&random, random_below(&random, 10) ? 300 : 100000);
		loop_timer_set(&loop, &alarms[i].timer, due[i]);
		i = random_below(&random, COUNT);
		if (random_below(&random, 4) == 0) {
			due[i] = 0;
			loop_timer_clear(&loop, &alarms[i].timer);
		}
		set_now(now_ms + random_below(&random, random_below(&random, 50) ? 30 : 5000));
		for (int k = 0; k < COUNT; k++)
			alarms[k].count = 0;
		loop_turn(&loop, 0);
		for (int k = 0; k < COUNT; k++) {
			if (alarms[k].count == 0) {
				assert_true(due[k] == 0 || due[k] + LOOP_TICK_MS > now_ms);
				continue;
			}
			assert_true(due[k] != 0 && due[k] <= now_ms);
			assert_int_equal(alarms[k].count, 1);
			due[k] = 0;
		}
	}
}

static void test_wait_ends_with_the_timer(void **state)
{
	struct alarm alarm = { .timer.on_due = on_due };
	uint64_t began_ms;

	(void)state;
	clock_freeze(0, 0); /* real time */
	loop_turn(&loop, 0);
	began_ms = clock_monotonic_ns() / NS_PER_MS;
	loop_timer_set(&loop, &alarm.timer, began_ms + 30);
	while (alarm.count == 0)
		loop_turn(&loop, -1);
	assert_true(alarm.fired_ms >= began_ms + 30);
}

/* -------------------------------------------------------------------- tasks */

struct chore {
	struct loop_task task;
	int count;
	bool is_endless;
};

static void run_chore(struct loop_task *task)
{
	struct chore *chore = CONTAINER_OF(task, struct chore, task);

	chore->count++;
	if (chore->is_endless)
		loop_defer(&loop, task);
}

static void test_task_runs_once_and_an_endless_one_once_a_turn(void **state)
{
	struct chore once = { .task.run = run_chore };
	struct chore endless = { .task.run = run_chore, .is_endless = true };

	(void)state;
	loop_defer(&loop, &endless.task);
	loop_defer(&loop, &once.task);
	loop_defer(&loop, &once.task);
	for (int i = 1; i <= 5; i++) {
		loop_turn(&loop, -1); /* does not wait: there is a task */
		assert_int_equal(once.count, 1);
		assert_int_equal(endless.count, i);
	}
	endless.is_endless = false;
	loop_turn(&loop, -1);
}

/* -------------------------------------------------------------------- watches */

struct seen {
	struct loop_watch watch;
	uint32_t events;
	int count;
};

static void on_event(struct loop_watch *watch, uint32_t events)
{
	struct seen *seen = CONTAINER_OF(watch, struct seen, watch);

	seen->events |= events;
	seen->count++;
}

static void test_edges(void **state)
{
	struct seen seen = { .watch.on_event = on_event };
	char bytes[16];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	seen.watch.fd = pair[0];
	assert_int_equal(loop_watch_input(&loop, &seen.watch), 0);
	loop_turn(&loop, 0);
	assert_int_equal(seen.count, 0); /* that it can be written to is not told */
	assert_int_equal(write(pair[1], "x", 1), 1);
	loop_turn(&loop, 0);
	assert_int_equal(seen.events, LOOP_READABLE);
	loop_turn(&loop, 0);
	assert_int_equal(seen.count, 1); /* once for each edge */
	assert_int_equal(loop_watch_writable(&loop, &seen.watch), 0);
	seen.events = 0;
	loop_turn(&loop, 0);
	assert_int_equal(seen.events, LOOP_READABLE | LOOP_WRITABLE);
	assert_int_equal(read(pair[0], bytes, sizeof(bytes)), 1);
	shutdown(pair[1], SHUT_WR);
	seen.events = 0;
	loop_turn(&loop, 0);
	assert_true(seen.events & LOOP_PEER_CLOSED);
	assert_false(seen.events & LOOP_FAILED);
	close(pair[1]);
	seen.events = 0;
	loop_turn(&loop, 0);
	assert_true(seen.events & LOOP_FAILED);
	loop_unwatch(&loop, &seen.watch);
	close(pair[0]);
}

static struct seen *victim;

static void close_victim(struct loop_watch *watch, uint32_t events)
{
	on_event(watch, events);
	if (victim->watch.fd < 0)
		return;
	close(victim->watch.fd);
	victim->watch.fd = -1;
}

static void test_closed_watch_is_not_called_in_the_same_turn(void **state)
{
	struct seen first = { .watch.on_event = close_victim }, second = first;
	int a[2], b[2];

	(void)state;
	second.watch.on_event = on_event;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b), 0);
	first.watch.fd = a[0];
	second.watch.fd = b[0];
	victim = &second;
	assert_int_equal(loop_watch_input(&loop, &first.watch), 0);
	assert_int_equal(loop_watch_input(&loop, &second.watch), 0);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	loop_turn(&loop, 0);
	assert_int_equal(first.count, 1);
	assert_int_equal(second.count, 0);
	close(a[0]);
	close(a[1]);
	close(b[1]);
}

/* -------------------------------------------------------------------- wakeups */

static void *wake_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		loop_wake(&loop);
	return NULL;
}

static void test_wakeups_meet(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, wake_often, NULL), 0);
	loop_turn(&loop, -1);
	assert_true(wakes >= 1);
	pthread_join(thread, NULL);
	loop_turn(&loop, 0);
	wakes = 0;
	loop_turn(&loop, 0);
	assert_int_equal(wakes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timer_is_never_early_and_a_tick_late_at_most,
						begin, end),
		cmocka_unit_test_setup_teardown(test_timer_can_be_put_off_brought_forward_cleared,
						begin, end),
		cmocka_unit_test_setup_teardown(test_timers_fire_after_a_long_sleep, begin, end),
		cmocka_unit_test_setup_teardown(test_timer_sets_itself_again, begin, end),
		cmocka_unit_test_setup_teardown(test_timers_at_random, begin, end),
		cmocka_unit_test_setup_teardown(test_wait_ends_with_the_timer, begin, end),
		cmocka_unit_test_setup_teardown(test_task_runs_once_and_an_endless_one_once_a_turn,
						begin, end),
		cmocka_unit_test_setup_teardown(test_edges, begin, end),
		cmocka_unit_test_setup_teardown(test_closed_watch_is_not_called_in_the_same_turn,
						begin, end),
		cmocka_unit_test_setup_teardown(test_wakeups_meet, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
