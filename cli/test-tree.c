#include "cli/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"

static struct arena arena;
static const char *root, *fact, *remedy;

static int set_up(void **state)
{
	char template[] = "/tmp/test-tree.XXXXXX";
	root = arena_strdup(&arena, mkdtemp(template));
	return 0;
}

static int tear_down(void **state)
{
	int outcome = file_remove_tree(-1, root, NULL);
	arena_deinit(&arena);
	return outcome;
}

static bool names_compiler(const char *file, const char *text)
{
	assert_int_equal(file_replace(arena_printf(&arena, "%s/%s", root, file), slice_str(text), 0600, NULL), 0);
	enum tree tree = tree_examine(root, "/opt/bin/llamacc", &arena, &fact, &remedy);
	assert_int_not_equal(tree, TREE_UNKNOWN);
	return tree == TREE_NAMES_COMPILER;
}

static void tree__without_a_known_file_says_nothing(void **state)
{
	assert_int_equal(tree_examine(root, "/opt/bin/llamacc", &arena, &fact, &remedy), TREE_UNKNOWN);
}

static void tree__cmake_with_plain_compilers_is_told_how_to_launch(void **state)
{
	assert_true(names_compiler("CMakeCache.txt",
		"# comment\nCMAKE_CXX_COMPILER:FILEPATH=/usr/bin/c++\nCMAKE_CXX_COMPILER_AR:FILEPATH=/x\n"));
	assert_string_equal(fact, "CMakeCache.txt names /usr/bin/c++");
	assert_string_equal(remedy, arena_printf(&arena,
					    "cmake -DCMAKE_C_COMPILER_LAUNCHER=/opt/bin/llamacc "
					    "-DCMAKE_CXX_COMPILER_LAUNCHER=/opt/bin/llamacc %s",
					    root));
}

static void tree__cmake_with_our_launcher_is_fine(void **state)
{
	assert_false(names_compiler("CMakeCache.txt",
		"CMAKE_C_COMPILER:FILEPATH=/usr/bin/cc\nCMAKE_C_COMPILER_LAUNCHER:STRING=/opt/bin/llamacc\n"));
	assert_false(names_compiler("CMakeCache.txt", "CMAKE_C_COMPILER:FILEPATH=/opt/bin/llamacc\n"));
	assert_false(names_compiler("CMakeCache.txt", "CMAKE_C_COMPILER:STRING=gcc\n"));
}

static void tree__ninja_with_an_absolute_compiler_is_seen(void **state)
{
	assert_false(names_compiler("build.ninja", "rule c\n command = cc $ARGS\nrule l\n command = /usr/bin/ar x\n"));
	assert_true(names_compiler("build.ninja", "rule c\n command = /usr/bin/gcc-12 $ARGS\n"));
	assert_string_equal(fact, "build.ninja names /usr/bin/gcc-12");
	assert_int_equal(mkdir(arena_printf(&arena, "%s/meson-private", root), 0700), 0);
	assert_true(names_compiler("build.ninja", "rule c\n command = \"/usr/bin/gcc\" $ARGS\n"));
	assert_string_equal(remedy,
		arena_printf(&arena, "env CC='/opt/bin/llamacc' CXX='/opt/bin/llamac++' meson setup --wipe %s", root));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tree__without_a_known_file_says_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			tree__cmake_with_plain_compilers_is_told_how_to_launch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tree__cmake_with_our_launcher_is_fine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tree__ninja_with_an_absolute_compiler_is_seen, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
