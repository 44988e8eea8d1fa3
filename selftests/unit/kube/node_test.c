// SPDX-License-Identifier: Apache-2.0
/* Documents to trees: types, lines, documents, aliases, merge keys, limits; YAML and JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "kube/node_reader.h"

/* ~ true 80 1.5f "text" [..] {"key":..}; with @line behind each value when lines are wanted. */
static void add_node(struct buf *out, const struct node *node, bool with_lines);

static void add_children(struct buf *out, const struct node *node, bool with_lines)
{
	for (uint32_t i = 0; i < node->count; i++) {
		const struct node_child *child = &node->children[i];

		if (i)
			buf_add_char(out, ',');
		if (node->type == NODE_MAP)
			buf_printf(out, "%.*s:", STR_ARG(child->key));
		add_node(out, &child->value, with_lines);
	}
}

static void add_node(struct buf *out, const struct node *node, bool with_lines)
{
	switch (node->type) {
	case NODE_NULL:
		buf_add_char(out, '~');
		break;
	case NODE_BOOL:
		buf_add_c(out, node->number ? "true" : "false");
		break;
	case NODE_INT:
		buf_printf(out, "%lld", (long long)node->number);
		break;
	case NODE_FLOAT:
		buf_printf(out, "%.*sf", STR_ARG(node->text));
		break;
	case NODE_TEXT:
		buf_printf(out, "\"%.*s\"", STR_ARG(node->text));
		break;
	case NODE_SEQUENCE:
	case NODE_MAP:
		buf_add_char(out, node->type == NODE_MAP ? '{' : '[');
		add_children(out, node, with_lines);
		buf_add_char(out, node->type == NODE_MAP ? '}' : ']');
		break;
	}
	if (with_lines)
		buf_printf(out, "@%u", node->line);
}

/* All documents, each with a line feed; a flaw as "!line field: text". */
static void read_all(const char *name, struct str text, bool with_lines, struct buf *out)
{
	struct node_document document;
	struct node_reader reader;

	node_reader_init(&reader, text, node_format_of(str_from_c(name), text));
	while (node_reader_next(&reader, &document)) {
		if (document.state != NODE_STATE_BROKEN)
			add_node(out, &document.root, with_lines);
		if (document.state != NODE_STATE_SOUND)
			buf_printf(out, "!%u %.*s: %.*s", document.flaw_line,
				   STR_ARG(document.flaw_field), STR_ARG(document.flaw));
		buf_add_char(out, '\n');
	}
	node_reader_release(&reader);
}

struct case_of_node {
	const char *name;
	const char *text;
	const char *expected;
};

static unsigned int run_cases(const struct case_of_node *cases, size_t count, bool with_lines)
{
	unsigned int failures = 0;

	for (size_t i = 0; i < count; i++) {
		struct buf out;

		buf_init(&out, 0);
		read_all(cases[i].name, str_from_c(cases[i].text), with_lines, &out);
		if (!str_eq_c(buf_str(&out), cases[i].expected)) {
			print_error("%s: got '%.*s', wanted '%s'\n", cases[i].name, (int)out.len,
				    out.at ? out.at : "", cases[i].expected);
			failures++;
		}
		buf_release(&out);
	}
	return failures;
}

#define RUN(cases, with_lines)                                                                     \
	assert_int_equal(run_cases(cases, sizeof(cases) / sizeof(cases[0]), with_lines), 0)

