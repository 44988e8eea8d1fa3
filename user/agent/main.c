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
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/keeper.h"
#include "agent/proxy_pid.h"
#include "agent/reload.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"

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

static int open_run_dir(struct agent *agent, struct err *err)
{
	int rc = make_directory(agent->options->run_dir, err);

	return rc ? rc : takeover_lock(&agent->takeover, agent, err);
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
		char text[ADDR_RANGE_TEXT_MAX];

		if (agent->listeners.at[i].protocol != protocol)
			continue;
		buf_printf(line, "%s%s",
			   count++                            ? ","
			   : protocol == CONTROL_PROTOCOL_TLS ? " https "
							      : " http ",
			   addr_range_format(&agent->listeners.at[i].range, text));
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
	if (takeover_is_pending(&agent->takeover))
		return;
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

static void end_if_drained(struct agent *agent)
{
	if (!agent->is_draining || links_has_proxy(&agent->links) ||
	    supervise_is_running(&agent->supervise))
		return;
	/* The next agent answers who asks from now on, but not who has asked this one. */
	if (agent->is_superseded && agent->admin.connection_count > 0)
		return;
	/* An agent that was told to drain, but not to end, stays and says so. */
	if (agent->options->command == COMMAND_RUN || agent->is_superseded)
		stop(agent, 0);
}

void agent_on_proxy_gone(struct agent *agent)
{
	reconcile_on_settled(&agent->reconcile);
	end_if_drained(agent);
}

void agent_on_admin_answered(struct agent *agent)
{
	if (agent->is_superseded)
		end_if_drained(agent);
}

static void on_drain_due(struct loop_timer *timer)
{
	struct agent *agent = CONTAINER_OF(timer, struct agent, drain_timer);

	log_warning("agent", "the proxy does not end in time and is ended");
	supervise_kill(&agent->supervise);
	stop(agent, 0);
}

void agent_drain(struct agent *agent)
{
	uint32_t grace_ms = agent->options->grace_ms;

	agent->is_draining = true;
	log_info("agent", "draining for at most %u s", grace_ms / 1000);
	steering_update_workers(&agent->steering);
	links_drain(&agent->links, grace_ms);
	if (agent->options->command == COMMAND_RUN || agent->is_superseded) {
		agent->drain_timer.on_due = on_drain_due;
		loop_timer_set(&agent->loop, &agent->drain_timer,
			       agent->loop.now_ms + grace_ms + DRAIN_MARGIN_MS);
	}
	/* Its own copies would keep the addresses open, and connections would wait for nobody. */
	listeners_release(&agent->listeners);
	if (!links_has_proxy(&agent->links))
		supervise_kill(&agent->supervise);
	agent_on_proxy_gone(agent);
}

/* `sluicectl drain`: as the end of `sluice run`; `sluice agent` waits for its signal afterwards. */
void admin_drain(const struct admin_request *request, struct admin_answer *answer)
{
	struct agent *agent = request->agent;

	if (upgrade_is_under_way(&agent->upgrade) || agent->is_superseded) {
		answer->status = 409;
		buf_add_c(&answer->body, "another agent is taking over\n");
		return;
	}
	if (!agent->is_draining)
		agent_drain(agent);
	buf_printf(&answer->body, "draining for at most %u s\n", agent->options->grace_ms / 1000);
}

/*
 * The agent alone leaves a proxy of another container at work: that one has a signal of its own
 * for its end, and the next agent finds it.
 */
void agent_end(struct agent *agent)
{
	if (upgrade_postpones_end(&agent->upgrade))
		return;
	agent->is_ending = true;
	cluster_give_up_lease(&agent->cluster);
	if (!agent->is_started || agent->options->command == COMMAND_AGENT) {
		agent->is_draining = true;
		stop(agent, 0);
	} else if (!agent->is_draining) {
		agent_drain(agent);
	}
}

void agent_fail(struct agent *agent, const char *why)
{
	if (why)
		log_error("agent", "%s", why);
	stop(agent, 1);
}

static void on_end_signal(struct agent *agent)
{
	bool was_wanted = agent->is_ending || agent->upgrade.is_end_wanted;

	if (!was_wanted && !agent->is_superseded) {
		agent_end(agent);
		return;
	}
	log_warning("agent", "%ssignal: ending at once", was_wanted ? "second " : "");
	supervise_kill(&agent->supervise);
	stop(agent, was_wanted);
}

static void on_signal(struct loop_watch *watch, uint32_t events)
{
	struct agent *agent = CONTAINER_OF(watch, struct agent, signal_watch);
	struct signalfd_siginfo info;

	(void)events;
	while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (agent->is_superseded && agent->upgrade.child_pid)
			keeper_pass_on(agent->options->run_dir, agent->upgrade.child_pid,
				       (int)info.ssi_signo);
		else if (info.ssi_signo != SIGHUP && info.ssi_signo != SIGUSR2)
			on_end_signal(agent);
		else if (agent->is_superseded || !agent->is_started)
			log_info("agent", "signal %u comes to an agent that is not in charge",
				 info.ssi_signo);
		else if (info.ssi_signo == SIGHUP)
			reload(agent);
		else
			upgrade_start(&agent->upgrade);
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
	sigaddset(&set, SIGUSR2);
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
	if (options->http.count + options->https.count == 0)
		return err_set(err, -EINVAL, "neither --http nor --https: nothing to listen on");
	return 0;
}

/* What must be had before sockets: the run dir, the control socket, the admin address. */
static int start_ground(struct agent *agent, struct err *err)
{
	const struct addr *admin = agent->options->has_admin ? &agent->options->admin : NULL;
	int rc = check_options(agent->options, err);

	if (!rc)
		rc = watch_signals(agent, err);
	if (!rc)
		rc = place_workers(agent, err);
	if (!rc)
		rc = listeners_init(&agent->listeners, agent->options, agent->worker_count, err);
	if (!rc)
		rc = open_run_dir(agent, err);
	if (!rc)
		rc = reload_access_log(agent, err);
	if (!rc)
		rc = admin_open(&agent->admin, agent, admin,
				takeover_admin(&agent->takeover, admin), err);
	if (!rc)
		rc = links_open(&agent->links, agent, err);
	return rc;
}

int agent_take_charge(struct agent *agent, struct err *err)
{
	keeper_write_pid(agent->options->run_dir);
	return admin_start(&agent->admin, err);
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
	bool is_takeover = takeover_is_pending(&agent->takeover);

	if (!rc && !is_takeover)
		rc = agent_take_charge(agent, err);
	if (rc)
		return rc;
	tickets_open(&agent->tickets, agent);
	/* A proxy of the agent in charge stays with it until it lets go. */
	if (!is_takeover)
		links_adopt(&agent->links);
	agent->links.is_started = !agent->takeover.keeps_proxy;
	rc = listeners_open(&agent->listeners, err);
	if (!rc)
		rc = protection_open(&agent->protection, agent, err);
	if (!rc)
		rc = steering_open(&agent->steering, agent, err);
	if (rc)
		return rc;
	drops_open(&agent->drops, agent);
	protection_apply(&agent->protection); /* to XDP; a proxy gets them with the rest */
	adopt_or_start_proxy(agent);
	/*
	 * A proxy that was taken over has its configuration, as has the agent in charge; without
	 * either there is the saved one.
	 */
	saved_open(&agent->saved, agent);
	if (!agent->links.current &&
	    (publisher_is_complete(&agent->publisher) || saved_load(&agent->saved)))
		links_adopt_published(&agent->links);
	host_load_open(&agent->host_load, agent);
	rc = reconcile_open(&agent->reconcile, agent, err);
	if (rc)
		return rc;
	agent->is_started = true;
	takeover_begin(&agent->takeover);
	agent_on_in_force(agent); /* of a proxy that was taken over */
	return 0;
}

static void release(struct agent *agent)
{
	bool leaves_proxy = agent->options->command == COMMAND_AGENT;
	/* Another one was, or still is, in charge of pins and files. */
	bool is_in_charge = !agent->is_superseded && !takeover_is_pending(&agent->takeover);

	upgrade_release(&agent->upgrade);
	takeover_close(&agent->takeover);
	reconcile_close(&agent->reconcile);
	host_load_close(&agent->host_load);
	protection_close(&agent->protection);
	drops_close(&agent->drops);
	/* The pins stay with a proxy that stays. */
	steering_close(&agent->steering, !leaves_proxy && is_in_charge);
	links_close(&agent->links);
	if (agent->supervise.pid && !leaves_proxy && is_in_charge)
		proxy_pid_remove(agent->options->run_dir);
	supervise_release(&agent->supervise);
	admin_close(&agent->admin);
	listeners_release(&agent->listeners);
	tickets_close(&agent->tickets);
	saved_close(&agent->saved);
	publisher_release(&agent->publisher);
	tally_release(&agent->tally);
	for (size_t i = 0; i < 3; i++) {
		int fd = (int[]){ agent->access_log_fd, agent->signal_watch.fd, agent->lock_fd }[i];
		if (fd >= 0)
			close(fd);
	}
}

static void init(struct agent *agent, const struct options *options)
{
	agent->options = options;
	agent->started_ns = clock_wall_ns();
	agent->lock_fd = agent->access_log_fd = -1;
	agent->signal_watch.fd = -1;
	agent->protection.sources_fd = -1;
	agent->is_in_place = getenv(UPGRADE_VARIABLE) != NULL;
	unsetenv(UPGRADE_VARIABLE); /* nobody whom this one starts is meant */
	publisher_init(&agent->publisher);
}

/* The process that others know stays, where SIGUSR2 has put another one in its place. */
static int keep(const struct options *options, int child_pid)
{
	log_info("agent", "process %d serves; this one keeps its place", child_pid);
	return keeper_run(options->run_dir, child_pid);
}

int agent_main(const struct options *options)
{
	struct agent *agent = mem_new(1, sizeof(*agent));
	struct err err = { 0 };
	int exit_code = 1, kept_pid = 0;

	log_set_level(options->log_level);
	raise_descriptor_limit();
	init(agent, options);
	if (loop_init(&agent->loop, NULL, agent, &err)) {
		log_error("agent", "%s", err.text);
		mem_free(agent);
		return 1;
	}
	supervise_init(&agent->supervise, agent);
	upgrade_init(&agent->upgrade, agent);
	if (start(agent, &err) == 0) {
		loop_run(&agent->loop);
		exit_code = agent->exit_code;
	} else if (agent->loop.is_stopping) {
		exit_code = agent->exit_code; /* of a signal while it waited */
	} else {
		log_error("agent", "%s", err.text);
		supervise_kill(&agent->supervise);
	}
	if (agent->is_superseded && !agent->is_in_place)
		kept_pid = agent->upgrade.child_pid;
	release(agent);
	loop_release(&agent->loop);
	if (agent->reloaded)
		options_release_reloaded(agent->reloaded);
	mem_free(agent->reloaded);
	mem_free(agent);
	return kept_pid ? keep(options, kept_pid) : exit_code;
}
