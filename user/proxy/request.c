// SPDX-License-Identifier: Apache-2.0
/* request: see request.h. */
#include "proxy/request.h"

#include <errno.h>

#include "image/key.h"
#include "proxy/access_log.h"
#include "proxy/worker_tls.h"
#include "wire/scan.h"

/* ------------------------------------------------------------------- routes */

static bool refuse(struct request_refusal *refusal, unsigned status, enum answer_reason reason)
{
	refusal->status = status;
	refusal->reason = reason;
	return false;
}

/* The path as it is routed by. An absolute target may have none, OPTIONS may ask for "*". */
static struct str path_of(const struct h1_request *request)
{
	struct str path = h1_str(&request->head, request->path);

	if (path.len == 0 || request->target_form == H1_TARGET_ASTERISK)
		return STR("/");
	return path;
}

static bool is_over_https(const struct stream *stream, const struct h1_request *request)
{
	const struct conn *conn = stream->conn;
	struct str said = h1_value(&request->head, HEADER_X_FORWARDED_PROTO);

	if (conn->is_trusted && said.at)
		return str_eq_nocase(said, STR("https"));
	return conn->listener->is_tls;
}

static bool wants_https(const struct image_match *match, struct str path)
{
	uint32_t flags = match->policy->flags;
	bool has_tls = match->vhost && (match->vhost->flags & IMAGE_VHOST_TLS);

	if (!(flags & IMAGE_POLICY_FORCE_SSL_REDIRECT) &&
	    !((flags & IMAGE_POLICY_SSL_REDIRECT) && has_tls))
		return false;
	/* A certificate that does not exist yet is asked for over plain HTTP (RFC 8555 8.3). */
	return !str_starts_with(path, STR("/.well-known/acme-challenge"));
}

/* "https://host/path?query"; SEMANTICS.md 3.4, ssl-redirect. */
static bool redirect(struct stream *stream, const struct h1_request *request,
		     const struct image_policy *policy, struct request_refusal *refusal)
{
	bool keeps_slash = policy->profile != IMAGE_PROFILE_INGRESS_NGINX ||
			   (policy->flags & IMAGE_POLICY_PRESERVE_TRAILING_SLASH);
	struct h1_out out;

	h1_out_init(&out, stream->worker->tx + SCRATCH_TX_BYTES / 2, SCRATCH_TX_BYTES / 2);
	h1_add(&out, STR("https://"));
	h1_add(&out, h1_str(&request->head, request->host));
	h1_add(&out, path_of(request));
	if (request->has_query) {
		h1_add(&out, STR("?"));
		h1_add(&out, h1_str(&request->head, request->query));
	}
	if (!keeps_slash && out.len > 0 && out.at[out.len - 1] == '/')
		out.len--;
	refusal->location = str_of(out.at, out.len);
	worker_count(stream->worker, redirects);
	return refuse(refusal, policy->redirect_status, ANSWER_REDIRECT);
}

static void copy_policy(struct stream *stream, const struct image_policy *policy)
{
	stream->policy = (struct stream_policy){
		.connect_timeout_ms = policy->connect_timeout_ms,
		.read_timeout_ms = policy->read_timeout_ms,
		.send_timeout_ms = policy->send_timeout_ms,
		.hsts_max_age_s = policy->hsts_max_age_s,
		.flags = policy->flags,
		.body_max_bytes = policy->body_max_bytes,
	};
}

/* What the matched route itself says. */
static bool apply_route(struct stream *stream, const struct h1_request *request,
			const struct image_match *match, struct request_refusal *refusal)
{
	const struct image_policy *policy = match->policy;

	copy_policy(stream, policy);
	if (policy->flags & IMAGE_POLICY_DENY)
		return refuse(refusal, 503, ANSWER_DENIED);
	if (!is_over_https(stream, request) && wants_https(match, path_of(request)))
		return redirect(stream, request, policy, refusal);
	if (!match->backend) {
		worker_count(stream->worker, endpoints_missing);
		return refuse(refusal, 503, ANSWER_NO_BACKEND);
	}
	stream->backend_id = match->route->backend_id;
	if (policy->body_max_bytes && request->head.body == H1_BODY_FIXED &&
	    request->head.content_length > policy->body_max_bytes)
		return refuse(refusal, 413, ANSWER_BODY_TOO_LARGE);
	return true;
}

/* RFC 9110 7.4; SEMANTICS.md 1.1.7. */
static bool is_misdirected(struct conn *conn, struct str host)
{
	return conn->tls &&
	       !worker_tls_covers(conn->worker->tls, conn->tls, host, &conn->covered_host);
}

