/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_print: one number for all of an object that matters to us.
 *
 * The same number means that nothing has changed but what we do not act on: the
 * status (our own writing of it comes back to us), who manages which field,
 * resourceVersion and generation.
 */
#ifndef SLUICE_KUBE_API_PRINT_H
#define SLUICE_KUBE_API_PRINT_H

#include <stdint.h>

#include "kube/node.h"

/* Never 0; another one in another process. @object may be any document. */
uint64_t api_print(const struct node *object);

/* Of a part, all of it, e.g. status.loadBalancer; @node may be NULL. */
uint64_t api_print_part(const struct node *node);

#endif
