// SPDX-License-Identifier: Apache-2.0
/* Whose word is believed, and which address of X-Forwarded-For is the client's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/trust.h"

struct row {
	const char *name;
	uint32_t hops;
	const char *networks[4]; /* address and bits of the 128 */
	unsigned int bits[4];
	const char *peer;
	const char *list;
	const char *client; /* NULL: the peer is not believed */
};

static const struct row rows[] = {
	{ "nobody is trusted", 0, { NULL }, { 0 }, "10.0.0.1", "1.1.1.1", NULL },
	{ "one hop", 1, { NULL }, { 0 }, "10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1" },
	{ "two hops", 2, { NULL }, { 0 }, "10.0.0.1", "6.6.6.6, 1.1.1.1", "6.6.6.6" },
	{ "more hops than entries", 9, { NULL }, { 0 }, "10.0.0.1", "1.1.1.1", "1.1.1.1" },
	{ "a hop and no list", 1, { NULL }, { 0 }, "10.0.0.1", "", "10.0.0.1" },
	{ "a hop that says nothing", 1, { NULL }, { 0 }, "10.0.0.1", "1.1.1.1,", "10.0.0.1" },
	{ "peer outside", 0, { "10.0.0.0" }, { 104 }, "11.0.0.1", "1.1.1.1", NULL },
	{ "peer outside, hops do not help",
	  3,
	  { "10.0.0.0" },
	  { 104 },
	  "11.0.0.1",
	  "1.1.1.1",
	  NULL },
	{ "peer inside", 0, { "10.0.0.0" }, { 104 }, "10.9.9.9", "1.1.1.1", "1.1.1.1" },
	{ "the rightmost that is not ours",
	  0,
	  { "10.0.0.0", "fd00::" },
	  { 104, 8 },
	  "fd12::1",
	  "6.6.6.6, 1.1.1.1, 10.1.1.1 , fd00::7",
	  "1.1.1.1" },
	{ "all are ours: the leftmost",
	  0,
	  { "10.0.0.0" },
	  { 104 },
	  "10.0.0.1",
	  "10.0.0.3, 10.0.0.2",
	  "10.0.0.3" },
	{ "what is no address ends it",
	  0,
	  { "10.0.0.0" },
	  { 104 },
	  "10.0.0.1",
	  "1.1.1.1, unknown, 10.0.0.2",
	  "10.0.0.2" },
	{ "bits that are no whole byte",
	  0,
	  { "10.16.0.0" },
	  { 108 },
	  "10.31.255.255",
	  "1.1.1.1",
	  "1.1.1.1" },
	{ "one bit beside it", 0, { "10.16.0.0" }, { 108 }, "10.32.0.0", "1.1.1.1", NULL },
	{ "one address", 0, { "10.0.0.1" }, { 128 }, "10.0.0.1", "1.1.1.1", "1.1.1.1" },
	{ "everybody", 0, { "::" }, { 0 }, "9.9.9.9", "1.1.1.1, 2.2.2.2", "1.1.1.1" },
};

static struct trust trust_of(const struct row *row)
{
	struct trust trust = { .hops = row->hops };

	for (; trust.network_count < 4 && row->networks[trust.network_count];
	     trust.network_count++) {
		struct trust_network *network = &trust.networks[trust.network_count];
		struct addr addr = { 0 };

		assert_int_equal(addr_parse_ip(str_from_c(row->networks[trust.network_count]),
					       &addr),
				 0);
		memcpy(network->ip, addr.ip, sizeof(network->ip));
		network->bits = (uint8_t)row->bits[trust.network_count];
	}
	return trust;
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		struct trust trust = trust_of(row);
		struct addr peer = { 0 };
		struct str client;

		assert_int_equal(addr_parse_ip(str_from_c(row->peer), &peer), 0);
		if (trust_believes(&trust, &peer) != (row->client != NULL))
			fail_msg("%s: the peer is %sbelieved", row->name,
				 row->client ? "not " : "");
		if (!row->client)
			continue;
		client = trust_client(&trust, str_from_c(row->list), str_from_c(row->peer));
		if (!str_eq_c(client, row->client))
			fail_msg("%s: '%.*s', expected '%s'", row->name, STR_ARG(client),
				 row->client);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
