// SPDX-License-Identifier: Apache-2.0
/* certs: opening, verifying, asking and printing the segment; certs_writer.c makes it. */
#include "image/certs.h"

#include <errno.h>
#include <inttypes.h>

#include "image/certs_private.h"
#include "image/key.h"

const struct segment_shape certs_shape = {
	.name = "certs",
	.magic = CERTS_MAGIC,
	.version = CERTS_VERSION,
	.header_bytes = sizeof(struct certs_header),
	.section_count = CERTS_SECTION_COUNT,
	.sections = {
		[CERTS_SECTION_HOST_SLOTS] = { "host_slots", sizeof(struct host_slot) },
		[CERTS_SECTION_NAMES] = { "names", sizeof(struct certs_name) },
		[CERTS_SECTION_CERTS] = { "certs", sizeof(struct cert) },
		[CERTS_SECTION_STRINGS] = { "strings", 1 },
	},
};

/* ------------------------------------------------------------------- asking */

/*
 * The name filed under @hash that reads @key, behind "*." where @is_wildcard says so; NULL where
 * there is none.
 */
static const struct certs_name *find_name(const struct certs *certs, struct str key, uint64_t hash,
					  bool is_wildcard)
{
	for (uint32_t i = 0; i < HOST_TABLE_PROBES; i++) {
		uint32_t at =
			((uint32_t)hash + i) & certs->host_slot_mask; /* low bits: the place */
		struct host_slot slot = certs->host_slots[at];
		const struct certs_name *name;
		struct str text;

		if (slot.entry_plus_1 == 0)
			return NULL;
		if (slot.tag != host_table_tag(hash))
			continue;
		name = &certs->names[slot.entry_plus_1 - 1];
		text = certs_text(certs, name->text);
		if (host_key_is_wildcard(text) != is_wildcard)
			continue;
		if (str_eq(is_wildcard ? host_key_parent(text) : text, key))
			return name;
	}
	return NULL;
}

const struct cert *certs_find_named(const struct certs *certs, struct str host)
{
	const struct host_table_keys *keys = &certs->header->keys;
	struct str parent = host_key_parent(host);
	const struct certs_name *name = NULL;

	if (host.len)
		name = find_name(certs, host, siphash(keys->exact, host), false);
	if (!name && parent.len && certs->header->wildcard_count)
		name = find_name(certs, parent, siphash(keys->wildcard, parent), true);
	return name ? &certs->certs[name->cert] : NULL;
}

const struct cert *certs_find(const struct certs *certs, struct str host)
{
	const struct cert *cert = certs_find_named(certs, host);

	if (!cert && certs->header->default_cert != SEGMENT_NONE)
		cert = &certs->certs[certs->header->default_cert];
	return cert;
}

/* ---------------------------------------------------------------- verifying */

static int refuse(struct err *err, const char *section, uint32_t index, const char *what)
{
	return err_set(err, -EINVAL, "certs: %s[%u]: %s", section, index, what);
}

static int check_certs(const struct certs *found, uint32_t strings_bytes, struct err *err)
{
	for (uint32_t i = 0; i < found->cert_count; i++) {
		const struct cert *cert = &found->certs[i];

		if (!segment_text_fits(cert->chain, strings_bytes) ||
		    !segment_text_fits(cert->key, strings_bytes) ||
		    !segment_text_fits(cert->namespace, strings_bytes) ||
		    !segment_text_fits(cert->secret, strings_bytes))
			return refuse(err, "certs", i, "text outside of strings");
	}
	return 0;
}

static int check_name(const struct certs *found, uint32_t index, uint32_t strings_bytes,
		      struct err *err)
{
	const struct certs_name *name = &found->names[index];
	char room[HOST_KEY_MAX];
	struct str text, key;

	if (!segment_text_fits(name->text, strings_bytes))
		return refuse(err, "names", index, "text outside of strings");
	text = certs_text(found, name->text);
	if (host_key_of_rule(text, room, &key) != 0 || key.at != text.at || key.len != text.len)
		return refuse(err, "names", index, "not in normal form");
	if (name->cert >= found->cert_count)
		return refuse(err, "names", index, "no such certificate");
	if (name->reserved)
		return refuse(err, "names", index, "reserved bytes in use");
	return 0;
}

