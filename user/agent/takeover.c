// SPDX-License-Identifier: Apache-2.0
/* takeover: see takeover.h; what is said is drawn in control/control.h. */
#include "agent/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/link_private.h"
#include "base/container.h"
#include "base/log.h"
#include "base/memfd.h"

enum { PATH_BYTES = 4096, ASK_TURN_MS = 20 };

bool takeover_is_pending(const struct takeover *takeover)
{
	return takeover->state == TAKEOVER_PREPARING || takeover->state == TAKEOVER_COMMITTED;
}

int takeover_admin(struct takeover *takeover, const struct addr *addr)
{
	int fd = takeover->admin_fd;

	if (fd < 0 || !addr || !addr_eq(addr, &takeover->admin_addr))
		return -1;
	takeover->admin_fd = -1;
	return fd;
}

/* ------------------------------------------------------------------ what comes */

static void take_segment(struct agent *agent, enum published_kind kind, int fd)
{
	struct err err = { 0 };
	struct str bytes;
	int rc = memfd_map_sealed(fd, &bytes, &err);

	close(fd);
	if (!rc) {
		rc = publisher_set(&agent->publisher, kind, bytes, &err);
		memfd_unmap(bytes.at, bytes.len);
	}
	/* Another version's: ours is compiled anyway. */
	if (rc)
		log_info("agent", "what is served is compiled anew: %s", err.text);
}

static void take_counters(struct agent *agent, const struct control_counters *counters, int fd)
{
	struct tally_segment *segment;
	struct err err = { 0 };

	if (counters->struct_bytes != sizeof(struct counters) ||
	    counters->worker_count > CONTROL_WORKERS_MAX) {
		close(fd);
		log_warning("agent", "the totals of another version begin at 0");
		return;
	}
	segment = tally_map(&agent->tally, fd, counters->worker_count, &err);
	if (segment)
		segment->is_foreign = true;
	else
		log_warning("agent", "totals: %s", err.text);
	if (segment && counters->worker_count == 0)
		tally_fold(&agent->tally, segment); /* `before` is known; it has nothing else */
}

static void take_admin(struct takeover *takeover, const struct control_admin *admin, int fd)
{
	link_replace_fd(&takeover->admin_fd, fd);
	memcpy(takeover->admin_addr.ip, admin->ip, sizeof(admin->ip));
	takeover->admin_addr.port = admin->port;
}

static void take_handover(struct takeover *takeover, const struct control_handover *handover)
{
	struct agent *agent = takeover->agent;
	char own[CONTROL_NAME_MAX];

	upgrade_pod_name(own);
	if (strncmp(own, handover->name, sizeof(own)) != 0)
		memcpy(agent->upgrade.superseded, handover->name, CONTROL_NAME_MAX - 1);
	takeover->keeps_proxy = (handover->flags & CONTROL_HANDOVER_KEEPS_PROXY) != 0;
	takeover->state = TAKEOVER_PREPARING;
}

/* What the agent before this one counted goes on here. */
static void take_totals(struct agent *agent, const struct control_let_go *let_go)
{
	struct reconcile_times *times = &agent->reconcile.times;
	struct reconcile_times before;

	agent->supervise.start_count += let_go->proxy_starts;
	agent->upgrade.count = let_go->upgrades;
	if (let_go->total_count != sizeof(before) / sizeof(uint64_t))
		return;
	memcpy(&before, let_go->totals, sizeof(before));
	for (size_t i = 0; i <= RECONCILE_BUCKET_COUNT; i++)
		times->buckets[i] += before.buckets[i];
	times->count += before.count;
	times->sum_ms += before.sum_ms;
}

/* -------------------------------------------------------------------- in charge */

