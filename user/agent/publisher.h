/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publisher: the three segments as they were last compiled, sealed.
 *
 * Whatever proxy connects gets these; what the admin server shows is read from them, so that it
 * shows what is served. A replaced segment stays mapped in the proxy until no worker uses it.
 */
#ifndef SLUICE_AGENT_PUBLISHER_H
#define SLUICE_AGENT_PUBLISHER_H

#include "base/err.h"
#include "base/str.h"
#include "control/control.h"
#include "image/certs.h"
#include "image/endpoints.h"
#include "image/image.h"

/* In the order in which they are sent. */
enum published_kind {
	PUBLISHED_ENDPOINTS,
	PUBLISHED_CERTS,
	PUBLISHED_IMAGE,
	PUBLISHED_COUNT,
};

struct published {
	int fd; /* sealed memfd, owned; -1: none yet */
	struct str bytes;
	uint64_t generation;
};

struct publisher {
	struct published of[PUBLISHED_COUNT];
	/* Views of the above; good where the fd is not -1. */
	struct image image;
	struct endpoints endpoints;
	struct certs certs;
};

void publisher_init(struct publisher *publisher);
void publisher_release(struct publisher *publisher);

/* Seals a copy of @bytes in place of the one before. 0 or -errno; the one before stays then. */
int publisher_set(struct publisher *publisher, enum published_kind kind, struct str bytes,
		  struct err *err);

bool publisher_is_complete(const struct publisher *publisher);
/* The newest generation among the three. */
uint64_t publisher_generation(const struct publisher *publisher);

/* CONTROL_IMAGE and so on. */
enum control_type published_type(enum published_kind kind);
/* The other way; PUBLISHED_COUNT for a type that is no segment. */
enum published_kind published_kind_of(uint32_t type);

#endif
