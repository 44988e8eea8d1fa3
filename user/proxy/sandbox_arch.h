/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_arch: what of the system calls differs between the machines sluice runs on. */
#ifndef SLUICE_PROXY_SANDBOX_ARCH_H
#define SLUICE_PROXY_SANDBOX_ARCH_H

#include <linux/audit.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define SANDBOX_ARCH       AUDIT_ARCH_X86_64
#define SANDBOX_OLD_CALLS  __NR_epoll_wait, __NR_poll,
#define SANDBOX_OLD_DENIED __NR_open, __NR_access, __NR_readlink, __NR_stat,
#elif defined(__aarch64__)
#define SANDBOX_ARCH AUDIT_ARCH_AARCH64
#define SANDBOX_OLD_CALLS
#define SANDBOX_OLD_DENIED
#endif

#endif