static void in_charge(struct takeover *takeover)
{
	struct agent *agent = takeover->agent;
	struct err err = { 0 };

	takeover->state = TAKEOVER_DONE;
	loop_timer_clear(&agent->loop, &takeover->timer);
	if (agent_take_charge(agent, &err))
		log_error("agent", "%s", err.text);
	log_info("agent", "the place of the agent before this one is taken");
	steering_update_workers(&agent->steering);
	agent_on_in_force(agent);
}

static void on_let_go(struct takeover *takeover, const struct control_let_go *let_go)
{
	if (takeover->state != TAKEOVER_COMMITTED)
		return;
	take_totals(takeover->agent, let_go);
	in_charge(takeover);
}

static bool is_serving(const struct takeover *takeover)
{
	struct agent *agent = takeover->agent;

	if (!reconcile_has_compiled(&agent->reconcile) || !publisher_is_complete(&agent->publisher))
		return false;
	return takeover->keeps_proxy || links_is_in_force(&agent->links);
}

static void on_look(struct loop_timer *timer)
{
	struct takeover *takeover = CONTAINER_OF(timer, struct takeover, timer);
	struct loop *loop = &takeover->agent->loop;
	const struct control_commit commit = { { 0 } };

	if (takeover->state != TAKEOVER_PREPARING)
		return;
	if (!is_serving(takeover)) {
		loop_timer_set(loop, timer, loop->now_ms + TAKEOVER_LOOK_MS);
		return;
	}
	takeover->state = TAKEOVER_COMMITTED;
	channel_send(&takeover->channel, CONTROL_COMMIT, &commit, -1);
}

void takeover_begin(struct takeover *takeover)
{
	struct agent *agent = takeover->agent;

	if (takeover->state != TAKEOVER_PREPARING)
		return;
	takeover->timer.on_due = on_look;
	loop_timer_set(&agent->loop, &takeover->timer, agent->loop.now_ms);
	/* The agent before this one may have gone while everything was started. */
	if (!takeover->channel.is_open)
		agent_fail(agent, takeover->why.text);
}

/* ------------------------------------------------------------------- the channel */

static void on_message(struct channel *channel, struct control_message *message)
{
	struct takeover *takeover = CONTAINER_OF(channel, struct takeover, channel);
	struct agent *agent = takeover->agent;
	const union control_body *body = &message->body;
	enum published_kind kind = published_kind_of(message->type);

	if (kind != PUBLISHED_COUNT)
		take_segment(agent, kind, message->fd);
	else if (message->type == CONTROL_LOCK)
		link_replace_fd(&agent->lock_fd, message->fd);
	else if (message->type == CONTROL_LISTENER)
		listeners_take(&agent->listeners, &body->listener, message->fd);
	else if (message->type == CONTROL_ADMIN)
		take_admin(takeover, &body->admin, message->fd);
	else if (message->type == CONTROL_COUNTERS)
		take_counters(agent, &body->counters, message->fd);
	else if (message->type == CONTROL_TICKET_KEYS)
		agent->tickets.keys = body->ticket_keys;
	else if (message->type == CONTROL_HANDOVER)
		take_handover(takeover, &body->handover);
	else if (message->type == CONTROL_LET_GO)
		on_let_go(takeover, &body->let_go);
	else if (message->type == CONTROL_REFUSED)
		err_set(&takeover->why, body->refused.code, "%.*s",
			(int)strnlen(body->refused.text, sizeof(body->refused.text)),
			body->refused.text);
	else if (message->fd >= 0)
		close(message->fd);
}

static void on_closed(struct channel *channel, const struct err *why)
{
	struct takeover *takeover = CONTAINER_OF(channel, struct takeover, channel);
	struct agent *agent = takeover->agent;

	if (!takeover->why.code)
		takeover->why = *why;
	switch (takeover->state) {
	case TAKEOVER_NONE:
	case TAKEOVER_ASKING:
		break;
	case TAKEOVER_PREPARING:
		log_error("agent", "the agent in charge does not let this one take over: %s",
			  takeover->why.text);
		agent_fail(agent, NULL);
		break;
	case TAKEOVER_COMMITTED: /* it was killed on its way out */
		in_charge(takeover);
		tally_fold_foreign(&agent->tally);
		break;
	case TAKEOVER_DONE: /* it is gone, and with it the proxies that it drained */
		tally_fold_foreign(&agent->tally);
		break;
	}
}

