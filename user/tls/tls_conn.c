// SPDX-License-Identifier: Apache-2.0
/*
 * tls_conn: one connection between two windows.
 *
 *   lent input ──► BIO read ──► OpenSSL ──► plain bytes
 *   lent output ◄─ BIO write ◄─ OpenSSL ◄── plain bytes
 *
 * OpenSSL sees a BIO that hands out what the input window holds and takes what the
 * output window has room for; where there is nothing, or none, it says "retry", and
 * that becomes TLS_WANT_INPUT or TLS_WANT_OUTPUT. Plain bytes are cut into records
 * that fit the output window, so that no record is left half written inside OpenSSL
 * (a handshake message may be: a record's buffer holds it until there is room).
 */
#include <errno.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "tls/tls_internal.h"

enum {
	/* Header, explicit nonce or content type, tag: 5 + 8 + 16 at most, and some. */
	RECORD_OVERHEAD_BYTES = 64,
	/* A smaller record is not worth its overhead when more room comes with the next event. */
	RECORD_BYTES_MIN = 512,
	/* Key updates in a row without data between them. Each costs new keys, at both ends. */
	KEY_UPDATES_MAX = 32,
};

enum conn_state {
	CONN_OPEN,
	CONN_CLOSED, /* by the peer; we may still write (RFC 8446 6.1) */
	CONN_FAILED,
};

struct tls_conn {
	SSL *ssl;
	const char *failure; /* static text */
	/* Lent by the worker. */
	const char *in;
	size_t in_len;
	char *out;
	size_t out_len;
	size_t out_max;
	/* Plain bytes of the record that OpenSSL could write only in part. */
	size_t half_written;
	unsigned key_updates; /* since the last plain bytes */
	enum conn_state state;
};

/* ---- the BIO -------------------------------------------------------------------------------- */

/* @size is not negative: BIO_read and BIO_write see to that. */
static int windows_read(BIO *bio, char *at, int size)
{
	struct tls_conn *conn = BIO_get_data(bio);
	size_t len = conn->in_len < (size_t)size ? conn->in_len : (size_t)size;

	BIO_clear_retry_flags(bio);
	if (len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(at, conn->in, len);
	conn->in += len;
	conn->in_len -= len;
	return (int)len; /* at most size */
}

static int windows_write(BIO *bio, const char *at, int size)
{
	struct tls_conn *conn = BIO_get_data(bio);
	size_t room = conn->out_max - conn->out_len;
	size_t len = room < (size_t)size ? room : (size_t)size;

	BIO_clear_retry_flags(bio);
	if (len == 0) {
		BIO_set_retry_write(bio);
		return -1;
	}
	memcpy(conn->out + conn->out_len, at, len);
	conn->out_len += len;
	return (int)len; /* at most size */
}

static long windows_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH; /* all else is not known here */
}

BIO_METHOD *tls_windows_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "windows");

	if (!method)
		return NULL;
	if (BIO_meth_set_read(method, windows_read) != 1 ||
	    BIO_meth_set_write(method, windows_write) != 1 ||
	    BIO_meth_set_ctrl(method, windows_ctrl) != 1) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

static enum tls_status fail(struct tls_conn *conn, const char *why)
{
	conn->state = CONN_FAILED;
	conn->failure = why;
	return TLS_FAILED;
}

/* ---- life ----------------------------------------------------------------------------------- */

int tls_conn_new(struct tls_context *context, struct tls_conn **conn)
{
	struct tls_conn *made = mem_try_new(1, sizeof(*made));
	BIO *bio;

	if (!made)
		return -ENOMEM;
	made->ssl = SSL_new(context->ssl_ctx);
	bio = BIO_new_ex(context->library, context->windows);
	if (!made->ssl || !bio) {
		BIO_free(bio);
		tls_conn_free(made);
		ERR_clear_error();
		return -ENOMEM;
	}
	BIO_set_data(bio, made);
	BIO_set_init(bio, 1);
	SSL_set_bio(made->ssl, bio, bio); /* takes the one reference for both directions */
	SSL_set_accept_state(made->ssl);
	*conn = made;
	return 0;
}

void tls_conn_free(struct tls_conn *conn)
{
	if (!conn)
		return;
	SSL_free(conn->ssl);
	mem_free(conn);
}

/*
 * OpenSSL took a handshake message. It would take a window full of key updates before it
 * returns: the rest of the window is dropped instead.
 */
void tls_conn_on_info(const SSL *ssl, int where, int result)
{
	struct tls_conn *conn = BIO_get_data(SSL_get_rbio(ssl));

	(void)result;
	if (where != SSL_CB_ACCEPT_LOOP || SSL_get_state(ssl) != TLS_ST_SR_KEY_UPDATE)
		return;
	if (++conn->key_updates > KEY_UPDATES_MAX)
		conn->in_len = 0;
}

/* ---- windows -------------------------------------------------------------------------------- */

void tls_conn_lend_input(struct tls_conn *conn, struct str bytes)
{
	conn->in = bytes.at;
	conn->in_len = bytes.len;
}

struct str tls_conn_unread(const struct tls_conn *conn)
{
	return str_of(conn->in, conn->in_len);
}

