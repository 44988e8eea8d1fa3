// SPDX-License-Identifier: Apache-2.0
/*
 * image: who answers. The tables of SEMANTICS.md 2.1 row by row, hosts and precedence, many paths,
 * deep paths, and a comparison with a matcher so simple that one believes it (reference).
 */
#include "image/image.h"

#include "base/random.h"
#include "unit/image/rules.h"

#define EXACT(path)                                                                                \
	{                                                                                          \
		"h.example", IMAGE_ROUTE_EXACT, path                                               \
	}
#define PREFIX(path)                                                                               \
	{                                                                                          \
		"h.example", IMAGE_ROUTE_PREFIX, path                                              \
	}

enum { RULES_A_CASE = 4 };

static const struct path_case {
	const char *name;
	struct rule rules[RULES_A_CASE];
	const char *path;
	int wanted;
} path_cases[] = {
	/* The table, row by row. */
	{ "prefix / matches any", { PREFIX("/") }, "/any/thing", 0 },
	{ "prefix / matches /", { PREFIX("/") }, "/", 0 },
	{ "exact is equal", { EXACT("/foo") }, "/foo", 0 },
	{ "exact is not another", { EXACT("/foo") }, "/bar", RULE_NONE },
	{ "exact wants no slash more", { EXACT("/foo") }, "/foo/", RULE_NONE },
	{ "exact wants its slash", { EXACT("/foo/") }, "/foo", RULE_NONE },
	{ "prefix without slash", { PREFIX("/foo") }, "/foo", 0 },
	{ "prefix, request with slash", { PREFIX("/foo") }, "/foo/", 0 },
	{ "prefix with slash", { PREFIX("/foo/") }, "/foo", 0 },
	{ "prefix with slash, both", { PREFIX("/foo/") }, "/foo/", 0 },
	{ "prefix longer than path", { PREFIX("/aaa/bb") }, "/aaa/bbb", RULE_NONE },
	{ "prefix equal", { PREFIX("/aaa/bbb") }, "/aaa/bbb", 0 },
	{ "prefix's slash ignored", { PREFIX("/aaa/bbb/") }, "/aaa/bbb", 0 },
	{ "request's slash ignored", { PREFIX("/aaa/bbb") }, "/aaa/bbb/", 0 },
	{ "sub-path", { PREFIX("/aaa/bbb") }, "/aaa/bbb/ccc", 0 },
	{ "only part of an element", { PREFIX("/aaa/bbb") }, "/aaa/bbbxyz", RULE_NONE },
	{ "/aaa beats /", { PREFIX("/"), PREFIX("/aaa") }, "/aaa/ccc", 1 },
	{ "longest of three", { PREFIX("/"), PREFIX("/aaa"), PREFIX("/aaa/bbb") }, "/aaa/bbb", 2 },
	{ "/ of three", { PREFIX("/"), PREFIX("/aaa"), PREFIX("/aaa/bbb") }, "/ccc", 0 },
	{ "none", { PREFIX("/aaa") }, "/ccc", RULE_NONE },
	{ "exact beats prefix", { PREFIX("/foo"), EXACT("/foo") }, "/foo", 1 },
	/* The conformance features. */
	{ "case differs", { EXACT("/foo") }, "/FOO", RULE_NONE },
	{ "prefix, case differs", { PREFIX("/foo") }, "/FOO", RULE_NONE },
	{ "/aaaccc", { PREFIX("/foo"), PREFIX("/aaa/bbb"), PREFIX("/aaa") }, "/aaaccc", RULE_NONE },
	{ "trailing slash prefix", { PREFIX("/aaa/bbb/"), EXACT("/foo/") }, "/aaa/bbb", 0 },
	{ "trailing slash exact", { PREFIX("/aaa/bbb/"), EXACT("/foo/") }, "/foo", RULE_NONE },
	/* What follows from them. */
	{ "exact with slash beside prefix", { PREFIX("/foo/"), EXACT("/foo/") }, "/foo/", 1 },
	{ "the same without slash", { PREFIX("/foo/"), EXACT("/foo/") }, "/foo", 0 },
	{ "back to a shorter prefix", { PREFIX("/a"), PREFIX("/a/bc/d") }, "/a/bc/x", 0 },
	{ "back from inside a label", { PREFIX("/a"), PREFIX("/a/bcdef") }, "/a/bcx", 0 },
	{ "exact does not stop prefix", { PREFIX("/a"), EXACT("/a/b") }, "/a/b/c", 0 },
	{ "exact / only", { EXACT("/") }, "/x", RULE_NONE },
	{ "exact / beats prefix /", { PREFIX("/"), EXACT("/") }, "/", 1 },
	{ "prefix / beside exact /", { PREFIX("/"), EXACT("/") }, "/x", 0 },
	{ "label longer than its head",
	  { PREFIX("/a-label-beyond-twelve-bytes"), PREFIX("/") },
	  "/a-label-beyond-twelve-bytes/x",
	  0 },
	{ "label differs behind its head",
	  { PREFIX("/a-label-beyond-twelve-bytes"), PREFIX("/") },
	  "/a-label-beyond-twelve-bYtes/x",
	  1 },
	{ "normal forms meet", { PREFIX("/%7euser/caf\xc3\xa9") }, "/x/../~user/caf%c3%a9/", 0 },
	{ "%2F separates nothing", { PREFIX("/a/b") }, "/a%2Fb", RULE_NONE },
	{ "%2F is no end of an element", { PREFIX("/a") }, "/a%2Fb", RULE_NONE },
};

