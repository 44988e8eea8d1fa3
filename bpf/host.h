/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * host: finds the host in the first payload of a connection, and hashes it.
 *
 *   TLS   server_name of the ClientHello (RFC 6066 3), wherever it stands among
 *         the extensions; unknown ones (GREASE, RFC 8701) are stepped over
 *   HTTP  the authority of an absolute-form target, else the Host field
 *         (RFC 9112 3.2), wherever it stands; without port
 *
 * Only what is whole in this segment counts. A ClientHello or a header that goes
 * on in the next one gives "no host", and the worker that accepts the connection
 * looks for itself: this is a hint, never a decision about a request. So nothing
 * is validated here that the hint does not need.
 *
 * A name is held as little-endian 64-bit words and treated eight bytes at a time
 * (SWAR): a step per byte costs the verifier, and the processor, eight times as
 * much. The hash is SipHash-2-4 over the name in lower case without a final dot,
 * with a key that strangers do not know. The hash of "*.example.com" stands for
 * each host with one label more; that of no name at all is HOST_HASH_CATCH_ALL.
 *
 * Compiles natively too (platform.h): the agent computes its keys with it.
 */
#ifndef SLUICE_BPF_HOST_H
#define SLUICE_BPF_HOST_H

#include "contract.h"
#include "platform.h"
#include "siphash.h"

enum {
	HOST_NAME_WORDS = 32, /* 256 bytes, of which a name may use 255 */
	HOST_WINDOW_WORDS = 8,
	HOST_WINDOW_BYTES = HOST_WINDOW_WORDS * 8,
	HOST_LABEL_MAX_BYTES = 63, /* RFC 1035 2.3.4 */
	HOST_SCAN_STEPS_MAX = 512, /* header lines, and windows of longer ones */
	HOST_METHOD_MIN_BYTES = 3,
	HOST_METHOD_MAX_BYTES = 16,
};

struct host_name {
	__u64 words[HOST_NAME_WORDS]; /* as in the packet; bytes behind len mean nothing */
	__u32 len;
	__u32 pos; /* where it stands in the packet */
};

/* ---- eight bytes at a time ------------------------------------------------------------------ */

#define EACH_BYTE(byte) (0x0101010101010101ull * (byte))
#define EACH_HIGH_BIT   EACH_BYTE(0x80)

/* The word whose lowest byte is the first in memory. */
static __always_inline __u64 word_from_memory(__u64 word)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : __builtin_bswap64(word);
}

/* The high bit of each byte that is 'A' to 'Z'. Seven-bit sums cannot carry into a neighbour. */
static __always_inline __u64 bytes_upper(__u64 word)
{
	__u64 low = word & EACH_BYTE(0x7f);
	__u64 from_a = low + EACH_BYTE(0x80 - 'A');
	__u64 above_z = low + EACH_BYTE(0x80 - 'Z' - 1);

	return from_a & ~above_z & ~word & EACH_HIGH_BIT;
}

static __always_inline __u64 word_lower(__u64 word)
{
	return word | bytes_upper(word) >> 2; /* 0x80 >> 2 is the case bit, 0x20 */
}

/* The high bit of each byte below @limit (1 to 128); exact up to and including the first. */
static __always_inline __u64 bytes_below(__u64 word, __u8 limit)
{
	return (word - EACH_BYTE(limit)) & ~word & EACH_HIGH_BIT;
}

/* The high bit of each byte equal to @byte; exact up to and including the first. */
static __always_inline __u64 bytes_equal(__u64 word, __u8 byte)
{
	return bytes_below(word ^ EACH_BYTE(byte), 1);
}

/*
 * Which byte has the lowest high bit; @high_bits is not 0. The lowest bit, moved
 * to the bottom of its byte, moves the n-th byte of the constant to the top.
 * BPF has no instruction for this, and clang 14 none of its own making.
 */
static __always_inline __u32 first_byte(__u64 high_bits)
{
	__u64 lowest = high_bits & -high_bits;

	return (lowest >> 7) * 0x0001020304050607ull >> 56;
}

/* ---- the hash ------------------------------------------------------------------------------- */

static __always_inline __u32 host_len_without_final_dot(const struct host_name *name)
{
	const __u8 *bytes = (const __u8 *)name->words;
	__u32 last = (name->len - 1) & HOST_NAME_MAX_BYTES;

	return name->len && bytes[last] == '.' ? last : name->len;
}

