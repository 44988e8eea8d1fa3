// SPDX-License-Identifier: Apache-2.0
/*
 * kube_driver: the API client alone, for tests: no compiler, no proxy.
 *
 *   kube_driver KUBECONFIG [NAMESPACE]
 *
 * Says `change MASK` when something changed, and answers lines on its standard
 * input: `dump`, `findings`, `stats`, `quit`. An answer ends with a line `.`.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "kube/source_api.h"

struct driver {
	struct loop loop;
	struct loop_watch input;
	struct kubeconfig config;
	struct api_client *client;
	struct store *store;
	struct source_api *source;
	uint64_t started_ns;
};

static void say(struct str text)
{
	fwrite(text.at, 1, text.len, stdout);
	fflush(stdout);
}

static void on_change(void *owner, uint32_t changed)
{
	struct driver *driver = owner;

	printf("change %u %llu\n", changed,
	       (unsigned long long)((clock_monotonic_ns() - driver->started_ns) / NS_PER_US));
	fflush(stdout);
}

static void say_findings(struct driver *driver, struct buf *out)
{
	struct findings findings;

	findings_init(&findings);
	store_findings(driver->store, &findings);
	for (size_t i = 0; i < findings.list.len; i++) {
		finding_format(&findings.list.at[i], out);
		buf_add_char(out, '\n');
	}
	findings_release(&findings);
}

static void say_stats(struct driver *driver, struct buf *out)
{
	const struct object_set *set = store_set(driver->store);
	struct source_api_stats source;
	struct api_client_stats client;
	struct rusage usage;

	source_api_stats(driver->source, &source);
	api_client_stats(driver->client, &client);
	getrusage(RUSAGE_SELF, &usage);
	buf_printf(out, "complete %d\nwatches %zu\nfollowing %zu\nlists %llu\nresumes %llu\n",
		   source_api_is_complete(driver->source), source.watches, source.following,
		   (unsigned long long)source.lists, (unsigned long long)source.resumes);
	buf_printf(out, "objects %llu\nunchanged %llu\nrequests %llu\nfailures %llu\nresets %llu\n",
		   (unsigned long long)source.objects, (unsigned long long)source.unchanged,
		   (unsigned long long)client.requests, (unsigned long long)client.failures,
		   (unsigned long long)client.resets);
	buf_printf(out, "bytes %llu\nunder_way %u\nmax_rss_kb %ld\n",
		   (unsigned long long)client.bytes, client.under_way, usage.ru_maxrss);
	buf_printf(out, "cpu_ms %ld\n",
		   usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000);
	for (int kind = 0; kind < OBJECT_KIND_COUNT; kind++)
		buf_printf(out, "%s %zu\n", object_kind_name((enum object_kind)kind),
			   set->of[kind].count);
}

static void answer(struct driver *driver, struct str line)
{
	struct buf out;

	buf_init(&out, 0);
	if (str_eq(line, STR("dump")))
		store_dump(driver->store, &out);
	else if (str_eq(line, STR("findings")))
		say_findings(driver, &out);
	else if (str_eq(line, STR("stats")))
		say_stats(driver, &out);
	else if (str_eq(line, STR("quit")))
		loop_stop(&driver->loop);
	buf_add_c(&out, ".\n");
	say(buf_str(&out));
	buf_release(&out);
}

static void on_input(struct loop_watch *watch, uint32_t events)
{
	struct driver *driver = CONTAINER_OF(watch, struct driver, input);
	char text[256];
	ssize_t got = read(STDIN_FILENO, text, sizeof(text));
	struct str rest = str_of(text, got > 0 ? (size_t)got : 0), line;

	(void)events;
	if (got <= 0) {
		loop_stop(&driver->loop);
		return;
	}
	while (str_take_part(&rest, '\n', &line)) {
		if (line.len)
			answer(driver, line);
	}
}

static int run(struct driver *driver, const char *path, const char *namespace, struct err *err)
{
	struct source_api_options options = { .on_change = on_change, .owner = driver };
	int rc = kubeconfig_read(&driver->config, path, NULL, err);

	if (rc < 0)
		return rc;
	rc = api_client_open(&driver->config, &driver->loop, &driver->client, err);
	if (rc < 0)
		return rc;
	options.namespace = str_from_c(namespace);
	driver->store = store_new();
	driver->source = source_api_open(driver->client, &driver->loop, driver->store, &options);
	driver->input = (struct loop_watch){ .fd = STDIN_FILENO, .on_event = on_input };
	loop_watch_level(&driver->loop, &driver->input);
	loop_run(&driver->loop);
	source_api_close(driver->source);
	api_client_close(driver->client);
	store_free(driver->store);
	return 0;
}

int main(int argc, char **argv)
{
	static struct driver driver;
	struct err err = { 0 };
	int rc;

	if (argc < 2)
		return 2;
	log_set_level(LOG_LEVEL_DEBUG);
	driver.started_ns = clock_monotonic_ns();
	rc = loop_init(&driver.loop, NULL, NULL, &err);
	if (rc == 0)
		rc = run(&driver, argv[1], argc > 2 ? argv[2] : NULL, &err);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.text);
	loop_release(&driver.loop);
	kubeconfig_release(&driver.config);
	return rc < 0;
}
