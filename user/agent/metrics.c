// SPDX-License-Identifier: Apache-2.0
/* metrics: see metrics.h. Names and help of what workers and BPF programs count are in X tables. */
#include "agent/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/agent.h"
#include "base/clock.h"

void metrics_add_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, type);
}

static void add_number(struct buf *out, const char *name, const char *type, const char *help,
		       uint64_t value)
{
	metrics_add_head(out, name, type, help);
	buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void add_seconds(struct buf *out, const char *name, const char *help, double value)
{
	metrics_add_head(out, name, "gauge", help);
	buf_printf(out, "%s %.6f\n", name, value);
}

/* ------------------------------------------------------------------ what workers count */

/* A generation is that of the worker which is behind. */
static bool is_generation(size_t offset)
{
	return offset == offsetof(struct counters, image_generation) ||
	       offset == offsetof(struct counters, endpoints_generation) ||
	       offset == offsetof(struct counters, certs_generation);
}

static void add_durations(struct buf *out, const struct tally *tally)
{
	const char *name = "sluice_request_duration_seconds";
	uint64_t total = 0;

	metrics_add_head(out, name, "histogram", "From a request's head to the response's end");
	for (unsigned int i = 0; i < COUNTERS_DURATION_BUCKETS; i++) {
		total += tally_sum(tally, offsetof(struct counters, duration_buckets) +
						  i * sizeof(uint64_t));
		if (i + 1 < COUNTERS_DURATION_BUCKETS)
			buf_printf(out, "%s_bucket{le=\"%.6f\"} %" PRIu64 "\n", name,
				   (double)((uint64_t)COUNTERS_DURATION_FIRST_US << i) / 1e6,
				   total);
	}
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n",
		   name, total, name,
		   (double)tally_sum(tally, offsetof(struct counters, duration_sum_us)) / 1e6, name,
		   total);
}

void metrics_add_counters(struct buf *out, const struct tally *tally)
{
#define COUNTER_ROW(field, help) { "sluice_" #field, help, offsetof(struct counters, field) },
	static const struct {
		const char *name, *help;
		size_t offset;
	} totals[] = { COUNTERS_EACH(COUNTER_ROW) }, gauges[] = { GAUGES_EACH(COUNTER_ROW) };
#undef COUNTER_ROW

	for (size_t i = 0; i < sizeof(totals) / sizeof(*totals); i++) {
		char name[96];

		snprintf(name, sizeof(name), "%s_total", totals[i].name);
		add_number(out, name, "counter", totals[i].help,
			   tally_sum(tally, totals[i].offset));
	}
	for (size_t i = 0; i < sizeof(gauges) / sizeof(*gauges); i++) {
		size_t offset = gauges[i].offset;

		if (offset == offsetof(struct counters, heartbeat_ms))
			continue; /* a time of one worker: a sum says nothing */
		add_number(out, gauges[i].name, "gauge", gauges[i].help,
			   is_generation(offset) ? tally_lowest(tally, offset)
						 : tally_sum(tally, offset));
	}
	add_durations(out, tally);
}

/* --------------------------------------------------------------------- what BPF counts */

static void add_stats(struct buf *out, const struct agent *agent)
{
#define STATS_ROW(field, help) { #field, help, offsetof(struct stats, field) },
	static const struct {
		const char *name, *help;
		size_t offset;
	} rows[] = { STATS_COUNTERS(STATS_ROW) };
#undef STATS_ROW
	struct stats stats;

	if (!agent->steering.datapath ||
	    datapath_read_stats(agent->steering.datapath, &stats, NULL))
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char name[96], help[160];
		uint64_t value;

		memcpy(&value, (const char *)&stats + rows[i].offset, sizeof(value));
		snprintf(name, sizeof(name), "sluice_datapath_%s_total", rows[i].name);
		snprintf(help, sizeof(help), "BPF: %s", rows[i].help);
		add_number(out, name, "counter", help, value);
	}
}

static bool add_map(void *arg, const struct datapath_map *map)
{
	struct buf *out = arg;

	if (map->is_counted)
		buf_printf(out, "sluice_map_entries{map=\"%s\"} %u\n", map->name, map->entries);
	return true;
}

static void add_datapath(struct buf *out, const struct agent *agent)
{
	const struct datapath *datapath = agent->steering.datapath;

	add_number(out, "sluice_datapath_up", "gauge", "1 where the BPF maps are there",
		   datapath != NULL);
	if (!datapath)
		return;
	metrics_add_head(out, "sluice_interface_xdp", "gauge", "1 for the mode an interface has");
	for (size_t i = 0; i < datapath_interface_count(datapath); i++) {
		const struct datapath_interface *interface = datapath_interface(datapath, i);

		buf_printf(out, "sluice_interface_xdp{interface=\"%s\",mode=\"%s\"} 1\n",
			   interface->name, xdp_mode_name(interface->mode));
	}
	metrics_add_head(out, "sluice_interface_early_dispatch", "gauge",
			 "1 where XDP answers the SYNs that come in on an interface");
	for (size_t i = 0; i < datapath_interface_count(datapath); i++) {
		const struct datapath_interface *interface = datapath_interface(datapath, i);

		buf_printf(out, "sluice_interface_early_dispatch{interface=\"%s\"} %d\n",
			   interface->name, interface->is_early);
	}
	metrics_add_head(out, "sluice_map_entries", "gauge", "Entries of a BPF map");
	datapath_each_map(datapath, add_map, out);
	add_stats(out, agent);
}

