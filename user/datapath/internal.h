/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal: what the files of this folder share, and nobody else sees.
 *
 *   probe.c    what the kernel can do
 *   pin.c      bpffs: directories, locks, publishing, taking away
 *   load.c     maps and programs: made, or found pinned
 *   attach.c   XDP on interfaces, by link
 *   admit.c    tc_admit on the same interfaces, by link
 *   early.c    early dispatch: its settings and keys, on and off
 *   reach.c    whether what XDP sends out of an interface arrives
 *   watch.c    what others change while we run
 *   listeners.c the listeners map follows the addresses of this machine
 *   ranges.c   the same for listeners on many addresses
 *   local.c    which addresses the kernel takes for its own
 *   lookup.c   sk_lookup in this network namespace, by link
 *   protect.c  deny and allow lists, rates
 *   deny.c     where in denylist XDP has to look
 *   remove.c   takes away what any agent left, of any schema
 *   datapath.c open, close; listeners, workers, sockets
 *   hosts.c    the hosts map follows the plan
 *   events.c   reads samples of drops
 *   look.c     reads maps and counters
 *   show.c     the same as JSON, and names of enums
 */
#ifndef SLUICE_DATAPATH_INTERNAL_H
#define SLUICE_DATAPATH_INTERNAL_H

#include <limits.h>

#include "base/vec.h"
#include "datapath/datapath.h"

/* All maps, in the order in which they are shown, and what they hold, for people. */
#define DATAPATH_MAPS(X)                                                                           \
	X(LISTENERS, listeners, "which address and port is which listener")                        \
	X(RANGES, ranges, "which addresses and ports are which listener")                          \
	X(HOSTS, hosts, "which workers a host has")                                                \
	X(FLOWS, flows, "which worker has a connection")                                           \
	X(SETTINGS, settings, "what may change while the programs run")                            \
	X(COOKIE_KEYS, cookie_keys, "what the numbers of answered SYNs are made with")             \
	X(DENYLIST, denylist, "sources that get nothing")                                          \
	X(DENY_ROWS, deny_rows, "how long the prefixes of denylist are")                           \
	X(ALLOWLIST, allowlist, "sources that a listener is for")                                  \
	X(SOURCE_RATES, source_rates, "what is left to a source of its rate")                      \
	X(HOST_RATES, host_rates, "what is left to a host of its rate")                            \
	X(WORKERS, workers, "where a worker runs and how busy it is")                              \
	X(STEER_CPUS, steer_cpus, "the way to another CPU")                                        \
	X(WORKER_SOCKS, worker_socks, "listening sockets of workers")                              \
	X(RANGE_SOCKS, range_socks, "listening sockets for ranges")                                \
	X(STATS, stats, "what became of packets")                                                  \
	X(HOST_STATS, host_stats, "what became of connections for a host")                         \
	X(EVENTS, events, "samples of drops")                                                      \
	X(SCHEMA, schema, "who wrote the maps")

#define DATAPATH_MAP_ENUM(id, name, holds) MAP_##id,
enum map_id {
	DATAPATH_MAPS(DATAPATH_MAP_ENUM) MAP_COUNT,
};

extern const char *const map_names[MAP_COUNT];
extern const char *const map_holds[MAP_COUNT];

enum {
	PIN_PATH_MAX = 512,
	PIN_DIR_MODE = 0750,
	PIN_FILE_MODE = 0640,
	STEER_QUEUE_PACKETS = 2048,
	BATCH_ENTRIES = 4096,
};

/* A link of ours on an interface. */
struct attachment {
	struct datapath_interface interface;
	int link_fd;  /* -1: none */
	int admit_fd; /* link of tc_admit; -1: none */
};

struct datapath {
	/* fixed after open */
	char netns_dir[PIN_PATH_MAX]; /* <bpf-dir>/<netns inode> */
	char pin_dir[PIN_PATH_MAX];   /* netns_dir/v<schema> */
	enum xdp_mode xdp;            /* as asked for */
	bool is_taken_over;
	bool can_dispatch;
	bool can_redirect; /* there is a cpumap */
	bool has_sockmap;
	bool wants_early_dispatch;
	size_t worker_count;
	struct datapath_listener listeners[LISTENERS_MAX];
	size_t listener_count;
	size_t addresses_left_out; /* that map listeners has no room for, as it was last said */
	struct host_hash_key hash_key;
	int map_fds[MAP_COUNT]; /* -1: none */
	int steer_fd;           /* programs; -1: none */
	int steer_generic_fd;   /* for interfaces in generic mode; -1: steer_fd does */
	int select_fd;
	int lookup_fd;
	int lookup_link_fd; /* -1: none */
	int admit_fd;
	bool is_early;        /* XDP answers SYNs, on interfaces where that arrives */
	char early_text[200]; /* why not, where it was wanted */

