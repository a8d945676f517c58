#include "files/test-scratch.h"

#include "files/snapshot.h"
#include "files/snapshot_answer.h"
#include "store/store_memory.h"

struct fixture {
	struct scratch *scratch;
	struct view *view;
	struct store *home;
	struct snapshot *snapshot;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	scratch_setup((void **)&f->scratch);
	f->view = view_new();
	f->home = home_store_new();
	f->snapshot = snapshot_new(f->view, f->home);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	snapshot_free(f->snapshot);
	store_free(f->home);
	view_free(f->view);
	scratch_teardown((void **)&f->scratch);
	free(f);
	return 0;
}

static int add(struct fixture *f, const char *path)
{
	struct error err = { 0 };
	int r = snapshot_add(f->snapshot, view_arrive(f->view), scratch_path(f->scratch, path), &err);
	if (r < 0)
		fail_msg("%s", err.text);
	return r;
}

static const struct tree_entry *entry(struct fixture *f, const char *path)
{
	return tree_lookup(snapshot_tree(f->snapshot), scratch_path(f->scratch, path) + 1);
}

static void snapshot__a_file_brings_its_directories_content_and_mtime(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "a/b");
	const char *path = scratch_write(f->scratch, "a/b/x.h", "content");
	struct timespec times[2] = { { 1000, 7 }, { 1000, 7 } };
	utimensat(AT_FDCWD, path, times, 0);
	chmod(path, 0755);
	assert_int_equal(add(f, "a/b/x.h"), 0);
	assert_int_equal(entry(f, "a/b")->kind, TREE_DIRECTORY);
	const struct tree_entry *file = entry(f, "a/b/x.h");
	struct digest expected = digest_of(slice_str("content"));
	assert_int_equal(file->kind, TREE_FILE);
	assert_true(digest_equal(&file->digest, &expected));
	assert_true(file->executable);
	assert_int_equal(file->mtime_ns, 1000000000007);
	_cleanup_buf_ struct buf bytes = { 0 };
	assert_int_equal(store_get(f->home, &expected, &bytes, NULL), 0);
}

static void snapshot__symlinks_and_what_they_lead_through_are_mirrored(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "real/deep");
	scratch_mkdir(f->scratch, "side");
	scratch_write(f->scratch, "real/x.h", "x");
	scratch_symlink(f->scratch, scratch_path(f->scratch, "real/deep"), "absolute");
	scratch_symlink(f->scratch, "../absolute", "side/relative");
	assert_int_equal(add(f, "side/relative/../x.h"), 0);
	assert_string_equal(entry(f, "side/relative")->target, "../absolute");
	assert_string_equal(entry(f, "absolute")->target, scratch_path(f->scratch, "real/deep"));
	assert_int_equal(entry(f, "real/deep")->kind, TREE_DIRECTORY);
	assert_int_equal(entry(f, "real/x.h")->kind, TREE_FILE);
}

static void snapshot__what_vanished_leaves_and_what_changed_is_replaced(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "d");
	const char *path = scratch_write(f->scratch, "d/x", "one");
	assert_int_equal(add(f, "d/x"), 0);
	scratch_write(f->scratch, "d/x", "second");
	assert_int_equal(add(f, "d/x"), 0);
	assert_int_equal(entry(f, "d/x")->digest.size_bytes, 6);
	unlink(path);
	assert_int_equal(add(f, "d/x"), 0);
	assert_null(entry(f, "d/x"));
	assert_non_null(entry(f, "d"));
	rmdir(scratch_path(f->scratch, "d"));
	scratch_write(f->scratch, "d", "now a file");
	assert_int_equal(add(f, "d/x"), 0);
	assert_int_equal(entry(f, "d")->kind, TREE_FILE);
}

