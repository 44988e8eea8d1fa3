// SPDX-License-Identifier: Apache-2.0
/* host_load: see host_load.h. */
#include "agent/host_load.h"

#include <stdlib.h>

#include "agent/agent.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "compile/compile.h"

/* ------------------------------------------------------------------------------ measure */

uint64_t host_load_take_slot(struct host_load_slot *seen, const struct counters_host *slot)
{
	const struct host_load_slot before = *seen;

	seen->hash = counter_read(&slot->hash);
	seen->requests = counter_read(&slot->requests);
	if (seen->hash != before.hash)
		return seen->requests;
	return seen->requests > before.requests ? seen->requests - before.requests : 0;
}

static int compare(const void *a, const void *b)
{
	const struct hot_host_load *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

size_t host_load_join(struct hot_host_load *loads, size_t count)
{
	size_t kept = 0;

	if (count == 0)
		return 0;
	for (size_t i = 1; i < count; i++) {
		uint64_t both = (uint64_t)loads[kept].load_permille + loads[i].load_permille;

		if (loads[i].hash == loads[kept].hash)
			loads[kept].load_permille = both < UINT32_MAX ? (uint32_t)both : UINT32_MAX;
		else
			loads[++kept] = loads[i];
	}
	return kept + 1;
}

/* For now load_permille is a number of requests. */
static void gather_requests(struct host_load *load)
{
	const struct agent *agent = load->agent;

	load->loads.len = 0;
	for (uint32_t i = 0; i < agent->worker_count * COUNTERS_HOSTS; i++) {
		const struct counters *counters = tally_worker(&agent->tally, i / COUNTERS_HOSTS);
		const struct counters_host *slot = &counters->hosts[i % COUNTERS_HOSTS];
		uint64_t requests = host_load_take_slot(&load->seen.at[i], slot);

		if (load->seen.at[i].hash && requests && requests <= UINT32_MAX)
			*vec_push(&load->loads) =
				(struct hot_host_load){ load->seen.at[i].hash, (uint32_t)requests };
	}
	if (load->loads.len == 0)
		return;
	qsort(load->loads.at, load->loads.len, sizeof(*load->loads.at), compare);
	load->loads.len = host_load_join(load->loads.at, load->loads.len);
}

void host_load_weigh(struct hot_host_load *loads, size_t count, uint64_t busy_permille,
		     uint64_t requests)
{
	for (size_t i = 0; i < count; i++) {
		struct hot_host_load *host = &loads[i];
		uint64_t all = requests > host->load_permille ? requests : host->load_permille;

		if (all == 0)
			continue;
		host->load_permille = (uint32_t)(busy_permille * host->load_permille / all);
	}
}

static void measure(struct host_load *load, uint64_t now_ms)
{
	const struct tally *tally = &load->agent->tally;
	uint64_t requests = tally_sum(tally, offsetof(struct counters, requests));
	uint64_t cpu_us = tally_sum(tally, offsetof(struct counters, worker_cpu_us));
	uint64_t wall_us = (now_ms - load->seen_ms) * (NS_PER_MS / NS_PER_US);

	gather_requests(load);
	host_load_weigh(load->loads.at, load->loads.len,
			wall_us ? (cpu_us - load->seen_cpu_us) * 1000 / wall_us : 0,
			requests - load->seen_requests);
	load->seen_ms = now_ms;
	load->seen_requests = requests;
	load->seen_cpu_us = cpu_us;
}

/* ------------------------------------------------------------------------------- decide */

/* Where there are few hosts each has all workers already. */
static bool has_few_hosts(const struct agent *agent)
{
	return agent->reconcile.output.plan.host_count <=
	       (size_t)agent->worker_count * COMPILE_FEW_HOSTS_PER_WORKER;
}

static void decide(struct host_load *load, uint64_t now_ms)
{
	const struct agent *agent = load->agent;
	const struct hot_hosts_rules rules = {
		.worker_count = (uint16_t)agent->worker_count,
		.widen_permille = has_few_hosts(agent) ? 0 : agent->options->hot_host_permille,
		.rest_ms = agent->options->hot_host_rest_ms,
	};

	if (!hot_hosts_take(&load->hot, &rules, load->loads.at, load->loads.len, now_ms))
		return;
	log_debug("agent", "other hosts are hot now: %zu are looked at", load->hot.list.len);
	reconcile_use_spreads(&load->agent->reconcile);
}

void host_load_tell(const struct host_load *load, struct compiler *compiler)
{
	struct VEC(struct compile_spread) spreads = { 0 };

	for (size_t i = 0; i < load->hot.list.len; i++) {
		const struct hot_host *host = &load->hot.list.at[i];

		if (host->spread > 1)
			*vec_push(&spreads) = (struct compile_spread){ host->hash, host->spread };
	}
	compiler_set_spreads(compiler, spreads.at, spreads.len);
	vec_release(&spreads);
}

static void on_due(struct loop_timer *timer)
{
	struct host_load *load = CONTAINER_OF(timer, struct host_load, timer);
	struct loop *loop = &load->agent->loop;
	bool is_first = load->seen_ms == 0;

	measure(load, loop->now_ms);
	if (!is_first)
		decide(load, loop->now_ms);
	loop_timer_set(loop, timer, loop->now_ms + HOST_LOAD_EVERY_MS);
}

void host_load_open(struct host_load *load, struct agent *agent)
{
	*load = (struct host_load){ .agent = agent, .timer.on_due = on_due };
	while (load->seen.len < (size_t)agent->worker_count * COUNTERS_HOSTS)
		vec_push(&load->seen);
	loop_timer_set(&agent->loop, &load->timer, agent->loop.now_ms);
}

void host_load_close(struct host_load *load)
{
	if (!load->agent)
		return;
	loop_timer_clear(&load->agent->loop, &load->timer);
	hot_hosts_release(&load->hot);
	vec_release(&load->seen);
	vec_release(&load->loads);
}
