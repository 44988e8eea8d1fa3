/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * contract: everything the BPF programs and user space both know.
 *
 * Read this file first. Every struct that lies in a map, every enum a program
 * writes and every limit is here and nowhere else; maps.h gives each struct its
 * map, and user/datapath fills and reads them.
 *
 * Rules that make `bpftool map dump` readable and keys comparable:
 *  - an address is 16 bytes; IPv4 is v4-mapped (::ffff:a.b.c.d, RFC 4291 2.5.5.2);
 *  - a port is in host order; only flow.h turns it round;
 *  - no holes: padding is a member named pad, and is zero;
 *  - keys are made of words of four bytes: the kernel hashes them so, and bytes one by one;
 *  - enums in structs are one byte, so that a dump prints their symbol;
 *  - names are cut to fit and always end in NUL.
 *
 * Any change of a struct, of a limit or of the meaning of a number raises
 * CONTRACT_SCHEMA: maps of two schemas are never mixed. Numbers of verdicts and
 * drop reasons are never used again for something else.
 */
#ifndef SLUICE_BPF_CONTRACT_H
#define SLUICE_BPF_CONTRACT_H

#include <linux/types.h>

#define CONTRACT_SCHEMA 7

enum contract_limits {
	LISTENERS_MAX = 32,       /* listeners; also the width of a row of worker_socks */
	LISTENER_KEYS_MAX = 4096, /* their addresses and ports */
	LISTEN_PORTS_MAX = 8,     /* different ports over all listeners; more: no port filter */
	PORT_RANGES_MAX = 8,      /* different ranges of ports, of listeners on many addresses */
	RANGES_MAX = 4096,        /* their prefixes, each with its ports */
	WORKERS_MIN_ROWS = 64,    /* rows of workers: this, or the CPUs where there are more */
	WORKERS_MAX = 1024,       /* worker numbers are below this */
	HOSTS_MAX = 131072,       /* default capacity of hosts */
	FLOWS_MAX = 131072,       /* default capacity of flows */
	HOST_STATS_MAX = 4096,    /* hosts with counters of their own; the busiest stay */
	EVENTS_BYTES = 1 << 18,   /* ring buffer of events */
	DENYLIST_MAX = 131072,    /* prefixes; also of allowlist */
	DENY_ROWS_MAX = 65536,    /* rows of deny_rows, half of them for each family */
	SOURCES_MAX = 65536,      /* sources whose rate is known at a time */
	HOST_RATES_MAX = 16384,   /* hosts with a limit of their own */
	ANSWERING_MAX = 16,       /* interfaces on which XDP answers SYNs */
	HOST_NAME_MAX_BYTES = 255,
	HOST_NAME_SHOWN_BYTES = 48, /* as much of a name as a map shows, NUL included */
};

/* ---- verdicts ------------------------------------------------------------------------------ */

/* What a step decided. Numbered for ever. */
enum __attribute__((packed)) verdict {
	VERDICT_CONTINUE = 0, /* the next step decides */
	VERDICT_PASS = 1,     /* to the kernel's stack, on this CPU */
	VERDICT_DROP = 2,     /* with a drop reason, always */
	VERDICT_STEER = 3,    /* to the stack, on the CPU of the flow's worker */
	VERDICT_ANSWER = 4,   /* sent back out, made into its answer */
	VERDICT_ABSORB = 5,   /* it has told us what it had to tell, and goes no further */
};

/* Why a packet was dropped. Numbered for ever. */
enum __attribute__((packed)) drop_reason {
	DROP_REASON_NONE = 0,
	DROP_REASON_HOST_POLICY = 1,  /* the host's entry says drop */
	DROP_REASON_DENIED = 2,       /* the source is in denylist */
	DROP_REASON_NOT_ALLOWED = 3,  /* the source is not in the listener's allowlist */
	DROP_REASON_SOURCE_RATE = 4,  /* too many new connections from this source */
	DROP_REASON_HOST_RATE = 5,    /* too many new connections for this host */
	DROP_REASON_HOST_UNKNOWN = 6, /* no such host, and unknown ones are dropped */
	DROP_REASON_MALFORMED = 7,    /* TCP flags that no TCP sends */
	DROP_REASON_EARLY_ORDER = 8,  /* a later segment before the first: it comes again */
	DROP_REASON_FLOW_REFUSED = 9, /* flows has no room for a connection to be admitted */
};

