// SPDX-License-Identifier: Apache-2.0
/*
 * decode_data: Secret and ConfigMap of v1.
 *
 * Whatever goes wrong here, no finding repeats a value.
 */
#include <errno.h>
#include <stdlib.h>

#include "kube/decode_field.h"

enum { KEY_MAX_BYTES = 253 };

/* -------------------------------------------------------------------- base64 */

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (char_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool is_base64_space(char c)
{
	return c == '\n' || c == '\r';
}

/*
 * RFC 4648 section 4, padding required, line feeds skipped as the API server does. The bytes go
 * to @out, which has room for 3/4 of @text. -EINVAL where it is none.
 */
static int base64_decode(struct str text, char *out, size_t *out_len)
{
	uint32_t bits = 0;
	size_t digits = 0, padding = 0, len = 0;

	for (size_t i = 0; i < text.len; i++) {
		int value = base64_value(text.at[i]);

		if (is_base64_space(text.at[i]))
			continue;
		if (text.at[i] == '=') {
			padding++;
			continue;
		}
		if (value < 0 || padding)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
		if (++digits % 4 != 1)
			out[len++] = (char)(bits >> (6 - 2 * ((digits - 1) % 4)));
	}
	if ((digits + padding) % 4 || padding > 2 || digits % 4 == 1)
		return -EINVAL;
	*out_len = len;
	return 0;
}

static int decode_base64(struct decoder *decoder, struct object_pair *pair)
{
	char *bytes = arena_new(&decoder->object->arena, pair->value.len / 4 * 3 + 3 + 1, 1);
	size_t len;

	if (base64_decode(pair->value, bytes, &len) < 0)
		return decode_refuse(decoder, pair->line, "InvalidValue", "value is not base64");
	pair->value = str_of(bytes, len);
	return 0;
}

/* --------------------------------------------------------------------- pairs */

/* Letters, digits, '-', '_', '.': what a key is in the API, and fit for a file name. */
static bool is_key(struct str key)
{
	for (size_t i = 0; i < key.len; i++) {
		char c = char_lower(key.at[i]);

		if (!(c >= 'a' && c <= 'z') && !char_is_digit(c) && !memchr("-_.", c, 3))
			return false;
	}
	return key.len > 0 && key.len <= KEY_MAX_BYTES;
}

/* Calls @decode for each pair, where there is one, and checks the keys. */
static int check_pairs(struct decoder *decoder, struct object_pairs *pairs,
		       int (*decode)(struct decoder *, struct object_pair *))
{
	struct decode_step step = { .up = decoder->here };
	struct object_pair *at = (struct object_pair *)pairs->at; /* not handed out yet */
	int rc = 0;

	decoder->here = &step;
	for (uint32_t i = 0; i < pairs->count; i++) {
		step.name = at[i].key;
		if (!is_key(at[i].key))
			rc = decode_refuse(decoder, at[i].line, "InvalidValue",
					   "key is not made of letters, digits, '-', '_' and '.'");
		else if (decode && decode(decoder, &at[i]) < 0)
			rc = -EINVAL;
	}
	decoder->here = step.up;
	return rc;
}

static int decode_text_pairs(struct decoder *decoder, const struct node *value, void *out)
{
	int rc = decode_pairs(decoder, value, out);

	return rc < 0 ? rc : check_pairs(decoder, out, NULL);
}

static int decode_base64_pairs(struct decoder *decoder, const struct node *value, void *out)
{
	int rc = decode_pairs(decoder, value, out);

	return rc < 0 ? rc : check_pairs(decoder, out, decode_base64);
}

/* A pair and where it came from; of the same key the larger rank wins. */
struct ranked_pair {
	struct object_pair pair;
	int rank;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked_pair *left = a, *right = b;
	int order = str_compare(left->pair.key, right->pair.key);

	return order ? order : right->rank - left->rank;
}

/* All of both, sorted by key; @stronger wins where a key is in both. Sets *@shared to how many. */
static struct object_pairs merge_pairs(struct arena *arena, struct object_pairs weaker,
				       struct object_pairs stronger, uint32_t *shared)
{
	uint32_t total = weaker.count + stronger.count;
	struct ranked_pair *ranked = arena_new(arena, total, sizeof(*ranked));
	struct object_pair *at = arena_new(arena, total, sizeof(*at));
	uint32_t count = 0;

	for (uint32_t i = 0; i < weaker.count; i++)
		ranked[i] = (struct ranked_pair){ weaker.at[i], 0 };
	for (uint32_t i = 0; i < stronger.count; i++)
		ranked[weaker.count + i] = (struct ranked_pair){ stronger.at[i], 1 };
	qsort(ranked, total, sizeof(*ranked), compare_ranked);
	for (uint32_t i = 0; i < total; i++) {
		if (count == 0 || !str_eq(at[count - 1].key, ranked[i].pair.key))
			at[count++] = ranked[i].pair;
	}
	*shared = total - count;
	return (struct object_pairs){ .at = at, .count = count };
}

/* --------------------------------------------------------------------- kinds */

struct secret_parts {
	struct str type;
	struct object_pairs data, string_data;
};

int decode_secret(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "type", decode_str, offsetof(struct secret_parts, type), 0, NULL },
		{ "data", decode_base64_pairs, offsetof(struct secret_parts, data), 0, NULL },
		{ "stringData", decode_text_pairs, offsetof(struct secret_parts, string_data), 0,
		  NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, false);
	struct secret_parts parts = { .type = STR_INIT("Opaque") };
	struct object *object = out;
	uint32_t shared;
	int rc = decode_fields(decoder, value, &table, &parts);

	object->secret.type = parts.type;
	object->secret.data = merge_pairs(&object->arena, parts.data, parts.string_data, &shared);
	return rc;
}

struct config_map_parts {
	struct object_pairs data, binary_data;
};

int decode_config_map(struct decoder *decoder, const struct node *value, void *out)
{
	static const struct decode_field fields[] = {
		{ "data", decode_text_pairs, offsetof(struct config_map_parts, data), 0, NULL },
		{ "binaryData", decode_base64_pairs, offsetof(struct config_map_parts, binary_data),
		  0, NULL },
	};
	static const struct decode_table table = DECODE_TABLE(fields, false);
	struct config_map_parts parts = { 0 };
	struct object *object = out;
	uint32_t shared;
	int rc = decode_fields(decoder, value, &table, &parts);

	object->config_map.data =
		merge_pairs(&object->arena, parts.data, parts.binary_data, &shared);
	if (rc == 0 && shared)
		rc = decode_refuse(decoder, value->line, "InvalidValue",
				   "data and binaryData have keys in common");
	return rc;
}
