// SPDX-License-Identifier: Apache-2.0
/*
 * keep: what is taken over from the generation before is what compiling would have made.
 *
 * Two compilers go through the same random changes of the same world. To one of them each object
 * has its serial, so that it takes over what it can; to the other no Ingress, Service and
 * EndpointSlice has one, so that it compiles every one of them again each time. All dumps must
 * agree, at every step.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/random.h"
#include "compile/compile.h"
#include "image/certs.h"
#include "image/endpoints.h"
#include "image/image.h"
#include "unit/compile/objects.h"

enum {
	WORKERS = 4,
	NAME_BYTES = 64,
	SLOTS = 14,  /* of each kind there are so many names... */
	STEPS = 120, /* ...and so many changes of one of them */
	SEEDS = 40,
	VARIANTS = 1 << 20,
};

enum slot_kind { SLOT_INGRESS, SLOT_SERVICE, SLOT_SLICE, SLOT_SECRET, SLOT_CLASS, SLOT_CONFIG };

/* One half of the test: a compiler and the world as it sees it. */
struct side {
	unsigned int same_count; /* generations without news for the endpoints */
	bool has_serials;
	struct objects objects;
	struct compiler *compiler;
	struct compile_output output;
	struct findings findings;
	const struct object *slots[SLOT_CONFIG + 1][SLOTS];
	struct buf text;
};

static int check_pair(void *context, struct str chain, struct str key, struct arena *arena,
		      struct cert_facts *facts, struct err *err)
{
	struct str *names = arena_new(arena, 1, sizeof(*names));

	(void)context;
	if (str_eq_c(chain, "bad"))
		return err_set(err, -EINVAL, "no pair");
	names[0] = arena_copy(arena, key);
	facts->names = names;
	facts->name_count = 1;
	facts->not_before_s = 1;
	facts->not_after_s = str_eq_c(chain, "expired") ? 2 : INT64_MAX;
	return 0;
}

static void side_init(struct side *side, bool has_serials)
{
	const struct compile_options options = { .worker_count = WORKERS,
						 .check_pair = check_pair,
						 .classes.watch_nameless = true };

	*side = (struct side){ .has_serials = has_serials };
	objects_init(&side->objects);
	findings_init(&side->findings);
	compile_output_init(&side->output);
	buf_init(&side->text, 0);
	side->compiler = compiler_new(&options);
}

static void side_release(struct side *side)
{
	compile_output_release(&side->output);
	compiler_free(side->compiler);
	findings_release(&side->findings);
	objects_release(&side->objects);
	buf_release(&side->text);
}

/* ------------------------------------------------- objects, by slot and variant */

static const char *pick(struct random *random, const char *const *texts, uint32_t count)
{
	return texts[random_below(random, count)];
}

/*
 * Half of the Ingresses are without fault and on their own, so that there is something to be taken
 * over; what is wrong or shared about the others is drawn piece by piece.
 */
static bool is_odd(struct random *random, int slot, uint32_t one_in)
{
	return slot % 2 == 0 && random_below(random, one_in) == 0;
}

/* Mostly a host of its own; the rest is shared, wild, absent, or none. */
static const char *pick_host(struct random *random, int slot, char name[NAME_BYTES])
{
	static const char *const shared[] = {
		"shop.example", "SHOP.example", "*.example", "x.example", "", "no host"
	};

	if (is_odd(random, slot, 4))
		return pick(random, shared, sizeof(shared) / sizeof(shared[0]));
	snprintf(name, NAME_BYTES, "%s%d.example", random_below(random, 4) ? "own" : "OWN", slot);
	return name;
}

static const char *pick_backend(struct random *random, int slot, char name[NAME_BYTES])
{
	static const char *const odd[] = { "http", "90", "9999" };
	int service = random_below(random, 3) ? slot : (int)random_below(random, SLOTS);

	snprintf(name, NAME_BYTES, "s%d:%s", service,
		 is_odd(random, slot, 3) ? pick(random, odd, 3) : "80");
	return name;
}

static void add_tls(struct random *random, struct object *ingress, int slot)
{
	char host[NAME_BYTES], secret[NAME_BYTES];

	snprintf(secret, sizeof(secret), "c%u",
		 is_odd(random, slot, 4) ? random_below(random, SLOTS) : (unsigned int)slot);
	objects_tls(ingress, is_odd(random, slot, 5) ? "" : pick_host(random, slot, host),

		    random_below(random, 4) ? secret : NULL);
}

