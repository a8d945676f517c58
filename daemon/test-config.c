#include "daemon/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static char path[] = "/tmp/test-config.XXXXXX";

static int load(const char *text, char *const *environment, struct config *config, struct error *err)
{
	assert_int_equal(file_replace(path, slice_str(text), 0600, NULL), 0);
	return config_load(path, environment, config, err);
}

static char *const home[] = { (char *)"HOME=/home/me", NULL };

static size_t option(const char *name)
{
	for (size_t i = 0; i < CONFIG_OPTIONS; i++)
		if (strcmp(config_options[i].name, name) == 0)
			return i;
	fail_msg("no option %s", name);
	return 0;
}

static void assert_origin(const struct config *config, const char *name, const char *expected)
{
	_cleanup_buf_ struct buf text = { 0 };
	config_format_origin(config, option(name), &text);
	assert_string_equal(buf_str(&text), expected);
}

static void config__without_a_file_everything_has_its_default(void **state)
{
	_cleanup_config_ struct config config;
	struct error err;
	assert_int_equal(config_load("/nonexistent/config.ini", home, &config, &err), 0);
	assert_false(config.file_found);
	assert_true(config.jobs >= 1);
	assert_int_equal(config.cache_size_bytes, UINT64_C(10) << 30);
	assert_int_equal(config.cache, CONFIG_CACHE_READWRITE);
	assert_int_equal(config.sandbox, CONFIG_SANDBOX_AUTO);
	assert_int_equal(config.engine, CONFIG_ENGINE_SANDBOX);
	assert_int_equal(config.concurrency, 0);
	assert_int_equal(config.idle_timeout_ms, 30 * 60 * 1000);
	assert_string_equal(config.cache_dir, "/home/me/.cache/llama");
	assert_null(config.runtime_dir);
	assert_null(config.log);
	assert_origin(&config, "jobs", "default");
}

static void config__file_sets_values_with_and_without_section(void **state)
{
	_cleanup_config_ struct config config;
	struct error err;
	assert_int_equal(load("jobs = 3\n[llama]\n  cache = readonly\n  cache_size = 512M ; small\nlog = ~/llama.log\n",
				 home, &config, &err),
		0);
	assert_int_equal(config.jobs, 3);
	assert_int_equal(config.cache, CONFIG_CACHE_READONLY);
	assert_int_equal(config.cache_size_bytes, 512 << 20);
	assert_string_equal(config.log, "/home/me/llama.log");
	char expected[64];
	snprintf(expected, sizeof(expected), "%s:3", path);
	assert_origin(&config, "cache", expected);
}

static void config__environment_wins_over_the_file(void **state)
{
	char *const environment[] = { (char *)"HOME=/h", (char *)"LLAMA_JOBS=7", (char *)"LLAMACC_SANDBOX=inplace",
		(char *)"LLAMA_CACHE=", (char *)"LLAMA_IDLE_TIMEOUT=90s", NULL };
	_cleanup_config_ struct config config;
	struct error err;
	assert_int_equal(load("jobs=3\ncache=off\nsandbox=namespaces\n", environment, &config, &err), 0);
	assert_int_equal(config.jobs, 7);
	assert_int_equal(config.sandbox, CONFIG_SANDBOX_INPLACE);
	assert_int_equal(config.cache, CONFIG_CACHE_OFF);
	assert_int_equal(config.idle_timeout_ms, 90000);
	assert_origin(&config, "jobs", "environment LLAMA_JOBS");
	assert_origin(&config, "sandbox", "environment LLAMACC_SANDBOX");
}

