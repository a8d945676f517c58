#include "files/test-scratch.h"

#include <sys/types.h>

#include "files/view.h"

/* A view under test, and the list of look-ups it is asked to confirm. */
struct fixture {
	struct scratch *scratch;
	struct view *view;
	struct lookup v[512];
	struct lookups lookups;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	scratch_setup((void **)&f->scratch);
	f->view = view_new();
	view_set_clock(f->view, scratch_late);
	f->lookups.v = f->v;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	view_free(f->view);
	scratch_teardown((void **)&f->scratch);
	free(f);
	return 0;
}

static struct digest digest_at(struct fixture *f, const char *path)
{
	struct digest digest;
	struct error err = { 0 };
	if (view_digest(f->view, view_arrive(f->view), path, &digest, NULL, &err) != 0)
		fail_msg("%s", err.text);
	return digest;
}

/* Add a look-up as it is answered now. */
static void expect(struct fixture *f, const char *path, enum lookup_kind kind)
{
	struct lookup *l = &f->v[f->lookups.n++];
	*l = (struct lookup){ .path = path, .kind = kind };
	assert_int_equal(view_observe(f->view, view_arrive(f->view), l, NULL), 0);
	assert_int_equal(l->kind, kind);
}

static int check(struct fixture *f)
{
	size_t at = 9999;
	int r = view_check(f->view, view_arrive(f->view), &f->lookups, &at);
	return r == 0 ? -1 : (int)at;
}

enum { CONFIRMED = -1 };

static void view__an_old_file_is_hashed_once(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "a.h", "one");
	struct digest one = digest_at(f, a), again = digest_at(f, a), expected = digest_of(slice_str("one"));
	assert_true(digest_equal(&one, &expected) && digest_equal(&one, &again));
	assert_int_equal(view_counters(f->view).hashes, 1);
}

static void view__the_text_it_read_last_is_at_hand(void **state)
{
	struct fixture *f = *state;
	struct slice text;
	struct digest one = digest_at(f, scratch_write(f->scratch, "one", "first"));
	assert_true(view_text(f->view, &one, &text) && slice_equal_str(text, "first"));
	struct digest two = digest_at(f, scratch_write(f->scratch, "two", ""));
	assert_true(view_text(f->view, &two, &text) && text.len == 0);
	assert_false(view_text(f->view, &one, &text));
	const char *large = scratch_write(f->scratch, "large", "");
	assert_int_equal(truncate(large, VIEW_LARGE_BYTES), 0);
	struct digest three = digest_at(f, large);
	assert_false(view_text(f->view, &three, &text));
	assert_false(view_text(f->view, &two, &text));
}

static void view__a_file_is_hashed_once_for_all_its_names(void **state)
{
	struct fixture *f = *state;
	scratch_write(f->scratch, "a.h", "one");
	scratch_mkdir(f->scratch, "d");
	digest_at(f, scratch_path(f->scratch, "a.h"));
	digest_at(f, scratch_path(f->scratch, "d/../a.h"));
	digest_at(f, scratch_symlink(f->scratch, "../a.h", "d/link.h"));
	assert_int_equal(view_counters(f->view).hashes, 1);
}

static void view__a_fresh_file_is_hashed_for_each_request(void **state)
{
	struct fixture *f = *state;
	view_set_clock(f->view, clock_realtime_ns);
	const char *a = scratch_write(f->scratch, "a.h", "one");
	uint64_t since = view_arrive(f->view);
	struct digest digest;
	assert_int_equal(view_digest(f->view, since, a, &digest, NULL, NULL), 0);
	assert_int_equal(view_digest(f->view, since, a, &digest, NULL, NULL), 0);
	assert_int_equal(view_counters(f->view).hashes, 1);
	/* Written anew within the same tick of the clock: only reading tells. */
	scratch_write(f->scratch, "a.h", "two");
	digest = digest_at(f, a);
	struct digest expected = digest_of(slice_str("two"));
	assert_true(digest_equal(&digest, &expected));
	assert_int_equal(view_counters(f->view).hashes, 2);
}

static void view__a_file_from_the_future_is_never_trusted(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "a.h", "one");
	struct timespec times[2] = { { time(NULL) + 3600, 0 }, { time(NULL) + 3600, 0 } };
	assert_int_equal(utimensat(AT_FDCWD, a, times, 0), 0);
	digest_at(f, a);
	digest_at(f, a);
	assert_int_equal(view_counters(f->view).hashes, 2);
}

