/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: what agent and proxy say to each other.
 *
 * The agent listens on <run-dir>/control.sock (AF_UNIX, SOCK_SEQPACKET, 0600), the proxy
 * connects. One packet is one message: a header of 8 bytes and one fixed-size struct, both in the
 * machine's own byte order, and with some types exactly one descriptor. messages[] in control.c
 * says for each type its size, its descriptor and who may send it; a packet that differs in any of
 * these is a desync, and the connection is closed with a reason that names it.
 *
 *    proxy                                                                    agent
 *      │ HELLO {versions, workers, generations in force, give_back_count = n}  │
 *      ├──────────────────────────────────────────────────────────────────────►│
 *      │                                  WELCOME {version}, or REFUSED, close │
 *      │◄──────────────────────────────────────────────────────────────────────┤
 *      │ n messages: LISTENER+fd, COUNTERS+fd, IMAGE+fd, ENDPOINTS+fd,         │
 *      │ CERTS+fd: what it holds from an agent before this one                 │
 *      ├──────────────────────────────────────────────────────────────────────►│
 *      │           SETUP, COUNTERS+fd, LISTENER+fd ..., [ACCESS_LOG+fd],       │
 *      │           SETTINGS, TICKET_KEYS, SOURCES+fd, IMAGE+fd, ENDPOINTS+fd,  │
 *      │           CERTS+fd, START                                             │
 *      │◄──────────────────────────────────────────────────────────────────────┤
 *      │ IN_FORCE or REFUSED for each of the three segments                    │
 *      ├──────────────────────────────────────────────────────────────────────►│
 *      │           at any time: IMAGE, ENDPOINTS, CERTS, TICKET_KEYS,          │
 *      │           SOURCES, SETTINGS, ACCESS_LOG, DRAIN                        │
 *      │◄──────────────────────────────────────────────────────────────────────┤
 *      │ IN_FORCE / REFUSED;  LEAVING: a signal asks it to end, it waits for   │
 *      │ DRAIN;  DRAINED, then it exits with 0                                 │
 *      ├──────────────────────────────────────────────────────────────────────►│
 *
 * A proxy whose worker_count in HELLO is not 0 is at work already: an agent that keeps it sends
 * no SETUP, COUNTERS, LISTENER and START, only what it wants changed. When the connection ends
 * the proxy goes on with what it has and connects again every CONTROL_RETRY_MS, with HELLO first.
 *
 * Another agent that is to follow this one connects to the same socket:
 *
 *    successor                                                                agent
 *      │ TAKEOVER {versions, command, name}                                    │
 *      ├──────────────────────────────────────────────────────────────────────►│
 *      │ LOCK+fd, LISTENER+fd ..., [ADMIN+fd], TICKET_KEYS, IMAGE+fd,          │
 *      │ ENDPOINTS+fd, CERTS+fd, HANDOVER;  or REFUSED, and nothing changes    │
 *      │◄──────────────────────────────────────────────────────────────────────┤
 *      │ it compiles, starts a proxy on the same sockets, and once that serves │
 *      │ COMMIT                                                                │
 *      ├──────────────────────────────────────────────────────────────────────►│
 *      │ COUNTERS+fd of each proxy that still counts, LET_GO; it drains its    │
 *      │ proxies and ends; the connection ends with it                         │
 *      │◄──────────────────────────────────────────────────────────────────────┤
 *
 * Until COMMIT the agent goes on as if nothing had been asked, and stays in charge when the
 * connection ends.
 *
 * Versions: HELLO, TAKEOVER and REFUSED never change their form. The two sides use the highest
 * version that both speak; where there is none the agent says REFUSED with both ranges and closes.
 *
 * IN_FORCE means: every worker uses that generation and none uses the one before it. The proxy
 * unmaps and closes what it replaced. A segment that is refused leaves the last good one in force.
 */
#ifndef SLUICE_CONTROL_CONTROL_H
#define SLUICE_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/str.h"

#define CONTROL_VERSION     3u             /* the highest that this build speaks */
#define CONTROL_VERSION_MIN 2u             /* and the lowest */
#define CONTROL_SOCKET_NAME "control.sock" /* in the run dir */
#define CONTROL_ADMIN_NAME  "admin.sock"   /* the same: HTTP, for sluicectl */

