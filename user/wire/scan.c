// SPDX-License-Identifier: Apache-2.0
/*
 * scan: the table that says which byte may stand where.
 *
 * Each row adds to the classes of its bytes, so a byte that occurs in several
 * grammars is written once with all of them.
 */
#include "wire/scan.h"

#define VISIBLE (BYTE_TEXT | BYTE_TARGET | BYTE_PATH)

const uint8_t byte_classes[256] = {
	['\t'] = BYTE_TEXT,
	[' '] = BYTE_TEXT,
	['!'] = VISIBLE | BYTE_TOKEN,
	['"'] = VISIBLE,
	['#'] = BYTE_TEXT | BYTE_TOKEN,
	['$' ... '\''] = VISIBLE | BYTE_TOKEN,
	['(' ... ')'] = VISIBLE,
	['*' ... '+'] = VISIBLE | BYTE_TOKEN,
	[','] = VISIBLE,
	['-'] = VISIBLE | BYTE_TOKEN | BYTE_NAME | BYTE_HOST,
	['.'] = VISIBLE | BYTE_TOKEN | BYTE_HOST,
	['/'] = VISIBLE,
	['0' ... '9'] = VISIBLE | BYTE_TOKEN | BYTE_NAME | BYTE_HOST,
	[':' ... '>'] = VISIBLE,
	['?'] = BYTE_TEXT | BYTE_TARGET,
	['@'] = VISIBLE,
	['A' ... 'Z'] = VISIBLE | BYTE_TOKEN | BYTE_NAME | BYTE_HOST,
	['[' ... ']'] = VISIBLE,
	['^'] = VISIBLE | BYTE_TOKEN,
	['_'] = VISIBLE | BYTE_TOKEN | BYTE_HOST,
	['`'] = VISIBLE | BYTE_TOKEN,
	['a' ... 'z'] = VISIBLE | BYTE_TOKEN | BYTE_NAME | BYTE_HOST,
	['{'] = VISIBLE,
	['|'] = VISIBLE | BYTE_TOKEN,
	['}'] = VISIBLE,
	['~'] = VISIBLE | BYTE_TOKEN | BYTE_HOST,
	[0x80 ... 0xff] = BYTE_TEXT,
};