static void view__an_edit_that_restores_the_mtime_is_noticed(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "a.h", "one");
	struct stat st;
	assert_int_equal(stat(a, &st), 0);
	digest_at(f, a);
	scratch_between_stamps(f->scratch);
	scratch_write(f->scratch, "a.h", "two");
	struct timespec times[2] = { st.st_atim, st.st_mtim };
	assert_int_equal(utimensat(AT_FDCWD, a, times, 0), 0);
	struct digest digest = digest_at(f, a), expected = digest_of(slice_str("two"));
	assert_true(digest_equal(&digest, &expected));
}

static void view__a_stat_answers_only_requests_that_had_arrived(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "a.h", "one");
	uint64_t first = view_arrive(f->view), second = view_arrive(f->view);
	view_stat(f->view, first, a, true);
	view_stat(f->view, second, a, true);
	assert_int_equal(view_counters(f->view).stats, 1);
	unlink(a);
	assert_int_equal(view_stat(f->view, second, a, true).kind, VIEW_FILE);
	assert_int_equal(view_stat(f->view, view_arrive(f->view), a, true).kind, VIEW_ABSENT);
}

static void view__kinds_are_told_apart(void **state)
{
	struct fixture *f = *state;
	uint64_t since = view_arrive(f->view);
	const char *file = scratch_write(f->scratch, "file", "");
	const char *link = scratch_symlink(f->scratch, "file", "link");
	const char *fifo = scratch_path(f->scratch, "fifo");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(view_stat(f->view, since, file, false).kind, VIEW_FILE);
	assert_int_equal(view_stat(f->view, since, f->scratch->root, false).kind, VIEW_DIRECTORY);
	assert_int_equal(view_stat(f->view, since, link, false).kind, VIEW_LINK);
	assert_int_equal(view_stat(f->view, since, link, true).kind, VIEW_FILE);
	assert_int_equal(view_stat(f->view, since, fifo, true).kind, VIEW_SPECIAL);
	assert_int_equal(
		view_stat(f->view, since, scratch_symlink(f->scratch, "loop", "loop"), true).kind, VIEW_SPECIAL);
	assert_int_equal(view_stat(f->view, since, scratch_path(f->scratch, "file/below"), true).kind, VIEW_ABSENT);
	assert_string_equal(view_readlink(f->view, since, link), "file");
	assert_null(view_readlink(f->view, since, file));
	struct digest digest;
	assert_int_equal(view_digest(f->view, since, fifo, &digest, NULL, NULL), VIEW_NOT_A_FILE);
}

static void expect_many_absent(struct fixture *f, const char *format, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect(f, scratch_path(f->scratch, arena_printf(&f->scratch->arena, format, (int)i)), LOOKUP_ABSENT);
}

static void view__absences_are_asked_of_the_directory(void **state)
{
	struct fixture *f = *state;
	scratch_write(f->scratch, "there.h", "");
	expect_many_absent(f, "absent-%03d.h", 200);
	assert_int_equal(check(f), CONFIRMED);
	struct view_counters before = view_counters(f->view);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(view_counters(f->view).stats, before.stats + 1);
	assert_int_equal(view_counters(f->view).listings, 1);
	scratch_between_stamps(f->scratch);
	scratch_write(f->scratch, "absent-117.h", "");
	assert_int_equal(check(f), 117);
}

static void view__a_directory_that_just_changed_is_listed_only_for_many_names(void **state)
{
	struct fixture *f = *state;
	view_set_clock(f->view, clock_realtime_ns);
	expect_many_absent(f, "absent-%03d.o", 20);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(view_counters(f->view).listings, 0);
	expect_many_absent(f, "missing-%03d.o", 200);
	uint64_t stats = view_counters(f->view).stats;
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(view_counters(f->view).listings, 1);
	assert_true(view_counters(f->view).stats < stats + 100);
	scratch_write(f->scratch, "missing-150.o", "");
	assert_int_equal(check(f), 20 + 150);
}

static void view__what_vanished_is_told_once(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "a", ""), *b = scratch_symlink(f->scratch, "a", "b");
	view_stat(f->view, view_arrive(f->view), a, true);
	view_stat(f->view, view_arrive(f->view), b, true);
	assert_null(view_next_vanished(f->view));
	unlink(a);
	uint64_t since = view_arrive(f->view);
	view_stat(f->view, since, a, true);
	view_stat(f->view, since, b, true); /* it leads nowhere now */
	view_stat(f->view, since, scratch_path(f->scratch, "never"), true);
	assert_string_equal(view_next_vanished(f->view), b);
	assert_string_equal(view_next_vanished(f->view), a);
	assert_null(view_next_vanished(f->view));
	view_stat(f->view, view_arrive(f->view), a, true);
	assert_null(view_next_vanished(f->view));
}

struct memory {
	struct view_identity identity;
	struct digest digest;
	unsigned puts;
};

