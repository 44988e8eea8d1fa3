// SPDX-License-Identifier: Apache-2.0
/* Arbitrary bytes as certificates: what is accepted is looked up by name and printed. */
#include "base/mem.h"
#include "image/certs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16 };

static void look_up(const struct certs *certs)
{
	certs_find(certs, STR(""));
	certs_find(certs, STR("x.example.com"));
	for (uint32_t i = 0; i < certs->name_count; i++) {
		struct str name = certs_text(certs, certs->names[i].text);

		/* Exact names are asked as they are; a wildcard's text is nobody's name. */
		if (name.at[0] != '*' &&
		    certs_find_named(certs, name) != &certs->certs[certs->names[i].cert])
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = mem_new(size, 1); /* aligned, and watched at both ends */
	struct certs certs;
	struct err err;
	struct buf out;

	memcpy(copy, data, size);
	if (certs_open(str_of(copy, size), &certs, &err) == 0) {
		look_up(&certs);
		buf_init(&out, TEXT_MAX);
		certs_dump(&certs, &out);
		buf_release(&out);
	}
	mem_free(copy);
	return 0;
}
