// SPDX-License-Identifier: Apache-2.0
/*
 * verify: what image_open refuses. Each rule of the verifier is broken once by name; then every
 * byte of every segment is flipped and every length tried, under the rule that what is accepted
 * can be asked and printed (the sanitizers of `make asan` watch).
 */
#include "image/segment.h"

#include <errno.h>

#include "unit/image/samples.h"

/* A writable copy of the sample image, with its sections at hand. */
struct broken {
	struct rules rules;
	char *at;
	size_t len;
	struct image_header *header;
	struct host_slot *slots;
	struct image_vhost *vhosts;
	struct image_node *nodes;
	struct image_route *routes;
	struct image_backend *backends;
	struct image_policy *policies;
	struct image_source *sources;
	char *strings;
};

static void *section_of(struct broken *b, enum image_section section)
{
	return b->at + ((struct segment_header *)b->at)->sections[section].offset_bytes;
}

static void break_open(struct broken *b)
{
	sample_image(&b->rules);
	b->len = b->rules.bytes.len;
	b->at = mem_new(b->len, 1);
	memcpy(b->at, b->rules.bytes.at, b->len);
	b->header = (struct image_header *)b->at;
	b->slots = section_of(b, IMAGE_SECTION_HOST_SLOTS);
	b->vhosts = section_of(b, IMAGE_SECTION_VHOSTS);
	b->nodes = section_of(b, IMAGE_SECTION_NODES);
	b->routes = section_of(b, IMAGE_SECTION_ROUTES);
	b->backends = section_of(b, IMAGE_SECTION_BACKENDS);
	b->policies = section_of(b, IMAGE_SECTION_POLICIES);
	b->sources = section_of(b, IMAGE_SECTION_SOURCES);
	b->strings = section_of(b, IMAGE_SECTION_STRINGS);
}

static void break_close(struct broken *b)
{
	mem_free(b->at);
	rules_release(&b->rules);
}

/* The first slot in use. */
static struct host_slot *used_slot(struct broken *b)
{
	struct host_slot *slot = b->slots;

	while (!slot->entry_plus_1)
		slot++;
	return slot;
}

/* The first slot that is not. */
static struct host_slot *free_slot(struct broken *b)
{
	struct host_slot *slot = b->slots;

	while (slot->entry_plus_1)
		slot++;
	return slot;
}

/* The first node with children: the root of shop.example.com is one. */
static struct image_node *parent_node(struct broken *b)
{
	struct image_node *node = b->nodes;

	while (node->child_count < 1)
		node++;
	return node;
}

/* The first node whose label does not fit its head. */
static struct image_node *long_node(struct broken *b)
{
	struct image_node *node = b->nodes;

	while (node->label_len <= IMAGE_NODE_HEAD_BYTES)
		node++;
	return node;
}

#define BREAK(function, statement)                                                                 \
	static void function(struct broken *b)                                                     \
	{                                                                                          \
		statement;                                                                         \
	}

