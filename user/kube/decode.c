// SPDX-License-Identifier: Apache-2.0
/*
 * decode: see decode.h. Here: documents, lists, kinds and versions; the fields of
 * each kind stand in decode_<kind>.c.
 */
#include "kube/decode.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/random.h"
#include "base/siphash.h"
#include "kube/decode_field.h"
#include "kube/say.h"

enum { ARENA_LEAST_BYTES = 256, ARENA_MOST_BYTES = 4096, ARENA_BYTES_A_NODE = 24 };

struct kind_row {
	const char *name;
	const char *group; /* "" is the core group */
	const char *api_version;
	decode_fn *decode;
	bool has_namespace;
};

static const struct kind_row kinds[OBJECT_KIND_COUNT] = {
	[OBJECT_KIND_INGRESS] = { "Ingress", "networking.k8s.io", "networking.k8s.io/v1",
				  decode_ingress, true },
	[OBJECT_KIND_INGRESS_CLASS] = { "IngressClass", "networking.k8s.io", "networking.k8s.io/v1",
					decode_ingress_class, false },
	[OBJECT_KIND_SERVICE] = { "Service", "", "v1", decode_service, true },
	[OBJECT_KIND_ENDPOINT_SLICE] = { "EndpointSlice", "discovery.k8s.io", "discovery.k8s.io/v1",
					 decode_endpoint_slice, true },
	[OBJECT_KIND_SECRET] = { "Secret", "", "v1", decode_secret, true },
	[OBJECT_KIND_CONFIG_MAP] = { "ConfigMap", "", "v1", decode_config_map, true },
};

/* One object to be decoded, and what is known before it is looked at. */
struct decode_input {
	struct str origin;
	const struct node *root;
	struct str default_kind; /* of the items of an IngressList */
	struct str default_api_version;
	uint64_t fingerprint;
	const struct node_document *flawed; /* its document, where a key stands twice; else NULL */
};

void decoded_init(struct decoded *decoded)
{
	*decoded = (struct decoded){ 0 };
	findings_init(&decoded->findings);
}

void decoded_release(struct decoded *decoded)
{
	for (size_t i = 0; i < decoded->objects.len; i++)
		object_free(decoded->objects.at[i].object);
	vec_release(&decoded->objects);
	vec_release(&decoded->refused);
	findings_release(&decoded->findings);
}

/* ------------------------------------------------------------------- objects */

static struct object *new_object(enum object_kind kind, const struct decode_input *input)
{
	struct object *object = mem_new(1, sizeof(*object));
	size_t guess = (size_t)input->root->weight * ARENA_BYTES_A_NODE;

	if (guess < ARENA_LEAST_BYTES)
		guess = ARENA_LEAST_BYTES;
	arena_init(&object->arena, guess > ARENA_MOST_BYTES ? ARENA_MOST_BYTES : guess);
	object->kind = kind;
	object->serial = object_serial();
	object->line = input->origin.at ? input->root->line : 0;
	object->namespace = kinds[kind].has_namespace ? STR("default") : STR("");
	object->name = STR("");
	if (input->origin.at)
		object->file = arena_copy(&object->arena, input->origin);
	return object;
}

static int decode_identity(struct decoder *decoder, const struct node *root)
{
	struct decode_step step = { .name = STR_INIT("metadata") };
	const struct node *metadata = node_find(root, "metadata");
	int rc;

	if (!metadata || metadata->type == NODE_NULL)
		return decode_refuse_missing(decoder, root->line, "metadata");
	decoder->here = &step;
	rc = decode_metadata(decoder, metadata, decoder->object);
	decoder->here = NULL;
	if (!kinds[decoder->object->kind].has_namespace)
		decoder->object->namespace = STR("");
	return rc;
}

static int refuse_duplicate(struct decoder *decoder, const struct node_document *document)
{
	struct finding_place place = {
		.object = decoder->object,
		.line = document->flaw_line,
		.field = document->flaw_field,
	};
	char text[SAY_MAX + 64];

	snprintf(text, sizeof(text), "%.*s, the object is left out", STR_ARG(document->flaw));
	decode_tell(decoder->findings, FINDING_ERROR, "DuplicateField", &place, text);
	return -EINVAL;
}