void tls_conn_lend_output(struct tls_conn *conn, char *at, size_t max)
{
	conn->out = at;
	conn->out_max = max;
	conn->out_len = 0;
}

size_t tls_conn_output_len(const struct tls_conn *conn)
{
	return conn->out_len;
}

bool tls_conn_has_pending(const struct tls_conn *conn)
{
	return conn->state == CONN_OPEN && (conn->in_len || SSL_has_pending(conn->ssl));
}

/* ---- work ----------------------------------------------------------------------------------- */

/* What OpenSSL's @result means, right behind the call. Its error queue was empty before it. */
static enum tls_status status_of_result(struct tls_conn *conn, int result)
{
	if (result == 1)
		return TLS_OK;
	switch (SSL_get_error(conn->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_INPUT;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_OUTPUT;
	case SSL_ERROR_ZERO_RETURN:
		conn->state = CONN_CLOSED;
		return TLS_CLOSED;
	default: /* an int: OpenSSL may have more of them than we ask for */
		return fail(conn, tls_take_error());
	}
}

enum tls_status tls_conn_handshake(struct tls_conn *conn)
{
	if (conn->state == CONN_FAILED)
		return TLS_FAILED;
	if (SSL_is_init_finished(conn->ssl))
		return TLS_OK;
	ERR_clear_error();
	return status_of_result(conn, SSL_do_handshake(conn->ssl));
}

enum tls_status tls_conn_read(struct tls_conn *conn, char *at, size_t max, size_t *len)
{
	enum tls_status status = tls_conn_handshake(conn);

	*len = 0;
	if (status != TLS_OK)
		return status;
	if (conn->state == CONN_CLOSED)
		return TLS_CLOSED;
	if (!tls_conn_has_pending(conn))
		return TLS_WANT_INPUT;
	ERR_clear_error();
	status = status_of_result(conn, SSL_read_ex(conn->ssl, at, max, len));
	if (conn->key_updates > KEY_UPDATES_MAX)
		return fail(conn, "too many key updates");
	if (status == TLS_OK)
		conn->key_updates = 0;
	return status;
}

/* How many of @left plain bytes go into the next record; 0: there is no room for one. */
static size_t next_record(const struct tls_conn *conn, size_t left)
{
	size_t len = left < TLS_RECORD_BYTES_MAX ? left : TLS_RECORD_BYTES_MAX;
	size_t room = conn->out_max - conn->out_len;

	if (conn->half_written)
		return conn->half_written; /* OpenSSL wants to hear the same again */
	if (len + RECORD_OVERHEAD_BYTES <= room)
		return len;
	if (room >= RECORD_BYTES_MIN + RECORD_OVERHEAD_BYTES)
		return room - RECORD_OVERHEAD_BYTES;
	if (conn->out_len)
		return 0;
	/* A window this small will never be better: let OpenSSL hold the rest of a short record. */
	return len < RECORD_BYTES_MIN ? len : RECORD_BYTES_MIN;
}

enum tls_status tls_conn_write(struct tls_conn *conn, struct str plain, size_t *taken)
{
	enum tls_status status = tls_conn_handshake(conn);

	*taken = 0;
	ERR_clear_error();
	while (status == TLS_OK && *taken < plain.len) {
		size_t len = next_record(conn, plain.len - *taken);
		size_t written = 0;

		if (len == 0)
			return TLS_WANT_OUTPUT;
		status = status_of_result(conn, SSL_write_ex(conn->ssl, plain.at + *taken, len,
							     &written));
		conn->half_written = status == TLS_WANT_OUTPUT ? len : 0;
		*taken += written;
	}
	return status;
}

enum tls_status tls_conn_close(struct tls_conn *conn)
{
	int result;

	if (conn->state == CONN_FAILED)
		return TLS_FAILED;
	if (!SSL_is_init_finished(conn->ssl) ||
	    (SSL_get_shutdown(conn->ssl) & SSL_SENT_SHUTDOWN && !SSL_want_write(conn->ssl)))
		return TLS_OK;
	ERR_clear_error();
	result = SSL_shutdown(conn->ssl);
	/* 0: ours is written, the peer's has not come; nobody waits for that. */
	return result == 0 ? TLS_OK : status_of_result(conn, result);
}

/* ---- facts ---------------------------------------------------------------------------------- */

struct str tls_conn_server_name(const struct tls_conn *conn)
{
	return str_from_c(SSL_get_servername(conn->ssl, TLSEXT_NAMETYPE_host_name));
}

struct str tls_conn_alpn(const struct tls_conn *conn)
{
	const unsigned char *at = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(conn->ssl, &at, &len);
	return str_of((const char *)at, len); /* bytes are bytes */
}

struct str tls_conn_version(const struct tls_conn *conn)
{
	return str_from_c(SSL_get_version(conn->ssl));
}

struct str tls_conn_cipher(const struct tls_conn *conn)
{
	return str_from_c(SSL_get_cipher_name(conn->ssl));
}

bool tls_conn_is_resumed(const struct tls_conn *conn)
{
	return SSL_session_reused(conn->ssl) == 1;
}

const char *tls_conn_failure(const struct tls_conn *conn)
{
	return conn->failure ? conn->failure : "";
}
