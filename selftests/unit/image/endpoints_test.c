// SPDX-License-Identifier: Apache-2.0
/* endpoints: who serves a backend; what writer and verifier refuse; the text form. */
#include "image/endpoints.h"

#include <errno.h>

#include "unit/image/samples.h"

static const char golden_dump[] =
	"endpoints version 1 generation 3 id limit 10\n"
	"endpoint 0 id 4 10.0.0.1:8080 weight 1 ready serving 'web-0'\n"
	"endpoint 1 id 9 10.0.0.2:8080 weight 1 ready serving 'web-1'\n"
	"endpoint 2 id 0 [2001:db8::3]:80 weight 1 serving terminating ''\n"
	"endpoint 3 id 2 10.0.0.4:1 weight 1 'late'\n"
	"backend id 0: 0 1 2\n"
	"backend id 1:\n"
	"backend id 2: 1 3\n";

static void test_dump(void **state)
{
	struct endpoints endpoints;
	struct str bytes;
	struct endpoints_writer *writer = sample_endpoints(&bytes);
	struct buf out;

	(void)state;
	assert_int_equal(endpoints_open(bytes, &endpoints, NULL), 0);
	buf_init(&out, 0);
	endpoints_dump(&endpoints, &out);
	if (!str_eq_c(buf_str(&out), golden_dump))
		fail_msg("got:\n%.*s", (int)out.len, out.at);
	buf_release(&out);
	endpoints_writer_free(writer);
}

static void test_slots(void **state)
{
	struct endpoints endpoints;
	struct str bytes;
	struct endpoints_writer *writer = sample_endpoints(&bytes);
	struct endpoints_slot slot;
	char text[ADDR_TEXT_MAX];
	struct addr addr;

	(void)state;
	assert_int_equal(endpoints_open(bytes, &endpoints, NULL), 0);
	assert_int_equal(endpoints.generation, 3);
	assert_int_equal(endpoints.endpoint_id_limit, 10);
	assert_int_equal(endpoints.slot_count, 3);
	assert_int_equal(endpoints_of(&endpoints, 1).count, 0);
	assert_int_equal(endpoints_of(&endpoints, 3).count, 0);
	assert_int_equal(endpoints_of(&endpoints, UINT32_MAX).count, 0);
	slot = endpoints_of(&endpoints, 2);
	assert_int_equal(slot.count, 2);
	assert_int_equal(endpoints_at(&endpoints, slot, 0)->id, 9);
	assert_int_equal(endpoints_at(&endpoints, slot, 1)->id, 2);
	addr = endpoint_addr(endpoints_at(&endpoints, slot, 0));
	assert_string_equal(addr_format(&addr, text), "10.0.0.2:8080");
	assert_true(
		str_eq_c(endpoint_name(&endpoints, endpoints_at(&endpoints, slot, 0)), "web-1"));
	endpoints_writer_free(writer);
}

static void test_nobody(void **state)
{
	struct endpoints_writer *writer = endpoints_writer_new(1);
	struct endpoints endpoints;
	struct str bytes;

	(void)state;
	assert_int_equal(endpoints_writer_add_backend(writer, 6), 0);
	assert_int_equal(endpoints_writer_finish(writer, &bytes, NULL), 0);
	assert_int_equal(endpoints_open(bytes, &endpoints, NULL), 0);
	assert_int_equal(endpoints.slot_count, 7);
	assert_int_equal(endpoints.endpoint_id_limit, 0);
	assert_int_equal(endpoints_of(&endpoints, 6).count, 0);
	endpoints_writer_free(writer);
}

static void test_refused_by_writer(void **state)
{
	struct endpoints_writer *writer = endpoints_writer_new(1);
	struct endpoints_writer_endpoint good = { .id = 0, .addr = { .port = 80 } }, bad;
	uint32_t index;

	(void)state;
	assert_int_equal(endpoints_writer_add(writer, &good, &index), 0);
	bad = good;
	bad.addr.port = 0;
	assert_int_equal(endpoints_writer_add(writer, &bad, &index), -EINVAL);
	bad = good;
	bad.id = ENDPOINTS_ENDPOINT_ID_LIMIT;
	assert_int_equal(endpoints_writer_add(writer, &bad, &index), -EINVAL);
	bad = good;
	bad.flags = ENDPOINT_FLAGS + 1;
	assert_int_equal(endpoints_writer_add(writer, &bad, &index), -EINVAL);
	assert_int_equal(endpoints_writer_assign(writer, 0, 1), -EINVAL);
	assert_int_equal(endpoints_writer_assign(writer, ENDPOINTS_BACKEND_ID_LIMIT, 0), -EINVAL);
	assert_int_equal(endpoints_writer_add_backend(writer, ENDPOINTS_BACKEND_ID_LIMIT), -EINVAL);
	endpoints_writer_free(writer);
}

/* A writable copy of the sample. */
struct broken {
	struct endpoints_header *header;
	struct endpoints_slot *slots;
	uint32_t *members;
	struct endpoint *endpoints;
};

#define BREAK(function, statement)                                                                 \
	static void function(struct broken *b)                                                     \
	{                                                                                          \
		statement;                                                                         \
	}

BREAK(slot_first, b->slots[2].first--)
BREAK(slot_count, b->slots[0].count = UINT32_MAX)
BREAK(slot_shorter, b->slots[2].count--)
BREAK(member_beyond, b->members[0] = 4)
BREAK(endpoint_id, b->endpoints[0].id = 10)
BREAK(endpoint_port, b->endpoints[0].port = 0)
BREAK(endpoint_flags, b->endpoints[0].flags = 0x80)
BREAK(endpoint_reserved, b->endpoints[0].reserved = 1)
BREAK(endpoint_reserved_byte, b->endpoints[0].reserved_byte = 1)
BREAK(endpoint_name_beyond, b->endpoints[0].name.offset = UINT32_MAX)
BREAK(id_limit, b->header->endpoint_id_limit = ENDPOINTS_ENDPOINT_ID_LIMIT + 1)
BREAK(header_reserved, b->header->reserved = 1)

#define CASE(function)                                                                             \
	{                                                                                          \
#function, function                                                                \
	}

static void test_refused_by_verifier(void **state)
{
	static const struct {
		const char *name;
		void (*break_it)(struct broken *);
	} cases[] = {
		CASE(slot_first),           CASE(slot_count),        CASE(slot_shorter),
		CASE(member_beyond),        CASE(endpoint_id),       CASE(endpoint_port),
		CASE(endpoint_flags),       CASE(endpoint_reserved), CASE(endpoint_reserved_byte),
		CASE(endpoint_name_beyond), CASE(id_limit),          CASE(header_reserved),
	};
	struct str bytes;
	struct endpoints_writer *writer = sample_endpoints(&bytes);
	char *copy = mem_new(bytes.len, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct segment_header *header = (struct segment_header *)copy;
		struct endpoints endpoints;
		struct err err = { 0 };
		struct broken b;

		memcpy(copy, bytes.at, bytes.len);
		b.header = (struct endpoints_header *)copy;
		b.slots = (void *)(copy + header->sections[0].offset_bytes);
		b.members = (void *)(copy + header->sections[1].offset_bytes);
		b.endpoints = (void *)(copy + header->sections[2].offset_bytes);
		cases[i].break_it(&b);
		if (endpoints_open(str_of(copy, bytes.len), &endpoints, &err) != -EINVAL ||
		    err.text[0] == 0)
			fail_msg("%s: accepted", cases[i].name);
	}
	mem_free(copy);
	endpoints_writer_free(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_refused_by_writer),
		cmocka_unit_test(test_refused_by_verifier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
