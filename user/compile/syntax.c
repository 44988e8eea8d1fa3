// SPDX-License-Identifier: Apache-2.0
/* syntax: see syntax.h. */
#include "compile/syntax.h"

#include <errno.h>

#include "base/addr.h"
#include "image/key.h"

enum { SHOWN_BYTES = 64 }; /* of a text that is too long to be shown whole */

static struct str shown(struct str text)
{
	return str_slice(text, 0, SHOWN_BYTES);
}

static bool is_letter_or_digit(char c)
{
	c = char_lower(c);
	return (c >= 'a' && c <= 'z') || char_is_digit(c);
}

static int check_label(struct str host, struct str label, struct err *err)
{
	if (label.len == 0)
		return err_set(err, -EINVAL, "host '%.*s' has an empty label", STR_ARG(host));
	if (label.len > HOST_KEY_LABEL_MAX)
		return err_set(err, -EINVAL, "host '%.*s' has a label of more than %d bytes",
			       STR_ARG(host), HOST_KEY_LABEL_MAX);
	for (size_t i = 0; i < label.len; i++) {
		if (!is_letter_or_digit(label.at[i]) && label.at[i] != '-')
			return err_set(err, -EINVAL,
				       "host '%.*s' has other characters than letters, digits, "
				       "'-' and '.'",
				       STR_ARG(host));
	}
	if (label.at[0] == '-' || label.at[label.len - 1] == '-')
		return err_set(err, -EINVAL, "host '%.*s' has a label with '-' at an end",
			       STR_ARG(host));
	return 0;
}

/* The common case in one pass; what is wrong with the others is found label by label. */
static bool are_good_labels(struct str labels)
{
	size_t start = 0;

	for (size_t i = 0; i <= labels.len; i++) {
		bool is_end = i == labels.len || labels.at[i] == '.';

		if (!is_end && !is_letter_or_digit(labels.at[i]) && labels.at[i] != '-')
			return false;
		if (!is_end)
			continue;
		if (i == start || i - start > HOST_KEY_LABEL_MAX || labels.at[start] == '-' ||
		    labels.at[i - 1] == '-')
			return false;
		start = i + 1;
	}
	return true;
}

static int check_labels(struct str host, struct str labels, struct err *err)
{
	struct str label;

	if (are_good_labels(labels))
		return 0;
	while (str_take_part(&labels, '.', &label)) {
		int code = check_label(host, label, err);

		if (code < 0)
			return code;
	}
	return 0;
}

/* Only what ends in a digit, or has a colon, can be an address. */
static bool is_address(struct str host, size_t colon)
{
	struct addr addr;
	bool may_be = colon < host.len || (host.len && char_is_digit(host.at[host.len - 1]));

	return may_be && addr_parse_ip(host, &addr) == 0;
}

int syntax_check_host(struct str host, struct err *err)
{
	struct str labels = host;
	uint64_t port;
	size_t colon = str_find_char(host, ':');

	if (host.len > HOST_KEY_MAX) {
		struct str start = shown(host);

		return err_set(err, -EINVAL,
			       "host '%.*s...' is %zu bytes long, at most %d are allowed",
			       STR_ARG(start), host.len, HOST_KEY_MAX);
	}
	if (is_address(host, colon))
		return err_set(err, -EINVAL, "host '%.*s' is an address, it must be a name",
			       STR_ARG(host));
	if (colon < host.len &&
	    str_parse_u64(str_slice(host, colon + 1, host.len), UINT16_MAX, &port) == 0)
		return err_set(err, -EINVAL, "host '%.*s' has a port, it must be a name alone",
			       STR_ARG(host));
	if (str_starts_with(host, STR("*.")))
		labels = str_slice(host, 2, host.len);
	if (str_find_char(labels, '*') < labels.len)
		return err_set(err, -EINVAL,
			       "host '%.*s' has a '*' that is not its whole first label",
			       STR_ARG(host));
	return check_labels(host, labels, err);
}

/* The part of @path that no Exact or Prefix path may have, or an empty str. One pass. */
static struct str find_refused(struct str path)
{
	for (size_t i = 0; i < path.len; i++) {
		size_t dots = 0;

		if (path.at[i] == '%' && str_eq_nocase(str_slice(path, i, 3), STR("%2f")))
			return str_slice(path, i, 3);
		if (path.at[i] != '/')
			continue;
		while (dots < 2 && i + 1 + dots < path.len && path.at[i + 1 + dots] == '.')
			dots++;
		/* "//", "/./", "/../", and "/." or "/.." at the end */
		if (i + 1 + dots == path.len ? dots > 0 : path.at[i + 1 + dots] == '/')
			return str_slice(path, i, dots + 2);
	}
	return str_of(NULL, 0);
}

int syntax_check_path(struct str path, enum object_path_type type, struct err *err)
{
	struct str start = shown(path), refused;

	if (type == OBJECT_PATH_IMPLEMENTATION_SPECIFIC && path.len == 0)
		return 0;
	if (path.len == 0 || path.at[0] != '/')
		return err_set(err, -EINVAL, "path '%.*s' does not begin with '/'", STR_ARG(start));
	if (type == OBJECT_PATH_IMPLEMENTATION_SPECIFIC)
		return 0;
	refused = find_refused(path);
	if (refused.len)
		return err_set(err, -EINVAL, "path '%.*s' contains '%.*s'", STR_ARG(start),
			       STR_ARG(refused));
	return 0;
}
