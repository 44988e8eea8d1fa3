/* SPDX-License-Identifier: Apache-2.0 */
/*
 * response: the way of a response to the client.
 *
 * The head is parsed, whatever belongs to the endpoint's connection taken out, Server
 * and Date put in where they are missing, the framing chosen for this client:
 *
 *   endpoint's body     HTTP/1.1 client        HTTP/1.0 client
 *   so many bytes       as it is               as it is
 *   chunks              chunks                 bare, until close
 *   until close         put into chunks        until close
 *
 * A head that needs no change goes out as it came, in the same bytes.
 */
#ifndef SLUICE_PROXY_RESPONSE_H
#define SLUICE_PROXY_RESPONSE_H

#include "proxy/stream.h"
#include "wire/h1_write.h"

/* Whether the head of @response can be sent as it came. Fields of @stream say what it needs. */
bool response_is_plain(const struct stream *stream, const struct h1_response *response);

/* Writes the head for the client; @date as in worker_date. */
void response_write_head(const struct stream *stream, const struct h1_response *response,
			 struct str date, struct h1_out *out);

#endif
