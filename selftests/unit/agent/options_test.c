// SPDX-License-Identifier: Apache-2.0
/* The command line: what is taken, what is refused and with which words, and that flags win. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/options.h"

enum { ARGUMENTS_MAX = 16 };

static int parse(struct options *options, enum command command, const char *const *arguments,
		 struct err *err)
{
	int count = 0;

	while (count < ARGUMENTS_MAX && arguments[count])
		count++;
	return options_parse(options, command, count, arguments, err);
}

static void test_defaults(void **state)
{
	const char *none[] = { NULL };
	struct options options;
	struct err err = { 0 };
	char text[ADDR_RANGE_TEXT_MAX];

	(void)state;
	assert_int_equal(parse(&options, COMMAND_RUN, none, &err), 0);
	assert_int_equal(options.http.count, 2);
	assert_string_equal(addr_range_format(&options.http.at[0], text), "0.0.0.0:80");
	assert_string_equal(addr_range_format(&options.https.at[1], text), "[::]:443");
	assert_true(options.http.is_default && options.https.is_default && options.has_admin);
	assert_string_equal(addr_format(&options.admin, text), "127.0.0.1:9980");
	assert_string_equal(options.run_dir, "/run/sluice");
	assert_string_equal(options.control, "/run/sluice/control.sock");
	assert_string_equal(options.bpf_dir, "/sys/fs/bpf/sluice");
	assert_string_equal(options.ingress_class, "sluice");
	assert_int_equal(options.xdp, XDP_MODE_AUTO);
	assert_int_equal(options.worker_count, 0);
	assert_int_equal(options.grace_ms, 30000);
	options_release(&options);
}

static void test_everything_that_a_table_row_sets(void **state)
{
	const char *arguments[] = { "--http",
				    "127.0.0.1:8080",
				    "--http=[::1]:8080",
				    "--https",
				    "none",
				    "--admin=none",
				    "--workers",
				    "3",
				    "--xdp=generic",
				    "--access-log",
				    "off",
				    NULL };
	struct options options;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(parse(&options, COMMAND_RUN, arguments, &err), 0);
	assert_int_equal(options.http.count, 2);
	assert_int_equal(options.http.at[1].first.port, 8080);
	assert_false(options.http.is_default);
	assert_int_equal(options.https.count, 0);
	assert_false(options.has_admin);
	assert_int_equal(options.worker_count, 3);
	assert_int_equal(options.xdp, XDP_MODE_GENERIC);
	assert_null(options.access_log);
	options_release(&options);
}

struct refusal {
	const char *name;
	enum command command;
	const char *arguments[ARGUMENTS_MAX];
	const char *text;
};

static const struct refusal refusals[] = {
	{ "unknown", COMMAND_RUN, { "--nope" }, "there is no option '--nope'" },
	{ "a word", COMMAND_RUN, { "now" }, "'now' is no option" },
	{ "value missing", COMMAND_RUN, { "--http" }, "--http needs a value: ADDR:PORT" },
	{ "value too much", COMMAND_RUN, { "--help=yes" }, "--help takes no value" },
	{ "twice",
	  COMMAND_RUN,
	  { "--run-dir", "a", "--run-dir", "b" },
	  "--run-dir stands there twice" },
	{ "no address", COMMAND_RUN, { "--http", "localhost:80" }, "--http: " },
	{ "no mode", COMMAND_RUN, { "--xdp", "fast" }, "--xdp: 'fast' is none of: auto, native" },
	{ "no workers", COMMAND_RUN, { "--workers", "0" }, "--workers: '0' is neither auto nor 1" },
	{ "no level", COMMAND_RUN, { "--log-level", "loud" }, "--log-level: 'loud' is none of" },
	{ "no service", COMMAND_RUN, { "--publish-service", "web" }, "is not NAMESPACE/NAME" },
	{ "no ip", COMMAND_RUN, { "--publish-address", "1.2.3.4,x" }, "'x' is no IP address" },
	{ "no dispatch",
	  COMMAND_RUN,
	  { "--early-dispatch", "never" },
	  "is none of: auto, on, off" },
	{ "no network", COMMAND_RUN, { "--trusted-proxies", "10.0.0.0/33" }, "is no network such" },
	{ "no number of hops", COMMAND_RUN, { "--trusted-hops", "all" }, "'all' is no number" },
	{ "no timeout",
	  COMMAND_RUN,
	  { "--keepalive-timeout", "0" },
	  "is no number of seconds from 1" },
	{ "no source",
	  COMMAND_RUN,
	  { "--denylist", "10.0.0.0/33" },
	  "--denylist: '10.0.0.0/33' is neither a network such as 10.0.0.0/8 nor a file" },
	{ "a file by half", COMMAND_RUN, { "--denylist", "deny.txt" }, "begin with / or ." },
	{ "allowed where", COMMAND_RUN, { "--allow-sources", "10.0.0.0/8" }, "is not LISTENER=" },
	{ "allowed whom", COMMAND_RUN, { "--allow-sources", "http=" }, "is not LISTENER=" },
	{ "allowed at no listener",
	  COMMAND_RUN,
	  { "--allow-sources", "0.0.0.0:8080=10.0.0.0/8" },
	  "there is no listener '0.0.0.0:8080'" },
	{ "allowed at a listener that is off",
	  COMMAND_RUN,
	  { "--https", "none", "--allow-sources", "https=10.0.0.0/8" },
	  "there is no listener 'https'" },
	{ "allowed what", COMMAND_RUN, { "--allow-sources", "http=all" }, "'all' is neither a" },
	{ "no rate", COMMAND_RUN, { "--source-rate", "0" }, "'0' is neither off nor N[/BURST]" },
	{ "no burst", COMMAND_RUN, { "--source-rate", "9/" }, "'9/' is neither off nor N" },
	{ "no bits", COMMAND_RUN, { "--source-prefix", "33" }, "'33' is not V4[,V6]" },
	{ "too many bits", COMMAND_RUN, { "--source-prefix", "24,129" }, "'24,129' is not V4" },
	{ "no rate of a host",
	  COMMAND_RUN,
	  { "--connection-rate", "1/0" },
	  "--connection-rate: '1/0' is not off or N[/BURST]" },
	{ "no percentage", COMMAND_RUN, { "--hot-host-load", "101" }, "is neither off nor 1 to" },
	{ "no rest", COMMAND_RUN, { "--hot-host-rest", "0" }, "is no number of seconds from 1" },
	{ "neither pass nor drop",
	  COMMAND_RUN,
	  { "--unknown-hosts", "reject" },
	  "--unknown-hosts: 'reject' is not pass or drop" },
	{ "the proxy has no manifests",
	  COMMAND_PROXY,
	  { "--manifests", "x" },
	  "there is no option '--manifests'" },
	{ "the agent takes no control",
	  COMMAND_AGENT,
	  { "--control", "x" },
	  "there is no option '--control'" },
};

static void check_network(const struct control_network *network, const char *ip, uint32_t bits)
{
	struct addr addr = { 0 };

	assert_int_equal(addr_parse_ip(str_from_c(ip), &addr), 0);
	assert_memory_equal(network->ip, addr.ip, sizeof(addr.ip));
	assert_int_equal(network->bits, bits);
}

static void test_networks_that_are_trusted(void **state)
{
	const char *arguments[] = { "--trusted-proxies",
				    "10.1.2.3/8, fd00::1/9",
				    "--trusted-proxies",
				    "192.0.2.1",
				    "--trusted-hops",
				    "2",
				    NULL };
	struct options options;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(parse(&options, COMMAND_AGENT, arguments, &err), 0);
	assert_int_equal(options.trusted_count, 3);
	assert_int_equal(options.trusted_hops, 2);
	/* The bits behind are zero, whatever was said. */
	check_network(&options.trusted[0], "10.0.0.0", 104);
	check_network(&options.trusted[1], "fd00::", 9);
	check_network(&options.trusted[2], "192.0.2.1", 128);
	options_release(&options);
}

