/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json: writes JSON (RFC 8259) into a buf, one call per value.
 *
 *   json_object_begin(&j, NULL);
 *     json_text(&j, "host", host);
 *     json_array_begin(&j, "paths"); json_u64(&j, NULL, 1); json_array_end(&j);
 *   json_object_end(&j);
 *
 * Commas are its business. @name is the member's name inside an object and NULL
 * inside an array. Bytes that are not UTF-8 become U+FFFD.
 */
#ifndef SLUICE_BASE_JSON_H
#define SLUICE_BASE_JSON_H

#include "base/buf.h"

struct json {
	struct buf *out; /* borrowed */
	bool has_item;   /* something stands before the next value at this depth */
};

void json_init(struct json *json, struct buf *out);
void json_object_begin(struct json *json, const char *name);
void json_object_end(struct json *json);
void json_array_begin(struct json *json, const char *name);
void json_array_end(struct json *json);
void json_text(struct json *json, const char *name, struct str value);
void json_text_c(struct json *json, const char *name, const char *value);
void json_u64(struct json *json, const char *name, uint64_t value);
void json_double(struct json *json, const char *name, double value);
void json_bool(struct json *json, const char *name, bool value);
void json_null(struct json *json, const char *name);

#endif
