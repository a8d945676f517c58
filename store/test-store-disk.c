#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "store/store_disk.h"

struct fixture {
	char parent[64];
	char dir[80];
	struct store *store;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->parent, "/tmp/test-store-disk.XXXXXX");
	if (!mkdtemp(f->parent))
		return -1;
	snprintf(f->dir, sizeof(f->dir), "%s/cas", f->parent);
	f->store = store_disk_new(f->dir, 0, NULL);
	*state = f;
	return f->store ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	store_free(f->store);
	file_remove_tree(AT_FDCWD, f->parent, NULL);
	free(f);
	return 0;
}

static void reopen(struct fixture *f, int64_t limit_bytes)
{
	store_free(f->store);
	f->store = store_disk_new(f->dir, limit_bytes, NULL);
	assert_non_null(f->store);
}

static struct digest put(struct fixture *f, const char *text)
{
	struct digest digest = digest_of(slice_str(text));
	assert_int_equal(store_put(f->store, &digest, slice_str(text), NULL), 0);
	return digest;
}

static const char *blob_path(struct fixture *f, const struct digest *digest)
{
	static char path[256];
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(digest, hex);
	snprintf(path, sizeof(path), "%s/%.2s/%s", f->dir, hex, hex + 2);
	return path;
}

static int get(struct fixture *f, const struct digest *digest)
{
	_cleanup_buf_ struct buf got = { 0 };
	int r = store_get(f->store, digest, &got, NULL);
	if (r == 0) {
		struct digest actual = digest_of(buf_slice(&got));
		assert_true(digest_equal(&actual, digest));
	}
	return r;
}

static void overwrite(const char *path, const char *text)
{
	assert_int_equal(chmod(path, 0600), 0);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(file_write_fd(fd, slice_str(text), NULL), 0);
}

static size_t count_files(const char *dir)
{
	char command[256];
	snprintf(command, sizeof(command), "find %s -type f | wc -l", dir);
	FILE *f = popen(command, "r");
	size_t n = 0;
	assert_int_equal(fscanf(f, "%zu", &n), 1);
	pclose(f);
	return n;
}

