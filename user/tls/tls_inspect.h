/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_inspect: the agent's look at certificates before any worker sees them.
 *
 * It answers what a person wants to know about a Secret (does the key fit, which
 * names, until when) and makes the certificate that is served when nothing else
 * fits. It never serves.
 */
#ifndef SLUICE_TLS_TLS_INSPECT_H
#define SLUICE_TLS_TLS_INSPECT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cert_facts.h"
#include "base/err.h"

enum { TLS_NAMES_MAX = 256 }; /* of one certificate; further ones are left out */

struct tls_inspection {
	/* DNS names of the SAN, or the common name where there is none; lower case, in the arena.
	 */
	struct str *names;
	size_t name_count;
	struct str subject;    /* common name, or empty */
	struct str issuer;     /* common name, or empty */
	uint64_t not_before_s; /* since 1970; 0 for what is earlier */
	uint64_t not_after_s;
	size_t chain_count;   /* certificates in the chain */
	char key_type[16];    /* "EC P-256", "RSA 2048", "ED25519" */
	char fingerprint[65]; /* SHA-256 of the leaf, hexadecimal */
};

/*
 * Reads a PEM chain (leaf first) and a PEM key. 0, or -EINVAL with a text that names what is
 * wrong: "private key does not fit the certificate". What it lets pass, a worker can serve. A
 * date in the past or future is no error. The texts live in @arena.
 */
int tls_inspect(struct str chain_pem, struct str key_pem, struct arena *arena,
		struct tls_inspection *inspection, struct err *err);

/*
 * As tls_inspect, of the result only what matters for serving. Of the type that compile asks for
 * (compile_options.check_pair); @context is not looked at.
 */
int tls_check_pair(void *context, struct str chain_pem, struct str key_pem, struct arena *arena,
		   struct cert_facts *facts, struct err *err);

/* Whether @host (lower case, no port) is covered by @name; "*.a.b" covers one label (RFC 6125). */
bool tls_name_covers(struct str name, struct str host);

/*
 * Makes a P-256 key and a certificate for it, signed by itself, with @name as common name and
 * DNS name where it is one, good for @days from now. Appends PEM to both buffers.
 */
int tls_self_signed(struct str name, unsigned days, struct buf *chain_pem, struct buf *key_pem,
		    struct err *err);

#define TLS_DEFAULT_CERTIFICATE_NAME "sluice default certificate"

#endif
