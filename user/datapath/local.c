// SPDX-License-Identifier: Apache-2.0
/*
 * local: which addresses the kernel takes for its own.
 *
 * Its table "local" has them: an address of an interface as a route to that one
 * address, and what somebody added with `ip route add local PREFIX dev lo` as a
 * whole prefix, which no list of interface addresses shows.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/internal.h"

/* linux/socket.h is not for user space everywhere. */
enum { LEVEL_NETLINK = 270, PART_BYTES = 32768, ANSWER_WAIT_S = 2, IPV4_BITS_BEFORE = 96 };

struct walk {
	void (*on_prefix)(void *arg, const uint8_t ip[16], uint32_t bits);
	void *arg;
};

struct route_question {
	struct nlmsghdr head;
	struct rtmsg route;
	struct {
		struct rtattr head;
		uint32_t value;
	} table;
};

static void on_route(const struct walk *walk, const struct nlmsghdr *message)
{
	const struct rtmsg *route = NLMSG_DATA(message);
	int left = (int)RTM_PAYLOAD(message);
	uint8_t ip[16] = { [10] = 0xff, [11] = 0xff };
	uint32_t before = route->rtm_family == AF_INET ? IPV4_BITS_BEFORE : 0;
	size_t bytes = route->rtm_family == AF_INET ? 4 : 16;

	if (route->rtm_type != RTN_LOCAL)
		return;
	for (const struct rtattr *at = RTM_RTA(route); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		if (at->rta_type != RTA_DST || RTA_PAYLOAD(at) != bytes)
			continue;
		memcpy(ip + sizeof(ip) - bytes, RTA_DATA(at), bytes);
		walk->on_prefix(walk->arg, ip, before + route->rtm_dst_len);
	}
}

/* 1: there is more to come; 0: that was all; -errno. */
static int take_part(const struct walk *walk, int fd)
{
	union {
		struct nlmsghdr head;
		char bytes[PART_BYTES];
	} part;
	ssize_t got = recv(fd, &part, sizeof(part), 0);
	unsigned int left;

	if (got < 0)
		return -errno;
	left = (unsigned int)got;
	for (const struct nlmsghdr *at = &part.head; NLMSG_OK(at, left);
	     at = NLMSG_NEXT(at, left)) {
		if (at->nlmsg_type == NLMSG_DONE)
			return 0;
		if (at->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(at))->error;
		if (at->nlmsg_type == RTM_NEWROUTE)
			on_route(walk, at);
	}
	return 1;
}

static int each_of_family(const struct walk *walk, int fd, unsigned char family)
{
	struct route_question question = {
		.head = { .nlmsg_len = sizeof(question),
			  .nlmsg_type = RTM_GETROUTE,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.route = { .rtm_family = family, .rtm_table = RT_TABLE_LOCAL },
		.table = { { sizeof(question.table), RTA_TABLE }, RT_TABLE_LOCAL },
	};
	int code;

	if (send(fd, &question, sizeof(question), 0) < 0)
		return -errno;
	do
		code = take_part(walk, fd);
	while (code > 0);
	return code;
}

int local_each(void (*on_prefix)(void *arg, const uint8_t ip[16], uint32_t bits), void *arg)
{
	struct walk walk = { on_prefix, arg };
	struct timeval wait = { .tv_sec = ANSWER_WAIT_S };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), on = 1, code;

	if (fd < 0)
		return -errno;
	/* This table alone, and not all routes of the machine (kernel 4.20). */
	setsockopt(fd, LEVEL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	code = each_of_family(&walk, fd, AF_INET);
	if (code == 0)
		code = each_of_family(&walk, fd, AF_INET6);
	close(fd);
	return code == -EAFNOSUPPORT ? 0 : code;
}