BREAK(magic, b->header->segment.magic ^= 1)
BREAK(version, b->header->segment.version++)
BREAK(section_count, b->header->segment.section_count--)
BREAK(total, b->header->segment.total_bytes--)
BREAK(section_offset, b->header->segment.sections[2].offset_bytes += SEGMENT_ALIGN_BYTES)
BREAK(section_size, b->header->segment.sections[IMAGE_SECTION_STRINGS].count++)
BREAK(section_huge, b->header->segment.sections[1].count = UINT32_MAX)
BREAK(section_unknown, b->header->segment.sections[IMAGE_SECTION_COUNT].count = 1)
BREAK(gap, b->at[b->header->segment.sections[0].offset_bytes - 1] = 1)
BREAK(hash_key, b->header->keys.exact.k0++)
BREAK(wildcard_key, b->header->keys.wildcard.k1++)
BREAK(header_flags, b->header->flags = IMAGE_FLAGS + 1)
BREAK(catch_all_other, b->header->catch_all_vhost = 0)
BREAK(catch_all_none, b->header->catch_all_vhost = IMAGE_NONE)
BREAK(catch_all_beyond, b->header->catch_all_vhost = 99)
BREAK(wildcard_count, b->header->wildcard_count = 0)
BREAK(default_none, b->header->default_route = IMAGE_NONE)
BREAK(default_of_vhost, b->header->default_route = 0)
BREAK(default_beyond, b->header->default_route = 4711)
BREAK(slot_entry_beyond, used_slot(b)->entry_plus_1 = 99)
BREAK(slot_tag, used_slot(b)->tag++)
BREAK(slot_emptied, *used_slot(b) = (struct host_slot){ 0 })
BREAK(slot_doubled, *free_slot(b) = *used_slot(b))
BREAK(slot_free_with_tag, free_slot(b)->tag = 1)
BREAK(vhost_name_beyond, b->vhosts[0].name_offset = UINT32_MAX)
BREAK(vhost_name_empty, b->vhosts[0].name_len = 0)
BREAK(vhost_name_upper, b->strings[b->vhosts[0].name_offset] = 'S')
BREAK(vhost_head, b->vhosts[0].head[0]++)
BREAK(vhost_head_tail, b->vhosts[0].head[IMAGE_VHOST_HEAD_BYTES - 1] = 'x')
BREAK(vhost_flag_unknown, b->vhosts[0].flags |= 0x80)
BREAK(vhost_flag_wildcard, b->vhosts[0].flags |= IMAGE_VHOST_WILDCARD)
BREAK(vhost_flag_catch_all, b->vhosts[0].flags |= IMAGE_VHOST_CATCH_ALL)
BREAK(vhost_regex, b->vhosts[0].regex_count = 1)
BREAK(vhost_node_first, b->vhosts[1].node_first--)
BREAK(vhost_node_count, b->vhosts[0].node_count = UINT32_MAX)
BREAK(vhost_node_fewer, b->vhosts[0].node_count--)
BREAK(vhost_route_first, b->vhosts[1].route_first++)
BREAK(vhost_route_count, b->vhosts[0].route_count = UINT32_MAX)
BREAK(vhost_default_kind, b->vhosts[0].default_route = b->vhosts[0].route_first)
BREAK(vhost_default_of_class, b->vhosts[1].default_route = b->header->default_route)
BREAK(node_label_beyond, long_node(b)->label_offset = UINT32_MAX - 5)
BREAK(node_label_empty, b->nodes[parent_node(b)->child_first].label_len = 0)
BREAK(node_head, b->nodes[0].head[0]++)
BREAK(node_head_tail, b->nodes[0].head[IMAGE_NODE_HEAD_BYTES - 1] = 'x')
BREAK(node_children_self, parent_node(b)->child_first = 0)
BREAK(node_children_beyond, parent_node(b)->child_first = UINT32_MAX)
BREAK(node_children_more, parent_node(b)->child_count++)
BREAK(node_children_none, parent_node(b)->child_count = 0)
/* "cart": its only child has none. */
BREAK(node_orphan, b->nodes[1].child_first = 0; b->nodes[1].child_count = 0)
BREAK(node_exact_beyond, b->nodes[0].exact_route = 99)
BREAK(node_exact_kind, b->nodes[0].exact_route = b->nodes[0].prefix_route)
BREAK(node_prefix_of_other, b->nodes[0].prefix_route = b->vhosts[1].route_first)
BREAK(route_kind, b->routes[0].kind = IMAGE_ROUTE_KIND_COUNT)
BREAK(route_flag_unknown, b->routes[0].flags |= 0x80)
BREAK(route_not_last, b->routes[0].flags = 0)
BREAK(route_predicates, b->routes[0].predicate_count = 1)
BREAK(route_predicate_first, b->routes[0].predicate_first = 1)
BREAK(route_backend_id, b->routes[0].backend_id++)
BREAK(route_backend, b->routes[0].backend = 99)
BREAK(route_policy, b->routes[0].policy = IMAGE_NONE)
BREAK(route_source, b->routes[0].source = 99)
BREAK(route_path_beyond, b->routes[0].path.offset = UINT32_MAX)
BREAK(route_path_too_long, b->routes[0].path.len = UINT32_MAX)
BREAK(route_path_empty, b->routes[0].path.len = 0)
BREAK(route_path_slash, b->strings[b->routes[0].path.offset] = 'x')
BREAK(backend_protocol, b->backends[0].protocol = IMAGE_PROTOCOL_COUNT)
BREAK(backend_balance, b->backends[0].balance = IMAGE_BALANCE_COUNT)
BREAK(backend_reserved, b->backends[0].reserved = 1)
BREAK(backend_namespace, b->backends[0].namespace.len = UINT32_MAX)
BREAK(backend_service, b->backends[0].service.offset = UINT32_MAX)
BREAK(backend_port, b->backends[0].port.len = 1u << 20)
BREAK(policy_flags, b->policies[0].flags |= 1u << 31)
BREAK(policy_profile, b->policies[0].profile = IMAGE_PROFILE_COUNT)
BREAK(policy_redirect, b->policies[0].redirect_status = 200)
BREAK(policy_reserved, b->policies[0].reserved[31] = 1)
BREAK(policy_reserved_byte, b->policies[0].reserved_byte = 1)
BREAK(source_namespace, b->sources[0].namespace.len = UINT32_MAX)
BREAK(source_ingress, b->sources[0].ingress.offset = UINT32_MAX)
BREAK(source_file, b->sources[0].file.len = UINT32_MAX)
BREAK(source_reserved, b->sources[0].reserved = 1)

