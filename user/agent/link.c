// SPDX-License-Identifier: Apache-2.0
/*
 * link: what is said to a proxy, and what it says.
 *
 * Everything that a proxy needs is sent in one go once the first configuration is complete, so it
 * never accepts a connection that it has no answer for. A link that ends is unlinked at once and
 * freed from a task: the channel may be in the middle of telling us.
 */
#include "agent/link.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/link_private.h"
#include "agent/proxy_pid.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"

const char *link_state_name(enum link_state state)
{
	switch (state) {
	case LINK_GREETING:
		return "greeting";
	case LINK_TAKING:
		return "taking back";
	case LINK_WAITING:
		return "waiting";
	case LINK_WORKING:
		return "working";
	case LINK_LEAVING:
		return "leaving";
	case LINK_DRAINING:
		return "draining";
	case LINK_SUCCESSOR:
		return "taking over";
	}
	return "?";
}

/* ---------------------------------------------------------------------------- an end */

static void free_link(struct loop_task *task)
{
	struct link *link = CONTAINER_OF(task, struct link, free_task);

	if (link->given_counters >= 0)
		close(link->given_counters);
	for (int i = 0; i < PUBLISHED_COUNT; i++)
		if (link->given[i] >= 0)
			close(link->given[i]);
	mem_free(link);
}

void link_drop(struct link *link)
{
	struct links *links = link->links;
	struct link **at = &links->first;

	if (link->is_closed)
		return;
	link->is_closed = true;
	channel_close(&link->channel);
	loop_timer_clear(&links->agent->loop, &link->greeting_timer);
	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	if (links->current == link)
		links->current = NULL;
	tally_fold(&links->agent->tally, link->segment);
	link->segment = NULL;
	link->free_task.run = free_link;
	loop_defer(&links->agent->loop, &link->free_task);
}

static void on_closed(struct channel *channel, const struct err *why)
{
	struct link *link = CONTAINER_OF(channel, struct link, channel);
	struct agent *agent = link->links->agent;

	if (why->code == -EPROTO)
		log_error("agent", "proxy %d: %s", link->pid, why->text);
	else if (link->state == LINK_WORKING && !agent->is_draining)
		log_warning("agent", "proxy %d: %s", link->pid, why->text);
	link_drop(link);
	if (link->state == LINK_SUCCESSOR) {
		upgrade_on_closed(&agent->upgrade, link, why);
		return;
	}
	/* Its process may live on (a desync) or be none of ours: the pidfd tells about ours. */
	if (!supervise_is_running(&agent->supervise))
		agent_on_proxy_gone(agent);
}

void link_begin_drain(struct link *link, uint32_t grace_ms)
{
	struct control_drain drain = { .grace_ms = grace_ms };

	if (link->state == LINK_DRAINING || link->state == LINK_SUCCESSOR)
		return;
	log_info("agent", "proxy %d drains", link->pid);
	link->state = LINK_DRAINING;
	if (link->links->current == link)
		link->links->current = NULL;
	channel_send(&link->channel, CONTROL_DRAIN, &drain, -1);
}

/* ---------------------------------------------------------------------------- its place */

/* One that leaves serves until the new one does. */
void link_become_current(struct link *link)
{
	struct links *links = link->links;

	if (links->current && links->current != link && links->current->state != LINK_LEAVING)
		link_begin_drain(links->current, links->agent->options->grace_ms);
	links->current = link;
	links->is_started = true;
	links->agent->tally.current = link->segment;
	link->state = LINK_WORKING;
	proxy_pid_write(links->agent->options->run_dir, link->pid);
}

static void set_up(struct link *link)
{
	if (link_send_start(link))
		link_become_current(link);
	else
		link_drop(link);
}

/* The one that connected last. */
struct link *links_waiting(const struct links *links)
{
	struct link *link = links->first;

	while (link && link->state != LINK_WAITING)
		link = link->next;
	return link;
}

