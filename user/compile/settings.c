// SPDX-License-Identifier: Apache-2.0
/*
 * settings: the table of all settings, and its parsers; see settings.h. To add one, add a line to
 * the table, at its place in the alphabet, and where need be a field and a parser.
 */
#include "compile/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SETTING_FIELD_MAX = 320,
	RATE_MAX = 1000000,
	MS_PER_S = 1000,
	SECONDS_MAX = UINT32_MAX / MS_PER_S,
};

static const struct str prefix_sluice = STR_INIT("sluice.dev/");
static const struct str prefix_nginx = STR_INIT("nginx.ingress.kubernetes.io/");

/* ----------------------------------------------------------------- parsers */

/* What Go's strconv.ParseBool takes, since manifests were written against it. */
static int parse_bool(struct str value, void *field, struct err *err)
{
	static const char *const words[][2] = {
		{ "false", "true" }, { "False", "True" }, { "FALSE", "TRUE" },
		{ "f", "t" },        { "F", "T" },        { "0", "1" },
	};
	bool *to = field;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (int truth = 0; truth < 2; truth++) {
			if (!str_eq_c(value, words[i][truth]))
				continue;
			*to = truth;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "true or false");
}

/* Whole seconds, at least one, into milliseconds. */
static int parse_seconds(struct str value, void *field, struct err *err)
{
	uint32_t *to_ms = field;
	uint64_t seconds;

	if (str_parse_u64(value, SECONDS_MAX, &seconds) < 0 || seconds == 0)
		return err_set(err, -EINVAL, "a number of seconds from 1 to %u",
			       (unsigned int)SECONDS_MAX);
	*to_ms = (uint32_t)seconds * MS_PER_S;
	return 0;
}

static int parse_redirect_status(struct str value, void *field, struct err *err)
{
	static const uint16_t statuses[] = { 301, 302, 303, 307, 308 };
	uint16_t *to = field;
	uint64_t status;

	if (str_parse_u64(value, UINT16_MAX, &status) == 0) {
		for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
			if (status != statuses[i])
				continue;
			*to = statuses[i];
			return 0;
		}
	}
	return err_set(err, -EINVAL, "one of 301, 302, 303, 307 and 308");
}

static int parse_profile(struct str value, void *field, struct err *err)
{
	struct model_policy *policy = field;

	for (enum model_profile i = 0; i < MODEL_PROFILE_COUNT; i++) {
		if (!str_eq_c(value, model_profile_name(i)))
			continue;
		model_policy_init(policy, i);
		return 0;
	}
	return err_set(err, -EINVAL, "sluice, ingress-nginx or conformance");
}

/* "namespace/name" off the front of @rest, which keeps what stands behind a ':'. */
static bool take_reference(struct str *rest, struct setting_reference *reference)
{
	struct str name;

	if (!str_take_part(rest, '/', &reference->namespace) || !str_take_part(rest, ':', &name))
		return false;
	if (reference->namespace.len == 0 || name.len == 0)
		return false;
	reference->name = name;
	return true;
}

static int parse_secret(struct str value, void *field, struct err *err)
{
	struct setting_reference *to = field, parsed = { 0 };

	if (!take_reference(&value, &parsed) || value.at)
		return err_set(err, -EINVAL, "NAMESPACE/NAME of a secret");
	*to = parsed;
	return 0;
}

static int parse_service_port(struct str value, void *field, struct err *err)
{
	struct setting_reference *to = field, parsed = { 0 };
	uint64_t number;

	if (!take_reference(&value, &parsed) || value.len == 0)
		return err_set(err, -EINVAL, "NAMESPACE/NAME:PORT of a service");
	if (str_parse_u64(value, UINT16_MAX, &number) == 0)
		parsed.port.number = (uint16_t)number;
	else
		parsed.port.name = value;
	*to = parsed;
	return 0;
}

