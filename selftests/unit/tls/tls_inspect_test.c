// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates: what inspection says about good ones and bad ones, what the loader
 * refuses, and the certificate that is made here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "tls/tls.h"
#include "tls/tls_inspect.h"

static struct arena arena;
static struct buf chain, key;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, 0);
	buf_init(&chain, 0);
	buf_init(&key, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_release(&arena);
	buf_release(&chain);
	buf_release(&key);
	return 0;
}

/* ---- a certificate of any key with any names, made by OpenSSL alone ----------------------------
 */

static void add_pem(struct buf *to, BIO *bio)
{
	char *at;
	long len = BIO_get_mem_data(bio, &at);

	buf_add(to, str_of(at, (size_t)len));
	BIO_free(bio);
}

/* Appends to chain and key; @alt_names as in openssl.cnf, or NULL. Takes @pkey. */
static void make(EVP_PKEY *pkey, const char *subject, const char *alt_names, const EVP_MD *md)
{
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);
	BIO *out = BIO_new(BIO_s_mem());

	assert_non_null(pkey);
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
	ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20260101000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(certificate), "20270101000000Z");
	if (subject)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject,
					   -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, pkey);
	if (alt_names) {
		X509_EXTENSION *extension =
			X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt_names);

		assert_non_null(extension);
		X509_add_ext(certificate, extension, -1);
		X509_EXTENSION_free(extension);
	}
	assert_true(X509_sign(certificate, pkey, md) > 0);
	PEM_write_bio_X509(out, certificate);
	add_pem(&chain, out);
	out = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL);
	add_pem(&key, out);
	X509_free(certificate);
	EVP_PKEY_free(pkey);
}

static void expect_good(struct tls_inspection *inspection)
{
	struct err err = { 0 };

	if (tls_inspect(buf_str(&chain), buf_str(&key), &arena, inspection, &err))
		fail_msg("%s", err.text);
}

/* Both the agent's look and the worker's loader refuse, with the same words. */
static void expect_refused(struct str chain_pem, struct str key_pem, const char *text)
{
	struct tls_options options = { 0 };
	struct tls_inspection inspection;
	struct tls_context *context;
	struct tls_cert *cert;
	struct err err = { 0 };

	assert_int_equal(tls_inspect(chain_pem, key_pem, &arena, &inspection, &err), -EINVAL);
	if (!strstr(err.text, text))
		fail_msg("'%s', expected '%s'", err.text, text);
	assert_int_equal(tls_context_new(&options, &context, &err), 0);
	err.text[0] = 0;
	assert_int_equal(tls_cert_load(context, chain_pem, key_pem, &cert, &err), -EINVAL);
	if (!strstr(err.text, text))
		fail_msg("'%s', expected '%s'", err.text, text);
	tls_context_free(context);
	assert_int_equal(ERR_peek_error(), 0);
}

/* ---- good ones ------------------------------------------------------------------------------ */

static void test_self_signed(void **state)
{
	struct tls_inspection inspection;
	uint64_t now_s = clock_wall_ns() / NS_PER_S;
	struct err err;

	(void)state;
	assert_int_equal(tls_self_signed(STR(TLS_DEFAULT_CERTIFICATE_NAME), 365, &chain, &key,
					 &err),
			 0);
	expect_good(&inspection);
	assert_true(str_eq_c(inspection.subject, TLS_DEFAULT_CERTIFICATE_NAME));
	assert_true(str_eq_c(inspection.issuer, TLS_DEFAULT_CERTIFICATE_NAME));
	assert_int_equal(inspection.chain_count, 1);
	assert_string_equal(inspection.key_type, "EC P-256");
	assert_int_equal(strlen(inspection.fingerprint), 64);
	assert_true(inspection.not_before_s < now_s);
	assert_in_range(inspection.not_after_s, now_s + 364 * 86400, now_s + 366 * 86400);
}

static void test_self_signed_for_a_name(void **state)
{
	struct tls_inspection inspection;
	struct err err;

	(void)state;
	assert_int_equal(tls_self_signed(STR("*.Example.com"), 1, &chain, &key, &err), 0);
	expect_good(&inspection);
	assert_int_equal(inspection.name_count, 1);
	assert_true(str_eq_c(inspection.names[0], "*.example.com"));
}

static void test_two_are_not_the_same(void **state)
{
	struct tls_inspection a, b;
	struct err err;

	(void)state;
	assert_int_equal(tls_self_signed(STR("a"), 1, &chain, &key, &err), 0);
	expect_good(&a);
	buf_reset(&chain);
	buf_reset(&key);
	assert_int_equal(tls_self_signed(STR("a"), 1, &chain, &key, &err), 0);
	expect_good(&b);
	assert_string_not_equal(a.fingerprint, b.fingerprint);
}

