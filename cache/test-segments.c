#include "files/test-scratch.h"

#include "cache/segments.h"

static void keep(struct segments *segments, const char *name, size_t n, const char *const *keys)
{
	struct segment_writer *writer = segment_writer_new();
	_cleanup_buf_ struct buf object = { 0 }, plain = { 0 };
	struct error err;
	for (size_t i = 0; i < n; i++) {
		struct buf head = { 0 };
		buf_printf(&head, "%s %zu", name, i);
		struct segment_entry entry = { .head = buf_slice(&head) };
		struct digest key = digest_of(slice_str(keys[i]));
		memcpy(entry.key, key.hash, sizeof(entry.key));
		segment_writer_add(writer, &entry);
		buf_deinit(&head);
	}
	segment_writer_end(writer, &object);
	segment_writer_free(writer);
	assert_int_equal(segment_unpack(buf_slice(&object), &plain, &err), 0);
	assert_int_equal(segments_write(segments, name, buf_slice(&plain), &err), 0);
	assert_int_equal(segments_add(segments, name, &err), 0);
}

/* What is found under `key`, in its order. */
static void assert_found(const struct segments *segments, const char *key, const char *expected)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct digest digest = digest_of(slice_str(key));
	struct segments_place at = { 0 };
	for (struct segment_entry entry; segments_next(segments, &digest, &at, &entry);)
		buf_printf(&text, "%.*s;", (int)entry.head.len, entry.head.ptr);
	assert_string_equal(buf_str(&text), expected);
}

static struct segments *open_some(struct scratch *scratch, size_t limit)
{
	struct error err;
	struct segments *segments = segments_open(scratch_path(scratch, "shared"), limit, &err);
	assert_non_null(segments);
	return segments;
}

static void segments__the_youngest_answers_first_after_a_restart_too(void **state)
{
	struct segments *segments = open_some(*state, 10);
	assert_string_equal(segments_youngest(segments), "");
	keep(segments, "2", 3, (const char *const[]){ "a", "b", "a" });
	keep(segments, "1", 1, (const char *const[]){ "a" });
	keep(segments, "3", 2, (const char *const[]){ "b", "a" });
	for (int i = 0; i < 2; i++) {
		assert_found(segments, "a", "3 1;2 2;2 0;1 0;");
		assert_found(segments, "b", "3 0;2 1;");
		assert_found(segments, "c", "");
		assert_string_equal(segments_youngest(segments), "3");
		assert_true(segments_have(segments, "1"));
		assert_false(segments_have(segments, "4"));
		segments_close(segments);
		segments = open_some(*state, 10);
	}
	segments_close(segments);
}

static void segments__beyond_the_limit_the_oldest_goes(void **state)
{
	struct segments *segments = open_some(*state, 2);
	for (const char *name = "123"; *name; name++)
		keep(segments, (const char[]){ *name, '\0' }, 1, (const char *const[]){ "a" });
	assert_found(segments, "a", "3 0;2 0;");
	segments_close(segments);
	segments = open_some(*state, 2);
	assert_found(segments, "a", "3 0;2 0;");
	segments_close(segments);
}

static void segments__what_is_damaged_is_removed_at_the_start(void **state)
{
	struct segments *segments = open_some(*state, 10);
	keep(segments, "1", 1, (const char *const[]){ "a" });
	keep(segments, "2", 1, (const char *const[]){ "a" });
	segments_close(segments);
	scratch_write(*state, "shared/2", "LLSG but not really");
	scratch_write(*state, "shared/.3", "left half-way");
	segments = open_some(*state, 10);
	assert_found(segments, "a", "1 0;");
	segments_close(segments);
	assert_int_equal(access(scratch_path(*state, "shared/2"), F_OK), -1);
	assert_int_equal(access(scratch_path(*state, "shared/.3"), F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(segments__the_youngest_answers_first_after_a_restart_too),
		TEST(segments__beyond_the_limit_the_oldest_goes),
		TEST(segments__what_is_damaged_is_removed_at_the_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
