/* SPDX-License-Identifier: Apache-2.0 */
/*
 * default_certificate: what is shown to clients that ask for a name nobody has a certificate for.
 *
 * Made at start, signed by itself, kept in memory alone. To the compiler it is a Secret like any
 * other, of an origin of its own; the setting `default-ssl-certificate`, in --config or for a
 * class, shows another one instead.
 */
#ifndef SLUICE_AGENT_DEFAULT_CERTIFICATE_H
#define SLUICE_AGENT_DEFAULT_CERTIFICATE_H

#include "base/err.h"
#include "kube/store.h"

/* No user's object can have this namespace: it is no DNS label. */
#define DEFAULT_CERTIFICATE_NAMESPACE "(sluice)"
#define DEFAULT_CERTIFICATE_SECRET    "default-certificate"

/* Makes one and puts it into @store. 0 or -errno with a text. */
int default_certificate_add(struct store *store, struct err *err);

#endif
