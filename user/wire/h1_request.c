// SPDX-License-Identifier: Apache-2.0
/*
 * h1_request: the request line, the target, the host.
 *
 *   GET /path?query HTTP/1.1
 *
 * One space between the parts and none in them. RFC 9112 3 would let a reader
 * split on any white space; readers that do and readers that do not disagree
 * about what was asked, so this one does not.
 */
#include "wire/authority.h"
#include "wire/h1_head.h"
#include "wire/scan.h"

static const struct str methods[] = {
	[H1_METHOD_GET] = STR_INIT("GET"),         [H1_METHOD_HEAD] = STR_INIT("HEAD"),
	[H1_METHOD_POST] = STR_INIT("POST"),       [H1_METHOD_PUT] = STR_INIT("PUT"),
	[H1_METHOD_DELETE] = STR_INIT("DELETE"),   [H1_METHOD_OPTIONS] = STR_INIT("OPTIONS"),
	[H1_METHOD_PATCH] = STR_INIT("PATCH"),     [H1_METHOD_TRACE] = STR_INIT("TRACE"),
	[H1_METHOD_CONNECT] = STR_INIT("CONNECT"),
};

void h1_request_init(struct h1_request *request, size_t max_bytes)
{
	memset(request, 0, offsetof(struct h1_request, head) + H1_HEAD_CLEARED_BYTES);
	/* The smaller of the two fits. */
	request->head.max_bytes =
		(uint32_t)(max_bytes < H1_HEAD_BYTES_MAX ? max_bytes : H1_HEAD_BYTES_MAX);
}

static enum h1_method method_of(struct str text)
{
	for (unsigned i = H1_METHOD_GET; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (str_eq(text, methods[i]))
			return (enum h1_method)i; /* an index of the enum's table */
	}
	return H1_METHOD_OTHER;
}

/* ---- the request line: syntax, from left to right ----------------------------------------- */

static enum h1_progress take_method(struct h1_request *request, const char **at, const char *end)
{
	struct h1_head *head = &request->head;
	const char *space = scan_class(*at, end, BYTE_TOKEN);

	if (space == end)
		return H1_MORE;
	if (*space == '\n')
		return h1_refuse(head, H1_REASON_BARE_LF);
	if (*space != ' ' || space == *at)
		return h1_refuse(head, H1_REASON_METHOD);
	request->method_text = h1_span_of(head, *at, space);
	*at = space + 1;
	return H1_DONE;
}

/* Takes the target and splits it at the first "?". */
static enum h1_progress take_target(struct h1_request *request, const char **at, const char *end)
{
	struct h1_head *head = &request->head;
	const char *path_end = scan_path(*at, end);
	const char *space = path_end;

	request->has_query = path_end < end && *path_end == '?';
	if (request->has_query) {
		space = scan_target(path_end, end);
		request->query = h1_span_of(head, path_end + 1, space);
	}
	if (space == end)
		return H1_MORE;
	if (*space == '\n')
		return h1_refuse(head, H1_REASON_BARE_LF);
	if (*space == '\r') /* HTTP/0.9 knew no version */
		return h1_refuse(head, H1_REASON_VERSION_SYNTAX);
	if (*space != ' ' || space == *at)
		return h1_refuse(head, H1_REASON_TARGET_BYTE);
	request->path = h1_span_of(head, *at, path_end);
	request->target = h1_span_of(head, *at, space);
	*at = space + 1;
	return H1_DONE;
}

/* HTTP-version and the end of the line; @major is the digit. */
static enum h1_progress take_version(struct h1_head *head, const char **at, const char *end,
				     char *major)
{
	const struct str name = STR_INIT("HTTP/");
	const char *digits = *at + name.len;

	if (end - *at < (ptrdiff_t)name.len + 3)
		return H1_MORE;
	if (memcmp(*at, name.at, name.len) || !char_is_digit(digits[0]) || digits[1] != '.' ||
	    !char_is_digit(digits[2]))
		return h1_refuse(head, H1_REASON_VERSION_SYNTAX);
	*major = digits[0];
	head->minor = digits[2] != '0';
	*at = digits + 3;
	return h1_take_crlf(head, at, end, H1_REASON_VERSION_SYNTAX);
}

/* ---- the request line: meaning ------------------------------------------------------------ */

/* Splits http://authority/path (RFC 9112 3.2.2); request->path holds all before the query. */
static enum h1_progress split_absolute(struct h1_request *request)
{
	static const struct str schemes[] = { STR_INIT("http://"), STR_INIT("https://") };
	struct h1_head *head = &request->head;
	struct str url = h1_str(head, request->path);
	size_t scheme_len = 0, authority_len;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (str_eq_nocase(str_slice(url, 0, schemes[i].len), schemes[i]))
			scheme_len = schemes[i].len;
	}
	if (scheme_len == 0)
		return h1_refuse(head, H1_REASON_TARGET_FORM);
	url = str_slice(url, scheme_len, url.len);
	authority_len = str_find_char(url, '/');
	request->target_form = H1_TARGET_ABSOLUTE;
	request->authority = h1_span_of(head, url.at, url.at + authority_len);
	request->path = h1_span_of(head, url.at + authority_len, url.at + url.len);
	return H1_DONE;
}

static enum h1_progress read_target(struct h1_request *request)
{
	struct str path = h1_str(&request->head, request->path);

	if (path.len && path.at[0] == '/')
		return H1_DONE; /* H1_TARGET_ORIGIN */
	if (str_eq(path, STR("*")) && request->method == H1_METHOD_OPTIONS && !request->has_query) {
		request->target_form = H1_TARGET_ASTERISK;
		return H1_DONE;
	}
	return split_absolute(request);
}

