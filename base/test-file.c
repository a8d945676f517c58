#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
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

static void file__a_directory_that_others_may_write_to_is_told(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(file_make_dirs(below("own"), 0755, &err), 0);
	assert_int_equal(file_check_own_dir(below("own"), &err), 0);
	assert_int_equal(chmod(below("own"), 0775), 0);
	assert_int_equal(file_check_own_dir(below("own"), &err), -1);
	assert_non_null(strstr(err.text, "chmod go-w"));
	if (geteuid() != 0) {
		assert_int_equal(file_check_own_dir("/usr", &err), -1);
		assert_non_null(strstr(err.text, "user 0"));
	}
	assert_int_equal(file_check_own_dir("/dev/null", &err), -1);
	assert_int_equal(err.code, ENOTDIR);
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

static void file__a_replacement_that_fails_changes_nothing(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(file_make_dirs(below("taken/directory"), 0700, &err), 0);
	assert_int_equal(file_replace(below("taken/directory"), slice_str("x"), 0600, &err), -1);
	assert_int_equal(err.code, EISDIR);
	_cleanup_closedir_ DIR *dir = opendir(below("taken"));
	size_t n = 0;
	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	assert_int_equal(n, 1); /* no temporary is left */
}

/* Who reads while the file is replaced sees one whole version. */
static void file__an_open_file_survives_its_replacement(void **state)
{
	(void)state;
	struct error err;
	_cleanup_buf_ struct buf bytes = { 0 };
	assert_int_equal(file_replace(below("v"), slice_str("old"), 0600, &err), 0);
	_cleanup_close_ int fd = open(below("v"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_replace(below("v"), slice_str("newer"), 0600, &err), 0);
	assert_int_equal(file_read_fd(fd, 100, &bytes, &err), 0);
	assert_string_equal(buf_str(&bytes), "old");
}

static void file__reading_appends_also_from_what_has_no_size(void **state)
{
	(void)state;
	struct error err;
	_cleanup_buf_ struct buf bytes = { 0 };
	buf_append_str(&bytes, "> ");
	assert_int_equal(file_read("/proc/self/comm", 100, &bytes, &err), 0);
	assert_string_equal(buf_str(&bytes), "> test-file\n");
	assert_int_equal(file_read("/dev/zero", 100000, &bytes, &err), -1);
	assert_int_equal(err.code, EFBIG);
}

static void file__copying_goes_to_the_start(void **state)
{
	(void)state;
	struct error err;
	static const char *const contents[] = { "", "content" };
	for (size_t i = 0; i < 2; i++) {
		_cleanup_buf_ struct buf copy = { 0 };
		assert_int_equal(file_replace(below("small"), slice_str(contents[i]), 0600, &err), 0);
		_cleanup_close_ int from = open(below("small"), O_RDONLY | O_CLOEXEC);
		_cleanup_close_ int to = open(below("to-small"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		lseek(from, 3, SEEK_SET);
		assert_int_equal(file_copy_fd(from, to, &err), 0);
		assert_int_equal(file_read(below("to-small"), 100, &copy, &err), 0);
		assert_string_equal(buf_str(&copy), contents[i]);
	}
}

static void file__copying_works_into_a_pipe_and_from_proc(void **state)
{
	(void)state;
	struct error err;
	int ends[2];
	char bytes[100] = { 0 };
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	_cleanup_close_ int from = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_copy_fd(from, ends[1], &err), 0);
	assert_int_equal(read(ends[0], bytes, sizeof(bytes)), 10);
	assert_string_equal(bytes, "test-file\n");
	_cleanup_close_ int to = open(below("comm"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(file_copy_fd(from, to, &err), 0);
	assert_int_equal(pread(to, bytes, sizeof(bytes), 0), 10);
	close(ends[0]);
	close(ends[1]);
}

static void file__making_directories_makes_what_is_missing(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(file_make_dirs(below("x/y//z/"), 0700, &err), 0);
	assert_int_equal(file_make_dirs(below("x/y/z"), 0700, &err), 0);
	assert_int_equal(file_replace(below("x/file"), slice_str(""), 0600, &err), 0);
	assert_int_equal(file_make_dirs(below("x/file"), 0700, &err), -1);
	assert_int_equal(file_make_dirs(below("x/file/y"), 0700, &err), -1);
	assert_int_equal(err.code, ENOTDIR);
}

/* Root may do everything anyway: the test gives that up for a while. */
static void file__removing_a_tree_opens_closed_directories(void **state)
{
	(void)state;
	struct error err;
	bool root = geteuid() == 0;
	assert_int_equal(file_make_dirs(below("closed"), 0777, &err), 0);
	if (root) {
		assert_int_equal(chmod(directory, 0755) | chown(below("closed"), 65534, 65534), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	static const mode_t modes[] = { 0500, 0300, 0000 };
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(file_make_dirs(below("closed/a/b"), 0700, &err), 0);
		assert_int_equal(file_replace(below("closed/a/b/file"), slice_str("x"), 0400, &err), 0);
		assert_int_equal(symlink("b", below("closed/a/link")), 0);
		assert_int_equal(chmod(below("closed/a/b"), modes[i]) | chmod(below("closed/a"), modes[i]), 0);
		if (file_remove_tree(AT_FDCWD, below("closed/a"), &err) < 0)
			fail_msg("mode %o: %s", modes[i], err.text);
		assert_int_equal(access(below("closed/a"), F_OK), -1);
	}
	if (root)
		assert_int_equal(seteuid(0), 0);
}

static void file__removing_a_symlink_leaves_its_target(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(file_make_dirs(below("real"), 0700, &err), 0);
	assert_int_equal(symlink("real", below("alias")), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, below("alias"), &err), 0);
	assert_int_equal(access(below("real"), F_OK), 0);
	assert_int_equal(access(below("alias"), F_OK), -1);
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

/* One by which another user gets all. */
static bool set_default_acl(const char *path)
{
	struct {
		uint32_t version;
		struct {
			uint16_t tag, permissions;
			uint32_t id;
		} entries[5];
	} acl = { 2, { { 1, 7, ~0u }, { 2, 7, 1 }, { 4, 5, ~0u }, { 16, 7, ~0u }, { 32, 5, ~0u } } };
	return setxattr(path, "system.posix_acl_default", &acl, sizeof(acl), 0) == 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void file__create_follows_the_umask_or_the_default_acl(void **state)
{
	struct error err;
	mode_t before = umask(077);
	close(file_create(below("new"), 0666, 002, &err));
	assert_int_equal(mode_of(below("new")), 0664);
	assert_int_equal(file_create(below("new"), 0666, 002, &err), -1);
	assert_int_equal(mkdir(below("acl"), 0700), 0);
	bool acls = set_default_acl(below("acl"));
	if (acls) {
		close(file_create(below("acl/new"), 0666, 022, &err));
		assert_int_equal(mode_of(below("acl/new")), 0664);
	}
	umask(before);
	if (!acls)
		print_message("no ACLs on this file system\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file__replace_then_read_gives_the_bytes),
		cmocka_unit_test(file__a_directory_that_others_may_write_to_is_told),
		cmocka_unit_test(file__reading_over_the_limit_is_an_error),
		cmocka_unit_test(file__a_failure_names_the_path),
		cmocka_unit_test(file__copying_copies_all),
		cmocka_unit_test(file__a_replacement_that_fails_changes_nothing),
		cmocka_unit_test(file__an_open_file_survives_its_replacement),
		cmocka_unit_test(file__reading_appends_also_from_what_has_no_size),
		cmocka_unit_test(file__copying_goes_to_the_start),
		cmocka_unit_test(file__copying_works_into_a_pipe_and_from_proc),
		cmocka_unit_test(file__making_directories_makes_what_is_missing),
		cmocka_unit_test(file__removing_a_tree_opens_closed_directories),
		cmocka_unit_test(file__removing_a_symlink_leaves_its_target),
		cmocka_unit_test(file__removing_a_tree_leaves_what_its_links_lead_to),
		cmocka_unit_test(file__create_follows_the_umask_or_the_default_acl),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
