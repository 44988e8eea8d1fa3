// SPDX-License-Identifier: Apache-2.0
/*
 * SipHash-2-4 against the test vectors of its authors (key 00 01 .. 0f, input 00 01 ..,
 * appendix A of the paper is the one of 15 bytes), and the generator for what is no secret.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/siphash.h"

static void test_reference_vectors(void **state)
{
	static const uint64_t wanted[] = {
		0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
		0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
		0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
		0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	};
	const struct siphash_key key = { .k0 = 0x0706050403020100, .k1 = 0x0f0e0d0c0b0a0908 };
	char input[16];

	(void)state;
	for (size_t len = 0; len < 16; len++) {
		uint64_t got = siphash(key, str_of(input, len));

		if (got != wanted[len])
			fail_msg("%zu bytes: got %016llx", len, (unsigned long long)got);
		input[len] = (char)len;
	}
}

static void test_alignment_and_key(void **state)
{
	const struct siphash_key key = { .k0 = 1, .k1 = 2 }, other = { .k0 = 1, .k1 = 3 };
	char bytes[64] = "0123456789abcdef0123456789abcdef";
	uint64_t wanted = siphash(key, str_of(bytes, 20));

	(void)state;
	for (size_t shift = 1; shift < 8; shift++) {
		char moved[64];

		memcpy(moved + shift, bytes, 20);
		assert_int_equal(siphash(key, str_of(moved + shift, 20)), wanted);
	}
	assert_int_not_equal(siphash(other, str_of(bytes, 20)), wanted);
	assert_int_not_equal(siphash(key, STR("a")), siphash(key, STR("a\0")));
}

static void test_random(void **state)
{
	enum { ROUNDS = 60000, BELOW = 6 };
	uint32_t hits[BELOW] = { 0 };
	struct random a, b;

	(void)state;
	random_init(&a, 1);
	random_init(&b, 1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(random_next(&a), random_next(&b));
	random_init(&b, 2);
	assert_int_not_equal(random_next(&a), random_next(&b));
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t value = random_below(&a, BELOW);

		assert_true(value < BELOW);
		hits[value]++;
	}
	/* 10,000 each, give or take five standard deviations. */
	for (int i = 0; i < BELOW; i++)
		assert_in_range(hits[i], 9540, 10460);
	assert_int_equal(random_below(&a, 1), 0);
	random_init(&a, 0);
	random_init(&b, 0);
	assert_int_not_equal(random_next(&a), random_next(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference_vectors),
		cmocka_unit_test(test_alignment_and_key),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
