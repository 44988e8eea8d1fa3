// SPDX-License-Identifier: Apache-2.0
/*
 * early_reach: SYNs are answered where the answers arrive, and nowhere else.
 *
 *   client's namespace  cl0 ──── slu0  this namespace: xdp_steer, tc_admit, one worker
 *                                slu1 ──── near1       both ends in this namespace
 *
 * A veth throws away what XDP sends to a peer without a program of its own. Such
 * an interface is found out beforehand and whenever its peer changes; meanwhile
 * the kernel makes its connections, and the other interface goes on as ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datapath/datapath.h"
#include "selftests/bpf/veth.h"

enum { FAR, NEAR, INTERFACES };

static const char *const interfaces[INTERFACES] = { "slu0", "slu1" };
static const uint16_t cpus[] = { 0 };
static struct datapath *datapath;
static int sockets[LISTENERS];

static int open_worker(void)
{
	struct datapath_worker active = { .state = WORKER_STATE_ACTIVE };

	for (uint16_t l = 0; l < LISTENERS; l++) {
		struct addr addr = listen_addr(addresses[l]);

		if (!sockets[l])
			sockets[l] = listen_open(&addr);
		if (datapath_set_socket(datapath, 0, l, sockets[l], NULL))
			return -1;
	}
	return datapath_set_worker(datapath, 0, &active, NULL);
}

static int open_datapath(void)
{
	struct datapath_listener listeners[LISTENERS];
	struct datapath_options options = { .bpf_dir = LAB_BPF_DIR,
					    .xdp = XDP_MODE_NATIVE,
					    .interfaces = interfaces,
					    .interface_count = INTERFACES,
					    .listeners = listeners,
					    .listener_count = LISTENERS,
					    .worker_cpus = cpus,
					    .worker_count = 1,
					    .wants_early_dispatch = true };
	struct err err = { 0 };

	for (uint16_t l = 0; l < LISTENERS; l++)
		listeners[l] = (struct datapath_listener){ .addr = listen_addr(addresses[l]),
							   .protocol = LISTENER_PROTOCOL_HTTP,
							   .id = l };
	if (datapath_open(&options, &datapath, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	return open_worker();
}

static int open_all(void **state)
{
	(void)state;
	lab_enter();
	if (make_link() ||
	    lab_command("ip", "link", "add", "slu1", "type", "veth", "peer", "name", "near1"))
		return -1;
	lab_up("slu1");
	lab_up("near1");
	return open_datapath();
}

static int close_all(void **state)
{
	(void)state;
	datapath_detach(datapath);
	stop_client();
	return 0;
}

static void tell_client(struct order order)
{
	assert_int_equal(write(to_client, &order, sizeof(order)), sizeof(order));
}

static void change_far_peer(enum peer_order peer)
{
	tell_client((struct order){ .peer = peer });
	assert_int_equal(hear_client(), 1);
}

/* A connection from the client to each listener; how many SYNs XDP answered meanwhile. */
static uint64_t serve_each_listener(void)
{
	struct stats before, after;
	char request[REQUEST_MAX_BYTES];

	assert_int_equal(datapath_read_stats(datapath, &before, NULL), 0);
	for (int l = 0; l < LISTENERS; l++) {
		int connection;

		tell_client((struct order){ .listener = l, .host = "any.test" });
		if (listen_accept(sockets, LISTENERS, &connection) != l)
			fail_msg("no connection to %s", addresses[l]);
		assert_true(read(connection, request, sizeof(request)) > 0);
		assert_int_equal(write(connection, "ok", 2), 2);
		assert_int_equal(hear_client(), 1);
		close(connection);
	}
	assert_int_equal(datapath_read_stats(datapath, &after, NULL), 0);
	return after.answer_syn - before.answer_syn;
}

static void expect_early(int interface, bool is_early, const char *text)
{
	const struct datapath_interface *got = datapath_interface(datapath, (size_t)interface);

	assert_int_equal(got->mode, XDP_MODE_NATIVE);
	if (got->is_early != is_early || !strstr(got->early_text, text))
		fail_msg("%s: %s early dispatch, '%s'", got->name, got->is_early ? "" : "no ",
			 got->early_text);
	if (is_early)
		assert_string_equal(got->early_text, "");
}

static void is_found_out_at_start(void **state)
{
	(void)state;
	assert_true(datapath_is_early(datapath));
	expect_early(FAR, true, "");
	expect_early(NEAR, false, "no native XDP program");
	assert_int_equal(serve_each_listener(), LISTENERS);
}

static void follows_the_peer(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		change_far_peer(PEER_BARE);
		datapath_recheck(datapath);
		expect_early(FAR, false, "no native XDP program");
		assert_int_equal(serve_each_listener(), 0);
		change_far_peer(PEER_XDP);
		datapath_recheck(datapath);
		expect_early(FAR, true, "");
		assert_int_equal(serve_each_listener(), LISTENERS);
	}
}

