// SPDX-License-Identifier: Apache-2.0
/*
 * link_take: what a proxy gives back, and whether it keeps its place.
 *
 * Its sockets are taken whatever becomes of it: connections wait in them. It is kept where nothing
 * but the agent has changed, so the same workers and the same listeners are wanted; then its
 * counters go on, and what it serves is what is published until something newer is compiled.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/link_private.h"
#include "base/log.h"
#include "base/memfd.h"

static bool fits(const struct link *link)
{
	const struct agent *agent = link->links->agent;

	return link->hello.worker_count == agent->worker_count && !link->hello.is_draining &&
	       link->given_counters >= 0 && link->sockets_kept == link->hello.listener_count &&
	       listeners_missing(&agent->listeners) == 0;
}

void link_replace_fd(int *fd, int by)
{
	if (*fd >= 0)
		close(*fd);
	*fd = by;
}

void links_adopt_published(struct links *links)
{
	const struct publisher *publisher = &links->agent->publisher;

	link_replace_fd(&links->adopted_image,
			fcntl(publisher->of[PUBLISHED_IMAGE].fd, F_DUPFD_CLOEXEC, 0));
	link_replace_fd(&links->adopted_endpoints,
			fcntl(publisher->of[PUBLISHED_ENDPOINTS].fd, F_DUPFD_CLOEXEC, 0));
	links_start_waiting(links);
}

/* What it serves is what is published, until something newer is compiled. */
static void publish_given(struct link *link)
{
	struct publisher *publisher = &link->links->agent->publisher;

	for (int kind = 0; kind < PUBLISHED_COUNT; kind++) {
		struct err err = { 0 };
		struct str bytes;
		int rc = link->given[kind] < 0 ? -ENOENT : 0;

		if (!rc)
			rc = memfd_map_sealed(link->given[kind], &bytes, &err);
		if (rc)
			continue;
		if (publisher_set(publisher, (enum published_kind)kind, bytes, &err))
			log_warning("agent", "proxy %d gives back %s that cannot be read: %s",
				    link->pid, control_type_name(published_type(kind)), err.text);
		memfd_unmap(bytes.at, bytes.len);
	}
	if (publisher_is_complete(publisher))
		links_adopt_published(link->links);
}

/* What it has counted so far, in the memory where it goes on. */
static int take_counters(struct link *link, struct err *err)
{
	struct agent *agent = link->links->agent;
	int fd = link->given_counters;

	link->given_counters = -1;
	if (fd < 0)
		return err_set(err, -ENOENT, "it does not say where it counts");
	link->segment = tally_map(&agent->tally, fd, link->hello.worker_count, err);
	return link->segment ? 0 : err->code;
}

/* Its counters go on where they stand, and so do the ids of its backends and endpoints. */
static int keep(struct link *link, struct err *err)
{
	struct agent *agent = link->links->agent;
	bool is_handed_over = publisher_is_complete(&agent->publisher);
	int rc = take_counters(link, err);

	if (rc)
		return rc;
	if (!is_handed_over)
		publish_given(link);
	link->in_force[PUBLISHED_IMAGE] = link->hello.image_generation;
	link->in_force[PUBLISHED_ENDPOINTS] = link->hello.endpoints_generation;
	link->in_force[PUBLISHED_CERTS] = link->hello.certs_generation;
	link_become_current(link);
	if (is_handed_over) {
		link_send_all(link);
		reconcile_go_above(&agent->reconcile, link->in_force);
	}
	return 0;
}

static bool can_keep(struct link *link)
{
	struct err err = { 0 };

	if (link->links->is_started || link->links->current)
		return false;
	if (!fits(link)) {
		log_warning("agent",
			    "proxy %d has %u workers and %u sockets, which is not what is wanted: "
			    "another one takes its place",
			    link->pid, link->hello.worker_count, link->hello.listener_count);
		return false;
	}
	if (keep(link, &err)) {
		log_warning("agent", "proxy %d cannot be kept: %s", link->pid, err.text);
		return false;
	}
	log_info("agent", "proxy %d goes on with its %u workers and %u sockets", link->pid,
		 link->hello.worker_count, link->hello.listener_count);
	return true;
}

/*
 * One that has no workers waits for its setup; one that cannot be kept, or comes when another is
 * at work, finishes what it has.
 */
void link_on_taken(struct link *link)
{
	struct err err = { 0 };

	if (link->hello.worker_count == 0) {
		if (upgrade_is_under_way(&link->links->agent->upgrade)) {
			link_drop(link); /* the next agent will need it */
			return;
		}
		link->state = LINK_WAITING;
		links_start_waiting(link->links);
		return;
	}
	if (can_keep(link))
		return;
	/* One that comes later was seen by the agent before this one, which knows its counters. */
	if (!link->links->is_started && !link->segment && take_counters(link, &err))
		log_debug("agent", "proxy %d: %s", link->pid, err.text);
	link_begin_drain(link, link->links->agent->options->grace_ms);
}

void link_take_back(struct link *link, struct control_message *message)
{
	struct agent *agent = link->links->agent;
	enum published_kind kind = published_kind_of(message->type);

	if (message->type == CONTROL_LISTENER)
		link->sockets_kept +=
			listeners_take(&agent->listeners, &message->body.listener, message->fd);
	else if (message->type == CONTROL_COUNTERS &&
		 message->body.counters.struct_bytes == sizeof(struct counters))
		link_replace_fd(&link->given_counters, message->fd);
	else if (kind != PUBLISHED_COUNT)
		link_replace_fd(&link->given[kind], message->fd);
	else if (message->fd >= 0)
		close(message->fd);
	if (--link->give_back_left == 0)
		link_on_taken(link);
}
