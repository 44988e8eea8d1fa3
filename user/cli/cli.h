/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: sluicectl, the tool for people.
 *
 * A command asks the agent's admin server (run-dir/admin.sock, or --admin ADDR:PORT) for one view
 * and prints what comes back: the agent has the facts and knows how to show them, so a sluicectl
 * of another version shows them as well. commands[] in cli.c is the list; a command that needs more
 * than parameters has a file of its own.
 */
#ifndef SLUICE_CLI_CLI_H
#define SLUICE_CLI_CLI_H

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"

enum { CLI_EXIT_FAILED = 1, CLI_EXIT_USAGE = 2 };

/* Where the agent is asked. */
struct cli_server {
	const char *run_dir;
	struct addr admin; /* good where has_admin */
	bool has_admin;
};

/*
 * GET @target ("/api/v1/status?format=text"); the body is appended to @body and *@status set. 0;
 * -errno with a text where nobody answers.
 */
int cli_get(const struct cli_server *server, struct str target, struct buf *body,
	    unsigned int *status, struct err *err);

/* Appends "&name=value" with what needs it escaped; "?" where @target has no query yet. */
void cli_add_parameter(struct buf *target, const char *name, struct str value);

/* The whole of sluicectl. Returns the exit code. */
int cli_main(int count, char **arguments);

#endif
