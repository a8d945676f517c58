#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/path.h"

static void path__basename_and_dirname_split_at_the_last_slash(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	static const struct {
		const char *path, *dirname, *basename;
	} cases[] = {
		{ "/a/b.c", "/a", "b.c" },
		{ "b.c", ".", "b.c" },
		{ "/x", "/", "x" },
		{ "a//b", "a", "b" },
		{ "a/", "a", "" },
		{ "//x", "/", "x" },
		{ "", ".", "" },
		{ "/", "/", "" },
		{ "//", "/", "" },
		{ "a/../b", "a/..", "b" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(path_dirname(&arena, cases[i].path), cases[i].dirname);
		assert_string_equal(path_basename(cases[i].path), cases[i].basename);
	}
}

static void path__absolute_puts_the_directory_before_relative_ones(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	assert_string_equal(path_absolute(&arena, "/d", "x"), "/d/x");
	assert_string_equal(path_absolute(&arena, "/", "x"), "/x");
	assert_string_equal(path_absolute(&arena, "/d/", "../x"), "/d/../x");
	const char *absolute = "/x";
	assert_ptr_equal(path_absolute(&arena, "/d", absolute), absolute);
}

static void path__squeezing_keeps_dotdot(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	static const struct {
		const char *path, *squeezed;
	} cases[] = {
		{ "/", "/" },
		{ "//", "/" },
		{ "/./", "/" },
		{ "/a//b/./c/", "/a/b/c" },
		{ "/a/../b", "/a/../b" },
		{ "/a/.b/..c", "/a/.b/..c" },
		{ "/a/.", "/a" },
		{ "///a", "/a" },
		{ "/..", "/.." },
		{ "/a/..", "/a/.." },
		{ "/a/./././b//", "/a/b" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(path_squeeze(&arena, cases[i].path), cases[i].squeezed);
}

static void path__below_means_whole_components(void **state)
{
	(void)state;
	assert_true(path_is_below("/a/b", "/a"));
	assert_true(path_is_below("/a", "/a"));
	assert_true(path_is_below("/a", "/"));
	assert_true(path_is_below("/", "/"));
	assert_false(path_is_below("/a", "/a/b"));
	assert_false(path_is_below("/ab", "/a"));
	assert_false(path_is_below("/", "/a"));
}

static void path__dotdot_is_found_only_as_a_component(void **state)
{
	(void)state;
	assert_true(path_has_dotdot("a/../b"));
	assert_true(path_has_dotdot(".."));
	assert_true(path_has_dotdot("/a/.."));
	assert_false(path_has_dotdot(""));
	assert_false(path_has_dotdot("/a/..b/c../..."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path__basename_and_dirname_split_at_the_last_slash),
		cmocka_unit_test(path__absolute_puts_the_directory_before_relative_ones),
		cmocka_unit_test(path__squeezing_keeps_dotdot),
		cmocka_unit_test(path__below_means_whole_components),
		cmocka_unit_test(path__dotdot_is_found_only_as_a_component),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
