/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: a small site for tests: workers that run in threads, with a config that was
 * written, sealed, mapped and verified like a real one, but without an agent.
 *
 *   site_init(&site, worker_count);
 *   site_route(&site, "a.test", "/", backend, policy);   site_endpoint(&site, backend, &addr);
 *   site_listen(&site, false);  site_start(&site);
 *   ...connect to site.http[worker]
 *   site_release(&site);
 */
#ifndef SLUICE_SELFTESTS_UNIT_PROXY_SITE_H
#define SLUICE_SELFTESTS_UNIT_PROXY_SITE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "image/writer.h"
#include "proxy/workers.h"

enum { SITE_WORKERS_MAX = 8, SITE_ROUTES_MAX = 16, SITE_ENDPOINTS_MAX = 16 };

struct site_route {
	const char *host, *path;
	uint32_t backend;
	struct image_policy policy;
	uint16_t owner_first, owner_spread;
	bool has_tls;
};

struct site {
	struct workers workers;
	struct worker_settings settings;
	struct counters counters[SITE_WORKERS_MAX];
	struct loop main_loop;
	struct site_route routes[SITE_ROUTES_MAX];
	size_t route_count;
	struct {
		uint32_t backend;
		uint8_t flags;
		struct addr addr;
	} endpoints[SITE_ENDPOINTS_MAX];
	size_t endpoint_count;
	uint32_t image_flags;
	struct str chain, key; /* PEM of the default certificate; empty: none */
	uint64_t generation;
	/* the listening sockets' addresses, by worker */
	struct addr http[SITE_WORKERS_MAX], https[SITE_WORKERS_MAX];
	int fds[2 * SITE_WORKERS_MAX];
	size_t fd_count;
};

static inline void site_must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "site: %s: %s\n", what, strerror(-rc));
	abort();
}

static inline struct image_policy site_policy(void)
{
	return (struct image_policy){
		.redirect_status = 308,
		.connect_timeout_ms = 5000,
		.read_timeout_ms = 60000,
		.send_timeout_ms = 60000,
	};
}

static inline void site_init(struct site *site, uint32_t worker_count)
{
	memset(site, 0, sizeof(*site));
	site->settings = worker_settings_default();
	site->settings.worker_count = worker_count;
	site->settings.connections_max = 4096;
	site_must(loop_init(&site->main_loop, NULL, site, NULL), "loop");
}

/* Before site_start. */
static inline void site_make_workers(struct site *site)
{
	struct err err = { 0 };
	int rc = workers_init(&site->workers, &site->settings, site->counters, &site->main_loop,
			      &err);

	if (rc < 0)
		fprintf(stderr, "%s\n", err.text);
	site_must(rc, "workers");
}

static inline struct site_route *site_add_route(struct site *site, const char *host,
						const char *path, uint32_t backend)
{
	struct site_route *route = &site->routes[site->route_count++];

	*route = (struct site_route){
		.host = host, .path = path, .backend = backend, .policy = site_policy()
	};
	return route;
}

static inline void site_add_endpoint(struct site *site, uint32_t backend, const struct addr *addr,
				     uint8_t flags)
{
	site->endpoints[site->endpoint_count].backend = backend;
	site->endpoints[site->endpoint_count].flags = flags;
	site->endpoints[site->endpoint_count++].addr = *addr;
}

