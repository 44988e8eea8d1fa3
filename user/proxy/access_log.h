/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access_log: one JSON line for each stream.
 *
 *   {"time":"2026-11-23T05:00:00.123Z","client":"10.0.0.1","method":"GET","host":"a.example.com",
 *    "path":"/x?y","status":200,"bytes_in":0,"bytes_out":1234,"duration_ms":1.234,
 *    "upstream":"10.1.0.7:8080","upstream_ms":1.100,"route":"default/web","flag":"",
 *    "request_id":"...","tls":"TLSv1.3","user_agent":"..."}
 *
 * flag says why sluice answered itself, or how the exchange failed (answer.h); it is
 * empty where the endpoint's answer went through. Texts are copied when the request is
 * matched, into one pooled block, since the head is gone when the line is written.
 */
#ifndef SLUICE_PROXY_ACCESS_LOG_H
#define SLUICE_PROXY_ACCESS_LOG_H

#include "proxy/stream.h"

/* Texts a line needs; their lengths stand in stream->log_lens, their bytes in stream->record. */
enum access_log_text {
	ACCESS_LOG_METHOD,
	ACCESS_LOG_HOST,
	ACCESS_LOG_TARGET,
	ACCESS_LOG_USER_AGENT,
	ACCESS_LOG_NAMESPACE,
	ACCESS_LOG_INGRESS,
	ACCESS_LOG_REQUEST_ID,
	ACCESS_LOG_TEXTS,
};

/* Longer texts are cut. */
enum { ACCESS_LOG_TEXT_BYTES_MAX = 1024 };

/* The stream's texts that stand in its head. In this order; each is optional. */
void access_log_begin(struct stream *stream, const struct h1_request *request);
void access_log_note_route(struct stream *stream, const struct image *image,
			   const struct image_route *route);
void access_log_note_request_id(struct stream *stream, struct str id);

/* Writes the line into the worker's ring. */
void access_log_end(struct stream *stream);

/* @text as the inside of a JSON string (RFC 8259 7); bytes above 0x7f stand for themselves where
 * they are UTF-8, else as \u00XX. */
void access_log_add_escaped(struct h1_out *out, struct str text);

#endif