static struct object *make_ingress(struct objects *objects, int slot, struct random *random)
{
	static const char *const paths[] = { "/",     "/api", "/api/",       "/a//b",
					     "/%7eu", "/x",   "/caf\xc3\xa9" };
	static const char *const classes[] = { "sluice", "k0", "k1", "other" };
	char name[NAME_BYTES], host[NAME_BYTES], backend[NAME_BYTES];
	struct object *ingress;

	snprintf(name, sizeof(name), "i%02d", slot);
	ingress = objects_ingress(objects, "default", name);
	ingress->created_s = random_below(random, 3);
	ingress->ingress.class_name = str_from_c("sluice");
	if (random_below(random, 4) == 0)
		ingress->ingress.class_name = str_from_c(pick(random, classes, 4));
	for (uint32_t i = random_below(random, 5); i > 0; i--)
		objects_path(ingress, pick_host(random, slot, host),
			     is_odd(random, slot, 8) ? "x" : pick(random, paths, 7),
			     random_below(random, 3) ? OBJECT_PATH_PREFIX : OBJECT_PATH_EXACT,
			     pick_backend(random, slot, backend));
	if (random_below(random, 4) == 0)
		ingress->ingress.default_backend =
			objects_backend(ingress, pick_backend(random, slot, backend));
	for (uint32_t i = random_below(random, 3); i > 0; i--)
		add_tls(random, ingress, slot);
	if (random_below(random, 6) == 0)
		objects_annotate(ingress, "sluice.dev/ssl-redirect", "false");
	if (random_below(random, 6) == 0)
		objects_annotate(ingress, "sluice.dev/connection-rate",
				 random_below(random, 2) ? "10" : "20/30");
	return ingress;
}

static struct object *make_service(struct objects *objects, int slot, struct random *random)
{
	static const char *const ports[] = { "http:80", "http:80 m:90", "http:80",
					     "web:80",  "http:80",      "http:90 80:70" };
	char name[NAME_BYTES];
	struct object *service;

	snprintf(name, sizeof(name), "s%d", slot);
	service = objects_service(objects, "default", name, pick(random, ports, 6));
	if (random_below(random, 12) == 0)
		service->service.type = OBJECT_SERVICE_EXTERNAL_NAME;
	return service;
}

static struct object *make_slice(struct objects *objects, int slot, struct random *random)
{
	static const char *const ports[] = { "http", "http", "http", "m", "80" };
	char name[NAME_BYTES], service[NAME_BYTES], address[NAME_BYTES];
	struct object *slice;

	snprintf(name, sizeof(name), "e%02d", slot);
	snprintf(service, sizeof(service), "s%u",
		 random_below(random, 4) ? (unsigned int)slot : random_below(random, SLOTS));
	slice = objects_slice(objects, "default", name, service);
	if (random_below(random, 16) == 0)
		slice->endpoint_slice.address_type = STR("FQDN");
	objects_slice_port(slice, pick(random, ports, 5), (uint16_t)random_below(random, 3));
	objects_slice_port(slice, "web", 8080);
	for (uint32_t i = random_below(random, 4); i > 0; i--) {
		struct object_endpoint *endpoint;

		snprintf(address, sizeof(address), "10.0.0.%u", random_below(random, 24) * 12);
		endpoint = objects_endpoint(slice, address);
		endpoint->target = objects_text(slice, address);
		endpoint->is_ready = random_below(random, 4) != 0;
		endpoint->is_terminating = random_below(random, 4) == 0;
	}
	return slice;
}

static struct object *make_secret(struct objects *objects, int slot, struct random *random)
{
	static const char *const chains[] = { "good", "good", "good", "bad", "expired" };
	char name[NAME_BYTES], covered[NAME_BYTES];

	snprintf(name, sizeof(name), "c%d", slot);
	snprintf(covered, sizeof(covered), "own%d.example", slot);
	return objects_secret(objects, "default", name, pick(random, chains, 5),
			      random_below(random, 2) ? covered : "*.example");
}

/* Two classes, one of them with parameters. */
static struct object *make_class(struct objects *objects, int slot, struct random *random)
{
	char name[] = { 'k', (char)('0' + slot % 2), 0 };
	struct object *class = objects_add(objects, OBJECT_KIND_INGRESS_CLASS, "", name);

	class->ingress_class.controller = STR("elsewhere");
	if (random_below(random, 3))
		class->ingress_class.controller = STR(CLASS_RULES_CONTROLLER);
	class->ingress_class.is_default = random_below(random, 4) == 0;
	if (slot % 2 == 0)
		return class;
	class->ingress_class.parameters_kind = STR("ConfigMap");
	class->ingress_class.parameters_name = STR("parameters");
	return class;
}

