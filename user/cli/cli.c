// SPDX-License-Identifier: Apache-2.0
/*
 * cli: the tables of commands and options, and one way through them.
 *
 *   sluicectl COMMAND [ARGUMENT] [OPTION...]
 *
 * Most commands are a view of the agent: what stands in their row is all there is to them.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define RUN_DIR_DEFAULT "/run/sluice"
#define LENGTH(array)   (sizeof(array) / sizeof(*(array)))

/* ----------------------------------------------------------------------------- commands */

struct cli_command {
	const char *name;
	const char *shown; /* how --help writes its arguments */
	size_t arguments_min, arguments_max;
	const char *parameter; /* what the first argument is called in the question to the agent */
	int (*run)(const struct cli_call *call); /* NULL: ask the agent */
	const char *help;
	bool is_action; /* it changes something: POST, and only over the run dir's socket */
};

static const struct cli_command commands[] = {
	{ "status", "", 0, 0, NULL, NULL, "processes, generations, workers, interfaces", false },
	{ "routes", "[HOST]", 0, 1, "host", NULL, "what is served, for one host or all", false },
	{ "explain", "URL", 1, 1, "url", NULL, "which route and endpoint a request gets, and why",
	  false },
	{ "endpoints", "", 0, 0, NULL, NULL, "the endpoints of every backend", false },
	{ "certs", "", 0, 0, NULL, NULL, "certificates by server name", false },
	{ "findings", "", 0, 0, NULL, NULL, "what is wrong with objects", false },
	{ "maps", "", 0, 0, NULL, NULL, "the BPF maps", false },
	{ "flows", "", 0, 0, NULL, NULL, "connections that XDP steers to their worker", false },
	{ "hosts", "", 0, 0, NULL, NULL, "which workers a host has and why, the busiest first",
	  false },
	{ "drops", "", 0, 0, NULL, NULL,
	  "connections that were dropped, by reason, and the last of them", false },
	{ "features", "", 0, 0, NULL, NULL, "what this kernel has, and what it is used for",
	  false },
	{ "drain", "", 0, 0, NULL, NULL, "finish what is under way, take nothing new", true },
	{ "check", "PATH...", 1, CLI_ARGUMENTS_MAX, NULL, cli_check,
	  "what of these manifests would be refused or ignored; needs no agent", false },
};

/* ------------------------------------------------------------------------------ options */

static int set_run_dir(struct cli_call *call, const char *value, struct err *err)
{
	(void)err;
	call->server.run_dir = value;
	return 0;
}

static int set_admin(struct cli_call *call, const char *value, struct err *err)
{
	call->server.has_admin = true;
	return addr_parse(str_from_c(value), &call->server.admin, err);
}

static int set_json(struct cli_call *call, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	call->is_json = true;
	return 0;
}

static int add_header(struct cli_call *call, const char *value, struct err *err)
{
	if (!strchr(value, ':'))
		return err_set(err, -EINVAL, "'%s' is not 'Name: value'", value);
	cli_add_parameter(&call->parameters, "header", str_from_c(value));
	return 0;
}

static int set_method(struct cli_call *call, const char *value, struct err *err)
{
	(void)err;
	cli_add_parameter(&call->parameters, "method", str_from_c(value));
	return 0;
}

static int set_conflicts(struct cli_call *call, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	cli_add_parameter(&call->parameters, "conflicts", STR("1"));
	return 0;
}

static int set_limit(struct cli_call *call, const char *value, struct err *err)
{
	(void)err;
	cli_add_parameter(&call->parameters, "limit", str_from_c(value));
	return 0;
}

static int set_ingress_class(struct cli_call *call, const char *value, struct err *err)
{
	(void)err;
	call->classes.name = str_from_c(value);
	return 0;
}

static int set_take_over_class(struct cli_call *call, const char *value, struct err *err)
{
	(void)err;
	call->classes.take_over = str_from_c(value);
	return 0;
}

static int set_watch_nameless(struct cli_call *call, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	call->classes.watch_nameless = true;
	return 0;
}

static int set_help(struct cli_call *call, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	call->wants_help = true;
	return 0;
}

static int set_version(struct cli_call *call, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	call->wants_version = true;
	return 0;
}

struct option {
	const char *name;
	const char *value;    /* how --help calls it; NULL: takes none */
	const char *commands; /* of which it is an option, between spaces; NULL: of all */
	int (*set)(struct cli_call *call, const char *value, struct err *err);
	const char *help;
};

static const struct option options[] = {
	{ "--json", NULL, NULL, set_json, "print JSON" },
	{ "--conflicts", NULL, " routes ", set_conflicts, "what is not served as written" },
	{ "-H", "'K: V'", " explain ", add_header, "a field of the request, such as Host" },
	{ "--method", "METHOD", " explain ", set_method, "the request's method; default GET" },
	{ "--limit", "N", " certs flows hosts drops ", set_limit, "show this many at most" },
	{ "--ingress-class", "NAME", " check ", set_ingress_class,
	  "whose Ingresses; default sluice" },
	{ "--take-over-class", "NAME", " check ", set_take_over_class,
	  "and those of this class of ingress-nginx" },
	{ "--watch-ingress-without-class", NULL, " check ", set_watch_nameless,
	  "and those that name no class" },
	{ "--run-dir", "DIR", NULL, set_run_dir,
	  "run dir of the agent to ask; default " RUN_DIR_DEFAULT },
	{ "--admin", "ADDR:PORT", NULL, set_admin, "ask there instead" },
	{ "--version", NULL, NULL, set_version, "print the version" },
	{ "--help", NULL, NULL, set_help, "print this page" },
};