/* Only a native program of the peer takes what our driver sends. */
static void knows_each_kind_of_peer(void **state)
{
	int link;

	(void)state;
	link = lab_attach_pass("near1", "pass", XDP_FLAGS_SKB_MODE);
	datapath_recheck(datapath);
	expect_early(NEAR, false, "no native XDP program");
	close(link);
	assert_int_equal(lab_command("ethtool", "-K", "near1", "gro", "on"), 0);
	datapath_recheck(datapath);
	expect_early(NEAR, false, "no native XDP program");
	link = lab_attach_pass("near1", "pass", XDP_FLAGS_DRV_MODE);
	datapath_recheck(datapath);
	expect_early(NEAR, true, "");
	expect_early(FAR, true, "");
	close(link);
	datapath_recheck(datapath);
	expect_early(NEAR, false, "no native XDP program");
}

/* The far end goes to another namespace, and is asked there. */
static void looks_into_other_namespaces(void **state)
{
	char pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", client);
	assert_int_equal(lab_command("ip", "link", "set", "near1", "netns", pid), 0);
	datapath_recheck(datapath);
	expect_early(NEAR, false, "no native XDP program");
	expect_early(FAR, true, "");
	assert_int_equal(serve_each_listener(), LISTENERS);
}

struct pinned_link {
	uint32_t id, program_id;
};

static struct pinned_link look_at_link(const char *name)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", datapath_pin_dir(datapath), name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		fail_msg("no pin '%s'", name);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	close(fd);
	return (struct pinned_link){ info.id, info.prog_id };
}

/* The next agent's programs go into the same links: there is no moment without one. */
static void replaces_programs_in_their_links(void **state)
{
	static const char *const names[] = { "link_xdp_steer-slu0", "link_tc_admit-slu0",
					     "link_xdp_steer-slu1", "link_tc_admit-slu1" };
	enum { LINKS = sizeof(names) / sizeof(names[0]) };
	struct pinned_link before[LINKS];

	(void)state;
	for (int i = 0; i < LINKS; i++)
		before[i] = look_at_link(names[i]);
	datapath_close(datapath);
	assert_int_equal(open_datapath(), 0);
	assert_true(datapath_is_taken_over(datapath));
	for (int i = 0; i < LINKS; i++) {
		struct pinned_link after = look_at_link(names[i]);

		assert_int_equal(after.id, before[i].id);
		assert_true(after.program_id != before[i].program_id);
	}
	expect_early(FAR, true, "");
	assert_int_equal(serve_each_listener(), LISTENERS);
}

/* ---- beside tcx programs of others ---------------------------------------------------------- */

enum { IN_FRONT = 1 << 3, BEHIND = 0, TCX_INGRESS_HOOK = 46 };

/* Lets all in by TC_ACT_OK: nobody behind it sees anything. */
static int attach_foreign(uint32_t place)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = place);
	int program = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", insns, 2, NULL);
	int link = bpf_link_create(program, (int)if_nametoindex("slu0"),
				   (enum bpf_attach_type)TCX_INGRESS_HOOK, &opts);

	assert_true(link >= 0);
	close(program);
	return link;
}

/* With its sockets: they are in a map that is not used any more. */
static void take_all_away(void)
{
	for (int l = 0; l < LISTENERS; l++) {
		close(sockets[l]);
		sockets[l] = 0;
	}
	datapath_detach(datapath);
}

static void stands_in_front_of_others(void **state)
{
	int foreign;

	(void)state;
	take_all_away();
	foreign = attach_foreign(BEHIND);
	assert_int_equal(open_datapath(), 0);
	expect_early(FAR, true, "");
	assert_int_equal(serve_each_listener(), LISTENERS);
	close(foreign);
}

static void leaves_it_to_the_kernel_behind_others(void **state)
{
	int foreign = attach_foreign(IN_FRONT);

	(void)state;
	datapath_recheck(datapath);
	expect_early(FAR, false, "stands in front of tc_admit");
	assert_int_equal(serve_each_listener(), 0);
	close(foreign);
	datapath_recheck(datapath);
	expect_early(FAR, true, "");
	assert_int_equal(serve_each_listener(), LISTENERS);
}

/* Who was in front of the last agent is behind the next one. */
static void takes_its_place_at_start(void **state)
{
	int foreign = attach_foreign(IN_FRONT);

	(void)state;
	datapath_close(datapath);
	assert_int_equal(open_datapath(), 0);
	expect_early(FAR, true, "");
	assert_int_equal(serve_each_listener(), LISTENERS);
	close(foreign);
}

static void knows_that_tc_admit_was_taken_off(void **state)
{
	char path[512];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/link_tc_admit-slu0", datapath_pin_dir(datapath));
	fd = bpf_obj_get(path);
	assert_int_equal(bpf_link_detach(fd), 0);
	close(fd);
	datapath_recheck(datapath);
	expect_early(FAR, false, "taken off");
	assert_int_equal(serve_each_listener(), 0);
	datapath_close(datapath);
	assert_int_equal(open_datapath(), 0);
	expect_early(FAR, true, "");
	assert_int_equal(serve_each_listener(), LISTENERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_found_out_at_start),
		cmocka_unit_test(follows_the_peer),
		cmocka_unit_test(knows_each_kind_of_peer),
		cmocka_unit_test(replaces_programs_in_their_links),
		cmocka_unit_test(looks_into_other_namespaces),
		cmocka_unit_test(stands_in_front_of_others),
		cmocka_unit_test(leaves_it_to_the_kernel_behind_others),
		cmocka_unit_test(takes_its_place_at_start),
		cmocka_unit_test(knows_that_tc_admit_was_taken_off),
	};

	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	return cmocka_run_group_tests_name("early_reach", tests, open_all, close_all);
}
