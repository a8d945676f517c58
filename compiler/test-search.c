#include "compiler/test-support.h"

#include "compiler/search.h"

static const char *question_of(const char *command_line, const char *const *env, size_t n_env, struct arena *arena, struct slice *key)
{
	struct strlist list = words(command_line, arena);
	struct command command;
	struct reason reason;
	struct search_question question;
	struct buf text = { 0 };
	assert_int_equal(parse_words(&list, arena, &command, &reason), 0);
	search_ask(&command, "/project", env, n_env, arena, &question);
	for (size_t i = 0; question.argv[i]; i++)
		buf_printf(&text, "%s%s", i ? " " : "", question.argv[i]);
	if (key)
		*key = question.key;
	const char *ret = arena_strdup(arena, buf_str(&text));
	buf_deinit(&text);
	return ret;
}

static void search__the_question_has_what_moves_the_path_and_nothing_else(void **state)
{
	static const struct {
		const char *command, *want;
	} rows[] = {
		{ "gcc -c a.c", "gcc -E -dM -v -x c /dev/null" },
		{ "g++ -O2 -Wall -Iinc -I /abs -DX=1 -U Y -include z.h -MD -MF a.d -o a.o -c a.cc",
			"g++ -Iinc -I /abs -E -dM -v -x c++ /dev/null" },
		{ "gcc -c -x c++ a.c", "gcc -E -dM -v -x c++ /dev/null" },
		{ "gcc -c a.S", "gcc -E -dM -v -x assembler-with-cpp /dev/null" },
		{ "gcc -iquote q -isystem s -idirafter d -isysroot r --sysroot=t -nostdinc -c a.c",
			"gcc -iquote q -isystem s -idirafter d -isysroot r --sysroot=t -nostdinc -E -dM -v -x c /dev/null" },
		{ "gcc -m32 -march=armv8-a -iprefix /p -iwithprefix x -c a.c",
			"gcc -m32 -march=armv8-a -iprefix /p -iwithprefix x -E -dM -v -x c /dev/null" },
		{ "clang++ -stdlib=libc++ -nostdinc++ --target=arm-linux -resource-dir /r -cxx-isystem c -std=c++17 -c a.cc",
			"clang++ -stdlib=libc++ -nostdinc++ --target=arm-linux -resource-dir /r -cxx-isystem c "
			"-std=c++17 -E -dM -v -x c++ /dev/null" },
		{ "gcc -Wp,-MMD,a.d -Wp,-Iinc -c a.c", "gcc -Wp,-Iinc -E -dM -v -x c /dev/null" },
		/* Linux's: an error without -fno-PIE, where PIE is the default. */
		{ "gcc -mcmodel=kernel -fno-PIE -fno-common -c a.c", "gcc -mcmodel=kernel -fno-PIE -E -dM -v -x c /dev/null" },
		{ "gcc -Ia -I- -Ib -c a.c", "gcc -Ia -I- -Ib -E -dM -v -x c /dev/null" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		assert_string_equal(question_of(rows[i].command, NULL, 0, &arena, NULL), rows[i].want);
	}
}

static bool names_cwd(struct slice key)
{
	return slice_has_suffix(key, "/project");
}

static void search__the_working_directory_is_in_the_key_only_when_it_matters(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct slice key;
	question_of("gcc -I/a -isystem =/b -c a.c", NULL, 0, &arena, &key);
	assert_false(names_cwd(key));
	question_of("gcc -I../a -c a.c", NULL, 0, &arena, &key);
	assert_true(names_cwd(key));
	const char *absolute[] = { "CPATH=/a:/b" }, *relative[] = { "CPATH=/a:" };
	question_of("gcc -c a.c", absolute, 1, &arena, &key);
	assert_false(names_cwd(key));
	question_of("gcc -c a.c", relative, 1, &arena, &key);
	assert_true(names_cwd(key));
}

static void search__the_key_holds_the_environment(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *one[] = { "CPATH=/a" }, *other[] = { "C_INCLUDE_PATH=/a" };
	struct slice key_one, key_other, key_none;
	question_of("gcc -c a.c", one, 1, &arena, &key_one);
	question_of("gcc -c a.c", other, 1, &arena, &key_other);
	question_of("gcc -c a.c", NULL, 0, &arena, &key_none);
	assert_false(slice_equal(key_one, key_other));
	assert_false(slice_equal(key_one, key_none));
}

static int parse(const char *directories, const char *macros, struct arena *arena, struct search *ret)
{
	return search_parse(slice_str(directories), slice_str(macros), "/project", arena, ret, NULL);
}

static const char *joined(const char **paths, size_t n, struct arena *arena)
{
	struct buf text = { 0 };
	append_all(&text, paths, n);
	const char *ret = arena_strdup(arena, buf_str(&text));
	buf_deinit(&text);
	return ret;
}

static void search__the_lists_are_taken_in_the_compilers_order(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct search search;
	int r = parse("Using built-in specs.\n"
		      "ignoring nonexistent directory \"nonex\"\n"
		      "ignoring duplicate directory \"lnk\"\n"
		      "  as it is a non-system directory that duplicates a system directory\n"
		      "#include \"...\" search starts here:\n"
		      " sub\n"
		      "#include <...> search starts here:\n"
		      " inc/./x\n"
		      " /usr/lib/gcc/x/12/../../include\n"
		      " /with space\n"
		      "End of search list.\n"
		      "COMPILER_PATH=/x\n",
		"", &arena, &search);
	assert_int_equal(r, 0);
	assert_string_equal(joined(search.quote, search.n_quote, &arena), "/project/sub");
	assert_string_equal(joined(search.bracket, search.n_bracket, &arena),
		"/project/inc/x /usr/lib/gcc/x/12/../../include /with space");
	assert_int_equal(search.n_embed, 0);

	struct buf got = { 0 };
	for (size_t i = 0; i < search.lookups.n; i++)
		buf_printf(&got, "%s %s\n", lookup_kind_name(search.lookups.v[i].kind), search.lookups.v[i].path);
	const char *want = arena_printf(&arena,
		"%s /project/inc/x\n%s /project/lnk\n%s /project/lnk\n%s /project/nonex\n%s /project/sub\n"
		"%s /usr/lib/gcc/x/12/../../include\n%s /with space\n",
		lookup_kind_name(LOOKUP_DIRECTORY), lookup_kind_name(LOOKUP_DIRECTORY), lookup_kind_name(LOOKUP_LINK),
		lookup_kind_name(LOOKUP_ABSENT), lookup_kind_name(LOOKUP_DIRECTORY), lookup_kind_name(LOOKUP_DIRECTORY),
		lookup_kind_name(LOOKUP_DIRECTORY));
	assert_string_equal(buf_str(&got), want);
	buf_deinit(&got);
}

static void search__an_embed_list_may_follow(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct search search;
	int r = parse("#include \"...\" search starts here:\n#include <...> search starts here:\n /a\nEnd of search list.\n"
		      "#embed <...> search starts here:\n /e\nEnd of #embed search list.\n",
		"", &arena, &search);
	assert_int_equal(r, 0);
	assert_string_equal(joined(search.embed, search.n_embed, &arena), "/e");
}

static void search__what_it_does_not_know_is_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"gcc: error: no such option\n",
		"#include \"...\" search starts here:\n#include <...> search starts here:\n /a\n",
		"#include \"...\" search starts here:\n#include <...> search starts here:\nodd\nEnd of search list.\n",
		"#include <...> search starts here:\n /F (framework directory)\nEnd of search list.\n",
		"#include <...> search starts here:\n /x.hmap (headermap)\nEnd of search list.\n",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct search search;
		assert_int_equal(parse(rows[i], "", &arena, &search), -1);
	}
}

