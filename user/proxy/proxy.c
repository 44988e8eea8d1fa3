// SPDX-License-Identifier: Apache-2.0
/*
 * proxy: the main thread; see proxy.h.
 *
 * It has a loop like the workers, with the control socket, the access log's timer and
 * the wakeups of workers in it, and it never touches a client's byte. Signals only
 * leave a number and wake the loop.
 */
#include "proxy/proxy.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/container.h"
#include "base/log.h"
#include "proxy/control_client.h"
#include "proxy/log_writer.h"
#include "proxy/proxy_main.h"
#include "proxy/sandbox.h"
#include "proxy/workers.h"

enum {
	LEAVE_WAIT_MS = 20 * 1000,  /* for the agent's word after a signal */
	REST_MS = 2000,             /* after a change, until its memory is put in order */
	DRAIN_LOOK_MS = 20,         /* how often a draining proxy looks whether it is done */
	DESCRIPTORS_RESERVED = 256, /* not for connections */
	DESCRIPTORS_PER_CONN = 2,   /* one to the client, one to an endpoint */
	CONNECTIONS_MIN = 64,
};

struct proxy {
	struct loop loop;
	const struct proxy_options *options;
	struct control_client client;
	struct workers workers;
	struct log_writer log_writer;
	struct config *pending; /* what came before the start */
	void *counters;
	size_t counters_bytes;
	bool is_leaving; /* a signal came; the agent says when to drain */
	bool is_draining;
	uint64_t drain_due_ms;
	struct loop_timer drain_timer;
	struct loop_timer leave_timer;
	struct loop_timer rest_timer;
	int exit_code;
};

static struct loop *signal_loop;           /* whose loop a signal wakes */
static volatile sig_atomic_t signal_count; /* SIGTERM and SIGINT so far */

struct loop *proxy_loop(struct proxy *proxy)
{
	return &proxy->loop;
}

const struct config *proxy_config(const struct proxy *proxy)
{
	return proxy->pending ? proxy->pending : proxy->workers.published;
}

bool proxy_is_running(const struct proxy *proxy)
{
	return proxy->workers.is_running;
}

bool proxy_is_draining(const struct proxy *proxy)
{
	return proxy->is_draining;
}

void proxy_give_up(struct proxy *proxy)
{
	proxy->exit_code = 1;
	loop_stop(&proxy->loop);
}

/* ------------------------------------------------------------------- setting up */

/* As many connections as there are descriptors for. */
static uint32_t connections_that_fit(uint32_t worker_count)
{
	struct rlimit limit = { 0 };
	rlim_t fit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur <= DESCRIPTORS_RESERVED)
		return CONNECTIONS_MIN;
	fit = (limit.rlim_cur - DESCRIPTORS_RESERVED) / DESCRIPTORS_PER_CONN / worker_count;
	return fit < CONNECTIONS_MIN ? CONNECTIONS_MIN
	       : fit > INT32_MAX     ? INT32_MAX
				     : (uint32_t)fit;
}

static void override(uint32_t *setting, uint32_t said)
{
	if (said)
		*setting = said;
}

static struct worker_settings settings_of(const struct control_setup *setup)
{
	struct worker_settings settings = worker_settings_default();
	uint32_t fit = connections_that_fit(setup->worker_count);

	settings.worker_count = setup->worker_count;
	settings.is_handing_off = (setup->flags & CONTROL_SETUP_HAND_OFF) != 0;
	override(&settings.connections_max, setup->connections_max);
	if (settings.connections_max > fit)
		settings.connections_max = fit;
	override(&settings.upstream_idle_max, setup->upstream_idle_max);
	return settings;
}

