/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: what the sources say now.
 *
 *   origin "shop.yaml" ──► claim ─┐
 *   origin "zzz.yaml"  ──► claim ─┴─► entry (Ingress, shop, web) ──► object in force
 *
 * An origin (a manifest; one for an API server) says what objects there are; each
 * is a claim to an entry, which is one kind, namespace and name. Where several
 * origins claim an entry, the first in byte order is in force and the others are
 * error findings; when it goes, the next is in force.
 *
 * What was good stays in force: an object that is refused now keeps its version
 * from before, and an origin that cannot be read keeps all that it does not say
 * anew. A finding tells so.
 *
 * One thread only. Running out of memory ends the process.
 */
#ifndef SLUICE_KUBE_STORE_H
#define SLUICE_KUBE_STORE_H

#include "base/buf.h"
#include "kube/decode.h"
#include "model/finding.h"
#include "model/object.h"

struct store;

/* Never NULL. */
struct store *store_new(void);
/* Accepts NULL. Objects of the store and its set die with it. */
void store_free(struct store *store);

/*
 * @decoded is all that @origin says now: objects it said before and does not say
 * any more are removed. Takes the objects and findings out of @decoded, which
 * stays to be released. An object with the same fingerprint as before is left
 * alone (same pointer, no change).
 */
void store_put_origin(struct store *store, struct str origin, struct decoded *decoded);
/* Forgets the origin with its objects and findings. */
void store_remove_origin(struct store *store, struct str origin);

/* One object of @origin, new or changed; the others stay. Takes @object. */
void store_put(struct store *store, struct str origin, struct object *object);
/* The same for a decoded one: with the fingerprint of before, nothing changes. Takes its object. */
void store_put_decoded(struct store *store, struct str origin, struct decoded_object *said);
/* Nothing happens where @origin does not have it. */
void store_remove(struct store *store, struct str origin, const struct object_key *key);

/*
 * What is in force. Borrowed until the next change of the store; the same
 * struct each time. Costs nothing for kinds that did not change.
 */
const struct object_set *store_set(struct store *store);

/* Grows with each change of what is in force of that kind; 0 before the first. */
uint64_t store_generation(const struct store *store, enum object_kind kind);

/* Grows whenever the findings may be others. */
uint64_t store_findings_generation(const struct store *store);
/* Adds all findings: by origin in byte order, then double claims by object. */
void store_findings(const struct store *store, struct findings *findings);

/*
 * What is in force as text, one line a field, by kind, namespace and name: the
 * format of the golden files. Of Secrets and ConfigMaps only keys and lengths.
 */
void store_dump(struct store *store, struct buf *out);

#endif
