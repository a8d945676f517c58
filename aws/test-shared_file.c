#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/shared_file.h"
#include "base/arena.h"
#include "base/buf.h"

static void print(void *ctx, const char *section, const char *name, const char *value)
{
	if (name)
		buf_printf(ctx, "%s|%s|%s\n", section, name, value);
	else
		buf_printf(ctx, "[%s]\n", section);
}

static void expect(const char *text, const char *settings)
{
	_cleanup_buf_ struct buf out = { 0 };
	struct error err = { 0 };
	int result = shared_file_parse(slice_str(text), print, &out, &err);
	assert_string_equal(err.text, "");
	assert_int_equal(result, 0);
	assert_string_equal(buf_str(&out), settings);
}

static void expect_error(const char *text, const char *message)
{
	_cleanup_buf_ struct buf out = { 0 };
	struct error err = { 0 };
	assert_int_equal(shared_file_parse(slice_str(text), print, &out, &err), -1);
	assert_string_equal(err.text, message);
}

static void shared_file__settings_belong_to_the_section_above(void **state)
{
	(void)state;
	expect("", "");
	expect("[default]\nregion = eu-west-1\n[profile dev]\nRegion=x\noutput:json\n",
		"[default]\ndefault|region|eu-west-1\n[profile dev]\nprofile dev|region|x\nprofile dev|output|json\n");
	expect("\xef\xbb\xbf[a]\r\nb = c\r\n", "[a]\na|b|c\n");
	expect("  [a]\n  b = c\n  d = e", "[a]\na|b|c\na|d|e\n");
	expect("[a]b] c\n[ d ]\n", "[a]b]\n[ d ]\n");
	expect("[a]\nb =\n", "[a]\na|b|\n");
}

static void shared_file__only_whole_lines_are_comments(void **state)
{
	(void)state;
	expect("# x\n[a]\n ; y\nb = c # d ; e\n#f = g\nh = sh -c \"a ; b\" #\n",
		"[a]\na|b|c # d ; e\na|h|sh -c \"a ; b\" #\n");
}

static void shared_file__lines_further_in_belong_to_the_setting(void **state)
{
	(void)state;
	expect("[a]\nb = c\n  d\n\n e\nf = g\n", "[a]\na|b|c\nd\n\ne\na|f|g\n");
	expect("[services x]\ns3 =\n  endpoint_url = http://localhost:9000/?a=b\n # c\n\n  Max = 3\nlambda = "
	       "\n\tendpoint_url=y\n[b]\n",
		"[services x]\nservices x|s3.endpoint_url|http://localhost:9000/?a=b\nservices x|s3.Max|3\n"
		"services x|lambda.endpoint_url|y\n[b]\n");
	/* Outdented, it is a setting again. */
	expect("[a]\n  b = c\n  d = e\n", "[a]\na|b|c\na|d|e\n");
}

static void shared_file__values_may_be_long(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf text = { 0 }, out = { 0 };
	struct error err;
	buf_append_str(&text, "[a]\naws_session_token = ");
	for (int i = 0; i < 4000; i++)
		buf_append_char(&text, (char)('a' + i % 26));
	assert_int_equal(shared_file_parse(buf_slice(&text), print, &out, &err), 0);
	assert_int_equal(out.len, strlen("[a]\na|aws_session_token|\n") + 4000);
}

static void shared_file__errors_name_the_line_and_nothing_of_it(void **state)
{
	(void)state;
	expect_error("a = b\n", "line 1: a setting before the first [section]");
	expect_error("[a]\nb\n", "line 2: neither [section] nor name = value");
	expect_error("[a]\n= b\n", "line 2: neither [section] nor name = value");
	expect_error("[]\n[a]", "line 1: a setting before the first [section]");
	expect_error("[a]\nb=1\nB=2\n", "line 3: this setting was there before, in the same section");
	expect_error("[a]\n\n[a]\n", "line 3: this section was there before");
	expect_error("[a]\ns3 =\n  secret\n", "line 2: below it is a nested setting without =");
	_cleanup_buf_ struct buf out = { 0 };
	struct error err;
	assert_int_equal(shared_file_parse(slice_of("[a]\nb=\0\n", 8), print, &out, &err), -1);
	assert_string_equal(err.text, "line 2: a NUL byte");
}

static void expect_words(const char *text, const char *words)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf out = { 0 };
	struct error err;
	char **list;
	size_t n;
	assert_int_equal(shell_split(text, &arena, &list, &n, &err), 0);
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "<%s>", list[i]);
	assert_null(list[n]);
	assert_string_equal(buf_str(&out), words);
}

static void shell_split__parts_at_blanks_that_nothing_protects(void **state)
{
	(void)state;
	expect_words("", "");
	expect_words("  ", "");
	expect_words("a", "<a>");
	expect_words(" a  b\tc ", "<a><b><c>");
	expect_words("a 'b c' \"d e\" f\\ g \"\" ''", "<a><b c><d e><f g><><>");
	expect_words("'a'\"b\"c", "<abc>");
	expect_words("\"a\\\"b\\\\c\\d\" 'a\\' \\'", "<a\"b\\c\\d><a\\><'>");
	expect_words("/bin/sh -c 'echo \"$1\"' sh \"x y\"", "</bin/sh><-c><echo \"$1\"><sh><x y>");
}

static void shell_split__open_quotes_are_errors(void **state)
{
	(void)state;
	static const char *const open[] = { "'", "a \"b", "\"\\\"", "a\\" };
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		struct error err;
		char **words;
		size_t n;
		assert_int_equal(shell_split(open[i], &arena, &words, &n, &err), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_file__settings_belong_to_the_section_above),
		cmocka_unit_test(shared_file__only_whole_lines_are_comments),
		cmocka_unit_test(shared_file__lines_further_in_belong_to_the_setting),
		cmocka_unit_test(shared_file__values_may_be_long),
		cmocka_unit_test(shared_file__errors_name_the_line_and_nothing_of_it),
		cmocka_unit_test(shell_split__parts_at_blanks_that_nothing_protects),
		cmocka_unit_test(shell_split__open_quotes_are_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