static int memory_get(void *ctx, const struct view_identity *identity, struct digest *ret)
{
	struct memory *memory = ctx;
	*ret = memory->digest;
	return memory->puts && memcmp(identity, &memory->identity, sizeof(*identity)) == 0 ? 0 : -1;
}

static void memory_put(void *ctx, const struct view_identity *identity, const struct digest *digest)
{
	struct memory *memory = ctx;
	*memory = (struct memory){ *identity, *digest, memory->puts + 1 };
}

static void view__large_files_are_remembered_beyond_its_end(void **state)
{
	struct fixture *f = *state;
	struct memory memory = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	memset(buf_reserve(&text, 200000), 'x', 200000);
	text.len = 200000;
	text.ptr[text.len] = '\0';
	const char *large = scratch_write(f->scratch, "large", text.ptr), *small = scratch_write(f->scratch, "small", "x");
	struct digest first, second;
	for (unsigned i = 0; i < 3; i++) {
		struct view *view = view_new();
		view_set_clock(view, scratch_late);
		view_set_memory(view, &(struct view_memory){ memory_get, memory_put, &memory });
		assert_int_equal(view_digest(view, view_arrive(view), large, i ? &second : &first, NULL, NULL), 0);
		assert_int_equal(view_counters(view).hashes, i == 1 ? 0 : 1);
		assert_true(i == 0 || i == 2 || digest_equal(&first, &second));
		assert_int_equal(view_digest(view, view_arrive(view), small, &second, NULL, NULL), 0);
		view_free(view);
		text.ptr[7] = 'y';
		if (i == 1)
			scratch_write(f->scratch, "large", text.ptr);
	}
	assert_int_equal(memory.puts, 2);
}

static bool lacks(struct fixture *f, const char *directory, const char *name)
{
	unsigned char hashes[2][VIEW_NAME_HASH_BYTES];
	view_name_hash(slice_str("other.h"), hashes[0]);
	view_name_hash(slice_str(name), hashes[1]);
	return view_lacks(f->view, view_arrive(f->view), scratch_path(f->scratch, directory), hashes[0], 2);
}

static void view__a_directory_lacks_names_by_their_hashes(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "inc");
	scratch_write(f->scratch, "inc/a.h", "");
	scratch_symlink(f->scratch, "nowhere", "inc/dangling.h");
	assert_true(lacks(f, "inc", "b.h"));
	assert_false(lacks(f, "inc", "a.h"));
	assert_false(lacks(f, "inc", "dangling.h"));
	assert_true(lacks(f, "inc/a.h", "b.h"));
	assert_true(lacks(f, "none/below", "b.h"));
	scratch_write(f->scratch, "inc/b.h", "");
	assert_false(lacks(f, "inc", "b.h"));
	scratch_mkdir(f->scratch, "none/below");
	scratch_write(f->scratch, "none/below/b.h", "");
	assert_false(lacks(f, "none/below", "b.h"));
	/* Of one that changed just now, names had better be asked for. */
	view_set_clock(f->view, clock_realtime_ns);
	scratch_write(f->scratch, "inc/c.h", "");
	assert_false(lacks(f, "inc", "d.h"));
}

static void view__what_lies_below_an_absent_directory_is_answered_by_its_ancestor(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 50; i++)
		expect_many_absent(f, arena_printf(&f->scratch->arena, "none/sub%02d/%%d.h", i), 4);
	assert_int_equal(check(f), CONFIRMED);
	uint64_t stats = view_counters(f->view).stats;
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(view_counters(f->view).stats, stats + 1);
	scratch_between_stamps(f->scratch);
	scratch_mkdir(f->scratch, "none/sub30");
	assert_int_equal(check(f), CONFIRMED);
	scratch_between_stamps(f->scratch);
	scratch_write(f->scratch, "none/sub30/2.h", "");
	assert_int_equal(check(f), 4 * 30 + 2);
}

static void view__nothing_is_below_a_file(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "a", "");
	expect_many_absent(f, "a/%d.h", 3);
	assert_int_equal(check(f), CONFIRMED);
	unlink(a);
	scratch_mkdir(f->scratch, "a");
	scratch_write(f->scratch, "a/1.h", "");
	assert_int_equal(check(f), 1);
}

static void view__a_dangling_link_is_absent_until_its_target_comes(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "elsewhere");
	expect(f, scratch_symlink(f->scratch, "elsewhere/a.h", "a.h"), LOOKUP_ABSENT);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(check(f), CONFIRMED);
	scratch_write(f->scratch, "elsewhere/a.h", "");
	assert_int_equal(check(f), 0);
}

