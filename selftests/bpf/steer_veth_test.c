// SPDX-License-Identifier: Apache-2.0
/*
 * steer_veth: whole connections through native XDP on veth.
 *
 *   client's namespace  cl0 ──── slu0  this namespace: xdp_steer, two workers
 *
 * A client on one CPU asks for a host that a worker on the other CPU owns. Its
 * packets come in on the client's CPU, as veth has it; after the first payload
 * was read they are processed on the owner's (SO_INCOMING_CPU). The request is
 * answered in any case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datapath/datapath.h"
#include "selftests/bpf/veth.h"

enum { WORKERS = 2, ROUNDS = 6 };

static const uint16_t cpus[WORKERS] = { 0, 1 };
static struct datapath *datapath;
static int sockets[LISTENERS * WORKERS];

/* ---- the world ------------------------------------------------------------------------------ */

static int write_hosts(void)
{
	struct host_hash_key key = datapath_hash_key(datapath);
	struct datapath_host hosts[WORKERS] = {
		{ datapath_host_key(key, STR("a.test")),
		  { .host_id = 1, .worker_first = 0, .worker_spread = 1, .name = "a.test" } },
		{ datapath_host_key(key, STR("b.test")),
		  { .host_id = 2, .worker_first = 1, .worker_spread = 1, .name = "b.test" } },
	};
	struct datapath_sync done;

	qsort(hosts, WORKERS, sizeof(hosts[0]), datapath_host_compare);
	return datapath_sync_hosts(datapath, hosts, WORKERS, 1, &done, NULL);
}

static int open_workers(void)
{
	struct datapath_worker active = { .state = WORKER_STATE_ACTIVE };

	for (uint16_t w = 0; w < WORKERS; w++) {
		if (datapath_set_worker(datapath, w, &active, NULL))
			return -1;
		for (uint16_t l = 0; l < LISTENERS; l++) {
			struct addr addr = listen_addr(addresses[l]);
			int fd = listen_open(&addr);

			sockets[w * LISTENERS + l] = fd;
			if (datapath_set_socket(datapath, w, l, fd, NULL))
				return -1;
		}
	}
	return 0;
}

static int open_all(void **state)
{
	static const char *const interfaces[] = { "slu0" };
	struct datapath_listener listeners[LISTENERS];
	struct datapath_options options = { .bpf_dir = LAB_BPF_DIR,
					    .xdp = XDP_MODE_NATIVE,
					    .interfaces = interfaces,
					    .interface_count = 1,
					    .listeners = listeners,
					    .listener_count = LISTENERS,
					    .worker_cpus = cpus,
					    .worker_count = WORKERS };
	struct err err = { 0 };

	(void)state;
	lab_enter();
	if (make_link())
		return -1;
	for (uint16_t l = 0; l < LISTENERS; l++) {
		struct addr addr = listen_addr(addresses[l]);

		listeners[l] =
			(struct datapath_listener){ .addr = addr,
						    .protocol = addr.port == 443
									? LISTENER_PROTOCOL_TLS
									: LISTENER_PROTOCOL_HTTP,
						    .id = l };
	}
	if (datapath_open(&options, &datapath, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	return open_workers() || write_hosts();
}

static int close_all(void **state)
{
	(void)state;
	datapath_detach(datapath);
	stop_client();
	return 0;
}

/* ---- connections ---------------------------------------------------------------------------- */

/* Answers one connection; the CPU that processed its request, or -1. */
static int serve_one(void)
{
	char request[REQUEST_MAX_BYTES];
	socklen_t len = sizeof(int);
	int connection, cpu = -1;

	if (listen_accept(sockets, LISTENERS * WORKERS, &connection) < 0)
		return -1;
	if (read(connection, request, sizeof(request)) <= 0 ||
	    getsockopt(connection, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &len) ||
	    write(connection, "ok", 2) != 2)
		cpu = -1;
	/* The client closes first, so that its FIN is seen as well. */
	if (cpu >= 0 && read(connection, request, sizeof(request)) != 0)
		cpu = -1;
	close(connection);
	return cpu;
}

static int cpu_of_order(const char *host, struct order order)
{
	int got;

	snprintf(order.host, sizeof(order.host), "%s", host);
	assert_int_equal(write(to_client, &order, sizeof(order)), sizeof(order));
	got = serve_one();
	assert_int_equal(hear_client(), 1);
	return got;
}

/* The CPU that a request for @host ends up on when it is sent from @cpu. */
static int cpu_of_request(int listener, int cpu, const char *host)
{
	return cpu_of_order(host, (struct order){ .cpu = cpu, .listener = listener });
}

static void steers_to_the_owner(void **state)
{
	static const char *const hosts[WORKERS] = { "a.test", "b.test" };
	struct stats before, after;

	(void)state;
	assert_int_equal(datapath_read_stats(datapath, &before, NULL), 0);
	for (int round = 0; round < ROUNDS * LISTENERS; round++) {
		int listener = round % LISTENERS;
		int client_cpu = round / LISTENERS % 2;

		for (int owner = 0; owner < WORKERS; owner++) {
			int cpu = cpu_of_request(listener, client_cpu, hosts[owner]);

			if (cpu != cpus[owner])
				fail_msg("%s, from CPU %d, for %s: CPU %d", addresses[listener],
					 client_cpu, hosts[owner], cpu);
		}
	}
	assert_int_equal(datapath_read_stats(datapath, &after, NULL), 0);
	assert_int_equal(after.flow_created - before.flow_created, ROUNDS * LISTENERS * WORKERS);
	assert_int_equal(after.flow_closed - before.flow_closed, ROUNDS * LISTENERS * WORKERS);
	assert_int_equal(after.steer_failed, before.steer_failed);
	/* Half of them came in on the other CPU, each with a payload, an ACK or two, and a FIN. */
	assert_true(after.steer_redirect - before.steer_redirect >= ROUNDS * LISTENERS * 2);
}

static void leaves_unknown_hosts_where_they_came_in(void **state)
{
	(void)state;
	for (int listener = 0; listener < LISTENERS; listener++)
		for (int cpu = 0; cpu < 2; cpu++)
			assert_int_equal(cpu_of_request(listener, cpu, "unknown.test"), cpu);
}

/*
 * A cpumap loses the mark that a checksum is yet to be made, and the stack would
 * throw such frames away: they stay on their CPU, and the request is answered.
 */
static void loses_nothing_with_checksum_offload(void **state)
{
	struct stats before, after;

	(void)state;
	assert_int_equal(datapath_read_stats(datapath, &before, NULL), 0);
	for (int listener = 0; listener < LISTENERS; listener++)
		for (int cpu = 0; cpu < 2; cpu++) {
			struct order order = { .cpu = cpu,
					       .listener = listener,
					       .has_checksum_offload = true };

			assert_int_equal(cpu_of_order(cpu ? "a.test" : "b.test", order), cpu);
		}
	assert_int_equal(datapath_read_stats(datapath, &after, NULL), 0);
	assert_true(after.pass_checksum - before.pass_checksum >= LISTENERS * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steers_to_the_owner),
		cmocka_unit_test(leaves_unknown_hosts_where_they_came_in),
		cmocka_unit_test(loses_nothing_with_checksum_offload),
	};

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("[  SKIPPED ] steer_veth: it takes two CPUs\n");
		return 0;
	}
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	return cmocka_run_group_tests_name("steer_veth", tests, open_all, close_all);
}
