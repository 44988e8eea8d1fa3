// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox: see sandbox.h. The filter is classic BPF over struct seccomp_data:
 *
 *   architecture is ours? ──no──► kill
 *   x32 numbers?          ──yes─► kill
 *   number in the list?   ──yes─► allow     (socket: only TCP and AF_UNIX)
 *   about files?          ──yes─► EACCES
 *                         ──no──► kill the process
 *
 * The calls of the request path stand first: the kernel walks the list for each call,
 * though since 5.11 it remembers which ones are always allowed and does not walk.
 */
#include "proxy/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/sandbox_arch.h"

enum { X32_BIT = 0x40000000, CAPABILITIES_LAST = 63 };

static const int allowed[] = {
	/* serving */
	SANDBOX_OLD_CALLS __NR_recvfrom,
	__NR_sendto,
	__NR_sendmsg,
	__NR_recvmsg,
	__NR_epoll_pwait,
	__NR_epoll_ctl,
	__NR_accept4,
	__NR_close,
	__NR_connect,
	__NR_shutdown,
	__NR_setsockopt,
	__NR_getsockopt,
	/* waking, logging; descriptors */
	__NR_read,
	__NR_write,
	__NR_writev,
	__NR_ppoll,
	__NR_eventfd2,
	__NR_dup,
	__NR_dup3,
	__NR_fcntl,
	__NR_fstat,
	__NR_lseek,
	/* memory: the heap, segments, OpenSSL */
	__NR_mmap,
	__NR_munmap,
	__NR_mremap,
	__NR_madvise,
	__NR_mprotect,
	__NR_brk,
	__NR_mlock,
	__NR_munlock,
	__NR_getrandom,
	/* time */
	__NR_clock_gettime,
	__NR_clock_nanosleep,
	__NR_nanosleep,
	__NR_gettimeofday,
	/* threads and their end */
	__NR_futex,
	__NR_clone,
	__NR_clone3,
	__NR_set_robust_list,
	__NR_rseq,
	__NR_sched_yield,
	__NR_sched_getaffinity,
	__NR_sched_setaffinity,
	__NR_getpid,
	__NR_gettid,
	__NR_getuid,
	__NR_geteuid,
	__NR_prctl, /* thread names; nothing is left that it could raise */
	__NR_restart_syscall,
	__NR_rt_sigaction,
	__NR_rt_sigprocmask,
	__NR_rt_sigreturn,
	__NR_tgkill,
	__NR_exit,
	__NR_exit_group,
};

enum { ALLOWED_COUNT = sizeof(allowed) / sizeof(allowed[0]) };

static struct sock_filter load(size_t offset)
{
	return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static struct sock_filter give(uint32_t verdict)
{
	return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
}

/* Skips the next instruction unless the loaded word is @value. */
static struct sock_filter unless_skip(uint32_t value)
{
	return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
}

/*
 * Libraries ask for files now and then (time zone, number of CPUs, locale). They are told no, which
 * they can live with; anything else that is not allowed is somebody else's idea.
 */
static const int denied[] = {
	SANDBOX_OLD_DENIED __NR_openat,
	__NR_openat2,
	__NR_faccessat,
	__NR_readlinkat,
	__NR_newfstatat,
	__NR_statx,
	__NR_ioctl,
	__NR_sysinfo,
	__NR_uname,
};

enum { DENIED_COUNT = sizeof(denied) / sizeof(denied[0]) };

/* socket() for TCP and for the control socket only: no raw packets, no netlink. */
static size_t add_socket_rule(struct sock_filter *at)
{
	static const uint32_t families[] = { AF_INET, AF_INET6, AF_UNIX };
	size_t count = 0;

	/* Past the rule, if it is another call. */
	at[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 8);
	at[count++] = load(offsetof(struct seccomp_data, args));
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		at[count++] = unless_skip(families[i]);
		at[count++] = give(SECCOMP_RET_ALLOW);
	}
	at[count++] = give(SECCOMP_RET_KILL_PROCESS);
	return count;
}

static size_t build(struct sock_filter *at)
{
	size_t count = 0;

	at[count++] = load(offsetof(struct seccomp_data, arch));
	at[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0);
	at[count++] = give(SECCOMP_RET_KILL_PROCESS);
	at[count++] = load(offsetof(struct seccomp_data, nr));
	at[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	at[count++] = give(SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < ALLOWED_COUNT; i++) {
		at[count++] = unless_skip((uint32_t)allowed[i]);
		at[count++] = give(SECCOMP_RET_ALLOW);
	}
	for (size_t i = 0; i < DENIED_COUNT; i++) {
		at[count++] = unless_skip((uint32_t)denied[i]);
		at[count++] = give(SECCOMP_RET_ERRNO | EACCES);
	}
	count += add_socket_rule(at + count);
	at[count++] = give(SECCOMP_RET_KILL_PROCESS);
	return count;
}

static int install_filter(struct err *err)
{
	struct sock_filter filter[2 * (ALLOWED_COUNT + DENIED_COUNT) + 32];
	struct sock_fprog program = { .filter = filter };

	program.len = (unsigned short)build(filter);
	if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return err_set_os(err, errno == EINVAL ? -ENOSYS : -errno,
				  "install a system call filter");
	return 0;
}

static int drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	/* The bounding set first: that needs a capability. EINVAL is the end of the list. */
	for (int i = 0; i <= CAPABILITIES_LAST; i++)
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EINVAL && errno != EPERM)
			return err_set_os(err, -errno, "drop capability %d", i);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(__NR_capset, &header, none) < 0)
		return err_set_os(err, -errno, "drop capabilities");
	return 0;
}

int sandbox_enter(struct err *err)
{
	int rc = drop_capabilities(err);

	if (rc < 0)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set_os(err, -errno, "give up new privileges");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set_os(err, -errno, "become undumpable");
	return install_filter(err);
}
