// SPDX-License-Identifier: Apache-2.0
/*
 * tls_context: what all connections of a worker have in common.
 *
 * Protocols and ciphers are Mozilla's "intermediate" list without finite-field
 * Diffie-Hellman: forward secrecy and AEAD throughout, no renegotiation, no
 * compression. Sessions are resumed from tickets alone; there is no cache, so a
 * resumption may come to any worker of the node.
 */
#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "tls/tls_internal.h"

enum { SERVER_NAME_BYTES_MAX = 255 };

static const char ciphers_tls12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
				    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char ciphers_tls13[] =
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";
static const unsigned char session_id_context[] = "sluice";

/* ---- the server name and its certificate --------------------------------------------------- */

/* The SNI in lower case; absent where there is none or it is longer than a name can be. */
static struct str read_server_name(SSL *ssl, char room[SERVER_NAME_BYTES_MAX])
{
	struct str sent = str_from_c(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));

	if (!sent.at || sent.len > SERVER_NAME_BYTES_MAX)
		return str_of(NULL, 0);
	for (size_t i = 0; i < sent.len; i++)
		room[i] = char_lower(sent.at[i]);
	return str_of(room, sent.len);
}

/* Called once the ClientHello was read; a resumed session needs no certificate. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	struct tls_context *context = arg;
	const struct tls_cert *cert;
	char room[SERVER_NAME_BYTES_MAX];
	struct str name = read_server_name(ssl, room);

	if (SSL_session_reused(ssl))
		return SSL_TLSEXT_ERR_OK;
	cert = context->options.on_server_name(context->options.owner, name);
	if (!cert) {
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	if (!SSL_use_cert_and_key(ssl, cert->leaf, cert->key, cert->chain, 1)) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return name.at ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned in_len, void *arg)
{
	const struct tls_context *context = arg;
	/* The prototype of SSL_select_next_proto has no const; it writes only the pointer. */
	unsigned char **selected = (unsigned char **)out;
	int result = SSL_select_next_proto(selected, out_len, context->alpn,
					   (unsigned)context->options.alpn.len, in, in_len);

	(void)ssl;
	return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- tickets -------------------------------------------------------------------------------- */

void tls_ticket_key_make(struct tls_ticket_key *key)
{
	random_bytes(key->name, sizeof(key->name));
	random_bytes(key->aes_key, sizeof(key->aes_key));
	random_bytes(key->hmac_key, sizeof(key->hmac_key));
	key->made_s = clock_wall_ns() / NS_PER_S;
}

