// SPDX-License-Identifier: Apache-2.0
/* decode_metadata: ObjectMeta of every kind (meta/v1), and its times. */
#include <errno.h>

#include "kube/decode.h"
#include "kube/decode_field.h"
#include "kube/say.h"

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63, SECONDS_PER_DAY = 86400 };

/* ---------------------------------------------------------------------- time */

struct time_fields {
	int year, month, day, hour, minute, second;
};

/* Exactly @digits digits off the front of @text. */
static int take_number(struct str *text, size_t digits, int *number)
{
	uint64_t value;

	if (text->len < digits || str_parse_u64(str_of(text->at, digits), 9999, &value) < 0)
		return -EINVAL;
	*number = (int)value; /* at most 9999 */
	*text = str_slice(*text, digits, text->len);
	return 0;
}

static int take_char(struct str *text, const char *allowed)
{
	if (text->len == 0 || text->at[0] == 0 || !strchr(allowed, text->at[0]))
		return -EINVAL;
	*text = str_slice(*text, 1, text->len);
	return 0;
}

static int take_time(struct str *text, struct time_fields *t)
{
	const struct {
		int *number;
		size_t digits;
		const char *behind;
	} parts[] = {
		{ &t->year, 4, "-" }, { &t->month, 2, "-" },  { &t->day, 2, "Tt " },
		{ &t->hour, 2, ":" }, { &t->minute, 2, ":" }, { &t->second, 2, NULL },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (take_number(text, parts[i].digits, parts[i].number) < 0)
			return -EINVAL;
		if (parts[i].behind && take_char(text, parts[i].behind) < 0)
			return -EINVAL;
	}
	return 0;
}

static int take_fraction(struct str *text)
{
	size_t digits = 0;

	if (text->len == 0 || text->at[0] != '.')
		return 0;
	*text = str_slice(*text, 1, text->len);
	while (digits < text->len && char_is_digit(text->at[digits]))
		digits++;
	*text = str_slice(*text, digits, text->len);
	return digits ? 0 : -EINVAL;
}

/* "Z", "+01:30" */
static int take_offset(struct str *text, int *seconds)
{
	int hours, minutes;
	bool is_west = text->len && text->at[0] == '-';

	*seconds = 0;
	if (take_char(text, "Zz") == 0)
		return 0;
	if (take_char(text, "+-") < 0 || take_number(text, 2, &hours) < 0 ||
	    take_char(text, ":") < 0 || take_number(text, 2, &minutes) < 0)
		return -EINVAL;
	if (hours > 23 || minutes > 59)
		return -EINVAL;
	*seconds = (hours * 60 + minutes) * (is_west ? -60 : 60);
	return 0;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to the first of January; @year >= 1. */
static int64_t days_before_year(int year)
{
	int64_t past = year - 1;

	return past * 365 + past / 4 - past / 100 + past / 400 - 719162;
}

/* 60 seconds: a leap second, RFC 3339 5.7. */
static bool is_time(const struct time_fields *t)
{
	if (t->year < 1 || t->month < 1 || t->month > 12)
		return false;
	if (t->day < 1 || t->day > days_of_month(t->year, t->month))
		return false;
	return t->hour <= 23 && t->minute <= 59 && t->second <= 60;
}

int decode_time(struct str text, int64_t *seconds)
{
	struct time_fields t;
	int64_t days;
	int offset;

	if (take_time(&text, &t) < 0 || take_fraction(&text) < 0 || take_offset(&text, &offset) < 0)
		return -EINVAL;
	if (text.len || !is_time(&t))
		return -EINVAL;
	days = days_before_year(t.year) + t.day - 1;
	for (int month = 1; month < t.month; month++)
		days += days_of_month(t.year, month);
	*seconds = days * SECONDS_PER_DAY + t.hour * 3600 + t.minute * 60 + t.second - offset;
	return 0;
}

static int decode_created(struct decoder *decoder, const struct node *value, void *out)
{
	char said[SAY_MAX];

	if (value->type != NODE_TEXT)
		return decode_refuse_type(decoder, value, "text");
	if (decode_time(value->text, out) < 0)
		return decode_refuse(decoder, value->line, "InvalidValue",
				     "'%s' is no time as in RFC 3339", say_text(value->text, said));
	return 0;
}

/* --------------------------------------------------------------------- names */

static bool is_name_end(char c)
{
	return (c >= 'a' && c <= 'z') || char_is_digit(c);
}

static bool is_name(struct str name, size_t max, bool has_dots)
{
	if (name.len == 0 || name.len > max)
		return false;
	if (!is_name_end(name.at[0]) || !is_name_end(name.at[name.len - 1]))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		bool is_dot = has_dots && name.at[i] == '.';

		if (!is_name_end(name.at[i]) && name.at[i] != '-' && !is_dot)
			return false;
	}
	return true;
}

/* RFC 1123 subdomain. A name that is none stays out of the object: findings print it raw. */
static int decode_name(struct decoder *decoder, const struct node *value, void *out)
{
	char said[SAY_MAX];

	if (value->type == NODE_TEXT && !is_name(value->text, NAME_MAX_BYTES, true))
		return decode_refuse(decoder, value->line, "InvalidValue",
				     "'%s' is no name of an object", say_text(value->text, said));
	return decode_str(decoder, value, out);
}

static int decode_namespace(struct decoder *decoder, const struct node *value, void *out)
{
	char said[SAY_MAX];

	if (value->type != NODE_TEXT)
		return decode_refuse_type(decoder, value, "text");
	if (value->text.len == 0) /* as left out */
		return 0;
	if (!is_name(value->text, LABEL_MAX_BYTES, false))
		return decode_refuse(decoder, value->line, "InvalidValue",
				     "'%s' is no name of a namespace", say_text(value->text, said));
	return decode_str(decoder, value, out);
}

int decode_metadata(struct decoder *decoder, const struct node *value, void *out)
{
	/* Identity first: what follows can then be named in findings. */
	static const struct decode_field identity_fields[] = {
		{ "name", decode_name, offsetof(struct object, name), DECODE_REQUIRED, NULL },
		{ "namespace", decode_namespace, offsetof(struct object, namespace), 0, NULL },
	};
	static const struct decode_field other_fields[] = {
		{ "name", NULL, 0, 0, NULL },
		{ "namespace", NULL, 0, 0, NULL },
		{ "uid", decode_str, offsetof(struct object, uid), 0, NULL },
		{ "creationTimestamp", decode_created, offsetof(struct object, created_s), 0,
		  NULL },
		{ "labels", decode_pairs, offsetof(struct object, labels), 0, NULL },
		{ "annotations", decode_pairs, offsetof(struct object, annotations), 0, NULL },
		{ "generateName", NULL, 0, 0, NULL },
		{ "selfLink", NULL, 0, 0, NULL },
		{ "resourceVersion", NULL, 0, 0, NULL },
		{ "generation", NULL, 0, 0, NULL },
		{ "deletionTimestamp", NULL, 0, 0, NULL },
		{ "deletionGracePeriodSeconds", NULL, 0, 0, NULL },
		{ "ownerReferences", NULL, 0, 0, NULL },
		{ "finalizers", NULL, 0, 0, NULL },
		{ "managedFields", NULL, 0, 0, NULL },
		{ "clusterName", NULL, 0, 0, NULL },
	};
	static const struct decode_table identity = DECODE_TABLE(identity_fields, false);
	static const struct decode_table others = DECODE_TABLE(other_fields, true);
	int rc = decode_fields(decoder, value, &identity, out);

	return rc < 0 ? rc : decode_fields(decoder, value, &others, out);
}
