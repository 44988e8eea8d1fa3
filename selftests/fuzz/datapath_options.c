// SPDX-License-Identifier: Apache-2.0
/* Any bytes as the options of a TCP header, through the code that XDP and tc run. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "bpf/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct window window;
	const struct tcp_options *options = &window.options;

	if (size > TCP_OPTIONS_MAX_BYTES)
		return 0;
	memset(&window, 0x08, sizeof(window));
	memcpy(window.bytes, data, size);
	options_read(&window, (uint32_t)size);
	if (window.pos > size || options->window_scale > TCP_WINDOW_SCALE_MAX)
		abort();
	if (options->has_timestamps && size < 10)
		abort();
	return 0;
}
