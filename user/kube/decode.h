/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode: documents to objects.
 *
 * Checks the types, ranges and required fields that a struct object promises and
 * fills in the defaults of the API; what an object means is left to compile.
 * Whatever is refused is a finding:
 *
 *   a kind that is not ours                      notice, the object is ignored
 *   a field that the API does not know           warning (Ingress, IngressClass, EndpointSlice)
 *   one path, rule, port, endpoint or TLS entry  error, that item is left out
 *   anything else                                error, the object is left out
 *
 * `kind: List`, IngressList and so on are unfolded. Values of Secrets and
 * ConfigMaps never stand in a finding.
 *
 * Nothing here knows files: an origin is a text, absent for an API server (whose
 * objects may have fields newer than this source: those are not warned about).
 */
#ifndef SLUICE_KUBE_DECODE_H
#define SLUICE_KUBE_DECODE_H

#include "base/vec.h"
#include "kube/node.h"
#include "kube/node_reader.h"
#include "model/finding.h"
#include "model/object.h"

/* What tells one object from another. Texts are borrowed. */
struct object_key {
	enum object_kind kind;
	struct str namespace, name;
};

struct decoded_object {
	struct object *object;
	/* The same number for the same bytes at the same line; 0: unknown. */
	uint64_t fingerprint;
};

/* What came of one origin. */
struct decoded {
	struct VEC(struct decoded_object) objects; /* owned, until somebody takes them */
	struct VEC(struct object_key) refused;     /* left out; texts lie in findings.arena */
	struct findings findings;
	bool is_broken; /* a part could not even be read: objects may be missing above */
};

void decoded_init(struct decoded *decoded);
void decoded_release(struct decoded *decoded);

/* All documents of @text, added to @decoded. Both are borrowed for the call. */
void decode_text(struct str origin, struct str text, enum node_format format,
		 struct decoded *decoded);

/* One object or a list of them, added to @decoded. Of an API server: @origin absent. */
void decode_node(struct str origin, const struct node *root, uint64_t fingerprint,
		 struct decoded *decoded);

/* RFC 3339 "2026-01-02T03:04:05Z", fractions and offsets too. 0, or -EINVAL. */
int decode_time(struct str text, int64_t *seconds);

#endif
