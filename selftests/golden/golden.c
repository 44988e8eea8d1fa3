// SPDX-License-Identifier: Apache-2.0
/*
 * golden: every stage of the compiler as text, beside what a person has reviewed.
 *
 *   golden [--update] DIRECTORY
 *
 * Each directory below DIRECTORY that holds *.yaml is a case:
 *
 *   *.yaml  ──► objects ──► model.txt  image.txt  certs.txt  plan.txt  endpoints.txt
 *   options.txt                 └──► findings.txt, of all stages
 *
 * options.txt may say `workers N`, `class NAME`, `namespace NAME`, `watch-without-class` and
 * `set KEY VALUE` (a cluster-wide setting), one a line. Hash keys, clock and the
 * judgement about certificates are fixed: a "PEM" here is a text in which
 * `pair=X` has to be the same in certificate and key; `names=`, `from=` and `until=` are
 * the facts.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "compile/compile.h"
#include "image/certs.h"
#include "image/endpoints.h"
#include "image/image.h"
#include "kube/store.h"

enum { PATH_TEXT_MAX = 1024, FILE_MAX_BYTES = 16 << 20, WORKERS_DEFAULT = 4, SETTINGS_MAX = 32 };

/* 2026-01-01T00:00:00Z */
static const uint64_t now_s = 1767225600;

static const struct siphash_key fixed_table_key = { .k0 = 1, .k1 = 2 };
static const struct host_hash_key fixed_dispatch_key = { .k0 = 3, .k1 = 4 };

enum stage {
	STAGE_MODEL,
	STAGE_IMAGE,
	STAGE_CERTS,
	STAGE_PLAN,
	STAGE_ENDPOINTS,
	STAGE_FINDINGS,
	STAGE_COUNT,
};

static const char *const stage_files[STAGE_COUNT] = {
	[STAGE_MODEL] = "model.txt",         [STAGE_IMAGE] = "image.txt",
	[STAGE_CERTS] = "certs.txt",         [STAGE_PLAN] = "plan.txt",
	[STAGE_ENDPOINTS] = "endpoints.txt", [STAGE_FINDINGS] = "findings.txt",
};

struct golden {
	const char *directory;
	bool is_update;
	unsigned int cases, same, different;
};

struct test_case {
	const char *name;
	char path[PATH_TEXT_MAX];
	struct arena arena;
	struct compile_options options;
	struct object_pair settings[SETTINGS_MAX];
	struct store *store;
	struct buf texts[STAGE_COUNT];
};

/* ------------------------------------------------------------------- files */

static void fail(const char *path, const char *what)
{
	fprintf(stderr, "golden: %s: %s\n", path, what);
	exit(1);
}

/* The file @name of the case, in its arena; absent where there is none. */
static struct str read_file(struct test_case *test, const char *name)
{
	char path[PATH_TEXT_MAX];
	struct str text;
	FILE *file;
	size_t len;
	char *at;

	snprintf(path, sizeof(path), "%.900s/%.100s", test->path, name);
	file = fopen(path, "r");
	if (!file)
		return str_of(NULL, 0);
	at = mem_new(FILE_MAX_BYTES, 1);
	len = fread(at, 1, FILE_MAX_BYTES, file);
	if (ferror(file) || len == FILE_MAX_BYTES)
		fail(path, "cannot be read, or is too large");
	fclose(file);
	text = arena_copy(&test->arena, str_of(at, len));
	mem_free(at);
	return text;
}

