#include "compiler/test-support.h"

#include "compiler/native.h"

static const char gcc_answer[] =
	"Using built-in specs.\n"
	"COLLECT_GCC=gcc\n"
	" /usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet -D \"X=a b\\\"c\" a.c \"-march=skylake\" -mavx -mno-sgx --param "
	"\"l1-cache-size=48\" \"-mtune=skylake\" -quiet -dumpbase a.c -mno-avx -o /tmp/x.s\n"
	" as --64 -o a.o /tmp/x.s\n";
static const char clang_answer[] = "clang version 14\n"
				   " \"/usr/lib/llvm-14/bin/clang\" \"-cc1\" \"-triple\" \"x86_64\" \"-target-cpu\" "
				   "\"skylake\" \"-target-feature\" \"+avx\" "
				   "\"-target-feature\" \"-sgx\" \"-tune-cpu\" \"skylake-avx512\" \"-o\" \"a.o\"\n";

static void check(const char *command_line, const char *answer, const char *want_argv, const char *want_key)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf argv = { 0 }, key = { 0 };
	struct strlist list = words(command_line, &arena);
	struct command command;
	struct reason reason;
	struct error err;
	assert_int_equal(parse_words(&list, &arena, &command, &reason), 0);
	assert_true(command.wants_native);
	const char **query = native_query(&command, &arena);
	assert_string_equal(query[1], "-###");
	assert_int_equal(native_apply(&command, slice_str(answer), &arena, &err), 0);
	append_all(&argv, command.argv, command.argc);
	append_all(&key, command.key_args, command.n_key_args);
	assert_string_equal(buf_str(&argv), want_argv);
	assert_string_equal(buf_str(&key), want_key);
	assert_string_equal(command.scan_argv[command.scan_argv[1][0] ? 1 : 0], command.argv[1]);
	assert_false(command.wants_native);
}

static void native__becomes_explicit_flags(void **state)
{
	check("gcc -O2 -mno-avx -march=native -c a.c -o b.o", gcc_answer,
		"gcc -march=skylake -mavx -mno-sgx --param l1-cache-size=48 -mtune=skylake -mno-avx -O2 -mno-avx -c "
		"a.c -o b.o",
		"gcc -march=skylake -mavx -mno-sgx --param l1-cache-size=48 -mtune=skylake -mno-avx -O2 -mno-avx -c "
		"a.c");
	check("clang -O2 -march=native -mtune=native -c a.c -o b.o", clang_answer,
		"clang -Xclang -target-feature -Xclang +avx -Xclang -target-feature -Xclang -sgx -O2 -march=skylake "
		"-mtune=skylake-avx512 -c a.c -o b.o",
		"clang -Xclang -target-feature -Xclang +avx -Xclang -target-feature -Xclang -sgx -O2 -march=skylake "
		"-mtune=skylake-avx512 -c a.c");
}

static void native__answer_that_is_not_understood_is_an_error(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct strlist list = words("gcc -march=native -c a.c", &arena);
	struct command command;
	struct reason reason;
	struct error err;
	assert_int_equal(parse_words(&list, &arena, &command, &reason), 0);
	assert_int_equal(native_apply(&command, slice_str(""), &arena, &err), -1);
	assert_int_equal(native_apply(&command, slice_str("gcc: error: no\n"), &arena, &err), -1);
	assert_int_equal(native_apply(&command, slice_str(" /x/cc1 a.c\n"), &arena, &err), -1);
	assert_int_equal(native_apply(&command, slice_str(" /x/cc1 -march=native a.c\n"), &arena, &err), -1);
	assert_true(command.wants_native);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(native__becomes_explicit_flags),
		cmocka_unit_test(native__answer_that_is_not_understood_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
