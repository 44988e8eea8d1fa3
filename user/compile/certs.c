// SPDX-License-Identifier: Apache-2.0
/*
 * certs: from TLS entries to server names and their certificates.
 *
 * A host has TLS as soon as some Ingress has an entry for it, whether or not the
 * Secret is good: what has no good certificate of its own is shown the default
 * one. Of several entries for a host the oldest with a good certificate counts.
 *
 * Checking a pair means parsing and a signature, so a verdict is kept with the
 * serial of the Secret it is about, and asked for again only when that changes.
 */
#include <errno.h>
#include <stdio.h>

#include "compile/build.h"
#include "compile/syntax.h"
#include "image/key.h"

static const struct str key_chain = STR_INIT("tls.crt");
static const struct str key_private = STR_INIT("tls.key");
static const struct str type_tls = STR_INIT("kubernetes.io/tls");

enum { CERT_ENTRY_CHUNK_BYTES = 512 };

/* ------------------------------------------------------------------- cache */

static void entry_free(struct cert_entry *entry)
{
	arena_release(&entry->arena);
	mem_free(entry);
}

void cert_cache_release(struct cert_cache *cache)
{
	for (size_t i = 0; i < cache->entries.len; i++)
		entry_free(cache->entries.at[i]);
	vec_release(&cache->entries);
	lookup_release(&cache->table);
}

static struct cert_entry *entry_new(struct str namespace, struct str name, uint64_t hash)
{
	struct cert_entry *entry = mem_new(1, sizeof(*entry));

	arena_init(&entry->arena, CERT_ENTRY_CHUNK_BYTES);
	entry->namespace = arena_copy(&entry->arena, namespace);
	entry->name = arena_copy(&entry->arena, name);
	entry->hash = hash;
	entry->position = SEEN_NONE;
	return entry;
}

static struct cert_entry *find_or_add_entry(struct build *build, struct str namespace,
					    struct str name)
{
	struct cert_cache *cache = &build->compiler->cert_cache;
	struct siphash_key key = build->compiler->hash_key;
	uint64_t hash = lookup_hash_with(siphash(key, name), siphash(key, namespace));
	uint32_t at = 0, index;
	struct cert_entry *entry;

	while ((index = lookup_next(&cache->table, hash, &at)) != LOOKUP_NONE) {
		entry = cache->entries.at[index];
		if (str_eq(entry->name, name) && str_eq(entry->namespace, namespace))
			return entry;
	}
	entry = entry_new(namespace, name, hash);
	lookup_add(&cache->table, hash, (uint32_t)cache->entries.len);
	*vec_push(&cache->entries) = entry;
	return entry;
}

/* Forgets Secrets that nobody asked for in this round. */
static void drop_unused(struct cert_cache *cache)
{
	size_t kept = 0;

	for (size_t i = 0; i < cache->entries.len; i++) {
		struct cert_entry *entry = cache->entries.at[i];

		if (entry->round == cache->round)
			cache->entries.at[kept++] = entry;
		else
			entry_free(entry);
	}
	if (kept == cache->entries.len)
		return;
	cache->entries.len = kept;
	lookup_reset(&cache->table, kept);
	for (size_t i = 0; i < kept; i++)
		lookup_add(&cache->table, cache->entries.at[i]->hash, (uint32_t)i);
}

/* ------------------------------------------------------------------- check */

static void refuse(struct cert_entry *entry, const char *reason, const char *text)
{
	entry->reason = reason;
	entry->complaint = arena_copy(&entry->arena, str_from_c(text));
}

static void refuse_missing(struct cert_entry *entry)
{
	entry->reason = "MissingSecret";
	entry->complaint = arena_printf(&entry->arena, "does not exist in namespace '%.*s'",
					STR_ARG(entry->namespace));
}

static void blame(struct cert_entry *entry, const char *field, uint32_t line)
{
	entry->field = field;
	entry->line = line;
}

