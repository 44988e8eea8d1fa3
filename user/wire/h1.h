/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1: heads of HTTP/1 requests and responses (RFC 9110, RFC 9112).
 *
 * The parser reads one contiguous buffer, line by line, and leaves an index of
 * it: each field as offsets into the buffer, and the facts a proxy needs (target,
 * host, body framing, connection options). It copies nothing and allocates
 * nothing. A line is taken only when it is complete, and the place of the first
 * line not taken yet stays in the head: bytes that come in pieces are parsed
 * once, and give what they would have given at once.
 *
 *   struct h1_request request;
 *   h1_request_init(&request, H1_HEAD_BYTES_DEFAULT);
 *   ...on each read:
 *   switch (h1_request_parse(&request, bytes_so_far)) {
 *   case H1_DONE:    request.head.len bytes were the head, the body follows
 *   case H1_MORE:    read more behind the bytes and call again
 *   case H1_REFUSED: request.head.reason; answer h1_reason_status(reason), close
 *   }
 *
 * What could be read in two ways is refused, because the next reader may choose
 * the other one: bare CR or LF, control bytes, folded lines, space before the
 * colon, more than one Host, Content-Length or Transfer-Encoding, both of the
 * last two together, any Transfer-Encoding but "chunked", anything not a digit
 * in Content-Length. What it leaves to others: the bytes of a path (the router
 * normalises), values of fields that are not named here, the body.
 */
#ifndef SLUICE_WIRE_H1_H
#define SLUICE_WIRE_H1_H

#include "wire/header_names.h"

enum {
	H1_FIELDS_MAX = 128,
	H1_HEAD_BYTES_DEFAULT = 32 * 1024,
	H1_HEAD_BYTES_MAX = UINT16_MAX, /* offsets are 16 bits wide */
	H1_CONNECTION_OPTIONS_MAX = 32, /* names in Connection */
};

/*
 * Why a message was refused. Numbers are for ever: metrics and logs carry them.
 * X(number, NAME, status to answer a request with, "word", text). A response refused
 * for any of them means 502.
 */
#define H1_REASONS(X)                                                                              \
	X(0, NONE, 200, "none", "not refused")                                                     \
	X(1, METHOD, 400, "method", "method is not a token")                                       \
	X(2, CONNECT, 501, "connect", "CONNECT is not served")                                     \
	X(3, TARGET_BYTE, 400, "target_byte", "control, space or 8-bit byte in the target")        \
	X(4, TARGET_FORM, 400, "target_form", "target is neither a path nor an http URL")          \
	X(5, TARGET_TOO_LONG, 414, "target_too_long", "target too long")                           \
	X(6, VERSION_SYNTAX, 400, "version_syntax", "malformed HTTP version")                      \
	X(7, VERSION, 505, "version", "HTTP version not supported")                                \
	X(8, H2_PREFACE, 400, "h2_preface", "HTTP/2 connection preface")                           \
	X(9, EMPTY_LINES, 400, "empty_lines", "more than one empty line before the request")       \
	X(10, BARE_CR, 400, "bare_cr", "CR without LF")                                            \
	X(11, BARE_LF, 400, "bare_lf", "LF without CR")                                            \
	X(12, NAME_EMPTY, 400, "name_empty", "empty field name")                                   \
	X(13, NAME_BYTE, 400, "name_byte", "field name is not a token")                            \
	X(14, NAME_SPACE, 400, "name_space", "space before the colon")                             \
	X(15, VALUE_BYTE, 400, "value_byte", "control byte in a field value")                      \
	X(16, FOLDED, 400, "folded", "line begins with a space (obsolete folding)")                \
	X(17, FIELDS_TOO_MANY, 431, "fields_too_many", "too many fields")                          \
	X(18, HEAD_TOO_LONG, 431, "head_too_long", "head too long")                                \
	X(19, HOST_MISSING, 400, "host_missing", "no Host")                                        \
	X(20, HOST_REPEATED, 400, "host_repeated", "more than one Host")                           \
	X(21, HOST_SYNTAX, 400, "host_syntax", "malformed Host")                                   \
	X(22, LENGTH_REPEATED, 400, "length_repeated", "more than one Content-Length")             \
	X(23, LENGTH_SYNTAX, 400, "length_syntax", "malformed Content-Length")                     \
	X(24, CODING_REPEATED, 400, "coding_repeated", "more than one Transfer-Encoding")          \
	X(25, CODING, 400, "coding", "Transfer-Encoding other than chunked")                       \
	X(26, CODING_AND_LENGTH, 400, "coding_and_length",                                         \
	  "both Transfer-Encoding and Content-Length")                                             \
	X(27, CODING_IN_1_0, 400, "coding_in_1_0", "Transfer-Encoding in HTTP/1.0")                \
	X(28, CONNECTION_SYNTAX, 400, "connection_syntax", "malformed Connection")                 \
	X(29, STATUS_LINE, 400, "status_line", "malformed status line")                            \
	X(30, CHUNK_SIZE, 400, "chunk_size", "malformed chunk size")                               \
	X(31, CHUNK_SIZE_TOO_BIG, 400, "chunk_size_too_big", "chunk size too big")                 \
	X(32, CHUNK_END, 400, "chunk_end", "chunk data not followed by CRLF")                      \
	X(33, CHUNK_EXTENSION, 400, "chunk_extension", "malformed or too long chunk extension")    \
	X(34, TRAILER, 400, "trailer", "malformed or too long trailer section")                    \
	X(35, CODING_UNEXPECTED, 400, "coding_unexpected",                                         \
	  "Transfer-Encoding in a response that has no body")

