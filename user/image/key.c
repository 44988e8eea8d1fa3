// SPDX-License-Identifier: Apache-2.0
/*
 * key: hosts and paths in normal form. Both functions look first whether the bytes are in normal
 * form as they stand, and write only where they are not.
 */
#include "image/key.h"

#include <errno.h>

enum {
	PORT_MAX = 65535,
	IP_LITERAL_MIN = sizeof("[::]") - 1,
};

/* -------------------------------------------------------------------- hosts */

enum host_byte {
	HOST_BYTE_OTHER,
	HOST_BYTE_LABEL,
	HOST_BYTE_UPPER, /* a label byte, but not in normal form */
	HOST_BYTE_DOT,
};

static const unsigned char host_bytes[256] = {
	['a' ... 'z'] = HOST_BYTE_LABEL, ['0' ... '9'] = HOST_BYTE_LABEL, ['-'] = HOST_BYTE_LABEL,
	['_'] = HOST_BYTE_LABEL,         ['A' ... 'Z'] = HOST_BYTE_UPPER, ['.'] = HOST_BYTE_DOT,
};

static enum host_byte host_byte_of(char c)
{
	return host_bytes[(unsigned char)c]; /* indexes a table of all byte values */
}

/* Non-empty labels of at most 63 label bytes, with a dot between each two. */
static bool are_labels(struct str name)
{
	size_t label_at = 0;

	for (size_t i = 0; i < name.len; i++) {
		enum host_byte byte = host_byte_of(name.at[i]);

		if (byte == HOST_BYTE_LABEL || byte == HOST_BYTE_UPPER)
			continue;
		if (byte == HOST_BYTE_OTHER || i == label_at || i - label_at > HOST_KEY_LABEL_MAX)
			return false;
		label_at = i + 1;
	}
	return label_at < name.len && name.len - label_at <= HOST_KEY_LABEL_MAX;
}

/* "" or ":" or ":<number>", behind a host. An empty port is a port (RFC 3986 3.2.3). */
static bool is_port(struct str text)
{
	uint64_t port;

	if (text.len <= 1)
		return text.len == 0 || text.at[0] == ':';
	return text.at[0] == ':' &&
	       str_parse_u64(str_slice(text, 1, text.len), PORT_MAX, &port) == 0;
}

/* @name itself where it is in lower case, else a copy in @room that is. */
static struct str in_lower_case(struct str name, char room[HOST_KEY_MAX])
{
	size_t i = 0;

	while (i < name.len && char_lower(name.at[i]) == name.at[i])
		i++;
	if (i == name.len)
		return name;
	for (i = 0; i < name.len; i++)
		room[i] = char_lower(name.at[i]);
	return str_of(room, name.len);
}

/* "[2001:db8::1]:443": what stands in the brackets is only checked for its bytes. */
static int ip_literal_key(struct str host, char room[HOST_KEY_MAX], struct str *key)
{
	size_t close = str_find_char(host, ']');

	if (close == host.len || close + 1 < IP_LITERAL_MIN || close >= HOST_KEY_MAX ||
	    !is_port(str_slice(host, close + 1, host.len)))
		return -EINVAL;
	for (size_t i = 1; i < close; i++)
		if (char_hex_value(host.at[i]) < 0 && host.at[i] != ':' && host.at[i] != '.')
			return -EINVAL;
	*key = in_lower_case(str_slice(host, 0, close + 1), room);
	return 0;
}

static struct str without_final_dot(struct str name)
{
	return name.len && name.at[name.len - 1] == '.' ? str_slice(name, 0, name.len - 1) : name;
}

int host_key(struct str host, char room[HOST_KEY_MAX], struct str *key)
{
	size_t colon = str_find_char(host, ':');
	struct str name;

	if (host.len && host.at[0] == '[')
		return ip_literal_key(host, room, key);
	if (!is_port(str_slice(host, colon, host.len)))
		return -EINVAL;
	name = without_final_dot(str_slice(host, 0, colon));
	if (name.len > HOST_KEY_MAX || !are_labels(name))
		return -EINVAL;
	*key = in_lower_case(name, room);
	return 0;
}

int host_key_of_rule(struct str host, char room[HOST_KEY_MAX], struct str *key)
{
	struct str name = without_final_dot(host);
	struct str labels = host_key_is_wildcard(name) ? str_slice(name, 2, name.len) : name;

	if (name.len > HOST_KEY_MAX || !are_labels(labels))
		return -EINVAL;
	*key = in_lower_case(name, room);
	return 0;
}

struct str host_key_parent(struct str key)
{
	return str_slice(key, str_find_char(key, '.') + 1, key.len);
}

/* -------------------------------------------------------------------- paths */

enum path_byte {
	PATH_BYTE_ESCAPE, /* may not stand raw in a path: written as %XX */
	PATH_BYTE_PLAIN,  /* pchar of RFC 3986 3.3, except '%' */
	PATH_BYTE_SLASH,
	PATH_BYTE_PERCENT,
	PATH_BYTE_REFUSED, /* control bytes; what some readers take for a slash */
};

