// SPDX-License-Identifier: Apache-2.0
/* events: samples of drops, out of the ring buffer that XDP writes. */
#include <errno.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "datapath/internal.h"

/* Who reads at the moment; libbpf takes its callback once, when the buffer is opened. */
struct event_reader {
	void (*on_event)(void *arg, const struct event *event);
	void *arg;
};

static int hand_over(void *arg, void *data, size_t len)
{
	const struct event_reader *reader = arg;

	if (len >= sizeof(struct event) && reader->on_event)
		reader->on_event(reader->arg, data);
	return 0;
}

static int open_events(struct datapath *dp)
{
	if (dp->events)
		return 0;
	if (!dp->reader)
		dp->reader = mem_new(1, sizeof(*dp->reader));
	dp->events = ring_buffer__new(dp->map_fds[MAP_EVENTS], hand_over, dp->reader, NULL);
	return dp->events ? 0 : -errno;
}

int datapath_events_fd(struct datapath *dp)
{
	int code = open_events(dp);

	return code ? code : ring_buffer__epoll_fd(dp->events);
}

int datapath_read_events(struct datapath *dp,
			 void (*on_event)(void *arg, const struct event *event), void *arg)
{
	int code = open_events(dp);

	if (code)
		return code;
	*dp->reader = (struct event_reader){ on_event, arg };
	return ring_buffer__consume(dp->events);
}

void events_close(struct datapath *dp)
{
	ring_buffer__free(dp->events);
	mem_free(dp->reader);
}