static void config__bad_values_name_place_value_and_what_is_allowed(void **state)
{
	static const struct {
		const char *text, *complaint;
	} cases[] = {
		{ "\njobs = many\n", ":2: jobs = many is not valid; it takes a number from 1 to 4096" },
		{ "jobs = 0\n", ":1: jobs = 0 is not valid" },
		{ "jobs = 3x\n", "jobs = 3x" },
		{ "cache_size = 10X\n",
			":1: cache_size = 10X is not valid; it takes a size such as 500M or 10G, at least 1M" },
		{ "cache_size = 99999999999999999999G\n", "is not valid" },
		{ "cache_size = 30000000T\n", "is not valid" },
		{ "idle_timeout = 15\n", "idle_timeout = 15 is not valid; it takes a time such as 90s" },
		{ "cache = maybe\n", "cache = maybe is not valid; it takes readwrite, readonly or off" },
		{ "log = here.log\n", "log = here.log is not valid; it takes an absolute path" },
		{ "runtime_dir = /tmp/x\n", "set LLAMA_RUNTIME_DIR in the environment" },
		{ "jobs = 2\nnonsense\n", ":2: neither [section] nor name = value" },
		{ "verify = -1\n", "verify = -1" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_config_ struct config config;
		struct error err = { 0 };
		assert_int_equal(load(cases[i].text, home, &config, &err), -1);
		assert_non_null(strstr(err.text, path));
		if (!strstr(err.text, cases[i].complaint))
			fail_msg("'%s' lacks '%s'", err.text, cases[i].complaint);
	}
}

static void config__a_bad_variable_is_named(void **state)
{
	char *const environment[] = { (char *)"HOME=/h", (char *)"LLAMA_VERIFY=often", NULL };
	_cleanup_config_ struct config config;
	struct error err;
	assert_int_equal(load("", environment, &config, &err), -1);
	assert_string_equal(err.text,
		"environment variable LLAMA_VERIFY: verify = often is not valid; it takes a number from 0 to 1000000");
}

static void config__unknown_keys_are_kept_for_reporting(void **state)
{
	_cleanup_config_ struct config config;
	struct error err;
	assert_int_equal(load("job = 3\n[cloud]\nregion = x\n", home, &config, &err), 0);
	assert_string_equal(config.unknown->name, "job");
	assert_int_equal(config.unknown->line, 1);
	assert_string_equal(config.unknown->next->name, "cloud.region");
	assert_int_equal(config.unknown->next->line, 3);
	assert_null(config.unknown->next->next);
}

static void config__an_overlong_line_is_an_error_not_two_lines(void **state)
{
	_cleanup_buf_ struct buf text = { 0 };
	buf_append_str(&text, "log = /");
	for (int i = 0; i < 9000; i++)
		buf_append_char(&text, 'x');
	buf_append_str(&text, "\njobs = 2\n");
	_cleanup_config_ struct config config;
	struct error err;
	assert_int_equal(load(text.ptr, home, &config, &err), -1);
	assert_non_null(strstr(err.text, ":1: the line is too long"));
}

static void config__values_are_written_as_they_would_be_read(void **state)
{
	static const char *const values[][2] = { { "cache_size", "512M" }, { "cache_size", "10G" },
		{ "idle_timeout", "90s" }, { "idle_timeout", "1d" }, { "idle_timeout", "0" },
		{ "idle_timeout", "1500ms" }, { "sandbox", "inplace" }, { "jobs", "12" }, { "log", "/x y" },
		{ "verify", "0" }, { "concurrency", "10" } };
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		_cleanup_buf_ struct buf text = { 0 }, written = { 0 };
		buf_printf(&text, "%s = %s\n", values[i][0], values[i][1]);
		_cleanup_config_ struct config config;
		struct error err;
		assert_int_equal(load(text.ptr, home, &config, &err), 0);
		config_format(&config, option(values[i][0]), &written);
		assert_string_equal(written.ptr, values[i][1]);
	}
}

static void config__every_option_is_documented_and_overridable(void **state)
{
	_cleanup_buf_ struct buf manual = { 0 };
	config_format_manual(&manual);
	for (size_t i = 0; i < CONFIG_OPTIONS; i++) {
		const struct config_option *o = &config_options[i];
		assert_non_null(o->help);
		assert_true(o->fallback || o->fallback_text);
		assert_memory_equal(o->environment, "LLAMA_", 6);
		assert_non_null(strstr(manual.ptr, o->environment));
	}
}

static char *const in_profile_b[] = { (char *)"HOME=/h", (char *)"LLAMA_PROFILE=b", (char *)"LLAMA_REGION=us-west-2", NULL };

