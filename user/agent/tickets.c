// SPDX-License-Identifier: Apache-2.0
/* tickets: see tickets.h. */
#include "agent/tickets.h"

#include "agent/agent.h"
#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "tls/tls.h"

static void make_key(struct control_ticket_key *key)
{
	struct tls_ticket_key made;

	tls_ticket_key_make(&made);
	_Static_assert(sizeof(key->name) == sizeof(made.name) &&
			       sizeof(key->aes_key) == sizeof(made.aes_key) &&
			       sizeof(key->hmac_key) == sizeof(made.hmac_key),
		       "the control message carries whole keys");
	memcpy(key->name, made.name, sizeof(key->name));
	memcpy(key->aes_key, made.aes_key, sizeof(key->aes_key));
	memcpy(key->hmac_key, made.hmac_key, sizeof(key->hmac_key));
	key->made_s = made.made_s;
	explicit_bzero(&made, sizeof(made));
}

void tickets_rotate(struct control_ticket_keys *keys)
{
	if (keys->count) {
		keys->keys[1] = keys->keys[0];
		keys->count = 2;
	} else {
		keys->count = 1;
	}
	make_key(&keys->keys[0]);
}

static void on_due(struct loop_timer *timer)
{
	struct tickets *tickets = CONTAINER_OF(timer, struct tickets, timer);
	struct loop *loop = &tickets->agent->loop;

	tickets_rotate(&tickets->keys);
	links_send_ticket_keys(&tickets->agent->links);
	loop_timer_set(loop, timer, loop->now_ms + TICKETS_ROTATE_MS);
}

/* Keys that were handed over are as old as they are. */
static uint64_t due_in_ms(const struct tickets *tickets)
{
	uint64_t age_s = clock_wall_ns() / NS_PER_S - tickets->keys.keys[0].made_s;

	return age_s * 1000 >= TICKETS_ROTATE_MS ? 0 : TICKETS_ROTATE_MS - age_s * 1000;
}

void tickets_open(struct tickets *tickets, struct agent *agent)
{
	tickets->agent = agent;
	tickets->timer = (struct loop_timer){ .on_due = on_due };
	if (!tickets->keys.count)
		tickets_rotate(&tickets->keys);
	loop_timer_set(&agent->loop, &tickets->timer, agent->loop.now_ms + due_in_ms(tickets));
}

void tickets_close(struct tickets *tickets)
{
	if (tickets->agent)
		loop_timer_clear(&tickets->agent->loop, &tickets->timer);
	explicit_bzero(&tickets->keys, sizeof(tickets->keys));
}
