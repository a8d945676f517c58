#include "cli/parallel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"

/* The command after `parallel_add`, its words joined by spaces. */
static enum parallel add(const char *line, const char *makeflags, struct buf *ret)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	char *words = arena_strdup(&arena, line), *argv[16], *save;
	size_t n = 0;
	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	char *const *changed;
	enum parallel parallel = parallel_add(argv, makeflags, NULL, 7, &arena, &changed);
	for (size_t i = 0; changed[i]; i++)
		buf_printf(ret, "%s%s", i ? " " : "", changed[i]);
	return parallel;
}

static void assert_added(const char *line, const char *expected)
{
	_cleanup_buf_ struct buf text = { 0 };
	assert_int_equal(add(line, NULL, &text), PARALLEL_ADDED);
	assert_string_equal(text.ptr, expected);
}

static void assert_given(const char *line, const char *makeflags)
{
	_cleanup_buf_ struct buf text = { 0 };
	if (add(line, makeflags, &text) != PARALLEL_GIVEN)
		fail_msg("%s (MAKEFLAGS=%s): %s", line, makeflags ? makeflags : "", text.ptr);
	assert_string_equal(text.ptr, line);
}

static void parallel__known_tools_get_the_option_where_they_take_it(void **state)
{
	assert_added("make", "make -j7");
	assert_added("/usr/bin/gmake -k all", "/usr/bin/gmake -j7 -k all");
	assert_added("ninja -C out", "ninja -j7 -C out");
	assert_added("samu all", "samu -j7 all");
	assert_added("cmake --build out --target x", "cmake --build out --target x -j7");
	assert_added("cmake --build out -- -k", "cmake --build out -j7 -- -k");
	assert_added("meson compile -C out", "meson compile -j7 -C out");
}

static void parallel__a_given_option_is_left_alone(void **state)
{
	assert_given("make -j2", NULL);
	assert_given("make -j", NULL);
	assert_given("make -kj 2", NULL);
	assert_given("make all --jobs=3", NULL);
	assert_given("ninja -C out -j1", NULL);
	assert_given("cmake --build out --parallel 4", NULL);
	assert_given("cmake --build out -j4", NULL);
	assert_given("cmake --build out -- -j4", NULL);
	assert_given("meson compile -C out --jobs 3", NULL);
}

static void parallel__what_only_looks_like_the_option_is_none(void **state)
{
	assert_added("make -C j", "make -j7 -C j");
	assert_added("make -Cjobs -f j.mk", "make -j7 -Cjobs -f j.mk");
	assert_added("make -f -j2", "make -j7 -f -j2");
	assert_added("make -Oj", "make -j7 -Oj");
	assert_added("make -- -j", "make -j7 -- -j");
	assert_added("make --just-print", "make -j7 --just-print");
	assert_added("ninja -f j", "ninja -j7 -f j");
}

static void parallel__makeflags_decide_too(void **state)
{
	assert_given("make", "j8");
	assert_given("make", "kj8");
	assert_given("make", "k -j8");
	assert_given("make", " -j4 --jobserver-auth=3,4");
	assert_given("make", "--jobserver-auth=fifo:/tmp/x");
	assert_given("cmake --build out", "-j4");
	_cleanup_buf_ struct buf text = { 0 };
	assert_int_equal(add("make", "k --no-print-directory -- CFLAGS=-j", &text), PARALLEL_ADDED);
	assert_int_equal(add("make", "", &text), PARALLEL_ADDED);
	assert_int_equal(add("make", "CC=-j", &text), PARALLEL_ADDED);
	assert_int_equal(add("make", "w -- j=1", &text), PARALLEL_ADDED);
}

static void parallel__other_commands_stay_as_they_are(void **state)
{
	_cleanup_buf_ struct buf text = { 0 };
	assert_int_equal(add("./build.sh make", NULL, &text), PARALLEL_UNKNOWN);
	assert_string_equal(text.ptr, "./build.sh make");
	buf_reset(&text);
	assert_int_equal(add("cmake -S . -B out", NULL, &text), PARALLEL_UNKNOWN);
	buf_reset(&text);
	assert_int_equal(add("meson setup out", NULL, &text), PARALLEL_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parallel__known_tools_get_the_option_where_they_take_it),
		cmocka_unit_test(parallel__a_given_option_is_left_alone),
		cmocka_unit_test(parallel__what_only_looks_like_the_option_is_none),
		cmocka_unit_test(parallel__makeflags_decide_too),
		cmocka_unit_test(parallel__other_commands_stay_as_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
