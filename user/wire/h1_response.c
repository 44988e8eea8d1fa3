// SPDX-License-Identifier: Apache-2.0
/*
 * h1_response: the status line, and which body follows.
 *
 *   HTTP/1.1 200 OK
 *
 * An endpoint is believed no more than a client: what the next reader could take
 * differently is refused, and the client gets a 502. One thing is let pass, since
 * so many endpoints do it: a status line that ends right behind its status.
 */
#include "wire/h1_head.h"
#include "wire/scan.h"

enum {
	STATUS_DIGITS = 3,
	STATUS_SWITCHING = 101,
	STATUS_OK = 200, /* below: interim responses */
	STATUS_NO_CONTENT = 204,
	STATUS_NOT_MODIFIED = 304,
	STATUS_MAX = 599,
};

void h1_response_init(struct h1_response *response, size_t max_bytes, bool is_for_head)
{
	memset(response, 0, offsetof(struct h1_response, head) + H1_HEAD_CLEARED_BYTES);
	/* The smaller of the two fits. */
	response->head.max_bytes =
		(uint32_t)(max_bytes < H1_HEAD_BYTES_MAX ? max_bytes : H1_HEAD_BYTES_MAX);
	response->head.line = H1_LINE_START;
	response->is_for_head = is_for_head;
}

/* "HTTP/1.1 200", RFC 9112 4. */
static enum h1_progress take_status(struct h1_response *response, const char **at, const char *end)
{
	const struct str prefix = STR_INIT("HTTP/1.");
	struct h1_head *head = &response->head;
	const char *minor = *at + prefix.len;
	const char *digits = minor + 2;
	unsigned status = 0;

	if (end - *at < (ptrdiff_t)prefix.len + 2 + STATUS_DIGITS)
		return H1_MORE;
	if (memcmp(*at, prefix.at, prefix.len) || !char_is_digit(minor[0]) || minor[1] != ' ')
		return h1_refuse(head, H1_REASON_STATUS_LINE);
	for (unsigned i = 0; i < STATUS_DIGITS; i++) {
		if (!char_is_digit(digits[i]))
			return h1_refuse(head, H1_REASON_STATUS_LINE);
		status = status * 10 + (unsigned)(digits[i] - '0');
	}
	if (status < 100 || status > STATUS_MAX)
		return h1_refuse(head, H1_REASON_STATUS_LINE);
	head->minor = minor[0] != '0';
	response->status = (uint16_t)status; /* three digits */
	*at = digits + STATUS_DIGITS;
	return H1_DONE;
}

static enum h1_progress take_status_line(struct h1_response *response, const char *end)
{
	struct h1_head *head = &response->head;
	const char *at = head->at + head->position, *phrase;
	enum h1_progress progress = take_status(response, &at, end);

	if (progress != H1_DONE)
		return progress;
	if (at < end && *at == ' ') {
		phrase = at + 1;
		at = scan_text(phrase, end);
		response->phrase = h1_span_of(head, phrase, at);
	}
	progress = h1_take_crlf(head, &at, end, H1_REASON_STATUS_LINE);
	if (progress != H1_DONE)
		return progress;
	head->position = (uint32_t)(at - head->at); /* at most max_bytes */
	head->line = H1_LINE_FIELD;
	return H1_DONE;
}

/* RFC 9112 6.3, for a head whose fields say @head->body. */
static enum h1_progress read_body(struct h1_response *response)
{
	struct h1_head *head = &response->head;
	bool is_bare = response->status < STATUS_OK || response->status == STATUS_NO_CONTENT;

	response->forbids_length = is_bare;
	if (is_bare && h1_has(head, HEADER_TRANSFER_ENCODING)) /* RFC 9112 6.1 */
		return h1_refuse(head, H1_REASON_CODING_UNEXPECTED);
	if (is_bare || response->is_for_head || response->status == STATUS_NOT_MODIFIED)
		head->body = H1_BODY_NONE;
	else if (head->body == H1_BODY_NONE)
		head->body = H1_BODY_UNTIL_CLOSE;
	return H1_DONE;
}

static enum h1_progress parse(struct h1_response *response, const char *end)
{
	struct h1_head *head = &response->head;
	enum h1_progress progress = H1_DONE;

	if (head->line == H1_LINE_START)
		progress = take_status_line(response, end);
	if (progress == H1_DONE)
		progress = h1_take_fields(head, end);
	if (progress == H1_DONE)
		progress = h1_read_framing(head);
	if (progress == H1_DONE)
		progress = read_body(response);
	if (progress == H1_DONE)
		response->is_upgrade =
			response->status == STATUS_SWITCHING && h1_wants_upgrade(head);
	return progress;
}

enum h1_progress h1_response_parse(struct h1_response *response, struct str bytes)
{
	struct h1_head *head = &response->head;
	size_t len = bytes.len < head->max_bytes ? bytes.len : head->max_bytes;
	enum h1_progress progress;

	head->at = bytes.at;
	progress = parse(response, bytes.at + len);
	if (progress != H1_MORE || len < head->max_bytes)
		return progress;
	return h1_refuse(head, H1_REASON_HEAD_TOO_LONG);
}
