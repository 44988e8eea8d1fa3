// SPDX-License-Identifier: Apache-2.0
/* writer: what it refuses, that it is deterministic, and how an image reads as text. */
#include "image/writer.h"

#include <errno.h>
#include <unistd.h>

#include "base/memfd.h"
#include "unit/image/samples.h"

static const char golden_dump[] =
	"image version 1 generation 7\n"
	"counts vhosts 4 wildcards 1 nodes 6 routes 9\n"
	"policy 0 profile sluice redirect 308 connect 5000 ms read 60000 ms send 60000 ms"
	" body 1048576 bytes hsts 0 s ssl_redirect\n"
	"backend 0 id 0 'default'/'svc-0' port '80' http round_robin\n"
	"backend 1 id 1 'default'/'svc-1' port '80' http round_robin\n"
	"backend 2 id 2 'default'/'svc-2' port '80' http round_robin\n"
	"backend 3 id 3 'default'/'svc-3' port '80' http round_robin\n"
	"backend 4 id 4 'default'/'svc-4' port '80' http round_robin\n"
	"backend 5 id 5 'default'/'svc-5' port '80' http round_robin\n"
	"backend 6 id 6 'default'/'svc-6' port '80' http round_robin\n"
	"backend 7 id 7 'default'/'svc-7' port '80' http round_robin\n"
	"backend 8 id 8 'default'/'svc-8' port '80' http round_robin\n"
	"source 0 'default'/'web' rule 0 path 0 file 'web.yaml' line 1\n"
	"source 1 'default'/'web' rule 1 path 0 file 'web.yaml' line 2\n"
	"source 2 'default'/'web' rule 2 path 0 file 'web.yaml' line 3\n"
	"source 3 'default'/'web' rule 3 path 0 file 'web.yaml' line 4\n"
	"source 4 'default'/'web' rule 4 path 0 file 'web.yaml' line 5\n"
	"source 5 'default'/'web' rule 5 path 0 file 'web.yaml' line 6\n"
	"source 6 'default'/'web' rule 6 path 0 file 'web.yaml' line 7\n"
	"source 7 'default'/'web' rule 7 path 0 file 'web.yaml' line 8\n"
	"source 8 'default'/'web' rule 8 path 0 file 'web.yaml' line 9\n"
	"vhost 0 'shop.example.com' owners 0+0 dispatch 0000000000000000 default 4\n"
	"  route 0 prefix '/' backend 0 policy 0 source 0\n"
	"  route 1 exact '/cart' backend 2 policy 0 source 2\n"
	"  route 2 prefix '/cart' backend 1 policy 0 source 1\n"
	"  route 3 exact '/cart/checkout-with-a-long-name' backend 3 policy 0 source 3\n"
	"  route 4 default backend 4 policy 0 source 4\n"
	"  node 0 '/' prefix 0 children 1..1\n"
	"  node 1 'cart' exact 1 prefix 2 children 2..2\n"
	"  node 2 '/checkout-with-a-long-name' exact 3\n"
	"vhost 1 '*.example.com' owners 0+0 dispatch 0000000000000000 default none\n"
	"  route 5 prefix '/any' backend 5 policy 0 source 5\n"
	"  node 3 '/any' prefix 5\n"
	"vhost 2 'a-rather-long-name-of-a-host.example.com' owners 0+0"
	" dispatch 0000000000000000 default none\n"
	"  route 6 exact '/x' backend 6 policy 0 source 6\n"
	"  node 4 '/x' exact 6\n"
	"vhost 3 '*' owners 0+0 dispatch 0000000000000000 default none\n"
	"  route 7 prefix '/free' backend 7 policy 0 source 7\n"
	"  node 5 '/free' prefix 7\n"
	"class default\n"
	"  route 8 default backend 8 policy 0 source 8\n";

static void assert_text(const struct buf *got, const char *wanted)
{
	if (!str_eq_c(buf_str(got), wanted))
		fail_msg("got:\n%.*s\nwanted:\n%s", (int)got->len, got->at, wanted);
}

static void test_dump(void **state)
{
	struct rules rules;
	struct buf out;

	(void)state;
	sample_image(&rules);
	buf_init(&out, 0);
	image_dump(&rules.image, &out);
	assert_text(&out, golden_dump);
	buf_release(&out);
	rules_release(&rules);
}

