#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "runtime/packs.h"
#include "runtime/test-bucket.h"
#include "store/pack.h"

enum { BLOBS = 2000 };

static struct fixture {
	struct test_bucket *bucket;
	struct packs *packs;
	struct digest digests[BLOBS];
} f;

static int set_up(void **state)
{
	f = (struct fixture){ .bucket = test_bucket_new(), .packs = packs_new() };
	return 0;
}

static int tear_down(void **state)
{
	packs_free(f.packs);
	bucket_free(&f.bucket->bucket);
	return 0;
}

/* Blob `i`: text that hardly compresses, `size` bytes of it. */
static struct digest blob(unsigned i, size_t size, struct buf *ret)
{
	uint64_t x = 88172645463325252ull + i;
	for (size_t n = 0; n < size; n++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		buf_append_char(ret, (char)x);
	}
	return digest_of(buf_slice(ret));
}

/* Put a pack of the blobs [from, to), each of `size` bytes; their digests are in f.digests. */
static struct pack_name put_pack(unsigned from, unsigned to, size_t size)
{
	struct pack_writer *writer = pack_writer_new();
	_cleanup_buf_ struct buf pack = { 0 };
	for (unsigned i = from; i < to; i++) {
		_cleanup_buf_ struct buf bytes = { 0 };
		f.digests[i] = blob(i, size, &bytes);
		pack_writer_add(writer, &f.digests[i], buf_slice(&bytes));
	}
	pack_writer_end(writer, &pack);
	pack_writer_free(writer);
	struct digest digest = digest_of(buf_slice(&pack));
	char key[128];
	pack_key(digest.hash, key);
	test_bucket_put(f.bucket, key, buf_slice(&pack));
	struct pack_name name = { .size_bytes = digest.size_bytes };
	memcpy(name.hash, digest.hash, sizeof(name.hash));
	return name;
}

static void use(const struct pack_name *names, size_t n)
{
	struct error err;
	if (packs_use(f.packs, &f.bucket->bucket, names, n, &err) < 0)
		fail_msg("%s", err.text);
}

/* How many of [from, to) are missing after a fetch. */
static size_t fetch(unsigned from, unsigned to)
{
	struct digest missing[BLOBS];
	size_t n;
	struct error err;
	if (packs_fetch(f.packs, f.digests + from, to - from, missing, &n, &err) < 0)
		fail_msg("%s", err.text);
	return n;
}

static void expect_blob(unsigned i, size_t size, int outcome)
{
	_cleanup_buf_ struct buf bytes = { 0 };
	struct error err = { 0 };
	int got = store_get(packs_store(f.packs), &f.digests[i], &bytes, &err);
	if (got != outcome)
		fail_msg("%d, %s", got, err.text);
	if (outcome == 0)
		assert_int_equal(bytes.len, size);
	else
		assert_int_equal(bytes.len, 0);
}

static void packs__small_ones_are_fetched_whole_and_once(void **state)
{
	struct pack_name names[] = { put_pack(0, 10, 100), put_pack(10, 20, 100) };
	use(names, 2);
	assert_int_equal(f.bucket->counters.gets, 2);
	assert_int_equal(fetch(0, 20), 0);
	use(names, 2);
	assert_int_equal(f.bucket->counters.gets, 2);
	for (unsigned i = 0; i < 20; i++)
		expect_blob(i, 100, 0);
	assert_int_equal(f.bucket->counters.gets, 2);
	/* Afterwards what is needed comes alone. */
	packs_drop(f.packs);
	expect_blob(3, 100, 0);
	assert_int_equal(f.bucket->counters.gets, 3);
}

/* This worker isn't cold. */
static void know_something(void)
{
	struct pack_name name = put_pack(0, 1, 100);
	use(&name, 1);
	f.bucket->counters = (struct bucket_counters){ 0 };
}

static void packs__who_knows_none_fetches_large_ones_whole(void **state)
{
	struct pack_name name = put_pack(0, BLOBS, 4 << 10);
	use(&name, 1);
	assert_int_equal(fetch(0, BLOBS), 0);
	assert_int_equal(f.bucket->counters.gets, 1);
	assert_int_equal(f.bucket->counters.bytes_in, name.size_bytes);
	for (unsigned i = 0; i < BLOBS; i += 101)
		expect_blob(i, 4 << 10, 0);
}

static void packs__of_large_ones_neighbours_come_together(void **state)
{
	know_something();
	struct pack_name name = put_pack(0, BLOBS, 8 << 10);
	use(&name, 1);
	assert_int_equal(f.bucket->counters.gets, 1);
	assert_true(f.bucket->counters.bytes_in < 300 << 10);
	assert_int_equal(fetch(0, BLOBS), 0);
	assert_int_equal(f.bucket->counters.gets, 3); /* 16 MB in ranges of 8 MiB at most */
	for (unsigned i = 0; i < BLOBS; i += 101)
		expect_blob(i, 8 << 10, 0);
	packs_drop(f.packs);
	uint64_t before = f.bucket->counters.bytes_in;
	assert_int_equal(fetch(7, 8), 0);
	assert_true(f.bucket->counters.bytes_in - before < 10 << 10);
}

