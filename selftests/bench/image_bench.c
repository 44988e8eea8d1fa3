// SPDX-License-Identifier: Apache-2.0
/*
 * image_bench: what writing, verifying and asking an image costs; endpoints beside it.
 *
 *   image_bench [hosts] [questions]      (10000 hosts of 3 routes, 2,000,000 questions)
 *
 * Each figure is the best and the median of several rounds. Questions come in a random order made
 * beforehand: "one host" is warm, "all hosts" touches the whole image.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/memfd.h"
#include "base/random.h"
#include "image/endpoints.h"
#include "image/writer.h"

enum {
	ROUNDS = 9,
	HOST_TEXT_MAX = 48,
	PATHS_A_HOST = 3,
	ENDPOINT_COUNT = 50000,
	MANY_PATHS = 5000,
};

static const struct siphash_key hash_key = { .k0 = 1, .k1 = 2 };
static const char *const paths[PATHS_A_HOST] = { "/", "/api", "/static/assets" };
static const char *const requests[PATHS_A_HOST] = { "/index.html", "/api/v1/users",
						    "/static/assets/app.js" };

struct times {
	uint64_t ns[ROUNDS];
};

static int compare_u64(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* @per_unit: what a round is divided by to give @unit. */
static void print_times(const char *name, struct times *times, double per_unit, const char *unit)
{
	qsort(times->ns, ROUNDS, sizeof(times->ns[0]), compare_u64);
	printf("  %-44s best %8.2f  median %8.2f %s\n", name, (double)times->ns[0] / per_unit,
	       (double)times->ns[ROUNDS / 2] / per_unit, unit);
}

static void host_text(uint32_t index, char text[HOST_TEXT_MAX])
{
	snprintf(text, HOST_TEXT_MAX, "host-%05u.example.com", index);
}

/* What the compiler has at hand when it begins to write. */
struct host_rules {
	char host[HOST_TEXT_MAX];
	char ingress[HOST_TEXT_MAX];
	char services[PATHS_A_HOST][HOST_TEXT_MAX];
};

static struct host_rules *make_rules(uint32_t hosts)
{
	struct host_rules *rules = mem_new(hosts, sizeof(*rules));

	for (uint32_t i = 0; i < hosts; i++) {
		host_text(i, rules[i].host);
		snprintf(rules[i].ingress, HOST_TEXT_MAX, "ingress-%u", i);
		for (uint32_t j = 0; j < PATHS_A_HOST; j++)
			snprintf(rules[i].services[j], HOST_TEXT_MAX, "svc-%u-%u", i, j);
	}
	return rules;
}

static void add_host(struct image_writer *writer, const struct host_rules *rules, uint32_t index)
{
	struct image_writer_vhost vhost = { .host = str_from_c(rules->host), .owner_spread = 1 };
	uint32_t vhost_index;

	if (image_writer_add_vhost(writer, &vhost, &vhost_index, NULL) != 0)
		abort();
	for (uint32_t i = 0; i < PATHS_A_HOST; i++) {
		struct image_writer_backend backend = { .id = index * PATHS_A_HOST + i,
							.namespace = STR("default"),
							.service = str_from_c(rules->services[i]),
							.port = STR("80") };
		struct image_writer_source source = { .namespace = STR("default"),
						      .ingress = str_from_c(rules->ingress),
						      .file = STR("many.yaml"),
						      .line = index,
						      .path = i };
		struct image_writer_route route = { .vhost = vhost_index,
						    .kind = IMAGE_ROUTE_PREFIX,
						    .path = str_from_c(paths[i]) };

		route.backend = image_writer_add_backend(writer, &backend);
		route.source = image_writer_add_source(writer, &source);
		if (image_writer_add_route(writer, &route, NULL) != 0)
			abort();
	}
}

static struct image_writer *write_image(const struct host_rules *rules, uint32_t hosts,
					struct str *bytes)
{
	struct image_policy policy = { .redirect_status = 308 };
	struct image_writer *writer = image_writer_new(1, hash_key);

	image_writer_add_policy(writer, &policy);
	for (uint32_t i = 0; i < hosts; i++)
		add_host(writer, &rules[i], i);
	if (image_writer_finish(writer, bytes, NULL) != 0)
		abort();
	return writer;
}

