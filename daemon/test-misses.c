#include "daemon/misses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void misses__the_last_of_a_key_is_told(void **state)
{
	struct misses *misses = misses_new();
	struct digest a = { .size_bytes = 1 }, b = { .size_bytes = 2 };
	struct cache_why why;
	int64_t when_s;
	assert_false(misses_get(misses, &a, &why, &when_s));
	misses_put(misses, &a, &(struct cache_why){ .what = CACHE_WHY_NO_KEY });
	misses_put(misses, &a, &(struct cache_why){ .what = CACHE_WHY_INPUT, .path = "/x.h" });
	misses_put(misses, &b, &(struct cache_why){ .what = CACHE_WHY_BLOB });
	assert_true(misses_get(misses, &a, &why, &when_s));
	assert_int_equal(why.what, CACHE_WHY_INPUT);
	assert_string_equal(why.path, "/x.h");
	assert_true(when_s > 0);
	misses_free(misses);
}

static void misses__the_oldest_are_forgotten(void **state)
{
	struct misses *misses = misses_new();
	struct digest first = { .size_bytes = 1 }, other = { .size_bytes = 2 };
	struct cache_why why;
	int64_t when_s;
	misses_put(misses, &first, &(struct cache_why){ .what = CACHE_WHY_INPUT, .path = "/x.h" });
	for (int i = 0; i < 20000; i++)
		misses_put(misses, &other, &(struct cache_why){ .what = CACHE_WHY_INPUT, .path = "/y.h" });
	assert_false(misses_get(misses, &first, &why, &when_s));
	assert_true(misses_get(misses, &other, &why, &when_s));
	misses_free(misses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(misses__the_last_of_a_key_is_told),
		cmocka_unit_test(misses__the_oldest_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