#define CONTROL_SOURCES_VERSION 3u /* the first that knows SOURCES */

enum {
	CONTROL_RETRY_MS = 100,
	CONTROL_WORKERS_MAX = 1024,
	CONTROL_TEXT_MAX = 256,
	CONTROL_TICKET_KEYS_MAX = 2,
	CONTROL_NAME_MAX = 64,
	CONTROL_TRUSTED_MAX = 32,
	CONTROL_TOTALS_MAX = 24,
};

/* ------------------------------------------------------------------------- the messages */

/* Numbered for ever; two versions of sluice meet on this socket. */
enum control_type {
	CONTROL_NONE = 0,
	CONTROL_HELLO = 1,
	CONTROL_SETUP = 2,
	CONTROL_COUNTERS = 3,
	CONTROL_LISTENER = 4,
	CONTROL_ACCESS_LOG = 5,
	CONTROL_TICKET_KEYS = 6,
	CONTROL_IMAGE = 7,
	CONTROL_ENDPOINTS = 8,
	CONTROL_CERTS = 9,
	CONTROL_START = 10,
	CONTROL_IN_FORCE = 11,
	CONTROL_REFUSED = 12,
	CONTROL_DRAIN = 13,
	CONTROL_DRAINED = 14,
	CONTROL_WELCOME = 15,
	CONTROL_SETTINGS = 16,
	CONTROL_LEAVING = 17,
	CONTROL_TAKEOVER = 18,
	CONTROL_LOCK = 19,
	CONTROL_ADMIN = 20,
	CONTROL_HANDOVER = 21,
	CONTROL_COMMIT = 22,
	CONTROL_LET_GO = 23,
	CONTROL_SOURCES = 24, /* from version 3 on */
	CONTROL_TYPE_COUNT,
};

/* proxy: the first message of a connection. Its form is the same in all versions. */
struct control_hello {
	uint32_t version_max; /* CONTROL_VERSION of the proxy */
	uint32_t version_min;
	uint64_t image_generation; /* in force; 0: none */
	uint64_t endpoints_generation;
	uint64_t certs_generation;
	uint32_t worker_count;    /* workers that run; 0: waits for SETUP */
	uint32_t listener_count;  /* listening sockets held, among what is given back */
	uint32_t give_back_count; /* messages that follow with what it holds */
	uint32_t is_draining;     /* 0 or 1 */
	uint32_t reserved[4];     /* zero */
};

/* agent: what is spoken on this connection from now on. */
struct control_welcome {
	uint32_t version;
	uint32_t reserved;
};

enum control_setup_flag {
	/* Connections that land on a worker which does not own the host go to one that does. */
	CONTROL_SETUP_HAND_OFF = 1u << 0,
	/* A worker that comes to life on a CPU of its own stays there. */
	CONTROL_SETUP_PIN = 1u << 1,
};

/* agent: how the proxy is to be built; once in its life. 0 stands for the proxy's default. */
struct control_setup {
	uint32_t flags;             /* enum control_setup_flag */
	uint32_t worker_count;      /* 1 to CONTROL_WORKERS_MAX */
	uint32_t connections_max;   /* downstream, of one worker */
	uint32_t upstream_idle_max; /* pooled connections of one worker to one endpoint */
	uint32_t reserved[4];       /* zero */
	uint16_t worker_cpus[CONTROL_WORKERS_MAX]; /* of worker 0, 1 ...; the rest zero */
};

/* Addresses whose first @bits bits are those of @ip: 128 for one address, IPv4 from 96 on. */
struct control_network {
	uint8_t ip[16]; /* as in struct addr; the bits behind are zero */
	uint32_t bits;
};

/* agent: what may change while the proxy serves. 0 stands for the proxy's default. */
struct control_settings {
	uint32_t log_level;               /* enum log_level */
	uint32_t trusted_hops;            /* X-Forwarded-For entries believed, from the right */
	uint32_t request_head_timeout_ms; /* from a connection's or request's first byte */
	uint32_t keepalive_timeout_ms;    /* downstream, between two requests */
	uint32_t upstream_idle_timeout_ms;
	uint32_t trusted_count; /* of networks; 0: hops alone decide */
	uint32_t reserved[4];   /* zero */
	struct control_network trusted[CONTROL_TRUSTED_MAX];
};

