// SPDX-License-Identifier: Apache-2.0
/* control_client: see control_client.h; the conversation is drawn in control/control.h. */
#include "proxy/control_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/container.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/proxy_main.h"

static const enum control_type type_of[CONFIG_KIND_COUNT] = {
	[CONFIG_IMAGE] = CONTROL_IMAGE,
	[CONFIG_ENDPOINTS] = CONTROL_ENDPOINTS,
	[CONFIG_CERTS] = CONTROL_CERTS,
	[CONFIG_SOURCES] = CONTROL_SOURCES,
};

static enum config_kind kind_of(enum control_type type)
{
	unsigned int kind = 0;

	while (type_of[kind] != type) /* take_segment has no others */
		kind++;
	return (enum config_kind)kind;
}

/* ------------------------------------------------------------------- messages */

static void take_setup(struct control_client *client, const struct control_message *message)
{
	if (client->is_set_up) {
		log_warning("proxy", "the agent sends a second setup: ignored");
		return;
	}
	client->is_set_up = true;
	client->setup = message->body.setup;
}

static void take_settings(struct control_client *client, const struct control_message *message)
{
	const struct control_settings *said = &message->body.settings;
	struct config_settings settings = {
		.trust.hops = said->trusted_hops,
		.request_head_timeout_ms = said->request_head_timeout_ms,
		.keepalive_timeout_ms = said->keepalive_timeout_ms,
		.upstream_idle_timeout_ms = said->upstream_idle_timeout_ms,
	};

	log_set_level((enum log_level)said->log_level);
	for (uint32_t i = 0; i < said->trusted_count && i < TRUST_NETWORKS_MAX; i++) {
		struct trust_network *network = &settings.trust.networks[i];

		memcpy(network->ip, said->trusted[i].ip, sizeof(network->ip));
		network->bits = said->trusted[i].bits > 128 ? 128 : (uint8_t)said->trusted[i].bits;
		settings.trust.network_count++;
	}
	proxy_use_settings(client->proxy, &settings);
}

/* The agent does not want us; another one may come, so this is tried again. */
static void take_refusal(struct control_client *client, const struct control_message *message)
{
	const struct control_refused *refused = &message->body.refused;

	if (!client->is_refused_said)
		log_error("proxy", "the agent refuses: %.*s",
			  (int)strnlen(refused->text, sizeof(refused->text)), refused->text);
	client->is_refused_said = true;
}

static void take_counters(struct control_client *client, const struct control_message *message)
{
	if (!client->is_set_up || client->counters_fd >= 0) {
		close(message->fd);
		return;
	}
	client->counters_fd = message->fd;
	client->counters = message->body.counters;
	proxy_set_up(client->proxy, &client->setup, &client->counters, message->fd);
}

static void take_listener(struct control_client *client, const struct control_message *message)
{
	const struct control_listener *listener = &message->body.listener;
	struct held_listener *grown;
	size_t count = client->listener_count;

	/* They are given to workers before these start, and stay. */
	if (client->counters_fd < 0 || proxy_is_running(client->proxy) ||
	    count == CLIENT_LISTENERS_MAX)
		goto refuse;
	grown = mem_try_resize(client->listeners, count + 1, sizeof(*grown));
	if (!grown)
		goto refuse;
	client->listeners = grown;
	if (proxy_add_listener(client->proxy, listener, message->fd) < 0)
		goto refuse;
	grown[client->listener_count++] =
		(struct held_listener){ .listener = *listener, .fd = message->fd };
	return;

refuse:
	log_error("proxy", "a listening socket for worker %u cannot be taken", listener->worker);
	close(message->fd);
}

static void refuse_segment(struct control_client *client, enum control_type type,
			   uint64_t generation, const struct err *err)
{
	struct control_refused refused = {
		.type = type,
		.code = err->code,
		.generation = generation,
	};

	snprintf(refused.text, sizeof(refused.text), "%.*s", (int)sizeof(refused.text) - 1,
		 err->text);
	log_error("proxy", "%s of generation %" PRIu64 " is refused: %s", control_type_name(type),
		  generation, err->text);
	channel_send(&client->channel, CONTROL_REFUSED, &refused, -1);
}

