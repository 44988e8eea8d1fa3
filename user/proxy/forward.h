/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: the way of a request to an endpoint: choosing, connecting, sending, once
 * more where that is safe, and the request's body. response.h is the way back.
 */
#ifndef SLUICE_PROXY_FORWARD_H
#define SLUICE_PROXY_FORWARD_H

#include "proxy/stream.h"

/*
 * Sends stream->head and @body, the part of the body that is here already, to an endpoint of the
 * stream's backend. The stream may be over when it returns.
 */
void forward_begin(struct stream *stream, struct str body);

/* Whether more of a body in chunks came than the route allows. */
bool forward_is_too_large(const struct stream *stream);

/*
 * Passes on @len bytes of the request's body at @at; keeps what is behind its end. False when the
 * stream is over.
 */
bool forward_body(struct stream *stream, char *at, size_t len);

#endif
