// SPDX-License-Identifier: Apache-2.0
/*
 * options_file: names of options and of settings in one flat map.
 *
 * A name that is an option is that option; one that compile/settings.h knows is a default for all
 * classes; anything else is a mistake, because a typing error in a file that nobody looks at again
 * would be in force for years.
 */
#include "agent/options_file.h"

#include <errno.h>

#include "base/file.h"
#include "compile/settings.h"
#include "kube/node_reader.h"

enum { FILE_BYTES_MAX = 1 << 20 };

struct reading {
	const char *path;
	struct options *options;
	options_file_take *take;
	void *context;
};

static bool is_scalar(const struct node *node)
{
	return node->type != NODE_SEQUENCE && node->type != NODE_MAP && node->type != NODE_NULL;
}

static int add_setting(struct reading *reading, const struct node_child *child)
{
	struct options *options = reading->options;

	*vec_push(&options->settings) = (struct object_pair){
		.key = arena_copy(&options->arena, child->key),
		.value = arena_copy(&options->arena, child->value.text),
		.line = child->line,
	};
	return 0;
}

static int take_option(struct reading *reading, const struct option *option,
		       const struct node *value, struct err *err)
{
	int rc = 0;

	if (is_scalar(value))
		return reading->take(reading->context, option, value->text, err);
	if (value->type != NODE_SEQUENCE || !(option->flags & OPTION_REPEATS))
		return err_set(err, -EINVAL, "a text is expected, not a %s",
			       node_type_name(value->type));
	for (uint32_t i = 0; !rc && i < value->count; i++) {
		const struct node *item = &value->children[i].value;

		if (!is_scalar(item))
			return err_set(err, -EINVAL, "a list of texts is expected");
		rc = reading->take(reading->context, option, item->text, err);
	}
	return rc;
}

static int take_child(struct reading *reading, const struct node_child *child, struct err *err)
{
	const struct option *option = options_find(child->key);
	int rc;

	if (option && !(option->flags & OPTION_NOT_IN_FILE)) {
		rc = take_option(reading, option, &child->value, err);
	} else if (setting_find(child->key)) {
		rc = is_scalar(&child->value)
			     ? add_setting(reading, child)
			     : err_set(err, -EINVAL, "a text is expected, not a %s",
				       node_type_name(child->value.type));
	} else {
		rc = err_set(err, -EINVAL, "there is no such setting");
	}
	if (rc)
		err_prefix(err, "%s:%u: %.*s", reading->path, child->line, STR_ARG(child->key));
	return rc;
}

static int take_document(struct reading *reading, const struct node_document *document,
			 struct err *err)
{
	int rc = 0;

	if (document->state != NODE_STATE_SOUND)
		return err_set(err, -EINVAL, "%s:%u: %.*s", reading->path, document->flaw_line,
			       STR_ARG(document->flaw));
	if (document->root.type != NODE_MAP)
		return err_set(err, -EINVAL, "%s:%u: names and values are expected", reading->path,
			       document->line);
	for (uint32_t i = 0; !rc && i < document->root.count; i++)
		rc = take_child(reading, &document->root.children[i], err);
	return rc;
}

int options_file_read(const char *path, struct options *options, options_file_take *take,
		      void *context, struct err *err)
{
	struct reading reading = {
		.path = path,
		.options = options,
		.take = take,
		.context = context,
	};
	struct node_document document;
	struct node_reader reader;
	struct buf text;
	int rc;

	buf_init(&text, FILE_BYTES_MAX);
	rc = file_read(path, &text, err);
	if (!rc) {
		node_reader_init(&reader, buf_str(&text),
				 node_format_of(str_from_c(path), buf_str(&text)));
		while (!rc && node_reader_next(&reader, &document))
			rc = take_document(&reading, &document, err);
		node_reader_release(&reader);
	}
	buf_release(&text);
	return rc;
}
