// SPDX-License-Identifier: Apache-2.0
/*
 * Connections: handshakes in any pieces and windows, data both ways, names, ALPN,
 * endings, and what is refused.
 */
#include "tls_pair.h"

#include <errno.h>
#include <malloc.h>

#include "base/mem.h"

enum { BIG = 100 * 1000 };

static struct owner owner;

static int set_up(void **state)
{
	(void)state;
	owner_init(&owner);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	owner_release(&owner);
	return 0;
}

static void fill(char *at, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (char)(seed = seed * 1103515245 + 12345);
}

/* ---- data ----------------------------------------------------------------------------------- */

static void expect_data_both_ways(struct pair *pair, const char *name)
{
	static char sent[BIG], got[BIG];
	size_t len;

	fill(sent, sizeof(sent), 1);
	client_writes(pair, str_of(sent, sizeof(sent)));
	if (pair->received_len != sizeof(sent) || memcmp(pair->received, sent, sizeof(sent)))
		fail_msg("%s: server got %zu bytes: %s", name, pair->received_len,
			 tls_conn_failure(pair->conn));
	fill(sent, sizeof(sent), 2);
	server_writes(pair, str_of(sent, sizeof(sent)));
	assert_int_equal(pair->status, TLS_OK);
	len = client_reads(pair, got, sizeof(got));
	if (len != sizeof(sent) || memcmp(got, sent, len))
		fail_msg("%s: client got %zu bytes", name, len);
}

static void test_pieces_and_windows(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	static const size_t sizes[] = { 1, 2, 3, 5, 6, 37, 100, 600, 1400, 5000, 16384, SIZE_MAX };
	enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };
	char name[64];

	(void)state;
	for (size_t i = 0; i < 2 * SIZES * SIZES; i++) {
		SSL_CTX *ctx = client_context(versions[i % 2]);
		struct pair *pair = pair_new(&owner, ctx, "a.example");

		pair->piece = sizes[i / 2 % SIZES];
		pair->window = sizes[i / 2 / SIZES];
		snprintf(name, sizeof(name), "TLS 1.%zu, pieces of %zu, windows of %zu", 2 + i % 2,
			 pair->piece, pair->window);
		if (!handshake(pair))
			fail_msg("%s: %s", name, tls_conn_failure(pair->conn));
		/* Byte by byte is for handshakes; data that way only where it is cheap. */
		if (pair->piece > 5 && pair->window > 5)
			expect_data_both_ways(pair, name);
		pair_free(pair);
		SSL_CTX_free(ctx);
	}
}

static void test_facts(void **state)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	struct pair *pair = pair_new(&owner, ctx, "A.Example");

	(void)state;
	SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384");
	SSL_set_ciphersuites(pair->client, "TLS_AES_256_GCM_SHA384");
	assert_true(handshake(pair));
	assert_true(str_eq_c(tls_conn_server_name(pair->conn), "A.Example"));
	assert_true(str_eq_c(tls_conn_version(pair->conn), "TLSv1.3"));
	assert_true(str_eq_c(tls_conn_cipher(pair->conn), "TLS_AES_256_GCM_SHA384"));
	assert_null(tls_conn_alpn(pair->conn).at);
	assert_false(tls_conn_is_resumed(pair->conn));
	assert_string_equal(tls_conn_failure(pair->conn), "");
	assert_string_equal(owner.asked, "a.example");
	pair_free(pair);
	SSL_CTX_free(ctx);
}

