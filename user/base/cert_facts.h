/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert_facts: what a certificate says, in words without OpenSSL.
 *
 * tls/ reads it, the model keeps it, compile/ decides by it; none of the three includes another.
 */
#ifndef SLUICE_BASE_CERT_FACTS_H
#define SLUICE_BASE_CERT_FACTS_H

#include "base/str.h"

struct cert_facts {
	int64_t not_before_s, not_after_s; /* seconds since 1970; 0, 0: not known */
	const struct str *names;           /* DNS names it covers, wildcards as written */
	uint32_t name_count;
};

#endif
