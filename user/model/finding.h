/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finding: something about an object that a person should know.
 *
 *   error   Ingress shop/web (web.yaml:12) spec.rules[0].http.paths[1].backend.service.port:
 *           service 'cart' has no port 'htpp'
 *
 * Decoding and compiling never stop at the first problem and never log: they
 * add findings. The agent logs new ones, turns them into Events, and sluicectl
 * shows them. One bad object leaves the others alone.
 */
#ifndef SLUICE_MODEL_FINDING_H
#define SLUICE_MODEL_FINDING_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"
#include "model/object.h"

enum finding_level {
	FINDING_NOTICE,  /* settled by a rule; nothing is lost (a conflict that was decided) */
	FINDING_WARNING, /* something written is not in force (an ignored annotation) */
	FINDING_ERROR,   /* an object or a part of it is not served as written */
};

struct finding {
	enum finding_level level;
	const char *reason; /* one word in CamelCase, static; the reason of the Event */
	struct str kind;    /* "Ingress"; empty for a file that could not be read as objects */
	struct str namespace, name;
	struct str file; /* empty from an API server */
	uint32_t line;
	struct str field; /* spec.rules[0].host; empty for the whole object */
	struct str text;  /* lower case, subject in 'quotes', no full stop */
};

/* Owns its findings' texts. */
struct findings {
	struct arena arena;
	struct VEC(struct finding) list;
};

void findings_init(struct findings *findings);
void findings_release(struct findings *findings);
void findings_reset(struct findings *findings);

/* Where a finding is about; copied into the findings' arena. @object may be NULL (then @file). */
struct finding_place {
	const struct object *object;
	struct str file;
	uint32_t line;
	struct str field;
};

void findings_add(struct findings *findings, enum finding_level level, const char *reason,
		  const struct finding_place *place, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Copies all of @from behind what is there. */
void findings_append(struct findings *findings, const struct findings *from);

/* "notice", "warning", "error". */
const char *finding_level_name(enum finding_level level);

/* One line as drawn above, without a line feed. */
void finding_format(const struct finding *finding, struct buf *out);

#endif
