// SPDX-License-Identifier: Apache-2.0
/* trust: see trust.h. */
#include "proxy/trust.h"

static bool is_in(const struct trust_network *network, const uint8_t ip[16])
{
	unsigned int bytes = network->bits / 8u, bits = network->bits % 8u;

	if (memcmp(network->ip, ip, bytes) != 0)
		return false;
	return bits == 0 || (network->ip[bytes] ^ ip[bytes]) >> (8 - bits) == 0;
}

static bool is_in_any(const struct trust *trust, const uint8_t ip[16])
{
	for (uint32_t i = 0; i < trust->network_count; i++)
		if (is_in(&trust->networks[i], ip))
			return true;
	return false;
}

bool trust_believes(const struct trust *trust, const struct addr *peer)
{
	if (trust->network_count > 0)
		return is_in_any(trust, peer->ip);
	return trust->hops > 0;
}

/* Takes the last entry off @list. */
static struct str take_last(struct str *list)
{
	size_t comma = list->len;
	struct str part;

	while (comma > 0 && list->at[comma - 1] != ',')
		comma--;
	part = str_trim(str_of(list->at + comma, list->len - comma));
	list->len = comma > 0 ? comma - 1 : 0;
	return part;
}

static struct str client_by_networks(const struct trust *trust, struct str list, struct str peer)
{
	struct str client = peer;
	struct addr addr = { 0 };

	while (list.len > 0) {
		struct str part = take_last(&list);

		/* Whatever a proxy of ours wrote is an address; the rest is the client's own. */
		if (addr_parse_ip(part, &addr))
			return client;
		client = part;
		if (!is_in_any(trust, addr.ip))
			return client;
	}
	return client;
}

static struct str client_by_hops(const struct trust *trust, struct str list, struct str peer)
{
	struct str client = peer;

	for (uint32_t hops = trust->hops; hops > 0 && list.len > 0; hops--) {
		struct str part = take_last(&list);

		client = part.len > 0 ? part : client;
	}
	return client;
}

struct str trust_client(const struct trust *trust, struct str list, struct str peer)
{
	return trust->network_count > 0 ? client_by_networks(trust, list, peer)
					: client_by_hops(trust, list, peer);
}