/* Whatever the order: listeners are known before lists are given to them. */
static void test_who_may_connect(void **state)
{
	const char *arguments[] = { "--allow-sources",
				    "127.0.0.1:8080=10.0.0.0/8,/etc/offices",
				    "--denylist",
				    "/etc/deny, 192.0.2.1",
				    "--denylist=./more",
				    "--source-rate",
				    "50/200",
				    "--source-prefix=24,56",
				    "--http=127.0.0.1:8080",
				    "--unknown-hosts=drop",
				    NULL };
	const struct options_protect *protect;
	struct options options;
	struct err err = { 0 };

	(void)state;
	if (parse(&options, COMMAND_AGENT, arguments, &err))
		fail_msg("%s", err.text);
	protect = &options.protect;
	assert_int_equal(protect->deny_count, 3);
	assert_true(str_eq_c(protect->deny[0], "/etc/deny"));
	assert_true(str_eq_c(protect->deny[1], "192.0.2.1"));
	assert_int_equal(protect->allow_count, 2);
	assert_true(str_eq_c(protect->allow[1].listener, "127.0.0.1:8080"));
	assert_true(str_eq_c(protect->allow[1].source, "/etc/offices"));
	assert_int_equal(protect->source_rate.per_s, 50);
	assert_int_equal(protect->source_rate.burst, 200);
	assert_int_equal(protect->source_rate.ipv4_bits, 24);
	assert_int_equal(protect->source_rate.ipv6_bits, 56);
	assert_true(options_is_listener(protect->allow[0].listener, CONTROL_PROTOCOL_HTTP,
					&options.http.at[0]));
	assert_true(options_is_listener(STR("http"), CONTROL_PROTOCOL_HTTP, &options.http.at[0]));
	assert_false(options_is_listener(STR("http"), CONTROL_PROTOCOL_TLS, &options.https.at[0]));
	/* As if it stood in --config. */
	assert_int_equal(options.settings.len, 1);
	assert_true(str_eq_c(options.settings.at[0].key, "unknown-hosts"));
	assert_true(str_eq_c(options.settings.at[0].value, "drop"));
	options_release(&options);
}