#define H1_REASON_ROW(number, name, status, word, text) H1_REASON_##name = (number),
enum h1_reason { H1_REASONS(H1_REASON_ROW) H1_REASON_COUNT };
#undef H1_REASON_ROW

unsigned h1_reason_status(enum h1_reason reason);
const char *h1_reason_text(enum h1_reason reason);
/* A word for metrics: "host_missing". */
const char *h1_reason_name(enum h1_reason reason);

enum h1_progress { H1_DONE, H1_MORE, H1_REFUSED };

/* A run of bytes of the head. */
struct h1_span {
	uint16_t off;
	uint16_t len;
};

enum h1_field_flag {
	H1_FIELD_HOP = 1u << 0,        /* HEADER_FLAG_HOP of its name */
	H1_FIELD_NAMED = 1u << 1,      /* Connection names it (RFC 9110 7.6.1) */
	H1_FIELD_UNDERSCORE = 1u << 2, /* "_" in the name: some endpoints take it for "-" */
};

/*
 *   X-Forwarded-For :   10.0.0.1  CR LF
 *   ^name.off, .len     ^value.off, .len (without the space around it)
 * A line begins at name.off and ends where the next field or the head's end begins.
 */
struct h1_field {
	struct h1_span name;
	struct h1_span value;
	uint8_t id;    /* enum header_id */
	uint8_t flags; /* enum h1_field_flag */
};

enum h1_body {
	H1_BODY_NONE,        /* nothing follows the head */
	H1_BODY_FIXED,       /* content_length bytes, perhaps 0 */
	H1_BODY_CHUNKED,     /* see h1_chunked.h */
	H1_BODY_UNTIL_CLOSE, /* responses only */
};

enum h1_connection {
	H1_CONNECTION_CLOSE = 1u << 0,
	H1_CONNECTION_KEEP_ALIVE = 1u << 1,
	H1_CONNECTION_UPGRADE = 1u << 2,
	H1_CONNECTION_OTHERS = 1u << 3, /* named further fields; those carry H1_FIELD_NAMED */
};

/* What requests and responses have in common. */
struct h1_head {
	/* Where the buffer was at the last parse. Whoever moves the buffer writes the new place. */
	const char *at;
	/* Set when the head is complete. */
	uint32_t len;            /* bytes, with the empty line at its end */
	uint64_t content_length; /* the field's value where there is one */
	uint8_t body;            /* enum h1_body */
	uint8_t connection;      /* set of enum h1_connection */
	/* Grow line by line. */
	uint8_t minor;  /* 0 or 1; HTTP/1.2 and up count as 1 (RFC 9110 2.5) */
	uint8_t reason; /* enum h1_reason; why H1_REFUSED */
	uint16_t field_count;
	uint64_t seen; /* HEADER_BIT()s */
	/* The parser's own. */
	uint32_t position;  /* of the first line that was not taken yet */
	uint32_t max_bytes; /* of the head */
	uint8_t line;       /* enum h1_line */

	uint8_t first[HEADER_COUNT]; /* id to field index; good where seen has the bit */
	struct h1_field fields[H1_FIELDS_MAX];
};

static inline struct str h1_str(const struct h1_head *head, struct h1_span span)
{
	return str_of(head->at + span.off, span.len);
}

