/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs: certificates and their keys, by server name.
 *
 * A segment of its own with its own generation. It holds private keys: it lives in a memfd
 * that only agent and proxy have, is never written to a disk that is not a tmpfs, and its
 * dump shows lengths where keys stand. Which certificates are good (parse, fit their key,
 * are not expired) the agent decided before; tls/ parses the PEM again at load.
 *
 *   server name        [host_slots]        [names]              [certs]
 *   "a.example.com"   +-----+------+     +---------------+     +--------------------------+
 *     | siphash  ---->| tag | name-+---->| text    cert -+---->| chain  key   (PEM bytes) |
 *                     +-----+------+     +---------------+     | namespace, secret        |
 *                      host_table.h       wildcards too        | fingerprint              |
 *                                                              +--------------------------+
 *   certs_header | host_slots | names | certs | strings (texts and PEM)
 *
 * The exact name, else "*.<parent>" (one label, RFC 6125 6.4.3), else the default certificate.
 */
#ifndef SLUICE_IMAGE_CERTS_H
#define SLUICE_IMAGE_CERTS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "image/host_table.h"
#include "image/segment.h"

#define CERTS_MAGIC   0x3154524345435353ull /* "SSCECRT1" in memory, little endian */
#define CERTS_VERSION 1u

enum certs_section {
	CERTS_SECTION_HOST_SLOTS, /* struct host_slot */
	CERTS_SECTION_NAMES,
	CERTS_SECTION_CERTS,
	CERTS_SECTION_STRINGS, /* bytes */
	CERTS_SECTION_COUNT,
};

struct certs_header {
	struct segment_header segment;
	struct host_table_keys keys;
	uint32_t default_cert;   /* or SEGMENT_NONE */
	uint32_t wildcard_count; /* names that are wildcards */
};

/* A server name, "a.example.com" or "*.example.com", and the certificate shown for it. */
struct certs_name {
	struct segment_text text;
	uint32_t cert;
	uint32_t reserved; /* zero */
};

struct cert {
	struct segment_text chain; /* PEM: the leaf first, then what signed it */
	struct segment_text key;   /* PEM: secret */
	struct segment_text namespace;
	struct segment_text secret; /* name of the Secret */
	uint64_t fingerprint;       /* same number = same chain and key, also across generations */
};

/* Verified certificates. Borrows the bytes it was opened on. */
struct certs {
	const struct certs_header *header;
	const struct host_slot *host_slots;
	const struct certs_name *names;
	const struct cert *certs;
	const char *strings;
	uint32_t host_slot_mask;
	uint32_t name_count, cert_count;
	uint64_t generation;
};

/* As image_open: verifies the whole. 0, or -EINVAL with a text; @certs is then untouched. */
int certs_open(struct str bytes, struct certs *certs, struct err *err);

/*
 * The certificate for the server name @host, in normal form (host_key; "" = the client sent
 * none): exact, wildcard, default. NULL where there is not even a default one.
 */
const struct cert *certs_find(const struct certs *certs, struct str host);

/* The same without falling back to the default one: NULL where no certificate covers @host. */
const struct cert *certs_find_named(const struct certs *certs, struct str host);

/* @cert's place among certs->certs[]. */
static inline uint32_t certs_index(const struct certs *certs, const struct cert *cert)
{
	return (uint32_t)(cert - certs->certs);
}

static inline struct str certs_text(const struct certs *certs, struct segment_text text)
{
	return str_of(certs->strings + text.offset, text.len);
}

/* The whole segment as text, without any key byte: the format of the golden files. */
void certs_dump(const struct certs *certs, struct buf *out);

/* ------------------------------------------------------------------ writer */

struct certs_writer;

/* @hash_key guards the host table: random on a node, constant in golden files. Never NULL. */
struct certs_writer *certs_writer_new(uint64_t generation, struct siphash_key hash_key);
/* Accepts NULL. Wipes what it held. */
void certs_writer_free(struct certs_writer *writer);

struct certs_writer_cert {
	struct str chain, key; /* PEM, copied */
	struct str namespace, secret;
	uint64_t fingerprint; /* 0: the writer computes one of chain and key */
};

/* Returns its index. */
uint32_t certs_writer_add(struct certs_writer *writer, const struct certs_writer_cert *cert);

/*
 * Shows certificate @cert for the server name @host (normal form of host_key_of_rule). 0;
 * -EINVAL where the name is not in normal form or the index none that this writer gave; -EEXIST
 * where the name has a certificate already, which it keeps.
 */
int certs_writer_add_name(struct certs_writer *writer, struct str host, uint32_t cert);

/* The certificate for everything else. 0, or -EINVAL. */
int certs_writer_set_default(struct certs_writer *writer, uint32_t cert);

/* Writes the segment; @bytes lives until certs_writer_free. Once only. 0, or -EFBIG. */
int certs_writer_finish(struct certs_writer *writer, struct str *bytes, struct err *err);

#endif
