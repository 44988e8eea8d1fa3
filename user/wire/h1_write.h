/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_write: builds heads in a span the caller owns.
 *
 *   struct h1_out out;
 *   h1_out_init(&out, at, room);
 *   h1_add_status_line(&out, 404);
 *   h1_add_field(&out, STR("Server"), STR("sluice"));
 *   h1_add_end(&out);
 *   if (out.is_cut) ...it did not fit; what is in the span is of no use
 *
 * Names and values are written as they are: whoever takes them from outside
 * takes them from a parsed head. To pass a head on, h1_add_kept_fields copies
 * its lines in as few runs as there are gaps.
 */
#ifndef SLUICE_WIRE_H1_WRITE_H
#define SLUICE_WIRE_H1_WRITE_H

#include "wire/h1.h"

struct h1_out {
	char *at;
	size_t len;
	size_t max;
	bool is_cut; /* something did not fit; nothing was added since */
};

static inline void h1_out_init(struct h1_out *out, char *at, size_t max)
{
	*out = (struct h1_out){ .at = at, .max = max };
}

static inline void h1_add(struct h1_out *out, struct str bytes)
{
	if (out->is_cut || bytes.len > out->max - out->len) {
		out->is_cut = true;
		return;
	}
	memcpy(out->at + out->len, bytes.at ? bytes.at : "", bytes.len);
	out->len += bytes.len;
}

void h1_add_u64(struct h1_out *out, uint64_t value);
/* Lower case, no leading zeros. */
void h1_add_hex(struct h1_out *out, uint64_t value);
/* "HTTP/1.1 404 Not Found" CR LF; a status without a phrase gets an empty one. */
void h1_add_status_line(struct h1_out *out, unsigned status);
/* As above, with another phrase, such as the one an endpoint sent. */
void h1_add_status_line_as(struct h1_out *out, unsigned status, struct str phrase);
/* name ": " value CR LF */
void h1_add_field(struct h1_out *out, struct str name, struct str value);
void h1_add_field_u64(struct h1_out *out, struct str name, uint64_t value);
/* The empty line. */
void h1_add_end(struct h1_out *out);

/* "Not Found"; empty where the registry has none. */
struct str h1_status_phrase(unsigned status);

/* A set of fields of one head. */
struct h1_fields {
	uint64_t bits[H1_FIELDS_MAX / 64];
};

static inline void h1_fields_add(struct h1_fields *fields, size_t index)
{
	fields->bits[index / 64] |= 1ull << (index % 64);
}

static inline bool h1_fields_has(const struct h1_fields *fields, size_t index)
{
	return (fields->bits[index / 64] >> (index % 64)) & 1;
}

/* Adds the fields whose id is in @ids (HEADER_BIT()s) or that carry one of @flags (h1_field_flag).
 */
void h1_fields_select(struct h1_fields *fields, const struct h1_head *head, uint64_t ids,
		      unsigned flags);

/* Copies the field lines of @head that are not in @dropped, byte for byte, in their order. */
void h1_add_kept_fields(struct h1_out *out, const struct h1_head *head,
			const struct h1_fields *dropped);

#endif
