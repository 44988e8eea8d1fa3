// SPDX-License-Identifier: Apache-2.0
/*
 * steering: see steering.h.
 *
 * How busy a worker is comes from its counters: they are shared memory that is read here four
 * times a second. A worker whose loop has not turned for STEERING_STALLED_MS gets no new
 * connections from the datapath until it turns again.
 */
#include "agent/steering.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"

enum { LOAD_STEP_PERMILLE = 50 };

/* -------------------------------------------------------------------- which interfaces */

struct interfaces {
	char names[DATAPATH_INTERFACES_MAX][IF_NAMESIZE];
	const char *at[DATAPATH_INTERFACES_MAX];
	size_t count;
};

static void add_interface(struct interfaces *interfaces, const char *name)
{
	for (size_t i = 0; i < interfaces->count; i++)
		if (strcmp(interfaces->names[i], name) == 0)
			return;
	if (interfaces->count == DATAPATH_INTERFACES_MAX)
		return;
	snprintf(interfaces->names[interfaces->count], IF_NAMESIZE, "%s", name);
	interfaces->at[interfaces->count] = interfaces->names[interfaces->count];
	interfaces->count++;
}

static bool is_link_local(const struct addr *addr)
{
	return addr->ip[0] == 0xfe && (addr->ip[1] & 0xc0) == 0x80;
}

/*
 * A listener for every address means every interface that has one worth naming; so does one for a
 * prefix, which need be on none of them.
 */
static bool is_listened_on(const struct listeners *listeners, const struct addr *addr)
{
	for (size_t i = 0; i < listeners->count; i++) {
		const struct addr_range *wanted = &listeners->at[i].range;
		bool is_many = wanted->bits < PREFIX_BITS_MAX;

		if (memcmp(wanted->first.ip, addr->ip, 16) == 0)
			return true;
		if (is_many && addr_is_v4(&wanted->first) == addr_is_v4(addr) &&
		    !is_link_local(addr))
			return true;
	}
	return false;
}

static void find_interfaces(const struct listeners *listeners, struct interfaces *interfaces)
{
	struct ifaddrs *first;

	if (getifaddrs(&first) < 0)
		return;
	for (const struct ifaddrs *at = first; at; at = at->ifa_next) {
		struct sockaddr_storage sa = { 0 };
		struct addr addr = { .port = 0 };

		if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) || (at->ifa_flags & IFF_LOOPBACK))
			continue;
		if (at->ifa_addr->sa_family != AF_INET && at->ifa_addr->sa_family != AF_INET6)
			continue;
		memcpy(&sa, at->ifa_addr,
		       at->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
							  : sizeof(struct sockaddr_in6));
		if (addr_from_sockaddr(&sa, &addr) == 0 && is_listened_on(listeners, &addr))
			add_interface(interfaces, at->ifa_name);
	}
	freeifaddrs(first);
}

/* -------------------------------------------------------------------------------- open */

static int open_datapath(struct steering *steering, const struct interfaces *interfaces,
			 struct err *err)
{
	const struct agent *agent = steering->agent;
	struct datapath_listener listeners[LISTENERS_MAX];
	struct datapath_options options = {
		.bpf_dir = agent->options->bpf_dir,
		.xdp = agent->options->xdp,
		.interfaces = interfaces->at,
		.interface_count = agent->options->xdp == XDP_MODE_OFF ? 0 : interfaces->count,
		.listeners = listeners,
		.listener_count = agent->listeners.count,
		.worker_cpus = agent->worker_cpus,
		.worker_count = agent->worker_count,
		.wants_early_dispatch = agent->options->early_dispatch != EARLY_DISPATCH_OFF,
	};

	for (size_t i = 0; i < agent->listeners.count; i++) {
		const struct listener *from = &agent->listeners.at[i];

		listeners[i] = (struct datapath_listener){
			.addr = from->addr,
			.protocol = (enum listener_protocol)from->protocol,
			.is_range = !addr_range_is_plain(&from->range),
			.bits = from->range.bits,
			.port_last = from->range.port_last,
			.id = from->id,
		};
	}
	return datapath_open(&options, &steering->datapath, err);
}

