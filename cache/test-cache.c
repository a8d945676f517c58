#include "files/test-scratch.h"

#include "cache/cache.h"

struct fixture {
	struct scratch *scratch;
	struct view *view;
	struct cache *cache;
	struct lookup v[8];
	struct lookups lookups;
	struct digest key, plain, terminal;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	scratch_setup((void **)&f->scratch);
	scratch_mkdir(f->scratch, "cache");
	scratch_mkdir(f->scratch, "inc");
	f->view = view_new();
	f->cache = cache_open(scratch_path(f->scratch, "cache"), CACHE_READWRITE, NULL);
	assert_non_null(f->cache);
	f->lookups.v = f->v;
	f->key = digest_of(slice_str("key"));
	f->plain = digest_of(slice_str("plain"));
	f->terminal = digest_of(slice_str("terminal"));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	cache_close(f->cache);
	view_free(f->view);
	scratch_teardown((void **)&f->scratch);
	free(f);
	return 0;
}

static void reopen(struct fixture *f, enum cache_mode mode)
{
	cache_close(f->cache);
	f->cache = cache_open(scratch_path(f->scratch, "cache"), mode, NULL);
	assert_non_null(f->cache);
}

/* The list of a job that looked these up now. */
static void look_up(struct fixture *f, size_t n, ...)
{
	va_list paths;
	va_start(paths, n);
	f->lookups.n = n;
	for (size_t i = 0; i < n; i++) {
		f->v[i] = (struct lookup){ .path = scratch_path(f->scratch, va_arg(paths, const char *)),
			.kind = LOOKUP_FILE };
		assert_int_equal(view_observe(f->view, view_arrive(f->view), &f->v[i], NULL), 0);
	}
	va_end(paths);
	lookups_sort(&f->lookups);
}

/* Put a result whose object has these bytes. */
static int put(struct fixture *f, const char *object, const char *messages, const struct digest *kind)
{
	struct cache_output output = { .label = "0", .digest = digest_of(slice_str(object)) };
	struct cache_result result = { .outputs = &output,
		.n_outputs = 1,
		.err = digest_of(slice_str(messages)),
		.messages_kind = *kind,
		.depfile_targets = "a.o" };
	view_alias_signature(f->view, view_arrive(f->view), &f->lookups, &result.alias_signature);
	return cache_put(f->cache, &f->key, &f->lookups, &result, NULL);
}

enum { MISS = -1 };

/* Size of the object that the cache answers with, or MISS. */
static int get(struct fixture *f, const struct digest *kind, struct cache_why *why)
{
	struct cache_result result;
	int r = cache_get(
		f->cache, f->view, view_arrive(f->view), &f->key, kind, &f->scratch->arena, &result, why, NULL);
	assert_true(r == 0 || r == CACHE_MISS);
	return r == 0 ? (int)result.outputs[0].digest.size_bytes : MISS;
}

static void cache__a_result_is_found_while_its_lookups_hold(void **state)
{
	struct fixture *f = *state;
	struct cache_why why;
	assert_int_equal(get(f, &f->plain, &why), MISS);
	assert_int_equal(why.what, CACHE_WHY_NO_KEY);
	scratch_write(f->scratch, "inc/a.h", "a");
	look_up(f, 2, "inc/a.h", "inc/b.h");
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	assert_int_equal(get(f, &f->plain, &why), 1);
	reopen(f, CACHE_READWRITE);
	assert_int_equal(get(f, &f->plain, &why), 1);
	scratch_write(f->scratch, "inc/b.h", "b");
	assert_int_equal(get(f, &f->plain, &why), MISS);
	assert_int_equal(why.what, CACHE_WHY_INPUT);
	assert_string_equal(why.path, scratch_path(f->scratch, "inc/b.h"));
	unlink(scratch_path(f->scratch, "inc/b.h"));
	assert_int_equal(get(f, &f->plain, NULL), 1);
	scratch_write(f->scratch, "inc/a.h", "A");
	assert_int_equal(get(f, &f->plain, NULL), MISS);
}

static void cache__files_of_equal_content_are_told_apart_among_what_was_found(void **state)
{
	struct fixture *f = *state;
	struct cache_why why;
	scratch_write(f->scratch, "inc/b.h", "twin");
	scratch_write(f->scratch, "inc/c.h", "twin");
	look_up(f, 3, "inc/a.h", "inc/b.h", "inc/c.h");
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	assert_int_equal(get(f, &f->plain, NULL), 1);
	const struct timespec long_ago[2] = { { 1000, 0 }, { 1000, 0 } };
	utimensat(AT_FDCWD, scratch_path(f->scratch, "inc/c.h"), long_ago, 0);
	assert_int_equal(get(f, &f->plain, &why), MISS);
	assert_int_equal(why.what, CACHE_WHY_ALIAS);
}

