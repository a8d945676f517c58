#include "compiler/test-support.h"

#include "compiler/response.h"

static void check_split(const char *text, enum compiler_family family, const char *want)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf got = { 0 };
	struct strlist args = { 0 };
	assert_int_equal(response_split(slice_str(text), family, &arena, &args), 0);
	for (size_t i = 0; i < args.n; i++)
		buf_printf(&got, "<%s>", args.items[i]);
	assert_string_equal(buf_str(&got), want);
}

static void response__is_quoted_as_each_driver_quotes(void **state)
{
	static const struct {
		const char *text, *gcc, *clang;
	} rows[] = {
		{ "", "", "" },
		{ " \n\t ", "", "" },
		{ "-a -b\n-c\r\n", "<-a><-b><-c>", "<-a><-b><-c>" },
		{ "'a b' \"c d\"", "<a b><c d>", "<a b><c d>" },
		{ "-DX='a \"b\"'", "<-DX=a \"b\">", "<-DX=a \"b\">" },
		{ "a\\ b \\\"c", "<a b><\"c>", "<a b><\"c>" },
		{ "'a\\'b'", "<a'b>", "<a'b>" },
		{ "\"a\\\\b\"", "<a\\b>", "<a\\b>" },
		{ "a'b'c", "<abc>", "<abc>" },
		{ "'' x", "<><x>", "<x>" },
		{ "x\\", "<x>", "<x\\>" },
		{ "'open end", "<open end>", "<open end>" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check_split(rows[i].text, FAMILY_GCC, rows[i].gcc);
		check_split(rows[i].text, FAMILY_CLANG, rows[i].clang);
	}
}

static int read_from_table(void *ctx, const char *name, struct arena *arena, struct slice *ret)
{
	static const struct {
		const char *name, *text;
	} files[] = {
		{ "plain", "-O2 -c" },
		{ "outer", "-DA @plain 'in put.c'" },
		{ "loop", "@loop" },
		{ "twice", "@twice @twice x" },
	};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(files[i].name, name) == 0) {
			*ret = slice_str(files[i].text);
			return 0;
		}
	}
	return -1;
}

static int expand(const char *command, struct arena *arena, struct buf *ret)
{
	struct strlist list = words(command, arena), args = { 0 };
	struct command_request request = {
		.argv = list.items, .argc = list.n, .family = FAMILY_GCC, .read_file = read_from_table
	};
	if (response_expand(&request, arena, &args) < 0)
		return -1;
	append_all(ret, args.items, args.n);
	return 0;
}

static void response__is_expanded_in_place_and_nested(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf got = { 0 };
	assert_int_equal(expand("gcc -g @outer @ -o x", &arena, &got), 0);
	assert_string_equal(buf_str(&got), "gcc -g -DA -O2 -c in put.c @ -o x");
}

static void response__that_cannot_be_read_or_never_ends_is_refused(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf got = { 0 };
	assert_int_equal(expand("gcc @absent", &arena, &got), -1);
	assert_int_equal(expand("gcc @loop", &arena, &got), -1);
	assert_int_equal(expand("gcc @twice", &arena, &got), -1);
}

static void response__with_doubtful_white_space_is_refused(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct strlist args = { 0 };
	assert_int_equal(response_split(slice_of("a\0b", 3), FAMILY_GCC, &arena, &args), -1);
	assert_int_equal(response_split(slice_str("a\fb"), FAMILY_GCC, &arena, &args), -1);
	assert_int_equal(response_split(slice_str("\xef\xbb\xbf-c"), FAMILY_CLANG, &arena, &args), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(response__is_quoted_as_each_driver_quotes),
		cmocka_unit_test(response__is_expanded_in_place_and_nested),
		cmocka_unit_test(response__that_cannot_be_read_or_never_ends_is_refused),
		cmocka_unit_test(response__with_doubtful_white_space_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
