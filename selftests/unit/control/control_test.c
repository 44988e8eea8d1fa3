// SPDX-License-Identifier: Apache-2.0
/* One message over a socket pair: what is taken, what is refused, and that no descriptor leaks. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control.h"

struct pair {
	int sender, receiver;
};

static struct pair make_pair(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	return (struct pair){ fds[0], fds[1] };
}

static void close_pair(struct pair pair)
{
	close(pair.sender);
	close(pair.receiver);
}

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A packet as an enemy or another version may write it. */
static void send_raw(int fd, const void *bytes, size_t len, const int *fds, size_t fd_count)
{
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr packet = { .msg_iov = &part, .msg_iovlen = 1 };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(32 * sizeof(int))];
	} control = { 0 };

	if (fd_count) {
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, fd_count * sizeof(int));
		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &packet, 0), (ssize_t)len);
}

static void test_each_type_arrives_as_it_was_sent(void **state)
{
	(void)state;
	for (enum control_type type = CONTROL_HELLO; type < CONTROL_TYPE_COUNT; type++) {
		union control_body sent;
		struct control_message got;
		struct err err = { 0 };
		struct pair pair = make_pair();
		int fd = control_type_has_fd(type) ? pair.sender : -1;
		int before = count_fds();
		int rc;

		memset(&sent, (int)type, sizeof(sent));
		assert_int_equal(control_send(pair.sender, type, &sent, fd), 0);
		rc = control_receive(pair.receiver, CONTROL_SIDE_AGENT, &got, &err);
		if (rc == -EPROTO) { /* only a client says this; it was closed with a reason */
			assert_non_null(strstr(err.text, "wrong side"));
			assert_int_equal(control_send(pair.sender, type, &sent, fd), 0);
			rc = control_receive(pair.receiver, CONTROL_SIDE_ANY_CLIENT, &got, &err);
		}
		assert_int_equal(rc, 1);
		assert_int_equal(got.type, type);
		assert_memory_equal(&got.body, &sent, control_body_bytes(type));
		assert_int_equal(got.fd >= 0, control_type_has_fd(type));
		if (got.fd >= 0) {
			assert_int_equal(fcntl(got.fd, F_GETFD), FD_CLOEXEC);
			close(got.fd);
		}
		assert_int_equal(count_fds(), before);
		close_pair(pair);
	}
}

struct desync {
	const char *name;
	uint32_t type, says_bytes;
	size_t body_bytes;
	size_t fd_count;
	enum control_side from;
	const char *text; /* part of the reason */
};

static const struct desync desyncs[] = {
	{ "unknown type", 99, 0, 0, 0, CONTROL_SIDE_PROXY, "unknown type 99" },
	{ "type 0", 0, 0, 0, 0, CONTROL_SIDE_PROXY, "unknown type 0" },
	{ "too short", CONTROL_HELLO, sizeof(struct control_hello), 4, 0, CONTROL_SIDE_PROXY,
	  "'hello' of 4 bytes" },
	{ "too long", CONTROL_START, sizeof(struct control_start), 64, 0, CONTROL_SIDE_AGENT,
	  "'start' of 64 bytes" },
	{ "says another size", CONTROL_START, 4, sizeof(struct control_start), 0,
	  CONTROL_SIDE_AGENT, "says 4" },
	{ "no descriptor", CONTROL_IMAGE, sizeof(struct control_segment),
	  sizeof(struct control_segment), 0, CONTROL_SIDE_AGENT, "0 descriptors instead of 1" },
	{ "two descriptors", CONTROL_IMAGE, sizeof(struct control_segment),
	  sizeof(struct control_segment), 2, CONTROL_SIDE_AGENT, "2 descriptors instead of 1" },
	{ "a descriptor too many", CONTROL_DRAIN, sizeof(struct control_drain),
	  sizeof(struct control_drain), 1, CONTROL_SIDE_AGENT, "1 descriptors instead of 0" },
	{ "more than can be taken", CONTROL_IMAGE, sizeof(struct control_segment),
	  sizeof(struct control_segment), 20, CONTROL_SIDE_AGENT, "does not fit" },
	{ "larger than any", CONTROL_HELLO, sizeof(struct control_hello), 8192, 0,
	  CONTROL_SIDE_PROXY, "does not fit" },
	{ "an agent says hello", CONTROL_HELLO, sizeof(struct control_hello),
	  sizeof(struct control_hello), 0, CONTROL_SIDE_AGENT, "wrong side" },
};

static void test_a_desync_is_named_and_leaks_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(desyncs) / sizeof(*desyncs); i++) {
		const struct desync *c = &desyncs[i];
		struct pair pair = make_pair();
		char packet[8 + 8192] = { 0 };
		struct control_message got;
		struct err err = { 0 };
		int fds[20], before = count_fds(), rc;

		for (size_t n = 0; n < 20; n++)
			fds[n] = pair.sender;
		memcpy(packet, &c->type, 4);
		memcpy(packet + 4, &c->says_bytes, 4);
		send_raw(pair.sender, packet, 8 + c->body_bytes, fds, c->fd_count);
		rc = control_receive(pair.receiver, c->from, &got, &err);
		if (rc != -EPROTO || !strstr(err.text, c->text))
			fail_msg("%s: got %d '%s', expected '%s'", c->name, rc, err.text, c->text);
		if (count_fds() != before)
			fail_msg("%s: descriptors leaked", c->name);
		close_pair(pair);
	}
}

