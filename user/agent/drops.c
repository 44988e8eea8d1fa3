// SPDX-License-Identifier: Apache-2.0
/* drops: see drops.h. */
#include "agent/drops.h"

#include "agent/agent.h"
#include "base/container.h"
#include "base/log.h"

void drops_add(struct drops *drops, const struct event *event)
{
	drops->kept[drops->count++ % DROPS_KEPT] = *event;
}

const struct event *drops_at(const struct drops *drops, uint64_t back)
{
	if (back >= drops->count || back >= DROPS_KEPT)
		return NULL;
	return &drops->kept[(drops->count - 1 - back) % DROPS_KEPT];
}

static void on_sample(void *arg, const struct event *event)
{
	drops_add(arg, event);
}

static void on_readable(struct loop_watch *watch, uint32_t events)
{
	struct drops *drops = CONTAINER_OF(watch, struct drops, watch);

	(void)events;
	datapath_read_events(drops->agent->steering.datapath, on_sample, drops);
}

void drops_open(struct drops *drops, struct agent *agent)
{
	drops->agent = agent;
	drops->watch = (struct loop_watch){ .fd = -1, .on_event = on_readable };
	if (!agent->steering.datapath)
		return;
	drops->watch.fd = datapath_events_fd(agent->steering.datapath);
	if (drops->watch.fd < 0 || loop_watch_level(&agent->loop, &drops->watch))
		log_warning("agent", "no samples of drops: the ring buffer cannot be read");
}

void drops_close(struct drops *drops)
{
	if (drops->agent && drops->watch.fd >= 0)
		loop_unwatch(&drops->agent->loop, &drops->watch);
	drops->watch.fd = -1;
}
