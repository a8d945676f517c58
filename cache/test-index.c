#include "files/test-scratch.h"

#include <signal.h>
#include <sys/wait.h>

#include "cache/index.h"

enum { LIMIT = 64 << 20 };

static struct index *open_index(struct scratch *s)
{
	struct error err = { 0 };
	struct index *index = index_open(s->root, false, LIMIT, &err);
	if (!index)
		fail_msg("%s", err.text);
	return index;
}

static struct digest key_of(int i)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", i);
	return digest_of(slice_str(text));
}

static void add(struct index *index, int key, uint64_t identity, const char *body)
{
	struct digest digest = key_of(key);
	struct error err = { 0 };
	if (index_add(index, &digest, identity, slice_str(body), &err) < 0)
		fail_msg("%s", err.text);
}

/* The whole bodies under the key, youngest first, with commas; valid until the next call. */
static const char *bodies(struct scratch *s, struct index *index, int key)
{
	struct index_record records[INDEX_ALTERNATIVES];
	size_t n;
	struct digest digest = key_of(key);
	assert_int_equal(index_alternatives(index, &digest, records, &n, NULL), 0);
	const char *all = "";
	for (size_t i = 0; i < n; i++)
		if (index_record_is_whole(&records[i]))
			all = arena_printf(&s->arena, "%s%s%.*s", all, *all ? "," : "", (int)records[i].body.len,
				records[i].body.ptr);
	index_release(index);
	return all;
}

static void index__alternatives_come_youngest_first(void **state)
{
	struct scratch *s = *state;
	struct index *index = open_index(s);
	add(index, 1, 1, "one");
	add(index, 2, 1, "other");
	add(index, 1, 2, "two");
	add(index, 1, 3, "three");
	assert_string_equal(bodies(s, index, 1), "three,two,one");
	assert_string_equal(bodies(s, index, 2), "other");
	assert_string_equal(bodies(s, index, 3), "");
	add(index, 1, 2, "TWO");
	assert_string_equal(bodies(s, index, 1), "TWO,three,one");
	struct digest digest = key_of(1);
	assert_int_equal(index_remove(index, &digest, NULL), 0);
	assert_string_equal(bodies(s, index, 1), "");
	assert_string_equal(bodies(s, index, 2), "other");
	index_close(index);
}

static void index__the_oldest_of_sixteen_goes(void **state)
{
	struct scratch *s = *state;
	struct index *index = open_index(s);
	for (int i = 0; i < 20; i++)
		add(index, 1, (uint64_t)i, arena_printf(&s->arena, "%d", i));
	assert_string_equal(bodies(s, index, 1), "19,18,17,16,15,14,13,12,11,10,9,8,7,6,5,4");
	assert_int_equal(index_entries(index), 16);
	index_close(index);
}

static void index__it_is_there_after_reopening(void **state)
{
	struct scratch *s = *state;
	struct index *index = open_index(s);
	add(index, 1, 1, "one");
	index_close(index);
	index = open_index(s);
	assert_string_equal(bodies(s, index, 1), "one");
	index_close(index);
}

