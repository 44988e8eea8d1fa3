/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: what stays of the first process after SIGUSR2.
 *
 * Others know its pid: a service manager, a container runtime (it may be process 1), a shell. It
 * holds nothing, serves nothing, passes signals on to the agent in charge and ends when that ends.
 *
 *   keeper (first pid) ──┬── agent 2, draining, soon gone
 *                        └── agent 3, in charge: <run-dir>/agent.pid
 */
#ifndef SLUICE_AGENT_KEEPER_H
#define SLUICE_AGENT_KEEPER_H

struct agent;

/* <run-dir>/agent.pid says who is in charge. A failure is logged. */
void keeper_write_pid(const char *run_dir);

/* Passes signal @number on to the agent in charge: @pid, or one after it. */
void keeper_pass_on(const char *run_dir, int pid, int number);

/* Until @pid and every agent after it is gone. Returns the exit code of the last one. */
int keeper_run(const char *run_dir, int pid);

#endif
