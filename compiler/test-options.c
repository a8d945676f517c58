#include "compiler/test-support.h"

#include "compiler/options.h"

static void options__table_is_sorted(void **state)
{
	for (size_t i = 1; option_at(i); i++) {
		const struct option *a = option_at(i - 1), *b = option_at(i);
		int order = strcmp(a->name, b->name);
		if (order > 0 || (order == 0 && (a->families & b->families)))
			fail_msg("%s, %s", a->name, b->name);
	}
}

static void options__longest_match_wins(void **state)
{
	static const struct {
		const char *arg;
		enum compiler_family family;
		const char *name; /* NULL: unknown */
		const char *value;
		bool separate;
	} rows[] = {
		{ "-c", FAMILY_GCC, "-c", "", false },
		{ "-coverage", FAMILY_GCC, "-coverage", "", false },
		{ "-MD", FAMILY_GCC, "-MD", "", false },
		{ "-MMD", FAMILY_GCC, "-MMD", "", false },
		{ "-MFx", FAMILY_GCC, "-MF", "x", false },
		{ "-MF", FAMILY_GCC, "-MF", NULL, true },
		{ "-o", FAMILY_GCC, "-o", NULL, true },
		{ "-ofile", FAMILY_GCC, "-o", "file", false },
		{ "-object-file-name=x", FAMILY_CLANG, "-object-file-name", "=x", false },
		{ "-DX", FAMILY_GCC, "-D", "X", false },
		{ "-isystem", FAMILY_GCC, "-isystem", NULL, true },
		{ "-isystem-after", FAMILY_CLANG, "-isystem-after", NULL, true },
		{ "-isystem-after", FAMILY_GCC, "-isystem", "-after", false },
		{ "-include-pch", FAMILY_CLANG, "-include-pch", NULL, true },
		{ "-iwithprefixbefore", FAMILY_GCC, "-iwithprefixbefore", NULL, true },
		{ "-specs=x", FAMILY_GCC, "-specs", "=x", false },
		{ "-s", FAMILY_GCC, "-s", "", false },
		{ "-std=c99", FAMILY_GCC, "-std=", "c99", false },
		{ "-emit-llvm", FAMILY_CLANG, "-emit-", "llvm", false },
		{ "-emit-llvm", FAMILY_GCC, "-e", "mit-llvm", false },
		{ "-Wa,-x", FAMILY_GCC, "-Wa,", "-x", false },
		{ "-Wall", FAMILY_GCC, "-f", "all", false },
		{ "-gsplit-dwarf", FAMILY_GCC, "-gsplit-dwarf", "", false },
		{ "-gdwarf-5", FAMILY_GCC, "-g", "dwarf-5", false },
		{ "-flto=auto", FAMILY_GCC, "-flto=", "auto", false },
		{ "-flto-partition=none", FAMILY_GCC, "-f", "lto-partition=none", false },
		{ "-fprofile-use=x", FAMILY_CLANG, "-fprofile-use=", "x", false },
		{ "-save-temps=obj", FAMILY_GCC, "-save-temps=", "obj", false },
		{ "-I-", FAMILY_GCC, "-I-", "", false },
		{ "--sysroot", FAMILY_GCC, "--sysroot", NULL, true },
		{ "-fx=a/b", FAMILY_GCC, NULL, NULL, false },
		{ "-fx=a.b", FAMILY_GCC, NULL, NULL, false },
		{ "-msse4.1", FAMILY_GCC, "-f", "sse4.1", false },
		{ "-Ewhat", FAMILY_GCC, NULL, NULL, false },
		{ "-", FAMILY_GCC, NULL, NULL, false },
		{ "--", FAMILY_GCC, NULL, NULL, false },
		{ "--", FAMILY_CLANG, "--", "", false },
		{ "a.c", FAMILY_GCC, NULL, NULL, false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct option_match match;
		bool found = option_find(rows[i].arg, rows[i].family, &match);
		if (found != (rows[i].name != NULL) || (found && strcmp(match.option->name, rows[i].name) != 0))
			fail_msg("%s is %s", rows[i].arg, found ? match.option->name : "unknown");
		if (!found)
			continue;
		assert_int_equal(match.separate, rows[i].separate);
		if (rows[i].value)
			assert_string_equal(match.value, rows[i].value);
		else
			assert_null(match.value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options__table_is_sorted),
		cmocka_unit_test(options__longest_match_wins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
