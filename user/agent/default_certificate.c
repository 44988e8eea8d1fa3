// SPDX-License-Identifier: Apache-2.0
/* default_certificate: see default_certificate.h. */
#include "agent/default_certificate.h"

#include "base/mem.h"
#include "tls/tls_inspect.h"

enum { GOOD_FOR_DAYS = 365, PEM_BYTES_MAX = 64 * 1024, CHUNK_BYTES = 8 * 1024 };

static struct object *make_secret(struct str chain, struct str key)
{
	struct object *object = mem_new(1, sizeof(*object));
	struct object_pair *pairs;

	arena_init(&object->arena, CHUNK_BYTES);
	pairs = arena_new(&object->arena, 2, sizeof(*pairs));
	pairs[0].key = STR("tls.crt");
	pairs[0].value = arena_copy(&object->arena, chain);
	pairs[1].key = STR("tls.key");
	pairs[1].value = arena_copy(&object->arena, key);
	object->kind = OBJECT_KIND_SECRET;
	object->namespace = STR(DEFAULT_CERTIFICATE_NAMESPACE);
	object->name = STR(DEFAULT_CERTIFICATE_SECRET);
	object->serial = object_serial();
	object->secret.type = STR("kubernetes.io/tls");
	object->secret.data = (struct object_pairs){ pairs, 2 };
	return object;
}

int default_certificate_add(struct store *store, struct err *err)
{
	struct buf chain, key;
	int rc;

	buf_init(&chain, PEM_BYTES_MAX);
	buf_init(&key, PEM_BYTES_MAX);
	rc = tls_self_signed(STR(TLS_DEFAULT_CERTIFICATE_NAME), GOOD_FOR_DAYS, &chain, &key, err);
	if (!rc)
		store_put(store, STR(DEFAULT_CERTIFICATE_NAMESPACE),
			  make_secret(buf_str(&chain), buf_str(&key)));
	if (key.at)
		explicit_bzero(key.at, key.cap);
	buf_release(&key);
	buf_release(&chain);
	return rc;
}
