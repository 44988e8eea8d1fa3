/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: one pinned thread with one loop, and all it has.
 *
 * A worker accepts from listening sockets of its own, keeps its connections to
 * endpoints to itself and reads the config that the main thread left for it. It
 * shares three things with others: the config (read only), its mailbox (others
 * post), its counters (others read).
 *
 * The scratch buffer is where all received bytes arrive and from where most are
 * sent. It belongs to whatever is being done right now: nobody leaves bytes in it
 * across events. The room in front lets a response's new head be put right before
 * the body that came with it, so that both leave in one plain send:
 *
 *   scratch                rx
 *   [ headroom | new head ][ old head | body ......... | free ... ][ tailroom ]
 *              └── moved up to ──►[new head│ body ]
 */
#ifndef SLUICE_PROXY_WORKER_H
#define SLUICE_PROXY_WORKER_H

#include <pthread.h>

#include "base/counters.h"
#include "base/random.h"
#include "event/loop.h"
#include "proxy/balance.h"
#include "proxy/blocks.h"
#include "proxy/config.h"
#include "proxy/log_ring.h"
#include "proxy/mailbox.h"
#include "proxy/upstream_pool.h"
#include "wire/date.h"
#include "wire/h1.h"

enum {
	WORKER_LISTENERS_MAX = 64,
	SCRATCH_HEADROOM = 8 * 1024, /* fields we add to a head, and a chunk's size line */
	SCRATCH_TAILROOM = 64,       /* a chunk's end, and the last chunk */
	/* What is asked for in one recv while a head is expected, and while a body is. */
	HEAD_READ_BYTES = 16 * 1024,
	BODY_READ_BYTES = 256 * 1024,
	/* The same while a lot of what was read waits for slow sockets. */
	BODY_READ_SCARCE_BYTES = 16 * 1024,
	/* A parked head and a read behind it, or a read and what OpenSSL held back. */
	SCRATCH_RX_BYTES = BODY_READ_BYTES + H1_HEAD_BYTES_DEFAULT + 32 * 1024,
	/* Heads being built; answers of our own in the lower half, their location in the upper. */
	SCRATCH_TX_BYTES = 144 * 1024,
	CIPHER_IN_BYTES = BODY_READ_BYTES,
	CIPHER_OUT_BYTES = SCRATCH_RX_BYTES + SCRATCH_RX_BYTES / 16 + 4096,
	WORKER_BLOCK_BYTES_MAX = 256 << 20, /* bytes that wait, of all connections */
};

/*
 * The same for all workers, who each have a copy: what may change while they serve (live) comes
 * with a config, and a worker takes it up between two events.
 */
struct worker_settings {
	uint32_t worker_count;
	bool is_handing_off;
	struct trust trust;                /* live */
	uint32_t connections_max;          /* downstream, each worker */
	uint32_t upstream_idle_max;        /* to one endpoint, each worker */
	uint32_t request_head_timeout_ms;  /* live */
	uint32_t keepalive_timeout_ms;     /* live */
	uint32_t client_send_timeout_ms;   /* longest gap between two sends to a slow client */
	uint32_t client_body_timeout_ms;   /* the same between two pieces of a request's body */
	uint32_t upstream_idle_timeout_ms; /* live */
};

/* Settings where the agent leaves them at 0; of a config's live ones too. */
struct worker_settings worker_settings_default(void);

struct worker_listener {
	struct loop_watch watch; /* first: the watch is the listener */
	struct worker *worker;
	struct addr addr;
	uint16_t index; /* the same listener has the same index at every worker */
	bool is_tls;
	const struct sources_list *allow; /* of the config at hand; NULL: it is for everybody */
};

enum { WORKER_ALIGN_BYTES = 128 }; /* two cache lines: they are fetched in pairs */

