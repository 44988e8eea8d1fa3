// SPDX-License-Identifier: Apache-2.0
/*
 * compile: what must hold from one generation to the next, and at sizes and with bytes that nobody
 * writes golden files for. What single rules mean, the golden files say.
 */
#include "compile/compile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/random.h"
#include "image/certs.h"
#include "image/endpoints.h"
#include "image/image.h"
#include "unit/compile/objects.h"

enum { TEXT_MAX = 600, WORKERS = 4 };

struct fixture {
	struct objects objects;
	struct compile_options options;
	struct compiler *compiler;
	struct compile_output output;
	struct findings findings;
	uint64_t generation;
	unsigned int checks; /* of certificates */
	int check_code;
};

static int check_pair(void *context, struct str chain, struct str key, struct arena *arena,
		      struct cert_facts *facts, struct err *err)
{
	struct fixture *fixture = context;

	(void)chain;
	(void)key;
	(void)arena;
	(void)facts;
	fixture->checks++;
	return fixture->check_code ? err_set(err, fixture->check_code, "no pair") : 0;
}

static int set_up(void **state)
{
	struct fixture *fixture = mem_new(1, sizeof(*fixture));

	objects_init(&fixture->objects);
	findings_init(&fixture->findings);
	compile_output_init(&fixture->output);
	fixture->options = (struct compile_options){ .worker_count = WORKERS,
						     .check_pair = check_pair,
						     .check_context = fixture };
	fixture->compiler = compiler_new(&fixture->options);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	compile_output_release(&fixture->output);
	compiler_free(fixture->compiler);
	findings_release(&fixture->findings);
	objects_release(&fixture->objects);
	mem_free(fixture);
	return 0;
}

static void compile_routes_again(struct fixture *fixture)
{
	struct object_set set = objects_set(&fixture->objects);
	struct err err = { 0 };

	findings_reset(&fixture->findings);
	assert_int_equal(compile_routes(fixture->compiler, &set, ++fixture->generation,
					&fixture->output, &fixture->findings),
			 0);
	if (model_check(compiler_model(fixture->compiler), &err) < 0)
		fail_msg("model: %s", err.text);
}

static void compile_endpoints_again(struct fixture *fixture)
{
	struct object_set set = objects_set(&fixture->objects);

	assert_int_equal(compile_endpoints(fixture->compiler, &set, ++fixture->generation,
					   &fixture->output, &fixture->findings),
			 0);
}

static void compile_all(struct fixture *fixture)
{
	compile_routes_again(fixture);
	compile_endpoints_again(fixture);
}

static struct image open_image(const struct fixture *fixture)
{
	struct image image;
	struct err err;

	if (image_open(fixture->output.image, &image, &err) < 0)
		fail_msg("image: %s", err.text);
	return image;
}

static struct endpoints open_endpoints(const struct fixture *fixture)
{
	struct endpoints endpoints;
	struct err err;

	if (endpoints_open(fixture->output.endpoints, &endpoints, &err) < 0)
		fail_msg("endpoints: %s", err.text);
	return endpoints;
}

/* An Ingress for "<name>.example", its Service, and a slice with @addresses, separated by spaces.
 */
static struct object *add_app(struct fixture *fixture, const char *name, const char *addresses)
{
	char host[TEXT_MAX], backend[TEXT_MAX], address[TEXT_MAX];
	struct str rest = str_from_c(addresses), part;
	struct object *ingress, *slice;

	snprintf(host, sizeof(host), "%s.example", name);
	snprintf(backend, sizeof(backend), "%s:80", name);
	ingress = objects_ingress(&fixture->objects, "default", name);
	objects_path(ingress, host, "/", OBJECT_PATH_PREFIX, backend);
	objects_service(&fixture->objects, "default", name, "http:80");
	slice = objects_slice(&fixture->objects, "default", name, name);
	objects_slice_port(slice, "http", 8080);
	while (str_take_part(&rest, ' ', &part)) {
		snprintf(address, sizeof(address), "%.*s", STR_ARG(part));
		objects_endpoint(slice, address);
	}
	return ingress;
}

/* The id of the backend that serves "/" of "<name>.example". */
static uint32_t backend_id_of(const struct fixture *fixture, const char *name)
{
	struct image image = open_image(fixture);
	struct image_match match;
	char host[TEXT_MAX];

	snprintf(host, sizeof(host), "%s.example", name);
	assert_true(image_match(&image, str_from_c(host), STR("/"), &match));
	assert_non_null(match.backend);
	return match.backend->id;
}