static size_t count_rules(const struct rule *rules)
{
	size_t count = 0;

	while (count < RULES_A_CASE && rules[count].host)
		count++;
	return count;
}

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(path_cases) / sizeof(path_cases[0]); i++) {
		const struct path_case *c = &path_cases[i];
		struct rules rules;
		int got;

		rules_open(&rules, c->rules, count_rules(c->rules));
		got = rules_ask(&rules, "h.example", c->path);
		rules_release(&rules);
		if (got != c->wanted)
			fail_msg("%s: %s got rule %d, wanted %d", c->name, c->path, got, c->wanted);
	}
}

static const struct rule host_rules[] = {
	[0] = { "foo.com", IMAGE_ROUTE_PREFIX, "/" },
	[1] = { "*.foo.com", IMAGE_ROUTE_PREFIX, "/" },
	[2] = { "exact.foo.com", IMAGE_ROUTE_PREFIX, "/only" },
	[3] = { "", IMAGE_ROUTE_PREFIX, "/any" },
	[4] = { NULL, IMAGE_ROUTE_DEFAULT, NULL },
	[5] = { "default.foo.com", IMAGE_ROUTE_DEFAULT, NULL },
	[6] = { "default.foo.com", IMAGE_ROUTE_EXACT, "/x" },
	[7] = { "*.only-wildcard.com", IMAGE_ROUTE_PREFIX, "/" },
	[8] = { "a-name-that-is-longer-than-its-head.example.com", IMAGE_ROUTE_PREFIX, "/" },
	[9] = { "*.a-parent-that-is-longer-than-its-head.com", IMAGE_ROUTE_PREFIX, "/" },
	[10] = { "empty.foo.com", IMAGE_ROUTE_PREFIX, "/x" },
};

