// SPDX-License-Identifier: Apache-2.0
/* show_status: how sluice itself is: processes, generations, workers, interfaces, kernel. */
#include <inttypes.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/view.h"
#include "base/clock.h"

static const struct view_column listener_columns[] = {
	{ "listener", VIEW_RIGHT },
	{ "protocol", VIEW_LEFT },
	{ "address", VIEW_LEFT },
	{ "allowed", VIEW_LEFT },
};

static const struct view_column worker_columns[] = {
	{ "worker", VIEW_RIGHT },     { "cpu", VIEW_RIGHT },          { "state", VIEW_LEFT },
	{ "generation", VIEW_RIGHT }, { "connections", VIEW_RIGHT },  { "requests", VIEW_RIGHT },
	{ "errors_5xx", VIEW_RIGHT }, { "busy_percent", VIEW_RIGHT },
};

static const struct view_column interface_columns[] = {
	{ "interface", VIEW_LEFT },
	{ "xdp", VIEW_LEFT },
	{ "early", VIEW_LEFT },
	{ "why", VIEW_LEFT },
};

static void cell_allowed(struct view *view, const struct protection_allow *allow)
{
	if (allow->is_limited)
		view_cell_printf(view, "%zu network%s", allow->list.entries.len,
				 allow->list.entries.len == 1 ? "" : "s");
	else
		view_cell_c(view, "everybody");
}

static void show_listeners(struct view *view, const struct agent *agent)
{
	view_table_begin(view, "listeners", listener_columns, 4);
	for (size_t i = 0; i < agent->listeners.count; i++) {
		const struct listener *listener = &agent->listeners.at[i];
		char text[ADDR_RANGE_TEXT_MAX];

		view_cell_u64(view, listener->id);
		view_cell_c(view, listener_protocol_name(listener->protocol));
		view_cell_c(view, addr_range_format(&listener->range, text));
		cell_allowed(view, &agent->protection.allow[listener->id]);
	}
	view_table_end(view);
}

static uint64_t max3(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t most = a > b ? a : b;

	return most > c ? most : c;
}

static const char *worker_text(const struct agent *agent, const struct counters *counters)
{
	uint64_t heartbeat_ms = counter_read(&counters->heartbeat_ms);
	uint64_t now_ms = clock_monotonic_ns() / NS_PER_MS;

	if (!agent->links.current)
		return agent->is_draining ? "draining" : "gone";
	return heartbeat_ms && now_ms > heartbeat_ms + STEERING_STALLED_MS ? "stalled" : "active";
}

static void show_workers(struct view *view, const struct agent *agent)
{
	view_table_begin(view, "workers", worker_columns, 8);
	for (uint32_t i = 0; i < agent->worker_count; i++) {
		const struct counters *counters = tally_worker(&agent->tally, i);

		view_cell_u64(view, i);
		view_cell_u64(view, agent->worker_cpus[i]);
		view_cell_c(view, worker_text(agent, counters));
		view_cell_u64(view, max3(counter_read(&counters->image_generation),
					 counter_read(&counters->endpoints_generation),
					 counter_read(&counters->certs_generation)));
		view_cell_u64(view, counter_read(&counters->connections_active));
		view_cell_u64(view, counter_read(&counters->requests));
		view_cell_u64(view, counter_read(&counters->responses_5xx));
		view_cell_u64(view, agent->steering.beats[i].load_permille / 10);
	}
	view_table_end(view);
}

static void show_interfaces(struct view *view, const struct agent *agent)
{
	const struct datapath *datapath = agent->steering.datapath;

	if (!view->is_json && (!datapath || datapath_interface_count(datapath) == 0))
		return;
	view_table_begin(view, "interfaces", interface_columns, 4);
	for (size_t i = 0; datapath && i < datapath_interface_count(datapath); i++) {
		const struct datapath_interface *interface = datapath_interface(datapath, i);

		view_cell_c(view, interface->name);
		view_cell_c(view, xdp_mode_name(interface->mode));
		view_cell_c(view, interface->is_early ? "on" : "off");
		view_cell_c(view, interface->text[0] ? interface->text : interface->early_text);
	}
	view_table_end(view);
}