static void search__predefined_macros_come_with_it(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct search search;
	int r = parse("#include <...> search starts here:\nEnd of search list.\n",
		"#define __GNUC__ 12\n#define EMPTY\n#define __INT64_C(c) c ## L\n# 1 \"x\"\n", &arena, &search);
	assert_int_equal(r, 0);
	assert_int_equal(search.n_macros, 3);
	assert_string_equal(search.macros[0].name, "__GNUC__");
	assert_string_equal(search.macros[0].body, "12");
	assert_null(search.macros[0].parameters);
	assert_string_equal(search.macros[1].name, "EMPTY");
	assert_string_equal(search.macros[1].body, "");
	assert_string_equal(search.macros[2].name, "__INT64_C");
	assert_string_equal(search.macros[2].parameters, "c");
	assert_string_equal(search.macros[2].body, "c ## L");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(search__the_question_has_what_moves_the_path_and_nothing_else),
		cmocka_unit_test(search__the_working_directory_is_in_the_key_only_when_it_matters),
		cmocka_unit_test(search__the_key_holds_the_environment),
		cmocka_unit_test(search__the_lists_are_taken_in_the_compilers_order),
		cmocka_unit_test(search__an_embed_list_may_follow),
		cmocka_unit_test(search__what_it_does_not_know_is_refused),
		cmocka_unit_test(search__predefined_macros_come_with_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