/* A socket that sk_select does not know is chosen by the kernel: served all the same. */
static void set_sockets(struct steering *steering)
{
	const struct listeners *listeners = &steering->agent->listeners;

	for (size_t i = 0; i < listeners->count; i++) {
		for (uint32_t n = 0; n < listeners->worker_count; n++) {
			struct err err = { 0 };
			int rc = datapath_set_socket(steering->datapath, (uint16_t)n,
						     listeners->at[i].id, listeners->at[i].fds[n],
						     &err);

			if (rc) {
				log_warning("agent", "connections are not kept on their CPU: %s",
					    err.text);
				return;
			}
		}
	}
}

static void say_interface(const struct datapath_interface *interface, enum log_level level)
{
	const char *early = interface->is_early ? ", answers SYNs" : "";
	const char *why = interface->text[0] ? ": " : "";

	if (!interface->is_early && interface->early_text[0] && interface->mode != XDP_MODE_OFF)
		log_at(level, "agent", "interface %s: XDP %s%s%s, no early dispatch: %s",
		       interface->name, xdp_mode_name(interface->mode), why, interface->text,
		       interface->early_text);
	else
		log_at(level, "agent", "interface %s: XDP %s%s%s%s", interface->name,
		       xdp_mode_name(interface->mode), early, why, interface->text);
}

/* Of those that are not as they were when this was last said. */
static void say_interfaces(struct steering *steering)
{
	for (size_t i = 0; i < datapath_interface_count(steering->datapath); i++) {
		const struct datapath_interface *now = datapath_interface(steering->datapath, i);
		struct datapath_interface *before = &steering->interfaces[i];
		bool is_lost = before->mode != XDP_MODE_OFF && now->mode == XDP_MODE_OFF;

		if (memcmp(now, before, sizeof(*now)) == 0)
			continue;
		memcpy(before, now, sizeof(*now));
		say_interface(now, is_lost ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO);
	}
}

static void say_early_dispatch(const struct steering *steering)
{
	const char *reason = datapath_early_text(steering->datapath);

	if (!reason[0])
		return;
	if (steering->agent->options->early_dispatch == EARLY_DISPATCH_ON)
		log_warning("agent", "no early dispatch: %s", reason);
	else
		log_info("agent", "no early dispatch: %s", reason);
}

/* The key before stays good: who has been answered with it may take his time. */
static void on_keys_due(struct loop_timer *timer)
{
	struct steering *steering = CONTAINER_OF(timer, struct steering, keys_timer);
	struct loop *loop = &steering->agent->loop;
	struct err err = { 0 };

	if (datapath_rotate_keys(steering->datapath, &err))
		log_warning("agent", "cookies keep their key: %s", err.text);
	loop_timer_set(loop, timer, loop->now_ms + DATAPATH_KEYS_EVERY_MS);
}

static void on_addresses_due(struct loop_timer *timer)
{
	struct steering *steering = CONTAINER_OF(timer, struct steering, addresses_timer);
	struct loop *loop = &steering->agent->loop;
	struct err err = { 0 };

	if (datapath_update_addresses(steering->datapath, &err))
		log_warning("agent", "new addresses are not dispatched early: %s", err.text);
	loop_timer_set(loop, timer, loop->now_ms + STEERING_ADDRESSES_EVERY_MS);
}

static void on_recheck_due(struct loop_timer *timer)
{
	struct steering *steering = CONTAINER_OF(timer, struct steering, recheck_timer);
	struct loop *loop = &steering->agent->loop;

	/* While another agent takes over, the one in charge looks. */
	if (!takeover_is_pending(&steering->agent->takeover)) {
		datapath_recheck(steering->datapath);
		say_interfaces(steering);
	}
	loop_timer_set(loop, timer, loop->now_ms + DATAPATH_RECHECK_EVERY_MS);
}

static void on_workers_due(struct loop_timer *timer)
{
	struct steering *steering = CONTAINER_OF(timer, struct steering, timer);
	struct loop *loop = &steering->agent->loop;

	steering_update_workers(steering);
	loop_timer_set(loop, timer, loop->now_ms + STEERING_WORKERS_EVERY_MS);
}

static bool is_asked_for(const struct options *options)
{
	return options->xdp == XDP_MODE_NATIVE || options->xdp == XDP_MODE_GENERIC;
}

