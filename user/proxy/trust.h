/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust: whose word about the client is believed.
 *
 * By network: a peer in one of them is a proxy of ours, and so is each address in X-Forwarded-For,
 * read from the right, that is in one; the first that is not is the client. By hops: the peer is
 * believed whoever it is, and that many entries from the right. Networks say more, so they go first
 * where both are set.
 */
#ifndef SLUICE_PROXY_TRUST_H
#define SLUICE_PROXY_TRUST_H

#include "base/addr.h"

enum { TRUST_NETWORKS_MAX = 32 };

struct trust_network {
	uint8_t ip[16]; /* as in struct addr */
	uint8_t bits;   /* 1 to 128, or 0 for every address */
};

struct trust {
	uint32_t hops;
	uint32_t network_count;
	struct trust_network networks[TRUST_NETWORKS_MAX];
};

/* Whether what @peer says about its client is believed at all. */
bool trust_believes(const struct trust *trust, const struct addr *peer);

/*
 * The client's address: of @list, what stands in X-Forwarded-For, the part that is believed to be
 * it; @peer (its text) where nothing is. For a peer that is believed.
 */
struct str trust_client(const struct trust *trust, struct str list, struct str peer);

#endif
