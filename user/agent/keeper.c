// SPDX-License-Identifier: Apache-2.0
/* keeper: see keeper.h. Agents that follow each other are its children, or become so as orphans. */
#include "agent/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/saved.h"
#include "base/log.h"
#include "base/str.h"

enum { PATH_BYTES = 4096, TEXT_BYTES = 32, EXIT_BY_SIGNAL = 1 };

static void make_path(char path[PATH_BYTES], const char *run_dir)
{
	snprintf(path, PATH_BYTES, "%s/agent.pid", run_dir);
}

void keeper_write_pid(const char *run_dir)
{
	char path[PATH_BYTES], text[TEXT_BYTES];
	struct err err = { 0 };

	make_path(path, run_dir);
	snprintf(text, sizeof(text), "%d\n", getpid());
	if (saved_write_file(path, str_from_c(text), &err))
		log_warning("agent", "%s", err.text);
}

/* Who is in charge; @otherwise where that cannot be told. */
static int read_pid(const char *run_dir, int otherwise)
{
	char path[PATH_BYTES], text[TEXT_BYTES];
	uint64_t pid;
	ssize_t len;
	int fd;

	make_path(path, run_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return otherwise;
	len = read(fd, text, sizeof(text));
	close(fd);
	if (len <= 1 || str_parse_u64(str_of(text, (size_t)len - 1), INT32_MAX, &pid) ||
	    pid == (uint64_t)getpid())
		return otherwise;
	return (int)pid;
}

void keeper_pass_on(const char *run_dir, int pid, int number)
{
	kill(read_pid(run_dir, pid), number);
}

static int exit_code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_BY_SIGNAL;
}

/*
 * Buries whoever ended. True when the agent in charge failed, or nobody is left: then *@exit_code
 * is what it said. One that ended well may have let go of its place a moment before the next one
 * has written that it is there.
 */
static bool bury(const char *run_dir, int *in_charge, int *exit_code)
{
	int status, pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		*in_charge = read_pid(run_dir, *in_charge);
		if (pid != *in_charge)
			continue;
		*exit_code = exit_code_of(status);
		if (*exit_code)
			return true;
	}
	return pid < 0 && errno == ECHILD;
}

int keeper_run(const char *run_dir, int pid)
{
	static const int passed_on[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2 };
	int in_charge = pid, exit_code = 0;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		sigaddset(&set, passed_on[i]);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	malloc_trim(0); /* the configuration that this process knew is gone; so may its memory be */
	while (!bury(run_dir, &in_charge, &exit_code)) {
		int number = sigwaitinfo(&set, NULL);

		if (number < 0 || number == SIGCHLD)
			continue;
		keeper_pass_on(run_dir, in_charge, number);
	}
	return exit_code;
}
