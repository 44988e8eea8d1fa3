/* SPDX-License-Identifier: Apache-2.0 */
/*
 * samples: small segments that have one of everything. Tests break them byte by byte, and the
 * corpora of the fuzz targets are made of them (corpus_test.c).
 */
#ifndef SELFTESTS_UNIT_IMAGE_SAMPLES_H
#define SELFTESTS_UNIT_IMAGE_SAMPLES_H

#include "image/certs.h"
#include "image/endpoints.h"
#include "image/sources.h"
#include "unit/image/rules.h"

static const struct rule sample_rules[] = {
	{ "shop.example.com", IMAGE_ROUTE_PREFIX, "/" },
	{ "shop.example.com", IMAGE_ROUTE_PREFIX, "/cart" },
	{ "shop.example.com", IMAGE_ROUTE_EXACT, "/cart" },
	{ "shop.example.com", IMAGE_ROUTE_EXACT, "/cart/checkout-with-a-long-name" },
	{ "shop.example.com", IMAGE_ROUTE_DEFAULT, NULL },
	{ "*.example.com", IMAGE_ROUTE_PREFIX, "/any" },
	{ "a-rather-long-name-of-a-host.example.com", IMAGE_ROUTE_EXACT, "/x" },
	{ "", IMAGE_ROUTE_PREFIX, "/free" },
	{ NULL, IMAGE_ROUTE_DEFAULT, NULL },
};

/* Give back with rules_release. */
static inline void sample_image(struct rules *rules)
{
	rules_open(rules, sample_rules, sizeof(sample_rules) / sizeof(sample_rules[0]));
}

/* Three backends (id 1 has none), four endpoints, one of them in two backends. */
static inline struct endpoints_writer *sample_endpoints(struct str *bytes)
{
	static const struct {
		const char *addr, *name;
		uint32_t id;
		uint8_t flags;
	} table[] = {
		{ "10.0.0.1:8080", "web-0", 4, ENDPOINT_READY | ENDPOINT_SERVING },
		{ "10.0.0.2:8080", "web-1", 9, ENDPOINT_READY | ENDPOINT_SERVING },
		{ "[2001:db8::3]:80", "", 0, ENDPOINT_SERVING | ENDPOINT_TERMINATING },
		{ "10.0.0.4:1", "late", 2, 0 },
	};
	static const uint32_t members[][2] = { { 2, 1 }, { 0, 0 }, { 2, 3 }, { 0, 1 }, { 0, 2 } };
	struct endpoints_writer *writer = endpoints_writer_new(3);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct endpoints_writer_endpoint endpoint = {
			.id = table[i].id,
			.flags = table[i].flags,
			.weight = 1,
			.name = str_from_c(table[i].name),
		};
		uint32_t index;

		assert_int_equal(addr_parse(str_from_c(table[i].addr), &endpoint.addr, NULL), 0);
		assert_int_equal(endpoints_writer_add(writer, &endpoint, &index), 0);
		assert_int_equal(index, i);
	}
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		assert_int_equal(endpoints_writer_assign(writer, members[i][0], members[i][1]), 0);
	assert_int_equal(endpoints_writer_finish(writer, bytes, NULL), 0);
	return writer;
}

#define SAMPLE_SECRET "-----BEGIN PRIVATE KEY-----\nTOP+SECRET\n-----END PRIVATE KEY-----\n"

/* Two certificates, the first one the default; exact names and a wildcard. */
static inline struct certs_writer *sample_certs(struct str *bytes)
{
	struct certs_writer *writer = certs_writer_new(5, rules_hash_key);
	struct certs_writer_cert cert = {
		.chain = STR("-----BEGIN CERTIFICATE-----\nONE\n-----END CERTIFICATE-----\n"),
		.key = STR(SAMPLE_SECRET),
		.namespace = STR("default"),
		.secret = STR("one-tls"),
	};

	assert_int_equal(certs_writer_add(writer, &cert), 0);
	cert.chain = STR("-----BEGIN CERTIFICATE-----\nTWO\n-----END CERTIFICATE-----\n");
	cert.secret = STR("two-tls");
	cert.fingerprint = 0x1234;
	assert_int_equal(certs_writer_add(writer, &cert), 1);
	assert_int_equal(certs_writer_add_name(writer, STR("one.example.com"), 0), 0);
	assert_int_equal(certs_writer_add_name(writer, STR("*.example.com"), 1), 0);
	assert_int_equal(certs_writer_add_name(writer, STR("two.example.org"), 1), 0);
	assert_int_equal(certs_writer_set_default(writer, 0), 0);
	assert_int_equal(certs_writer_finish(writer, bytes, NULL), 0);
	return writer;
}

/* Owned by the writer that comes back. */
static inline struct sources_writer *sample_sources(struct str *bytes)
{
	static const char *const denied[] = { "10.0.0.0/8", "192.0.2.1", "fd00::/8" };
	struct sources_writer *writer = sources_writer_new(5);
	struct addr listener = { .port = 443 };
	struct prefix prefix;

	sources_writer_begin(writer, NULL);
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		assert_int_equal(prefix_parse(str_from_c(denied[i]), &prefix), 0);
		sources_writer_add(writer, &prefix);
	}
	sources_writer_begin(writer, &listener);
	assert_int_equal(prefix_parse(STR("198.51.100.0/24"), &prefix), 0);
	sources_writer_add(writer, &prefix);
	assert_int_equal(sources_writer_finish(writer, bytes, NULL), 0);
	return writer;
}

#endif
