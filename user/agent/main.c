// SPDX-License-Identifier: Apache-2.0
/*
 * main: the agent from its first step to its last.
 *
 * The order of start is the order of need: the run dir's lock before anything that a second agent
 * could disturb, the old proxy's sockets before new ones are made, sockets before the datapath, the
 * datapath (it has the hash key) before the first compilation. The proxy is started early, so that
 * it comes up while the manifests are compiled.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/proxy_pid.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/memfd.h"

enum {
	PATH_BYTES = 4096,
	DRAIN_MARGIN_MS = 2000, /* a drained proxy is given this much longer to say so */
};

/* ------------------------------------------------------------------------------ run dir */

/* As mkdir -p; what is made is for us alone. */
static int make_directory(const char *path, struct err *err)
{
	char part[PATH_BYTES];
	int len = snprintf(part, sizeof(part), "%s", path);

	if (len < 0 || (size_t)len >= sizeof(part))
		return err_set(err, -ENAMETOOLONG, "path '%s' is too long", path);
	for (char *at = part + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_set_os(err, -errno, "cannot make directory '%s'", part);
		*at = '/';
	}
	if (mkdir(part, 0700) < 0 && errno != EEXIST)
		return err_set_os(err, -errno, "cannot make directory '%s'", part);
	return 0;
}

static int lock_run_dir(struct agent *agent, struct err *err)
{
	char path[PATH_BYTES];
	int rc = make_directory(agent->options->run_dir, err);

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "%s/agent.lock", agent->options->run_dir);
	agent->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (agent->lock_fd < 0)
		return err_set_os(err, -errno, "cannot open '%s'", path);
	if (flock(agent->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, -EBUSY, "another agent uses the run dir '%s'",
			       agent->options->run_dir);
	return 0;
}

/* ------------------------------------------------------------------------------ workers */

