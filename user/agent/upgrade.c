// SPDX-License-Identifier: Apache-2.0
/*
 * upgrade: see upgrade.h. What is sent is drawn in control/control.h; who takes it is takeover.c.
 *
 * What was refused: exec in place of this very process. It keeps the pid without a keeper, but
 * there is no way back from a new version that does not come up.
 */
#include "agent/upgrade.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/link_private.h"
#include "agent/proxy_pid.h"
#include "base/container.h"
#include "base/log.h"

enum { EXIT_NO_EXEC = 127, PATH_BYTES = 4096 };

_Static_assert(sizeof(struct reconcile_times) % sizeof(uint64_t) == 0 &&
		       sizeof(struct reconcile_times) <= CONTROL_TOTALS_MAX * sizeof(uint64_t),
	       "LET_GO carries what was measured");

void upgrade_pod_name(char name[CONTROL_NAME_MAX])
{
	const char *pod = getenv("POD_NAME");

	memset(name, 0, CONTROL_NAME_MAX);
	snprintf(name, CONTROL_NAME_MAX, "%.*s", CONTROL_NAME_MAX - 1, pod ? pod : "");
}

bool upgrade_is_under_way(const struct upgrade *upgrade)
{
	return upgrade->state == UPGRADE_STARTING || upgrade->state == UPGRADE_HANDING_OVER;
}

/* ------------------------------------------------------------------ the way back */

static void forget_child(struct upgrade *upgrade)
{
	if (upgrade->child_watch.fd < 0)
		return;
	loop_unwatch(&upgrade->agent->loop, &upgrade->child_watch);
	close(upgrade->child_watch.fd);
	upgrade->child_watch.fd = -1;
}

static void end_child(struct upgrade *upgrade)
{
	if (upgrade->child_watch.fd >= 0) {
		syscall(SYS_pidfd_send_signal, upgrade->child_watch.fd, SIGKILL, NULL, 0);
		waitpid(upgrade->child_pid, NULL, 0);
	}
	forget_child(upgrade);
	upgrade->child_pid = 0;
}

/* The next agent may have put its own programs, lists and plan into what we share. */
static void take_datapath_back(struct agent *agent)
{
	struct err err = { 0 };

	drops_close(&agent->drops); /* watches what is closed with the datapath */
	steering_close(&agent->steering, false);
	if (steering_open(&agent->steering, agent, &err))
		log_warning("agent", "serving without BPF: %s", err.text);
	drops_open(&agent->drops, agent);
	protection_apply(&agent->protection);
	steering_sync_hosts(&agent->steering, &agent->reconcile.output.plan,
			    agent->reconcile.generation);
}

static void roll_back(struct upgrade *upgrade, const char *why)
{
	struct agent *agent = upgrade->agent;
	bool was_handed_over = upgrade->state == UPGRADE_HANDING_OVER;
	struct link *link = upgrade->link;
	struct err err = { 0 };

	log_error("agent", "the next sluice did not come up (%s): this one goes on", why);
	upgrade->state = UPGRADE_NONE;
	upgrade->link = NULL;
	loop_timer_clear(&agent->loop, &upgrade->timer);
	end_child(upgrade);
	if (link)
		link_drop(link);
	if (!was_handed_over)
		return;
	if (links_listen_over(&agent->links, &err))
		log_error("agent", "%s", err.text);
	take_datapath_back(agent);
	if (agent->links.current)
		proxy_pid_write(agent->options->run_dir, agent->links.current->pid);
	if (upgrade->is_end_wanted)
		agent_end(agent);
}

static void on_due(struct loop_timer *timer)
{
	struct upgrade *upgrade = CONTAINER_OF(timer, struct upgrade, timer);

	roll_back(upgrade, upgrade->state == UPGRADE_STARTING ? "it does not connect within 5 s"
							      : "it does not serve within 60 s");
}

static void on_child_exit(struct loop_watch *watch, uint32_t events)
{
	struct upgrade *upgrade = CONTAINER_OF(watch, struct upgrade, child_watch);
	char why[64];
	int status = 0;

	(void)events;
	waitpid(upgrade->child_pid, &status, 0);
	forget_child(upgrade);
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "it was ended by signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "it exited with %d", WEXITSTATUS(status));
	if (upgrade_is_under_way(upgrade))
		roll_back(upgrade, why);
}

/* ------------------------------------------------------------------- SIGUSR2 */

/*
 * Where to look for the next version: the path we were started with; where that was a bare name,
 * the path that our file had, which may carry another file by now.
 */
static const char *find_binary(const char *word, char path[PATH_BYTES])
{
	static const char deleted[] = " (deleted)";
	ssize_t len;
	size_t cut = strlen(deleted);

	if (strchr(word, '/'))
		return word;
	len = readlink("/proc/self/exe", path, PATH_BYTES - 1);
	if (len < 0)
		return "/proc/self/exe";
	path[len] = '\0';
	if ((size_t)len > cut && strcmp(path + len - cut, deleted) == 0)
		path[(size_t)len - cut] = '\0';
	return path;
}