bool request_route(struct stream *stream, const struct h1_request *request,
		   struct request_refusal *refusal)
{
	const struct config *config = stream->worker->config;
	struct str host = STR(""), path, authority = h1_str(&request->head, request->authority);
	char room[HOST_KEY_MAX];
	struct image_match match;
	int rc;

	*refusal = (struct request_refusal){ 0 };
	if (!config || !config->image || !config->endpoints)
		return refuse(refusal, 503, ANSWER_NOT_READY);
	if (authority.len > 0 && host_key(authority, room, &host) < 0)
		return refuse(refusal, 400, ANSWER_MALFORMED);
	if (is_misdirected(stream->conn, host))
		return refuse(refusal, 421, ANSWER_MISDIRECTED);
	rc = path_key(path_of(request), stream->worker->tx, SCRATCH_TX_BYTES / 2, &path);
	if (rc < 0)
		return refuse(refusal, rc == -ENAMETOOLONG ? 414 : 400, ANSWER_MALFORMED);
	if (!image_match(config->image, host, path, &match)) {
		worker_count(stream->worker, routes_missing);
		return refuse(refusal, 404, ANSWER_NO_ROUTE);
	}
	if (match.vhost)
		counters_note_host(stream->worker->counters, match.vhost->dispatch_hash);
	if (stream->record)
		access_log_note_route(stream, config->image, match.route);
	return apply_route(stream, request, &match, refusal);
}

/* -------------------------------------------------------------------- heads */

/* Fields that we write ourselves, or that nobody may send through us. */
enum { FIELD_ROOM = 512 };
static const uint64_t dropped_ids =
	HEADER_BIT(HEADER_HOST) | HEADER_BIT(HEADER_PROXY) | HEADER_BIT(HEADER_FORWARDED) |
	HEADER_BIT(HEADER_X_FORWARDED_FOR) | HEADER_BIT(HEADER_X_FORWARDED_HOST) |
	HEADER_BIT(HEADER_X_FORWARDED_PORT) | HEADER_BIT(HEADER_X_FORWARDED_PROTO) |
	HEADER_BIT(HEADER_X_FORWARDED_PREFIX) | HEADER_BIT(HEADER_X_FORWARDED_SCHEME) |
	HEADER_BIT(HEADER_X_FORWARDED_SERVER) | HEADER_BIT(HEADER_X_REAL_IP) |
	HEADER_BIT(HEADER_X_SCHEME) | HEADER_BIT(HEADER_X_REQUEST_ID);

size_t request_head_room(const struct stream *stream, const struct h1_request *request)
{
	/* Host and what trusted hops said stand in it twice; a bare target gets a path. */
	return request->head.len + 2 * (size_t)request->authority.len +
	       h1_value(&request->head, HEADER_X_FORWARDED_FOR).len +
	       h1_value(&request->head, HEADER_X_FORWARDED_HOST).len + stream->conn->forwarded_len +
	       FIELD_ROOM;
}

static bool is_token(struct str text)
{
	return text.len > 0 &&
	       scan_class(text.at, text.at + text.len, BYTE_TOKEN) == text.at + text.len;
}

bool request_may_upgrade_to(struct str protocol)
{
	size_t slash = str_find_char(protocol, '/');
	struct str name = str_slice(protocol, 0, slash);

	/* token [ "/" token ] (RFC 9110 7.8): some readers look for words in anything else. */
	if (!is_token(name) ||
	    (slash < protocol.len && !is_token(str_slice(protocol, slash + 1, protocol.len))))
		return false;
	/* Another version of HTTP behind our back would carry requests that nobody routed. */
	return !str_eq_nocase(str_slice(name, 0, 3), STR("h2c")) &&
	       !str_eq_nocase(name, STR("http")) && !str_eq_nocase(name, STR("tls"));
}

bool request_wants_tunnel(const struct h1_request *request)
{
	struct str protocol = h1_value(&request->head, HEADER_UPGRADE);

	if (!request->wants_upgrade || protocol.len > STREAM_UPGRADE_BYTES)
		return false;
	return request->wants_websocket || request_may_upgrade_to(protocol);
}

static void add_request_line(struct h1_out *out, const struct h1_request *request)
{
	const struct h1_head *head = &request->head;

	h1_add(out, h1_str(head, request->method_text));
	h1_add(out, STR(" "));
	if (request->target_form != H1_TARGET_ABSOLUTE) {
		h1_add(out, h1_str(head, request->target));
	} else if (request->path.len == 0 && request->method == H1_METHOD_OPTIONS &&
		   !request->has_query) {
		h1_add(out, STR("*")); /* RFC 9112 3.2.4 */
	} else {
		h1_add(out, path_of(request));
		if (request->has_query) {
			h1_add(out, STR("?"));
			h1_add(out, h1_str(head, request->query));
		}
	}
	h1_add(out, STR(" HTTP/1.1\r\nHost: "));
	h1_add(out, h1_str(head, request->authority));
	h1_add(out, STR("\r\n"));
}