static enum h1_progress read_request_line(struct h1_request *request, char major)
{
	struct h1_head *head = &request->head;
	struct str method = h1_str(head, request->method_text);

	if (major == '2' && str_eq(method, STR("PRI")))
		return h1_refuse(head, H1_REASON_H2_PREFACE);
	if (major != '1')
		return h1_refuse(head, H1_REASON_VERSION);
	request->method = (uint8_t)method_of(method); /* a small enum */
	if (request->method == H1_METHOD_CONNECT)
		return h1_refuse(head, H1_REASON_CONNECT);
	return read_target(request);
}

static enum h1_progress take_request_line(struct h1_request *request, const char *end)
{
	struct h1_head *head = &request->head;
	const char *at = head->at + head->position;
	char major = 0;
	enum h1_progress progress = take_method(request, &at, end);

	if (progress == H1_DONE)
		progress = take_target(request, &at, end);
	if (progress == H1_DONE)
		progress = take_version(head, &at, end, &major);
	if (progress == H1_DONE)
		progress = read_request_line(request, major);
	if (progress != H1_DONE)
		return progress;
	head->position = (uint32_t)(at - head->at); /* at most max_bytes */
	head->line = H1_LINE_FIELD;
	return H1_DONE;
}

/* One empty line before a request is left over from an old client's body (RFC 9112 2.2). */
static enum h1_progress take_empty_line(struct h1_head *head, const char *end)
{
	const char *at = head->at;
	enum h1_progress progress;

	if (at == end)
		return H1_MORE;
	if (*at == '\r') {
		progress = h1_take_crlf(head, &at, end, H1_REASON_BARE_CR);
		if (progress != H1_DONE)
			return progress;
		if (at == end)
			return H1_MORE;
		if (*at == '\r')
			return h1_refuse(head, H1_REASON_EMPTY_LINES);
		head->position = (uint32_t)(at - head->at); /* 2 */
	}
	head->line = H1_LINE_START;
	return H1_DONE;
}

/* ---- the complete head -------------------------------------------------------------------- */

static enum h1_progress split_authority(struct h1_request *request)
{
	struct h1_head *head = &request->head;
	struct authority authority;

	if (authority_parse(h1_str(head, request->authority), &authority))
		return h1_refuse(head, H1_REASON_HOST_SYNTAX);
	request->host = h1_span_of(head, authority.host.at, authority.host.at + authority.host.len);
	request->has_port = authority.has_port;
	request->port = authority.port;
	return H1_DONE;
}

/* RFC 9112 3.2: one Host, valid; an absolute target goes before it (3.2.2). */
static enum h1_progress read_host(struct h1_request *request)
{
	struct h1_head *head = &request->head;
	struct h1_span in_target = request->authority;
	const struct h1_field *field = h1_find(head, HEADER_HOST);

	if (!field && head->minor > 0)
		return h1_refuse(head, H1_REASON_HOST_MISSING);
	/* An empty Host is what a client without an authority has to send. */
	if (field && field->value.len) {
		request->authority = field->value;
		if (split_authority(request) != H1_DONE)
			return H1_REFUSED;
	}
	request->has_host = field != NULL;
	if (request->target_form != H1_TARGET_ABSOLUTE)
		return H1_DONE;
	request->has_host = true;
	request->authority = in_target;
	return split_authority(request);
}

static void read_expectations(struct h1_request *request)
{
	struct h1_head *head = &request->head;
	const struct h1_field *upgrade = h1_find(head, HEADER_UPGRADE);

	/* HTTP/1.0 clients cannot mean it (RFC 9110 10.1.1). */
	request->expects_continue = head->minor > 0 && str_eq_nocase(h1_value(head, HEADER_EXPECT),
								     STR("100-continue"));
	request->wants_upgrade = h1_wants_upgrade(head);
	if (!request->wants_upgrade)
		return;
	request->wants_websocket = str_eq_nocase(h1_str(head, upgrade->value), STR("websocket"));
	for (size_t i = head->first[HEADER_UPGRADE] + 1u; i < head->field_count; i++) {
		if (head->fields[i].id == HEADER_UPGRADE)
			request->wants_websocket = false;
	}
}

static enum h1_progress read_head(struct h1_request *request)
{
	const uint64_t expectations = HEADER_BIT(HEADER_EXPECT) | HEADER_BIT(HEADER_UPGRADE);
	enum h1_progress progress = read_host(request);

	if (progress == H1_DONE)
		progress = h1_read_framing(&request->head);
	if (progress == H1_DONE && (request->head.seen & expectations))
		read_expectations(request);
	return progress;
}

/* Everything in @end - head->at bytes, of which none is behind max_bytes. */
static enum h1_progress parse(struct h1_request *request, const char *end)
{
	struct h1_head *head = &request->head;
	enum h1_progress progress = H1_DONE;

	if (head->line == H1_LINE_EMPTY)
		progress = take_empty_line(head, end);
	if (progress == H1_DONE && head->line == H1_LINE_START)
		progress = take_request_line(request, end);
	if (progress == H1_DONE)
		progress = h1_take_fields(head, end);
	if (progress == H1_DONE)
		progress = read_head(request);
	return progress;
}

enum h1_progress h1_request_parse(struct h1_request *request, struct str bytes)
{
	struct h1_head *head = &request->head;
	size_t len = bytes.len < head->max_bytes ? bytes.len : head->max_bytes;
	enum h1_progress progress;

	head->at = bytes.at;
	progress = parse(request, bytes.at + len);
	if (progress != H1_MORE || len < head->max_bytes)
		return progress;
	return h1_refuse(head, head->line == H1_LINE_FIELD ? H1_REASON_HEAD_TOO_LONG
							   : H1_REASON_TARGET_TOO_LONG);
}
