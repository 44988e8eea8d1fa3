/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: what becomes of a request: which route, and the head the endpoint gets.
 *
 * The endpoint sees the client's method, target bytes and Host, exactly one of each;
 * no field that belongs to the client's connection; and what we say about the client
 * instead of what the client says about itself:
 *
 *   X-Forwarded-For   the client's address; with trusted hops, appended to what they said
 *   X-Real-IP         the client's address, as far as we believe the hops
 *   X-Forwarded-Proto, -Port, -Host   how it came to us; kept from trusted hops
 *   X-Request-ID      the client's where it is a plain token, else 128 random bits
 *
 * Dropped: hop-by-hop fields and what Connection names (RFC 9110 7.6.1), names with "_"
 * (many endpoints take them for "-"), Proxy (CVE-2016-5385), Forwarded and further
 * X-Forwarded-*, which nobody but us could vouch for.
 */
#ifndef SLUICE_PROXY_REQUEST_H
#define SLUICE_PROXY_REQUEST_H

#include "proxy/stream.h"
#include "wire/h1_write.h"

/* What to answer where the request goes nowhere. */
struct request_refusal {
	unsigned status;
	enum answer_reason reason;
	struct str location; /* in the worker's tx; absent for none */
};

/*
 * Finds the route of @request and copies what the stream needs of it. False with @refusal where
 * it is answered here: no route, a redirect, denied.
 */
bool request_route(struct stream *stream, const struct h1_request *request,
		   struct request_refusal *refusal);

/* Room that request_write_head needs, at most. */
size_t request_head_room(const struct stream *stream, const struct h1_request *request);
/* Writes the head for the endpoint. */
void request_write_head(struct stream *stream, const struct h1_request *request,
			struct h1_out *out);

/* Whether the request asks to leave HTTP for something an endpoint may speak. */
bool request_wants_tunnel(const struct h1_request *request);
/* Whether @protocol, of an Upgrade field, is one thing and not HTTP or TLS again. */
bool request_may_upgrade_to(struct str protocol);

#endif
