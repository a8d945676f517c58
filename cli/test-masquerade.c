#include "cli/masquerade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static struct arena arena;
static const char *root, *llamacc, *first, *second, *state_dir;

static void make_program(const char *directory, const char *name, const char *text)
{
	assert_int_equal(file_replace(arena_printf(&arena, "%s/%s", directory, name), slice_str(text), 0755, NULL), 0);
}

static const char *make_directory(const char *name)
{
	const char *path = arena_printf(&arena, "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
	return path;
}

static int set_up(void **state)
{
	char template[] = "/tmp/test-masquerade.XXXXXX";
	root = arena_strdup(&arena, mkdtemp(template));
	first = make_directory("first");
	second = make_directory("second");
	state_dir = make_directory("state");
	make_program(root, "llamacc", "the client");
	llamacc = arena_printf(&arena, "%s/llamacc", root);
	return 0;
}

static int tear_down(void **state)
{
	int outcome = file_remove_tree(-1, root, NULL);
	arena_deinit(&arena);
	return outcome;
}

static const char *make(const char *path)
{
	const char *directory;
	struct error err;
	if (masquerade_make(state_dir, llamacc, path, &arena, &directory, &err) < 0)
		fail_msg("%s", err.text);
	return directory;
}

static bool has(const char *directory, const char *name)
{
	return access(arena_printf(&arena, "%s/%s", directory, name), F_OK) == 0;
}

static void masquerade__has_exactly_the_compilers_of_the_path(void **state)
{
	make_program(first, "gcc", "a");
	make_program(first, "gcc-ar", "not a compiler");
	make_program(first, "clang-format-14", "not a compiler");
	make_program(second, "gcc", "b");
	make_program(second, "x86_64-linux-gnu-g++-12", "c");
	assert_int_equal(symlink(llamacc, arena_printf(&arena, "%s/clang", second)), 0);      /* only we are there */
	assert_int_equal(symlink("/nonexistent", arena_printf(&arena, "%s/c++", second)), 0); /* dangling */
	const char *directory = make(arena_printf(&arena, "%s:relative:/nowhere:%s", first, second));
	assert_true(has(directory, "gcc"));
	assert_true(has(directory, "x86_64-linux-gnu-g++-12"));
	assert_false(has(directory, "clang"));
	assert_false(has(directory, "c++"));
	assert_false(has(directory, "gcc-ar"));
	assert_true(has(directory, "llamacc"));
	assert_true(has(directory, "llamac++"));
	assert_false(has(directory, "clang-format-14"));
	assert_string_equal(masquerade_real(llamacc, arena_printf(&arena, "%s:%s", first, second), "gcc", &arena),
		arena_printf(&arena, "%s/gcc", first));
}

static void masquerade__the_same_names_give_the_same_directory(void **state)
{
	make_program(first, "cc", "a");
	make_program(second, "cc", "b");
	const char *directory = make(first);
	assert_string_equal(directory, make(second));
	/* with the masquerade itself before them, too */
	assert_string_equal(directory, make(arena_printf(&arena, "%s:%s", directory, first)));
	make_program(first, "c++", "a");
	assert_string_not_equal(directory, make(first));
}

static void masquerade__a_lost_link_is_made_again(void **state)
{
	make_program(first, "cc", "a");
	const char *directory = make(first);
	assert_int_equal(unlink(arena_printf(&arena, "%s/cc", directory)), 0);
	assert_string_equal(directory, make(first));
	assert_true(has(directory, "cc"));
}

static void masquerade__a_place_that_is_none_is_an_error(void **state)
{
	const char *directory;
	struct error err;
	assert_int_equal(masquerade_make(llamacc, llamacc, first, &arena, &directory, &err), -1);
	assert_non_null(strstr(err.text, llamacc));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(masquerade__has_exactly_the_compilers_of_the_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(masquerade__the_same_names_give_the_same_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(masquerade__a_lost_link_is_made_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(masquerade__a_place_that_is_none_is_an_error, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