static void test_scalars(void **state)
{
	static const struct case_of_node cases[] = {
		{ "nulls", "- ~\n- null\n- Null\n- NULL\n-\n- nUll\n", "[~,~,~,~,~,\"nUll\"]\n" },
		{ "ints", "- 80\n- -1\n- +7\n- 0x1F\n- 0o17\n- 007\n- 0\n",
		  "[80,-1,7,31,15,7,0]\n" },
		{ "int range", "- 9223372036854775807\n- 9223372036854775808\n- 0x\n- 0o9\n",
		  "[9223372036854775807,9223372036854775808f,\"0x\",\"0o9\"]\n" },
		{ "floats", "- 1.5\n- .5\n- 1.\n- 1e3\n- -2.5E-3\n- .inf\n- -.INF\n- .nan\n",
		  "[1.5f,.5f,1.f,1e3f,-2.5E-3f,.inff,-.INFf,.nanf]\n" },
		{ "not quite numbers", "- 1.2.3\n- '80'\n- \"80\"\n- 1e\n- .\n- '-'\n- +\n- 8a\n",
		  "[\"1.2.3\",\"80\",\"80\",\"1e\",\".\",\"-\",\"+\",\"8a\"]\n" },
		{ "bools", "- true\n- False\n- TRUE\n- tRue\n- yes\n- off\n- n\n",
		  "[true,false,true,\"tRue\",\"yes\",\"off\",\"n\"]\n" },
		{ "time is text", "2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05Z\"\n" },
		{ "empty value", "a:\nb: ''\nc: ~\n", "{a:~,b:\"\",c:~}\n" },
		{ "block scalars", "a: |\n  x\n  y\nb: >-\n  x\n  y\n",
		  "{a:\"x\ny\n\",b:\"x y\"}\n" },
		{ "tags",
		  "- !!str 80\n- !!int '80'\n- ! 80\n- !!float 1\n- !!null ''\n- !!map {}\n",
		  "[\"80\",80,\"80\",1f,~,{}]\n" },
		{ "unknown tag", "a:\n  b: !secret1 x\n", "!2 a.b: unknown tag\n" },
		{ "binary tag", "a: !!binary aGk=\n", "!1 a: unknown tag\n" },
		{ "tag that does not fit", "a: !!int x\n", "!1 a: scalar does not fit its tag\n" },
		{ "tag of a list on a map", "a: !!seq {}\n",
		  "!1 a: map or list does not fit its tag\n" },
	};

	(void)state;
	RUN(cases, false);
}

static void test_documents(void **state)
{
	static const struct case_of_node cases[] = {
		{ "lines", "# x\na: 1\nb:\n- 2\n-\n  c: 3\n", "{a:1@2,b:[2@4,{c:3@6}@6]@4}@2\n" },
		{ "second document", "a: 1\n---\n\nb: 2\n", "{a:1@1}@1\n{b:2@4}@4\n" },
		{ "empty documents", "---\n---\n# nothing\n---\na: 1\n---\n...\n---\n",
		  "{a:1@5}@5\n" },
		{ "content beside the marker", "--- a\n--- {b: 1}\n", "\"a\"@1\n{b:1@2}@2\n" },
		{ "end marker and directive", "a: 1\n...\n%YAML 1.2\n---\nb: 2\n",
		  "{a:1@1}@1\n{b:2@5}@5\n" },
		{ "CRLF", "a: 1\r\n---\r\nb: x\r\n", "{a:1@1}@1\n{b:\"x\"@3}@3\n" },
		{ "byte order mark",
		  "\xef\xbb\xbf"
		  "a: 1\n",
		  "{a:1@1}@1\n" },
		{ "no marker inside a word", "---a: 1\n", "{---a:1@1}@1\n" },
		{ "one broken between two good", "a: 1\n---\nb: [1\n---\nc: 3\n",
		  "{a:1@1}@1\n!4 b[1]: not YAML: did not find expected ',' or ']' while parsing a "
		  "flow sequence that begins in line 3\n{c:3@5}@5\n" },
		{ "unclosed quote", "a: \"x\n---\nb: 1\n",
		  "!2 a: not YAML: found unexpected end of stream while scanning a quoted scalar "
		  "that begins in line 1\n{b:1@3}@3\n" },
		{ "tab", "a:\n\tb: 1\n",
		  "!2 a: not YAML: found character that cannot start any "
		  "token\n" },
		{ "not UTF-8", "a: 1\nb: \xff\n", "!2 : not YAML: invalid leading UTF-8 octet\n" },
		{ "text behind the document", "{a: 1}x\n", "!1 : not JSON: syntax error\n" },
		{ "duplicate key", "a: 1\nb:\n  c: [{d: 1, e: 2, d: 3}]\n",
		  "{a:1@1,b:{c:[{d:1@3,e:2@3}@3]@3}@3}@1!3 b.c[0].d: field 'd' stands twice in one "
		  "map\n" },
		{ "key that is a map", "? {a: 1}\n: 2\n",
		  "!1 : key of a map is a map or a list\n" },
		{ "number as key", "80: x\n~: y\n", "{80:\"x\"@1,~:\"y\"@2}@1\n" },
		{ "nothing", "", "" },
		{ "only comments", "# a\n# b", "" },
	};

	(void)state;
	RUN(cases, true);
}