static uint32_t line_of_pair(struct object_pairs pairs, struct str key)
{
	for (uint32_t i = 0; i < pairs.count; i++) {
		if (str_eq(pairs.at[i].key, key))
			return pairs.at[i].line;
	}
	return 0;
}

/* Forgets what was said about another version of the Secret. */
static void entry_renew(struct cert_entry *entry)
{
	struct cert_entry old = *entry;

	*entry = (struct cert_entry){
		.hash = old.hash, .round = old.round, .position = old.position, .cert = MODEL_NONE
	};
	arena_init(&entry->arena, CERT_ENTRY_CHUNK_BYTES);
	entry->namespace = arena_copy(&entry->arena, old.namespace);
	entry->name = arena_copy(&entry->arena, old.name);
	arena_release(&old.arena);
}

static void check_pair(const struct compile_options *options, struct cert_entry *entry,
		       struct str chain, struct str key)
{
	struct err err = { 0 };
	int code;

	code = options->check_pair(options->check_context, chain, key, &entry->arena, &entry->facts,
				   &err);
	if (code < 0) {
		err_prefix(&err, "is not usable");
		refuse(entry, "InvalidCertificate", err.text);
	}
}

static void check_secret(const struct compile_options *options, struct cert_entry *entry,
			 const struct object *secret)
{
	struct str chain = object_pairs_find(secret->secret.data, key_chain);
	struct str key = object_pairs_find(secret->secret.data, key_private);
	char text[ERR_TEXT_MAX];

	blame(entry, "data", line_of_pair(secret->secret.data, key_chain));
	if (!str_eq(secret->secret.type, type_tls)) {
		blame(entry, "type", 0);
		snprintf(text, sizeof(text), "has type '%.*s', not '%.*s'",
			 STR_ARG(secret->secret.type), STR_ARG(type_tls));
		refuse(entry, "WrongSecretType", text);
	} else if (chain.len == 0) {
		refuse(entry, "MissingSecretKey", "has no key 'tls.crt'");
	} else if (key.len == 0) {
		refuse(entry, "MissingSecretKey", "has no key 'tls.key'");
	} else if (options->check_pair) {
		check_pair(options, entry, chain, key);
	}
}

/* Who owns the Secret looks there, who owns the Ingress here: both are told. */
static void complain_at_secret(struct build *build, const struct cert_entry *entry,
			       const struct object *secret)
{
	struct finding_place place = build_place(build, secret, entry->line, "%s", entry->field);

	findings_add(build->findings, FINDING_ERROR, entry->reason, &place, "secret '%.*s' %.*s",
		     STR_ARG(entry->name), STR_ARG(entry->complaint));
}

/* Where the Secret stands now, if it is the same as when it was last looked at. */
static uint32_t same_position(const struct build *build, const struct cert_entry *entry)
{
	const struct seen *seen = &build->compiler->seen[OBJECT_KIND_SECRET];

	if (entry->round + 1 != build->compiler->cert_cache.round ||
	    entry->position >= seen->to.len)
		return SEEN_NONE;
	return seen->to.at[entry->position];
}

static const struct object *find_secret(struct build *build, struct cert_entry *entry)
{
	uint32_t position = same_position(build, entry);
	size_t count = build->set->of[OBJECT_KIND_SECRET].count;

	if (position == SEEN_NONE)
		position = (uint32_t)object_set_position(build->set, OBJECT_KIND_SECRET,
							 entry->namespace, entry->name);
	entry->position = position < count ? position : SEEN_NONE;
	return position < count ? build->set->of[OBJECT_KIND_SECRET].at[position] : NULL;
}

void certs_look_at(struct build *build, struct cert_entry *entry)
{
	struct cert_cache *cache = &build->compiler->cert_cache;
	const struct object *secret;
	struct model_cert *cert;

	if (entry->round == cache->round)
		return;
	secret = find_secret(build, entry);
	entry->round = cache->round;
	entry->cert = MODEL_NONE;
	if (!secret || !secret->serial || entry->serial != secret->serial)
		entry_renew(entry);
	if (!secret) {
		refuse_missing(entry);
		return;
	}
	if (!entry->serial)
		check_secret(&build->compiler->options, entry, secret);
	entry->serial = secret->serial;
	if (entry->reason) {
		complain_at_secret(build, entry, secret);
		return;
	}
	entry->cert = (uint32_t)build->model->certs.len;
	cert = vec_push(&build->model->certs);
	cert->object = secret;
	cert->chain = object_pairs_find(secret->secret.data, key_chain);
	cert->key = object_pairs_find(secret->secret.data, key_private);
	cert->facts = entry->facts;
}

