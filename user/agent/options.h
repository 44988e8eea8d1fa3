/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: the command line of sluice run, agent and proxy.
 *
 * One table (options.c) names every option, who takes it, how its text is checked and what it is
 * for; --help is printed from that table, and --config reads the same names from YAML:
 *
 *   manifests: [/etc/sluice/manifests]
 *   http: ["0.0.0.0:80"]
 *   log-level: warning
 *   ssl-redirect: "false"          # any other known setting: the default for all classes
 *
 * What stands on the command line wins over the file, whole options at a time: one --http there
 * makes all `http` of the file void. The names are a contract (DESIGN.md section 4).
 */
#ifndef SLUICE_AGENT_OPTIONS_H
#define SLUICE_AGENT_OPTIONS_H

#include "base/addr.h"
#include "base/addr_range.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/vec.h"
#include "compile/class_rules.h"
#include "control/control.h"
#include "datapath/datapath.h"
#include "model/object.h"

enum command {
	COMMAND_RUN = 1u << 0,   /* agent and proxy in the foreground */
	COMMAND_AGENT = 1u << 1, /* the agent alone: somebody else starts the proxy */
	COMMAND_PROXY = 1u << 2,
	COMMAND_DETACH = 1u << 3, /* takes BPF programs and pins away, and ends */
};

#define OPTIONS_RUN_DIR_DEFAULT "/run/sluice"

enum {
	OPTIONS_ADMIN_PORT_DEFAULT = 9980,
	OPTIONS_GRACE_S_DEFAULT = 30,
	OPTIONS_DETACH_GRACE_S_DEFAULT = 3,
	OPTIONS_GRACE_S_MAX = 24 * 3600,
	OPTIONS_TIMEOUT_S_MAX = 24 * 3600,
	OPTIONS_HOPS_MAX = 64,
	OPTIONS_WORKERS_MAX = 256,
	OPTIONS_ADDRESSES_MAX = 16, /* of http, of https */
	OPTIONS_SOURCES_MAX = 256,  /* networks and files of lists of sources */
	OPTIONS_RATE_MAX = 1000000, /* connections a second */
	OPTIONS_HOT_HOST_PERCENT_DEFAULT = 60,
	OPTIONS_HOT_HOST_REST_S_DEFAULT = 30,
};

enum early_dispatch { EARLY_DISPATCH_AUTO, EARLY_DISPATCH_ON, EARLY_DISPATCH_OFF };

/* Where connections of one protocol are taken. */
struct options_addresses {
	struct addr_range at[OPTIONS_ADDRESSES_MAX];
	size_t count;    /* 0: none */
	bool is_default; /* nobody asked for these: one that cannot be had is no failure */
};

/* A network, or the path of a file with one a line, of a listener's allow list. */
struct options_allow {
	struct str listener; /* "http", "https" or its address */
	struct str source;
};

/* Who may connect, and how often. */
struct options_protect {
	struct str deny[OPTIONS_SOURCES_MAX]; /* networks and paths of files */
	size_t deny_count;
	struct options_allow allow[OPTIONS_SOURCES_MAX];
	size_t allow_count;
	struct datapath_source_rate source_rate;
};

/* All texts are NUL-terminated and live in the arena, or are constants. */
struct options {
	struct arena arena;
	enum command command;
	struct VEC(struct str) manifests;
	const char *kubeconfig; /* NULL: none */
	struct options_addresses http, https;
	struct addr admin;
	bool has_admin;
	const char *run_dir;
	const char *bpf_dir;
	struct VEC(const char *) interfaces;
	enum xdp_mode xdp;
	enum early_dispatch early_dispatch;
	uint32_t worker_count; /* 0: auto */
	const char *ingress_class;
	const char *take_over_class; /* NULL: none */
	const char *watch_namespace; /* NULL: all */
	bool watch_nameless;
	const char *publish_service;
	const char *publish_address;
	const char *config; /* NULL: none */
	enum log_level log_level;
	const char *access_log; /* a path, "-" for standard output, NULL for off */
	uint32_t grace_ms;
	uint32_t trusted_hops;
	struct control_network trusted[CONTROL_TRUSTED_MAX];
	uint32_t trusted_count;
	struct options_protect protect;
	uint32_t hot_host_permille; /* 0: off */
	uint32_t hot_host_rest_ms;
	uint32_t request_head_timeout_ms, keepalive_timeout_ms, upstream_idle_timeout_ms;
	const char *control; /* proxy: path of the agent's socket */
	bool is_unconfined;  /* proxy */
	bool wants_help, wants_version;
	/* Cluster-wide settings of --config, for compile. */
	struct VEC(struct object_pair) settings;
	/* What was said, for options_reload and for the next sluice. */
	const char *const *words; /* the whole command line; set by whoever has it */
	int argument_count;       /* behind the first two words */
	struct str *said;         /* of each option, in the order of the table, as one text */
};

/*
 * Reads the arguments behind `sluice COMMAND`, then the file of --config. 0; -EINVAL with a text
 * for what is wrong with the usage; another -errno where the file cannot be read. Release in each
 * case.
 */
int options_parse(struct options *options, enum command command, int count,
		  const char *const *arguments, struct err *err);
/*
 * What the same command line and the file say now. @fresh: 0 and options (to be released) that are
 * @options but for what may change while sluice runs; @fixed gets the names of the others that
 * changed, separated by ", ". -errno with a text: @options stay.
 */
int options_reload(const struct options *options, struct options *fresh, struct buf *fixed,
		   struct err *err);
/* Of options_reload, which borrow from the first ones. */
void options_release_reloaded(struct options *options);
void options_release(struct options *options);

/* Whether @listener, as --allow-sources names one, means a listener of @protocol at @range. */
bool options_is_listener(struct str listener, enum control_protocol protocol,
			 const struct addr_range *range);

/* Which Ingresses are ours; borrows texts of @options. */
struct class_rules options_class_rules(const struct options *options);

/* The page of --help for @command. */
void options_help(enum command command, struct buf *out);

#endif