static void take_segment(struct control_client *client, const struct control_message *message)
{
	enum config_kind kind = kind_of(message->type);
	uint64_t generation = message->body.segment.generation;
	struct config_segment *segment;
	struct err err = { 0 };

	if (config_segment_open(kind, message->fd, generation, &segment, &err) < 0) {
		refuse_segment(client, message->type, generation, &err);
		close(message->fd);
		segment = NULL;
	}
	if (segment && proxy_use_segment(client->proxy, kind, segment) < 0) {
		err_set(&err, -ENOMEM, "no memory");
		refuse_segment(client, message->type, generation, &err);
	}
	if (!(message->body.segment.flags & CONTROL_SEGMENT_MORE))
		proxy_publish(client->proxy);
	config_segment_put(segment);
}

static void take_ticket_keys(struct control_client *client, const struct control_message *message)
{
	const struct control_ticket_keys *keys = &message->body.ticket_keys;
	struct tls_ticket_key taken[CONFIG_TICKET_KEYS_MAX];
	uint32_t count = keys->count;

	if (count > CONFIG_TICKET_KEYS_MAX)
		count = CONFIG_TICKET_KEYS_MAX;
	for (uint32_t i = 0; i < count; i++) {
		memcpy(taken[i].name, keys->keys[i].name, sizeof(taken[i].name));
		memcpy(taken[i].aes_key, keys->keys[i].aes_key, sizeof(taken[i].aes_key));
		memcpy(taken[i].hmac_key, keys->keys[i].hmac_key, sizeof(taken[i].hmac_key));
		taken[i].made_s = keys->keys[i].made_s;
	}
	proxy_use_ticket_keys(client->proxy, taken, count);
	explicit_bzero(taken, sizeof(taken));
}

static void take_welcome(struct control_client *client, const struct control_message *message)
{
	(void)message;
	client->is_refused_said = false;
}

static void take_access_log(struct control_client *client, const struct control_message *message)
{
	proxy_set_access_log(client->proxy, message->fd);
}

static void take_start(struct control_client *client, const struct control_message *message)
{
	(void)message;
	proxy_start(client->proxy);
}

static void take_drain(struct control_client *client, const struct control_message *message)
{
	proxy_drain(client->proxy, message->body.drain.grace_ms);
}

/* Who takes which message, with its descriptor. The others are not for a proxy. */
static void (*const takers[CONTROL_TYPE_COUNT])(struct control_client *client,
						const struct control_message *message) = {
	[CONTROL_WELCOME] = take_welcome,       [CONTROL_REFUSED] = take_refusal,
	[CONTROL_SETTINGS] = take_settings,     [CONTROL_SETUP] = take_setup,
	[CONTROL_COUNTERS] = take_counters,     [CONTROL_LISTENER] = take_listener,
	[CONTROL_ACCESS_LOG] = take_access_log, [CONTROL_TICKET_KEYS] = take_ticket_keys,
	[CONTROL_IMAGE] = take_segment,         [CONTROL_ENDPOINTS] = take_segment,
	[CONTROL_CERTS] = take_segment,         [CONTROL_SOURCES] = take_segment,
	[CONTROL_START] = take_start,           [CONTROL_DRAIN] = take_drain,
};

static void on_message(struct channel *channel, struct control_message *message)
{
	struct control_client *client = CONTAINER_OF(channel, struct control_client, channel);

	if (takers[message->type]) /* the channel lets no other numbers through */
		takers[message->type](client, message);
	else if (message->fd >= 0)
		close(message->fd);
}

/* -------------------------------------------------------------------- reports */

void control_client_report(struct control_client *client, const struct config *config)
{
	for (int kind = 0; kind < CONFIG_REPORTED_COUNT; kind++) {
		const struct config_segment *segment = config->segments[kind];
		struct control_in_force in_force = { .type = type_of[kind] };

		if (!segment || segment->generation == client->reported[kind])
			continue;
		client->reported[kind] = segment->generation;
		in_force.generation = segment->generation;
		if (client->channel.is_open)
			channel_send(&client->channel, CONTROL_IN_FORCE, &in_force, -1);
	}
}

bool control_client_say_leaving(struct control_client *client)
{
	const struct control_leaving leaving = { { 0 } };

	return client->channel.is_open &&
	       channel_send(&client->channel, CONTROL_LEAVING, &leaving, -1) == 0;
}

