// SPDX-License-Identifier: Apache-2.0
/*
 * Resumption: under which keys a ticket is taken, by whom, and for how long.
 */
#include "tls_pair.h"

#include "base/clock.h"

static struct owner owner, other;

static int set_up(void **state)
{
	(void)state;
	owner_init(&owner);
	owner_init(&other);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	owner_release(&owner);
	owner_release(&other);
	return 0;
}

/* A connection of @server, with @session where there is one. Returns what it left to resume. */
static SSL_SESSION *connect_once(struct owner *server, SSL_CTX *ctx, SSL_SESSION *session,
				 const char *name, bool *is_resumed)
{
	struct pair *pair = pair_new(server, ctx, name);
	SSL_SESSION *next;
	char byte;

	if (session)
		assert_int_equal(SSL_set_session(pair->client, session), 1);
	assert_true(handshake(pair));
	/* TLS 1.3 tickets come behind the handshake: read something. */
	server_writes(pair, STR("x"));
	assert_int_equal(client_reads(pair, &byte, 1), 1);
	*is_resumed = tls_conn_is_resumed(pair->conn);
	assert_int_equal(SSL_session_reused(pair->client), *is_resumed);
	next = SSL_get1_session(pair->client);
	SSL_set_shutdown(pair->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	pair_free(pair);
	return next;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
enum { VERSIONS = sizeof(versions) / sizeof(versions[0]) };

/* Whether a session begun under @first is resumed by @server under @current and @previous. */
static bool is_taken(int version, struct owner *server, const struct tls_ticket_key *first,
		     const struct tls_ticket_key *current, const struct tls_ticket_key *previous)
{
	SSL_CTX *ctx = client_context(version);
	SSL_SESSION *session, *next;
	bool is_resumed;

	tls_context_set_ticket_keys(owner.context, first, NULL);
	session = connect_once(&owner, ctx, NULL, "a.example", &is_resumed);
	assert_false(is_resumed);
	tls_context_set_ticket_keys(server->context, current, previous);
	next = connect_once(server, ctx, session, "a.example", &is_resumed);
	SSL_SESSION_free(next);
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
	return is_resumed;
}

static void test_keys(void **state)
{
	struct tls_ticket_key a, b, c;

	(void)state;
	tls_ticket_key_make(&a);
	tls_ticket_key_make(&b);
	tls_ticket_key_make(&c);
	for (size_t i = 0; i < VERSIONS; i++) {
		assert_true(is_taken(versions[i], &owner, &a, &a, NULL));
		assert_true(is_taken(versions[i], &owner, &a, &b, &a));  /* rotated once */
		assert_false(is_taken(versions[i], &owner, &a, &c, &b)); /* and twice */
		assert_false(is_taken(versions[i], &owner, &a, &b, NULL));
		assert_false(is_taken(versions[i], &owner, &a, NULL, NULL));
		assert_false(is_taken(versions[i], &owner, &a, NULL, &a));
		assert_false(is_taken(versions[i], &owner, NULL, &a, NULL)); /* none was given */
	}
}

/* Another worker, with the same keys or with keys of its own. */
static void test_other_worker(void **state)
{
	struct tls_ticket_key shared, own;

	(void)state;
	tls_ticket_key_make(&shared);
	tls_ticket_key_make(&own);
	for (size_t i = 0; i < VERSIONS; i++) {
		assert_true(is_taken(versions[i], &other, &shared, &shared, NULL));
		assert_false(is_taken(versions[i], &other, &shared, &own, NULL));
	}
}

/* Same name, other secret: the seal does not fit. */
static void test_forged(void **state)
{
	struct tls_ticket_key key, forged;

	(void)state;
	tls_ticket_key_make(&key);
	forged = key;
	forged.hmac_key[0] ^= 1;
	for (size_t i = 0; i < VERSIONS; i++)
		assert_false(is_taken(versions[i], &owner, &key, &forged, NULL));
}

static void test_age_of_keys(void **state)
{
	const uint64_t made_s = clock_wall_ns() / NS_PER_S;
	struct tls_ticket_key key;
	SSL_CTX *ctx = client_context(TLS1_2_VERSION);
	SSL_SESSION *session, *next;
	bool is_resumed;

	(void)state;
	tls_ticket_key_make(&key);
	tls_context_set_ticket_keys(owner.context, &key, NULL);
	session = connect_once(&owner, ctx, NULL, "a.example", &is_resumed);
	clock_freeze(1, (made_s + TLS_TICKET_KEY_AGE_MAX_S - 5) * NS_PER_S);
	next = connect_once(&owner, ctx, session, "a.example", &is_resumed);
	assert_true(is_resumed);
	SSL_SESSION_free(next);
	clock_freeze(1, (made_s + TLS_TICKET_KEY_AGE_MAX_S + 5) * NS_PER_S);
	next = connect_once(&owner, ctx, session, "a.example", &is_resumed);
	assert_false(is_resumed);
	SSL_SESSION_free(next);
	clock_freeze(0, 0);
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
}

/* A resumed session asks for no certificate, and its server name is known all the same. */
static void test_resumed_names(void **state)
{
	struct tls_ticket_key key;

	(void)state;
	tls_ticket_key_make(&key);
	tls_context_set_ticket_keys(owner.context, &key, NULL);
	for (size_t i = 0; i < VERSIONS; i++) {
		SSL_CTX *ctx = client_context(versions[i]);
		bool is_resumed;
		SSL_SESSION *session = connect_once(&owner, ctx, NULL, "b.example", &is_resumed);
		struct pair *pair = pair_new(&owner, ctx, "b.example");
		unsigned calls = owner.calls;

		SSL_set_session(pair->client, session);
		assert_true(handshake(pair));
		assert_true(tls_conn_is_resumed(pair->conn));
		assert_int_equal(owner.calls, calls);
		assert_true(str_eq_c(tls_conn_server_name(pair->conn), "b.example"));
		pair_free(pair);
		SSL_SESSION_free(session);
		SSL_CTX_free(ctx);
	}
}

/* One ticket a handshake, for no longer than was said. */
static void test_ticket_lifetime(void **state)
{
	struct tls_ticket_key key;
	SSL_CTX *ctx = client_context(TLS1_3_VERSION);
	SSL_SESSION *session;
	bool is_resumed;

	(void)state;
	tls_ticket_key_make(&key);
	tls_context_set_ticket_keys(owner.context, &key, NULL);
	session = connect_once(&owner, ctx, NULL, "a.example", &is_resumed);
	assert_true(SSL_SESSION_has_ticket(session));
	assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(session), TLS_TICKET_LIFETIME_S);
	SSL_SESSION_free(session);
	SSL_CTX_free(ctx);
}

static void test_made_keys_differ(void **state)
{
	struct tls_ticket_key a, b;

	(void)state;
	tls_ticket_key_make(&a);
	tls_ticket_key_make(&b);
	assert_memory_not_equal(a.name, b.name, sizeof(a.name));
	assert_memory_not_equal(a.aes_key, b.aes_key, sizeof(a.aes_key));
	assert_memory_not_equal(a.hmac_key, b.hmac_key, sizeof(a.hmac_key));
	assert_true(clock_wall_ns() / NS_PER_S - a.made_s < 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_other_worker),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_age_of_keys),
		cmocka_unit_test(test_resumed_names),
		cmocka_unit_test(test_ticket_lifetime),
		cmocka_unit_test(test_made_keys_differ),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
