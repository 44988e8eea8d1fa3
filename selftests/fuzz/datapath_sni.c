// SPDX-License-Identifier: Apache-2.0
/* Any bytes as the first payload of a TLS connection, through the code that XDP runs. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "bpf/host_tls.h"
#include "fuzz/datapath_payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return check_payload(host_read_tls, data, size);
}
