// SPDX-License-Identifier: Apache-2.0
/* body: see body.h. */
#include "proxy/body.h"

static void take_fixed(struct body *body, char *at, size_t len, struct str *kept, size_t *taken)
{
	*taken = len < body->left ? len : (size_t)body->left;
	*kept = str_of(at, *taken);
	body->left -= *taken;
	body->is_done = body->left == 0;
}

static bool take_chunked(struct body *body, char *at, size_t len, struct str *kept, size_t *taken)
{
	enum h1_progress progress = h1_chunked_filter(&body->chunked, at, len, kept, taken);

	body->is_done = progress == H1_DONE;
	if (progress == H1_REFUSED)
		body->reason = body->chunked.reason;
	return progress != H1_REFUSED;
}

bool body_take(struct body *body, char *at, size_t len, struct str *kept, size_t *taken)
{
	*kept = str_of(at, 0);
	*taken = 0;
	if (body->is_done)
		return true;
	switch ((enum h1_body)body->kind) {
	case H1_BODY_NONE:
		break;
	case H1_BODY_FIXED:
		take_fixed(body, at, len, kept, taken);
		break;
	case H1_BODY_CHUNKED:
		return take_chunked(body, at, len, kept, taken);
	case H1_BODY_UNTIL_CLOSE:
		*kept = str_of(at, len);
		*taken = len;
		break;
	}
	return true;
}
