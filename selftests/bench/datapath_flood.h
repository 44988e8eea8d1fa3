/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datapath_flood: what one SYN of a flood costs the whole machine.
 *
 *   sendmmsg ──► cl0 ════ slu0 ──► XDP or the kernel; answers end at cl0, in XDP
 *
 * SYNs under false addresses go over a cable within one namespace, and all that they
 * cause happens on the CPU of the sender, most of it inside its system calls: so its
 * CPU time, and that of this CPU's ksoftirqd, is the whole cost. Sending into a bridge
 * without ports costs what the generator costs, and is taken off. What veth takes to
 * bring a frame to XDP is in all of the ways: an XDP program that only drops shows it.
 *
 * Each round has each way once, one after the other.
 */
#ifndef SLUICE_SELFTESTS_BENCH_DATAPATH_FLOOD_H
#define SLUICE_SELFTESTS_BENCH_DATAPATH_FLOOD_H

#include <dirent.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <time.h>

#include <bpf/bpf.h>

#include "datapath/internal.h"
#include "selftests/bpf/builder.h"
#include "selftests/bpf/lab.h"
#include "selftests/bpf/listen.h"

enum {
	FLOOD_POOL = 4096, /* different frames */
	FLOOD_BATCH = 64,
	FLOOD_FRAMES = 131072, /* of one sample */
	FLOOD_ROUNDS_MAX = 101,
	FLOOD_WAIT_MS = 20, /* for what is still under way */
};

enum flood_way {
	FLOOD_NOWHERE, /* the generator alone */
	FLOOD_EMPTY,   /* an XDP program that drops, and nothing else */
	FLOOD_DENIED,
	FLOOD_ANSWERED,
	FLOOD_KERNEL, /* its SYN cookies */
	FLOOD_WAYS
};

static const char *const flood_names[FLOOD_WAYS] = { "generator", "dropped by an empty program",
						     "denied source", "answered by XDP",
						     "answered by the kernel's SYN cookies" };

static struct frame flood_pool[FLOOD_POOL];
static struct datapath *flood_datapath;
static int flood_wires[2]; /* into nothing, into cl0 */
static int flood_drop_program = -1;
static int flood_softirqd = -1;

/* ---- the world ------------------------------------------------------------------------------ */

static void flood_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		lab_die(path);
	close(fd);
}

static void flood_make_links(void)
{
	if (lab_command("ip", "link", "add", "none0", "type", "bridge")) /* without ports */
		lab_die("bridge");
	if (lab_command("ip", "link", "add", "slu0", "address", "02:02:02:02:02:02", "type", "veth",
			"peer", "name", "cl0", "address", "02:02:02:02:02:01"))
		lab_die("veth");
	lab_command("ip", "addr", "add", "10.213.7.1/24", "dev", "slu0");
	lab_up("none0");
	lab_up("slu0");
	lab_up("cl0");
	/* Where answers to false addresses go. */
	lab_command("ip", "neigh", "add", "10.213.7.2", "lladdr", "02:02:02:02:02:01", "dev",
		    "slu0");
	lab_command("ip", "route", "add", "default", "via", "10.213.7.2", "dev", "slu0");
	flood_write("/proc/sys/net/ipv4/tcp_syncookies", "2");
	flood_write("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
	flood_write("/proc/sys/net/ipv4/conf/slu0/rp_filter", "0");
}

static int flood_attach_drop(const char *interface)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int link =
		bpf_link_create(flood_drop_program, (int)if_nametoindex(interface), BPF_XDP, &opts);

	if (link < 0)
		lab_die("XDP");
	return link;
}

static void flood_load_drop(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	flood_drop_program = bpf_prog_load(BPF_PROG_TYPE_XDP, "drop", "GPL", insns, 2, NULL);
	if (flood_drop_program < 0)
		lab_die("XDP program");
}

static int flood_open_wire(const char *interface)
{
	struct sockaddr_ll name = { .sll_family = AF_PACKET };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	name.sll_ifindex = (int)if_nametoindex(interface);
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)))
		lab_die("packet socket");
	listen_set_on(fd, SOL_PACKET, PACKET_QDISC_BYPASS);
	return fd;
}

