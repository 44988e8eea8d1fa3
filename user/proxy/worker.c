// SPDX-License-Identifier: Apache-2.0
/*
 * worker: see worker.h. Besides the thread's life it holds what happens between two
 * events: taking up a config, taking connections from the mailbox, the heartbeat.
 */
#include "proxy/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/accept.h"
#include "proxy/conn.h"
#include "proxy/handoff.h"
#include "proxy/stream.h"
#include "proxy/worker_tls.h"

enum {
	CONNECTIONS_DEFAULT = 65536,
	CONNECTIONS_SLACK = 256, /* being closed in this turn */
	UPSTREAM_IDLE_DEFAULT = 512,
	REQUEST_HEAD_TIMEOUT_DEFAULT_MS = 10 * 1000,
	KEEPALIVE_TIMEOUT_DEFAULT_MS = 75 * 1000,
	CLIENT_GAP_DEFAULT_MS = 60 * 1000,
	UPSTREAM_IDLE_TIMEOUT_DEFAULT_MS = 60 * 1000,
	PARSERS_MAX = 65536,
	HEARTBEAT_MS = 500,
};

struct worker_settings worker_settings_default(void)
{
	return (struct worker_settings){
		.worker_count = 1,
		.connections_max = CONNECTIONS_DEFAULT,
		.upstream_idle_max = UPSTREAM_IDLE_DEFAULT,
		.request_head_timeout_ms = REQUEST_HEAD_TIMEOUT_DEFAULT_MS,
		.keepalive_timeout_ms = KEEPALIVE_TIMEOUT_DEFAULT_MS,
		.client_send_timeout_ms = CLIENT_GAP_DEFAULT_MS,
		.client_body_timeout_ms = CLIENT_GAP_DEFAULT_MS,
		.upstream_idle_timeout_ms = UPSTREAM_IDLE_TIMEOUT_DEFAULT_MS,
	};
}

/* ------------------------------------------------------------------ the time */

struct str worker_date(struct worker *worker)
{
	uint64_t now_ms = worker->loop.now_ms;

	if (now_ms >= worker->date_until_ms) {
		uint64_t wall_ms = clock_wall_ns() / NS_PER_MS;

		date_write(wall_ms / 1000, worker->date_text);
		worker->date_until_ms = now_ms + 1000 - wall_ms % 1000;
		worker->wall_offset_ms = wall_ms - now_ms;
	}
	return str_of(worker->date_text, DATE_BYTES);
}

/* Since the last heartbeat; the counter outlives the thread, so it gets differences. */
static uint64_t take_cpu_us(struct worker *worker)
{
	uint64_t now_us = clock_thread_cpu_ns() / NS_PER_US;
	uint64_t taken_us = now_us - worker->cpu_us;

	worker->cpu_us = now_us;
	return taken_us;
}

static void on_heartbeat(struct loop_timer *timer)
{
	struct worker *worker = CONTAINER_OF(timer, struct worker, heartbeat);

	/* The agent sees from these two how busy the thread is. */
	counter_add(&worker->counters->worker_cpu_us, take_cpu_us(worker));
	counter_set(&worker->counters->heartbeat_ms, worker->loop.now_ms);
	if (worker->is_accept_paused && !worker->is_draining) {
		worker->is_accept_paused = false;
		if (__atomic_load_n(&worker->is_accepting, __ATOMIC_ACQUIRE))
			accept_start(worker);
	}
	loop_timer_set(&worker->loop, timer, worker->loop.now_ms + HEARTBEAT_MS);
}

/* --------------------------------------------------------------- new configs */

static void mark_present(const struct endpoints *endpoints, const struct endpoint **by_id)
{
	for (uint32_t i = 0; i < endpoints->endpoint_count; i++)
		by_id[endpoints->endpoints[i].id] = &endpoints->endpoints[i];
}

/* Connections to endpoints that are no more do not wait for requests that never come. */
static void close_gone_upstreams(struct worker *worker, const struct endpoints *endpoints)
{
	const struct endpoint **by_id =
		mem_try_new(endpoints->endpoint_id_limit + 1, sizeof(const struct endpoint *));
	struct pool_walk walk = { 0 };
	struct upstream *upstream;

	if (!by_id)
		return; /* the idle timeout gets them */
	mark_present(endpoints, by_id);
	while ((upstream = pool_walk_next(&worker->upstreams, &walk))) {
		const struct endpoint *endpoint = NULL;
		struct addr addr = { 0 };

		if (upstream->state != UPSTREAM_IDLE)
			continue;
		if (upstream->endpoint_id < endpoints->endpoint_id_limit)
			endpoint = by_id[upstream->endpoint_id];
		if (endpoint)
			addr = endpoint_addr(endpoint);
		if (!endpoint || !addr_eq(&addr, &upstream->addr))
			upstream_close(upstream);
	}
	mem_free(by_id);
}

