// SPDX-License-Identifier: Apache-2.0
/* What grows: the heap's door, arenas, vectors, buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/vec.h"

static bool is_zero(const void *at, size_t len)
{
	const unsigned char *bytes = at;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

static void test_failing_allocations(void **state)
{
	void *at;

	(void)state;
	mem_fail_at(2);
	at = mem_try_new(1, 8);
	assert_non_null(at);
	assert_null(mem_try_resize(at, 2, 8));
	at = mem_try_resize(at, 2, 8); /* only the second one failed */
	assert_non_null(at);
	mem_fail_at(0);
	assert_null(mem_try_resize(NULL, SIZE_MAX, 16));
	mem_free(at);
	mem_free(NULL);
	at = mem_new(0, 0);
	assert_non_null(at);
	mem_free(at);
}

static void test_arena_alignment_and_zero(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 128);
	for (size_t size = 0; size < 300; size += 7) {
		char *at = arena_new(&arena, 1, size);

		assert_non_null(at);
		assert_int_equal((uintptr_t)at % 16, 0);
		assert_true(is_zero(at, size));
		memset(at, 0xee, size);
	}
	arena_release(&arena);
	/* It may be used again. */
	assert_true(is_zero(arena_new(&arena, 10, 10), 100));
	arena_release(&arena);
}

static void test_arena_keeps_apart(void **state)
{
	enum { COUNT = 1000 };
	static unsigned char *at[COUNT];
	struct arena arena;

	(void)state;
	arena_init(&arena, 256);
	for (int i = 0; i < COUNT; i++) {
		at[i] = arena_new(&arena, 1, (size_t)(i % 90) + 1);
		memset(at[i], i & 0xff, (size_t)(i % 90) + 1);
	}
	for (int i = 0; i < COUNT; i++) {
		for (int j = 0; j <= i % 90; j++)
			assert_int_equal(at[i][j], i & 0xff);
	}
	arena_release(&arena);
}

static void test_arena_reset(void **state)
{
	struct arena arena;
	char *first;

	(void)state;
	arena_init(&arena, 256);
	arena_reset(&arena);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 50; i++) {
			char *at = arena_new(&arena, 1, 40);

			assert_true(is_zero(at, 40));
			memset(at, 0xee, 40);
		}
		arena_reset(&arena);
		assert_int_equal(arena.total_bytes, 0);
	}
	/* One chunk was kept: the next bytes come from there. */
	first = arena_new(&arena, 1, 16);
	arena_reset(&arena);
	assert_ptr_equal(arena_new(&arena, 1, 16), first);
	arena_release(&arena);
}

static void test_arena_text(void **state)
{
	struct arena arena;
	struct str text;

	(void)state;
	arena_init(&arena, 0);
	text = arena_copy(&arena, STR("a\0b"));
	assert_true(str_eq(text, STR("a\0b")));
	assert_int_equal(text.at[text.len], 0);
	text = arena_copy(&arena, str_of(NULL, 0));
	assert_non_null(text.at);
	assert_int_equal(text.len, 0);
	text = arena_printf(&arena, "%s-%d", "x", 7);
	assert_string_equal(text.at, "x-7");
	assert_int_equal(text.len, 3);
	arena_release(&arena);
}

struct thing {
	int number;
	char rest[20];
};

static void test_vec(void **state)
{
	struct VEC(struct thing) things = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct thing *thing = vec_push(&things);

		assert_true(is_zero(thing, sizeof(*thing)));
		thing->number = i;
	}
	assert_int_equal(things.len, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(things.at[i].number, i);
	/* Room that was used before is zeroed again. */
	things.len = 10;
	assert_int_equal(vec_push(&things)->number, 0);
	vec_release(&things);
	assert_null(things.at);
	assert_int_equal(things.len + things.cap, 0);
}

static void test_buf(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 0);
	assert_true(str_eq_c(buf_str(&buf), ""));
	buf_add_c(&buf, "a");
	buf_add(&buf, STR("\0b"));
	buf_add_char(&buf, 'c');
	buf_printf(&buf, "%05d", 42);
	buf_add(&buf, str_of(NULL, 0));
	assert_true(str_eq(buf_str(&buf), STR("a\0bc00042")));
	for (int i = 0; i < 10000; i++)
		buf_printf(&buf, "%s", "0123456789");
	assert_int_equal(buf.len, 9 + 100000);
	assert_false(buf.is_cut);
	buf_reset(&buf);
	assert_int_equal(buf.len, 0);
	buf_add_c(&buf, "x");
	assert_true(str_eq_c(buf_str(&buf), "x"));
	buf_release(&buf);
}

static void test_buf_maximum(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 16);
	buf_add_c(&buf, "0123456789");
	assert_false(buf.is_cut);
	buf_add_c(&buf, "0123456789");
	assert_true(buf.is_cut);
	/* Nothing is added any more, also where it would fit. */
	buf_add_char(&buf, 'x');
	buf_printf(&buf, "y");
	assert_true(str_eq_c(buf_str(&buf), "0123456789"));
	buf_reset(&buf);
	assert_false(buf.is_cut);
	buf_printf(&buf, "%s", "01234567890123456789");
	assert_true(buf.is_cut);
	assert_int_equal(buf.len, 0);
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failing_allocations),
		cmocka_unit_test(test_arena_alignment_and_zero),
		cmocka_unit_test(test_arena_keeps_apart),
		cmocka_unit_test(test_arena_reset),
		cmocka_unit_test(test_arena_text),
		cmocka_unit_test(test_vec),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_buf_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
