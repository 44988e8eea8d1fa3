// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as a response head; the same checks as for requests. The first byte
 * says where to cut, its lowest bit whether the request was HEAD.
 */
#include <stdlib.h>

#include "wire/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static void check_clean(const struct h1_response *response)
{
	const struct h1_head *head = &response->head;
	const char *end = head->at + head->len;

	check(response->status >= 100 && response->status <= 599);
	check(head->len >= 16 && end[-1] == '\n' && end[-2] == '\r' && end[-3] == '\n');
	for (const char *at = head->at; at < end; at++) {
		check(*at != 0 && *at != 0x7f);
		check(*at != '\r' || at[1] == '\n');
		check(*at != '\n' || (at > head->at && at[-1] == '\r'));
	}
	if (response->is_for_head || response->status < 200 || response->status == 204 ||
	    response->status == 304)
		check(head->body == H1_BODY_NONE);
	else
		check(head->body != H1_BODY_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_response whole, pieces;
	enum h1_progress at_once, in_pieces;
	struct str bytes;
	size_t cut;
	bool is_for_head;

	if (size < 2)
		return 0;
	bytes = str_of((const char *)data + 1, size - 1);
	cut = bytes.len * data[0] / 256;
	is_for_head = data[0] & 1;
	h1_response_init(&whole, H1_HEAD_BYTES_DEFAULT, is_for_head);
	at_once = h1_response_parse(&whole, bytes);
	h1_response_init(&pieces, H1_HEAD_BYTES_DEFAULT, is_for_head);
	in_pieces = h1_response_parse(&pieces, str_slice(bytes, 0, cut));
	if (in_pieces == H1_MORE)
		in_pieces = h1_response_parse(&pieces, bytes);
	check(at_once == in_pieces && whole.head.reason == pieces.head.reason);
	if (at_once != H1_DONE)
		return 0;
	check(whole.head.len == pieces.head.len && whole.head.body == pieces.head.body);
	check(whole.head.field_count == pieces.head.field_count);
	check(whole.head.seen == pieces.head.seen && whole.status == pieces.status);
	check_clean(&whole);
	h1_response_init(&pieces, H1_HEAD_BYTES_DEFAULT, is_for_head);
	check(h1_response_parse(&pieces, str_slice(bytes, 0, whole.head.len - 1)) == H1_MORE);
	return 0;
}