static void test_many_keys(void **state)
{
	static const struct case_of_node cases[] = {
		{ "more keys than are compared one by one",
		  "a: 1\nb: 1\nc: 1\nd: 1\ne: 1\nf: 1\ng: 1\nh: 1\ni: 1\nb: 2\n",
		  "{a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1}!10 b: field 'b' stands twice in one "
		  "map\n" },
		{ "order is kept", "i: 1\nh: 1\ng: 1\nf: 1\ne: 1\nd: 1\nc: 1\nb: 1\na: 1\nj: 1\n",
		  "{i:1,h:1,g:1,f:1,e:1,d:1,c:1,b:1,a:1,j:1}\n" },
	};

	(void)state;
	RUN(cases, false);
}

static void test_aliases(void **state)
{
	static const struct case_of_node cases[] = {
		{ "scalar", "a: &x 80\nb: *x\n", "{a:80,b:80}\n" },
		{ "map", "a: &x {p: [1, 2]}\nb: *x\n", "{a:{p:[1,2]},b:{p:[1,2]}}\n" },
		{ "as key", "a: &x k\n*x : 2\n", "{a:\"k\",k:2}\n" },
		{ "the last one counts", "- &x 1\n- &x 2\n- *x\n", "[1,2,2]\n" },
		{ "no anchor", "a: *hunter2\n",
		  "!1 a: alias of no anchor that stands before it\n" },
		{ "itself", "a: &x [*x]\n", "!1 a[0]: alias of no anchor that stands before it\n" },
		{ "not across documents", "a: &x 1\n---\nb: *x\n",
		  "{a:1}\n!3 b: alias of no anchor that stands before it\n" },
		{ "merge", "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n",
		  "{a:{p:1,q:2},b:{q:3,p:1}}\n" },
		{ "merge of a list",
		  "a:\n- &x {p: 1}\n- &y {p: 2, q: 2}\nb: {<<: [*x, *y], r: 3}\n",
		  "{a:[{p:1},{p:2,q:2}],b:{r:3,p:1,q:2}}\n" },
		{ "merge of no map", "b: {<<: 1}\n", "!1 b: merge key '<<' wants a map\n" },
		{ "quoted it is a key", "b: {'<<': 1}\n", "{b:{<<:1}}\n" },
	};

	(void)state;
	RUN(cases, false);
}

static void test_json(void **state)
{
	static const struct case_of_node cases[] = {
		{ "types",
		  "{\"a\":1,\"b\":\"x\",\"c\":null,\"d\":true,\"e\":1.5,\"f\":[],\"g\":{}}",
		  "{a:1@1,b:\"x\"@1,c:~@1,d:true@1,e:1.5f@1,f:[]@1,g:{}@1}@1\n" },
		{ "lines", "{\n \"a\" : 1,\n \"b\": [\n  2,\n  {\"c\":\n\"]}\\\"\"}\n ],\n\"d\":3}",
		  "{a:1@2,b:[2@4,{c:\"]}\"\"@6}@5]@3,d:3@8}@1\n" },
		{ "escapes", "[\"\\u00e9\\n\\\\\", \"\\ud83d\\ude00\"]",
		  "[\"\xc3\xa9\n\\\"@1,\"\xf0\x9f\x98\x80\"@1]@1\n" },
		{ "several", "{\"a\":1}\n\n{\"b\":2} [3]\n", "{a:1@1}@1\n{b:2@3}@3\n[3@3]@3\n" },
		{ "by name.json", "{\"a\": x}", "!1 : not JSON: syntax error\n" },
		{ "duplicate", "{\"a\":1,\n\"a\":2}",
		  "!2 : not JSON: a name stands twice in one object\n" },
		{ "cut", "{\"a\":\n{\"b\":1}", "!2 : not JSON: ends too early\n" },
		{ "large number", "[99999999999999999999]",
		  "!1 : not JSON: number out of range\n" },
		{ "no UTF-8", "[\"\xff\"]", "!1 : not JSON: not UTF-8\n" },
		{ "NUL", "[\"\\u0000\"]", "!1 : not JSON: NUL character in a text\n" },
		{ "YAML in x.json", "a: 1\n", "!1 : not JSON: syntax error\n" },
		{ "a password near the error", "{\"password\": hunter2}",
		  "!1 : not JSON: syntax error\n" },
	};
	struct buf out;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_init(&out, 0);
		read_all("x.json", str_from_c(cases[i].text), true, &out);
		if (!str_eq_c(buf_str(&out), cases[i].expected))
			fail_msg("%s: got '%.*s', wanted '%s'", cases[i].name, (int)out.len, out.at,
				 cases[i].expected);
		buf_release(&out);
	}
}