static void snapshot__special_things_are_refused(void **state)
{
	struct fixture *f = *state;
	struct error err;
	uint64_t since = view_arrive(f->view);
	assert_int_equal(snapshot_add(f->snapshot, since, "/proc/self/maps", &err), SNAPSHOT_SPECIAL);
	assert_int_equal(snapshot_add(f->snapshot, since, "/usr/../dev/zero", &err), SNAPSHOT_SPECIAL);
	assert_int_equal(snapshot_add(f->snapshot, since, "/sys", &err), SNAPSHOT_SPECIAL);
	scratch_symlink(f->scratch, "/proc/self", "self");
	assert_int_equal(add(f, "self/maps"), SNAPSHOT_SPECIAL);
	assert_int_equal(mkfifo(scratch_path(f->scratch, "fifo"), 0600), 0);
	assert_int_equal(add(f, "fifo"), SNAPSHOT_SPECIAL);
	scratch_symlink(f->scratch, "loop", "loop");
	assert_int_equal(add(f, "loop"), SNAPSHOT_SPECIAL);
	if (geteuid() != 0) {
		chmod(scratch_write(f->scratch, "secret", ""), 0);
		assert_int_equal(add(f, "secret"), SNAPSHOT_SPECIAL);
		chmod(scratch_mkdir(f->scratch, "closed"), 0100);
		assert_int_equal(add(f, "closed"), SNAPSHOT_SPECIAL);
	}
}

static void snapshot__one_inode_under_two_paths_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "a", "x"), *b = scratch_path(f->scratch, "b");
	scratch_symlink(f->scratch, "a", "link");
	assert_int_equal(link(a, b), 0);
	assert_int_equal(add(f, "a"), 0);
	assert_int_equal(add(f, "link"), 0);
	assert_int_equal(add(f, "./../../tmp"), 0);
	assert_int_equal(add(f, "b"), SNAPSHOT_HARD_LINKED);
	assert_null(entry(f, "b"));
	assert_int_equal(add(f, "a"), 0);
	/* Of two names the other may stay when the first goes. */
	unlink(a);
	assert_int_equal(add(f, "b"), 0);
	assert_null(entry(f, "a"));
	assert_int_equal(rename(b, a), 0);
	assert_int_equal(add(f, "a"), 0);
	assert_null(entry(f, "b"));
}

static void snapshot__toolchains_may_share_inodes(void **state)
{
	struct fixture *f = *state;
	const char *a = scratch_write(f->scratch, "gcc", "x"), *b = scratch_path(f->scratch, "gcc-12");
	assert_int_equal(link(a, b), 0);
	uint64_t since = view_arrive(f->view);
	assert_int_equal(snapshot_add_toolchain(f->snapshot, since, a, NULL), 0);
	assert_int_equal(snapshot_add_toolchain(f->snapshot, since, b, NULL), 0);
	assert_int_equal(add(f, "gcc"), 0);
	assert_int_equal(add(f, "gcc-12"), 0);
	assert_non_null(entry(f, "gcc-12"));
}

static void snapshot__a_listed_directory_has_exactly_its_names(void **state)
{
	struct fixture *f = *state;
	const char *d = scratch_mkdir(f->scratch, "d");
	scratch_mkdir(f->scratch, "d/sub");
	scratch_write(f->scratch, "d/sub/inner", "");
	scratch_write(f->scratch, "d/file", "x");
	scratch_symlink(f->scratch, "nowhere", "d/link");
	assert_int_equal(add(f, "d/sub/inner"), 0);
	assert_int_equal(snapshot_add_listing(f->snapshot, view_arrive(f->view), d, NULL), 0);
	assert_non_null(entry(f, "d/sub/inner"));
	assert_int_equal(entry(f, "d/file")->kind, TREE_FILE);
	assert_string_equal(entry(f, "d/link")->target, "nowhere");
	unlink(scratch_path(f->scratch, "d/file"));
	assert_int_equal(snapshot_add_listing(f->snapshot, view_arrive(f->view), d, NULL), 0);
	assert_null(entry(f, "d/file"));
	assert_non_null(entry(f, "d/sub/inner"));
	assert_int_equal(
		snapshot_add_listing(f->snapshot, view_arrive(f->view), scratch_path(f->scratch, "none"), NULL), 0);
}

static void snapshot__begun_anew_has_nothing(void **state)
{
	struct fixture *f = *state;
	scratch_write(f->scratch, "a", "content");
	assert_int_equal(add(f, "a"), 0);
	snapshot_clear(f->snapshot);
	assert_null(entry(f, "a"));
	link(scratch_path(f->scratch, "a"), scratch_path(f->scratch, "b"));
	assert_int_equal(add(f, "b"), 0);
	assert_int_equal(entry(f, "b")->kind, TREE_FILE);
	assert_int_equal(add(f, "a"), SNAPSHOT_HARD_LINKED);
}

