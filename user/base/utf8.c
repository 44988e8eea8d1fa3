// SPDX-License-Identifier: Apache-2.0
/* utf8: see utf8.h. The rows are the table of RFC 3629, section 4. */
#include "base/utf8.h"

struct form {
	uint8_t first_low, first_high;   /* range of the first byte */
	uint8_t second_low, second_high; /* range of the second; the others are 80..BF */
	uint8_t len;
};

static const struct form forms[] = {
	{ 0x00, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool is_form(const struct form *form, const uint8_t *at, size_t len)
{
	if (at[0] < form->first_low || at[0] > form->first_high || form->len > len)
		return false;
	if (form->len > 1 && (at[1] < form->second_low || at[1] > form->second_high))
		return false;
	for (size_t i = 2; i < form->len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return false;
	}
	return true;
}

size_t utf8_sequence(struct str text)
{
	const uint8_t *at = (const uint8_t *)text.at; /* char may be signed */

	for (size_t i = 0; text.len && i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (is_form(&forms[i], at, text.len))
			return forms[i].len;
	}
	return 0;
}
