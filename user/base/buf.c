// SPDX-License-Identifier: Apache-2.0
/* buf: see buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max ? max : BUF_MAX_DEFAULT };
}

void buf_release(struct buf *buf)
{
	mem_free(buf->at);
	buf->at = NULL;
	buf->len = buf->cap = 0;
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->is_cut = false;
}

/* Room for @more bytes and a NUL; false where that would pass the maximum. */
static bool reserve(struct buf *buf, size_t more)
{
	size_t need = buf->len + more + 1;

	if (buf->is_cut || more > buf->max || need > buf->max) {
		buf->is_cut = true;
		return false;
	}
	if (need > buf->cap) {
		size_t cap = buf->cap ? buf->cap * 2 : 256;

		buf->cap = cap > need ? cap : need;
		buf->at = mem_resize(buf->at, buf->cap, 1);
	}
	return true;
}

void buf_add(struct buf *buf, struct str bytes)
{
	if (bytes.len == 0 || !reserve(buf, bytes.len))
		return;
	memcpy(buf->at + buf->len, bytes.at, bytes.len);
	buf->len += bytes.len;
}

void buf_add_c(struct buf *buf, const char *text)
{
	buf_add(buf, str_from_c(text));
}

void buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, str_of(&c, 1));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || !reserve(buf, (size_t)len))
		return;
	va_start(args, format);
	vsnprintf(buf->at + buf->len, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
}
