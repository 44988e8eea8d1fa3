/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters: what the workers count, in memory that the agent shares.
 *
 * One struct counters per worker, in a row, in a memfd that the agent makes and
 * passes to the proxy: the numbers survive a restart of the proxy. Each struct
 * has one writer, its worker, who adds without a lock or an atomic
 * read-modify-write; readers see each field whole and sum over the workers at
 * scrape. Field, metric name and help text come from one table.
 *
 *   [ worker 0: counters, padded to whole cache lines ][ worker 1 ] ...
 */
#ifndef SLUICE_BASE_COUNTERS_H
#define SLUICE_BASE_COUNTERS_H

#include <stdint.h>

/* X(field, help). A metric is named sluice_<field>_total. */
#define COUNTERS_EACH(X)                                                                           \
	X(connections_accepted, "Downstream connections accepted")                                 \
	X(connections_handed_off, "Downstream connections given to the worker of the host")        \
	X(connections_refused, "Downstream connections closed for want of memory or slots")        \
	X(drop_denied, "Downstream connections closed because of the deny list")                   \
	X(drop_not_allowed, "Downstream connections closed because of a listener's allow list")    \
	X(drop_host_unknown, "Downstream connections closed because nobody serves their host")     \
	X(tls_handshakes, "TLS handshakes completed with a full key exchange")                     \
	X(tls_resumptions, "TLS handshakes completed by resumption")                               \
	X(tls_failures, "TLS handshakes that failed")                                              \
	X(requests, "Requests whose head was read in full")                                        \
	X(requests_malformed, "Requests refused as malformed")                                     \
	X(responses_1xx, "Responses to clients with a status of 100 to 199")                       \
	X(responses_2xx, "Responses to clients with a status of 200 to 299")                       \
	X(responses_3xx, "Responses to clients with a status of 300 to 399")                       \
	X(responses_4xx, "Responses to clients with a status of 400 to 499")                       \
	X(responses_5xx, "Responses to clients with a status of 500 to 599")                       \
	X(routes_missing, "Requests for which no route was found")                                 \
	X(redirects, "Requests answered with a redirect of our own")                               \
	X(endpoints_missing, "Requests whose backend had no ready endpoint")                       \
	X(tunnels_opened, "Upgraded connections, such as WebSockets")                              \
	X(upstream_connections_opened, "Connections made to endpoints")                            \
	X(upstream_connections_reused, "Requests sent on a pooled upstream connection")            \
	X(upstream_connect_failures, "Connections to endpoints that failed")                       \
	X(upstream_retries, "Requests sent again to another endpoint or connection")               \
	X(upstream_timeouts, "Requests that an endpoint did not answer in time")                   \
	X(downstream_timeouts, "Connections closed because the client was too slow")               \
	X(downstream_received_bytes, "Bytes received from clients, after TLS")                     \
	X(downstream_sent_bytes, "Bytes sent to clients, before TLS")                              \
	X(upstream_received_bytes, "Bytes received from endpoints")                                \
	X(upstream_sent_bytes, "Bytes sent to endpoints")                                          \
	X(access_log_dropped, "Access log lines dropped because the log was too slow")             \
	X(worker_cpu_us, "CPU time that the workers used, in microseconds")

/* X(field, help). Levels that go up and down; the metric is named sluice_<field>. */
#define GAUGES_EACH(X)                                                                             \
	X(connections_active, "Downstream connections open now")                                   \
	X(streams_active, "Requests under way now")                                                \
	X(tunnels_active, "Upgraded connections open now")                                         \
	X(upstream_connections_active, "Connections to endpoints open now")                        \
	X(upstream_connections_idle, "Pooled connections to endpoints now")                        \
	X(image_generation, "Generation of the routing image in force")                            \
	X(endpoints_generation, "Generation of the endpoints in force")                            \
	X(certs_generation, "Generation of the certificates in force")                             \
	X(heartbeat_ms, "Monotonic milliseconds when the loop last turned")

/* Request durations: bucket i counts those below 2^i * 64 us, the last one all others. */
enum { COUNTERS_DURATION_BUCKETS = 20, COUNTERS_DURATION_FIRST_US = 64 };

/*
 * Which hosts a worker serves most. Each slot is a vote (Boyer, Moore, 1981): a host that is asked
 * for more often than all others of its slot together takes it. The votes are bounded, so that the
 * host of yesterday goes soon. Its requests count from when it took the slot.
 */
enum { COUNTERS_HOSTS = 64, COUNTERS_HOST_VOTES_MAX = 1024 };

struct counters_host {
	uint64_t hash; /* of its name, as the map `hosts` has it; 0: none */
	uint64_t votes;
	uint64_t requests;
};

#define COUNTERS_FIELD(field, help) uint64_t field;

struct counters {
	/* this worker only */
	COUNTERS_EACH(COUNTERS_FIELD)
	GAUGES_EACH(COUNTERS_FIELD)
	struct counters_host hosts[COUNTERS_HOSTS];
	uint64_t duration_buckets[COUNTERS_DURATION_BUCKETS];
	uint64_t duration_sum_us;
} __attribute__((aligned(128)));

/* For the one writer: readers of other threads see the old or the new value, never half. */
static inline void counter_add(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, *counter + by, __ATOMIC_RELAXED);
}

static inline void counter_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* For the one writer: a request for the host of @hash, which is spread evenly. */
static inline void counters_note_host(struct counters *counters, uint64_t hash)
{
	struct counters_host *slot = &counters->hosts[hash % COUNTERS_HOSTS];

	if (slot->hash == hash) {
		counter_add(&slot->requests, 1);
		if (slot->votes < COUNTERS_HOST_VOTES_MAX)
			counter_add(&slot->votes, 1);
		return;
	}
	if (slot->votes > 0) {
		counter_set(&slot->votes, slot->votes - 1);
		return;
	}
	/* A reader between the two sees few requests of the one before: it takes them for none. */
	counter_set(&slot->requests, 1);
	counter_set(&slot->hash, hash);
	counter_set(&slot->votes, 1);
}

/* The bucket of a request that took @duration_us. */
static inline unsigned int counters_duration_bucket(uint64_t duration_us)
{
	unsigned int bits =
		64u - (unsigned int)__builtin_clzll(duration_us / COUNTERS_DURATION_FIRST_US | 1);
	unsigned int bucket = duration_us < COUNTERS_DURATION_FIRST_US ? 0 : bits;

	return bucket < COUNTERS_DURATION_BUCKETS ? bucket : COUNTERS_DURATION_BUCKETS - 1;
}

#endif