/* ---- listeners: address and port -> listener ----------------------------------------------- */

enum __attribute__((packed)) listener_protocol {
	LISTENER_PROTOCOL_NONE = 0,
	LISTENER_PROTOCOL_HTTP = 1, /* the host is in the Host header */
	LISTENER_PROTOCOL_TLS = 2,  /* the host is the ClientHello's server name */
};

/* Flags that go together have a name of their own, or a dump would print a number. */
enum __attribute__((packed)) listener_flags {
	LISTENER_FLAG_NONE = 0,
	LISTENER_FLAG_EARLY_DISPATCH = 1u << 0, /* local, and XDP answers SYNs */
	LISTENER_FLAG_ALLOWLIST = 1u << 1,      /* only for sources in allowlist */
	LISTENER_FLAG_RANGE = 1u << 2,          /* its sockets are in range_socks */
	LISTENER_FLAG_LOCAL = 1u << 3,          /* addresses of this machine: XDP may drop */
	LISTENER_FLAG_EARLY_DISPATCH_AND_ALLOWLIST = 3,
	LISTENER_FLAG_RANGE_AND_EARLY_DISPATCH = 5,
	LISTENER_FLAG_RANGE_AND_ALLOWLIST = 6,
	LISTENER_FLAG_RANGE_EARLY_DISPATCH_AND_ALLOWLIST = 7,
	LISTENER_FLAG_LOCAL_AND_ALLOWLIST = 10,
	LISTENER_FLAG_RANGE_AND_LOCAL = 12,
	LISTENER_FLAG_RANGE_LOCAL_AND_ALLOWLIST = 14,
};

/*
 * An address of zeroes (v4-mapped for IPv4) is every address of that family. XDP
 * answers and drops at addresses of this machine alone, each with an entry of its
 * own: what a machine forwards, or sees of others, also goes to "every address".
 */
struct listener_key {
	__u8 address[16];
	__u16 port;
	__u16 pad;
} __attribute__((aligned(4)));

struct listener_value {
	__u16 id; /* below LISTENERS_MAX */
	enum listener_protocol protocol;
	enum listener_flags flags;
};

/* ---- ranges: prefix and ports -> listener --------------------------------------------------- */

/* From first to last, both included. */
struct port_range {
	__u16 first;
	__u16 last;
};

/*
 * A listener on many addresses. The ports stand before the address: their 32 bits
 * are part of each prefix, and which ranges there are the programs know by heart.
 * What is more special wins: an entry of listeners for this very address, then
 * the longest prefix, then an entry of listeners for every address.
 */
struct range_key {
	__u32 bits; /* 32, and those of the prefix */
	struct port_range ports;
	__u8 address[16];
};

struct range_value {
	struct listener_value listener;
	__u32 prefix_bits;
};

/* ---- hosts: host hash -> worker set -------------------------------------------------------- */

/* The key of the entry for every host that has none of its own. No name hashes to it. */
#define HOST_HASH_CATCH_ALL 0

/* The host_id of what has no known host. */
#define HOST_ID_NONE 0

enum __attribute__((packed)) host_policy {
	HOST_POLICY_STEER = 0, /* to a worker of the set */
	HOST_POLICY_PASS = 1,  /* to the stack, wherever it came in */
	HOST_POLICY_DROP = 2,
};

enum __attribute__((packed)) host_flags {
	HOST_FLAG_NONE = 0,
	HOST_FLAG_LIMITED = 1u << 0, /* host_rates has its limit */
};

/* host.h says how a name is hashed. */
struct host_key {
	__u64 hash;
};

/* The worker set is worker_first and the worker_spread - 1 after it, round the end. */
struct host_value {
	__u32 host_id;
	__u16 worker_first;
	__u16 worker_spread; /* 0: no worker, the packet passes */
	__u32 generation;    /* of the plan that last changed this entry */
	enum host_policy policy;
	enum host_flags flags;
	__u8 pad[2];
	char name[HOST_NAME_SHOWN_BYTES];
};

/* ---- flows: 4-tuple -> worker -------------------------------------------------------------- */

/*
 *            first payload names a host             FIN
 *  (no entry) ----------------------> STEERED ------------> CLOSING
 *    | ^                               ^ | RST                 | RST
 *    | |                  the socket   | v                     v
 *    | +- SYN of a new connection ---- | CLOSED <--------------+
 *    | +- SYN of a new connection ---- | CLOSING
 *    |                                 |
 *    +-- first payload of a connection that XDP answered --> ADMIT
 */
