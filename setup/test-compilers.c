#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/path.h"
#include "setup/compilers.h"

struct tree {
	char directory[32];
	struct arena arena;
};

static int set_up(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	strcpy(tree->directory, "/tmp/llama-test-XXXXXX");
	if (!mkdtemp(tree->directory))
		return -1;
	*state = tree;
	return 0;
}

static int tear_down(void **state)
{
	struct tree *tree = *state;
	file_remove_tree(AT_FDCWD, tree->directory, NULL);
	arena_deinit(&tree->arena);
	free(tree);
	return 0;
}

static const char *at(struct tree *tree, const char *name)
{
	return arena_printf(&tree->arena, "%s/%s", tree->directory, name);
}

static void write_file(struct tree *tree, const char *name, const char *text, mode_t mode)
{
	struct error err;
	assert_int_equal(file_make_dirs(path_dirname(&tree->arena, at(tree, name)), 0755, &err), 0);
	assert_int_equal(file_replace(at(tree, name), slice_str(text), mode, &err), 0);
}

static void program(struct tree *tree, const char *name)
{
	write_file(tree, name, "\177ELF", 0755);
}

static void link_to(struct tree *tree, const char *target, const char *name)
{
	assert_int_equal(symlink(target, at(tree, name)), 0);
}

static const char *names(struct tree *tree, const char *path)
{
	size_t n;
	const struct compiler_found *found = compilers_find(path, &tree->arena, &n);
	const char *ret = "";
	for (size_t i = 0; i < n; i++)
		ret = arena_printf(
			&tree->arena, "%s%s%s%s", ret, *ret ? " " : "", found[i].name, found[i].is_cxx ? "(c++)" : "");
	return ret;
}

static void compilers__each_once_by_what_it_is(void **state)
{
	struct tree *tree = *state;
	program(tree, "bin/x86_64-linux-gnu-gcc-12");
	program(tree, "bin/x86_64-linux-gnu-g++-12");
	program(tree, "lib/clang");
	program(tree, "bin/gcc-11");
	link_to(tree, "x86_64-linux-gnu-gcc-12", "bin/gcc-12");
	link_to(tree, "gcc-12", "bin/gcc");
	link_to(tree, "gcc", "bin/cc");
	link_to(tree, "x86_64-linux-gnu-g++-12", "bin/g++");
	link_to(tree, "g++", "bin/c++");
	link_to(tree, "../lib/clang", "bin/clang");
	link_to(tree, "../lib/clang", "bin/clang++");
	link_to(tree, "../lib/clang", "bin/clang-14");
	program(tree, "bin/gcc-ar");
	program(tree, "bin/ld");
	link_to(tree, "bin", "usr");
	assert_string_equal(
		names(tree, arena_printf(&tree->arena, "%s/bin:%s/usr::relative", tree->directory, tree->directory)),
		"g++(c++) gcc clang gcc-11 clang++(c++)");
}

static void compilers__no_wrappers_and_nothing_that_cannot_be_run(void **state)
{
	struct tree *tree = *state;
	program(tree, "bin/ccache");
	program(tree, "bin/llamacc");
	write_file(tree, "bin/gcc", "\177ELF", 0644);
	write_file(tree, "bin/c89-gcc", "#!/bin/sh\n", 0755);
	link_to(tree, "ccache", "bin/clang");
	link_to(tree, "llamacc", "bin/cc");
	link_to(tree, "nowhere", "bin/g++");
	assert_string_equal(names(tree, at(tree, "bin")), "");
	assert_string_equal(names(tree, at(tree, "absent")), "");
	assert_string_equal(names(tree, ""), "");
	assert_string_equal(names(tree, NULL), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(compilers__each_once_by_what_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			compilers__no_wrappers_and_nothing_that_cannot_be_run, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
