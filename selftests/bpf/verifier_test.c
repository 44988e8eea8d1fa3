// SPDX-License-Identifier: Apache-2.0
/*
 * verifier: what each program costs the verifier with all that it can do turned on.
 *
 * That is what makes a start, an upgrade and each test wait: the kernel follows a
 * hundred thousand instructions in a tenth of a second and refuses a million. It
 * grows without a sound, so each program has a budget here, some way above what
 * kernel 6.18 needs; it is raised with a reason, or the program is cut into parts
 * (steering.h). `make verifier-report` prints what this test measures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/contract.h"
#include "sk_lookup.skel.h"
#include "sk_select.skel.h"
#include "tc_admit.skel.h"
#include "xdp_steer.skel.h"

enum {
	STEER_BUDGET = 100000,
	ADMIT_BUDGET = 25000,
	SELECT_BUDGET = 1000,
	LOOKUP_BUDGET = 10000,
};

/* Loads @object, says what its @program cost, and fails where that is above @budget. */
static void load_within(struct bpf_object *object, const struct bpf_program *program,
			uint32_t budget)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_object__load(object), 0);
	assert_int_equal(bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len), 0);
	print_message("%-12s %6u verified_insns of %6u, %6u bytes, %6u bytes of machine code\n",
		      bpf_program__name(program), info.verified_insns, budget, info.xlated_prog_len,
		      info.jited_prog_len);
	if (info.verified_insns > budget)
		fail_msg("%s: %u verified_insns, budget %u", bpf_program__name(program),
			 info.verified_insns, budget);
}

static void steer_is_within_its_budget(void **state)
{
	struct xdp_steer *object = xdp_steer__open();

	(void)state;
	assert_non_null(object);
	object->rodata->can_admit = true;
	for (int i = 0; i < LISTEN_PORTS_MAX; i++)
		object->rodata->listen_ports[i] = (uint16_t)(80 + i);
	object->rodata->listen_port_count = LISTEN_PORTS_MAX;
	object->rodata->port_range_count = PORT_RANGES_MAX;
	bpf_program__set_flags(object->progs.xdp_steer, BPF_F_XDP_HAS_FRAGS);
	load_within(object->obj, object->progs.xdp_steer, STEER_BUDGET);
	xdp_steer__destroy(object);
}

static void admit_is_within_its_budget(void **state)
{
	struct tc_admit *object = tc_admit__open();

	(void)state;
	assert_non_null(object);
	for (int i = 0; i < LISTEN_PORTS_MAX; i++)
		object->rodata->listen_ports[i] = (uint16_t)(80 + i);
	object->rodata->listen_port_count = LISTEN_PORTS_MAX;
	object->rodata->port_range_count = PORT_RANGES_MAX;
	load_within(object->obj, object->progs.tc_admit, ADMIT_BUDGET);
	tc_admit__destroy(object);
}

static void select_is_within_its_budget(void **state)
{
	struct sk_select *object = sk_select__open();

	(void)state;
	assert_non_null(object);
	object->rodata->port_range_count = PORT_RANGES_MAX;
	load_within(object->obj, object->progs.sk_select, SELECT_BUDGET);
	sk_select__destroy(object);
}

static void lookup_is_within_its_budget(void **state)
{
	struct sk_lookup *object = sk_lookup__open();

	(void)state;
	assert_non_null(object);
	object->rodata->port_range_count = PORT_RANGES_MAX;
	load_within(object->obj, object->progs.sk_lookup_range, LOOKUP_BUDGET);
	sk_lookup__destroy(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steer_is_within_its_budget),
		cmocka_unit_test(admit_is_within_its_budget),
		cmocka_unit_test(select_is_within_its_budget),
		cmocka_unit_test(lookup_is_within_its_budget),
	};

	if (geteuid() != 0) {
		print_message("[  SKIPPED ] verified_insns: loading BPF programs takes root\n");
		return 0;
	}
	return cmocka_run_group_tests_name("verifier", tests, NULL, NULL);
}
