/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: TLS 1.2 and 1.3 (server side) as a transform of bytes.
 *
 * Nothing in here makes a system call for I/O. The worker receives, lends what it
 * received to the connection as its input window, lends room as its output window,
 * lets it work, and sends what the output window holds: one recv and one send per
 * event, however many records, handshake messages and tickets are in them.
 *
 *   recv ─► input window ─► tls_conn_read ─► plain request
 *   send ◄─ output window ◄─ tls_conn_write ◄─ plain response
 *
 *   n = recv(fd, in);
 *   tls_conn_lend_input(conn, str_of(in, n));
 *   tls_conn_lend_output(conn, out, sizeof(out));
 *   while ((status = tls_conn_read(conn, at, room, &len)) == TLS_OK) ...use len bytes
 *   tls_conn_write(conn, response, &taken);
 *   send(fd, out, tls_conn_output_len(conn));
 *
 * A worker owns one context, its connections and its certificates; none of them is
 * ever touched by another thread, and each context has an OpenSSL library context of
 * its own, so that threads do not meet in OpenSSL's locks either. The keys of session
 * tickets come from outside: all workers of a node share them, before and after a
 * restart.
 *
 * Names without "client" serve; towards TLS endpoints there will be tls_client_*.
 */
#ifndef SLUICE_TLS_TLS_H
#define SLUICE_TLS_TLS_H

#include "base/err.h"
#include "base/str.h"

struct tls_context;
struct tls_conn;
struct tls_cert;

enum {
	TLS_TICKET_LIFETIME_S = 12 * 3600,
	TLS_TICKET_KEY_AGE_MAX_S = 24 * 3600, /* tickets under an older key are not taken */
	TLS_CHAIN_CERTS_MAX = 16,
	TLS_ALPN_BYTES_MAX = 64,
	TLS_RECORD_BYTES_MAX = 16 * 1024, /* of plain bytes (RFC 8446 5.1) */
	/* Room that lets a whole handshake flight or one full record out at once. */
	TLS_OUTPUT_BYTES_GOOD = 20 * 1024,
};

/* ---- certificates ----------------------------------------------------------------------- */

/*
 * A chain and its key, ready for handshakes: both PEM, the leaf first, the key unencrypted
 * (PKCS#8 or the older forms of EC and RSA). They are parsed, not kept. Returns owned, for the
 * worker of @context alone; its count starts at 1. 0, or -EINVAL (err says what is wrong), or
 * -ENOMEM.
 */
int tls_cert_load(struct tls_context *context, struct str chain, struct str key,
		  struct tls_cert **cert, struct err *err);
/* Connections hold what they need of a certificate: it may be put while they live. */
struct tls_cert *tls_cert_get(struct tls_cert *cert);
/* Whether the leaf is good for the DNS name @host; a wildcard stands for one label (RFC 6125). */
bool tls_cert_covers(const struct tls_cert *cert, struct str host);
void tls_cert_put(struct tls_cert *cert);

/* ---- context: one per worker -------------------------------------------------------------- */

struct tls_ticket_key {
	uint8_t name[16];
	uint8_t aes_key[32];
	uint8_t hmac_key[32];
	uint64_t made_s; /* wall clock, seconds since 1970 */
};

/* Random name and keys, made now. */
void tls_ticket_key_make(struct tls_ticket_key *key);

struct tls_options {
	/*
	 * Chooses the certificate of a full handshake (a resumed one shows none). @name is the SNI
	 * in lower case, absent (at == NULL) where the client sent none; good for the call. The
	 * result is borrowed for the call. NULL refuses the handshake (alert unrecognized_name).
	 */
	const struct tls_cert *(*on_server_name)(void *owner, struct str name);
	void *owner;
	/* Our protocols in order of preference, each with its length before it ("\x08http/1.1").
	 * A client that offers ALPN and none of ours is refused (RFC 7301 3.2). */
	struct str alpn;
};

int tls_context_new(const struct tls_options *options, struct tls_context **context,
		    struct err *err);
/* After the last of its connections and certificates. */
void tls_context_free(struct tls_context *context);

/*
 * New tickets are sealed under @current; those under @previous (may be NULL) are still taken,
 * and replaced. Both are copied. @current NULL: no tickets, neither given nor taken; so it is
 * at first.
 */
void tls_context_set_ticket_keys(struct tls_context *context, const struct tls_ticket_key *current,
				 const struct tls_ticket_key *previous);

/* ---- connections -------------------------------------------------------------------------- */

enum tls_status {
	TLS_OK,          /* done, or some bytes were done */
	TLS_WANT_INPUT,  /* the input window is used up (always: nothing in it is left) */
	TLS_WANT_OUTPUT, /* the output window is full: send it, lend a new one, call again */
	TLS_CLOSED,      /* the peer ended its direction with close_notify */
	TLS_FAILED,      /* see tls_conn_failure; an alert may be in the output window: send it */
};

/* 0 or -ENOMEM. Returns owned; @context must outlive it. */
int tls_conn_new(struct tls_context *context, struct tls_conn **conn);
/* Sends nothing. */
void tls_conn_free(struct tls_conn *conn);

/*
 * Lends @bytes, which follow all bytes lent before. They are borrowed until TLS_WANT_INPUT, or
 * until the next lend: bytes that tls_conn_unread still shows then have to be at its front.
 */
void tls_conn_lend_input(struct tls_conn *conn, struct str bytes);
/* What of the input window was not used yet. */
struct str tls_conn_unread(const struct tls_conn *conn);
/* Whether tls_conn_read may have bytes without any further input. */
bool tls_conn_has_pending(const struct tls_conn *conn);

/* Lends room for encrypted bytes and counts from 0 again; borrowed until the next lend.
 * Without room (@max 0) whatever has to be written waits. */
void tls_conn_lend_output(struct tls_conn *conn, char *at, size_t max);
size_t tls_conn_output_len(const struct tls_conn *conn);

/* TLS_OK once the handshake is done. The other calls do it too where it is missing. */
enum tls_status tls_conn_handshake(struct tls_conn *conn);
/* Decrypts into @at. TLS_OK with *len > 0, else *len is 0. */
enum tls_status tls_conn_read(struct tls_conn *conn, char *at, size_t max, size_t *len);
/*
 * Encrypts as much of @plain as finds room; *taken says how much. TLS_OK when all was taken.
 * After TLS_WANT_OUTPUT the rest has to be offered again, the same bytes first (at any
 * address), with at least as many of them: one record of them may be half sent.
 */
enum tls_status tls_conn_write(struct tls_conn *conn, struct str plain, size_t *taken);
/* Writes close_notify, once; nothing can be written after it. TLS_OK also where there is nothing
 * to say, because the handshake was never done. */
enum tls_status tls_conn_close(struct tls_conn *conn);

/* Facts, good after the handshake; they live as long as the connection. */
struct str tls_conn_server_name(const struct tls_conn *conn); /* as sent; may be absent */
struct str tls_conn_alpn(const struct tls_conn *conn);        /* absent where none was agreed */
struct str tls_conn_version(const struct tls_conn *conn);     /* "TLSv1.3" */
struct str tls_conn_cipher(const struct tls_conn *conn);      /* "TLS_AES_128_GCM_SHA256" */
bool tls_conn_is_resumed(const struct tls_conn *conn);
/* Why TLS_FAILED, in a few words for logs: "no shared cipher". Empty otherwise. */
const char *tls_conn_failure(const struct tls_conn *conn);

#endif
