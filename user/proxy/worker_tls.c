// SPDX-License-Identifier: Apache-2.0
/*
 * worker_tls: see worker_tls.h. The loaded certificates stand in a hash table with
 * chains, keyed by fingerprint, and in a ring from newest to oldest use.
 */
#include "proxy/worker_tls.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "image/key.h"

enum { SLOTS = 4096 }; /* a power of two, above WORKER_CERTS_MAX */

struct loaded {
	uint64_t fingerprint;
	struct tls_cert *cert; /* NULL: it could not be loaded */
	struct loaded *next_in_slot;
	struct loaded *newer, *older; /* the ring of use */
};

struct worker_tls {
	struct tls_context *context;
	const struct config *config; /* NULL: none yet */
	struct loaded *slots[SLOTS];
	struct loaded ring; /* ring.older is the newest, ring.newer the oldest */
	size_t loaded_count;
};

static struct loaded **slot_of(struct worker_tls *tls, uint64_t fingerprint)
{
	return &tls->slots[(fingerprint ^ fingerprint >> 32) & (SLOTS - 1)];
}

static void unlink_use(struct loaded *loaded)
{
	loaded->newer->older = loaded->older;
	loaded->older->newer = loaded->newer;
}

static void link_newest(struct worker_tls *tls, struct loaded *loaded)
{
	loaded->older = tls->ring.older;
	loaded->newer = &tls->ring;
	tls->ring.older->newer = loaded;
	tls->ring.older = loaded;
}

static void unload_oldest(struct worker_tls *tls)
{
	struct loaded *oldest = tls->ring.newer;
	struct loaded **link = slot_of(tls, oldest->fingerprint);

	while (*link != oldest)
		link = &(*link)->next_in_slot;
	*link = oldest->next_in_slot;
	unlink_use(oldest);
	tls_cert_put(oldest->cert);
	mem_free(oldest);
	tls->loaded_count--;
}

static struct loaded *find(struct worker_tls *tls, uint64_t fingerprint)
{
	struct loaded *loaded = *slot_of(tls, fingerprint);

	while (loaded && loaded->fingerprint != fingerprint)
		loaded = loaded->next_in_slot;
	return loaded;
}

/* A certificate that cannot be loaded is remembered as such: not parsed on each handshake. */
static struct loaded *load(struct worker_tls *tls, const struct cert *cert)
{
	const struct certs *certs = tls->config->certs;
	struct loaded *loaded = mem_try_new(1, sizeof(*loaded));
	struct loaded **slot = slot_of(tls, cert->fingerprint);
	struct err err = { 0 };

	if (!loaded)
		return NULL;
	if (tls_cert_load(tls->context, certs_text(certs, cert->chain),
			  certs_text(certs, cert->key), &loaded->cert, &err) < 0) {
		struct str namespace = certs_text(certs, cert->namespace);
		struct str secret = certs_text(certs, cert->secret);

		loaded->cert = NULL;
		log_warning("proxy", "certificate of secret '%.*s/%.*s': %s", STR_ARG(namespace),
			    STR_ARG(secret), err.text);
	}
	loaded->fingerprint = cert->fingerprint;
	loaded->next_in_slot = *slot;
	*slot = loaded;
	link_newest(tls, loaded);
	if (++tls->loaded_count > WORKER_CERTS_MAX)
		unload_oldest(tls);
	return loaded;
}

static const struct tls_cert *loaded_cert(struct worker_tls *tls, const struct cert *cert)
{
	struct loaded *loaded = find(tls, cert->fingerprint);

	if (!loaded)
		loaded = load(tls, cert);
	else if (tls->ring.older != loaded) {
		unlink_use(loaded);
		link_newest(tls, loaded);
	}
	return loaded ? loaded->cert : NULL;
}

static const struct tls_cert *default_cert(struct worker_tls *tls)
{
	const struct certs *certs = tls->config->certs;
	uint32_t index = certs->header->default_cert;

	return index == SEGMENT_NONE ? NULL : loaded_cert(tls, &certs->certs[index]);
}

/* A name that cannot be a host's is as good as none. */
static struct str server_name_key(struct str name, char room[HOST_KEY_MAX])
{
	struct str host;

	return name.at && host_key(name, room, &host) == 0 ? host : STR("");
}

static const struct tls_cert *on_server_name(void *owner, struct str name)
{
	struct worker_tls *tls = owner;
	char room[HOST_KEY_MAX];
	const struct tls_cert *loaded = NULL;
	const struct cert *cert;

	if (!tls->config || !tls->config->certs)
		return NULL;
	cert = certs_find(tls->config->certs, server_name_key(name, room));
	if (cert)
		loaded = loaded_cert(tls, cert);
	return loaded ? loaded : default_cert(tls);
}

static bool covers(struct worker_tls *tls, struct str server_name, struct str host)
{
	const struct certs *certs = tls->config->certs;
	char room[HOST_KEY_MAX];
	const struct cert *shown = certs_find(certs, server_name_key(server_name, room));
	const struct cert *wanted = certs_find(certs, host);
	const struct tls_cert *loaded;

	if (!shown || !wanted || shown->fingerprint == wanted->fingerprint)
		return true;
	/* A resumed connection was shown none: the one for its name stands for it. */
	loaded = loaded_cert(tls, shown);
	return loaded && tls_cert_covers(loaded, host);
}

bool worker_tls_covers(struct worker_tls *tls, const struct tls_conn *conn, struct str host,
		       uint64_t *known)
{
	struct str name = tls_conn_server_name(conn);
	uint64_t hash;

	if (host.len == 0 || str_eq_nocase(name, host) || !tls->config->certs)
		return true;
	hash = siphash(tls->config->certs->header->keys.exact, host);
	if (*known == hash)
		return true;
	if (!covers(tls, name, host))
		return false;
	*known = hash;
	return true;
}

int worker_tls_new(struct worker_tls **tls, struct err *err)
{
	struct worker_tls *made = mem_try_new(1, sizeof(*made));
	struct tls_options options = { .on_server_name = on_server_name, .owner = made };
	int rc;

	if (!made)
		return err_set(err, -ENOMEM, "no memory for TLS");
	options.alpn = STR("\x08http/1.1");
	made->ring.newer = made->ring.older = &made->ring;
	rc = tls_context_new(&options, &made->context, err);
	if (rc < 0) {
		mem_free(made);
		return rc;
	}
	*tls = made;
	return 0;
}

void worker_tls_free(struct worker_tls *tls)
{
	if (!tls)
		return;
	while (tls->loaded_count > 0)
		unload_oldest(tls);
	tls_context_free(tls->context);
	mem_free(tls);
}

void worker_tls_set_config(struct worker_tls *tls, const struct config *config)
{
	const struct tls_ticket_key *keys = config->ticket_keys;

	tls->config = config;
	tls_context_set_ticket_keys(tls->context, config->ticket_key_count > 0 ? &keys[0] : NULL,
				    config->ticket_key_count > 1 ? &keys[1] : NULL);
}

struct tls_conn *worker_tls_accept(struct worker_tls *tls)
{
	struct tls_conn *conn;

	return tls_conn_new(tls->context, &conn) < 0 ? NULL : conn;
}