static void snapshot__refreshing_finds_every_change(void **state)
{
	struct fixture *f = *state;
	scratch_mkdir(f->scratch, "gone");
	scratch_write(f->scratch, "gone/x", "");
	scratch_write(f->scratch, "edited", "");
	scratch_write(f->scratch, "same", "");
	scratch_symlink(f->scratch, "same", "link");
	assert_int_equal(add(f, "gone/x"), 0);
	assert_int_equal(add(f, "edited"), 0);
	assert_int_equal(add(f, "link"), 0);
	file_remove_tree(AT_FDCWD, scratch_path(f->scratch, "gone"), NULL);
	scratch_write(f->scratch, "edited", "longer");
	unlink(scratch_path(f->scratch, "link"));
	scratch_symlink(f->scratch, "edited", "link");
	assert_int_equal(snapshot_refresh(f->snapshot, view_arrive(f->view), NULL), 0);
	assert_null(entry(f, "gone"));
	assert_int_equal(entry(f, "edited")->digest.size_bytes, 6);
	assert_string_equal(entry(f, "link")->target, "edited");
	assert_non_null(entry(f, "same"));
}

/* What the tree holds at `path` (absolute), found by resolving it as a kernel would; NULL when nothing is there. */
static const struct tree_entry *resolve(const struct tree *tree, struct arena *arena, const char *path, int depth)
{
	static const struct tree_entry root = { .kind = TREE_DIRECTORY };
	if (depth > 40)
		return NULL;
	struct buf at = { 0 };
	const struct tree_entry *found = &root;
	const char *rest = path;
	for (;;) {
		rest += strspn(rest, "/");
		size_t n = strcspn(rest, "/");
		if (n == 0)
			break;
		if (found->kind != TREE_DIRECTORY) {
			found = NULL;
			break;
		}
		if (n == 2 && memcmp(rest, "..", 2) == 0) {
			char *slash = at.len ? strrchr(at.ptr, '/') : NULL;
			at.len = slash ? (size_t)(slash - at.ptr) : 0;
			if (at.ptr)
				at.ptr[at.len] = '\0';
			found = at.len ? tree_lookup(tree, at.ptr + 1) : &root;
			rest += n;
			continue;
		}
		size_t parent = at.len;
		buf_append_char(&at, '/');
		buf_append(&at, rest, n);
		rest += n;
		found = tree_lookup(tree, at.ptr + 1);
		if (!found)
			break;
		if (found->kind == TREE_SYMLINK) {
			at.ptr[parent] = '\0';
			const char *next = found->target[0] == '/'
						   ? arena_printf(arena, "%s/%s", found->target, rest)
						   : arena_printf(arena, "%s/%s/%s", at.ptr, found->target, rest);
			buf_deinit(&at);
			return resolve(tree, arena, next, depth + 1);
		}
	}
	buf_deinit(&at);
	return found;
}

static void make_something(struct scratch *s, const char *path)
{
	static const char *const targets[] = { "a", "../b", "..", "a/b", "../a/c", "nowhere" };
	const char *absolute = scratch_path(s, path);
	switch (random() % 4) {
	case 0:
		file_remove_tree(AT_FDCWD, absolute, NULL);
		break;
	case 1:
		mkdir(absolute, 0755);
		break;
	case 2:
		if (symlink(random() % 4 ? targets[random() % 6] : scratch_path(s, "a/b"), absolute) < 0)
			unlink(absolute);
		break;
	default: {
		int fd = open(absolute, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd >= 0) {
			char text = (char)('0' + random() % 10);
			assert_int_equal(write(fd, &text, 1), 1);
			close(fd);
		}
	}
	}
}

static const char *random_path(struct scratch *s, bool dotdot)
{
	static const char *const names[] = { "a", "b", "c", ".." };
	const char *path = "";
	for (long n = random() % 4; n >= 0; n--)
		path = arena_printf(
			&s->arena, "%s%s%s", path, *path ? "/" : "", names[random() % (dotdot && *path ? 4 : 3)]);
	return path;
}

