/* What every back end owes its callers: the same battery over each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "store/store_disk.h"
#include "store/store_memory.h"

struct fixture {
	char dir[64];
	struct store *store;
};

static int setup_memory(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->store = store_memory_new();
	*state = f;
	return 0;
}

static int setup_disk(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/test-store.XXXXXX");
	f->store = mkdtemp(f->dir) ? store_disk_new(f->dir, 0, NULL) : NULL;
	*state = f;
	return f->store ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	store_free(f->store);
	if (f->dir[0])
		file_remove_tree(AT_FDCWD, f->dir, NULL);
	free(f);
	return 0;
}

static struct digest put(struct store *store, struct slice bytes)
{
	struct digest digest = digest_of(bytes);
	assert_int_equal(store_put(store, &digest, bytes, NULL), 0);
	return digest;
}

static void assert_holds(struct store *store, const struct digest *digest, struct slice bytes)
{
	_cleanup_buf_ struct buf got = { 0 };
	assert_int_equal(store_get(store, digest, &got, NULL), 0);
	assert_true(slice_equal(buf_slice(&got), bytes));
}

static int temporary_file(struct slice bytes)
{
	char path[] = "/tmp/test-store-file.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(file_write_fd(fd, bytes, NULL), 0);
	return fd;
}

/* More than any back end handles in one piece. */
static struct slice large(void)
{
	static char bytes[300 * 1024];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + (i >> 8));
	return slice_of(bytes, sizeof(bytes));
}

static void store__gives_back_what_was_put(void **state)
{
	struct store *store = ((struct fixture *)*state)->store;
	struct digest abc = put(store, slice_str("abc")), nothing = put(store, slice_str("")),
		      all = put(store, large());
	assert_holds(store, &abc, slice_str("abc"));
	assert_holds(store, &nothing, slice_str(""));
	assert_holds(store, &all, large());
	assert_int_equal(store_contains(store, &abc), 0);
}

static void store__get_appends(void **state)
{
	struct store *store = ((struct fixture *)*state)->store;
	struct digest abc = put(store, slice_str("abc"));
	_cleanup_buf_ struct buf got = { 0 };
	buf_append_str(&got, "x");
	assert_int_equal(store_get(store, &abc, &got, NULL), 0);
	assert_string_equal(buf_str(&got), "xabc");
}

static void store__an_unknown_blob_is_a_miss(void **state)
{
	struct store *store = ((struct fixture *)*state)->store;
	struct digest digest = digest_of(slice_str("never put"));
	_cleanup_buf_ struct buf got = { 0 };
	int fd = temporary_file(slice_str(""));
	assert_int_equal(store_get(store, &digest, &got, NULL), STORE_MISS);
	assert_int_equal(store_get_fd(store, &digest, fd, NULL), STORE_MISS);
	assert_int_equal(store_contains(store, &digest), STORE_MISS);
	assert_int_equal(got.len, 0);
	close(fd);
}

static void store__the_size_is_part_of_the_name(void **state)
{
	struct store *store = ((struct fixture *)*state)->store;
	struct digest abc = put(store, slice_str("abc")), wrong = abc;
	wrong.size_bytes++;
	_cleanup_buf_ struct buf got = { 0 };
	assert_int_equal(store_get(store, &wrong, &got, NULL), STORE_MISS);
	assert_int_equal(store_contains(store, &wrong), STORE_MISS);
	assert_holds(store, &abc, slice_str("abc"));
}

static void store__putting_twice_changes_nothing(void **state)
{
	struct store *store = ((struct fixture *)*state)->store;
	put(store, slice_str("abc"));
	struct digest abc = put(store, slice_str("abc"));
	assert_holds(store, &abc, slice_str("abc"));
}

static void store__moves_blobs_between_files(void **state)
{
	struct store *store = ((struct fixture *)*state)->store;
	const struct slice contents[] = { slice_str(""), slice_str("small"), large() };
	for (size_t i = 0; i < 3; i++) {
		int from = temporary_file(contents[i]), to = temporary_file(slice_str(""));
		struct digest digest, expected = digest_of(contents[i]);
		assert_int_equal(store_put_fd(store, from, &digest, NULL), 0); /* the file stands at its end */
		assert_true(digest_equal(&digest, &expected));
		assert_holds(store, &digest, contents[i]);
		assert_int_equal(store_get_fd(store, &digest, to, NULL), 0);
		_cleanup_buf_ struct buf got = { 0 };
		lseek(to, 0, SEEK_SET);
		assert_int_equal(file_read_fd(to, 1 << 30, &got, NULL), 0);
		assert_true(slice_equal(buf_slice(&got), contents[i]));
		close(from);
		close(to);
	}
}

static void store__streams_into_a_pipe(void **state)
{
	struct store *store = ((struct fixture *)*state)->store;
	struct digest abc = put(store, slice_str("abc"));
	int fds[2];
	char bytes[8];
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(store_get_fd(store, &abc, fds[1], NULL), 0);
	assert_int_equal(read(fds[0], bytes, sizeof(bytes)), 3);
	close(fds[0]);
	close(fds[1]);
}

static void store__a_failing_write_is_an_error(void **state)
{
	struct store *store = ((struct fixture *)*state)->store;
	struct digest abc = put(store, slice_str("abc"));
	struct error err = { 0 };
	int fd = open("/dev/full", O_WRONLY);
	assert_int_equal(store_get_fd(store, &abc, fd, &err), -1);
	assert_int_equal(err.code, ENOSPC);
	close(fd);
}

struct hammer {
	struct store *store;
	unsigned seed;
	unsigned failures;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	for (int i = 0; i < 400; i++) {
		char text[32];
		int n = snprintf(text, sizeof(text), "blob %u", rand_r(&h->seed) % 50);
		struct slice bytes = slice_of(text, (size_t)n);
		struct digest digest = digest_of(bytes);
		_cleanup_buf_ struct buf got = { 0 };
		if (store_put(h->store, &digest, bytes, NULL) != 0 || store_get(h->store, &digest, &got, NULL) != 0 ||
			!slice_equal(buf_slice(&got), bytes))
			h->failures++;
	}
	return NULL;
}

static void store__serves_several_threads(void **state)
{
	struct hammer hammers[4];
	pthread_t threads[4];
	for (unsigned i = 0; i < 4; i++) {
		hammers[i] = (struct hammer){ ((struct fixture *)*state)->store, i + 1, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(hammers[i].failures, 0);
	}
}

#define OVER_EACH(test)                                                                                                \
	{ "memory: " #test, test, setup_memory, teardown, NULL },                                                      \
	{                                                                                                              \
		"disk: " #test, test, setup_disk, teardown, NULL                                                       \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVER_EACH(store__gives_back_what_was_put),
		OVER_EACH(store__get_appends),
		OVER_EACH(store__an_unknown_blob_is_a_miss),
		OVER_EACH(store__the_size_is_part_of_the_name),
		OVER_EACH(store__putting_twice_changes_nothing),
		OVER_EACH(store__moves_blobs_between_files),
		OVER_EACH(store__streams_into_a_pipe),
		OVER_EACH(store__a_failing_write_is_an_error),
		OVER_EACH(store__serves_several_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
