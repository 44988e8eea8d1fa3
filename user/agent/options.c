// SPDX-License-Identifier: Apache-2.0
/*
 * options: a table, and two passes over what was said.
 *
 * First all texts are collected by option, from the command line and then, for options that it did
 * not name, from the file; only then is each text checked and put in its place. So the order of
 * arguments never matters, --config may come last, and a mistake in either place reads the same.
 */
#include "agent/options.h"

#include <errno.h>
#include <stdio.h>

#include "agent/options_file.h"
#include "agent/options_table.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* -------------------------------------------------------------------------- the setters */

static const char *keep(struct options *options, struct str value)
{
	return arena_copy(&options->arena, value).at;
}

/* "on", "off" and the like: the index of @value among @names, or -EINVAL that lists them. */
static int choose(struct str value, const char *const *names, size_t count, struct err *err)
{
	char list[128] = "";
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		if (str_eq_c(value, names[i]))
			return (int)i;
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
					names[i]);
	}
	return err_set(err, -EINVAL, "'%.*s' is none of: %s", STR_ARG(value), list);
}

static int set_manifests(struct options *options, struct str value, struct err *err)
{
	if (value.len == 0)
		return err_set(err, -EINVAL, "a path is expected");
	*vec_push(&options->manifests) = arena_copy(&options->arena, value);
	return 0;
}

static int set_kubeconfig(struct options *options, struct str value, struct err *err)
{
	(void)err;
	options->kubeconfig = keep(options, value);
	return 0;
}

static int add_address(struct options_addresses *addresses, struct str value, struct err *err)
{
	bool had_none = addresses->is_default;

	addresses->is_default = false;
	if (had_none)
		addresses->count = 0;
	if (str_eq_c(value, "none"))
		return 0;
	if (addresses->count == OPTIONS_ADDRESSES_MAX)
		return err_set(err, -EINVAL, "more than %d addresses", OPTIONS_ADDRESSES_MAX);
	if (addr_range_parse(value, &addresses->at[addresses->count], err))
		return -EINVAL;
	addresses->count++;
	return 0;
}

static int set_http(struct options *options, struct str value, struct err *err)
{
	return add_address(&options->http, value, err);
}

static int set_https(struct options *options, struct str value, struct err *err)
{
	return add_address(&options->https, value, err);
}

static int set_admin(struct options *options, struct str value, struct err *err)
{
	options->has_admin = !str_eq_c(value, "none");
	return options->has_admin ? addr_parse(value, &options->admin, err) : 0;
}

static int set_directory(struct options *options, struct str value, const char **directory,
			 struct err *err)
{
	if (value.len == 0)
		return err_set(err, -EINVAL, "a directory is expected");
	*directory = keep(options, value);
	return 0;
}

static int set_run_dir(struct options *options, struct str value, struct err *err)
{
	return set_directory(options, value, &options->run_dir, err);
}

static int set_bpf_dir(struct options *options, struct str value, struct err *err)
{
	return set_directory(options, value, &options->bpf_dir, err);
}

static int set_interface(struct options *options, struct str value, struct err *err)
{
	if (value.len == 0 || value.len >= IF_NAMESIZE)
		return err_set(err, -EINVAL, "'%.*s' is no name of an interface", STR_ARG(value));
	if (options->interfaces.len == DATAPATH_INTERFACES_MAX)
		return err_set(err, -EINVAL, "more than %d interfaces", DATAPATH_INTERFACES_MAX);
	*vec_push(&options->interfaces) = keep(options, value);
	return 0;
}

static int set_xdp(struct options *options, struct str value, struct err *err)
{
	if (xdp_mode_parse(value, &options->xdp))
		return err_set(err, -EINVAL, "'%.*s' is none of: auto, native, generic, off",
			       STR_ARG(value));
	return 0;
}

static int set_early_dispatch(struct options *options, struct str value, struct err *err)
{
	static const char *const names[] = { "auto", "on", "off" }; /* as enum early_dispatch */
	int chosen = choose(value, names, LENGTH(names), err);

	if (chosen < 0)
		return chosen;
	options->early_dispatch = (enum early_dispatch)chosen;
	return 0;
}

static int set_workers(struct options *options, struct str value, struct err *err)
{
	uint64_t count = 0;

	if (!str_eq_c(value, "auto") &&
	    (str_parse_u64(value, OPTIONS_WORKERS_MAX, &count) || count == 0))
		return err_set(err, -EINVAL, "'%.*s' is neither auto nor 1 to %d", STR_ARG(value),
			       OPTIONS_WORKERS_MAX);
	options->worker_count = (uint32_t)count;
	return 0;
}

