/* SPDX-License-Identifier: Apache-2.0 */
/* file: small files, read whole. */
#ifndef SLUICE_BASE_FILE_H
#define SLUICE_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends what stands in @path to @text, up to its maximum. 0, or -errno with a text that names it.
 */
int file_read(const char *path, struct buf *text, struct err *err);

#endif
