#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "setup/environment.h"
#include "setup/template.h"

static void environment__default_name(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct environment e;
	struct error err;
	assert_int_equal(environment_name(NULL, &arena, &e, &err), 0);
	assert_string_equal(e.name, "llama");
	assert_string_equal(e.stack, "llama");
	assert_string_equal(e.log_group, "/aws/lambda/llama");
	assert_null(e.section);
}

static void environment__other_name(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	struct environment e;
	struct error err;
	assert_int_equal(environment_name("ci-2", &arena, &e, &err), 0);
	assert_string_equal(e.name, "ci-2");
	assert_string_equal(e.function, "llama-ci-2");
	assert_string_equal(e.repository, "llama-ci-2");
	assert_string_equal(e.log_group, "/aws/lambda/llama-ci-2");
	assert_string_equal(e.section, "profile.ci-2");
}

static void environment__refuses_what_is_no_name(void **state)
{
	static const char *const names[] = { "", "-a", "2a", "Ci", "a_b", "a.b", "a/b", "a-",
		"abcdefghijklmnopqrstuvwxyzabcdefg" };
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct environment e;
		struct error err;
		assert_int_equal(environment_name(names[i], &arena, &e, &err), -1);
		assert_int_equal(err.code, EINVAL);
		assert_non_null(strstr(err.text, names[i]));
	}
}

static void environment__architecture(void **state)
{
	assert_string_equal(environment_architecture("x86_64"), "x86_64");
	assert_string_equal(environment_architecture("aarch64"), "arm64");
	assert_null(environment_architecture("riscv64"));
}

static void template__has_its_own_digest(void **state)
{
	_cleanup_arena_ struct arena arena = ARENA_INIT;
	const char *text = template_text(&arena), *version = template_version(&arena);
	assert_int_equal(strlen(version), 12);
	assert_non_null(strstr(text, arena_printf(&arena, "\"Value\": \"%s\"", version)));
	assert_null(strstr(text, "@VERSION@"));
	assert_true(strlen(text) < 51200); /* what CloudFormation takes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(environment__default_name),
		cmocka_unit_test(environment__other_name),
		cmocka_unit_test(environment__refuses_what_is_no_name),
		cmocka_unit_test(environment__architecture),
		cmocka_unit_test(template__has_its_own_digest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