static void test_a_packet_without_header_is_a_desync(void **state)
{
	struct pair pair = make_pair();
	struct control_message got;
	struct err err = { 0 };

	(void)state;
	send_raw(pair.sender, "abc", 3, NULL, 0);
	assert_int_equal(control_receive(pair.receiver, CONTROL_SIDE_PROXY, &got, &err), -EPROTO);
	assert_non_null(strstr(err.text, "no header"));
	close_pair(pair);
}

static void test_nothing_there_and_peer_gone(void **state)
{
	struct pair pair = make_pair();
	struct control_message got;
	struct err err = { 0 };
	struct control_start start = { { 0 } };

	(void)state;
	assert_int_equal(control_receive(pair.receiver, CONTROL_SIDE_PROXY, &got, &err), -EAGAIN);
	close(pair.sender);
	assert_int_equal(control_receive(pair.receiver, CONTROL_SIDE_PROXY, &got, &err), 0);
	assert_int_equal(control_send(pair.receiver, CONTROL_START, &start, -1), -EPIPE);
	close(pair.receiver);
}

static void test_sending_refuses_what_is_no_message(void **state)
{
	struct pair pair = make_pair();
	union control_body body = { 0 };

	(void)state;
	assert_int_equal(control_send(pair.sender, CONTROL_NONE, &body, -1), -EINVAL);
	assert_int_equal(control_send(pair.sender, CONTROL_TYPE_COUNT, &body, -1), -EINVAL);
	assert_int_equal(control_send(pair.sender, CONTROL_IMAGE, &body, -1), -EINVAL);
	assert_int_equal(control_send(pair.sender, CONTROL_DRAIN, &body, 0), -EINVAL);
	close_pair(pair);
}

static void test_socket_file(void **state)
{
	char directory[] = "/tmp/sluice-control-XXXXXX", path[64];
	struct err err = { 0 };
	struct stat facts;
	int listener, client, server;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/" CONTROL_SOCKET_NAME, directory);
	assert_int_equal(control_connect(path, &err), -ENOENT);
	listener = control_listen(path, &err);
	assert_true(listener >= 0);
	assert_int_equal(stat(path, &facts), 0);
	assert_int_equal(facts.st_mode & 0777, 0600);
	assert_int_equal(control_accept(listener, &err), -EAGAIN);

	client = control_connect(path, &err);
	server = control_accept(listener, &err);
	assert_true(client >= 0 && server >= 0);
	assert_int_equal(control_peer_pid(server), getpid());

	/* A living agent keeps its place; one that is gone leaves it. */
	assert_int_equal(control_listen(path, &err), -EADDRINUSE);
	close(listener);
	listener = control_listen(path, &err);
	assert_true(listener >= 0);

	close(client);
	close(server);
	close(listener);
	unlink(path);
	rmdir(directory);
}

static void test_a_path_that_does_not_fit(void **state)
{
	char path[200];
	struct err err = { 0 };

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	assert_int_equal(control_listen(path, &err), -ENAMETOOLONG);
	assert_int_equal(control_connect(path, &err), -ENAMETOOLONG);
}

static const struct {
	const char *name;
	uint32_t min, max, chosen;
} ranges[] = {
	{ "the same", CONTROL_VERSION_MIN, CONTROL_VERSION, CONTROL_VERSION },
	{ "newer, and still ours", CONTROL_VERSION, CONTROL_VERSION + 5, CONTROL_VERSION },
	{ "older, and still ours", 1, CONTROL_VERSION_MIN, CONTROL_VERSION_MIN },
	{ "too new", CONTROL_VERSION + 1, CONTROL_VERSION + 2, 0 },
	{ "too old", 1, CONTROL_VERSION_MIN - 1, 0 },
	{ "no range at all", CONTROL_VERSION, CONTROL_VERSION - 1, 0 },
};

static void test_the_highest_version_of_both(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		struct err err = { 0 };
		uint32_t chosen = control_choose_version(ranges[i].min, ranges[i].max, &err);

		if (chosen != ranges[i].chosen)
			fail_msg("%s: %u, expected %u", ranges[i].name, chosen, ranges[i].chosen);
		if (!chosen && !strstr(err.text, "versions"))
			fail_msg("%s: '%s' does not name the versions", ranges[i].name, err.text);
	}
}

/* Two agents at one path: the second takes its place, and who is connected stays connected. */
static void test_a_socket_takes_the_place_of_another(void **state)
{
	char dir[] = "/tmp/control-over-XXXXXX", path[64];
	struct err err = { 0 };
	int first, second, early, late;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	first = control_listen(path, &err);
	early = control_connect(path, &err);
	second = control_listen_over(path, &err);
	late = control_connect(path, &err);
	assert_true(first >= 0 && early >= 0 && second >= 0 && late >= 0);
	assert_int_equal(close(control_accept(first, &err)), 0);
	assert_int_equal(control_accept(first, &err), -EAGAIN);
	assert_int_equal(close(control_accept(second, &err)), 0);
	close(first);
	close(second);
	close(early);
	close(late);
	unlink(path);
	assert_int_equal(rmdir(dir), 0); /* nothing was left beside it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_type_arrives_as_it_was_sent),
		cmocka_unit_test(test_a_desync_is_named_and_leaks_nothing),
		cmocka_unit_test(test_a_packet_without_header_is_a_desync),
		cmocka_unit_test(test_nothing_there_and_peer_gone),
		cmocka_unit_test(test_sending_refuses_what_is_no_message),
		cmocka_unit_test(test_socket_file),
		cmocka_unit_test(test_a_path_that_does_not_fit),
		cmocka_unit_test(test_the_highest_version_of_both),
		cmocka_unit_test(test_a_socket_takes_the_place_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
