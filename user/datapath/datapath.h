/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datapath: the BPF side, as the agent sees it.
 *
 * Loads the programs of bpf/, pins them, attaches XDP to interfaces, writes the
 * maps and reads them. libbpf is used in this folder and nowhere else. All of it
 * happens in the network namespace of the calling thread.
 *
 *   <bpf-dir>/<netns inode>/v<schema>/<map>               flows, hosts, workers ...
 *                                     prog_<program>      xdp_steer, sk_select ...
 *                                     link_xdp_steer-<interface>, link_sk_lookup
 *
 * Pins outlive the agent: steering goes on while no agent runs, and the next
 * agent opens the same maps, puts its own program into the same link and loses
 * no flow. Nothing here is needed to answer a request: where datapath_open
 * fails the agent says why and goes on without it.
 *
 * Strings in options are borrowed for the call. Not thread-safe: one thread
 * owns a struct datapath.
 */
#ifndef SLUICE_DATAPATH_DATAPATH_H
#define SLUICE_DATAPATH_DATAPATH_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "bpf/contract.h"

struct datapath;

enum datapath_limits {
	DATAPATH_INTERFACES_MAX = 16,
	DATAPATH_FEATURES_MAX = 16 + DATAPATH_INTERFACES_MAX,
};

#define DATAPATH_DIR_DEFAULT "/sys/fs/bpf/sluice"

/* ---- XDP modes ----------------------------------------------------------------------------- */

enum xdp_mode {
	XDP_MODE_OFF,     /* no XDP at all */
	XDP_MODE_GENERIC, /* in the stack, any interface */
	XDP_MODE_NATIVE,  /* in the driver */
	XDP_MODE_AUTO,    /* native, else generic, else off: each interface for itself */
};

/* "off", "generic", "native", "auto". 0 or -EINVAL. */
int xdp_mode_parse(struct str text, enum xdp_mode *mode);
const char *xdp_mode_name(enum xdp_mode mode);

/* ---- what this machine can do -------------------------------------------------------------- */

/*
 * For tests alone: names of features, separated by commas, that are taken to be
 * missing, so that a new kernel can stand for an old one.
 *
 *   bpf             nothing of BPF at all
 *   sk_reuseport    no choice of the worker by CPU
 *   cpumap          no way to another CPU
 *   native_xdp      XDP in the stack alone
 *   generic_xdp     XDP in the driver alone
 *   xdp_load_bytes  no reading of a payload in XDP (before 5.18)
 *   tcx             no tc_admit by link (before 6.6)
 *   kfunc           no bpf_sk_assign_tcp_reqsk (before 6.9)
 *   sockmap, sk_lookup   no listeners on many addresses
 */
#define DATAPATH_WITHOUT_VARIABLE "SLUICE_WITHOUT"

struct datapath_feature {
	char name[40]; /* "cpumap", "native_xdp:eth0" */
	bool is_there;
	char text[200]; /* what it is used for, or why it is missing; for people */
};

struct datapath_features {
	size_t len;
	struct datapath_feature at[DATAPATH_FEATURES_MAX];
};

/*
 * Finds out by trying: loads small programs, makes small maps, and on interfaces
 * that carry no XDP program attaches one for a moment. Leaves nothing behind.
 * @interfaces are names; none is fine.
 */
void datapath_probe(const char *const *interfaces, size_t interface_count,
		    struct datapath_features *features);
/* NULL where there is none of that name. */
const struct datapath_feature *datapath_feature_find(const struct datapath_features *features,
						     const char *name);

/* ---- open and close ------------------------------------------------------------------------ */

struct datapath_listener {
	struct addr addr; /* all zero bytes, or ::ffff:0.0.0.0, for every address */
	enum listener_protocol protocol;
	uint16_t id; /* below LISTENERS_MAX; the agent's number, also for datapath_set_socket */
	bool has_allowlist; /* only for sources that datapath_set_allowlist names; that sets it too
			     */
	/*
	 * More than one address or port: all addresses that have @bits bits in common with addr
	 * (counted as in struct datapath_prefix), and ports up to @port_last. Its sockets are
	 * bound to addr. sk_lookup has to be there, else datapath_open fails.
	 */
	bool is_range;
	uint32_t bits;
	uint16_t port_last;
};