static void test_format(void **state)
{
	(void)state;
	assert_int_equal(node_format_of(STR("a.json"), STR("a: 1")), NODE_FORMAT_JSON);
	assert_int_equal(node_format_of(STR("a.yaml"), STR(" \n{\"a\":1}")), NODE_FORMAT_JSON);
	assert_int_equal(node_format_of(STR("a.yaml"), STR("\xef\xbb\xbf[1]")), NODE_FORMAT_JSON);
	assert_int_equal(node_format_of(STR("a.yaml"), STR("a: {}")), NODE_FORMAT_YAML);
	assert_int_equal(node_format_of(STR("a.yaml"), STR("")), NODE_FORMAT_YAML);
}

static void assert_flaw(struct str text, const char *flaw)
{
	struct node_document document = { 0 };
	struct node_reader reader;

	node_reader_init(&reader, text, node_format_of(STR(""), text));
	assert_true(node_reader_next(&reader, &document));
	assert_int_equal(document.state, flaw ? NODE_STATE_BROKEN : NODE_STATE_SOUND);
	if (flaw && !str_eq_c(document.flaw, flaw))
		fail_msg("got '%.*s', wanted '%s'", STR_ARG(document.flaw), flaw);
	node_reader_release(&reader);
}

static void test_depth(void **state)
{
	char deep[2 * NODE_DEPTH_MAX + 8];

	(void)state;
	for (int format = 0; format < 2; format++) {
		/* A leading tag-free scalar key makes it YAML, a bracket JSON. */
		const char *head = format ? "- " : "";
		int room = NODE_DEPTH_MAX - format;

		for (int depth = room; depth <= room + 1; depth++) {
			struct buf text;

			buf_init(&text, 0);
			buf_add_c(&text, head);
			memset(deep, '[', (size_t)depth);
			buf_add(&text, str_of(deep, (size_t)depth));
			memset(deep, ']', (size_t)depth);
			buf_add(&text, str_of(deep, (size_t)depth));
			assert_flaw(buf_str(&text),
				    depth > room ? "document is nested too deeply" : NULL);
			buf_release(&text);
		}
	}
}

/* Nine lists, each of nine aliases of the one before: 9^9 nodes when walked. */
static void test_alias_bomb(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 0);
	buf_add_c(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 9; i++) {
		buf_printf(&text, "a%d: &a%d [", i, i);
		for (int j = 0; j < 9; j++)
			buf_printf(&text, "%s*a%d", j ? ", " : "", i - 1);
		buf_add_c(&text, "]\n");
	}
	assert_flaw(buf_str(&text), "aliases make the document too large");
	buf_release(&text);
}

/* One long text, copied by everyone who reads it. */
static void test_alias_of_long_text(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 0);
	buf_add_c(&text, "- &a ");
	for (int i = 0; i < 1 << 20; i++)
		buf_add_char(&text, 'x');
	for (int i = 0; i < 100; i++)
		buf_add_c(&text, "\n- *a");
	assert_flaw(buf_str(&text), "aliases make the document too large");
	buf_release(&text);
}

static void test_depth_by_aliases(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 0);
	buf_add_c(&text, "a0: &a0 [x]\n");
	for (int i = 1; i < NODE_DEPTH_MAX + 1; i++)
		buf_printf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	assert_flaw(buf_str(&text), "document is nested too deeply");
	buf_release(&text);
}

static void test_anchors(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 0);
	for (int i = 0; i <= 1024; i++)
		buf_printf(&text, "- &a%d x\n", i);
	assert_flaw(buf_str(&text), "document has too many anchors");
	buf_release(&text);
}

static void test_find(void **state)
{
	struct node_document document;
	struct node_reader reader;

	(void)state;
	node_reader_init(&reader, STR("a: 1\nb: {c: x}\n"), NODE_FORMAT_YAML);
	assert_true(node_reader_next(&reader, &document));
	assert_int_equal(node_find(&document.root, "a")->number, 1);
	assert_null(node_find(&document.root, "c"));
	assert_non_null(node_find(node_find(&document.root, "b"), "c"));
	assert_null(node_find(node_find(&document.root, "a"), "c"));
	assert_null(node_find(NULL, "c"));
	assert_false(node_reader_next(&reader, &document));
	assert_false(node_reader_next(&reader, &document));
	node_reader_release(&reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_alias_bomb),
		cmocka_unit_test(test_alias_of_long_text),
		cmocka_unit_test(test_depth_by_aliases),
		cmocka_unit_test(test_anchors),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