void proxy_set_up(struct proxy *proxy, const struct control_setup *setup,
		  const struct control_counters *counters, int counters_fd)
{
	struct worker_settings settings;
	struct err err = { 0 };

	if (setup->worker_count == 0 || setup->worker_count > CONTROL_WORKERS_MAX ||
	    counters->worker_count < setup->worker_count ||
	    counters->struct_bytes != sizeof(struct counters)) {
		log_error("proxy", "the agent's setup does not fit this version");
		proxy_give_up(proxy);
		return;
	}
	settings = settings_of(setup);
	proxy->counters_bytes = settings.worker_count * sizeof(struct counters);
	if (memfd_map_shared(counters_fd, proxy->counters_bytes, &proxy->counters, &err) < 0 ||
	    workers_init(&proxy->workers, &settings, proxy->counters, &proxy->loop, &err) < 0) {
		log_error("proxy", "%s", err.text);
		proxy_give_up(proxy);
		return;
	}
	for (uint32_t i = 0; i < settings.worker_count; i++)
		if (setup->flags & CONTROL_SETUP_PIN)
			proxy->workers.at[i]->cpu = setup->worker_cpus[i];
	workers_set_logging(&proxy->workers, proxy->log_writer.fd >= 0);
}

int proxy_add_listener(struct proxy *proxy, const struct control_listener *listener, int fd)
{
	struct addr addr = { .port = listener->port };

	if (listener->worker >= proxy->workers.count)
		return -EINVAL;
	memcpy(addr.ip, listener->ip, sizeof(addr.ip));
	return worker_add_listener(proxy->workers.at[listener->worker], fd, &addr,
				   listener->protocol == CONTROL_PROTOCOL_TLS);
}

void proxy_set_access_log(struct proxy *proxy, int fd)
{
	log_writer_set(&proxy->log_writer, fd);
}

/* ---------------------------------------------------------------------- configs */

/* A config to change, and to publish afterwards; NULL without memory. */
static struct config *begin_config(struct proxy *proxy)
{
	if (proxy->pending)
		return proxy->pending;
	proxy->pending = config_new(proxy->workers.published);
	return proxy->pending;
}

void proxy_publish(struct proxy *proxy)
{
	if (!proxy->pending || !proxy->workers.is_running)
		return;
	workers_publish(&proxy->workers, proxy->pending);
	proxy->pending = NULL;
	if (!proxy->rest_timer.next)
		loop_timer_set(&proxy->loop, &proxy->rest_timer, proxy->loop.now_ms + REST_MS);
}

/* Not with each change: what is replaced at once is not worth the work. */
static void on_rest(struct loop_timer *timer)
{
	config_rest(CONTAINER_OF(timer, struct proxy, rest_timer)->workers.published);
}

void proxy_use_settings(struct proxy *proxy, const struct config_settings *settings)
{
	struct config *config = begin_config(proxy);

	if (!config)
		return;
	config->settings = *settings;
	config->has_settings = true;
	proxy_publish(proxy);
}

void proxy_use_ticket_keys(struct proxy *proxy, const struct tls_ticket_key *keys, uint32_t count)
{
	struct config *config = begin_config(proxy);

	if (!config)
		return; /* the keys we have go on; the agent rotates them again */
	memcpy(config->ticket_keys, keys, count * sizeof(*keys));
	config->ticket_key_count = count;
	proxy_publish(proxy);
}

int proxy_use_segment(struct proxy *proxy, enum config_kind kind, struct config_segment *segment)
{
	struct config *config = begin_config(proxy);

	if (!config)
		return -ENOMEM;
	config_set(config, kind, segment);
	return 0;
}

/*
 * Somebody wants this proxy to end. The agent may have another one that takes its place: it goes on
 * until that one serves. Without an agent, or without connections to lose, it drains at once.
 */
static void leave(struct proxy *proxy)
{
	if (proxy->is_leaving || proxy->is_draining)
		return;
	proxy->is_leaving = true;
	if (!proxy->workers.is_running || !control_client_say_leaving(&proxy->client)) {
		proxy_drain(proxy, PROXY_SIGNAL_GRACE_MS);
		return;
	}
	loop_timer_set(&proxy->loop, &proxy->leave_timer, proxy->loop.now_ms + LEAVE_WAIT_MS);
}

void proxy_agent_lost(struct proxy *proxy)
{
	if (proxy->is_leaving)
		proxy_drain(proxy, PROXY_SIGNAL_GRACE_MS);
}

static void on_leave_due(struct loop_timer *timer)
{
	proxy_drain(CONTAINER_OF(timer, struct proxy, leave_timer), PROXY_SIGNAL_GRACE_MS);
}