static bool is_request_id(struct str id)
{
	if (id.len == 0 || id.len > REQUEST_ID_BYTES_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = char_lower(id.at[i]);

		if (!(c >= 'a' && c <= 'z') && !char_is_digit(c) && c != '-' && c != '_' &&
		    c != '.' && c != ':')
			return false;
	}
	return true;
}

static void add_request_id(struct stream *stream, const struct h1_request *request,
			   struct h1_out *out)
{
	static const char digits[] = "0123456789abcdef";
	struct str id = h1_value(&request->head, HEADER_X_REQUEST_ID);
	char made[REQUEST_ID_BYTES];

	if (!is_request_id(id)) {
		for (int half = 0; half < 2; half++) {
			uint64_t bits = random_next(&stream->worker->random);

			for (int i = 0; i < REQUEST_ID_BYTES / 2; i++, bits >>= 4)
				made[half * REQUEST_ID_BYTES / 2 + i] = digits[bits & 15];
		}
		id = str_of(made, sizeof(made));
	}
	h1_add_field(out, STR("X-Request-ID"), id);
	if (stream->record)
		access_log_note_request_id(stream, id);
}

/* A trusted hop's word where it gave one, else what we see ourselves. */
static void add_believed(struct h1_out *out, const struct h1_request *request, struct str name,
			 enum header_id id, struct str seen)
{
	struct str said = h1_value(&request->head, id);

	h1_add_field(out, name, said.len > 0 ? said : seen);
}

static void add_trusted(struct stream *stream, const struct h1_request *request, struct h1_out *out)
{
	const struct conn *conn = stream->conn;
	struct str list = h1_value(&request->head, HEADER_X_FORWARDED_FOR);
	char text[ADDR_TEXT_MAX];
	struct str peer = str_from_c(addr_format_ip(&conn->client, text));

	h1_add(out, STR("X-Forwarded-For: "));
	h1_add(out, list);
	h1_add(out, list.len > 0 ? STR(", ") : STR(""));
	h1_add(out, peer);
	h1_add(out, STR("\r\n"));
	h1_add_field(out, STR("X-Real-IP"),
		     trust_client(&conn->worker->settings->trust, list, peer));
	add_believed(out, request, STR("X-Forwarded-Proto"), HEADER_X_FORWARDED_PROTO,
		     conn->listener->is_tls ? STR("https") : STR("http"));
	if (h1_has(&request->head, HEADER_X_FORWARDED_PORT))
		add_believed(out, request, STR("X-Forwarded-Port"), HEADER_X_FORWARDED_PORT,
			     STR(""));
	else
		h1_add_field_u64(out, STR("X-Forwarded-Port"), conn->listener->addr.port);
}

static void add_forwarded(struct stream *stream, const struct h1_request *request,
			  struct h1_out *out)
{
	const struct conn *conn = stream->conn;
	struct str authority = h1_str(&request->head, request->authority);

	if (!conn->is_trusted) {
		h1_add(out, str_of(conn->forwarded, conn->forwarded_len));
		h1_add_field(out, STR("X-Forwarded-Host"), authority);
		return;
	}
	add_trusted(stream, request, out);
	add_believed(out, request, STR("X-Forwarded-Host"), HEADER_X_FORWARDED_HOST, authority);
}

void request_write_head(struct stream *stream, const struct h1_request *request, struct h1_out *out)
{
	const struct h1_head *head = &request->head;
	struct h1_fields dropped = { 0 };

	add_request_line(out, request);
	h1_fields_select(&dropped, head, dropped_ids,
			 H1_FIELD_HOP | H1_FIELD_NAMED | H1_FIELD_UNDERSCORE);
	h1_add_kept_fields(out, head, &dropped);
	add_forwarded(stream, request, out);
	add_request_id(stream, request, out);
	if (head->body == H1_BODY_CHUNKED)
		h1_add(out, STR("Transfer-Encoding: chunked\r\n"));
	if (stream->is_upgrade) {
		h1_add(out, STR("Connection: upgrade\r\n"));
		h1_add_field(out, STR("Upgrade"), h1_value(head, HEADER_UPGRADE));
	}
	h1_add_end(out);
}