static void note_refused(struct decoded *decoded, const struct object *object)
{
	struct arena *arena = &decoded->findings.arena;

	/* Without a name nobody knows which one is missing. */
	if (object->name.len == 0) {
		decoded->is_broken = true;
		return;
	}
	*vec_push(&decoded->refused) = (struct object_key){
		.kind = object->kind,
		.namespace = arena_copy(arena, object->namespace),
		.name = arena_copy(arena, object->name),
	};
}

static void decode_known(const struct decode_input *input, enum object_kind kind,
			 struct decoded *decoded)
{
	struct object *object = new_object(kind, input);
	struct decoder decoder = {
		.object = object,
		.findings = &decoded->findings,
		.loss = "object",
		.is_strict = input->origin.at != NULL,
	};
	struct decoded_object *added;
	int rc = decode_identity(&decoder, input->root);

	if (input->flawed)
		rc = refuse_duplicate(&decoder, input->flawed);
	if (rc == 0)
		rc = kinds[kind].decode(&decoder, input->root, object);
	if (rc < 0) {
		note_refused(decoded, object);
		object_free(object);
		return;
	}
	added = vec_push(&decoded->objects);
	added->object = object;
	added->fingerprint = input->fingerprint;
}

/* --------------------------------------------------------- kinds and versions */

/* Adds a finding about something that is no object (yet). */
static void add_about(const struct decode_input *input, struct decoded *decoded,
		      enum finding_level level, const char *reason, const char *text)
{
	struct finding_place place = { .file = input->origin, .line = input->root->line };

	decode_tell(&decoded->findings, level, reason, &place, text);
}

static void refuse_document(const struct decode_input *input, struct decoded *decoded,
			    const char *reason, const char *text)
{
	add_about(input, decoded, FINDING_ERROR, reason, text);
	decoded->is_broken = true;
}

static struct str text_member(const struct node *map, const char *name, struct str otherwise)
{
	const struct node *value = node_find(map, name);

	return value && value->type == NODE_TEXT ? value->text : otherwise;
}

static struct str group_of(struct str api_version)
{
	size_t slash = str_find_char(api_version, '/');

	return slash < api_version.len ? str_slice(api_version, 0, slash) : STR("");
}

/* Groups of Kubernetes itself; anything else is somebody's own kind of a like name. */
static bool is_core_group(struct str group)
{
	return str_find_char(group, '.') == group.len || str_ends_with(group, STR(".k8s.io"));
}

static bool find_kind(struct str name, enum object_kind *kind)
{
	for (int i = 0; i < OBJECT_KIND_COUNT; i++) {
		if (str_eq_c(name, kinds[i].name)) {
			*kind = (enum object_kind)i; /* an index of the table */
			return true;
		}
	}
	return false;
}

static void ignore_unknown(const struct decode_input *input, struct str kind,
			   struct str api_version, struct decoded *decoded)
{
	const struct node *metadata = node_find(input->root, "metadata");
	struct str name = text_member(metadata, "name", STR("?"));
	char said_kind[SAY_MAX], said_version[SAY_MAX], said_name[SAY_MAX];
	char text[3 * SAY_MAX + 64];

	snprintf(text, sizeof(text), "kind '%s' of '%s' is none of ours, '%s' is ignored",
		 say_text(kind, said_kind), say_text(api_version, said_version),
		 say_text(name, said_name));
	add_about(input, decoded, FINDING_NOTICE, "UnknownKind", text);
}

static void refuse_version(const struct decode_input *input, enum object_kind kind,
			   struct str api_version, struct decoded *decoded)
{
	struct object *object = new_object(kind, input);
	struct decode_step step = { .name = STR_INIT("apiVersion") };
	struct decoder decoder = {
		.object = object,
		.findings = &decoded->findings,
		.loss = "object",
	};
	char said[SAY_MAX];

	decode_identity(&decoder, input->root);
	decoder.here = &step;
	decode_refuse(&decoder, input->root->line, "UnknownVersion",
		      "'%s' is not understood, '%s' is", say_text(api_version, said),
		      kinds[kind].api_version);
	note_refused(decoded, object);
	object_free(object);
}