static int set_config(struct options *options, struct str value, struct err *err)
{
	(void)err;
	options->config = keep(options, value);
	return 0;
}

static int set_log_level(struct options *options, struct str value, struct err *err)
{
	if (log_level_parse(value, &options->log_level))
		return err_set(err, -EINVAL, "'%.*s' is none of: debug, info, warning, error",
			       STR_ARG(value));
	return 0;
}

static int set_access_log(struct options *options, struct str value, struct err *err)
{
	if (value.len == 0)
		return err_set(err, -EINVAL, "a path, - or off is expected");
	options->access_log = str_eq_c(value, "off") ? NULL : keep(options, value);
	return 0;
}

static int set_grace(struct options *options, struct str value, struct err *err)
{
	uint64_t seconds;

	if (str_parse_u64(value, OPTIONS_GRACE_S_MAX, &seconds))
		return err_set(err, -EINVAL, "'%.*s' is no number of seconds up to %d",
			       STR_ARG(value), OPTIONS_GRACE_S_MAX);
	options->grace_ms = (uint32_t)seconds * 1000;
	return 0;
}

static int set_trusted_hops(struct options *options, struct str value, struct err *err)
{
	uint64_t hops;

	if (str_parse_u64(value, OPTIONS_HOPS_MAX, &hops))
		return err_set(err, -EINVAL, "'%.*s' is no number up to %d", STR_ARG(value),
			       OPTIONS_HOPS_MAX);
	options->trusted_hops = (uint32_t)hops;
	return 0;
}

static int set_timeout(struct str value, uint32_t *timeout_ms, struct err *err)
{
	uint64_t seconds;

	if (str_parse_u64(value, OPTIONS_TIMEOUT_S_MAX, &seconds) || seconds == 0)
		return err_set(err, -EINVAL, "'%.*s' is no number of seconds from 1 to %d",
			       STR_ARG(value), OPTIONS_TIMEOUT_S_MAX);
	*timeout_ms = (uint32_t)seconds * 1000;
	return 0;
}

static int set_request_head_timeout(struct options *options, struct str value, struct err *err)
{
	return set_timeout(value, &options->request_head_timeout_ms, err);
}

static int set_keepalive_timeout(struct options *options, struct str value, struct err *err)
{
	return set_timeout(value, &options->keepalive_timeout_ms, err);
}

static int set_upstream_idle_timeout(struct options *options, struct str value, struct err *err)
{
	return set_timeout(value, &options->upstream_idle_timeout_ms, err);
}

static int set_control(struct options *options, struct str value, struct err *err)
{
	return set_directory(options, value, &options->control, err);
}

static int set_unconfined(struct options *options, struct str value, struct err *err)
{
	(void)value;
	(void)err;
	options->is_unconfined = true;
	return 0;
}

static int set_help(struct options *options, struct str value, struct err *err)
{
	(void)value;
	(void)err;
	options->wants_help = true;
	return 0;
}

static int set_version(struct options *options, struct str value, struct err *err)
{
	(void)value;
	(void)err;
	options->wants_version = true;
	return 0;
}

/* --------------------------------------------------------------------------- the table */

enum {
	AGENT_SIDE = COMMAND_RUN | COMMAND_AGENT,
	SERVING = AGENT_SIDE | COMMAND_PROXY,
	ALL = SERVING | COMMAND_DETACH,
};

