/* SPDX-License-Identifier: Apache-2.0 */
/* options_table: what a row of the table of options looks like. Private to options*.c. */
#ifndef SLUICE_AGENT_OPTIONS_TABLE_H
#define SLUICE_AGENT_OPTIONS_TABLE_H

#include "agent/options.h"

enum option_flag {
	OPTION_REPEATS = 1u << 0,
	OPTION_NOT_IN_FILE = 1u << 1,
	OPTION_LIVE = 1u << 2, /* SIGHUP changes it; the others need a restart or an upgrade */
};

struct option {
	const char *name;
	const char *argument;  /* what --help calls its value; NULL: it takes none */
	unsigned int commands; /* of enum command */
	unsigned int flags;    /* of enum option_flag */
	/* Checks @value and puts it in its place. 0, or -EINVAL with a text without the name. */
	int (*set)(struct options *options, struct str value, struct err *err);
	const char *help;
};

/* options_ingress.c: whose Ingresses are served, what stands in their status. */
int options_set_ingress_class(struct options *options, struct str value, struct err *err);
int options_set_take_over_class(struct options *options, struct str value, struct err *err);
int options_set_watch_nameless(struct options *options, struct str value, struct err *err);
int options_set_watch_namespace(struct options *options, struct str value, struct err *err);
int options_set_publish_service(struct options *options, struct str value, struct err *err);
int options_set_publish_address(struct options *options, struct str value, struct err *err);

/* options_protect.c: who may connect, how often, and who is believed. */
int options_set_trusted_proxies(struct options *options, struct str value, struct err *err);
int options_set_denylist(struct options *options, struct str value, struct err *err);
int options_set_allow_sources(struct options *options, struct str value, struct err *err);
int options_set_source_rate(struct options *options, struct str value, struct err *err);
int options_set_source_prefix(struct options *options, struct str value, struct err *err);
int options_set_connection_rate(struct options *options, struct str value, struct err *err);
int options_set_hot_host_load(struct options *options, struct str value, struct err *err);
int options_set_hot_host_rest(struct options *options, struct str value, struct err *err);
int options_set_unknown_hosts(struct options *options, struct str value, struct err *err);

/* NULL where there is none of that name. */
const struct option *options_find(struct str name);
/* The rows in their order; NULL behind the last one. */
const struct option *options_at(size_t index);

#endif
