// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as a request head. Besides not crashing: the same in two pieces as at
 * once, nothing that is good before its last byte, and facts that point into the
 * head. The first byte says where to cut.
 */
#include <stdlib.h>

#include "wire/h1.h"
#include "wire/h1_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static bool is_same_span(struct h1_span a, struct h1_span b)
{
	return a.off == b.off && a.len == b.len;
}

static void check_same(const struct h1_request *a, const struct h1_request *b)
{
	check(a->method == b->method && a->target_form == b->target_form);
	check(is_same_span(a->path, b->path) && is_same_span(a->authority, b->authority));
	check(is_same_span(a->host, b->host) && is_same_span(a->query, b->query));
	check(a->expects_continue == b->expects_continue && a->wants_upgrade == b->wants_upgrade);
	check(a->head.len == b->head.len && a->head.body == b->head.body);
	check(a->head.content_length == b->head.content_length);
	check(a->head.connection == b->head.connection && a->head.seen == b->head.seen);
	check(a->head.field_count == b->head.field_count);
	for (size_t i = 0; i < a->head.field_count; i++) {
		const struct h1_field *x = &a->head.fields[i], *y = &b->head.fields[i];

		check(is_same_span(x->name, y->name) && is_same_span(x->value, y->value));
		check(x->id == y->id && x->flags == y->flags);
	}
}

/* What "an endpoint sees only valid messages" rests on. */
static void check_clean(const struct h1_request *request)
{
	const struct h1_head *head = &request->head;
	const char *end = head->at + head->len;

	check(head->len >= 16 && end[-1] == '\n' && end[-2] == '\r' && end[-3] == '\n');
	for (const char *at = head->at; at < end; at++) {
		check(*at != 0 && *at != 0x7f);
		check(*at != '\r' || at[1] == '\n');
		check(*at != '\n' || (at > head->at && at[-1] == '\r'));
	}
	for (size_t i = 0; i < head->field_count; i++) {
		struct str name = h1_str(head, head->fields[i].name);
		struct str value = h1_str(head, head->fields[i].value);

		check(name.len > 0 && name.at[name.len] == ':');
		check(value.at + value.len <= end - 4);
		check(!memchr(name.at, ' ', name.len) && !memchr(value.at, '\r', value.len));
	}
	check(head->minor == 0 || request->has_host);
	check(head->body != H1_BODY_UNTIL_CLOSE);
	check(!(h1_has(head, HEADER_CONTENT_LENGTH) && h1_has(head, HEADER_TRANSFER_ENCODING)));
}

/* Copying everything gives the lines as they came. */
static void check_copy(const struct h1_request *request)
{
	static char room[H1_HEAD_BYTES_MAX];
	const struct h1_fields none = { 0 };
	struct h1_out out;

	h1_out_init(&out, room, sizeof(room));
	h1_add_kept_fields(&out, &request->head, &none);
	check(!out.is_cut && out.len < request->head.len);
	if (request->head.field_count)
		check(!memcmp(out.at, request->head.at + request->head.fields[0].name.off,
			      out.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_request whole, pieces;
	enum h1_progress at_once, in_pieces;
	struct str bytes;
	size_t cut;

	if (size < 2)
		return 0;
	bytes = str_of((const char *)data + 1, size - 1);
	cut = bytes.len * data[0] / 256;
	h1_request_init(&whole, H1_HEAD_BYTES_DEFAULT);
	at_once = h1_request_parse(&whole, bytes);
	h1_request_init(&pieces, H1_HEAD_BYTES_DEFAULT);
	in_pieces = h1_request_parse(&pieces, str_slice(bytes, 0, cut));
	if (in_pieces == H1_DONE)
		check(pieces.head.len <= cut);
	if (in_pieces == H1_MORE)
		in_pieces = h1_request_parse(&pieces, bytes);
	check(at_once == in_pieces && whole.head.reason == pieces.head.reason);
	check((at_once == H1_REFUSED) == (whole.head.reason != H1_REASON_NONE));
	if (at_once != H1_DONE)
		return 0;
	check_same(&whole, &pieces);
	check_clean(&whole);
	check_copy(&whole);
	h1_request_init(&pieces, H1_HEAD_BYTES_DEFAULT);
	check(h1_request_parse(&pieces, str_slice(bytes, 0, whole.head.len - 1)) == H1_MORE);
	return 0;
}
