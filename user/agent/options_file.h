/* SPDX-License-Identifier: Apache-2.0 */
/* options_file: the file of --config, a map of YAML from names to texts or lists of texts. */
#ifndef SLUICE_AGENT_OPTIONS_FILE_H
#define SLUICE_AGENT_OPTIONS_FILE_H

#include "agent/options_table.h"

/* @value is borrowed for the call. 0, or -errno with a text. */
typedef int options_file_take(void *context, const struct option *option, struct str value,
			      struct err *err);

/*
 * Reads @path: options go to @take in their order, settings for compile (copied) into
 * options->settings. 0; -EINVAL with a text that names file and line; -errno where it cannot be
 * read.
 */
int options_file_read(const char *path, struct options *options, options_file_take *take,
		      void *context, struct err *err);

#endif
