// SPDX-License-Identifier: Apache-2.0
/*
 * endpoints: from EndpointSlices to the endpoints segment, and from nothing else.
 *
 *   slices, filed by Service ──► for each backend of that Service: the port of its name
 *                                    └──► each address of each endpoint, once a backend
 *
 * An endpoint is taken when it is ready, and when it is terminating but still
 * serving, so that the last ones of a Service can finish (KEP-1669); its flags say
 * which.
 *
 * This runs on every change of a pod. Where neither the Service nor any of its slices
 * changed, the members of its backends are those of the generation before; only the
 * others are read again.
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
	struct arena arena;             /* fields of findings */
	const struct object **by_group; /* the slices to be read, group after group */
	uint32_t *group_first;          /* by group, and one more */
	size_t member_first;            /* of the backend at hand */
	bool *is_same;                  /* by group: as in the generation before */
	bool is_first_backend;          /* of its Service: it speaks for the others */
	bool is_remembered;             /* there was nothing to say about the group at hand */
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

/* ------------------------------------------------------------- what changed */

/* Finds out the Service of each slice, and marks those of which a slice came, changed or went. */
static void look_at_slices(struct endpoints_build *build)
{
	struct compiler *compiler = build->compiler;
	struct seen *seen = &compiler->seen[OBJECT_KIND_ENDPOINT_SLICE];
	const struct object *const *slices = build->set->of[OBJECT_KIND_ENDPOINT_SLICE].at;
	size_t count = build->set->of[OBJECT_KIND_ENDPOINT_SLICE].count;
	uint32_t *before = compiler->slice_services.at, *now = mem_new(count + 1, sizeof(*now));

	seen_look(seen, slices, count);
	for (size_t i = 0; i < seen->to.len; i++) {
		if (seen->to.at[i] == SEEN_NONE)
			compiler->known_services.at[before[i]].changed_round =
				compiler->endpoints_round;
	}
	for (size_t i = 0; i < count; i++) {
		if (seen->from.at[i] != SEEN_NONE) {
			now[i] = before[seen->from.at[i]];
			continue;
		}
		now[i] = service_number(compiler, slices[i]->namespace,
					slices[i]->endpoint_slice.service);
		compiler->known_services.at[now[i]].changed_round = compiler->endpoints_round;
	}
	mem_free(before);
	compiler->slice_services.at = now;
	compiler->slice_services.len = count;
	compiler->slice_services.cap = count + 1;
}

static struct backend_members *members_of(struct compiler *compiler, uint32_t backend_id)
{
	while (compiler->backend_members.len <= backend_id)
		vec_push(&compiler->backend_members);
	return &compiler->backend_members.at[backend_id];
}

/* Whether all backends of @group have the members that they had the last time. */
static bool is_group_same(struct compiler *compiler, const struct service_group *group)
{
	const struct compiled *now = compiler->now;
	const uint32_t *backends = compiler->service_groups.backends.at + group->first;
	const struct known_service *known = &compiler->known_services.at[group->number];

	if (known->changed_round == compiler->endpoints_round ||
	    known->complaint_round + 1 == compiler->endpoints_round)
		return false;
	for (uint32_t i = 0; i < group->count; i++) {
		const struct backend_members *last =
			members_of(compiler, now->model.backends.at[backends[i]].id);
		uint64_t serial = now->backends.at[backends[i]].service_serial;

		if (last->round + 1 != compiler->endpoints_round || !serial ||
		    last->service_serial != serial)
			return false;
	}
	return true;
}

/* The group that slice @index is to be read for, or MODEL_NONE. */
static uint32_t group_to_read(const struct endpoints_build *build, size_t index)
{
	const struct compiler *compiler = build->compiler;
	const struct known_service *known =
		&compiler->known_services.at[compiler->slice_services.at[index]];

	if (known->group_round != compiler->round || build->is_same[known->group])
		return MODEL_NONE;
	return known->group;
}

static void compare_groups(struct endpoints_build *build)
{
	struct compiler *compiler = build->compiler;
	const struct service_groups *groups = &compiler->service_groups;

	build->is_same = mem_new(groups->groups.len + 1, sizeof(*build->is_same));
	for (size_t i = 0; i < groups->groups.len; i++)
		build->is_same[i] = is_group_same(compiler, &groups->groups.at[i]);
}

/* ---------------------------------------------------------------- grouping */