/* ----------------------------------------------------------------- questions */

struct question {
	char host[HOST_TEXT_MAX];
	size_t host_len;
	struct str path;
};

static struct question *make_questions(uint32_t hosts, uint32_t count)
{
	struct question *questions = mem_new(count, sizeof(*questions));
	struct random random;

	random_init(&random, 1);
	for (uint32_t i = 0; i < count; i++) {
		host_text(random_below(&random, hosts), questions[i].host);
		questions[i].host_len = strlen(questions[i].host);
		questions[i].path = str_from_c(requests[i % PATHS_A_HOST]);
	}
	return questions;
}

static void bench_questions(const char *name, const struct image *image,
			    const struct question *questions, uint32_t count)
{
	struct times times;
	uint64_t sum = 0;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = clock_monotonic_ns();

		for (uint32_t i = 0; i < count; i++) {
			struct str host = str_of(questions[i].host, questions[i].host_len);
			struct image_match match;

			if (!image_match(image, host, questions[i].path, &match))
				abort();
			sum += match.backend->id + match.policy->redirect_status;
		}
		times.ns[round] = clock_monotonic_ns() - start;
	}
	print_times(name, &times, count, "ns a question");
	if (sum == 0)
		abort();
}

/* The normal forms of a request, as the proxy asks for them before it looks anything up. */
static void bench_keys(uint32_t count)
{
	struct times times;
	size_t sum = 0;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = clock_monotonic_ns();

		for (uint32_t i = 0; i < count; i++) {
			char host_room[HOST_KEY_MAX], path_room[128];
			struct str host, path;

			if (host_key(STR("host-01234.example.com"), host_room, &host) != 0 ||
			    path_key(str_from_c(requests[i % PATHS_A_HOST]), path_room,
				     sizeof(path_room), &path) != 0)
				abort();
			sum += host.len + path.len;
		}
		times.ns[round] = clock_monotonic_ns() - start;
	}
	print_times("host_key + path_key, clean", &times, count, "ns a pair");
	if (sum == 0)
		abort();
}

static void bench_huge_pages(struct str mapped)
{
	uint64_t start = clock_monotonic_ns();
	size_t huge = memfd_use_huge_pages(mapped);

	printf("  %-44s %13.2f ms for %zu bytes\n", "into huge pages",
	       (double)(clock_monotonic_ns() - start) / NS_PER_MS, huge);
}

static void bench_image(uint32_t hosts, uint32_t count)
{
	struct times write_times, open_times;
	struct image_writer *writer = NULL;
	struct image image;
	struct str bytes, mapped;
	struct question *all = make_questions(hosts, count), *one = make_questions(1, count);
	struct host_rules *rules = make_rules(hosts);
	int fd;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start;

		image_writer_free(writer);
		start = clock_monotonic_ns();
		writer = write_image(rules, hosts, &bytes);
		write_times.ns[round] = clock_monotonic_ns() - start;
	}
	fd = memfd_seal("image-bench", bytes, NULL);
	if (fd < 0 || memfd_map_sealed(fd, &mapped, NULL) != 0)
		abort();
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = clock_monotonic_ns();

		if (image_open(mapped, &image, NULL) != 0)
			abort();
		open_times.ns[round] = clock_monotonic_ns() - start;
	}
	printf("%u hosts of %d routes: %zu bytes\n", hosts, PATHS_A_HOST, bytes.len);
	print_times("write", &write_times, 1e6, "ms");
	print_times("verify", &open_times, 1e6, "ms");
	bench_questions("match, one host", &image, one, count);
	bench_questions("match, all hosts", &image, all, count);
	bench_huge_pages(mapped);
	bench_questions("match, all hosts, in huge pages", &image, all, count);
	memfd_unmap(mapped.at, mapped.len);
	close(fd);
	image_writer_free(writer);
	mem_free(rules);
	mem_free(one);
	mem_free(all);
}

/* ---------------------------------------------------- many paths in one host */

