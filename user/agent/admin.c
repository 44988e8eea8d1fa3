// SPDX-License-Identifier: Apache-2.0
/*
 * admin: accept, read one head, answer, close.
 *
 * The answer is made whole in memory and sent as the socket takes it. Requests come from this node
 * (or from Prometheus), so there is no keepalive to get wrong and no body to wait for; what a
 * stranger could still do (talk slowly, open many connections) is bounded by a timer and a count.
 */
#include "agent/admin.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/h1.h"
#include "wire/h1_write.h"

enum { LISTEN_BACKLOG = 64, ANSWER_HEAD_BYTES_MAX = 512, PATH_BYTES = 4096 };

struct admin_conn {
	struct admin *admin;
	struct admin_conn *next, **at;
	struct loop_watch watch;
	struct loop_timer timer;
	struct loop_task free_task;
	size_t received;
	char head[ADMIN_HEAD_BYTES_MAX];
	struct h1_request request;
	struct buf out; /* head and body of the answer */
	size_t sent;
	bool is_local, is_answered, is_closed;
};

/* ----------------------------------------------------------------------- small answers */

static void healthz(const struct admin_request *request, struct admin_answer *answer)
{
	(void)request;
	buf_add_c(&answer->body, "ok\n");
}

static void readyz(const struct admin_request *request, struct admin_answer *answer)
{
	const char *reason = agent_unready_reason(request->agent);

	if (reason)
		answer->status = 503;
	buf_printf(&answer->body, "%s\n", reason ? reason : "ok");
}

static void list_paths(const struct admin_request *request, struct admin_answer *answer);

/* --------------------------------------------------------------------------- the paths */

struct admin_path {
	const char *path;
	admin_handler *handler;
	const char *help;
	bool is_action; /* POST, and only over the socket in the run dir: its mode says who may */
};

static const struct admin_path paths[] = {
	{ "/", list_paths, "this list", false },
	{ "/healthz", healthz, "200 while the agent turns", false },
	{ "/readyz", readyz, "200 when every worker serves a complete configuration", false },
	{ "/metrics", metrics_answer, "for Prometheus", false },
	{ "/api/v1/status", show_status, "processes, generations, workers, interfaces", false },
	{ "/api/v1/routes", show_routes, "what is served, or ?conflicts=1: what is not", false },
	{ "/api/v1/explain", show_explain, "?url=: which route and endpoint, and why", false },
	{ "/api/v1/endpoints", show_endpoints, "endpoints of every backend", false },
	{ "/api/v1/certs", show_certs, "certificates by server name", false },
	{ "/api/v1/maps", show_maps, "BPF maps", false },
	{ "/api/v1/flows", show_flows, "connections that XDP steers", false },
	{ "/api/v1/hosts", show_hosts, "which workers a host has, and why", false },
	{ "/api/v1/drops", show_drops, "what was dropped and why", false },
	{ "/api/v1/features", show_features, "what this kernel has", false },
	{ "/api/v1/findings", show_findings, "what is wrong with objects", false },
	{ "/api/v1/drain", admin_drain, "POST: finish what is under way, take nothing new", true },
};

enum { PATH_COUNT = sizeof(paths) / sizeof(*paths) };

static void list_paths(const struct admin_request *request, struct admin_answer *answer)
{
	(void)request;
	buf_add_c(&answer->body, "sluice " SLUICE_VERSION "\n\n");
	for (size_t i = 0; i < PATH_COUNT; i++)
		buf_printf(&answer->body, "%-20s %s\n", paths[i].path, paths[i].help);
	buf_add_c(&answer->body, "\nformat=text or format=json (default) below /api/v1\n");
}

/* -------------------------------------------------------------------------- parameters */