static void test_names(void **state)
{
	struct tls_inspection inspection;

	(void)state;
	make(EVP_EC_gen("P-384"), "ignored.example",
	     "DNS:A.Example,IP:10.0.0.1,DNS:*.b.example,email:x@y.z", EVP_sha384());
	expect_good(&inspection);
	assert_int_equal(inspection.name_count, 2);
	assert_true(str_eq_c(inspection.names[0], "a.example"));
	assert_true(str_eq_c(inspection.names[1], "*.b.example"));
	assert_true(str_eq_c(inspection.subject, "ignored.example"));
	assert_string_equal(inspection.key_type, "EC P-384");
	assert_int_equal(inspection.not_before_s, 1767225600);
	assert_int_equal(inspection.not_after_s, 1798761600);
}

static void test_common_name_alone(void **state)
{
	struct tls_inspection inspection;

	(void)state;
	make(EVP_EC_gen("P-256"), "Only.Example", "IP:10.0.0.1", EVP_sha256());
	expect_good(&inspection);
	assert_int_equal(inspection.name_count, 1);
	assert_true(str_eq_c(inspection.names[0], "only.example"));
}

static void test_no_name(void **state)
{
	struct tls_inspection inspection;

	(void)state;
	make(EVP_EC_gen("P-256"), NULL, NULL, EVP_sha256());
	expect_good(&inspection);
	assert_int_equal(inspection.name_count, 0);
	assert_int_equal(inspection.subject.len, 0);
	assert_non_null(inspection.subject.at);
}

static void test_rsa(void **state)
{
	struct tls_inspection inspection;

	(void)state;
	make(EVP_RSA_gen(2048), "a", NULL, EVP_sha256());
	expect_good(&inspection);
	assert_string_equal(inspection.key_type, "RSA 2048");
}

static void test_ed25519(void **state)
{
	struct tls_inspection inspection;

	(void)state;
	make(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), "a", NULL, NULL);
	expect_good(&inspection);
	assert_string_equal(inspection.key_type, "ED25519");
}

static void test_chain(void **state)
{
	struct tls_inspection inspection;
	struct buf first_key;

	(void)state;
	buf_init(&first_key, 0);
	make(EVP_EC_gen("P-256"), "leaf", NULL, EVP_sha256());
	buf_add(&first_key, buf_str(&key));
	buf_add_c(&chain, "some text between them\n");
	make(EVP_EC_gen("P-256"), "intermediate", NULL, EVP_sha256());
	buf_reset(&key);
	buf_add(&key, buf_str(&first_key));
	expect_good(&inspection);
	assert_int_equal(inspection.chain_count, 2);
	assert_true(str_eq_c(inspection.subject, "leaf"));
	buf_release(&first_key);
}

/* The older form of EC keys, with its parameters before it. */
static void test_old_key_form(void **state)
{
	struct tls_inspection inspection;
	BIO *in, *out = BIO_new(BIO_s_mem());
	EVP_PKEY *pkey;

	(void)state;
	make(EVP_EC_gen("P-256"), "a", NULL, EVP_sha256());
	in = BIO_new_mem_buf(key.at, (int)key.len);
	pkey = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	BIO_free(in);
	buf_reset(&key);
	buf_add_c(&key, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
			"-----END EC PARAMETERS-----\n");
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(out, pkey, NULL, NULL, 0, NULL, NULL),
			 1);
	add_pem(&key, out);
	EVP_PKEY_free(pkey);
	expect_good(&inspection);
}

/* ---- bad ones ------------------------------------------------------------------------------- */

static void test_wrong_key(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(tls_self_signed(STR("a"), 1, &chain, &key, &err), 0);
	buf_reset(&key);
	assert_int_equal(tls_self_signed(STR("a"), 1, &chain, &key, &err), 0);
	expect_refused(buf_str(&chain), buf_str(&key), "private key does not fit the certificate");
}

