// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as a chunked body: cut anywhere, the filter keeps the same bytes; what
 * PASS kept is a chunked body of its own, with the same content and nothing left to
 * remove. The first byte seeds the cuts.
 */
#include <stdlib.h>

#include "wire/h1_chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_TRIED = 64 * 1024 };

struct run {
	struct h1_chunked chunked;
	enum h1_progress progress;
	char kept[SIZE_MAX_TRIED];
	size_t kept_len;
	size_t taken;
};

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static void feed(struct run *run, struct str bytes)
{
	char *copy = malloc(bytes.len + 1);
	struct str kept;
	size_t taken;

	check(copy != NULL);
	memcpy(copy, bytes.at, bytes.len);
	run->progress = h1_chunked_filter(&run->chunked, copy, bytes.len, &kept, &taken);
	check(taken <= bytes.len && kept.at >= copy && kept.at + kept.len <= copy + taken);
	if (run->progress == H1_DONE)
		check(!memcmp(copy + taken, bytes.at + taken, bytes.len - taken));
	memcpy(run->kept + run->kept_len, kept.at, kept.len);
	run->kept_len += kept.len;
	run->taken += taken;
	free(copy);
}

/* @step_seed 0: all at once; else in pieces of 1 to 17 bytes. */
static void run_all(struct run *run, struct str bytes, enum h1_chunked_mode mode,
		    unsigned step_seed)
{
	h1_chunked_init(&run->chunked, mode);
	run->progress = H1_MORE;
	run->kept_len = run->taken = 0;
	for (size_t at = 0; at < bytes.len && run->progress == H1_MORE;) {
		size_t len = step_seed
				     ? 1 + (step_seed = step_seed * 1103515245 + 12345) / 65536 % 17
				     : bytes.len;

		feed(run, str_slice(bytes, at, len));
		at += len;
	}
}

static void check_same(const struct run *a, const struct run *b)
{
	check(a->progress == b->progress && a->chunked.reason == b->chunked.reason);
	check(a->kept_len == b->kept_len && !memcmp(a->kept, b->kept, a->kept_len));
	check(a->progress == H1_REFUSED || a->taken == b->taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run passed, decoded, again;
	struct str bytes;

	if (size < 2 || size > SIZE_MAX_TRIED)
		return 0;
	bytes = str_of((const char *)data + 1, size - 1);
	run_all(&passed, bytes, H1_CHUNKED_PASS, 0);
	run_all(&again, bytes, H1_CHUNKED_PASS, data[0] + 1u);
	check_same(&passed, &again);
	run_all(&decoded, bytes, H1_CHUNKED_DECODE, 0);
	run_all(&again, bytes, H1_CHUNKED_DECODE, data[0] + 1u);
	check_same(&decoded, &again);
	check(passed.progress == decoded.progress);
	if (passed.progress != H1_DONE)
		return 0;
	check(decoded.kept_len == decoded.chunked.content_bytes);
	run_all(&again, str_of(passed.kept, passed.kept_len), H1_CHUNKED_PASS, 0);
	check(again.progress == H1_DONE && again.kept_len == passed.kept_len);
	check(again.taken == passed.kept_len);
	run_all(&again, str_of(passed.kept, passed.kept_len), H1_CHUNKED_DECODE, 0);
	check(again.kept_len == decoded.kept_len);
	check(!memcmp(again.kept, decoded.kept, again.kept_len));
	return 0;
}