/* "%41+b" of a query: in @room, which holds @text.len bytes. Malformed escapes stay as they are. */
static struct str decode(struct str text, char *room)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		int high = -1, low = -1;

		if (c == '%' && i + 2 < text.len) {
			high = char_hex_value(text.at[i + 1]);
			low = char_hex_value(text.at[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			room[len++] = (char)(high << 4 | low);
			i += 2;
		} else {
			room[len++] = c == '+' ? ' ' : c;
		}
	}
	return str_of(room, len);
}

/* @room: as many bytes as the query has. */
static void parse_query(struct admin_request *request, struct str query, char *room)
{
	struct str rest = query, part;

	while (request->parameter_count < ADMIN_PARAMETERS_MAX &&
	       str_take_part(&rest, '&', &part)) {
		struct admin_parameter *parameter = &request->parameters[request->parameter_count];
		size_t equals = str_find_char(part, '=');

		if (part.len == 0)
			continue;
		parameter->name = decode(str_slice(part, 0, equals), room);
		room += parameter->name.len;
		parameter->value = decode(str_slice(part, equals + 1, part.len), room);
		room += parameter->value.len;
		request->parameter_count++;
	}
}

struct str admin_parameter(const struct admin_request *request, const char *name)
{
	for (size_t i = 0; i < request->parameter_count; i++)
		if (str_eq_c(request->parameters[i].name, name))
			return request->parameters[i].value;
	return str_of(NULL, 0);
}

/* ------------------------------------------------------------------------------ answer */

static const struct admin_path *find_path(struct str path)
{
	for (size_t i = 0; i < PATH_COUNT; i++)
		if (str_eq_c(path, paths[i].path))
			return &paths[i];
	return NULL;
}

/* True where the handler may be asked; else @answer says why not. */
static bool is_allowed(const struct admin_conn *conn, const struct admin_path *path,
		       struct admin_answer *answer)
{
	enum h1_method method = conn->request.method;
	bool is_action = path && path->is_action;

	if (is_action ? method != H1_METHOD_POST
		      : method != H1_METHOD_GET && method != H1_METHOD_HEAD) {
		answer->status = 405;
		buf_add_c(&answer->body, is_action ? "only POST\n" : "only GET and HEAD\n");
	} else if (!path) {
		answer->status = 404;
		buf_add_c(&answer->body, "no such path; / lists them\n");
	} else if (is_action && !conn->is_local) {
		answer->status = 403;
		buf_add_c(&answer->body, "only over admin.sock in the run dir\n");
	} else {
		return true;
	}
	return false;
}

static void make_answer(struct admin_conn *conn, struct admin_answer *answer)
{
	const struct h1_request *head = &conn->request;
	struct str query = h1_str(&head->head, head->query);
	struct admin_request request = {
		.agent = conn->admin->agent,
		.path = h1_str(&head->head, head->path),
	};
	char room[ADMIN_HEAD_BYTES_MAX];
	const struct admin_path *path = find_path(request.path);

	if (!is_allowed(conn, path, answer))
		return;
	if (head->has_query)
		parse_query(&request, query, room);
	request.is_json = str_starts_with(request.path, STR("/api/")) &&
			  !str_eq_c(admin_parameter(&request, "format"), "text");
	if (request.is_json)
		answer->content_type = "application/json";
	path->handler(&request, answer);
}

static void write_answer(struct admin_conn *conn, const struct admin_answer *answer)
{
	char head[ANSWER_HEAD_BYTES_MAX];
	struct h1_out out;

	h1_out_init(&out, head, sizeof(head));
	h1_add_status_line(&out, answer->status);
	h1_add_field(&out, STR("Content-Type"), str_from_c(answer->content_type));
	h1_add_field_u64(&out, STR("Content-Length"), answer->body.len);
	h1_add_field(&out, STR("Cache-Control"), STR("no-store"));
	h1_add_field(&out, STR("Connection"), STR("close"));
	h1_add_end(&out);
	buf_add(&conn->out, str_of(out.at, out.len));
	if (conn->request.method != H1_METHOD_HEAD)
		buf_add(&conn->out, buf_str(&answer->body));
}

