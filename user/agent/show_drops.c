// SPDX-License-Identifier: Apache-2.0
/* show_drops: what was dropped and why: counters by reason, then the last samples. */
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/view.h"
#include "base/clock.h"

enum {
	SAMPLES_SHOWN_DEFAULT = 20,
	RULE_TEXT_MAX = 512,
	TIME_TEXT_MAX = 40,
	NOT_COUNTED = SIZE_MAX, /* by workers */
};

/* In the order in which they are asked: what stands higher was seen first. */
static const struct {
	enum drop_reason reason;
	size_t xdp, workers; /* offsets in struct stats, struct counters */
	const char *meaning;
} reasons[] = {
#define XDP(field)     offsetof(struct stats, field)
#define WORKERS(field) offsetof(struct counters, field)
	{ DROP_REASON_MALFORMED, XDP(drop_malformed), NOT_COUNTED, "TCP flags that no TCP sends" },
	{ DROP_REASON_DENIED, XDP(drop_denied), WORKERS(drop_denied),
	  "the source is on the deny list" },
	{ DROP_REASON_NOT_ALLOWED, XDP(drop_not_allowed), WORKERS(drop_not_allowed),
	  "the listener is not for this source" },
	{ DROP_REASON_SOURCE_RATE, XDP(drop_source_rate), NOT_COUNTED,
	  "too many new connections from one source" },
	{ DROP_REASON_HOST_UNKNOWN, XDP(drop_host_unknown), WORKERS(drop_host_unknown),
	  "nobody serves that host" },
	{ DROP_REASON_HOST_RATE, XDP(drop_host_rate), NOT_COUNTED,
	  "too many new connections for one host" },
	{ DROP_REASON_HOST_POLICY, XDP(drop_host_policy), NOT_COUNTED, "the host is not served" },
	{ DROP_REASON_EARLY_ORDER, XDP(drop_early_order), NOT_COUNTED,
	  "a segment before the first one of its connection: it comes again" },
	{ DROP_REASON_FLOW_REFUSED, XDP(drop_flow_refused), NOT_COUNTED,
	  "the map flows has no room" },
#undef XDP
#undef WORKERS
};

enum { REASON_COUNT = sizeof(reasons) / sizeof(reasons[0]) };

static const struct view_column reason_columns[] = {
	{ "reason", VIEW_LEFT },
	{ "xdp", VIEW_RIGHT },
	{ "workers", VIEW_RIGHT },
	{ "meaning", VIEW_LEFT },
};

static const struct view_column sample_columns[] = {
	{ "time", VIEW_LEFT }, { "source", VIEW_LEFT }, { "local", VIEW_LEFT },
	{ "host", VIEW_LEFT }, { "reason", VIEW_LEFT }, { "rule", VIEW_LEFT },
};

static void show_reasons(struct view *view, const struct agent *agent)
{
	const struct datapath *datapath = agent->steering.datapath;
	bool has_stats;
	struct stats stats;

	has_stats = datapath && datapath_read_stats(datapath, &stats, NULL) == 0;
	view_table_begin(view, "reasons", reason_columns, 4);
	for (size_t i = 0; i < REASON_COUNT; i++) {
		view_cell_c(view, drop_reason_name(reasons[i].reason));
		if (has_stats)
			view_cell_u64(view,
				      *(const uint64_t *)((const char *)&stats + reasons[i].xdp));
		else
			view_cell_none(view);
		if (reasons[i].workers != NOT_COUNTED)
			view_cell_u64(view, tally_sum(&agent->tally, reasons[i].workers));
		else
			view_cell_none(view);
		view_cell_c(view, reasons[i].meaning);
	}
	view_table_end(view);
}

/* ------------------------------------------------------------------------------ samples */

static struct addr addr_of(const uint8_t ip[16], uint16_t port)
{
	struct addr addr = { .port = port };

	memcpy(addr.ip, ip, sizeof(addr.ip));
	return addr;
}

/* "2026-01-31T12:00:00.123Z" of a moment of CLOCK_MONOTONIC. */
static void cell_time(struct view *view, uint64_t monotonic_ns)
{
	uint64_t wall_ns = clock_wall_ns() - (clock_monotonic_ns() - monotonic_ns);
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	char text[TIME_TEXT_MAX];
	struct tm parts;

	gmtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	view_cell_printf(view, "%s.%03uZ", text, (unsigned int)(wall_ns % NS_PER_S / NS_PER_MS));
}

