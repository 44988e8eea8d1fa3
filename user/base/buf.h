/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf: text that grows, up to a maximum.
 *
 * For building dumps, answers of the admin server and messages. Once it would
 * pass its maximum nothing more is added and is_cut is set: a caller that must
 * not lose anything checks that once at the end. Running out of memory ends the
 * process, so the worker's request path does not use it.
 */
#ifndef SLUICE_BASE_BUF_H
#define SLUICE_BASE_BUF_H

#include <stdbool.h>

#include "base/str.h"

enum { BUF_MAX_DEFAULT = 64 << 20 }; /* 64 MiB */

struct buf {
	char *at;
	size_t len;
	size_t cap;
	size_t max;
	bool is_cut;
};

/* @max: bytes at most; 0 for BUF_MAX_DEFAULT. */
void buf_init(struct buf *buf, size_t max);
void buf_release(struct buf *buf);
void buf_reset(struct buf *buf);

void buf_add(struct buf *buf, struct str bytes);
void buf_add_c(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline struct str buf_str(const struct buf *buf)
{
	return str_of(buf->at ? buf->at : "", buf->len);
}

#endif
