// SPDX-License-Identifier: Apache-2.0
/*
 * sk_select: which of the workers' sockets gets a connection.
 *
 * BPF_PROG_TEST_RUN does not know programs of this type, so these are real
 * sockets on the loopback interface, where a SYN is handled on the CPU of its
 * sender. Two workers, on CPU 0 and 1, and two listeners, IPv4 and IPv6.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datapath/datapath.h"
#include "selftests/bpf/lab.h"
#include "selftests/bpf/listen.h"

enum { WORKERS = 2, LISTENERS = 2, ROUNDS = 8 };

static const uint16_t cpus[WORKERS] = { 0, 1 };
static const char *const addresses[LISTENERS] = { "127.0.0.1:8080", "[::1]:8443" };
static struct datapath *datapath;
static int sockets[LISTENERS][WORKERS];

static void set_state(uint16_t worker, enum worker_state state, uint32_t load_permille)
{
	struct datapath_worker value = { .state = state, .load_permille = load_permille };

	assert_int_equal(datapath_set_worker(datapath, worker, &value, NULL), 0);
}

static int open_all(void **state)
{
	struct datapath_listener listeners[LISTENERS];
	struct datapath_options options = { .bpf_dir = LAB_BPF_DIR,
					    .xdp = XDP_MODE_OFF,
					    .listeners = listeners,
					    .listener_count = LISTENERS,
					    .worker_cpus = cpus,
					    .worker_count = WORKERS };
	struct err err = { 0 };

	(void)state;
	lab_enter();
	for (uint16_t l = 0; l < LISTENERS; l++)
		listeners[l] = (struct datapath_listener){ .addr = listen_addr(addresses[l]),
							   .protocol = LISTENER_PROTOCOL_HTTP,
							   .id = l };
	if (datapath_open(&options, &datapath, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	for (uint16_t l = 0; l < LISTENERS; l++)
		for (uint16_t w = 0; w < WORKERS; w++) {
			sockets[l][w] = listen_open(&listeners[l].addr);
			if (datapath_set_socket(datapath, w, l, sockets[l][w], &err)) {
				print_error("%s\n", err.text);
				return -1;
			}
		}
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	datapath_detach(datapath);
	return 0;
}

static struct stats stats_now(void)
{
	struct stats stats;

	assert_int_equal(datapath_read_stats(datapath, &stats, NULL), 0);
	return stats;
}

/* The worker that gets a connection which is begun on @cpu. */
static int worker_of_connection(int listener, int cpu)
{
	struct addr addr = listen_addr(addresses[listener]);
	int client, connection, worker;

	lab_pin_to_cpu(cpu);
	client = listen_connect(&addr);
	assert_true(client >= 0);
	worker = listen_accept(sockets[listener], WORKERS, &connection);
	assert_true(worker >= 0);
	close(connection);
	close(client);
	return worker;
}

static void gives_to_the_worker_of_the_cpu(void **state)
{
	struct stats before, after;

	(void)state;
	set_state(0, WORKER_STATE_ACTIVE, 0);
	set_state(1, WORKER_STATE_ACTIVE, 0);
	before = stats_now();
	for (int round = 0; round < ROUNDS; round++)
		for (int listener = 0; listener < LISTENERS; listener++)
			for (int cpu = 0; cpu < 2; cpu++)
				assert_int_equal(worker_of_connection(listener, cpu), cpu);
	after = stats_now();
	assert_int_equal(after.select_local - before.select_local, ROUNDS * LISTENERS * 2);
	assert_int_equal(after.select_other, before.select_other);
	assert_int_equal(after.select_kernel, before.select_kernel);
}

static void skips_workers_that_take_none(void **state)
{
	static const struct {
		const char *name;
		enum worker_state state;
		uint32_t load_permille;
	} cases[] = {
		{ "draining", WORKER_STATE_DRAINING, 0 },
		{ "gone", WORKER_STATE_GONE, 0 },
		{ "stalled", WORKER_STATE_ACTIVE, WORKER_LOAD_STALLED_PERMILLE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stats before = stats_now();

		set_state(0, cases[i].state, cases[i].load_permille);
		set_state(1, WORKER_STATE_ACTIVE, 0);
		for (int round = 0; round < ROUNDS; round++)
			if (worker_of_connection(round % LISTENERS, 0) != 1)
				fail_msg("worker 0 is %s and got a connection", cases[i].name);
		assert_int_equal(stats_now().select_other - before.select_other, ROUNDS);
	}
	set_state(0, WORKER_STATE_ACTIVE, 0);
}

/* Nobody is refused because nobody is active: the kernel chooses. */
static void leaves_the_rest_to_the_kernel(void **state)
{
	struct stats before = stats_now();

	(void)state;
	set_state(0, WORKER_STATE_GONE, 0);
	set_state(1, WORKER_STATE_GONE, 0);
	for (int round = 0; round < ROUNDS; round++)
		worker_of_connection(round % LISTENERS, 0);
	assert_int_equal(stats_now().select_kernel - before.select_kernel, ROUNDS);
	set_state(0, WORKER_STATE_ACTIVE, 0);
	set_state(1, WORKER_STATE_ACTIVE, 0);
}

/* A worker whose socket is closed, as when its process died with it. */
static void goes_on_without_a_socket(void **state)
{
	struct addr addr = listen_addr(addresses[0]);

	(void)state;
	close(sockets[0][0]);
	for (int round = 0; round < ROUNDS; round++) {
		int connection, client;

		lab_pin_to_cpu(0);
		client = listen_connect(&addr);
		assert_true(client >= 0);
		assert_int_equal(listen_accept(&sockets[0][1], 1, &connection), 0);
		close(connection);
		close(client);
	}
	sockets[0][0] = listen_open(&addr);
	assert_int_equal(datapath_set_socket(datapath, 0, 0, sockets[0][0], NULL), 0);
	assert_int_equal(worker_of_connection(0, 0), 0);
}

static void refuses_what_cannot_be_selected(void **state)
{
	struct err err = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_true(datapath_set_socket(datapath, 0, 0, fd, &err) < 0);
	assert_non_null(strstr(err.text, "worker 0"));
	assert_int_equal(datapath_set_socket(datapath, WORKERS, 0, fd, &err), -EINVAL);
	assert_int_equal(datapath_set_socket(datapath, 0, LISTENERS_MAX, fd, &err), -EINVAL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_to_the_worker_of_the_cpu),
		cmocka_unit_test(skips_workers_that_take_none),
		cmocka_unit_test(leaves_the_rest_to_the_kernel),
		cmocka_unit_test(goes_on_without_a_socket),
		cmocka_unit_test(refuses_what_cannot_be_selected),
	};

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("[  SKIPPED ] sk_select: it takes two CPUs\n");
		return 0;
	}
	return cmocka_run_group_tests_name("sk_select", tests, open_all, close_all);
}
