/* SPDX-License-Identifier: Apache-2.0 */
/*
 * say: how names and values of users stand in a finding.
 *
 * A finding is one line in a log and in a terminal, so what a user wrote is cut
 * and its control characters are replaced before it is repeated.
 */
#ifndef SLUICE_KUBE_SAY_H
#define SLUICE_KUBE_SAY_H

#include "base/buf.h"
#include "base/str.h"

enum { SAY_MAX = 128 };

/* Fit to be printed with %s: at most SAY_MAX - 1 bytes, "..." where it was cut. Returns @out. */
const char *say_text(struct str text, char out[SAY_MAX]);

/* Another step of a field path: "spec", ".rules", "[sluice.dev/x]" where it is no plain word. */
void say_field(struct buf *out, struct str name);
/* "[3]" */
void say_index(struct buf *out, size_t index);

#endif
