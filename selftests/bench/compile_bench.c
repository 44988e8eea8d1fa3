// SPDX-License-Identifier: Apache-2.0
/*
 * compile_bench: how long a generation takes, at the size that DESIGN.md plans for.
 *
 *   compile_bench [INGRESSES [ENDPOINTS [ROUNDS]]]        10000 50000 20
 *
 * Each Ingress has a host and three paths, each Service its own endpoints. Prints
 * CPU time of the first round, which allocates, and best, median and worst of the others.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "compile/compile.h"
#include "unit/compile/objects.h"

enum { NAME_MAX_BYTES = 64, HOSTS_PER_NAMESPACE = 100, PATHS = 3, AGE_STEP = 7919, AGES = 86400 };

struct size {
	unsigned int ingresses, endpoints, rounds;
};

static void add_ingress(struct objects *objects, unsigned int i, unsigned int endpoint_count)
{
	static const char *const paths[PATHS] = { "/", "/api/v1", "/static/img" };
	char namespace[NAME_MAX_BYTES], name[NAME_MAX_BYTES], host[NAME_MAX_BYTES],
		backend[NAME_MAX_BYTES], address[NAME_MAX_BYTES];
	struct object *ingress, *slice;

	snprintf(namespace, sizeof(namespace), "team-%u", i / HOSTS_PER_NAMESPACE);
	snprintf(name, sizeof(name), "app-%u", i);
	snprintf(host, sizeof(host), "app-%u.example.com", i);
	snprintf(backend, sizeof(backend), "app-%u:80", i);
	ingress = objects_ingress(objects, namespace, name);
	ingress->created_s = i * AGE_STEP % AGES; /* age and name go different ways */
	for (int p = 0; p < PATHS; p++)
		objects_path(ingress, host, paths[p], OBJECT_PATH_PREFIX, backend);
	objects_service(objects, namespace, name, "http:80");
	slice = objects_slice(objects, namespace, name, name);
	objects_slice_port(slice, "http", 8080);
	for (unsigned int e = 0; e < endpoint_count; e++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 8 & 255, i & 255, e + 1);
		objects_endpoint(slice, address);
	}
}

static int compare_times(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void print_times(const char *what, double *ms, unsigned int count)
{
	double first = ms[0];

	qsort(ms + 1, count - 1, sizeof(*ms), compare_times);
	printf("%-12s first %7.2f ms   best %7.2f ms   median %7.2f ms   worst %7.2f ms\n", what,
	       first, ms[1], ms[count / 2], ms[count - 1]);
}

/* Time on a processor: what others do on this machine does not count. */
static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static double ms_since(uint64_t start_ns)
{
	return (double)(cpu_ns() - start_ns) / NS_PER_MS;
}

static void run(struct objects *objects, const struct size *size)
{
	const struct compile_options options = { .worker_count = 4 };
	struct compiler *compiler = compiler_new(&options);
	double *routes_ms = mem_new(size->rounds, sizeof(*routes_ms));
	double *endpoints_ms = mem_new(size->rounds, sizeof(*endpoints_ms));
	struct object_set set = objects_set(objects);
	struct compile_output output;
	struct findings findings;

	findings_init(&findings);
	compile_output_init(&output);
	for (unsigned int i = 0; i < size->rounds; i++) {
		uint64_t start_ns = cpu_ns();

		compile_routes(compiler, &set, 2 * i + 1, &output, &findings);
		routes_ms[i] = ms_since(start_ns);
		start_ns = cpu_ns();
		compile_endpoints(compiler, &set, 2 * i + 2, &output, &findings);
		endpoints_ms[i] = ms_since(start_ns);
	}
	printf("%u ingresses, %u paths, %zu endpoint slices: image %zu KiB, endpoints %zu KiB, "
	       "%zu findings\n",
	       size->ingresses, size->ingresses * PATHS, set.of[OBJECT_KIND_ENDPOINT_SLICE].count,
	       output.image.len >> 10, output.endpoints.len >> 10, findings.list.len);
	print_times("routes", routes_ms, size->rounds);
	print_times("endpoints", endpoints_ms, size->rounds);
	mem_free(routes_ms);
	mem_free(endpoints_ms);
	findings_release(&findings);
	compile_output_release(&output);
	compiler_free(compiler);
}

int main(int argc, char **argv)
{
	struct size size = { 10000, 50000, 20 };
	unsigned int *const fields[] = { &size.ingresses, &size.endpoints, &size.rounds };
	struct objects objects;

	for (int i = 1; i < argc && i <= 3; i++) {
		uint64_t value;

		if (str_parse_u64(str_from_c(argv[i]), 1000000, &value) < 0 || value < 2) {
			fprintf(stderr, "usage: compile_bench [INGRESSES [ENDPOINTS [ROUNDS]]]\n");
			return 2;
		}
		*fields[i - 1] = (unsigned int)value;
	}
	objects_init(&objects);
	for (unsigned int i = 0; i < size.ingresses; i++)
		add_ingress(&objects, i, size.endpoints / size.ingresses);
	run(&objects, &size);
	objects_release(&objects);
	return 0;
}
