// SPDX-License-Identifier: Apache-2.0
/*
 * early_veth: connections that are born from their first payload.
 *
 *   client's namespace  cl0 ──── slu0  this namespace: xdp_steer, tc_admit, two workers
 *
 * XDP answers the SYN; the worker that owns the host accepts the connection on
 * its own CPU, with the options that the kernel's own handshake would have
 * negotiated. What the kernel has to answer itself it answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/tcp.h>

#include "datapath/datapath.h"
#include "selftests/bpf/veth.h"

enum {
	WORKERS = 2,
	ROUNDS = 6,
	FLOOD_FRAMES = 100000,
	FLOOD_CLIENTS = 200,
	FLOOD_REST_US = 500000
};

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
					    .worker_count = WORKERS,
					    .wants_early_dispatch = true };
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
	if (!datapath_is_early(datapath)) {
		print_error("%s\n", datapath_early_text(datapath));
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

/* How a connection was served. */
struct served {
	int worker, cpu; /* -1: not at all */
	struct tcp_info info;
};

static void serve_one(struct served *served)
{
	char request[REQUEST_MAX_BYTES];
	socklen_t cpu_len = sizeof(int), info_len = sizeof(served->info);
	int connection;
	int slot = listen_accept(sockets, LISTENERS * WORKERS, &connection);

	*served = (struct served){ .worker = -1, .cpu = -1 };
	if (slot < 0)
		return;
	if (getsockopt(connection, IPPROTO_TCP, TCP_INFO, &served->info, &info_len) ||
	    getsockopt(connection, SOL_SOCKET, SO_INCOMING_CPU, &served->cpu, &cpu_len) ||
	    read(connection, request, sizeof(request)) <= 0 || write(connection, "ok", 2) != 2)
		lab_die("serve");
	/* The client closes first, so that its FIN is seen as well. */
	if (read(connection, request, sizeof(request)) == 0)
		served->worker = slot / LISTENERS;
	close(connection);
}

static struct served serve(int listener, int cpu, const char *host)
{
	struct order order = { .cpu = cpu, .listener = listener };
	struct served served;

	snprintf(order.host, sizeof(order.host), "%s", host);
	assert_int_equal(write(to_client, &order, sizeof(order)), sizeof(order));
	serve_one(&served);
	if (hear_client() != 1)
		served.worker = -1;
	return served;
}

static struct stats stats_now(void)
{
	struct stats stats;

	assert_int_equal(datapath_read_stats(datapath, &stats, NULL), 0);
	return stats;
}

static void set_answering(bool is_answering)
{
	char path[600];
	struct settings_value value;
	uint32_t row = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/settings", datapath_pin_dir(datapath));
	fd = bpf_obj_get(path);
	assert_int_equal(bpf_map_lookup_elem(fd, &row, &value), 0);
	value.is_answering = is_answering;
	assert_int_equal(bpf_map_update_elem(fd, &row, &value, 0), 0);
	close(fd);
}

static void is_born_on_the_owner(void **state)
{
	static const char *const hosts[WORKERS] = { "a.test", "b.test" };
	const uint64_t wanted = (uint64_t)ROUNDS * LISTENERS * WORKERS;
	struct stats before = stats_now(), after;

	(void)state;
	for (int round = 0; round < ROUNDS * LISTENERS; round++) {
		int listener = round % LISTENERS, client_cpu = round / LISTENERS % 2;

		for (int owner = 0; owner < WORKERS; owner++) {
			struct served served = serve(listener, client_cpu, hosts[owner]);

			if (served.worker != owner || served.cpu != cpus[owner])
				fail_msg("%s, from CPU %d, for %s: worker %d on CPU %d",
					 addresses[listener], client_cpu, hosts[owner],
					 served.worker, served.cpu);
		}
	}
	after = stats_now();
	assert_int_equal(after.answer_syn - before.answer_syn, wanted);
	/* A client that has something to say at once leaves the bare ACK out. */
	assert_true(after.absorb_ack - before.absorb_ack <= wanted);
	assert_true(after.absorb_ack > before.absorb_ack);
	assert_int_equal(after.early_first - before.early_first, wanted);
	assert_int_equal(after.admit_socket - before.admit_socket, wanted);
	assert_int_equal(after.select_local - before.select_local, wanted);
	assert_int_equal(after.select_other, before.select_other);
	assert_int_equal(after.admit_failed, before.admit_failed);
	assert_int_equal(after.flow_closed - before.flow_closed, wanted);
}

static void check_same_options(const char *address, const struct tcp_info *early,
			       const struct tcp_info *kernel)
{
	if (early->tcpi_options != kernel->tcpi_options ||
	    early->tcpi_snd_wscale != kernel->tcpi_snd_wscale ||
	    early->tcpi_rcv_wscale != kernel->tcpi_rcv_wscale ||
	    early->tcpi_snd_mss != kernel->tcpi_snd_mss ||
	    early->tcpi_advmss != kernel->tcpi_advmss)
		fail_msg("%s: options %#x %#x, window scales %u,%u %u,%u, mss %u %u, advmss %u %u",
			 address, early->tcpi_options, kernel->tcpi_options, early->tcpi_snd_wscale,
			 early->tcpi_rcv_wscale, kernel->tcpi_snd_wscale, kernel->tcpi_rcv_wscale,
			 early->tcpi_snd_mss, kernel->tcpi_snd_mss, early->tcpi_advmss,
			 kernel->tcpi_advmss);
	assert_true(early->tcpi_options & TCPI_OPT_TIMESTAMPS);
	assert_true(early->tcpi_options & TCPI_OPT_SACK);
	assert_true(early->tcpi_options & TCPI_OPT_WSCALE);
}

