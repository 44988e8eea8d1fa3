// SPDX-License-Identifier: Apache-2.0
/* access_log: see access_log.h. */
#include "proxy/access_log.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "wire/h1_write.h"

enum { RECORD_ROOM = 1500, TIME_BYTES = 24 };

/* -------------------------------------------------------------------- texts */

static void note(struct stream *stream, enum access_log_text which, struct str text)
{
	struct block *record = stream->record;
	size_t room = record->room - record->end;

	if (text.len > ACCESS_LOG_TEXT_BYTES_MAX)
		text.len = ACCESS_LOG_TEXT_BYTES_MAX;
	if (text.len > room)
		text.len = room;
	if (text.len > 0)
		memcpy(record->bytes + record->end, text.at, text.len);
	record->end += (uint32_t)text.len;
	stream->log_lens[which] = (uint16_t)text.len;
}

void access_log_begin(struct stream *stream, const struct h1_request *request)
{
	const struct h1_head *head = &request->head;

	stream->record = blocks_get(&stream->worker->blocks, RECORD_ROOM);
	if (!stream->record)
		return;
	note(stream, ACCESS_LOG_METHOD, h1_str(head, request->method_text));
	note(stream, ACCESS_LOG_HOST, h1_str(head, request->authority));
	note(stream, ACCESS_LOG_TARGET, h1_str(head, request->target));
	note(stream, ACCESS_LOG_USER_AGENT, h1_value(head, HEADER_USER_AGENT));
}

void access_log_note_route(struct stream *stream, const struct image *image,
			   const struct image_route *route)
{
	const struct image_source *source = image_source_of(image, route);

	note(stream, ACCESS_LOG_NAMESPACE, image_text(image, source->namespace));
	note(stream, ACCESS_LOG_INGRESS, image_text(image, source->ingress));
}

void access_log_note_request_id(struct stream *stream, struct str id)
{
	note(stream, ACCESS_LOG_REQUEST_ID, id);
}

static struct str text_of(const struct stream *stream, enum access_log_text which)
{
	size_t start = 0;

	if (!stream->record)
		return str_of(NULL, 0);
	for (int i = 0; i < (int)which; i++)
		start += stream->log_lens[i];
	return str_of(stream->record->bytes + start, stream->log_lens[which]);
}

/* --------------------------------------------------------------------- JSON */

static void add_escape(struct h1_out *out, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	char text[6] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };

	if (c == '"' || c == '\\') {
		text[1] = (char)c;
		h1_add(out, str_of(text, 2));
		return;
	}
	h1_add(out, str_of(text, sizeof(text)));
}

void access_log_add_escaped(struct h1_out *out, struct str text)
{
	size_t plain = 0;

	for (size_t i = 0; i < text.len;) {
		uint8_t c = (uint8_t)text.at[i];
		size_t len = c < 0x80 ? 1 : utf8_sequence(str_of(text.at + i, text.len - i));

		if (len > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
			i += len;
			continue;
		}
		h1_add(out, str_of(text.at + plain, i - plain));
		add_escape(out, c);
		plain = ++i;
	}
	h1_add(out, str_of(text.at + plain, text.len - plain));
}

static void add_text(struct h1_out *out, struct str label, struct str text)
{
	h1_add(out, label);
	access_log_add_escaped(out, text);
	h1_add(out, STR("\""));
}

static void add_number(struct h1_out *out, struct str label, uint64_t value)
{
	h1_add(out, label);
	h1_add_u64(out, value);
}

/* Milliseconds with three decimals. */
static void add_ms(struct h1_out *out, struct str label, uint64_t ns)
{
	uint64_t us = ns / NS_PER_US;
	char decimals[4] = { '.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
			     (char)('0' + us % 10) };

	add_number(out, label, us / 1000);
	h1_add(out, str_of(decimals, sizeof(decimals)));
}

/* "2026-11-23T05:00:00.123Z" of the worker's "Mon, 23 Nov 2026 05:00:00 GMT". */
static void add_time(struct h1_out *out, struct worker *worker)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *date = worker_date(worker).at;
	uint64_t ms = worker->wall_offset_ms + worker->loop.now_ms;
	char text[TIME_BYTES];
	int month = 0;

	while (month < 11 && memcmp(months + 3 * (size_t)month, date + 8, 3) != 0)
		month++;
	month++;
	memcpy(text, date + 12, 4);
	memcpy(text + 4, (char[]){ '-', (char)('0' + month / 10), (char)('0' + month % 10), '-' },
	       4);
	memcpy(text + 8, date + 5, 2);
	text[10] = 'T';
	memcpy(text + 11, date + 17, 8);
	memcpy(text + 19,
	       (char[]){ '.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10),
			 (char)('0' + ms % 10), 'Z' },
	       5);
	h1_add(out, STR("{\"time\":\""));
	h1_add(out, str_of(text, sizeof(text)));
	h1_add(out, STR("\""));
}

static void add_upstream(struct h1_out *out, const struct stream *stream)
{
	char text[ADDR_TEXT_MAX];

	if (stream->endpoint.port == 0)
		return;
	add_text(out, STR(",\"upstream\":\""), str_from_c(addr_format(&stream->endpoint, text)));
	if (stream->answered_ns)
		add_ms(out, STR(",\"upstream_ms\":"), stream->answered_ns - stream->sent_ns);
}

static void add_route(struct h1_out *out, const struct stream *stream)
{
	if (stream->log_lens[ACCESS_LOG_INGRESS] == 0)
		return;
	add_text(out, STR(",\"route\":\""), text_of(stream, ACCESS_LOG_NAMESPACE));
	out->len--; /* over the closing quote */
	add_text(out, STR("/"), text_of(stream, ACCESS_LOG_INGRESS));
}

void access_log_end(struct stream *stream)
{
	struct worker *worker = stream->worker;
	struct conn *conn = stream->conn;
	char ip[ADDR_TEXT_MAX];
	struct h1_out out;

	h1_out_init(&out, worker->tx, SCRATCH_TX_BYTES);
	add_time(&out, worker);
	add_text(&out, STR(",\"client\":\""), str_from_c(addr_format_ip(&conn->client, ip)));
	add_text(&out, STR(",\"method\":\""), text_of(stream, ACCESS_LOG_METHOD));
	add_text(&out, STR(",\"host\":\""), text_of(stream, ACCESS_LOG_HOST));
	add_text(&out, STR(",\"path\":\""), text_of(stream, ACCESS_LOG_TARGET));
	add_number(&out, STR(",\"status\":"), stream->status);
	add_number(&out, STR(",\"bytes_in\":"), stream->received_bytes);
	add_number(&out, STR(",\"bytes_out\":"), stream->sent_bytes);
	add_ms(&out, STR(",\"duration_ms\":"), worker->loop.now_ns - stream->began_ns);
	add_upstream(&out, stream);
	add_route(&out, stream);
	add_text(&out, STR(",\"flag\":\""), str_from_c(answer_reason_text(stream->reason)));
	add_text(&out, STR(",\"request_id\":\""), text_of(stream, ACCESS_LOG_REQUEST_ID));
	if (conn->tls)
		add_text(&out, STR(",\"tls\":\""), tls_conn_version(conn->tls));
	add_text(&out, STR(",\"user_agent\":\""), text_of(stream, ACCESS_LOG_USER_AGENT));
	h1_add(&out, STR("}\n"));
	if (out.is_cut || !log_ring_write(&worker->log, str_of(out.at, out.len)))
		worker_count(worker, access_log_dropped);
}