static void rewrite(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

/* SIGHUP: some options follow the file, the others are named and stay. */
static void test_what_the_file_says_later(void **state)
{
	char path[] = "/tmp/options-reload-XXXXXX";
	const char *words[] = { "sluice", "run", "--config", path, "--grace", "7", NULL };
	struct options options, fresh, again;
	struct err err = { 0 };
	struct buf fixed;

	(void)state;
	close(mkstemp(path));
	rewrite(path, "workers: 2\nlog-level: info\ngrace: 5\nssl-redirect: \"false\"\n");
	assert_int_equal(options_parse(&options, COMMAND_RUN, 4, words + 2, &err), 0);
	options.words = words;
	buf_init(&fixed, 0);
	rewrite(path, "workers: 3\nlog-level: debug\nkeepalive-timeout: 9\nhttp: none\n"
		      "denylist: [192.0.2.0/24, /etc/deny]\nsource-rate: 9\n");
	assert_int_equal(options_reload(&options, &fresh, &fixed, &err), 0);
	assert_true(str_eq(buf_str(&fixed), STR("http, workers")));
	assert_int_equal(fresh.worker_count, 2);
	assert_int_equal(fresh.http.count, 2);
	assert_int_equal(fresh.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(fresh.keepalive_timeout_ms, 9000);
	assert_int_equal(fresh.protect.deny_count, 2);
	assert_int_equal(fresh.protect.source_rate.per_s, 9);
	assert_int_equal(fresh.grace_ms, 7000); /* of the command line */
	assert_int_equal(fresh.settings.len, 0);
	/* A second time, from what the first one left; a mistake leaves that. */
	rewrite(path, "workers: 2\nlog-level: loud\n");
	assert_int_equal(options_reload(&fresh, &again, &fixed, &err), -EINVAL);
	assert_non_null(strstr(err.text, "'loud'"));
	rewrite(path, "workers: 2\n");
	buf_reset(&fixed);
	assert_int_equal(options_reload(&fresh, &again, &fixed, &err), 0);
	assert_int_equal(fixed.len, 0);
	options_release_reloaded(&fresh);
	assert_int_equal(again.protect.deny_count, 0);
	assert_int_equal(again.log_level, LOG_LEVEL_INFO);
	assert_string_equal(again.run_dir, OPTIONS_RUN_DIR_DEFAULT);
	options_release_reloaded(&again);
	options_release(&options);
	buf_release(&fixed);
	unlink(path);
}

static void test_mistakes_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		const struct refusal *c = &refusals[i];
		struct options options;
		struct err err = { 0 };
		int rc = parse(&options, c->command, c->arguments, &err);

		if (rc != -EINVAL || !strstr(err.text, c->text))
			fail_msg("%s: got %d '%s', expected '%s'", c->name, rc, err.text, c->text);
		options_release(&options);
	}
}

/* ------------------------------------------------------------------------------- --config */

