// SPDX-License-Identifier: Apache-2.0
/* settings: the table is in order, values parse, what is said last and nearest counts. */
#include "compile/settings.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "unit/compile/objects.h"

static void test_table_is_sorted(void **state)
{
	size_t count;
	const struct setting *table = settings_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		struct str name = str_from_c(table[i].name);

		if (i > 0 && str_compare(str_from_c(table[i - 1].name), name) >= 0)
			fail_msg("'%s' stands behind '%s'", table[i].name, table[i - 1].name);
		assert_ptr_equal(setting_find(name), &table[i]);
	}
	assert_null(setting_find(STR("no-such-setting")));
	assert_null(setting_find(STR("")));
}

struct value_case {
	const char *name;
	const char *key;
	const char *value;
	const char *reason; /* of the finding; NULL: accepted */
};

static const struct value_case value_cases[] = {
	{ "true", "ssl-redirect", "true", NULL },
	{ "True", "ssl-redirect", "True", NULL },
	{ "1", "ssl-redirect", "1", NULL },
	{ "spaces around", "ssl-redirect", "  false ", NULL },
	{ "tRUE", "ssl-redirect", "tRUE", "InvalidSetting" },
	{ "empty", "ssl-redirect", "", "InvalidSetting" },
	{ "seconds", "proxy-read-timeout", "1", NULL },
	{ "longest", "proxy-read-timeout", "4294967", NULL },
	{ "too long", "proxy-read-timeout", "4294968", "InvalidSetting" },
	{ "zero", "proxy-read-timeout", "0", "InvalidSetting" },
	{ "negative", "proxy-read-timeout", "-1", "InvalidSetting" },
	{ "unit", "proxy-read-timeout", "1s", "InvalidSetting" },
	{ "fraction", "proxy-read-timeout", "1.5", "InvalidSetting" },
	{ "redirect", "http-redirect-code", "307", NULL },
	{ "not modified", "http-redirect-code", "304", "InvalidSetting" },
	{ "profile", "profile", "conformance", NULL },
	{ "unknown profile", "profile", "Sluice", "InvalidSetting" },
	{ "backend", "default-backend", "ns/name:80", NULL },
	{ "backend by name", "default-backend", "ns/name:http", NULL },
	{ "backend without port", "default-backend", "ns/name", "InvalidSetting" },
	{ "backend with empty port", "default-backend", "ns/name:", "InvalidSetting" },
	{ "backend without namespace", "default-backend", "/name:80", "InvalidSetting" },
	{ "backend without name", "default-backend", "ns/:80", "InvalidSetting" },
	{ "secret", "default-ssl-certificate", "ns/name", NULL },
	{ "secret with port", "default-ssl-certificate", "ns/name:80", "InvalidSetting" },
	{ "secret without namespace", "default-ssl-certificate", "name", "InvalidSetting" },
	{ "protection", "allowlist-source-range", "10.0.0.0/8", "ProtectionMissing" },
	{ "annotation only", "auth-url", "http://x", "UnknownSetting" },
	{ "unknown", "no-such-setting", "x", "UnknownSetting" },
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(value_cases) / sizeof(value_cases[0]); i++) {
		const struct value_case *test = &value_cases[i];
		const struct object_pair pair = { str_from_c(test->key), str_from_c(test->value),
						  7 };
		const struct settings_source source = { .file = STR("sluice.yaml"),
							.pairs = { &pair, 1 } };
		struct settings settings;
		struct findings findings;
		const char *reason;

		findings_init(&findings);
		settings_init(&settings, MODEL_PROFILE_SLUICE);
		settings_apply_parameters(&settings, &source, &findings);
		reason = findings.list.len ? findings.list.at[0].reason : "(none)";
		if (strcmp(reason, test->reason ? test->reason : "(none)") != 0)
			fail_msg("%s: finding %s, expected %s", test->name, reason,
				 test->reason ? test->reason : "(none)");
		if (findings.list.len)
			assert_int_equal(findings.list.at[0].line, 7);
		findings_release(&findings);
	}
}

/* A profile sets everything, wherever among the keys it stands. */
static void test_profile_goes_first(void **state)
{
	const struct object_pair pairs[] = {
		{ STR("proxy-read-timeout"), STR("9"), 1 },
		{ STR("profile"), STR("ingress-nginx"), 2 },
	};
	const struct settings_source source = { .pairs = { pairs, 2 } };
	struct settings settings;
	struct findings findings;

	(void)state;
	findings_init(&findings);
	settings_init(&settings, MODEL_PROFILE_SLUICE);
	settings_apply_parameters(&settings, &source, &findings);
	assert_int_equal(settings.policy.profile, MODEL_PROFILE_INGRESS_NGINX);
	assert_int_equal(settings.policy.read_timeout_ms, 9000);
	assert_true(settings.policy.hsts);
	assert_int_equal(findings.list.len, 0);
	findings_release(&findings);
}

static void test_annotations(void **state)
{
	struct objects objects;
	struct object *ingress;
	struct settings settings;
	struct findings findings;

	(void)state;
	objects_init(&objects);
	findings_init(&findings);
	ingress = objects_ingress(&objects, "default", "web");
	objects_annotate(ingress, "sluice.dev/proxy-read-timeout", "1");
	objects_annotate(ingress, "nginx.ingress.kubernetes.io/proxy-read-timeout", "2");
	objects_annotate(ingress, "nginx.ingress.kubernetes.io/proxy-send-timeout", "3");
	objects_annotate(ingress, "sluice.dev/proxy-send-timeout", "nonsense");
	objects_annotate(ingress, "example.org/proxy-connect-timeout", "4");
	objects_annotate(ingress, "nginx.ingress.kubernetes.io/auth-url", "http://auth");
	settings_init(&settings, MODEL_PROFILE_SLUICE);
	settings_apply_annotations(&settings, ingress, &findings);
	assert_int_equal(settings.policy.read_timeout_ms, 1000);
	assert_int_equal(settings.policy.send_timeout_ms, 3000);
	assert_int_equal(settings.policy.connect_timeout_ms, 5000);
	assert_true(settings.policy.deny);
	assert_int_equal(findings.list.len, 2);
	findings_release(&findings);
	objects_release(&objects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_sorted),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_profile_goes_first),
		cmocka_unit_test(test_annotations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
