// SPDX-License-Identifier: Apache-2.0
/* say: see say.h. */
#include "kube/say.h"

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

const char *say_text(struct str text, char out[SAY_MAX])
{
	static const char cut[] = "...";
	size_t len = text.len;

	if (len > SAY_MAX - 1)
		len = SAY_MAX - sizeof(cut);
	for (size_t i = 0; i < len; i++)
		out[i] = is_control(text.at[i]) ? '?' : text.at[i];
	out[len] = 0;
	if (len < text.len)
		memcpy(out + len, cut, sizeof(cut));
	return out;
}

static bool is_plain_word(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = char_lower(name.at[i]);

		if (!(c >= 'a' && c <= 'z') && !char_is_digit(c) && c != '_' && c != '-')
			return false;
	}
	return name.len > 0;
}

void say_field(struct buf *out, struct str name)
{
	char text[SAY_MAX];

	say_text(name, text);
	if (!is_plain_word(name))
		buf_printf(out, "[%s]", text);
	else
		buf_printf(out, out->len ? ".%s" : "%s", text);
}

void say_index(struct buf *out, size_t index)
{
	buf_printf(out, "[%zu]", index);
}
