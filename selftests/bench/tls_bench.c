// SPDX-License-Identifier: Apache-2.0
/*
 * What TLS costs a worker without any system call: objects, handshakes, records
 * (make bench-micro). The client is OpenSSL in memory, outside of the clock. Prints the
 * best of 10 rounds.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ssl.h>

#include "base/clock.h"
#include "tls/tls.h"
#include "tls/tls_inspect.h"

enum { ROUNDS = 10, WINDOW = 64 * 1024 };

static struct tls_context *context;
static struct tls_cert *cert;
static struct buf chain, key;
static char window[WINDOW], plain[WINDOW];

static const struct tls_cert *choose(void *owner, struct str name)
{
	(void)owner;
	(void)name;
	return cert;
}

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

struct client {
	SSL *ssl;
	BIO *in, *out;
};

static void client_init(struct client *client, SSL_CTX *ssl_ctx, SSL_SESSION *session)
{
	client->ssl = SSL_new(ssl_ctx);
	client->in = BIO_new(BIO_s_mem());
	client->out = BIO_new(BIO_s_mem());
	SSL_set_bio(client->ssl, client->in, client->out);
	SSL_set_connect_state(client->ssl);
	SSL_set_tlsext_host_name(client->ssl, "a.example");
	if (session)
		SSL_set_session(client->ssl, session);
}

/* Hands the server what the client wrote, and back; the server's nanoseconds. */
static uint64_t exchange(struct client *client, struct tls_conn *conn)
{
	uint64_t start;
	size_t len;
	char *bytes;
	long count = BIO_get_mem_data(client->out, &bytes);

	start = clock_monotonic_ns();
	tls_conn_lend_input(conn, str_of(bytes, (size_t)count));
	tls_conn_lend_output(conn, window, sizeof(window));
	check(tls_conn_read(conn, plain, sizeof(plain), &len) == TLS_WANT_INPUT);
	start = clock_monotonic_ns() - start;
	(void)BIO_reset(client->out);
	BIO_write(client->in, window, (int)tls_conn_output_len(conn));
	return start;
}

/* Without a shutdown OpenSSL would call the session broken and not resume it again. */
static void client_release(struct client *client)
{
	SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client->ssl);
}

static uint64_t handshake(struct client *client, struct tls_conn *conn)
{
	uint64_t took_ns = 0;

	while (SSL_do_handshake(client->ssl) != 1)
		took_ns += exchange(client, conn);
	return took_ns + exchange(client, conn);
}

static uint64_t one_handshake(SSL_CTX *ssl_ctx, SSL_SESSION *session)
{
	struct client client;
	struct tls_conn *conn;
	uint64_t took_ns;

	client_init(&client, ssl_ctx, session);
	check(tls_conn_new(context, &conn) == 0);
	took_ns = handshake(&client, conn);
	check(tls_conn_is_resumed(conn) == (session != NULL));
	tls_conn_free(conn);
	client_release(&client);
	return took_ns;
}

static void measure_handshakes(const char *name, SSL_CTX *ssl_ctx, SSL_SESSION *session)
{
	enum { CALLS = 200 };
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t took_ns = 0;

		for (int i = 0; i < CALLS; i++)
			took_ns += one_handshake(ssl_ctx, session);
		best = took_ns < best ? took_ns : best;
	}
	printf("%-32s %8.2f us\n", name, (double)best / CALLS / NS_PER_US);
}

/* A session to resume: its ticket comes with the first read behind the handshake. */
static SSL_SESSION *get_session(SSL_CTX *ssl_ctx)
{
	struct client client;
	struct tls_conn *conn;
	SSL_SESSION *session;
	char byte;

	client_init(&client, ssl_ctx, NULL);
	check(tls_conn_new(context, &conn) == 0);
	handshake(&client, conn);
	SSL_read(client.ssl, &byte, 1);
	session = SSL_get1_session(client.ssl);
	tls_conn_free(conn);
	client_release(&client);
	return session;
}

static void measure(const char *name, int calls, void (*call)(struct tls_conn *),
		    struct tls_conn *conn)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = clock_monotonic_ns(), took_ns;

		for (int i = 0; i < calls; i++)
			call(conn);
		took_ns = clock_monotonic_ns() - start;
		best = took_ns < best ? took_ns : best;
	}
	printf("%-32s %8.2f us\n", name, (double)best / calls / NS_PER_US);
}

