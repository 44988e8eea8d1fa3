// SPDX-License-Identifier: Apache-2.0
/*
 * control: one packet, checked against one table.
 *
 * Everything that is true of a message type stands in its row of messages[]: whoever adds a type
 * adds a row and a struct. Content is not judged here, only form; a reader that wants a worker
 * number below its own limit checks that where it uses it.
 */
#include "control/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BOTH_SIDES = CONTROL_SIDE_AGENT | CONTROL_SIDE_PROXY,
	/* One is the most a message may carry; room for more, so that more can be closed again. */
	FDS_TAKEN_MAX = 8,
};

struct header {
	uint32_t type;
	uint32_t body_bytes;
};

struct row {
	const char *name;
	uint32_t body_bytes;
	uint32_t fd_count; /* exactly */
	unsigned int senders;
};

static const struct row messages[CONTROL_TYPE_COUNT] = {
	[CONTROL_HELLO] = { "hello", sizeof(struct control_hello), 0, CONTROL_SIDE_PROXY },
	[CONTROL_SETUP] = { "setup", sizeof(struct control_setup), 0, CONTROL_SIDE_AGENT },
	[CONTROL_COUNTERS] = { "counters", sizeof(struct control_counters), 1, BOTH_SIDES },
	[CONTROL_LISTENER] = { "listener", sizeof(struct control_listener), 1, BOTH_SIDES },
	[CONTROL_ACCESS_LOG] = { "access_log", sizeof(struct control_access_log), 1,
				 CONTROL_SIDE_AGENT },
	[CONTROL_TICKET_KEYS] = { "ticket_keys", sizeof(struct control_ticket_keys), 0,
				  CONTROL_SIDE_AGENT },
	[CONTROL_IMAGE] = { "image", sizeof(struct control_segment), 1, BOTH_SIDES },
	[CONTROL_ENDPOINTS] = { "endpoints", sizeof(struct control_segment), 1, BOTH_SIDES },
	[CONTROL_CERTS] = { "certs", sizeof(struct control_segment), 1, BOTH_SIDES },
	[CONTROL_SOURCES] = { "sources", sizeof(struct control_segment), 1, CONTROL_SIDE_AGENT },
	[CONTROL_START] = { "start", sizeof(struct control_start), 0, CONTROL_SIDE_AGENT },
	[CONTROL_IN_FORCE] = { "in_force", sizeof(struct control_in_force), 0, CONTROL_SIDE_PROXY },
	[CONTROL_REFUSED] = { "refused", sizeof(struct control_refused), 0, BOTH_SIDES },
	[CONTROL_DRAIN] = { "drain", sizeof(struct control_drain), 0, CONTROL_SIDE_AGENT },
	[CONTROL_DRAINED] = { "drained", sizeof(struct control_drained), 0, CONTROL_SIDE_PROXY },
	[CONTROL_WELCOME] = { "welcome", sizeof(struct control_welcome), 0, CONTROL_SIDE_AGENT },
	[CONTROL_SETTINGS] = { "settings", sizeof(struct control_settings), 0, CONTROL_SIDE_AGENT },
	[CONTROL_LEAVING] = { "leaving", sizeof(struct control_leaving), 0, CONTROL_SIDE_PROXY },
	[CONTROL_TAKEOVER] = { "takeover", sizeof(struct control_takeover), 0,
			       CONTROL_SIDE_SUCCESSOR },
	[CONTROL_LOCK] = { "lock", sizeof(struct control_lock), 1, CONTROL_SIDE_AGENT },
	[CONTROL_ADMIN] = { "admin", sizeof(struct control_admin), 1, CONTROL_SIDE_AGENT },
	[CONTROL_HANDOVER] = { "handover", sizeof(struct control_handover), 0, CONTROL_SIDE_AGENT },
	[CONTROL_COMMIT] = { "commit", sizeof(struct control_commit), 0, CONTROL_SIDE_SUCCESSOR },
	[CONTROL_LET_GO] = { "let_go", sizeof(struct control_let_go), 0, CONTROL_SIDE_AGENT },
};

/* NULL for a number that is no type. */
static const struct row *row_of(uint32_t type)
{
	return type < CONTROL_TYPE_COUNT && messages[type].name ? &messages[type] : NULL;
}

