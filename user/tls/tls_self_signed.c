// SPDX-License-Identifier: Apache-2.0
/*
 * tls_self_signed: the certificate that is shown when nobody gave one.
 *
 * It proves nothing to anybody; it lets a handshake end so that a person sees which
 * certificate is missing instead of a broken connection.
 */
#include <errno.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "tls/tls_inspect.h"
#include "tls/tls_internal.h"

enum {
	SERIAL_BYTES = 16,
	DAY_S = 86400,
	CLOCK_SKEW_S =
		3600, /* clients whose clock is late shall not see a certificate of tomorrow */
	COMMON_NAME_BYTES_MAX = 64, /* RFC 5280 appendix A: ub-common-name */
	DNS_NAME_BYTES_MAX = 253,
};

static bool set_serial(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool is_done;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and always 16 bytes (RFC 5280 4.1.2.2) */
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	is_done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return is_done;
}

static bool set_validity(X509 *certificate, unsigned days)
{
	time_t now = (time_t)(clock_wall_ns() / NS_PER_S);

	return ASN1_TIME_set(X509_getm_notBefore(certificate), now - CLOCK_SKEW_S) &&
	       ASN1_TIME_set(X509_getm_notAfter(certificate), now + (time_t)days * DAY_S);
}

static bool set_name(X509 *certificate, struct str name)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	int len = name.len < COMMON_NAME_BYTES_MAX ? (int)name.len : COMMON_NAME_BYTES_MAX;

	/* OpenSSL takes text as unsigned char. */
	return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
					  (const unsigned char *)name.at, len, -1, 0) == 1 &&
	       X509_set_issuer_name(certificate, subject) == 1;
}

static bool is_dns_name(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = char_lower(name.at[i]);

		if (!char_is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '.' &&
		    !(c == '*' && i == 0))
			return false;
	}
	return name.len > 0 && name.len <= DNS_NAME_BYTES_MAX;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool is_done;

	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	is_done = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return is_done;
}

static bool add_extensions(X509 *certificate, struct str name)
{
	char dns[sizeof("DNS:") + DNS_NAME_BYTES_MAX] = "DNS:";

	if (!add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(certificate, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(certificate, NID_ext_key_usage, "serverAuth") ||
	    !add_extension(certificate, NID_subject_key_identifier, "hash"))
		return false;
	if (!is_dns_name(name))
		return true;
	memcpy(dns + strlen(dns), name.at, name.len); /* the rest is zero already */
	return add_extension(certificate, NID_subject_alt_name, dns);
}

static bool fill(X509 *certificate, EVP_PKEY *key, struct str name, unsigned days)
{
	return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
	       set_validity(certificate, days) && set_name(certificate, name) &&
	       X509_set_pubkey(certificate, key) == 1 && add_extensions(certificate, name) &&
	       X509_sign(certificate, key, EVP_sha256()) > 0;
}

static void move_text(struct buf *to, BIO *from)
{
	char *at = NULL;
	long len = BIO_get_mem_data(from, &at);

	if (len > 0)
		buf_add(to, str_of(at, (size_t)len)); /* just checked */
}

int tls_self_signed(struct str name, unsigned days, struct buf *chain_pem, struct buf *key_pem,
		    struct err *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	BIO *chain_text = BIO_new(BIO_s_mem());
	BIO *key_text = BIO_new(BIO_s_secmem());
	int result = 0;

	if (!key || !certificate || !chain_text || !key_text ||
	    !fill(certificate, key, name, days) ||
	    PEM_write_bio_X509(chain_text, certificate) != 1 ||
	    PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) != 1) {
		result = err_set(err, -EINVAL, "certificate for '%.*s' cannot be made: %s",
				 STR_ARG(name), tls_take_error());
	} else {
		move_text(chain_pem, chain_text);
		move_text(key_pem, key_text);
	}
	BIO_free(key_text);
	BIO_free(chain_text);
	X509_free(certificate);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return result;
}