static void store_disk__blobs_are_plain_read_only_files(void **state)
{
	struct fixture *f = *state;
	struct digest abc = put(f, "abc");
	struct stat st;
	assert_int_equal(stat(blob_path(f, &abc), &st), 0);
	assert_int_equal(st.st_mode & 0222, 0);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(count_files(f->dir), 1);
	assert_int_equal(stat(f->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void store_disk__survives_a_restart(void **state)
{
	struct fixture *f = *state;
	struct digest abc = put(f, "abc");
	reopen(f, 0);
	assert_int_equal(store_disk_size(f->store), 3);
	assert_int_equal(get(f, &abc), 0);
	assert_int_equal(get(f, &abc), 0);
}

static void store_disk__a_corrupted_blob_is_removed_and_missed(void **state)
{
	struct fixture *f = *state;
	static const char *const damages[] = { "abX", "ab", "abcd", "" };
	for (size_t i = 0; i < 4; i++) {
		struct digest abc = put(f, "abc");
		overwrite(blob_path(f, &abc), damages[i]);
		assert_int_equal(get(f, &abc), STORE_MISS);
		assert_int_equal(access(blob_path(f, &abc), F_OK), -1);
		assert_int_equal(store_disk_size(f->store), 0);
		put(f, "abc");
		assert_int_equal(get(f, &abc), 0);
	}
}

static void store_disk__damage_done_while_away_is_noticed(void **state)
{
	struct fixture *f = *state;
	static const char *const damages[] = { "abX", "ab", "" };
	for (size_t i = 0; i < 3; i++) {
		struct digest abc = put(f, "abc");
		overwrite(blob_path(f, &abc), damages[i]);
		reopen(f, 0);
		assert_int_equal(get(f, &abc), STORE_MISS);
		put(f, "abc");
		assert_int_equal(get(f, &abc), 0);
		assert_int_equal(store_disk_size(f->store), 3);
	}
}

static void store_disk__a_put_repairs_damage(void **state)
{
	struct fixture *f = *state;
	struct digest abc = put(f, "abc");
	overwrite(blob_path(f, &abc), "abX");
	put(f, "abc");
	assert_int_equal(get(f, &abc), 0);
}

static void store_disk__touching_a_blob_costs_a_hash_only(void **state)
{
	struct fixture *f = *state;
	struct digest abc = put(f, "abc");
	assert_int_equal(utimensat(AT_FDCWD, blob_path(f, &abc), (struct timespec[]){ { 1, 0 }, { 1, 0 } }, 0), 0);
	assert_int_equal(get(f, &abc), 0);
	assert_int_equal(get(f, &abc), 0);
}

static void store_disk__a_symlink_in_place_of_a_blob_is_not_followed(void **state)
{
	struct fixture *f = *state;
	struct digest abc = put(f, "abc");
	char elsewhere[128];
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", f->parent);
	assert_int_equal(file_replace(elsewhere, slice_str("abc"), 0600, NULL), 0);
	assert_int_equal(unlink(blob_path(f, &abc)), 0);
	assert_int_equal(symlink(elsewhere, blob_path(f, &abc)), 0);
	assert_int_equal(get(f, &abc), STORE_MISS);
	put(f, "abc");
	assert_int_equal(get(f, &abc), 0);
}

static void store_disk__a_deleted_directory_is_made_again(void **state)
{
	struct fixture *f = *state;
	struct digest abc = put(f, "abc"), other;
	assert_int_equal(file_remove_tree(AT_FDCWD, f->dir, NULL), 0);
	assert_int_equal(get(f, &abc), STORE_MISS);
	assert_int_equal(store_disk_size(f->store), 0);
	put(f, "abc");
	assert_int_equal(get(f, &abc), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, f->dir, NULL), 0);
	put(f, "abc"); /* not believed to be there still */
	other = put(f, "other");
	assert_int_equal(get(f, &abc), 0);
	assert_int_equal(get(f, &other), 0);
}

static void store_disk__the_least_recently_used_goes_first(void **state)
{
	struct fixture *f = *state;
	reopen(f, 12);
	struct digest a = put(f, "aaaa"), b = put(f, "bbbb"), c = put(f, "cccc");
	assert_int_equal(get(f, &a), 0);
	struct digest d = put(f, "dddd");
	assert_int_equal(store_disk_size(f->store), 12);
	assert_int_equal(get(f, &b), STORE_MISS);
	assert_int_equal(get(f, &a), 0);
	assert_int_equal(get(f, &c), 0);
	assert_int_equal(get(f, &d), 0);
	assert_int_equal(count_files(f->dir), 3);
	assert_int_equal(store_disk_limit(f->store), 12);
}

static void store_disk__a_restart_knows_the_order_from_the_mtimes(void **state)
{
	struct fixture *f = *state;
	struct digest a = put(f, "aaaa"), b = put(f, "bbbb"), c = put(f, "cccc");
	const struct digest *digests[] = { &b, &c, &a };
	for (time_t i = 0; i < 3; i++)
		utimensat(
			AT_FDCWD, blob_path(f, digests[i]), (struct timespec[]){ { 1000 + i, 0 }, { 1000 + i, 0 } }, 0);
	reopen(f, 8);
	assert_int_equal(get(f, &b), STORE_MISS);
	assert_int_equal(get(f, &c), 0);
	struct stat st;
	stat(blob_path(f, &c), &st);
	assert_true(st.st_mtime > 2000); /* renewed by the hit */
	assert_int_equal(get(f, &c), 0); /* and still trusted */
}

static void store_disk__a_blob_over_the_limit_is_kept_until_the_next(void **state)
{
	struct fixture *f = *state;
	reopen(f, 4);
	struct digest large = put(f, "larger than four");
	assert_int_equal(get(f, &large), 0);
	struct digest a = put(f, "aaaa");
	assert_int_equal(get(f, &large), STORE_MISS);
	assert_int_equal(get(f, &a), 0);
}

static void store_disk__clear_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct digest a = put(f, "aaaa");
	put(f, "bbbb");
	assert_int_equal(store_disk_clear(f->store, NULL), 0);
	assert_int_equal(store_disk_size(f->store), 0);
	assert_int_equal(get(f, &a), STORE_MISS);
	assert_int_equal(count_files(f->dir), 0);
}

static void store_disk__takes_files(void **state)
{
	struct fixture *f = *state;
	char path[128];
	struct digest digest, abc = digest_of(slice_str("abc"));
	snprintf(path, sizeof(path), "%s/output", f->parent);
	for (int i = 0; i < 2; i++) { /* new, then known */
		assert_int_equal(file_replace(path, slice_str("abc"), 0755, NULL), 0);
		assert_int_equal(store_disk_take_file(f->store, path, &digest, NULL), 0);
		assert_true(digest_equal(&digest, &abc));
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(get(f, &abc), 0);
	}
	assert_int_equal(count_files(f->dir), 1);
}

static void store_disk__takes_only_files_that_are_nobody_elses(void **state)
{
	struct fixture *f = *state;
	char path[128], other[128];
	struct digest digest;
	snprintf(path, sizeof(path), "%s/output", f->parent);
	snprintf(other, sizeof(other), "%s/other", f->parent);
	assert_int_equal(file_replace(path, slice_str("abc"), 0600, NULL), 0);
	assert_int_equal(link(path, other), 0);
	assert_int_equal(store_disk_take_file(f->store, path, &digest, NULL), -1);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(symlink(path, other), 0);
	assert_int_equal(store_disk_take_file(f->store, other, &digest, NULL), -1);
	assert_int_equal(store_disk_take_file(f->store, f->parent, &digest, NULL), -1);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(count_files(f->dir), 0);
}

static void store_disk__a_full_disk_leaves_nothing_half_written(void **state)
{
	struct fixture *f = *state;
	size_t size = 100 * 1024;
	char *bytes = calloc(1, size);
	struct digest digest = digest_of(slice_of(bytes, size));
	struct rlimit old, small;
	struct error err = { 0 };
	/* A limit on the size of files fails in the middle of a write, as a full disk does. */
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 10 * 1024;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	int r = store_put(f->store, &digest, slice_of(bytes, size), &err);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(r, -1);
	assert_int_equal(err.code, EFBIG);
	assert_int_equal(count_files(f->dir), 0);
	assert_int_equal(store_disk_size(f->store), 0);
	assert_int_equal(get(f, &digest), STORE_MISS);
	free(bytes);
}

static void store_disk__an_impossible_directory_is_refused(void **state)
{
	struct error err;
	(void)state;
	assert_null(store_disk_new("/dev/null/cas", 0, &err));
	assert_non_null(strstr(err.text, "/dev/null"));
}

static void store_disk__foreign_files_are_left_alone(void **state)
{
	struct fixture *f = *state;
	struct digest abc = put(f, "abc");
	char path[256];
	snprintf(path, sizeof(path), "%s/ba/note", f->dir);
	assert_int_equal(file_replace(path, slice_str("hello"), 0600, NULL), 0);
	snprintf(path, sizeof(path), "%s/README", f->dir);
	assert_int_equal(file_replace(path, slice_str("hello"), 0600, NULL), 0);
	reopen(f, 0);
	assert_int_equal(store_disk_size(f->store), 3);
	assert_int_equal(get(f, &abc), 0);
	assert_int_equal(store_disk_clear(f->store, NULL), 0);
	assert_int_equal(count_files(f->dir), 2);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(store_disk__blobs_are_plain_read_only_files),
		TEST(store_disk__survives_a_restart),
		TEST(store_disk__a_corrupted_blob_is_removed_and_missed),
		TEST(store_disk__damage_done_while_away_is_noticed),
		TEST(store_disk__a_put_repairs_damage),
		TEST(store_disk__touching_a_blob_costs_a_hash_only),
		TEST(store_disk__a_symlink_in_place_of_a_blob_is_not_followed),
		TEST(store_disk__a_deleted_directory_is_made_again),
		TEST(store_disk__the_least_recently_used_goes_first),
		TEST(store_disk__a_restart_knows_the_order_from_the_mtimes),
		TEST(store_disk__a_blob_over_the_limit_is_kept_until_the_next),
		TEST(store_disk__clear_leaves_nothing),
		TEST(store_disk__takes_files),
		TEST(store_disk__takes_only_files_that_are_nobody_elses),
		TEST(store_disk__a_full_disk_leaves_nothing_half_written),
		TEST(store_disk__an_impossible_directory_is_refused),
		TEST(store_disk__foreign_files_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