#define CASE(function)                                                                             \
	{                                                                                          \
#function, function                                                                \
	}

static const struct {
	const char *name;
	void (*break_it)(struct broken *);
} break_cases[] = {
	CASE(magic),
	CASE(version),
	CASE(section_count),
	CASE(total),
	CASE(section_offset),
	CASE(section_size),
	CASE(section_huge),
	CASE(section_unknown),
	CASE(gap),
	CASE(hash_key),
	CASE(wildcard_key),
	CASE(header_flags),
	CASE(catch_all_other),
	CASE(catch_all_none),
	CASE(catch_all_beyond),
	CASE(wildcard_count),
	CASE(default_none),
	CASE(default_of_vhost),
	CASE(default_beyond),
	CASE(slot_entry_beyond),
	CASE(slot_tag),
	CASE(slot_emptied),
	CASE(slot_doubled),
	CASE(slot_free_with_tag),
	CASE(vhost_name_beyond),
	CASE(vhost_name_empty),
	CASE(vhost_name_upper),
	CASE(vhost_head),
	CASE(vhost_head_tail),
	CASE(vhost_flag_unknown),
	CASE(vhost_flag_wildcard),
	CASE(vhost_flag_catch_all),
	CASE(vhost_regex),
	CASE(vhost_node_first),
	CASE(vhost_node_count),
	CASE(vhost_node_fewer),
	CASE(vhost_route_first),
	CASE(vhost_route_count),
	CASE(vhost_default_kind),
	CASE(vhost_default_of_class),
	CASE(node_label_beyond),
	CASE(node_label_empty),
	CASE(node_head),
	CASE(node_head_tail),
	CASE(node_children_self),
	CASE(node_children_beyond),
	CASE(node_children_more),
	CASE(node_children_none),
	CASE(node_orphan),
	CASE(node_exact_beyond),
	CASE(node_exact_kind),
	CASE(node_prefix_of_other),
	CASE(route_kind),
	CASE(route_flag_unknown),
	CASE(route_not_last),
	CASE(route_predicates),
	CASE(route_predicate_first),
	CASE(route_backend_id),
	CASE(route_backend),
	CASE(route_policy),
	CASE(route_source),
	CASE(route_path_beyond),
	CASE(route_path_too_long),
	CASE(route_path_empty),
	CASE(route_path_slash),
	CASE(backend_protocol),
	CASE(backend_balance),
	CASE(backend_reserved),
	CASE(backend_namespace),
	CASE(backend_service),
	CASE(backend_port),
	CASE(policy_flags),
	CASE(policy_profile),
	CASE(policy_redirect),
	CASE(policy_reserved),
	CASE(policy_reserved_byte),
	CASE(source_namespace),
	CASE(source_ingress),
	CASE(source_file),
	CASE(source_reserved),
};

