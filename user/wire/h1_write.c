// SPDX-License-Identifier: Apache-2.0
/*
 * h1_write: numbers, status phrases, runs of field lines.
 *
 * The lines of a head stand one behind the other in its buffer, so everything
 * between two dropped fields is one copy.
 */
#include "wire/h1_write.h"

/* RFC 9110 15, RFC 6585, RFC 7725, RFC 8297, RFC 8470, RFC 4918. */
static const struct str phrases[] = {
	[100] = STR_INIT("Continue"),
	[101] = STR_INIT("Switching Protocols"),
	[102] = STR_INIT("Processing"),
	[103] = STR_INIT("Early Hints"),
	[200] = STR_INIT("OK"),
	[201] = STR_INIT("Created"),
	[202] = STR_INIT("Accepted"),
	[203] = STR_INIT("Non-Authoritative Information"),
	[204] = STR_INIT("No Content"),
	[205] = STR_INIT("Reset Content"),
	[206] = STR_INIT("Partial Content"),
	[207] = STR_INIT("Multi-Status"),
	[300] = STR_INIT("Multiple Choices"),
	[301] = STR_INIT("Moved Permanently"),
	[302] = STR_INIT("Found"),
	[303] = STR_INIT("See Other"),
	[304] = STR_INIT("Not Modified"),
	[307] = STR_INIT("Temporary Redirect"),
	[308] = STR_INIT("Permanent Redirect"),
	[400] = STR_INIT("Bad Request"),
	[401] = STR_INIT("Unauthorized"),
	[402] = STR_INIT("Payment Required"),
	[403] = STR_INIT("Forbidden"),
	[404] = STR_INIT("Not Found"),
	[405] = STR_INIT("Method Not Allowed"),
	[406] = STR_INIT("Not Acceptable"),
	[407] = STR_INIT("Proxy Authentication Required"),
	[408] = STR_INIT("Request Timeout"),
	[409] = STR_INIT("Conflict"),
	[410] = STR_INIT("Gone"),
	[411] = STR_INIT("Length Required"),
	[412] = STR_INIT("Precondition Failed"),
	[413] = STR_INIT("Content Too Large"),
	[414] = STR_INIT("URI Too Long"),
	[415] = STR_INIT("Unsupported Media Type"),
	[416] = STR_INIT("Range Not Satisfiable"),
	[417] = STR_INIT("Expectation Failed"),
	[421] = STR_INIT("Misdirected Request"),
	[422] = STR_INIT("Unprocessable Content"),
	[425] = STR_INIT("Too Early"),
	[426] = STR_INIT("Upgrade Required"),
	[428] = STR_INIT("Precondition Required"),
	[429] = STR_INIT("Too Many Requests"),
	[431] = STR_INIT("Request Header Fields Too Large"),
	[451] = STR_INIT("Unavailable For Legal Reasons"),
	[500] = STR_INIT("Internal Server Error"),
	[501] = STR_INIT("Not Implemented"),
	[502] = STR_INIT("Bad Gateway"),
	[503] = STR_INIT("Service Unavailable"),
	[504] = STR_INIT("Gateway Timeout"),
	[505] = STR_INIT("HTTP Version Not Supported"),
	[511] = STR_INIT("Network Authentication Required"),
};

enum {
	PHRASE_COUNT = sizeof(phrases) / sizeof(phrases[0]),
	U64_DIGITS_MAX = 20,
	U64_HEX_DIGITS_MAX = 16,
};

struct str h1_status_phrase(unsigned status)
{
	if (status >= PHRASE_COUNT || !phrases[status].at)
		return STR("");
	return phrases[status];
}

void h1_add_u64(struct h1_out *out, uint64_t value)
{
	char digits[U64_DIGITS_MAX];
	char *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + value % 10); /* one digit fits */
		value /= 10;
	} while (value);
	h1_add(out, str_of(at, (size_t)(digits + sizeof(digits) - at)));
}

void h1_add_hex(struct h1_out *out, uint64_t value)
{
	char digits[U64_HEX_DIGITS_MAX];
	char *at = digits + sizeof(digits);

	do {
		*--at = "0123456789abcdef"[value & 0xf];
		value >>= 4;
	} while (value);
	h1_add(out, str_of(at, (size_t)(digits + sizeof(digits) - at)));
}

void h1_add_status_line_as(struct h1_out *out, unsigned status, struct str phrase)
{
	h1_add(out, STR("HTTP/1.1 "));
	h1_add_u64(out, status);
	h1_add(out, STR(" "));
	h1_add(out, phrase);
	h1_add(out, STR("\r\n"));
}

void h1_add_status_line(struct h1_out *out, unsigned status)
{
	h1_add_status_line_as(out, status, h1_status_phrase(status));
}

void h1_add_field(struct h1_out *out, struct str name, struct str value)
{
	h1_add(out, name);
	h1_add(out, STR(": "));
	h1_add(out, value);
	h1_add(out, STR("\r\n"));
}

void h1_add_field_u64(struct h1_out *out, struct str name, uint64_t value)
{
	h1_add(out, name);
	h1_add(out, STR(": "));
	h1_add_u64(out, value);
	h1_add(out, STR("\r\n"));
}

void h1_add_end(struct h1_out *out)
{
	h1_add(out, STR("\r\n"));
}

void h1_fields_select(struct h1_fields *fields, const struct h1_head *head, uint64_t ids,
		      unsigned flags)
{
	for (size_t i = 0; i < head->field_count; i++) {
		const struct h1_field *field = &head->fields[i];
		uint64_t is_in = (ids >> field->id & 1) | ((field->flags & flags) != 0);

		fields->bits[i / 64] |= is_in << (i % 64);
	}
}

void h1_add_kept_fields(struct h1_out *out, const struct h1_head *head,
			const struct h1_fields *dropped)
{
	const size_t empty_line_len = 2;
	size_t count = head->field_count;
	size_t start, end;

	for (size_t i = 0; i < count;) {
		if (h1_fields_has(dropped, i)) {
			i++;
			continue;
		}
		start = head->fields[i].name.off;
		while (i < count && !h1_fields_has(dropped, i))
			i++;
		end = i < count ? head->fields[i].name.off : head->len - empty_line_len;
		h1_add(out, str_of(head->at + start, end - start));
	}
}
