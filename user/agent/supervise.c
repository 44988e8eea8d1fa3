// SPDX-License-Identifier: Apache-2.0
/*
 * supervise: fork, exec, wait by pidfd.
 *
 * The child gets standard output and standard error, and the control socket by its path. It has a
 * process group of its own: Ctrl-C in a terminal goes to the agent, which then drains it.
 */
#include "agent/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/proxy_pid.h"
#include "base/container.h"
#include "base/log.h"

enum { EXIT_NO_EXEC = 127 };

static void exec_proxy(const struct options *options)
{
	char level[16], path[4096];
	const char *const arguments[] = { "sluice",      "proxy", "--control", path,
					  "--log-level", level,   NULL };
	const struct sigaction normal = { .sa_handler = SIG_DFL };
	sigset_t none;

	snprintf(level, sizeof(level), "%s", log_level_name(options->log_level));
	snprintf(path, sizeof(path), "%s/%s", options->run_dir, CONTROL_SOCKET_NAME);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGPIPE, &normal, NULL);
	setpgid(0, 0);
	execv("/proc/self/exe", (char *const *)arguments); /* execv has no const */
	_exit(EXIT_NO_EXEC);
}

static int watch_process(struct supervise *supervise, int pid)
{
	supervise->watch.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (supervise->watch.fd < 0)
		return -errno;
	supervise->pid = pid;
	supervise->started_ms = supervise->agent->loop.now_ms;
	return loop_watch_level(&supervise->agent->loop, &supervise->watch);
}

static void start_later(struct supervise *supervise)
{
	struct loop *loop = &supervise->agent->loop;

	loop_timer_set(loop, &supervise->timer, loop->now_ms + supervise->backoff_ms);
	supervise->backoff_ms *= 2;
	if (supervise->backoff_ms > SUPERVISE_BACKOFF_MAX_MS)
		supervise->backoff_ms = SUPERVISE_BACKOFF_MAX_MS;
}

void supervise_start(struct supervise *supervise)
{
	int pid = fork();
	int rc;

	if (pid == 0)
		exec_proxy(supervise->agent->options);
	rc = pid < 0 ? -errno : watch_process(supervise, pid);
	if (rc) {
		log_error("agent", "cannot start a proxy: %s", strerror(-rc));
		start_later(supervise);
		return;
	}
	supervise->is_child = true;
	supervise->start_count++;
	proxy_pid_write(supervise->agent->options->run_dir, pid);
	log_debug("agent", "proxy %d started", pid);
}

int supervise_adopt(struct supervise *supervise, int pid)
{
	supervise->is_child = false;
	return watch_process(supervise, pid);
}

static void say_how_it_ended(const struct supervise *supervise)
{
	bool is_expected = supervise->agent->is_draining;
	int status = 0;

	if (!supervise->is_child || waitpid(supervise->pid, &status, 0) < 0)
		log_at(is_expected ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "agent",
		       "proxy %d is gone", supervise->pid);
	else if (WIFSIGNALED(status))
		log_error("agent", "proxy %d was ended by signal %d (%s)", supervise->pid,
			  WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0 || !is_expected)
		log_error("agent", "proxy %d exited with %d", supervise->pid, WEXITSTATUS(status));
}

static void on_exit_event(struct loop_watch *watch, uint32_t events)
{
	struct supervise *supervise = CONTAINER_OF(watch, struct supervise, watch);
	struct agent *agent = supervise->agent;

	(void)events;
	say_how_it_ended(supervise);
	loop_unwatch(&agent->loop, watch);
	close(watch->fd);
	watch->fd = -1;
	if (!agent->is_superseded)
		proxy_pid_remove(agent->options->run_dir);
	links_on_exit(&agent->links, supervise->pid);
	if (agent->is_draining) {
		agent_on_proxy_gone(agent);
		return;
	}
	if (agent->options->command != COMMAND_RUN)
		return;
	if (agent->loop.now_ms - supervise->started_ms >= SUPERVISE_OLD_ENOUGH_MS) {
		supervise->backoff_ms = SUPERVISE_BACKOFF_FIRST_MS;
		supervise_start(supervise);
	} else {
		start_later(supervise);
	}
}

static void on_start_due(struct loop_timer *timer)
{
	supervise_start(CONTAINER_OF(timer, struct supervise, timer));
}

void supervise_init(struct supervise *supervise, struct agent *agent)
{
	*supervise = (struct supervise){
		.agent = agent,
		.watch = { .fd = -1, .on_event = on_exit_event },
		.backoff_ms = SUPERVISE_BACKOFF_FIRST_MS,
		.timer.on_due = on_start_due,
	};
}

void supervise_release(struct supervise *supervise)
{
	if (!supervise->agent)
		return;
	loop_timer_clear(&supervise->agent->loop, &supervise->timer);
	if (supervise->watch.fd >= 0)
		close(supervise->watch.fd);
	supervise->watch.fd = -1;
}

void supervise_kill(struct supervise *supervise)
{
	if (supervise_is_running(supervise))
		syscall(SYS_pidfd_send_signal, supervise->watch.fd, SIGKILL, NULL, 0);
}

bool supervise_is_running(const struct supervise *supervise)
{
	return supervise->watch.fd >= 0;
}
