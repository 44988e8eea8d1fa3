/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: sluicectl, the tool for people.
 *
 * A command asks the agent's admin server (run-dir/admin.sock, or --admin ADDR:PORT) for one view
 * and prints what comes back: the agent has the facts and knows how to show them, so a sluicectl
 * of another version shows them as well. commands[] in cli.c is the list; a command that needs more
 * than parameters has a file of its own: `check` works without an agent.
 */
#ifndef SLUICE_CLI_CLI_H
#define SLUICE_CLI_CLI_H

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "compile/class_rules.h"

enum { CLI_EXIT_FAILED = 1, CLI_EXIT_USAGE = 2 };

enum { CLI_ARGUMENTS_MAX = 64 };

/* Where the agent is asked. */
struct cli_server {
	const char *run_dir;
	struct addr admin; /* good where has_admin */
	bool has_admin;
};

/*
 * Asks @request ("GET /api/v1/status?format=text"); the body is appended to @body and *@status
 * set. 0; -errno with a text where nobody answers.
 */
int cli_get(const struct cli_server *server, struct str request, struct buf *body,
	    unsigned int *status, struct err *err);

/* What was asked for on the command line. Texts are the command line's. */
struct cli_call {
	const struct cli_command *command;
	const char *arguments[CLI_ARGUMENTS_MAX];
	size_t argument_count;
	struct cli_server server;
	struct buf parameters;      /* "?name=value&...", from options */
	struct class_rules classes; /* of check */
	bool is_json;
	bool wants_help, wants_version;
};

/* `check PATH...`: what of these manifests would be refused or ignored. Returns the exit code. */
int cli_check(const struct cli_call *call);

/* Appends "&name=value" with what needs it escaped; "?" where @target has no query yet. */
void cli_add_parameter(struct buf *target, const char *name, struct str value);

/* The whole of sluicectl. Returns the exit code. */
int cli_main(int count, char **arguments);

#endif