int steering_open(struct steering *steering, struct agent *agent, struct err *err)
{
	struct interfaces interfaces = { .count = 0 };
	int rc;

	*steering = (struct steering){ .agent = agent,
				       .timer.on_due = on_workers_due,
				       .keys_timer.on_due = on_keys_due,
				       .addresses_timer.on_due = on_addresses_due,
				       .recheck_timer.on_due = on_recheck_due };
	for (size_t i = 0; i < agent->options->interfaces.len; i++)
		add_interface(&interfaces, agent->options->interfaces.at[i]);
	if (interfaces.count == 0)
		find_interfaces(&agent->listeners, &interfaces);
	if (is_asked_for(agent->options) && interfaces.count == 0)
		return err_set(err, -ENODEV,
			       "--xdp %s: no interface carries a listener's address; name one "
			       "with --interface",
			       xdp_mode_name(agent->options->xdp));
	if (getenv(DATAPATH_WITHOUT_VARIABLE))
		log_warning("agent", "taken to be missing (" DATAPATH_WITHOUT_VARIABLE "): %s",
			    getenv(DATAPATH_WITHOUT_VARIABLE));
	datapath_probe(interfaces.at, interfaces.count, &steering->features);
	rc = open_datapath(steering, &interfaces, err);
	if (rc && is_asked_for(agent->options))
		return err_prefix(err, "--xdp %s", xdp_mode_name(agent->options->xdp));
	if (rc && listeners_have_ranges(&agent->listeners))
		return err_prefix(err, "a listener on many addresses or ports needs BPF");
	if (rc) {
		snprintf(steering->text, sizeof(steering->text), "%s", err->text);
		log_warning("agent", "serving without BPF: %s", err->text);
		return 0;
	}
	say_interfaces(steering);
	say_early_dispatch(steering);
	set_sockets(steering);
	loop_timer_set(&agent->loop, &steering->timer, agent->loop.now_ms);
	loop_timer_set(&agent->loop, &steering->keys_timer,
		       agent->loop.now_ms + DATAPATH_KEYS_EVERY_MS);
	loop_timer_set(&agent->loop, &steering->addresses_timer,
		       agent->loop.now_ms + STEERING_ADDRESSES_EVERY_MS);
	loop_timer_set(&agent->loop, &steering->recheck_timer,
		       agent->loop.now_ms + DATAPATH_RECHECK_EVERY_MS);
	return 0;
}

void steering_close(struct steering *steering, bool detaches)
{
	if (!steering->agent)
		return;
	loop_timer_clear(&steering->agent->loop, &steering->timer);
	loop_timer_clear(&steering->agent->loop, &steering->keys_timer);
	loop_timer_clear(&steering->agent->loop, &steering->addresses_timer);
	loop_timer_clear(&steering->agent->loop, &steering->recheck_timer);
	if (detaches)
		datapath_detach(steering->datapath);
	else
		datapath_close(steering->datapath);
	steering->datapath = NULL;
}

/* ------------------------------------------------------------------------------- in step */

bool steering_has_xdp(const struct steering *steering)
{
	const struct datapath *datapath = steering->datapath;

	for (size_t i = 0; datapath && i < datapath_interface_count(datapath); i++)
		if (datapath_interface(datapath, i)->mode != XDP_MODE_OFF)
			return true;
	return false;
}

/* Once: who asked for a protection has to know that he does not have it. */
static void say_rates(struct steering *steering, const struct plan *plan)
{
	if (steering->is_rate_said || steering_has_xdp(steering))
		return;
	for (size_t i = 0; i < plan->host_count && !steering->is_rate_said; i++)
		steering->is_rate_said = plan->hosts[i].value.flags & HOST_FLAG_LIMITED;
	if (steering->is_rate_said)
		log_warning("agent", "connection-rate is not in force: it is counted in XDP, which "
				     "no interface has");
}

