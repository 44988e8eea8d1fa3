// SPDX-License-Identifier: Apache-2.0
/* plan: see plan.h. */
#include "compile/plan.h"

#include "base/mem.h"

static const char *policy_name(enum host_policy policy)
{
	switch (policy) {
	case HOST_POLICY_STEER:
		return "steer";
	case HOST_POLICY_PASS:
		return "pass";
	case HOST_POLICY_DROP:
		return "drop";
	}
	return "?";
}

void plan_dump(const struct plan *plan, struct buf *out)
{
	buf_printf(out, "plan: %zu hosts\n", plan->host_count);
	for (size_t i = 0; i < plan->host_count; i++) {
		const struct host_value *value = &plan->hosts[i].value;

		buf_printf(out, "%016llx %s workers %u+%u host %u generation %u '%s'",
			   plan->hosts[i].key.hash, policy_name(value->policy), value->worker_first,
			   value->worker_spread, value->host_id, value->generation, value->name);
		if (value->flags & HOST_FLAG_LIMITED)
			buf_printf(out, " connections %u/s burst %u", plan->hosts[i].rate_per_s,
				   plan->hosts[i].rate_burst);
		buf_add_char(out, '\n');
	}
}

void plan_release(struct plan *plan)
{
	mem_free(plan->hosts);
	*plan = (struct plan){ 0 };
}
