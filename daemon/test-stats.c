#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "daemon/stats.h"

static char directory[] = "/tmp/llama-test-stats-XXXXXX";
static char path[64];

static int set_up(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/stats.json", directory);
	return 0;
}

static int tear_down(void **state)
{
	return file_remove_tree(AT_FDCWD, directory, NULL);
}

/* The number under a dotted key of what stats_print tells; -1: none. `group` may be NULL. */
static long long number(const struct stats *stats, const char *build_id, const char *group, const char *key)
{
	_cleanup_buf_ struct buf text = { 0 };
	stats_print(stats, build_id, &text);
	json_t *all = json_loads(buf_str(&text), 0, NULL);
	assert_non_null(all);
	json_t *in = all;
	char copy[64];
	snprintf(copy, sizeof(copy), "%s", group ? group : "");
	for (char *part = strtok(copy, "."); part; part = strtok(NULL, "."))
		in = json_object_get(in, part);
	json_t *value = json_object_get(in, key);
	long long n = json_is_integer(value) ? json_integer_value(value)
		      : json_is_real(value)  ? (long long)json_real_value(value)
					     : -1;
	json_decref(all);
	return n;
}

static void stats__begin_with_zeros_for_every_documented_key(void **state)
{
	struct stats *stats = stats_new("/nonexistent/stats.json");
#define X(field, key)                                                                                                  \
	{                                                                                                              \
		const char *dot = strrchr(key, '.');                                                                   \
		char group[32];                                                                                        \
		snprintf(group, sizeof(group), "%.*s", dot ? (int)(dot - key) : 0, key);                               \
		assert_int_equal(number(stats, NULL, group, dot ? dot + 1 : key), 0);                                  \
	}
	STATS_TABLE(X)
#undef X
	assert_true(number(stats, NULL, "daemon", "cpu_ms") >= 0);
	assert_true(number(stats, NULL, "daemon", "rss_bytes") > 0);
	stats_free(stats);
}

static void stats__tell_the_bill_in_its_unit(void **state)
{
	struct stats *stats = stats_new("/nonexistent/stats.json");
	stats_add(stats, NULL, lambda_billed_mb_ms, 3 * 1024 * 1000);
	assert_int_equal(number(stats, NULL, "lambda", "gb_seconds"), 3);
	stats_free(stats);
}

static void stats__count_for_everything_and_for_the_build(void **state)
{
	struct stats *stats = stats_new("/nonexistent/stats.json");
	stats_add(stats, "one", requests, 2);
	stats_add(stats, "two", requests, 3);
	stats_add(stats, "", requests, 5);
	stats_add(stats, NULL, hits_local, 7);
	stats_max_rss(stats, "one", 9);
	stats_max_rss(stats, "one", 4);
	assert_int_equal(number(stats, NULL, NULL, "requests"), 10);
	assert_int_equal(number(stats, "one", NULL, "requests"), 2);
	assert_int_equal(number(stats, "two", NULL, "requests"), 3);
	assert_int_equal(number(stats, "unknown", NULL, "requests"), 0);
	assert_int_equal(number(stats, NULL, "hits", "local"), 7);
	assert_int_equal(number(stats, "one", "engine", "max_rss_kb"), 9);
	stats_free(stats);
}

static void stats__reasons_add_up_to_the_total(void **state)
{
	struct stats *stats = stats_new("/nonexistent/stats.json");
	stats_add_local(stats, "one", &(struct reason){ REASON_LINK, NULL });
	stats_add_local(stats, "one", &(struct reason){ REASON_LINK, NULL });
	stats_add_local(stats, NULL, &(struct reason){ REASON_OPTION, "-fplugin=" });
	stats_add_local(stats, NULL, &(struct reason){ REASON_OPTION, "-f\xff\xfe\"odd\n" });
	assert_int_equal(number(stats, NULL, "local", "total"), 4);
	assert_int_equal(number(stats, NULL, "local.reasons", "link"), 2);
	assert_int_equal(number(stats, NULL, "local.reasons", "option:-fplugin="), 1);
	assert_int_equal(number(stats, NULL, "local.reasons", "option:-f??\"odd\n"), 1);
	assert_int_equal(number(stats, "one", "local.reasons", "link"), 2);
	assert_int_equal(number(stats, "one", "local", "total"), 2);
	stats_free(stats);
}