	struct ring_buffer *events; /* NULL until it is first read */
	struct event_reader *reader;

	struct attachment attachments[DATAPATH_INTERFACES_MAX];
	size_t attachment_count;

	/* what the hosts map holds, sorted by key */
	struct VEC(struct datapath_host) hosts;
	bool is_hosts_known; /* hosts was read back or written */
};

/* ---- pin.c ---------------------------------------------------------------------------------- */

/* Fills in netns_dir and pin_dir for the network namespace of this thread. */
int pin_paths(struct datapath *dp, const char *bpf_dir, struct err *err);
/* Mounts bpffs where it is missing and makes netns_dir. */
int pin_prepare(struct datapath *dp, const char *bpf_dir, struct err *err);
/* A descriptor that holds the writers' lock until it is closed, or -errno. */
int pin_lock(const struct datapath *dp, struct err *err);
/* The same without waiting: -EWOULDBLOCK where another writer has it. */
int pin_try_lock(const struct datapath *dp);
/* True where pin_dir is there. */
bool pin_is_published(const struct datapath *dp);
/* Refuses links that programs of another schema still hold. */
int pin_check_other_schemas(const struct datapath *dp, struct err *err);
/* Pins @fd as @name in pin_dir, in the place of what has that name. */
int pin_replace(const struct datapath *dp, int fd, const char *name, struct err *err);
/* The descriptor of what is pinned as @name, or -errno. */
int pin_open(const struct datapath *dp, const char *name);
void pin_remove(const struct datapath *dp, const char *name);
/* Pins all maps in a directory of its own and renames that to pin_dir. */
int pin_publish(const struct datapath *dp, struct err *err);
/* Calls @on_name for each name in @dir that begins with no dot. */
void pin_each_name(const char *dir, void (*on_name)(void *arg, const char *name), void *arg);
/* Removes pin_dir with all that is in it. */
void pin_remove_all(const struct datapath *dp);
/* "link_xdp_steer-<interface>"; bpffs takes no dots in names, so they become %2e. */
void pin_link_name(const char *interface, char name[PIN_PATH_MAX]);
/* The same for the link of tc_admit. */
void pin_admit_name(const char *interface, char name[PIN_PATH_MAX]);
/* Calls @on_link with the interface's name of each link in pin_dir. */
void pin_each_link(const struct datapath *dp, void (*on_link)(void *arg, const char *interface),
		   void *arg);

/* ---- load.c --------------------------------------------------------------------------------- */

/* Makes the maps, or opens those that are pinned. */
int load_maps(struct datapath *dp, const struct datapath_options *options, struct err *err);
/* Loads sk_select and, unless XDP is off, xdp_steer, and tc_admit where that is wanted. */
int load_programs(struct datapath *dp, const struct datapath_options *options, struct err *err);
/* Opens the way to @cpu in a cpumap. An entry that is there already is left alone: replacing it
 * would lose what waits in it. */
int load_open_cpu(int fd, uint32_t cpu, struct err *err);
/* libbpf's own messages go to our log, at debug level. */
void load_quiet_libbpf(void);

/* ---- attach.c ------------------------------------------------------------------------------- */

/* Attaches to the interfaces of @options, and takes XDP off all others that have our link. */
int attach_all(struct datapath *dp, const struct datapath_options *options, struct err *err);
/* Takes all our links off. */
void attach_remove_all(struct datapath *dp);
/* False where somebody else took XDP off, or the interface is not there any more. */
bool attach_is_alive(const struct attachment *attachment);
/* Forgets an attachment that is not alive, and its pins. */
void attach_forget(const struct datapath *dp, struct attachment *attachment);
/* Attaches to the interface of that name that is there now. */
int attach_again(struct datapath *dp, struct attachment *attachment, struct err *err);

/* ---- admit.c -------------------------------------------------------------------------------- */

/*
 * Puts tc_admit before the stack of an interface, in front of the tcx programs of
 * others; where it is there already, the new program.
 */
int admit_attach(const struct datapath *dp, struct attachment *attachment, struct err *err);
/* Whether tc_admit sees what comes in, before anybody else. 0, or -errno with a text. */
int admit_check(const struct attachment *attachment, struct err *err);
void admit_remove(const struct datapath *dp, const char *interface, int *link_fd);

