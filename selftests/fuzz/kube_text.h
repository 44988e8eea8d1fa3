/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kube_yaml and kube_json do with their bytes: documents, objects, store, dump;
 * twice over, so that an origin changes and what was good is kept.
 */
#ifndef SLUICE_SELFTESTS_FUZZ_KUBE_TEXT_H
#define SLUICE_SELFTESTS_FUZZ_KUBE_TEXT_H

#include <stdlib.h>

#include "kube/store.h"

/* Reads every node, as a decoder of everything would: aliases must not make this long. */
static size_t count_nodes(const struct node *node)
{
	size_t count = 1;

	if (node->type == NODE_MAP || node->type == NODE_SEQUENCE) {
		for (uint32_t i = 0; i < node->count; i++)
			count += count_nodes(&node->children[i].value);
	}
	return count;
}

static void check_documents(struct str text, enum node_format format)
{
	struct node_document document;
	struct node_reader reader;

	node_reader_init(&reader, text, format);
	while (node_reader_next(&reader, &document)) {
		if (count_nodes(&document.root) > 4 * text.len + 1 + NODE_ALIASED_MAX)
			abort();
		if ((document.state == NODE_STATE_SOUND) != !document.flaw.len)
			abort();
	}
	node_reader_release(&reader);
}

static void put_text(struct store *store, struct str text, enum node_format format)
{
	struct decoded decoded;

	decoded_init(&decoded);
	decode_text(STR("f"), text, format, &decoded);
	store_put_origin(store, STR("f"), &decoded);
	decoded_release(&decoded);
}

static int fuzz_text(struct str text, enum node_format format)
{
	struct store *store = store_new();
	struct findings findings;
	struct buf out;

	check_documents(text, format);
	put_text(store, text, format);
	buf_init(&out, 0);
	store_dump(store, &out);
	put_text(store, str_slice(text, 0, text.len - text.len / 3), format);
	store_dump(store, &out);
	findings_init(&findings);
	store_findings(store, &findings);
	for (size_t i = 0; i < findings.list.len; i++)
		finding_format(&findings.list.at[i], &out);
	findings_release(&findings);
	buf_release(&out);
	store_free(store);
	return 0;
}

#endif