/* The id of the endpoint at that address, or UINT32_MAX. */
static uint32_t endpoint_id_of(const struct fixture *fixture, const char *address)
{
	struct endpoints endpoints = open_endpoints(fixture);
	struct addr wanted = { .port = 8080 };

	assert_int_equal(addr_parse_ip(str_from_c(address), &wanted), 0);
	for (uint32_t i = 0; i < endpoints.endpoint_count; i++) {
		struct addr addr = endpoint_addr(&endpoints.endpoints[i]);

		if (addr_eq(&addr, &wanted))
			return endpoints.endpoints[i].id;
	}
	return UINT32_MAX;
}

static bool has_finding(const struct fixture *fixture, const char *reason)
{
	for (size_t i = 0; i < fixture->findings.list.len; i++) {
		if (strcmp(fixture->findings.list.at[i].reason, reason) == 0)
			return true;
	}
	return false;
}

/* -------------------------------------------------------------- generations */

static void test_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct image image;

	compile_all(fixture);
	image = open_image(fixture);
	assert_int_equal(image.vhost_count, 0);
	assert_int_equal(open_endpoints(fixture).endpoint_count, 0);
	assert_int_equal(fixture->output.plan.host_count, 0);
	assert_int_equal(fixture->findings.list.len, 0);
}

static void test_ids_stay(void **state)
{
	struct fixture *fixture = *state;
	struct object *first = add_app(fixture, "m", "10.0.0.1 10.0.0.2");
	uint32_t backend_id, endpoint_id;

	compile_all(fixture);
	backend_id = backend_id_of(fixture, "m");
	endpoint_id = endpoint_id_of(fixture, "10.0.0.2");
	/* New objects that come before the old ones in every order. */
	add_app(fixture, "a", "10.0.0.9 10.0.0.8");
	compile_all(fixture);
	assert_int_equal(backend_id_of(fixture, "m"), backend_id);
	assert_int_equal(endpoint_id_of(fixture, "10.0.0.2"), endpoint_id);
	assert_int_not_equal(backend_id_of(fixture, "a"), backend_id);
	/* Gone and back again. */
	first->ingress.class_name = STR("other");
	first->serial = object_serial();
	compile_all(fixture);
	assert_int_equal(endpoint_id_of(fixture, "10.0.0.2"), UINT32_MAX);
	first->ingress.class_name = STR("sluice");
	first->serial = object_serial();
	compile_all(fixture);
	assert_int_equal(backend_id_of(fixture, "m"), backend_id);
	assert_int_equal(endpoint_id_of(fixture, "10.0.0.2"), endpoint_id);
}

static void test_ids_are_adopted(void **state)
{
	struct fixture *fixture = *state;
	struct compile_output old;
	struct compiler *first = fixture->compiler;
	uint32_t backend_id, endpoint_id;
	struct err err;

	add_app(fixture, "m", "10.0.0.1 10.0.0.2");
	compile_all(fixture);
	backend_id = backend_id_of(fixture, "m");
	endpoint_id = endpoint_id_of(fixture, "10.0.0.1");
	old = fixture->output;
	compile_output_init(&fixture->output);
	/* Another agent, which meets other objects first. */
	fixture->compiler = compiler_new(&fixture->options);
	assert_int_equal(compiler_adopt(fixture->compiler, old.image, old.endpoints, &err), 0);
	add_app(fixture, "a", "10.0.0.9 10.0.0.8");
	compile_all(fixture);
	assert_int_equal(backend_id_of(fixture, "m"), backend_id);
	assert_int_equal(endpoint_id_of(fixture, "10.0.0.1"), endpoint_id);
	assert_int_not_equal(backend_id_of(fixture, "a"), backend_id);
	assert_true(compiler_adopt(fixture->compiler, STR("no image"), old.endpoints, &err) < 0);
	compile_output_release(&old);
	compiler_free(first);
}