static const struct host_case {
	const char *name;
	const char *host, *path;
	int wanted;
	enum image_match_kind kind;
} host_cases[] = {
	{ "exact", "foo.com", "/", 0, IMAGE_MATCH_PREFIX },
	{ "any case, with port", "FOO.com:8080", "/", 0, IMAGE_MATCH_PREFIX },
	{ "final dot", "foo.com.", "/", 0, IMAGE_MATCH_PREFIX },
	{ "wildcard", "bar.foo.com", "/", 1, IMAGE_MATCH_PREFIX },
	{ "two labels are not one", "baz.bar.foo.com", "/", 4, IMAGE_MATCH_CLASS_DEFAULT },
	{ "no label is not one", "only-wildcard.com", "/", 4, IMAGE_MATCH_CLASS_DEFAULT },
	{ "exact beats wildcard", "exact.foo.com", "/only/x", 2, IMAGE_MATCH_PREFIX },
	{ "path not looked for under wildcard or *", "exact.foo.com", "/any", 4,
	  IMAGE_MATCH_CLASS_DEFAULT },
	{ "rules without host", "unknown.org", "/any", 3, IMAGE_MATCH_PREFIX },
	{ "no host at all", "", "/any", 3, IMAGE_MATCH_PREFIX },
	{ "class default", "unknown.org", "/", 4, IMAGE_MATCH_CLASS_DEFAULT },
	{ "address", "[::1]:80", "/any", 3, IMAGE_MATCH_PREFIX },
	{ "host default", "default.foo.com", "/y", 5, IMAGE_MATCH_HOST_DEFAULT },
	{ "path before host default", "default.foo.com", "/x", 6, IMAGE_MATCH_EXACT },
	{ "long name", "a-name-that-is-longer-than-its-head.example.com", "/", 8,
	  IMAGE_MATCH_PREFIX },
	{ "long name, other tail", "a-name-that-is-longer-than-its-head.example.org", "/", 4,
	  IMAGE_MATCH_CLASS_DEFAULT },
	{ "long wildcard", "x.a-parent-that-is-longer-than-its-head.com", "/", 9,
	  IMAGE_MATCH_PREFIX },
	{ "long wildcard's parent", "a-parent-that-is-longer-than-its-head.com", "/", 4,
	  IMAGE_MATCH_CLASS_DEFAULT },
};

static void test_hosts(void **state)
{
	struct rules rules;

	(void)state;
	rules_open(&rules, host_rules, sizeof(host_rules) / sizeof(host_rules[0]));
	for (size_t i = 0; i < sizeof(host_cases) / sizeof(host_cases[0]); i++) {
		const struct host_case *c = &host_cases[i];
		int got = rules_ask(&rules, c->host, c->path);
		char room[HOST_KEY_MAX];
		struct str host = STR("");
		struct image_match match;

		if (got != c->wanted)
			fail_msg("%s: got rule %d, wanted %d", c->name, got, c->wanted);
		if (*c->host)
			host_key(str_from_c(c->host), room, &host);
		image_match(&rules.image, host, str_from_c(c->path), &match);
		if (match.kind != c->kind)
			fail_msg("%s: got kind '%s', wanted '%s'", c->name,
				 image_match_kind_name(match.kind), image_match_kind_name(c->kind));
	}
	rules_release(&rules);
}

/*
 * A tag that agrees is not a name that agrees. Such a slot would need half a hash in common, so it
 * is put there behind the verifier's back: an other name's slot now leads to this vhost.
 */
static void test_tag_is_no_name(void **state)
{
	static const struct rule table[] = {
		{ "a-name-that-is-longer-than-its-head.example.com", IMAGE_ROUTE_PREFIX, "/" },
	};
	static const char *const others[] = {
		"a-name-that-is-longer-than-its-head.example.org", /* differs in the tail */
		"b-name-that-is-longer-than-its-head.example.com", /* in the head */
		"a-name-that-is-longer-than-its-head.example.co",  /* in the length */
	};
	struct rules rules;

	(void)state;
	rules_open(&rules, table, 1);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct str other = str_from_c(others[i]);
		uint64_t hash = host_table_hash(&rules.image.header->keys, other);
		uint32_t size = rules.image.host_slot_mask + 1;
		struct host_slot *slots = mem_new(size, sizeof(*slots));
		struct image forged = rules.image;

		slots[(uint32_t)hash & rules.image.host_slot_mask] =
			(struct host_slot){ host_table_tag(hash), 1 };
		forged.host_slots = slots;
		assert_null(image_find_vhost(&forged, other));
		mem_free(slots);
	}
	rules_release(&rules);
}

