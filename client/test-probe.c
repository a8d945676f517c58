#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/probe.h"

#define likely(cwd, ...) probe_is_likely(cwd, (const char *[]){ "/usr/bin/cc", __VA_ARGS__, NULL })

static void probe__configure_cmake_and_meson_are_recognised(void **state)
{
	assert_true(likely("/b", "-c", "-g", "conftest.c"));
	assert_true(likely("/b", "-o", "conftest", "conftest.cpp", "-lm"));
	assert_true(likely("/b/CMakeFiles/CMakeTmp", "-o", "x.o", "-c", "/b/testCCompiler.c"));
	assert_true(likely("/b", "-o", "x.o", "-c", "/b/CMakeFiles/CMakeScratch/TryCompile-a1/src.c"));
	assert_true(likely("/b", "-c", "/b/CMakeFiles/3.25.1/CompilerIdC/CMakeCCompilerId.c"));
	assert_true(likely("/b", "cmTC_1234.dir/x.o", "-o", "cmTC_1234"));
	assert_true(likely("/b", "/b/meson-private/sanitycheckc.c", "-o", "x.exe"));
	assert_true(likely("/b", "/b/meson-private/tmpx1/testfile.c", "-c"));
}

static void probe__a_command_without_a_file_is_one(void **state)
{
	assert_true(likely("/b", "--version"));
	assert_true(likely("/b", "-E", "-dM", "-x", "c", "/dev/null"));
	assert_true(likely("/b", "-E", "-x", "c++", "-"));
	assert_true(likely("/b", "-print-prog-name=ld", "-o", "x"));
}

static void probe__ordinary_compilations_are_none(void **state)
{
	assert_false(likely("/b", "-c", "x.c", "-o", "x.o"));
	assert_false(likely("/b", "-c", "testfile.c"));
	assert_false(likely("/b", "-x", "c", "-c", "x"));
	assert_false(likely("/b", "a.o", "b.o", "-o", "prog"));
	assert_false(likely("/b/CMakeFiles", "-c", "my-conftest.c"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probe__configure_cmake_and_meson_are_recognised),
		cmocka_unit_test(probe__a_command_without_a_file_is_one),
		cmocka_unit_test(probe__ordinary_compilations_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
