// SPDX-License-Identifier: Apache-2.0
/*
 * reconcile: see reconcile.h.
 *
 * The compiler's output is copied into sealed memory and forgotten: what is in force is always what
 * the publisher holds. The hosts plan is written last, because XDP may only send a host to a
 * worker once that worker has the routes for it; the other way round costs nothing but a hop.
 */
#include "agent/reconcile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/default_certificate.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/memfd.h"
#include "base/random.h"
#include "base/siphash.h"
#include "tls/tls_inspect.h"

static const double bucket_bounds_ms[] = RECONCILE_BUCKETS_MS;

static double ms_of(uint64_t ns)
{
	return (double)ns / (double)NS_PER_MS;
}

/* ----------------------------------------------------------------------------- findings */

static int compare_hashes(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static enum log_level level_of(enum finding_level level)
{
	switch (level) {
	case FINDING_NOTICE:
		return LOG_LEVEL_INFO;
	case FINDING_WARNING:
		return LOG_LEVEL_WARNING;
	case FINDING_ERROR:
		return LOG_LEVEL_ERROR;
	}
	return LOG_LEVEL_ERROR;
}

/* Without the line: an edit further up in a file must not make everything below it new. */
static uint64_t hash_finding(const struct finding *finding)
{
	static const struct siphash_key key = { 1, 2 };
	uint64_t parts[] = {
		siphash(key, finding->kind),  siphash(key, finding->namespace),
		siphash(key, finding->name),  siphash(key, finding->file),
		siphash(key, finding->field), siphash(key, finding->text),
	};

	return siphash(key, str_of((const char *)parts, sizeof(parts)));
}

static void log_finding(const struct finding *finding)
{
	struct buf line;
	struct str text, level;

	buf_init(&line, 0);
	finding_format(finding, &line);
	text = buf_str(&line);
	str_take_part(&text, ' ', &level); /* the log says it in its own words */
	text = str_trim(text);
	log_at(level_of(finding->level), "config", "%.*s", STR_ARG(text));
	buf_release(&line);
}

/* Logs what was not there the last time. */
static void say_new(struct reconcile *reconcile)
{
	struct findings *all = &reconcile->all;
	struct VEC(uint64_t) now = { 0 };
	size_t new_count = 0;

	for (size_t i = 0; i < all->list.len; i++) {
		uint64_t hash = hash_finding(&all->list.at[i]);

		*vec_push(&now) = hash;
		if (reconcile->said.len && bsearch(&hash, reconcile->said.at, reconcile->said.len,
						   sizeof(hash), compare_hashes))
			continue;
		if (++new_count <= RECONCILE_FINDINGS_LOGGED)
			log_finding(&all->list.at[i]);
	}
	if (new_count > RECONCILE_FINDINGS_LOGGED)
		log_warning("config", "%zu more findings: see sluicectl findings",
			    new_count - RECONCILE_FINDINGS_LOGGED);
	if (now.len)
		qsort(now.at, now.len, sizeof(*now.at), compare_hashes);
	vec_release(&reconcile->said);
	reconcile->said.at = now.at;
	reconcile->said.len = now.len;
	reconcile->said.cap = now.cap;
}

static void gather_findings(struct reconcile *reconcile)
{
	uint64_t generation = store_findings_generation(reconcile->store);

	if (generation != reconcile->store_findings_generation) {
		findings_reset(&reconcile->store_findings);
		store_findings(reconcile->store, &reconcile->store_findings);
		reconcile->store_findings_generation = generation;
	}
	findings_reset(&reconcile->all);
	findings_append(&reconcile->all, &reconcile->store_findings);
	findings_append(&reconcile->all, &reconcile->route_findings);
	findings_append(&reconcile->all, &reconcile->endpoint_findings);
	say_new(reconcile);
	cluster_on_findings(&reconcile->agent->cluster, &reconcile->all);
}

size_t reconcile_count_findings(const struct reconcile *reconcile, enum finding_level level)
{
	size_t count = 0;

	for (size_t i = 0; i < reconcile->all.list.len; i++)
		count += reconcile->all.list.at[i].level == level;
	return count;
}

/* ------------------------------------------------------------------------------ compile */

/* The bit of @kind; 0 where it is not published. */
static unsigned int publish(struct reconcile *reconcile, enum published_kind kind, struct str bytes)
{
	struct err err = { 0 };

	if (publisher_set(&reconcile->agent->publisher, kind, bytes, &err) == 0)
		return 1u << kind;
	log_error("agent", "generation %" PRIu64 " is not published: %s", reconcile->generation,
		  err.text);
	return 0;
}

static bool needs_routes(const struct reconcile *reconcile)
{
	return (reconcile->changed & ~(1u << OBJECT_KIND_ENDPOINT_SLICE)) != 0;
}

/* Compiles what @reconcile->changed asks for. False where nothing came of it. */
static bool compile_routes_if_needed(struct reconcile *reconcile, const struct object_set *set)
{
	int rc;

	if (!needs_routes(reconcile))
		return false;
	findings_reset(&reconcile->route_findings);
	rc = compile_routes(reconcile->compiler, set, reconcile->generation, &reconcile->output,
			    &reconcile->route_findings);
	if (rc)
		log_error("agent", "the last good routes stay in force: %s", strerror(-rc));
	return rc == 0;
}

/* Whether endpoints that were published say all that there is to say. */
static bool are_endpoints_same(const struct reconcile *reconcile)
{
	return reconcile->has_endpoints &&
	       !(reconcile->changed & 1u << OBJECT_KIND_ENDPOINT_SLICE) &&
	       compiler_has_same_backends(reconcile->compiler);
}

static bool compile_endpoints_now(struct reconcile *reconcile, const struct object_set *set)
{
	int rc;

	findings_reset(&reconcile->endpoint_findings);
	rc = compile_endpoints(reconcile->compiler, set, reconcile->generation, &reconcile->output,
			       &reconcile->endpoint_findings);
	if (rc)
		log_error("agent", "the last good endpoints stay in force: %s", strerror(-rc));
	return rc == 0;
}

static void compile_and_publish(struct reconcile *reconcile)
{
	const struct object_set *set = store_set(reconcile->store);
	const struct compile_output *output = &reconcile->output;
	unsigned int kinds = 0;
	bool has_routes;

	reconcile->generation++;
	has_routes = compile_routes_if_needed(reconcile, set);
	if (!are_endpoints_same(reconcile)) {
		if (compile_endpoints_now(reconcile, set))
			kinds |= publish(reconcile, PUBLISHED_ENDPOINTS, output->endpoints);
		reconcile->has_endpoints = kinds != 0;
	}
	if (has_routes && !output->certs_same)
		kinds |= publish(reconcile, PUBLISHED_CERTS, output->certs);
	if (has_routes)
		kinds |= publish(reconcile, PUBLISHED_IMAGE, output->image);
	reconcile->has_new_plan |= has_routes;
	links_publish(&reconcile->agent->links, kinds);
	gather_findings(reconcile);
}

/* ------------------------------------------------------------------------ one after another */

static struct compiler *make_compiler(struct reconcile *reconcile)
{
	const struct agent *agent = reconcile->agent;
	const struct options *options = agent->options;
	struct compile_options to = {
		.classes = options_class_rules(options),
		.worker_count = (uint16_t)agent->worker_count,
		.settings = { options->settings.at, (uint32_t)options->settings.len },
		.settings_file = str_from_c(options->config),
		.fallback_namespace = STR(DEFAULT_CERTIFICATE_NAMESPACE),
		.fallback_secret = STR(DEFAULT_CERTIFICATE_SECRET),
		.check_pair = tls_check_pair,
	};

	random_bytes(&to.table_key, sizeof(to.table_key));
	if (agent->steering.datapath)
		to.dispatch_key = datapath_hash_key(agent->steering.datapath);
	else
		random_bytes(&to.dispatch_key, sizeof(to.dispatch_key));
	return compiler_new(&to);
}

/* Another one with the settings as they are now, which goes on with the ids that are served. */
static void renew_compiler(struct reconcile *reconcile)
{
	const struct publisher *publisher = &reconcile->agent->publisher;
	struct err err = { 0 };

	reconcile->has_new_settings = false;
	compiler_free(reconcile->compiler);
	reconcile->compiler = make_compiler(reconcile);
	host_load_tell(&reconcile->agent->host_load, reconcile->compiler);
	if (publisher_is_complete(publisher) &&
	    compiler_adopt(reconcile->compiler, publisher->of[PUBLISHED_IMAGE].bytes,
			   publisher->of[PUBLISHED_ENDPOINTS].bytes, &err))
		log_warning("agent", "ids of endpoints are not kept: %s", err.text);
}

static void begin(struct reconcile *reconcile)
{
	struct loop *loop = &reconcile->agent->loop;
	uint64_t began_ns = clock_monotonic_ns(), took_ns;

	if (reconcile->has_new_settings)
		renew_compiler(reconcile);
	reconcile->is_under_way = true;
	reconcile->under_way_ns = reconcile->changed_ns;
	compile_and_publish(reconcile);
	reconcile->changed = 0;
	took_ns = clock_monotonic_ns() - began_ns;
	reconcile->times.last_compile_ms = ms_of(took_ns);
	reconcile->published_ms = loop->now_ms + took_ns / NS_PER_MS;
	if (reconcile->rested_ms < reconcile->published_ms)
		reconcile->rested_ms = reconcile->published_ms;
	reconcile->rested_ms += RECONCILE_REST_MIN_MS + took_ns / NS_PER_MS;
	loop_timer_set(loop, &reconcile->timer, reconcile->published_ms + RECONCILE_SETTLE_MAX_MS);
	reconcile_on_settled(reconcile);
}

static void begin_if_possible(struct reconcile *reconcile)
{
	struct loop *loop = &reconcile->agent->loop;

	if (!reconcile->changed || reconcile->is_under_way || reconcile->is_frozen)
		return;
	/* What an API server has not said yet is not known to be gone. */
	if (!cluster_is_complete(&reconcile->agent->cluster))
		return;
	if (loop->now_ms + RECONCILE_REST_OWED_MS < reconcile->rested_ms)
		loop_timer_set(loop, &reconcile->timer,
			       reconcile->rested_ms - RECONCILE_REST_OWED_MS);
	else
		begin(reconcile);
}

static void measure(struct reconcile *reconcile)
{
	struct reconcile_times *times = &reconcile->times;
	double took_ms = ms_of(clock_monotonic_ns() - reconcile->under_way_ns);
	size_t bucket = 0;

	while (bucket < RECONCILE_BUCKET_COUNT && took_ms > bucket_bounds_ms[bucket])
		bucket++;
	times->buckets[bucket]++;
	times->count++;
	times->sum_ms += took_ms;
	times->last_ms = took_ms;
	log_info("agent", "generation %" PRIu64 " in force after %.1f ms (compiled in %.1f ms)",
		 reconcile->generation, took_ms, times->last_compile_ms);
}

static void end(struct reconcile *reconcile, bool is_in_force)
{
	reconcile->is_under_way = false;
	if (is_in_force) {
		measure(reconcile);
		saved_on_in_force(&reconcile->agent->saved);
		cluster_on_in_force(&reconcile->agent->cluster);
	}
	if (reconcile->has_new_plan) {
		steering_sync_hosts(&reconcile->agent->steering, &reconcile->output.plan,
				    reconcile->generation);
		reconcile->has_new_plan = false;
	}
	loop_timer_clear(&reconcile->agent->loop, &reconcile->timer);
	begin_if_possible(reconcile);
}

void reconcile_on_settled(struct reconcile *reconcile)
{
	const struct links *links = &reconcile->agent->links;

	/* The first one is measured too: its way ends when the first proxy is at work. */
	if (!links->current && !reconcile->agent->is_ready_said)
		return;
	if (reconcile->is_under_way && links_is_settled(links))
		end(reconcile, links_is_in_force(links));
}

static void on_due(struct loop_timer *timer)
{
	struct reconcile *reconcile = CONTAINER_OF(timer, struct reconcile, timer);

	if (reconcile->is_under_way) {
		if (reconcile->agent->links.current)
			log_warning("agent", "generation %" PRIu64 " is not in force after %d ms",
				    reconcile->generation, RECONCILE_SETTLE_MAX_MS);
		end(reconcile, false);
		return;
	}
	begin_if_possible(reconcile);
}

void reconcile_on_change(struct reconcile *reconcile, uint32_t changed)
{
	if (changed && !reconcile->changed)
		reconcile->changed_ns = reconcile->agent->loop.now_ns;
	reconcile->changed |= changed;
	if (!changed &&
	    store_findings_generation(reconcile->store) != reconcile->store_findings_generation)
		gather_findings(reconcile);
	begin_if_possible(reconcile);
}

static void on_source(struct loop_watch *watch, uint32_t events)
{
	struct reconcile *reconcile = CONTAINER_OF(watch, struct reconcile, source_watch);
	uint32_t changed = 0;
	struct err err = { 0 };

	(void)events;
	if (source_dir_step(reconcile->source, &changed, &err))
		log_error("agent", "manifests: %s", err.text);
	reconcile_on_change(reconcile, changed);
}

/* --------------------------------------------------------------------------------- open */

/* Goes on with the ids that a proxy of an earlier agent serves with. */
static void adopt_ids(struct reconcile *reconcile)
{
	struct links *links = &reconcile->agent->links;
	struct str image = { 0 }, endpoints = { 0 };
	struct err err = { 0 };
	int rc;

	if (links->adopted_image < 0 || links->adopted_endpoints < 0)
		return;
	rc = memfd_map_sealed(links->adopted_image, &image, &err);
	if (!rc)
		rc = memfd_map_sealed(links->adopted_endpoints, &endpoints, &err);
	if (!rc)
		rc = compiler_adopt(reconcile->compiler, image, endpoints, &err);
	if (rc)
		log_warning("agent", "ids of the proxy are not kept: %s", err.text);
	if (image.at)
		memfd_unmap(image.at, image.len);
	if (endpoints.at)
		memfd_unmap(endpoints.at, endpoints.len);
}

/*
 * Generations only grow, also for a proxy that an earlier agent told higher ones, and above what
 * was saved.
 */
static void adopt_generation(struct reconcile *reconcile)
{
	const struct link *link = reconcile->agent->links.current;

	reconcile->generation = publisher_generation(&reconcile->agent->publisher);
	for (int i = 0; link && i < PUBLISHED_COUNT; i++)
		if (link->in_force[i] > reconcile->generation)
			reconcile->generation = link->in_force[i];
}

static int open_manifests(struct reconcile *reconcile, struct err *err)
{
	const struct options *options = reconcile->agent->options;
	int rc;

	if (options->manifests.len == 0)
		return 0;
	rc = source_dir_open(options->manifests.at, options->manifests.len, reconcile->store,
			     &reconcile->source, err);

	if (rc)
		return rc;
	reconcile->source_watch.fd = source_dir_fd(reconcile->source);
	reconcile->source_watch.on_event = on_source;
	rc = loop_watch_level(&reconcile->agent->loop, &reconcile->source_watch);
	return rc ? err_set_os(err, rc, "cannot watch the manifests") : 0;
}

static int open_sources(struct reconcile *reconcile, struct err *err)
{
	struct agent *agent = reconcile->agent;
	int rc = open_manifests(reconcile, err);

	if (rc == 0 && cluster_is_wanted(agent->options))
		rc = cluster_open(&agent->cluster, agent, reconcile->store, err);
	return rc;
}

int reconcile_open(struct reconcile *reconcile, struct agent *agent, struct err *err)
{
	int rc;

	*reconcile = (struct reconcile){
		.agent = agent,
		.store = store_new(),
		.timer.on_due = on_due,
		.changed = (1u << OBJECT_KIND_COUNT) - 1,
		.changed_ns = clock_monotonic_ns(),
	};
	mem_keep_freed(); /* each generation needs what the one before gave back */
	findings_init(&reconcile->route_findings);
	findings_init(&reconcile->endpoint_findings);
	findings_init(&reconcile->store_findings);
	findings_init(&reconcile->all);
	compile_output_init(&reconcile->output);
	rc = default_certificate_add(reconcile->store, err);
	if (!rc)
		rc = open_sources(reconcile, err);
	if (rc)
		return rc;
	reconcile->compiler = make_compiler(reconcile);
	adopt_ids(reconcile);
	adopt_generation(reconcile);
	begin_if_possible(reconcile);
	return 0;
}

void reconcile_go_above(struct reconcile *reconcile, const uint64_t generations[PUBLISHED_COUNT])
{
	for (int i = 0; i < PUBLISHED_COUNT; i++)
		if (generations[i] > reconcile->generation)
			reconcile->generation = generations[i];
	reconcile_on_change(reconcile, (1u << OBJECT_KIND_COUNT) - 1);
}

bool reconcile_has_compiled(const struct reconcile *reconcile)
{
	return reconcile->published_ms != 0;
}

void reconcile_use_settings(struct reconcile *reconcile)
{
	reconcile->has_new_settings = true;
	reconcile_on_change(reconcile, (1u << OBJECT_KIND_COUNT) - 1);
}

void reconcile_use_spreads(struct reconcile *reconcile)
{
	if (reconcile->is_frozen || !reconcile->compiler)
		return;
	host_load_tell(&reconcile->agent->host_load, reconcile->compiler);
	reconcile_on_change(reconcile, 1u << OBJECT_KIND_INGRESS);
}

void reconcile_freeze(struct reconcile *reconcile)
{
	struct loop *loop = &reconcile->agent->loop;

	reconcile->is_frozen = true;
	loop_timer_clear(loop, &reconcile->timer);
	if (reconcile->source)
		loop_unwatch(loop, &reconcile->source_watch);
}

void reconcile_close(struct reconcile *reconcile)
{
	if (!reconcile->agent)
		return;
	cluster_close(&reconcile->agent->cluster);
	loop_timer_clear(&reconcile->agent->loop, &reconcile->timer);
	compile_output_release(&reconcile->output);
	compiler_free(reconcile->compiler);
	source_dir_close(reconcile->source);
	store_free(reconcile->store);
	findings_release(&reconcile->route_findings);
	findings_release(&reconcile->endpoint_findings);
	findings_release(&reconcile->store_findings);
	findings_release(&reconcile->all);
	vec_release(&reconcile->said);
}