static void test_same_objects_same_bytes(void **state)
{
	struct fixture *fixture = *state;
	struct compile_output again;
	struct object_set set;
	struct compiler *other = compiler_new(&fixture->options);

	add_app(fixture, "a", "10.0.0.1");
	add_app(fixture, "b", "10.0.0.2 10.0.0.3");
	compile_all(fixture);
	set = objects_set(&fixture->objects);
	compile_output_init(&again);
	assert_int_equal(compile_routes(other, &set, 1, &again, &fixture->findings), 0);
	assert_int_equal(compile_endpoints(other, &set, 2, &again, &fixture->findings), 0);
	assert_true(str_eq(again.image, fixture->output.image));
	assert_true(str_eq(again.endpoints, fixture->output.endpoints));
	assert_true(str_eq(again.certs, fixture->output.certs));
	compile_output_release(&again);
	compiler_free(other);
}

static void test_slices_need_no_routes(void **state)
{
	struct fixture *fixture = *state;
	struct object *slice;
	struct str image;

	add_app(fixture, "a", "10.0.0.1");
	compile_all(fixture);
	image = fixture->output.image;
	slice = objects_slice(&fixture->objects, "default", "a-2", "a");
	objects_slice_port(slice, "http", 8080);
	objects_endpoint(slice, "10.0.0.2");
	compile_endpoints_again(fixture);
	assert_int_equal(open_endpoints(fixture).endpoint_count, 2);
	assert_ptr_equal(fixture->output.image.at, image.at);
	objects_remove(&fixture->objects, slice);
	compile_endpoints_again(fixture);
	assert_int_equal(open_endpoints(fixture).endpoint_count, 1);
}

static void test_other_changes_need_routes(void **state)
{
	struct fixture *fixture = *state;
	struct object_set set = objects_set(&fixture->objects);

	assert_int_equal(compile_endpoints(fixture->compiler, &set, 1, &fixture->output,
					   &fixture->findings),
			 -ESTALE);
	add_app(fixture, "a", "10.0.0.1");
	compile_all(fixture);
	add_app(fixture, "b", "10.0.0.2");
	set = objects_set(&fixture->objects);
	assert_int_equal(compile_endpoints(fixture->compiler, &set, 9, &fixture->output,
					   &fixture->findings),
			 -ESTALE);
	/* What was compiled before is still there. */
	assert_int_equal(open_endpoints(fixture).endpoint_count, 1);
}

/* ------------------------------------------------------------------- certs */

static void test_certs_are_checked_once(void **state)
{
	struct fixture *fixture = *state;
	struct object *ingress = add_app(fixture, "a", "10.0.0.1");
	struct object *secret =
		objects_secret(&fixture->objects, "default", "cert", "chain", "key");

	objects_tls(ingress, "a.example www.a.example", "cert");
	compile_routes_again(fixture);
	assert_int_equal(fixture->checks, 1);
	assert_false(fixture->output.certs_same);
	assert_non_null(fixture->output.certs.at);
	compile_routes_again(fixture);
	assert_int_equal(fixture->checks, 1);
	assert_true(fixture->output.certs_same);
	assert_null(fixture->output.certs.at);
	/* Another version of the Secret. */
	objects_remove(&fixture->objects, secret);
	objects_secret(&fixture->objects, "default", "cert", "chain 2", "key 2");
	compile_routes_again(fixture);
	assert_int_equal(fixture->checks, 2);
	assert_false(fixture->output.certs_same);
}

static void test_certs_without_serial(void **state)
{
	struct fixture *fixture = *state;
	struct object *ingress = add_app(fixture, "a", "10.0.0.1");

	objects_secret(&fixture->objects, "default", "cert", "chain", "key")->serial = 0;
	objects_tls(ingress, "a.example", "cert");
	for (unsigned int i = 1; i <= 3; i++) {
		compile_routes_again(fixture);
		assert_int_equal(fixture->checks, i);
		assert_false(fixture->output.certs_same);
	}
}

static void test_certs_of_a_name_that_moves(void **state)
{
	struct fixture *fixture = *state;
	struct object *a = add_app(fixture, "a", "10.0.0.1");

	objects_secret(&fixture->objects, "default", "cert", "chain", "key");
	objects_tls(a, "a.example", "cert");
	compile_routes_again(fixture);
	objects_tls(a, "b.example", "cert");
	a->serial = object_serial();
	compile_routes_again(fixture);
	assert_false(fixture->output.certs_same);
	assert_int_equal(fixture->checks, 1);
}