void links_start_waiting(struct links *links)
{
	struct link *chosen = links_waiting(links);
	const struct agent *agent = links->agent;

	if (!chosen || !publisher_is_complete(&agent->publisher) || agent->is_draining)
		return;
	if (!links->current || links->current->state == LINK_LEAVING)
		set_up(chosen);
	/* Another pod's may be needed soon. One of `sluice run` was left by an agent that is gone.
	 */
	for (struct link *link = links->first; link && agent->options->command == COMMAND_RUN;
	     link = link->next)
		if (link->state == LINK_WAITING)
			link_begin_drain(link, 0);
}

bool links_has_proxy(const struct links *links)
{
	for (const struct link *link = links->first; link; link = link->next)
		if (link->state != LINK_SUCCESSOR)
			return true;
	return false;
}

static void drop_all(struct links *links, bool (*is_meant)(const struct link *link))
{
	struct link *next;

	for (struct link *link = links->first; link; link = next) {
		next = link->next;
		if (is_meant(link))
			link_drop(link);
	}
}

static bool is_waiting(const struct link *link)
{
	return link->state == LINK_WAITING;
}

static bool is_proxy(const struct link *link)
{
	return link->state != LINK_SUCCESSOR;
}

void links_drop_waiting(struct links *links)
{
	drop_all(links, is_waiting);
}

void links_drop_proxies(struct links *links)
{
	drop_all(links, is_proxy);
}

void links_drain(struct links *links, uint32_t grace_ms)
{
	for (struct link *link = links->first; link; link = link->next)
		link_begin_drain(link, grace_ms);
}

void links_on_exit(struct links *links, int pid)
{
	struct link *next;

	for (struct link *link = links->first; link; link = next) {
		next = link->next;
		if (link->pid == pid)
			link_drop(link);
	}
}

/* ----------------------------------------------------------------- in force, or not */

bool links_is_in_force(const struct links *links)
{
	const struct publisher *publisher = &links->agent->publisher;

	if (!links->current || !publisher_is_complete(publisher))
		return false;
	for (int i = 0; i < PUBLISHED_COUNT; i++)
		if (links->current->in_force[i] < publisher->of[i].generation)
			return false;
	return true;
}

bool links_is_settled(const struct links *links)
{
	const struct link *link = links->current;

	for (int i = 0; link && i < PUBLISHED_COUNT; i++) {
		uint64_t wanted = links->agent->publisher.of[i].generation;

		if (link->in_force[i] < wanted && link->refused[i] < wanted)
			return false;
	}
	return true;
}

/* Those that were asked to end and served on: another one serves now. */
static void drain_leaving(struct links *links)
{
	for (struct link *link = links->first; link; link = link->next)
		if (link->state == LINK_LEAVING)
			link_begin_drain(link, links->agent->options->grace_ms);
}

static void on_in_force(struct link *link, const struct control_in_force *message)
{
	enum published_kind kind = published_kind_of(message->type);

	if (kind == PUBLISHED_COUNT || message->generation <= link->in_force[kind])
		return;
	link->in_force[kind] = message->generation;
	if (link != link->links->current)
		return;
	if (links_is_in_force(link->links))
		drain_leaving(link->links);
	agent_on_in_force(link->links->agent);
}

static void on_refused(struct link *link, const struct control_refused *message)
{
	enum published_kind kind = published_kind_of(message->type);

	log_error("agent", "proxy %d refuses %s of generation %" PRIu64 ": %.*s", link->pid,
		  control_type_name(message->type), message->generation,
		  (int)strnlen(message->text, sizeof(message->text)), message->text);
	if (kind == PUBLISHED_COUNT)
		return;
	link->refused[kind] = message->generation;
	if (link == link->links->current)
		agent_on_in_force(link->links->agent);
}

/* Says why in a message that all versions understand, and ends the connection. */
void link_refuse(struct link *link, enum control_type type, const struct err *why)
{
	struct control_refused refused = { .type = type, .code = why->code };

	snprintf(refused.text, sizeof(refused.text), "%.*s", (int)sizeof(refused.text) - 1,
		 why->text);
	channel_send(&link->channel, CONTROL_REFUSED, &refused, -1);
	link_drop(link);
}