static void decode_object(const struct decode_input *input, struct decoded *decoded)
{
	struct str kind_name = text_member(input->root, "kind", input->default_kind);
	struct str version = text_member(input->root, "apiVersion", input->default_api_version);
	enum object_kind kind;

	if (input->root->type != NODE_MAP)
		refuse_document(input, decoded, "WrongType", "document is no object");
	else if (!kind_name.at)
		refuse_document(input, decoded, "MissingField", "object without a kind");
	else if (!version.at)
		refuse_document(input, decoded, "MissingField", "object without an apiVersion");
	else if (!find_kind(kind_name, &kind))
		ignore_unknown(input, kind_name, version, decoded);
	else if (str_eq_c(version, kinds[kind].api_version))
		decode_known(input, kind, decoded);
	else if (is_core_group(group_of(version)))
		refuse_version(input, kind, version, decoded);
	else
		ignore_unknown(input, kind_name, version, decoded);
}

/* --------------------------------------------------------------------- lists */

/* "List", or "IngressList" and so on: then *@item_kind is "Ingress". */
static bool is_list(const struct node *root, struct str *item_kind)
{
	struct str name = text_member(root, "kind", STR(""));
	enum object_kind kind;

	*item_kind = str_of(NULL, 0);
	if (str_eq(name, STR("List")))
		return true;
	if (!str_ends_with(name, STR("List")))
		return false;
	name.len -= sizeof("List") - 1;
	if (!find_kind(name, &kind))
		return false;
	*item_kind = str_from_c(kinds[kind].name);
	return true;
}

static uint64_t item_fingerprint(uint64_t list, uint32_t index)
{
	/* An odd factor keeps items of one list apart. */
	return list ? list + (index + 1) * 0x9e3779b97f4a7c15u : 0;
}

static void decode_list(const struct decode_input *list, struct str item_kind,
			struct decoded *decoded)
{
	const struct node *items = node_find(list->root, "items");

	if (list->flawed) {
		refuse_document(list, decoded, "DuplicateField", "a field stands twice in one map");
		return;
	}
	if (!items || items->type == NODE_NULL)
		return;
	if (items->type != NODE_SEQUENCE) {
		refuse_document(list, decoded, "WrongType", "items are no list");
		return;
	}
	for (uint32_t i = 0; i < items->count; i++) {
		struct decode_input item = {
			.origin = list->origin,
			.root = &items->children[i].value,
			.default_kind = item_kind,
			.fingerprint = item_fingerprint(list->fingerprint, i),
		};

		if (item_kind.at)
			item.default_api_version =
				text_member(list->root, "apiVersion", str_of(NULL, 0));
		decode_object(&item, decoded);
	}
}

static void decode_input(const struct decode_input *input, struct decoded *decoded)
{
	struct str item_kind;

	if (is_list(input->root, &item_kind))
		decode_list(input, item_kind, decoded);
	else
		decode_object(input, decoded);
}

void decode_node(struct str origin, const struct node *root, uint64_t fingerprint,
		 struct decoded *decoded)
{
	struct decode_input input = { .origin = origin, .root = root, .fingerprint = fingerprint };

	decode_input(&input, decoded);
}

/* ----------------------------------------------------------------- documents */

static struct siphash_key fingerprint_key;

static void make_fingerprint_key(void)
{
	random_bytes(&fingerprint_key, sizeof(fingerprint_key));
}

static uint64_t fingerprint_of(const struct node_document *document)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t hash;

	pthread_once(&once, make_fingerprint_key);
	hash = siphash(fingerprint_key, document->text) ^ (uint64_t)document->line << 32;
	return hash ? hash : 1;
}

static void refuse_broken(struct str origin, const struct node_document *document,
			  struct decoded *decoded)
{
	struct finding_place place = {
		.file = origin,
		.line = document->flaw_line,
		.field = document->flaw_field,
	};

	/* NUL-terminated, as all flaws: literals and texts of an arena. */
	decode_tell(&decoded->findings, FINDING_ERROR, "Syntax", &place, document->flaw.at);
	decoded->is_broken = true;
}

void decode_text(struct str origin, struct str text, enum node_format format,
		 struct decoded *decoded)
{
	struct node_document document;
	struct node_reader reader;

	node_reader_init(&reader, text, format);
	while (node_reader_next(&reader, &document)) {
		struct decode_input input = { .origin = origin, .root = &document.root };

		if (document.state == NODE_STATE_BROKEN) {
			refuse_broken(origin, &document, decoded);
			continue;
		}
		if (document.state == NODE_STATE_DUPLICATE)
			input.flawed = &document;
		input.fingerprint = fingerprint_of(&document);
		decode_input(&input, decoded);
	}
	node_reader_release(&reader);
}
