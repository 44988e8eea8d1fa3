// SPDX-License-Identifier: Apache-2.0
/*
 * deny: rows that tell which prefixes to look up (bpf/deny.h, user/datapath/deny.c).
 *
 * Many lists, made up from a fixed seed, are asked about sources in and beside
 * their prefixes; going through the list bit by bit says what has to come out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/mem.h"
#include "base/random.h"
#include "bpf/deny.h"
#include "datapath/internal.h"

enum { LISTS = 40, PREFIXES_MAX = 400, SOURCES = 2000 };

struct list {
	struct denylist_key at[PREFIXES_MAX];
	uint32_t len;
};

/* ---- what is right -------------------------------------------------------------------------- */

static bool is_ipv4(const uint8_t address[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static bool has_first_bits(const uint8_t address[16], const struct denylist_key *key)
{
	for (uint32_t i = 0; i < key->bits; i++)
		if ((address[i / 8] ^ key->address[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return true;
}

/* The number of bits of the longest prefix that @address is in; 0: of none. */
static uint32_t longest(const struct list *list, const uint8_t address[16])
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < list->len; i++) {
		bool family = is_ipv4(list->at[i].address) && list->at[i].bits >= 96;

		if (family == is_ipv4(address) && has_first_bits(address, &list->at[i]) &&
		    list->at[i].bits > bits)
			bits = list->at[i].bits;
	}
	return bits;
}

/* ---- what the program does ------------------------------------------------------------------ */

static bool is_in(const struct list *list, const struct denylist_key *key)
{
	for (uint32_t i = 0; i < list->len; i++)
		if (memcmp(&list->at[i], key, sizeof(*key)) == 0)
			return true;
	return false;
}

/* As protect.h goes through a row; counts the look-ups in @tries. */
static uint32_t find(const struct deny_row *rows, const struct list *list,
		     const uint8_t address[16], uint32_t *tries)
{
	struct deny_source source = deny_source_of(address);
	const struct deny_row *row = &rows[deny_row_of(&source)];

	for (uint32_t word = 0; word < 2; word++) {
		for (uint64_t lengths = row->lengths[word]; lengths; lengths &= lengths - 1) {
			uint64_t length = lengths & -lengths;
			struct deny_source cut = deny_cut(&source, word, length);
			struct denylist_key key;

			if (!deny_is_marked(row, deny_mark(&cut, length)))
				continue;
			*tries += 1;
			deny_key_of(&key, &cut, word, length);
			if (is_in(list, &key))
				return key.bits;
		}
	}
	return 0;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void cut_to(uint8_t address[16], uint32_t bits)
{
	for (uint32_t i = bits; i < 128; i++)
		address[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

/* Addresses of few networks, so that prefixes are in one another. */
static void make_address(struct random *random, uint8_t address[16])
{
	for (int i = 0; i < 16; i++)
		address[i] = random_below(random, 2) ? 0 : (uint8_t)random_below(random, 3);
	if (random_below(random, 2) == 0) {
		memset(address, 0, 12);
		address[10] = address[11] = 0xff;
	}
}

static void make_list(struct random *random, struct list *list, struct deny_row *rows)
{
	uint32_t wanted = 1 + random_below(random, PREFIXES_MAX);

	list->len = 0;
	for (uint32_t i = 0; i < wanted; i++) {
		struct denylist_key *key = &list->at[list->len];

		make_address(random, key->address);
		key->bits = is_ipv4(key->address) ? 96 + random_below(random, 33)
						  : 1 + random_below(random, 128);
		cut_to(key->address, key->bits);
		if (!is_ipv4(key->address) && key->bits < 8) /* half of all there is */
			continue;
		deny_rows_add(rows, key->address, key->bits);
		list->len++;
	}
}

static void finds_the_longest_prefix(void **state)
{
	struct random random;
	uint32_t found = 0, missed = 0;

	(void)state;
	random_init(&random, 4);
	for (int i = 0; i < LISTS; i++) {
		struct deny_row *rows = deny_rows_new();
		struct list list;

		make_list(&random, &list, rows);
		for (int n = 0; n < SOURCES; n++) {
			uint32_t tries = 0, expected, got;
			uint8_t address[16];

			make_address(&random, address);
			expected = longest(&list, address);
			got = find(rows, &list, address, &tries);
			if (got != expected)
				fail_msg("list %d, source %d: %u bits, expected %u", i, n, got,
					 expected);
			found += got != 0;
			missed += got == 0;
		}
		mem_free(rows);
	}
	/* The lists were such that both had their turn. */
	assert_true(found > 1000 && missed > 1000);
}

/* A hundred thousand single addresses: who is not among them is seldom looked up. */
static void seldom_looks_up_in_vain(void **state)
{
	struct deny_row *rows = deny_rows_new();
	const struct list none = { .len = 0 };
	uint8_t address[16] = { [10] = 0xff, [11] = 0xff };
	uint32_t tries = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t ipv4 = i * 40503u;

		memcpy(address + 12, &ipv4, 4);
		deny_rows_add(rows, address, 128);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		uint32_t ipv4 = i * 2654435761u + 1;

		memcpy(address + 12, &ipv4, 4);
		assert_int_equal(find(rows, &none, address, &tries), 0);
	}
	if (tries > 1000)
		fail_msg("%u look-ups for 10,000 sources that nobody denied", tries);
	mem_free(rows);
}

static void names_each_length(void **state)
{
	(void)state;
	for (uint32_t bits = 1; bits <= 128; bits++) {
		struct deny_source ones = { { ~0ull, ~0ull } }, cut;
		uint32_t word = bits > 64 ? 0 : 1;
		uint64_t length = 1ull << (128 - bits - 64 * word);
		struct denylist_key key, expected = { .bits = bits };

		memset(expected.address, 0xff, 16);
		cut_to(expected.address, bits);
		cut = deny_cut(&ones, word, length);
		deny_key_of(&key, &cut, word, length);
		assert_int_equal(key.bits, bits);
		assert_memory_equal(key.address, expected.address, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_longest_prefix),
		cmocka_unit_test(seldom_looks_up_in_vain),
		cmocka_unit_test(names_each_length),
	};

	return cmocka_run_group_tests_name("deny", tests, NULL, NULL);
}