/* A job on the tree is told the same as one at home. */
static void assert_same_answers(struct fixture *f, uint64_t since, struct snapshot_asking *asking, const char *path)
{
	static const enum lookup_kind kinds[] = { LOOKUP_FILE, LOOKUP_LINK };
	for (size_t i = 0; i < 2; i++) {
		struct lookup home = { .path = path, .kind = kinds[i] }, tree = home;
		assert_int_equal(view_observe(f->view, since, &home, NULL), 0);
		assert_int_equal(snapshot_answer(asking, &tree), 0);
		if (home.kind != tree.kind || !digest_equal(&home.digest, &tree.digest))
			fail_msg("%s: %s at home, %s in the tree", path, lookup_kind_name(home.kind),
				lookup_kind_name(tree.kind));
	}
}

static void snapshot__any_path_leads_to_the_same_as_at_home(void **state)
{
	struct fixture *f = *state;
	struct scratch *s = f->scratch;
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	srandom(seed);
	enum { ROUNDS = 60, PATHS = 40 };
	const char *paths[PATHS];
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 12; i++)
			make_something(s, random_path(s, false));
		uint64_t since = view_arrive(f->view);
		int n_paths = 0;
		for (int i = 0; i < PATHS; i++) {
			const char *path = scratch_path(s, random_path(s, true));
			struct stat st;
			int exists = stat(path, &st);
			int looped = exists < 0 && errno == ELOOP;
			struct error err = { 0 };
			int r = snapshot_add(f->snapshot, since, path, &err);
			if (looped) {
				assert_int_equal(r, SNAPSHOT_SPECIAL);
				continue;
			}
			if (r != 0)
				fail_msg("%s: %d %s", path, r, err.text);
			const struct tree_entry *found = resolve(snapshot_tree(f->snapshot), &s->arena, path, 0);
			if ((exists == 0) != (found != NULL))
				fail_msg("round %d: %s is %s at home", round, path, exists == 0 ? "there" : "absent");
			struct snapshot_asking asking = { snapshot_tree(f->snapshot), UINT64_MAX };
			assert_same_answers(f, since, &asking, path);
			snapshot_asking_deinit(&asking);
			paths[n_paths++] = path;
			if (!found)
				continue;
			assert_int_equal(found->kind, S_ISDIR(st.st_mode) ? TREE_DIRECTORY : TREE_FILE);
			if (found->kind == TREE_FILE) {
				_cleanup_buf_ struct buf bytes = { 0 };
				assert_int_equal(file_read(path, 100, &bytes, NULL), 0);
				struct digest digest = digest_of(buf_slice(&bytes));
				assert_true(digest_equal(&found->digest, &digest));
			}
		}
		/* And in any order. */
		struct snapshot_asking asking = { snapshot_tree(f->snapshot), UINT64_MAX };
		for (int i = 0; i < n_paths; i++)
			assert_same_answers(f, since, &asking, paths[i]);
		snapshot_asking_deinit(&asking);
	}
	struct store *store = store_memory_new();
	struct digest root;
	assert_int_equal(tree_commit(snapshot_tree(f->snapshot), store, &root, NULL), 0);
	store_free(store);
}

static int answer(struct fixture *f, uint64_t generation, struct lookup *lookup)
{
	_cleanup_asking_ struct snapshot_asking asking = { snapshot_tree(f->snapshot), generation };
	return snapshot_answer(&asking, lookup);
}

static void snapshot__an_answer_that_has_changed_since_is_said_so(void **state)
{
	struct fixture *f = *state;
	scratch_write(f->scratch, "a", "one");
	assert_int_equal(add(f, "a"), 0);
	uint64_t generation = tree_generation(snapshot_tree(f->snapshot));
	struct lookup lookup = { .path = scratch_path(f->scratch, "a"), .kind = LOOKUP_FILE };
	assert_int_equal(answer(f, generation, &lookup), 0);
	assert_int_equal(lookup.digest.size_bytes, 3);
	scratch_write(f->scratch, "a", "second");
	assert_int_equal(add(f, "a"), 0);
	assert_int_equal(answer(f, generation, &lookup), SNAPSHOT_LATER);

	/* A job that found it can't be told now that it was absent. */
	generation = tree_generation(snapshot_tree(f->snapshot));
	unlink(scratch_path(f->scratch, "a"));
	assert_int_equal(snapshot_refresh(f->snapshot, view_arrive(f->view), NULL), 0);
	lookup.kind = LOOKUP_FILE;
	assert_int_equal(answer(f, generation, &lookup), SNAPSHOT_LATER);
}

