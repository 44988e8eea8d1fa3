// SPDX-License-Identifier: Apache-2.0
/* certs: which certificate a server name gets; that no key is ever printed; what is refused. */
#include "image/certs.h"

#include <errno.h>

#include "unit/image/samples.h"

static void test_find(void **state)
{
	static const struct {
		const char *name;
		const char *host;
		int cert;  /* of certs_find */
		int named; /* of certs_find_named, or -1 */
	} cases[] = {
		{ "exact", "one.example.com", 0, 0 },
		{ "wildcard", "x.example.com", 1, 1 },
		{ "wildcard's parent", "example.com", 0, -1 },
		{ "two labels", "a.b.example.com", 0, -1 },
		{ "other exact", "two.example.org", 1, 1 },
		{ "default", "unknown.net", 0, -1 },
		{ "one label", "localhost", 0, -1 },
		{ "no name", "", 0, -1 },
	};
	struct certs certs;
	struct str bytes;
	struct certs_writer *writer = sample_certs(&bytes);

	(void)state;
	assert_int_equal(certs_open(bytes, &certs, NULL), 0);
	assert_int_equal(certs.generation, 5);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str host = str_from_c(cases[i].host);
		const struct cert *cert = certs_find(&certs, host);
		const struct cert *named = certs_find_named(&certs, host);

		if (!cert || (int)certs_index(&certs, cert) != cases[i].cert ||
		    (named ? (int)certs_index(&certs, named) : -1) != cases[i].named)
			fail_msg("%s: wrong certificate", cases[i].name);
	}
	assert_true(str_eq_c(certs_text(&certs, certs.certs[0].key), SAMPLE_SECRET));
	assert_true(str_eq_c(certs_text(&certs, certs.certs[1].secret), "two-tls"));
	certs_writer_free(writer);
}

static void test_dump_without_key(void **state)
{
	struct certs certs;
	struct str bytes;
	struct certs_writer *writer = sample_certs(&bytes);
	struct buf out;
	char *fingerprint;

	(void)state;
	assert_int_equal(certs_open(bytes, &certs, NULL), 0);
	buf_init(&out, 0);
	certs_dump(&certs, &out);
	buf_add_char(&out, 0);
	assert_null(strstr(out.at, "SECRET"));
	assert_null(strstr(out.at, "BEGIN"));
	fingerprint = strstr(out.at, "fingerprint ");
	assert_non_null(fingerprint);
	memset(fingerprint + sizeof("fingerprint ") - 1, '#', 16); /* the one that was computed */
	assert_string_equal(out.at, "certs version 1 generation 5\n"
				    "cert 0 secret 'default'/'one-tls' chain 58 bytes key 65 bytes"
				    " fingerprint ################\n"
				    "cert 1 secret 'default'/'two-tls' chain 58 bytes key 65 bytes"
				    " fingerprint 0000000000001234\n"
				    "name 0 'one.example.com' cert 0\n"
				    "name 1 '*.example.com' cert 1\n"
				    "name 2 'two.example.org' cert 1\n"
				    "default cert 0\n");
	buf_release(&out);
	certs_writer_free(writer);
}

static void test_nothing(void **state)
{
	struct certs_writer *writer = certs_writer_new(1, rules_hash_key);
	struct certs certs;
	struct str bytes;

	(void)state;
	assert_int_equal(certs_writer_finish(writer, &bytes, NULL), 0);
	assert_int_equal(certs_open(bytes, &certs, NULL), 0);
	assert_null(certs_find(&certs, STR("a.b")));
	assert_null(certs_find(&certs, STR("")));
	certs_writer_free(writer);
}

static uint64_t fingerprint_of(const char *chain, const char *key, uint64_t generation)
{
	const struct siphash_key hash_key = { .k0 = generation, .k1 = generation };
	struct certs_writer *writer = certs_writer_new(generation, hash_key);
	struct certs_writer_cert cert = { .chain = str_from_c(chain), .key = str_from_c(key) };
	struct certs certs;
	struct str bytes;
	uint64_t fingerprint;

	certs_writer_add(writer, &cert);
	assert_int_equal(certs_writer_finish(writer, &bytes, NULL), 0);
	assert_int_equal(certs_open(bytes, &certs, NULL), 0);
	fingerprint = certs.certs[0].fingerprint;
	certs_writer_free(writer);
	return fingerprint;
}

