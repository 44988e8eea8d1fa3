// SPDX-License-Identifier: Apache-2.0
/* show_hosts: which workers a host has and why, and what XDP did with its connections. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/view.h"

enum {
	HOSTS_SHOWN_DEFAULT = 50,
	HOSTS_SHOWN_MAX = 100000,
	WORKERS_NAMED_MAX = 4,
	CELL_TEXT_MAX = 64,
};

static const struct view_column host_columns[] = {
	{ "host", VIEW_LEFT },          { "workers", VIEW_LEFT },     { "why", VIEW_LEFT },
	{ "load_percent", VIEW_RIGHT }, { "dispatched", VIEW_RIGHT }, { "refused", VIEW_RIGHT },
	{ "rate", VIEW_LEFT },          { "limited", VIEW_RIGHT },
};

/* A host of the plan and what it costs. */
struct row {
	const struct plan_host *host;
	uint32_t load_permille;
};

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->load_permille != y->load_permille)
		return x->load_permille > y->load_permille ? -1 : 1;
	return strcmp(x->host->value.name, y->host->value.name);
}

static struct row *make_rows(const struct agent *agent)
{
	const struct plan *plan = &agent->reconcile.output.plan;
	struct row *rows = mem_new(plan->host_count + 1, sizeof(*rows));

	for (size_t i = 0; i < plan->host_count; i++) {
		const struct hot_host *hot =
			hot_hosts_find(&agent->host_load.hot, plan->hosts[i].key.hash);

		rows[i] = (struct row){ &plan->hosts[i], hot ? hot->load_permille : 0 };
	}
	if (plan->host_count)
		qsort(rows, plan->host_count, sizeof(*rows), compare_rows);
	return rows;
}

/* "2", "2 3", "2 to 7 of 8", "all". */
static void cell_workers(struct view *view, const struct host_value *value, uint32_t worker_count)
{
	char text[CELL_TEXT_MAX] = "none";
	size_t len = 0;

	if (value->worker_spread >= worker_count)
		snprintf(text, sizeof(text), "all");
	else if (value->worker_spread > WORKERS_NAMED_MAX)
		snprintf(text, sizeof(text), "%u to %u of %u", value->worker_first,
			 (value->worker_first + value->worker_spread - 1u) % worker_count,
			 worker_count);
	else
		for (uint32_t i = 0; i < value->worker_spread; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u",
						i ? " " : "",
						(value->worker_first + i) % worker_count);
	view_cell_c(view, text);
}

static void cell_why(struct view *view, const struct agent *agent, const struct plan_host *host)
{
	const struct hot_host *hot = hot_hosts_find(&agent->host_load.hot, host->key.hash);

	if (host->value.policy == HOST_POLICY_DROP)
		view_cell_c(view, "nobody serves these");
	else if (host->key.hash == HOST_HASH_CATCH_ALL)
		view_cell_c(view, "stands for any number of hosts");
	else if (hot && hot->spread > 1 && host->value.worker_spread == hot->spread)
		view_cell_printf(view, "hot: more than %u worker%s can bear", hot->spread / 2,
				 hot->spread / 2 == 1 ? "" : "s");
	else if (host->value.worker_spread >= agent->worker_count)
		view_cell_c(view, "there are few hosts");
	else
		view_cell_c(view, "one of many hosts");
}

static void cell_rate(struct view *view, const struct plan_host *host)
{
	if (host->value.flags & HOST_FLAG_LIMITED)
		view_cell_printf(view, "%u/s, burst %u", host->rate_per_s, host->rate_burst);
	else
		view_cell_none(view);
}

static void show_row(struct view *view, const struct agent *agent, const struct row *row)
{
	const struct host_value *value = &row->host->value;
	struct host_counters counters = { 0 };

	if (agent->steering.datapath)
		datapath_read_host(agent->steering.datapath, value->host_id, &counters);
	view_cell_c(view, value->name);
	cell_workers(view, value, agent->worker_count);
	cell_why(view, agent, row->host);
	view_cell_u64(view, (row->load_permille + 5) / 10);
	view_cell_u64(view, counters.dispatched);
	view_cell_u64(view, counters.refused);
	cell_rate(view, row->host);
	view_cell_u64(view, counters.limited);
}

void show_hosts(const struct admin_request *request, struct admin_answer *answer)
{
	const struct agent *agent = request->agent;
	size_t count = agent->reconcile.output.plan.host_count;
	struct row *rows = make_rows(agent);
	uint64_t limit = HOSTS_SHOWN_DEFAULT, said;
	struct view view;

	if (str_parse_u64(admin_parameter(request, "limit"), HOSTS_SHOWN_MAX, &said) == 0 && said)
		limit = said;
	view_begin(&view, &answer->body, request->is_json);
	view_u64(&view, "hosts_in_all", count);
	view_u64(&view, "widened", agent->host_load.hot.widened_count);
	view_u64(&view, "narrowed", agent->host_load.hot.narrowed_count);
	view_table_begin(&view, "hosts", host_columns, 8);
	for (size_t i = 0; i < count && i < limit; i++)
		show_row(&view, agent, &rows[i]);
	view_table_end(&view);
	view_end(&view);
	mem_free(rows);
}
