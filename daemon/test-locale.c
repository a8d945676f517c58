#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "daemon/locale.h"

static struct arena arena = ARENA_INIT;
static struct view *view;

static int set_up(void **state)
{
	view = view_new();
	return 0;
}

static int tear_down(void **state)
{
	view_free(view);
	arena_deinit(&arena);
	return 0;
}

static const char *const *files(const char *a, const char *b)
{
	return locale_files(view, view_arrive(view), (const char *const[]){ a, b, NULL }, &arena);
}

static size_t count(const char *const *paths)
{
	size_t n = 0;
	while (paths[n])
		n++;
	return n;
}

static bool has(const char *const *paths, const char *path)
{
	for (size_t i = 0; paths[i]; i++)
		if (strcmp(paths[i], path) == 0)
			return true;
	return false;
}

static void locale__the_plain_one_reads_nothing(void **state)
{
	assert_int_equal(count(files(NULL, NULL)), 0);
	assert_int_equal(count(files("LANG=C", "LC_ALL=POSIX")), 0);
	assert_int_equal(count(files("LANG=", "HOME=/de_DE.UTF-8")), 0);
	assert_int_equal(count(files("LANGUAGES=de", "MY_LC_ALL=de_DE")), 0);
}

static void locale__every_path_is_there_and_only_once(void **state)
{
	const char *const *paths = files("LC_ALL=de_DE.UTF-8", "LANGUAGE=de:fr_FR:en");
	assert_non_null(paths);
	for (size_t i = 0; paths[i]; i++) {
		assert_int_equal(paths[i][0], '/');
		assert_int_equal(access(paths[i], F_OK), 0);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(paths[i], paths[k]);
	}
}

static void locale__utf8_reads_its_directory(void **state)
{
	if (access("/usr/lib/locale/C.utf8/LC_CTYPE", F_OK) < 0)
		skip();
	const char *const *paths = files("LC_ALL=C.UTF-8", NULL);
	assert_true(has(paths, "/usr/lib/locale/C.utf8/LC_CTYPE"));
	assert_true(has(paths, "/usr/lib/locale/C.utf8/LC_MESSAGES/SYS_LC_MESSAGES"));
	assert_false(has(paths, "/usr/lib/locale/locale-archive"));
}

static void locale__a_language_reads_its_catalogues(void **state)
{
	if (access("/usr/share/locale/de/LC_MESSAGES/libc.mo", F_OK) < 0)
		skip();
	static const char *const names[] = { "LC_MESSAGES=de_DE.UTF-8", "LANG=de_DE@euro", "LANGUAGE=xx:de",
		"LANG=de" };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_true(has(files(names[i], NULL), "/usr/share/locale/de/LC_MESSAGES/libc.mo"));
}

static void locale__a_name_with_slashes_leads_nowhere(void **state)
{
	const char *const *paths = files("LANGUAGE=../../../etc", "LC_ALL=C");
	for (size_t i = 0; paths[i]; i++)
		assert_null(strstr(paths[i], ".."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(locale__the_plain_one_reads_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(locale__every_path_is_there_and_only_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(locale__utf8_reads_its_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(locale__a_language_reads_its_catalogues, set_up, tear_down),
		cmocka_unit_test_setup_teardown(locale__a_name_with_slashes_leads_nowhere, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