static void view__dotdot_behind_a_symlink_is_the_targets_parent(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "deep/inner");
	scratch_symlink(f->scratch, "deep/inner", "link");
	scratch_write(f->scratch, "a.h", "");
	expect(f, scratch_path(f->scratch, "link/../a.h"), LOOKUP_ABSENT);
	expect(f, scratch_path(f->scratch, "none/../a.h"), LOOKUP_ABSENT);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(check(f), CONFIRMED);
	scratch_between_stamps(f->scratch);
	scratch_write(f->scratch, "deep/a.h", "");
	assert_int_equal(check(f), 0);
	f->lookups.n = 0;
	expect(f, scratch_path(f->scratch, "none/../a.h"), LOOKUP_ABSENT);
	assert_int_equal(check(f), CONFIRMED);
	scratch_mkdir(f->scratch, "none");
	assert_int_equal(check(f), 0);
}

static void view__ways_that_differ_by_dotdot_are_one_question(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "a/b");
	scratch_mkdir(f->scratch, "elsewhere/deep");
	const char *way = scratch_path(f->scratch, "a/b/../../a/../x.h");
	scratch_write(f->scratch, "elsewhere/x.h", "elsewhere");
	const char *file = scratch_write(f->scratch, "x.h", "x");
	uint64_t since = view_arrive(f->view);
	assert_int_equal(view_stat(f->view, since, way, false).identity.size, 1);
	uint64_t stats = view_counters(f->view).stats;
	assert_int_equal(view_stat(f->view, since, file, false).identity.size, 1);
	assert_int_equal(view_counters(f->view).stats, stats);
	expect(f, way, LOOKUP_FILE);

	/* Whatever comes into the way since. */
	assert_int_equal(rename(scratch_path(f->scratch, "a/b"), scratch_path(f->scratch, "b")), 0);
	assert_int_equal(check(f), 0);
	scratch_write(f->scratch, "a/b", "a file");
	assert_int_equal(check(f), 0);
	assert_int_equal(unlink(scratch_path(f->scratch, "a/b")), 0);
	scratch_symlink(f->scratch, scratch_path(f->scratch, "b"), "a/b");
	assert_int_equal(check(f), 0); /* b/../../a is not there */
	assert_int_equal(unlink(scratch_path(f->scratch, "a/b")), 0);
	scratch_mkdir(f->scratch, "elsewhere/deep/a");
	scratch_symlink(f->scratch, scratch_path(f->scratch, "elsewhere/deep/a"), "a/b"); /* a/b/../../a is not there, either */
	assert_int_equal(check(f), 0);
	scratch_mkdir(f->scratch, "elsewhere/a");
	assert_int_equal(check(f), 0); /* it is elsewhere/x.h now */
	assert_int_equal(view_stat(f->view, view_arrive(f->view), way, false).identity.size, 9);
	assert_int_equal(unlink(scratch_path(f->scratch, "a/b")), 0);
	scratch_mkdir(f->scratch, "a/b");
	assert_int_equal(check(f), CONFIRMED);

	assert_int_equal(chmod(scratch_path(f->scratch, "a/b"), 0600), 0);
	struct stat st;
	assert_int_equal(check(f), stat(way, &st) == 0 ? CONFIRMED : 0); /* root walks through all */
}

static void view__a_name_too_long_is_not_absent(void **state)
{
	struct fixture *f = *state;
	char name[300];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	f->v[0] = (struct lookup){ .path = scratch_path(f->scratch, name), .kind = LOOKUP_ABSENT };
	f->lookups.n = 1;
	assert_int_equal(check(f), 0);
}

static void view__huge_directories_are_asked_by_name(void **state)
{
	struct fixture *f = *state;
	const char *huge = scratch_mkdir(f->scratch, "huge");
	int fd = open(huge, O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 20001; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(mknodat(fd, name, S_IFREG | 0600, 0), 0);
	}
	close(fd);
	expect_many_absent(f, "huge/absent-%d", 5);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(view_counters(f->view).listings, 1);
	struct lookup listing = { huge, LOOKUP_LISTING, { { 0 }, 0 } };
	assert_int_equal(view_observe(f->view, view_arrive(f->view), &listing, NULL), 0);
	assert_int_equal(listing.kind, LOOKUP_SPECIAL);
}

