// SPDX-License-Identifier: Apache-2.0
/* show_datapath: BPF maps, flows and what the kernel has, as people want to see them. */
#include <stdio.h>

#include "agent/agent.h"
#include "agent/view.h"
#include "base/clock.h"

enum { FLOWS_SHOWN_DEFAULT = 1000, FLOWS_SHOWN_MAX = 100000 };

static const struct view_column map_columns[] = {
	{ "map", VIEW_LEFT },         { "type", VIEW_LEFT },       { "entries", VIEW_RIGHT },
	{ "capacity", VIEW_RIGHT },   { "key_bytes", VIEW_RIGHT }, { "value_bytes", VIEW_RIGHT },
	{ "memory_kib", VIEW_RIGHT }, { "holds", VIEW_LEFT },
};

static bool show_map(void *arg, const struct datapath_map *map)
{
	struct view *view = arg;

	view_cell_c(view, map->name);
	view_cell_c(view, map->type);
	if (map->is_counted)
		view_cell_u64(view, map->entries);
	else
		view_cell_none(view);
	view_cell_u64(view, map->capacity);
	view_cell_u64(view, map->key_bytes);
	view_cell_u64(view, map->value_bytes);
	view_cell_u64(view, (map->memory_bytes + 1023) / 1024);
	view_cell_c(view, map->holds);
	return true;
}

static void show_why_none(struct view *view, const struct steering *steering)
{
	view_printf(view, "bpf", "off: %s", steering->text);
}

void show_maps(const struct admin_request *request, struct admin_answer *answer)
{
	const struct steering *steering = &request->agent->steering;
	struct view view;

	view_begin(&view, &answer->body, request->is_json);
	if (steering->datapath)
		view_text_c(&view, "directory", datapath_pin_dir(steering->datapath));
	else
		show_why_none(&view, steering);
	view_table_begin(&view, "maps", map_columns, 8);
	if (steering->datapath)
		datapath_each_map(steering->datapath, show_map, &view);
	view_table_end(&view);
	view_end(&view);
}

/* -------------------------------------------------------------------------------- flows */

static const struct view_column flow_columns[] = {
	{ "client", VIEW_LEFT },  { "local", VIEW_LEFT }, { "state", VIEW_LEFT },
	{ "worker", VIEW_RIGHT }, { "host", VIEW_LEFT },  { "host_id", VIEW_RIGHT },
	{ "age_ms", VIEW_RIGHT },
};

struct flow_walk {
	struct view *view;
	uint64_t left;
	uint64_t now_ns;
	const char **names; /* by host id; NULL where there is no such host now */
	size_t name_count;
};

/* Of the hosts that are served now: a flow may be older than that. */
static void name_hosts(struct flow_walk *walk, const struct plan *plan)
{
	for (size_t i = 0; i < plan->host_count; i++)
		if (plan->hosts[i].value.host_id >= walk->name_count)
			walk->name_count = plan->hosts[i].value.host_id + (size_t)1;
	walk->names = mem_new(walk->name_count + 1, sizeof(*walk->names));
	for (size_t i = 0; i < plan->host_count; i++)
		walk->names[plan->hosts[i].value.host_id] = plan->hosts[i].value.name;
}

static void cell_host(const struct flow_walk *walk, uint32_t host_id)
{
	if (host_id < walk->name_count && walk->names[host_id])
		view_cell_c(walk->view, walk->names[host_id]);
	else
		view_cell_none(walk->view);
}

static void cell_addr(struct view *view, const uint8_t ip[16], uint16_t port)
{
	struct addr addr = { .port = port };
	char text[ADDR_TEXT_MAX];

	memcpy(addr.ip, ip, sizeof(addr.ip));
	view_cell_c(view, addr_format(&addr, text));
}

static bool show_flow(void *arg, const struct datapath_flow *flow)
{
	struct flow_walk *walk = arg;
	uint64_t seen_ns = flow->value.last_seen_ns;

	cell_addr(walk->view, flow->key.client_address, flow->key.client_port);
	cell_addr(walk->view, flow->key.local_address, flow->key.local_port);
	view_cell_c(walk->view, flow_state_name(flow->value.state));
	view_cell_u64(walk->view, flow->value.worker);
	cell_host(walk, flow->value.host_id);
	view_cell_u64(walk->view, flow->value.host_id);
	view_cell_u64(walk->view,
		      walk->now_ns > seen_ns ? (walk->now_ns - seen_ns) / NS_PER_MS : 0);
	return --walk->left > 0;
}

void show_flows(const struct admin_request *request, struct admin_answer *answer)
{
	const struct steering *steering = &request->agent->steering;
	struct flow_walk walk = { .left = FLOWS_SHOWN_DEFAULT, .now_ns = clock_monotonic_ns() };
	struct view view;
	uint64_t limit;

	if (str_parse_u64(admin_parameter(request, "limit"), FLOWS_SHOWN_MAX, &limit) == 0 && limit)
		walk.left = limit;
	walk.view = &view;
	view_begin(&view, &answer->body, request->is_json);
	if (!steering->datapath)
		show_why_none(&view, steering);
	name_hosts(&walk, &request->agent->reconcile.output.plan);
	view_table_begin(&view, "flows", flow_columns, 7);
	if (steering->datapath)
		datapath_each_flow(steering->datapath, show_flow, &walk, NULL);
	view_table_end(&view);
	view_end(&view);
	mem_free(walk.names);
}

/* ----------------------------------------------------------------------------- features */

static const struct view_column feature_columns[] = {
	{ "feature", VIEW_LEFT },
	{ "there", VIEW_LEFT },
	{ "text", VIEW_LEFT },
};

/* Not of the kernel, but of what an interface is connected to: it may change at any time. */
static void show_early_features(struct view *view, const struct datapath *datapath)
{
	const char *why = datapath ? datapath_early_text(datapath) : "";

	view_cell_c(view, "early_dispatch");
	view_cell_bool(view, datapath && datapath_is_early(datapath));
	view_cell_c(view, why[0] ? why : "making sockets from first payloads");
	for (size_t i = 0; datapath && i < datapath_interface_count(datapath); i++) {
		const struct datapath_interface *interface = datapath_interface(datapath, i);
		char name[64];

		snprintf(name, sizeof(name), "early_dispatch:%s", interface->name);
		view_cell_c(view, name);
		view_cell_bool(view, interface->is_early);
		if (interface->is_early)
			view_cell_c(view, "XDP answers SYNs");
		else
			view_cell_c(view, interface->early_text[0]
						  ? interface->early_text
						  : "not asked for, or not to be had");
	}
}

void show_features(const struct admin_request *request, struct admin_answer *answer)
{
	const struct datapath_features *features = &request->agent->steering.features;
	struct view view;

	view_begin(&view, &answer->body, request->is_json);
	view_table_begin(&view, "features", feature_columns, 3);
	for (size_t i = 0; i < features->len; i++) {
		view_cell_c(&view, features->at[i].name);
		view_cell_bool(&view, features->at[i].is_there);
		view_cell_c(&view, features->at[i].text);
	}
	show_early_features(&view, request->agent->steering.datapath);
	view_table_end(&view);
	view_end(&view);
}
