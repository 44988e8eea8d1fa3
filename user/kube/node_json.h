/* SPDX-License-Identifier: Apache-2.0 */
/* node_json: one JSON document by jansson; node_reader's own. */
#ifndef SLUICE_KUBE_NODE_JSON_H
#define SLUICE_KUBE_NODE_JSON_H

#include "kube/node_reader.h"

/*
 * Reads the document that @text, which begins at @line and is not blank, begins with. Returns how
 * many bytes it took: all of them where it is broken.
 */
size_t node_json_read(struct str text, uint32_t line, struct arena *arena,
		      struct node_document *document);

#endif
