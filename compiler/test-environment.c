#include "compiler/test-support.h"

#include "compiler/environment.h"
#include "wire/frame.h"

static int parse(const char *const *env, struct arena *arena, struct environment *ret, struct buf *reason_ret)
{
	size_t n = 0;
	while (env[n])
		n++;
	struct reason reason;
	int outcome = environment_parse(env, n, arena, ret, &reason);
	reason_format(&reason, reason_ret);
	return outcome;
}

static void environment__key_is_sorted_and_holds_what_matters(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	_cleanup_buf_ struct buf reason = { 0 }, got = { 0 };
	struct environment environment;
	const char *env[] = { "TZ=", "LC_MESSAGES=de_DE.UTF-8", "LANG=", "PATH=/bin", "HOME=/x", "CPATH=/inc",
		"C_INCLUDE_PATH=", "SOURCE_DATE_EPOCH=0", "LD_LIBRARY_PATH=", "LD_RUN_PATH=/x", "MALFORMED",
		"TERM=xterm", "GCC_COLORS=", "LLAMACC_RECACHE=1", "LLAMACC_LOCAL=0", "LLAMACC_REMOTE_ASSEMBLE=off",
		NULL };
	assert_int_equal(parse(env, &arena, &environment, &reason), 0);
	append_all(&got, environment.key, environment.n_key);
	buf_append_char(&got, '|');
	append_all(&got, environment.color, environment.n_color);
	assert_string_equal(buf_str(&got),
		"CPATH=/inc LC_MESSAGES=de_DE.UTF-8 PATH=/bin SOURCE_DATE_EPOCH=0 TZ=|GCC_COLORS= TERM=xterm");
	assert_string_equal(environment.path, "/bin");
	assert_true(environment.source_date_epoch);
	assert_true(environment.recache);
	assert_false(environment.requested_local);
	assert_false(environment.remote_assemble);
}

static void environment__variables_we_do_not_follow_keep_it_local(void **state)
{
	static const char *const names[] = { "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "CCC_OVERRIDE_OPTIONS",
		"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_BIND_NOW", "GCC_SPECS", "GCC_COMPARE_DEBUG",
		"CLANG_NO_DEFAULT_CONFIG", "CC_PRINT_OPTIONS" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		_cleanup_arena_ struct arena arena = ARENA_INIT;
		_cleanup_buf_ struct buf reason = { 0 };
		struct environment environment;
		const char *env[] = { arena_printf(&arena, "%s=x", names[i]), NULL };
		assert_int_equal(parse(env, &arena, &environment, &reason), COMMAND_LOCAL);
		assert_string_equal(buf_str(&reason), arena_printf(&arena, "environment:%s", names[i]));
	}
}

static void environment__a_value_is_found_by_its_whole_name(void **state)
{
	const char *env[] = { "PATHS=x", "PATH=y", "EMPTY=" };
	assert_string_equal(environment_get(env, 3, "PATH"), "y");
	assert_string_equal(environment_get(env, 3, "EMPTY"), "");
	assert_null(environment_get(env, 3, "PAT"));
}

static void environment__clients_send_all_that_is_in_the_table(void **state)
{
	for (size_t i = 0; environment_name_at(i); i++)
		if (!frame_env_matters(environment_name_at(i)))
			fail_msg("%s is not sent", environment_name_at(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(environment__key_is_sorted_and_holds_what_matters),
		cmocka_unit_test(environment__variables_we_do_not_follow_keep_it_local),
		cmocka_unit_test(environment__a_value_is_found_by_its_whole_name),
		cmocka_unit_test(environment__clients_send_all_that_is_in_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