static void cache__sixteen_alternatives_are_kept_each_for_its_inputs(void **state)
{
	struct fixture *f = *state;
	for (int i = 1; i <= 20; i++) {
		char text[32], object[32];
		snprintf(text, sizeof(text), "%d", i);
		memset(object, 'o', sizeof(object));
		object[i] = '\0';
		scratch_write(f->scratch, "inc/a.h", text);
		look_up(f, 1, "inc/a.h");
		assert_int_equal(put(f, object, "", &f->plain), 0);
		assert_int_equal(get(f, &f->plain, NULL), i);
	}
	assert_int_equal(cache_counters(f->cache).entries, 16);
	scratch_write(f->scratch, "inc/a.h", "5");
	assert_int_equal(get(f, &f->plain, NULL), 5);
	scratch_write(f->scratch, "inc/a.h", "4");
	assert_int_equal(get(f, &f->plain, NULL), MISS);
}

static void cache__the_same_lookups_replace_the_older_result(void **state)
{
	struct fixture *f = *state;
	look_up(f, 1, "inc/a.h");
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	assert_int_equal(put(f, "22", "", &f->plain), 0);
	assert_int_equal(get(f, &f->plain, NULL), 2);
	assert_int_equal(cache_counters(f->cache).entries, 1);
}

static void cache__messages_answer_only_their_own_kind(void **state)
{
	struct fixture *f = *state;
	struct cache_why why;
	look_up(f, 1, "inc/a.h");
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	assert_int_equal(get(f, &f->terminal, NULL), 1);
	cache_drop(f->cache, &f->key, NULL);
	assert_int_equal(put(f, "1", "warning", &f->plain), 0);
	assert_int_equal(get(f, &f->plain, NULL), 1);
	assert_int_equal(get(f, &f->terminal, &why), MISS);
	assert_int_equal(why.what, CACHE_WHY_MESSAGES);
	assert_int_equal(put(f, "22", "warning", &f->terminal), 0);
	assert_int_equal(get(f, &f->plain, NULL), 1);
	assert_int_equal(get(f, &f->terminal, NULL), 2);
}

static void cache__twins_that_share_another_inode_are_another_input(void **state)
{
	struct fixture *f = *state;
	struct cache_why why;
	scratch_write(f->scratch, "inc/a.h", "twin");
	scratch_write(f->scratch, "inc/b.h", "twin");
	look_up(f, 3, "inc/a.h", "inc/b.h", "absent/a.h"); /* which comes before both */
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	assert_int_equal(get(f, &f->plain, &why), 1);
	unlink(scratch_path(f->scratch, "inc/b.h"));
	assert_int_equal(link(scratch_path(f->scratch, "inc/a.h"), scratch_path(f->scratch, "inc/b.h")), 0);
	assert_int_equal(get(f, &f->plain, &why), MISS);
	assert_int_equal(why.what, CACHE_WHY_ALIAS);
}

static void cache__special_lookups_are_refused(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(mkfifo(scratch_path(f->scratch, "inc/fifo"), 0600), 0);
	look_up(f, 1, "inc/fifo");
	assert_int_equal(put(f, "1", "", &f->plain), -1);
}

static void cache__a_dropped_key_is_forgotten(void **state)
{
	struct fixture *f = *state;
	look_up(f, 1, "inc/a.h");
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	assert_int_equal(cache_drop(f->cache, &f->key, NULL), 0);
	assert_int_equal(get(f, &f->plain, NULL), MISS);
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	assert_int_equal(cache_clear(f->cache, NULL), 0);
	assert_int_equal(get(f, &f->plain, NULL), MISS);
}

static void cache__read_only_answers_and_keeps_nothing(void **state)
{
	struct fixture *f = *state;
	struct slice value;
	look_up(f, 1, "inc/a.h");
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	reopen(f, CACHE_READONLY);
	assert_int_equal(get(f, &f->plain, NULL), 1);
	assert_int_equal(put(f, "22", "", &f->plain), 0);
	assert_int_equal(cache_drop(f->cache, &f->key, NULL), 0);
	assert_int_equal(cache_note_put(f->cache, &f->key, slice_str("note"), NULL), 0);
	assert_int_equal(cache_note_get(f->cache, &f->key, &f->scratch->arena, &value, NULL), CACHE_MISS);
	assert_int_equal(get(f, &f->plain, NULL), 1);
	reopen(f, CACHE_OFF);
	assert_int_equal(get(f, &f->plain, NULL), MISS);
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	file_remove_tree(AT_FDCWD, scratch_path(f->scratch, "cache/index.mdb"), NULL);
	reopen(f, CACHE_READONLY);
	assert_int_equal(get(f, &f->plain, NULL), MISS);
}