static void view__names_come_sorted_with_their_types(void **state)
{
	struct fixture *f = *state;
	scratch_write(f->scratch, "b", "");
	scratch_mkdir(f->scratch, "a");
	scratch_symlink(f->scratch, "nowhere", "c");
	struct view_name *names;
	size_t n;
	uint64_t since = view_arrive(f->view);
	assert_int_equal(view_names(f->view, since, f->scratch->root, &f->scratch->arena, &names, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_string_equal(names[0].name, "a");
	assert_int_equal(names[0].type, VIEW_NAME_DIRECTORY);
	assert_int_equal(names[1].type, VIEW_NAME_FILE);
	assert_int_equal(names[2].type, VIEW_NAME_LINK);
	struct lookup listing = { f->scratch->root, LOOKUP_LISTING, { { 0 }, 0 } };
	assert_int_equal(view_observe(f->view, since, &listing, NULL), 0);
	struct digest expected = digest_of(slice_of("d a\0f b\0l c", 12));
	assert_true(digest_equal(&listing.digest, &expected));
	assert_int_equal(
		view_names(f->view, since, scratch_path(f->scratch, "b"), &f->scratch->arena, &names, &n, NULL),
		VIEW_NOT_A_DIRECTORY);
}

static void view__a_listing_differs_when_a_name_changes_its_type(void **state)
{
	struct fixture *f = *state;
	scratch_write(f->scratch, "b", "");
	expect(f, f->scratch->root, LOOKUP_LISTING);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(view_counters(f->view).listings, 1);
	scratch_between_stamps(f->scratch);
	unlink(scratch_path(f->scratch, "b"));
	scratch_mkdir(f->scratch, "b");
	assert_int_equal(check(f), 0);
}

static void view__a_link_differs_when_it_is_retargeted_or_becomes_a_file(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "a", "same");
	scratch_write(f->scratch, "b", "same");
	const char *link = scratch_symlink(f->scratch, "a", "link");
	expect(f, link, LOOKUP_LINK);
	expect(f, link, LOOKUP_FILE);
	expect(f, a, LOOKUP_LINK);
	assert_int_equal(check(f), CONFIRMED);
	assert_int_equal(check(f), CONFIRMED);
	unlink(link);
	scratch_symlink(f->scratch, "b", "link");
	assert_int_equal(check(f), 0);
	f->lookups = (struct lookups){ f->v + 1, 2 };
	assert_int_equal(check(f), CONFIRMED);
}

/* gcc drops the second of two names of one directory from its search path. */
static void view__a_directory_differs_when_a_link_leads_to_another(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "one");
	scratch_mkdir(f->scratch, "one/inc");
	scratch_mkdir(f->scratch, "two");
	scratch_mkdir(f->scratch, "two/inc");
	const char *link = scratch_symlink(f->scratch, "one", "link");
	expect(f, scratch_path(f->scratch, "two/inc"), LOOKUP_DIRECTORY);
	expect(f, link, LOOKUP_DIRECTORY);
	expect(f, scratch_path(f->scratch, "link/inc"), LOOKUP_DIRECTORY);
	assert_int_equal(check(f), CONFIRMED);
	unlink(link);
	scratch_symlink(f->scratch, "two", "link");
	assert_int_equal(check(f), 1);
	f->lookups = (struct lookups){ f->v + 2, 1 };
	assert_int_equal(check(f), 0);
}

static void view__a_link_answer_covers_every_component(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "one/sub");
	scratch_mkdir(f->scratch, "two/sub");
	scratch_write(f->scratch, "one/sub/a", "");
	scratch_write(f->scratch, "two/sub/a", "");
	const char *link = scratch_symlink(f->scratch, "one", "link");
	expect(f, scratch_path(f->scratch, "link/sub/a"), LOOKUP_LINK);
	unlink(link);
	scratch_symlink(f->scratch, "two", "link");
	assert_int_equal(check(f), 0);
	/* Another text that leads to the same place, behind another link. */
	const char *inner = scratch_symlink(f->scratch, "a", "two/sub/inner");
	f->lookups.n = 0;
	expect(f, scratch_path(f->scratch, "link/sub/inner"), LOOKUP_LINK);
	assert_int_equal(check(f), CONFIRMED);
	unlink(inner);
	scratch_symlink(f->scratch, "./a", "two/sub/inner");
	assert_int_equal(check(f), 0);
	/* A straight path is no link's business until a component becomes one. */
	const char *straight = scratch_path(f->scratch, "one/sub/a");
	f->lookups.n = 0;
	expect(f, straight, LOOKUP_LINK);
	assert_int_equal(f->v[0].digest.size_bytes, 0);
	assert_int_equal(rename(scratch_path(f->scratch, "one/sub"), scratch_path(f->scratch, "one/real")), 0);
	scratch_symlink(f->scratch, "real", "one/sub");
	assert_int_equal(check(f), 0);
}