static void test_nothing_is_configured(void **state)
{
	struct rules rules;
	struct image_match match;

	(void)state;
	rules_open(&rules, NULL, 0);
	assert_false(image_match(&rules.image, STR("a.b"), STR("/"), &match));
	assert_int_equal(match.kind, IMAGE_MATCH_NONE);
	assert_null(match.vhost);
	assert_null(match.route);
	rules_release(&rules);
}

static void test_route_without_backend(void **state)
{
	struct image_writer *writer = image_writer_new(1, rules_hash_key);
	uint32_t policy = image_writer_add_policy(writer, &rules_policy);
	uint32_t source =
		image_writer_add_source(writer, &(struct image_writer_source){
							.rule = IMAGE_NONE, .path = IMAGE_NONE });
	struct image_match match;
	struct image image;
	struct str bytes;
	uint32_t vhost;

	(void)state;
	assert_int_equal(image_writer_add_vhost(writer,
						&(struct image_writer_vhost){ .host = STR("a.b") },
						&vhost, NULL),
			 0);
	assert_int_equal(image_writer_add_route(writer,
						&(struct image_writer_route){
							.vhost = vhost,
							.kind = IMAGE_ROUTE_PREFIX,
							.path = STR("/"),
							.backend = IMAGE_NONE,
							.policy = policy,
							.source = source },
						NULL),
			 0);
	assert_int_equal(image_writer_finish(writer, &bytes, NULL), 0);
	assert_int_equal(image_open(bytes, &image, NULL), 0);
	assert_true(image_match(&image, STR("a.b"), STR("/x"), &match));
	assert_null(match.backend);
	assert_non_null(match.policy);
	image_writer_free(writer);
}

/* --------------------------------------------------------------- many, deep */

enum { MANY = 5000, TEXT_MAX = 64 };

static void test_many_paths(void **state)
{
	struct rule *table = mem_new(MANY, sizeof(*table));
	char(*texts)[TEXT_MAX] = mem_new(MANY, TEXT_MAX);
	struct rules rules;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(texts[i], TEXT_MAX, "/team-%d/service-%d/v%d", i % 7, i, i % 3);
		table[i] =
			(struct rule){ "h.example", i % 2 ? IMAGE_ROUTE_EXACT : IMAGE_ROUTE_PREFIX,
				       texts[i] };
	}
	rules_open(&rules, table, MANY);
	for (int i = 0; i < MANY; i++) {
		char below[TEXT_MAX + 2];

		snprintf(below, sizeof(below), "%s/x", texts[i]);
		assert_int_equal(rules_ask(&rules, "h.example", texts[i]), i);
		assert_int_equal(rules_ask(&rules, "h.example", below), i % 2 ? RULE_NONE : i);
	}
	rules_release(&rules);
	mem_free(texts);
	mem_free(table);
}

/* A chain of nodes as long as a path may be: nothing recurses. */
static void test_deep_path(void **state)
{
	enum { DEPTH = PATH_KEY_RULE_MAX / 2 - 1 };
	struct rule *table = mem_new(DEPTH, sizeof(*table));
	char(*texts)[PATH_KEY_RULE_MAX] = mem_new(DEPTH, PATH_KEY_RULE_MAX);
	struct rules rules;

	(void)state;
	for (int i = 0; i < DEPTH; i++) {
		for (int level = 0; level <= i; level++)
			memcpy(texts[i] + 2 * level, "/a", 2);
		table[i] = (struct rule){ "h.example", IMAGE_ROUTE_PREFIX, texts[i] };
	}
	rules_open(&rules, table, DEPTH);
	for (int i = 0; i < DEPTH; i++)
		assert_int_equal(rules_ask(&rules, "h.example", texts[i]), i);
	rules_release(&rules);
	mem_free(texts);
	mem_free(table);
}