/* In the order of --help. */
static const struct option option_table[] = {
	{ "manifests", "PATH", AGENT_SIDE, OPTION_REPEATS, set_manifests,
	  "file or directory of Kubernetes YAML, watched for changes" },
	{ "kubeconfig", "FILE", AGENT_SIDE, 0, set_kubeconfig, "serve what this API server holds" },
	{ "http", "ADDR:PORT", AGENT_SIDE, OPTION_REPEATS, set_http,
	  "where HTTP is taken, also ADDR/BITS:PORT-PORT; none; default 0.0.0.0:80 and [::]:80" },
	{ "https", "ADDR:PORT", AGENT_SIDE, OPTION_REPEATS, set_https,
	  "where HTTPS is taken, the same; default 0.0.0.0:443 and [::]:443" },
	{ "admin", "ADDR:PORT", AGENT_SIDE, 0, set_admin,
	  "/metrics /healthz /readyz /api/v1, or none; default 127.0.0.1:9980" },
	{ "run-dir", "DIR", SERVING, 0, set_run_dir,
	  "control socket, admin socket, locks; default " OPTIONS_RUN_DIR_DEFAULT },
	{ "bpf-dir", "DIR", AGENT_SIDE | COMMAND_DETACH, 0, set_bpf_dir,
	  "where maps are pinned; default " DATAPATH_DIR_DEFAULT },
	{ "interface", "NAME", AGENT_SIDE, OPTION_REPEATS, set_interface,
	  "where XDP is attached; default: those with the listeners' addresses" },
	{ "xdp", "MODE", AGENT_SIDE, 0, set_xdp, "auto, native, generic or off; default auto" },
	{ "early-dispatch", "MODE", AGENT_SIDE, 0, set_early_dispatch,
	  "XDP answers SYNs: auto, the default, and on: where that works; off" },
	{ "workers", "N", AGENT_SIDE, 0, set_workers, "threads, or auto: one for each CPU" },
	{ "ingress-class", "NAME", AGENT_SIDE, 0, options_set_ingress_class,
	  "Ingresses of this class are served; default sluice" },
	{ "take-over-class", "NAME", AGENT_SIDE, 0, options_set_take_over_class,
	  "Ingresses of this class of ingress-nginx are served too, as it does" },
	{ "watch-ingress-without-class", NULL, AGENT_SIDE, 0, options_set_watch_nameless,
	  "Ingresses that name no class are served too" },
	{ "watch-namespace", "NAME", AGENT_SIDE, 0, options_set_watch_namespace,
	  "Ingresses of this namespace alone; default: of all" },
	{ "publish-service", "NS/NAME", AGENT_SIDE, 0, options_set_publish_service,
	  "its addresses go into the status of Ingresses" },
	{ "publish-address", "IP,...", AGENT_SIDE, 0, options_set_publish_address,
	  "these addresses go into the status of Ingresses" },
	{ "config", "FILE", AGENT_SIDE, OPTION_NOT_IN_FILE, set_config,
	  "the same settings, and defaults for all classes, as YAML" },
	{ "log-level", "LEVEL", ALL, OPTION_LIVE, set_log_level,
	  "debug, info, warning or error; default info" },
	{ "access-log", "PATH", AGENT_SIDE, OPTION_LIVE, set_access_log,
	  "a file, - for standard output, or off; default -" },
	{ "grace", "SECONDS", AGENT_SIDE | COMMAND_DETACH, OPTION_LIVE, set_grace,
	  "how long a drain waits for streams to end (30), a detach for first payloads (3)" },
	{ "trusted-proxies", "CIDR,...", AGENT_SIDE, OPTION_REPEATS | OPTION_LIVE,
	  options_set_trusted_proxies,
	  "whose X-Forwarded-For and -Proto are believed; default none" },
	{ "trusted-hops", "N", AGENT_SIDE, OPTION_LIVE, set_trusted_hops,
	  "proxies in front, whoever they are; default 0" },
	{ "denylist", "FILE|CIDR,...", AGENT_SIDE, OPTION_REPEATS | OPTION_LIVE,
	  options_set_denylist, "sources that get no connection; files begin with / or ." },
	{ "allow-sources", "LISTENER=...", AGENT_SIDE, OPTION_REPEATS | OPTION_LIVE,
	  options_set_allow_sources,
	  "FILE|CIDR,... that alone may connect; LISTENER: http, https or ADDR:PORT" },
	{ "source-rate", "N[/BURST]", AGENT_SIDE, OPTION_LIVE, options_set_source_rate,
	  "new connections a second of one source, or off; default off" },
	{ "source-prefix", "V4[,V6]", AGENT_SIDE, OPTION_LIVE, options_set_source_prefix,
	  "how many bits of an address make a source; default 32,64" },
	{ "connection-rate", "N[/BURST]", AGENT_SIDE, OPTION_LIVE, options_set_connection_rate,
	  "new connections a second of each host, or off; default off" },
	{ "unknown-hosts", "pass|drop", AGENT_SIDE, OPTION_LIVE, options_set_unknown_hosts,
	  "what becomes of connections for hosts that nobody serves; default pass" },
	{ "hot-host-load", "PERCENT", AGENT_SIDE, OPTION_LIVE, options_set_hot_host_load,
	  "of a worker's time, from where on a host gets more workers, or off; default 60" },
	{ "hot-host-rest", "SECONDS", AGENT_SIDE, OPTION_LIVE, options_set_hot_host_rest,
	  "how long a host has to be quiet until it gets fewer again; default 30" },
	{ "request-head-timeout", "SECONDS", AGENT_SIDE, OPTION_LIVE, set_request_head_timeout,
	  "for a client's request head to arrive; default 10" },
	{ "keepalive-timeout", "SECONDS", AGENT_SIDE, OPTION_LIVE, set_keepalive_timeout,
	  "for a client's next request; default 75" },
	{ "upstream-idle-timeout", "SECONDS", AGENT_SIDE, OPTION_LIVE, set_upstream_idle_timeout,
	  "how long unused connections to endpoints stay; default 60" },
	{ "control", "PATH", COMMAND_PROXY, 0, set_control,
	  "the agent's control socket; default: control.sock in the run dir" },
	{ "unconfined", NULL, COMMAND_PROXY, OPTION_NOT_IN_FILE, set_unconfined,
	  "keep privileges and system calls, for debuggers" },
	{ "version", NULL, ALL, OPTION_NOT_IN_FILE, set_version, "print the version" },
	{ "help", NULL, ALL, OPTION_NOT_IN_FILE, set_help, "print this page" },
};

