// SPDX-License-Identifier: Apache-2.0
/*
 * kube_bench: what it costs to load manifests and to follow one change.
 *
 *   kube_bench COUNT DIRECTORY
 *
 * Writes COUNT Ingresses, Services and EndpointSlices into DIRECTORY (which must be
 * empty) twice over: each Ingress with its Service and slice in a file of its own, then
 * all of them in one file; prints CPU time, memory and the time of one change.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "kube/source_dir.h"

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
	       (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

static long resident_kb(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void write_trio(FILE *file, int i, int port)
{
	fprintf(file,
		"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web-%d\n"
		"  namespace: shop\n  creationTimestamp: \"2026-01-02T03:04:05Z\"\n"
		"  annotations:\n    sluice.dev/ssl-redirect: \"false\"\nspec:\n"
		"  ingressClassName: sluice\n  rules:\n  - host: h%d.example\n    http:\n"
		"      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n"
		"          service:\n            name: web-%d\n            port:\n"
		"              number: %d\n      - path: /api\n        pathType: Exact\n"
		"        backend:\n          service:\n            name: web-%d\n"
		"            port:\n              name: http\n",
		i, i, i, port, i);
	fprintf(file,
		"---\napiVersion: v1\nkind: Service\nmetadata:\n  name: web-%d\n"
		"  namespace: shop\nspec:\n  selector:\n    app: web\n  ports:\n"
		"  - name: http\n    port: 80\n    targetPort: 8080\n",
		i);
	fprintf(file,
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n"
		"  name: web-%d\n  namespace: shop\n  labels:\n"
		"    kubernetes.io/service-name: web-%d\naddressType: IPv4\nports:\n"
		"- name: http\n  port: 8080\nendpoints:\n- addresses: [10.0.%d.%d]\n"
		"  conditions:\n    ready: true\n- addresses: [10.1.%d.%d]\n---\n",
		i, i, i / 250 % 250, i % 250, i / 250 % 250, i % 250);
}

static void write_files(const char *dir, int count)
{
	char path[512];

	for (int i = 0; i < count; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/web-%d.yaml", dir, i);
		file = fopen(path, "w");
		if (!file)
			exit(1);
		write_trio(file, i, 80);
		fclose(file);
	}
}

static void write_one(const char *path, int count, int port)
{
	FILE *file = fopen(path, "w");

	if (!file)
		exit(1);
	for (int i = 0; i < count; i++)
		write_trio(file, i, i == count / 2 ? port : 80);
	fclose(file);
}

static struct source_dir *open_timed(const char *path, struct store *store, const char *what)
{
	struct str paths[] = { str_from_c(path) };
	double begin = cpu_s();
	struct source_dir *dir;
	struct err err;

	if (source_dir_open(paths, 1, store, &dir, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	store_set(store);
	printf("%-28s %7.3f s CPU  %6ld MiB  %zu Ingresses\n", what, cpu_s() - begin,
	       resident_kb() / 1024, store_set(store)->of[OBJECT_KIND_INGRESS].count);
	return dir;
}

static void step_timed(struct source_dir *dir, struct store *store, const char *what)
{
	double begin = cpu_s();
	uint32_t changed;
	struct err err;

	source_dir_step(dir, &changed, &err);
	store_set(store);
	printf("%-28s %7.3f ms CPU  changed 0x%x\n", what, (cpu_s() - begin) * 1e3, changed);
}

static void bench_files(const char *base, int count)
{
	struct store *store = store_new();
	struct source_dir *dir;
	char path[512];
	FILE *file;
	uint32_t changed;
	double begin;

	write_files(base, count);
	dir = open_timed(base, store, "load, a file each");
	snprintf(path, sizeof(path), "%s/web-%d.yaml", base, count / 2);
	file = fopen(path, "w");
	if (!file)
		exit(1);
	write_trio(file, count / 2, 81);
	fclose(file);
	step_timed(dir, store, "one file changed");
	begin = cpu_s();
	source_dir_rescan(dir, &changed);
	printf("%-28s %7.3f ms CPU  (files just written: all read again)\n", "rescan",
	       (cpu_s() - begin) * 1e3);
	source_dir_close(dir);
	store_free(store);
}

static void bench_one(const char *base, int count)
{
	struct store *store = store_new();
	struct source_dir *dir;
	char path[512];

	snprintf(path, sizeof(path), "%s/all", base);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/all/all.yaml", base);
	write_one(path, count, 80);
	dir = open_timed(path, store, "load, one file");
	write_one(path, count, 81);
	step_timed(dir, store, "one port in it changed");
	source_dir_close(dir);
	store_free(store);
}

int main(int argc, char **argv)
{
	int count = argc == 3 ? (int)strtol(argv[1], NULL, 10) : 0;

	if (count <= 0) {
		fprintf(stderr, "usage: kube_bench COUNT DIRECTORY\n");
		return 2;
	}
	bench_files(argv[2], count);
	bench_one(argv[2], count);
	return 0;
}