/* One worker for each CPU that we may run on; more than that share them in turn. */
static int place_workers(struct agent *agent, struct err *err)
{
	uint16_t cpus[CPU_SETSIZE];
	uint32_t cpu_count = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return err_set_os(err, -errno, "cannot tell the CPUs");
	for (uint16_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			cpus[cpu_count++] = i;
	agent->worker_count = agent->options->worker_count;
	if (agent->worker_count == 0)
		agent->worker_count =
			cpu_count < OPTIONS_WORKERS_MAX ? cpu_count : OPTIONS_WORKERS_MAX;
	for (uint32_t i = 0; i < agent->worker_count; i++)
		agent->worker_cpus[i] = cpus[i % cpu_count];
	return 0;
}

static int make_counters(struct agent *agent, struct err *err)
{
	size_t bytes = agent->worker_count * sizeof(struct counters);
	void *at;
	int rc;

	agent->counters_fd = memfd_shared("sluice-counters", bytes, err);
	if (agent->counters_fd < 0)
		return agent->counters_fd;
	rc = memfd_map_shared(agent->counters_fd, bytes, &at, err);
	if (!rc)
		agent->counters = at;
	return rc;
}

/* As many as the kernel lets us have: sockets for each worker and listener, and the proxy's. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("agent", "cannot raise the limit of open files");
}

static int open_access_log(struct agent *agent, struct err *err)
{
	const char *path = agent->options->access_log;
	int fd;

	if (!path)
		return 0;
	if (strcmp(path, "-") == 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_set_os(err, -errno, "cannot open access log '%s'", path);
	if (agent->access_log_fd >= 0)
		close(agent->access_log_fd);
	agent->access_log_fd = fd;
	return 0;
}

/* -------------------------------------------------------------------------------- ready */

const char *agent_unready_reason(const struct agent *agent)
{
	if (agent->is_draining)
		return "draining";
	if (!publisher_is_complete(&agent->publisher))
		return "no complete configuration yet";
	if (!agent->links.current)
		return "no proxy at work";
	for (int i = 0; i < PUBLISHED_COUNT; i++)
		if (agent->links.current->in_force[i] == 0)
			return "the first configuration is not served by every worker yet";
	return NULL;
}

static void add_addresses(const struct agent *agent, enum control_protocol protocol,
			  struct buf *line)
{
	size_t count = 0;

	for (size_t i = 0; i < agent->listeners.count; i++) {
		char text[ADDR_TEXT_MAX];

		if (agent->listeners.at[i].protocol != protocol)
			continue;
		buf_printf(line, "%s%s",
			   count++                            ? ","
			   : protocol == CONTROL_PROTOCOL_TLS ? " https "
							      : " http ",
			   addr_format(&agent->listeners.at[i].addr, text));
	}
}

/* The one line that scripts wait for: no time stamp, whatever the log level. */
static void say_ready(const struct agent *agent)
{
	struct buf line;
	char text[ADDR_TEXT_MAX];

	buf_init(&line, 0);
	buf_add_c(&line, "ready");
	add_addresses(agent, CONTROL_PROTOCOL_HTTP, &line);
	add_addresses(agent, CONTROL_PROTOCOL_TLS, &line);
	if (agent->options->has_admin)
		buf_printf(&line, " admin %s", addr_format(&agent->options->admin, text));
	buf_add_char(&line, '\n');
	if (write(STDERR_FILENO, line.at, line.len) < 0) {
		/* nobody listens to us: requests are served all the same */
	}
	buf_release(&line);
}

void agent_on_in_force(struct agent *agent)
{
	reconcile_on_settled(&agent->reconcile);
	if (!agent->is_ready_said && !agent->is_draining && links_is_in_force(&agent->links)) {
		agent->is_ready_said = true;
		steering_update_workers(&agent->steering);
		say_ready(agent);
	}
}

/* ---------------------------------------------------------------------------------- end */

static void stop(struct agent *agent, int exit_code)
{
	agent->exit_code = exit_code;
	loop_stop(&agent->loop);
}

void agent_on_proxy_gone(struct agent *agent)
{
	reconcile_on_settled(&agent->reconcile);
	if (agent->is_draining && !agent->links.first && !supervise_is_running(&agent->supervise))
		stop(agent, 0);
}

static void on_drain_due(struct loop_timer *timer)
{
	struct agent *agent = CONTAINER_OF(timer, struct agent, drain_timer);

	log_warning("agent", "the proxy does not end in time and is ended");
	supervise_kill(&agent->supervise);
	stop(agent, 0);
}

/*
 * The agent alone leaves a proxy of another container at work: that one has a signal of its own
 * for its end, and the next agent finds it.
 */
static void begin_end(struct agent *agent)
{
	uint32_t grace_ms = agent->options->grace_ms;

	agent->is_draining = true;
	cluster_give_up_lease(&agent->cluster);
	if (agent->options->command == COMMAND_AGENT) {
		stop(agent, 0);
		return;
	}
	log_info("agent", "draining for at most %u s", grace_ms / 1000);
	steering_update_workers(&agent->steering);
	links_drain(&agent->links, grace_ms);
	/* Its own copies would keep the addresses open, and connections would wait for nobody. */
	listeners_release(&agent->listeners);
	agent->drain_timer.on_due = on_drain_due;
	loop_timer_set(&agent->loop, &agent->drain_timer,
		       agent->loop.now_ms + grace_ms + DRAIN_MARGIN_MS);
	if (!agent->links.first)
		supervise_kill(&agent->supervise);
	agent_on_proxy_gone(agent);
}

static void on_end_signal(struct agent *agent)
{
	if (!agent->is_draining) {
		begin_end(agent);
		return;
	}
	log_warning("agent", "second signal: ending at once");
	supervise_kill(&agent->supervise);
	stop(agent, 1);
}

/* SIGHUP: the log file may have been rotated away. */
static void on_hang_up(struct agent *agent)
{
	struct err err = { 0 };

	if (open_access_log(agent, &err))
		log_error("agent", "%s", err.text);
	else
		links_send_access_log(&agent->links);
}

static void on_signal(struct loop_watch *watch, uint32_t events)
{
	struct agent *agent = CONTAINER_OF(watch, struct agent, signal_watch);
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			on_hang_up(agent);
		else
			on_end_signal(agent);
	}
}

static int watch_signals(struct agent *agent, struct err *err)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;
	int rc;

	sigaction(SIGPIPE, &ignore, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	agent->signal_watch.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (agent->signal_watch.fd < 0)
		return err_set_os(err, -errno, "cannot watch signals");
	agent->signal_watch.on_event = on_signal;
	rc = loop_watch_level(&agent->loop, &agent->signal_watch);
	return rc ? err_set_os(err, rc, "cannot watch signals") : 0;
}

/* -------------------------------------------------------------------------------- start */

