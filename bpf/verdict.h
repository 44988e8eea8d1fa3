/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * verdict: a decision never goes uncounted.
 *
 * Each step of a program returns one of these, naming the counter that says
 * why; CONTINUE alone leaves the decision to the next step. What cannot be
 * decided passes: the stack knows what to do with any packet.
 */
#ifndef SLUICE_BPF_VERDICT_H
#define SLUICE_BPF_VERDICT_H

#include "maps.h"

/* For `bpftool prog show`: which contract a program was built for. */
const volatile __u32 bpf_metadata_schema SEC(".rodata") = CONTRACT_SCHEMA;

/* This CPU's counters; NULL never happens, but the verifier cannot know. */
static __always_inline struct stats *stats_here(void)
{
	__u32 row = 0;

	return bpf_map_lookup_elem(&stats, &row);
}

static __always_inline enum verdict pass(__u64 *counter)
{
	*counter += 1;
	return VERDICT_PASS;
}

static __always_inline enum verdict drop(__u64 *counter)
{
	*counter += 1;
	return VERDICT_DROP;
}

static __always_inline void count(__u64 *counter)
{
	*counter += 1;
}

#endif
