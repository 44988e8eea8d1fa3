/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_names: which Secrets and ConfigMaps an object names besides the TLS Secrets
 * that are watched anyway. Nothing else of these kinds is read from an API server.
 *
 *   Ingress        annotations auth-secret, auth-tls-secret, proxy-ssl-secret;
 *                  custom-headers, auth-proxy-set-headers; a ConfigMap as backend
 *   IngressClass   parameters
 */
#ifndef SLUICE_KUBE_API_NAMES_H
#define SLUICE_KUBE_API_NAMES_H

#include "kube/decode.h"

/* Calls @on_name for each; texts are good for the call. Returns how many there were. */
size_t api_names(const struct object *object,
		 void (*on_name)(void *context, const struct object_key *key), void *context);

#endif