/* Ticket and response of a request that came with the client's Finished: one window. */
static void test_one_window_per_event(void **state)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	struct tls_ticket_key key;
	struct pair *pair;
	static char window[64 * 1024];
	char *bytes, request[100];
	size_t len, taken;

	(void)state;
	tls_ticket_key_make(&key);
	tls_context_set_ticket_keys(owner.context, &key, NULL);
	pair = pair_new(&owner, ctx, "a.example");
	SSL_do_handshake(pair->client);
	server_takes_all(pair);
	assert_int_equal(pair->window_count, 1);
	assert_int_equal(SSL_do_handshake(pair->client), 1);
	assert_int_equal(SSL_write(pair->client, "GET /", 5), 5);
	len = (size_t)BIO_get_mem_data(pair->from_client, &bytes);
	tls_conn_lend_input(pair->conn, str_of(bytes, len));
	tls_conn_lend_output(pair->conn, window, sizeof(window));
	assert_int_equal(tls_conn_read(pair->conn, request, sizeof(request), &len), TLS_OK);
	assert_int_equal(len, 5);
	assert_int_equal(tls_conn_read(pair->conn, request, sizeof(request), &len), TLS_WANT_INPUT);
	assert_int_equal(tls_conn_write(pair->conn, STR("200"), &taken), TLS_OK);
	assert_int_equal(taken, 3);
	/* A ticket of some 230 bytes and a record of 3 + 22 bytes. */
	assert_true(tls_conn_output_len(pair->conn) > 200);
	BIO_write(pair->to_client, window, (int)tls_conn_output_len(pair->conn));
	assert_int_equal(client_reads(pair, request, sizeof(request)), 3);
	tls_context_set_ticket_keys(owner.context, NULL, NULL);
	pair_free(pair);
	SSL_CTX_free(ctx);
}

/* Bytes that were not read yet may move between two lends. */
static void test_unread_input(void **state)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	struct pair *pair = pair_new(&owner, ctx, "a.example");
	char window[4096], plain[4], moved[4096], *bytes;
	size_t len, got = 0;

	(void)state;
	assert_true(handshake(pair));
	assert_int_equal(SSL_write(pair->client, "0123456789", 10), 10);
	assert_int_equal(SSL_write(pair->client, "abcdef", 6), 6);
	len = (size_t)BIO_get_mem_data(pair->from_client, &bytes);
	tls_conn_lend_input(pair->conn, str_of(bytes, len));
	tls_conn_lend_output(pair->conn, window, sizeof(window));
	assert_int_equal(tls_conn_read(pair->conn, plain, 4, &got), TLS_OK);
	assert_int_equal(got, 4);
	assert_true(tls_conn_has_pending(pair->conn));
	len = tls_conn_unread(pair->conn).len;
	assert_true(len > 6);
	memcpy(moved, tls_conn_unread(pair->conn).at, len);
	tls_conn_lend_input(pair->conn, str_of(moved, len));
	for (got = 4; tls_conn_read(pair->conn, plain, 4, &len) == TLS_OK;)
		got += len;
	assert_int_equal(got, 16);
	assert_false(tls_conn_has_pending(pair->conn));
	pair_free(pair);
	SSL_CTX_free(ctx);
}

static void test_key_update(void **state)
{
	static const size_t windows[] = { 1, 7, SIZE_MAX };
	char got[16];

	(void)state;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		SSL_CTX *ctx = client_context(TLS1_3_VERSION);
		struct pair *pair = pair_new(&owner, ctx, "a.example");

		assert_true(handshake(pair));
		pair->window = windows[i];
		assert_int_equal(SSL_key_update(pair->client, SSL_KEY_UPDATE_REQUESTED), 1);
		client_writes(pair, STR("after"));
		assert_int_equal(pair->received_len, 5);
		server_writes(pair, STR("answer"));
		assert_int_equal(pair->status, TLS_OK);
		assert_int_equal(client_reads(pair, got, 6), 6);
		assert_memory_equal(got, "answer", 6);
		pair_free(pair);
		SSL_CTX_free(ctx);
	}
}

/* ---- names and protocols ----------------------------------------------------------------------
 */