/* "100", "100/500" with a burst, "off". */
static int parse_rate(struct str value, void *field, struct err *err)
{
	struct model_rate *to = field;
	struct str rest = value, first;
	uint64_t per_s = 0, burst = 0;

	if (str_eq(value, STR("off"))) {
		*to = (struct model_rate){ 0 };
		return 0;
	}
	if (!str_take_part(&rest, '/', &first) || str_parse_u64(first, RATE_MAX, &per_s) < 0 ||
	    per_s == 0 || (rest.at && (str_parse_u64(rest, RATE_MAX, &burst) < 0 || burst == 0)))
		return err_set(err, -EINVAL, "off or N[/BURST] connections a second, up to %d",
			       RATE_MAX);
	*to = (struct model_rate){ (uint32_t)per_s, (uint32_t)(burst ? burst : per_s) };
	return 0;
}

static int parse_unknown_hosts(struct str value, void *field, struct err *err)
{
	bool *drops = field;

	if (!str_eq(value, STR("pass")) && !str_eq(value, STR("drop")))
		return err_set(err, -EINVAL, "pass or drop");
	*drops = str_eq(value, STR("drop"));
	return 0;
}

/*
 * Somebody relies on a protection that this version does not have. The field is the policy's
 * deny, the text completes "is not ...".
 */
static int parse_protection(struct str value, void *field, struct err *err)
{
	bool *deny = field;

	(void)value;
	*deny = true;
	return err_set(err, -EPERM, "in force yet; the routes answer 503 rather than unprotected");
}

/* ------------------------------------------------------------------- table */

#define FIELD(member) offsetof(struct settings, member)
enum { BOTH = SETTING_ANNOTATION | SETTING_PARAMETER };

static const struct setting settings[] = {
	{ "allowlist-source-range", parse_protection, FIELD(policy.deny), BOTH },
	{ "auth-tls-secret", parse_protection, FIELD(policy.deny), SETTING_ANNOTATION },
	{ "auth-type", parse_protection, FIELD(policy.deny), SETTING_ANNOTATION },
	{ "auth-url", parse_protection, FIELD(policy.deny), SETTING_ANNOTATION },
	{ "canary", parse_bool, FIELD(canary), SETTING_ANNOTATION },
	{ "connection-rate", parse_rate, FIELD(connection_rate), BOTH },
	{ "default-backend", parse_service_port, FIELD(default_backend), SETTING_PARAMETER },
	{ "default-ssl-certificate", parse_secret, FIELD(default_certificate), SETTING_PARAMETER },
	{ "denylist-source-range", parse_protection, FIELD(policy.deny), BOTH },
	{ "force-ssl-redirect", parse_bool, FIELD(policy.force_ssl_redirect), BOTH },
	{ "http-redirect-code", parse_redirect_status, FIELD(policy.redirect_status),
	  SETTING_PARAMETER },
	{ "preserve-trailing-slash", parse_bool, FIELD(policy.preserve_trailing_slash), BOTH },
	{ "profile", parse_profile, FIELD(policy), SETTING_PARAMETER },
	{ "proxy-connect-timeout", parse_seconds, FIELD(policy.connect_timeout_ms), BOTH },
	{ "proxy-read-timeout", parse_seconds, FIELD(policy.read_timeout_ms), BOTH },
	{ "proxy-send-timeout", parse_seconds, FIELD(policy.send_timeout_ms), BOTH },
	{ "ssl-redirect", parse_bool, FIELD(policy.ssl_redirect), BOTH },
	{ "unknown-hosts", parse_unknown_hosts, FIELD(drops_unknown_hosts), SETTING_PARAMETER },
	{ "whitelist-source-range", parse_protection, FIELD(policy.deny), BOTH },
};

enum { SETTINGS_COUNT = sizeof(settings) / sizeof(settings[0]) };

const struct setting *settings_table(size_t *count)
{
	*count = SETTINGS_COUNT;
	return settings;
}

static int compare_name(const void *key, const void *element)
{
	const struct str *name = key;
	const struct setting *setting = element;

	return str_compare(*name, str_from_c(setting->name));
}

const struct setting *setting_find(struct str name)
{
	return bsearch(&name, settings, SETTINGS_COUNT, sizeof(settings[0]), compare_name);
}