enum __attribute__((packed)) flow_state {
	FLOW_STATE_NONE = 0,
	FLOW_STATE_STEERED = 1, /* packets go to the worker's CPU */
	FLOW_STATE_CLOSING = 2, /* the downstream side sent FIN; its ACKs still come */
	FLOW_STATE_CLOSED = 3,  /* the downstream side sent RST */
	FLOW_STATE_ADMIT = 4,   /* tc_admit has to make the socket */
};

enum __attribute__((packed)) admit_flags {
	ADMIT_FLAG_NONE = 0,
	ADMIT_FLAG_FIN = 1u << 0,      /* FIN was seen: it becomes CLOSING instead of STEERED */
	ADMIT_FLAG_ASSIGNED = 1u << 1, /* the first payload is on its way through the stack */
	ADMIT_FLAG_FIN_AND_ASSIGNED = 3,
};

struct flow_key {
	__u8 client_address[16];
	__u8 local_address[16];
	__u16 client_port;
	__u16 local_port;
} __attribute__((aligned(4)));

struct flow_value {
	__u64 last_seen_ns; /* CLOCK_MONOTONIC, of the last packet that changed the entry */
	__u32 host_id;
	__u16 worker;
	enum flow_state state;
	enum admit_flags flags; /* ADMIT: what it has seen */
	__u32 admit_seq;        /* ADMIT: sequence and acknowledgment number of the first payload */
	__u32 admit_ack;
};

/* ---- workers: worker -> CPU and load; CPU -> worker ---------------------------------------- */

enum __attribute__((packed)) worker_state {
	WORKER_STATE_GONE = 0,     /* or never there: packets pass */
	WORKER_STATE_ACTIVE = 1,   /* takes new connections */
	WORKER_STATE_DRAINING = 2, /* finishes what it has */
};

#define WORKER_NONE 0xffff /* this CPU has no worker */

enum worker_load {
	WORKER_LOAD_BUSY_PERMILLE = 500,     /* from here on somebody idler is looked for */
	WORKER_LOAD_MARGIN_PERMILLE = 250,   /* "clearly busier" than the idlest of the set */
	WORKER_LOAD_STALLED_PERMILLE = 2000, /* does not answer: no new connections */
};

/* Two tables in one: row n is worker n, and, in cpu_worker alone, CPU n. */
struct worker_value {
	__u16 cpu;        /* where worker n runs */
	__u16 cpu_worker; /* the worker for what comes in on CPU n, or WORKER_NONE */
	__u32 connections;
	__u32 load_permille; /* of its time, busy; or WORKER_LOAD_STALLED_PERMILLE */
	enum worker_state state;
	__u8 pad[3];
};

/* The slot of a worker's listening socket in worker_socks. */
static inline __u32 worker_sock_slot(__u32 worker, __u32 listener_id)
{
	return worker * LISTENERS_MAX + listener_id;
}

/* ---- settings: what may change while the programs run -------------------------------------- */

/* One row. All zero: nothing is limited, and no SYN is answered. */
struct settings_value {
	__u32 source_rate_per_s; /* new connections from a source; 0: no limit */
	__u32 source_burst;
	__u8 source_bits_ipv4; /* of an address, that make a source: 32 or fewer */
	__u8 source_bits_ipv6;
	__u8 is_answering; /* XDP answers SYNs to listeners that have early dispatch, and ... */
	__u8 has_denylist; /* so that an empty one costs no look-up */
	__u8 cookie_slot;  /* of cookie_keys, for new cookies */
	__u8 window_scale; /* ours, as this kernel's own handshake would have it */
	__u8 has_ecn;      /* as net.ipv4.tcp_ecn has it */
	__u8 has_sack;
	__u16 mss_ipv4; /* what we can receive: by the smallest MTU of the interfaces */
	__u16 mss_ipv6;
	__u32 timestamp_offset;         /* so that our timestamps do not tell for how long we run */
	__u32 answering[ANSWERING_MAX]; /* ... come in on these interfaces, by index; 0 ends the
					   list */
};

/* ---- cookie_keys: what the numbers of answered SYNs are made with --------------------------- */