/* All values of a byte side by side. */
static void test_wide_node(void **state)
{
	static const char digits[] = "0123456789ABCDEF";
	struct rule table[256];
	char texts[256][8];
	size_t count = 0;
	struct rules rules;

	(void)state;
	for (int c = '!'; c < 0x7f; c++) {
		if (c == '%' || c == '/' || c == '.' || c == '\\')
			continue;
		snprintf(texts[count], sizeof(texts[0]), "/%c", c);
		table[count] = (struct rule){ "h.example", IMAGE_ROUTE_EXACT, texts[count] };
		count++;
	}
	for (int c = 0x80; c < 0x100; c++) {
		snprintf(texts[count], sizeof(texts[0]), "/%%%c%c", digits[c >> 4], digits[c & 15]);
		table[count] = (struct rule){ "h.example", IMAGE_ROUTE_EXACT, texts[count] };
		count++;
	}
	rules_open(&rules, table, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(rules_ask(&rules, "h.example", texts[i]), i);
	assert_int_equal(rules_ask(&rules, "h.example", "/"), RULE_NONE);
	rules_release(&rules);
}

/* ---------------------------------------------------------------- reference */

/* How many elements a path has that begins with @rule's elements; -1 where it does not. */
static int prefix_elements(const char *rule, const char *path)
{
	int count = 0;

	for (;;) {
		size_t rule_len, path_len;

		rule += strspn(rule, "/");
		path += strspn(path, "/");
		if (!*rule)
			return count;
		rule_len = strcspn(rule, "/");
		path_len = strcspn(path, "/");
		if (rule_len != path_len || memcmp(rule, path, rule_len) != 0)
			return -1;
		rule += rule_len;
		path += path_len;
		count++;
	}
}

static bool host_covers(const char *rule, const char *host, int rank)
{
	const char *parent = strchr(host, '.');

	switch (rank) {
	case 0:
		return strcmp(rule, host) == 0;
	case 1:
		return rule[0] == '*' && parent && strcmp(rule + 1, parent) == 0;
	default:
		return rule[0] == 0;
	}
}

/* The best rule of those that @covers marks, by the letter of SEMANTICS.md 1.1.3. */
static int reference_path(const struct rule *table, const bool *covers, int count, const char *path)
{
	int best = RULE_NONE, best_elements = -1;

	for (int i = 0; i < count; i++)
		if (covers[i] && table[i].kind == IMAGE_ROUTE_EXACT &&
		    strcmp(table[i].path, path) == 0)
			return i;
	for (int i = 0; i < count; i++) {
		int elements = covers[i] && table[i].kind == IMAGE_ROUTE_PREFIX
				       ? prefix_elements(table[i].path, path)
				       : -1;

		if (elements > best_elements) {
			best_elements = elements;
			best = i;
		}
	}
	for (int i = 0; i < count && best == RULE_NONE; i++)
		if (covers[i] && table[i].kind == IMAGE_ROUTE_DEFAULT)
			best = i;
	return best;
}

static int reference(const struct rule *table, int count, const char *host, const char *path)
{
	bool covers[128];
	int best = RULE_NONE;
	bool has_vhost = false;

	assert_true(count <= 128);
	for (int rank = 0; rank < 3 && !has_vhost; rank++)
		for (int i = 0; i < count; i++) {
			covers[i] = table[i].host && host_covers(table[i].host, host, rank);
			has_vhost |= covers[i];
		}
	if (has_vhost)
		best = reference_path(table, covers, count, path);
	for (int i = 0; i < count && best == RULE_NONE; i++)
		if (!table[i].host)
			best = i;
	return best;
}

enum { RANDOM_RULES = 40, RANDOM_ASKS = 400, RANDOM_ROUNDS = 150 };

static void random_path(struct random *random, char text[TEXT_MAX])
{
	static const char *const elements[] = {
		"a", "ab", "abc", "b", "abcdefghijklm", "abcdefghijklmnop", "abcdefghijklX", "%2F",
	};
	uint32_t count = random_below(random, 4);
	size_t len = 0;

	text[0] = 0;
	for (uint32_t i = 0; i < count; i++)
		len += (size_t)snprintf(text + len, TEXT_MAX - len, "/%s",
					elements[random_below(random, 8)]);
	if (count == 0 || random_below(random, 4) == 0)
		snprintf(text + len, TEXT_MAX - len, "/");
}

static const char *random_host(struct random *random, bool is_rule)
{
	static const char *const hosts[] = {
		"a.x",
		"b.x",
		"x",
		"a.b.x",
		"abcdefghijklmnopqrstuvwx.abcdef",
		"abcdefghijklmnopqrstuvwx.abcdeg",
		"b.abcdefghijklmnopqrstuvwxyz.a",
		/* rules only */
		"*.x",
		"*.b.x",
		"*.abcdefghijklmnopqrstuvwxyz.a",
		"",
	};

	return hosts[random_below(random, is_rule ? 11 : 7)];
}

/* No two rules for one host, path and kind: the compiler sees to that. */
static bool is_taken(const struct rule *table, int count, const struct rule *rule)
{
	for (int i = 0; i < count; i++) {
		bool is_same_host =
			table[i].host == rule->host ||
			(table[i].host && rule->host && strcmp(table[i].host, rule->host) == 0);

		if (!is_same_host || table[i].kind != rule->kind)
			continue;
		if (!rule->path || strcmp(table[i].path, rule->path) == 0)
			return true;
		if (rule->kind == IMAGE_ROUTE_PREFIX &&
		    str_eq(path_key_of_prefix(str_from_c(table[i].path)),
			   path_key_of_prefix(str_from_c(rule->path))))
			return true;
	}
	return false;
}

static int random_rules(struct random *random, struct rule *table, char (*texts)[TEXT_MAX])
{
	int count = 0;

	for (int i = 0; i < RANDOM_RULES; i++) {
		struct rule rule = { random_host(random, true), random_below(random, 2), NULL };

		if (random_below(random, 10) == 0)
			rule.kind = IMAGE_ROUTE_DEFAULT;
		if (rule.kind == IMAGE_ROUTE_DEFAULT && random_below(random, 5) == 0)
			rule.host = NULL;
		random_path(random, texts[count]);
		if (rule.kind != IMAGE_ROUTE_DEFAULT)
			rule.path = texts[count];
		if (!is_taken(table, count, &rule))
			table[count++] = rule;
	}
	return count;
}

static void test_against_reference(void **state)
{
	struct random random;

	(void)state;
	random_init(&random, 20260711);
	for (int round = 0; round < RANDOM_ROUNDS; round++) {
		struct rule table[RANDOM_RULES];
		char texts[RANDOM_RULES][TEXT_MAX];
		int count = random_rules(&random, table, texts);
		struct rules rules;

		rules_open(&rules, table, (size_t)count);
		for (int ask = 0; ask < RANDOM_ASKS; ask++) {
			const char *host = random_host(&random, false);
			char path[TEXT_MAX];
			int got, wanted;

			random_path(&random, path);
			got = rules_ask(&rules, host, path);
			wanted = reference(table, count, host, path);
			if (got != wanted)
				fail_msg("round %d: %s %s got rule %d, reference says %d", round,
					 host, path, got, wanted);
		}
		rules_release(&rules);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_tag_is_no_name),
		cmocka_unit_test(test_nothing_is_configured),
		cmocka_unit_test(test_route_without_backend),
		cmocka_unit_test(test_many_paths),
		cmocka_unit_test(test_deep_path),
		cmocka_unit_test(test_wide_node),
		cmocka_unit_test(test_against_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