/* What is known of a Secret, checked in this round or found unchanged since it was. */
static struct cert_entry *look_at_secret(struct build *build, struct str namespace, struct str name)
{
	struct cert_entry *entry = find_or_add_entry(build, namespace, name);

	certs_look_at(build, entry);
	return entry;
}

static bool is_expired(const struct build *build, const struct cert_entry *entry)
{
	return entry->facts.not_after_s && entry->facts.not_after_s < build->now_s;
}

static bool is_early(const struct build *build, const struct cert_entry *entry)
{
	return entry->facts.not_before_s > build->now_s;
}

bool certs_is_same(const struct build *build, const struct cert_entry *entry, uint64_t serial)
{
	bool is_looked_at = entry->round == build->compiler->cert_cache.round;

	return serial && entry->serial == serial && !entry->reason &&
	       (is_looked_at || same_position(build, entry) != SEEN_NONE) &&
	       !is_expired(build, entry) && !is_early(build, entry);
}

/* Says where it is named what is wrong with a Secret, or will be before long. */
static void complain_secret(struct build *build, const struct cert_entry *entry,
			    const struct finding_place *place)
{
	if (entry->reason)
		findings_add(build->findings, FINDING_ERROR, entry->reason, place,
			     "secret '%.*s' %.*s", STR_ARG(entry->name), STR_ARG(entry->complaint));
	else if (is_expired(build, entry))
		findings_add(build->findings, FINDING_WARNING, "CertificateExpired", place,
			     "certificate of secret '%.*s' has expired", STR_ARG(entry->name));
	else if (is_early(build, entry))
		findings_add(build->findings, FINDING_WARNING, "CertificateNotYetValid", place,
			     "certificate of secret '%.*s' is not valid yet", STR_ARG(entry->name));
}

/* ------------------------------------------------------------ server names */

uint32_t certs_new_tls_host(struct build *build, const struct model_tls_host *tls_host)
{
	struct known_host *known = &build->compiler->known_hosts.at[tls_host->number];
	uint32_t index = (uint32_t)build->model->tls_hosts.len;

	known->tls_round = build->compiler->round;
	known->tls_host = index;
	*vec_push(&build->model->tls_hosts) = *tls_host;
	vec_push(&build->compiler->now->tls_secrets);
	build->tls_wildcard_count += host_key_is_wildcard(tls_host->host);
	return index;
}

/* @arena: where @host is copied to; NULL: it lives as long as the Ingress at hand. */
static uint32_t find_or_add_tls_host(struct build *build, struct str host, struct arena *arena)
{
	uint32_t number = build_host_number(build, host);
	const struct known_host *known = &build->compiler->known_hosts.at[number];
	struct model_tls_host tls_host = { .host = host, .cert = MODEL_NONE, .number = number };

	if (known->tls_round == build->compiler->round)
		return known->tls_host;
	if (arena)
		tls_host.host = arena_copy(arena, host);
	return certs_new_tls_host(build, &tls_host);
}

/* RFC 6125 6.4.3: "*.example.com" covers one label more, and a name covers itself. */
static bool name_covers(struct str name, struct str host)
{
	struct str parent;

	if (str_eq_nocase(name, host))
		return true;
	if (!host_key_is_wildcard(name))
		return false;
	parent = host_key_parent(host);
	return parent.len && str_eq_nocase(str_slice(name, 2, name.len), parent);
}