static void test_bad_certs_come_back(void **state)
{
	struct fixture *fixture = *state;
	struct object *ingress = add_app(fixture, "a", "10.0.0.1");
	struct object *secret =
		objects_secret(&fixture->objects, "default", "cert", "chain", "key");
	struct certs certs;
	struct err err;

	fixture->check_code = -EINVAL;
	objects_tls(ingress, "a.example", "cert");
	compile_routes_again(fixture);
	assert_true(has_finding(fixture, "InvalidCertificate"));
	compile_routes_again(fixture);
	assert_true(has_finding(fixture, "InvalidCertificate"));
	assert_int_equal(fixture->checks, 1);
	assert_true(open_image(fixture).vhosts[0].flags & IMAGE_VHOST_TLS);
	fixture->check_code = 0;
	secret->serial = object_serial();
	compile_routes_again(fixture);
	assert_int_equal(fixture->findings.list.len, 0);
	assert_int_equal(certs_open(fixture->output.certs, &certs, &err), 0);
	assert_non_null(certs_find_named(&certs, STR("a.example")));
}

/* The agent's own certificate is the default one, until a setting names a good one. */
static void test_fallback_certificate(void **state)
{
	struct fixture *fixture = *state;
	const struct object_pair setting = { STR("default-ssl-certificate"), STR("default/named"),
					     0 };
	const struct model *model;
	struct object *fallback;

	compiler_free(fixture->compiler);
	fixture->options.fallback_namespace = STR("default");
	fixture->options.fallback_secret = STR("fallback");
	fixture->options.settings = (struct object_pairs){ &setting, 1 };
	fixture->compiler = compiler_new(&fixture->options);
	fallback = objects_secret(&fixture->objects, "default", "fallback", "chain", "key");
	compile_routes_again(fixture);
	assert_true(has_finding(fixture, "MissingSecret"));
	model = compiler_model(fixture->compiler);
	assert_ptr_equal(model->certs.at[model->default_cert].object, fallback);
	objects_secret(&fixture->objects, "default", "named", "chain 2", "key 2");
	compile_routes_again(fixture);
	assert_int_equal(fixture->findings.list.len, 0);
	model = compiler_model(fixture->compiler);
	assert_ptr_not_equal(model->certs.at[model->default_cert].object, fallback);
}

/* -------------------------------------------------------------------- plan */

static const struct plan_host *plan_of(const struct fixture *fixture, const char *name)
{
	for (size_t i = 0; i < fixture->output.plan.host_count; i++) {
		if (strcmp(fixture->output.plan.hosts[i].value.name, name) == 0)
			return &fixture->output.plan.hosts[i];
	}
	return NULL;
}

static void test_plan_keeps_generations(void **state)
{
	struct fixture *fixture = *state;
	struct host_value before;

	add_app(fixture, "m", "10.0.0.1");
	compile_routes_again(fixture);
	before = plan_of(fixture, "m.example")->value;
	add_app(fixture, "a", "10.0.0.2");
	compile_routes_again(fixture);
	assert_memory_equal(&plan_of(fixture, "m.example")->value, &before, sizeof(before));
	assert_int_equal(plan_of(fixture, "a.example")->value.generation, fixture->generation);
	/* From here on each host has one worker: that changes the entry. */
	for (int i = 0; i < WORKERS * COMPILE_FEW_HOSTS_PER_WORKER; i++) {
		char name[TEXT_MAX];

		snprintf(name, sizeof(name), "n%d", i);
		add_app(fixture, name, "10.0.0.3");
	}
	compile_routes_again(fixture);
	assert_int_equal(plan_of(fixture, "m.example")->value.generation, fixture->generation);
	assert_int_equal(plan_of(fixture, "m.example")->value.worker_spread, 1);
	assert_int_equal(plan_of(fixture, "m.example")->value.host_id, before.host_id);
}

static void test_plan_is_sorted_and_even(void **state)
{
	enum { HOSTS = 400 };
	struct fixture *fixture = *state;
	unsigned int owned[WORKERS] = { 0 };
	const struct plan *plan = &fixture->output.plan;

	for (int i = 0; i < HOSTS; i++) {
		char name[TEXT_MAX];

		snprintf(name, sizeof(name), "host-%d", i);
		add_app(fixture, name, "10.0.0.1");
	}
	compile_routes_again(fixture);
	assert_int_equal(plan->host_count, HOSTS);
	for (size_t i = 0; i < plan->host_count; i++) {
		assert_true(i == 0 || plan->hosts[i - 1].key.hash < plan->hosts[i].key.hash);
		owned[plan->hosts[i].value.worker_first]++;
	}
	for (int i = 0; i < WORKERS; i++)
		assert_in_range(owned[i], HOSTS / WORKERS / 2, HOSTS / WORKERS * 2);
}

