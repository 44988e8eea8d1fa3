// SPDX-License-Identifier: Apache-2.0
/*
 * h1_head: field lines, body framing, connection options.
 *
 * The bytes of a head are looked at once: a name up to its colon, a value up to
 * its CR, sixteen at a time. What a field means is read when the head is complete
 * and only for names that mean something here.
 */
#include "wire/h1_head.h"

#include "wire/scan.h"

struct reason {
	uint16_t status;
	const char *name;
	const char *text;
};

#define ROW(number, id, code, word, words)                                                         \
	[H1_REASON_##id] = { .status = (code), .name = (word), .text = (words) },
static const struct reason reasons[H1_REASON_COUNT] = { H1_REASONS(ROW) };
#undef ROW

unsigned h1_reason_status(enum h1_reason reason)
{
	return reasons[reason].status;
}

const char *h1_reason_text(enum h1_reason reason)
{
	return reasons[reason].text;
}

const char *h1_reason_name(enum h1_reason reason)
{
	return reasons[reason].name;
}

const struct h1_field *h1_find_name(const struct h1_head *head, struct str name)
{
	for (size_t i = 0; i < head->field_count; i++) {
		if (str_eq_nocase(h1_str(head, head->fields[i].name), name))
			return &head->fields[i];
	}
	return NULL;
}

enum h1_progress h1_take_crlf(struct h1_head *head, const char **at, const char *end,
			      enum h1_reason otherwise)
{
	const char *cr = *at;

	if (cr == end)
		return H1_MORE;
	if (*cr == '\n')
		return h1_refuse(head, H1_REASON_BARE_LF);
	if (*cr != '\r')
		return h1_refuse(head, otherwise);
	if (cr + 1 == end)
		return H1_MORE;
	if (cr[1] != '\n')
		return h1_refuse(head, H1_REASON_BARE_CR);
	*at = cr + 2;
	return H1_DONE;
}

/* ---- field lines ------------------------------------------------------------------------ */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The colon behind a name that begins at @name; @flags gets what the name's bytes say. */
static enum h1_progress take_name(struct h1_head *head, const char *name, const char *end,
				  const char **colon, uint8_t *flags)
{
	const char *at = scan_name(name, end);

	if (at < end && *at != ':') { /* a rarer token byte, or none */
		at = scan_class(at, end, BYTE_TOKEN);
		if (memchr(name, '_', (size_t)(at - name)))
			*flags |= H1_FIELD_UNDERSCORE;
	}
	if (at == end)
		return H1_MORE;
	if (*at == '\n')
		return h1_refuse(head, H1_REASON_BARE_LF);
	if (is_blank(*at))
		return h1_refuse(head, at == name ? H1_REASON_FOLDED : H1_REASON_NAME_SPACE);
	if (*at != ':')
		return h1_refuse(head, H1_REASON_NAME_BYTE);
	if (at == name)
		return h1_refuse(head, H1_REASON_NAME_EMPTY);
	*colon = at;
	return H1_DONE;
}

static enum h1_reason reason_repeated(enum header_id id)
{
	if (id == HEADER_HOST)
		return H1_REASON_HOST_REPEATED;
	if (id == HEADER_CONTENT_LENGTH)
		return H1_REASON_LENGTH_REPEATED;
	return H1_REASON_CODING_REPEATED;
}

/* Writes down one field; its name is @field->name. */
static enum h1_progress add_field(struct h1_head *head, struct h1_field field)
{
	enum header_id id = header_id_of(h1_str(head, field.name));
	unsigned flags = id ? header_flags(id) : 0;

	if (head->field_count == H1_FIELDS_MAX)
		return h1_refuse(head, H1_REASON_FIELDS_TOO_MANY);
	if (!h1_has(head, id)) {
		head->first[id] = (uint8_t)head->field_count; /* below H1_FIELDS_MAX */
		head->seen |= HEADER_BIT(id);
	} else if (flags & HEADER_FLAG_ONCE) {
		return h1_refuse(head, reason_repeated(id));
	}
	if (flags & HEADER_FLAG_HOP)
		field.flags |= H1_FIELD_HOP;
	field.id = (uint8_t)id; /* at most 63 */
	head->fields[head->field_count++] = field;
	return H1_DONE;
}

static enum h1_progress take_field(struct h1_head *head, const char **at, const char *end)
{
	const char *name = *at, *colon, *value, *stop, *value_end;
	struct h1_field field = { 0 };
	enum h1_progress progress = take_name(head, name, end, &colon, &field.flags);

	if (progress != H1_DONE)
		return progress;
	value = colon + 1;
	while (value < end && is_blank(*value))
		value++;
	stop = value_end = scan_text(value, end);
	progress = h1_take_crlf(head, &stop, end, H1_REASON_VALUE_BYTE);
	if (progress != H1_DONE)
		return progress;
	while (value_end > value && is_blank(value_end[-1]))
		value_end--;
	field.name = h1_span_of(head, name, colon);
	field.value = h1_span_of(head, value, value_end);
	*at = stop;
	return add_field(head, field);
}

enum h1_progress h1_take_fields(struct h1_head *head, const char *end)
{
	const char *at = head->at + head->position;
	enum h1_progress progress;

	while (at < end && *at != '\r') {
		progress = take_field(head, &at, end);
		if (progress != H1_DONE)
			return progress;
		head->position = (uint32_t)(at - head->at); /* at most max_bytes */
	}
	progress = h1_take_crlf(head, &at, end, H1_REASON_BARE_CR);
	if (progress == H1_DONE)
		head->len = (uint32_t)(at - head->at); /* at most max_bytes */
	return progress;
}

/* ---- Connection ------------------------------------------------------------------------- */

static const struct {
	struct str name;
	enum h1_connection option;
} connection_options[] = {
	{ STR_INIT("close"), H1_CONNECTION_CLOSE },
	{ STR_INIT("keep-alive"), H1_CONNECTION_KEEP_ALIVE },
	{ STR_INIT("upgrade"), H1_CONNECTION_UPGRADE },
};

/* Flags the fields called @name, so that they go no further (RFC 9110 7.6.1). */
static void flag_named(struct h1_head *head, struct str name)
{
	if (header_flags(header_id_of(name)) & HEADER_FLAG_KEPT)
		return; /* "Connection: host" must not cost the endpoint its Host */
	head->connection |= H1_CONNECTION_OTHERS;
	for (size_t i = 0; i < head->field_count; i++) {
		if (str_eq_nocase(h1_str(head, head->fields[i].name), name))
			head->fields[i].flags |= H1_FIELD_NAMED;
	}
}

static void add_connection_option(struct h1_head *head, struct str option)
{
	size_t count = sizeof(connection_options) / sizeof(connection_options[0]);

	for (size_t i = 0; i < count; i++) {
		if (str_eq_nocase(option, connection_options[i].name)) {
			head->connection |= (uint8_t)connection_options[i].option; /* one bit */
			return;
		}
	}
	flag_named(head, option);
}

/* Connection = #connection-option (RFC 9110 7.6.1); empty elements count for nothing. */
static enum h1_progress read_connection(struct h1_head *head)
{
	unsigned option_count = 0;
	struct str rest, option;

	for (size_t i = head->first[HEADER_CONNECTION]; i < head->field_count; i++) {
		if (head->fields[i].id != HEADER_CONNECTION)
			continue;
		rest = h1_str(head, head->fields[i].value);
		while (str_take_part(&rest, ',', &option)) {
			option = str_trim(option);
			if (option.len == 0)
				continue;
			if (scan_class(option.at, option.at + option.len, BYTE_TOKEN) !=
				    option.at + option.len ||
			    ++option_count > H1_CONNECTION_OPTIONS_MAX)
				return h1_refuse(head, H1_REASON_CONNECTION_SYNTAX);
			add_connection_option(head, option);
		}
	}
	return H1_DONE;
}

bool h1_wants_upgrade(const struct h1_head *head)
{
	return (head->connection & H1_CONNECTION_UPGRADE) && h1_has(head, HEADER_UPGRADE) &&
	       head->minor > 0;
}

/* ---- body framing ----------------------------------------------------------------------- */

/* Transfer-Encoding is "chunked" or nothing: RFC 9112 6.1 knows more, attacks use more. */
static enum h1_progress read_coding(struct h1_head *head)
{
	if (head->minor == 0)
		return h1_refuse(head, H1_REASON_CODING_IN_1_0);
	if (h1_has(head, HEADER_CONTENT_LENGTH))
		return h1_refuse(head, H1_REASON_CODING_AND_LENGTH);
	if (!str_eq_nocase(h1_value(head, HEADER_TRANSFER_ENCODING), STR("chunked")))
		return h1_refuse(head, H1_REASON_CODING);
	head->body = H1_BODY_CHUNKED;
	return H1_DONE;
}

static enum h1_progress read_length(struct h1_head *head)
{
	if (str_parse_u64(h1_value(head, HEADER_CONTENT_LENGTH), INT64_MAX, &head->content_length))
		return h1_refuse(head, H1_REASON_LENGTH_SYNTAX);
	head->body = H1_BODY_FIXED;
	return H1_DONE;
}

enum h1_progress h1_read_framing(struct h1_head *head)
{
	enum h1_progress progress = H1_DONE;

	if (h1_has(head, HEADER_CONNECTION))
		progress = read_connection(head);
	if (progress != H1_DONE)
		return progress;
	if (h1_has(head, HEADER_TRANSFER_ENCODING))
		return read_coding(head);
	if (h1_has(head, HEADER_CONTENT_LENGTH))
		return read_length(head);
	return H1_DONE;
}