static int add_apart(struct fixture *f, const char *path, struct snapshot_apart *ret)
{
	struct error err;
	return snapshot_add_apart(f->snapshot, view_arrive(f->view), scratch_path(f->scratch, path), &f->scratch->arena, ret, &err);
}

static void snapshot__a_source_stands_apart_and_answers_as_if_it_were_in_the_tree(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(mkdir(scratch_path(f->scratch, "real"), 0755), 0);
	scratch_write(f->scratch, "real/a.c", "text");
	assert_int_equal(symlink("real", scratch_path(f->scratch, "link")), 0);
	struct snapshot_apart apart;
	assert_int_equal(add_apart(f, "link/a.c", &apart), 0);
	const char *physical = scratch_path(f->scratch, "real/a.c");
	assert_string_equal(apart.path, physical);
	assert_int_equal(apart.digest.size_bytes, 4);
	assert_true(apart.mtime_ns > 0);
	assert_false(apart.executable);
	struct tree *tree = snapshot_tree(f->snapshot);
	assert_null(tree_lookup(tree, physical + 1));
	assert_int_equal(tree_lookup(tree, scratch_path(f->scratch, "link") + 1)->kind, TREE_SYMLINK);

	_cleanup_asking_ struct snapshot_asking asking = { tree, tree_generation(tree), &apart };
	assert_same_answers(f, view_arrive(f->view), &asking, scratch_path(f->scratch, "link/a.c"));
	assert_same_answers(f, view_arrive(f->view), &asking, physical);
}

static void snapshot__what_others_know_too_does_not_stand_apart(void **state)
{
	struct fixture *f = *state;
	struct snapshot_apart apart;
	scratch_write(f->scratch, "known.c", "one");
	assert_int_equal(add(f, "known.c"), 0);
	scratch_write(f->scratch, "known.c", "second");
	assert_int_equal(add_apart(f, "known.c", &apart), 0);
	assert_null(apart.path);
	assert_int_equal(tree_lookup(snapshot_tree(f->snapshot), scratch_path(f->scratch, "known.c") + 1)->digest.size_bytes, 6);

	scratch_write(f->scratch, "two.c", "one");
	assert_int_equal(link(scratch_path(f->scratch, "two.c"), scratch_path(f->scratch, "names.c")), 0);
	assert_int_equal(add_apart(f, "two.c", &apart), 0);
	assert_null(apart.path);
	assert_non_null(tree_lookup(snapshot_tree(f->snapshot), scratch_path(f->scratch, "two.c") + 1));
	assert_int_equal(add_apart(f, "names.c", &apart), SNAPSHOT_HARD_LINKED);

	assert_int_equal(add_apart(f, "absent.c", &apart), 0);
	assert_null(apart.path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(snapshot__a_file_brings_its_directories_content_and_mtime),
		TEST(snapshot__symlinks_and_what_they_lead_through_are_mirrored),
		TEST(snapshot__what_vanished_leaves_and_what_changed_is_replaced),
		TEST(snapshot__special_things_are_refused),
		TEST(snapshot__one_inode_under_two_paths_is_refused),
		TEST(snapshot__toolchains_may_share_inodes),
		TEST(snapshot__a_listed_directory_has_exactly_its_names),
		TEST(snapshot__begun_anew_has_nothing),
		TEST(snapshot__refreshing_finds_every_change),
		TEST(snapshot__an_answer_that_has_changed_since_is_said_so),
		TEST(snapshot__a_source_stands_apart_and_answers_as_if_it_were_in_the_tree),
		TEST(snapshot__what_others_know_too_does_not_stand_apart),
		TEST(snapshot__any_path_leads_to_the_same_as_at_home),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
