// SPDX-License-Identifier: Apache-2.0
/*
 * loop: epoll, a timer wheel and an eventfd; see loop.h.
 *
 * The wheel has one level. A timer hangs in the slot of its due time modulo one
 * turn; a slot that comes up re-links what is not due yet. That makes putting a
 * timer off (what happens on each request) one store, and costs one look per
 * timer and turn of 65 s.
 *
 * A heap was refused: each request would move entries about. timerfd was
 * refused: epoll_wait's own timeout does, without a system call to arm it.
 */
#include "event/loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

enum { WHEEL_MASK = LOOP_WHEEL_SLOTS - 1, WORDS = LOOP_WHEEL_SLOTS / 64, WORD_MASK = WORDS - 1 };

/* ------------------------------------------------------------------- timers */

static uint32_t slot_of(uint64_t due_ms)
{
	return (uint32_t)((due_ms + LOOP_TICK_MS - 1) / LOOP_TICK_MS) & WHEEL_MASK;
}

static void link_timer(struct loop *loop, struct loop_timer *timer)
{
	uint64_t due_tick = (timer->due_ms + LOOP_TICK_MS - 1) / LOOP_TICK_MS;
	/* What is already due is found on the next tick. */
	uint32_t slot = due_tick > loop->wheel_tick ? slot_of(timer->due_ms)
						    : (uint32_t)(loop->wheel_tick + 1) & WHEEL_MASK;
	struct loop_timer *head = &loop->wheel[slot];

	timer->next = head;
	timer->prev = head->prev;
	head->prev->next = timer;
	head->prev = timer;
	loop->occupied[slot / 64] |= 1ull << slot % 64;
	loop->timer_count++;
}

static void unlink_timer(struct loop *loop, struct loop_timer *timer)
{
	timer->prev->next = timer->next;
	timer->next->prev = timer->prev;
	timer->next = timer->prev = NULL;
	loop->timer_count--;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t due_ms)
{
	bool is_put_off = timer->next && due_ms >= timer->due_ms;

	timer->due_ms = due_ms;
	if (is_put_off)
		return;
	if (timer->next)
		unlink_timer(loop, timer);
	link_timer(loop, timer);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	if (timer->next)
		unlink_timer(loop, timer);
}

/* Moves the slot's ring to @ring, so that timers set meanwhile are not met again. */
static void take_slot(struct loop *loop, uint32_t slot, struct loop_timer *ring)
{
	struct loop_timer *head = &loop->wheel[slot];

	loop->occupied[slot / 64] &= ~(1ull << slot % 64);
	if (head->next == head) {
		ring->next = ring->prev = ring;
		return;
	}
	*ring = *head;
	ring->next->prev = ring;
	ring->prev->next = ring;
	head->next = head->prev = head;
}

static void run_slot(struct loop *loop, uint32_t slot)
{
	struct loop_timer ring;

	take_slot(loop, slot, &ring);
	while (ring.next != &ring) {
		struct loop_timer *timer = ring.next;

		unlink_timer(loop, timer);
		if (timer->due_ms <= loop->now_ms)
			timer->on_due(timer);
		else
			link_timer(loop, timer);
	}
}

static void run_timers(struct loop *loop)
{
	uint64_t tick = loop->now_ms / LOOP_TICK_MS;

	if (loop->timer_count == 0 || tick - loop->wheel_tick > LOOP_WHEEL_SLOTS)
		loop->wheel_tick = loop->timer_count ? tick - LOOP_WHEEL_SLOTS : tick;
	while (loop->wheel_tick < tick) {
		uint32_t slot = (uint32_t)++loop->wheel_tick & WHEEL_MASK;

		if (loop->occupied[slot / 64] >> slot % 64 & 1)
			run_slot(loop, slot);
		else if (loop->occupied[slot / 64] == 0 && slot % 64 == 0 &&
			 tick - loop->wheel_tick > 64)
			loop->wheel_tick += 63; /* nothing in this word */
	}
}

/* Milliseconds until the next slot that may hold a timer; -1 where there is none. */
static int wait_for_timers(const struct loop *loop)
{
	uint32_t start = (uint32_t)(loop->wheel_tick + 1) & WHEEL_MASK;

	if (loop->timer_count == 0)
		return -1;
	for (uint32_t i = 0; i <= WORDS; i++) {
		uint32_t word = (start / 64 + i) & WORD_MASK;
		uint64_t bits = loop->occupied[word];
		uint64_t slot, ticks, at_ms;

		if (i == 0)
			bits &= ~0ull << start % 64;
		if (bits == 0)
			continue;
		slot = word * 64u + (uint32_t)__builtin_ctzll(bits);
		ticks = ((slot - start) & WHEEL_MASK) + 1;
		at_ms = (loop->wheel_tick + ticks) * LOOP_TICK_MS;
		return at_ms > loop->now_ms ? (int)(at_ms - loop->now_ms) : 0;
	}
	return LOOP_TICK_MS;
}

/* ------------------------------------------------------------------ watches */

static int add_watch(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? -errno : 0;
}