static void use_endpoints(struct worker *worker, const struct endpoints *endpoints)
{
	/* Without memory the new ones are not balanced to, and not pooled: 503, until it is back.
	 */
	if (balance_reserve(&worker->balance, endpoints->slot_count) < 0 ||
	    upstream_pool_reserve(&worker->upstream_pool, endpoints->endpoint_id_limit) < 0)
		log_error("proxy", "worker %u: no memory for new endpoints", worker->index);
	close_gone_upstreams(worker, endpoints);
	counter_set(&worker->counters->endpoints_generation, endpoints->generation);
}

static void start_draining(struct worker *worker)
{
	worker->is_draining = true;
	conn_drain_idle(worker);
	accept_rest(worker);
}

static uint32_t said_or(uint32_t said, uint32_t otherwise)
{
	return said ? said : otherwise;
}

static void use_settings(struct worker *worker, const struct config_settings *said)
{
	struct worker_settings defaults = worker_settings_default();
	struct worker_settings *own = &worker->own_settings;

	own->trust = said->trust;
	own->request_head_timeout_ms =
		said_or(said->request_head_timeout_ms, defaults.request_head_timeout_ms);
	own->keepalive_timeout_ms =
		said_or(said->keepalive_timeout_ms, defaults.keepalive_timeout_ms);
	own->upstream_idle_timeout_ms =
		said_or(said->upstream_idle_timeout_ms, defaults.upstream_idle_timeout_ms);
}

/* Connections of those who are denied now end; who is allowed is asked of new ones alone. */
static void use_sources(struct worker *worker, const struct sources *sources)
{
	for (uint32_t i = 0; i < worker->listener_count; i++)
		worker->listeners[i].allow = sources_allow(sources, &worker->listeners[i].addr);
	if (sources_deny(sources))
		conn_end_denied(worker, sources);
}

static void take_up_config(struct worker *worker)
{
	const struct config *next = __atomic_load_n(&worker->next_config, __ATOMIC_ACQUIRE);
	const struct config *old = worker->config;

	if (next == old)
		return;
	worker->config = next;
	if (next->has_settings)
		use_settings(worker, &next->settings);
	worker_tls_set_config(worker->tls, next);
	if (next->endpoints && (!old || next->endpoints != old->endpoints))
		use_endpoints(worker, next->endpoints);
	if (next->sources && (!old || next->sources != old->sources))
		use_sources(worker, next->sources);
	if (next->image)
		counter_set(&worker->counters->image_generation, next->image->generation);
	if (next->certs)
		counter_set(&worker->counters->certs_generation, next->certs->generation);
	if (next->is_draining && !worker->is_draining)
		start_draining(worker);
	__atomic_store_n(&worker->config_serial, next->serial, __ATOMIC_RELEASE);
	if (worker->main_loop)
		loop_wake(worker->main_loop);
}

static void on_wake(struct loop *loop)
{
	struct worker *worker = loop->owner;

	take_up_config(worker);
	if (__atomic_load_n(&worker->is_accepting, __ATOMIC_ACQUIRE) && !worker->is_draining &&
	    !worker->is_accept_paused)
		accept_start(worker);
	handoff_take_all(worker);
	if (__atomic_load_n(&worker->is_stop_asked, __ATOMIC_ACQUIRE))
		loop_stop(loop);
}

void worker_publish(struct worker *worker, const struct config *config)
{
	__atomic_store_n(&worker->next_config, config, __ATOMIC_RELEASE);
	loop_wake(&worker->loop);
}

void worker_accept_now(struct worker *worker)
{
	__atomic_store_n(&worker->is_accepting, true, __ATOMIC_RELEASE);
	loop_wake(&worker->loop);
}

void worker_stop(struct worker *worker)
{
	__atomic_store_n(&worker->is_stop_asked, true, __ATOMIC_RELEASE);
	loop_wake(&worker->loop);
}

/* ------------------------------------------------------------------- its life */

static int init_scratch(struct worker *worker)
{
	worker->scratch = mem_try_new(1, SCRATCH_HEADROOM + SCRATCH_RX_BYTES + SCRATCH_TAILROOM);
	worker->tx = mem_try_new(1, SCRATCH_TX_BYTES);
	worker->cipher_in = mem_try_new(1, CIPHER_IN_BYTES + H1_HEAD_BYTES_DEFAULT);
	worker->cipher_out = mem_try_new(1, CIPHER_OUT_BYTES);
	if (!worker->scratch || !worker->tx || !worker->cipher_in || !worker->cipher_out)
		return -ENOMEM;
	worker->rx = worker->scratch + SCRATCH_HEADROOM;
	return 0;
}