static void negotiates_what_the_kernel_does(void **state)
{
	(void)state;
	for (int listener = 0; listener < LISTENERS; listener++) {
		struct served early = serve(listener, 0, "a.test"), kernel;

		set_answering(false);
		kernel = serve(listener, 0, "a.test");
		set_answering(true);
		check_same_options(addresses[listener], &early.info, &kernel.info);
	}
}

/* The host is not known here: any worker may have it, and is told to look itself. */
static void serves_unknown_hosts(void **state)
{
	struct stats before = stats_now(), after;

	(void)state;
	for (int listener = 0; listener < LISTENERS; listener++)
		for (int cpu = 0; cpu < 2; cpu++)
			assert_int_equal(serve(listener, cpu, "unknown.test").cpu, cpu);
	after = stats_now();
	assert_int_equal(after.early_no_host - before.early_no_host, LISTENERS * 2);
	assert_int_equal(after.admit_socket - before.admit_socket, LISTENERS * 2);
}

static void survives_new_keys(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(datapath_rotate_keys(datapath, NULL), 0);
		assert_int_equal(serve(i % LISTENERS, 0, "b.test").worker, 1);
	}
}

/* Sockets of this namespace in state SYN_RECV. */
static int half_open(void)
{
	static const char *const files[] = { "/proc/thread-self/net/tcp",
					     "/proc/thread-self/net/tcp6" };
	char line[256];
	int count = 0;

	for (int i = 0; i < 2; i++) {
		FILE *file = fopen(files[i], "re");
		unsigned int state;

		assert_non_null(file);
		while (fgets(line, sizeof(line), file))
			if (sscanf(line, "%*s %*s %*s %x", &state) == 1 && state == 3)
				count++;
		fclose(file);
	}
	return count;
}

struct flood {
	int served, most_half_open;
	struct stats before, after;
};

/* SYNs under false addresses, and clients who want something at the same time. */
static void run_flood(struct flood *flood)
{
	struct order order = { .flood_frames = FLOOD_FRAMES };

	*flood = (struct flood){ .before = stats_now() };
	assert_int_equal(write(to_client, &order, sizeof(order)), sizeof(order));
	assert_int_equal(hear_client(), 1);
	for (int i = 0; i < FLOOD_CLIENTS; i++) {
		int owner = i % WORKERS, open;
		struct served served = serve(i % LISTENERS, i / 2 % 2, owner ? "b.test" : "a.test");

		flood->served += served.worker >= 0;
		open = half_open();
		flood->most_half_open = open > flood->most_half_open ? open : flood->most_half_open;
	}
	usleep(FLOOD_REST_US);
	flood->after = stats_now();
}

/* SYNs that were left to the kernel, whatever for. */
static uint64_t syns_passed(const struct stats *stats)
{
	return stats->pass_syn_plain + stats->pass_syn_known + stats->pass_no_payload +
	       stats->pass_flow_ended;
}

/*
 * Rings of veth lose as many of the frames as this machine is too busy for; each that
 * arrives is answered, and none is kept.
 */
static void serves_through_a_flood(void **state)
{
	struct flood flood, kernel;
	uint64_t answered;

	(void)state;
	run_flood(&flood);
	answered = flood.after.answer_syn - flood.before.answer_syn;
	set_answering(false);
	run_flood(&kernel);
	set_answering(true);
	print_message("XDP: %d of %d clients served, %llu SYNs answered, %d half-open sockets\n",
		      flood.served, FLOOD_CLIENTS, (unsigned long long)answered,
		      flood.most_half_open);
	print_message("kernel: %d of %d clients served, %d half-open sockets\n", kernel.served,
		      FLOOD_CLIENTS, kernel.most_half_open);
	assert_int_equal(flood.served, FLOOD_CLIENTS);
	assert_int_equal(flood.most_half_open, 0);
	assert_true(answered >= FLOOD_FRAMES / 10);
	assert_int_equal(syns_passed(&flood.after), syns_passed(&flood.before));
	assert_int_equal(flood.after.flow_created - flood.before.flow_created, FLOOD_CLIENTS);
	assert_int_equal(flood.after.select_other, flood.before.select_other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_born_on_the_owner),
		cmocka_unit_test(negotiates_what_the_kernel_does),
		cmocka_unit_test(serves_unknown_hosts),
		cmocka_unit_test(survives_new_keys),
		cmocka_unit_test(serves_through_a_flood),
	};

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("[  SKIPPED ] early_veth: it takes two CPUs\n");
		return 0;
	}
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	return cmocka_run_group_tests_name("early_veth", tests, open_all, close_all);
}