static void answer_request(struct admin_conn *conn, unsigned int refused_status)
{
	struct admin_answer answer = {
		.status = 200,
		.content_type = "text/plain; charset=utf-8",
	};

	buf_init(&answer.body, ADMIN_ANSWER_BYTES_MAX);
	if (refused_status)
		answer.status = refused_status;
	else
		make_answer(conn, &answer);
	if (answer.body.is_cut) {
		buf_reset(&answer.body);
		answer.status = 500;
		buf_add_c(&answer.body, "the answer is too long: ask for less\n");
	}
	write_answer(conn, &answer);
	buf_release(&answer.body);
	conn->is_answered = true;
}

/* -------------------------------------------------------------------------- connections */

static void free_conn(struct loop_task *task)
{
	struct admin_conn *conn = CONTAINER_OF(task, struct admin_conn, free_task);

	buf_release(&conn->out);
	mem_free(conn);
}

static void close_conn(struct admin_conn *conn)
{
	struct loop *loop = &conn->admin->agent->loop;

	if (conn->is_closed)
		return;
	conn->is_closed = true;
	*conn->at = conn->next;
	if (conn->next)
		conn->next->at = conn->at;
	conn->admin->connection_count--;
	loop_timer_clear(loop, &conn->timer);
	loop_unwatch(loop, &conn->watch);
	close(conn->watch.fd);
	conn->watch.fd = -1;
	agent_on_admin_answered(conn->admin->agent);
	conn->free_task.run = free_conn;
	loop_defer(loop, &conn->free_task);
}

static void send_answer(struct admin_conn *conn)
{
	while (conn->sent < conn->out.len) {
		ssize_t len = send(conn->watch.fd, conn->out.at + conn->sent,
				   conn->out.len - conn->sent, MSG_NOSIGNAL);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0)
			break;
		conn->sent += (size_t)len;
	}
	close_conn(conn);
}

static void receive(struct admin_conn *conn)
{
	while (!conn->is_answered) {
		size_t room = sizeof(conn->head) - conn->received;
		ssize_t len = room ? recv(conn->watch.fd, conn->head + conn->received, room, 0) : 0;
		enum h1_progress progress;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EAGAIN)
			return;
		if (len <= 0) {
			close_conn(conn);
			return;
		}
		conn->received += (size_t)len;
		progress = h1_request_parse(&conn->request, str_of(conn->head, conn->received));
		if (progress != H1_MORE)
			answer_request(conn, progress == H1_REFUSED
						     ? h1_reason_status(conn->request.head.reason)
						     : 0);
	}
}

static void on_conn_event(struct loop_watch *watch, uint32_t events)
{
	struct admin_conn *conn = CONTAINER_OF(watch, struct admin_conn, watch);

	(void)events;
	if (!conn->is_answered)
		receive(conn);
	if (conn->is_answered && !conn->is_closed)
		send_answer(conn);
}

static void on_conn_due(struct loop_timer *timer)
{
	close_conn(CONTAINER_OF(timer, struct admin_conn, timer));
}

