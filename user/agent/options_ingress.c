// SPDX-License-Identifier: Apache-2.0
/* options_ingress: whose Ingresses are served, and which addresses stand in their status. */
#include <errno.h>

#include "agent/options_table.h"

static int set_name(struct options *options, struct str value, const char **name, struct err *err)
{
	if (value.len == 0)
		return err_set(err, -EINVAL, "a name is expected");
	*name = arena_copy(&options->arena, value).at;
	return 0;
}

int options_set_ingress_class(struct options *options, struct str value, struct err *err)
{
	return set_name(options, value, &options->ingress_class, err);
}

int options_set_take_over_class(struct options *options, struct str value, struct err *err)
{
	return set_name(options, value, &options->take_over_class, err);
}

int options_set_watch_namespace(struct options *options, struct str value, struct err *err)
{
	(void)err;
	options->watch_namespace = value.len ? arena_copy(&options->arena, value).at : NULL;
	return 0;
}

int options_set_watch_nameless(struct options *options, struct str value, struct err *err)
{
	options->watch_nameless = !str_eq_c(value, "false");
	if (value.at && options->watch_nameless && !str_eq_c(value, "true"))
		return err_set(err, -EINVAL, "'%.*s' is none of: false, true", STR_ARG(value));
	return 0;
}

int options_set_publish_service(struct options *options, struct str value, struct err *err)
{
	size_t slash = str_find_char(value, '/');

	if (slash == 0 || slash + 1 >= value.len)
		return err_set(err, -EINVAL, "'%.*s' is not NAMESPACE/NAME", STR_ARG(value));
	options->publish_service = arena_copy(&options->arena, value).at;
	return 0;
}

int options_set_publish_address(struct options *options, struct str value, struct err *err)
{
	struct str rest = value, part;
	struct addr addr;

	while (str_take_part(&rest, ',', &part))
		if (addr_parse_ip(str_trim(part), &addr))
			return err_set(err, -EINVAL, "'%.*s' is no IP address", STR_ARG(part));
	options->publish_address = arena_copy(&options->arena, value).at;
	return 0;
}

struct class_rules options_class_rules(const struct options *options)
{
	return (struct class_rules){
		.name = str_from_c(options->ingress_class),
		.take_over = str_from_c(options->take_over_class),
		.namespace = str_from_c(options->watch_namespace),
		.watch_nameless = options->watch_nameless,
	};
}
