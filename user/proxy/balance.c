// SPDX-License-Identifier: Apache-2.0
/* balance: see balance.h. */
#include "proxy/balance.h"

#include <errno.h>

#include "base/mem.h"

void balance_init(struct balance *balance, uint64_t seed)
{
	*balance = (struct balance){ 0 };
	random_init(&balance->random, seed);
}

void balance_release(struct balance *balance)
{
	mem_free(balance->positions);
	*balance = (struct balance){ 0 };
}

int balance_reserve(struct balance *balance, uint32_t backend_count)
{
	uint32_t *grown;

	if (backend_count <= balance->position_count)
		return 0;
	grown = mem_try_resize(balance->positions, backend_count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	for (uint32_t i = balance->position_count; i < backend_count; i++)
		grown[i] = UINT32_MAX;
	balance->positions = grown;
	balance->position_count = backend_count;
	return 0;
}

static bool is_among(uint32_t id, const uint32_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

const struct endpoint *balance_pick(struct balance *balance, const struct endpoints *endpoints,
				    uint32_t backend_id, const uint32_t *avoid, size_t avoid_count)
{
	struct endpoints_slot slot = endpoints_of(endpoints, backend_id);
	uint32_t nth;

	if (slot.count == 0 || backend_id >= balance->position_count)
		return NULL;
	nth = balance->positions[backend_id];
	if (nth >= slot.count) /* not begun, at the end, or there are fewer now */
		nth = nth == UINT32_MAX ? random_below(&balance->random, slot.count) : 0;
	for (uint32_t seen = 0; seen < slot.count; seen++) {
		const struct endpoint *endpoint = endpoints_at(endpoints, slot, nth);

		nth = nth + 1 < slot.count ? nth + 1 : 0;
		if (!(endpoint->flags & ENDPOINT_READY) ||
		    is_among(endpoint->id, avoid, avoid_count))
			continue;
		balance->positions[backend_id] = nth;
		return endpoint;
	}
	return NULL;
}