static void stats__are_there_again_after_a_restart(void **state)
{
	struct error err;
	struct stats *stats = stats_new(path);
	stats_add(stats, "one", executed_sandbox, 12);
	stats_add_local(stats, NULL, &(struct reason){ REASON_LINK, NULL });
	assert_int_equal(stats_save(stats, &err), 0);
	stats_free(stats);
	stats = stats_new(path);
	assert_int_equal(number(stats, NULL, "executed", "sandbox"), 12);
	assert_int_equal(number(stats, NULL, "local.reasons", "link"), 1);
	stats_add_local(stats, NULL, &(struct reason){ REASON_LINK, NULL });
	assert_int_equal(number(stats, NULL, "local.reasons", "link"), 2);
	stats_reset(stats);
	assert_int_equal(number(stats, NULL, "executed", "sandbox"), 0);
	assert_int_equal(number(stats, NULL, "local.reasons", "link"), -1);
	stats_free(stats);
}

static void stats__a_damaged_file_means_zeros(void **state)
{
	static const char *const texts[] = { "", "{", "[1]", "7",
		"{\"requests\": \"x\", \"hits\": 3, \"local\": {\"reasons\": [1], \"total\": -1}}",
		"{\"requests\": {}, \"local\": []}" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct error err;
		assert_int_equal(file_replace(path, slice_str(texts[i]), 0600, &err), 0);
		struct stats *stats = stats_new(path);
		assert_int_equal(number(stats, NULL, NULL, "requests"), 0);
		assert_int_equal(number(stats, NULL, "hits", "local"), 0);
		assert_int_equal(number(stats, NULL, "local", "total"), 0);
		stats_add(stats, NULL, requests, 1);
		assert_int_equal(stats_save(stats, &err), 0);
		stats_free(stats);
		stats = stats_new(path);
		assert_int_equal(number(stats, NULL, NULL, "requests"), 1);
		stats_free(stats);
	}
}

static void stats__remember_only_recent_builds(void **state)
{
	struct stats *stats = stats_new("/nonexistent/stats.json");
	char id[200];
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "build-%d", i);
		stats_add(stats, id, requests, 1);
	}
	assert_int_equal(number(stats, "build-0", NULL, "requests"), 0);
	assert_int_equal(number(stats, "build-99", NULL, "requests"), 1);
	assert_int_equal(number(stats, NULL, NULL, "requests"), 100);
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	stats_add(stats, id, requests, 1);
	stats_add(stats, id, requests, 1);
	assert_int_equal(number(stats, id, NULL, "requests"), 2);
	stats_free(stats);
}

static void stats__saving_into_nowhere_fails_with_the_path(void **state)
{
	struct error err;
	struct stats *stats = stats_new("/nonexistent/stats.json");
	assert_int_equal(stats_save(stats, &err), -1);
	assert_non_null(strstr(err.text, "/nonexistent/stats.json"));
	stats_free(stats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stats__begin_with_zeros_for_every_documented_key),
		cmocka_unit_test(stats__tell_the_bill_in_its_unit),
		cmocka_unit_test(stats__count_for_everything_and_for_the_build),
		cmocka_unit_test(stats__reasons_add_up_to_the_total),
		cmocka_unit_test(stats__are_there_again_after_a_restart),
		cmocka_unit_test(stats__a_damaged_file_means_zeros),
		cmocka_unit_test(stats__remember_only_recent_builds),
		cmocka_unit_test(stats__saving_into_nowhere_fails_with_the_path),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
