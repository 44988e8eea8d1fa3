// SPDX-License-Identifier: Apache-2.0
/* sluicectl as a whole: its exit codes, what it asks the agent, and what it does with the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "control/control.h"

/* --------------------------------------------------------------- an agent for one question */

struct agent {
	char directory[64];
	char path[128];
	const char *answer;
	char question[1024];
	int listen_fd;
	pthread_t thread;
};

static void *answer_once(void *arg)
{
	struct agent *agent = arg;
	int fd = accept(agent->listen_fd, NULL, NULL);
	ssize_t len = recv(fd, agent->question, sizeof(agent->question) - 1, 0);

	agent->question[len > 0 ? len : 0] = '\0';
	send(fd, agent->answer, strlen(agent->answer), MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void agent_start(struct agent *agent, const char *answer)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	*agent = (struct agent){ .directory = "/tmp/sluice-cli-XXXXXX", .answer = answer };
	assert_non_null(mkdtemp(agent->directory));
	snprintf(agent->path, sizeof(agent->path), "%s/" CONTROL_ADMIN_NAME, agent->directory);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.100s", agent->path);
	agent->listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(agent->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(agent->listen_fd, 1), 0);
	assert_int_equal(pthread_create(&agent->thread, NULL, answer_once, agent), 0);
}

static void agent_end(struct agent *agent)
{
	pthread_join(agent->thread, NULL);
	close(agent->listen_fd);
	unlink(agent->path);
	rmdir(agent->directory);
}

/* ------------------------------------------------------------------------ running sluicectl */

static char said[16384]; /* on standard output and standard error */

static int run(int count, char **arguments)
{
	char path[] = "/tmp/sluice-cli-out-XXXXXX";
	int to = mkstemp(path), out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	int exit_code;
	ssize_t len;

	unlink(path);
	fflush(NULL);
	dup2(to, STDOUT_FILENO);
	dup2(to, STDERR_FILENO);
	exit_code = cli_main(count, arguments);
	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	len = pread(to, said, sizeof(said) - 1, 0);
	said[len > 0 ? len : 0] = '\0';
	close(to);
	close(out);
	close(err);
	return exit_code;
}

#define RUN(...)                                                                                   \
	run(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *),                              \
	    (char **)(const char *[]){ __VA_ARGS__ })

static void test_mistakes_are_usage(void **state)
{
	(void)state;
	assert_int_equal(RUN("nonsense"), 2);
	assert_non_null(strstr(said, "no command 'nonsense'"));
	assert_int_equal(RUN("--json"), 2);
	assert_non_null(strstr(said, "a command is missing"));
	assert_int_equal(RUN("status", "more"), 2);
	assert_non_null(strstr(said, "'more' is too much for status"));
	assert_int_equal(RUN("explain"), 2);
	assert_non_null(strstr(said, "explain needs URL"));
	assert_int_equal(RUN("status", "--conflicts"), 2);
	assert_non_null(strstr(said, "--conflicts is no option of status"));
	assert_int_equal(RUN("status", "--run-dir"), 2);
	assert_non_null(strstr(said, "--run-dir needs a value"));
	assert_int_equal(RUN("explain", "-H", "no colon", "http://a/"), 2);
	assert_int_equal(RUN("--help"), 0);
	assert_non_null(strstr(said, "usage: sluicectl"));
}

static void test_no_agent(void **state)
{
	(void)state;
	assert_int_equal(RUN("status", "--run-dir", "/nonexistent"), 1);
	assert_non_null(strstr(said, "no agent is running with the run dir '/nonexistent'"));
}

static void test_a_question_and_its_answer(void **state)
{
	struct agent agent;

	(void)state;
	agent_start(&agent, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
	assert_int_equal(RUN("explain", "--run-dir", agent.directory, "http://a.test/b c?x=1&y",
			     "-H", "Host: b.test", "--method=PUT"),
			 0);
	agent_end(&agent);
	assert_string_equal(said, "hello\n");
	assert_non_null(strstr(agent.question,
			       "GET /api/v1/explain?format=text&url=http://a.test/b%20c%3Fx%3D1%26y"
			       "&header=Host:%20b.test&method=PUT HTTP/1.1\r\n"));
}

static void test_json_is_asked_for(void **state)
{
	struct agent agent;

	(void)state;
	agent_start(&agent, "HTTP/1.1 200 OK\r\n\r\n{}\n");
	assert_int_equal(RUN("routes", "--conflicts", "--json", "--run-dir", agent.directory), 0);
	agent_end(&agent);
	assert_non_null(strstr(agent.question, "GET /api/v1/routes?format=json&conflicts=1 "));
}

static void test_answers_that_are_none(void **state)
{
	struct agent agent;

	(void)state;
	agent_start(&agent, "HTTP/1.1 503 Service Unavailable\r\n\r\nnot yet\n");
	assert_int_equal(RUN("status", "--run-dir", agent.directory), 1);
	agent_end(&agent);
	assert_string_equal(said, "sluicectl: not yet\n");
	agent_start(&agent, "who is there?\n");
	assert_int_equal(RUN("status", "--run-dir", agent.directory), 1);
	agent_end(&agent);
	assert_non_null(strstr(said, "is not HTTP"));
}

/* -------------------------------------------------------------------------------- check */

#define INGRESS(host)                                                                              \
	"apiVersion: networking.k8s.io/v1\n"                                                       \
	"kind: Ingress\n"                                                                          \
	"metadata: {name: web}\n"                                                                  \
	"spec:\n"                                                                                  \
	"  ingressClassName: sluice\n"                                                             \
	"  rules:\n"                                                                               \
	"  - host: " host "\n"                                                                     \
	"    http: {paths: [{path: /, pathType: Prefix,\n"                                         \
	"      backend: {service: {name: web, port: {number: 80}}}}]}\n"                           \
	"---\n"                                                                                    \
	"apiVersion: v1\n"                                                                         \
	"kind: Service\n"                                                                          \
	"metadata: {name: web}\n"                                                                  \
	"spec: {ports: [{port: 80}]}\n"

static int check(const char *text, const char *option)
{
	char path[] = "/tmp/sluice-check-XXXXXX.yaml";
	int fd = mkstemps(path, 5);
	int exit_code;

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	exit_code = option ? RUN("check", path, option) : RUN("check", path);
	unlink(path);
	return exit_code;
}

static void test_check(void **state)
{
	(void)state;
	assert_int_equal(check(INGRESS("a.test"), NULL), 0);
	assert_string_equal(said, "2 objects, 1 of them Ingresses: 0 errors, 0 warnings, "
				  "0 notices\n");
	assert_int_equal(check(INGRESS("a..test"), NULL), 1);
	assert_non_null(strstr(said, ".yaml:7: error: Ingress default/web spec.rules[0].host: "));
	assert_int_equal(check(INGRESS("a..test"), "--json"), 1);
	assert_non_null(strstr(said, "\"field\":\"spec.rules[0].host\""));
	/* An Ingress of another class is nobody's mistake. */
	assert_int_equal(check(INGRESS("a..test"), "--ingress-class=other"), 0);
	assert_int_equal(RUN("check", "/nonexistent/manifests"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes_are_usage),
		cmocka_unit_test(test_no_agent),
		cmocka_unit_test(test_a_question_and_its_answer),
		cmocka_unit_test(test_json_is_asked_for),
		cmocka_unit_test(test_answers_that_are_none),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
