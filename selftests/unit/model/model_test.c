// SPDX-License-Identifier: Apache-2.0
/* model: profiles, and a check that finds what does not hold together. */
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_profiles(void **state)
{
	struct model_policy policy;

	(void)state;
	model_policy_init(&policy, MODEL_PROFILE_SLUICE);
	assert_true(policy.ssl_redirect);
	assert_false(policy.hsts);
	assert_int_equal(policy.redirect_status, 308);
	assert_int_equal(policy.body_max_bytes, 0);
	model_policy_init(&policy, MODEL_PROFILE_CONFORMANCE);
	assert_false(policy.ssl_redirect);
	model_policy_init(&policy, MODEL_PROFILE_INGRESS_NGINX);
	assert_true(policy.ssl_redirect);
	assert_true(policy.hsts);
	assert_int_equal(policy.body_max_bytes, 1 << 20);
}

/* Two vhosts; the first has an Exact and a Prefix path and a default. */
static void fill(struct model *model)
{
	static const struct {
		const char *path;
		enum model_route_kind kind;
		uint32_t vhost;
	} routes[] = {
		{ "/a", MODEL_ROUTE_EXACT, 0 },          { "/a", MODEL_ROUTE_PREFIX, 0 },
		{ "", MODEL_ROUTE_DEFAULT, 0 },          { "/a", MODEL_ROUTE_PREFIX, 1 },
		{ "", MODEL_ROUTE_DEFAULT, MODEL_NONE },
	};

	for (int i = 0; i < 2; i++) {
		struct model_vhost *vhost = vec_push(&model->vhosts);

		vhost->host = i ? STR("b.example") : STR("a.example");
		vhost->default_route = MODEL_NONE;
	}
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		*vec_push(&model->routes) = (struct model_route){
			.path = str_from_c(routes[i].path),
			.kind = routes[i].kind,
			.vhost = routes[i].vhost,
		};
	}
	model_policy_init(vec_push(&model->policies), MODEL_PROFILE_SLUICE);
	vec_push(&model->backends)->port = STR("80");
	vec_push(&model->certs);
	vec_push(&model->tls_hosts)->host = STR("a.example");
	model->vhosts.at[0].default_route = 2;
	model->default_route = 4;
	model->default_cert = 0;
}

static void break_nothing(struct model *model)
{
	(void)model;
}

static void break_vhost(struct model *model)
{
	model->routes.at[0].vhost = 2;
}

static void break_backend(struct model *model)
{
	model->routes.at[0].backend = 1;
}

static void break_policy(struct model *model)
{
	model->routes.at[0].policy = MODEL_NONE;
}

static void break_path(struct model *model)
{
	model->routes.at[0].path = STR("a");
}

static void break_default_path(struct model *model)
{
	model->routes.at[2].path = STR("/");
}

static void break_class_path(struct model *model)
{
	model->routes.at[3].vhost = MODEL_NONE;
}

static void break_unique(struct model *model)
{
	model->routes.at[3].vhost = 0;
}

static void break_default_of_vhost(struct model *model)
{
	model->vhosts.at[1].default_route = 2;
}

static void break_default(struct model *model)
{
	model->default_route = 5;
}

static void break_cert(struct model *model)
{
	model->tls_hosts.at[0].cert = 1;
}

static void break_default_cert(struct model *model)
{
	model->default_cert = 1;
}

static const struct {
	const char *name;
	void (*damage)(struct model *model);
	const char *complaint; /* NULL: sound */
} checks[] = {
	{ "sound", break_nothing, NULL },
	{ "vhost", break_vhost, "has no vhost" },
	{ "backend", break_backend, "has no backend" },
	{ "policy", break_policy, "has no policy" },
	{ "path", break_path, "without '/'" },
	{ "default with a path", break_default_path, "default with a path" },
	{ "class with a path", break_class_path, "path and no vhost" },
	{ "same path twice", break_unique, "two prefix routes for '/a'" },
	{ "default of another vhost", break_default_of_vhost, "default of vhost 'b.example'" },
	{ "class default", break_default, "default route does not exist" },
	{ "certificate", break_cert, "certificate of 'a.example'" },
	{ "default certificate", break_default_cert, "default certificate does not exist" },
};

static void test_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct model model;
		struct err err = { 0 };
		int code;

		model_init(&model);
		fill(&model);
		checks[i].damage(&model);
		code = model_check(&model, &err);
		if ((code < 0) != (checks[i].complaint != NULL) ||
		    (checks[i].complaint && !strstr(err.text, checks[i].complaint)))
			fail_msg("%s: %d '%s'", checks[i].name, code, err.text);
		model_release(&model);
	}
}

static void test_reset(void **state)
{
	struct model model;
	struct err err;

	(void)state;
	model_init(&model);
	fill(&model);
	model_reset(&model);
	assert_int_equal(model.routes.len, 0);
	assert_int_equal(model.default_route, MODEL_NONE);
	assert_int_equal(model_check(&model, &err), 0);
	fill(&model);
	assert_int_equal(model_check(&model, &err), 0);
	model_release(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