static bool set_mac_key(EVP_MAC_CTX *mac, const struct tls_ticket_key *key)
{
	/* OSSL_PARAM has no const; the key is only read. */
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->hmac_key,
						  sizeof(key->hmac_key)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static bool is_too_old(const struct tls_ticket_key *key)
{
	return clock_wall_ns() / NS_PER_S > key->made_s + TLS_TICKET_KEY_AGE_MAX_S;
}

/* The key a ticket was sealed under, or NULL where it is not ours any more. */
static const struct tls_ticket_key *find_key(const struct tls_context *context,
					     const unsigned char *name)
{
	const struct tls_ticket_key *key = NULL;

	if (context->has_current && !memcmp(name, context->current.name, sizeof(key->name)))
		key = &context->current;
	else if (context->has_previous && !memcmp(name, context->previous.name, sizeof(key->name)))
		key = &context->previous;
	return key && !is_too_old(key) ? key : NULL;
}

static int seal_ticket(const struct tls_context *context, unsigned char *name, unsigned char *iv,
		       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct tls_ticket_key *key = &context->current;
	int iv_len = EVP_CIPHER_get_iv_length(context->ticket_cipher);

	memcpy(name, key->name, sizeof(key->name));
	if (RAND_bytes_ex(context->library, iv, (size_t)iv_len, 0) != 1 ||
	    EVP_EncryptInit_ex2(cipher, context->ticket_cipher, key->aes_key, iv, NULL) != 1 ||
	    !set_mac_key(mac, key))
		return -1;
	return 1;
}

/* OpenSSL's contract: -1 failed, 0 ticket not taken, 1 taken, 2 taken and to be replaced. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int is_new)
{
	const struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const struct tls_ticket_key *key;

	if (is_new)
		return seal_ticket(context, name, iv, cipher, mac);
	key = find_key(context, name);
	if (!key)
		return 0;
	if (!set_mac_key(mac, key) ||
	    EVP_DecryptInit_ex2(cipher, context->ticket_cipher, key->aes_key, iv, NULL) != 1)
		return -1;
	return key == &context->current ? 1 : 2;
}

void tls_context_set_ticket_keys(struct tls_context *context, const struct tls_ticket_key *current,
				 const struct tls_ticket_key *previous)
{
	context->has_current = current != NULL;
	context->has_previous = current && previous;
	OPENSSL_cleanse(&context->current, sizeof(context->current));
	OPENSSL_cleanse(&context->previous, sizeof(context->previous));
	if (context->has_current) {
		context->current = *current;
		SSL_CTX_clear_options(context->ssl_ctx, SSL_OP_NO_TICKET);
	} else {
		SSL_CTX_set_options(context->ssl_ctx, SSL_OP_NO_TICKET);
	}
	SSL_CTX_set_num_tickets(context->ssl_ctx, context->has_current ? 1 : 0);
	if (context->has_previous)
		context->previous = *previous;
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool set_protocols(SSL_CTX *ssl_ctx)
{
	SSL_CTX_set_security_level(ssl_ctx, TLS_SECURITY_LEVEL);
	return SSL_CTX_set_min_proto_version(ssl_ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ssl_ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ssl_ctx, ciphers_tls12) == 1 &&
	       SSL_CTX_set_ciphersuites(ssl_ctx, ciphers_tls13) == 1 &&
	       SSL_CTX_set1_groups_list(ssl_ctx, groups) == 1;
}

static bool set_up(struct tls_context *context)
{
	SSL_CTX *ssl_ctx = context->ssl_ctx;

	if (!set_protocols(ssl_ctx) ||
	    SSL_CTX_set_session_id_context(ssl_ctx, session_id_context,
					   sizeof(session_id_context) - 1) != 1)
		return false;
	SSL_CTX_set_options(ssl_ctx,
			    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	/* Connections that wait hold no record buffers. */
	SSL_CTX_set_mode(ssl_ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ssl_ctx, TLS_TICKET_LIFETIME_S);
	SSL_CTX_set_num_tickets(ssl_ctx, 0);
	SSL_CTX_set_app_data(ssl_ctx, context);
	SSL_CTX_set_tlsext_servername_callback(ssl_ctx, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ssl_ctx, context);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl_ctx, on_ticket);
	SSL_CTX_set_info_callback(ssl_ctx, tls_conn_on_info);
	if (context->options.alpn.len)
		SSL_CTX_set_alpn_select_cb(ssl_ctx, on_alpn, context);
	return true;
}

int tls_context_new(const struct tls_options *options, struct tls_context **context,
		    struct err *err)
{
	struct tls_context *made;

	if (options->alpn.len > TLS_ALPN_BYTES_MAX)
		return err_set(err, -EINVAL, "more than %d bytes of ALPN", TLS_ALPN_BYTES_MAX);
	made = mem_try_new(1, sizeof(*made));
	if (!made)
		return err_set(err, -ENOMEM, "out of memory");
	/* No openssl.cnf: what is served is said here, and a worker opens no files. */
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	made->options = *options;
	if (options->alpn.len)
		memcpy(made->alpn, options->alpn.at, options->alpn.len);
	ERR_clear_error();
	made->library = OSSL_LIB_CTX_new();
	made->windows = tls_windows_method_new();
	if (made->library) {
		made->ssl_ctx = SSL_CTX_new_ex(made->library, NULL, TLS_server_method());
		made->ticket_cipher = EVP_CIPHER_fetch(made->library, "AES-256-CBC", NULL);
	}
	if (!made->windows || !made->ssl_ctx || !made->ticket_cipher || !set_up(made)) {
		tls_context_free(made);
		return err_set(err, -EINVAL, "TLS cannot be set up: %s", tls_take_error());
	}
	*context = made;
	return 0;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	EVP_CIPHER_free(context->ticket_cipher);
	SSL_CTX_free(context->ssl_ctx);
	BIO_meth_free(context->windows);
	OSSL_LIB_CTX_free(context->library);
	OPENSSL_cleanse(&context->current, sizeof(context->current));
	OPENSSL_cleanse(&context->previous, sizeof(context->previous));
	mem_free(context);
}
