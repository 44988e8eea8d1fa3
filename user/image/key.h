/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: the normal forms in which hosts and paths are compared.
 *
 * This is the contract between the compiler, which brings the hosts and paths of
 * rules into this form before it writes them into the image, and the proxy, which
 * brings those of requests into it before it looks them up (SEMANTICS.md 1.1.5).
 * Both call the same functions. The normal form of a normal form is itself.
 *
 * What is in normal form already (nearly every request) comes back as it is: the
 * key then borrows the caller's bytes and nothing is copied. Otherwise the key is
 * written into the caller's @room and lives as long as that.
 */
#ifndef SLUICE_IMAGE_KEY_H
#define SLUICE_IMAGE_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum {
	HOST_KEY_MAX = 253,       /* RFC 1035 2.3.4, without the final dot */
	HOST_KEY_LABEL_MAX = 63,  /* same place */
	PATH_KEY_GROWTH = 3,      /* a key is at most this many times as long as its path */
	PATH_KEY_RULE_MAX = 4096, /* longest key of a rule; requests may be longer */
};

/*
 * The key of a request's host: Host, :authority or SNI, with or without port.
 *
 *   "Example.COM:8080"  -> "example.com"      lower case, no port
 *   "example.com."      -> "example.com"      no final dot
 *   "[2001:DB8::1]:443" -> "[2001:db8::1]"    an address is a name that no rule has
 *   "" ":80" "a..b" "a b" "a:x" "*.x"  -EINVAL
 *
 * Labels are 1..63 bytes of a-z 0-9 - _ and the whole is 1..253 bytes; anything else is
 * -EINVAL. A request without a host has no key: look up STR("").
 */
int host_key(struct str host, char room[HOST_KEY_MAX], struct str *key);

/*
 * The key of a rule's host: as above, "*.<name>" allowed (the star stands for exactly one
 * label), port and address refused (a rule names hosts).
 */
int host_key_of_rule(struct str host, char room[HOST_KEY_MAX], struct str *key);

static inline bool host_key_is_wildcard(struct str key)
{
	return key.len > 2 && key.at[0] == '*' && key.at[1] == '.';
}

/* What stands behind the first label: "a.b.c" gives "b.c"; len == 0 where there is one label. */
struct str host_key_parent(struct str key);

/*
 * The key of a path, the query cut off before: a path of RFC 3986 3.3, in which
 *
 *   - escapes of unreserved characters are decoded ("%7Euser" -> "~user");
 *   - other escapes are kept, in upper case ("%2f" -> "%2F": it never separates);
 *   - bytes a path must not hold raw are escaped ("/caf\xc3\xa9" -> "/caf%C3%A9");
 *   - "." and ".." are resolved after that ("/a/%2e%2e/b" -> "/b", "/a/.." -> "/");
 *   - runs of '/' are one ("//a///b" -> "/a/b"); a final '/' stays.
 *
 * 0; -EINVAL where @path does not begin with '/', holds a raw control character or backslash
 * (some endpoints take it for a '/'), a '%' without two hexadecimal digits or "%00", or climbs
 * above the root; -ENAMETOOLONG where @room_bytes are too few (PATH_KEY_GROWTH * path.len always
 * suffice). @room must not overlap @path.
 */
int path_key(struct str path, char *room, size_t room_bytes, struct str *key);

/*
 * The key of a Prefix rule is the path key without its final '/' ("/foo/" -> "/foo"), except
 * that "/" stays: it is the prefix of everything.
 */
static inline struct str path_key_of_prefix(struct str key)
{
	return key.len > 1 && key.at[key.len - 1] == '/' ? str_of(key.at, key.len - 1) : key;
}

#endif