/* A listening socket on a free port of 127.0.0.1; *@addr says which. */
static inline int site_socket(struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int one = 1, fd;

	if (addr->port == 0)
		addr_parse(STR("127.0.0.1:0"), addr, NULL);
	len = addr_to_sockaddr(addr, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	site_must(bind(fd, (struct sockaddr *)&sa, len), "bind");
	site_must(listen(fd, 1024), "listen");
	len = sizeof(sa);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	addr_from_sockaddr(&sa, addr);
	return fd;
}

static inline void site_listen(struct site *site, bool is_tls)
{
	for (uint32_t i = 0; i < site->settings.worker_count; i++) {
		struct addr *addr = is_tls ? &site->https[i] : &site->http[i];
		int fd = site_socket(addr);

		site->fds[site->fd_count++] = fd;
		site_must(worker_add_listener(site->workers.at[i], fd, addr, is_tls), "listener");
	}
}

static inline void site_use(struct config *config, enum config_kind kind, struct str bytes,
			    uint64_t generation)
{
	struct config_segment *segment;
	struct err err = { 0 };
	int fd = memfd_seal("site", bytes, &err), rc;

	site_must(fd, err.text);
	rc = config_segment_open(kind, fd, generation, &segment, &err);
	site_must(rc, err.text);
	config_set(config, kind, segment);
	config_segment_put(segment);
}

static inline void site_write_image(struct site *site, struct config *config)
{
	struct image_writer *writer =
		image_writer_new(site->generation, (struct siphash_key){ 1, 2 });
	uint32_t vhosts[SITE_ROUTES_MAX];
	struct err err = { 0 };
	struct str bytes;

	for (size_t i = 0; i < site->route_count; i++) {
		const struct site_route *route = &site->routes[i];
		struct image_writer_vhost vhost = {
			.host = str_from_c(route->host),
			.has_tls = route->has_tls,
			.owner_first = route->owner_first,
			.owner_spread = route->owner_spread,
		};
		struct image_writer_backend backend = { .id = route->backend,
							.namespace = STR("default"),
							.service = STR("s"),
							.port = STR("80") };
		struct image_writer_source source = { .namespace = STR("default"),
						      .ingress = STR("site"),
						      .file = STR("") };
		struct image_writer_route made = { .kind = IMAGE_ROUTE_PREFIX,
						   .path = str_from_c(route->path) };

		vhosts[i] = IMAGE_NONE;
		for (size_t k = 0; k < i; k++)
			if (strcmp(site->routes[k].host, route->host) == 0)
				vhosts[i] = vhosts[k];
		if (vhosts[i] == IMAGE_NONE)
			site_must(image_writer_add_vhost(writer, &vhost, &vhosts[i], &err),
				  err.text);
		made.vhost = vhosts[i];
		made.backend = route->backend == UINT32_MAX
				       ? IMAGE_NONE
				       : image_writer_add_backend(writer, &backend);
		made.policy = image_writer_add_policy(writer, &route->policy);
		made.source = image_writer_add_source(writer, &source);
		site_must(image_writer_add_route(writer, &made, &err), err.text);
	}
	image_writer_set_flags(writer, site->image_flags);
	site_must(image_writer_finish(writer, &bytes, &err), err.text);
	site_use(config, CONFIG_IMAGE, bytes, site->generation);
	image_writer_free(writer);
}

static inline void site_write_endpoints(struct site *site, struct config *config)
{
	struct endpoints_writer *writer = endpoints_writer_new(site->generation);
	struct err err = { 0 };
	struct str bytes;

	for (size_t i = 0; i < site->endpoint_count; i++) {
		struct endpoints_writer_endpoint endpoint = {
			.id = (uint32_t)i,
			.addr = site->endpoints[i].addr,
			.flags = site->endpoints[i].flags,
			.weight = 1,
			.name = STR(""),
		};
		uint32_t index;

		site_must(endpoints_writer_add(writer, &endpoint, &index), "endpoint");
		site_must(endpoints_writer_assign(writer, site->endpoints[i].backend, index),
			  "assign");
	}
	site_must(endpoints_writer_finish(writer, &bytes, &err), err.text);
	site_use(config, CONFIG_ENDPOINTS, bytes, site->generation);
	endpoints_writer_free(writer);
}

static inline void site_write_certs(struct site *site, struct config *config)
{
	struct certs_writer *writer =
		certs_writer_new(site->generation, (struct siphash_key){ 1, 2 });
	struct certs_writer_cert cert = { .chain = site->chain,
					  .key = site->key,
					  .namespace = STR("default"),
					  .secret = STR("site") };
	struct err err = { 0 };
	struct str bytes;

	if (site->chain.len > 0)
		certs_writer_set_default(writer, certs_writer_add(writer, &cert));
	site_must(certs_writer_finish(writer, &bytes, &err), err.text);
	site_use(config, CONFIG_CERTS, bytes, site->generation);
	certs_writer_free(writer);
}

/* Writes what the site has now and publishes it. */
static inline void site_publish(struct site *site, bool is_draining)
{
	struct config *config = config_new(site->workers.published);

	site->generation++;
	config->is_draining = is_draining;
	site_write_image(site, config);
	site_write_endpoints(site, config);
	site_write_certs(site, config);
	workers_publish(&site->workers, config);
}

/* Waits, at most 5 s, until every worker has the published config; frees those before. */
static inline bool site_settle(struct site *site)
{
	for (int i = 0; i < 5000; i++) {
		const struct config *reached = workers_settle(&site->workers);

		if (reached && reached == site->workers.published)
			return true;
		usleep(1000);
	}
	return false;
}

static inline void site_start(struct site *site)
{
	struct err err = { 0 };

	site_publish(site, false);
	site_must(workers_start(&site->workers, &err), err.text);
	workers_accept_now(&site->workers);
}

static inline void site_release(struct site *site)
{
	workers_stop(&site->workers);
	workers_release(&site->workers);
	loop_release(&site->main_loop);
	for (size_t i = 0; i < site->fd_count; i++)
		close(site->fds[i]);
}

#endif