static const unsigned char path_bytes[256] = {
	[0x00 ... 0x1f] = PATH_BYTE_REFUSED,
	[0x7f] = PATH_BYTE_REFUSED,
	['\\'] = PATH_BYTE_REFUSED,
	['a' ... 'z'] = PATH_BYTE_PLAIN,
	['A' ... 'Z'] = PATH_BYTE_PLAIN,
	['0' ... '9'] = PATH_BYTE_PLAIN,
	['-'] = PATH_BYTE_PLAIN,
	['.'] = PATH_BYTE_PLAIN,
	['_'] = PATH_BYTE_PLAIN,
	['~'] = PATH_BYTE_PLAIN,
	['!'] = PATH_BYTE_PLAIN,
	['$'] = PATH_BYTE_PLAIN,
	['&' ... '*'] = PATH_BYTE_PLAIN, /* & ' ( ) * */
	['+'] = PATH_BYTE_PLAIN,
	[','] = PATH_BYTE_PLAIN,
	[';'] = PATH_BYTE_PLAIN,
	['='] = PATH_BYTE_PLAIN,
	[':'] = PATH_BYTE_PLAIN,
	['@'] = PATH_BYTE_PLAIN,
	['/'] = PATH_BYTE_SLASH,
	['%'] = PATH_BYTE_PERCENT,
};

static enum path_byte path_byte_of(char c)
{
	return path_bytes[(unsigned char)c]; /* indexes a table of all byte values */
}

/* RFC 3986 2.3: escapes of these mean the same as themselves. Letters, digits, - . _ and ~. */
static bool is_unreserved(char c)
{
	return host_byte_of(c) != HOST_BYTE_OTHER || c == '~';
}

/* What follows a '/' gives no normal form: another one, or the segment "." or "..". */
static bool is_untidy_behind_slash(struct str rest)
{
	size_t dots = 0;

	if (rest.len && rest.at[0] == '/')
		return true;
	while (dots < rest.len && dots < 3 && rest.at[dots] == '.')
		dots++;
	return (dots == 1 || dots == 2) && (dots == rest.len || rest.at[dots] == '/');
}

static bool is_clean(struct str path)
{
	for (size_t i = 0; i < path.len; i++) {
		enum path_byte byte = path_byte_of(path.at[i]);

		if (byte == PATH_BYTE_PLAIN)
			continue;
		if (byte != PATH_BYTE_SLASH ||
		    is_untidy_behind_slash(str_of(path.at + i + 1, path.len - i - 1)))
			return false;
	}
	return true;
}

/* The key as it grows. It begins with '/'; segment_at is where the last segment began. */
struct path_writer {
	char *at;
	size_t len;
	size_t max;
	size_t segment_at;
};

static int put_byte(struct path_writer *writer, char c)
{
	if (writer->len == writer->max)
		return -ENAMETOOLONG;
	writer->at[writer->len++] = c;
	return 0;
}

static int put_escape(struct path_writer *writer, unsigned int byte)
{
	static const char digits[] = "0123456789ABCDEF";
	int rc = put_byte(writer, '%');

	if (rc == 0)
		rc = put_byte(writer, digits[byte >> 4]);
	return rc ? rc : put_byte(writer, digits[byte & 0xf]);
}

/* @rest begins with '%'. */
static int put_decoded(struct path_writer *writer, struct str rest)
{
	int high = rest.len > 2 ? char_hex_value(rest.at[1]) : -1;
	int low = rest.len > 2 ? char_hex_value(rest.at[2]) : -1;
	unsigned int byte;

	if (high < 0 || low < 0)
		return -EINVAL;
	byte = (unsigned int)high << 4 | (unsigned int)low;
	if (byte == 0)
		return -EINVAL;
	return is_unreserved((char)byte) ? put_byte(writer, (char)byte) : put_escape(writer, byte);
}

/* The segment is whole: resolves "." and ".." (RFC 3986 5.2.4). */
static int end_segment(struct path_writer *writer)
{
	struct str segment =
		str_of(writer->at + writer->segment_at, writer->len - writer->segment_at);

	if (str_eq(segment, STR("."))) {
		writer->len = writer->segment_at;
		return 0;
	}
	if (!str_eq(segment, STR("..")))
		return 0;
	if (writer->segment_at <= 1)
		return -EINVAL; /* above the root */
	writer->len = writer->segment_at - 1;
	while (writer->at[writer->len - 1] != '/')
		writer->len--;
	return 0;
}

static int put_slash(struct path_writer *writer)
{
	int rc = end_segment(writer);

	if (rc == 0 && (writer->len == 0 || writer->at[writer->len - 1] != '/'))
		rc = put_byte(writer, '/');
	writer->segment_at = writer->len;
	return rc;
}

static int put_path(struct path_writer *writer, struct str path)
{
	int rc = 0;

	for (size_t i = 0; i < path.len && rc == 0; i++) {
		switch (path_byte_of(path.at[i])) {
		case PATH_BYTE_PLAIN:
			rc = put_byte(writer, path.at[i]);
			break;
		case PATH_BYTE_SLASH:
			rc = put_slash(writer);
			break;
		case PATH_BYTE_PERCENT:
			rc = put_decoded(writer, str_of(path.at + i, path.len - i));
			i += 2; /* its digits */
			break;
		case PATH_BYTE_ESCAPE:
			rc = put_escape(writer, (unsigned char)path.at[i]);
			break;
		case PATH_BYTE_REFUSED:
			rc = -EINVAL;
			break;
		}
	}
	return rc ? rc : end_segment(writer);
}

int path_key(struct str path, char *room, size_t room_bytes, struct str *key)
{
	struct path_writer writer = { .at = room, .max = room_bytes };
	int rc;

	if (path.len == 0 || path.at[0] != '/')
		return -EINVAL;
	if (is_clean(path)) {
		*key = path;
		return 0;
	}
	rc = put_path(&writer, path);
	if (rc == 0)
		*key = str_of(room, writer.len);
	return rc;
}