/* With one worker more, only hosts that it wins move. */
static void test_rendezvous(void **state)
{
	enum { HOSTS = 200 };
	struct fixture *fixture = *state;
	struct compiler *first = fixture->compiler;
	uint16_t before[HOSTS];
	unsigned int moved = 0;
	char name[TEXT_MAX];

	for (int i = 0; i < HOSTS; i++) {
		snprintf(name, sizeof(name), "host-%d", i);
		add_app(fixture, name, "10.0.0.1");
	}
	compile_routes_again(fixture);
	for (size_t i = 0; i < HOSTS; i++)
		before[i] = fixture->output.plan.hosts[i].value.worker_first;
	fixture->options.worker_count = WORKERS + 1;
	fixture->compiler = compiler_new(&fixture->options);
	compile_routes_again(fixture);
	for (size_t i = 0; i < HOSTS; i++) {
		uint16_t after = fixture->output.plan.hosts[i].value.worker_first;

		if (after == before[i])
			continue;
		assert_int_equal(after, WORKERS);
		moved++;
	}
	assert_in_range(moved, HOSTS / (WORKERS + 1) / 2, HOSTS / (WORKERS + 1) * 2);
	compiler_free(first);
}

/* A hot host has the workers that it needs, in the plan and in the image; the others stay. */
static void test_hot_hosts_are_wider(void **state)
{
	struct fixture *fixture = *state;
	struct compile_spread spreads[] = { { 0, 2 }, { 1, WORKERS } };
	const struct image_vhost *vhost;
	struct host_value cold;
	struct image image;
	char name[TEXT_MAX];

	for (int i = 0; i <= WORKERS * COMPILE_FEW_HOSTS_PER_WORKER; i++) {
		snprintf(name, sizeof(name), "n%02d", i);
		add_app(fixture, name, "10.0.0.1");
	}
	compile_routes_again(fixture);
	cold = plan_of(fixture, "n02.example")->value;
	spreads[0].hash = plan_of(fixture, "n00.example")->key.hash;
	spreads[1].hash = plan_of(fixture, "n01.example")->key.hash;
	compiler_set_spreads(fixture->compiler, spreads, 2);
	compile_routes_again(fixture);
	assert_int_equal(plan_of(fixture, "n00.example")->value.worker_spread, 2);
	assert_int_equal(plan_of(fixture, "n00.example")->value.generation, fixture->generation);
	assert_int_equal(plan_of(fixture, "n01.example")->value.worker_spread, WORKERS);
	assert_memory_equal(&plan_of(fixture, "n02.example")->value, &cold, sizeof(cold));
	assert_int_equal(image_open(fixture->output.image, &image, NULL), 0);
	vhost = image_find_vhost(&image, STR("n00.example"));
	assert_int_equal(vhost->owner_spread, 2);
	assert_int_equal(vhost->owner_first, plan_of(fixture, "n00.example")->value.worker_first);
	compiler_set_spreads(fixture->compiler, spreads, 1);
	compile_routes_again(fixture);
	assert_int_equal(plan_of(fixture, "n01.example")->value.worker_spread, 1);
	assert_int_equal(plan_of(fixture, "n00.example")->value.worker_spread, 2);
}

/* ------------------------------------------------------------ sizes, bytes */

static void test_many_paths_in_one_host(void **state)
{
	enum { INGRESSES = 100, PATHS = 50 };
	struct fixture *fixture = *state;
	struct image image;
	struct image_match match;
	char text[TEXT_MAX];

	objects_service(&fixture->objects, "default", "web", "http:80");
	for (int i = 0; i < INGRESSES; i++) {
		struct object *ingress;

		snprintf(text, sizeof(text), "web-%03d", i);
		ingress = objects_ingress(&fixture->objects, "default", text);
		for (int p = 0; p < PATHS; p++) {
			snprintf(text, sizeof(text), "/area-%d/part-%d", i, p);
			objects_path(ingress, "big.example", text, OBJECT_PATH_PREFIX, "web:80");
		}
	}
	compile_routes_again(fixture);
	image = open_image(fixture);
	assert_int_equal(image.vhost_count, 1);
	assert_int_equal(image.route_count, INGRESSES * PATHS);
	assert_true(image_match(&image, STR("big.example"), STR("/area-99/part-49/x"), &match));
	assert_false(image_match(&image, STR("big.example"), STR("/area-99/part-50"), &match));
}

