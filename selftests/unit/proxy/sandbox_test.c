// SPDX-License-Identifier: Apache-2.0
/* Each case runs in a process of its own: there is no way back out of the sandbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "proxy/sandbox.h"

enum { GOOD = 0, BAD = 1, NOT_ENTERED = 2 };

/* What became of a process that entered the sandbox and ran @what. */
static int run(int (*what)(void))
{
	struct err err = { 0 };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (sandbox_enter(&err) < 0)
			_exit(NOT_ENTERED);
		_exit(what());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int check_serving(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	void *memory = mem_try_new(1, 10 << 20);
	char bytes[8];

	random_bytes(bytes, sizeof(bytes));
	if (fd < 0 || !memory || send(fd, bytes, 1, MSG_NOSIGNAL) >= 0 || close(fd) < 0)
		return BAD;
	mem_free(memory);
	return GOOD;
}

static int bind_a_socket(void)
{
	struct sockaddr_storage any = { .ss_family = AF_INET };

	return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&any, sizeof(any)) == 0
		       ? BAD
		       : GOOD;
}

static int check_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
			       prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
			       prctl(PR_CAPBSET_READ, 21, 0, 0, 0) <= 0
		       ? GOOD
		       : BAD;
}

static int open_a_file(void)
{
	return open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES ? GOOD : BAD;
}

static int run_a_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return BAD;
}

static int talk_to_the_kernel(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) >= 0 ? BAD : GOOD;
}

static int look_into_a_process(void)
{
	return kill(getppid(), 0) == 0 ? BAD : GOOD;
}

static int listen_anew(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return listen(fd, 1) == 0 ? BAD : GOOD;
}

static void expect_killed(int (*what)(void))
{
	int status = run(what);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void test_what_is_left(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* the sanitizer's allocator makes system calls that the proxy has no need of */
#endif
	assert_int_equal(run(check_serving), GOOD);
	assert_int_equal(run(check_privileges), GOOD);
	assert_int_equal(run(open_a_file), GOOD);
}

static void test_what_ends_the_process(void **state)
{
	(void)state;
	expect_killed(run_a_program);
	expect_killed(talk_to_the_kernel);
	expect_killed(look_into_a_process);
	expect_killed(listen_anew);
	expect_killed(bind_a_socket);
}

/* What the status file of the process says, as an operator would look. */
static void test_status_file(void **state)
{
	char path[64], text[8192] = "";
	int ready[2], status, fd;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct err err;
		char c = sandbox_enter(&err) == 0 ? 'y' : 'n';

		(void)!write(ready[1], &c, 1);
		for (;;)
			usleep(100000);
	}
	assert_int_equal(read(ready[0], text, 1), 1);
	assert_int_equal(text[0], 'y');
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_non_null(strstr(text, "CapEff:\t0000000000000000\n"));
	assert_non_null(strstr(text, "CapPrm:\t0000000000000000\n"));
	assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "Seccomp:\t2\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left),
		cmocka_unit_test(test_what_ends_the_process),
		cmocka_unit_test(test_status_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