static void view__what_is_observed_follows_the_file_system(void **state)
{
	struct fixture *f = *state;
	const char *x = scratch_path(f->scratch, "x");
	struct lookup l = { x, LOOKUP_FILE, { { 1 }, 1 } };
	assert_int_equal(view_observe(f->view, view_arrive(f->view), &l, NULL), 0);
	assert_int_equal(l.kind, LOOKUP_ABSENT);
	assert_int_equal(l.digest.size_bytes, 0);
	scratch_write(f->scratch, "x", "x");
	assert_int_equal(view_observe(f->view, view_arrive(f->view), &l, NULL), 0);
	assert_int_equal(l.kind, LOOKUP_FILE);
	l.kind = LOOKUP_LISTING;
	assert_int_equal(view_observe(f->view, view_arrive(f->view), &l, NULL), 0);
	assert_int_equal(l.kind, LOOKUP_FILE);
	unlink(x);
	assert_int_equal(mkfifo(x, 0600), 0);
	assert_int_equal(view_observe(f->view, view_arrive(f->view), &l, NULL), 0);
	assert_int_equal(l.kind, LOOKUP_SPECIAL);
	f->v[f->lookups.n++] = l;
	assert_int_equal(check(f), 0);
}

static void view__what_cannot_be_read_is_special(void **state)
{
	if (geteuid() == 0)
		skip(); /* root reads everything */
	struct fixture *f = *state;
	const char *secret = scratch_write(f->scratch, "secret", "");
	const char *closed = scratch_mkdir(f->scratch, "closed");
	scratch_write(f->scratch, "closed/a", "");
	chmod(secret, 0);
	chmod(closed, 0600);
	expect(f, secret, LOOKUP_SPECIAL);
	expect(f, scratch_path(f->scratch, "closed/a"), LOOKUP_SPECIAL);
	f->v[0] = (struct lookup){ .path = scratch_path(f->scratch, "closed/absent"), .kind = LOOKUP_ABSENT };
	f->lookups.n = 1;
	assert_int_equal(check(f), 0);
	assert_int_equal(check(f), 0);
}

static void view__inputs_edited_or_moved_since_are_newer(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "inc");
	scratch_mkdir(f->scratch, "other");
	scratch_write(f->scratch, "inc/a.h", "");
	scratch_write(f->scratch, "other/a.h", "");
	expect(f, scratch_path(f->scratch, "inc/a.h"), LOOKUP_FILE);
	int64_t start = scratch_between_stamps(f->scratch);
	assert_false(view_any_newer(f->view, view_arrive(f->view), &f->lookups, start));
	/* Outputs appear beside inputs all the time. */
	scratch_write(f->scratch, "inc/a.o", "");
	assert_false(view_any_newer(f->view, view_arrive(f->view), &f->lookups, start));
	assert_int_equal(rename(scratch_path(f->scratch, "inc"), scratch_path(f->scratch, "old")), 0);
	scratch_between_stamps(f->scratch);
	assert_int_equal(rename(scratch_path(f->scratch, "other"), scratch_path(f->scratch, "inc")), 0);
	assert_true(view_any_newer(f->view, view_arrive(f->view), &f->lookups, start));
	start = scratch_between_stamps(f->scratch);
	scratch_write(f->scratch, "inc/a.h", "edited");
	assert_true(view_any_newer(f->view, view_arrive(f->view), &f->lookups, start));
}

static struct digest alias_signature(struct fixture *f)
{
	struct digest signature;
	view_alias_signature(f->view, view_arrive(f->view), &f->lookups, &signature);
	return signature;
}

static void view__twins_are_told_apart_by_inode_and_mtime(void **state)
{
	struct fixture *f = *state;
	const struct digest none = { 0 };
	const char *a = scratch_write(f->scratch, "a.h", "twin");
	const char *b = scratch_write(f->scratch, "b.h", "twin");
	expect(f, a, LOOKUP_FILE);
	struct digest alone = alias_signature(f);
	assert_true(digest_equal(&alone, &none));
	expect(f, b, LOOKUP_FILE);
	struct timespec early[2] = { { 1000, 0 }, { 1000, 0 } }, later[2] = { { 2000, 0 }, { 2000, 0 } };
	utimensat(AT_FDCWD, a, early, 0);
	utimensat(AT_FDCWD, b, early, 0);
	struct digest same_time = alias_signature(f);
	utimensat(AT_FDCWD, b, later, 0);
	struct digest other_time = alias_signature(f);
	utimensat(AT_FDCWD, a, later, 0);
	struct digest same_again = alias_signature(f);
	unlink(b);
	assert_int_equal(link(a, b), 0);
	struct digest same_inode = alias_signature(f);
	assert_false(digest_equal(&same_time, &none));
	assert_false(digest_equal(&same_time, &other_time));
	assert_true(digest_equal(&same_time, &same_again));
	assert_false(digest_equal(&same_inode, &same_time));

	struct lookup more[3] = { { .path = "/absent.h", .kind = LOOKUP_ABSENT } };
	assert_int_equal(f->lookups.n, 2);
	memcpy(more + 1, f->lookups.v, 2 * sizeof(*more));
	struct digest with_absent;
	view_alias_signature(f->view, view_arrive(f->view), &(struct lookups){ more, 3 }, &with_absent);
	assert_true(digest_equal(&with_absent, &same_inode));
}