/* Of name->len (1 to 255) bytes; @k0 and @k1 are the key. Never HOST_HASH_CATCH_ALL. */
static __noinline __u64 host_hash(__u64 k0, __u64 k1, const struct host_name *name)
{
	__u32 len = host_len_without_final_dot(name) & HOST_NAME_MAX_BYTES;
	__u64 last, hash;
	struct sip sip;

	sip_start(&sip, k0, k1);
	for (__u32 i = 0; i < HOST_NAME_WORDS - 1 && i * 8 + 8 <= len; i++)
		sip_absorb(&sip, word_lower(word_from_memory(name->words[i])));
	last = word_lower(word_from_memory(name->words[len / 8]));
	last &= (1ull << len % 8 * 8) - 1;
	hash = sip_finish(&sip, last | (__u64)len << 56);
	return hash == HOST_HASH_CATCH_ALL ? 1 : hash;
}

/*
 * Makes @name, read from @payload, the wildcard that would cover it: "*" in the
 * place of its first label. 0, or -1 where there is no second label.
 */
static __noinline int host_to_wildcard(const struct payload *payload, struct host_name *name)
{
	__u64 dots = 0;
	__u32 dot = 0, len;

	for (__u32 i = 0; i < HOST_WINDOW_WORDS; i++) {
		dots = bytes_equal(word_from_memory(name->words[i]), '.');
		dot = i * 8;
		if (dots)
			break;
	}
	if (!dots)
		return -1;
	dot += first_byte(dots);
	if (dot == 0 || dot + 1 >= name->len)
		return -1;
	/* The byte before the dot becomes the star. */
	len = name->len - (dot - 1);
	platform_keep(len);
	if (len == 0 || len > HOST_NAME_MAX_BYTES)
		return -1;
	if (payload_load(payload, name->pos + dot - 1, name->words, len))
		return -1;
	*(__u8 *)name->words = '*';
	name->pos += dot - 1;
	name->len = len;
	return 0;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

enum {
	TLS_RECORD_HANDSHAKE = 22,
	TLS_HANDSHAKE_CLIENT_HELLO = 1,
	TLS_EXTENSION_SERVER_NAME = 0,
	TLS_NAME_TYPE_HOST = 0,
	TLS_RECORD_HEADER_BYTES = 5,
	TLS_EXTENSIONS_MAX = 64,
};

/* A vector's bytes are stepped over by its length, which is 1 or 2 bytes wide (RFC 8446 3.4). */
static __always_inline int tls_skip_vector(const struct payload *payload, __u32 *pos,
					   __u32 length_bytes)
{
	__u8 length[2] = { 0 };

	if (length_bytes == 1) {
		if (payload_load(payload, *pos, length + 1, 1))
			return -1;
	} else if (payload_load(payload, *pos, length, 2)) {
		return -1;
	}
	*pos += length_bytes + (length[0] << 8 | length[1]);
	return 0;
}

struct tls_scan {
	struct payload payload;
	__u32 pos;
	__u32 end;
	__u32 name_pos; /* 0: not found */
	__u32 name_len;
};

/*
 *  0      2      4         6      7         9
 *  | type | size | list    | name | name    | name ...
 *  |      |      | size    | type | size    |
 */
static long tls_scan_step(__u32 i, void *arg)
{
	struct tls_scan *scan = arg;
	__u8 head[9] = { 0 };
	__u32 size;

	(void)i;
	if (scan->pos + 4 > scan->end || payload_load(&scan->payload, scan->pos, head, 4))
		return 1;
	size = head[2] << 8 | head[3];
	if ((head[0] << 8 | head[1]) != TLS_EXTENSION_SERVER_NAME) {
		scan->pos += 4 + size;
		return 0;
	}
	if (payload_load(&scan->payload, scan->pos, head, sizeof(head)))
		return 1;
	scan->name_len = head[7] << 8 | head[8];
	if (head[6] == TLS_NAME_TYPE_HOST && scan->name_len + 5 <= size)
		scan->name_pos = scan->pos + sizeof(head);
	return 1;
}

/* Sets *pos and *end to the extensions of a ClientHello, as far as its first record goes. */
static __always_inline int tls_find_extensions(const struct payload *payload, __u32 *pos,
					       __u32 *end)
{
	__u8 head[6];
	__u8 size[2];
	__u32 at = payload->pos;

	if (payload_load(payload, at, head, sizeof(head)))
		return -1;
	if (head[0] != TLS_RECORD_HANDSHAKE || head[1] != 3 ||
	    head[5] != TLS_HANDSHAKE_CLIENT_HELLO)
		return -1;
	*end = at + TLS_RECORD_HEADER_BYTES + (head[3] << 8 | head[4]);
	if (*end > payload->end)
		*end = payload->end;
	at += TLS_RECORD_HEADER_BYTES + 4 + 2 + 32; /* handshake header, version, random */
	if (tls_skip_vector(payload, &at, 1) ||     /* session id */
	    tls_skip_vector(payload, &at, 2) ||     /* cipher suites */
	    tls_skip_vector(payload, &at, 1) ||     /* compression methods */
	    payload_load(payload, at, size, sizeof(size)))
		return -1;
	at += sizeof(size);
	if (at + (size[0] << 8 | size[1]) < *end)
		*end = at + (size[0] << 8 | size[1]);
	*pos = at;
	return 0;
}

/* Reads the server name of a ClientHello into @name. 0, or -1 where none can be read. */
static __noinline int host_read_tls(const struct payload *payload, struct host_name *name)
{
	struct tls_scan scan = { .payload = *payload };
	__u32 len;

	if (tls_find_extensions(payload, &scan.pos, &scan.end))
		return -1;
	platform_loop(TLS_EXTENSIONS_MAX, tls_scan_step, &scan);
	if (!scan.name_pos || scan.name_pos + scan.name_len > scan.end)
		return -1;
	len = scan.name_len;
	platform_keep(len);
	if (len == 0 || len > HOST_NAME_MAX_BYTES)
		return -1;
	if (payload_load(payload, scan.name_pos, name->words, len))
		return -1;
	name->pos = scan.name_pos;
	name->len = len;
	return 0;
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

struct http_scan {
	struct payload payload;
	struct host_name *name; /* its first words are the window */
	__u32 pos;
	__u32 is_line_start;
	__u32 host_pos; /* behind "Host:"; 0: not found */
};

/* Loads up to HOST_WINDOW_BYTES from @pos, with zeroes behind what is left of the payload. */
static __always_inline int http_load_window(const struct payload *payload, __u32 pos,
					    struct host_name *name)
{
	__u32 len;

	if (pos >= payload->end)
		return -1;
	len = payload->end - pos;
	if (len >= HOST_WINDOW_BYTES)
		return payload_load(payload, pos, name->words, HOST_WINDOW_BYTES) ? -1 : 0;
	platform_keep(len);
	if (len == 0 || len >= HOST_WINDOW_BYTES)
		return -1;
	__builtin_memset(name->words, 0, HOST_WINDOW_BYTES);
	return payload_load(payload, pos, name->words, len) ? -1 : 0;
}

/* Whether the window begins with "host:", in any letter case. */
static __always_inline int http_is_host_field(const struct host_name *name)
{
	const __u64 host = 'h' | 'o' << 8 | 's' << 16 | (__u64)'t' << 24 | (__u64)':' << 32;

	return (word_lower(word_from_memory(name->words[0])) & 0xffffffffffull) == host;
}

/* One line of the header, or one window of a long one. */
static long http_scan_step(__u32 i, void *arg)
{
	struct http_scan *scan = arg;
	struct host_name *name = scan->name;
	__u8 first;

	(void)i;
	if (http_load_window(&scan->payload, scan->pos, name))
		return 1;
	first = *(__u8 *)name->words;
	if (scan->is_line_start && (first == '\r' || first == '\n'))
		return 1; /* the header ends here */
	if (scan->is_line_start && http_is_host_field(name)) {
		scan->host_pos = scan->pos + 5;
		return 1;
	}
	for (__u32 w = 0; w < HOST_WINDOW_WORDS; w++) {
		__u64 newlines = bytes_equal(word_from_memory(name->words[w]), '\n');

		if (newlines) {
			scan->pos += w * 8 + first_byte(newlines) + 1;
			scan->is_line_start = 1;
			return 0;
		}
	}
	scan->pos += HOST_WINDOW_BYTES;
	scan->is_line_start = 0;
	return 0;
}

/*
 * The length of the method in the window: capital letters up to the first space.
 * 0 where this is no request line; the middle of a body seldom is.
 */
static __always_inline __u32 http_method_len(const struct host_name *name)
{
	for (__u32 w = 0; w < HOST_METHOD_MAX_BYTES / 8; w++) {
		__u64 word = word_from_memory(name->words[w]);
		__u64 others = ~bytes_upper(word) & EACH_HIGH_BIT;
		__u32 at;

		if (!others)
			continue;
		at = first_byte(others);
		if ((word >> (at & 7) * 8 & 0xff) != ' ' || w * 8 + at < HOST_METHOD_MIN_BYTES)
			return 0;
		return w * 8 + at;
	}
	return 0;
}

/* The offset behind "http://" or "https://" in the window, or 0. */
static __always_inline __u32 http_scheme_len(const struct host_name *name)
{
	const __u64 http = 'h' | 't' << 8 | 't' << 16 | (__u64)'p' << 24;
	const __u64 separator = ':' | '/' << 8 | '/' << 16;
	__u64 word = word_lower(word_from_memory(name->words[0]));

	if ((word & 0xffffffff) != http)
		return 0;
	if ((word >> 32 & 0xffffff) == separator)
		return 7;
	return word >> 32 == ('s' | separator << 8) ? 8 : 0;
}

/* Where the authority or the Host field's value begins; spaces and tabs may stand before it. */
static __always_inline __u32 http_find_host(const struct payload *payload, struct host_name *name)
{
	struct http_scan scan = { .payload = *payload, .name = name, .pos = payload->pos };
	__u32 method_len, scheme_len, target;

	if (http_load_window(payload, payload->pos, name))
		return 0;
	method_len = http_method_len(name);
	if (!method_len)
		return 0;
	target = payload->pos + method_len + 1;
	if (http_load_window(payload, target, name))
		return 0;
	scheme_len = http_scheme_len(name);
	if (scheme_len)
		return target + scheme_len;
	platform_loop(HOST_SCAN_STEPS_MAX, http_scan_step, &scan);
	return scan.host_pos;
}

/* The number of spaces and tabs at the start of the window; those behind its first word count not.
 */
static __always_inline __u32 http_spaces(const struct host_name *name)
{
	__u64 word = word_from_memory(name->words[0]);
	__u64 spaces = 0;

	for (__u32 i = 0; i < 8; i++) {
		__u8 byte = word >> i * 8;

		if (byte != ' ' && byte != '\t')
			break;
		spaces++;
	}
	return spaces;
}

/*
 * The bytes before the first that cannot be part of a name in this place: a
 * space, a control character, ':' or one of "/?#". An IPv6 literal ends at its
 * first colon; it is nobody's host, and so falls to the catch-all entry.
 */
static __always_inline __u32 http_name_len(const struct host_name *name)
{
	for (__u32 w = 0; w < HOST_NAME_WORDS; w++) {
		__u64 word = word_from_memory(name->words[w]);
		__u64 ends = bytes_below(word, ' ' + 1) | bytes_equal(word, ':') |
			     bytes_equal(word, '/') | bytes_equal(word, '?') |
			     bytes_equal(word, '#');

		if (ends)
			return w * 8 + first_byte(ends);
	}
	return HOST_NAME_WORDS * 8;
}

/* Reads the host of a request into @name. 0, or -1 where none can be read. */
static __noinline int host_read_http(const struct payload *payload, struct host_name *name)
{
	__u32 pos = http_find_host(payload, name);
	__u32 len, name_len;

	if (!pos || http_load_window(payload, pos, name))
		return -1;
	pos += http_spaces(name);
	if (pos >= payload->end)
		return -1;
	len = payload->end - pos;
	if (len > HOST_NAME_WORDS * 8)
		len = HOST_NAME_WORDS * 8;
	platform_keep(len);
	if (len == 0 || len > HOST_NAME_WORDS * 8)
		return -1;
	if (payload_load(payload, pos, name->words, len))
		return -1;
	name_len = http_name_len(name);
	if (name_len == 0 || name_len >= len) /* where no end is seen, the rest is yet to come */
		return -1;
	name->pos = pos;
	name->len = name_len;
	return 0;
}

#endif
