// SPDX-License-Identifier: Apache-2.0
/* show: the datapath as JSON, and the names of its modes and states. */
#include <errno.h>
#include <string.h>

#include "datapath/internal.h"

static const char *const xdp_mode_names[] = {
	[XDP_MODE_OFF] = "off",
	[XDP_MODE_GENERIC] = "generic",
	[XDP_MODE_NATIVE] = "native",
	[XDP_MODE_AUTO] = "auto",
};

enum { XDP_MODE_COUNT = sizeof(xdp_mode_names) / sizeof(xdp_mode_names[0]) };

int xdp_mode_parse(struct str text, enum xdp_mode *mode)
{
	for (int i = 0; i < XDP_MODE_COUNT; i++) {
		if (!str_eq_c(text, xdp_mode_names[i]))
			continue;
		*mode = (enum xdp_mode)i;
		return 0;
	}
	return -EINVAL;
}

const char *xdp_mode_name(enum xdp_mode mode)
{
	return (int)mode < XDP_MODE_COUNT ? xdp_mode_names[mode] : "?";
}

const char *flow_state_name(enum flow_state state)
{
	switch (state) {
	case FLOW_STATE_NONE:
		return "none";
	case FLOW_STATE_STEERED:
		return "steered";
	case FLOW_STATE_CLOSING:
		return "closing";
	case FLOW_STATE_CLOSED:
		return "closed";
	case FLOW_STATE_ADMIT:
		return "admit";
	}
	return "?";
}

const char *worker_state_name(enum worker_state state)
{
	switch (state) {
	case WORKER_STATE_GONE:
		return "gone";
	case WORKER_STATE_ACTIVE:
		return "active";
	case WORKER_STATE_DRAINING:
		return "draining";
	}
	return "?";
}

const char *drop_reason_name(enum drop_reason reason)
{
	switch (reason) {
	case DROP_REASON_NONE:
		return "none";
	case DROP_REASON_HOST_POLICY:
		return "host_policy";
	case DROP_REASON_DENIED:
		return "denied";
	case DROP_REASON_NOT_ALLOWED:
		return "not_allowed";
	case DROP_REASON_SOURCE_RATE:
		return "source_rate";
	case DROP_REASON_HOST_RATE:
		return "host_rate";
	case DROP_REASON_HOST_UNKNOWN:
		return "host_unknown";
	case DROP_REASON_MALFORMED:
		return "malformed";
	case DROP_REASON_EARLY_ORDER:
		return "early_order";
	case DROP_REASON_FLOW_REFUSED:
		return "flow_refused";
	}
	return "?";
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static bool show_map(void *arg, const struct datapath_map *map)
{
	struct json *json = arg;

	json_object_begin(json, NULL);
	json_text_c(json, "name", map->name);
	json_text_c(json, "type", map->type);
	if (map->is_counted)
		json_u64(json, "entries", map->entries);
	else
		json_null(json, "entries");
	json_u64(json, "capacity", map->capacity);
	json_u64(json, "key_bytes", map->key_bytes);
	json_u64(json, "value_bytes", map->value_bytes);
	json_u64(json, "memory_bytes", map->memory_bytes);
	json_object_end(json);
	return true;
}

void datapath_json_maps(const struct datapath *dp, struct json *json, const char *name)
{
	json_array_begin(json, name);
	datapath_each_map(dp, show_map, json);
	json_array_end(json);
}

void datapath_json_interfaces(const struct datapath *dp, struct json *json, const char *name)
{
	json_array_begin(json, name);
	for (size_t i = 0; i < datapath_interface_count(dp); i++) {
		const struct datapath_interface *interface = datapath_interface(dp, i);

		json_object_begin(json, NULL);
		json_text_c(json, "name", interface->name);
		json_u64(json, "index", interface->index);
		json_text_c(json, "xdp", xdp_mode_name(interface->mode));
		json_bool(json, "early", interface->is_early);
		json_text_c(json, "text", interface->text);
		json_object_end(json);
	}
	json_array_end(json);
}

struct flow_show {
	struct json *json;
	size_t left;
};

static void show_address(struct json *json, const char *name, const uint8_t ip[16], uint16_t port)
{
	struct addr addr = { .port = port };
	char text[ADDR_TEXT_MAX];

	memcpy(addr.ip, ip, sizeof(addr.ip));
	json_text_c(json, name, addr_format(&addr, text));
}

static bool show_flow(void *arg, const struct datapath_flow *flow)
{
	struct flow_show *show = arg;
	struct json *json = show->json;

	if (show->left == 0)
		return false;
	show->left--;
	json_object_begin(json, NULL);
	show_address(json, "client", flow->key.client_address, flow->key.client_port);
	show_address(json, "local", flow->key.local_address, flow->key.local_port);
	json_u64(json, "worker", flow->value.worker);
	json_u64(json, "host_id", flow->value.host_id);
	json_text_c(json, "state", flow_state_name(flow->value.state));
	json_u64(json, "last_seen_ns", flow->value.last_seen_ns);
	json_object_end(json);
	return true;
}

void datapath_json_flows(const struct datapath *dp, size_t max, struct json *json, const char *name)
{
	struct flow_show show = { json, max };

	json_array_begin(json, name);
	datapath_each_flow(dp, show_flow, &show, NULL);
	json_array_end(json);
}

void datapath_json_stats(const struct datapath *dp, struct json *json, const char *name)
{
	struct stats sum;

	json_object_begin(json, name);
	if (datapath_read_stats(dp, &sum, NULL) == 0) {
#define SHOW_COUNTER(counter, help) json_u64(json, #counter, sum.counter);
		STATS_COUNTERS(SHOW_COUNTER)
#undef SHOW_COUNTER
	}
	json_object_end(json);
}

void datapath_json_features(const struct datapath_features *features, struct json *json,
			    const char *name)
{
	json_array_begin(json, name);
	for (size_t i = 0; i < features->len; i++) {
		json_object_begin(json, NULL);
		json_text_c(json, "name", features->at[i].name);
		json_bool(json, "is_there", features->at[i].is_there);
		json_text_c(json, "text", features->at[i].text);
		json_object_end(json);
	}
	json_array_end(json);
}