static int check_options(const struct options *options, struct err *err)
{
	if ((options->publish_service || options->publish_address) && !cluster_is_wanted(options))
		return err_set(err, -EINVAL,
			       "--publish-service and --publish-address need an API server");
	if (options->early_dispatch == EARLY_DISPATCH_ON)
		return err_set(err, -ENOTSUP, "--early-dispatch on is not in this version");
	if (options->http.count + options->https.count == 0)
		return err_set(err, -EINVAL, "neither --http nor --https: nothing to listen on");
	return 0;
}

/* What must be had before sockets: locks, the control socket, the admin server. */
static int start_ground(struct agent *agent, struct err *err)
{
	int rc = check_options(agent->options, err);

	if (!rc)
		rc = lock_run_dir(agent, err);
	if (!rc)
		rc = watch_signals(agent, err);
	if (!rc)
		rc = place_workers(agent, err);
	if (!rc)
		rc = make_counters(agent, err);
	if (!rc)
		rc = open_access_log(agent, err);
	if (!rc)
		rc = admin_open(&agent->admin, agent,
				agent->options->has_admin ? &agent->options->admin : NULL, err);
	if (!rc)
		rc = links_open(&agent->links, agent, err);
	return rc;
}

static void adopt_or_start_proxy(struct agent *agent)
{
	const struct link *link =
		agent->links.current ? agent->links.current : links_waiting(&agent->links);

	if (agent->links.current) {
		links_send_ticket_keys(&agent->links);
		links_send_access_log(&agent->links);
	}
	if (agent->options->command != COMMAND_RUN)
		return;
	if (!link)
		supervise_start(&agent->supervise);
	else if (supervise_adopt(&agent->supervise, link->pid))
		log_warning("agent", "proxy %d cannot be watched", link->pid);
}

static int start(struct agent *agent, struct err *err)
{
	int rc = start_ground(agent, err);

	if (!rc)
		rc = listeners_init(&agent->listeners, agent->options, agent->worker_count, err);
	if (rc)
		return rc;
	tickets_open(&agent->tickets, agent);
	links_adopt(&agent->links);
	rc = listeners_open(&agent->listeners, err);
	if (!rc)
		rc = steering_open(&agent->steering, agent, err);
	if (rc)
		return rc;
	adopt_or_start_proxy(agent);
	/* A proxy that was taken over has its configuration; another one gets the saved one. */
	saved_open(&agent->saved, agent);
	if (!agent->links.current && saved_load(&agent->saved))
		links_adopt_published(&agent->links);
	rc = reconcile_open(&agent->reconcile, agent, err);
	if (!rc)
		agent_on_in_force(agent); /* of a proxy that was taken over */
	return rc;
}

static void release(struct agent *agent)
{
	bool leaves_proxy = agent->options->command == COMMAND_AGENT;

	reconcile_close(&agent->reconcile);
	/* The pins stay with a proxy that stays. */
	steering_close(&agent->steering, !leaves_proxy);
	links_close(&agent->links);
	if (agent->supervise.pid && !leaves_proxy)
		proxy_pid_remove(agent->options->run_dir);
	supervise_release(&agent->supervise);
	admin_close(&agent->admin);
	listeners_release(&agent->listeners);
	tickets_close(&agent->tickets);
	saved_close(&agent->saved);
	publisher_release(&agent->publisher);
	if (agent->counters)
		memfd_unmap(agent->counters, agent->worker_count * sizeof(struct counters));
	for (size_t i = 0; i < 4; i++) {
		int fd = (int[]){ agent->counters_fd, agent->access_log_fd, agent->signal_watch.fd,
				  agent->lock_fd }[i];
		if (fd >= 0)
			close(fd);
	}
}

int agent_main(const struct options *options)
{
	struct agent *agent = mem_new(1, sizeof(*agent));
	struct err err = { 0 };
	int exit_code = 1;

	log_set_level(options->log_level);
	raise_descriptor_limit();
	agent->options = options;
	agent->started_ns = clock_wall_ns();
	agent->lock_fd = agent->access_log_fd = agent->counters_fd = -1;
	agent->signal_watch.fd = -1;
	publisher_init(&agent->publisher);
	if (loop_init(&agent->loop, NULL, agent, &err)) {
		log_error("agent", "%s", err.text);
		mem_free(agent);
		return 1;
	}
	supervise_init(&agent->supervise, agent);
	if (start(agent, &err)) {
		log_error("agent", "%s", err.text);
		supervise_kill(&agent->supervise);
	} else {
		loop_run(&agent->loop);
		exit_code = agent->exit_code;
	}
	release(agent);
	loop_release(&agent->loop);
	mem_free(agent);
	return exit_code;
}
