#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"

enum { MANY = 1000 };

static char names[MANY][8];

static struct slice name(size_t i)
{
	snprintf(names[i], sizeof(names[i]), "k%zu", i);
	return slice_str(names[i]);
}

static void map__gives_back_what_was_put(void **state)
{
	(void)state;
	_cleanup_map_ struct map map = { 0 };
	assert_null(map_get(&map, slice_str("k0")));
	for (size_t i = 0; i < MANY; i++)
		assert_null(map_put(&map, name(i), &names[i]));
	assert_int_equal(map.n, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(map_get(&map, name(i)), &names[i]);
	assert_null(map_get(&map, slice_str("k1000")));
}

static void map__putting_again_returns_the_old_value(void **state)
{
	(void)state;
	_cleanup_map_ struct map map = { 0 };
	int a, b;
	map_put(&map, slice_str("x"), &a);
	assert_ptr_equal(map_put(&map, slice_str("x"), &b), &a);
	assert_ptr_equal(map_get(&map, slice_str("x")), &b);
	assert_int_equal(map.n, 1);
}

static void map__an_empty_key_is_a_key(void **state)
{
	(void)state;
	_cleanup_map_ struct map map = { 0 };
	int a;
	map_put(&map, slice_of(NULL, 0), &a);
	assert_ptr_equal(map_get(&map, slice_str("")), &a);
}

/* With open addressing a removed entry may not cut off those that were pushed past it. */
static void map__removing_keeps_runs_reachable(void **state)
{
	(void)state;
	_cleanup_map_ struct map map = { 0 };
	for (size_t i = 0; i < MANY; i++)
		map_put(&map, name(i), &names[i]);
	for (size_t i = 0; i < MANY; i += 3)
		assert_ptr_equal(map_remove(&map, name(i)), &names[i]);
	assert_null(map_remove(&map, name(0)));
	for (size_t i = 0; i < MANY; i++)
		assert_ptr_equal(map_get(&map, name(i)), i % 3 ? &names[i] : NULL);
}

/* Puts and removals in no order, held against a plain array after each step. */
static void map__stays_equal_to_a_reference(void **state)
{
	(void)state;
	enum { KEYS = 97, STEPS = 20000 };
	_cleanup_map_ struct map map = { 0 };
	void *reference[KEYS] = { 0 };
	size_t n = 0;
	srandom(1);
	for (size_t step = 0; step < STEPS; step++) {
		size_t i = (size_t)random() % KEYS;
		if (random() % 2) {
			void *value = &names[random() % MANY];
			n += !reference[i];
			assert_ptr_equal(map_put(&map, name(i), value), reference[i]);
			reference[i] = value;
		} else {
			n -= !!reference[i];
			assert_ptr_equal(map_remove(&map, name(i)), reference[i]);
			reference[i] = NULL;
		}
		assert_int_equal(map.n, n);
		size_t other = (size_t)random() % KEYS;
		assert_ptr_equal(map_get(&map, name(other)), reference[other]);
	}
}

static void map__a_walk_meets_every_entry_once(void **state)
{
	(void)state;
	_cleanup_map_ struct map map = { 0 };
	int seen[MANY] = { 0 };
	for (size_t i = 0; i < MANY; i++)
		map_put(&map, name(i), &seen[i]);
	size_t at = 0, n = 0;
	for (const struct map_entry *entry; (entry = map_next(&map, &at)); n++)
		++*(int *)entry->value;
	assert_int_equal(n, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(seen[i], 1);
}

static void map__hashes_are_the_same_in_every_version(void **state)
{
	assert_true(map_hash(slice_str("")) == 0x4f43b61ebe0f3fa7u);
	assert_true(map_hash(slice_str("stdio.h")) == 0x67ae148f29f29243u);
	assert_true(map_hash(slice_str("bits/types/struct_FILE.h")) == 0xbd3622f38203412u);
}

static void map__may_have_tells_by_the_end_of_a_hash(void **state)
{
	_cleanup_map_ struct map map = { 0 };
	assert_false(map_may_have(&map, 0));
	char texts[100][8];
	for (int i = 0; i < 100; i++) {
		snprintf(texts[i], sizeof(texts[i]), "n%d", i);
		if (i % 2)
			map_put(&map, slice_str(texts[i]), texts[i]);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(map_may_have(&map, (uint32_t)map_hash(slice_str(texts[i]))), i % 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map__gives_back_what_was_put),
		cmocka_unit_test(map__putting_again_returns_the_old_value),
		cmocka_unit_test(map__an_empty_key_is_a_key),
		cmocka_unit_test(map__removing_keeps_runs_reachable),
		cmocka_unit_test(map__stays_equal_to_a_reference),
		cmocka_unit_test(map__a_walk_meets_every_entry_once),
		cmocka_unit_test(map__hashes_are_the_same_in_every_version),
		cmocka_unit_test(map__may_have_tells_by_the_end_of_a_hash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
