#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

static char directory[] = "/tmp/llama-test-file-XXXXXX";

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

static void file__replace_then_read_gives_the_bytes(void **state)
{
	(void)state;
	struct error err;
	_cleanup_buf_ struct buf bytes = { 0 };
	assert_int_equal(file_replace(below("a"), slice_str("first"), 0600, &err), 0);
	assert_int_equal(file_replace(below("a"), slice_of("s\0cond", 6), 0640, &err), 0);
	assert_int_equal(file_read(below("a"), 6, &bytes, &err), 0);
	assert_true(slice_equal(buf_slice(&bytes), slice_of("s\0cond", 6)));
	struct stat st;
	assert_int_equal(stat(below("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void file__reading_over_the_limit_is_an_error(void **state)
{
	(void)state;
	struct error err;
	_cleanup_buf_ struct buf bytes = { 0 };
	assert_int_equal(file_replace(below("long"), slice_str("123456"), 0600, &err), 0);
	assert_int_equal(file_read(below("long"), 5, &bytes, &err), -1);
	assert_int_equal(err.code, EFBIG);
}

static void file__a_failure_names_the_path(void **state)
{
	(void)state;
	struct error err;
	_cleanup_buf_ struct buf bytes = { 0 };
	assert_int_equal(file_read(below("absent"), 10, &bytes, &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_non_null(strstr(err.text, "absent"));
}

static void file__copying_copies_all(void **state)
{
	(void)state;
	struct error err;
	_cleanup_buf_ struct buf bytes = { 0 }, copy = { 0 };
	for (int i = 0; i < 100000; i++)
		buf_printf(&bytes, "%d\n", i);
	assert_int_equal(file_replace(below("from"), buf_slice(&bytes), 0600, &err), 0);
	_cleanup_close_ int from = open(below("from"), O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to = open(below("to"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(file_copy_fd(from, to, &err), 0);
	assert_int_equal(file_read(below("to"), 1 << 20, &copy, &err), 0);
	assert_true(slice_equal(buf_slice(&bytes), buf_slice(&copy)));
}

static void file__removing_a_tree_leaves_what_its_links_lead_to(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(file_make_dirs(below("tree/a/b"), 0700, &err), 0);
	assert_int_equal(file_make_dirs(below("outside"), 0700, &err), 0);
	assert_int_equal(file_replace(below("outside/kept"), slice_str("x"), 0600, &err), 0);
	assert_int_equal(symlink("../../outside", below("tree/a/link")), 0);
	assert_int_equal(chmod(below("tree/a/b"), 0500), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, below("tree"), &err), 0);
	assert_int_equal(access(below("tree"), F_OK), -1);
	assert_int_equal(access(below("outside/kept"), F_OK), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, below("tree"), &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file__replace_then_read_gives_the_bytes),
		cmocka_unit_test(file__reading_over_the_limit_is_an_error),
		cmocka_unit_test(file__a_failure_names_the_path),
		cmocka_unit_test(file__copying_copies_all),
		cmocka_unit_test(file__removing_a_tree_leaves_what_its_links_lead_to),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