static const struct {
	const char *name;
	const char *host, *path;
	const char *wanted;
} explain_cases[] = {
	{ "exact beats prefix", "Shop.Example.com:80", "//cart",
	  "host 'shop.example.com'\n"
	  "  exact 'shop.example.com': found, it answers; no other vhost is asked\n"
	  "path '/cart'\n"
	  "routes of vhost 'shop.example.com' (5)\n"
	  "  prefix '/': matches, but Exact beats Prefix\n"
	  "  exact  '/cart': matches, and wins\n"
	  "  prefix '/cart': matches, but Exact beats Prefix\n"
	  "  exact  '/cart/checkout-with-a-long-name': no: the path ends before it\n"
	  "  default: serves only what no path matches\n"
	  "answer: exact '/cart', backend 'default'/'svc-2' port '80' (id 2)\n"
	  "  written in Ingress 'default'/'web' rules[2].http.paths[0], file 'web.yaml' line 3\n" },
	{ "longest prefix", "shop.example.com", "/cart/",
	  "host 'shop.example.com'\n"
	  "  exact 'shop.example.com': found, it answers; no other vhost is asked\n"
	  "path '/cart/'\n"
	  "routes of vhost 'shop.example.com' (5)\n"
	  "  prefix '/': matches, but a longer one wins\n"
	  "  exact  '/cart': no: Exact, and the path has a '/' more at its end\n"
	  "  prefix '/cart': matches, and wins\n"
	  "  exact  '/cart/checkout-with-a-long-name': no: the path ends before it\n"
	  "  default: serves only what no path matches\n"
	  "answer: prefix '/cart', backend 'default'/'svc-1' port '80' (id 1)\n"
	  "  written in Ingress 'default'/'web' rules[1].http.paths[0], file 'web.yaml' line 2\n" },
	{ "wildcard, part of an element", "b.example.com", "/anything",
	  "host 'b.example.com'\n"
	  "  exact 'b.example.com': no such vhost\n"
	  "  wildcard '*.example.com': found, it answers; no other vhost is asked\n"
	  "path '/anything'\n"
	  "routes of vhost '*.example.com' (1)\n"
	  "  prefix '/any': no: it ends inside of an element of the path\n"
	  "no route of the vhost matches, nor has it a default; the class's default does\n"
	  "answer: class default, backend 'default'/'svc-8' port '80' (id 8)\n"
	  "  written in Ingress 'default'/'web' rules[8].http.paths[0], file 'web.yaml' line 9\n" },
	{ "rules without host, case", "unknown.org", "/FREE",
	  "host 'unknown.org'\n"
	  "  exact 'unknown.org': no such vhost\n"
	  "  wildcard '*.org': no such vhost\n"
	  "  rules without host '*': found, it answers; no other vhost is asked\n"
	  "path '/FREE'\n"
	  "routes of vhost '*' (1)\n"
	  "  prefix '/free': no: upper and lower case differ\n"
	  "no route of the vhost matches, nor has it a default; the class's default does\n"
	  "answer: class default, backend 'default'/'svc-8' port '80' (id 8)\n"
	  "  written in Ingress 'default'/'web' rules[8].http.paths[0], file 'web.yaml' line 9\n" },
	{ "no path", "shop.example.com", "/../x",
	  "path '/../x' is not a path, or leads above the root\nanswer: 400\n" },
	{ "no host", "a b", "/", "host 'a b' is not a host name\nanswer: 400\n" },
};

static void test_explain(void **state)
{
	struct rules rules;

	(void)state;
	sample_image(&rules);
	for (size_t i = 0; i < sizeof(explain_cases) / sizeof(explain_cases[0]); i++) {
		struct buf out;

		buf_init(&out, 0);
		image_explain(&rules.image, str_from_c(explain_cases[i].host),
			      str_from_c(explain_cases[i].path), &out);
		assert_text(&out, explain_cases[i].wanted);
		buf_release(&out);
	}
	rules_release(&rules);
}

static void test_explain_nobody(void **state)
{
	struct rules rules;
	struct buf out;

	(void)state;
	rules_open(&rules, NULL, 0);
	buf_init(&out, 0);
	image_explain(&rules.image, STR("a.b"), STR("/"), &out);
	assert_text(&out, "host 'a.b'\n"
			  "  exact 'a.b': no such vhost\n"
			  "  wildcard '*.b': no such vhost\n"
			  "  rules without host '*': no such vhost\n"
			  "path '/'\n"
			  "answer: none, nobody serves this: 404\n");
	buf_release(&out);
	rules_release(&rules);
}