/* Everything above at once: after each random change, an old view must say what a new one says. */
static void view__an_old_view_agrees_with_a_new_one_after_any_change(void **state)
{
	struct fixture *f = *state;
	struct scratch *s = f->scratch;
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	srandom(seed);
	static const char *const names[] = { "a", "b", "c", "d/a", "d/b", "d/e/a", "d/e/b", "l/a", "l/../a", "d/e/../b",
		"l" };
	enum { NAMES = sizeof(names) / sizeof(names[0]), STEPS = 250 };
	for (int step = 0; step < STEPS; step++) {
		const char *path = scratch_path(s, names[(size_t)random() % NAMES]);
		const char *other = scratch_path(s, names[(size_t)random() % NAMES]);
		switch (random() % 6) {
		case 0:
			file_remove_tree(AT_FDCWD, path, NULL);
			break;
		case 1:
			mkdir(path, 0755);
			break;
		case 2:
			if (symlink(random() % 2 ? "d/e" : "b", path) < 0 && random() % 2)
				unlink(path);
			break;
		case 3:
			if (rename(path, other) < 0)
				unlink(other);
			break;
		default: {
			int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
			if (fd >= 0) {
				assert_int_equal(write(fd, random() % 2 ? "x" : "y", 1), 1);
				close(fd);
			}
		}
		}
		scratch_between_stamps(f->scratch);

		struct view *fresh = view_new();
		uint64_t now = view_arrive(fresh);
		for (size_t i = 0; i < f->lookups.n; i++) {
			struct lookup truth = f->v[i];
			struct lookups one = { &f->v[i], 1 };
			assert_int_equal(view_observe(fresh, now, &truth, NULL), 0);
			bool same = truth.kind == f->v[i].kind && truth.kind != LOOKUP_SPECIAL &&
				    digest_equal(&truth.digest, &f->v[i].digest);
			assert_int_equal(
				view_check(f->view, view_arrive(f->view), &one, NULL), same ? 0 : VIEW_DIFFERS);
		}
		f->lookups.n = 0;
		for (size_t i = 0; i < NAMES; i++) {
			static const enum lookup_kind kinds[] = { LOOKUP_FILE, LOOKUP_LISTING, LOOKUP_LINK };
			for (size_t k = 0; k < 3; k++) {
				struct lookup *l = &f->v[f->lookups.n++];
				*l = (struct lookup){ .path = scratch_path(s, names[i]), .kind = kinds[k] };
				assert_int_equal(view_observe(fresh, now, l, NULL), 0);
			}
		}
		/* A broken link's name is absent when followed and a link when not: both stay in the list. */
		bool special = false;
		for (size_t i = 0; i < f->lookups.n; i++)
			special = special || f->v[i].kind == LOOKUP_SPECIAL;
		int at = check(f);
		if (!special && at != CONFIRMED)
			fail_msg("step %d: %s %s", step, f->v[at].path, lookup_kind_name(f->v[at].kind));
		view_free(fresh);
	}
}

static size_t count_open_files(void)
{
	struct arena arena = ARENA_INIT;
	struct view *view = view_new();
	struct view_name *names;
	size_t n;
	assert_int_equal(view_names(view, view_arrive(view), "/proc/self/fd", &arena, &names, &n, NULL), 0);
	view_free(view);
	arena_deinit(&arena);
	return n;
}

/* Asks for so many names in the directory that it is opened. */
static void ask_for_many(struct fixture *f, uint64_t since, const char *directory)
{
	for (int i = 0; i < 20; i++)
		view_stat(f->view, since, arena_printf(&f->scratch->arena, "%s/%d", directory, i), true);
}

