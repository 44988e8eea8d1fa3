/* SPDX-License-Identifier: Apache-2.0 */
/* node_yaml: one YAML document by libyaml. JSON: node_json. Both are node_reader's own. */
#ifndef SLUICE_KUBE_NODE_YAML_H
#define SLUICE_KUBE_NODE_YAML_H

#include "kube/node_reader.h"

/*
 * Reads @text, which holds at most one document and begins at @line, into @document. False where
 * there is none.
 */
bool node_yaml_read(struct str text, uint32_t line, struct arena *arena,
		    struct node_document *document);

#endif