int loop_watch(struct loop *loop, struct loop_watch *watch)
{
	return add_watch(loop, watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int loop_watch_input(struct loop *loop, struct loop_watch *watch)
{
	return add_watch(loop, watch, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

int loop_watch_writable(struct loop *loop, struct loop_watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				     .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? -errno : 0;
}

int loop_watch_level(struct loop *loop, struct loop_watch *watch)
{
	return add_watch(loop, watch, EPOLLIN);
}

int loop_watch_level_for(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = (events & LOOP_READABLE ? EPOLLIN : 0u) |
					       (events & LOOP_WRITABLE ? EPOLLOUT : 0u),
				     .data.ptr = watch };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0 ? -errno : 0;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
	if (watch->fd >= 0)
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

static uint32_t events_of(uint32_t epoll)
{
	return (epoll & EPOLLIN ? LOOP_READABLE : 0u) | (epoll & EPOLLOUT ? LOOP_WRITABLE : 0u) |
	       (epoll & EPOLLRDHUP ? LOOP_PEER_CLOSED : 0u) |
	       (epoll & (EPOLLERR | EPOLLHUP) ? LOOP_FAILED : 0u);
}

/* ------------------------------------------------------------ tasks, wakeups */

void loop_defer(struct loop *loop, struct loop_task *task)
{
	if (task->is_queued)
		return;
	task->is_queued = true;
	task->next = NULL;
	*loop->last_task = task;
	loop->last_task = &task->next;
}

void loop_undefer(struct loop *loop, struct loop_task *task)
{
	struct loop_task **link = &loop->first_task;

	if (!task->is_queued)
		return;
	while (*link != task)
		link = &(*link)->next;
	*link = task->next;
	if (!task->next)
		loop->last_task = link;
	task->is_queued = false;
}

static void run_tasks(struct loop *loop)
{
	struct loop_task *task = loop->first_task;

	/* Only those asked for so far: a task that asks for itself must let others have a turn. */
	loop->first_task = NULL;
	loop->last_task = &loop->first_task;
	while (task) {
		struct loop_task *next = task->next;

		task->is_queued = false;
		task->run(task);
		task = next;
	}
}

void loop_wake(struct loop *loop)
{
	uint64_t one = 1;
	int saved = errno; /* callable from a signal handler */

	if (write(loop->wake_watch.fd, &one, sizeof(one)) < 0) {
		/* the counter is full: a wakeup is pending anyway */
	}
	errno = saved;
}

static void on_wake_event(struct loop_watch *watch, uint32_t events)
{
	struct loop *loop = (struct loop *)((char *)watch - offsetof(struct loop, wake_watch));
	uint64_t count;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) < 0)
		return; /* another turn has taken it */
	if (loop->on_wake)
		loop->on_wake(loop);
}

/* --------------------------------------------------------------------- loop */

static void read_clock(struct loop *loop)
{
	loop->now_ns = clock_monotonic_ns();
	loop->now_ms = loop->now_ns / NS_PER_MS;
}

int loop_init(struct loop *loop, void (*on_wake)(struct loop *loop), void *owner, struct err *err)
{
	int rc;

	*loop = (struct loop){ .on_wake = on_wake, .owner = owner };
	loop->last_task = &loop->first_task;
	loop->wake_watch.on_event = on_wake_event;
	for (int i = 0; i < LOOP_WHEEL_SLOTS; i++)
		loop->wheel[i].next = loop->wheel[i].prev = &loop->wheel[i];
	read_clock(loop);
	loop->wheel_tick = loop->now_ms / LOOP_TICK_MS;
	loop->wake_watch.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->wake_watch.fd >= 0 && loop->epoll_fd >= 0 &&
	    (rc = loop_watch_level(loop, &loop->wake_watch)) == 0)
		return 0;
	rc = err_set_os(err, -errno, "make an event loop");
	loop_release(loop);
	return rc;
}

void loop_release(struct loop *loop)
{
	if (loop->wake_watch.fd >= 0)
		close(loop->wake_watch.fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->wake_watch.fd = loop->epoll_fd = -1;
}

static void run_events(struct epoll_event *events, int count, bool is_first_pass)
{
	for (int i = 0; i < count; i++) {
		struct loop_watch *watch = events[i].data.ptr;

		if (!watch || (is_first_pass && !watch->goes_first))
			continue;
		events[i].data.ptr = NULL;
		if (watch->fd >= 0)
			watch->on_event(watch, events_of(events[i].events));
	}
}

void loop_turn(struct loop *loop, int wait_ms)
{
	struct epoll_event events[LOOP_EVENTS_MAX];
	int timers_ms = loop->first_task ? 0 : wait_for_timers(loop);
	int count;

	if (wait_ms < 0 || (timers_ms >= 0 && timers_ms < wait_ms))
		wait_ms = timers_ms;
	__atomic_store_n(&loop->turning_ms, 0, __ATOMIC_RELAXED);
	count = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS_MAX, wait_ms);
	read_clock(loop);
	__atomic_store_n(&loop->turning_ms, loop->now_ms, __ATOMIC_RELAXED);
	run_events(events, count, true);
	run_events(events, count, false);
	run_timers(loop);
	run_tasks(loop);
}

void loop_run(struct loop *loop)
{
	while (!loop->is_stopping)
		loop_turn(loop, -1);
}

void loop_stop(struct loop *loop)
{
	loop->is_stopping = true;
}
