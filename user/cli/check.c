// SPDX-License-Identifier: Apache-2.0
/*
 * check: reads manifests and compiles them as an agent would, and says what it finds.
 *
 *   shop.yaml:12: error: Ingress shop/web spec.rules[0].host: host 'a..b' is no host name
 *
 * One line a finding, in the form that editors and compilers share. Exit code 1 where an object or
 * a part of one would not be served as written; notices (a kind that is not ours, a conflict that a
 * rule settles) are shown and fail nothing.
 */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/cli.h"
#include "compile/compile.h"
#include "kube/source_dir.h"
#include "kube/store.h"
#include "tls/tls_inspect.h"

static void compile(struct store *store, const struct cli_call *call, struct findings *findings)
{
	struct compile_options options = {
		.classes = call->classes,
		.worker_count = 1,
		.check_pair = tls_check_pair,
	};
	struct compiler *compiler = compiler_new(&options);
	struct compile_output output;

	compile_output_init(&output);
	/* A failure is a finding too. */
	if (compile_routes(compiler, store_set(store), 1, &output, findings) == 0)
		compile_endpoints(compiler, store_set(store), 1, &output, findings);
	compile_output_release(&output);
	compiler_free(compiler);
}

static int read_manifests(const struct cli_call *call, struct store *store,
			  struct findings *findings, struct err *err)
{
	struct str paths[CLI_ARGUMENTS_MAX];
	struct source_dir *source;
	int rc;

	for (size_t i = 0; i < call->argument_count; i++)
		paths[i] = str_from_c(call->arguments[i]);
	rc = source_dir_open(paths, call->argument_count, store, &source, err);
	if (rc)
		return rc;
	store_findings(store, findings);
	compile(store, call, findings);
	source_dir_close(source);
	return 0;
}

/* ------------------------------------------------------------------------------- output */

static void print_place(const struct finding *finding)
{
	if (finding->file.len && finding->line)
		printf("%.*s:%u: ", STR_ARG(finding->file), finding->line);
	else if (finding->file.len) /* the file itself */
		printf("%.*s: ", STR_ARG(finding->file));
}

static void print_finding(const struct finding *finding)
{
	print_place(finding);
	printf("%s:", finding_level_name(finding->level));
	if (finding->kind.len && finding->namespace.len)
		printf(" %.*s %.*s/%.*s", STR_ARG(finding->kind), STR_ARG(finding->namespace),
		       STR_ARG(finding->name));
	else if (finding->kind.len)
		printf(" %.*s %.*s", STR_ARG(finding->kind), STR_ARG(finding->name));
	if (finding->field.len)
		printf(" %.*s", STR_ARG(finding->field));
	printf("%s %.*s\n", finding->kind.len || finding->field.len ? ":" : "",
	       STR_ARG(finding->text));
}

static void print_json(const struct findings *findings)
{
	struct json json;
	struct buf out;

	buf_init(&out, 0);
	json_init(&json, &out);
	json_object_begin(&json, NULL);
	json_array_begin(&json, "findings");
	for (size_t i = 0; i < findings->list.len; i++) {
		const struct finding *finding = &findings->list.at[i];

		json_object_begin(&json, NULL);
		json_text_c(&json, "level", finding_level_name(finding->level));
		json_text_c(&json, "reason", finding->reason);
		json_text(&json, "kind", finding->kind);
		json_text(&json, "namespace", finding->namespace);
		json_text(&json, "name", finding->name);
		json_text(&json, "file", finding->file);
		json_u64(&json, "line", finding->line);
		json_text(&json, "field", finding->field);
		json_text(&json, "text", finding->text);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	printf("%.*s\n", (int)out.len, out.at);
	buf_release(&out);
}

static size_t count_level(const struct findings *findings, enum finding_level level)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->list.len; i++)
		count += findings->list.at[i].level == level;
	return count;
}

static void print_text(struct store *store, const struct findings *findings)
{
	const struct object_set *set = store_set(store);
	size_t objects = 0;

	for (size_t i = 0; i < findings->list.len; i++)
		print_finding(&findings->list.at[i]);
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++)
		objects += set->of[kind].count;
	printf("%zu objects, %zu of them Ingresses: %zu errors, %zu warnings, %zu notices\n",
	       objects, set->of[OBJECT_KIND_INGRESS].count, count_level(findings, FINDING_ERROR),
	       count_level(findings, FINDING_WARNING), count_level(findings, FINDING_NOTICE));
}

int cli_check(const struct cli_call *call)
{
	struct store *store = store_new();
	struct findings findings;
	struct err err = { 0 };
	int exit_code = 0;

	findings_init(&findings);
	if (read_manifests(call, store, &findings, &err)) {
		fprintf(stderr, "sluicectl: %s\n", err.text);
		exit_code = CLI_EXIT_FAILED;
	} else {
		if (call->is_json)
			print_json(&findings);
		else
			print_text(store, &findings);
		if (count_level(&findings, FINDING_ERROR) + count_level(&findings, FINDING_WARNING))
			exit_code = CLI_EXIT_FAILED;
	}
	findings_release(&findings);
	store_free(store);
	return exit_code;
}