static struct object *make_config(struct objects *objects, struct random *random)
{
	struct object *config =
		objects_add(objects, OBJECT_KIND_CONFIG_MAP, "default", "parameters");
	struct object_pair *pair = arena_new(&config->arena, 1, sizeof(*pair));

	*pair = (struct object_pair){ .key = STR("profile"), .value = STR("conformance") };
	if (random_below(random, 2))
		*pair = (struct object_pair){ .key = STR("default-backend"),
					      .value = STR("s1:80") };
	config->config_map.data = (struct object_pairs){ pair, 1 };
	return config;
}

static struct object *make_object(struct side *side, enum slot_kind kind, int slot,
				  uint64_t variant)
{
	struct objects *objects = &side->objects;
	struct object *object = NULL;
	struct random random;

	random_init(&random, variant);
	switch (kind) {
	case SLOT_INGRESS:
		object = make_ingress(objects, slot, &random);
		break;
	case SLOT_SERVICE:
		object = make_service(objects, slot, &random);
		break;
	case SLOT_SLICE:
		object = make_slice(objects, slot, &random);
		break;
	case SLOT_SECRET:
		object = make_secret(objects, slot, &random);
		break;
	case SLOT_CLASS:
		object = make_class(objects, slot, &random);
		break;
	case SLOT_CONFIG:
		object = make_config(objects, &random);
		break;
	}
	if (!side->has_serials && kind <= SLOT_SLICE)
		object->serial = 0;
	return object;
}

/* The slot is empty from now on, or holds the object of that variant. */
static void put(struct side *side, enum slot_kind kind, int slot, uint64_t variant)
{
	const struct object **place = &side->slots[kind][slot];

	if (*place)
		objects_remove(&side->objects, *place);
	*place = variant ? make_object(side, kind, slot, variant) : NULL;
}

/* --------------------------------------------------------------------- compile */

static void dump_findings(struct side *side)
{
	for (size_t i = 0; i < side->findings.list.len; i++) {
		finding_format(&side->findings.list.at[i], &side->text);
		buf_add_char(&side->text, '\n');
	}
}

static void dump_segments(struct side *side)
{
	const struct compile_output *output = &side->output;
	struct endpoints endpoints;
	struct image image;
	struct certs certs;
	struct err err = { 0 };

	if (image_open(output->image, &image, &err) < 0 ||
	    endpoints_open(output->endpoints, &endpoints, &err) < 0)
		fail_msg("%s", err.text);
	image_dump(&image, &side->text);
	endpoints_dump(&endpoints, &side->text);
	buf_printf(&side->text, "certs %s\n", output->certs_same ? "same" : "new");
	if (output->certs_same)
		return;
	if (certs_open(output->certs, &certs, &err) < 0)
		fail_msg("%s", err.text);
	certs_dump(&certs, &side->text);
}

/* All but the first line, which has the generation. */
static void dump_endpoints(const struct side *side, struct buf *out)
{
	struct endpoints endpoints;
	struct err err = { 0 };
	struct buf text;
	struct str rest, first;

	if (!side->output.endpoints.at)
		return;
	if (endpoints_open(side->output.endpoints, &endpoints, &err) < 0)
		fail_msg("%s", err.text);
	buf_init(&text, 0);
	endpoints_dump(&endpoints, &text);
	rest = buf_str(&text);
	str_take_part(&rest, '\n', &first);
	buf_add(out, rest);
	buf_release(&text);
}

/* Where compile says that there is nothing new in the endpoints, there must be nothing new. */
static void compile_endpoints_of(struct side *side, uint64_t generation, bool has_slices)
{
	struct object_set set = objects_set(&side->objects);
	bool is_same = !has_slices && compiler_has_same_backends(side->compiler);
	struct buf before, after;

	buf_init(&before, 0);
	buf_init(&after, 0);
	dump_endpoints(side, &before);
	assert_int_equal(compile_endpoints(side->compiler, &set, generation, &side->output,
					   &side->findings),
			 0);
	dump_endpoints(side, &after);
	if (is_same && !str_eq(buf_str(&before), buf_str(&after)))
		fail_msg("generation %llu: not the same\n%.*s\n%.*s",
			 (unsigned long long)generation, STR_ARG(buf_str(&before)),
			 STR_ARG(buf_str(&after)));
	side->same_count += is_same;
	buf_release(&before);
	buf_release(&after);
}