const char *control_type_name(enum control_type type)
{
	const struct row *row = row_of(type);

	return row ? row->name : "?";
}

size_t control_body_bytes(enum control_type type)
{
	const struct row *row = row_of(type);

	return row ? row->body_bytes : 0;
}

bool control_type_has_fd(enum control_type type)
{
	const struct row *row = row_of(type);

	return row && row->fd_count > 0;
}

uint32_t control_choose_version(uint32_t min, uint32_t max, struct err *err)
{
	uint32_t highest = max < CONTROL_VERSION ? max : CONTROL_VERSION;
	uint32_t lowest = min > CONTROL_VERSION_MIN ? min : CONTROL_VERSION_MIN;

	if (lowest <= highest)
		return highest;
	err_set(err, -EPROTO,
		"it speaks control versions %u to %u, and this is a sluice of versions %u to %u",
		min, max, CONTROL_VERSION_MIN, CONTROL_VERSION);
	return 0;
}

/* ------------------------------------------------------------------------------ send */

int control_send(int fd, enum control_type type, const void *body, int passed_fd)
{
	const struct row *row = row_of(type);
	struct header header = { .type = type, .body_bytes = row ? row->body_bytes : 0 };
	struct iovec parts[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)body, .iov_len = header.body_bytes }, /* iovec has no const */
	};
	struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2 };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };

	if (!row || (passed_fd >= 0) != (row->fd_count > 0))
		return -EINVAL;
	if (passed_fd >= 0) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &passed_fd, sizeof(int));
		packet.msg_control = control.bytes;
		packet.msg_controllen = sizeof(control.bytes);
	}
	while (sendmsg(fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* --------------------------------------------------------------------------- receive */

struct taken_fds {
	int at[FDS_TAKEN_MAX];
	size_t count;
};

static void take_fds(struct msghdr *packet, struct taken_fds *fds)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(packet); c; c = CMSG_NXTHDR(packet, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count && fds->count < FDS_TAKEN_MAX; i++)
			memcpy(&fds->at[fds->count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
}

static int check(const struct header *header, size_t len, size_t fd_count, unsigned int from,
		 struct err *err)
{
	const struct row *row;

	if (len < sizeof(*header))
		return err_set(err, -EPROTO, "control packet of %zu bytes has no header", len);
	row = row_of(header->type);
	if (!row)
		return err_set(err, -EPROTO, "control message of unknown type %u", header->type);
	if (!(row->senders & from))
		return err_set(err, -EPROTO, "control message '%s' from the wrong side", row->name);
	if (header->body_bytes != row->body_bytes || len - sizeof(*header) != row->body_bytes)
		return err_set(err, -EPROTO,
			       "control message '%s' of %zu bytes (says %u) instead of %u",
			       row->name, len - sizeof(*header), header->body_bytes,
			       row->body_bytes);
	if (fd_count != row->fd_count)
		return err_set(err, -EPROTO,
			       "control message '%s' with %zu descriptors instead of %u", row->name,
			       fd_count, row->fd_count);
	return 0;
}

int control_receive(int fd, unsigned int from, struct control_message *message, struct err *err)
{
	struct header header = { 0 };
	struct iovec parts[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = &message->body, .iov_len = sizeof(message->body) },
	};
	char control[CMSG_SPACE(FDS_TAKEN_MAX * sizeof(int))];
	struct msghdr packet = {
		.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct taken_fds fds = { .count = 0 };
	ssize_t len;
	int rc;

	do {
		len = recvmsg(fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EAGAIN ? -EAGAIN : err_set_os(err, -errno, "control connection");
	take_fds(&packet, &fds);
	if (len == 0 && fds.count == 0)
		return 0;
	if (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		rc = err_set(err, -EPROTO, "control packet does not fit any message");
	else
		rc = check(&header, (size_t)len, fds.count, from, err);
	if (rc) {
		for (size_t i = 0; i < fds.count; i++)
			close(fds.at[i]);
		return rc;
	}
	message->type = header.type;
	message->fd = fds.count ? fds.at[0] : -1;
	return 1;
}