struct datapath_options {
	const char *bpf_dir; /* NULL: DATAPATH_DIR_DEFAULT; its bpffs is mounted where missing */
	enum xdp_mode xdp;
	const char *const *interfaces; /* where XDP is to be attached */
	size_t interface_count;
	const struct datapath_listener *listeners;
	size_t listener_count;
	const uint16_t *worker_cpus; /* the CPU of worker 0, 1, ... */
	size_t worker_count;
	bool wants_early_dispatch; /* XDP answers SYNs, where all is there that this takes */
	uint32_t hosts_capacity;   /* 0: the contract's */
	uint32_t flows_capacity;   /* 0: the contract's */
};

/*
 * Opens the maps (those pinned by an earlier agent where there are any), loads
 * the programs, attaches. Workers begin as gone, or as an earlier agent left
 * them: see datapath_set_worker. Capacities count when the maps are made.
 *
 * With XDP_MODE_NATIVE or _GENERIC an interface that cannot have it is an error,
 * and what this call attached is taken off again. With _AUTO datapath_interface
 * says for each what it got and why. A foreign XDP program is never displaced;
 * the text names it. Pins of another schema are refused (-EPROTO) with both
 * numbers. Our links on interfaces that are no longer wanted are removed.
 *
 * 0 and @datapath (owned), or -errno with a text.
 */
int datapath_open(const struct datapath_options *options, struct datapath **datapath,
		  struct err *err);

/* Forgets everything in this process; pins, links and steering stay. Accepts NULL. */
void datapath_close(struct datapath *datapath);

/*
 * Takes XDP off the interfaces, removes the pins and closes: after this nothing
 * of sluice is in the kernel, except what open sockets still hold. Accepts NULL.
 */
void datapath_detach(struct datapath *datapath);

/* As datapath_detach, for pins that an agent left behind. 0 also where there is nothing. */
int datapath_remove(const char *bpf_dir, struct err *err);

/* How pins are taken away, and who hears of it. */
struct datapath_removal {
	/* For connections that XDP answered, and that have said nothing yet. */
	uint32_t grace_ms;
	/* One text a link, and one for the rest; for people. May be NULL. */
	void (*on_removed)(void *arg, const char *text);
	void *arg;
};

/*
 * Takes XDP, tc_admit and sk_lookup off, of any schema, and removes the pins, also
 * beside an agent that runs: its traffic goes on without them. Where such an agent
 * has listeners on many addresses, sk_lookup stays until that one ends: nobody
 * else would find their sockets. 0, also where there is nothing; -errno with a text.
 */
int datapath_take_away(const char *bpf_dir, const struct datapath_removal *removal,
		       struct err *err);

/* ---- what was opened ----------------------------------------------------------------------- */

struct datapath_interface {
	char name[IF_NAMESIZE];
	unsigned int index;
	enum xdp_mode mode;   /* what it has: off, generic or native */
	char text[200];       /* why not better; empty where nothing is to be said */
	bool is_early;        /* XDP answers SYNs that come in here */
	char early_text[200]; /* why not, where early dispatch is on; else "" */
};

size_t datapath_interface_count(const struct datapath *datapath);
const struct datapath_interface *datapath_interface(const struct datapath *datapath, size_t i);
/* The directory of the pins, NUL-terminated. */
const char *datapath_pin_dir(const struct datapath *datapath);
/* True when pinned maps of an earlier agent were taken over. */
bool datapath_is_taken_over(const struct datapath *datapath);
/* False on kernels without the helpers that reading a host takes (before 5.18). */
bool datapath_can_dispatch(const struct datapath *datapath);
/* True where XDP answers SYNs and connections are born from their first payload. */
bool datapath_is_early(const struct datapath *datapath);
/* Why that is not so although it was wanted; else "". */
const char *datapath_early_text(const struct datapath *datapath);

