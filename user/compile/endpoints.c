// SPDX-License-Identifier: Apache-2.0
/*
 * endpoints: from EndpointSlices to the endpoints segment, and from nothing else.
 *
 *   slices, filed by Service ──► for each backend of that Service: the port of its name
 *                                    └──► each address of each endpoint, once a backend
 *
 * An endpoint is taken when it is ready, and when it is terminating but still
 * serving, so that the last ones of a Service can finish (KEP-1669); its flags say
 * which. This runs on every change of a pod, so an endpoint costs one look-up.
 */
#include <errno.h>

#include "base/addr.h"
#include "compile/build.h"
#include "image/endpoints.h"

enum { ENDPOINT_WEIGHT = 1, V4_PREFIX_BYTES = 12, V4_PARTS = 4, V4_PART_DIGITS = 3 };

/* One compilation. */
struct endpoints_build {
	struct compiler *compiler;
	const struct object_set *set;
	struct findings *findings;
	struct endpoints_writer *writer;
	struct arena arena;                                   /* fields of findings */
	const struct object **by_group;                       /* the slices, group after group */
	uint32_t *group_first;                                /* by group, and one more */
	struct VEC(struct endpoints_writer_endpoint) members; /* of the backend at hand */
	bool is_first_backend; /* of its Service: it speaks for the others */
};

struct str endpoint_id_name(const uint8_t ip[16], uint16_t port, char room[ENDPOINT_NAME_BYTES])
{
	memcpy(room, ip, 16);
	room[16] = (char)(port & 0xff);
	room[17] = (char)(port >> 8);
	return str_of(room, ENDPOINT_NAME_BYTES);
}

/* --------------------------------------------------------------- addresses */

/* Dotted quad, by hand: there are many, and inet_pton wants a terminated copy of each. */
static bool parse_v4(struct str text, uint8_t ip[16])
{
	size_t at = 0;

	for (int part = 0; part < V4_PARTS; part++) {
		size_t start = at;
		unsigned int value = 0;

		while (at < text.len && char_is_digit(text.at[at]) && at - start < V4_PART_DIGITS)
			value = value * 10 + (unsigned int)(text.at[at++] - '0');
		if (at == start || value > UINT8_MAX || (at - start > 1 && text.at[start] == '0'))
			return false;
		ip[V4_PREFIX_BYTES + part] = (uint8_t)value;
		if (part + 1 < V4_PARTS && (at == text.len || text.at[at++] != '.'))
			return false;
	}
	memset(ip, 0, V4_PREFIX_BYTES);
	ip[10] = ip[11] = 0xff;
	return at == text.len;
}

static bool parse_ip(struct str text, struct addr *addr)
{
	return parse_v4(text, addr->ip) || addr_parse_ip(text, addr) == 0;
}

/* ---------------------------------------------------------------- findings */

static struct finding_place place_of(const struct object *slice, uint32_t line, struct str field)
{
	return (struct finding_place){ .object = slice, .line = line, .field = field };
}

static bool is_ip_slice(const struct object *slice)
{
	struct str type = slice->endpoint_slice.address_type;

	return str_eq(type, STR("IPv4")) || str_eq(type, STR("IPv6"));
}

static void complain_type(struct endpoints_build *build, const struct object *slice)
{
	struct finding_place place = place_of(slice, 0, STR("addressType"));
	struct str type = slice->endpoint_slice.address_type;

	if (type.len)
		findings_add(build->findings, FINDING_ERROR, "AddressType", &place,
			     "addresses of type '%.*s' are not served, only ipv4 and ipv6 are",
			     STR_ARG(type));
	else
		findings_add(build->findings, FINDING_ERROR, "AddressType", &place,
			     "there is no address type");
}

/* Says once which address of @slice is none. */
static void complain_address(struct endpoints_build *build, const struct object *slice, uint32_t e,
			     uint32_t a)
{
	const struct object_endpoint *endpoint = &slice->endpoint_slice.endpoints[e];
	bool is_v4 = str_eq(slice->endpoint_slice.address_type, STR("IPv4"));
	struct finding_place place;

	if (!build->is_first_backend)
		return;
	place = place_of(slice, endpoint->line,
			 arena_printf(&build->arena, "endpoints[%u].addresses[%u]", endpoint->index,
				      a));
	findings_add(build->findings, FINDING_ERROR, "InvalidAddress", &place,
		     "'%.*s' is no %s address", STR_ARG(endpoint->addresses[a]),
		     is_v4 ? "ipv4" : "ipv6");
}

/* ---------------------------------------------------------------- grouping */

