#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static void arena__memory_is_aligned_and_stays(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char *kept[500];
	for (size_t i = 0; i < 500; i++) {
		kept[i] = arena_alloc(&arena, i + 1);
		assert_int_equal((uintptr_t)kept[i] % _Alignof(max_align_t), 0);
		memset(kept[i], (int)(i % 251), i + 1);
	}
	for (size_t i = 0; i < 500; i++)
		for (size_t k = 0; k <= i; k++)
			assert_int_equal((unsigned char)kept[i][k], i % 251);
}

static void arena__large_objects_have_their_own_block(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char *small = arena_strdup(&arena, "small");
	char *large = arena_zalloc(&arena, 10 << 20);
	char *after = arena_strdup(&arena, "after");
	for (size_t i = 0; i < 10 << 20; i += 4096)
		assert_int_equal(large[i], 0);
	assert_string_equal(small, "small");
	assert_string_equal(after, "after");
}

/* The rest of a block must not be lost to an object that doesn't fit into it. */
static void arena__a_large_object_leaves_the_block_in_use(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char *before = arena_alloc(&arena, 16);
	memset(arena_alloc(&arena, 100000), 'x', 100000);
	char *after = arena_alloc(&arena, 16);
	assert_ptr_equal(after, before + 16);
	_cleanup_arena_ struct arena fresh = ARENA_INIT;
	memset(arena_alloc(&fresh, 100000), 'x', 100000);
	memset(arena_alloc(&fresh, 16), 'y', 16);
}

static void arena__strings_are_exact(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
	assert_string_equal(arena_printf(&arena, "%s-%d", "x", 7), "x-7");
}

static void arena__is_usable_after_deinit_and_never_gives_null(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	assert_non_null(arena_alloc(&arena, 0));
	arena_deinit(&arena);
	assert_string_equal(arena_strdup(&arena, "again"), "again");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena__memory_is_aligned_and_stays),
		cmocka_unit_test(arena__large_objects_have_their_own_block),
		cmocka_unit_test(arena__a_large_object_leaves_the_block_in_use),
		cmocka_unit_test(arena__strings_are_exact),
		cmocka_unit_test(arena__is_usable_after_deinit_and_never_gives_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
