// SPDX-License-Identifier: Apache-2.0
/* accept: see accept.h. */
#include "proxy/accept.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/conn.h"

void accept_start(struct worker *worker)
{
	if (worker->is_listening)
		return;
	for (uint32_t i = 0; i < worker->listener_count; i++) {
		int rc = loop_watch_level(&worker->loop, &worker->listeners[i].watch);

		if (rc < 0)
			log_error("proxy", "worker %u cannot watch a listening socket: %s",
				  worker->index, strerror(-rc));
	}
	worker->is_listening = true;
}

void accept_stop(struct worker *worker)
{
	if (!worker->is_listening)
		return;
	for (uint32_t i = 0; i < worker->listener_count; i++)
		loop_unwatch(&worker->loop, &worker->listeners[i].watch);
	worker->is_listening = false;
}

/* Room for one more: an idle connection goes first. */
static bool has_room(struct worker *worker)
{
	return worker->conns.used < worker->settings->connections_max || conn_shed_idle(worker);
}

/* Closes what is not to be; counted under the names that XDP counts it under. */
static bool is_welcome(struct worker_listener *listener, const struct addr *client)
{
	struct worker *worker = listener->worker;
	const struct sources *sources = worker->config ? worker->config->sources : NULL;
	const struct sources_list *deny;

	if (!sources || sources->list_count == 0)
		return true;
	deny = sources_deny(sources);
	if (deny && sources_has(sources, deny, client->ip)) {
		worker_count(worker, drop_denied);
		return false;
	}
	if (listener->allow && !sources_has(sources, listener->allow, client->ip)) {
		worker_count(worker, drop_not_allowed);
		return false;
	}
	return true;
}

/* -errno of accept4. */
static int accept_one(struct worker_listener *listener)
{
	struct worker *worker = listener->worker;
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	struct addr client = { 0 };
	int fd = accept4(listener->watch.fd, (struct sockaddr *)&from, &from_len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	worker_count(worker, connections_accepted);
	addr_from_sockaddr(&from, &client);
	if (!is_welcome(listener, &client)) {
		close(fd);
		return 0;
	}
	if (!has_room(worker)) {
		worker_count(worker, connections_refused);
		close(fd);
		return 0;
	}
	conn_open(worker, fd, &client, listener, STR(""));
	return 0;
}

void accept_rest(struct worker *worker)
{
	for (uint32_t i = 0; worker->is_listening && i < worker->listener_count; i++) {
		uint32_t taken = 0;

		while (taken < ACCEPT_REST_MAX && accept_one(&worker->listeners[i]) == 0)
			taken++;
	}
	accept_stop(worker);
}

void accept_on_event(struct loop_watch *watch, uint32_t events)
{
	struct worker_listener *listener = (struct worker_listener *)watch; /* its first member */
	struct worker *worker = listener->worker;
	uint32_t taken = 0;
	int rc = 0;

	(void)events;
	while (taken < worker->accept_batch && (rc = accept_one(listener)) == 0)
		taken++;
	if (rc == -EMFILE || rc == -ENFILE) {
		/* The socket stays readable: without this the loop would spin. */
		if (!conn_shed_idle(worker)) {
			accept_stop(worker);
			worker->is_accept_paused = true;
		}
		return;
	}
	if (rc == 0)
		worker->accept_batch = worker->accept_batch * 2 < ACCEPT_BATCH_MAX
					       ? worker->accept_batch * 2
					       : ACCEPT_BATCH_MAX;
	else
		worker->accept_batch = taken > 1 ? taken : 1;
}