static void open_conn(struct admin *admin, int fd, bool is_local)
{
	struct loop *loop = &admin->agent->loop;
	struct admin_conn *conn;

	if (admin->connection_count >= ADMIN_CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	conn = mem_new(1, sizeof(*conn));
	conn->admin = admin;
	conn->is_local = is_local;
	conn->watch = (struct loop_watch){ .fd = fd, .on_event = on_conn_event };
	conn->timer.on_due = on_conn_due;
	buf_init(&conn->out, ADMIN_ANSWER_BYTES_MAX + ANSWER_HEAD_BYTES_MAX);
	h1_request_init(&conn->request, sizeof(conn->head));
	conn->next = admin->first;
	conn->at = &admin->first;
	if (conn->next)
		conn->next->at = &conn->next;
	admin->first = conn;
	admin->connection_count++;
	loop_timer_set(loop, &conn->timer, loop->now_ms + ADMIN_TIMEOUT_MS);
	if (loop_watch(loop, &conn->watch))
		close_conn(conn);
}

static void accept_all(struct admin *admin, int listen_fd, bool is_local)
{
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		open_conn(admin, fd, is_local);
}

static void on_tcp(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	accept_all(CONTAINER_OF(watch, struct admin, tcp_watch), watch->fd, false);
}

static void on_unix(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	accept_all(CONTAINER_OF(watch, struct admin, unix_watch), watch->fd, true);
}

/* ------------------------------------------------------------------------- open, close */

static int listen_on(struct loop_watch *watch, const struct sockaddr *sa, socklen_t len)
{
	int one = 1;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t mask;
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (sa->sa_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	mask = umask(0177); /* the file of the unix socket: 0600 from its first moment on */
	if (bind(fd, sa, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		rc = -errno;
	umask(mask);
	if (rc) {
		close(fd);
		return rc;
	}
	watch->fd = fd;
	return 0;
}

static int open_tcp(struct admin *admin, const struct addr *addr, struct err *err)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	char text[ADDR_TEXT_MAX];
	int rc = listen_on(&admin->tcp_watch, (struct sockaddr *)&sa, len);

	return rc ? err_set_os(err, rc, "cannot listen on '%s' for --admin",
			       addr_format(addr, text))
		  : 0;
}

/* Renamed into its place, so that at no moment nobody listens there: the run dir is ours. */
static int open_unix(struct admin *admin, struct err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char path[sizeof(sa.sun_path)];
	int len = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.new",
			   admin->agent->options->run_dir, CONTROL_ADMIN_NAME);
	int rc;

	if (len < 0 || (size_t)len >= sizeof(sa.sun_path))
		return err_set(err, -ENAMETOOLONG, "run dir '%s' is too long for a socket",
			       admin->agent->options->run_dir);
	snprintf(path, sizeof(path), "%.*s", len - 4, sa.sun_path);
	unlink(sa.sun_path);
	rc = listen_on(&admin->unix_watch, (struct sockaddr *)&sa, sizeof(sa));
	if (!rc && rename(sa.sun_path, path) < 0)
		rc = -errno;
	return rc ? err_set_os(err, rc, "cannot listen on '%s'", path) : 0;
}

int admin_open(struct admin *admin, struct agent *agent, const struct addr *addr, int fd,
	       struct err *err)
{
	*admin = (struct admin){
		.agent = agent,
		.tcp_watch = { .fd = fd, .on_event = on_tcp },
		.unix_watch = { .fd = -1, .on_event = on_unix },
	};
	return addr && fd < 0 ? open_tcp(admin, addr, err) : 0;
}

int admin_start(struct admin *admin, struct err *err)
{
	struct loop *loop = &admin->agent->loop;
	int rc = open_unix(admin, err);

	if (rc)
		return rc;
	rc = loop_watch_level(loop, &admin->unix_watch);
	if (!rc && admin->tcp_watch.fd >= 0)
		rc = loop_watch_level(loop, &admin->tcp_watch);
	return rc ? err_set_os(err, rc, "cannot watch the admin sockets") : 0;
}

void admin_stop(struct admin *admin)
{
	if (admin->tcp_watch.fd < 0)
		return;
	loop_unwatch(&admin->agent->loop, &admin->tcp_watch);
	close(admin->tcp_watch.fd);
	admin->tcp_watch.fd = -1;
}

void admin_close(struct admin *admin)
{
	struct admin_conn *next;

	if (!admin->agent)
		return;
	for (struct admin_conn *conn = admin->first; conn; conn = next) {
		next = conn->next;
		close(conn->watch.fd);
		free_conn(&conn->free_task);
	}
	admin->first = NULL;
	if (admin->tcp_watch.fd >= 0)
		close(admin->tcp_watch.fd);
	if (admin->unix_watch.fd >= 0)
		close(admin->unix_watch.fd);
}
