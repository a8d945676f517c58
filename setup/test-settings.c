#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "setup/settings.h"

static void expect_edit(
	const char *text, const char *section, const struct settings_entry *entries, size_t n, const char *expected)
{
	struct error err;
	_cleanup_buf_ struct buf edited = { 0 };
	assert_int_equal(settings_edit(slice_str(text), section, entries, n, &edited, &err), 0);
	assert_string_equal(buf_str(&edited), expected);
	/* Again changes nothing. */
	_cleanup_buf_ struct buf again = { 0 };
	assert_int_equal(settings_edit(buf_slice(&edited), section, entries, n, &again, &err), 0);
	assert_string_equal(buf_str(&again), expected);
}

static void expect_set(const char *text, const char *section, const char *key, const char *value, const char *expected)
{
	expect_edit(text, section, &(struct settings_entry){ key, value }, 1, expected);
}

static void settings__a_value_changes_in_its_place_with_its_layout_and_comment(void **state)
{
	(void)state;
	expect_set("# mine\n\njobs = 3\n  region:\tus-east-1   ; near\nlog = /l\n", NULL, "region", "eu-west-1",
		"# mine\n\njobs = 3\n  region:\teu-west-1   ; near\nlog = /l\n");
	expect_set("region=a", NULL, "region", "b", "region= b");
	expect_set("region = ; none\n", NULL, "region", "b", "region = b ; none\n");
	expect_set("region =\n", NULL, "region", "b", "region = b\n");
	expect_set("region = a\r\nx = 1\r\n", NULL, "region", "b", "region = b\r\nx = 1\r\n");
}

static void settings__the_line_that_counts_is_changed(void **state)
{
	(void)state;
	expect_set("region = a\nregion = b\n", NULL, "region", "c", "region = a\nregion = c\n");
	expect_set("region = a\n[llama]\nregion = b\n", NULL, "region", "c", "region = a\n[llama]\nregion = c\n");
	expect_set("#region = a\n[profile.x]\nregion = b\n", NULL, "region", "c",
		"region = c\n\n#region = a\n[profile.x]\nregion = b\n");
}

static void settings__a_new_key_goes_behind_the_last_of_its_section(void **state)
{
	(void)state;
	expect_set("", NULL, "region", "a", "region = a\n");
	expect_set("jobs = 3", NULL, "region", "a", "jobs = 3\nregion = a\n");
	expect_set("# mine\n\n[profile.x]\nregion = b\n", NULL, "region", "a",
		"# mine\n\nregion = a\n\n[profile.x]\nregion = b\n");
	expect_set("jobs = 3\n\n# of x\n[profile.x]\n\n[other]\n", NULL, "region", "a",
		"jobs = 3\nregion = a\n\n# of x\n[profile.x]\n\n[other]\n");
	expect_set("[profile.x]\nregion = b\n\n[other]\n", "profile.x", "bucket", "a",
		"[profile.x]\nregion = b\nbucket = a\n\n[other]\n");
	expect_set("[profile.x]\n[other]\n", "profile.x", "bucket", "a", "[profile.x]\nbucket = a\n\n[other]\n");
	expect_set("\xEF\xBB\xBF[other]\n", NULL, "region", "a", "\xEF\xBB\xBFregion = a\n\n[other]\n");
}

static void settings__a_new_section_goes_to_the_end(void **state)
{
	(void)state;
	static const struct settings_entry entries[] = { { "engine", "lambda" }, { "bucket", "b" },
		{ "profile", NULL } };
	expect_edit("", "profile.x", entries, 3, "[profile.x]\nengine = lambda\nbucket = b\n");
	expect_edit("jobs = 3", "profile.x", entries, 3, "jobs = 3\n\n[profile.x]\nengine = lambda\nbucket = b\n");
	expect_edit("bucket = a\n", NULL, entries, 3, "bucket = b\nengine = lambda\n");
}

static void settings__a_removed_key_leaves_wherever_it_is_in_its_section(void **state)
{
	(void)state;
	expect_set("region = a\n# c\nregion = b\n[llama]\nregion = c\n[profile.x]\nregion = d\n", NULL, "region", NULL,
		"# c\n[llama]\n[profile.x]\nregion = d\n");
	expect_set("region = a\n[profile.x]\nregion = d", "profile.x", "region", NULL, "region = a\n[profile.x]\n");
	expect_set("region = a\n", "profile.x", "region", NULL, "region = a\n");
}

static void settings__what_a_line_cannot_hold_is_refused(void **state)
{
	(void)state;
	char long_value[300];
	memset(long_value, 'a', sizeof(long_value));
	long_value[299] = '\0';
	const char *const values[] = { "", "a\nb", " a", "a ", "a ;b", ";b", long_value };
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		struct error err;
		_cleanup_buf_ struct buf edited = { 0 };
		struct settings_entry entry = { "log", values[i] };
		if (settings_edit(slice_str("log = /a\n"), NULL, &entry, 1, &edited, &err) == 0)
			fail_msg("accepted: %s", values[i]);
		assert_int_equal(edited.len, 0);
	}
}