/* ------------------------------------------------------------------- apply */

void settings_init(struct settings *to, enum model_profile profile)
{
	*to = (struct settings){ 0 };
	model_policy_init(&to->policy, profile);
}

/* One pair on its way into the settings. */
struct application {
	struct settings *to;
	const struct settings_source *source;
	const struct object_pair *pair;
	const char *what; /* "annotation", "setting" */
	const char *field_name;
	struct findings *findings;
};

static void complain(const struct application *application, enum finding_level level,
		     const char *reason, const char *text)
{
	const struct object_pair *pair = application->pair;
	struct finding_place place = { .object = application->source->object,
				       .file = application->source->file,
				       .line = pair->line };
	char field[SETTING_FIELD_MAX];

	snprintf(field, sizeof(field), "%s[%.*s]", application->field_name, STR_ARG(pair->key));
	place.field = str_from_c(field);
	findings_add(application->findings, level, reason, &place, "%s '%.*s' %s",
		     application->what, STR_ARG(pair->key), text);
}

/* Remembers where a reference was written: it is followed later. */
static void note_place(const struct application *application, const struct setting *setting)
{
	struct setting_reference *reference = (void *)((char *)application->to + setting->offset);

	if (setting->parse != parse_secret && setting->parse != parse_service_port)
		return;
	reference->object = application->source->object;
	reference->line = application->pair->line;
	reference->field = application->pair->key;
}

static void apply(const struct application *application, struct str name, enum setting_scope scope)
{
	const struct setting *setting = setting_find(name);
	struct str value = str_trim(application->pair->value);
	char text[ERR_TEXT_MAX + SETTING_FIELD_MAX];
	struct err err = { 0 };
	int code;

	if (!setting || !(setting->scope & scope)) {
		complain(application, FINDING_WARNING, "UnknownSetting",
			 "is not known and has no effect");
		return;
	}
	code = setting->parse(value, (char *)application->to + setting->offset, &err);
	if (code == 0) {
		note_place(application, setting);
	} else if (code == -EPERM) {
		snprintf(text, sizeof(text), "is not %s", err.text);
		complain(application, FINDING_ERROR, "ProtectionMissing", text);
	} else {
		snprintf(text, sizeof(text), "is not %s: '%.*s'", err.text,
			 (int)(value.len < SETTING_FIELD_MAX / 2 ? value.len
								 : SETTING_FIELD_MAX / 2),
			 value.at ? value.at : "");
		complain(application, FINDING_WARNING, "InvalidSetting", text);
	}
}

void settings_apply_parameters(struct settings *to, const struct settings_source *source,
			       struct findings *findings)
{
	struct application application = { .to = to,
					   .source = source,
					   .what = "setting",
					   .field_name = source->object ? "data" : "settings",
					   .findings = findings };

	/* The profile sets everything else, so it goes first, wherever it stands. */
	for (int pass = source->has_fixed_profile; pass < 2; pass++) {
		for (uint32_t i = 0; i < source->pairs.count; i++) {
			application.pair = &source->pairs.at[i];
			if (str_eq(application.pair->key, STR("profile")) == (pass == 0))
				apply(&application, application.pair->key, SETTING_PARAMETER);
		}
	}
}

void settings_apply_annotations(struct settings *to, const struct object *ingress,
				struct findings *findings)
{
	const struct settings_source source = { .object = ingress, .pairs = ingress->annotations };
	const struct str prefixes[] = { prefix_nginx, prefix_sluice };
	struct application application = { .to = to,
					   .source = &source,
					   .what = "annotation",
					   .field_name = "metadata.annotations",
					   .findings = findings };

	/* Ours go last, so that they win. */
	for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++) {
		for (uint32_t i = 0; i < source.pairs.count; i++) {
			const struct object_pair *pair = &source.pairs.at[i];

			application.pair = pair;
			if (str_starts_with(pair->key, prefixes[p]))
				apply(&application,
				      str_slice(pair->key, prefixes[p].len, pair->key.len),
				      SETTING_ANNOTATION);
		}
	}
}
