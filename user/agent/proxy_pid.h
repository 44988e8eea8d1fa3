/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_pid: run-dir/proxy.pid, which tells the next agent that a proxy may be waiting for it.
 *
 * The file holds the process id and the time that process was started, as /proc tells it, so that
 * a number which was given to somebody else meanwhile is not taken for our proxy.
 */
#ifndef SLUICE_AGENT_PROXY_PID_H
#define SLUICE_AGENT_PROXY_PID_H

/* A failure costs the next agent only the wait; it is logged. */
void proxy_pid_write(const char *run_dir, int pid);
void proxy_pid_remove(const char *run_dir);
/* The proxy that lives, or 0. */
int proxy_pid_read(const char *run_dir);

#endif
