/* SPDX-License-Identifier: Apache-2.0 */
/*
 * date: IMF-fixdate (RFC 9110 5.6.7), "Sun, 06 Nov 1994 08:49:37 GMT".
 *
 * Own calendar arithmetic: gmtime_r takes a lock for the time zone, and this is
 * written once a second by each worker.
 */
#ifndef SLUICE_WIRE_DATE_H
#define SLUICE_WIRE_DATE_H

#include "base/str.h"

enum { DATE_BYTES = 29 };

/* @unix_s: seconds since 1970-01-01 UTC, up to the year 9999. Not NUL-terminated. */
void date_write(uint64_t unix_s, char text[DATE_BYTES]);

#endif