/* A large vhost: what is near is shown, the rest is counted, the winner never missing. */
static void test_explain_many(void **state)
{
	enum { MANY = 300, TEXT_MAX = 32 };
	static char texts[MANY][TEXT_MAX];
	static struct rule table[MANY];
	struct rules rules;
	struct buf out;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(texts[i], TEXT_MAX, "/%c/%d", i % 2 ? 'x' : 'y', i);
		table[i] = (struct rule){ "a.b", IMAGE_ROUTE_PREFIX, texts[i] };
	}
	rules_open(&rules, table, MANY);
	buf_init(&out, 0);
	image_explain(&rules.image, STR("a.b"), STR("/y/298/z"), &out);
	buf_add_char(&out, 0);
	assert_non_null(strstr(out.at, "'/y/298': matches, and wins\n"));
	assert_null(strstr(out.at, "'/x/"));
	assert_non_null(strstr(out.at, "  and 251 more that do not match\n"));
	buf_release(&out);
	rules_release(&rules);
}

static void test_is_deterministic(void **state)
{
	struct rules one, two;

	(void)state;
	sample_image(&one);
	sample_image(&two);
	assert_true(str_eq(one.bytes, two.bytes));
	rules_release(&two);
	rules_release(&one);
}

static void test_equal_policies_are_one(void **state)
{
	struct image_writer *writer = image_writer_new(1, rules_hash_key);
	struct image_policy other = rules_policy;

	(void)state;
	other.read_timeout_ms++;
	assert_int_equal(image_writer_add_policy(writer, &rules_policy), 0);
	assert_int_equal(image_writer_add_policy(writer, &other), 1);
	assert_int_equal(image_writer_add_policy(writer, &rules_policy), 0);
	assert_int_equal(image_writer_add_policy(writer, &other), 1);
	image_writer_free(writer);
}

static void test_fields_arrive(void **state)
{
	struct image_writer *writer = image_writer_new(99, rules_hash_key);
	const struct image_writer_vhost given = { .host = STR("a.b"),
						  .has_tls = true,
						  .owner_first = 3,
						  .owner_spread = 2,
						  .dispatch_hash = 0x1122334455667788u };
	const struct image_vhost *vhost;
	struct image image;
	struct str bytes;
	uint32_t index;

	(void)state;
	assert_int_equal(image_writer_add_vhost(writer, &given, &index, NULL), 0);
	assert_int_equal(image_writer_finish(writer, &bytes, NULL), 0);
	assert_int_equal(image_open(bytes, &image, NULL), 0);
	assert_int_equal(image.generation, 99);
	vhost = image_find_vhost(&image, STR("a.b"));
	assert_non_null(vhost);
	assert_int_equal(vhost->flags, IMAGE_VHOST_TLS);
	assert_int_equal(vhost->owner_first, 3);
	assert_int_equal(vhost->owner_spread, 2);
	assert_int_equal(vhost->dispatch_hash, 0x1122334455667788u);
	assert_true(str_eq_c(image_vhost_name(&image, vhost), "a.b"));
	image_writer_free(writer);
}

/* One route for @host, under a backend of id @id. */
static void add_one(struct image_writer *writer, const char *host, const char *path, uint32_t id)
{
	const struct image_writer_vhost vhost = { .host = str_from_c(host) };
	struct image_writer_route route = { .kind = IMAGE_ROUTE_PREFIX, .path = str_from_c(path) };
	const struct image_writer_backend backend = { .id = id, .service = STR("web") };
	const struct image_writer_source source = { .ingress = str_from_c(host) };

	assert_int_equal(image_writer_add_vhost(writer, &vhost, &route.vhost, NULL), 0);
	route.policy = image_writer_add_policy(writer, &rules_policy);
	route.backend = image_writer_add_backend(writer, &backend);
	route.source = image_writer_add_source(writer, &source);
	assert_int_equal(image_writer_add_route(writer, &route, NULL), 0);
}

static struct image finish(struct image_writer *writer)
{
	struct image image;
	struct str bytes;
	struct err err = { 0 };

	if (image_writer_finish(writer, &bytes, &err) || image_open(bytes, &image, &err))
		fail_msg("%s", err.text);
	return image;
}

