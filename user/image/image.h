/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image: all routing as one flat piece of read-only memory, and how to ask it.
 *
 * The agent compiles rules into an image (writer.h), seals it in a memfd and passes
 * the descriptor to the proxy, which verifies it once: image_open. From then on every
 * worker thread asks it who serves a request: image_match. A change of configuration
 * is a new image; a worker swaps one pointer between two events.
 *
 * One question, from left to right and down. Names in [] are sections; what is drawn with a box
 * is all the memory that a question touches:
 *
 *   host "shop.example.com"                           path "/cart/items"
 *         |                                                 |
 *         | siphash (host_table.h)                          | eaten label by label
 *         v                                                 v
 *   [host_slots] 8 bytes    [vhosts] 64 bytes         [nodes] 32 bytes, one trie a vhost
 *   +-----+-------+         +---------------+         +---------------------------------+
 *   | tag | vhost |-------->| name          |    +--->| "/"        exact -   prefix 7   |--+
 *   +-----+-------+         | flags, owners |    |    +---------------------------------+  |
 *   |  0  |   0   |         | node_first    |----+    | "cart"     exact -   prefix 8   |<-+
 *   +-----+-------+         | route_first   |         | "static/x" exact 9   prefix -   |
 *   | tag | vhost |         | default_route |----+    +---------------------------------+
 *   +-----+-------+         +---------------+    |    children: side by side, sorted by
 *   no such name: the       where no path        |    first byte |
 *   wildcard, filed under   matches              |               | the Exact route, or the last
 *   the parent's name in                         |               | Prefix where an element ended
 *   the same slots                               v               v
 *                             [routes] 32 bytes, those of a vhost side by side
 *                             +--------+-----------+---------+--------+--------+
 *                           7 | prefix | "/"       | backend | policy | source |
 *                             +--------+-----------+---------+--------+--------+
 *                           8 | prefix | "/cart"   | backend | policy | source |
 *                             +--------+-----------+----|----+---|----+---|----+
 *                                                       |        |        |
 *   [backends] id, namespace/service, port  <-----------+        |        |
 *   [policies] redirects, timeouts, limits  <--------------------+        |
 *   [sources]  which Ingress, file and line <-----------------------------+
 *   [strings]  every text; names of up to 24 and labels of up to 12 bytes are at hand above
 *
 * How the bytes lie (segment.h has the frame):
 *
 *   image_header | host_slots | vhosts | nodes | routes | backends | policies | sources | strings
 *
 *   - vhost i's nodes and routes follow those of vhost i-1; the class's default route is last;
 *   - a vhost's nodes are in breadth-first order: the children of node i begin where those of
 *     the node before it ended. That alone makes any array of nodes a tree;
 *   - routes of one path and kind stand side by side, ROUTE_LAST on the last: later versions
 *     tell them apart by predicates (method, header, query). In this one there are none.
 *
 * What answers (SEMANTICS.md 1.1): the exact host, else the wildcard (one label), else the
 * catch-all; the first of these that exists is asked and no other. Within it the Exact path,
 * else the longest Prefix (whole elements), else the host's default; then the class's default.
 *
 * The verifier refuses everything that could lead the reader out of the segment or round in
 * circles. It does not judge whether the routing is wise: that the agent has decided.
 */
#ifndef SLUICE_IMAGE_IMAGE_H
#define SLUICE_IMAGE_IMAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "image/host_table.h"
#include "image/segment.h"

#define IMAGE_MAGIC   0x31474d4945435353ull /* "SSCEIMG1" in memory, little endian */
#define IMAGE_VERSION 1u
#define IMAGE_NONE    SEGMENT_NONE /* no route, no backend, no vhost */

enum image_section {
	IMAGE_SECTION_HOST_SLOTS, /* struct host_slot */
	IMAGE_SECTION_VHOSTS,
	IMAGE_SECTION_NODES,
	IMAGE_SECTION_ROUTES,
	IMAGE_SECTION_BACKENDS,
	IMAGE_SECTION_POLICIES,
	IMAGE_SECTION_SOURCES,
	IMAGE_SECTION_STRINGS, /* bytes */
	IMAGE_SECTION_COUNT,
};

enum image_flag {
	/*
	 * Connections for hosts that no vhost answers for are closed without an answer. Not where
	 * a catch-all or a default of the class serves them.
	 */
	IMAGE_DROPS_UNKNOWN_HOSTS = 1u << 0,
};
enum { IMAGE_FLAGS = (1u << 1) - 1 };

struct image_header {
	struct segment_header segment;
	struct host_table_keys keys;
	uint32_t default_route;   /* the class's default backend, or IMAGE_NONE */
	uint32_t catch_all_vhost; /* rules without host, or IMAGE_NONE */
	uint32_t wildcard_count;  /* vhosts with a wildcard; 0 saves the second look */
	uint32_t flags;           /* enum image_flag */
};

/* ------------------------------------------------------------------ vhosts */

