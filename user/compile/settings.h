/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings: what may be said about a class or an Ingress, as typed values.
 *
 * One table names every setting, how its text is parsed, where it is kept and where
 * it may stand: as an annotation `sluice.dev/NAME` or `nginx.ingress.kubernetes.io/NAME`
 * of an Ingress, as key NAME in the ConfigMap that an IngressClass names as its
 * parameters, or as NAME in --config.
 *
 *   defaults of the profile  <  --config  <  parameters of the class  <  annotations
 *
 * No text of a user goes on as text. A value that does not parse is a finding and the
 * setting keeps what it had. A setting that protects something and that this version
 * does not have makes the routes answer 503: failing open would be worse.
 */
#ifndef SLUICE_COMPILE_SETTINGS_H
#define SLUICE_COMPILE_SETTINGS_H

#include "model/finding.h"
#include "model/model.h"

/* A setting that names something, with the place where it was written. */
struct setting_reference {
	struct str namespace, name;  /* name.at == NULL: not set */
	struct object_port port;     /* of a Service */
	const struct object *object; /* ConfigMap; NULL for --config */
	uint32_t line;
	struct str field; /* data[default-backend] */
};

struct settings {
	struct model_policy policy;
	bool canary; /* the Ingress asks for a part of another one's traffic */
	struct setting_reference default_backend;
	struct setting_reference default_certificate;
	struct model_rate connection_rate; /* of each host */
	bool drops_unknown_hosts;
};

enum setting_scope {
	SETTING_ANNOTATION = 1u << 0, /* of an Ingress */
	SETTING_PARAMETER = 1u << 1,  /* of a class, or of all classes */
};

struct setting {
	const char *name;
	/*
	 * Writes the value into the field at @offset of struct settings. 0, or -EINVAL with a
	 * text that says what is expected.
	 */
	int (*parse)(struct str value, void *field, struct err *err);
	size_t offset;
	unsigned int scope; /* enum setting_scope */
};

/* The setting of that name, or NULL. */
const struct setting *setting_find(struct str name);

/* The whole table, sorted by name. */
const struct setting *settings_table(size_t *count);

/* What the profile of --config or of a class begins with. */
void settings_init(struct settings *settings, enum model_profile profile);

/*
 * Lays the pairs of --config (@object NULL, @file may be absent) or of a class's ConfigMap over
 * @settings. A `profile` among them first sets all that depends on it.
 */
struct settings_source {
	const struct object *object;
	struct str file;
	struct object_pairs pairs;
	bool has_fixed_profile; /* a `profile` among the pairs is not for these @settings */
};
void settings_apply_parameters(struct settings *settings, const struct settings_source *source,
			       struct findings *findings);

/* Lays the annotations of @ingress over @settings. */
void settings_apply_annotations(struct settings *settings, const struct object *ingress,
				struct findings *findings);

#endif