/* b.b is kept behind a vhost that is new: all its indices move, its texts stay. */
static void test_kept_vhost_moves(void **state)
{
	struct image_writer *writer = image_writer_new(1, rules_hash_key);
	struct image_policy other = rules_policy;
	struct image_match match;
	struct image image;

	(void)state;
	add_one(writer, "a.b", "/a", 7);
	add_one(writer, "b.b", "/b", 8);
	finish(writer);
	image_writer_next(writer, 2);
	other.read_timeout_ms++;
	image_writer_add_policy(writer, &other);
	add_one(writer, "c.b", "/c/d", 9);
	assert_int_equal(image_writer_keep_backend(writer, 1), 1);
	assert_int_equal(image_writer_keep_sources(writer, 1, 1), 1);
	assert_int_equal(image_writer_keep_vhost(writer,
						 &(struct image_writer_kept){ .before = 1,
									      .has_tls = true }),
			 1);
	image = finish(writer);
	assert_false(image_match(&image, STR("a.b"), STR("/a"), &match));
	assert_true(image_match(&image, STR("c.b"), STR("/c/d"), &match));
	assert_true(image_match(&image, STR("b.b"), STR("/b/x"), &match));
	assert_int_equal(match.backend->id, 8);
	assert_int_equal(match.vhost->flags, IMAGE_VHOST_TLS);
	assert_int_equal(match.policy->read_timeout_ms, rules_policy.read_timeout_ms);
	assert_true(
		str_eq_c(image_text(&image, image.sources[match.route->source].ingress), "b.b"));
	image_writer_free(writer);
}

/* A vhost is kept only with its backends. */
static void test_kept_vhost_without_backend(void **state)
{
	struct image_writer *writer = image_writer_new(1, rules_hash_key);
	struct str bytes;

	(void)state;
	add_one(writer, "a.b", "/a", 7);
	finish(writer);
	image_writer_next(writer, 2);
	image_writer_add_policy(writer, &rules_policy);
	image_writer_keep_sources(writer, 0, 1);
	image_writer_keep_vhost(writer, &(struct image_writer_kept){ .before = 0 });
	assert_int_equal(image_writer_finish(writer, &bytes, NULL), -EINVAL);
	image_writer_free(writer);
}

static void test_refused_vhosts(void **state)
{
	static const struct {
		const char *host;
		int rc;
	} cases[] = {
		{ "a.b", 0 },       { "a.b", -EEXIST },  { "*.b", 0 },
		{ "*.b", -EEXIST }, { "", 0 },           { "", -EEXIST },
		{ "A.b", -EINVAL }, { "a.b.", -EINVAL }, { "a.b:80", -EINVAL },
		{ "*", -EINVAL },   { "a b", -EINVAL },
	};
	struct image_writer *writer = image_writer_new(1, rules_hash_key);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image_writer_vhost vhost = { .host = str_from_c(cases[i].host) };
		uint32_t index;

		assert_int_equal(image_writer_add_vhost(writer, &vhost, &index, NULL), cases[i].rc);
	}
	image_writer_free(writer);
}

