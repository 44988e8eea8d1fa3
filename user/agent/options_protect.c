// SPDX-License-Identifier: Apache-2.0
/*
 * options_protect: who may connect, how often, whose word about others is believed, and when a host
 * gets more workers.
 *
 * Files of sources are named here and read elsewhere (source_list.h): they change by themselves. So
 * that a mistyped network is never taken for a file, files begin with "/" or ".".
 */
#include <errno.h>

#include "agent/options_table.h"
#include "base/prefix.h"
#include "compile/settings.h"

int options_set_trusted_proxies(struct options *options, struct str value, struct err *err)
{
	struct str rest = value, part;

	while (str_take_part(&rest, ',', &part)) {
		struct control_network *network = &options->trusted[options->trusted_count];
		struct prefix prefix;

		if (options->trusted_count == CONTROL_TRUSTED_MAX)
			return err_set(err, -EINVAL, "more than %d networks", CONTROL_TRUSTED_MAX);
		if (prefix_parse(str_trim(part), &prefix))
			return err_set(err, -EINVAL, "'%.*s' is no network such as 10.0.0.0/8",
				       STR_ARG(part));
		memcpy(network->ip, prefix.ip, sizeof(network->ip));
		network->bits = prefix.bits;
		options->trusted_count++;
	}
	return 0;
}

/* ------------------------------------------------------------------------------ sources */

static bool is_path(struct str text)
{
	return text.len && (text.at[0] == '/' || text.at[0] == '.');
}

static int check_source(struct str source, struct err *err)
{
	struct prefix prefix;

	if (is_path(source) || prefix_parse(source, &prefix) == 0)
		return 0;
	return err_set(err, -EINVAL,
		       "'%.*s' is neither a network such as 10.0.0.0/8 nor a file: those begin "
		       "with / or .",
		       STR_ARG(source));
}

int options_set_denylist(struct options *options, struct str value, struct err *err)
{
	struct options_protect *protect = &options->protect;
	struct str rest = value, part;

	while (str_take_part(&rest, ',', &part)) {
		struct str source = str_trim(part);

		if (check_source(source, err))
			return -EINVAL;
		if (protect->deny_count == OPTIONS_SOURCES_MAX)
			return err_set(err, -EINVAL, "more than %d networks and files",
				       OPTIONS_SOURCES_MAX);
		protect->deny[protect->deny_count++] = arena_copy(&options->arena, source);
	}
	return 0;
}

/* ---------------------------------------------------------------------------- listeners */

bool options_is_listener(struct str listener, enum control_protocol protocol,
			 const struct addr_range *range)
{
	struct addr_range named;

	if (str_eq_c(listener, "http") || str_eq_c(listener, "https"))
		return (protocol == CONTROL_PROTOCOL_TLS) == str_eq_c(listener, "https");
	return addr_range_parse(listener, &named, NULL) == 0 && addr_range_eq(&named, range);
}

static bool is_any_of(struct str listener, enum control_protocol protocol,
		      const struct options_addresses *addresses)
{
	for (size_t i = 0; i < addresses->count; i++)
		if (options_is_listener(listener, protocol, &addresses->at[i]))
			return true;
	return false;
}

static int add_allowed(struct options *options, struct str listener, struct str source,
		       struct err *err)
{
	struct options_protect *protect = &options->protect;

	if (check_source(source, err))
		return -EINVAL;
	if (protect->allow_count == OPTIONS_SOURCES_MAX)
		return err_set(err, -EINVAL, "more than %d networks and files",
			       OPTIONS_SOURCES_MAX);
	protect->allow[protect->allow_count++] = (struct options_allow){
		.listener = listener,
		.source = arena_copy(&options->arena, source),
	};
	return 0;
}

