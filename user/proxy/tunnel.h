/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel: what is left of a stream after 101: bytes in both directions.
 *
 * Each direction is read when the other end has taken everything before, ends by
 * itself (a FIN is passed on once all before it was sent) and the tunnel is over
 * when both have ended, or when nothing moved for the route's read timeout. It holds
 * no config: tunnels outlive every change.
 */
#ifndef SLUICE_PROXY_TUNNEL_H
#define SLUICE_PROXY_TUNNEL_H

#include "proxy/stream.h"

/* The 101 was sent; @early: what the endpoint sent behind it. */
void tunnel_begin(struct stream *stream, struct str early);
/* Moves what can be moved. The stream may be over afterwards. */
void tunnel_pump(struct stream *stream);
/* Nothing moved for too long, or so the connection's timer says. */
void tunnel_on_due(struct stream *stream);

#endif
