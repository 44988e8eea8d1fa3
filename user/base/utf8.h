/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8: tells UTF-8 from other bytes (RFC 3629), for text that strangers sent
 * and that goes into JSON.
 */
#ifndef SLUICE_BASE_UTF8_H
#define SLUICE_BASE_UTF8_H

#include "base/str.h"

/*
 * The bytes of the sequence that @text begins with, 1 to 4; 0 where there is no
 * valid one: stray or missing continuation bytes, overlong forms, surrogates,
 * beyond U+10FFFF, or an empty text.
 */
size_t utf8_sequence(struct str text);

#endif