void control_client_say_drained(struct control_client *client, uint32_t cut_count)
{
	struct control_drained drained = { .cut_count = cut_count };

	if (client->channel.is_open)
		channel_send(&client->channel, CONTROL_DRAINED, &drained, -1);
}

/* -------------------------------------------------------------------- greeting */

static void give_back(struct control_client *client)
{
	const struct config *config = proxy_config(client->proxy);
	struct channel *channel = &client->channel;

	for (uint32_t i = 0; i < client->listener_count; i++)
		channel_send(channel, CONTROL_LISTENER, &client->listeners[i].listener,
			     client->listeners[i].fd);
	if (client->counters_fd >= 0)
		channel_send(channel, CONTROL_COUNTERS, &client->counters, client->counters_fd);
	for (int kind = 0; config && kind < CONFIG_REPORTED_COUNT; kind++) {
		const struct config_segment *segment = config->segments[kind];
		struct control_segment message = { 0 };

		if (!segment)
			continue;
		message.generation = segment->generation;
		channel_send(channel, type_of[kind], &message, segment->fd);
	}
}

static void say_hello(struct control_client *client)
{
	const struct config *config = proxy_config(client->proxy);
	struct control_hello hello = {
		.version_max = CONTROL_VERSION,
		.version_min = CONTROL_VERSION_MIN,
		.listener_count = client->listener_count,
		.give_back_count = client->listener_count,
		.is_draining = proxy_is_draining(client->proxy),
	};

	if (proxy_is_running(client->proxy))
		hello.worker_count = client->setup.worker_count;
	hello.give_back_count += client->counters_fd >= 0;
	if (config) {
		hello.image_generation = config->image ? config->image->generation : 0;
		hello.endpoints_generation = config->endpoints ? config->endpoints->generation : 0;
		hello.certs_generation = config->certs ? config->certs->generation : 0;
		hello.give_back_count += (config->image != NULL) + (config->endpoints != NULL) +
					 (config->certs != NULL);
	}
	channel_send(&client->channel, CONTROL_HELLO, &hello, -1);
}

/* ------------------------------------------------------------------ connection */

static void retry_later(struct control_client *client)
{
	struct loop *loop = proxy_loop(client->proxy);

	loop_timer_set(loop, &client->retry, loop->now_ms + CONTROL_RETRY_MS);
}

static void on_closed(struct channel *channel, const struct err *why)
{
	struct control_client *client = CONTAINER_OF(channel, struct control_client, channel);

	if (proxy_is_running(client->proxy))
		log_warning("proxy", "the agent is gone (%s); serving goes on", why->text);
	client->is_away_said = true;
	/* An agent that went away before START will not complete what it began. */
	if (!proxy_is_running(client->proxy) && client->is_set_up) {
		proxy_give_up(client->proxy);
		return;
	}
	retry_later(client);
	proxy_agent_lost(client->proxy);
}

static void on_retry(struct loop_timer *timer)
{
	control_client_connect(CONTAINER_OF(timer, struct control_client, retry));
}

void control_client_connect(struct control_client *client)
{
	struct err err = { 0 };
	int fd = control_connect(client->path, &err);

	if (fd < 0) {
		if (!client->is_away_said)
			log_info("proxy", "waiting for an agent: %s", err.text);
		client->is_away_said = true;
		retry_later(client);
		return;
	}
	if (channel_open(&client->channel, proxy_loop(client->proxy), fd, CONTROL_SIDE_AGENT,
			 &err) < 0) {
		log_error("proxy", "%s", err.text);
		retry_later(client);
		return;
	}
	if (proxy_is_running(client->proxy))
		client->is_away_said = false;
	say_hello(client);
	give_back(client);
}

void control_client_init(struct control_client *client, struct proxy *proxy, const char *path)
{
	*client = (struct control_client){ .proxy = proxy, .path = path, .counters_fd = -1 };
	client->channel.on_message = on_message;
	client->channel.on_closed = on_closed;
	client->retry.on_due = on_retry;
}

void control_client_close_listeners(struct control_client *client)
{
	for (uint32_t i = 0; i < client->listener_count; i++)
		close(client->listeners[i].fd);
	client->listener_count = 0;
}

void control_client_release(struct control_client *client)
{
	channel_close(&client->channel);
	control_client_close_listeners(client);
	mem_free(client->listeners);
	if (client->counters_fd >= 0)
		close(client->counters_fd);
}