static void test_fingerprints(void **state)
{
	(void)state;
	assert_int_equal(fingerprint_of("chain", "key", 1), fingerprint_of("chain", "key", 2));
	assert_int_not_equal(fingerprint_of("chain", "key", 1), fingerprint_of("chain", "kez", 1));
	assert_int_not_equal(fingerprint_of("chain", "key", 1), fingerprint_of("chaim", "key", 1));
	assert_int_not_equal(fingerprint_of("chain", "key", 1), fingerprint_of("chaink", "ey", 1));
}

static void test_refused_by_writer(void **state)
{
	struct certs_writer *writer = certs_writer_new(1, rules_hash_key);
	struct certs_writer_cert cert = { .chain = STR("c"), .key = STR("k") };

	(void)state;
	assert_int_equal(certs_writer_set_default(writer, 0), -EINVAL);
	assert_int_equal(certs_writer_add(writer, &cert), 0);
	assert_int_equal(certs_writer_add_name(writer, STR("a.b"), 0), 0);
	assert_int_equal(certs_writer_add_name(writer, STR("a.b"), 0), -EEXIST);
	assert_int_equal(certs_writer_add_name(writer, STR("A.c"), 0), -EINVAL);
	assert_int_equal(certs_writer_add_name(writer, STR("*"), 0), -EINVAL);
	assert_int_equal(certs_writer_add_name(writer, STR(""), 0), -EINVAL);
	assert_int_equal(certs_writer_add_name(writer, STR("a.c"), 1), -EINVAL);
	assert_int_equal(certs_writer_set_default(writer, 1), -EINVAL);
	certs_writer_free(writer);
}

/* A writable copy of the sample. */
struct broken {
	struct certs_header *header;
	struct certs_name *names;
	struct cert *certs;
	char *strings;
};

#define BREAK(function, statement)                                                                 \
	static void function(struct broken *b)                                                     \
	{                                                                                          \
		statement;                                                                         \
	}

BREAK(default_beyond, b->header->default_cert = 2)
BREAK(wildcard_count, b->header->wildcard_count = 0)
BREAK(hash_key, b->header->keys.exact.k1++)
BREAK(name_beyond, b->names[0].text.offset = UINT32_MAX)
BREAK(name_upper, b->strings[b->names[0].text.offset] = 'O')
BREAK(name_cert, b->names[0].cert = 2)
BREAK(name_reserved, b->names[0].reserved = 1)
BREAK(name_doubled, b->names[0].text = b->names[2].text)
BREAK(chain_beyond, b->certs[0].chain.len = UINT32_MAX)
BREAK(key_beyond, b->certs[1].key.offset = UINT32_MAX)
BREAK(namespace_beyond, b->certs[1].namespace.len = UINT32_MAX)
BREAK(secret_beyond, b->certs[1].secret.offset = UINT32_MAX)

#define CASE(function)                                                                             \
	{                                                                                          \
#function, function                                                                \
	}

static void test_refused_by_verifier(void **state)
{
	static const struct {
		const char *name;
		void (*break_it)(struct broken *);
	} cases[] = {
		CASE(default_beyond), CASE(wildcard_count),   CASE(hash_key),
		CASE(name_beyond),    CASE(name_upper),       CASE(name_cert),
		CASE(name_reserved),  CASE(name_doubled),     CASE(chain_beyond),
		CASE(key_beyond),     CASE(namespace_beyond), CASE(secret_beyond),
	};
	struct str bytes;
	struct certs_writer *writer = sample_certs(&bytes);
	char *copy = mem_new(bytes.len, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct segment_header *header = (struct segment_header *)copy;
		struct certs certs;
		struct err err = { 0 };
		struct broken b;

		memcpy(copy, bytes.at, bytes.len);
		b.header = (struct certs_header *)copy;
		b.names = (void *)(copy + header->sections[CERTS_SECTION_NAMES].offset_bytes);
		b.certs = (void *)(copy + header->sections[CERTS_SECTION_CERTS].offset_bytes);
		b.strings = copy + header->sections[CERTS_SECTION_STRINGS].offset_bytes;
		cases[i].break_it(&b);
		if (certs_open(str_of(copy, bytes.len), &certs, &err) != -EINVAL ||
		    err.text[0] == 0)
			fail_msg("%s: accepted", cases[i].name);
	}
	mem_free(copy);
	certs_writer_free(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_dump_without_key),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_refused_by_writer),
		cmocka_unit_test(test_refused_by_verifier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
