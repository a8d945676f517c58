#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/segment.h"
#include "wire/compress.h"

static struct segment_entry some_entry(const char *key, const char *head, const char *names)
{
	struct segment_entry entry = { .pack_bytes = 100 + strlen(key), .head = slice_str(head), .names = slice_str(names) };
	struct digest digest = digest_of(slice_str(key)), pack = digest_of(slice_str(head));
	memcpy(entry.key, digest.hash, sizeof(entry.key));
	memcpy(entry.pack, pack.hash, sizeof(entry.pack));
	return entry;
}

static void make_segment(struct buf *ret)
{
	static const char *const keys[] = { "one", "two", "three", "two", "four" };
	struct segment_writer *writer = segment_writer_new();
	for (size_t i = 0; i < 5; i++) {
		struct buf head = { 0 };
		buf_printf(&head, "head %zu of %s", i, keys[i]);
		struct segment_entry entry = some_entry(keys[i], buf_str(&head), i ? "names" : "");
		segment_writer_add(writer, &entry);
		buf_deinit(&head);
	}
	assert_int_equal(segment_writer_count(writer), 5);
	segment_writer_end(writer, ret);
	assert_int_equal(segment_writer_count(writer), 0);
	segment_writer_free(writer);
}

static void segment__entries_are_found_by_key_the_oldest_first(void **state)
{
	_cleanup_buf_ struct buf object = { 0 }, plain = { 0 };
	struct error err;
	make_segment(&object);
	assert_int_equal(segment_unpack(buf_slice(&object), &plain, &err), 0);
	struct slice segment = buf_slice(&plain);
	assert_int_equal(segment_count(segment), 5);
	struct digest two = digest_of(slice_str("two")), none = digest_of(slice_str("none"));
	size_t i = segment_find(segment, &two);
	struct segment_entry first = segment_at(segment, i), second = segment_at(segment, i + 1);
	assert_true(slice_equal_str(first.head, "head 1 of two"));
	assert_true(slice_equal_str(first.names, "names"));
	assert_true(slice_equal_str(second.head, "head 3 of two"));
	assert_int_equal(first.pack_bytes, 103);
	struct digest pack = digest_of(first.head);
	assert_memory_equal(first.pack, pack.hash, sizeof(first.pack));
	assert_int_equal(segment_find(segment, &none), 5);
	struct digest one = digest_of(slice_str("one"));
	assert_int_equal(segment_at(segment, segment_find(segment, &one)).names.len, 0);
}

static void segment__an_empty_one_has_nothing(void **state)
{
	_cleanup_buf_ struct buf object = { 0 }, plain = { 0 };
	struct error err;
	struct segment_writer *writer = segment_writer_new();
	segment_writer_end(writer, &object);
	segment_writer_free(writer);
	assert_int_equal(segment_unpack(buf_slice(&object), &plain, &err), 0);
	struct digest key = digest_of(slice_str("one"));
	assert_int_equal(segment_count(buf_slice(&plain)), 0);
	assert_int_equal(segment_find(buf_slice(&plain), &key), 0);
}

/* `plain` with 4 bytes at `at` replaced, as an object. */
static int unpack_changed(const struct buf *plain, size_t at, uint32_t value)
{
	_cleanup_buf_ struct buf changed = { 0 }, object = { 0 }, ret = { 0 };
	buf_append_slice(&changed, buf_slice(plain));
	memcpy(changed.ptr + at, &value, sizeof(value));
	compress_append(buf_slice(&changed), &object);
	struct error err;
	int outcome = segment_unpack(buf_slice(&object), &ret, &err);
	assert_true(outcome == 0 || ret.len == 0);
	return outcome;
}

static void segment__what_is_malformed_is_refused(void **state)
{
	_cleanup_buf_ struct buf object = { 0 }, plain = { 0 };
	struct error err;
	make_segment(&object);
	assert_int_equal(segment_unpack(buf_slice(&object), &plain, &err), 0);
	assert_int_equal(unpack_changed(&plain, 0, 0), -1);		     /* magic */
	assert_int_equal(unpack_changed(&plain, 4, 9), -1);		     /* version */
	assert_int_equal(unpack_changed(&plain, 8, UINT32_MAX), -1);	     /* n */
	assert_int_equal(unpack_changed(&plain, 12, 7), 0);		     /* reserved */
	assert_int_equal(unpack_changed(&plain, 16 + 72, 0), -1);	     /* offset into the entries */
	assert_int_equal(unpack_changed(&plain, 16 + 72 + 4, UINT32_MAX), -1); /* offset far behind the end */
	assert_int_equal(unpack_changed(&plain, 16 + 80, UINT32_MAX), -1);   /* a head longer than all */
	assert_int_equal(unpack_changed(&plain, 16, UINT32_MAX), -1);	     /* the first key behind the second */
	for (size_t n = 0; n < object.len; n++) {
		_cleanup_buf_ struct buf ret = { 0 };
		assert_int_equal(segment_unpack(slice_of(object.ptr, n), &ret, &err), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segment__entries_are_found_by_key_the_oldest_first),
		cmocka_unit_test(segment__an_empty_one_has_nothing),
		cmocka_unit_test(segment__what_is_malformed_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