static void index__it_is_there_after_a_killed_process(void **state)
{
	struct scratch *s = *state;
	pid_t pid = fork();
	if (pid == 0) {
		add(open_index(s), 1, 1, "one");
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	struct index *index = open_index(s);
	assert_string_equal(bodies(s, index, 1), "one");
	index_close(index);
}

static void index__it_is_not_believed_after_a_crash_of_the_machine(void **state)
{
	struct scratch *s = *state;
	struct index *index = open_index(s);
	add(index, 1, 1, "one");
	index_close(index);
	scratch_write(s, "index.state", "llama index 1\n00000000-another-boot\n");
	index = open_index(s);
	assert_string_equal(bodies(s, index, 1), "");
	assert_int_equal(access(scratch_path(s, "index.mdb.damaged"), F_OK), 0);
	index_close(index);
}

static void fill(struct scratch *s, struct index *index)
{
	char *body = memset(arena_zalloc(&s->arena, 20001), 'x', 20000);
	for (int i = 0; i < 200; i++)
		add(index, i, 1, body);
}

static void index__a_truncated_file_is_moved_aside(void **state)
{
	struct scratch *s = *state;
	for (off_t size = 0; size < 4000000; size = size * 3 + 1000) {
		struct index *index = open_index(s);
		fill(s, index);
		index_close(index);
		assert_int_equal(truncate(scratch_path(s, "index.mdb"), size), 0);
		index = open_index(s);
		assert_string_equal(bodies(s, index, 1), "");
		add(index, 1, 1, "new");
		assert_string_equal(bodies(s, index, 1), "new");
		assert_int_equal(index_clear(index, NULL), 0);
		index_close(index);
	}
}

static void index__a_file_of_something_else_is_moved_aside(void **state)
{
	struct scratch *s = *state;
	index_close(open_index(s));
	char *junk = memset(arena_zalloc(&s->arena, 100001), 'j', 100000);
	scratch_write(s, "index.mdb", junk);
	struct index *index = open_index(s);
	assert_string_equal(bodies(s, index, 1), "");
	index_close(index);
	assert_int_equal(access(scratch_path(s, "index.mdb.damaged"), F_OK), 0);
}

static void index__a_corrupted_value_is_not_whole(void **state)
{
	struct scratch *s = *state;
	struct index *index = open_index(s);
	add(index, 1, 1, "needle-in-the-file");
	struct digest note = key_of(7);
	assert_int_equal(index_note_put(index, &note, slice_str("noted-in-the-file"), NULL), 0);
	index_close(index);
	_cleanup_buf_ struct buf file = { 0 };
	assert_int_equal(file_read(scratch_path(s, "index.mdb"), 64 << 20, &file, NULL), 0);
	for (char *p = file.ptr; (p = memmem(p, (size_t)(file.ptr + file.len - p), "-in-the-", 8)); p++)
		*p = '+';
	assert_int_equal(file_replace(scratch_path(s, "index.mdb"), buf_slice(&file), 0600, NULL), 0);
	index = open_index(s);
	assert_string_equal(bodies(s, index, 1), "");
	struct slice value;
	assert_int_equal(index_note_get(index, &note, &s->arena, &value, NULL), INDEX_NONE);
	index_close(index);
}

static void index__truncation_while_running_moves_it_aside_and_ends_the_process(void **state)
{
	struct scratch *s = *state;
	pid_t pid = fork();
	if (pid == 0) {
		assert_true(freopen("/dev/null", "w", stderr) != NULL);
		struct index *index = open_index(s);
		index_arm_sigbus(index);
		fill(s, index);
		if (truncate(scratch_path(s, "index.mdb"), 8192) < 0)
			_exit(1);
		bodies(s, index, 100);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 70);
	assert_int_equal(access(scratch_path(s, "index.mdb"), F_OK), -1);
	assert_int_equal(access(scratch_path(s, "index.mdb.damaged"), F_OK), 0);
	struct index *index = open_index(s);
	add(index, 1, 1, "new");
	index_close(index);
}

static void index__reading_only_changes_nothing(void **state)
{
	struct scratch *s = *state;
	struct error err = { 0 };
	assert_null(index_open(s->root, true, LIMIT, &err));
	assert_int_equal(err.code, 0);
	assert_int_equal(access(scratch_path(s, "index.mdb"), F_OK), -1);
	struct index *index = open_index(s);
	add(index, 1, 1, "one");
	index_close(index);
	index = index_open(s->root, true, LIMIT, &err);
	assert_non_null(index);
	assert_string_equal(bodies(s, index, 1), "one");
	index_close(index);
	assert_int_equal(truncate(scratch_path(s, "index.mdb"), 9000), 0);
	assert_null(index_open(s->root, true, LIMIT, &err));
	assert_int_equal(access(scratch_path(s, "index.mdb.damaged"), F_OK), -1);
}

static void index__notes_are_kept_and_dropped(void **state)
{
	struct scratch *s = *state;
	struct index *index = open_index(s);
	struct digest key = key_of(1);
	struct slice value;
	assert_int_equal(index_note_get(index, &key, &s->arena, &value, NULL), INDEX_NONE);
	assert_int_equal(index_note_put(index, &key, slice_str("because"), NULL), 0);
	assert_int_equal(index_note_get(index, &key, &s->arena, &value, NULL), 0);
	assert_true(slice_equal_str(value, "because"));
	assert_int_equal(index_note_remove(index, &key, NULL), 0);
	assert_int_equal(index_note_remove(index, &key, NULL), 0);
	assert_int_equal(index_note_get(index, &key, &s->arena, &value, NULL), INDEX_NONE);
	index_close(index);
}

static void index__clearing_gives_the_space_back(void **state)
{
	struct scratch *s = *state;
	struct index *index = open_index(s);
	fill(s, index);
	assert_true(index_bytes(index) > 4000000);
	assert_int_equal(index_clear(index, NULL), 0);
	assert_int_equal(index_entries(index), 0);
	struct stat st;
	assert_int_equal(stat(scratch_path(s, "index.mdb"), &st), 0);
	assert_true(st.st_blocks * 512 < 1000000);
	index_close(index);
}

static void index__a_full_one_is_begun_anew(void **state)
{
	struct scratch *s = *state;
	struct index *index = index_open(s->root, false, 2 << 20, NULL);
	fill(s, index);
	assert_true(index_entries(index) > 0 && index_entries(index) < 200);
	assert_string_not_equal(bodies(s, index, 199), "");
	index_close(index);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(index__alternatives_come_youngest_first),
		TEST(index__the_oldest_of_sixteen_goes),
		TEST(index__it_is_there_after_reopening),
		TEST(index__it_is_there_after_a_killed_process),
		TEST(index__it_is_not_believed_after_a_crash_of_the_machine),
		TEST(index__a_truncated_file_is_moved_aside),
		TEST(index__a_file_of_something_else_is_moved_aside),
		TEST(index__a_corrupted_value_is_not_whole),
		TEST(index__truncation_while_running_moves_it_aside_and_ends_the_process),
		TEST(index__reading_only_changes_nothing),
		TEST(index__notes_are_kept_and_dropped),
		TEST(index__a_full_one_is_begun_anew),
		TEST(index__clearing_gives_the_space_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
