// SPDX-License-Identifier: Apache-2.0
/*
 * dispatch: which workers own a host, and the plan of the map `hosts`.
 *
 * The first worker of a host is chosen by rendezvous hashing (Thaler, Ravishankar,
 * 1998): each worker draws a number for the host and the largest wins, so that with
 * one worker more only the hosts that it wins move. With few hosts each belongs to
 * all workers, or most of them would have nothing to do.
 */
#include <stdlib.h>

#include "bpf/host.h"
#include "compile/build.h"

static uint64_t hash_of_host(const struct compiler *compiler, struct str host)
{
	struct host_name name = { .len = (__u32)host.len };

	if (host.len == 0)
		return HOST_HASH_CATCH_ALL;
	memcpy(name.words, host.at, host.len);
	return host_hash(compiler->options.dispatch_key.k0, compiler->options.dispatch_key.k1,
			 &name);
}

/* What @worker draws: the finaliser of SplitMix64 (Steele, Lea, Flood, 2014). */
static uint64_t draw(uint64_t hash, uint32_t worker)
{
	uint64_t x = hash + (worker + 1) * 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint16_t first_worker(uint64_t hash, uint16_t worker_count)
{
	uint64_t best = 0;
	uint16_t first = 0;

	for (uint16_t i = 0; i < worker_count; i++) {
		uint64_t drawn = draw(hash, i);

		if (drawn <= best)
			continue;
		best = drawn;
		first = i;
	}
	return first;
}

static void place_vhosts(struct build *build)
{
	const struct compiler *compiler = build->compiler;
	uint16_t worker_count = compiler->options.worker_count;
	size_t few = (size_t)worker_count * COMPILE_FEW_HOSTS_PER_WORKER;
	uint16_t spread = build->model->vhosts.len <= few ? worker_count : 1;

	for (size_t i = 0; i < build->model->vhosts.len; i++) {
		struct model_vhost *vhost = &build->model->vhosts.at[i];
		bool is_catch_all = vhost->host.len == 0;

		vhost->dispatch_hash = hash_of_host(compiler, vhost->host);
		vhost->id =
			ids_get(&build->compiler->host_ids, is_catch_all ? STR("*") : vhost->host);
		/* The catch-all stands for any number of hosts. */
		vhost->worker_spread = is_catch_all ? worker_count : spread;
		vhost->worker_first = first_worker(vhost->dispatch_hash, worker_count);
	}
}

/* The value of @vhost; its generation is the last one that changed it. */
static struct host_value value_of(struct build *build, const struct model_vhost *vhost)
{
	struct compiler *compiler = build->compiler;
	struct host_value value = { .host_id = vhost->id,
				    .worker_first = vhost->worker_first,
				    .worker_spread = vhost->worker_spread,
				    .policy = HOST_POLICY_STEER };
	struct str name = vhost->host.len ? vhost->host : STR("*");
	struct host_value *last;

	name = str_slice(name, 0, HOST_NAME_SHOWN_BYTES - 1);
	memcpy(value.name, name.at, name.len);
	while (compiler->host_values.len <= vhost->id)
		vec_push(&compiler->host_values);
	last = &compiler->host_values.at[vhost->id];
	value.generation = last->generation;
	if (!last->generation || memcmp(last, &value, sizeof(value)) != 0)
		value.generation = (__u32)build->generation;
	*last = value;
	return value;
}

/* What is sorted: small, and the values stay where they are. */
struct hashed {
	uint64_t hash;
	uint32_t vhost; /* of two that hash alike the older comes first */
};

static int compare_hashed(const void *a, const void *b)
{
	const struct hashed *left = a, *right = b;

	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	return left->vhost < right->vhost ? -1 : 1;
}

static struct hashed *sort_by_hash(const struct model *model)
{
	struct hashed *sorted = mem_new(model->vhosts.len + 1, sizeof(*sorted));

	for (size_t i = 0; i < model->vhosts.len; i++)
		sorted[i] = (struct hashed){ .hash = model->vhosts.at[i].dispatch_hash,
					     .vhost = (uint32_t)i };
	qsort(sorted, model->vhosts.len, sizeof(*sorted), compare_hashed);
	return sorted;
}

void dispatch_plan(struct build *build, struct plan *plan)
{
	const struct model *model = build->model;
	struct hashed *sorted;

	place_vhosts(build);
	sorted = sort_by_hash(model);
	plan_release(plan);
	plan->hosts = mem_new(model->vhosts.len + 1, sizeof(*plan->hosts));
	for (size_t i = 0; i < model->vhosts.len; i++) {
		const struct model_vhost *vhost = &model->vhosts.at[sorted[i].vhost];

		if (vhost->id == IDS_NONE || (i > 0 && sorted[i].hash == sorted[i - 1].hash))
			continue;
		plan->hosts[plan->host_count++] =
			(struct plan_host){ .key.hash = vhost->dispatch_hash,
					    .value = value_of(build, vhost) };
	}
	mem_free(sorted);
}
