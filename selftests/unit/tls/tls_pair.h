/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_pair: a client (OpenSSL as it is) and a tls_conn, joined in memory.
 *
 * What the client writes goes to the connection in pieces of @piece bytes; what the
 * connection writes goes through output windows of @window bytes. Everything the
 * server decrypts is gathered in @received.
 */
#ifndef SLUICE_SELFTESTS_UNIT_TLS_TLS_PAIR_H
#define SLUICE_SELFTESTS_UNIT_TLS_TLS_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "tls/tls.h"
#include "tls/tls_inspect.h"

/* What the worker's side of a test knows: certificates by name, and what it was asked. */
struct owner {
	struct tls_context *context;
	struct tls_cert *a, *b; /* a.example and b.example */
	char asked[300];        /* the name of the last call; "-" where it was absent */
	unsigned calls;
};

struct pair {
	struct tls_conn *conn;
	SSL *client;
	BIO *from_client, *to_client;
	size_t piece, window;
	char received[256 * 1024];
	size_t received_len;
	size_t window_count; /* output windows that were not empty */
	enum tls_status status;
};

static inline struct tls_cert *make_cert(struct tls_context *context, const char *name)
{
	struct buf chain, key;
	struct tls_cert *cert;
	struct err err = { 0 };

	buf_init(&chain, 0);
	buf_init(&key, 0);
	if (tls_self_signed(str_from_c(name), 1, &chain, &key, &err) ||
	    tls_cert_load(context, buf_str(&chain), buf_str(&key), &cert, &err))
		fail_msg("%s", err.text);
	buf_release(&chain);
	buf_release(&key);
	return cert;
}

static inline const struct tls_cert *choose(void *arg, struct str name)
{
	struct owner *owner = arg;

	owner->calls++;
	snprintf(owner->asked, sizeof(owner->asked), "%.*s", name.at ? (int)name.len : 1,
		 name.at ? name.at : "-");
	if (str_eq_c(name, "refused.example"))
		return NULL;
	return str_eq_c(name, "b.example") ? owner->b : owner->a;
}

static inline void owner_init(struct owner *owner)
{
	struct tls_options options = { .on_server_name = choose,
				       .owner = owner,
				       .alpn = STR("\x08http/1.1") };
	struct err err = { 0 };

	*owner = (struct owner){ 0 };
	if (tls_context_new(&options, &owner->context, &err))
		fail_msg("%s", err.text);
	owner->a = make_cert(owner->context, "a.example");
	owner->b = make_cert(owner->context, "b.example");
}

static inline void owner_release(struct owner *owner)
{
	tls_cert_put(owner->a);
	tls_cert_put(owner->b);
	tls_context_free(owner->context);
}

static inline SSL_CTX *client_context(int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	SSL_CTX_set_security_level(ctx, 0); /* a client may be as old as it likes */
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	return ctx;
}

static inline struct pair *pair_new(struct owner *owner, SSL_CTX *ctx, const char *name)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	pair->piece = pair->window = SIZE_MAX;
	assert_int_equal(tls_conn_new(owner->context, &pair->conn), 0);
	pair->client = SSL_new(ctx);
	pair->to_client = BIO_new(BIO_s_mem());
	pair->from_client = BIO_new(BIO_s_mem());
	SSL_set_bio(pair->client, pair->to_client, pair->from_client);
	SSL_set_connect_state(pair->client);
	if (name)
		SSL_set_tlsext_host_name(pair->client, name);
	return pair;
}

static inline void pair_free(struct pair *pair)
{
	tls_conn_free(pair->conn);
	SSL_free(pair->client);
	ERR_clear_error();
	free(pair);
}

static inline char *lend_window(struct pair *pair, size_t *size)
{
	char *at;

	*size = pair->window < 64 * 1024 ? pair->window : 64 * 1024;
	at = malloc(*size);
	assert_non_null(at);
	tls_conn_lend_output(pair->conn, at, *size);
	return at;
}

static inline void take_window(struct pair *pair, char *at)
{
	size_t len = tls_conn_output_len(pair->conn);

	if (len) {
		assert_int_equal(BIO_write(pair->to_client, at, (int)len), len);
		pair->window_count++;
	}
	free(at);
	tls_conn_lend_output(pair->conn, NULL, 0);
}

/* One event at the server: @bytes came. Reads until no more comes. */
static inline void server_event(struct pair *pair, struct str bytes)
{
	char *copy = malloc(bytes.len ? bytes.len : 1);
	size_t size, len;

	assert_non_null(copy);
	memcpy(copy, bytes.at, bytes.len);
	tls_conn_lend_input(pair->conn, str_of(copy, bytes.len));
	do {
		char *window = lend_window(pair, &size);

		pair->status = tls_conn_read(pair->conn, pair->received + pair->received_len,
					     sizeof(pair->received) - pair->received_len, &len);
		assert_true(pair->status == TLS_OK ? len > 0 : len == 0);
		pair->received_len += len;
		if (pair->status == TLS_WANT_OUTPUT)
			assert_int_equal(tls_conn_output_len(pair->conn), size);
		take_window(pair, window);
	} while (pair->status == TLS_OK || pair->status == TLS_WANT_OUTPUT);
	if (pair->status == TLS_WANT_INPUT)
		assert_int_equal(tls_conn_unread(pair->conn).len, 0);
	tls_conn_lend_input(pair->conn, str_of(NULL, 0));
	free(copy);
}

/* Everything the client wrote so far, in pieces. */
static inline void server_takes_all(struct pair *pair)
{
	char *at;
	size_t len = (size_t)BIO_get_mem_data(pair->from_client, &at);
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, at, len);
	(void)BIO_reset(pair->from_client);
	for (size_t i = 0; i < len;) {
		size_t piece = len - i < pair->piece ? len - i : pair->piece;

		server_event(pair, str_of(copy + i, piece));
		i += piece;
		if (pair->status == TLS_FAILED)
			break;
	}
	free(copy);
}

/* Until both are done or nobody has anything to say. Whether the client thinks it worked. */
static inline bool handshake(struct pair *pair)
{
	for (int i = 0; i < 10; i++) {
		ERR_clear_error();
		SSL_do_handshake(pair->client);
		if (BIO_pending(pair->from_client) == 0)
			break;
		server_takes_all(pair);
	}
	return SSL_is_init_finished(pair->client) == 1;
}

static inline void server_writes(struct pair *pair, struct str plain)
{
	size_t size, taken;
	unsigned rounds = 0;

	do {
		char *window = lend_window(pair, &size);

		pair->status = tls_conn_write(pair->conn, plain, &taken);
		plain = str_slice(plain, taken, plain.len);
		take_window(pair, window);
		assert_true(++rounds < 1000000);
	} while (pair->status == TLS_WANT_OUTPUT);
}

/* The client's side of the same: reads all there is into @at. */
static inline size_t client_reads(struct pair *pair, char *at, size_t max)
{
	size_t len = 0, part;

	while (len < max && SSL_read_ex(pair->client, at + len, max - len, &part) == 1)
		len += part;
	return len;
}

static inline void client_writes(struct pair *pair, struct str plain)
{
	size_t written;

	assert_int_equal(SSL_write_ex(pair->client, plain.at, plain.len, &written), 1);
	assert_int_equal(written, plain.len);
	server_takes_all(pair);
}

#endif