static char *write_file(const char *text)
{
	static char path[] = "/tmp/sluice-options-XXXXXX";
	int fd;

	snprintf(path, sizeof(path), "/tmp/sluice-options-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static void test_flags_win_over_the_file(void **state)
{
	char *path = write_file("manifests: [/a, /b]\n"
				"http: 127.0.0.1:81\n"
				"workers: 4\n"
				"grace: 7\n"
				"profile: conformance\n");
	const char *arguments[] = { "--workers", "2", "--manifests", "/c", "--config", path, NULL };
	struct options options;
	struct err err = { 0 };

	(void)state;
	if (parse(&options, COMMAND_RUN, arguments, &err))
		fail_msg("%s", err.text);
	unlink(path);
	assert_int_equal(options.worker_count, 2);
	assert_int_equal(options.manifests.len, 1);
	assert_true(str_eq_c(options.manifests.at[0], "/c"));
	assert_int_equal(options.http.count, 1);
	assert_int_equal(options.http.at[0].first.port, 81);
	assert_int_equal(options.grace_ms, 7000);
	assert_int_equal(options.settings.len, 1);
	assert_true(str_eq_c(options.settings.at[0].key, "profile"));
	assert_true(str_eq_c(options.settings.at[0].value, "conformance"));
	assert_int_equal(options.settings.at[0].line, 5);
	options_release(&options);
}

static void test_whose_ingresses(void **state)
{
	char *path = write_file("watch-ingress-without-class: true\n");
	const char *arguments[] = { "--ingress-class",
				    "mine",
				    "--take-over-class",
				    "nginx",
				    "--watch-namespace",
				    "shop",
				    "--config",
				    path,
				    NULL };
	const char *flag[] = { "--watch-ingress-without-class", NULL };
	struct class_rules rules;
	struct options options;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(parse(&options, COMMAND_AGENT, arguments, &err), 0);
	unlink(path);
	rules = options_class_rules(&options);
	assert_true(str_eq_c(rules.name, "mine"));
	assert_true(str_eq_c(rules.take_over, "nginx"));
	assert_true(str_eq_c(rules.namespace, "shop"));
	assert_true(rules.watch_nameless);
	options_release(&options);
	assert_int_equal(parse(&options, COMMAND_AGENT, flag, &err), 0);
	rules = options_class_rules(&options);
	assert_true(str_eq_c(rules.name, "sluice"));
	assert_null(rules.take_over.at);
	assert_true(rules.watch_nameless);
	options_release(&options);
}

static const struct {
	const char *name, *file, *text;
} bad_files[] = {
	{ "typing error", "manifsts: /a\n", ":1: manifsts: there is no such setting" },
	{ "a map", "run-dir: {a: b}\n", ":1: run-dir: a text is expected, not a map" },
	{ "a list where one is taken", "workers: [1]\n", "a text is expected, not a list" },
	{ "a bad value", "xdp: fast\n", "xdp: 'fast' is none of" },
	{ "no map", "- a\n", "names and values are expected" },
	{ "not in a file", "help: yes\n", "there is no such setting" },
	{ "neither", "watch-ingress-without-class: maybe\n", "'maybe' is none of: false, true" },
	{ "broken", "a: [\n", ":" },
};

static void test_mistakes_in_the_file_are_named_with_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_files) / sizeof(*bad_files); i++) {
		char *path = write_file(bad_files[i].file);
		const char *arguments[] = { "--config", path, NULL };
		struct options options;
		struct err err = { 0 };
		int rc = parse(&options, COMMAND_RUN, arguments, &err);

		if (rc != -EINVAL || !strstr(err.text, bad_files[i].text))
			fail_msg("%s: got %d '%s', expected '%s'", bad_files[i].name, rc, err.text,
				 bad_files[i].text);
		unlink(path);
		options_release(&options);
	}
}

static void test_a_file_that_is_not_there(void **state)
{
	const char *arguments[] = { "--config", "/nonexistent/sluice.yaml", NULL };
	struct options options;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(parse(&options, COMMAND_RUN, arguments, &err), -ENOENT);
	assert_non_null(strstr(err.text, "cannot read '/nonexistent/sluice.yaml'"));
	options_release(&options);
}

static void test_help_lists_what_the_command_takes(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 0);
	options_help(COMMAND_PROXY, &text);
	buf_add_char(&text, '\0');
	assert_non_null(strstr(text.at, "--control PATH"));
	assert_null(strstr(text.at, "--manifests"));
	buf_reset(&text);
	options_help(COMMAND_RUN, &text);
	buf_add_char(&text, '\0');
	assert_non_null(strstr(text.at, "--manifests PATH"));
	assert_null(strstr(text.at, "--unconfined"));
	buf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything_that_a_table_row_sets),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_networks_that_are_trusted),
		cmocka_unit_test(test_who_may_connect),
		cmocka_unit_test(test_what_the_file_says_later),
		cmocka_unit_test(test_flags_win_over_the_file),
		cmocka_unit_test(test_whose_ingresses),
		cmocka_unit_test(test_mistakes_in_the_file_are_named_with_line),
		cmocka_unit_test(test_a_file_that_is_not_there),
		cmocka_unit_test(test_help_lists_what_the_command_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
