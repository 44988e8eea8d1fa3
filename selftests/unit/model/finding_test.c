// SPDX-License-Identifier: Apache-2.0
/* Findings as lines of text, and that they own what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/finding.h"

static void assert_line(const struct findings *findings, size_t index, const char *expected)
{
	struct buf out;

	buf_init(&out, 0);
	finding_format(&findings->list.at[index], &out);
	if (!str_eq_c(buf_str(&out), expected))
		fail_msg("got '%.*s', wanted '%s'", (int)out.len, out.at, expected);
	buf_release(&out);
}

static void test_format(void **state)
{
	const struct object ingress = {
		.kind = OBJECT_KIND_INGRESS,
		.namespace = STR_INIT("shop"),
		.name = STR_INIT("web"),
		.file = STR_INIT("web.yaml"),
		.line = 3,
	};
	const struct object class = { .kind = OBJECT_KIND_INGRESS_CLASS, .name = STR_INIT("c") };
	struct finding_place place = { .object = &ingress, .line = 12, .field = STR("spec.a[0]") };
	struct finding_place whole = { .object = &ingress };
	struct finding_place api = { .object = &class, .field = STR("spec") };
	struct finding_place file = { .file = STR("x.yaml"), .line = 7 };
	struct finding_place unread = { .file = STR("x.yaml") };
	struct findings findings;

	(void)state;
	findings_init(&findings);
	findings_add(&findings, FINDING_ERROR, "A", &place, "service '%s'", "cart");
	findings_add(&findings, FINDING_WARNING, "B", &whole, "text");
	findings_add(&findings, FINDING_NOTICE, "C", &api, "text");
	findings_add(&findings, FINDING_ERROR, "D", &file, "text");
	findings_add(&findings, FINDING_ERROR, "E", &unread, "text");
	assert_line(&findings, 0, "error Ingress shop/web (web.yaml:12) spec.a[0]: service 'cart'");
	assert_line(&findings, 1, "warning Ingress shop/web (web.yaml:3): text");
	assert_line(&findings, 2, "notice IngressClass c spec: text");
	assert_line(&findings, 3, "error x.yaml:7: text");
	assert_line(&findings, 4, "error x.yaml: text");
	assert_string_equal(findings.list.at[0].reason, "A");
	findings_release(&findings);
}

static void test_owned(void **state)
{
	char file[] = "x.yaml", field[] = "spec";
	struct finding_place place = { .file = STR(file), .line = 1, .field = STR(field) };
	struct findings first, second;

	(void)state;
	findings_init(&first);
	findings_init(&second);
	findings_add(&first, FINDING_ERROR, "A", &place, "one");
	findings_add(&first, FINDING_ERROR, "A", &place, "two");
	memset(file, '?', sizeof(file) - 1);
	memset(field, '?', sizeof(field) - 1);
	findings_add(&second, FINDING_ERROR, "A", &(struct finding_place){ 0 }, "zero");
	findings_append(&second, &first);
	findings_release(&first);
	assert_int_equal(second.list.len, 3);
	assert_line(&second, 0, "error: zero");
	assert_line(&second, 1, "error x.yaml:1 spec: one");
	assert_line(&second, 2, "error x.yaml:1 spec: two");
	findings_reset(&second);
	assert_int_equal(second.list.len, 0);
	findings_add(&second, FINDING_ERROR, "A", &(struct finding_place){ 0 }, "again");
	assert_line(&second, 0, "error: again");
	findings_release(&second);
}

static void test_long_text_is_cut(void **state)
{
	struct findings findings;
	char text[5000];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 0;
	findings_init(&findings);
	findings_add(&findings, FINDING_ERROR, "A", &(struct finding_place){ 0 }, "%s", text);
	assert_in_range(findings.list.at[0].text.len, 100, 1024);
	findings_release(&findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_owned),
		cmocka_unit_test(test_long_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