static bool is_covered(const struct cert_facts *facts, struct str host)
{
	if (facts->name_count == 0)
		return true; /* not known */
	for (uint32_t i = 0; i < facts->name_count; i++) {
		if (name_covers(facts->names[i], host))
			return true;
	}
	return false;
}

/* One TLS entry at work. */
struct tls_entry {
	const struct object_tls *tls;
	uint32_t cert; /* MODEL_NONE: the default one */
	struct cert_entry *secret;
	struct arena *arena; /* where the host at hand is to be kept, or NULL */
};

static void claim_host(struct build *build, const struct tls_entry *entry, struct str host,
		       const struct finding_place *place)
{
	uint32_t index = find_or_add_tls_host(build, host, entry->arena);
	struct model_tls_host *tls_host = &build->model->tls_hosts.at[index];
	const struct object *winner = tls_host->object;
	struct str shown = host.len ? host : STR("*");

	if (winner && winner != build->ingress)
		build->is_plain = false;
	if (!winner || (tls_host->cert == MODEL_NONE && entry->cert != MODEL_NONE)) {
		tls_host->object = build->ingress;
		tls_host->cert = entry->cert;
		build->compiler->now->tls_secrets.at[index] = entry->secret;
		if (entry->cert != MODEL_NONE && host.len &&
		    !is_covered(&entry->secret->facts, host))
			findings_add(build->findings, FINDING_WARNING, "CertificateMismatch", place,
				     "certificate of secret '%.*s' does not cover host '%.*s'",
				     STR_ARG(entry->secret->name), STR_ARG(host));
	} else if (entry->cert != MODEL_NONE && entry->cert != tls_host->cert) {
		findings_add(build->findings, FINDING_NOTICE, "Conflict", place,
			     "the certificate of host '%.*s' is that of ingress '%.*s/%.*s', "
			     "which %s",
			     STR_ARG(shown), STR_ARG(winner->namespace), STR_ARG(winner->name),
			     build_why_first(winner, build->ingress));
	}
}

static void claim_listed_host(struct build *build, struct tls_entry *entry, uint32_t index)
{
	struct str host = entry->tls->hosts[index], key;
	struct finding_place place =
		build_place(build, build->ingress, entry->tls->line, "spec.tls[%u].hosts[%u]",
			    entry->tls->index, index);
	char room[HOST_KEY_MAX];
	struct err err = { 0 };
	int code = syntax_check_host(host, &err);

	if (code == 0 && host_key_of_rule(host, room, &key) < 0)
		code = err_set(&err, -EINVAL, "host '%.*s' is no host name", STR_ARG(host));
	if (code < 0) {
		findings_add(build->findings, FINDING_ERROR, "InvalidHost", &place, "%s", err.text);
		return;
	}
	entry->arena = key.at == room ? &build->compiler->texts : NULL;
	claim_host(build, entry, key, &place);
}

/* An entry without hosts stands for every host that its Ingress names. */
static void claim_all_hosts(struct build *build, const struct tls_entry *entry)
{
	struct finding_place place = build_place(build, build->ingress, entry->tls->line,
						 "spec.tls[%u].secretName", entry->tls->index);
	bool is_catch_all = build->ingress->ingress.rule_count == 0;

	for (size_t i = 0; i < build->ingress_vhosts.len; i++) {
		struct str host = build->model->vhosts.at[build->ingress_vhosts.at[i]].host;

		if (host.len)
			claim_host(build, entry, host, &place);
		else
			is_catch_all = true;
	}
	if (!is_catch_all)
		return;
	build->is_plain = false;
	claim_host(build, entry, STR(""), &place);
	if (entry->cert != MODEL_NONE)
		*vec_push(&build->nameless_certs) =
			(struct build_nameless){ .cert = entry->cert, .ingress = build->ingress };
}