/* Most bytes are ones that mean something in a host or a path. */
static void random_text(struct random *random, char *text, size_t room)
{
	static const char bytes[] = "aAz09-_.*:/%2fF.%00 \x01\xc3\xa9[]";
	size_t len = random_below(random, random_below(random, 8) ? 12 : (uint32_t)room - 1);

	for (size_t i = 0; i < len; i++)
		text[i] = bytes[random_below(random, sizeof(bytes) - 1)];
	text[len] = 0;
}

/* Whatever objects say, there is an image, and the proxy takes it. */
static void test_random_hosts_and_paths(void **state)
{
	enum { ROUNDS = 300, INGRESSES = 4, PATHS = 12 };
	struct fixture *fixture = *state;
	struct random random;
	char host[TEXT_MAX], path[TEXT_MAX];

	random_init(&random, 42);
	objects_service(&fixture->objects, "default", "web", "http:80");
	for (int round = 0; round < ROUNDS; round++) {
		const struct object *ingresses[INGRESSES];

		for (int i = 0; i < INGRESSES; i++) {
			char name[] = { (char)('a' + i), 0 };
			struct object *ingress =
				objects_ingress(&fixture->objects, "default", name);

			for (int p = 0; p < PATHS; p++) {
				random_text(&random, host, sizeof(host));
				random_text(&random, path + 1, sizeof(path) - 1);
				path[0] = random_below(&random, 16) ? '/' : 'x';
				objects_path(ingress, host, path,
					     (enum object_path_type)random_below(&random, 4),
					     random_below(&random, 2) ? "web:80" : "none:x");
			}
			ingress->ingress.default_backend = objects_backend(ingress, "web:http");
			objects_tls(ingress, host, random_below(&random, 2) ? "cert" : NULL);
			ingresses[i] = ingress;
		}
		compile_all(fixture);
		open_image(fixture);
		open_endpoints(fixture);
		for (int i = 0; i < INGRESSES; i++)
			objects_remove(&fixture->objects, ingresses[i]);
	}
}

/* A host of 300 bytes, 64 rules, ...: the good rule of the same Ingress is served. */
static void test_bad_rule_alone(void **state)
{
	struct fixture *fixture = *state;
	struct object *ingress = objects_ingress(&fixture->objects, "default", "web");
	struct image image;
	char host[301];

	memset(host, 'h', sizeof(host) - 1);
	host[sizeof(host) - 1] = 0;
	objects_path(ingress, host, "/", OBJECT_PATH_PREFIX, "web:80");
	objects_path(ingress, "good.example", "/", OBJECT_PATH_PREFIX, "web:80");
	objects_service(&fixture->objects, "default", "web", "http:80");
	compile_routes_again(fixture);
	image = open_image(fixture);
	assert_int_equal(image.vhost_count, 1);
	assert_int_equal(fixture->findings.list.len, 1);
	assert_true(has_finding(fixture, "InvalidHost"));
	assert_non_null(image_find_vhost(&image, STR("good.example")));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing),
		TEST(test_ids_stay),
		TEST(test_ids_are_adopted),
		TEST(test_same_objects_same_bytes),
		TEST(test_slices_need_no_routes),
		TEST(test_other_changes_need_routes),
		TEST(test_certs_are_checked_once),
		TEST(test_certs_without_serial),
		TEST(test_certs_of_a_name_that_moves),
		TEST(test_bad_certs_come_back),
		TEST(test_fallback_certificate),
		TEST(test_plan_keeps_generations),
		TEST(test_plan_is_sorted_and_even),
		TEST(test_rendezvous),
		TEST(test_hot_hosts_are_wider),
		TEST(test_many_paths_in_one_host),
		TEST(test_random_hosts_and_paths),
		TEST(test_bad_rule_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
