/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_tls: a worker's TLS context and its certificates.
 *
 * The certs segment may hold 10,000 certificates; a worker sees a few of them. Each
 * is parsed when a handshake first asks for it and kept by its fingerprint, also
 * across generations: a new segment costs nothing until something in it changed.
 * When more than WORKER_CERTS_MAX are loaded, the one used longest ago goes.
 */
#ifndef SLUICE_PROXY_WORKER_TLS_H
#define SLUICE_PROXY_WORKER_TLS_H

#include "proxy/config.h"
#include "tls/tls.h"

enum { WORKER_CERTS_MAX = 2048 };

struct worker_tls;

/* 0 or -errno with a text. */
int worker_tls_new(struct worker_tls **tls, struct err *err);
/* After the last TLS connection of the worker. Accepts NULL. */
void worker_tls_free(struct worker_tls *tls);

/* From now on certificates and ticket keys are those of @config. */
void worker_tls_set_config(struct worker_tls *tls, const struct config *config);

/* A new server-side connection, or NULL without memory. */
struct tls_conn *worker_tls_accept(struct worker_tls *tls);

/*
 * Whether @conn may carry requests for @host (normal form of host_key; "" = none named): the client
 * asked for that name, or the certificate it was shown covers it, or a connection made for @host
 * would be shown the same one. Such a second host is looked up once: @known, 0 at first, remembers
 * the last that was found covered.
 */
bool worker_tls_covers(struct worker_tls *tls, const struct tls_conn *conn, struct str host,
		       uint64_t *known);

#endif