static void expect_removed(const char *text, const char *expected)
{
	_cleanup_buf_ struct buf edited = { 0 };
	settings_edit_remove_section(slice_str(text), "profile.x", &edited);
	assert_string_equal(buf_str(&edited), expected);
}

static void settings__a_section_leaves_with_its_comments_and_not_with_others(void **state)
{
	(void)state;
	expect_removed("", "");
	expect_removed("jobs = 3\n[profile.xy]\na = b\n", "jobs = 3\n[profile.xy]\na = b\n");
	expect_removed("jobs = 3\n\n[profile.x]\n# c\na = b\n\n# of y\n[profile.y]\na = c\n",
		"jobs = 3\n\n# of y\n[profile.y]\na = c\n");
	expect_removed("[profile.x]\na = b\n[y]\nc = d\n[profile.x]\ne = f\n# g", "[y]\nc = d\n");
}

static char directory[] = "/tmp/llama-test-settings-XXXXXX";

static const char *below(const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	struct error err;
	return file_remove_tree(AT_FDCWD, directory, &err);
}

static void expect_file(const char *name, mode_t mode, const char *expected)
{
	struct error err;
	struct stat st;
	_cleanup_buf_ struct buf text = { 0 };
	assert_int_equal(file_read(below(name), 1000, &text, &err), 0);
	assert_string_equal(buf_str(&text), expected);
	assert_int_equal(stat(below(name), &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

static const struct settings_entry region = { "region", "eu-west-1" };

static void settings__a_file_is_made_private_with_its_directories(void **state)
{
	(void)state;
	struct error err;
	struct stat st;
	assert_int_equal(settings_write(below("a/b/config.ini"), NULL, &region, 1, &err), 0);
	expect_file("a/b/config.ini", 0600, "region = eu-west-1\n");
	assert_int_equal(stat(below("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void settings__removing_from_nothing_makes_nothing(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(
		settings_write(below("absent/f"), NULL, &(struct settings_entry){ "region", NULL }, 1, &err), 0);
	assert_int_equal(settings_remove_section(below("absent/f"), "profile.x", &err), 0);
	assert_int_equal(access(below("absent"), F_OK), -1);
}

static void settings__a_symlink_is_followed_and_the_mode_kept(void **state)
{
	(void)state;
	struct error err;
	struct stat st;
	assert_int_equal(file_replace(below("real"), slice_str("jobs = 3\n[profile.x]\na = b\n"), 0640, &err), 0);
	assert_int_equal(symlink("real", below("link")), 0);
	assert_int_equal(settings_write(below("link"), NULL, &region, 1, &err), 0);
	assert_int_equal(settings_remove_section(below("link"), "profile.x", &err), 0);
	expect_file("real", 0640, "jobs = 3\nregion = eu-west-1\n");
	assert_int_equal(lstat(below("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));

	assert_int_equal(symlink("nowhere", below("dangling")), 0);
	assert_int_equal(settings_write(below("dangling"), NULL, &region, 1, &err), -1);
	assert_non_null(strstr(err.text, "dangling"));
}

static void settings__a_file_that_cannot_be_changed_stays_and_is_named(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(settings_write(below(""), NULL, &region, 1, &err), -1);
	assert_non_null(strstr(err.text, directory));
	assert_int_equal(file_replace(below("f"), slice_str("jobs = 3\n"), 0600, &err), 0);
	assert_int_equal(settings_write(below("f"), NULL, &(struct settings_entry){ "log", "a\nb" }, 1, &err), -1);
	assert_non_null(strstr(err.text, below("f")));
	expect_file("f", 0600, "jobs = 3\n");
	assert_int_equal(settings_write(below("f/g"), NULL, &region, 1, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings__a_value_changes_in_its_place_with_its_layout_and_comment),
		cmocka_unit_test(settings__the_line_that_counts_is_changed),
		cmocka_unit_test(settings__a_new_key_goes_behind_the_last_of_its_section),
		cmocka_unit_test(settings__a_new_section_goes_to_the_end),
		cmocka_unit_test(settings__a_removed_key_leaves_wherever_it_is_in_its_section),
		cmocka_unit_test(settings__what_a_line_cannot_hold_is_refused),
		cmocka_unit_test(settings__a_section_leaves_with_its_comments_and_not_with_others),
		cmocka_unit_test(settings__a_file_is_made_private_with_its_directories),
		cmocka_unit_test(settings__removing_from_nothing_makes_nothing),
		cmocka_unit_test(settings__a_symlink_is_followed_and_the_mode_kept),
		cmocka_unit_test(settings__a_file_that_cannot_be_changed_stays_and_is_named),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
