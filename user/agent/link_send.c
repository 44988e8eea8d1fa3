// SPDX-License-Identifier: Apache-2.0
/*
 * link_send: what a proxy is told, as control/control.h draws it.
 *
 * Everything that a proxy needs is sent in one go once the first configuration is complete, so it
 * never accepts a connection that it has no answer for.
 */
#include <inttypes.h>

#include "agent/agent.h"
#include "agent/link_private.h"
#include "base/log.h"

static void send_segment(struct link *link, enum published_kind kind, bool has_more)
{
	const struct published *published = &link->links->agent->publisher.of[kind];
	struct control_segment segment = {
		.generation = published->generation,
		.flags = has_more ? CONTROL_SEGMENT_MORE : 0,
	};
	int rc;

	rc = channel_send(&link->channel, published_type(kind), &segment, published->fd);
	if (rc)
		log_error("agent", "cannot send generation %" PRIu64 " to proxy %d: %s",
			  published->generation, link->pid, strerror(-rc));
}

/* Workers take up all of @kinds at once: no route is ever without the endpoints it means. */
static void send_change(struct link *link, unsigned int kinds)
{
	for (int kind = 0; kind < PUBLISHED_COUNT; kind++) {
		unsigned int bit = 1u << kind;

		if (kinds & bit)
			send_segment(link, (enum published_kind)kind, (kinds & ~bit) != 0);
		kinds &= ~bit;
	}
}

static void send_ticket_keys(struct link *link)
{
	channel_send(&link->channel, CONTROL_TICKET_KEYS, &link->links->agent->tickets.keys, -1);
}

static void send_access_log(struct link *link)
{
	struct control_access_log access_log = { { 0 } };
	int fd = link->links->agent->access_log_fd;

	if (fd >= 0)
		channel_send(&link->channel, CONTROL_ACCESS_LOG, &access_log, fd);
}

static void send_settings(struct link *link)
{
	const struct options *options = link->links->agent->options;
	struct control_settings settings = {
		.log_level = options->log_level,
		.trusted_hops = options->trusted_hops,
		.request_head_timeout_ms = options->request_head_timeout_ms,
		.keepalive_timeout_ms = options->keepalive_timeout_ms,
		.upstream_idle_timeout_ms = options->upstream_idle_timeout_ms,
		.trusted_count = options->trusted_count,
	};

	memcpy(settings.trusted, options->trusted, sizeof(settings.trusted));
	channel_send(&link->channel, CONTROL_SETTINGS, &settings, -1);
}

static void send_sources(struct link *link)
{
	const struct protection *protection = &link->links->agent->protection;
	struct control_segment segment = { .generation = protection->generation };
	uint32_t version =
		control_choose_version(link->hello.version_min, link->hello.version_max, NULL);

	if (protection->sources_fd < 0)
		return;
	if (version < CONTROL_SOURCES_VERSION)
		log_warning("agent",
			    "proxy %d is of an earlier version: lists of sources hold in "
			    "XDP alone",
			    link->pid);
	else
		channel_send(&link->channel, CONTROL_SOURCES, &segment, protection->sources_fd);
}

/* False without memory for its counters: the next one may have more luck. */
static bool send_setup(struct link *link)
{
	struct agent *agent = link->links->agent;
	struct control_setup setup = {
		.flags = CONTROL_SETUP_HAND_OFF | CONTROL_SETUP_PIN,
		.worker_count = agent->worker_count,
	};
	struct control_counters counters = {
		.worker_count = agent->worker_count,
		.struct_bytes = sizeof(struct counters),
	};
	struct err err = { 0 };

	link->segment = tally_new(&agent->tally, agent->worker_count, &err);
	if (!link->segment) {
		log_error("agent", "counters of proxy %d: %s", link->pid, err.text);
		return false;
	}
	memcpy(setup.worker_cpus, agent->worker_cpus,
	       agent->worker_count * sizeof(setup.worker_cpus[0]));
	channel_send(&link->channel, CONTROL_SETUP, &setup, -1);
	channel_send(&link->channel, CONTROL_COUNTERS, &counters, link->segment->fd);
	return true;
}

void link_send_listener(struct link *link, const struct listener *listener, uint32_t worker_count)
{
	struct control_listener message = {
		.port = listener->addr.port,
		.listener_id = listener->id,
		.protocol = (uint16_t)listener->protocol,
	};

	memcpy(message.ip, listener->addr.ip, sizeof(message.ip));
	for (uint32_t n = 0; n < worker_count; n++) {
		message.worker = (uint16_t)n;
		channel_send(&link->channel, CONTROL_LISTENER, &message, listener->fds[n]);
	}
}

static void send_listeners(struct link *link)
{
	const struct listeners *listeners = &link->links->agent->listeners;

	for (size_t i = 0; i < listeners->count; i++)
		link_send_listener(link, &listeners->at[i], listeners->worker_count);
}

bool link_send_start(struct link *link)
{
	struct control_start start = { { 0 } };

	if (!send_setup(link))
		return false;
	send_listeners(link);
	send_access_log(link);
	send_settings(link);
	send_ticket_keys(link);
	send_sources(link);
	send_change(link, (1u << PUBLISHED_COUNT) - 1);
	channel_send(&link->channel, CONTROL_START, &start, -1);
	return true;
}

static bool is_serving(const struct link *link)
{
	return link->state == LINK_WORKING || link->state == LINK_LEAVING;
}

void link_send_all(struct link *link)
{
	send_settings(link);
	send_access_log(link);
	send_ticket_keys(link);
	send_sources(link);
	send_change(link, (1u << PUBLISHED_COUNT) - 1);
}

void links_publish(struct links *links, unsigned int kinds)
{
	for (struct link *link = links->first; link; link = link->next)
		if (is_serving(link))
			send_change(link, kinds);
	links_start_waiting(links);
}

void links_send_ticket_keys(struct links *links)
{
	for (struct link *link = links->first; link; link = link->next)
		if (is_serving(link))
			send_ticket_keys(link);
}

void links_send_sources(struct links *links)
{
	for (struct link *link = links->first; link; link = link->next)
		if (is_serving(link))
			send_sources(link);
}

void links_send_access_log(struct links *links)
{
	for (struct link *link = links->first; link; link = link->next)
		if (is_serving(link))
			send_access_log(link);
}

void links_send_settings(struct links *links)
{
	for (struct link *link = links->first; link; link = link->next)
		if (is_serving(link))
			send_settings(link);
}