static void view__an_open_directory_serves_no_later_request(void **state)
{
	struct fixture *f = *state;
	struct scratch *s = f->scratch;
	const char *d = scratch_mkdir(s, "d"), *a = scratch_write(s, "d/a.h", "one");
	scratch_mkdir(s, "other");
	scratch_write(s, "other/a.h", "the other");
	const char *link = scratch_symlink(s, "d", "link"), *by_link = scratch_path(s, "link/a.h");
	uint64_t since = view_arrive(f->view);
	ask_for_many(f, since, d);
	ask_for_many(f, since, link);
	assert_int_equal(view_stat(f->view, since, a, true).identity.size, 3);
	assert_int_equal(view_stat(f->view, since, by_link, true).identity.size, 3);
	assert_int_equal(rename(d, scratch_path(s, "gone")), 0);
	since = view_arrive(f->view);
	assert_int_equal(view_stat(f->view, since, a, true).kind, VIEW_ABSENT);
	assert_int_equal(rename(scratch_path(s, "other"), d), 0);
	since = view_arrive(f->view);
	ask_for_many(f, since, d);
	ask_for_many(f, since, link);
	assert_int_equal(view_stat(f->view, since, a, true).identity.size, 9);
	assert_int_equal(view_stat(f->view, since, by_link, true).identity.size, 9);
	assert_int_equal(view_stat(f->view, since, scratch_path(s, "link/.."), true).kind, VIEW_DIRECTORY);
}

static void view__directories_are_open_until_there_is_nothing_to_ask(void **state)
{
	struct fixture *f = *state;
	size_t before = count_open_files();
	uint64_t since = view_arrive(f->view);
	for (int i = 0; i < 200; i++)
		ask_for_many(f, since, scratch_mkdir(f->scratch, arena_printf(&f->scratch->arena, "d%d", i)));
	assert_in_range(count_open_files(), before + 1, before + 100);
	view_rest(f->view);
	assert_int_equal(count_open_files(), before);
	ask_for_many(f, since, scratch_path(f->scratch, "d0"));
	assert_int_equal(view_stat(f->view, since, scratch_write(f->scratch, "d0/a.h", "one"), true).kind, VIEW_FILE);
	view_arrive(f->view);
	assert_int_equal(count_open_files(), before);
}

static void view__a_place_outlives_what_the_view_forgets(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "a.h", "one");
	struct view_place place = { 0 };
	struct digest digest, expected = digest_of(slice_str("one"));
	for (int round = 0; round < 2; round++) {
		uint64_t since = view_arrive(f->view);
		digest = (struct digest){ 0 };
		assert_int_equal(view_digest_at(f->view, since, &place, a, &digest, NULL, NULL), 0);
		assert_true(digest_equal(&digest, &expected));
		for (int i = 0; round == 0 && i < 260000; i++) { /* more than it keeps */
			char path[64];
			snprintf(path, sizeof(path), "/nowhere/%d", i);
			view_stat(f->view, since, path, true);
		}
	}
	assert_int_equal(view_counters(f->view).hashes, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(view__an_old_file_is_hashed_once),
		TEST(view__the_text_it_read_last_is_at_hand),
		TEST(view__a_file_is_hashed_once_for_all_its_names),
		TEST(view__a_fresh_file_is_hashed_for_each_request),
		TEST(view__a_file_from_the_future_is_never_trusted),
		TEST(view__an_edit_that_restores_the_mtime_is_noticed),
		TEST(view__a_stat_answers_only_requests_that_had_arrived),
		TEST(view__kinds_are_told_apart),
		TEST(view__absences_are_asked_of_the_directory),
		TEST(view__a_directory_that_just_changed_is_listed_only_for_many_names),
		TEST(view__what_vanished_is_told_once),
		TEST(view__large_files_are_remembered_beyond_its_end),
		TEST(view__a_directory_lacks_names_by_their_hashes),
		TEST(view__what_lies_below_an_absent_directory_is_answered_by_its_ancestor),
		TEST(view__nothing_is_below_a_file),
		TEST(view__a_dangling_link_is_absent_until_its_target_comes),
		TEST(view__dotdot_behind_a_symlink_is_the_targets_parent),
		TEST(view__ways_that_differ_by_dotdot_are_one_question),
		TEST(view__a_name_too_long_is_not_absent),
		TEST(view__huge_directories_are_asked_by_name),
		TEST(view__names_come_sorted_with_their_types),
		TEST(view__a_listing_differs_when_a_name_changes_its_type),
		TEST(view__a_link_differs_when_it_is_retargeted_or_becomes_a_file),
		TEST(view__a_directory_differs_when_a_link_leads_to_another),
		TEST(view__a_link_answer_covers_every_component),
		TEST(view__what_is_observed_follows_the_file_system),
		TEST(view__what_cannot_be_read_is_special),
		TEST(view__inputs_edited_or_moved_since_are_newer),
		TEST(view__twins_are_told_apart_by_inode_and_mtime),
		TEST(view__an_open_directory_serves_no_later_request),
		TEST(view__directories_are_open_until_there_is_nothing_to_ask),
		TEST(view__a_place_outlives_what_the_view_forgets),
		TEST(view__an_old_view_agrees_with_a_new_one_after_any_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