/* Files the slices of Services that have backends by service group. */
static void group_slices(struct endpoints_build *build)
{
	const struct service_groups *groups = &build->compiler->service_groups;
	const struct object *const *slices = build->set->of[OBJECT_KIND_ENDPOINT_SLICE].at;
	size_t count = build->set->of[OBJECT_KIND_ENDPOINT_SLICE].count;
	uint32_t *group_of = mem_new(count + 1, sizeof(*group_of));
	uint32_t *next = mem_new(groups->groups.len + 1, sizeof(*next));
	uint32_t first = 0;

	build->by_group = mem_new(count + 1, sizeof(*build->by_group));
	build->group_first = mem_new(groups->groups.len + 1, sizeof(*build->group_first));
	for (size_t i = 0; i < count; i++) {
		group_of[i] = service_groups_find(build->compiler, slices[i]->namespace,
						  slices[i]->endpoint_slice.service);
		if (group_of[i] == LOOKUP_NONE)
			continue;
		if (is_ip_slice(slices[i])) {
			next[group_of[i]]++;
			continue;
		}
		complain_type(build, slices[i]);
		group_of[i] = LOOKUP_NONE;
	}
	for (size_t g = 0; g <= groups->groups.len; g++) {
		uint32_t size = next[g];

		build->group_first[g] = next[g] = first;
		first += size;
	}
	for (size_t i = 0; i < count; i++) {
		if (group_of[i] != LOOKUP_NONE)
			build->by_group[next[group_of[i]]++] = slices[i];
	}
	mem_free(next);
	mem_free(group_of);
}

/* ----------------------------------------------------------------- members */

static uint8_t flags_of(const struct object_endpoint *endpoint)
{
	return (uint8_t)((endpoint->is_ready ? ENDPOINT_READY : 0) |
			 (endpoint->is_serving ? ENDPOINT_SERVING : 0) |
			 (endpoint->is_terminating ? ENDPOINT_TERMINATING : 0));
}

static bool is_taken(const struct object_endpoint *endpoint)
{
	return endpoint->is_ready || (endpoint->is_serving && endpoint->is_terminating);
}

static struct endpoint_mark *mark_of(struct endpoints_build *build, const struct addr *addr,
				     uint32_t *id)
{
	struct compiler *compiler = build->compiler;
	char name[ENDPOINT_NAME_BYTES];

	*id = ids_get(&compiler->endpoint_ids, endpoint_id_name(addr->ip, addr->port, name));
	if (*id == IDS_NONE)
		return NULL;
	while (compiler->endpoint_marks.len <= *id)
		vec_push(&compiler->endpoint_marks);
	return &compiler->endpoint_marks.at[*id];
}

/* Adds an address to the backend at hand, once. Of two opinions about it the ready one counts. */
static void add_member(struct endpoints_build *build, const struct addr *addr,
		       const struct object_endpoint *endpoint)
{
	struct endpoints_writer_endpoint *member;
	uint8_t flags = flags_of(endpoint);
	struct endpoint_mark *mark;
	uint32_t id;

	mark = mark_of(build, addr, &id);
	if (!mark)
		return;
	if (mark->member_turn == build->compiler->backend_turn) {
		member = &build->members.at[mark->member];
		if (!(member->flags & ENDPOINT_READY)) {
			member->flags = flags;
			member->name = endpoint->target;
		}
		return;
	}
	mark->member_turn = build->compiler->backend_turn;
	mark->member = (uint32_t)build->members.len;
	*vec_push(&build->members) = (struct endpoints_writer_endpoint){ .id = id,
									 .addr = *addr,
									 .flags = flags,
									 .weight = ENDPOINT_WEIGHT,
									 .name = endpoint->target };
}

static void add_slice_port(struct endpoints_build *build, const struct object *slice, uint16_t port)
{
	const struct object_endpoint_slice *spec = &slice->endpoint_slice;
	bool is_v4 = str_eq(spec->address_type, STR("IPv4"));
	struct addr addr = { .port = port };

	for (uint32_t e = 0; e < spec->endpoint_count; e++) {
		const struct object_endpoint *endpoint = &spec->endpoints[e];

		if (!is_taken(endpoint))
			continue;
		for (uint32_t a = 0; a < endpoint->address_count; a++) {
			if (parse_ip(endpoint->addresses[a], &addr) && addr_is_v4(&addr) == is_v4)
				add_member(build, &addr, endpoint);
			else
				complain_address(build, slice, e, a);
		}
	}
}

/* False where no port of @slice has the name of @backend. */
static bool add_slice(struct endpoints_build *build, const struct object *slice,
		      const struct group_backend *backend)
{
	const struct object_endpoint_slice *spec = &slice->endpoint_slice;

	for (uint32_t p = 0; p < spec->port_count; p++) {
		const struct object_slice_port *port = &spec->ports[p];

		if (port->protocol != OBJECT_PROTOCOL_TCP ||
		    !str_eq(port->name, backend->port_name))
			continue;
		add_slice_port(build, slice, port->port ? port->port : backend->target_port);
		return true;
	}
	return false;
}

/* ---------------------------------------------------------------- backends */