static void test_each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(break_cases) / sizeof(break_cases[0]); i++) {
		struct broken b;
		struct image image;
		struct err err = { 0 };
		int rc;

		break_open(&b);
		assert_int_equal(image_open(str_of(b.at, b.len), &image, NULL), 0);
		break_cases[i].break_it(&b);
		rc = image_open(str_of(b.at, b.len), &image, &err);
		if (rc != -EINVAL || err.text[0] == 0)
			fail_msg("%s: accepted (%d '%s')", break_cases[i].name, rc, err.text);
		break_close(&b);
	}
}

/* Siblings are looked up by halving: they must be sorted, and no two alike. */
static void test_siblings_are_sorted(void **state)
{
	static const struct rule table[] = {
		{ "a.b", IMAGE_ROUTE_EXACT, "/x" },
		{ "a.b", IMAGE_ROUTE_EXACT, "/y" },
	};
	struct rules rules;
	struct image_node *nodes, swapped;
	struct image image;
	char *copy;

	(void)state;
	rules_open(&rules, table, 2);
	copy = mem_new(rules.bytes.len, 1);
	memcpy(copy, rules.bytes.at, rules.bytes.len);
	nodes = (struct image_node *)(copy +
				      rules.image.header->segment.sections[IMAGE_SECTION_NODES]
					      .offset_bytes);
	swapped = nodes[1];
	nodes[1] = nodes[2];
	nodes[2] = swapped;
	assert_int_equal(image_open(str_of(copy, rules.bytes.len), &image, NULL), -EINVAL);
	nodes[1] = nodes[2];
	assert_int_equal(image_open(str_of(copy, rules.bytes.len), &image, NULL), -EINVAL);
	mem_free(copy);
	rules_release(&rules);
}

/* ------------------------------------------------------------ flips and cuts */

/* Opens a segment and, where it is accepted, asks and prints it. Returns what open said. */
typedef int use_fn(struct str bytes);

static int use_image(struct str bytes)
{
	static const char *const hosts[] = { "shop.example.com", "x.example.com", "y", "" };
	static const char *const paths[] = { "/", "/cart", "/cart/checkout-with-a-long-name",
					     "/x" };
	struct image image;
	struct buf out;
	int rc = image_open(bytes, &image, NULL);

	if (rc)
		return rc;
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		for (size_t j = 0; j < sizeof(paths) / sizeof(paths[0]); j++)
			image_explain(&image, str_from_c(hosts[i]), str_from_c(paths[j]), &out);
	image_dump(&image, &out);
	assert_true(out.len > 0);
	buf_release(&out);
	return 0;
}

static int use_endpoints(struct str bytes)
{
	struct endpoints endpoints;
	struct buf out;
	int rc = endpoints_open(bytes, &endpoints, NULL);

	if (rc)
		return rc;
	buf_init(&out, 1 << 20);
	endpoints_dump(&endpoints, &out);
	assert_true(out.len > 0);
	buf_release(&out);
	return 0;
}

