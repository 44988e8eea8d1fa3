// SPDX-License-Identifier: Apache-2.0
/* api_print and api_names: what counts as a change of an object, and what an object names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kube/api_names.h"
#include "kube/api_print.h"
#include "kube/node_reader.h"

static uint64_t print_of(const char *json)
{
	struct node_document document;
	struct node_reader reader;
	uint64_t print;

	node_reader_init(&reader, str_from_c(json), NODE_FORMAT_JSON);
	assert_true(node_reader_next(&reader, &document));
	print = api_print(&document.root);
	node_reader_release(&reader);
	return print;
}

static void test_what_is_a_change(void **state)
{
	static const char base[] = "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"1\"},"
				   "\"spec\":{\"p\":[1,2]},\"status\":{}}";
	static const struct {
		const char *name, *json;
		bool is_same;
	} cases[] = {
		{ "version",
		  "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"2\"},\"spec\":{\"p\":[1,2]},"
		  "\"status\":{}}",
		  true },
		{ "status",
		  "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"p\":[1,2]},\"status\":{\"x\":1}}",
		  true },
		{ "managers",
		  "{\"metadata\":{\"name\":\"a\",\"managedFields\":[{}]},\"spec\":{\"p\":[1,2]}}",
		  true },
		{ "kind is said",
		  "{\"kind\":\"K\",\"apiVersion\":\"v1\","
		  "\"metadata\":{\"name\":\"a\"},\"spec\":{\"p\":[1,2]}}",
		  true },
		{ "annotation",
		  "{\"metadata\":{\"name\":\"a\",\"annotations\":{\"b\":\"c\"}},"
		  "\"spec\":{\"p\":[1,2]}}",
		  false },
		{ "nesting", "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"p\":[[1],2]}}", false },
		{ "order", "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"p\":[2,1]}}", false },
		{ "type", "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"p\":[\"1\",2]}}", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if ((print_of(base) == print_of(cases[i].json)) != cases[i].is_same)
			fail_msg("%s: expected %s", cases[i].name,
				 cases[i].is_same ? "no change" : "a change");
	}
}

static void write_name(void *context, const struct object_key *key)
{
	buf_printf(context, "%s %.*s/%.*s\n", object_kind_name(key->kind), STR_ARG(key->namespace),
		   STR_ARG(key->name));
}

static void test_names(void **state)
{
	static const char yaml[] = "apiVersion: networking.k8s.io/v1\n"
				   "kind: Ingress\n"
				   "metadata:\n"
				   "  name: web\n"
				   "  namespace: shop\n"
				   "  annotations:\n"
				   "    nginx.ingress.kubernetes.io/auth-secret: users\n"
				   "    sluice.dev/auth-tls-secret: other/ca\n"
				   "    sluice.dev/custom-headers: headers\n"
				   "    sluice.dev/ssl-redirect: 'true'\n"
				   "    example.com/auth-secret: no\n"
				   "spec:\n"
				   "  defaultBackend: {resource: {kind: ConfigMap, name: pages}}\n"
				   "  tls: [{secretName: pair}]\n";
	static const char expected[] = "Secret shop/users\nSecret other/ca\n"
				       "ConfigMap shop/headers\nConfigMap shop/pages\n";
	struct decoded decoded;
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	decoded_init(&decoded);
	decode_text(STR("a.yaml"), str_from_c(yaml), NODE_FORMAT_YAML, &decoded);
	assert_int_equal(decoded.objects.len, 1);
	assert_int_equal(api_names(decoded.objects.at[0].object, write_name, &out), 4);
	buf_add_char(&out, '\0');
	assert_string_equal(out.at, expected);
	buf_release(&out);
	decoded_release(&decoded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_a_change),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