static void compile(struct side *side, uint64_t generation, bool has_routes, bool has_slices)
{
	struct object_set set = objects_set(&side->objects);
	struct err err = { 0 };

	findings_reset(&side->findings);
	buf_reset(&side->text);
	if (has_routes)
		assert_int_equal(compile_routes(side->compiler, &set, generation, &side->output,
						&side->findings),
				 0);
	compile_endpoints_of(side, generation, has_slices);
	if (model_check(compiler_model(side->compiler), &err) < 0)
		fail_msg("%s", err.text);
	dump_findings(side);
	dump_segments(side);
	plan_dump(&side->output.plan, &side->text);
	model_dump(compiler_model(side->compiler), &side->text);
}

/* Shows the first line that differs. */
static void check_same(const struct side *kept, const struct side *fresh, uint64_t seed, int step)
{
	struct str left = buf_str(&kept->text), right = buf_str(&fresh->text);
	struct str left_line = STR(""), right_line = STR("");

	if (str_eq(left, right))
		return;
	while (str_eq(left_line, right_line) && str_take_part(&left, '\n', &left_line))
		str_take_part(&right, '\n', &right_line);
	fail_msg("seed %llu step %d:\nkept  %.*s\nfresh %.*s", (unsigned long long)seed, step,
		 STR_ARG(left_line), STR_ARG(right_line));
}

/* ----------------------------------------------------------------------- tests */

static enum slot_kind pick_kind(struct random *random)
{
	static const enum slot_kind kinds[] = { SLOT_INGRESS, SLOT_INGRESS, SLOT_INGRESS,
						SLOT_SERVICE, SLOT_SERVICE, SLOT_SLICE,
						SLOT_SLICE,   SLOT_SECRET };
	uint32_t kind = random_below(random, 40);

	if (kind == 0)
		return SLOT_CLASS;
	if (kind == 1)
		return SLOT_CONFIG;
	return kinds[kind % 8];
}

static void run_seed(uint64_t seed)
{
	struct side kept, fresh;
	struct random random;

	random_init(&random, seed);
	side_init(&kept, true);
	side_init(&fresh, false);
	for (int step = 0; step < STEPS; step++) {
		bool has_routes = step == 0, has_slices = false;

		/* At first most of the world, then a change or two at a time. */
		for (uint32_t i = step ? 1 + random_below(&random, 2) : SLOTS * 3; i > 0; i--) {
			enum slot_kind kind = pick_kind(&random);
			int slot = kind == SLOT_CONFIG
					   ? 0
					   : (int)random_below(&random,
							       kind == SLOT_CLASS ? 2 : SLOTS);
			uint64_t variant =
				random_below(&random, 5) ? 1 + random_below(&random, VARIANTS) : 0;

			put(&kept, kind, slot, variant);
			put(&fresh, kind, slot, variant);
			has_routes |= kind != SLOT_SLICE;
			has_slices |= kind == SLOT_SLICE;
		}
		compile(&kept, (uint64_t)step + 1, has_routes, has_slices);
		compile(&fresh, (uint64_t)step + 1, has_routes, has_slices);
		check_same(&kept, &fresh, seed, step);
	}
	assert_int_not_equal(kept.same_count, 0);
	side_release(&kept);
	side_release(&fresh);
}

static void test_random_changes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run_seed(seed);
}

/*
 * A port that is named "80" and port 80 make one backend; the first to name it decides whether
 * anybody serves it. When that one goes, the other must not go on with what it left.
 */
static void test_backend_of_another(void **state)
{
	struct object *first, *second;
	struct object_backend named;
	const struct model *model;
	struct side side;

	(void)state;
	side_init(&side, true);
	objects_service(&side.objects, "default", "web", "http:80");
	first = objects_ingress(&side.objects, "default", "a");
	named = objects_backend(first, "web:x");
	named.port.name = STR("80");
	first->ingress.default_backend = named;
	objects_path(first, "a.example", "/", OBJECT_PATH_PREFIX, "none:80");
	second = objects_ingress(&side.objects, "default", "b");
	objects_path(second, "b.example", "/", OBJECT_PATH_PREFIX, "web:80");
	compile(&side, 1, true, true);
	objects_remove(&side.objects, first);
	compile(&side, 2, true, true);
	model = compiler_model(side.compiler);
	assert_int_equal(model->backends.len, 1);
	assert_non_null(model->backends.at[0].service_port);
	side_release(&side);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_changes),
		cmocka_unit_test(test_backend_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