/* Files the slices of the groups that are not the same by group. */
static void group_slices(struct endpoints_build *build)
{
	struct compiler *compiler = build->compiler;
	size_t group_count = compiler->service_groups.groups.len;
	const struct object *const *slices = build->set->of[OBJECT_KIND_ENDPOINT_SLICE].at;
	size_t count = build->set->of[OBJECT_KIND_ENDPOINT_SLICE].count;
	uint32_t *group_of = mem_new(count + 1, sizeof(*group_of));
	uint32_t *next = mem_new(group_count + 1, sizeof(*next));
	uint32_t first = 0;

	build->by_group = mem_new(count + 1, sizeof(*build->by_group));
	build->group_first = mem_new(group_count + 1, sizeof(*build->group_first));
	for (size_t i = 0; i < count; i++) {
		group_of[i] = group_to_read(build, i);
		if (group_of[i] == MODEL_NONE)
			continue;
		if (is_ip_slice(slices[i])) {
			next[group_of[i]]++;
			continue;
		}
		complain_type(build, slices[i]);
		/* So that it is said again the next time. */
		compiler->known_services.at[compiler->slice_services.at[i]].complaint_round =
			compiler->endpoints_round;
		group_of[i] = MODEL_NONE;
	}
	for (size_t g = 0; g <= group_count; g++) {
		uint32_t size = next[g];

		build->group_first[g] = next[g] = first;
		first += size;
	}
	for (size_t i = 0; i < count; i++) {
		if (group_of[i] != MODEL_NONE)
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
	if (*id == IDS_NONE) {
		build->is_remembered = false; /* there may be one the next time */
		return NULL;
	}
	while (compiler->endpoint_marks.len <= *id)
		vec_push(&compiler->endpoint_marks);
	return &compiler->endpoint_marks.at[*id];
}

static void set_name(struct compiled_endpoints *endpoints, struct member *member, struct str name)
{
	member->name_at = (uint32_t)endpoints->names.len;
	member->name_len = (uint32_t)name.len;
	vec_reserve(&endpoints->names, endpoints->names.len + name.len);
	if (name.len)
		memcpy(endpoints->names.at + endpoints->names.len, name.at, name.len);
	endpoints->names.len += name.len;
}

/* Adds an address to the backend at hand, once. Of two opinions about it the ready one counts. */
static void add_member(struct endpoints_build *build, const struct addr *addr,
		       const struct object_endpoint *endpoint)
{
	struct compiled_endpoints *now = &build->compiler->endpoints_now;
	struct member *member;
	struct endpoint_mark *mark;
	uint32_t id;

	mark = mark_of(build, addr, &id);
	if (!mark)
		return;
	if (mark->member_turn == build->compiler->backend_turn) {
		member = &now->members.at[build->member_first + mark->member];
		if (member->flags & ENDPOINT_READY)
			return;
	} else {
		mark->member_turn = build->compiler->backend_turn;
		mark->member = (uint32_t)(now->members.len - build->member_first);
		member = vec_push(&now->members);
		member->id = id;
		member->addr = *addr;
	}
	member->flags = flags_of(endpoint);
	set_name(now, member, endpoint->target);
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
		      const struct object_service_port *wanted)
{
	const struct object_endpoint_slice *spec = &slice->endpoint_slice;
	uint16_t target = wanted->target_port.number ? wanted->target_port.number : wanted->port;

	for (uint32_t p = 0; p < spec->port_count; p++) {
		const struct object_slice_port *port = &spec->ports[p];

		if (port->protocol != OBJECT_PROTOCOL_TCP || !str_eq(port->name, wanted->name))
			continue;
		add_slice_port(build, slice, port->port ? port->port : target);
		return true;
	}
	return false;
}

/* ---------------------------------------------------------------- backends */

/* The index of the record of @member: endpoints of several backends share one. */
static int record_of(struct endpoints_build *build, const struct member *member, uint32_t *record)
{
	struct compiler *compiler = build->compiler;
	struct endpoint_mark *mark = &compiler->endpoint_marks.at[member->id];
	const char *names = compiler->endpoints_now.names.at;
	const struct endpoints_writer_endpoint written = {
		.id = member->id,
		.addr = member->addr,
		.flags = member->flags,
		.weight = ENDPOINT_WEIGHT,
		.name = member->name_len ? str_of(names + member->name_at, member->name_len)
					 : STR(""),
	};
	int code;

	if (mark->record_round == compiler->endpoints_round && mark->flags == member->flags) {
		*record = mark->record;
		return 0;
	}
	code = endpoints_writer_add(build->writer, &written, record);
	if (code < 0)
		return code;
	mark->record_round = compiler->endpoints_round;
	mark->record = *record;
	mark->flags = member->flags;
	return 0;
}

/* The members of the backend at hand: those from member_first on. */
static int write_members(struct endpoints_build *build, uint32_t backend_id)
{
	const struct compiled_endpoints *now = &build->compiler->endpoints_now;
	int code = endpoints_writer_add_backend(build->writer, backend_id);

	for (size_t i = build->member_first; i < now->members.len && code == 0; i++) {
		uint32_t record;

		code = record_of(build, &now->members.at[i], &record);
		if (code == 0)
			code = endpoints_writer_assign(build->writer, backend_id, record);
	}
	return code;
}

static void complain_port(struct endpoints_build *build, const struct object *slice,
			  const struct model_backend *backend)
{
	struct finding_place place = place_of(slice, 0, STR("ports"));

	findings_add(build->findings, FINDING_WARNING, "MissingPort", &place,
		     "there is no tcp port named '%.*s', as port %.*s of service '%.*s' is",
		     STR_ARG(backend->service_port->name), STR_ARG(backend->port),
		     STR_ARG(slice->endpoint_slice.service));
}

static void read_members(struct endpoints_build *build, uint32_t group,
			 const struct model_backend *backend)
{
	uint32_t first = build->group_first[group], end = build->group_first[group + 1];
	bool has_port = false;

	build->compiler->backend_turn++;
	for (uint32_t i = first; i < end; i++)
		has_port |= add_slice(build, build->by_group[i], backend->service_port);
	if (!has_port && end > first)
		complain_port(build, build->by_group[first], backend);
}

static void take_members(struct endpoints_build *build, const struct backend_members *last)
{
	struct compiler *compiler = build->compiler;
	const struct compiled_endpoints *before = &compiler->endpoints_before;

	for (uint32_t i = 0; i < last->count; i++) {
		const struct member *from = &before->members.at[last->first + i];
		struct member *member = vec_push(&compiler->endpoints_now.members);

		*member = *from;
		ids_touch(&compiler->endpoint_ids, from->id);
		if (from->name_len)
			set_name(&compiler->endpoints_now, member,
				 str_of(before->names.at + from->name_at, from->name_len));
	}
}

static int add_backend(struct endpoints_build *build, uint32_t group, uint32_t index)
{
	struct compiler *compiler = build->compiler;
	const struct model_backend *backend = &compiler->now->model.backends.at[index];
	struct backend_members *members = members_of(compiler, backend->id);

	build->member_first = compiler->endpoints_now.members.len;
	if (build->is_same[group])
		take_members(build, members);
	else
		read_members(build, group, backend);
	*members = (struct backend_members){
		.round = compiler->endpoints_round,
		.service_serial = compiler->now->backends.at[index].service_serial,
		.first = build->member_first,
		.count = (uint32_t)(compiler->endpoints_now.members.len - build->member_first),
	};
	return write_members(build, backend->id);
}

static int add_group(struct endpoints_build *build, uint32_t index)
{
	struct compiler *compiler = build->compiler;
	const struct service_groups *groups = &compiler->service_groups;
	const struct service_group *group = &groups->groups.at[index];
	struct known_service *known = &compiler->known_services.at[group->number];
	size_t finding_count = build->findings->list.len;
	int code = 0;

	build->is_remembered = true;
	for (uint32_t i = 0; i < group->count && code == 0; i++) {
		build->is_first_backend = i == 0;
		code = add_backend(build, index, groups->backends.at[group->first + i]);
	}
	if (!build->is_remembered || build->findings->list.len != finding_count)
		known->complaint_round = compiler->endpoints_round;
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

	look_at_slices(build);
	compare_groups(build);
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

void endpoints_forget(struct compiler *compiler)
{
	seen_look(&compiler->seen[OBJECT_KIND_ENDPOINT_SLICE], NULL, 0);
	compiler->slice_services.len = 0;
	compiler->known_services.len = 0;
	compiler->backend_members.len = 0;
	ids_release(&compiler->service_names);
	ids_init(&compiler->service_names, compiler->hash_key, 0, IDS_NONE, 0);
	ids_begin(&compiler->service_names);
}

static void begin_endpoints(struct compiler *compiler)
{
	struct compiled_endpoints older = compiler->endpoints_before;

	compiler->endpoints_before = compiler->endpoints_now;
	compiler->endpoints_now = older;
	compiler->endpoints_now.members.len = 0;
	compiler->endpoints_now.names.len = 0;
	compiler->endpoints_round++;
	ids_begin(&compiler->endpoint_ids);
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
	begin_endpoints(compiler);
	code = build_all(&build, &output->endpoints);
	ids_end(&compiler->endpoint_ids);
	compiler->has_same_backends = code == 0;
	if (code < 0)
		compiler->backend_members.len = 0; /* not all of them were come to */
	mem_free(build.is_same);
	mem_free(build.by_group);
	mem_free(build.group_first);
	arena_release(&build.arena);
	return code;
}