/* ---- early.c -------------------------------------------------------------------------------- */

/* The keys and the settings that only this machine decides; those of others stay. */
int early_write_settings(const struct datapath *dp, struct err *err);
int early_read_settings(const struct datapath *dp, struct settings_value *value, struct err *err);
int early_set_settings(const struct datapath *dp, const struct settings_value *value,
		       struct err *err);
/* Attaches tc_admit wherever XDP is and begins to answer SYNs, or says in early_text why not. */
void early_start(struct datapath *dp, const struct datapath_options *options);
/* No more SYNs are answered; connections that were may still bring their first payload. */
void early_stop(struct datapath *dp);
/* Looks at each interface, and answers where that arrives. 0 or -errno with a text. */
int early_follow_interfaces(struct datapath *dp, struct err *err);

/* ---- reach.c -------------------------------------------------------------------------------- */

/* Whether frames that XDP sends out of @interface get anywhere. 0, or -errno with a text. */
int reach_check(const struct datapath_interface *interface, struct err *err);

/* ---- probe.c -------------------------------------------------------------------------------- */

/* The helpers for reading a payload of several buffers: bpf_loop, bpf_xdp_load_bytes. */
bool probe_can_dispatch(void);
/* False for features that DATAPATH_WITHOUT_VARIABLE names: then nobody need ask the kernel. */
bool probe_may_have(const char *feature);
/* A map of this kind can be made: a cpumap, a sockmap. 0 or -errno. */
int probe_cpumap(void);
int probe_sockmap(void);
/* The fewest instructions that are an XDP program: lets all pass. A descriptor or -errno. */
int probe_load_pass(bool has_frags);
/*
 * Says what XDP program @ifindex carries: "" where it has none. @id is its id
 * or 0, @mode how it is attached.
 */
void probe_xdp_program(unsigned int ifindex, uint32_t *id, enum xdp_mode *mode, char name[32]);

/* ---- listeners.c ---------------------------------------------------------------------------- */

/* All zero, or v4-mapped zero. */
bool listeners_is_every_address(const struct addr *addr);
/* What the entry of an address of this machine says beside its listener. */
enum listener_flags listeners_local_flag(const struct datapath *dp);

/* ---- deny.c --------------------------------------------------------------------------------- */

/* DENY_ROWS_MAX rows that say nothing, owned; mem_free() ends them. */
struct deny_row *deny_rows_new(void);
/* Notes a prefix of 1 to 128 bits; what is behind them in @address is zero. */
void deny_rows_add(struct deny_row *rows, const uint8_t address[16], uint32_t bits);
/* Writes all of them. 0 or -errno. */
int deny_rows_write(const struct datapath *dp, const struct deny_row *rows);

/* ---- ranges.c ------------------------------------------------------------------------------- */

/* Which ranges of ports there are: a program has them in its read-only data. */
struct port_ranges {
	struct port_range at[PORT_RANGES_MAX];
	uint32_t count;
};

/* 0, or -E2BIG with a text. */
int ranges_list_ports(const struct datapath_options *options, struct port_ranges *ranges,
		      struct err *err);
/* The listener of @addr among those on a prefix; NULL: none. */
const struct datapath_listener *ranges_find(const struct datapath *dp, const struct addr *addr);
/* Makes map ranges hold what listeners and addresses of this machine want now. */
int ranges_update(struct datapath *dp, struct err *err);

/* ---- local.c -------------------------------------------------------------------------------- */

/* As the kernel's routes of type local say it: single addresses, and whole prefixes (AnyIP). */
int local_each(void (*on_prefix)(void *arg, const uint8_t ip[16], uint32_t bits), void *arg);

/* ---- lookup.c ------------------------------------------------------------------------------- */

/* Puts sk_lookup before the look-ups of this namespace, or the new program into our link. */
int lookup_attach(struct datapath *dp, struct err *err);
/* Takes it away, where it is. */
void lookup_remove(struct datapath *dp);

/* ---- events.c ------------------------------------------------------------------------------- */

void events_close(struct datapath *dp);

/* ---- look.c --------------------------------------------------------------------------------- */

/* Every entry of a hash map in batches: @on_entries until it returns false. 0 or -errno. */
int look_each_batch(int fd,
		    bool (*on_entries)(void *arg, const void *keys, const void *values,
				       size_t count),
		    void *arg);

#endif