static void exec_next(const struct options *options, const char *binary)
{
	const struct sigaction normal = { .sa_handler = SIG_DFL };
	char of[16];
	sigset_t none;

	snprintf(of, sizeof(of), "%d", getppid());
	setenv(UPGRADE_VARIABLE, of, 1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGPIPE, &normal, NULL);
	setpgid(0, 0); /* Ctrl-C goes to the keeper, which passes it on */
	execv(binary, (char *const *)options->words); /* execv has no const */
	_exit(EXIT_NO_EXEC);
}

void upgrade_start(struct upgrade *upgrade)
{
	struct agent *agent = upgrade->agent;
	struct loop *loop = &agent->loop;
	char path[PATH_BYTES];
	const char *binary = find_binary(agent->options->words[0], path);
	int pid;

	if (upgrade->state != UPGRADE_NONE || agent->is_draining ||
	    takeover_is_pending(&agent->takeover)) {
		log_warning("agent", "SIGUSR2: an upgrade or the end is under way already");
		return;
	}
	/* What the line leaves behind comes to its keeper, not to init. */
	prctl(PR_SET_CHILD_SUBREAPER, !agent->is_in_place, 0, 0, 0);
	pid = fork();
	if (pid == 0)
		exec_next(agent->options, binary);
	if (pid > 0)
		upgrade->child_watch.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pid < 0 || upgrade->child_watch.fd < 0) {
		log_error("agent", "cannot start '%s': %s", binary, strerror(errno));
		return;
	}
	log_info("agent", "upgrade: '%s' starts as process %d", binary, pid);
	upgrade->child_pid = pid;
	upgrade->state = UPGRADE_STARTING;
	upgrade->child_watch.on_event = on_child_exit;
	loop_watch_level(loop, &upgrade->child_watch);
	loop_timer_set(loop, &upgrade->timer, loop->now_ms + UPGRADE_CONNECT_MS);
}

/* ------------------------------------------------------------------ TAKEOVER */

static int check(const struct upgrade *upgrade, const struct link *link,
		 const struct control_takeover *takeover, struct err *err)
{
	const struct agent *agent = upgrade->agent;
	bool is_child = link->pid > 0 && link->pid == upgrade->child_pid;

	if (!control_choose_version(takeover->version_min, takeover->version_max, err))
		return err->code;
	if (takeover->command != agent->options->command)
		return err_set(err, -EINVAL, "the run dir is that of a 'sluice %s'",
			       agent->options->command == COMMAND_RUN ? "run" : "agent");
	if (agent->is_draining || upgrade->link || takeover_is_pending(&agent->takeover) ||
	    (upgrade->state == UPGRADE_STARTING && !is_child))
		return err_set(err, -EBUSY, "the agent is handing over, or draining, already");
	if (takeover->name[0] &&
	    strncmp(takeover->name, upgrade->superseded, sizeof(upgrade->superseded)) == 0)
		return err_set(err, -EBUSY, "pod '%s' was superseded by this agent's",
			       upgrade->superseded);
	return 0;
}

static void send_listeners(struct link *link, const struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++)
		link_send_listener(link, &listeners->at[i], listeners->worker_count);
}

static void send_admin(struct link *link, const struct agent *agent)
{
	struct control_admin admin = { .port = agent->options->admin.port };

	memcpy(admin.ip, agent->options->admin.ip, sizeof(admin.ip));
	if (agent->admin.tcp_watch.fd >= 0)
		channel_send(&link->channel, CONTROL_ADMIN, &admin, agent->admin.tcp_watch.fd);
}

static void send_published(struct link *link, const struct publisher *publisher)
{
	for (int kind = 0; kind < PUBLISHED_COUNT; kind++) {
		struct control_segment segment = { .generation = publisher->of[kind].generation };

		if (publisher->of[kind].fd >= 0)
			channel_send(&link->channel, published_type((enum published_kind)kind),
				     &segment, publisher->of[kind].fd);
	}
}

static void hand_over(struct upgrade *upgrade, struct link *link, uint32_t version)
{
	const struct agent *agent = upgrade->agent;
	bool is_child = link->pid > 0 && link->pid == upgrade->child_pid;
	struct control_lock lock = { { 0 } };
	struct control_handover handover = { .version = version };

	if (is_child && agent->options->command == COMMAND_AGENT)
		handover.flags |= CONTROL_HANDOVER_KEEPS_PROXY;
	upgrade_pod_name(handover.name);
	channel_send(&link->channel, CONTROL_LOCK, &lock, agent->lock_fd);
	send_listeners(link, &agent->listeners);
	send_admin(link, agent);
	channel_send(&link->channel, CONTROL_TICKET_KEYS, &agent->tickets.keys, -1);
	send_published(link, &agent->publisher);
	channel_send(&link->channel, CONTROL_HANDOVER, &handover, -1);
}