enum { OPTION_COUNT = LENGTH(option_table) };

const struct option *options_find(struct str name)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (str_eq_c(name, option_table[i].name))
			return &option_table[i];
	return NULL;
}

const struct option *options_at(size_t index)
{
	return index < OPTION_COUNT ? &option_table[index] : NULL;
}

/* --------------------------------------------------------------------------- collecting */

struct said {
	struct VEC(struct str) values;
	bool is_from_file;
};

struct collection {
	struct options *options;
	struct said of[OPTION_COUNT];
};

static int collect(struct collection *collection, const struct option *option, struct str value,
		   struct err *err)
{
	struct said *said = &collection->of[option - option_table];

	if (said->values.len && !(option->flags & OPTION_REPEATS))
		return err_set(err, -EINVAL, "--%s stands there twice", option->name);
	*vec_push(&said->values) = value;
	return 0;
}

/* Takes one argument, and the one behind it where that is its value; @taken counts them. */
static int collect_argument(struct collection *collection, const char *const *arguments, int count,
			    int *taken, struct err *err)
{
	struct str text = str_from_c(arguments[0]);
	struct str name, value = { 0 };
	const struct option *option;
	size_t equals;

	if (!str_starts_with(text, STR("--")))
		return err_set(err, -EINVAL, "'%s' is no option", arguments[0]);
	equals = str_find_char(text, '=');
	name = str_slice(text, 2, equals - 2);
	option = options_find(name);
	if (!option || !(option->commands & collection->options->command))
		return err_set(err, -EINVAL, "there is no option '--%.*s'", STR_ARG(name));
	*taken = 1;
	if (equals < text.len)
		value = str_slice(text, equals + 1, text.len);
	if (!option->argument && value.at)
		return err_set(err, -EINVAL, "--%s takes no value", option->name);
	if (option->argument && !value.at) {
		if (count < 2)
			return err_set(err, -EINVAL, "--%s needs a value: %s", option->name,
				       option->argument);
		value = str_from_c(arguments[1]);
		*taken = 2;
	}
	return collect(collection, option, value, err);
}

/* options_file calls this for each pair of the file that names an option. */
static int collect_from_file(void *context, const struct option *option, struct str value,
			     struct err *err)
{
	struct collection *collection = context;
	struct said *said = &collection->of[option - option_table];

	if (!(option->commands & collection->options->command))
		return 0; /* one file serves agent and proxy */
	if (said->values.len && !said->is_from_file)
		return 0;
	said->is_from_file = true;
	return collect(collection, option, arena_copy(&collection->options->arena, value), err);
}

static int collect_file(struct collection *collection, struct err *err)
{
	const struct said *said = &collection->of[options_find(STR("config")) - option_table];
	struct options *options = collection->options;

	if (said->values.len == 0)
		return 0;
	return options_file_read(keep(options, said->values.at[0]), options, collect_from_file,
				 collection, err);
}

/* All that was said of an option, as one text. */
static struct str join(struct arena *arena, const struct said *said)
{
	struct str text = STR("");

	for (size_t i = 0; i < said->values.len; i++)
		text = arena_printf(arena, "%.*s%.*s\n", STR_ARG(text),
				    STR_ARG(said->values.at[i]));
	return text;
}