static void bench_many_paths(uint32_t count)
{
	struct image_writer *writer = image_writer_new(1, hash_key);
	struct image_policy policy = { .redirect_status = 308 };
	struct image_writer_route route = { .kind = IMAGE_ROUTE_PREFIX };
	struct question *questions = mem_new(count, sizeof(*questions));
	char(*texts)[HOST_TEXT_MAX] = mem_new(MANY_PATHS, HOST_TEXT_MAX);
	struct random random;
	struct image image;
	struct str bytes;

	image_writer_add_policy(writer, &policy);
	image_writer_add_source(writer, &(struct image_writer_source){ 0 });
	image_writer_add_backend(writer, &(struct image_writer_backend){ .id = 1 });
	if (image_writer_add_vhost(writer, &(struct image_writer_vhost){ .host = STR("a.b") },
				   &route.vhost, NULL) != 0)
		abort();
	for (uint32_t i = 0; i < MANY_PATHS; i++) {
		snprintf(texts[i], HOST_TEXT_MAX, "/team-%u/service-%u/v1", i % 20, i);
		route.path = str_from_c(texts[i]);
		if (image_writer_add_route(writer, &route, NULL) != 0)
			abort();
	}
	if (image_writer_finish(writer, &bytes, NULL) != 0 || image_open(bytes, &image, NULL) != 0)
		abort();
	random_init(&random, 1);
	for (uint32_t i = 0; i < count; i++) {
		memcpy(questions[i].host, "a.b", 3);
		questions[i].host_len = 3;
		questions[i].path = str_from_c(texts[random_below(&random, MANY_PATHS)]);
	}
	printf("one host of %d paths\n", MANY_PATHS);
	bench_questions("match, all paths", &image, questions, count);
	image_writer_free(writer);
	mem_free(texts);
	mem_free(questions);
}

/* ----------------------------------------------------------------- endpoints */

static struct endpoints_writer *write_endpoints(char (*names)[HOST_TEXT_MAX], struct str *bytes)
{
	struct endpoints_writer *writer = endpoints_writer_new(1);

	for (uint32_t i = 0; i < ENDPOINT_COUNT; i++) {
		struct endpoints_writer_endpoint endpoint = {
			.id = i,
			.flags = ENDPOINT_READY | ENDPOINT_SERVING,
			.addr = { .ip = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i }, .port = 80 },
		};
		uint32_t index;

		endpoint.name = str_from_c(names[i]);
		if (endpoints_writer_add(writer, &endpoint, &index) != 0 ||
		    endpoints_writer_assign(writer, i / 5, index) != 0)
			abort();
	}
	if (endpoints_writer_finish(writer, bytes, NULL) != 0)
		abort();
	return writer;
}

static void bench_endpoints(void)
{
	char(*names)[HOST_TEXT_MAX] = mem_new(ENDPOINT_COUNT, HOST_TEXT_MAX);
	struct times write_times, open_times;

	for (uint32_t i = 0; i < ENDPOINT_COUNT; i++)
		snprintf(names[i], HOST_TEXT_MAX, "pod-%u-x7k2p", i);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = clock_monotonic_ns();
		struct endpoints endpoints;
		struct str bytes;
		struct endpoints_writer *writer = write_endpoints(names, &bytes);

		write_times.ns[round] = clock_monotonic_ns() - start;
		start = clock_monotonic_ns();
		if (endpoints_open(bytes, &endpoints, NULL) != 0)
			abort();
		open_times.ns[round] = clock_monotonic_ns() - start;
		endpoints_writer_free(writer);
	}
	mem_free(names);
	printf("%d endpoints of %d backends\n", ENDPOINT_COUNT, ENDPOINT_COUNT / 5);
	print_times("write", &write_times, 1e6, "ms");
	print_times("verify", &open_times, 1e6, "ms");
}

int main(int argc, char **argv)
{
	uint64_t hosts = 10000, questions = 2000000;

	if ((argc > 1 && str_parse_u64(str_from_c(argv[1]), 99999, &hosts) != 0) ||
	    (argc > 2 && str_parse_u64(str_from_c(argv[2]), 1u << 24, &questions) != 0) ||
	    hosts == 0 || questions == 0) {
		fputs("image_bench [hosts] [questions]\n", stderr);
		return 2;
	}
	bench_image((uint32_t)hosts, (uint32_t)questions); /* both fit, as parsed */
	bench_many_paths((uint32_t)questions);
	bench_keys((uint32_t)questions);
	bench_endpoints();
	return 0;
}
