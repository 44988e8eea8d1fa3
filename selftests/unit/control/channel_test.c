// SPDX-License-Identifier: Apache-2.0
/* Two channels on one loop: order is kept when the socket is full, and an end is told once. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "control/channel.h"

enum { MANY = 3000 };

struct side {
	struct channel channel; /* first: on_message gets a pointer to it */
	uint64_t next_generation;
	unsigned int closed_count, flushed_count;
	bool closes_on_message;
	struct err why;
};

struct world {
	struct loop *loop;
	struct side agent, proxy;
};

static void on_message(struct channel *channel, struct control_message *message)
{
	struct side *side = (struct side *)channel;

	assert_int_equal(message->type, CONTROL_IMAGE);
	assert_int_equal(message->body.segment.generation, side->next_generation);
	side->next_generation++;
	assert_true(fcntl(message->fd, F_GETFD) >= 0);
	close(message->fd);
	if (side->closes_on_message)
		channel_close(channel);
}

static void on_closed(struct channel *channel, const struct err *why)
{
	struct side *side = (struct side *)channel;

	side->closed_count++;
	side->why = *why;
}

static void on_flushed(struct channel *channel)
{
	((struct side *)channel)->flushed_count++;
}

static void side_open(struct side *side, struct loop *loop, int fd, enum control_side peer)
{
	struct err err = { 0 };

	side->channel.on_message = on_message;
	side->channel.on_closed = on_closed;
	side->channel.on_flushed = on_flushed;
	assert_int_equal(channel_open(&side->channel, loop, fd, peer, &err), 0);
}

static int setup(void **state)
{
	struct world *world = mem_new(1, sizeof(*world));
	struct err err = { 0 };
	int fds[2];

	world->loop = mem_new(1, sizeof(*world->loop));
	assert_int_equal(loop_init(world->loop, NULL, NULL, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	side_open(&world->agent, world->loop, fds[0], CONTROL_SIDE_PROXY);
	side_open(&world->proxy, world->loop, fds[1], CONTROL_SIDE_AGENT);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	channel_close(&world->agent.channel);
	channel_close(&world->proxy.channel);
	loop_release(world->loop);
	mem_free(world->loop);
	mem_free(world);
	return 0;
}

static void turn(struct world *world)
{
	for (int i = 0; i < 20; i++)
		loop_turn(world->loop, 1);
}

static void test_more_than_the_socket_holds(void **state)
{
	struct world *world = *state;

	for (uint64_t i = 0; i < MANY; i++) {
		struct control_segment segment = { .generation = i };

		assert_int_equal(channel_send(&world->agent.channel, CONTROL_IMAGE, &segment, 0),
				 0);
	}
	assert_true(world->agent.channel.queued_count > 0);
	for (int i = 0; i < 1000 && world->proxy.next_generation < MANY; i++)
		loop_turn(world->loop, 1);
	assert_int_equal(world->proxy.next_generation, MANY);
	assert_int_equal(world->agent.channel.queued_count, 0);
	assert_true(world->agent.flushed_count > 0);
}

static void test_the_end_is_told_once(void **state)
{
	struct world *world = *state;
	struct control_segment segment = { 0 };

	turn(world);
	channel_close(&world->proxy.channel);
	turn(world);
	assert_int_equal(world->agent.closed_count, 1);
	assert_int_equal(world->proxy.closed_count, 0);
	assert_int_equal(channel_send(&world->agent.channel, CONTROL_IMAGE, &segment, 0),
			 -ENOTCONN);
}

static void test_a_desync_closes_with_its_reason(void **state)
{
	struct world *world = *state;
	struct control_hello hello = { 0 };

	/* Only a proxy says hello. */
	assert_int_equal(channel_send(&world->agent.channel, CONTROL_HELLO, &hello, -1), 0);
	turn(world);
	assert_int_equal(world->proxy.closed_count, 1);
	assert_int_equal(world->proxy.why.code, -EPROTO);
	assert_non_null(strstr(world->proxy.why.text, "'hello' from the wrong side"));
	assert_int_equal(world->agent.closed_count, 1);
}

static void test_the_owner_may_close_from_a_message(void **state)
{
	struct world *world = *state;
	struct control_segment segment = { 0 };

	world->proxy.closes_on_message = true;
	for (; segment.generation < 3; segment.generation++)
		channel_send(&world->agent.channel, CONTROL_IMAGE, &segment, 0);
	turn(world);
	assert_int_equal(world->proxy.next_generation, 1);
	assert_int_equal(world->proxy.closed_count, 0);
	assert_int_equal(world->agent.closed_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_more_than_the_socket_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_end_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_desync_closes_with_its_reason, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_owner_may_close_from_a_message, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