enum image_vhost_flag {
	IMAGE_VHOST_TLS = 1u << 0,       /* some Ingress has a TLS entry for this host */
	IMAGE_VHOST_WILDCARD = 1u << 1,  /* "*.<name>" */
	IMAGE_VHOST_CATCH_ALL = 1u << 2, /* every host that has no vhost */
};
enum { IMAGE_VHOST_FLAGS = (1u << 3) - 1 };

enum { IMAGE_VHOST_HEAD_BYTES = 24 };

/* One cache line. Names of up to 24 bytes are compared without leaving it. */
struct image_vhost {
	uint32_t name_offset; /* "a.example.com", "*.example.com", or "*" for the catch-all */
	uint8_t name_len;
	uint8_t flags;        /* enum image_vhost_flag */
	uint16_t regex_count; /* zero: room for regular expressions among the routes */
	uint32_t node_first;  /* the root of its trie */
	uint32_t node_count;  /* 0: no paths */
	uint32_t route_first; /* its routes, the default among them */
	uint32_t route_count;
	uint32_t default_route;            /* index into routes, or IMAGE_NONE */
	uint16_t owner_first;              /* dispatch: the first worker of its set (rendezvous) */
	uint16_t owner_spread;             /* and how many workers the set has; 0 = every worker */
	uint64_t dispatch_hash;            /* the key of this host in the BPF map `hosts` */
	char head[IMAGE_VHOST_HEAD_BYTES]; /* of the name, without "*.", zero behind it */
};

/* ------------------------------------------------------------------- paths */

enum { IMAGE_NODE_HEAD_BYTES = 12 };

/*
 * A node of a path trie: the bytes that lead to it from its parent (label), what is served when
 * the path ends or an element ends there, and its children. Labels of up to 12 bytes are
 * compared within the node. Only a root may have an empty label.
 */
struct image_node {
	uint32_t label_offset; /* the whole label in strings */
	uint16_t label_len;
	uint16_t child_count;
	uint32_t child_first;
	uint32_t exact_route;             /* first of its candidates, or IMAGE_NONE */
	uint32_t prefix_route;            /* the same */
	char head[IMAGE_NODE_HEAD_BYTES]; /* of the label, zero behind it; head[0] sorts siblings */
};

/* ------------------------------------------------------------------ routes */

enum image_route_kind {
	IMAGE_ROUTE_EXACT,
	IMAGE_ROUTE_PREFIX,
	IMAGE_ROUTE_DEFAULT, /* of a host or of the class: no path */
	IMAGE_ROUTE_KIND_COUNT,
};

enum image_route_flag {
	IMAGE_ROUTE_LAST = 1u << 0, /* the last candidate of its path and kind */
};
enum { IMAGE_ROUTE_FLAGS = (1u << 1) - 1 };

struct image_route {
	uint8_t kind;             /* enum image_route_kind */
	uint8_t flags;            /* enum image_route_flag */
	uint16_t predicate_count; /* zero in this version */
	uint32_t predicate_first; /* zero in this version */
	uint32_t backend;         /* IMAGE_NONE: nobody serves it (503), or the policy answers */
	uint32_t policy;
	uint32_t source;
	struct segment_text path; /* the path key (key.h); empty for a default */
	uint32_t backend_id;      /* of that backend, to spare a look at it; IMAGE_NONE without */
};

enum image_protocol {
	IMAGE_PROTOCOL_HTTP,
	IMAGE_PROTOCOL_COUNT,
};

enum image_balance {
	IMAGE_BALANCE_ROUND_ROBIN,
	IMAGE_BALANCE_COUNT,
};

struct image_backend {
	uint32_t id;      /* stable; the index of its slot in the endpoints segment */
	uint8_t protocol; /* enum image_protocol */
	uint8_t balance;  /* enum image_balance */
	uint16_t reserved;
	struct segment_text namespace;
	struct segment_text service;
	struct segment_text port; /* as the rule says it: name or number */
};

enum image_policy_flag {
	IMAGE_POLICY_SSL_REDIRECT = 1u << 0,       /* to https where the vhost has TLS */
	IMAGE_POLICY_FORCE_SSL_REDIRECT = 1u << 1, /* to https anyway */
	IMAGE_POLICY_PRESERVE_TRAILING_SLASH = 1u << 2,
	IMAGE_POLICY_HSTS = 1u << 3,
	IMAGE_POLICY_HSTS_SUBDOMAINS = 1u << 4,
	IMAGE_POLICY_HSTS_PRELOAD = 1u << 5,
	IMAGE_POLICY_DENY = 1u << 6, /* a security setting was invalid: 503, fail closed */
};
enum { IMAGE_POLICY_FLAGS = (1u << 7) - 1 };

enum image_profile {
	IMAGE_PROFILE_SLUICE,
	IMAGE_PROFILE_INGRESS_NGINX,
	IMAGE_PROFILE_CONFORMANCE,
	IMAGE_PROFILE_COUNT,
};