static void init_pools(struct worker *worker)
{
	size_t connections = worker->settings->connections_max + CONNECTIONS_SLACK;

	blocks_init(&worker->blocks, WORKER_BLOCK_BYTES_MAX);
	pool_init(&worker->conns, sizeof(struct conn), connections);
	pool_init(&worker->streams, sizeof(struct stream), connections);
	pool_init(&worker->upstreams, sizeof(struct upstream), connections);
	pool_init(&worker->request_parsers, sizeof(struct h1_request), PARSERS_MAX);
	pool_init(&worker->response_parsers, sizeof(struct h1_response), PARSERS_MAX);
}

/*
 * Levels begin and end with the worker; what is counted stays. A proxy that was killed left its
 * levels in the memory that this one counts in.
 */
static void reset_levels(struct counters *counters)
{
	counter_set(&counters->connections_active, 0);
	counter_set(&counters->streams_active, 0);
	counter_set(&counters->tunnels_active, 0);
	counter_set(&counters->upstream_connections_active, 0);
	counter_set(&counters->upstream_connections_idle, 0);
	counter_set(&counters->image_generation, 0);
	counter_set(&counters->endpoints_generation, 0);
	counter_set(&counters->certs_generation, 0);
}

int worker_init(struct worker *worker, uint32_t index, const struct worker_settings *settings,
		struct counters *counters, struct err *err)
{
	int rc;

	memset(worker, 0, sizeof(*worker));
	worker->index = index;
	worker->cpu = -1;
	worker->own_settings = *settings;
	worker->settings = &worker->own_settings;
	worker->counters = counters;
	worker->accept_batch = 1;
	reset_levels(counters);
	init_pools(worker);
	random_init(&worker->random, 0);
	balance_init(&worker->balance, 0);
	rc = loop_init(&worker->loop, on_wake, worker, err);
	if (rc < 0)
		return rc;
	worker->heartbeat.on_due = on_heartbeat;
	loop_timer_set(&worker->loop, &worker->heartbeat, worker->loop.now_ms);
	if (init_scratch(worker) < 0 || mailbox_init(&worker->mailbox) < 0) {
		rc = err_set(err, -ENOMEM, "no memory for worker %u", index);
		goto err_memory;
	}
	rc = worker_tls_new(&worker->tls, err);
	if (rc < 0)
		goto err_memory;
	return 0;

err_memory:
	worker_release(worker);
	return rc;
}

void worker_release(struct worker *worker)
{
	accept_stop(worker);
	conn_close_all(worker);
	upstream_close_all(worker);
	worker->loop.on_wake = NULL;
	/* Here another thread turns the loop, and its CPU time is not the worker's. */
	loop_timer_clear(&worker->loop, &worker->heartbeat);
	loop_turn(&worker->loop, 0); /* what was closed goes back to its pool */
	mailbox_release(&worker->mailbox);
	reset_levels(worker->counters);
	loop_release(&worker->loop);
	worker_tls_free(worker->tls);
	balance_release(&worker->balance);
	upstream_pool_release(&worker->upstream_pool);
	log_ring_release(&worker->log);
	blocks_release(&worker->blocks);
	pool_release(&worker->conns);
	pool_release(&worker->streams);
	pool_release(&worker->upstreams);
	pool_release(&worker->request_parsers);
	pool_release(&worker->response_parsers);
	mem_free(worker->scratch);
	mem_free(worker->tx);
	mem_free(worker->cipher_in);
	mem_free(worker->cipher_out);
}

int worker_add_listener(struct worker *worker, int fd, const struct addr *addr, bool is_tls)
{
	struct worker_listener *listener = &worker->listeners[worker->listener_count];
	int one = 1;

	if (worker->listener_count == WORKER_LISTENERS_MAX)
		return -ENOSPC;
	*listener = (struct worker_listener){
		.watch = { .fd = fd, .on_event = accept_on_event },
		.worker = worker,
		.addr = *addr,
		.index = worker->listener_count,
		.is_tls = is_tls,
	};
	/* Accepted sockets inherit it: one system call less for each. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	worker->listener_count++;
	return 0;
}

static void pin(struct worker *worker)
{
	cpu_set_t cpus;
	char name[16];

	snprintf(name, sizeof(name), "worker-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	if (worker->cpu < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET((size_t)worker->cpu, &cpus);
	if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus) != 0)
		log_warning("proxy", "worker %u cannot be pinned to CPU %d", worker->index,
			    worker->cpu);
}

void *worker_thread(void *arg)
{
	struct worker *worker = arg;

	pin(worker);
	on_wake(&worker->loop); /* what was published before the thread ran */
	loop_run(&worker->loop);
	counter_add(&worker->counters->worker_cpu_us, take_cpu_us(worker));
	return NULL;
}