static void sync_host_rates(struct steering *steering, const struct plan *plan)
{
	struct datapath_host_rate *wanted = mem_new(plan->host_count + 1, sizeof(*wanted));
	struct err err = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < plan->host_count; i++) {
		const struct plan_host *host = &plan->hosts[i];

		if (host->value.flags & HOST_FLAG_LIMITED)
			wanted[count++] = (struct datapath_host_rate){
				.host_id = host->value.host_id,
				.per_s = host->rate_per_s,
				.burst = host->rate_burst,
				.name = host->value.name,
			};
	}
	if (datapath_sync_host_rates(steering->datapath, wanted, count, &err))
		log_error("agent", "connection-rate is not in force for all hosts: %s", err.text);
	mem_free(wanted);
}

void steering_sync_hosts(struct steering *steering, const struct plan *plan, uint64_t generation)
{
	struct datapath_host *wanted;
	struct err err = { 0 };
	size_t refused = steering->last_sync.refused;

	say_rates(steering, plan);
	if (!steering->datapath)
		return;
	wanted = mem_new(plan->host_count + 1, sizeof(*wanted));
	for (size_t i = 0; i < plan->host_count; i++) {
		wanted[i].key = plan->hosts[i].key;
		wanted[i].value = plan->hosts[i].value;
	}
	if (datapath_sync_hosts(steering->datapath, wanted, plan->host_count, (uint32_t)generation,
				&steering->last_sync, &err))
		log_error("agent", "map hosts: %s", err.text);
	else if (steering->last_sync.refused && !refused)
		log_warning("agent", "map hosts is full: %zu hosts are served without dispatch",
			    steering->last_sync.refused);
	mem_free(wanted);
	sync_host_rates(steering, plan);
}

void steering_beat_take(struct steering_beat *beat, uint64_t heartbeat_ms, uint64_t cpu_us)
{
	uint64_t wall_us = (heartbeat_ms - beat->heartbeat_ms) * (NS_PER_MS / NS_PER_US);
	uint64_t permille;

	/* A proxy may say any number: what is no time by now is none, and nothing is divided by 0.
	 */
	if (heartbeat_ms <= beat->heartbeat_ms || wall_us == 0)
		return;
	permille = beat->heartbeat_ms && cpu_us >= beat->cpu_us
			   ? (cpu_us - beat->cpu_us) * 1000 / wall_us
			   : 0;
	if (permille > 1000)
		permille = 1000;
	/* Coarse on purpose: whatever changes is a write to the map. */
	beat->load_permille = (uint32_t)(permille - permille % LOAD_STEP_PERMILLE);
	beat->heartbeat_ms = heartbeat_ms;
	beat->cpu_us = cpu_us;
}

static struct datapath_worker look_at_worker(struct steering *steering, uint32_t index)
{
	const struct agent *agent = steering->agent;
	const struct counters *counters = tally_worker(&agent->tally, index);
	struct steering_beat *beat = &steering->beats[index];
	const struct link *link = agent->links.current;
	uint64_t heartbeat_ms = counter_read(&counters->heartbeat_ms);
	uint64_t now_ms = clock_monotonic_ns() / NS_PER_MS;
	struct datapath_worker worker = {
		.state = link ? WORKER_STATE_ACTIVE : WORKER_STATE_GONE,
		.connections = (uint32_t)counter_read(&counters->connections_active),
	};

	steering_beat_take(beat, heartbeat_ms, counter_read(&counters->worker_cpu_us));
	worker.load_permille = beat->load_permille;
	if (agent->is_draining)
		worker.state = WORKER_STATE_DRAINING;
	if (link && heartbeat_ms && now_ms > heartbeat_ms + STEERING_STALLED_MS)
		worker.load_permille = WORKER_LOAD_STALLED_PERMILLE;
	return worker;
}

void steering_update_workers(struct steering *steering)
{
	struct agent *agent = steering->agent;

	/* Until this agent is in charge the one before it says what its workers do. */
	if (!steering->datapath || takeover_is_pending(&agent->takeover))
		return;
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		struct datapath_worker now = look_at_worker(steering, i);
		struct datapath_worker *last = &steering->workers[i];
		struct err err = { 0 };

		if (memcmp(&now, last, sizeof(now)) == 0)
			continue;
		if (datapath_set_worker(steering->datapath, (uint16_t)i, &now, &err) == 0)
			*last = now;
		else
			log_debug("agent", "map workers: %s", err.text);
	}
}