static void on_wake(struct loop *loop)
{
	struct proxy *proxy = loop->owner;
	const struct config *reached;

	if (signal_count > 0)
		leave(proxy);
	if (signal_count > 1)
		proxy_give_up(proxy);
	if (!proxy->workers.is_running)
		return;
	reached = workers_settle(&proxy->workers);
	if (reached)
		control_client_report(&proxy->client, reached);
	/* No worker accepts any more: whoever comes now is refused at once, or served by others. */
	if (reached && reached->is_draining)
		control_client_close_listeners(&proxy->client);
}

/* ------------------------------------------------------------- start, drain, end */

void proxy_start(struct proxy *proxy)
{
	struct err err = { 0 };
	int rc;

	if (proxy->workers.is_running || proxy->workers.count == 0)
		return;
	rc = proxy->options->is_unconfined ? 0 : sandbox_enter(&err);
	if (rc < 0) {
		log_error("proxy", "sandbox: %s", err.text);
		if (rc != -ENOSYS) {
			proxy_give_up(proxy);
			return;
		}
	}
	if (workers_start(&proxy->workers, &err) < 0) {
		log_error("proxy", "%s", err.text);
		proxy_give_up(proxy);
		return;
	}
	proxy_publish(proxy);
	workers_accept_now(&proxy->workers);
	log_info("proxy", "serving with %u workers", proxy->workers.count);
}

static void on_drain_look(struct loop_timer *timer)
{
	struct proxy *proxy = CONTAINER_OF(timer, struct proxy, drain_timer);
	uint64_t left = workers_connections(&proxy->workers);

	if (left > 0 && proxy->loop.now_ms < proxy->drain_due_ms) {
		loop_timer_set(&proxy->loop, timer, proxy->loop.now_ms + DRAIN_LOOK_MS);
		return;
	}
	log_info("proxy", "drained; %lu connections are cut", (unsigned long)left);
	control_client_say_drained(&proxy->client, (uint32_t)left);
	loop_stop(&proxy->loop);
}

void proxy_drain(struct proxy *proxy, uint32_t grace_ms)
{
	struct config *config;

	if (proxy->is_draining)
		return;
	proxy->is_draining = true;
	loop_timer_clear(&proxy->loop, &proxy->leave_timer);
	proxy->drain_due_ms = proxy->loop.now_ms + grace_ms;
	config = begin_config(proxy);
	if (config) {
		config->is_draining = true;
		proxy_publish(proxy);
	}
	/* Not at once: a worker may be in the middle of accepting. */
	loop_timer_set(&proxy->loop, &proxy->drain_timer, proxy->loop.now_ms + DRAIN_LOOK_MS);
}

static void on_signal(int number)
{
	(void)number;
	signal_count++;
	loop_wake(signal_loop);
}

static void handle_signals(struct proxy *proxy)
{
	struct sigaction drain = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	signal_loop = &proxy->loop;
	signal_count = 0;
	sigaction(SIGTERM, &drain, NULL);
	sigaction(SIGINT, &drain, NULL);
	sigaction(SIGPIPE, &ignore, NULL); /* an access log that nobody reads */
	sigaction(SIGHUP, &ignore, NULL);
}

int proxy_main(const struct proxy_options *options)
{
	static struct proxy proxy; /* its loop is too large for a stack */
	struct err err = { 0 };

	proxy = (struct proxy){ .options = options };
	if (loop_init(&proxy.loop, on_wake, &proxy, &err) < 0) {
		log_error("proxy", "%s", err.text);
		return 1;
	}
	log_writer_init(&proxy.log_writer, &proxy.loop, &proxy.workers);
	proxy.drain_timer.on_due = on_drain_look;
	proxy.leave_timer.on_due = on_leave_due;
	proxy.rest_timer.on_due = on_rest;
	handle_signals(&proxy);
	control_client_init(&proxy.client, &proxy, options->control_path);
	control_client_connect(&proxy.client);
	loop_run(&proxy.loop);
	workers_stop(&proxy.workers);
	log_writer_release(&proxy.log_writer);
	control_client_release(&proxy.client);
	workers_release(&proxy.workers);
	config_free(proxy.pending);
	if (proxy.counters)
		memfd_unmap(proxy.counters, proxy.counters_bytes);
	loop_release(&proxy.loop);
	return proxy.exit_code;
}
