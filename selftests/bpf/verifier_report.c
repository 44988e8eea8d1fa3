// SPDX-License-Identifier: Apache-2.0
/* verifier_report: what each program costs the verifier with all that it can do turned on. */
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/contract.h"
#include "sk_select.skel.h"
#include "tc_admit.skel.h"
#include "xdp_steer.skel.h"

/* The kernel gives up at a million. */
static void report(const struct bpf_program *program)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len))
		return;
	printf("%-12s %9u instructions verified, %6u bytes, %6u bytes of machine code\n",
	       bpf_program__name(program), info.verified_insns, info.xlated_prog_len,
	       info.jited_prog_len);
}

int main(void)
{
	struct xdp_steer *steer = xdp_steer__open();
	struct tc_admit *admit = tc_admit__open();
	struct sk_select *select = sk_select__open();

	if (geteuid() != 0) {
		printf("verifier-report: loading BPF programs takes root\n");
		return 0;
	}
	if (!steer || !admit || !select)
		return 1;
	steer->rodata->can_admit = true;
	bpf_program__set_flags(steer->progs.xdp_steer, BPF_F_XDP_HAS_FRAGS);
	if (xdp_steer__load(steer) || tc_admit__load(admit) || sk_select__load(select))
		return 1;
	report(steer->progs.xdp_steer);
	report(admit->progs.tc_admit);
	report(select->progs.sk_select);
	xdp_steer__destroy(steer);
	tc_admit__destroy(admit);
	sk_select__destroy(select);
	return 0;
}
