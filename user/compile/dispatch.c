// SPDX-License-Identifier: Apache-2.0
/*
 * dispatch: which workers own a host, and the plan of the map `hosts`.
 *
 * The first worker of a host is chosen by rendezvous hashing (Thaler, Ravishankar,
 * 1998): each worker draws a number for the host and the largest wins, so that with
 * one worker more only the hosts that it wins move. With few hosts each belongs to
 * all workers, or most of them would have nothing to do. Of many a host has one, or
 * as many as the caller says that it needs.
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

/*
 * What follows from the name alone is worked out once. The id is asked for by name where the host
 * was no vhost the last time: it may have been given to another since then.
 */
static void place_host(struct compiler *compiler, struct known_host *known, struct str host)
{
	if (!known->is_placed) {
		known->dispatch_hash = hash_of_host(compiler, host);
		known->worker_first =
			first_worker(known->dispatch_hash, compiler->options.worker_count);
		known->is_placed = true;
	}
	if (known->id_round + 1 != compiler->round || known->host_id == IDS_NONE)
		known->host_id = ids_get(&compiler->host_ids, host.len ? host : STR("*"));
	else
		ids_touch(&compiler->host_ids, known->host_id);
	known->id_round = compiler->round;
}

static int compare_spreads(const void *a, const void *b)
{
	const struct compile_spread *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

void compiler_set_spreads(struct compiler *compiler, const struct compile_spread *spreads,
			  size_t count)
{
	compiler->spreads.len = 0;
	for (size_t i = 0; i < count; i++)
		*vec_push(&compiler->spreads) = spreads[i];
	if (count > 1)
		qsort(compiler->spreads.at, count, sizeof(*compiler->spreads.at), compare_spreads);
}

/* How many workers @hash has where a host has @usual of them. */
static uint16_t spread_of(const struct compiler *compiler, uint64_t hash, uint16_t usual)
{
	const struct compile_spread key = { .hash = hash }, *wanted;

	if (compiler->spreads.len == 0)
		return usual;
	wanted = bsearch(&key, compiler->spreads.at, compiler->spreads.len, sizeof(key),
			 compare_spreads);
	if (!wanted || wanted->worker_spread <= usual)
		return usual;
	return wanted->worker_spread < compiler->options.worker_count
		       ? wanted->worker_spread
		       : compiler->options.worker_count;
}

static void place_vhosts(struct build *build)
{
	struct compiler *compiler = build->compiler;
	uint16_t worker_count = compiler->options.worker_count;
	size_t few = (size_t)worker_count * COMPILE_FEW_HOSTS_PER_WORKER;
	uint16_t spread = build->model->vhosts.len <= few ? worker_count : 1;

	for (size_t i = 0; i < build->model->vhosts.len; i++) {
		struct model_vhost *vhost = &build->model->vhosts.at[i];
		struct known_host *known = &compiler->known_hosts.at[vhost->number];

		place_host(compiler, known, vhost->host);
		vhost->dispatch_hash = known->dispatch_hash;
		vhost->worker_first = known->worker_first;
		vhost->id = known->host_id;
		/* The catch-all stands for any number of hosts. */
		vhost->worker_spread = vhost->host.len == 0
					       ? worker_count
					       : spread_of(compiler, known->dispatch_hash, spread);
	}
}

/* Puts the generation that last changed it into @value. */
static void date_value(struct build *build, struct host_value *value)
{
	struct compiler *compiler = build->compiler;
	struct host_value *last;

	while (compiler->host_values.len <= value->host_id)
		vec_push(&compiler->host_values);
	last = &compiler->host_values.at[value->host_id];
	value->generation = last->generation;
	if (!last->generation || memcmp(last, value, sizeof(*value)) != 0)
		value->generation = (__u32)build->generation;
	*last = *value;
}

static struct plan_host host_of(struct build *build, const struct model_vhost *vhost)
{
	struct plan_host host = {
		.key.hash = vhost->dispatch_hash,
		.value = { .host_id = vhost->id,
			   .worker_first = vhost->worker_first,
			   .worker_spread = vhost->worker_spread,
			   .policy = HOST_POLICY_STEER,
			   .flags = vhost->connection_rate.per_s ? HOST_FLAG_LIMITED : 0 },
		.rate_per_s = vhost->connection_rate.per_s,
		.rate_burst = vhost->connection_rate.burst,
	};
	struct str name = vhost->host.len ? vhost->host : STR("*");

	name = str_slice(name, 0, HOST_NAME_SHOWN_BYTES - 1);
	memcpy(host.value.name, name.at, name.len);
	date_value(build, &host.value);
	return host;
}

/* The entry for all hosts that nobody serves; not where a host that is served has none. */
static void add_unknown(struct build *build, struct plan *plan)
{
	struct plan_host host = { .key.hash = HOST_HASH_CATCH_ALL,
				  .value = { .policy = HOST_POLICY_DROP, .name = "*" } };

	for (size_t i = 0; i < build->model->vhosts.len; i++)
		if (build->model->vhosts.at[i].id == IDS_NONE)
			return;
	host.value.host_id = ids_get(&build->compiler->host_ids, STR("*"));
	if (host.value.host_id == IDS_NONE)
		return;
	date_value(build, &host.value);
	plan->hosts[plan->host_count++] = host;
}

static int compare_sorted(const void *a, const void *b)
{
	const struct sorted_host *left = a, *right = b;

	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	return left->vhost < right->vhost ? -1 : 1;
}

/* Those of the last time that are still there, in their order. */
static void keep_sorted(struct compiler *compiler)
{
	size_t kept = 0;

	for (size_t i = 0; i < compiler->sorted_hosts.len; i++) {
		struct sorted_host host = compiler->sorted_hosts.at[i];
		struct known_host *known = &compiler->known_hosts.at[host.number];

		if (known->vhost_round != compiler->round || known->dispatch_hash != host.hash)
			continue;
		known->sorted_round = compiler->round;
		host.vhost = known->vhost;
		compiler->sorted_hosts.at[kept++] = host;
	}
	compiler->sorted_hosts.len = kept;
}

/* Puts @count sorted hosts at @more among those that are sorted already, from behind. */
static void merge_sorted(struct compiler *compiler, const struct sorted_host *more, size_t count)
{
	size_t from = compiler->sorted_hosts.len, to = from + count;
	struct sorted_host *at;

	vec_reserve(&compiler->sorted_hosts, to);
	at = compiler->sorted_hosts.at;
	compiler->sorted_hosts.len = to;
	while (count) {
		bool is_more = from == 0 || compare_sorted(&at[from - 1], &more[count - 1]) < 0;

		at[--to] = is_more ? more[--count] : at[--from];
	}
	/* Two hosts that hash alike may have changed places. */
	for (size_t i = 1; i < compiler->sorted_hosts.len; i++) {
		for (size_t k = i; k > 0 && compare_sorted(&at[k - 1], &at[k]) > 0; k--) {
			struct sorted_host swapped = at[k];

			at[k] = at[k - 1];
			at[k - 1] = swapped;
		}
	}
}

/* The vhosts by hash. From one generation to the next few are new: only they are sorted. */
static void sort_hosts(struct compiler *compiler)
{
	const struct model *model = &compiler->now->model;
	struct VEC(struct sorted_host) more = { 0 };

	keep_sorted(compiler);
	for (size_t i = 0; i < model->vhosts.len; i++) {
		const struct model_vhost *vhost = &model->vhosts.at[i];

		if (compiler->known_hosts.at[vhost->number].sorted_round == compiler->round)
			continue;
		*vec_push(&more) = (struct sorted_host){ .hash = vhost->dispatch_hash,
							 .number = vhost->number,
							 .vhost = (uint32_t)i };
	}
	if (more.len > 1)
		qsort(more.at, more.len, sizeof(*more.at), compare_sorted);
	merge_sorted(compiler, more.at, more.len);
	vec_release(&more);
}

void dispatch_plan(struct build *build, struct plan *plan)
{
	const struct model *model = build->model;
	const struct sorted_host *sorted;

	place_vhosts(build);
	sort_hosts(build->compiler);
	sorted = build->compiler->sorted_hosts.at;
	plan_release(plan);
	plan->hosts = mem_new(model->vhosts.len + 1, sizeof(*plan->hosts));
	if (model->drops_unknown)
		add_unknown(build, plan); /* its hash is the smallest */
	for (size_t i = 0; i < model->vhosts.len; i++) {
		const struct model_vhost *vhost = &model->vhosts.at[sorted[i].vhost];

		if (vhost->id == IDS_NONE || (i > 0 && sorted[i].hash == sorted[i - 1].hash))
			continue;
		plan->hosts[plan->host_count++] = host_of(build, vhost);
	}
}
