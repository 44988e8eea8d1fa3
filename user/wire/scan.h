/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan: how far a run of allowed bytes goes, 16 bytes at a time.
 *
 * Each scan_* returns the first byte in [at, end) that does not belong to the run,
 * or end. Full blocks of 16 are compared with GCC's vectors (SSE2 on x86-64, NEON
 * on arm64); the rest goes through the class table byte by byte, so that nothing
 * behind end is ever read.
 */
#ifndef SLUICE_WIRE_SCAN_H
#define SLUICE_WIRE_SCAN_H

#include "base/str.h"

enum byte_class {
	BYTE_TOKEN = 1u << 0,  /* tchar, RFC 9110 5.6.2 */
	BYTE_NAME = 1u << 1,   /* letters, digits, "-": what names are made of in practice */
	BYTE_TEXT = 1u << 2,   /* field values: visible, space, tab, 8-bit (RFC 9110 5.5) */
	BYTE_TARGET = 1u << 3, /* visible ASCII but "#" */
	BYTE_PATH = 1u << 4,   /* as BYTE_TARGET, but "?" */
	BYTE_HOST = 1u << 5,   /* letters, digits, "-", ".", "_", "~" */
};

extern const uint8_t byte_classes[256];

static inline bool byte_is(char c, unsigned class)
{
	return (byte_classes[(uint8_t)c] & class) != 0; /* char may be signed */
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));

static inline bytes16 bytes16_load(const char *at)
{
	bytes16 bytes;

	memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

/* The index of the first byte of @mask that is set (each is 0 or 0xff), or 16. */
static inline unsigned bytes16_first(bytes16 mask)
{
#if defined(__SSE2__)
	typedef char chars16 __attribute__((vector_size(16)));
	/* One bit a byte; bit 16 stands behind them, so that "none" is 16. */
	return (unsigned)__builtin_ctz((unsigned)__builtin_ia32_pmovmskb128((chars16)mask) |
				       1u << 16);
#else
	uint8_t bytes[16];

	memcpy(bytes, &mask, sizeof(bytes));
	for (unsigned i = 0; i < 16; i++) {
		if (bytes[i])
			return i;
	}
	return 16;
#endif
}

static inline const char *scan_class(const char *at, const char *end, unsigned class)
{
	while (at < end && byte_is(*at, class))
		at++;
	return at;
}

static inline const char *scan_name(const char *at, const char *end)
{
	for (; end - at >= 16; at += 16) {
		bytes16 v = bytes16_load(at);
		bytes16 is_name = (bytes16)((v | 0x20) - 'a' < 26) | (bytes16)(v - '0' < 10) |
				  (bytes16)(v == '-');
		unsigned first = bytes16_first(~is_name);

		if (first < 16)
			return at + first;
	}
	return scan_class(at, end, BYTE_NAME);
}

static inline const char *scan_text(const char *at, const char *end)
{
	for (; end - at >= 16; at += 16) {
		bytes16 v = bytes16_load(at);
		bytes16 is_control =
			((bytes16)(v < 0x20) & (bytes16)(v != '\t')) | (bytes16)(v == 0x7f);
		unsigned first = bytes16_first(is_control);

		if (first < 16)
			return at + first;
	}
	return scan_class(at, end, BYTE_TEXT);
}

static inline const char *scan_path(const char *at, const char *end)
{
	for (; end - at >= 16; at += 16) {
		bytes16 v = bytes16_load(at);
		bytes16 is_end = (bytes16)(v - 0x21 > 0x7e - 0x21) | (bytes16)(v == '#') |
				 (bytes16)(v == '?');
		unsigned first = bytes16_first(is_end);

		if (first < 16)
			return at + first;
	}
	return scan_class(at, end, BYTE_PATH);
}

static inline const char *scan_target(const char *at, const char *end)
{
	for (; end - at >= 16; at += 16) {
		bytes16 v = bytes16_load(at);
		bytes16 is_end = (bytes16)(v - 0x21 > 0x7e - 0x21) | (bytes16)(v == '#');
		unsigned first = bytes16_first(is_end);

		if (first < 16)
			return at + first;
	}
	return scan_class(at, end, BYTE_TARGET);
}

#endif