static void cache__a_truncated_index_is_begun_anew(void **state)
{
	struct fixture *f = *state;
	look_up(f, 1, "inc/a.h");
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	cache_close(f->cache);
	assert_int_equal(truncate(scratch_path(f->scratch, "cache/index.mdb"), 10000), 0);
	f->cache = cache_open(scratch_path(f->scratch, "cache"), CACHE_READWRITE, NULL);
	assert_non_null(f->cache);
	assert_int_equal(get(f, &f->plain, NULL), MISS);
	assert_int_equal(put(f, "1", "", &f->plain), 0);
	assert_int_equal(get(f, &f->plain, NULL), 1);
}

static void cache__an_unwritable_directory_is_named(void **state)
{
	struct fixture *f = *state;
	struct error err;
	assert_null(cache_open(scratch_path(f->scratch, "nowhere"), CACHE_READWRITE, &err));
	assert_non_null(strstr(err.text, "nowhere"));
	assert_int_equal(cache_check_directory(f->scratch->root, &err), 0);
}

static void cache__notes_are_remembered(void **state)
{
	struct fixture *f = *state;
	struct slice value;
	assert_int_equal(cache_note_put(f->cache, &f->key, slice_str("local"), NULL), 0);
	reopen(f, CACHE_READWRITE);
	assert_int_equal(cache_note_get(f->cache, &f->key, &f->scratch->arena, &value, NULL), 0);
	assert_true(slice_equal_str(value, "local"));
	assert_int_equal(cache_note_drop(f->cache, &f->key, NULL), 0);
	assert_int_equal(cache_note_get(f->cache, &f->key, &f->scratch->arena, &value, NULL), CACHE_MISS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void cache__a_result_from_elsewhere_is_judged_and_kept_like_our_own(void **state)
{
	struct fixture *f = *state;
	scratch_write(f->scratch, "inc/a.h", "a");
	look_up(f, 2, "inc/a.h", "inc/b.h");
	struct cache_output output = { .label = "0", .digest = digest_of(slice_str("object")) };
	struct cache_result result = { .outputs = &output, .n_outputs = 1, .messages_kind = f->plain, .depfile_targets = "" }, found;
	_cleanup_buf_ struct buf head = { 0 }, names = { 0 };
	struct cache_why why;
	struct arena *arena = &f->scratch->arena;
	assert_int_equal(cache_encode(&f->lookups, &result, &head, &names, NULL), 0);
	struct slice h = buf_slice(&head), n = buf_slice(&names);
	assert_int_equal(cache_judge(h, n, f->view, view_arrive(f->view), &f->plain, arena, &found, &why, NULL), 0);
	assert_true(digest_equal(&found.outputs[0].digest, &output.digest));
	assert_int_equal(cache_put_encoded(f->cache, &f->key, h, n, &found, NULL), 0);
	assert_int_equal(get(f, &f->plain, NULL), 6);
	/* As one of our own: it isn't kept twice. */
	assert_int_equal(cache_put(f->cache, &f->key, &f->lookups, &result, NULL), 0);
	assert_int_equal(cache_counters(f->cache).entries, 1);

	scratch_write(f->scratch, "inc/b.h", "b");
	assert_int_equal(cache_judge(h, n, f->view, view_arrive(f->view), &f->plain, arena, &found, &why, NULL), CACHE_MISS);
	assert_int_equal(why.what, CACHE_WHY_INPUT);
	h.len--;
	assert_int_equal(cache_judge(h, n, f->view, view_arrive(f->view), &f->plain, arena, &found, &why, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cache__a_result_is_found_while_its_lookups_hold),
		TEST(cache__files_of_equal_content_are_told_apart_among_what_was_found),
		TEST(cache__sixteen_alternatives_are_kept_each_for_its_inputs),
		TEST(cache__the_same_lookups_replace_the_older_result),
		TEST(cache__messages_answer_only_their_own_kind),
		TEST(cache__twins_that_share_another_inode_are_another_input),
		TEST(cache__special_lookups_are_refused),
		TEST(cache__a_dropped_key_is_forgotten),
		TEST(cache__read_only_answers_and_keeps_nothing),
		TEST(cache__a_truncated_index_is_begun_anew),
		TEST(cache__an_unwritable_directory_is_named),
		TEST(cache__a_result_from_elsewhere_is_judged_and_kept_like_our_own),
		TEST(cache__notes_are_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