static void add_features(struct buf *out, const struct agent *agent)
{
	const struct datapath_features *features = &agent->steering.features;

	metrics_add_head(out, "sluice_feature", "gauge", "1 where the kernel has what this names");
	for (size_t i = 0; i < features->len; i++)
		buf_printf(out, "sluice_feature{feature=\"%s\"} %d\n", features->at[i].name,
			   features->at[i].is_there);
}

/* ------------------------------------------------------------------ what the agent does */

static void add_apply_times(struct buf *out, const struct reconcile_times *times)
{
	static const double bounds_ms[] = RECONCILE_BUCKETS_MS;
	const char *name = "sluice_config_apply_seconds";
	uint64_t total = 0;

	metrics_add_head(out, name, "histogram",
			 "From the event of a change to its force in every worker");
	for (size_t i = 0; i < RECONCILE_BUCKET_COUNT; i++) {
		total += times->buckets[i];
		buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds_ms[i] / 1e3,
			   total);
	}
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n",
		   name, times->count, name, times->sum_ms / 1e3, name, times->count);
	add_seconds(out, "sluice_config_apply_last_seconds", "The same, of the last change",
		    times->last_ms / 1e3);
	add_seconds(out, "sluice_config_compile_last_seconds", "Its part that was compiling",
		    times->last_compile_ms / 1e3);
}

static void add_findings(struct buf *out, const struct agent *agent)
{
	static const struct {
		const char *name;
		enum finding_level level;
	} levels[] = {
		{ "notice", FINDING_NOTICE },
		{ "warning", FINDING_WARNING },
		{ "error", FINDING_ERROR },
	};

	metrics_add_head(out, "sluice_findings", "gauge", "Findings about objects, by level");
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++)
		buf_printf(out, "sluice_findings{level=\"%s\"} %zu\n", levels[i].name,
			   reconcile_count_findings(&agent->reconcile, levels[i].level));
}

static void add_served(struct buf *out, const struct publisher *publisher)
{
	if (!publisher_is_complete(publisher))
		return;
	add_number(out, "sluice_vhosts", "gauge", "Virtual hosts", publisher->image.vhost_count);
	add_number(out, "sluice_routes", "gauge", "Routes", publisher->image.route_count);
	add_number(out, "sluice_backends", "gauge", "Backends", publisher->image.backend_count);
	add_number(out, "sluice_endpoints", "gauge", "Endpoints",
		   publisher->endpoints.endpoint_count);
	add_number(out, "sluice_certs", "gauge", "Certificates", publisher->certs.cert_count);
}

static void add_agent(struct buf *out, const struct agent *agent)
{
	const struct supervise *supervise = &agent->supervise;

	metrics_add_head(out, "sluice_build_info", "gauge", "Always 1");
	buf_printf(out, "sluice_build_info{version=\"%s\",schema=\"%d\",image=\"%u\"} 1\n",
		   SLUICE_VERSION, CONTRACT_SCHEMA, IMAGE_VERSION);
	add_seconds(out, "sluice_start_time_seconds", "When the agent started, since 1970",
		    (double)agent->started_ns / (double)NS_PER_S);
	add_number(out, "sluice_ready", "gauge",
		   "1 when every worker serves a complete configuration",
		   agent_unready_reason(agent) == NULL);
	add_number(out, "sluice_workers", "gauge", "Workers", agent->worker_count);
	add_number(out, "sluice_proxy_starts_total", "counter", "Proxies that this agent started",
		   supervise->start_count);
	add_number(out, "sluice_upgrades_total", "counter",
		   "Agents that handed their place over to the next one", agent->upgrade.count);
	add_number(out, "sluice_hosts_widened_total", "counter",
		   "Hosts that got more workers because of their load",
		   agent->host_load.hot.widened_count);
	add_number(out, "sluice_hosts_narrowed_total", "counter",
		   "Hosts that got fewer workers again", agent->host_load.hot.narrowed_count);
	add_number(out, "sluice_generation", "gauge", "The newest generation that was published",
		   publisher_generation(&agent->publisher));
}

void metrics_answer(const struct admin_request *request, struct admin_answer *answer)
{
	const struct agent *agent = request->agent;
	struct buf *out = &answer->body;

	answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
	add_agent(out, agent);
	add_served(out, &agent->publisher);
	add_findings(out, agent);
	add_apply_times(out, &agent->reconcile.times);
	metrics_add_counters(out, &agent->tally);
	add_datapath(out, agent);
	add_features(out, agent);
}
