// SPDX-License-Identifier: Apache-2.0
/* detach: see detach.h. */
#include "agent/detach.h"

#include <stdio.h>

#include "base/log.h"

static void on_removed(void *arg, const char *text)
{
	size_t *count = arg;

	(*count)++;
	printf("%s\n", text);
}

int detach_main(const struct options *options)
{
	size_t count = 0;
	struct datapath_removal removal = {
		.grace_ms = options->grace_ms,
		.on_removed = on_removed,
		.arg = &count,
	};
	struct err err = { 0 };

	log_set_level(options->log_level);
	if (datapath_take_away(options->bpf_dir, &removal, &err)) {
		fprintf(stderr, "sluice: %s\n", err.text);
		return 1;
	}
	if (count == 0)
		printf("nothing to take away: '%s' has nothing of this network namespace\n",
		       options->bpf_dir);
	return 0;
}