static void test_server_names(void **state)
{
	static const struct {
		const char *name; /* NULL: no SNI */
		const char *asked;
		const char *subject;
	} cases[] = {
		{ "a.example", "a.example", "a.example" },
		{ "B.EXAMPLE", "b.example", "b.example" },
		{ "other.example", "other.example", "a.example" },
		{ NULL, "-", "a.example" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		SSL_CTX *ctx = client_context(i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
		struct pair *pair = pair_new(&owner, ctx, cases[i / 2].name);
		char subject[64] = "";
		X509 *shown;

		assert_true(handshake(pair));
		shown = SSL_get1_peer_certificate(pair->client);
		X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, subject,
					  sizeof(subject));
		assert_string_equal(subject, cases[i / 2].subject);
		assert_string_equal(owner.asked, cases[i / 2].asked);
		assert_int_equal(tls_conn_server_name(pair->conn).at != NULL,
				 cases[i / 2].name != NULL);
		X509_free(shown);
		pair_free(pair);
		SSL_CTX_free(ctx);
	}
}

static void test_covered_names(void **state)
{
	static const struct {
		const char *name, *host;
		bool covered;
	} cases[] = {
		{ "a.example", "a.example", true },
		{ "a.example", "A.Example", true },
		{ "a.example", "b.example", false },
		{ "a.example", "x.a.example", false },
		{ "a.example", "", false },
		{ "*.w.example", "x.w.example", true },
		{ "*.w.example", "x.y.w.example", false },
		{ "*.w.example", "w.example", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_cert *cert = make_cert(owner.context, cases[i].name);

		if (tls_cert_covers(cert, str_from_c(cases[i].host)) != cases[i].covered)
			fail_msg("'%s' covers '%s': expected %d", cases[i].name, cases[i].host,
				 cases[i].covered);
		tls_cert_put(cert);
	}
}

/* The alert the client got, as OpenSSL counts them: 1000 + its number. */
static int client_alert(struct pair *pair)
{
	assert_int_equal(SSL_do_handshake(pair->client), -1);
	return ERR_GET_REASON(ERR_peek_last_error()) - SSL_AD_REASON_OFFSET;
}

static void expect_refused(struct pair *pair, int alert)
{
	SSL_do_handshake(pair->client);
	server_takes_all(pair);
	assert_int_equal(pair->status, TLS_FAILED);
	assert_true(strlen(tls_conn_failure(pair->conn)) > 3);
	assert_int_equal(client_alert(pair), alert);
}

static void test_refused_name(void **state)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	struct pair *pair = pair_new(&owner, ctx, "refused.example");
	size_t taken;

	(void)state;
	expect_refused(pair, SSL_AD_UNRECOGNIZED_NAME);
	/* It stays failed. */
	assert_int_equal(tls_conn_handshake(pair->conn), TLS_FAILED);
	assert_int_equal(tls_conn_write(pair->conn, STR("x"), &taken), TLS_FAILED);
	assert_int_equal(taken, 0);
	assert_int_equal(tls_conn_close(pair->conn), TLS_FAILED);
	pair_free(pair);
	SSL_CTX_free(ctx);
}

static void test_alpn(void **state)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	struct pair *pair = pair_new(&owner, ctx, "a.example");

	(void)state;
	SSL_set_alpn_protos(pair->client, (const unsigned char *)"\x02h2\x08http/1.1", 12);
	assert_true(handshake(pair));
	assert_true(str_eq_c(tls_conn_alpn(pair->conn), "http/1.1"));
	pair_free(pair);
	pair = pair_new(&owner, ctx, "a.example");
	SSL_set_alpn_protos(pair->client, (const unsigned char *)"\x02h2", 3);
	expect_refused(pair, SSL_AD_NO_APPLICATION_PROTOCOL);
	pair_free(pair);
	SSL_CTX_free(ctx);
}

static void test_old_protocols(void **state)
{
	static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *ctx = client_context(versions[i]);
		struct pair *pair;

		SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
		pair = pair_new(&owner, ctx, "a.example");
		expect_refused(pair, SSL_AD_PROTOCOL_VERSION);
		pair_free(pair);
		SSL_CTX_free(ctx);
	}
}