void upgrade_on_takeover(struct upgrade *upgrade, struct link *link,
			 const struct control_takeover *takeover)
{
	struct agent *agent = upgrade->agent;
	struct err err = { 0 };

	link->channel.peer = CONTROL_SIDE_SUCCESSOR;
	if (check(upgrade, link, takeover, &err)) {
		if (err.code != -EBUSY)
			log_error("agent", "process %d does not take over: %s", link->pid,
				  err.text);
		link_refuse(link, CONTROL_TAKEOVER, &err);
		return;
	}
	log_info("agent", "process %d takes over%s%.*s", link->pid,
		 takeover->name[0] ? ", pod " : "",
		 (int)strnlen(takeover->name, sizeof(takeover->name)), takeover->name);
	link->state = LINK_SUCCESSOR;
	upgrade->link = link;
	upgrade->state = UPGRADE_HANDING_OVER;
	loop_timer_set(&agent->loop, &upgrade->timer, agent->loop.now_ms + UPGRADE_READY_MS);
	hand_over(upgrade, link,
		  control_choose_version(takeover->version_min, takeover->version_max, &err));
	/* They find the next agent behind the same path. */
	links_drop_waiting(&agent->links);
}

void upgrade_on_closed(struct upgrade *upgrade, const struct link *link, const struct err *why)
{
	if (upgrade->link != link)
		return;
	upgrade->link = NULL;
	if (upgrade->state == UPGRADE_HANDING_OVER)
		roll_back(upgrade, why->text);
}

/* -------------------------------------------------------------------- COMMIT */

static void send_counters(struct link *link, struct tally *tally)
{
	struct control_counters counters = { .struct_bytes = sizeof(struct counters) };
	struct err err = { 0 };
	struct tally_segment *before = tally_new(tally, 0, &err);

	if (before)
		channel_send(&link->channel, CONTROL_COUNTERS, &counters, before->fd);
	for (const struct tally_segment *at = tally->first; at; at = at->next) {
		counters.worker_count = at->worker_count;
		if (at->worker_count)
			channel_send(&link->channel, CONTROL_COUNTERS, &counters, at->fd);
	}
}

static void send_let_go(struct link *link, struct agent *agent)
{
	struct control_let_go let_go = {
		.proxy_starts = agent->supervise.start_count,
		.upgrades = agent->upgrade.count + 1,
		.total_count = sizeof(agent->reconcile.times) / sizeof(uint64_t),
	};

	memcpy(let_go.totals, &agent->reconcile.times, sizeof(agent->reconcile.times));
	channel_send(&link->channel, CONTROL_LET_GO, &let_go, -1);
}

/* Everything that the next agent does from now on. What can be looked at stays as it is. */
static void let_go(struct agent *agent)
{
	reconcile_freeze(&agent->reconcile);
	cluster_close(&agent->cluster);
	agent->cluster = (struct cluster){ 0 };
	saved_close(&agent->saved);
	tickets_close(&agent->tickets);
	steering_close(&agent->steering, false);
	admin_stop(&agent->admin);
	links_stop_listening(&agent->links);
	listeners_release(&agent->listeners);
	close(agent->lock_fd); /* the next agent has it open too */
	agent->lock_fd = -1;
}

void upgrade_on_commit(struct upgrade *upgrade)
{
	struct agent *agent = upgrade->agent;

	if (upgrade->state != UPGRADE_HANDING_OVER)
		return;
	upgrade->state = UPGRADE_DONE;
	loop_timer_clear(&agent->loop, &upgrade->timer);
	agent->is_superseded = true;
	drops_close(&agent->drops); /* the next agent shows them */
	let_go(agent);
	send_counters(upgrade->link, &agent->tally);
	send_let_go(upgrade->link, agent);
	log_info("agent", "process %d has taken over", upgrade->link->pid);
	if (agent->options->command == COMMAND_AGENT && upgrade->child_pid)
		links_drop_proxies(&agent->links); /* they connect to the next agent, and stay */
	agent_drain(agent);
}

/* ----------------------------------------------------------------------- end */

bool upgrade_postpones_end(struct upgrade *upgrade)
{
	if (!upgrade_is_under_way(upgrade))
		return false;
	if (upgrade->child_pid) {
		roll_back(upgrade, "this one is told to end");
		return false;
	}
	upgrade->is_end_wanted = true;
	return true;
}

void upgrade_init(struct upgrade *upgrade, struct agent *agent)
{
	*upgrade = (struct upgrade){
		.agent = agent,
		.child_watch.fd = -1,
		.timer.on_due = on_due,
	};
}

void upgrade_release(struct upgrade *upgrade)
{
	if (upgrade->state == UPGRADE_DONE)
		forget_child(upgrade);
	else
		end_child(upgrade);
	loop_timer_clear(&upgrade->agent->loop, &upgrade->timer);
}