static void write_file(const struct test_case *test, const char *name, struct str text)
{
	char path[PATH_TEXT_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%.900s/%.100s", test->path, name);
	file = fopen(path, "w");
	if (!file || fwrite(text.at, 1, text.len, file) != text.len || fclose(file) != 0)
		fail(path, "cannot be written");
}

static int is_manifest(const struct dirent *entry)
{
	return str_ends_with(str_from_c(entry->d_name), STR(".yaml"));
}

static void read_manifests(struct test_case *test)
{
	struct dirent **entries;
	int count = scandir(test->path, &entries, is_manifest, alphasort);

	for (int i = 0; i < count; i++) {
		struct decoded decoded;

		decoded_init(&decoded);
		decode_text(str_from_c(entries[i]->d_name), read_file(test, entries[i]->d_name),
			    NODE_FORMAT_YAML, &decoded);
		store_put_origin(test->store, str_from_c(entries[i]->d_name), &decoded);
		decoded_release(&decoded);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

/* ----------------------------------------------------------------- options */

static void read_option(struct test_case *test, struct str line)
{
	struct compile_options *options = &test->options;
	struct str name, value = STR("");
	uint64_t number;

	str_take_part(&line, ' ', &name);
	if (str_eq(name, STR("set"))) {
		struct object_pair *pair = &test->settings[options->settings.count++];

		if (options->settings.count > SETTINGS_MAX ||
		    !str_take_part(&line, ' ', &pair->key))
			fail(test->path, "options.txt: set wants a key, or there are too many");
		pair->value = line.at ? line : STR("");
		options->settings.at = test->settings;
		return;
	}
	str_take_part(&line, ' ', &value);
	if (str_eq(name, STR("workers")) && str_parse_u64(value, WORKERS_MAX, &number) == 0)
		options->worker_count = (uint16_t)number;
	else if (str_eq(name, STR("class")))
		options->classes.name = value;
	else if (str_eq(name, STR("namespace")))
		options->classes.namespace = value;
	else if (str_eq(name, STR("take-over")))
		options->classes.take_over = value;
	else if (str_eq(name, STR("watch-without-class")))
		options->classes.watch_nameless = true;
	else
		fail(test->path, "options.txt: unknown option");
}

/* What stands behind @name in a fake PEM, up to a space or line feed. */
static struct str fact(struct str pem, const char *name)
{
	const char *at = memmem(pem.at, pem.len, name, strlen(name));
	struct str rest, value;

	if (!at)
		return STR("");
	rest = str_of(at + strlen(name), pem.len - (size_t)(at - pem.at) - strlen(name));
	str_take_part(&rest, '\n', &value);
	rest = value;
	str_take_part(&rest, ' ', &value);
	return value;
}

static int64_t fact_time(struct str pem, const char *name)
{
	uint64_t seconds = 0;

	str_parse_u64(fact(pem, name), INT64_MAX, &seconds);
	return (int64_t)seconds;
}

static int check_pair(void *context, struct str chain, struct str key, struct arena *arena,
		      struct cert_facts *facts, struct err *err)
{
	struct str names = arena_copy(arena, fact(chain, "names="));
	struct str *to = arena_new(arena, names.len + 1, sizeof(*to));

	(void)context;
	if (!str_eq(fact(chain, "pair="), fact(key, "pair=")))
		return err_set(err, -EINVAL, "key does not fit the certificate");
	facts->not_before_s = fact_time(chain, "from=");
	facts->not_after_s = fact_time(chain, "until=");
	facts->names = to;
	while (names.len && str_take_part(&names, ',', &to[facts->name_count]))
		facts->name_count++;
	return 0;
}

static void case_init(struct test_case *test, const char *directory, const char *name)
{
	struct str text, line;

	*test = (struct test_case){ .name = name };
	snprintf(test->path, sizeof(test->path), "%.700s/%.255s", directory, name);
	arena_init(&test->arena, 0);
	test->options = (struct compile_options){ .worker_count = WORKERS_DEFAULT,
						  .table_key = fixed_table_key,
						  .dispatch_key = fixed_dispatch_key,
						  .check_pair = check_pair };
	text = read_file(test, "options.txt");
	while (str_take_part(&text, '\n', &line)) {
		if (line.len)
			read_option(test, line);
	}
	test->store = store_new();
	for (int i = 0; i < STAGE_COUNT; i++)
		buf_init(&test->texts[i], 0);
}

static void case_release(struct test_case *test)
{
	for (int i = 0; i < STAGE_COUNT; i++)
		buf_release(&test->texts[i]);
	store_free(test->store);
	arena_release(&test->arena);
}

/* ------------------------------------------------------------------ stages */

static void dump_findings(const struct findings *findings, struct buf *out)
{
	for (size_t i = 0; i < findings->list.len; i++) {
		finding_format(&findings->list.at[i], out);
		buf_add_char(out, '\n');
	}
}

/* Opens what was written, as the proxy would, and prints it. */
static void dump_output(struct test_case *test, const struct compile_output *output)
{
	struct image image;
	struct certs certs;
	struct endpoints endpoints;
	struct err err = { 0 };

	if (image_open(output->image, &image, &err) < 0 ||
	    certs_open(output->certs, &certs, &err) < 0 ||
	    endpoints_open(output->endpoints, &endpoints, &err) < 0)
		fail(test->path, err.text);
	image_dump(&image, &test->texts[STAGE_IMAGE]);
	certs_dump(&certs, &test->texts[STAGE_CERTS]);
	endpoints_dump(&endpoints, &test->texts[STAGE_ENDPOINTS]);
	plan_dump(&output->plan, &test->texts[STAGE_PLAN]);
}

static void compile_case(struct test_case *test)
{
	const struct object_set *set = store_set(test->store);
	struct compiler *compiler = compiler_new(&test->options);
	struct compile_output output;
	struct findings findings;
	struct err err = { 0 };

	findings_init(&findings);
	compile_output_init(&output);
	store_findings(test->store, &findings);
	if (compile_routes(compiler, set, 1, &output, &findings) < 0 ||
	    compile_endpoints(compiler, set, 1, &output, &findings) < 0)
		fail(test->path, "does not compile");
	if (model_check(compiler_model(compiler), &err) < 0)
		fail(test->path, err.text);
	model_dump(compiler_model(compiler), &test->texts[STAGE_MODEL]);
	dump_output(test, &output);
	dump_findings(&findings, &test->texts[STAGE_FINDINGS]);
	compile_output_release(&output);
	findings_release(&findings);
	compiler_free(compiler);
}

/* ----------------------------------------------------------------- compare */

/* The first line in which the two differ, with its number. */
static void show_difference(const struct test_case *test, const char *file, struct str expected,
			    struct str actual)
{
	unsigned int number = 0;
	struct str left, right;

	do {
		left = right = STR("(end of text)");
		number++;
		str_take_part(&expected, '\n', &left);
		str_take_part(&actual, '\n', &right);
	} while (str_eq(left, right) && (expected.at || actual.at));
	printf("%s/%s:%u\n  expected: %.*s\n  actual:   %.*s\n", test->path, file, number,
	       STR_ARG(left), STR_ARG(right));
}

static void judge_stage(struct golden *golden, struct test_case *test, enum stage stage)
{
	struct str actual = buf_str(&test->texts[stage]);
	struct str expected = read_file(test, stage_files[stage]);

	if (expected.at && str_eq(expected, actual)) {
		golden->same++;
		return;
	}
	golden->different++;
	if (golden->is_update)
		write_file(test, stage_files[stage], actual);
	else
		show_difference(test, stage_files[stage], expected, actual);
}

static void run_case(struct golden *golden, const char *name)
{
	struct test_case test;

	case_init(&test, golden->directory, name);
	read_manifests(&test);
	compile_case(&test);
	for (enum stage stage = 0; stage < STAGE_COUNT; stage++)
		judge_stage(golden, &test, stage);
	golden->cases++;
	case_release(&test);
}

static bool has_manifests(const char *directory, const char *name)
{
	char path[PATH_TEXT_MAX];
	struct dirent **entries;
	int count;

	snprintf(path, sizeof(path), "%.700s/%.255s", directory, name);
	count = scandir(path, &entries, is_manifest, alphasort);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	if (count >= 0)
		free(entries);
	return count > 0;
}

/* The objects of kube/ are golden files of another kind, with a test of their own. */
static int is_case(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strcmp(entry->d_name, "objects") != 0;
}

int main(int argc, char **argv)
{
	struct golden golden = { 0 };
	struct dirent **entries;
	int count;

	golden.is_update = argc == 3 && strcmp(argv[1], "--update") == 0;
	if (argc != 2 && !golden.is_update) {
		fprintf(stderr, "usage: golden [--update] DIRECTORY\n");
		return 2;
	}
	golden.directory = argv[argc - 1];
	clock_freeze(1, now_s * NS_PER_S);
	count = scandir(golden.directory, &entries, is_case, alphasort);
	for (int i = 0; i < count; i++) {
		if (has_manifests(golden.directory, entries[i]->d_name))
			run_case(&golden, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	if (golden.is_update)
		printf("golden: %u cases, %u texts as reviewed, %u updated\n", golden.cases,
		       golden.same, golden.different);
	else
		printf("golden: %u passed, %u failed\n", golden.same, golden.different);
	return golden.cases > 0 && (golden.is_update || golden.different == 0) ? 0 : 1;
}
