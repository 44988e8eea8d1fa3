// SPDX-License-Identifier: Apache-2.0
/* sluice: the command's first word, its options, and the half that it starts. */
#include <stdio.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/detach.h"
#include "agent/options.h"
#include "base/log.h"
#include "bpf/contract.h"
#include "control/control.h"
#include "image/image.h"
#include "proxy/proxy.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] =
	"usage: sluice COMMAND [OPTION...]\n"
	"\n"
	"  run      serve Kubernetes Ingresses: agent and proxy in the foreground\n"
	"  agent    the half that decides: configuration, listening sockets, BPF maps\n"
	"  proxy    the half that serves: everything comes from the agent\n"
	"  detach   take BPF programs and pins away; a sluice that runs goes on without\n"
	"\n"
	"  sluice COMMAND --help lists the options; sluicectl shows what a running sluice does.\n";

static void print_version(void)
{
	printf("sluice %s\nmap schema %d, image %u, control %u\n", SLUICE_VERSION, CONTRACT_SCHEMA,
	       IMAGE_VERSION, CONTROL_VERSION);
}

static void print_help(enum command command)
{
	struct buf text;

	buf_init(&text, 0);
	options_help(command, &text);
	printf("%.*s", STR_ARG(buf_str(&text)));
	buf_release(&text);
}

static int run_proxy(const struct options *options)
{
	struct proxy_options proxy = {
		.control_path = options->control,
		.is_unconfined = options->is_unconfined,
	};

	log_set_level(options->log_level);
	return proxy_main(&proxy);
}

static int run_command(const struct options *options)
{
	switch (options->command) {
	case COMMAND_RUN:
	case COMMAND_AGENT:
		return agent_main(options);
	case COMMAND_PROXY:
		return run_proxy(options);
	case COMMAND_DETACH:
		return detach_main(options);
	}
	return EXIT_USAGE;
}

static int command_main(enum command command, int count, const char *const *words)
{
	struct options options;
	struct err err = { 0 };
	int exit_code = 0;

	if (options_parse(&options, command, count - 2, words + 2, &err)) {
		fprintf(stderr, "sluice: %s\nsluice --help says more\n", err.text);
		exit_code = EXIT_USAGE;
	} else if (options.wants_help) {
		print_help(command);
	} else if (options.wants_version) {
		print_version();
	} else {
		options.words = words;
		exit_code = run_command(&options);
	}
	options_release(&options);
	return exit_code;
}

int main(int count, const char **arguments)
{
	static const struct {
		const char *name;
		enum command command;
	} commands[] = {
		{ "run", COMMAND_RUN },
		{ "agent", COMMAND_AGENT },
		{ "proxy", COMMAND_PROXY },
		{ "detach", COMMAND_DETACH },
	};
	struct str word = str_from_c(count > 1 ? arguments[1] : "");

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (str_eq_c(word, commands[i].name))
			return command_main(commands[i].command, count, arguments);
	if (str_eq_c(word, "--help") || str_eq_c(word, "help")) {
		printf("%s", usage);
		return 0;
	}
	if (str_eq_c(word, "--version")) {
		print_version();
		return 0;
	}
	fprintf(stderr, "%s", usage);
	return EXIT_USAGE;
}