static int check_names(const struct certs *found, uint32_t strings_bytes, struct err *err)
{
	uint32_t wildcards = 0;

	for (uint32_t i = 0; i < found->name_count; i++) {
		int rc = check_name(found, i, strings_bytes, err);

		if (rc)
			return rc;
		wildcards += host_key_is_wildcard(certs_text(found, found->names[i].text));
	}
	if (wildcards != found->header->wildcard_count)
		return err_set(err, -EINVAL, "certs: header does not fit the names");
	return 0;
}

/* Each name is found by the function that will look for it. */
static int check_hosts(const struct certs *found, struct err *err)
{
	if (!host_table_is_sound(found->host_slots, found->host_slot_mask + 1, found->name_count,
				 found->name_count))
		return err_set(err, -EINVAL, "certs: host table is not sound");
	for (uint32_t i = 0; i < found->name_count; i++) {
		struct str text = certs_text(found, found->names[i].text);
		bool is_wildcard = host_key_is_wildcard(text);
		uint64_t hash = host_table_hash(&found->header->keys, text);

		if (find_name(found, is_wildcard ? host_key_parent(text) : text, hash,
			      is_wildcard) != &found->names[i])
			return refuse(err, "names", i, "not found under its name");
	}
	return 0;
}

static int check_all(const struct certs *found, uint32_t strings_bytes, struct err *err)
{
	uint32_t default_cert = found->header->default_cert;
	int rc = check_certs(found, strings_bytes, err);

	if (default_cert != SEGMENT_NONE && default_cert >= found->cert_count)
		return err_set(err, -EINVAL, "certs: no such default certificate");
	if (rc == 0)
		rc = check_names(found, strings_bytes, err);
	return rc ? rc : check_hosts(found, err);
}

int certs_open(struct str bytes, struct certs *certs, struct err *err)
{
	struct certs found;
	int rc = segment_check(bytes, &certs_shape, err);

	if (rc)
		return rc;
	found = (struct certs){
		.header = (const void *)bytes.at, /* its size and alignment were checked */
		.host_slots = segment_at(bytes, CERTS_SECTION_HOST_SLOTS),
		.names = segment_at(bytes, CERTS_SECTION_NAMES),
		.certs = segment_at(bytes, CERTS_SECTION_CERTS),
		.strings = segment_at(bytes, CERTS_SECTION_STRINGS),
		.host_slot_mask = segment_count(bytes, CERTS_SECTION_HOST_SLOTS) - 1,
		.name_count = segment_count(bytes, CERTS_SECTION_NAMES),
		.cert_count = segment_count(bytes, CERTS_SECTION_CERTS),
	};
	found.generation = found.header->segment.generation;
	rc = check_all(&found, segment_count(bytes, CERTS_SECTION_STRINGS), err);
	if (rc == 0)
		*certs = found;
	return rc;
}

/* --------------------------------------------------------------------- dump */

static void dump_cert(const struct certs *certs, uint32_t index, struct buf *out)
{
	const struct cert *cert = &certs->certs[index];

	buf_printf(out, "cert %u secret ", index);
	segment_print_text(out, certs_text(certs, cert->namespace));
	buf_add_char(out, '/');
	segment_print_text(out, certs_text(certs, cert->secret));
	buf_printf(out, " chain %u bytes key %u bytes fingerprint %016" PRIx64 "\n",
		   cert->chain.len, cert->key.len, cert->fingerprint);
}

void certs_dump(const struct certs *certs, struct buf *out)
{
	buf_printf(out, "certs version %u generation %" PRIu64 "\n", certs->header->segment.version,
		   certs->generation);
	for (uint32_t i = 0; i < certs->cert_count && !out->is_cut; i++)
		dump_cert(certs, i, out);
	for (uint32_t i = 0; i < certs->name_count && !out->is_cut; i++) {
		buf_printf(out, "name %u ", i);
		segment_print_text(out, certs_text(certs, certs->names[i].text));
		buf_printf(out, " cert %u\n", certs->names[i].cert);
	}
	if (certs->header->default_cert != SEGMENT_NONE)
		buf_printf(out, "default cert %u\n", certs->header->default_cert);
}