static void packs__an_index_longer_than_the_first_request_is_read_to_its_end(void **state)
{
	know_something();
	/* 5,000 entries are 280 KB. */
	struct pack_writer *writer = pack_writer_new();
	_cleanup_buf_ struct buf pack = { 0 };
	for (unsigned i = 0; i < 5000; i++) {
		_cleanup_buf_ struct buf bytes = { 0 };
		f.digests[0] = blob(i, 400, &bytes);
		pack_writer_add(writer, &f.digests[0], buf_slice(&bytes));
	}
	pack_writer_end(writer, &pack);
	pack_writer_free(writer);
	struct digest digest = digest_of(buf_slice(&pack));
	char key[128];
	pack_key(digest.hash, key);
	test_bucket_put(f.bucket, key, buf_slice(&pack));
	struct pack_name name = { .size_bytes = digest.size_bytes };
	memcpy(name.hash, digest.hash, sizeof(name.hash));
	use(&name, 1);
	assert_int_equal(f.bucket->counters.gets, 2);
	expect_blob(0, 400, 0);
}

static void packs__one_that_is_gone_holds_nothing_until_it_is_there_again(void **state)
{
	struct pack_name names[] = { put_pack(0, 10, 100), put_pack(5, 15, 100) };
	char key[128];
	struct slice body;
	_cleanup_buf_ struct buf copy = { 0 };
	pack_key(names[0].hash, key);
	assert_true(test_bucket_get(f.bucket, key, &body));
	buf_append_slice(&copy, body);
	test_bucket_remove(f.bucket, key);
	use(names, 2);
	assert_int_equal(fetch(0, 15), 5);
	expect_blob(0, 100, STORE_MISS);
	expect_blob(5, 100, 0);
	test_bucket_put(f.bucket, key, buf_slice(&copy));
	use(names, 2);
	assert_int_equal(fetch(0, 15), 0);
}

static void packs__what_vanishes_later_comes_from_another_pack(void **state)
{
	struct pack_name names[] = { put_pack(0, 10, 100), put_pack(5, 15, 100) };
	char key[128];
	use(names, 2);
	packs_drop(f.packs);
	pack_key(names[0].hash, key);
	test_bucket_remove(f.bucket, key);
	assert_int_equal(fetch(0, 15), 5);
	expect_blob(7, 100, 0);
}

static void packs__damage_on_the_way_is_repaired(void **state)
{
	struct pack_name name = put_pack(0, 3, 100 << 10);
	use(&name, 1);
	packs_drop(f.packs);
	f.bucket->damage = 1;
	assert_int_equal(fetch(0, 3), 0);
	for (unsigned i = 0; i < 3; i++)
		expect_blob(i, 100 << 10, 0);
	f.bucket->damage = 1;
	struct pack_name other = put_pack(3, 4, 10); /* its index is what is hit */
	use(&other, 1);
	expect_blob(3, 10, 0);
}

static void packs__damage_in_the_bucket_is_a_miss(void **state)
{
	struct pack_name name = put_pack(0, 3, 100 << 10);
	use(&name, 1);
	packs_drop(f.packs);
	f.bucket->damage = 1000;
	expect_blob(1, 100 << 10, STORE_MISS);
	f.bucket->damage = 0;
	expect_blob(2, 100 << 10, 0);
}

static void packs__a_pack_of_another_length_or_no_pack_holds_nothing(void **state)
{
	struct pack_name name = put_pack(0, 3, 100);
	char key[128];
	pack_key(name.hash, key);
	test_bucket_put(f.bucket, key, slice_str("short"));
	use(&name, 1);
	assert_int_equal(fetch(0, 3), 3);
	_cleanup_buf_ struct buf zeros = { 0 };
	memset(buf_reserve(&zeros, (size_t)name.size_bytes), 0, (size_t)name.size_bytes);
	zeros.len = (size_t)name.size_bytes;
	test_bucket_put(f.bucket, key, buf_slice(&zeros));
	use(&name, 1);
	assert_int_equal(fetch(0, 3), 3);
}

static void packs__large_blobs_stand_alone(void **state)
{
	_cleanup_buf_ struct buf bytes = { 0 }, stored = { 0 };
	char key[128];
	f.digests[0] = blob(1, PACK_ALONE_BYTES, &bytes);
	use(NULL, 0);
	assert_int_equal(fetch(0, 1), 1);
	packs_drop(f.packs); /* with it goes that it was absent */
	pack_alone_write(buf_slice(&bytes), &stored);
	pack_key_alone(&f.digests[0], key);
	test_bucket_put(f.bucket, key, buf_slice(&stored));
	assert_int_equal(fetch(0, 1), 0);
	expect_blob(0, PACK_ALONE_BYTES, 0);
	assert_int_equal(f.bucket->counters.gets, 2);
}

static void packs__a_bucket_that_can_not_be_asked_is_an_error(void **state)
{
	struct pack_name name = put_pack(0, 3, 100);
	struct error err;
	f.bucket->deny = "pack/";
	assert_int_equal(packs_use(f.packs, &f.bucket->bucket, &name, 1, &err), -1);
	f.bucket->deny = NULL;
	use(&name, 1);
	packs_drop(f.packs);
	f.bucket->deny = "pack/";
	struct digest missing[3];
	size_t n;
	assert_int_equal(packs_fetch(f.packs, f.digests, 3, missing, &n, &err), -1);
	expect_blob(0, 100, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(packs__small_ones_are_fetched_whole_and_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(packs__who_knows_none_fetches_large_ones_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(packs__of_large_ones_neighbours_come_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			packs__an_index_longer_than_the_first_request_is_read_to_its_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			packs__one_that_is_gone_holds_nothing_until_it_is_there_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(packs__what_vanishes_later_comes_from_another_pack, set_up, tear_down),
		cmocka_unit_test_setup_teardown(packs__damage_on_the_way_is_repaired, set_up, tear_down),
		cmocka_unit_test_setup_teardown(packs__damage_in_the_bucket_is_a_miss, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			packs__a_pack_of_another_length_or_no_pack_holds_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(packs__large_blobs_stand_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(packs__a_bucket_that_can_not_be_asked_is_an_error, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
