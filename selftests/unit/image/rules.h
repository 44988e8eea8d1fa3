/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules: an image made of a table of rules, for tests that ask it.
 *
 * Rule number n gets backend id n, so a test compares numbers. Hosts and paths are brought into
 * normal form first, as the compiler does it.
 */
#ifndef SELFTESTS_UNIT_IMAGE_RULES_H
#define SELFTESTS_UNIT_IMAGE_RULES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "image/writer.h"

enum {
	RULES_VHOSTS_MAX = 64,
	RULE_NONE = -1, /* nobody */
};

struct rule {
	const char *host; /* "" = rules without host; NULL = the class */
	enum image_route_kind kind;
	const char *path; /* NULL for a default */
};

struct rules {
	struct image_writer *writer;
	struct image image;
	struct str bytes;
	const char *hosts[RULES_VHOSTS_MAX];
	uint32_t host_count;
};

static const struct siphash_key rules_hash_key = { .k0 = 0x0706050403020100u,
						   .k1 = 0x0f0e0d0c0b0a0908u };

static const struct image_policy rules_policy = {
	.flags = IMAGE_POLICY_SSL_REDIRECT,
	.redirect_status = 308,
	.connect_timeout_ms = 5000,
	.read_timeout_ms = 60000,
	.send_timeout_ms = 60000,
	.body_max_bytes = 1 << 20,
};

static inline uint32_t rules_vhost(struct rules *rules, const char *host)
{
	struct image_writer_vhost vhost = { 0 };
	char room[HOST_KEY_MAX];
	struct err err = { 0 };
	uint32_t index;

	if (!host)
		return IMAGE_NONE;
	for (uint32_t i = 0; i < rules->host_count; i++)
		if (strcmp(rules->hosts[i], host) == 0)
			return i;
	vhost.host = STR("");
	if (*host)
		assert_int_equal(host_key_of_rule(str_from_c(host), room, &vhost.host), 0);
	if (image_writer_add_vhost(rules->writer, &vhost, &index, &err) != 0)
		fail_msg("host '%s': %s", host, err.text);
	assert_true(index < RULES_VHOSTS_MAX);
	rules->hosts[rules->host_count++] = host;
	return index;
}

static inline void rules_add(struct rules *rules, const struct rule *rule, uint32_t id)
{
	struct image_writer *writer = rules->writer;
	char text[32];
	struct str name = str_of(text, (size_t)snprintf(text, sizeof(text), "svc-%u", id));
	struct image_writer_route route = {
		.vhost = rules_vhost(rules, rule->host),
		.kind = rule->kind,
		.path = STR(""),
		.policy = image_writer_add_policy(writer, &rules_policy),
		.backend = image_writer_add_backend(
			writer, &(struct image_writer_backend){ .id = id,
								.namespace = STR("default"),
								.service = name,
								.port = STR("80") }),
		.source = image_writer_add_source(
			writer, &(struct image_writer_source){ .namespace = STR("default"),
							       .ingress = STR("web"),
							       .file = STR("web.yaml"),
							       .line = id + 1,
							       .rule = id,
							       .path = 0 }),
	};
	char room[PATH_KEY_RULE_MAX];
	struct err err = { 0 };

	if (rule->path) {
		assert_int_equal(path_key(str_from_c(rule->path), room, sizeof(room), &route.path),
				 0);
		if (rule->kind == IMAGE_ROUTE_PREFIX)
			route.path = path_key_of_prefix(route.path);
	}
	if (image_writer_add_route(writer, &route, &err) != 0)
		fail_msg("rule %u: %s", id, err.text);
}

/* Writes, verifies and opens. Give back with rules_release. */
static inline void rules_open(struct rules *rules, const struct rule *table, size_t count)
{
	struct err err = { 0 };

	*rules = (struct rules){ .writer = image_writer_new(7, rules_hash_key) };
	for (size_t i = 0; i < count; i++)
		rules_add(rules, &table[i], (uint32_t)i);
	if (image_writer_finish(rules->writer, &rules->bytes, &err) != 0 ||
	    image_open(rules->bytes, &rules->image, &err) != 0)
		fail_msg("image: %s", err.text);
}

static inline void rules_release(struct rules *rules)
{
	image_writer_free(rules->writer);
}

/* The rule that answers, or RULE_NONE. @host and @path as in a request. */
static inline int rules_ask(const struct rules *rules, const char *host, const char *path)
{
	struct str host_text = STR(""), path_text;
	char host_room[HOST_KEY_MAX], path_room[PATH_KEY_RULE_MAX];
	struct image_match match;

	if (*host)
		assert_int_equal(host_key(str_from_c(host), host_room, &host_text), 0);
	assert_int_equal(path_key(str_from_c(path), path_room, sizeof(path_room), &path_text), 0);
	if (!image_match(&rules->image, host_text, path_text, &match))
		return RULE_NONE;
	assert_non_null(match.backend);
	assert_non_null(match.policy);
	return (int)match.backend->id;
}

#endif
