/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy: the half of sluice that touches client bytes.
 *
 *   agent ══ control socket ══► main thread            no client bytes here
 *                                 │ verifies segments, publishes configs, writes the access log
 *               ┌─────────────────┼─────────────────┐
 *            worker 0          worker 1          worker N-1    one pinned thread, one loop each;
 *               │                 │                 │          they share read-only segments
 *            clients ◄──► endpoints                            and nothing else
 *
 * Reading order: worker.h (what a worker has), conn.h (downstream connections),
 * stream.h (a request and its response), upstream.h (connections to endpoints),
 * then config.h (how a new configuration gets in) and sandbox.h.
 */
#ifndef SLUICE_PROXY_PROXY_H
#define SLUICE_PROXY_PROXY_H

#include <stdbool.h>

struct proxy_options {
	const char *control_path; /* the agent's control socket; borrowed */
	bool is_unconfined; /* keeps privileges and system calls: for debuggers and sanitizers */
};

/*
 * Runs the proxy in the calling thread until it is drained: by the agent, or by SIGTERM, which
 * drains with PROXY_SIGNAL_GRACE_MS. Connects to the agent, again and again where there is none.
 * Returns the exit code: 0 after a drain, 1 for what cannot be helped.
 */
enum { PROXY_SIGNAL_GRACE_MS = 30 * 1000 };
int proxy_main(const struct proxy_options *options);

#endif
