/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syntax: what the API server would not have let through.
 *
 * Manifests reach sluice without an API server in between, so its rules for hosts
 * and paths of an Ingress are applied here (networking/v1 validation). A name in
 * upper case is the one exception: it is taken as lower case.
 */
#ifndef SLUICE_COMPILE_SYNTAX_H
#define SLUICE_COMPILE_SYNTAX_H

#include "base/err.h"
#include "model/object.h"

/* A DNS name (RFC 1123 2.1), or "*." and one. 0, or -EINVAL with the reason as text. */
int syntax_check_host(struct str host, struct err *err);

/* 0, or -EINVAL with the reason as text. */
int syntax_check_path(struct str path, enum object_path_type type, struct err *err);

#endif
