#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"

static void error__text_ends_with_the_reason(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(error_set(&err, ENOENT, "cannot open %s", "x"), -1);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.text, "cannot open x: No such file or directory");
	assert_int_equal(error_set(&err, 0, "cannot open %s", "y"), -1);
	assert_int_equal(err.code, 0);
	assert_string_equal(err.text, "cannot open y");
	assert_int_equal(error_say(&err, ENOENT, "there is no %s", "z"), -1);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.text, "there is no z");
}

static void error__context_comes_before_and_keeps_the_code(void **state)
{
	(void)state;
	struct error err;
	error_set(&err, EACCES, "cannot read");
	assert_int_equal(error_wrap(&err, "job %d", 7), -1);
	assert_string_equal(err.text, "job 7: cannot read: Permission denied");
	assert_int_equal(err.code, EACCES);
}

static void error__long_text_is_truncated(void **state)
{
	(void)state;
	struct error err;
	char path[2000];
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	error_set(&err, ENOENT, "cannot open %s", path);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	error_wrap(&err, "context");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "context: cannot open ppp", 24);
	error_wrap(&err, "%s", path);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void error__nobody_needs_to_listen(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, EIO, "x"), -1);
	assert_int_equal(error_say(NULL, EIO, "x"), -1);
	assert_int_equal(error_wrap(NULL, "x"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error__text_ends_with_the_reason),
		cmocka_unit_test(error__context_comes_before_and_keeps_the_code),
		cmocka_unit_test(error__long_text_is_truncated),
		cmocka_unit_test(error__nobody_needs_to_listen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
