// SPDX-License-Identifier: Apache-2.0
/* err: see err.h. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

int err_set_os(struct err *err, int code, const char *format, ...)
{
	va_list args;
	int len;

	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	len = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (len >= 0 && (size_t)len < sizeof(err->text))
		snprintf(err->text + len, sizeof(err->text) - (size_t)len, ": %s", strerror(-code));
	return code;
}

int err_prefix(struct err *err, const char *format, ...)
{
	char rest[ERR_TEXT_MAX - 2];
	va_list args;
	int len;

	if (!err)
		return 0;
	memcpy(rest, err->text, sizeof(rest));
	rest[sizeof(rest) - 1] = 0;
	va_start(args, format);
	len = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (len >= 0 && (size_t)len < sizeof(err->text))
		snprintf(err->text + len, sizeof(err->text) - (size_t)len, ": %s", rest);
	return err->code;
}
