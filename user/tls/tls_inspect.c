// SPDX-License-Identifier: Apache-2.0
/*
 * tls_inspect: reads a chain and its key as a worker would, and says what is in them.
 */
#include "tls/tls_inspect.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/tls_internal.h"

enum { FINGERPRINT_BYTES = 32 };

/* ---- names ---------------------------------------------------------------------------------- */

static struct str copy_lower(struct arena *arena, struct str text)
{
	char *at = arena_new(arena, text.len + 1, 1);

	for (size_t i = 0; i < text.len; i++)
		at[i] = char_lower(text.at[i]);
	return str_of(at, text.len);
}

/* Bytes of a string type; absent where they hold a NUL, which has fooled readers before. */
static struct str string_bytes(const ASN1_STRING *string)
{
	/* OpenSSL counts bytes in unsigned char and int; lengths are not negative. */
	struct str bytes = str_of((const char *)ASN1_STRING_get0_data(string),
				  (size_t)ASN1_STRING_length(string));

	return bytes.len && memchr(bytes.at, 0, bytes.len) ? str_of(NULL, 0) : bytes;
}

/* The last common name of @name; empty where there is none. */
static struct str common_name(struct arena *arena, const X509_NAME *name)
{
	struct str text = str_of("", 0);
	int at = -1, next;

	while ((next = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
		at = next;
	if (at >= 0)
		text = string_bytes(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	return arena_copy(arena, text.at ? text : str_of("", 0));
}

static void add_name(struct tls_inspection *inspection, struct arena *arena, struct str name)
{
	if (name.len && inspection->name_count < TLS_NAMES_MAX)
		inspection->names[inspection->name_count++] = copy_lower(arena, name);
}

/* RFC 6125 6.4.4: the common name counts only where there is no DNS name. */
static void read_names(struct tls_inspection *inspection, X509 *leaf, struct arena *arena)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);

	inspection->names = arena_new(arena, TLS_NAMES_MAX, sizeof(*inspection->names));
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			add_name(inspection, arena, string_bytes(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	if (inspection->name_count == 0)
		add_name(inspection, arena, inspection->subject);
}

/* ---- facts ---------------------------------------------------------------------------------- */

static uint64_t seconds_of(const ASN1_TIME *time)
{
	struct tm tm;
	time_t seconds;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return 0;
	seconds = timegm(&tm);
	return seconds > 0 ? (uint64_t)seconds : 0;
}

static void describe_key(const EVP_PKEY *key, char text[16])
{
	static const struct {
		const char *group;
		const char *text;
	} curves[] = {
		{ "prime256v1", "EC P-256" },
		{ "secp384r1", "EC P-384" },
		{ "secp521r1", "EC P-521" },
	};
	char group[32] = "";

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
		EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
		snprintf(text, 16, "EC %.12s", group);
		for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
			if (strcmp(group, curves[i].group) == 0)
				snprintf(text, 16, "%s", curves[i].text);
		}
		return;
	}
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		snprintf(text, 16, "RSA %d", EVP_PKEY_get_bits(key));
	else
		snprintf(text, 16, "%.15s", EVP_PKEY_get0_type_name(key));
}

static void read_fingerprint(X509 *leaf, char text[2 * FINGERPRINT_BYTES + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	text[0] = 0;
	if (X509_digest(leaf, EVP_sha256(), digest, &len) != 1)
		return;
	for (unsigned i = 0; i < FINGERPRINT_BYTES && i < len; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
}

/* Whether a worker will take it: the same rules for keys, sizes and signatures. */
static int check_servable(X509 *leaf, EVP_PKEY *key, STACK_OF(X509) * chain, struct err *err)
{
	SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_server_method());
	int result = 0;

	if (!ssl_ctx)
		return err_set(err, -ENOMEM, "out of memory");
	SSL_CTX_set_security_level(ssl_ctx, TLS_SECURITY_LEVEL);
	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(ssl_ctx, leaf, key, chain, 1) != 1)
		result =
			err_set(err, -EINVAL, "certificate cannot be served: %s", tls_take_error());
	SSL_CTX_free(ssl_ctx);
	return result;
}

static void read_facts(struct tls_inspection *inspection, X509 *leaf, const EVP_PKEY *key,
		       struct arena *arena)
{
	inspection->subject = common_name(arena, X509_get_subject_name(leaf));
	inspection->issuer = common_name(arena, X509_get_issuer_name(leaf));
	inspection->not_before_s = seconds_of(X509_get0_notBefore(leaf));
	inspection->not_after_s = seconds_of(X509_get0_notAfter(leaf));
	describe_key(key, inspection->key_type);
	read_fingerprint(leaf, inspection->fingerprint);
	read_names(inspection, leaf, arena);
	ERR_clear_error();
}

int tls_inspect(struct str chain_pem, struct str key_pem, struct arena *arena,
		struct tls_inspection *inspection, struct err *err)
{
	STACK_OF(X509) *chain = NULL;
	EVP_PKEY *key = NULL;
	X509 *leaf = NULL;
	int result = tls_pem_read_chain(NULL, chain_pem, &leaf, &chain, err);

	if (!result)
		result = tls_pem_read_key(NULL, leaf, key_pem, &key, err);
	if (!result)
		result = tls_pem_check_pair(leaf, key, err);
	if (!result)
		result = check_servable(leaf, key, chain, err);
	if (!result) {
		*inspection = (struct tls_inspection){
			.chain_count = (size_t)sk_X509_num(chain) + 1, /* not negative */
		};
		read_facts(inspection, leaf, key, arena);
	}
	X509_free(leaf);
	EVP_PKEY_free(key);
	sk_X509_pop_free(chain, X509_free);
	return result;
}

int tls_check_pair(void *context, struct str chain_pem, struct str key_pem, struct arena *arena,
		   struct cert_facts *facts, struct err *err)
{
	struct tls_inspection inspection;
	int rc = tls_inspect(chain_pem, key_pem, arena, &inspection, err);

	(void)context;
	if (rc)
		return rc;
	*facts = (struct cert_facts){
		.not_before_s =
			(int64_t)inspection.not_before_s, /* years after 9999 there are none */
		.not_after_s = (int64_t)inspection.not_after_s,
		.names = inspection.names,
		.name_count = (uint32_t)inspection.name_count, /* TLS_NAMES_MAX at most */
	};
	return 0;
}

bool tls_name_covers(struct str name, struct str host)
{
	struct str parent;

	if (str_eq_nocase(name, host))
		return true;
	if (!str_starts_with(name, STR("*.")))
		return false;
	/* RFC 6125 6.4.3: the star is one whole label, the leftmost. */
	parent = str_slice(host, str_find_char(host, '.'), host.len);
	return parent.len > 1 && parent.len < host.len &&
	       str_eq_nocase(parent, str_slice(name, 1, name.len));
}