static int use_certs(struct str bytes)
{
	struct certs certs;
	struct buf out;
	int rc = certs_open(bytes, &certs, NULL);

	if (rc)
		return rc;
	buf_init(&out, 1 << 20);
	certs_dump(&certs, &out);
	assert_non_null(certs_find(&certs, STR("x.example.com")));
	assert_true(out.len > 0);
	buf_release(&out);
	return 0;
}

/* Nobody can tell a wrong generation from a right one. */
static bool is_generation(size_t at)
{
	size_t from = offsetof(struct segment_header, generation);

	return at >= from && at < from + sizeof(uint64_t);
}

/* A count may reach over the zeros behind its section: elements of zeros that nobody refers to. */
static bool is_section_count(size_t at)
{
	size_t from = offsetof(struct segment_header, sections);
	size_t in_entry = (at - from) % sizeof(struct segment_section);

	return at >= from && at < sizeof(struct segment_header) &&
	       in_entry >= offsetof(struct segment_section, count);
}

/* No other bit of a header may be wrong. */
static void flip_bytes(struct str bytes, size_t header_bytes, use_fn *use)
{
	char *copy = mem_new(bytes.len, 1);

	memcpy(copy, bytes.at, bytes.len);
	assert_int_equal(use(str_of(copy, bytes.len)), 0);
	for (size_t i = 0; i < bytes.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			int rc;

			copy[i] = (char)(copy[i] ^ 1 << bit);
			rc = use(str_of(copy, bytes.len));
			copy[i] = (char)(copy[i] ^ 1 << bit);
			if (i < header_bytes && !is_section_count(i) &&
			    (rc == 0) != is_generation(i))
				fail_msg("byte %zu bit %d: %d", i, bit, rc);
		}
	}
	mem_free(copy);
}

/* A segment cut anywhere, or with a byte more, is none. */
static void cut_bytes(struct str bytes, use_fn *use)
{
	for (size_t len = 0; len <= bytes.len + 1; len++) {
		char *copy = mem_new(len, 1);

		memcpy(copy, bytes.at, len < bytes.len ? len : bytes.len);
		assert_int_equal(use(str_of(copy, len)), len == bytes.len ? 0 : -EINVAL);
		mem_free(copy);
	}
}

static void test_image_bytes(void **state)
{
	struct rules rules;

	(void)state;
	sample_image(&rules);
	flip_bytes(rules.bytes, sizeof(struct image_header), use_image);
	cut_bytes(rules.bytes, use_image);
	rules_release(&rules);
}

static void test_endpoints_bytes(void **state)
{
	struct str bytes;
	struct endpoints_writer *writer = sample_endpoints(&bytes);

	(void)state;
	/* The id limit may be larger than need be: it only sizes an array. */
	flip_bytes(bytes, sizeof(struct segment_header), use_endpoints);
	cut_bytes(bytes, use_endpoints);
	endpoints_writer_free(writer);
}

static void test_certs_bytes(void **state)
{
	struct str bytes;
	struct certs_writer *writer = sample_certs(&bytes);

	(void)state;
	/* The default certificate may be another one: 0 and 1 are both there. */
	flip_bytes(bytes, offsetof(struct certs_header, default_cert), use_certs);
	cut_bytes(bytes, use_certs);
	certs_writer_free(writer);
}

static void test_alignment(void **state)
{
	struct rules rules;
	struct image image;
	char *copy;

	(void)state;
	sample_image(&rules);
	copy = mem_new(rules.bytes.len + 8, 1);
	for (size_t shift = 1; shift < 8; shift++) {
		memcpy(copy + shift, rules.bytes.at, rules.bytes.len);
		assert_int_equal(image_open(str_of(copy + shift, rules.bytes.len), &image, NULL),
				 -EINVAL);
	}
	mem_free(copy);
	rules_release(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_rule),   cmocka_unit_test(test_siblings_are_sorted),
		cmocka_unit_test(test_image_bytes), cmocka_unit_test(test_endpoints_bytes),
		cmocka_unit_test(test_certs_bytes), cmocka_unit_test(test_alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