static void make_conn(struct tls_conn *unused)
{
	struct tls_conn *conn;

	(void)unused;
	check(tls_conn_new(context, &conn) == 0);
	tls_conn_free(conn);
}

static void load_cert(struct tls_conn *unused)
{
	struct tls_cert *loaded;
	struct err err;

	(void)unused;
	check(tls_cert_load(context, buf_str(&chain), buf_str(&key), &loaded, &err) == 0);
	tls_cert_put(loaded);
}

static void write_record(struct tls_conn *conn, size_t len)
{
	size_t taken;

	tls_conn_lend_output(conn, window, sizeof(window));
	check(tls_conn_write(conn, str_of(plain, len), &taken) == TLS_OK);
}

static void write_small(struct tls_conn *conn)
{
	write_record(conn, 200);
}

static void write_full(struct tls_conn *conn)
{
	write_record(conn, TLS_RECORD_BYTES_MAX);
}

/* Records the client wrote before the clock ran. */
static void measure_reads(struct client *client, struct tls_conn *conn)
{
	enum { CALLS = 20000, BYTES = 100 };
	size_t len, record_len;
	uint64_t took_ns;
	char *bytes;

	for (int i = 0; i < CALLS; i++)
		check(SSL_write(client->ssl, plain, BYTES) == BYTES);
	record_len = (size_t)BIO_get_mem_data(client->out, &bytes) / CALLS;
	took_ns = clock_monotonic_ns();
	for (int i = 0; i < CALLS; i++) {
		tls_conn_lend_input(conn, str_of(bytes + (size_t)i * record_len, record_len));
		check(tls_conn_read(conn, window, sizeof(window), &len) == TLS_OK);
		check(tls_conn_read(conn, window, sizeof(window), &len) == TLS_WANT_INPUT);
	}
	took_ns = clock_monotonic_ns() - took_ns;
	printf("%-32s %8.2f us\n", "read 100 bytes", (double)took_ns / CALLS / NS_PER_US);
}

static void measure_memory(SSL_CTX *ssl_ctx)
{
	enum { COUNT = 200 };
	static struct tls_conn *conns[COUNT];
	struct client client;
	size_t before = mallinfo2().uordblks;

	for (size_t i = 0; i < COUNT; i++) {
		client_init(&client, ssl_ctx, NULL);
		check(tls_conn_new(context, &conns[i]) == 0);
		handshake(&client, conns[i]);
		client_release(&client);
	}
	printf("%-32s %8zu bytes\n", "idle connection", (mallinfo2().uordblks - before) / COUNT);
	for (size_t i = 0; i < COUNT; i++)
		tls_conn_free(conns[i]);
}

static void set_up(void)
{
	struct tls_options options = { .on_server_name = choose };
	struct tls_ticket_key ticket_key;
	struct err err;

	buf_init(&chain, 0);
	buf_init(&key, 0);
	check(tls_self_signed(STR("a.example"), 1, &chain, &key, &err) == 0);
	check(tls_context_new(&options, &context, &err) == 0);
	check(tls_cert_load(context, buf_str(&chain), buf_str(&key), &cert, &err) == 0);
	tls_ticket_key_make(&ticket_key);
	tls_context_set_ticket_keys(context, &ticket_key, NULL);
}

int main(void)
{
	SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_client_method());
	struct client client;
	struct tls_conn *conn;
	SSL_SESSION *session;

	set_up();
	measure("connection, made and freed", 1000, make_conn, NULL);
	measure("certificate, loaded and freed", 100, load_cert, NULL);
	measure_handshakes("full handshake, TLS 1.3", ssl_ctx, NULL);
	session = get_session(ssl_ctx);
	measure_handshakes("resumed handshake, TLS 1.3", ssl_ctx, session);
	client_init(&client, ssl_ctx, NULL);
	check(tls_conn_new(context, &conn) == 0);
	handshake(&client, conn);
	measure("write 200 bytes", 10000, write_small, conn);
	measure("write 16 KiB", 2000, write_full, conn);
	measure_reads(&client, conn);
	measure_memory(ssl_ctx);
	tls_conn_free(conn);
	client_release(&client);
	SSL_SESSION_free(session);
	SSL_CTX_free(ssl_ctx);
	tls_cert_put(cert);
	tls_context_free(context);
	buf_release(&chain);
	buf_release(&key);
	return 0;
}
