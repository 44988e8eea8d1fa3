/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer_private: what writer.c collects and writer_layout.c lays out.
 *
 *   routes, as added ──► sorted, tries made ──┐
 *                                             ├──► now ──► the bytes of the image
 *   before (the last now) ──► moved to their ─┘
 *                             new places
 */
#ifndef SLUICE_IMAGE_WRITER_PRIVATE_H
#define SLUICE_IMAGE_WRITER_PRIVATE_H

#include "image/image_private.h"
#include "image/texts.h"
#include "image/trie.h"
#include "image/writer.h"

/* A route as it was added. */
struct writer_route {
	uint32_t vhost; /* or IMAGE_NONE */
	enum image_route_kind kind;
	uint32_t backend, policy, source;
	struct segment_text path;
};

/* Where a vhost comes from: by index of the vhost, beside the vhosts of now. */
struct writer_origin {
	uint32_t before; /* index among the vhosts before, or IMAGE_NONE: added */
	uint32_t source_shift;
};

/* Texts that come many times in a row, as they came the last time. */
struct writer_last {
	struct segment_text backend_namespace, port;
	struct segment_text source_namespace, ingress, file;
};

/* The sections of an image, but for host slots and strings, and what they are made from. */
struct writer_laid_out {
	struct VEC(struct image_vhost) vhosts;
	struct VEC(uint64_t) host_hashes; /* by vhost, as the host table wants them */
	struct VEC(struct image_node) nodes;
	struct VEC(struct image_route) routes;
	struct VEC(struct image_backend) backends;
	struct VEC(struct image_policy) policies; /* filled in by finish */
	struct VEC(struct image_source) sources;
};

struct image_writer {
	struct siphash_key hash_key;
	uint64_t generation;
	struct texts strings; /* of all generations since the last renewal */
	/* of this generation */
	struct texts policies;
	struct texts hosts; /* only to see whether a host is new; not those of kept vhosts */
	struct VEC(struct writer_route) routes;
	struct VEC(struct writer_origin) origins;
	struct writer_last last;
	bool has_class_default;
	uint32_t flags; /* of the header */
	uint32_t catch_all;
	uint32_t wildcard_count;
	struct writer_laid_out now;
	bool is_finished; /* now is a whole image */
	char *bytes;
	/* of the one before */
	struct writer_laid_out before;
	struct trie trie; /* of the vhost at hand */
};

#endif
