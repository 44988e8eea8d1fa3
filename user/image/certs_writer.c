// SPDX-License-Identifier: Apache-2.0
/*
 * certs_writer: collects certificates and names. Holds private keys, so everything it allocated for
 * texts is wiped before it is given back.
 */
#include <errno.h>

#include "base/vec.h"
#include "image/certs_private.h"
#include "image/key.h"
#include "image/texts.h"

/* The same in every generation and process: equal bytes must give equal fingerprints. */
static const struct siphash_key fingerprint_key = { .k0 = 0x6365727469666963u, .k1 = 0x617465u };

struct certs_writer {
	uint64_t generation;
	struct siphash_key hash_key;
	struct texts strings;
	struct texts hosts; /* only to see whether a name is new */
	struct VEC(struct cert) certs;
	struct VEC(struct certs_name) names;
	uint32_t default_cert;
	uint32_t wildcard_count;
	char *bytes;
	size_t bytes_len;
};

struct certs_writer *certs_writer_new(uint64_t generation, struct siphash_key hash_key)
{
	struct certs_writer *writer = mem_new(1, sizeof(*writer));

	writer->generation = generation;
	writer->hash_key = hash_key;
	writer->default_cert = SEGMENT_NONE;
	texts_init(&writer->strings, hash_key);
	writer->strings.is_secret = true;
	texts_init(&writer->hosts, hash_key);
	return writer;
}

void certs_writer_free(struct certs_writer *writer)
{
	if (!writer)
		return;
	texts_release(&writer->strings);
	texts_release(&writer->hosts);
	vec_release(&writer->certs);
	vec_release(&writer->names);
	if (writer->bytes)
		explicit_bzero(writer->bytes, writer->bytes_len);
	mem_free(writer->bytes);
	mem_free(writer);
}

/* A hash of the chain is the hash key of the key: one number for both. */
static uint64_t fingerprint_of(const struct certs_writer_cert *cert)
{
	struct siphash_key key = fingerprint_key;

	key.k1 ^= siphash(fingerprint_key, cert->chain);
	return siphash(key, cert->key);
}

uint32_t certs_writer_add(struct certs_writer *writer, const struct certs_writer_cert *cert)
{
	*vec_push(&writer->certs) = (struct cert){
		.chain = texts_add(&writer->strings, cert->chain, NULL),
		.key = texts_add(&writer->strings, cert->key, NULL),
		.namespace = texts_add(&writer->strings, cert->namespace, NULL),
		.secret = texts_add(&writer->strings, cert->secret, NULL),
		.fingerprint = cert->fingerprint ? cert->fingerprint : fingerprint_of(cert),
	};
	return (uint32_t)(writer->certs.len - 1);
}

int certs_writer_add_name(struct certs_writer *writer, struct str host, uint32_t cert)
{
	char room[HOST_KEY_MAX];
	struct str key;
	bool is_new;

	if (host_key_of_rule(host, room, &key) != 0 || !str_eq(key, host) ||
	    cert >= writer->certs.len)
		return -EINVAL;
	texts_add(&writer->hosts, host, &is_new);
	if (!is_new)
		return -EEXIST;
	*vec_push(&writer->names) = (struct certs_name){
		.text = texts_add(&writer->strings, host, NULL),
		.cert = cert,
	};
	writer->wildcard_count += host_key_is_wildcard(host);
	return 0;
}

int certs_writer_set_default(struct certs_writer *writer, uint32_t cert)
{
	if (cert >= writer->certs.len)
		return -EINVAL;
	writer->default_cert = cert;
	return 0;
}

static struct host_slot *lay_out_hosts(const struct certs_writer *writer,
				       const struct host_table_keys *keys, uint32_t *slot_count)
{
	struct host_table_item *items = mem_new(writer->names.len, sizeof(*items));
	struct host_slot *slots;

	for (uint32_t i = 0; i < writer->names.len; i++) {
		struct segment_text text = writer->names.at[i].text;
		struct str name = str_of(writer->strings.at + text.offset, text.len);

		items[i] = (struct host_table_item){ host_table_hash(keys, name), i };
	}
	slots = host_table_new(items, (uint32_t)writer->names.len, slot_count);
	mem_free(items);
	return slots;
}

static void put_header(const struct certs_writer *writer, const struct host_table_keys *keys)
{
	/* segment_new gave room for a whole header. */
	struct certs_header *header = (void *)writer->bytes;

	header->keys = *keys;
	header->default_cert = writer->default_cert;
	header->wildcard_count = writer->wildcard_count;
}

int certs_writer_finish(struct certs_writer *writer, struct str *bytes, struct err *err)
{
	struct host_table_keys keys = host_table_keys_of(writer->hash_key);
	uint32_t slot_count;
	struct host_slot *slots;
	int rc = writer->strings.is_full ? -EFBIG : 0;

	if (rc)
		return err_set(err, rc, "certs: larger than 4 GiB");
	slots = lay_out_hosts(writer, &keys, &slot_count);
	rc = segment_new(&certs_shape,
			 (const size_t[CERTS_SECTION_COUNT]){
				 [CERTS_SECTION_HOST_SLOTS] = slot_count,
				 [CERTS_SECTION_NAMES] = writer->names.len,
				 [CERTS_SECTION_CERTS] = writer->certs.len,
				 [CERTS_SECTION_STRINGS] = writer->strings.len,
			 },
			 writer->generation, &writer->bytes, &writer->bytes_len);
	if (rc == 0) {
		segment_fill(&certs_shape, writer->bytes,
			     (const void *const[CERTS_SECTION_COUNT]){
				     [CERTS_SECTION_HOST_SLOTS] = slots,
				     [CERTS_SECTION_NAMES] = writer->names.at,
				     [CERTS_SECTION_CERTS] = writer->certs.at,
				     [CERTS_SECTION_STRINGS] = writer->strings.at,
			     });
		put_header(writer, &keys);
		*bytes = str_of(writer->bytes, writer->bytes_len);
	}
	mem_free(slots);
	return rc ? err_set(err, rc, "certs: larger than 4 GiB") : 0;
}
