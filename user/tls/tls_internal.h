/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_internal: what the files of this folder share, OpenSSL's types among it. Nobody
 * else includes it.
 */
#ifndef SLUICE_TLS_TLS_INTERNAL_H
#define SLUICE_TLS_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls/tls.h"

/* RSA from 2048, EC from 224 bits, no SHA-1 (SSL_CTX_set_security_level(3)). */
enum { TLS_SECURITY_LEVEL = 2 };

struct tls_cert {
	unsigned ref_count; /* one thread's, so not atomic */
	X509 *leaf;
	EVP_PKEY *key;
	STACK_OF(X509) * chain; /* without the leaf */
};

struct tls_context {
	/* Fixed after new. */
	OSSL_LIB_CTX *library;
	SSL_CTX *ssl_ctx;
	BIO_METHOD *windows; /* see tls_conn.c */
	EVP_CIPHER *ticket_cipher;
	struct tls_options options;
	unsigned char alpn[TLS_ALPN_BYTES_MAX];
	/* This thread only. */
	bool has_current, has_previous;
	struct tls_ticket_key current, previous;
};

/* OpenSSL's newest error as a few words, for as long as the program runs; empties its queue. */
const char *tls_take_error(void);

/* Reads every certificate of @pem; 1 to TLS_CHAIN_CERTS_MAX of them, the leaf taken off the
 * chain. Returns owned. 0, -EINVAL, -ENOMEM. @library may be NULL. */
int tls_pem_read_chain(OSSL_LIB_CTX *library, struct str pem, X509 **leaf, STACK_OF(X509) * *chain,
		       struct err *err);
/* Reads the private key that should fit @leaf; never asks anybody for a password. */
int tls_pem_read_key(OSSL_LIB_CTX *library, const X509 *leaf, struct str pem, EVP_PKEY **key,
		     struct err *err);
/* Whether the two belong together. 0 or -EINVAL. */
int tls_pem_check_pair(X509 *leaf, EVP_PKEY *key, struct err *err);

/* The BIO between OpenSSL and a connection's windows. NULL when memory runs out. */
BIO_METHOD *tls_windows_method_new(void);
/* What OpenSSL calls for each step of a handshake (SSL_CTX_set_info_callback). */
void tls_conn_on_info(const SSL *ssl, int where, int result);

#endif