static inline bool h1_has(const struct h1_head *head, enum header_id id)
{
	return (head->seen & HEADER_BIT(id)) != 0;
}

/* The first field of that name, or NULL where there is none. */
static inline const struct h1_field *h1_find(const struct h1_head *head, enum header_id id)
{
	return h1_has(head, id) ? &head->fields[head->first[id]] : NULL;
}

/* Its value; absent (at == NULL) where there is none. */
static inline struct str h1_value(const struct h1_head *head, enum header_id id)
{
	return h1_has(head, id) ? h1_str(head, h1_find(head, id)->value) : str_of(NULL, 0);
}

/* The first field of a name that has no id; any case. NULL where there is none. */
const struct h1_field *h1_find_name(const struct h1_head *head, struct str name);

/* Whether the sender wants the connection to live on after this message (RFC 9112 9.3). */
static inline bool h1_keeps_alive(const struct h1_head *head)
{
	if (head->connection & H1_CONNECTION_CLOSE)
		return false;
	return head->minor > 0 || (head->connection & H1_CONNECTION_KEEP_ALIVE);
}

enum h1_method {
	H1_METHOD_OTHER, /* a token of its own; see method_text */
	H1_METHOD_GET,
	H1_METHOD_HEAD,
	H1_METHOD_POST,
	H1_METHOD_PUT,
	H1_METHOD_DELETE,
	H1_METHOD_OPTIONS,
	H1_METHOD_PATCH,
	H1_METHOD_TRACE,
	H1_METHOD_CONNECT, /* always refused */
};

enum h1_target {
	H1_TARGET_ORIGIN,   /* /path?query */
	H1_TARGET_ABSOLUTE, /* http://host/path?query */
	H1_TARGET_ASTERISK, /* "*", only with OPTIONS; the path is "*" */
};

struct h1_request {
	uint8_t method;        /* enum h1_method */
	uint8_t target_form;   /* enum h1_target */
	bool expects_continue; /* Expect: 100-continue, and not HTTP/1.0 */
	bool wants_upgrade;    /* Connection: upgrade, an Upgrade field, and not HTTP/1.0 */
	bool wants_websocket;  /* ...and the field says websocket and nothing else */
	bool has_query;
	bool has_host; /* false only for HTTP/1.0 without Host */
	bool has_port;
	uint16_t port; /* host order; good where has_port */
	struct h1_span method_text;
	struct h1_span target; /* as it came */
	/*
	 * The path without the query. Empty only in an absolute target ("http://host?q"):
	 * send "/", or "*" when the method is OPTIONS and there is no query (RFC 9112 3.2.4).
	 */
	struct h1_span path;
	struct h1_span query; /* without "?"; good where has_query */
	/*
	 * host[:port] of the absolute target, else of Host (RFC 9112 3.2.2): what is routed by
	 * and passed on as the one Host. Empty where Host was empty or missing in HTTP/1.0.
	 */
	struct h1_span authority;
	struct h1_span host; /* without the port; IPv6 keeps its brackets */
	struct h1_head head; /* last: its arrays are not cleared between messages */
};

/* Makes @request ready for a new message. @max_bytes: of the head, at most H1_HEAD_BYTES_MAX. */
void h1_request_init(struct h1_request *request, size_t max_bytes);

/*
 * @bytes: all bytes from the message's first on; those of earlier calls unchanged, though
 * perhaps at another place. Bytes behind the head are not looked at. After H1_DONE or
 * H1_REFUSED only h1_request_init brings it back.
 */
enum h1_progress h1_request_parse(struct h1_request *request, struct str bytes);

struct h1_response {
	/* Fixed after init. */
	bool is_for_head; /* the request was HEAD: no body whatever the fields say */
	/* Result. */
	uint16_t status; /* 100 to 599 */
	/* 1xx and 204 must not be sent with Content-Length (RFC 9110 8.6): drop the field. */
	bool forbids_length;
	bool is_upgrade; /* 101 with Connection: upgrade and an Upgrade field: bytes, from now on */
	struct h1_span phrase; /* "OK"; may be empty */
	struct h1_head head;   /* last: its arrays are not cleared between messages */
};

/* @is_for_head: the request's method was HEAD. */
void h1_response_init(struct h1_response *response, size_t max_bytes, bool is_for_head);
/* As h1_request_parse. 1xx heads are reported like any other: init again for the next one. */
enum h1_progress h1_response_parse(struct h1_response *response, struct str bytes);

#endif
