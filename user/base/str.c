// SPDX-License-Identifier: Apache-2.0
/*
 * str: the parts that are too long to be inlined.
 *
 * Nothing here allocates and nothing here depends on the locale.
 */
#include "base/str.h"

#include <errno.h>

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (char_lower(a.at[i]) != char_lower(b.at[i]))
			return false;
	}
	return true;
}

bool str_starts_with(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_eq(str_of(s.at, prefix.len), prefix);
}

bool str_ends_with(struct str s, struct str suffix)
{
	return s.len >= suffix.len && str_eq(str_of(s.at + s.len - suffix.len, suffix.len), suffix);
}

int str_compare(struct str a, struct str b)
{
	size_t shared = a.len < b.len ? a.len : b.len;
	int order = shared ? memcmp(a.at, b.at, shared) : 0;

	if (order)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

struct str str_slice(struct str s, size_t start, size_t len)
{
	if (start > s.len)
		start = s.len;
	if (len > s.len - start)
		len = s.len - start;
	return str_of(s.at ? s.at + start : NULL, len);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
	while (s.len && is_blank(s.at[0]))
		s = str_of(s.at + 1, s.len - 1);
	while (s.len && is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

size_t str_find_char(struct str s, char c)
{
	const char *hit = s.len ? memchr(s.at, c, s.len) : NULL;

	return hit ? (size_t)(hit - s.at) : s.len;
}

bool str_take_part(struct str *rest, char separator, struct str *part)
{
	size_t end;

	if (!rest->at)
		return false;
	end = str_find_char(*rest, separator);
	*part = str_of(rest->at, end);
	if (end == rest->len)
		*rest = str_of(NULL, 0);
	else
		*rest = str_of(rest->at + end + 1, rest->len - end - 1);
	return true;
}

int str_parse_u64(struct str s, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (s.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		if (!char_is_digit(s.at[i]))
			return -EINVAL;
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(s.at[i] - '0'), &sum))
			return -ERANGE;
	}
	if (sum > max)
		return -ERANGE;
	*value = sum;
	return 0;
}
