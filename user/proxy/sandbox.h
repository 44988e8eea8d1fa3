/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox: what a proxy that was taken over by a client could still do: little.
 *
 * No capability, now or through any exec; no new privileges; not dumpable (its memory
 * holds private keys); and a list of the system calls it needs, outside of which the
 * kernel ends the process. It can open no file and start no program. It can still
 * connect: to endpoints by TCP, and to the agent's socket by path.
 *
 * The user id stays what it was: the socket of the next agent is readable by that user
 * alone, and without open(2) and capabilities the id opens nothing else.
 */
#ifndef SLUICE_PROXY_SANDBOX_H
#define SLUICE_PROXY_SANDBOX_H

#include "base/err.h"

/*
 * Gives all of that up, for the calling thread and all threads it makes later; call it before
 * the first one. 0 or -errno with a text. Where the kernel has no seccomp filters the rest is
 * done and -ENOSYS says so.
 */
int sandbox_enter(struct err *err);

#endif