enum { COOKIE_KEYS_COUNT = 2 };

struct cookie_key {
	__u64 k0; /* both 0: no key yet */
	__u64 k1;
	__u64 valid_from_ns; /* CLOCK_MONOTONIC */
};

/* ---- denylist, allowlist: prefixes of sources ----------------------------------------------- */

/*
 * A source in denylist, or not in the allowlist of a listener that has one, opens
 * no connection. Those that it has go on until they end: what is dropped is its
 * SYNs, and whatever else belongs to no flow and no socket.
 *
 * Bits are counted from the first of 16 bytes: an IPv4 prefix of n bits has 96 + n.
 * What is behind them is zero. A prefix of denylist has 1 bit at least.
 */
struct denylist_key {
	__u32 bits;
	__u8 address[16];
};

/* What denylist may have for the addresses of one row: deny.h. Bit n stands for 128 - n bits. */
struct deny_row {
	__u64 lengths[2];
	__u64 marks[2];
};

/* The listener's number stands before the address: its 32 bits are part of each prefix. */
struct allowlist_key {
	__u32 bits;
	__u32 listener_id;
	__u8 address[16];
};

struct prefix_value {
	__u32 rule_id;
};

/* ---- source_rates, host_rates: token buckets ------------------------------------------------ */

/* The first bits of an address, the others zero. */
struct source_key {
	__u8 address[16];
};

struct bucket {
	__u64 refilled_ns;  /* CLOCK_MONOTONIC */
	__u32 tokens_milli; /* thousandths of a connection */
	__u32 pad;
};

struct host_rate {
	__u32 rate_per_s;
	__u32 burst;
	struct bucket bucket;
	char name[HOST_NAME_SHOWN_BYTES];
};

/* ---- stats: one struct of counters a CPU --------------------------------------------------- */

/*
 * X(name, help). Every packet that xdp_steer sees ends in exactly one of the
 * counters of the first five groups (pass, steer, drop, answer, absorb); the sixth
 * says what happened on the way. tc_admit counts what it does in the seventh.
 * sk_select counts connections, not packets. User space sums the CPUs and makes
 * metric names of these, so a counter is added here and nowhere else.
 */
#define STATS_COUNTERS(X)                                                                          \
	X(pass_not_ip, "frames that carry neither IPv4 nor IPv6")                                  \
	X(pass_malformed, "packets cut short or with impossible header lengths")                   \
	X(pass_ipv4_options, "IPv4 packets with options")                                          \
	X(pass_ipv6_extension, "IPv6 packets with extension headers")                              \
	X(pass_fragment, "IPv4 fragments")                                                         \
	X(pass_not_tcp, "packets of protocols other than TCP")                                     \
	X(pass_other_port, "TCP packets to ports without a listener")                              \
	X(pass_other_address, "TCP packets to a listener's port at another address")               \
	X(pass_no_payload, "packets of unknown flows without payload")                             \
	X(pass_no_host, "payload of unknown flows in which no host could be read")                 \
	X(pass_host_unknown, "first payload for a host that hosts does not have")                  \
	X(pass_host_policy, "first payload for a host that is not steered")                        \
	X(pass_no_worker, "packets whose worker is gone, or whose set has none")                   \
	X(pass_checksum, "packets of this machine whose checksum is yet to be made: not steered")  \
	X(pass_local, "packets that came in on their worker's CPU")                                \
	X(pass_flow_ended, "SYNs that ended the entry of an earlier connection")                   \
	X(pass_syn_known, "SYNs on a connection that the kernel still knows")                      \
	X(pass_syn_plain, "SYNs that XDP could have answered, had they had timestamps")            \
	X(pass_not_early, "segments of a connection whose socket is there already")                \
	X(steer_redirect, "packets sent to their worker's CPU")                                    \
	X(steer_failed, "packets that should have been, and were passed instead")                  \
	X(drop_host_policy, "packets dropped because their host's entry says so")                  \
	X(drop_denied, "packets from a source in denylist")                                        \
	X(drop_not_allowed, "packets from a source that its listener does not allow")              \
	X(drop_source_rate, "connections over the rate of their source")                           \
	X(drop_host_rate, "connections over the rate of their host")                               \
	X(drop_host_unknown, "first payloads for unknown hosts")                                   \
	X(drop_malformed, "packets with TCP flags that no TCP sends")                              \
	X(drop_early_order, "segments that came before the first one of their connection")         \
	X(drop_flow_refused, "first payloads that flows had no room for")                          \
	X(answer_syn, "SYNs answered with a cookie")                                               \
	X(answer_keepalive, "keepalive probes answered for connections without a socket")          \
	X(answer_fin, "connections that ended before they said anything")                          \
	X(absorb_ack, "bare ACKs of connections without a socket")                                 \
	X(host_exact, "hosts found by their whole name")                                           \
	X(host_wildcard, "hosts found by a wildcard")                                              \
	X(host_catch_all, "hosts that fell to the catch-all entry")                                \
	X(flow_created, "flows remembered")                                                        \
	X(flow_refused, "flows that could not be remembered")                                      \
	X(flow_closed, "flows ended by FIN or RST")                                                \
	X(event_lost, "events that the ring buffer had no room for")                               \
	X(early_first, "first payloads of answered connections, sent to get a socket")             \
	X(early_no_host, "of these, those whose worker was chosen without a known host")           \
	X(admit_socket, "sockets made from first payloads")                                        \
	X(admit_known, "connections to be admitted whose socket was there")                        \
	X(admit_order, "dropped: a later segment before the first, which comes again")             \
	X(admit_failed, "first payloads that the kernel made no socket from")                      \
	X(select_local, "connections given to the worker of their CPU")                            \
	X(select_other, "connections given to another worker")                                     \
	X(select_kernel, "connections left to the kernel's own choice")                            \
	X(lookup_found, "look-ups of a socket that a listener on many addresses answered")         \
	X(lookup_no_socket, "of these, those that it had no socket for")

