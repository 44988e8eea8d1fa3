// SPDX-License-Identifier: Apache-2.0
/*
 * tls_pem: certificates and keys out of text.
 *
 * The worker's loader and the agent's inspection read Secrets with the same code, so
 * that what the one let pass the other can use.
 */
#include <errno.h>
#include <limits.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls/tls_internal.h"

const char *tls_take_error(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return reason ? reason : "unknown reason";
}

/* A BIO over @bytes; NULL when memory runs out or @bytes are absurd. */
static BIO *bio_over(struct str bytes)
{
	if (bytes.len > INT_MAX)
		return NULL;
	return BIO_new_mem_buf(bytes.at ? bytes.at : "", (int)bytes.len); /* just checked */
}

/* An encrypted key is refused: there is nobody to ask. */
static int refuse_password(char *password, int size, int is_for_writing, void *is_asked)
{
	(void)password;
	(void)size;
	(void)is_for_writing;
	*(bool *)is_asked = true;
	return -1;
}

/* The next certificate; NULL at the end and on errors, which stay in OpenSSL's queue. */
static X509 *read_certificate(OSSL_LIB_CTX *library, BIO *bio)
{
	X509 *certificate = X509_new_ex(library, NULL);
	bool is_asked = false;

	if (certificate && !PEM_read_bio_X509(bio, &certificate, refuse_password, &is_asked)) {
		X509_free(certificate);
		return NULL;
	}
	return certificate;
}

static bool is_end_of_pem(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static int read_all(OSSL_LIB_CTX *library, BIO *bio, STACK_OF(X509) * chain, struct err *err)
{
	X509 *certificate;

	ERR_clear_error();
	while ((certificate = read_certificate(library, bio))) {
		if (sk_X509_num(chain) == TLS_CHAIN_CERTS_MAX) {
			X509_free(certificate);
			return err_set(err, -EINVAL, "more than %d certificates in the chain",
				       TLS_CHAIN_CERTS_MAX);
		}
		if (!sk_X509_push(chain, certificate)) {
			X509_free(certificate);
			return err_set(err, -ENOMEM, "out of memory");
		}
	}
	if (!is_end_of_pem())
		return err_set(err, -EINVAL, "certificate %d cannot be read: %s",
			       sk_X509_num(chain) + 1, tls_take_error());
	ERR_clear_error();
	if (sk_X509_num(chain) == 0)
		return err_set(err, -EINVAL, "no certificate in PEM form");
	return 0;
}

int tls_pem_read_chain(OSSL_LIB_CTX *library, struct str pem, X509 **leaf, STACK_OF(X509) * *chain,
		       struct err *err)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *bio = bio_over(pem);
	int result = -ENOMEM;

	if (all && bio)
		result = read_all(library, bio, all, err);
	else
		err_set(err, result, "out of memory");
	BIO_free(bio);
	if (result) {
		sk_X509_pop_free(all, X509_free);
		return result;
	}
	*leaf = sk_X509_shift(all);
	*chain = all;
	return 0;
}

/* OpenSSL's error for text without a key is "unsupported", which helps nobody. */
static bool has_private_key(struct str pem)
{
	const struct str label = STR_INIT("PRIVATE KEY-----");

	return pem.len && memmem(pem.at, pem.len, label.at, label.len);
}

/* Any key, by trying all that OpenSSL knows; it says why not. */
static int read_any_key(OSSL_LIB_CTX *library, BIO *bio, EVP_PKEY **key, struct err *err)
{
	bool is_asked = false;

	*key = PEM_read_bio_PrivateKey_ex(bio, NULL, refuse_password, &is_asked, library, NULL);
	if (*key)
		return 0;
	if (is_asked)
		return err_set(err, -EINVAL, "private key is encrypted");
	return err_set(err, -EINVAL, "private key cannot be read: %s", tls_take_error());
}

/*
 * The key in plain form, when it is of the type that @leaf asks for; NULL otherwise. OpenSSL 3.0
 * needs 336 us to try all its readers and 88 us when it is told which one (EC, Zen 5).
 */
static EVP_PKEY *read_key_of(const X509 *leaf, OSSL_LIB_CTX *library, BIO *bio)
{
	const EVP_PKEY *public_key = X509_get0_pubkey(leaf);
	EVP_PKEY *key = NULL;
	unsigned char *bytes;
	char *label, *header;
	long len;

	while (public_key && !key && PEM_read_bio(bio, &label, &header, &bytes, &len) == 1) {
		const unsigned char *at = bytes;

		if (!*header && str_ends_with(str_from_c(label), STR("PRIVATE KEY")))
			key = d2i_PrivateKey_ex(EVP_PKEY_get_base_id(public_key), NULL, &at, len,
						library, NULL);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_clear_free(bytes, (size_t)len); /* not negative */
	}
	return key;
}

int tls_pem_read_key(OSSL_LIB_CTX *library, const X509 *leaf, struct str pem, EVP_PKEY **key,
		     struct err *err)
{
	int result = 0;
	BIO *bio;

	if (!has_private_key(pem))
		return err_set(err, -EINVAL, "no private key in PEM form");
	bio = bio_over(pem);
	if (!bio)
		return err_set(err, -ENOMEM, "out of memory");
	*key = read_key_of(leaf, library, bio);
	if (!*key) {
		(void)BIO_reset(bio); /* cannot fail on memory */
		result = read_any_key(library, bio, key, err);
	}
	ERR_clear_error();
	BIO_free(bio);
	return result;
}

int tls_pem_check_pair(X509 *leaf, EVP_PKEY *key, struct err *err)
{
	bool is_pair = X509_check_private_key(leaf, key) == 1;

	ERR_clear_error();
	if (!is_pair)
		return err_set(err, -EINVAL, "private key does not fit the certificate");
	return 0;
}