static void on_hello(struct link *link, const struct control_hello *hello)
{
	struct control_welcome welcome = { 0 };
	struct err err = { 0 };

	link->channel.peer = CONTROL_SIDE_PROXY;
	welcome.version = control_choose_version(hello->version_min, hello->version_max, &err);
	if (!welcome.version) {
		log_error("agent", "proxy %d is refused: %s", link->pid, err.text);
		link_refuse(link, CONTROL_HELLO, &err);
		return;
	}
	channel_send(&link->channel, CONTROL_WELCOME, &welcome, -1);
	link->hello = *hello;
	link->give_back_left = hello->give_back_count;
	link->state = LINK_TAKING;
	log_debug("agent", "proxy %d says hello: %u workers, %u sockets", link->pid,
		  hello->worker_count, hello->listener_count);
	if (link->give_back_left == 0)
		link_on_taken(link);
}

/* A signal asks it to end. Where no other one can take its place the sockets wait for one. */
static void on_leaving(struct link *link)
{
	struct links *links = link->links;

	if (link->state != LINK_WORKING || upgrade_is_under_way(&links->agent->upgrade))
		return;
	if (!links_waiting(links) || !publisher_is_complete(&links->agent->publisher)) {
		link_begin_drain(link, links->agent->options->grace_ms);
		return;
	}
	log_info("agent", "proxy %d leaves: another one takes its place", link->pid);
	link->state = LINK_LEAVING;
	links_start_waiting(links);
}

/* ---------------------------------------------------------------------------- receiving */

static void refuse_message(struct link *link, const struct control_message *message)
{
	log_error("agent", "proxy %d sends '%s' while %s", link->pid,
		  control_type_name(message->type), link_state_name(link->state));
	if (message->fd >= 0)
		close(message->fd);
	link_drop(link);
}

/* The first message tells who it is. */
static void on_greeting(struct link *link, struct control_message *message)
{
	loop_timer_clear(&link->links->agent->loop, &link->greeting_timer);
	if (message->type == CONTROL_HELLO)
		on_hello(link, &message->body.hello);
	else if (message->type == CONTROL_TAKEOVER)
		upgrade_on_takeover(&link->links->agent->upgrade, link, &message->body.takeover);
	else
		refuse_message(link, message);
}

static void on_message(struct channel *channel, struct control_message *message)
{
	struct link *link = CONTAINER_OF(channel, struct link, channel);

	if (link->state == LINK_GREETING)
		on_greeting(link, message);
	else if (link->state == LINK_TAKING && message->type != CONTROL_HELLO)
		link_take_back(link, message);
	else if (message->type == CONTROL_IN_FORCE)
		on_in_force(link, &message->body.in_force);
	else if (message->type == CONTROL_REFUSED)
		on_refused(link, &message->body.refused);
	else if (message->type == CONTROL_LEAVING)
		on_leaving(link);
	else if (message->type == CONTROL_COMMIT)
		upgrade_on_commit(&link->links->agent->upgrade);
	else if (message->type == CONTROL_DRAINED)
		log_info("agent", "proxy %d has drained, %u connections were cut", link->pid,
			 message->body.drained.cut_count);
	else
		refuse_message(link, message);
}

static void on_greeting_due(struct loop_timer *timer)
{
	struct link *link = CONTAINER_OF(timer, struct link, greeting_timer);

	log_warning("agent", "process %d connected to the control socket and says nothing",
		    link->pid);
	link_drop(link);
}

