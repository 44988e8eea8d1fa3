/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err: what went wrong, for the one who decides.
 *
 * Functions return 0 or -errno. Where a person will read about the failure, the
 * caller passes a struct err and the lower layer fills in a text: lower case,
 * what failed first, the subject in 'quotes', no full stop. Lower layers never
 * log; whoever decides what to do about the failure does.
 */
#ifndef SLUICE_BASE_ERR_H
#define SLUICE_BASE_ERR_H

#include <stdarg.h>

enum { ERR_TEXT_MAX = 512 };

struct err {
	int code;                /* -errno; 0 where nothing failed */
	char text[ERR_TEXT_MAX]; /* NUL-terminated, cut to fit */
};

/* Sets code and text and returns @code, so that a failure is one statement. @err may be NULL. */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set, with ": <meaning of @code>" behind the text. */
int err_set_os(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "@prefix: " in front of what err already says. Returns err->code. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
