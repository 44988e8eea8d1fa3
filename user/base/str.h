/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str: a borrowed run of bytes.
 *
 * Bytes travel through sluice as struct str, by value. A str owns nothing and
 * is never NUL-terminated by contract; whoever hands one out says how long the
 * bytes live. C strings exist only at the edge to the operating system.
 *
 * An absent str has at == NULL; an empty one has len == 0 and at != NULL.
 * Letter case means ASCII everywhere: protocols do, and locales must not.
 */
#ifndef SLUICE_BASE_STR_H
#define SLUICE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *at;
	size_t len;
};

/* A str of a string literal, usable in constant initialisers through STR_INIT. */
#define STR_INIT(literal)                                                                          \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}
#define STR(literal) ((struct str)STR_INIT(literal))

/* For printf: "%.*s", STR_ARG(s). The argument is evaluated twice; pass a variable. */
#define STR_ARG(s) (int)(s).len, (s).at

static inline struct str str_of(const char *at, size_t len)
{
	return (struct str){ .at = at, .len = len };
}

static inline struct str str_from_c(const char *text)
{
	return text ? str_of(text, strlen(text)) : str_of(NULL, 0);
}

static inline bool str_is_empty(struct str s)
{
	return s.len == 0;
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool str_eq_c(struct str a, const char *b)
{
	return str_eq(a, str_from_c(b));
}

static inline char char_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool char_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit, or -1. */
static inline int char_hex_value(char c)
{
	if (char_is_digit(c))
		return c - '0';
	c = char_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool str_eq_nocase(struct str a, struct str b);
bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);

/* Bytes first, then length; shorter first where one begins with the other. */
int str_compare(struct str a, struct str b);

/* The bytes from @start, at most @len of them; cut to what is there. */
struct str str_slice(struct str s, size_t start, size_t len);

/* Without the spaces and tabs at both ends (OWS, RFC 9110 5.6.3). */
struct str str_trim(struct str s);

/* The index of the first @c, or s.len where there is none. */
size_t str_find_char(struct str s, char c);

/*
 * Takes the part before the first @separator off @rest and puts it into @part;
 * @rest keeps what follows. False when @rest was exhausted (at == NULL) before.
 * "a,,b" gives "a", "", "b"; "" gives "" once.
 */
bool str_take_part(struct str *rest, char separator, struct str *part);

/* Decimal digits only, no sign, no space. 0, or -EINVAL, or -ERANGE above @max. */
int str_parse_u64(struct str s, uint64_t max, uint64_t *value);

#endif