static void add_tls_entry(struct build *build, const struct object_tls *tls)
{
	struct tls_entry entry = { .tls = tls, .cert = MODEL_NONE };

	if (entry.tls->secret.len) {
		struct finding_place place =
			build_place(build, build->ingress, entry.tls->secret_line,
				    "spec.tls[%u].secretName", entry.tls->index);

		entry.secret = look_at_secret(build, build->ingress->namespace, entry.tls->secret);
		entry.cert = entry.secret->cert;
		*vec_push(&build->compiler->now->secrets) =
			(struct unit_secret){ entry.secret, entry.secret->serial };
		complain_secret(build, entry.secret, &place);
	}
	for (uint32_t i = 0; i < entry.tls->host_count; i++)
		claim_listed_host(build, &entry, i);
	if (entry.tls->host_count == 0)
		claim_all_hosts(build, &entry);
}

void certs_add_ingress(struct build *build)
{
	for (uint32_t i = 0; i < build->ingress->ingress.tls_count; i++)
		add_tls_entry(build, &build->ingress->ingress.tls[i]);
}

/* ------------------------------------------------------------------ finish */

/* Certificates for whatever host stand behind all that were named for one. */
static void show_nameless(struct build *build)
{
	for (size_t i = 0; i < build->nameless_certs.len; i++) {
		const struct build_nameless *nameless = &build->nameless_certs.at[i];
		const struct cert_facts *facts = &build->model->certs.at[nameless->cert].facts;

		for (uint32_t n = 0; n < facts->name_count; n++) {
			struct model_tls_host *tls_host;
			uint32_t index;
			char room[HOST_KEY_MAX];
			struct str key;

			if (host_key_of_rule(facts->names[n], room, &key) < 0)
				continue;
			index = find_or_add_tls_host(build, key, &build->model->arena);
			tls_host = &build->model->tls_hosts.at[index];
			if (tls_host->cert != MODEL_NONE)
				continue;
			tls_host->cert = nameless->cert;
			tls_host->object = nameless->ingress;
		}
	}
}

static const struct setting_reference *default_certificate(const struct build *build)
{
	for (size_t i = 1; i < build->classes.len; i++) {
		if (build->classes.at[i].settings.default_certificate.object)
			return &build->classes.at[i].settings.default_certificate;
	}
	return &build->classes.at[0].settings.default_certificate;
}

static void set_default_cert(struct build *build)
{
	const struct setting_reference *reference = default_certificate(build);
	const struct compile_options *options = &build->compiler->options;
	const struct cert_entry *entry;
	struct finding_place place;

	if (reference->name.at) {
		place = build_place(build, reference->object, reference->line,
				    reference->object ? "data[%.*s]" : "settings[%.*s]",
				    STR_ARG(reference->field));
		entry = look_at_secret(build, reference->namespace, reference->name);
		complain_secret(build, entry, &place);
		build->model->default_cert = entry->cert;
	}
	if (build->model->default_cert != MODEL_NONE || options->fallback_secret.len == 0)
		return;
	entry = look_at_secret(build, options->fallback_namespace, options->fallback_secret);
	build->model->default_cert = entry->cert;
}

static bool has_tls(const struct build *build, const struct model_vhost *vhost)
{
	const struct compiler *compiler = build->compiler;
	char room[HOST_KEY_MAX + 1];
	struct str host = vhost->host, parent;
	uint32_t number;

	if (compiler->known_hosts.at[vhost->number].tls_round == compiler->round)
		return true;
	if (!build->tls_wildcard_count)
		return false;
	parent = host_key_parent(host);
	if (host_key_is_wildcard(host) || parent.len == 0 || parent.len + 2 > sizeof(room))
		return false;
	memcpy(room, "*.", 2);
	memcpy(room + 2, parent.at, parent.len);
	parent = str_of(room, parent.len + 2);
	number = ids_find(&compiler->host_names, parent);
	return number != IDS_NONE && compiler->known_hosts.at[number].tls_round == compiler->round;
}

void certs_finish(struct build *build)
{
	show_nameless(build);
	set_default_cert(build);
	for (size_t i = 0; i < build->model->vhosts.len && build->model->tls_hosts.len; i++)
		build->model->vhosts.at[i].has_tls = has_tls(build, &build->model->vhosts.at[i]);
	drop_unused(&build->compiler->cert_cache);
}
