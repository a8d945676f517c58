#include "compiler/test-support.h"

#include "compiler/expand.h"

static const char *expanded(
	const struct definitions *definitions, enum skeleton_kind kind, const char *tokens, struct arena *arena, bool *exhausted)
{
	struct expand_name names[EXPAND_NAMES_LIMIT];
	struct buf text = { 0 };
	size_t n = expand(kind, tokens, definitions, arena, names, exhausted);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, names[i].form == SKELETON_QUOTE ? "\"%s\"" : "<%s>", names[i].name);
	const char *ret = arena_strdup(arena, buf_str(&text));
	buf_deinit(&text);
	return ret;
}

static void expand__follows_definitions_as_the_preprocessor_does(void **state)
{
	static const struct skeleton_macro macros[] = {
		{ "PLAIN", NULL, "\"plain.h\"" },
		{ "CHAIN", NULL, "MIDDLE" },
		{ "MIDDLE", NULL, "PLAIN" },
		{ "ANGLE", NULL, "<dir/angle.h>" },
		{ "STR_", "x", "#x" },
		{ "STR", "x", "STR_(x)" },
		{ "CAT_", "a, b", "a##b" },
		{ "CAT", "a, b", "CAT_(a, b)" },
		{ "VERSION", NULL, "12" },
		{ "HEADER", "v", "STR(linux/compiler-gcc##v.h)" },
		{ "INCLUDE_PATH", NULL, "trace/events" },
		{ "TRACE", "system", "STR(INCLUDE_PATH/system.h)" },
		{ "SYSTEM", NULL, "sched" },
		{ "DIR", NULL, "some/dir" },
		{ "IN", "x", "<DIR/x.h>" },
		{ "ALL", "...", "#__VA_ARGS__" },
		{ "SELF", NULL, "SELF" },
		{ "PING", NULL, "PONG x" },
		{ "PONG", NULL, "PING" },
		{ "TWO", NULL, "\"one.h\"" },
		{ "TWO", NULL, "\"two.h\"" },
		{ "EITHER", "x", "#x" },
		{ "EITHER", NULL, "\"object.h\"" },
		{ "NOTHING", "", "\"none.h\"" },
		{ "EMPTY", NULL, "" },
	};
	struct definitions definitions = { 0 };
	definitions_add(&definitions, macros, sizeof(macros) / sizeof(macros[0]));
	static const struct {
		const char *tokens, *want;
	} rows[] = {
		{ "PLAIN", "\"plain.h\"" },
		{ "CHAIN", "\"plain.h\"" },
		{ "ANGLE", "<dir/angle.h>" },
		{ "STR_(a.h)", "\"a.h\"" },
		{ "STR( a/b.h )", "\"a/b.h\"" },
		{ "STR_(VERSION)", "\"VERSION\"" },
		{ "STR(VERSION)", "\"12\"" },
		{ "STR(CAT(a, VERSION).h)", "\"a12.h\"" },
		{ "STR(CAT_(a, VERSION).h)", "\"aVERSION.h\"" },
		{ "HEADER(7)", "\"linux/compiler-gcc7.h\"" },
		{ "TRACE(SYSTEM)", "\"trace/events/sched.h\"" },
		{ "IN(y)", "<some/dir/y.h>" },
		{ "< DIR/z.h >", "< some/dir/z.h>" },
		{ "ALL(a,b)", "\"a,b\"" },
		{ "NOTHING()", "\"none.h\"" },
		{ "EMPTY PLAIN", "\"plain.h\"" },
		{ "TWO", "\"one.h\"\"two.h\"" },
		{ "EITHER(q.h)", "\"q.h\"\"object.h\"" },
		{ "UNKNOWN", "" },
		{ "STR", "" },
		{ "STR(", "" },
		{ "SELF", "" },
		{ "PING", "" },
		{ "<open", "" },
		{ "<>", "" },
		{ "\"\"", "" },
		{ "", "" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		const char *got = expanded(&definitions, SKELETON_INCLUDE, rows[i].tokens, &arena, NULL);
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s\n  gave %s, not %s", rows[i].tokens, got, rows[i].want);
	}
	definitions_deinit(&definitions);
}

static void expand__joins_the_literals_of_an_asm_statement(void **state)
{
	static const struct skeleton_macro macros[] = {
		{ "DIR", NULL, "\"some/dir\"" },
		{ "QUOTED", NULL, "\"\\\"whole.bin\\\"\"" },
		{ "FILE_NAME", NULL, "\"file.bin\"" },
	};
	struct definitions definitions = { 0 };
	definitions_add(&definitions, macros, sizeof(macros) / sizeof(macros[0]));
	static const struct {
		const char *tokens, *want;
	} rows[] = {
		{ "\" \\\"\" DIR \"/a.bin\\\"\\n\"", "\"some/dir/a.bin\"" },
		{ "\" \" QUOTED \"\\n\"", "\"whole.bin\"" },
		{ "FILE_NAME", "\"file.bin\"" },
		{ "\" \\\"\" UNKNOWN \"/a.bin\\\"\\n\"", "" },
		{ "\\name", "" },
		{ "", "" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		assert_string_equal(expanded(&definitions, SKELETON_ASSEMBLER, rows[i].tokens, &arena, NULL), rows[i].want);
	}
	definitions_deinit(&definitions);
}

static void expand__ends_whatever_the_definitions_are(void **state)
{
	static const struct skeleton_macro macros[] = {
		{ "F", "x", "F1(x) F1(x)" },
		{ "F1", "x", "F2(x) F2(F(x))" },
		{ "F2", "x", "F1(F1(x)) x##x" },
		{ "F2", "x", "F(x x)" },
		{ "A", NULL, "B B" },
		{ "B", NULL, "A A" },
		{ "B", NULL, "\"b.h\"" },
	};
	struct definitions definitions = { 0 };
	definitions_add(&definitions, macros, sizeof(macros) / sizeof(macros[0]));
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	bool exhausted;
	expanded(&definitions, SKELETON_INCLUDE, "F(F(F(A)))", &arena, &exhausted);
	assert_true(exhausted);
	assert_non_null(strstr(expanded(&definitions, SKELETON_INCLUDE, "A", &arena, &exhausted), "\"b.h\""));
	definitions_deinit(&definitions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expand__follows_definitions_as_the_preprocessor_does),
		cmocka_unit_test(expand__joins_the_literals_of_an_asm_statement),
		cmocka_unit_test(expand__ends_whatever_the_definitions_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
