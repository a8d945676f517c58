#include "files/test-scratch.h"

#include "files/home.h"

static const struct digest *remember(struct store *home, const char *path, const char *text)
{
	static struct digest digest;
	digest = digest_of(slice_str(text));
	home_store_remember(home, &digest, path);
	return &digest;
}

static void home__a_file_is_served_from_where_it_was_seen(void **state)
{
	struct scratch *s = *state;
	struct store *home = home_store_new();
	const struct digest *digest = remember(home, scratch_write(s, "a", "content"), "content");
	_cleanup_buf_ struct buf bytes = { 0 };
	buf_append_str(&bytes, "before ");
	assert_int_equal(store_contains(home, digest), 0);
	assert_int_equal(store_get(home, digest, &bytes, NULL), 0);
	assert_string_equal(bytes.ptr, "before content");
	int fd = open(scratch_path(s, "copy"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(store_get_fd(home, digest, fd, NULL), 0);
	struct digest copy;
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(digest_fd(fd, &copy, NULL), 0);
	assert_true(digest_equal(digest, &copy));
	close(fd);
	store_free(home);
}

static void home__a_file_that_changed_is_a_miss_and_leaves_nothing(void **state)
{
	struct scratch *s = *state;
	struct store *home = home_store_new();
	const struct digest *digest = remember(home, scratch_write(s, "a", "content"), "content");
	scratch_write(s, "a", "CONTENT");
	_cleanup_buf_ struct buf bytes = { 0 };
	assert_int_equal(store_get(home, digest, &bytes, NULL), STORE_MISS);
	assert_int_equal(bytes.len, 0);
	int fd = open(scratch_path(s, "copy"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(store_get_fd(home, digest, fd, NULL), STORE_MISS);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	close(fd);
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(store_get_fd(home, digest, ends[1], NULL), STORE_MISS);
	close(ends[1]);
	char c;
	assert_int_equal(read(ends[0], &c, 1), 0);
	close(ends[0]);
	store_free(home);
}

static void home__what_vanished_or_became_something_else_is_a_miss(void **state)
{
	struct scratch *s = *state;
	struct store *home = home_store_new();
	const char *path = scratch_write(s, "a", "content");
	const struct digest *digest = remember(home, path, "content");
	_cleanup_buf_ struct buf bytes = { 0 };
	unlink(path);
	assert_int_equal(store_contains(home, digest), STORE_MISS);
	assert_int_equal(store_get(home, digest, &bytes, NULL), STORE_MISS);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(store_get(home, digest, &bytes, NULL), STORE_MISS);
	struct digest other = digest_of(slice_str("never seen"));
	assert_int_equal(store_get(home, &other, &bytes, NULL), STORE_MISS);
	home_store_remember(home, digest, scratch_write(s, "b", "content"));
	assert_int_equal(store_get(home, digest, &bytes, NULL), 0);
	store_free(home);
}

static void home__it_takes_no_blobs(void **state)
{
	struct store *home = home_store_new();
	struct digest digest = digest_of(slice_str("x"));
	struct error err = { 0 };
	assert_int_equal(store_put(home, &digest, slice_str("x"), &err), -1);
	assert_int_equal(err.code, ENOTSUP);
	store_free(home);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(home__a_file_is_served_from_where_it_was_seen),
		TEST(home__a_file_that_changed_is_a_miss_and_leaves_nothing),
		TEST(home__what_vanished_or_became_something_else_is_a_miss),
		TEST(home__it_takes_no_blobs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