static void test_ciphers(void **state)
{
	static const struct {
		const char *cipher;
		bool is_taken;
	} cases[] = {
		{ "ECDHE-ECDSA-AES128-GCM-SHA256", true },
		{ "ECDHE-ECDSA-AES256-GCM-SHA384", true },
		{ "ECDHE-ECDSA-CHACHA20-POLY1305", true },
		{ "ECDHE-ECDSA-AES128-SHA", false },
		{ "ECDHE-ECDSA-AES256-SHA384", false },
		{ "AES128-GCM-SHA256", false },
		{ "AES128-SHA", false },
		{ "DHE-RSA-AES128-GCM-SHA256", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		SSL_CTX *ctx = client_context(TLS1_2_VERSION);
		struct pair *pair;

		SSL_CTX_set_cipher_list(ctx, cases[i].cipher);
		pair = pair_new(&owner, ctx, "a.example");
		if (cases[i].is_taken && !handshake(pair))
			fail_msg("%s: %s", cases[i].cipher, tls_conn_failure(pair->conn));
		if (!cases[i].is_taken)
			expect_refused(pair, SSL_AD_HANDSHAKE_FAILURE);
		pair_free(pair);
		SSL_CTX_free(ctx);
	}
}

static void test_groups(void **state)
{
	static const struct {
		const char *group;
		bool is_taken;
	} cases[] = { { "X25519", true },
		      { "P-256", true },
		      { "P-384", true },
		      { "X448", false },
		      { "P-521", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		SSL_CTX *ctx = client_context(TLS1_3_VERSION);
		struct pair *pair;

		SSL_CTX_set1_groups_list(ctx, cases[i].group);
		pair = pair_new(&owner, ctx, "a.example");
		if (handshake(pair) != cases[i].is_taken)
			fail_msg("%s", cases[i].group);
		pair_free(pair);
		SSL_CTX_free(ctx);
	}
}

/* ---- endings ----------------------------------------------------------------------------------
 */

static void test_close_by_client(void **state)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	struct pair *pair = pair_new(&owner, ctx, "a.example");
	char got[8];

	(void)state;
	assert_true(handshake(pair));
	assert_int_equal(SSL_write(pair->client, "last", 4), 4);
	assert_int_equal(SSL_shutdown(pair->client), 0);
	server_takes_all(pair);
	assert_int_equal(pair->received_len, 4);
	assert_int_equal(pair->status, TLS_CLOSED);
	server_event(pair, STR(""));
	assert_int_equal(pair->status, TLS_CLOSED);
	/* The other direction lives on (RFC 8446 6.1). */
	server_writes(pair, STR("answer"));
	assert_int_equal(pair->status, TLS_OK);
	assert_int_equal(client_reads(pair, got, sizeof(got)), 6);
	pair_free(pair);
	SSL_CTX_free(ctx);
}

static void test_close_by_server(void **state)
{
	static const size_t windows[] = { 1, 10, SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		SSL_CTX *ctx = client_context(i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
		struct pair *pair = pair_new(&owner, ctx, "a.example");
		size_t size, windows_before;
		char byte;

		assert_true(handshake(pair));
		pair->window = windows[i / 2];
		do {
			char *window = lend_window(pair, &size);

			pair->status = tls_conn_close(pair->conn);
			take_window(pair, window);
		} while (pair->status == TLS_WANT_OUTPUT);
		assert_int_equal(pair->status, TLS_OK);
		assert_int_equal(SSL_read(pair->client, &byte, 1), 0);
		assert_int_equal(SSL_get_error(pair->client, 0), SSL_ERROR_ZERO_RETURN);
		/* Said once. */
		windows_before = pair->window_count;
		take_window(pair, (tls_conn_close(pair->conn), lend_window(pair, &size)));
		assert_int_equal(pair->window_count, windows_before);
		pair_free(pair);
		SSL_CTX_free(ctx);
	}
}

static void test_close_before_handshake(void **state)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	struct pair *pair = pair_new(&owner, ctx, "a.example");
	char window[64];

	(void)state;
	tls_conn_lend_output(pair->conn, window, sizeof(window));
	assert_int_equal(tls_conn_close(pair->conn), TLS_OK);
	assert_int_equal(tls_conn_output_len(pair->conn), 0);
	pair_free(pair);
	SSL_CTX_free(ctx);
}

/* ---- wrong input ------------------------------------------------------------------------------
 */

static void test_garbage(void **state)
{
	static const struct str cases[] = {
		STR_INIT("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
		STR_INIT("\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00"),
		STR_INIT("\x16\x03\x01\xff\xff\x01\x00\x00\x01\x00"),
		STR_INIT("\x17\x03\x03\x00\x05hello"),
		STR_INIT("\x15\x03\x03\x00\x02\x02\x28"),
		STR_INIT("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
	};
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair *pair = pair_new(&owner, ctx, NULL);

		server_event(pair, cases[i]);
		if (pair->status != TLS_FAILED || !*tls_conn_failure(pair->conn))
			fail_msg("case %zu: status %d", i, pair->status);
		pair_free(pair);
	}
	assert_int_equal(ERR_peek_error(), 0); /* nothing is left for the next connection */
	SSL_CTX_free(ctx);
}

/* One bit of a good connection's bytes turned, at each place of the client's second flight. */
static void test_changed_record(void **state)
{
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);

	(void)state;
	for (size_t place = 0; place < 80; place++) {
		struct pair *pair = pair_new(&owner, ctx, "a.example");
		char *bytes;
		long len;

		SSL_do_handshake(pair->client);
		server_takes_all(pair);
		assert_int_equal(SSL_do_handshake(pair->client), 1);
		len = BIO_get_mem_data(pair->from_client, &bytes);
		assert_true(len >= 80);
		bytes[place] = (char)(bytes[place] ^ 0x04);
		server_takes_all(pair);
		/* A changed length may wait for more; nothing else may pass. */
		if (pair->status != TLS_FAILED && pair->status != TLS_WANT_INPUT)
			fail_msg("place %zu: status %d", place, pair->status);
		assert_int_equal(pair->received_len, 0);
		pair_free(pair);
	}
	SSL_CTX_free(ctx);
}

static void test_no_renegotiation(void **state)
{
	SSL_CTX *ctx = client_context(TLS1_2_VERSION);
	struct pair *pair = pair_new(&owner, ctx, "a.example");
	unsigned calls;

	(void)state;
	assert_true(handshake(pair));
	calls = owner.calls;
	assert_int_equal(SSL_renegotiate(pair->client), 1);
	SSL_do_handshake(pair->client);
	server_takes_all(pair);
	SSL_do_handshake(pair->client);
	assert_int_equal(owner.calls, calls); /* no second handshake began */
	pair_free(pair);
	SSL_CTX_free(ctx);
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static void test_idle_memory(void **state)
{
	/* OpenSSL 3.2 gave its record layers, one a direction, objects and methods of their own. */
	enum { COUNT = 200, BYTES_MAX = 14 * 1024 + 256, BYTES_MAX_3_2 = 22 * 1024 };
	size_t allowed = OpenSSL_version_num() >= 0x30200000 ? BYTES_MAX_3_2 : BYTES_MAX;
	static struct tls_conn *conns[COUNT];
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	size_t before, after;

	(void)state;
	before = mallinfo2().uordblks;
	for (size_t i = 0; i < COUNT; i++) {
		struct pair *pair = pair_new(&owner, ctx, "a.example");

		assert_true(handshake(pair));
		client_writes(pair, STR("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"));
		server_writes(pair, STR("HTTP/1.1 204 No Content\r\n\r\n"));
		conns[i] = pair->conn;
		pair->conn = NULL;
		pair_free(pair);
	}
	after = mallinfo2().uordblks;
	print_message("an idle TLS 1.3 connection takes %zu bytes\n", (after - before) / COUNT);
	/* Under a sanitizer mallinfo2 knows nothing and both are 0. */
	assert_true((after - before) / COUNT <= allowed);
	for (size_t i = 0; i < COUNT; i++)
		tls_conn_free(conns[i]);
	SSL_CTX_free(ctx);
}

static void test_out_of_memory(void **state)
{
	struct tls_options options = { .on_server_name = choose, .owner = &owner };
	struct tls_context *context;
	struct tls_conn *conn;
	struct err err;

	(void)state;
	mem_fail_at(1);
	assert_int_equal(tls_conn_new(owner.context, &conn), -ENOMEM);
	mem_fail_at(1);
	assert_int_equal(tls_context_new(&options, &context, &err), -ENOMEM);
	mem_fail_at(0);
	tls_conn_free(NULL);
	tls_context_free(NULL);
	tls_cert_put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_and_windows),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_one_window_per_event),
		cmocka_unit_test(test_unread_input),
		cmocka_unit_test(test_key_update),
		cmocka_unit_test(test_server_names),
		cmocka_unit_test(test_covered_names),
		cmocka_unit_test(test_refused_name),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_old_protocols),
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_close_by_client),
		cmocka_unit_test(test_close_by_server),
		cmocka_unit_test(test_close_before_handshake),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_changed_record),
		cmocka_unit_test(test_no_renegotiation),
		cmocka_unit_test(test_idle_memory),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
