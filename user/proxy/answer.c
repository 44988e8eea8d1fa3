// SPDX-License-Identifier: Apache-2.0
/* answer: see answer.h. */
#include "proxy/answer.h"

static const char *const reason_texts[ANSWER_REASON_COUNT] = {
#define REASON_ROW(name, text) [ANSWER_##name] = text,
	ANSWER_REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *answer_reason_text(enum answer_reason reason)
{
	return reason_texts[reason];
}

enum { BODY_BYTES_MAX = 96, UNAVAILABLE = 503 };

/* "404 Not Found" LF */
static struct str body_of(const struct answer *answer, char room[BODY_BYTES_MAX])
{
	struct h1_out body;

	h1_out_init(&body, room, BODY_BYTES_MAX);
	h1_add_u64(&body, answer->status);
	h1_add(&body, STR(" "));
	h1_add(&body, h1_status_phrase(answer->status));
	h1_add(&body, STR("\n"));
	return str_of(body.at, body.len);
}

void answer_write(struct h1_out *out, const struct answer *answer)
{
	char room[BODY_BYTES_MAX];
	struct str body = body_of(answer, room);

	h1_add_status_line(out, answer->status);
	h1_add_field(out, STR("Server"), STR("sluice"));
	h1_add_field(out, STR("Date"), answer->date);
	h1_add_field(out, STR("Content-Type"), STR("text/plain; charset=utf-8"));
	h1_add_field_u64(out, STR("Content-Length"), body.len);
	if (answer->location.at)
		h1_add_field(out, STR("Location"), answer->location);
	if (answer->status == UNAVAILABLE)
		h1_add_field_u64(out, STR("Retry-After"), ANSWER_RETRY_AFTER_S);
	if (!answer->keeps_alive)
		h1_add_field(out, STR("Connection"), STR("close"));
	else if (answer->is_client_1_0)
		h1_add_field(out, STR("Connection"), STR("keep-alive"));
	h1_add_end(out);
	if (!answer->is_head_request)
		h1_add(out, body);
}
