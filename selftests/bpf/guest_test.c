// SPDX-License-Identifier: Apache-2.0
/*
 * guest: xdp_steer as the guest of somebody else's program.
 *
 * What libxdp reads out of the object's BTF, and the pinned program as the target
 * of a tail call, as bpf/README.md says it can be used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "datapath/datapath.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/lab.h"
#include "xdp_steer.skel.h"

/* ---- metadata ------------------------------------------------------------------------------- */

static const struct btf_type *find_type(const struct btf *btf, const char *name, uint32_t kind)
{
	int id = btf__find_by_name_kind(btf, name, kind);

	if (id < 0)
		fail_msg("no '%s' in the BTF", name);
	return btf__type_by_id(btf, (uint32_t)id);
}

/* Numbers are written as the size of an array that a member points to. */
static uint32_t number_of(const struct btf *btf, const struct btf_type *config, const char *name)
{
	const struct btf_member *member = btf_members(config);

	for (uint16_t i = 0; i < btf_vlen(config); i++, member++) {
		const struct btf_type *type = btf__type_by_id(btf, member->type);

		if (strcmp(btf__name_by_offset(btf, member->name_off), name) != 0)
			continue;
		assert_true(btf_is_ptr(type));
		type = btf__type_by_id(btf, type->type);
		assert_true(btf_is_array(type));
		return btf_array(type)->nelems;
	}
	fail_msg("no member '%s'", name);
	return 0;
}

static void says_how_to_chain_it(void **state)
{
	struct xdp_steer *object = xdp_steer__open();
	const struct btf_type *section, *variable, *config;
	const struct btf *btf;

	(void)state;
	assert_non_null(object);
	btf = bpf_object__btf(object->obj);
	section = find_type(btf, ".xdp_run_config", BTF_KIND_DATASEC);
	assert_int_equal(btf_vlen(section), 1);
	variable = btf__type_by_id(btf, btf_var_secinfos(section)->type);
	assert_string_equal(btf__name_by_offset(btf, variable->name_off), "_xdp_steer");
	assert_int_equal(btf_var(variable)->linkage, BTF_VAR_GLOBAL_ALLOCATED);
	config = btf__type_by_id(btf, variable->type);
	assert_true(btf_is_struct(config));
	assert_int_equal(btf_vlen(config), 2);
	assert_int_equal(number_of(btf, config, "priority"), 60);
	assert_int_equal(number_of(btf, config, "XDP_PASS"), 1);
	xdp_steer__destroy(object);
}

/* ---- a tail call ---------------------------------------------------------------------------- */

/* A program that calls the one at place 0 of @programs, and passes where there is none. */
static int load_caller(int programs)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
		  .dst_reg = BPF_REG_2,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = programs },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS,
		    .expected_attach_type = BPF_XDP);

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "caller", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), &opts);
}

static uint64_t other_ports(const struct datapath *datapath)
{
	struct stats stats;

	assert_int_equal(datapath_read_stats(datapath, &stats, NULL), 0);
	return stats.pass_other_port;
}

static void is_called_by_another_program(void **state)
{
	static const char *const interfaces[] = { "slu0" };
	static const uint16_t cpus[] = { 0 };
	struct datapath_listener listener = { .protocol = LISTENER_PROTOCOL_HTTP };
	struct datapath_options wanted = { .bpf_dir = LAB_BPF_DIR,
					   .xdp = XDP_MODE_AUTO,
					   .interfaces = interfaces,
					   .interface_count = 1,
					   .listeners = &listener,
					   .listener_count = 1,
					   .worker_cpus = cpus,
					   .worker_count = 1 };
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	int programs = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "programs", 4, 4, 1, NULL);
	int caller = load_caller(programs), link, pinned;
	struct frame_spec spec = { .local_port = 9999, .tcp_flags = FRAME_SYN };
	struct datapath *datapath;
	uint32_t place = 0;
	struct frame frame;
	char path[512];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.at, .repeat = 1);

	(void)state;
	assert_true(caller >= 0);
	link = bpf_link_create(caller, (int)if_nametoindex("slu0"), BPF_XDP, &native);
	assert_true(link >= 0);
	addr_parse(STR("0.0.0.0:80"), &listener.addr, NULL);
	assert_int_equal(datapath_open(&wanted, &datapath, NULL), 0);
	assert_non_null(strstr(datapath_interface(datapath, 0)->text, "'caller'"));
	snprintf(path, sizeof(path), "%s/prog_xdp_steer", datapath_pin_dir(datapath));
	pinned = bpf_obj_get(path);
	assert_int_equal(bpf_map_update_elem(programs, &place, &pinned, BPF_ANY), 0);
	frame_build(&frame, &spec);
	run.data_size_in = (uint32_t)frame.len;
	assert_int_equal(other_ports(datapath), 0);
	assert_int_equal(bpf_prog_test_run_opts(caller, &run), 0);
	assert_int_equal(run.retval, XDP_PASS);
	assert_int_equal(other_ports(datapath), 1);
	close(pinned);
	close(link);
	close(caller);
	close(programs);
	datapath_detach(datapath);
}

static int enter(void **state)
{
	(void)state;
	lab_enter();
	return lab_command("ip", "link", "add", "slu0", "type", "veth", "peer", "name", "peer0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_how_to_chain_it),
		cmocka_unit_test(is_called_by_another_program),
	};

	return cmocka_run_group_tests_name("guest", tests, enter, NULL);
}
