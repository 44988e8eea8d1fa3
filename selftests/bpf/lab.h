/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lab: a place for tests in the kernel that leaves nothing behind.
 *
 * The process moves into network and mount namespaces of its own, with an empty
 * /tmp: interfaces, mounts, pins and files are gone when it ends, however it ends.
 */
#ifndef SLUICE_SELFTESTS_BPF_LAB_H
#define SLUICE_SELFTESTS_BPF_LAB_H

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#define LAB_BPF_DIR "/tmp/bpf/sluice"

static inline void lab_die(const char *what)
{
	fprintf(stderr, "lab: %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline void lab_up(const char *interface)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCGIFFLAGS, &request))
		lab_die(interface);
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		lab_die(interface);
	close(fd);
}

static inline void lab_enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		lab_die("unshare");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, NULL))
		lab_die("mount");
	lab_up("lo");
}

static inline void lab_pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		lab_die("sched_setaffinity");
}

/* An agent in a Pod has not got CAP_SYS_ADMIN. */
static inline void lab_use_sys_admin(bool is_used)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	uint32_t bit = 1u << CAP_SYS_ADMIN;

	if (syscall(SYS_capget, &header, data))
		lab_die("capget");
	data[0].effective = is_used ? data[0].effective | bit : data[0].effective & ~bit;
	if (syscall(SYS_capset, &header, data))
		lab_die("capset");
}

/* Runs a command and waits for it. Its exit code; the test dies where it cannot be run. */
static inline int lab_run(const char *const argv[])
{
	int status;
	pid_t child = fork();

	if (child < 0)
		lab_die("fork");
	if (child == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child)
		lab_die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * Puts an XDP program that passes everything on @interface, for as long as the link that is
 * returned is open. @mode: XDP_FLAGS_*_MODE. The test dies where it cannot be had.
 */
static inline int lab_attach_pass(const char *interface, const char *name, uint32_t mode)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", insns, 2, NULL);
	int link = bpf_link_create(program, (int)if_nametoindex(interface), BPF_XDP, &opts);

	if (link < 0)
		lab_die(interface);
	close(program);
	return link;
}

#define lab_command(...) lab_run((const char *const[]){ __VA_ARGS__, NULL })

#endif