enum { DATAPATH_RECHECK_EVERY_MS = 1000 };

/*
 * Looks anew at what others may have changed; datapath_interface then says how
 * things are. An interface that swallows answers is not answered on, until it no
 * longer does; one that was made anew gets XDP again; one that XDP was taken off
 * by somebody stays without. To be called every DATAPATH_RECHECK_EVERY_MS: it
 * costs a few system calls an interface.
 */
void datapath_recheck(struct datapath *datapath);

/*
 * Early dispatch answers only for addresses that this machine has. To be called
 * when they may have changed; new ones are answered by the kernel until then.
 */
int datapath_update_addresses(struct datapath *datapath, struct err *err);

enum { DATAPATH_KEYS_EVERY_MS = 8 * 60 * 1000 };

/*
 * Writes a new key for cookies; the one before stays good. To be called every
 * DATAPATH_KEYS_EVERY_MS, which is longer than a cookie lives.
 */
int datapath_rotate_keys(struct datapath *datapath, struct err *err);

/* ---- listening sockets and workers --------------------------------------------------------- */

/*
 * Makes @fd the socket that sk_select gives new connections of @listener_id to
 * when they come in on @worker's CPU, and attaches sk_select to its reuseport
 * group. @fd is borrowed: a TCP socket that is bound with SO_REUSEPORT and
 * listening. 0 or -errno with a text.
 */
int datapath_set_socket(struct datapath *datapath, uint16_t worker, uint16_t listener_id, int fd,
			struct err *err);

struct datapath_worker {
	enum worker_state state;
	uint32_t connections;
	uint32_t load_permille; /* of its time, busy; WORKER_LOAD_STALLED_PERMILLE: no answer */
};

/* To be called at start, and whenever one of them changed (some times a second). */
int datapath_set_worker(struct datapath *datapath, uint16_t worker,
			const struct datapath_worker *state, struct err *err);

/* ---- hosts --------------------------------------------------------------------------------- */

/* The key that this datapath's hosts are hashed with. */
struct host_hash_key datapath_hash_key(const struct datapath *datapath);

/* "shop.example.com", or "*.example.com" for the wildcard's key; case and a final dot are ignored.
 */
struct host_key datapath_host_key(struct host_hash_key hash_key, struct str name);
/* The key of the entry for all other hosts. */
struct host_key datapath_host_key_catch_all(void);

struct datapath_host {
	struct host_key key;
	struct host_value value; /* generation is filled in by datapath_sync_hosts */
};

/* For qsort: by key. */
int datapath_host_compare(const void *a, const void *b);

struct datapath_sync {
	size_t added, changed, removed;
	size_t refused; /* the map is full: these hosts are served, but not dispatched */
};

/*
 * Makes the hosts map hold exactly @wanted (sorted by key; of equal keys the
 * first counts), writing only what differs from what it holds. @generation goes
 * into the entries that change. A full map is counted in @done, not an error; an
 * entry that drops all other hosts is then left out.
 * 0 or -errno with a text.
 */
int datapath_sync_hosts(struct datapath *datapath, const struct datapath_host *wanted,
			size_t wanted_count, uint32_t generation, struct datapath_sync *done,
			struct err *err);

/* ---- protection ---------------------------------------------------------------------------- */

/* An address and how many of its bits count: of IPv4 (v4-mapped) 96 more than it is written with.
 */
struct datapath_prefix {
	struct addr addr;
	uint32_t bits;
	uint32_t rule_id; /* the caller's, shown in the map */
};

struct datapath_prefixes {
	const struct datapath_prefix *at;
	size_t len;
};

/*
 * Makes denylist hold exactly @prefixes: these sources open no connection from now
 * on; those that they have go on until they end. ::/0 is all of IPv6 and says nothing
 * about IPv4, of which 0.0.0.0 with 96 bits is all. 0 or -errno with a text
 * (-ENOSPC: full).
 */
int datapath_set_denylist(struct datapath *datapath, const struct datapath_prefixes *prefixes,
			  struct err *err);
