// SPDX-License-Identifier: Apache-2.0
/* options: TCP options in any order, whole and broken (bpf/options.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "bpf/options.h"

#define MSS   "\x02\x04\x05\xb4"
#define SACK  "\x04\x02"
#define TIMES "\x08\x0a\x01\x02\x03\x04\x05\x06\x07\x08"
#define NOP   "\x01"
#define SCALE "\x03\x03\x07"

static const struct {
	const char *name;
	struct str bytes;
	struct tcp_options options;
} cases[] = {
	{ "as Linux writes a SYN",
	  STR_INIT(MSS SACK TIMES NOP SCALE),
	  { 0x01020304, 0x05060708, 1460, 7, 1, 1, 1, { 0 } } },
	{ "as Linux writes data",
	  STR_INIT(NOP NOP TIMES),
	  { .timestamp = 0x01020304, .timestamp_echo = 0x05060708, .has_timestamps = 1 } },
	{ "as Windows writes a SYN",
	  STR_INIT(MSS NOP SCALE NOP NOP SACK),
	  { .mss = 1460, .window_scale = 7, .has_window_scale = 1, .has_sack = 1 } },
	{ "unknown ones between",
	  STR_INIT("\x22\x04\x11\x22" MSS "\xfe\x02" SCALE),
	  { .mss = 1460, .window_scale = 7, .has_window_scale = 1 } },
	{ "nothing behind the end", STR_INIT(MSS "\x00" SACK), { .mss = 1460 } },
	{ "a size of 0", STR_INIT(MSS "\x05\x00" SACK), { .mss = 1460 } },
	{ "a size of 1", STR_INIT(MSS "\x05\x01" SACK), { .mss = 1460 } },
	{ "longer than there is", STR_INIT(MSS "\x08\x0a\x01\x02"), { .mss = 1460 } },
	{ "a size that is not its own", STR_INIT("\x02\x03\x05" SACK), { .has_sack = 1 } },
	{ "a scale above 14",
	  STR_INIT("\x03\x03\xff"),
	  { .window_scale = 14, .has_window_scale = 1 } },
	{ "padding alone", STR_INIT(NOP NOP NOP NOP), { 0 } },
};

static void reads_options(void **state)
{
	static struct window window;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&window, 0x02, sizeof(window)); /* what stood there before must not matter */
		memcpy(window.bytes, cases[i].bytes.at, cases[i].bytes.len);
		options_read(&window, (uint32_t)cases[i].bytes.len);
		if (memcmp(&window.options, &cases[i].options, sizeof(window.options)) != 0)
			fail_msg("%s: mss %u, scale %u %u, sack %u, timestamps %u %#x %#x",
				 cases[i].name, window.options.mss, window.options.has_window_scale,
				 window.options.window_scale, window.options.has_sack,
				 window.options.has_timestamps, window.options.timestamp,
				 window.options.timestamp_echo);
	}
}

/* Cut anywhere, what is whole counts and nothing else. */
static void reads_options_cut_anywhere(void **state)
{
	static struct window window;
	const struct str bytes = STR(MSS SACK TIMES NOP SCALE);

	(void)state;
	for (size_t len = 0; len <= bytes.len; len++) {
		memset(&window, 0x08, sizeof(window));
		memcpy(window.bytes, bytes.at, len);
		options_read(&window, (uint32_t)len);
		assert_int_equal(window.options.mss, len >= 4 ? 1460 : 0);
		assert_int_equal(window.options.has_sack, len >= 6);
		assert_int_equal(window.options.has_timestamps, len >= 16);
		assert_int_equal(window.options.has_window_scale, len >= 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_options),
		cmocka_unit_test(reads_options_cut_anywhere),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