static void test_not_pem(void **state)
{
	struct err err;
	struct str good_chain, good_key;

	(void)state;
	assert_int_equal(tls_self_signed(STR("a"), 1, &chain, &key, &err), 0);
	good_chain = buf_str(&chain);
	good_key = buf_str(&key);
	expect_refused(STR(""), good_key, "no certificate in PEM form");
	expect_refused(STR("hello"), good_key, "no certificate in PEM form");
	expect_refused(good_key, good_key, "no certificate in PEM form");
	expect_refused(good_chain, STR(""), "no private key in PEM form");
	expect_refused(good_chain, STR("\xff\0\x01"), "no private key in PEM form");
	expect_refused(good_chain, good_chain, "no private key in PEM form");
	expect_refused(str_of(NULL, 0), str_of(NULL, 0), "no certificate in PEM form");
	expect_refused(STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		       good_key, "certificate 1 cannot be read");
	expect_refused(STR("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), good_key,
		       "certificate 1 cannot be read");
	expect_refused(str_slice(good_chain, 0, good_chain.len / 2), good_key,
		       "certificate 1 cannot be read");
	expect_refused(good_chain,
		       STR("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		       "private key cannot be read");
	buf_add_c(&chain, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	expect_refused(buf_str(&chain), good_key, "certificate 2 cannot be read");
}

static void test_encrypted_key(void **state)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	BIO *out = BIO_new(BIO_s_mem());

	(void)state;
	PEM_write_bio_PKCS8PrivateKey(out, pkey, EVP_aes_256_cbc(), "secret", 6, NULL, NULL);
	make(pkey, "a", NULL, EVP_sha256());
	buf_reset(&key);
	add_pem(&key, out);
	expect_refused(buf_str(&chain), buf_str(&key), "private key is encrypted");
}

static void test_too_many_certificates(void **state)
{
	struct buf one;

	(void)state;
	buf_init(&one, 0);
	make(EVP_EC_gen("P-256"), "a", NULL, EVP_sha256());
	buf_add(&one, buf_str(&chain));
	for (size_t i = 0; i < TLS_CHAIN_CERTS_MAX; i++)
		buf_add(&chain, buf_str(&one));
	expect_refused(buf_str(&chain), buf_str(&key), "more than 16 certificates");
	buf_release(&one);
}

/* Weak ones parse, but no worker would be able to serve them: the agent says so. */
static void test_weak(void **state)
{
	struct tls_inspection inspection;
	struct err err;

	(void)state;
	make(EVP_RSA_gen(1024), "a", NULL, EVP_sha256());
	assert_int_equal(tls_inspect(buf_str(&chain), buf_str(&key), &arena, &inspection, &err),
			 -EINVAL);
	assert_string_equal(err.text, "certificate cannot be served: ee key too small");
}

/* ---- names against hosts ----------------------------------------------------------------------
 */

static void test_name_covers(void **state)
{
	static const struct {
		const char *name, *host;
		bool covers;
	} cases[] = {
		{ "a.example", "a.example", true },
		{ "A.Example", "a.example", true },
		{ "a.example", "b.example", false },
		{ "a.example", "x.a.example", false },
		{ "*.example", "a.example", true },
		{ "*.EXAMPLE", "a.example", true },
		{ "*.example", "b.a.example", false },
		{ "*.example", "example", false },
		{ "*.example", ".example", false },
		{ "*.example", "*.example", true },
		{ "*", "a", false },
		{ "*.", "a.", false },
		{ "a.*", "a.b", false },
		{ "", "a", false },
		{ "*.a.example", "b.a.example", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (tls_name_covers(str_from_c(cases[i].name), str_from_c(cases[i].host)) !=
		    cases[i].covers)
			fail_msg("'%s' and '%s'", cases[i].name, cases[i].host);
	}
}

static void test_cert_counts(void **state)
{
	struct tls_options options = { 0 };
	struct tls_context *context;
	struct tls_cert *cert;
	struct err err;

	(void)state;
	assert_int_equal(tls_self_signed(STR("a"), 1, &chain, &key, &err), 0);
	assert_int_equal(tls_context_new(&options, &context, &err), 0);
	assert_int_equal(tls_cert_load(context, buf_str(&chain), buf_str(&key), &cert, &err), 0);
	assert_ptr_equal(tls_cert_get(cert), cert);
	tls_cert_put(cert);
	tls_cert_put(cert);
	tls_context_free(context);
	options.alpn =
		STR("0123456789012345678901234567890123456789012345678901234567890123456789");
	assert_int_equal(tls_context_new(&options, &context, &err), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_self_signed),
		TEST(test_self_signed_for_a_name),
		TEST(test_two_are_not_the_same),
		TEST(test_names),
		TEST(test_common_name_alone),
		TEST(test_no_name),
		TEST(test_rsa),
		TEST(test_ed25519),
		TEST(test_chain),
		TEST(test_old_key_form),
		TEST(test_wrong_key),
		TEST(test_not_pem),
		TEST(test_encrypted_key),
		TEST(test_too_many_certificates),
		TEST(test_weak),
		TEST(test_name_covers),
		TEST(test_cert_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
