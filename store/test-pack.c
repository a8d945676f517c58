#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "store/pack.h"

/* The i-th blob of a test: some compress well, some not at all, one is empty. */
static void make_blob(unsigned i, struct buf *ret)
{
	unsigned seed = i;
	for (unsigned k = 0; k < i * 37; k++)
		buf_append_char(ret, i % 2 ? 'a' : (char)(rand_r(&seed) >> 7));
}

static void make_pack(unsigned n, struct buf *ret)
{
	struct pack_writer *writer = pack_writer_new();
	for (unsigned i = 0; i < n; i++) {
		_cleanup_buf_ struct buf blob = { 0 };
		make_blob(i, &blob);
		struct digest digest = digest_of(buf_slice(&blob));
		pack_writer_add(writer, &digest, buf_slice(&blob));
		pack_writer_add(writer, &digest, buf_slice(&blob));
	}
	assert_int_equal(pack_writer_count(writer), n);
	size_t expected = pack_writer_bytes(writer);
	pack_writer_end(writer, ret);
	assert_int_equal(ret->len, expected);
	assert_int_equal(pack_writer_count(writer), 0);
	pack_writer_free(writer);
}

static void pack__every_blob_comes_back(void **state)
{
	_cleanup_buf_ struct buf pack = { 0 };
	make_pack(50, &pack);
	struct error err;
	assert_int_equal(pack_index_bytes(buf_slice(&pack), &err), PACK_HEADER_BYTES + 50 * PACK_ENTRY_BYTES);
	_cleanup_free_ struct pack_entry *entries = NULL;
	size_t n;
	assert_int_equal(pack_index_parse(buf_slice(&pack), pack.len, &entries, &n, &err), 0);
	assert_int_equal(n, 50);
	bool seen[50] = { false };
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf blob = { 0 }, expected = { 0 };
		assert_int_equal(pack_blob(&entries[i], slice_of(pack.ptr + entries[i].offset, entries[i].stored), &blob, &err), 0);
		unsigned k = (unsigned)blob.len / 37;
		make_blob(k, &expected);
		assert_true(slice_equal(buf_slice(&blob), buf_slice(&expected)));
		assert_false(seen[k]);
		seen[k] = true;
		assert_true(entries[i].stored <= blob.len);
		assert_true(k % 2 == 0 || k < 3 || entries[i].stored < blob.len);
	}
}

static void pack__blobs_move_to_another_pack_as_they_are(void **state)
{
	_cleanup_buf_ struct buf pack = { 0 }, again = { 0 };
	make_pack(20, &pack);
	_cleanup_free_ struct pack_entry *entries = NULL;
	size_t n;
	struct error err;
	assert_int_equal(pack_index_parse(buf_slice(&pack), pack.len, &entries, &n, &err), 0);
	struct pack_writer *writer = pack_writer_new();
	for (size_t i = 0; i < n; i++)
		pack_writer_add_stored(writer, &entries[i], slice_of(pack.ptr + entries[i].offset, entries[i].stored));
	pack_writer_end(writer, &again);
	pack_writer_free(writer);
	assert_int_equal(again.len, pack.len);
	_cleanup_free_ struct pack_entry *moved = NULL;
	assert_int_equal(pack_index_parse(buf_slice(&again), again.len, &moved, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf blob = { 0 };
		assert_true(digest_equal(&moved[i].digest, &entries[i].digest));
		assert_int_equal(pack_blob(&moved[i], slice_of(again.ptr + moved[i].offset, moved[i].stored), &blob, &err), 0);
	}
}

/* How many blobs a reader gets out of it; none, unless each is one of the first `n` of make_blob. */
static unsigned n_readable(struct slice pack, unsigned n)
{
	_cleanup_free_ struct pack_entry *entries = NULL;
	size_t n_entries;
	unsigned n_read = 0;
	struct error err;
	if (pack_index_parse(pack, pack.len, &entries, &n_entries, &err) < 0)
		return 0;
	for (size_t i = 0; i < n_entries; i++) {
		_cleanup_buf_ struct buf blob = { 0 }, expected = { 0 };
		if (pack_blob(&entries[i], slice_of(pack.ptr + entries[i].offset, entries[i].stored), &blob, &err) < 0) {
			assert_int_equal(blob.len, 0);
			continue;
		}
		assert_true(blob.len / 37 < n);
		make_blob((unsigned)blob.len / 37, &expected);
		assert_true(slice_equal(buf_slice(&blob), buf_slice(&expected)));
		n_read++;
	}
	return n_read;
}

static void pack__damage_never_gives_another_blob(void **state)
{
	enum { N = 6 };
	_cleanup_buf_ struct buf pack = { 0 };
	make_pack(N, &pack);
	unsigned n_unnoticed = 0;
	for (size_t i = 0; i < pack.len; i++) {
		pack.ptr[i] ^= 0x11;
		n_unnoticed += n_readable(buf_slice(&pack), N) == N;
		pack.ptr[i] ^= 0x11;
	}
	assert_int_equal(n_readable(buf_slice(&pack), N), N);
	/* Reserved fields, where the empty blob lies, and bits that zstd doesn't use. */
	assert_true(n_unnoticed < 30);
	for (size_t n = 0; n < pack.len; n++)
		assert_int_equal(n_readable(slice_of(pack.ptr, n), N), 0);
}

static void pack__a_blob_alone_comes_back_verified(void **state)
{
	for (unsigned i = 0; i < 40; i += 13) {
		_cleanup_buf_ struct buf blob = { 0 }, stored = { 0 }, ret = { 0 };
		make_blob(i, &blob);
		struct digest digest = digest_of(buf_slice(&blob));
		pack_alone_write(buf_slice(&blob), &stored);
		struct error err;
		assert_int_equal(pack_alone_read(&digest, buf_slice(&stored), &ret, &err), 0);
		assert_true(slice_equal(buf_slice(&ret), buf_slice(&blob)));
		digest.hash[0] ^= 1;
		assert_int_equal(pack_alone_read(&digest, buf_slice(&stored), &ret, &err), -1);
	}
}

static void pack__keys_are_sharded_by_hash(void **state)
{
	struct digest digest = digest_of(slice_str("abc"));
	char key[128];
	pack_key(digest.hash, key);
	assert_string_equal(key, "pack/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	pack_key_alone(&digest, key);
	assert_string_equal(key, "blob/ba/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad-3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pack__every_blob_comes_back),
		cmocka_unit_test(pack__blobs_move_to_another_pack_as_they_are),
		cmocka_unit_test(pack__damage_never_gives_another_blob),
		cmocka_unit_test(pack__a_blob_alone_comes_back_verified),
		cmocka_unit_test(pack__keys_are_sharded_by_hash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
