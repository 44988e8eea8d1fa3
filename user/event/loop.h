/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop: one thread's wait for descriptors, timers and wakeups.
 *
 * A worker turns one loop, the agent turns one. Everything but loop_wake belongs
 * to the thread that turns it. All structs are the caller's and are embedded in
 * what they serve; the loop links them and allocates nothing after init.
 *
 *   loop_run:   ┌─► epoll_wait ─► watches ─► timers that are due ─► tasks ─┐
 *               └──────────────────────────────────────────────────────────┘
 *
 * Watches are edge-triggered and registered once: a connection costs one
 * epoll_ctl in its life, however many requests it carries. Whoever gets an edge
 * reads or writes until the kernel has no more (a short read says so).
 *
 * What an event touches may be closed by an earlier event of the same turn.
 * Memory that a watch lives in is therefore given back from a task
 * (loop_defer), which runs after all events of the turn.
 */
#ifndef SLUICE_EVENT_LOOP_H
#define SLUICE_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* ------------------------------------------------------------------ watches */

enum loop_events {
	LOOP_READABLE = 1u << 0,
	LOOP_WRITABLE = 1u << 1,
	LOOP_PEER_CLOSED = 1u << 2, /* the peer has sent its FIN; data may stand before it */
	LOOP_FAILED = 1u << 3,      /* error or both directions closed */
};

struct loop_watch {
	int fd; /* -1 when not watched; stays the caller's to close */
	/* In a turn its event comes before those of others, who would act on what it is about to
	 * say. */
	bool goes_first;
	/* @events: what came up since the last call */
	void (*on_event)(struct loop_watch *watch, uint32_t events);
};

/* ------------------------------------------------------------------- timers */

struct loop_timer {
	/* this loop's thread only */
	struct loop_timer *next, *prev; /* NULL when not armed */
	uint64_t due_ms;                /* monotonic; may be later than where it is linked */
	void (*on_due)(struct loop_timer *timer);
};

/* -------------------------------------------------------------------- tasks */

struct loop_task {
	struct loop_task *next;
	bool is_queued;
	void (*run)(struct loop_task *task);
};

/* --------------------------------------------------------------------- loop */

enum {
	LOOP_TICK_MS = 8,
	LOOP_WHEEL_SLOTS = 8192, /* a turn of the wheel is 65 s; later timers go round again */
	LOOP_EVENTS_MAX = 256,   /* events taken at once */
};

struct loop {
	/* fixed after init */
	int epoll_fd;
	struct loop_watch wake_watch;
	void (*on_wake)(struct loop *loop);
	void *owner; /* whoever embeds the loop; for on_wake */
	/* this thread only */
	uint64_t now_ns; /* monotonic, read once a turn */
	uint64_t now_ms;
	uint64_t turning_ms; /* when the present turn began; 0 while it waits. Others may read it */
	bool is_stopping;
	struct loop_task *first_task, **last_task;
	uint64_t wheel_tick; /* last tick that was looked at */
	uint32_t timer_count;
	struct loop_timer wheel[LOOP_WHEEL_SLOTS]; /* heads of rings */
	uint64_t occupied[LOOP_WHEEL_SLOTS / 64];  /* slots that may hold a timer */
};

/* @on_wake: called after loop_wake, in the loop's thread; may be NULL. 0 or -errno. */
int loop_init(struct loop *loop, void (*on_wake)(struct loop *loop), void *owner, struct err *err);
/* Closes the loop's own descriptors. Watches and timers are simply forgotten. */
void loop_release(struct loop *loop);

/* Turns until loop_stop. */
void loop_run(struct loop *loop);
/* One turn: waits at most @wait_ms (-1: as long as it takes). */
void loop_turn(struct loop *loop, int wait_ms);
/* Lets loop_run return after the present turn. */
void loop_stop(struct loop *loop);

/*
 * Watches watch->fd for reading, writing and the peer's end, edge-triggered,
 * until loop_unwatch or the descriptor is closed. 0 or -errno.
 */
int loop_watch(struct loop *loop, struct loop_watch *watch);
/*
 * The same without LOOP_WRITABLE, for a socket that is rarely full: it is not told on each ADD that
 * it can be written to. loop_watch_writable adds that, once a send fell short.
 */
int loop_watch_input(struct loop *loop, struct loop_watch *watch);
int loop_watch_writable(struct loop *loop, struct loop_watch *watch);
/* Level-triggered and for reading only: for listening sockets that are shared or left unread. */
int loop_watch_level(struct loop *loop, struct loop_watch *watch);
/*
 * Level-triggered for @events (readable, writable); again with others to change them. For libraries
 * that say from time to time what they wait for.
 */
int loop_watch_level_for(struct loop *loop, struct loop_watch *watch, uint32_t events);
void loop_unwatch(struct loop *loop, struct loop_watch *watch);

/*
 * Arms @timer for @due_ms, never early and at most one tick late. Putting off an
 * armed timer is one store: it is moved when the wheel comes to it.
 */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t due_ms);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/*
 * Runs @task after all events of this turn, once, however often it is asked for. A task that is
 * asked for by a task runs in the next turn, which then does not wait.
 */
void loop_defer(struct loop *loop, struct loop_task *task);
/* The task may be freed then. Not from within a task. */
void loop_undefer(struct loop *loop, struct loop_task *task);

/* From any thread or signal handler: on_wake runs soon. Wakes that meet are one. */
void loop_wake(struct loop *loop);

#endif