/*
 * agent; proxy to give it back. fd: worker_count structs counters (base/counters.h), shared, which
 * are the proxy's alone to write, and one more that the agent writes: what proxies counted that are
 * no more. worker_count 0: only that one.
 */
struct control_counters {
	uint32_t worker_count;
	uint32_t struct_bytes; /* sizeof(struct counters) of whoever made it */
};

enum control_protocol {
	CONTROL_PROTOCOL_HTTP = 1, /* the same numbers as in bpf/contract.h */
	CONTROL_PROTOCOL_TLS = 2,
};

/* agent; proxy to give it back. fd: a listening socket, non-blocking, for this worker alone. */
struct control_listener {
	uint8_t ip[16]; /* as in struct addr */
	uint16_t port;  /* host order */
	uint16_t listener_id;
	uint16_t worker;
	uint16_t protocol; /* enum control_protocol */
};

/* agent. fd: where access log lines go (one write(2) a batch); replaces the one before. */
struct control_access_log {
	uint32_t reserved[2]; /* zero */
};

struct control_ticket_key {
	uint8_t name[16];
	uint8_t aes_key[32];
	uint8_t hmac_key[32];
	uint64_t made_s; /* wall clock, seconds since 1970 */
};

/* agent: TLS session tickets are sealed under keys[0]; those under the others are taken. */
struct control_ticket_keys {
	uint32_t count; /* 1 to CONTROL_TICKET_KEYS_MAX */
	uint32_t reserved;
	struct control_ticket_key keys[CONTROL_TICKET_KEYS_MAX];
};

enum control_segment_flag {
	/* Another segment of the same change follows: workers take them up together. */
	CONTROL_SEGMENT_MORE = 1u << 0,
};

/*
 * IMAGE, ENDPOINTS, CERTS; agent; proxy to give it back. fd: a sealed memfd (base/memfd.h). SOURCES
 * is the agent's alone: each agent reads its lists itself, and waits for no IN_FORCE of it.
 */
struct control_segment {
	uint64_t generation; /* as in the segment */
	uint32_t flags;      /* enum control_segment_flag */
	uint32_t reserved;
};

/* agent: begin to accept. Sent when everything before it was. */
struct control_start {
	uint32_t reserved[2]; /* zero */
};

/* proxy: every worker uses this generation. */
struct control_in_force {
	uint32_t type; /* CONTROL_IMAGE, CONTROL_ENDPOINTS or CONTROL_CERTS */
	uint32_t reserved;
	uint64_t generation;
};

/*
 * proxy: what was sent cannot be used; the last good one stays. agent, of HELLO or TAKEOVER: not
 * with this agent; the connection ends. Its form is the same in all versions.
 */
struct control_refused {
	uint32_t type; /* of the refused message */
	int32_t code;  /* -errno */
	uint64_t generation;
	char text[CONTROL_TEXT_MAX]; /* NUL-terminated */
};

/* agent: stop accepting, end idle connections, finish streams; exit when the grace time is up. */
struct control_drain {
	uint32_t grace_ms;
	uint32_t reserved;
};

/* proxy: nothing is left; it exits now. */
struct control_drained {
	uint32_t cut_count; /* connections that the grace time did not suffice for */
	uint32_t reserved;
};

/* proxy: a signal told it to end; it goes on until DRAIN comes, or the connection ends. */
struct control_leaving {
	uint32_t reserved[2]; /* zero */
};

/* successor: the first message of a connection. Its form is the same in all versions. */
struct control_takeover {
	uint32_t version_max;
	uint32_t version_min;
	uint32_t command;            /* enum command (agent/options.h): like takes over from like */
	uint32_t reserved[5];        /* zero */
	char name[CONTROL_NAME_MAX]; /* of its pod, NUL-terminated; empty: it has none */
};

/* agent to successor. fd: the run dir's lock; it is held as long as anybody has it open. */
struct control_lock {
	uint32_t reserved[2]; /* zero */
};

/* agent to successor. fd: the listening socket of the admin address. */
struct control_admin {
	uint8_t ip[16];
	uint16_t port;
	uint16_t reserved[3]; /* zero */
};

enum control_handover_flag {
	/* The successor is another process in the place of this one: its proxies stay. */
	CONTROL_HANDOVER_KEEPS_PROXY = 1u << 0,
};