static void flood_build_pool(struct str options)
{
	struct frame_spec spec = { .local = "10.213.7.1",
				   .client = "10.99.0.0",
				   .tcp_flags = FRAME_SYN,
				   .tcp_options = options };

	for (uint32_t i = 0; i < FLOOD_POOL; i++) {
		uint32_t spread = i * 2654435761u;

		spec.client_port = (uint16_t)(1024 + i % 60000);
		frame_build(&flood_pool[i], &spec);
		memcpy(flood_pool[i].at + ETH_HLEN + 13, &spread, 3);
		frame_put_checksums(&flood_pool[i]);
	}
}

/* The /proc directory of this CPU's ksoftirqd, open; -1 where there is none to be seen. */
static void flood_find_softirqd(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[300], name[32] = "";

	while (proc && flood_softirqd < 0 && (entry = readdir(proc)) != NULL) {
		ssize_t len = 0;
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			len = read(fd, name, sizeof(name) - 1);
		close(fd);
		name[len > 0 ? len : 0] = 0;
		if (strcmp(name, "ksoftirqd/0\n") != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", entry->d_name);
		flood_softirqd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (proc)
		closedir(proc);
}

/* CPU time of this thread and of ksoftirqd, in ns. */
static uint64_t flood_spent_ns(void)
{
	struct timespec own;
	char text[64] = "";
	uint64_t softirq_ns = 0;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
	if (flood_softirqd >= 0 && pread(flood_softirqd, text, sizeof(text) - 1, 0) > 0)
		softirq_ns = strtoull(text, NULL, 10);
	return (uint64_t)own.tv_sec * 1000000000u + (uint64_t)own.tv_nsec + softirq_ns;
}

/* ---- sluice on slu0 ------------------------------------------------------------------------- */

static void flood_deny(struct datapath *datapath)
{
	struct datapath_prefix *at = mem_new(DENIED, sizeof(*at));
	struct err err = { 0 };

	for (uint32_t i = 0; i < DENIED; i++) {
		uint32_t spread = htonl(i * 2654435761u | 0x80000000u);

		at[i].bits = 96 + 16 + i % 17;
		at[i].addr.ip[10] = at[i].addr.ip[11] = 0xff;
		memcpy(at[i].addr.ip + 12, &spread, 4);
	}
	memcpy(at[0].addr.ip + 12, "\x0a\0\0\0", 4);
	at[0].bits = 96 + 8;
	if (datapath_set_denylist(datapath, &(struct datapath_prefixes){ at, DENIED }, &err)) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	mem_free(at);
}

static void flood_open_datapath(int listening, bool denies)
{
	static const char *const interfaces[] = { "slu0" };
	static const uint16_t cpus[] = { 0 };
	struct datapath_listener listener = { .addr = listen_addr("10.213.7.1:80"),
					      .protocol = LISTENER_PROTOCOL_HTTP };
	struct datapath_options options = { .bpf_dir = LAB_BPF_DIR,
					    .xdp = XDP_MODE_NATIVE,
					    .interfaces = interfaces,
					    .interface_count = 1,
					    .listeners = &listener,
					    .listener_count = 1,
					    .worker_cpus = cpus,
					    .worker_count = 1,
					    .wants_early_dispatch = true };
	struct datapath_worker state = { .state = WORKER_STATE_ACTIVE };
	struct err err = { 0 };

	if (datapath_open(&options, &flood_datapath, &err) ||
	    datapath_set_socket(flood_datapath, 0, 0, listening, &err) ||
	    datapath_set_worker(flood_datapath, 0, &state, &err)) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	if (!datapath_is_early(flood_datapath)) {
		fprintf(stderr, "%s\n", datapath_early_text(flood_datapath));
		exit(1);
	}
	if (denies)
		flood_deny(flood_datapath);
}

/* Each SYN has to have ended as its way says: a flood that goes elsewhere measures nothing. */
static void flood_check(enum flood_way way)
{
	struct stats stats;
	uint64_t counted;

	if (datapath_read_stats(flood_datapath, &stats, NULL))
		lab_die("stats");
	counted = way == FLOOD_DENIED ? stats.drop_denied : stats.answer_syn;
	if (counted < FLOOD_FRAMES * 9 / 10) {
		fprintf(stderr, "%s: only %llu of %d SYNs\n", flood_names[way],
			(unsigned long long)counted, FLOOD_FRAMES);
		exit(1);
	}
}

/* ---- one sample ----------------------------------------------------------------------------- */

static void flood_send(int wire, uint32_t frames)
{
	struct mmsghdr messages[FLOOD_BATCH] = { 0 };
	struct iovec parts[FLOOD_BATCH];

	for (uint32_t sent = 0; sent < frames; sent += FLOOD_BATCH) {
		for (uint32_t i = 0; i < FLOOD_BATCH; i++) {
			struct frame *frame = &flood_pool[(sent + i) % FLOOD_POOL];

			parts[i] = (struct iovec){ frame->at, frame->len };
			messages[i].msg_hdr =
				(struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
		}
		if (sendmmsg(wire, messages, FLOOD_BATCH, 0) < 0 && errno != ENOBUFS)
			lab_die("sendmmsg");
	}
}

/* Nanoseconds a SYN, the generator included. */
static double flood_measure(enum flood_way way)
{
	int link = way == FLOOD_EMPTY ? flood_attach_drop("slu0") : -1;
	int wire = flood_wires[way == FLOOD_NOWHERE ? 0 : 1];
	const struct timespec wait = { .tv_nsec = FLOOD_WAIT_MS * 1000000L };
	struct addr addr = listen_addr("10.213.7.1:80");
	int listening = listen_open(&addr);
	uint64_t before;
	double spent_ns;

	if (way == FLOOD_DENIED || way == FLOOD_ANSWERED)
		flood_open_datapath(listening, way == FLOOD_DENIED);
	flood_send(wire, FLOOD_POOL); /* warm */
	nanosleep(&wait, NULL);
	before = flood_spent_ns();
	flood_send(wire, FLOOD_FRAMES);
	nanosleep(&wait, NULL);
	spent_ns = (double)(flood_spent_ns() - before) / FLOOD_FRAMES;
	if (flood_datapath) {
		flood_check(way);
		datapath_detach(flood_datapath);
		flood_datapath = NULL;
	}
	close(listening);
	close(link);
	return spent_ns;
}

/* ---- the table ------------------------------------------------------------------------------ */

static int flood_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double flood_median(const double *samples, int count)
{
	double sorted[FLOOD_ROUNDS_MAX];

	memcpy(sorted, samples, (size_t)count * sizeof(*samples));
	qsort(sorted, (size_t)count, sizeof(*sorted), flood_compare);
	return sorted[count / 2];
}

/* What @way costs more than @base, and which part that is of what the kernel's cookies cost more.
 */
static void flood_print_over(double samples[FLOOD_WAYS][FLOOD_ROUNDS_MAX], int rounds,
			     enum flood_way way, enum flood_way base)
{
	double ratios[FLOOD_ROUNDS_MAX], own[FLOOD_ROUNDS_MAX];

	for (int i = 0; i < rounds; i++) {
		own[i] = samples[way][i] - samples[base][i];
		ratios[i] = own[i] / (samples[FLOOD_KERNEL][i] - samples[base][i]);
	}
	printf(" %6.0f ns %6.2f ", flood_median(own, rounds), flood_median(ratios, rounds));
}

static void flood_print(double samples[FLOOD_WAYS][FLOOD_ROUNDS_MAX], int rounds)
{
	printf("the whole machine, a SYN of a flood, medians of %d rounds of %d (generator: %.0f "
	       "ns):\n"
	       "  %-36s %19s  %s\n",
	       rounds, FLOOD_FRAMES, flood_median(samples[FLOOD_NOWHERE], rounds), "",
	       "over the generator", "over the empty program");
	for (int way = FLOOD_EMPTY; way < FLOOD_WAYS; way++) {
		printf("  %-36s  ", flood_names[way]);
		flood_print_over(samples, rounds, (enum flood_way)way, FLOOD_NOWHERE);
		if (way != FLOOD_EMPTY)
			flood_print_over(samples, rounds, (enum flood_way)way, FLOOD_EMPTY);
		printf("\n");
	}
}

/* @options are those of the SYNs. */
static void flood_run(int rounds, struct str options)
{
	static double samples[FLOOD_WAYS][FLOOD_ROUNDS_MAX];
	int link;

	if (rounds > FLOOD_ROUNDS_MAX)
		rounds = FLOOD_ROUNDS_MAX;
	flood_make_links();
	flood_load_drop();
	link = flood_attach_drop("cl0");
	flood_find_softirqd();
	flood_build_pool(options);
	flood_wires[0] = flood_open_wire("none0");
	flood_wires[1] = flood_open_wire("cl0");
	for (int i = 0; i < rounds; i++)
		for (int way = 0; way < FLOOD_WAYS; way++)
			samples[way][i] = flood_measure((enum flood_way)way);
	flood_print(samples, rounds);
	close(link);
}

#endif