static void show_uptime(struct view *view, const struct agent *agent)
{
	uint64_t seconds = (clock_wall_ns() - agent->started_ns) / NS_PER_S;

	if (view->is_json)
		view_u64(view, "uptime_s", seconds);
	else if (seconds < 3600)
		view_printf(view, "uptime", "%" PRIu64 " min %" PRIu64 " s", seconds / 60,
			    seconds % 60);
	else
		view_printf(view, "uptime", "%" PRIu64 " d %" PRIu64 " h %" PRIu64 " min",
			    seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
}

static void show_served(struct view *view, const struct publisher *publisher)
{
	if (!publisher_is_complete(publisher))
		return;
	view_u64(view, "hosts", publisher->image.vhost_count);
	view_u64(view, "routes", publisher->image.route_count);
	view_u64(view, "backends", publisher->image.backend_count);
	view_u64(view, "endpoints", publisher->endpoints.endpoint_count);
	view_u64(view, "certificates", publisher->certs.cert_count);
}

static void show_generations(struct view *view, const struct agent *agent)
{
	const struct publisher *publisher = &agent->publisher;

	view_u64(view, "generation", publisher_generation(publisher));
	if (!view->is_json)
		return;
	view_u64(view, "image_generation", publisher->of[PUBLISHED_IMAGE].generation);
	view_u64(view, "endpoints_generation", publisher->of[PUBLISHED_ENDPOINTS].generation);
	view_u64(view, "certs_generation", publisher->of[PUBLISHED_CERTS].generation);
}

static void show_last_change(struct view *view, const struct reconcile_times *times)
{
	if (view->is_json)
		view_double(view, "last_change_ms", times->last_ms, NULL);
	else if (times->count)
		view_printf(view, "last change", "in force after %.1f ms", times->last_ms);
}

static void show_findings_count(struct view *view, const struct reconcile *reconcile)
{
	size_t errors = reconcile_count_findings(reconcile, FINDING_ERROR);
	size_t warnings = reconcile_count_findings(reconcile, FINDING_WARNING);

	if (view->is_json) {
		view_u64(view, "findings_error", errors);
		view_u64(view, "findings_warning", warnings);
	} else {
		view_printf(view, "findings", "%zu error%s, %zu warning%s%s", errors,
			    errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s",
			    errors + warnings ? " (sluicectl findings)" : "");
	}
}

/* Whether at all; which interfaces have it stands in their table. */
static void show_early(struct view *view, const struct agent *agent)
{
	const struct datapath *datapath = agent->steering.datapath;
	const char *reason = datapath ? datapath_early_text(datapath) : "";
	bool is_early = false;

	for (size_t i = 0; datapath && i < datapath_interface_count(datapath); i++)
		is_early = is_early || datapath_interface(datapath, i)->is_early;
	if (is_early || !reason[0])
		view_text_c(view, "early_dispatch", is_early ? "on" : "off");
	else
		view_printf(view, "early_dispatch", "off: %s", reason);
}

static void show_datapath(struct view *view, const struct agent *agent)
{
	const struct steering *steering = &agent->steering;

	if (steering->datapath)
		view_text_c(view, "bpf", datapath_pin_dir(steering->datapath));
	else
		view_printf(view, "bpf", "off: %s", steering->text);
	view_text_c(view, "xdp", xdp_mode_name(agent->options->xdp));
	show_early(view, agent);
}

static void show_protection(struct view *view, const struct agent *agent)
{
	const struct datapath_source_rate *rate = &agent->options->protect.source_rate;
	const struct source_list *deny = &agent->protection.deny;

	if (view->is_json) {
		view_u64(view, "denied_networks", deny->entries.len);
		view_u64(view, "denied_lines_left_out", deny->refused_count);
		view_u64(view, "source_rate_per_s", rate->per_s);
		view_bool(view, "rates_in_force", steering_has_xdp(&agent->steering));
		return;
	}
	if (deny->entries.len || deny->refused_count)
		view_printf(view, "denylist", "%zu networks, %zu lines left out", deny->entries.len,
			    deny->refused_count);
	if (rate->per_s)
		view_printf(view, "source rate", "%u connections a second, burst %u%s", rate->per_s,
			    rate->burst ? rate->burst : rate->per_s,
			    steering_has_xdp(&agent->steering)
				    ? ""
				    : ": not in force, no interface has XDP");
}

void show_status(const struct admin_request *request, struct admin_answer *answer)
{
	const struct agent *agent = request->agent;
	const char *reason = agent_unready_reason(agent);
	struct view view;

	view_begin(&view, &answer->body, request->is_json);
	view_text_c(&view, "version", SLUICE_VERSION);
	if (request->is_json)
		view_bool(&view, "ready", reason == NULL);
	view_text_c(&view, "state", reason ? reason : "ready");
	show_uptime(&view, agent);
	view_u64(&view, "agent_pid", (uint64_t)getpid());
	view_u64(&view, "proxy_pid",
		 agent->links.current ? (uint64_t)agent->links.current->pid : 0);
	view_u64(&view, "proxy_starts", agent->supervise.start_count);
	show_generations(&view, agent);
	show_last_change(&view, &agent->reconcile.times);
	show_served(&view, &agent->publisher);
	show_findings_count(&view, &agent->reconcile);
	show_datapath(&view, agent);
	show_protection(&view, agent);
	show_listeners(&view, agent);
	show_workers(&view, agent);
	show_interfaces(&view, agent);
	view_end(&view);
}