static void test_refused_routes(void **state)
{
	static char long_path[PATH_KEY_RULE_MAX + 1];
	const struct {
		const char *name;
		struct image_writer_route route;
		int rc;
	} cases[] = {
		{ "good", { 0, IMAGE_ROUTE_EXACT, STR_INIT("/x/"), 0, 0, 0 }, 0 },
		{ "no backend", { 0, IMAGE_ROUTE_PREFIX, STR_INIT("/"), IMAGE_NONE, 0, 0 }, 0 },
		{ "not normal", { 0, IMAGE_ROUTE_EXACT, STR_INIT("/a//b"), 0, 0, 0 }, -EINVAL },
		{ "not a path", { 0, IMAGE_ROUTE_EXACT, STR_INIT("x"), 0, 0, 0 }, -EINVAL },
		{ "no path", { 0, IMAGE_ROUTE_PREFIX, STR_INIT(""), 0, 0, 0 }, -EINVAL },
		{ "prefix with '/'", { 0, IMAGE_ROUTE_PREFIX, STR_INIT("/x/"), 0, 0, 0 }, -EINVAL },
		{ "default with path",
		  { 0, IMAGE_ROUTE_DEFAULT, STR_INIT("/"), 0, 0, 0 },
		  -EINVAL },
		{ "no such vhost", { 1, IMAGE_ROUTE_EXACT, STR_INIT("/"), 0, 0, 0 }, -EINVAL },
		{ "path of the class",
		  { IMAGE_NONE, IMAGE_ROUTE_EXACT, STR_INIT("/"), 0, 0, 0 },
		  -EINVAL },
		{ "no such backend", { 0, IMAGE_ROUTE_EXACT, STR_INIT("/"), 1, 0, 0 }, -EINVAL },
		{ "no such policy", { 0, IMAGE_ROUTE_EXACT, STR_INIT("/"), 0, 1, 0 }, -EINVAL },
		{ "no such source", { 0, IMAGE_ROUTE_EXACT, STR_INIT("/"), 0, 0, 1 }, -EINVAL },
		{ "longest",
		  { 0, IMAGE_ROUTE_EXACT, { long_path, PATH_KEY_RULE_MAX }, 0, 0, 0 },
		  0 },
		{ "too long",
		  { 0, IMAGE_ROUTE_EXACT, { long_path, PATH_KEY_RULE_MAX + 1 }, 0, 0, 0 },
		  -ENAMETOOLONG },
		{ "host default", { 0, IMAGE_ROUTE_DEFAULT, STR_INIT(""), 0, 0, 0 }, 0 },
		{ "host default twice",
		  { 0, IMAGE_ROUTE_DEFAULT, STR_INIT(""), 0, 0, 0 },
		  -EEXIST },
		{ "class default", { IMAGE_NONE, IMAGE_ROUTE_DEFAULT, STR_INIT(""), 0, 0, 0 }, 0 },
		{ "class default twice",
		  { IMAGE_NONE, IMAGE_ROUTE_DEFAULT, STR_INIT(""), 0, 0, 0 },
		  -EEXIST },
	};
	static const struct rule base[] = { { "a.b", IMAGE_ROUTE_EXACT, "/base" } };
	struct rules rules = { .writer = image_writer_new(1, rules_hash_key) };
	struct image image;
	struct str bytes;

	(void)state;
	memset(long_path, 'a', sizeof(long_path));
	long_path[0] = '/';
	rules_add(&rules, &base[0], 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };
		int rc = image_writer_add_route(rules.writer, &cases[i].route, &err);

		if (rc != cases[i].rc || (rc && err.text[0] == 0))
			fail_msg("%s: got %d '%s', wanted %d", cases[i].name, rc, err.text,
				 cases[i].rc);
	}
	assert_int_equal(image_writer_finish(rules.writer, &bytes, NULL), 0);
	assert_int_equal(image_open(bytes, &image, NULL), 0);
	rules_release(&rules);
}

static void test_conflict_is_named(void **state)
{
	static const struct rule table[] = {
		{ "a.b", IMAGE_ROUTE_PREFIX, "/x" },
		{ "a.b", IMAGE_ROUTE_EXACT, "/x" },
		{ "a.b", IMAGE_ROUTE_PREFIX, "/x/" },
	};
	struct rules rules = { .writer = image_writer_new(1, rules_hash_key) };
	struct err err = { 0 };
	struct str bytes;

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		rules_add(&rules, &table[i], i);
	assert_int_equal(image_writer_finish(rules.writer, &bytes, &err), -EEXIST);
	assert_string_equal(err.text, "two prefix routes for 'a.b/x'");
	rules_release(&rules);
}

/* The way it is used: sealed, mapped, asked. */
static void test_through_memfd(void **state)
{
	struct rules rules;
	struct image image;
	struct image_match match;
	struct str bytes;
	int fd;

	(void)state;
	sample_image(&rules);
	fd = memfd_seal("image-test", rules.bytes, NULL);
	assert_true(fd >= 0);
	assert_int_equal(memfd_map_sealed(fd, &bytes, NULL), 0);
	assert_int_equal(image_open(bytes, &image, NULL), 0);
	assert_int_equal((uintptr_t)image.vhosts % SEGMENT_ALIGN_BYTES, 0);
	assert_true(image_match(&image, STR("shop.example.com"), STR("/cart/x"), &match));
	assert_int_equal(match.backend->id, 1);
	memfd_unmap(bytes.at, bytes.len);
	close(fd);
	rules_release(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_explain_nobody),
		cmocka_unit_test(test_explain_many),
		cmocka_unit_test(test_is_deterministic),
		cmocka_unit_test(test_equal_policies_are_one),
		cmocka_unit_test(test_fields_arrive),
		cmocka_unit_test(test_kept_vhost_moves),
		cmocka_unit_test(test_kept_vhost_without_backend),
		cmocka_unit_test(test_refused_vhosts),
		cmocka_unit_test(test_refused_routes),
		cmocka_unit_test(test_conflict_is_named),
		cmocka_unit_test(test_through_memfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