struct worker {
	/* fixed after init */
	struct loop loop;
	uint32_t index;
	int cpu;                                /* -1: not pinned */
	const struct worker_settings *settings; /* own_settings, for everybody but take_up_config */
	struct worker *const *workers;          /* all of them, settings->worker_count */
	struct loop *main_loop;                 /* woken when a config was taken up */
	struct counters *counters;
	struct mailbox mailbox;
	pthread_t thread; /* the main thread's, good while is_running */
	bool is_running;

	/* shared atomics: the main thread writes, the worker reads */
	const struct config *next_config __attribute__((aligned(WORKER_ALIGN_BYTES)));
	bool is_log_on;
	bool is_stop_asked;
	bool is_accepting;
	/* shared atomics: the worker writes, others read */
	uint64_t config_serial
		__attribute__((aligned(WORKER_ALIGN_BYTES))); /* of the config taken up */
	uint32_t load;                                        /* connections open */
	struct log_ring log;

	/* this thread only */
	const struct config *config __attribute__((aligned(WORKER_ALIGN_BYTES)));
	struct worker_settings own_settings;
	char *scratch; /* SCRATCH_HEADROOM before rx */
	char *rx;
	char *tx;
	char *cipher_in, *cipher_out;
	struct h1_request request; /* heads that arrive whole are parsed here */
	struct h1_response response;
	struct blocks blocks;
	struct pool conns, streams, upstreams, request_parsers, response_parsers;
	struct pool_walk shed_hand, upstream_hand; /* where the search for idle ones goes on */
	struct upstream_pool upstream_pool;
	struct balance balance;
	struct worker_tls *tls;
	struct random random;
	uint64_t date_until_ms;  /* how long date_text is right */
	uint64_t wall_offset_ms; /* what to add to the loop's time for wall time */
	char date_text[DATE_BYTES];
	struct worker_listener listeners[WORKER_LISTENERS_MAX];
	uint32_t listener_count;
	uint32_t accept_batch; /* connections to take from a listening socket in one go */
	bool is_listening;
	bool is_accept_paused; /* no descriptors left; the heartbeat tries again */
	bool is_draining;
	struct loop_timer heartbeat;
	uint64_t cpu_us; /* CPU time of the thread at the last one */
};

/*
 * Makes worker @index, not running yet, with a copy of @settings. @counters outlive it. 0 or -errno
 * with a text. Call in any thread.
 */
int worker_init(struct worker *worker, uint32_t index, const struct worker_settings *settings,
		struct counters *counters, struct err *err);
/* Ends all connections at once. After the thread has ended. */
void worker_release(struct worker *worker);

/* A listening socket for this worker; borrowed. Before the worker starts. 0 or -ENOSPC. */
int worker_add_listener(struct worker *worker, int fd, const struct addr *addr, bool is_tls);

/* The thread's body: pins itself, turns its loop until worker_stop. @arg: the worker. */
void *worker_thread(void *arg);

/* Called by the main thread. */
void worker_publish(struct worker *worker, const struct config *config);
void worker_accept_now(struct worker *worker);
void worker_stop(struct worker *worker);
static inline uint64_t worker_config_serial(const struct worker *worker)
{
	return __atomic_load_n(&worker->config_serial, __ATOMIC_ACQUIRE);
}

/* The present date as a field value, written once a second. */
struct str worker_date(struct worker *worker);

/*
 * How much of a body to ask for at once. What a slow socket does not take has to be kept, so
 * many slow sockets get less each: that is what bounds the memory of all of them.
 */
static inline size_t worker_read_size(const struct worker *worker)
{
	return blocks_are_scarce(&worker->blocks) ? BODY_READ_SCARCE_BYTES : BODY_READ_BYTES;
}

static inline bool worker_is_logging(const struct worker *worker)
{
	return __atomic_load_n(&worker->is_log_on, __ATOMIC_RELAXED);
}

#define worker_count(worker, field)        counter_add(&(worker)->counters->field, 1)
#define worker_count_by(worker, field, by) counter_add(&(worker)->counters->field, (by))
/* A gauge up or down by one. */
#define worker_level(worker, field, by)                                                            \
	counter_set(&(worker)->counters->field, (worker)->counters->field + (uint64_t)(by))

#endif
