// SPDX-License-Identifier: Apache-2.0
/*
 * corpus: the seeds of the fuzz targets are real segments, written here. A seed that no longer is
 * what the writers write would be refused at its first byte and fuzz nothing, so this fails when
 * the layout moved; SLUICE_CORPUS_UPDATE=1 writes them anew.
 */
#include <stdio.h>
#include <stdlib.h>

#include "unit/image/samples.h"

enum { SEED_MAX = 1 << 20 };

static void write_seed(const char *path, struct str bytes)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes.at, 1, bytes.len, file), bytes.len);
	assert_int_equal(fclose(file), 0);
}

static void check_seed(const char *path, struct str bytes)
{
	char *have = mem_new(SEED_MAX, 1);
	FILE *file;
	size_t len;

	if (getenv("SLUICE_CORPUS_UPDATE"))
		write_seed(path, bytes);
	file = fopen(path, "rb");
	if (!file)
		fail_msg("%s: missing", path);
	len = fread(have, 1, SEED_MAX, file);
	fclose(file);
	if (!str_eq(str_of(have, len), bytes))
		fail_msg("%s: not what the writer writes (SLUICE_CORPUS_UPDATE=1)", path);
	mem_free(have);
}

static void test_image_seeds(void **state)
{
	static const struct rule one[] = { { "a.b", IMAGE_ROUTE_PREFIX, "/" } };
	static const struct rule wide[] = {
		{ "*.b", IMAGE_ROUTE_EXACT, "/a" },    { "*.b", IMAGE_ROUTE_EXACT, "/b" },
		{ "*.b", IMAGE_ROUTE_PREFIX, "/c/d" }, { "*.b", IMAGE_ROUTE_PREFIX, "/c/e" },
		{ "", IMAGE_ROUTE_DEFAULT, NULL },
	};
	struct rules rules;

	(void)state;
	sample_image(&rules);
	check_seed("selftests/fuzz/corpus/image_verify/seed-sample", rules.bytes);
	rules_release(&rules);
	rules_open(&rules, NULL, 0);
	check_seed("selftests/fuzz/corpus/image_verify/seed-empty", rules.bytes);
	rules_release(&rules);
	rules_open(&rules, one, sizeof(one) / sizeof(one[0]));
	check_seed("selftests/fuzz/corpus/image_verify/seed-one", rules.bytes);
	rules_release(&rules);
	rules_open(&rules, wide, sizeof(wide) / sizeof(wide[0]));
	check_seed("selftests/fuzz/corpus/image_verify/seed-wide", rules.bytes);
	rules_release(&rules);
}

static void test_endpoints_seed(void **state)
{
	struct str bytes;
	struct endpoints_writer *writer = sample_endpoints(&bytes);

	(void)state;
	check_seed("selftests/fuzz/corpus/image_endpoints/seed-sample", bytes);
	endpoints_writer_free(writer);
}

static void test_certs_seed(void **state)
{
	struct str bytes;
	struct certs_writer *writer = sample_certs(&bytes);

	(void)state;
	check_seed("selftests/fuzz/corpus/image_certs/seed-sample", bytes);
	certs_writer_free(writer);
}

static void test_sources_seed(void **state)
{
	struct str bytes;
	struct sources_writer *writer = sample_sources(&bytes);

	(void)state;
	check_seed("selftests/fuzz/corpus/image_sources/seed-sample", bytes);
	sources_writer_free(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_seeds),
		cmocka_unit_test(test_endpoints_seed),
		cmocka_unit_test(test_certs_seed),
		cmocka_unit_test(test_sources_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
