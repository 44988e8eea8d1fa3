/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin: a small HTTP/1.1 server for people, sluicectl and Prometheus.
 *
 * It listens on --admin and on run-dir/admin.sock (0600). One request a connection, GET and HEAD
 * only, no body. What can be asked stands in one table (admin.c); what is answered comes from
 * show_*.c and metrics.c. A scraper that is slow costs a buffer, never the loop.
 */
#ifndef SLUICE_AGENT_ADMIN_H
#define SLUICE_AGENT_ADMIN_H

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "event/loop.h"

enum {
	ADMIN_CONNECTIONS_MAX = 64,
	ADMIN_HEAD_BYTES_MAX = 16 * 1024,
	ADMIN_TIMEOUT_MS = 10000,
	ADMIN_PARAMETERS_MAX = 32,
	ADMIN_ANSWER_BYTES_MAX = 64 << 20,
};

struct agent;
struct admin_conn;

struct admin {
	struct agent *agent;
	struct loop_watch tcp_watch, unix_watch; /* fd -1: not there */
	struct admin_conn *first;
	size_t connection_count;
};

/*
 * Listens on @addr (NULL: nowhere), or takes @fd, a socket that does so already (-1: none). Nobody
 * is answered before admin_start. 0 or -errno with a text.
 */
int admin_open(struct admin *admin, struct agent *agent, const struct addr *addr, int fd,
	       struct err *err);
/* Takes the place of whoever listened in the run dir, and answers. 0 or -errno with a text. */
int admin_start(struct admin *admin, struct err *err);
/* Leaves the address to the next agent; connections that are open are still answered. */
void admin_stop(struct admin *admin);
void admin_close(struct admin *admin);

/* ---- for the answers ---------------------------------------------------------------------- */

struct admin_parameter {
	struct str name, value; /* decoded */
};

struct admin_request {
	struct agent *agent;
	struct str path;
	bool is_local; /* it came over the socket in the run dir */
	struct admin_parameter parameters[ADMIN_PARAMETERS_MAX];
	size_t parameter_count;
	bool is_json;
};

struct admin_answer {
	unsigned int status;
	const char *content_type;
	struct buf body;
};

/* The value of the first parameter @name; absent (at == NULL) where there is none. */
struct str admin_parameter(const struct admin_request *request, const char *name);

typedef void admin_handler(const struct admin_request *request, struct admin_answer *answer);

admin_handler metrics_answer;
admin_handler show_status, show_routes, show_explain, show_endpoints, show_certs, show_maps,
	show_flows, show_drops, show_hosts, show_features, show_findings, admin_drain;

#endif