static void config__the_chosen_profile_goes_before_the_top_level_wherever_it_stands(void **state)
{
	static const char text[] = "[profile.a]\nbucket = of-a\njobs = 9\n[profile.b]\nbucket = of-b\nregion = eu-west-1\n"
				   "[llama]\nbucket = of-all\nfunction = f\nregion = us-east-1\n[profile.c]\n";
	_cleanup_config_ struct config config;
	struct error err;
	assert_int_equal(load(text, in_profile_b, &config, &err), 0);
	assert_string_equal(config.profile_name, "b");
	assert_string_equal(config.bucket, "of-b");
	assert_string_equal(config.function, "f");
	assert_string_equal(config.region, "us-west-2");
	assert_string_equal(config.cache_dir, "/h/.cache/llama/profiles/b");
	assert_int_not_equal(config.jobs, 9);
	char expected[64];
	snprintf(expected, sizeof(expected), "%s:5 [profile.b]", path);
	assert_origin(&config, "bucket", expected);
	snprintf(expected, sizeof(expected), "%s:9", path);
	assert_origin(&config, "function", expected);
	assert_origin(&config, "region", "environment LLAMA_REGION");
	assert_origin(&config, "cache_dir", "default, profiles/b below it");
	assert_string_equal(config.profiles->name, "a");
	assert_string_equal(config.profiles->next->name, "b");
	assert_string_equal(config.profiles->next->next->name, "c");
	assert_null(config.profiles->next->next->next);
	assert_null(config.unknown);

	_cleanup_config_ struct config plain;
	assert_int_equal(load(text, home, &plain, &err), 0);
	assert_string_equal(plain.bucket, "of-all");
	assert_string_equal(plain.cache_dir, "/home/me/.cache/llama");
	assert_null(plain.profile_name);
}

static void config__a_profile_may_name_its_cache(void **state)
{
	_cleanup_config_ struct config config, below;
	struct error err;
	assert_int_equal(load("cache_dir = /top\n[profile.b]\ncache_dir = ~/own\n", in_profile_b, &config, &err), 0);
	assert_string_equal(config.cache_dir, "/h/own");
	assert_int_equal(load("cache_dir = /top\n[profile.b]\n", in_profile_b, &below, &err), 0);
	assert_string_equal(below.cache_dir, "/top/profiles/b");
}

static void config__an_unknown_profile_is_an_error_that_lists_those_there_are(void **state)
{
	static const char *const names[][2] = { { "LLAMA_PROFILE=d", "has no section [profile.d]; its profiles: a, b" },
		{ "LLAMA_PROFILE=../a", "../a is not a profile's name" } };
	for (size_t i = 0; i < 2; i++) {
		char *const environment[] = { (char *)"HOME=/h", (char *)names[i][0], NULL };
		_cleanup_config_ struct config config;
		struct error err;
		assert_int_equal(load("[profile.a]\n[profile.b]\n[profile.a]\njobs=1\n", environment, &config, &err), -1);
		if (!strstr(err.text, names[i][1]))
			fail_msg("'%s' lacks '%s'", err.text, names[i][1]);
	}
	_cleanup_config_ struct config config;
	struct error err;
	assert_int_equal(config_load("/nonexistent/config.ini", in_profile_b, &config, &err), -1);
	assert_non_null(strstr(err.text, "its profiles: none"));
}

static void config__other_profiles_have_to_be_valid_too(void **state)
{
	_cleanup_config_ struct config config, unknown;
	struct error err;
	assert_int_equal(load("[profile.a]\njobs = many\n", home, &config, &err), -1);
	assert_non_null(strstr(err.text, ":2: jobs = many"));
	assert_int_equal(load("[profile.a]\njob = 3\n", home, &unknown, &err), 0);
	assert_string_equal(unknown.unknown->name, "profile.a.job");
}

static void config__no_home_and_no_cache_dir_says_what_to_set(void **state)
{
	char *const nothing[] = { NULL };
	_cleanup_config_ struct config config;
	struct error err;
	assert_int_equal(config_load(NULL, nothing, &config, &err), -1);
	assert_non_null(strstr(err.text, "LLAMA_CACHE_DIR"));
}

int main(void)
{
	int fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config__without_a_file_everything_has_its_default),
		cmocka_unit_test(config__file_sets_values_with_and_without_section),
		cmocka_unit_test(config__environment_wins_over_the_file),
		cmocka_unit_test(config__bad_values_name_place_value_and_what_is_allowed),
		cmocka_unit_test(config__a_bad_variable_is_named),
		cmocka_unit_test(config__unknown_keys_are_kept_for_reporting),
		cmocka_unit_test(config__an_overlong_line_is_an_error_not_two_lines),
		cmocka_unit_test(config__values_are_written_as_they_would_be_read),
		cmocka_unit_test(config__every_option_is_documented_and_overridable),
		cmocka_unit_test(config__the_chosen_profile_goes_before_the_top_level_wherever_it_stands),
		cmocka_unit_test(config__a_profile_may_name_its_cache),
		cmocka_unit_test(config__an_unknown_profile_is_an_error_that_lists_those_there_are),
		cmocka_unit_test(config__other_profiles_have_to_be_valid_too),
		cmocka_unit_test(config__no_home_and_no_cache_dir_says_what_to_set),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
