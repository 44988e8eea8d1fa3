/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_field: tables of fields, the machinery under the decode_*.c.
 *
 * A struct of the API is a table of its fields, each with the function that
 * decodes it and where the result goes:
 *
 *   static const struct decode_field tls_fields[] = {
 *           { "hosts", decode_hosts, 0 },
 *           { "secretName", decode_str, offsetof(struct object_tls, secret) },
 *   };
 *
 * A decoding function returns 0, or -EINVAL after it has added its finding. What
 * is lost by a refusal (a path, the object) is known by the decoder and told in
 * the finding. `null` is the same as a field left out, as the API has it.
 */
#ifndef SLUICE_KUBE_DECODE_FIELD_H
#define SLUICE_KUBE_DECODE_FIELD_H

#include "kube/node.h"
#include "model/finding.h"
#include "model/object.h"

enum {
	DECODE_FINDINGS_MAX = 64, /* about one object; one more says that there are others */
	DECODE_ALL_FINDINGS_MAX = 1 << 16, /* of one origin, likewise */
};

/* The way from the root to where we are; each step lies on its function's stack. */
struct decode_step {
	const struct decode_step *up;
	struct str name; /* absent: index counts */
	uint32_t index;
};

struct decoder {
	struct object *object; /* identity for findings; its arena gets all texts */
	struct findings *findings;
	const struct decode_step *here; /* NULL at the root */
	const char *loss;               /* what a refusal costs: "object", "path", ... */
	bool is_strict;                 /* unknown fields are warned about */
	uint32_t finding_count;
};

typedef int decode_fn(struct decoder *decoder, const struct node *value, void *out);

enum decode_flags {
	DECODE_REQUIRED = 1u << 0,
};

struct decode_field {
	const char *name;
	decode_fn *decode; /* NULL: known to the API, of no use to us */
	size_t offset;     /* of its out within the out of the table */
	unsigned int flags;
	const char *loss; /* refusing the field costs only this; NULL: all that is around it */
};

struct decode_table {
	const struct decode_field *fields;
	size_t count;
	bool is_complete; /* holds every field of the API: others are unknown to it */
};

#define DECODE_TABLE(array, complete)                                                              \
	{                                                                                          \
		.fields = (array), .count = sizeof(array) / sizeof((array)[0]),                    \
		.is_complete = (complete)                                                          \
	}

/* Decodes the members of @map into @out. */
int decode_fields(struct decoder *decoder, const struct node *map, const struct decode_table *table,
		  void *out);

/* A list of which bad items are left out, each with its finding. */
struct decode_items {
	decode_fn *decode;
	size_t size_bytes;   /* of one decoded item */
	const char *loss;    /* "path" */
	size_t items_offset; /* in the field's out: of the pointer to them, in the arena... */
	size_t count_offset; /* ...and of its uint32_t count */
};

#define DECODE_ITEMS(owner, items, item_count, function, lost)                                     \
	{                                                                                          \
		.decode = (function), .size_bytes = sizeof(*((owner *)NULL)->items),               \
		.loss = (lost), .items_offset = offsetof(owner, items),                            \
		.count_offset = offsetof(owner, item_count)                                        \
	}

int decode_items(struct decoder *decoder, const struct node *value, const struct decode_items *list,
		 void *out);

/* As findings_add, within the bound of one origin. */
void decode_tell(struct findings *findings, enum finding_level level, const char *reason,
		 const struct finding_place *place, const char *text);

/* Adds an error finding about the place where we are; returns -EINVAL. */
int decode_refuse(struct decoder *decoder, uint32_t line, const char *reason, const char *format,
		  ...) __attribute__((format(printf, 4, 5)));
/* The value has another type than @wanted ("text", "list", "port number", ...). */
int decode_refuse_type(struct decoder *decoder, const struct node *value, const char *wanted);
/* A field below the place where we are is not there. */
int decode_refuse_missing(struct decoder *decoder, uint32_t line, const char *name);

/* ------------------------------------------------------- decoding functions */

decode_fn decode_str;         /* struct str */
decode_fn decode_bool;        /* bool */
decode_fn decode_port_number; /* uint16_t, 1 to 65535 */
decode_fn decode_port;        /* struct object_port: a number or a name */
decode_fn decode_protocol;    /* enum object_protocol */
decode_fn decode_pairs;       /* struct object_pairs: texts by name */

/* A list of texts; a wrong one refuses the list. */
int decode_strs(struct decoder *decoder, const struct node *list, const struct str **strs,
		uint32_t *count);

struct decode_word {
	const char *text;
	int value;
};

/* The value of one of @words; sets *@value, or -EINVAL with a finding. */
int decode_choice(struct decoder *decoder, const struct node *text, const struct decode_word *words,
		  size_t word_count, int *value);

/* ----------------------------------------------------------------- the kinds */

/* @out is the struct object, its identity filled in. @value is the whole document. */
decode_fn decode_ingress;
decode_fn decode_ingress_class;
decode_fn decode_service;
decode_fn decode_endpoint_slice;
decode_fn decode_secret;
decode_fn decode_config_map;

/* Fills in name, namespace, labels ... of @out, a struct object. */
decode_fn decode_metadata;

#endif