static void keep_said(struct collection *collection)
{
	struct options *options = collection->options;

	options->said = arena_new(&options->arena, OPTION_COUNT * sizeof(*options->said),
				  _Alignof(struct str));
	for (size_t i = 0; i < OPTION_COUNT; i++)
		options->said[i] = join(&options->arena, &collection->of[i]);
}

/* Checks all texts, in the order of the table. */
static int apply(struct collection *collection, struct err *err)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct said *said = &collection->of[i];

		for (size_t n = 0; n < said->values.len; n++) {
			int rc = option_table[i].set(collection->options, said->values.at[n], err);

			if (rc) {
				err_prefix(err, "%s%s", said->is_from_file ? "" : "--",
					   option_table[i].name);
				return rc;
			}
		}
	}
	return 0;
}

/* ----------------------------------------------------------------------------- defaults */

static void add_default(struct options_addresses *addresses, const char *text)
{
	addr_range_parse(str_from_c(text), &addresses->at[addresses->count++], NULL);
}

static void set_defaults(struct options *options, enum command command)
{
	*options = (struct options){
		.command = command,
		.http.is_default = true,
		.https.is_default = true,
		.has_admin = true,
		.run_dir = OPTIONS_RUN_DIR_DEFAULT,
		.bpf_dir = DATAPATH_DIR_DEFAULT,
		.xdp = XDP_MODE_AUTO,
		.ingress_class = "sluice",
		.log_level = LOG_LEVEL_INFO,
		.access_log = "-",
		.grace_ms = 1000u * (command == COMMAND_DETACH ? OPTIONS_DETACH_GRACE_S_DEFAULT
							       : OPTIONS_GRACE_S_DEFAULT),
		.hot_host_permille = OPTIONS_HOT_HOST_PERCENT_DEFAULT * 10,
		.hot_host_rest_ms = OPTIONS_HOT_HOST_REST_S_DEFAULT * 1000,
	};
	arena_init(&options->arena, 0);
	add_default(&options->http, "0.0.0.0:80");
	add_default(&options->http, "[::]:80");
	add_default(&options->https, "0.0.0.0:443");
	add_default(&options->https, "[::]:443");
	addr_parse(STR("127.0.0.1:9980"), &options->admin, NULL);
}

int options_parse(struct options *options, enum command command, int count,
		  const char *const *arguments, struct err *err)
{
	struct collection collection = { .options = options };
	int rc = 0, taken = 1;

	set_defaults(options, command);
	for (int i = 0; !rc && i < count; i += taken)
		rc = collect_argument(&collection, arguments + i, count - i, &taken, err);
	if (!rc)
		rc = collect_file(&collection, err);
	if (!rc)
		rc = apply(&collection, err);
	options->argument_count = count;
	keep_said(&collection);
	if (!rc && !options->control)
		options->control =
			arena_printf(&options->arena, "%s/control.sock", options->run_dir).at;
	for (size_t i = 0; i < OPTION_COUNT; i++)
		vec_release(&collection.of[i].values);
	return rc;
}

void options_release(struct options *options)
{
	vec_release(&options->manifests);
	vec_release(&options->interfaces);
	vec_release(&options->settings);
	arena_release(&options->arena);
}

/* --------------------------------------------------------------------------------- help */

static const struct {
	enum command command;
	const char *name, *text;
} commands[] = {
	{ COMMAND_RUN, "run", "Serves Kubernetes Ingresses: agent and proxy in the foreground." },
	{ COMMAND_AGENT, "agent",
	  "The privileged half: compiles the configuration, holds sockets and BPF maps." },
	{ COMMAND_PROXY, "proxy", "The half that serves: takes everything from the agent." },
	{ COMMAND_DETACH, "detach",
	  "Takes BPF programs and pins away; a sluice that runs goes on without them." },
};

void options_help(enum command command, struct buf *out)
{
	for (size_t i = 0; i < LENGTH(commands); i++)
		if (commands[i].command == command)
			buf_printf(out, "usage: sluice %s [OPTION...]\n\n%s\n\n", commands[i].name,
				   commands[i].text);
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option *option = &option_table[i];
		char left[40];

		if (!(option->commands & command))
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", option->name, option->argument ? " " : "",
			 option->argument ? option->argument : "");
		buf_printf(out, "  %-26s %s%s\n", left, option->help,
			   option->flags & OPTION_REPEATS ? "; repeatable" : "");
	}
	buf_add_c(out, "\nExit codes: 0, 1 failed, 2 usage.\n");
}
