// SPDX-License-Identifier: Apache-2.0
/* JSON manifests, from bytes to the store. */
#include "fuzz/kube_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_text(str_of((const char *)data, size), NODE_FORMAT_JSON);
}
