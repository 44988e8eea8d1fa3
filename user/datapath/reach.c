// SPDX-License-Identifier: Apache-2.0
/*
 * reach: whether what XDP sends out of an interface arrives.
 *
 * In generic mode the stack sends it, as it sends everything. In native mode the
 * driver does, and one of them may keep it: a veth lays such a frame into a ring
 * of its peer, and
 *
 *   the peer has a native XDP program   its ring is there, and woken: it arrives
 *   it has GRO, and no program          its ring is there, and nobody is woken
 *   it has neither                      there is no ring: the frame is thrown away
 *
 * (seen on 6.18; the last one is what a container has without further ado). So
 * the peer is asked what it carries, in whatever namespace it lies: the kernel
 * numbers those for us. Nothing is sent, no program is run, no traffic is touched.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/internal.h"

enum {
	ANSWER_BYTES = 16384,
	ANSWER_WAIT_S = 2,
	KIND_BYTES = 16,
	OUR_NAMESPACE = -1,
};

/* As much of a link as is asked about here. */
struct link_facts {
	char kind[KIND_BYTES]; /* "veth"; "" for network cards */
	int peer_index;        /* 0: none */
	int peer_namespace;    /* its number, or OUR_NAMESPACE */
	bool has_native_xdp;
};

struct link_question {
	struct nlmsghdr head;
	struct ifinfomsg link;
	struct {
		struct rtattr head;
		uint32_t value;
	} mask, namespace;
};

/* ---- asking --------------------------------------------------------------------------------- */

static int32_t read_number(const struct rtattr *attribute)
{
	int32_t number = 0;

	if (RTA_PAYLOAD(attribute) >= sizeof(number))
		memcpy(&number, RTA_DATA(attribute), sizeof(number));
	return number;
}

static void read_kind(const struct rtattr *info, struct link_facts *facts)
{
	int left = (int)RTA_PAYLOAD(info);

	for (const struct rtattr *at = RTA_DATA(info); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		size_t len = RTA_PAYLOAD(at);

		if (at->rta_type != IFLA_INFO_KIND || len >= KIND_BYTES)
			continue;
		memcpy(facts->kind, RTA_DATA(at), len);
		facts->kind[len] = 0;
	}
}

/* A native program beside a generic one has an attribute of its own. */
static void read_xdp(const struct rtattr *xdp, struct link_facts *facts)
{
	int left = (int)RTA_PAYLOAD(xdp);

	for (const struct rtattr *at = RTA_DATA(xdp); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		if (at->rta_type == IFLA_XDP_DRV_PROG_ID && read_number(at))
			facts->has_native_xdp = true;
		if (at->rta_type == IFLA_XDP_ATTACHED &&
		    *(const uint8_t *)RTA_DATA(at) == XDP_ATTACHED_DRV)
			facts->has_native_xdp = true;
	}
}

static void read_link(const struct nlmsghdr *answer, struct link_facts *facts)
{
	const struct ifinfomsg *link = NLMSG_DATA(answer);
	int left = (int)IFLA_PAYLOAD(answer);

	*facts = (struct link_facts){ .peer_namespace = OUR_NAMESPACE };
	for (const struct rtattr *at = IFLA_RTA(link); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		switch (at->rta_type & NLA_TYPE_MASK) {
		case IFLA_LINKINFO:
			read_kind(at, facts);
			break;
		case IFLA_LINK:
			facts->peer_index = read_number(at);
			break;
		case IFLA_LINK_NETNSID:
			facts->peer_namespace = read_number(at);
			break;
		case IFLA_XDP:
			read_xdp(at, facts);
			break;
		}
	}
}

static int exchange(int fd, const struct link_question *question, struct link_facts *facts)
{
	union {
		struct nlmsghdr head;
		char bytes[ANSWER_BYTES];
	} answer;
	ssize_t len;

	if (send(fd, question, question->head.nlmsg_len, 0) < 0)
		return -errno;
	len = recv(fd, &answer, sizeof(answer), 0);
	if (len < 0)
		return -errno;
	if (!NLMSG_OK(&answer.head, (size_t)len))
		return -EPROTO;
	if (answer.head.nlmsg_type == NLMSG_ERROR)
		return ((const struct nlmsgerr *)NLMSG_DATA(&answer.head))->error;
	if (answer.head.nlmsg_type != RTM_NEWLINK)
		return -EPROTO;
	read_link(&answer.head, facts);
	return 0;
}

/* Link @index of a namespace that we have a number for (or OUR_NAMESPACE). 0 or -errno. */
static int ask_link(int index, int namespace, struct link_facts *facts)
{
	struct link_question question = {
		.head = { .nlmsg_len = sizeof(question),
			  .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = index },
		.mask = { { sizeof(question.mask), IFLA_EXT_MASK }, RTEXT_FILTER_SKIP_STATS },
		.namespace = { { sizeof(question.namespace), IFLA_TARGET_NETNSID },
			       (uint32_t) namespace },
	};
	struct timeval wait = { .tv_sec = ANSWER_WAIT_S };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int code;

	if (fd < 0)
		return -errno;
	if (namespace == OUR_NAMESPACE)
		question.head.nlmsg_len -= sizeof(question.namespace);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	code = exchange(fd, &question, facts);
	close(fd);
	return code;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static int check_native(const struct datapath_interface *interface, struct err *err)
{
	struct link_facts link, peer;
	int code = ask_link((int)interface->index, OUR_NAMESPACE, &link);

	if (code)
		return err_set_os(err, code, "cannot look at the interface");
	if (strcmp(link.kind, "veth") != 0)
		return 0;
	if (link.peer_index == 0)
		return err_set(err, -ENXIO, "a veth without a peer");
	code = ask_link(link.peer_index, link.peer_namespace, &peer);
	if (code)
		return err_set_os(err, code,
				  "a veth whose peer cannot be looked at, and may swallow answers");
	if (!peer.has_native_xdp)
		return err_set(err, -EHOSTUNREACH,
			       "a veth whose peer has no native XDP program: it swallows answers");
	return 0;
}

int reach_check(const struct datapath_interface *interface, struct err *err)
{
	switch (interface->mode) {
	case XDP_MODE_GENERIC:
		return 0;
	case XDP_MODE_NATIVE:
		return check_native(interface, err);
	case XDP_MODE_OFF:
	case XDP_MODE_AUTO:
		break;
	}
	return err_set(err, -ENODEV, "no XDP here");
}
