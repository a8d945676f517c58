#include "compiler/test-support.h"

#include "compiler/probe.h"

static bool probe(const char *command, const char *cwd)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct strlist list = words(command, &arena);
	return probe_command(list.items, list.n, cwd);
}

static void probe__is_known_by_names_and_directory(void **state)
{
	assert_true(probe("gcc -c conftest.c", "/p"));
	assert_true(probe("gcc -E conftest.cpp", "/p"));
	assert_true(probe("gcc -o conftest conftest.o", "/p"));
	assert_true(probe("gcc -c conftest1.c", "/p"));
	assert_true(probe("gcc -c sub/conftest_x.c", "/p"));
	assert_true(probe("gcc -c CMakeCCompilerId.c", "/p"));
	assert_true(probe("gcc -c /usr/share/cmake-3.25/Modules/CMakeCXXCompilerABI.cpp", "/p"));
	assert_true(probe("gcc x.c -o cmTC_12ab3", "/p"));
	assert_true(probe("gcc -c CheckFunctionExists.c", "/p/CMakeFiles/CMakeTmp"));
	assert_true(probe("gcc -c src.c", "/p/CMakeFiles/CMakeScratch/TryCompile-x"));
	assert_true(probe("gcc -c /p/CMakeFiles/CMakeTmp/src.c", "/p"));
	assert_true(probe("gcc -c x.c", "/p/CMakeFiles/3.25.1/CompilerIdC"));
	assert_true(probe("gcc -c y.c -o CMakeFiles/cmTC_1ab.dir/y.c.o", "/p"));
	assert_true(probe("gcc -c sanitycheckc.c", "/p/meson-private"));
	assert_true(probe("gcc /p/meson-private/tmpabc/testfile.c -o /p/meson-private/tmpabc/output.obj", "/p"));

	assert_false(probe("gcc -c conftests.c", "/p"));
	assert_false(probe("gcc -c a.c -o CMakeFiles/x.dir/a.o", "/p"));
	assert_false(probe("gcc -c CheckFunctionExists.c", "/p"));
	assert_false(probe("gcc -c a.c", "/p/meson-private"));
	assert_false(probe("gcc -c testfile.c", NULL));
	assert_false(probe("gcc -DX=conftest.c -c a.c", "/p"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(probe__is_known_by_names_and_directory) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
