// SPDX-License-Identifier: Apache-2.0
/* kubeconfig: what is taken from a file, and what is refused and how that is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kube/kubeconfig.h"

#define CLUSTER(fields) "clusters: [{name: k, cluster: {" fields "}}]\n"
#define USER(fields)    "users: [{name: u, user: {" fields "}}]\n"
#define CONTEXT                                                                                    \
	"current-context: c\n"                                                                     \
	"contexts: [{name: c, context: {cluster: k, user: u, namespace: shop}}]\n"
#define SERVER "server: 'https://10.0.0.1:6443/'"

static char directory[] = "/tmp/kubeconfig-test-XXXXXX";

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int read_text(const char *text, const char *context, struct kubeconfig *config,
		     struct err *err)
{
	char path[128];
	int rc;

	snprintf(path, sizeof(path), "%s/config", directory);
	write_file(path, text);
	rc = kubeconfig_read(config, path, context, err);
	unlink(path);
	return rc;
}

static void test_takes_what_is_said(void **state)
{
	struct kubeconfig config;
	struct err err = { 0 };
	char ca[128];

	(void)state;
	assert_int_equal(read_text(CONTEXT CLUSTER(SERVER ", certificate-authority: ca.crt, "
							  "proxy-url: 'http://p:1', "
							  "tls-server-name: kubernetes")
					   USER("tokenFile: /t, client-key-data: a2V5"),
				   NULL, &config, &err),
			 0);
	snprintf(ca, sizeof(ca), "%s/ca.crt", directory);
	assert_string_equal(config.server, "https://10.0.0.1:6443");
	assert_string_equal(config.ca_file, ca); /* relative to the file */
	assert_string_equal(config.proxy_url, "http://p:1");
	assert_string_equal(config.tls_server_name, "kubernetes");
	assert_string_equal(config.token_file, "/t");
	assert_string_equal(config.namespace, "shop");
	assert_true(str_eq(config.client_key_data, STR("key")));
	assert_false(config.is_insecure);
	kubeconfig_release(&config);
}

static const struct refusal {
	const char *name, *text, *context;
	int code;
	const char *says;
} refusals[] = {
	{ "exec", CONTEXT CLUSTER(SERVER) USER("exec: {command: aws}"), NULL, -EOPNOTSUPP,
	  "running a program ('exec')" },
	{ "auth provider", CONTEXT CLUSTER(SERVER) USER("auth-provider: {name: gcp}"), NULL,
	  -EOPNOTSUPP, "'auth-provider'" },
	{ "password", CONTEXT CLUSTER(SERVER) USER("username: a, password: geheim"), NULL,
	  -EOPNOTSUPP, "name and password" },
	{ "impersonation", CONTEXT CLUSTER(SERVER) USER("as: root"), NULL, -EOPNOTSUPP,
	  "impersonation" },
	{ "no context", CLUSTER(SERVER), NULL, -EINVAL, "no 'current-context'" },
	{ "other context", CONTEXT CLUSTER(SERVER), "d", -ENOENT, "no context 'd'" },
	{ "no cluster", CONTEXT, NULL, -ENOENT, "no cluster 'k'" },
	{ "no user", CONTEXT CLUSTER(SERVER), NULL, -ENOENT, "no user 'u'" },
	{ "no server", CONTEXT CLUSTER("a: b") USER("token: t"), NULL, -EINVAL, "'server'" },
	{ "other scheme", CONTEXT CLUSTER("server: 'ftp://x'") USER("token: t"), NULL, -EINVAL,
	  "no http or https" },
	{ "bad base64",
	  CONTEXT CLUSTER(SERVER ", certificate-authority-data: 'geheim!'") USER("token: t"), NULL,
	  -EINVAL, "not base64" },
	{ "no YAML", "a: [", NULL, -EINVAL, "line" },
	{ "empty", "", NULL, -EINVAL, "empty" },
};

static void test_refuses_and_says_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *refusal = &refusals[i];
		struct kubeconfig config;
		struct err err = { 0 };
		int rc = read_text(refusal->text, refusal->context, &config, &err);

		if (rc != refusal->code || !strstr(err.text, refusal->says))
			fail_msg("%s: %d '%s', expected %d '%s'", refusal->name, rc, err.text,
				 refusal->code, refusal->says);
		assert_null(strstr(err.text, "geheim"));
		kubeconfig_release(&config);
	}
}

static void test_in_cluster(void **state)
{
	static const struct {
		const char *host, *server;
	} cases[] = { { "10.96.0.1", "https://10.96.0.1:443" },
		      { "fd00::1", "https://[fd00::1]:443" } };
	char token[128], namespace[128];

	(void)state;
	snprintf(token, sizeof(token), "%s/token", directory);
	snprintf(namespace, sizeof(namespace), "%s/namespace", directory);
	write_file(token, "t\n");
	write_file(namespace, "sluice");
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kubeconfig config;
		struct err err = { 0 };

		setenv("KUBERNETES_SERVICE_HOST", cases[i].host, 1);
		assert_int_equal(kubeconfig_in_cluster(&config, directory, &err), 0);
		assert_string_equal(config.server, cases[i].server);
		assert_string_equal(config.namespace, "sluice");
		assert_string_equal(config.token_file, token);
		kubeconfig_release(&config);
	}
	unlink(token);
	unlink(namespace);
}

static void test_not_in_a_cluster(void **state)
{
	struct kubeconfig config;
	struct err err = { 0 };

	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(kubeconfig_in_cluster(&config, directory, &err), -ENOENT);
	kubeconfig_release(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_what_is_said),
		cmocka_unit_test(test_refuses_and_says_why),
		cmocka_unit_test(test_in_cluster),
		cmocka_unit_test(test_not_in_a_cluster),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