static void format_denied(const struct agent *agent, const struct event *event,
			  char text[RULE_TEXT_MAX])
{
	const struct source_list *list = &agent->protection.deny;
	const struct source_entry *entry = source_list_find(list, event->client_address);

	if (entry)
		source_list_format(list, entry, text, RULE_TEXT_MAX);
	else
		snprintf(text, RULE_TEXT_MAX, "no longer on the list");
}

static void format_rate(const struct agent *agent, char text[RULE_TEXT_MAX])
{
	const struct datapath_source_rate *rate = &agent->options->protect.source_rate;

	snprintf(text, RULE_TEXT_MAX, "source-rate %u/%u", rate->per_s,
		 rate->burst ? rate->burst : rate->per_s);
}

static void format_allowed(const struct agent *agent, const struct event *event,
			   char text[RULE_TEXT_MAX])
{
	struct addr local = addr_of(event->local_address, event->local_port);
	char range[ADDR_RANGE_TEXT_MAX];

	snprintf(text, RULE_TEXT_MAX, "allow-sources");
	for (size_t i = 0; i < agent->listeners.count; i++) {
		const struct listener *listener = &agent->listeners.at[i];

		if (agent->protection.allow[listener->id].is_limited &&
		    addr_range_covers(&listener->range, &local))
			snprintf(text, RULE_TEXT_MAX, "allow-sources of %s",
				 addr_range_format(&listener->range, range));
	}
}

/* What a person would have to change; as things stand now. */
static const char *rule_of(const struct agent *agent, const struct event *event,
			   char text[RULE_TEXT_MAX])
{
	switch (event->reason) {
	case DROP_REASON_DENIED:
		format_denied(agent, event, text);
		return text;
	case DROP_REASON_SOURCE_RATE:
		format_rate(agent, text);
		return text;
	case DROP_REASON_NOT_ALLOWED:
		format_allowed(agent, event, text);
		return text;
	case DROP_REASON_HOST_RATE:
		return "connection-rate";
	case DROP_REASON_HOST_UNKNOWN:
		return "unknown-hosts: drop";
	case DROP_REASON_NONE:
	case DROP_REASON_HOST_POLICY:
	case DROP_REASON_MALFORMED:
	case DROP_REASON_EARLY_ORDER:
	case DROP_REASON_FLOW_REFUSED:
		break;
	}
	return "";
}

/* A stranger may have written anything for the name of a host. */
static void cell_host(struct view *view, const struct event *event)
{
	char text[sizeof(event->name)];
	size_t len = 0;

	for (; len < sizeof(text) && event->name[len]; len++)
		text[len] =
			event->name[len] > ' ' && event->name[len] < 0x7f ? event->name[len] : '?';
	if (len)
		view_cell(view, str_of(text, len));
	else
		view_cell_none(view);
}

static void show_sample(struct view *view, const struct agent *agent, const struct event *event)
{
	struct addr client = addr_of(event->client_address, event->client_port);
	struct addr local = addr_of(event->local_address, event->local_port);
	char address[ADDR_TEXT_MAX], rule[RULE_TEXT_MAX];

	cell_time(view, event->time_ns);
	view_cell_c(view, addr_format(&client, address));
	view_cell_c(view, addr_format(&local, address));
	cell_host(view, event);
	view_cell_c(view, drop_reason_name(event->reason));
	view_cell_c(view, rule_of(agent, event, rule));
}

void show_drops(const struct admin_request *request, struct admin_answer *answer)
{
	const struct agent *agent = request->agent;
	uint64_t limit = SAMPLES_SHOWN_DEFAULT, said;
	const struct event *event;
	struct view view;

	if (str_parse_u64(admin_parameter(request, "limit"), DROPS_KEPT, &said) == 0 && said)
		limit = said;
	view_begin(&view, &answer->body, request->is_json);
	if (!agent->steering.datapath)
		view_printf(&view, "bpf", "off: %s", agent->steering.text);
	show_reasons(&view, agent);
	view_table_begin(&view, "samples", sample_columns, 6);
	for (uint64_t back = 0; back < limit && (event = drops_at(&agent->drops, back)); back++)
		show_sample(&view, agent, event);
	view_table_end(&view);
	view_end(&view);
}