#define STATS_FIELD(name, help) __u64 name;
struct stats {
	STATS_COUNTERS(STATS_FIELD)
	__u64 last_event_ns; /* not a counter: when this CPU last wrote an event */
};
#undef STATS_FIELD

/* ---- host_stats: host id -> counters ------------------------------------------------------- */

struct host_counters {
	__u64 dispatched;   /* first payloads that named this host */
	__u64 refused;      /* dropped by its policy */
	__u64 sockets_born; /* made by tc_admit */
	__u64 limited;      /* dropped: over its rate */
};

/* ---- events: samples for `sluicectl drops` ------------------------------------------------- */

struct event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u8 client_address[16];
	__u8 local_address[16];
	__u16 client_port;
	__u16 local_port;
	__u32 host_id;
	__u32 cpu;
	enum verdict verdict;
	enum drop_reason reason;
	__u8 pad[2];
	char name[HOST_NAME_SHOWN_BYTES]; /* of the host; of an unknown one as it was asked for */
};

/* ---- schema: what all of the above was written by ------------------------------------------ */

/* The key of the host hash. It lives as long as the maps, so that hosts stays good. */
struct host_hash_key {
	__u64 k0;
	__u64 k1;
};

struct schema_value {
	__u32 schema; /* CONTRACT_SCHEMA */
	__u32 pad;
	struct host_hash_key hash_key;
};

_Static_assert(sizeof(enum verdict) == 1, "enums in maps are one byte");
_Static_assert(sizeof(struct listener_key) == 20, "no holes");
_Static_assert(sizeof(struct listener_value) == 4, "no holes");
_Static_assert(sizeof(struct range_key) == 24, "no holes");
_Static_assert(sizeof(struct range_value) == 8, "no holes");
_Static_assert(sizeof(struct host_value) == 64, "no holes");
_Static_assert(sizeof(struct flow_key) == 36, "no holes");
_Static_assert(sizeof(struct flow_value) == 24, "no holes");
_Static_assert(sizeof(struct worker_value) == 16, "no holes");
_Static_assert(sizeof(struct settings_value) == 88, "no holes");
_Static_assert(sizeof(struct cookie_key) == 24, "no holes");
_Static_assert(sizeof(struct denylist_key) == 20, "no holes");
_Static_assert(sizeof(struct deny_row) == 32, "no holes");
_Static_assert(sizeof(struct allowlist_key) == 24, "no holes");
_Static_assert(sizeof(struct bucket) == 16, "no holes");
_Static_assert(sizeof(struct host_rate) == 72, "no holes");
_Static_assert(sizeof(struct event) == 104, "no holes");
_Static_assert(sizeof(struct schema_value) == 24, "no holes");

#endif
