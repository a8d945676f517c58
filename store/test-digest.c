#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "store/digest.h"

static void assert_hex(const struct digest *digest, const char *expected)
{
	char hex[DIGEST_HEX_CHARS + 1];
	digest_hex(digest, hex);
	assert_string_equal(hex, expected);
}

/* FIPS 180-4's examples. */
static const char EMPTY[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char ABC[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void digest__is_sha256_and_size(void **state)
{
	(void)state;
	struct digest digest = digest_of(slice_of(NULL, 0));
	assert_hex(&digest, EMPTY);
	assert_int_equal(digest.size_bytes, 0);
	digest = digest_of(slice_str("abc"));
	assert_hex(&digest, ABC);
	assert_int_equal(digest.size_bytes, 3);
}

static void digest__pieces_give_the_whole(void **state)
{
	(void)state;
	struct digest digest;
	struct digest_hash *hash = digest_hash_new();
	digest_hash_add(hash, slice_str("a"));
	digest_hash_add(hash, slice_of(NULL, 0));
	digest_hash_add(hash, slice_str("bc"));
	digest_hash_end(hash, &digest);
	assert_hex(&digest, ABC);
	assert_int_equal(digest.size_bytes, 3);
	digest_hash_end(digest_hash_new(), NULL);
}

static void digest__hex_is_read_back_and_nothing_else(void **state)
{
	(void)state;
	struct digest abc = digest_of(slice_str("abc")), parsed = { .size_bytes = 7 };
	assert_int_equal(digest_parse_hex(slice_str(ABC), &parsed), 0);
	assert_memory_equal(parsed.hash, abc.hash, DIGEST_HASH_BYTES);
	assert_int_equal(parsed.size_bytes, 7);
	assert_int_equal(digest_parse_hex(slice_of(ABC, 63), &parsed), -1);
	assert_int_equal(
		digest_parse_hex(
			slice_of("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", 64), &parsed),
		-1);
	assert_int_equal(
		digest_parse_hex(
			slice_of("ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 64), &parsed),
		-1);
	assert_memory_equal(parsed.hash, abc.hash, DIGEST_HASH_BYTES);
}

static void digest__a_file_is_hashed_from_where_it_stands(void **state)
{
	(void)state;
	char path[] = "/tmp/test-digest.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	struct digest digest, expected;
	size_t size = 200001; /* several reads */
	char *bytes = calloc(1, size);
	assert_int_equal(file_write_fd(fd, slice_str("xabc"), NULL), 0);
	lseek(fd, 1, SEEK_SET);
	assert_int_equal(digest_fd(fd, &digest, NULL), 0);
	assert_hex(&digest, ABC);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(digest_fd(fd, &digest, NULL), 0);
	expected = digest_of(slice_of(bytes, size));
	assert_true(digest_equal(&digest, &expected));
	free(bytes);
	close(fd);
	struct error err;
	assert_int_equal(digest_fd(fd, &digest, &err), -1);
	assert_int_equal(err.code, EBADF);
}

static void *hash_often(void *arg)
{
	struct digest *ret = arg;
	for (int i = 0; i < 1000; i++)
		*ret = digest_of(slice_str("abc"));
	return NULL;
}

static void digest__threads_dont_disturb_each_other(void **state)
{
	(void)state;
	pthread_t threads[4];
	struct digest digests[4];
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hash_often, &digests[i]), 0);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_hex(&digests[i], ABC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digest__is_sha256_and_size),
		cmocka_unit_test(digest__pieces_give_the_whole),
		cmocka_unit_test(digest__hex_is_read_back_and_nothing_else),
		cmocka_unit_test(digest__a_file_is_hashed_from_where_it_stands),
		cmocka_unit_test(digest__threads_dont_disturb_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
