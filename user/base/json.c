// SPDX-License-Identifier: Apache-2.0
/* json: see json.h. */
#include "base/json.h"

#include "base/utf8.h"

void json_init(struct json *json, struct buf *out)
{
	*json = (struct json){ .out = out };
}

static void add_escaped(struct buf *out, char c)
{
	if (c == '"' || c == '\\')
		buf_printf(out, "\\%c", c);
	else if (c == '\n')
		buf_add_c(out, "\\n");
	else
		buf_printf(out, "\\u%04x", (unsigned int)(unsigned char)c);
}

static void add_quoted(struct buf *out, struct str s)
{
	buf_add_char(out, '"');
	while (s.len) {
		size_t len = utf8_sequence(s);

		if (len == 0)
			buf_add_c(out, "\xef\xbf\xbd");
		else if (len == 1 && ((unsigned char)s.at[0] < 0x20 || s.at[0] == '"' ||
				      s.at[0] == '\\' || s.at[0] == 0x7f))
			add_escaped(out, s.at[0]);
		else
			buf_add(out, str_of(s.at, len));
		s = str_slice(s, len ? len : 1, s.len);
	}
	buf_add_char(out, '"');
}

static void begin_value(struct json *json, const char *name)
{
	if (json->has_item)
		buf_add_char(json->out, ',');
	json->has_item = true;
	if (name) {
		add_quoted(json->out, str_from_c(name));
		buf_add_char(json->out, ':');
	}
}

static void open_nest(struct json *json, const char *name, char c)
{
	begin_value(json, name);
	buf_add_char(json->out, c);
	json->has_item = false;
}

static void close_nest(struct json *json, char c)
{
	buf_add_char(json->out, c);
	json->has_item = true;
}

void json_object_begin(struct json *json, const char *name)
{
	open_nest(json, name, '{');
}

void json_object_end(struct json *json)
{
	close_nest(json, '}');
}

void json_array_begin(struct json *json, const char *name)
{
	open_nest(json, name, '[');
}

void json_array_end(struct json *json)
{
	close_nest(json, ']');
}

void json_text(struct json *json, const char *name, struct str value)
{
	begin_value(json, name);
	add_quoted(json->out, value);
}

void json_text_c(struct json *json, const char *name, const char *value)
{
	json_text(json, name, str_from_c(value));
}

void json_u64(struct json *json, const char *name, uint64_t value)
{
	begin_value(json, name);
	buf_printf(json->out, "%llu", (unsigned long long)value);
}

void json_double(struct json *json, const char *name, double value)
{
	begin_value(json, name);
	buf_printf(json->out, "%.6g", value);
}

void json_bool(struct json *json, const char *name, bool value)
{
	begin_value(json, name);
	buf_add_c(json->out, value ? "true" : "false");
}

void json_null(struct json *json, const char *name)
{
	begin_value(json, name);
	buf_add_c(json->out, "null");
}
