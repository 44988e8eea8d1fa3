// SPDX-License-Identifier: Apache-2.0
/* options_live: the same command line read again, for SIGHUP. */
#include "agent/options_table.h"

/* What may not change keeps its old text and value; both live as long as @options. */
static void keep_fixed(const struct options *options, struct options *fresh)
{
	struct options merged = *options;

	merged.arena = fresh->arena;
	merged.settings.at = fresh->settings.at;
	merged.settings.len = fresh->settings.len;
	merged.settings.cap = fresh->settings.cap;
	merged.log_level = fresh->log_level;
	merged.access_log = fresh->access_log;
	merged.grace_ms = fresh->grace_ms;
	merged.trusted_hops = fresh->trusted_hops;
	memcpy(merged.trusted, fresh->trusted, sizeof(merged.trusted));
	merged.trusted_count = fresh->trusted_count;
	merged.protect = fresh->protect;
	merged.hot_host_permille = fresh->hot_host_permille;
	merged.hot_host_rest_ms = fresh->hot_host_rest_ms;
	merged.request_head_timeout_ms = fresh->request_head_timeout_ms;
	merged.keepalive_timeout_ms = fresh->keepalive_timeout_ms;
	merged.upstream_idle_timeout_ms = fresh->upstream_idle_timeout_ms;
	vec_release(&fresh->manifests);
	vec_release(&fresh->interfaces);
	*fresh = merged;
}

int options_reload(const struct options *options, struct options *fresh, struct buf *fixed,
		   struct err *err)
{
	const struct option *option;
	int rc = options_parse(fresh, options->command, options->argument_count, options->words + 2,
			       err);

	if (rc) {
		options_release(fresh);
		return rc;
	}
	for (size_t i = 0; (option = options_at(i)); i++)
		if (!(option->flags & OPTION_LIVE) && !str_eq(options->said[i], fresh->said[i]))
			buf_printf(fixed, "%s%s", fixed->len ? ", " : "", option->name);
	keep_fixed(options, fresh);
	return 0;
}

void options_release_reloaded(struct options *options)
{
	vec_release(&options->settings);
	arena_release(&options->arena);
}