static void print_help(void)
{
	printf("usage: sluicectl COMMAND [OPTION...]\n\n");
	for (size_t i = 0; i < LENGTH(commands); i++)
		printf("  %-9s  %-8s %s\n", commands[i].name, commands[i].shown, commands[i].help);
	printf("\n");
	for (size_t i = 0; i < LENGTH(options); i++) {
		char left[32];

		snprintf(left, sizeof(left), "%s %s", options[i].name,
			 options[i].value ? options[i].value : "");
		printf("  %-21s %s%s", left, options[i].help, options[i].commands ? " (with" : "");
		if (options[i].commands)
			printf("%.*s)", (int)strlen(options[i].commands) - 1, options[i].commands);
		printf("\n");
	}
	printf("\nExit codes: 0, 1 failed, 2 usage.\n");
}

/* ----------------------------------------------------------------------------- the call */

static const struct option *find_option(struct str name)
{
	for (size_t i = 0; i < LENGTH(options); i++)
		if (str_eq_c(name, options[i].name))
			return &options[i];
	return NULL;
}

static const struct cli_command *find_command(const char *name)
{
	for (size_t i = 0; i < LENGTH(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

static int take_word(struct cli_call *call, const char *word, struct err *err)
{
	if (!call->command) {
		call->command = find_command(word);
		return call->command ? 0 : err_set(err, -EINVAL, "no command '%s'", word);
	}
	if (call->argument_count == call->command->arguments_max)
		return err_set(err, -EINVAL, "'%s' is too much for %s", word, call->command->name);
	call->arguments[call->argument_count++] = word;
	return 0;
}

/* Takes one option; *@taken counts it and its value. */
static int take_option(struct cli_call *call, char **arguments, int count, int *taken,
		       struct err *err)
{
	struct str text = str_from_c(arguments[0]);
	size_t equals = str_starts_with(text, STR("--")) ? str_find_char(text, '=') : text.len;
	struct str name = str_slice(text, 0, equals);
	const struct option *option = find_option(name);
	const char *value = equals < text.len ? arguments[0] + equals + 1 : NULL;

	if (!option)
		return err_set(err, -EINVAL, "no option '%.*s'", STR_ARG(name));
	if (!option->value && value)
		return err_set(err, -EINVAL, "%s takes no value", option->name);
	if (option->value && !value) {
		if (count < 2)
			return err_set(err, -EINVAL, "%s needs a value", option->name);
		value = arguments[1];
		*taken = 2;
	}
	return option->set(call, value, err);
}

/* Options of another command are a mistake, wherever they stand. */
static int check_options(const struct cli_call *call, int count, char **arguments, struct err *err)
{
	for (int i = 0; i < count; i++) {
		struct str text = str_from_c(arguments[i]);
		const struct option *option =
			find_option(str_slice(text, 0, str_find_char(text, '=')));
		char word[32];

		snprintf(word, sizeof(word), " %s ", call->command->name);
		if (option && option->commands && !strstr(option->commands, word))
			return err_set(err, -EINVAL, "%s is no option of %s", option->name,
				       call->command->name);
	}
	return 0;
}

static int parse(struct cli_call *call, int count, char **arguments, struct err *err)
{
	int rc = 0, taken;

	for (int i = 0; !rc && i < count; i += taken) {
		taken = 1;
		if (arguments[i][0] == '-' && arguments[i][1])
			rc = take_option(call, arguments + i, count - i, &taken, err);
		else
			rc = take_word(call, arguments[i], err);
	}
	if (rc || call->wants_help || call->wants_version)
		return rc;
	if (!call->command)
		return err_set(err, -EINVAL, "a command is missing");
	if (call->argument_count < call->command->arguments_min)
		return err_set(err, -EINVAL, "%s needs %s", call->command->name,
			       call->command->shown);
	return check_options(call, count, arguments, err);
}

static int ask(const struct cli_call *call)
{
	struct err err = { 0 };
	struct buf request, body;
	unsigned int status = 0;
	int rc;

	buf_init(&request, 0);
	buf_init(&body, 0);
	buf_printf(&request, "%s /api/v1/%s?format=%s", call->command->is_action ? "POST" : "GET",
		   call->command->name, call->is_json ? "json" : "text");
	if (call->argument_count)
		cli_add_parameter(&request, call->command->parameter,
				  str_from_c(call->arguments[0]));
	if (call->parameters.len)
		buf_printf(&request, "&%.*s", (int)call->parameters.len - 1,
			   call->parameters.at + 1);
	rc = cli_get(&call->server, buf_str(&request), &body, &status, &err);
	if (rc)
		fprintf(stderr, "sluicectl: %s\n", err.text);
	else if (status != 200)
		fprintf(stderr, "sluicectl: %.*s", (int)body.len, body.at);
	else
		fwrite(body.at, 1, body.len, stdout);
	if (!rc && status == 200 && fflush(stdout) != 0)
		rc = -errno;
	buf_release(&request);
	buf_release(&body);
	return rc || status != 200 ? CLI_EXIT_FAILED : 0;
}

int cli_main(int count, char **arguments)
{
	struct cli_call call = { .server.run_dir = RUN_DIR_DEFAULT };
	struct err err = { 0 };
	int exit_code = 0;

	buf_init(&call.parameters, 0);
	if (parse(&call, count, arguments, &err)) {
		fprintf(stderr, "sluicectl: %s\nsluicectl --help says more\n", err.text);
		exit_code = CLI_EXIT_USAGE;
	} else if (call.wants_help) {
		print_help();
	} else if (call.wants_version) {
		printf("sluicectl %s\n", SLUICE_VERSION);
	} else {
		exit_code = call.command->run ? call.command->run(&call) : ask(&call);
	}
	buf_release(&call.parameters);
	return exit_code;
}