/* agent to successor: this is all that there is to hand over before COMMIT. */
struct control_handover {
	uint32_t version; /* what is spoken from now on */
	uint32_t flags;   /* enum control_handover_flag */
	uint32_t reserved[2];
	char name[CONTROL_NAME_MAX]; /* of the agent's pod */
};

/* successor: it serves. From here on there is no way back. */
struct control_commit {
	uint32_t reserved[2]; /* zero */
};

/* agent to successor: the run dir and the admin address are free; what the agent counted. */
struct control_let_go {
	uint32_t proxy_starts;
	uint32_t upgrades;
	uint32_t total_count; /* of totals; another number than the successor's own: not used */
	uint32_t reserved;
	uint64_t
		totals[CONTROL_TOTALS_MAX]; /* struct reconcile_times, as agent/handover.c has it */
};

union control_body {
	struct control_hello hello;
	struct control_setup setup;
	struct control_counters counters;
	struct control_listener listener;
	struct control_access_log access_log;
	struct control_ticket_keys ticket_keys;
	struct control_segment segment;
	struct control_start start;
	struct control_in_force in_force;
	struct control_refused refused;
	struct control_drain drain;
	struct control_drained drained;
	struct control_welcome welcome;
	struct control_settings settings;
	struct control_leaving leaving;
	struct control_takeover takeover;
	struct control_lock lock;
	struct control_admin admin;
	struct control_handover handover;
	struct control_commit commit;
	struct control_let_go let_go;
};

struct control_message {
	enum control_type type;
	int fd; /* the descriptor that came along, close-on-exec; else -1 */
	union control_body body;
};

enum control_side {
	CONTROL_SIDE_AGENT = 1u << 0,
	CONTROL_SIDE_PROXY = 1u << 1,
	CONTROL_SIDE_SUCCESSOR = 1u << 2, /* an agent that asks another one for its place */
	CONTROL_SIDE_ANY_CLIENT = CONTROL_SIDE_PROXY | CONTROL_SIDE_SUCCESSOR,
};

/*
 * The highest version within both ranges, ours and [@min, @max]; 0 where there is none, with a text
 * that names both.
 */
uint32_t control_choose_version(uint32_t min, uint32_t max, struct err *err);

/* "hello", "in_force" ...; "?" for a number that is none. */
const char *control_type_name(enum control_type type);
/* Bytes of the type's struct; 0 for a number that is none. */
size_t control_body_bytes(enum control_type type);
bool control_type_has_fd(enum control_type type);

/* --------------------------------------------------------------------------- one message */

/*
 * Sends one message, never waiting. @body: the type's struct. @passed_fd: borrowed; -1 for types
 * without one. 0; -EAGAIN where the peer does not read; -EPIPE, -ECONNRESET where it is gone;
 * -EINVAL for a message that is none.
 */
int control_send(int fd, enum control_type type, const void *body, int passed_fd);

/*
 * Takes one message that @from (bits of enum control_side) sent, never waiting: 1 with @message,
 * whose descriptor is then the caller's; 0 when the peer closed; -EAGAIN when there is none;
 * -EPROTO with a text for a desync; other -errno. Except with 1 no descriptor is left open.
 */
int control_receive(int fd, unsigned int from, struct control_message *message, struct err *err);

/* --------------------------------------------------------------------------- the socket */

/*
 * A listening socket at @path with mode 0600, replacing one that nobody listens on. -EADDRINUSE
 * with a text where another agent does. Returns an owned descriptor, non-blocking, or -errno.
 */
int control_listen(const char *path, struct err *err);
/*
 * The same, for whoever holds the run dir's lock: in one step in the place of what stands there,
 * so that no moment is without a listener. Connections to the one before stay with it.
 */
int control_listen_over(const char *path, struct err *err);

/* A connection to @path, non-blocking. Owned descriptor, or -errno with a text. */
int control_connect(const char *path, struct err *err);

/*
 * Takes a connection from a listening socket, if its peer runs under our own user id or root;
 * others are refused with -EPERM. Owned descriptor; -EAGAIN when there is none; or -errno.
 */
int control_accept(int listen_fd, struct err *err);

/* The process id of the peer, as the kernel knows it, or -errno. */
int control_peer_pid(int fd);

#endif
