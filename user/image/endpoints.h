/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoints: who serves each backend just now.
 *
 * A segment of its own with its own generation: pods come and go far more often than
 * rules change, and a rolling deployment must not recompile a route. A route names its
 * backend by a stable id (struct image_backend); that id is the index here.
 *
 *   backend id          [slots]            [members]             [endpoints]
 *       7          +---------------+     +-----------+     +--------------------------+
 *       |          | first | count |  +->| endpoint -+---->| id  ip  port  flags      |
 *       +--------->|   12  |   3 --+--+  | endpoint -+--+  | weight  name             |
 *                  +---------------+     | endpoint -+-+|  +--------------------------+
 *                  |    0  |   0   |     +-----------+ |+->| ...                      |
 *                  +---------------+      one endpoint may serve several backends
 *                   nobody serves it
 *
 *   endpoints_header | slots | members | endpoints | strings       (segment.h has the frame)
 *
 * Backend and endpoint ids are given by the agent and stay the same from one generation to
 * the next, so that workers index their connection pools by them; endpoint_id_limit says how
 * large such an array must be. An id that image and endpoints do not agree on (they travel
 * apart) is a backend without endpoints, never an error.
 */
#ifndef SLUICE_IMAGE_ENDPOINTS_H
#define SLUICE_IMAGE_ENDPOINTS_H

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "image/segment.h"

#define ENDPOINTS_MAGIC   0x31444e4545435353ull /* "SSCEEND1" in memory, little endian */
#define ENDPOINTS_VERSION 1u

enum {
	/* Ids are handed out densely, so these bound what a worker must allocate. */
	ENDPOINTS_BACKEND_ID_LIMIT = 1 << 20,
	ENDPOINTS_ENDPOINT_ID_LIMIT = 1 << 22,
};

enum endpoints_section {
	ENDPOINTS_SECTION_SLOTS,
	ENDPOINTS_SECTION_MEMBERS, /* uint32_t: index into endpoints */
	ENDPOINTS_SECTION_ENDPOINTS,
	ENDPOINTS_SECTION_STRINGS,
	ENDPOINTS_SECTION_COUNT,
};

struct endpoints_header {
	struct segment_header segment;
	uint32_t endpoint_id_limit; /* every endpoint's id is below */
	uint32_t reserved;          /* zero */
};

/* The endpoints of the backend with this index: members[first .. first + count). */
struct endpoints_slot {
	uint32_t first;
	uint32_t count;
};

enum endpoint_flag {
	ENDPOINT_READY = 1u << 0,
	ENDPOINT_SERVING = 1u << 1,
	ENDPOINT_TERMINATING = 1u << 2,
};
enum { ENDPOINT_FLAGS = (1u << 3) - 1 };

struct endpoint {
	uint32_t id;
	uint16_t port; /* host order */
	uint8_t flags; /* enum endpoint_flag */
	uint8_t reserved_byte;
	uint8_t ip[16]; /* IPv4 is v4-mapped (base/addr.h) */
	uint32_t weight;
	struct segment_text name; /* pod, or empty */
	uint32_t reserved;        /* zero */
};

/* Verified endpoints. Borrows the bytes it was opened on. */
struct endpoints {
	const struct endpoints_header *header;
	const struct endpoints_slot *slots;
	const uint32_t *members;
	const struct endpoint *endpoints;
	const char *strings;
	uint32_t slot_count, member_count, endpoint_count;
	uint32_t endpoint_id_limit;
	uint64_t generation;
};

/* As image_open: verifies the whole. 0, or -EINVAL with a text; @endpoints is then untouched. */
int endpoints_open(struct str bytes, struct endpoints *endpoints, struct err *err);

/* The slot of a backend; an empty one for an id that this generation does not know. */
static inline struct endpoints_slot endpoints_of(const struct endpoints *endpoints,
						 uint32_t backend_id)
{
	return backend_id < endpoints->slot_count ? endpoints->slots[backend_id]
						  : (struct endpoints_slot){ 0, 0 };
}

/* The @nth endpoint of @slot; @nth < slot.count. */
static inline const struct endpoint *endpoints_at(const struct endpoints *endpoints,
						  struct endpoints_slot slot, uint32_t nth)
{
	return &endpoints->endpoints[endpoints->members[slot.first + nth]];
}

static inline struct addr endpoint_addr(const struct endpoint *endpoint)
{
	struct addr addr = { .port = endpoint->port };

	memcpy(addr.ip, endpoint->ip, sizeof(addr.ip));
	return addr;
}

static inline struct str endpoint_name(const struct endpoints *endpoints,
				       const struct endpoint *endpoint)
{
	return str_of(endpoints->strings + endpoint->name.offset, endpoint->name.len);
}

/* The whole segment as text, by backend id: the format of the golden files. */
void endpoints_dump(const struct endpoints *endpoints, struct buf *out);

/* ------------------------------------------------------------------ writer */

struct endpoints_writer;

/* Never NULL. */
struct endpoints_writer *endpoints_writer_new(uint64_t generation);
/* Accepts NULL. */
void endpoints_writer_free(struct endpoints_writer *writer);

struct endpoints_writer_endpoint {
	uint32_t id; /* below ENDPOINTS_ENDPOINT_ID_LIMIT */
	struct addr addr;
	uint8_t flags; /* enum endpoint_flag */
	uint32_t weight;
	struct str name; /* copied */
};

/* 0 and its index; -EINVAL for an id at or above the limit, flags that do not exist, port 0. */
int endpoints_writer_add(struct endpoints_writer *writer,
			 const struct endpoints_writer_endpoint *endpoint, uint32_t *index);

/*
 * Says that endpoint @index serves backend @backend_id. The order of these calls is the order of
 * the members of that backend. 0, or -EINVAL for an id at or above ENDPOINTS_BACKEND_ID_LIMIT or
 * an index that this writer did not give.
 */
int endpoints_writer_assign(struct endpoints_writer *writer, uint32_t backend_id, uint32_t index);

/* Makes sure that backend @backend_id has a slot, though nobody serves it. As above. */
int endpoints_writer_add_backend(struct endpoints_writer *writer, uint32_t backend_id);

/* Writes the segment; @bytes lives until endpoints_writer_free. Once only. 0, or -EFBIG. */
int endpoints_writer_finish(struct endpoints_writer *writer, struct str *bytes, struct err *err);

#endif
