#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exec/known.h"

static struct digest identity;
static struct buf file;
static struct known_record seen[8];
static size_t n_seen;

static struct digest named(const char *name)
{
	return digest_of(slice_str(name));
}

static int set_up(void **state)
{
	identity = named("bucket");
	n_seen = 0;
	known_begin(&identity, &file);
	for (int i = 0; i < 3; i++) {
		struct digest blobs[2] = { named("one"), named("two") };
		char hashes[2 * DIGEST_HASH_BYTES];
		memcpy(hashes, blobs[0].hash, DIGEST_HASH_BYTES);
		memcpy(hashes + DIGEST_HASH_BYTES, blobs[1].hash, DIGEST_HASH_BYTES);
		struct known_record record = {
			.kind = (enum known_kind)(KNOWN_PACK + i),
			.size_bytes = 100 + i,
			.stored_s = 1000 + i,
			.blobs = hashes,
			.n_blobs = i == 0 ? 2 : 0,
		};
		memcpy(record.hash, named("object").hash, DIGEST_HASH_BYTES);
		known_add(&record, &file);
	}
	return 0;
}

static int tear_down(void **state)
{
	buf_deinit(&file);
	return 0;
}

static void see(void *ctx, const struct known_record *record)
{
	seen[n_seen++] = *record;
}

static void known__gives_back_what_was_added(void **state)
{
	assert_int_equal(known_parse(buf_slice(&file), &identity, see, NULL), file.len);
	assert_int_equal(n_seen, 3);
	assert_int_equal(seen[0].kind, KNOWN_PACK);
	assert_int_equal(seen[0].n_blobs, 2);
	assert_memory_equal(seen[0].blobs + DIGEST_HASH_BYTES, named("two").hash, DIGEST_HASH_BYTES);
	assert_int_equal(seen[1].kind, KNOWN_ALONE);
	assert_int_equal(seen[1].size_bytes, 101);
	assert_int_equal(seen[2].kind, KNOWN_GONE);
	assert_int_equal(seen[2].stored_s, 1002);
}

static void known__another_buckets_file_is_as_none(void **state)
{
	struct digest other = named("another bucket");
	assert_int_equal(known_parse(buf_slice(&file), &other, see, NULL), 0);
	assert_int_equal(known_parse(slice_str(""), &identity, see, NULL), 0);
	assert_int_equal(n_seen, 0);
}

static void known__a_file_cut_anywhere_keeps_its_whole_records(void **state)
{
	size_t previous = 0;
	for (size_t length = 0; length <= file.len; length++) {
		n_seen = 0;
		assert_true(known_parse(slice_of(file.ptr, length), &identity, see, NULL) <= length);
		assert_in_range(n_seen, previous, previous + 1);
		previous = n_seen;
	}
	assert_int_equal(previous, 3);
}

static void known__a_flipped_bit_ends_the_file(void **state)
{
	for (size_t i = 0; i < file.len; i++) {
		n_seen = 0;
		file.ptr[i] ^= 4;
		size_t good = known_parse(buf_slice(&file), &identity, see, NULL);
		assert_true(good <= i);
		assert_true(n_seen < 3);
		file.ptr[i] ^= 4;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(known__gives_back_what_was_added, set_up, tear_down),
		cmocka_unit_test_setup_teardown(known__another_buckets_file_is_as_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(known__a_file_cut_anywhere_keeps_its_whole_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(known__a_flipped_bit_ends_the_file, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