/* The index of the record of @member: endpoints of several backends share one. */
static int record_of(struct endpoints_build *build, const struct endpoints_writer_endpoint *member,
		     uint32_t *record)
{
	struct compiler *compiler = build->compiler;
	struct endpoint_mark *mark = &compiler->endpoint_marks.at[member->id];
	int code;

	if (mark->record_round == compiler->endpoints_round && mark->flags == member->flags) {
		*record = mark->record;
		return 0;
	}
	code = endpoints_writer_add(build->writer, member, record);
	if (code < 0)
		return code;
	mark->record_round = compiler->endpoints_round;
	mark->record = *record;
	mark->flags = member->flags;
	return 0;
}

static int write_members(struct endpoints_build *build, uint32_t backend_id)
{
	int code = endpoints_writer_add_backend(build->writer, backend_id);

	for (size_t i = 0; i < build->members.len && code == 0; i++) {
		uint32_t record;

		code = record_of(build, &build->members.at[i], &record);
		if (code == 0)
			code = endpoints_writer_assign(build->writer, backend_id, record);
	}
	return code;
}

static void complain_port(struct endpoints_build *build, const struct object *slice,
			  const struct group_backend *backend)
{
	struct finding_place place = place_of(slice, 0, STR("ports"));

	findings_add(build->findings, FINDING_WARNING, "MissingPort", &place,
		     "there is no tcp port named '%.*s', as port %.*s of service '%.*s' is",
		     STR_ARG(backend->port_name), STR_ARG(backend->port),
		     STR_ARG(slice->endpoint_slice.service));
}

static int add_backend(struct endpoints_build *build, uint32_t group,
		       const struct group_backend *backend)
{
	uint32_t first = build->group_first[group], end = build->group_first[group + 1];
	bool has_port = false;

	build->compiler->backend_turn++;
	build->members.len = 0;
	for (uint32_t i = first; i < end; i++)
		has_port |= add_slice(build, build->by_group[i], backend);
	if (!has_port && end > first)
		complain_port(build, build->by_group[first], backend);
	return write_members(build, backend->id);
}

static int add_group(struct endpoints_build *build, uint32_t index)
{
	const struct service_groups *groups = &build->compiler->service_groups;
	const struct service_group *group = &groups->groups.at[index];
	int code = 0;

	for (uint32_t i = 0; i < group->count && code == 0; i++) {
		build->is_first_backend = i == 0;
		code = add_backend(build, index, &groups->backends.at[group->first + i]);
	}
	return code;
}

/* Backends in no group get a slot that nobody is in. */
static int add_unserved(struct endpoints_build *build)
{
	const struct service_groups *groups = &build->compiler->service_groups;
	int code = 0;

	for (size_t i = 0; i < groups->unserved_ids.len && code == 0; i++)
		code = endpoints_writer_add_backend(build->writer, groups->unserved_ids.at[i]);
	return code;
}

/* ------------------------------------------------------------------- whole */

/* Whether routes were compiled from the very objects of @set. */
static bool has_seen(const struct compiler *compiler, const struct object_set *set)
{
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
		if (kind != OBJECT_KIND_ENDPOINT_SLICE &&
		    !seen_has(&compiler->seen[kind], set->of[kind].at, set->of[kind].count))
			return false;
	}
	return compiler->has_model;
}

static int build_all(struct endpoints_build *build, struct str *bytes)
{
	struct finding_place place = { 0 };
	struct err err = { 0 };
	int code;

	group_slices(build);
	code = add_unserved(build);
	for (uint32_t i = 0; i < build->compiler->service_groups.groups.len && code == 0; i++)
		code = add_group(build, i);
	if (code == 0)
		code = endpoints_writer_finish(build->writer, bytes, &err);
	if (code < 0)
		findings_add(build->findings, FINDING_ERROR,
			     code == -EFBIG ? "TooLarge" : "InternalError", &place, "endpoints: %s",
			     err.text[0] ? err.text : "refused by their writer");
	return code;
}

int compile_endpoints(struct compiler *compiler, const struct object_set *set, uint64_t generation,
		      struct compile_output *output, struct findings *findings)
{
	struct endpoints_build build = { .compiler = compiler, .set = set, .findings = findings };
	int code;

	if (!has_seen(compiler, set))
		return -ESTALE;
	endpoints_writer_free(output->endpoints_writer);
	output->endpoints = str_of(NULL, 0);
	output->endpoints_writer = build.writer = endpoints_writer_new(generation);
	arena_init(&build.arena, 0);
	compiler->endpoints_round++;
	ids_begin(&compiler->endpoint_ids);
	code = build_all(&build, &output->endpoints);
	ids_end(&compiler->endpoint_ids);
	vec_release(&build.members);
	mem_free(build.by_group);
	mem_free(build.group_first);
	arena_release(&build.arena);
	return code;
}
