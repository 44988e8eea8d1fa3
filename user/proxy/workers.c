// SPDX-License-Identifier: Apache-2.0
/* workers: see workers.h. */
#include "proxy/workers.h"

#include <errno.h>
#include <signal.h>

#include "base/mem.h"

int workers_init(struct workers *workers, const struct worker_settings *settings,
		 struct counters *counters, struct loop *main_loop, struct err *err)
{
	uint32_t count = settings->worker_count;

	*workers = (struct workers){ .settings = *settings, .counters = counters };
	workers->at = mem_try_new(count, sizeof(*workers->at));
	if (!workers->at)
		return err_set(err, -ENOMEM, "no memory for %u workers", count);
	for (uint32_t i = 0; i < count; i++) {
		struct worker *worker = mem_try_aligned(sizeof(*worker), WORKER_ALIGN_BYTES);
		int rc = worker ? worker_init(worker, i, &workers->settings, &counters[i], err)
				: err_set(err, -ENOMEM, "no memory for worker %u", i);

		if (rc < 0) {
			mem_free(worker);
			workers_release(workers);
			return rc;
		}
		worker->workers = workers->at;
		worker->main_loop = main_loop;
		workers->at[workers->count++] = worker;
	}
	return 0;
}

void workers_release(struct workers *workers)
{
	for (uint32_t i = 0; i < workers->count; i++) {
		worker_release(workers->at[i]);
		mem_free(workers->at[i]);
	}
	mem_free(workers->at);
	while (workers->retired) {
		struct config *config = workers->retired;

		workers->retired = config->next;
		config_free(config);
	}
	config_free(workers->published);
	*workers = (struct workers){ 0 };
}

int workers_start(struct workers *workers, struct err *err)
{
	sigset_t all, before;
	int rc = 0;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (uint32_t i = 0; i < workers->count && rc == 0; i++) {
		struct worker *worker = workers->at[i];

		rc = pthread_create(&worker->thread, NULL, worker_thread, worker);
		worker->is_running = rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	workers->is_running = true;
	return rc ? err_set_os(err, -rc, "start a worker") : 0;
}

void workers_accept_now(struct workers *workers)
{
	for (uint32_t i = 0; i < workers->count; i++)
		worker_accept_now(workers->at[i]);
}

void workers_stop(struct workers *workers)
{
	for (uint32_t i = 0; i < workers->count; i++)
		worker_stop(workers->at[i]);
	for (uint32_t i = 0; i < workers->count; i++) {
		if (workers->at[i]->is_running)
			pthread_join(workers->at[i]->thread, NULL);
		workers->at[i]->is_running = false;
	}
	workers->is_running = false;
}

void workers_publish(struct workers *workers, struct config *config)
{
	if (workers->published) {
		workers->published->next = workers->retired;
		workers->retired = workers->published;
	}
	workers->published = config;
	for (uint32_t i = 0; i < workers->count; i++)
		worker_publish(workers->at[i], config);
}

static uint64_t lowest_serial(const struct workers *workers)
{
	uint64_t lowest = UINT64_MAX;

	for (uint32_t i = 0; i < workers->count; i++) {
		uint64_t serial = worker_config_serial(workers->at[i]);

		lowest = serial < lowest ? serial : lowest;
	}
	return lowest;
}

const struct config *workers_settle(struct workers *workers)
{
	uint64_t lowest = lowest_serial(workers);
	struct config **link = &workers->retired;
	const struct config *reached = NULL;

	if (workers->published && workers->published->serial <= lowest)
		reached = workers->published;
	while (*link) {
		struct config *config = *link;

		if (!reached && config->serial <= lowest)
			reached = config;
		if (config->serial < lowest) {
			*link = config->next;
			config_free(config);
		} else {
			link = &config->next;
		}
	}
	return reached;
}

uint64_t workers_connections(const struct workers *workers)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < workers->count; i++)
		count += counter_read(&workers->counters[i].connections_active);
	return count;
}

void workers_set_logging(struct workers *workers, bool is_on)
{
	for (uint32_t i = 0; i < workers->count; i++)
		__atomic_store_n(&workers->at[i]->is_log_on, is_on, __ATOMIC_RELAXED);
}
