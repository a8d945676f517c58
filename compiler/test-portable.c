#include "compiler/test-support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "compiler/portable.h"

static char directory[] = "/tmp/llama-test-portable-XXXXXX";

static int set_up(void **state)
{
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	return file_remove_tree(AT_FDCWD, directory, NULL);
}

static bool run(const char *command)
{
	int status = system(command);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What becomes of `text` compiled with `compiler`, its source named by its absolute path. PORTABLE_COUNT: this compiler doesn't. */
static enum portable compiled(const char *compiler, const char *text)
{
	_cleanup_buf_ struct buf command = { 0 }, object = { 0 };
	char path[64];
	snprintf(path, sizeof(path), "%s/x.c", directory);
	assert_int_equal(file_replace(path, slice_str(text), 0600, NULL), 0);
	buf_printf(&command, "cd %s && %s -c -o x.o %s 2>/dev/null", directory, compiler, path);
	if (!run(command.ptr))
		return PORTABLE_COUNT;
	snprintf(path, sizeof(path), "%s/x.o", directory);
	assert_int_equal(file_read(path, 1 << 20, &object, NULL), 0);
	return portable_examine(buf_slice(&object), directory);
}

static void portable__an_object_shows_whether_the_path_is_in_it(void **state)
{
	static const struct {
		const char *compiler, *text;
		enum portable expected; /* PORTABLE_COUNT: for one reason or another it isn't portable */
	} rows[] = {
		{ "gcc", "int x;", PORTABLE },
		{ "gcc -O2", "#include <stdio.h>\nint f(void) { return puts(\"hello\"); }", PORTABLE },
		{ "gcc -O2", "#include <assert.h>\nvoid f(int x) { assert(x); }", PORTABLE_CONTAINS_PATH },
		{ "gcc -O2 -DNDEBUG", "#include <assert.h>\nvoid f(int x) { assert(x); }", PORTABLE },
		{ "gcc -g", "int x;", PORTABLE_CONTAINS_PATH },
		{ "gcc -g -gz", "int x;", PORTABLE_COUNT },
		{ "gcc -g -gz", "static const char a[] = __FILE__; const char *f(void) { return a; }", PORTABLE_CONTAINS_PATH },
		{ "gcc -flto", "int x;", PORTABLE_COUNT },
		{ "gcc -flto -ffat-lto-objects", "int x;", PORTABLE_COUNT },
		{ "gcc -frecord-gcc-switches -DA=1", "int x;", PORTABLE },
		{ "gcc --coverage", "int f(void) { return 1; }", PORTABLE_CONTAINS_PATH },
		{ "gcc", "#define W(x) L##x\n#define V(x) W(x)\nconst __WCHAR_TYPE__ *f(void) { return V(__FILE__); }", PORTABLE_CONTAINS_PATH },
		{ "gcc", "#define W(x) u##x\n#define V(x) W(x)\nconst __CHAR16_TYPE__ *f(void) { return V(__FILE__); }", PORTABLE_CONTAINS_PATH },
		{ "gcc -O2", "void g(char *); void f(void) { char a[] = __FILE__; g(a); }", PORTABLE_CONTAINS_PATH },
		{ "gcc -Os", "void f(char *a) { __builtin_strcpy(a, __FILE__); }", PORTABLE_CONTAINS_PATH },
		{ "gcc -m32", "int x;", PORTABLE },
		{ "gcc -m32 -g", "int x;", PORTABLE_CONTAINS_PATH },
		{ "clang", "int x;", PORTABLE },
		{ "clang -g", "int x;", PORTABLE_CONTAINS_PATH },
		{ "clang -g -gz", "int x;", PORTABLE_COUNT },
		{ "clang -flto", "int x;", PORTABLE_COUNT },
		{ "clang -fembed-bitcode", "int x;", PORTABLE_COUNT },
		{ "clang -fprofile-instr-generate -fcoverage-mapping", "int f(void) { return 1; }", PORTABLE_COUNT },
		{ "clang -O2", "void g(char *); void f(void) { char a[] = __FILE__; g(a); }", PORTABLE_CONTAINS_PATH },
		{ "clang --target=s390x-linux-gnu", "int x;", PORTABLE },
		{ "clang --target=s390x-linux-gnu -g -gz", "int x;", PORTABLE_COUNT },
		{ "clang --target=x86_64-windows-gnu", "int x;", PORTABLE_OPAQUE },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		enum portable why = compiled(rows[i].compiler, rows[i].text);
		bool same = rows[i].expected == PORTABLE_COUNT ? why != PORTABLE : why == rows[i].expected;
		if (why != PORTABLE_COUNT && !same)
			fail_msg("%s: %s: '%s', not '%s'", rows[i].compiler, rows[i].text, portable_name(why),
				rows[i].expected == PORTABLE_COUNT ? "any other" : portable_name(rows[i].expected));
	}
}

static void portable__texts_are_searched_and_other_bytes_cannot_be(void **state)
{
	assert_int_equal(portable_examine(slice_str(""), "/base"), PORTABLE);
	assert_int_equal(portable_examine(slice_str("x.c:1:f 16 static\n"), "/base"), PORTABLE);
	assert_int_equal(portable_examine(slice_str("/base/x.c:1:f 16 static\n"), "/base"), PORTABLE_CONTAINS_PATH);
	assert_int_equal(portable_examine(slice_of("oncg\0\0\0", 7), "/base"), PORTABLE_OPAQUE);
	assert_int_equal(portable_examine(slice_of("\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\0\0", 18), "/base"), PORTABLE_OPAQUE);
}

static void portable__options_that_hide_the_path_are_refused(void **state)
{
	static const char *const refused[] = { "-flto=auto", "-S", "-save-temps=obj", "--coverage", "-fprofile-arcs", "-funique-internal-linkage-names",
		"-gsplit-dwarf", "-frandom-seed=/base/dir/x.o", "-ffile-prefix-map=/base=.", "-fdebug-prefix-map=/bas=x", "-fmacro-prefix-map==x",
		"-Wa,--debug-prefix-map=/base=x", "-Wa,--debug-prefix-map,/base/=x", "-fexec-charset=UTF-16" };
	static const char *const taken[] = { "-O2", "-g", "-fno-lto", "-frandom-seed=x.o", "-ffile-prefix-map=/base/dir=.", "-ffile-prefix-map=/base/dir/sub=.",
		"-ffile-prefix-map=/other=.", "-I/base/dir/include", "-fsanitize=address", "-std=c11" };
	const char *argv[] = { "gcc", "-c", NULL, "/base/dir/x.c" };
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		argv[2] = refused[i];
		if (!portable_refused_option(argv, 4, "/base/dir"))
			fail_msg("%s is not refused", refused[i]);
	}
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		argv[2] = taken[i];
		if (portable_refused_option(argv, 4, "/base/dir"))
			fail_msg("%s is refused", taken[i]);
	}
}

static void portable__a_path_has_many_spellings(void **state)
{
	assert_true(portable_names("/base/dir", "/base/dir"));
	assert_true(portable_names("-I/base//dir/./x", "/base/dir"));
	assert_true(portable_names("-I//base/././dir/x", "/base/dir"));
	assert_false(portable_names("-I/base", "/base/dir"));
	assert_false(portable_names("sys/types.h", "/base/dir"));
	assert_true(portable_is_plain("/home/me/x-1.0_2+b@c"));
	assert_false(portable_is_plain("/home/me/a b"));
	assert_false(portable_is_plain("/home/me/a\\b"));
	assert_false(portable_is_plain("/home/me/a$b"));
	assert_false(portable_is_plain("/home/j\303\274rgen"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(portable__an_object_shows_whether_the_path_is_in_it),
		cmocka_unit_test(portable__texts_are_searched_and_other_bytes_cannot_be),
		cmocka_unit_test(portable__options_that_hide_the_path_are_refused),
		cmocka_unit_test(portable__a_path_has_many_spellings),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