static void open_link(struct links *links, int fd)
{
	struct loop *loop = &links->agent->loop;
	struct link *link = mem_new(1, sizeof(*link));
	struct err err = { 0 };

	link->links = links;
	link->pid = control_peer_pid(fd);
	link->given_counters = -1;
	for (int i = 0; i < PUBLISHED_COUNT; i++)
		link->given[i] = -1;
	link->channel.on_message = on_message;
	link->channel.on_closed = on_closed;
	link->greeting_timer.on_due = on_greeting_due;
	if (channel_open(&link->channel, loop, fd, CONTROL_SIDE_ANY_CLIENT, &err)) {
		log_error("agent", "%s", err.text);
		mem_free(link);
		return;
	}
	loop_timer_set(loop, &link->greeting_timer, loop->now_ms + LINK_GREETING_MS);
	link->next = links->first;
	links->first = link;
}

static void on_connect(struct loop_watch *watch, uint32_t events)
{
	struct links *links = CONTAINER_OF(watch, struct links, listen_watch);
	struct err err = { 0 };
	int fd;

	(void)events;
	while ((fd = control_accept(watch->fd, &err)) != -EAGAIN) {
		if (fd >= 0) {
			open_link(links, fd);
			continue;
		}
		log_warning("agent", "control socket: %s", err.text);
		if (fd != -EPERM && fd != -ECONNABORTED)
			return;
	}
}

/* ------------------------------------------------------------------------ open, close */

static int listen_on(struct links *links, int (*listen_at)(const char *path, struct err *err),
		     struct err *err)
{
	char path[4096];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", links->agent->options->run_dir, CONTROL_SOCKET_NAME);
	fd = listen_at(path, err);
	if (fd < 0)
		return fd;
	links_stop_listening(links);
	links->listen_watch = (struct loop_watch){ .fd = fd, .on_event = on_connect };
	rc = loop_watch_level(&links->agent->loop, &links->listen_watch);
	return rc ? err_set_os(err, rc, "cannot watch '%s'", path) : 0;
}

int links_open(struct links *links, struct agent *agent, struct err *err)
{
	*links = (struct links){
		.agent = agent,
		.listen_watch.fd = -1,
		.adopted_image = -1,
		.adopted_endpoints = -1,
	};
	return listen_on(links,
			 takeover_is_pending(&agent->takeover) ? control_listen_over
							       : control_listen,
			 err);
}

int links_listen_over(struct links *links, struct err *err)
{
	return listen_on(links, control_listen_over, err);
}

void links_stop_listening(struct links *links)
{
	if (links->listen_watch.fd < 0)
		return;
	loop_unwatch(&links->agent->loop, &links->listen_watch);
	close(links->listen_watch.fd);
	links->listen_watch.fd = -1;
}

void links_close(struct links *links)
{
	struct link *next;

	if (!links->agent)
		return;
	for (struct link *link = links->first; link; link = next) {
		next = link->next;
		channel_close(&link->channel);
		free_link(&link->free_task);
	}
	links->first = links->current = NULL;
	links_stop_listening(links);
	link_replace_fd(&links->adopted_image, -1);
	link_replace_fd(&links->adopted_endpoints, -1);
}

/* One that serves has said all that there is to wait for; with @is_any, also one that waits. */
static bool is_heard(const struct links *links, bool is_any)
{
	for (const struct link *link = links->first; link; link = link->next)
		if (link->state > LINK_WAITING || (is_any && link->state == LINK_WAITING))
			return true;
	return false;
}

void links_adopt(struct links *links)
{
	struct agent *agent = links->agent;
	int pid = proxy_pid_read(agent->options->run_dir);
	uint64_t began_ms = agent->loop.now_ms;

	/*
	 * In a pod of two containers pids may not be visible: there HELLO alone tells. A proxy that
	 * waits may be heard before one that serves, which connects every CONTROL_RETRY_MS.
	 */
	while ((pid > 0 || agent->options->command == COMMAND_AGENT) &&
	       !is_heard(links, agent->loop.now_ms >= began_ms + LINK_ADOPT_OTHERS_MS) &&
	       agent->loop.now_ms < began_ms + LINK_ADOPT_WAIT_MS && !agent->loop.is_stopping)
		loop_turn(&agent->loop, 50);
	if (pid > 0 && !is_heard(links, true))
		log_warning("agent", "proxy %d is there and does not answer", pid);
	links->is_started = true;
}