/* How a route behaves. Equal policies are one: there are far fewer than routes. */
struct image_policy {
	uint32_t flags;           /* enum image_policy_flag */
	uint16_t redirect_status; /* of the redirect to https: 300..399 */
	uint8_t profile;          /* enum image_profile */
	uint8_t reserved_byte;
	uint32_t connect_timeout_ms;
	uint32_t read_timeout_ms; /* longest gap between two reads from the endpoint */
	uint32_t send_timeout_ms; /* longest gap between two writes to it */
	uint32_t hsts_max_age_s;
	uint64_t body_max_bytes; /* 0: unlimited */
	uint8_t reserved[32];    /* zero */
};

/* Where a route was written, for explain, access log and metrics. */
struct image_source {
	struct segment_text namespace;
	struct segment_text ingress;
	struct segment_text file; /* empty where it came from an API server */
	uint32_t line;            /* first = 1; 0 where unknown */
	uint32_t rule;            /* spec.rules[rule]; IMAGE_NONE: spec.defaultBackend */
	uint32_t path;            /* .http.paths[path], or IMAGE_NONE */
	uint32_t reserved;        /* zero */
};

_Static_assert(sizeof(struct image_header) % 8 == 0, "sections follow");
_Static_assert(sizeof(struct image_vhost) == SEGMENT_ALIGN_BYTES, "one cache line");
_Static_assert(sizeof(struct image_node) == 32 && sizeof(struct image_route) == 32, "two a line");
_Static_assert(sizeof(struct image_policy) == SEGMENT_ALIGN_BYTES, "one cache line");

/* ------------------------------------------------------------------ reader */

/* A verified image. Borrows the bytes it was opened on; a copy of it is as good. */
struct image {
	const struct image_header *header;
	const struct host_slot *host_slots;
	const struct image_vhost *vhosts;
	const struct image_node *nodes;
	const struct image_route *routes;
	const struct image_backend *backends;
	const struct image_policy *policies;
	const struct image_source *sources;
	const char *strings;
	uint32_t host_slot_mask;
	uint32_t vhost_count, node_count, route_count;
	uint32_t backend_count, policy_count, source_count;
	uint64_t generation;
};

/*
 * Verifies @bytes whole and sets up @image. 0, or -EINVAL with a text that names section and
 * element; @image is then untouched. Takes time in proportion to the size, whatever the bytes.
 * @bytes.at must be aligned to 8 (a mapping is) and stay as long as the image is asked.
 */
int image_open(struct str bytes, struct image *image, struct err *err);

/* The vhost that answers for the host key @host ("" = no host), or NULL. */
const struct image_vhost *image_find_vhost(const struct image *image, struct str host);

enum image_match_kind {
	IMAGE_MATCH_NONE,          /* 404 */
	IMAGE_MATCH_EXACT,         /* an Exact path */
	IMAGE_MATCH_PREFIX,        /* the longest Prefix */
	IMAGE_MATCH_HOST_DEFAULT,  /* no path of the vhost; its default route */
	IMAGE_MATCH_CLASS_DEFAULT, /* nor has the vhost one; the class's default route */
};

/* "exact", "prefix", "host default", ... */
const char *image_match_kind_name(enum image_match_kind kind);

/* All pointers go into the image. */
struct image_match {
	enum image_match_kind kind;
	const struct image_vhost *vhost;     /* NULL where no vhost answers for the host */
	const struct image_route *route;     /* NULL with IMAGE_MATCH_NONE */
	const struct image_policy *policy;   /* NULL with IMAGE_MATCH_NONE */
	const struct image_backend *backend; /* NULL also where the route has none */
};

/*
 * Who serves @path on @host, both in normal form (key.h). Fills in the whole of @match and says
 * whether there is a route. No lock, no allocation, no check; the cost depends on the length of
 * host and path alone.
 */
bool image_match(const struct image *image, struct str host, struct str path,
		 struct image_match *match);

/* The same in two steps, for a caller that knows the vhost (which may be NULL) already. */
bool image_match_path(const struct image *image, const struct image_vhost *vhost, struct str path,
		      struct image_match *match);

static inline struct str image_text(const struct image *image, struct segment_text text)
{
	return str_of(image->strings + text.offset, text.len);
}

/* "a.example.com", "*.example.com", "*". */
static inline struct str image_vhost_name(const struct image *image,
					  const struct image_vhost *vhost)
{
	return str_of(image->strings + vhost->name_offset, vhost->name_len);
}

static inline const struct image_source *image_source_of(const struct image *image,
							 const struct image_route *route)
{
	return &image->sources[route->source];
}

/* -------------------------------------------------------------- for people */

/* "exact", "prefix", "default". */
const char *image_route_kind_name(enum image_route_kind kind);

/* The whole image as text, in the order of its sections: the format of the golden files. */
void image_dump(const struct image *image, struct buf *out);

/*
 * In plain words: which vhost answers for @host, which of its routes were candidates for @path,
 * why each did not match, and what won. @host and @path are as a person writes them; @path
 * without query.
 */
void image_explain(const struct image *image, struct str host, struct str path, struct buf *out);

#endif