/* "https=10.0.0.0/8,/etc/sluice/offices"; --http and --https stand before it in the table. */
int options_set_allow_sources(struct options *options, struct str value, struct err *err)
{
	struct str rest = value, listener, part;

	if (!str_take_part(&rest, '=', &listener) || rest.len == 0)
		return err_set(err, -EINVAL, "'%.*s' is not LISTENER=FILE|CIDR,...",
			       STR_ARG(value));
	if (!is_any_of(listener, CONTROL_PROTOCOL_HTTP, &options->http) &&
	    !is_any_of(listener, CONTROL_PROTOCOL_TLS, &options->https))
		return err_set(err, -EINVAL,
			       "there is no listener '%.*s': http, https, or an ADDR:PORT as in "
			       "--http and --https",
			       STR_ARG(listener));
	listener = arena_copy(&options->arena, listener);
	while (str_take_part(&rest, ',', &part)) {
		int rc = add_allowed(options, listener, str_trim(part), err);

		if (rc)
			return rc;
	}
	return 0;
}

/* -------------------------------------------------------------------------------- rates */

int options_set_source_rate(struct options *options, struct str value, struct err *err)
{
	struct datapath_source_rate *rate = &options->protect.source_rate;
	struct str rest = value, first;
	uint64_t per_s = 0, burst = 0;

	rate->per_s = rate->burst = 0;
	if (str_eq_c(value, "off"))
		return 0;
	str_take_part(&rest, '/', &first);
	if (str_parse_u64(first, OPTIONS_RATE_MAX, &per_s) || per_s == 0 ||
	    (rest.at && (str_parse_u64(rest, OPTIONS_RATE_MAX, &burst) || burst == 0)))
		return err_set(err, -EINVAL,
			       "'%.*s' is neither off nor N[/BURST], each from 1 to %d",
			       STR_ARG(value), OPTIONS_RATE_MAX);
	rate->per_s = (uint32_t)per_s;
	rate->burst = (uint32_t)burst;
	return 0;
}

int options_set_source_prefix(struct options *options, struct str value, struct err *err)
{
	struct datapath_source_rate *rate = &options->protect.source_rate;
	struct str rest = value, first;
	uint64_t ipv4 = 0, ipv6 = 0;

	str_take_part(&rest, ',', &first);
	if (str_parse_u64(first, 32, &ipv4) || ipv4 == 0 ||
	    (rest.at && (str_parse_u64(rest, 128, &ipv6) || ipv6 == 0)))
		return err_set(err, -EINVAL, "'%.*s' is not V4[,V6], from 1 to 32 and to 128 bits",
			       STR_ARG(value));
	rate->ipv4_bits = (uint32_t)ipv4;
	rate->ipv6_bits = (uint32_t)ipv6;
	return 0;
}

/* ------------------------------------------------------------- settings with a flag, too */

/* A default for all classes, as if it stood in --config under the same name. */
static int add_setting(struct options *options, const char *name, struct str value, struct err *err)
{
	const struct setting *setting = setting_find(str_from_c(name));
	struct settings tried = { 0 };
	struct err why = { 0 };

	if (setting->parse(value, (char *)&tried + setting->offset, &why))
		return err_set(err, -EINVAL, "'%.*s' is not %s", STR_ARG(value), why.text);
	*vec_push(&options->settings) = (struct object_pair){
		.key = str_from_c(name),
		.value = arena_copy(&options->arena, value),
	};
	return 0;
}

int options_set_connection_rate(struct options *options, struct str value, struct err *err)
{
	return add_setting(options, "connection-rate", value, err);
}

int options_set_unknown_hosts(struct options *options, struct str value, struct err *err)
{
	return add_setting(options, "unknown-hosts", value, err);
}

/* ---------------------------------------------------------------------------- hot hosts */

int options_set_hot_host_load(struct options *options, struct str value, struct err *err)
{
	uint64_t percent = 0;

	if (!str_eq_c(value, "off") && (str_parse_u64(value, 100, &percent) || percent == 0))
		return err_set(err, -EINVAL, "'%.*s' is neither off nor 1 to 100 percent",
			       STR_ARG(value));
	options->hot_host_permille = (uint32_t)percent * 10;
	return 0;
}

int options_set_hot_host_rest(struct options *options, struct str value, struct err *err)
{
	uint64_t seconds;

	if (str_parse_u64(value, OPTIONS_TIMEOUT_S_MAX, &seconds) || seconds == 0)
		return err_set(err, -EINVAL, "'%.*s' is no number of seconds from 1 to %d",
			       STR_ARG(value), OPTIONS_TIMEOUT_S_MAX);
	options->hot_host_rest_ms = (uint32_t)seconds * 1000;
	return 0;
}