/*
 * The sources that a listener is for from now on; without any, it is for nobody. @prefixes NULL:
 * for everybody again. A prefix is of one family here, too.
 */
int datapath_set_allowlist(struct datapath *datapath, uint16_t listener_id,
			   const struct datapath_prefixes *prefixes, struct err *err);

struct datapath_source_rate {
	uint32_t per_s;     /* new connections of a source; 0: no limit */
	uint32_t burst;     /* 0: as per_s */
	uint32_t ipv4_bits; /* of an address, that make a source; 0: 32 */
	uint32_t ipv6_bits; /* 0: 64 */
};

int datapath_set_source_rate(struct datapath *datapath, const struct datapath_source_rate *rate,
			     struct err *err);

/* For a host whose entry has HOST_FLAG_LIMITED. */
struct datapath_host_rate {
	uint32_t host_id;
	uint32_t per_s;   /* not 0 */
	uint32_t burst;   /* 0: as per_s */
	const char *name; /* for those who look into the map; borrowed for the call */
};

/*
 * Makes host_rates hold the limits of exactly these hosts; what is left of a limit that stays the
 * same is not touched. 0 or -errno with a text (-ENOSPC: more than HOST_RATES_MAX).
 */
int datapath_sync_host_rates(struct datapath *datapath, const struct datapath_host_rate *wanted,
			     size_t count, struct err *err);

/* ---- samples of drops ---------------------------------------------------------------------- */

/* Becomes readable when there are samples; it belongs to @datapath. -errno where there is none. */
int datapath_events_fd(struct datapath *datapath);
/* Hands over each sample that waits. How many there were, or -errno. */
int datapath_read_events(struct datapath *datapath,
			 void (*on_event)(void *arg, const struct event *event), void *arg);

/* ---- looking ------------------------------------------------------------------------------- */

/* The counters of all CPUs, summed. STATS_COUNTERS (bpf/contract.h) names them. */
int datapath_read_stats(const struct datapath *datapath, struct stats *sum, struct err *err);

/* What XDP did with connections of a host, all CPUs summed; zeroes where it knows nothing of it. */
void datapath_read_host(const struct datapath *datapath, uint32_t host_id,
			struct host_counters *sum);

struct datapath_map {
	const char *name;  /* borrowed for the call */
	const char *type;  /* "hash", "lru_hash", "array" ... */
	const char *holds; /* in plain words */
	uint32_t capacity;
	uint32_t entries;
	bool is_counted; /* entries means something (not for a ring buffer) */
	uint32_t key_bytes;
	uint32_t value_bytes;
	uint64_t memory_bytes; /* as the kernel accounts for it */
};

/* Each map once, in the contract's order, until @on_map returns false. */
void datapath_each_map(const struct datapath *datapath,
		       bool (*on_map)(void *arg, const struct datapath_map *map), void *arg);

struct datapath_flow {
	struct flow_key key;
	struct flow_value value;
};

/* Each flow, in no order, until @on_flow returns false. 0 or -errno with a text. */
int datapath_each_flow(const struct datapath *datapath,
		       bool (*on_flow)(void *arg, const struct datapath_flow *flow), void *arg,
		       struct err *err);

/*
 * The same as JSON: an array member @name (NULL inside an array) of one object
 * a map, an interface, a flow (at most @max of them), and one object of counters.
 */
void datapath_json_maps(const struct datapath *datapath, struct json *json, const char *name);
void datapath_json_interfaces(const struct datapath *datapath, struct json *json, const char *name);
void datapath_json_flows(const struct datapath *datapath, size_t max, struct json *json,
			 const char *name);
void datapath_json_stats(const struct datapath *datapath, struct json *json, const char *name);
void datapath_json_features(const struct datapath_features *features, struct json *json,
			    const char *name);

/* The symbol of a value without its prefix, lower case: "steered", "active"; "?" for others. */
const char *flow_state_name(enum flow_state state);
const char *worker_state_name(enum worker_state state);
const char *drop_reason_name(enum drop_reason reason);

#endif