/* -------------------------------------------------------------------- the question */

static int ask(struct takeover *takeover, struct err *err)
{
	struct agent *agent = takeover->agent;
	struct control_takeover question = {
		.version_max = CONTROL_VERSION,
		.version_min = CONTROL_VERSION_MIN,
		.command = agent->options->command,
	};
	char path[PATH_BYTES];
	uint64_t until_ms;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", agent->options->run_dir, CONTROL_SOCKET_NAME);
	fd = control_connect(path, err);
	if (fd < 0)
		return -EBUSY; /* it is about to begin, or to end */
	takeover->channel.on_message = on_message;
	takeover->channel.on_closed = on_closed;
	rc = channel_open(&takeover->channel, &agent->loop, fd, CONTROL_SIDE_AGENT, err);
	if (rc)
		return rc;
	takeover->state = TAKEOVER_ASKING;
	takeover->why = (struct err){ 0 };
	upgrade_pod_name(question.name);
	channel_send(&takeover->channel, CONTROL_TAKEOVER, &question, -1);
	loop_turn(&agent->loop, 0);
	until_ms = agent->loop.now_ms + TAKEOVER_ASK_MS;
	while (takeover->state == TAKEOVER_ASKING && takeover->channel.is_open &&
	       agent->loop.now_ms < until_ms && !agent->loop.is_stopping)
		loop_turn(&agent->loop, ASK_TURN_MS);
	if (takeover->state == TAKEOVER_PREPARING)
		return 0;
	takeover->state = TAKEOVER_NONE;
	channel_close(&takeover->channel);
	if (takeover->why.code == -ECONNRESET || !takeover->why.code)
		return -EBUSY;
	*err = takeover->why;
	return err->code;
}

static int open_lock(struct agent *agent, struct err *err)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/agent.lock", agent->options->run_dir);
	agent->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return agent->lock_fd < 0 ? err_set_os(err, -errno, "cannot open '%s'", path) : 0;
}

static void wait_ms(struct agent *agent, uint64_t wait)
{
	uint64_t until_ms = agent->loop.now_ms + wait;

	while (agent->loop.now_ms < until_ms && !agent->loop.is_stopping)
		loop_turn(&agent->loop, (int)(until_ms - agent->loop.now_ms));
}

int takeover_lock(struct takeover *takeover, struct agent *agent, struct err *err)
{
	bool may_ask = agent->options->command == COMMAND_AGENT || agent->is_in_place;
	bool is_said = false;
	int rc = open_lock(agent, err);

	*takeover = (struct takeover){ .agent = agent, .admin_fd = -1, .channel.watch.fd = -1 };
	if (rc)
		return rc;
	while (flock(agent->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (!may_ask)
			return err_set(err, -EBUSY, "another agent uses the run dir '%s'",
				       agent->options->run_dir);
		rc = ask(takeover, err);
		if (rc != -EBUSY)
			return rc ? err_prefix(err, "the agent in charge refuses") : 0;
		if (!is_said)
			log_info("agent", "waiting for the run dir '%s': %s",
				 agent->options->run_dir,
				 err->text[0] ? err->text : "another agent has it");
		is_said = true;
		wait_ms(agent, TAKEOVER_STANDBY_MS);
		if (agent->loop.is_stopping)
			return -ECANCELED;
	}
	return 0;
}

void takeover_close(struct takeover *takeover)
{
	if (!takeover->agent)
		return;
	loop_timer_clear(&takeover->agent->loop, &takeover->timer);
	channel_close(&takeover->channel);
	if (takeover->admin_fd >= 0)
		close(takeover->admin_fd);
}
