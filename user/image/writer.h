/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer: builds an image (image.h), piece by piece, in any order.
 *
 *   w = image_writer_new(generation, hash_key);
 *   policy = image_writer_add_policy(w, &...);
 *   backend = image_writer_add_backend(w, &...);
 *   source = image_writer_add_source(w, &...);
 *   image_writer_add_vhost(w, &..., &vhost, &err);
 *   image_writer_add_route(w, &(struct image_writer_route){ .vhost = vhost, ... }, &err);
 *   image_writer_finish(w, &bytes, &err);
 *   fd = memfd_seal("sluice-image", bytes, &err);
 *   image_writer_free(w);
 *
 * A writer may go on, generation after generation. It remembers what it laid out last, and
 * what has not changed since then is kept by its index instead of being added again: its texts
 * are not read, its paths not sorted, its trie not made anew.
 *
 *   image_writer_next(w, generation);
 *   backend = image_writer_keep_backend(w, index_before);
 *   source = image_writer_keep_sources(w, first_before, count);
 *   image_writer_keep_vhost(w, &(struct image_writer_kept){ ... });   with all its routes
 *   image_writer_add_...                                              what is new or changed
 *   image_writer_finish(w, &bytes, &err);
 *
 * The same calls in the same order with the same hash key give the same bytes: golden
 * files rest on that. Conflicts (two routes for one path and kind) are the compiler's to
 * settle; the writer only refuses to write them. All text is copied. Running out of memory
 * ends the process: this is the agent's half.
 */
#ifndef SLUICE_IMAGE_WRITER_H
#define SLUICE_IMAGE_WRITER_H

#include "base/siphash.h"
#include "image/image.h"
#include "image/key.h"

struct image_writer;

/* @hash_key guards the host table: random on a node, constant in golden files. Never NULL. */
struct image_writer *image_writer_new(uint64_t generation, struct siphash_key hash_key);
/* Accepts NULL. */
void image_writer_free(struct image_writer *writer);

/* The index of a policy equal to @policy (reserved bytes must be zero), which is added once. */
uint32_t image_writer_add_policy(struct image_writer *writer, const struct image_policy *policy);

struct image_writer_backend {
	uint32_t id; /* stable, given by the agent; index of the endpoints segment */
	enum image_protocol protocol;
	enum image_balance balance;
	struct str namespace, service, port;
};

/* Returns its index. Does not look for an equal one: the caller keeps backends apart by id. */
uint32_t image_writer_add_backend(struct image_writer *writer,
				  const struct image_writer_backend *backend);

struct image_writer_source {
	struct str namespace, ingress, file;
	uint32_t line;
	uint32_t rule; /* IMAGE_NONE for spec.defaultBackend */
	uint32_t path; /* or IMAGE_NONE */
};

/* Returns its index. */
uint32_t image_writer_add_source(struct image_writer *writer,
				 const struct image_writer_source *source);

struct image_writer_vhost {
	struct str host; /* in normal form (host_key_of_rule), or "" for the catch-all */
	bool has_tls;
	uint16_t owner_first, owner_spread; /* dispatch: see struct image_vhost */
	uint64_t dispatch_hash;
};

/* 0; -EINVAL where the host is not in normal form; -EEXIST where it was added before. */
int image_writer_add_vhost(struct image_writer *writer, const struct image_writer_vhost *vhost,
			   uint32_t *index, struct err *err);

struct image_writer_route {
	uint32_t vhost; /* as image_writer_add_vhost gave it; IMAGE_NONE: the class's default */
	enum image_route_kind kind;
	struct str path;  /* in normal form (path_key, path_key_of_prefix); "" for a default */
	uint32_t backend; /* or IMAGE_NONE */
	uint32_t policy;
	uint32_t source;
};

/*
 * 0; -EINVAL where the path is not in normal form or does not fit the kind, or where an index
 * is none that this writer gave; -ENAMETOOLONG above PATH_KEY_RULE_MAX; -EEXIST for a second
 * default of one vhost or of the class. A second route for one path and kind is found by finish.
 */
int image_writer_add_route(struct image_writer *writer, const struct image_writer_route *route,
			   struct err *err);

/* @flags: enum image_flag of the header. */
void image_writer_set_flags(struct image_writer *writer, uint32_t flags);

/*
 * Writes the image. @bytes belongs to the writer and lives until image_writer_free or
 * image_writer_next. Once only a generation.
 * 0; -EEXIST where two routes have the same vhost, path and kind (the text names them);
 * -EFBIG above 4 GiB.
 */
int image_writer_finish(struct image_writer *writer, struct str *bytes, struct err *err);

/* The bytes of finish become the caller's, to be freed by mem_free. */
char *image_writer_take(struct image_writer *writer);

/* -------------------------------------------------------- from the one before */

/*
 * Begins another image. All texts of those before stay: see image_writer_text_bytes. What the last
 * finish laid out can be kept; nothing can where it failed.
 */
void image_writer_next(struct image_writer *writer, uint64_t generation);
/* The same, but forgets everything: texts too, and there is nothing to keep. */
void image_writer_renew(struct image_writer *writer, uint64_t generation);

/* How many bytes of texts the image will have, with those that only images before needed. */
size_t image_writer_text_bytes(const struct image_writer *writer);

/* Backend @before of the image before, unchanged; its index now. */
uint32_t image_writer_keep_backend(struct image_writer *writer, uint32_t before);

/* @count sources of the image before, unchanged; the first one's index now. */
uint32_t image_writer_keep_sources(struct image_writer *writer, uint32_t first, uint32_t count);

struct image_writer_kept {
	uint32_t before;       /* index in the image before */
	uint32_t source_shift; /* from the sources of its routes before to those now, modulo 2^32 */
	bool has_tls;          /* this and what follows is that of now */
	uint16_t owner_first, owner_spread;
};

/*
 * A vhost of the image before, with its name and all its routes unchanged. Their backends must be
 * kept or added under the ids that they had, their policies added. Returns its index.
 */
uint32_t image_writer_keep_vhost(struct image_writer *writer, const struct image_writer_kept *kept);

#endif
