#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/list.h"
#include "store/store_memory.h"
#include "store/tree.h"
#include "worker/sync.h"

enum { MTIME_NS = 1700000000 };
static const int64_t MTIME = MTIME_NS * INT64_C(1000000000) + 123456789;
static const char *const PROTECTED[] = { "proc", ".llama", NULL };

/* A store that fails, or misses, in the middle of things. */
struct flaky {
	struct store store;
	struct store *inner;
	int fails_after;  /* this many gets; -1 = never */
	int miss_percent; /* of the gets */
	unsigned seed;
};

static int flaky_get(struct store *store, const struct digest *digest, struct buf *ret, struct error *err)
{
	struct flaky *flaky = container_of(store, struct flaky, store);
	if (flaky->fails_after == 0)
		return error_set(err, EIO, "the store fails");
	if (flaky->fails_after > 0)
		flaky->fails_after--;
	if (rand_r(&flaky->seed) % 100 < flaky->miss_percent)
		return STORE_MISS;
	return store_get(flaky->inner, digest, ret, err);
}

static const struct store_ops flaky_ops = { .name = "flaky", .get = flaky_get };

struct fixture {
	char dir[64]; /* ours; holds the slot and things outside of the root */
	char slot[80];
	struct store *directories, *blobs;
	struct flaky flaky;
	struct sync_target target;
	struct sync_report report;
	struct tree *tree;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/test-sync.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->slot, sizeof(f->slot), "%s/slot", f->dir);
	f->directories = store_memory_new();
	f->blobs = store_memory_new();
	f->flaky = (struct flaky){ { &flaky_ops }, f->blobs, -1, 0, 1 };
	*state = f;
	return sync_target_open(&f->target, f->slot, PROTECTED, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	sync_target_close(&f->target);
	tree_free(f->tree);
	store_free(f->directories);
	store_free(f->blobs);
	file_remove_tree(AT_FDCWD, f->dir, NULL);
	free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	sync_target_close(&f->target);
	assert_int_equal(sync_target_open(&f->target, f->slot, PROTECTED, NULL), 0);
}

/* Set in `tree` what a line says: "path/", "path->target", "path=content", "path*=content" (executable),
 * "path@=content" (another mtime). */
static void set(struct fixture *f, struct tree *tree, const char *line)
{
	char path[512];
	size_t n = strcspn(line, "=*@");
	const char *arrow = strstr(line, "->");
	if (arrow) {
		snprintf(path, sizeof(path), "%.*s", (int)(arrow - line), line);
		tree_set_symlink(tree, path, arrow + 2);
	} else if (!line[n]) {
		snprintf(path, sizeof(path), "%.*s", (int)strlen(line) - 1, line);
		tree_set_directory(tree, path);
	} else {
		const char *content = strchr(line, '=') + 1;
		struct digest digest = digest_of(slice_str(content));
		assert_int_equal(store_put(f->blobs, &digest, slice_str(content), NULL), 0);
		snprintf(path, sizeof(path), "%.*s", (int)n, line);
		tree_set_file(tree, path, &digest, line[n] == '*', MTIME + (line[n] == '@'));
	}
}

static struct digest commit(struct fixture *f)
{
	struct digest root;
	assert_int_equal(tree_commit(f->tree, f->directories, &root, NULL), 0);
	return root;
}

/* A new tree of these lines, up to NULL. */
static struct digest tree_of(struct fixture *f, ...)
{
	va_list args;
	tree_free(f->tree);
	f->tree = tree_new();
	va_start(args, f);
	for (const char *line; (line = va_arg(args, const char *));)
		set(f, f->tree, line);
	va_end(args);
	return commit(f);
}

#define TREE(...) tree_of(f, ##__VA_ARGS__, NULL)

static int sync_to(struct fixture *f, struct digest want)
{
	struct error err = { 0 };
	int r = sync_tree(&f->target, f->directories, &f->flaky.store, &want, &f->report, &err);
	if (r < 0)
		assert_true(err.text[0]);
	return r;
}

static int restore(struct fixture *f, const char *path)
{
	return sync_restore_job(&f->target, f->directories, &f->flaky.store, &path, 1, &f->report, NULL);
}

/* An examination of its own, which shares nothing with sync_check_full. */

struct comparison {
	struct fixture *f;
	size_t n;
};

static void compare_entry(void *ctx, const char *path, const struct tree_entry *entry)
{
	struct comparison *comparison = ctx;
	struct fixture *f = comparison->f;
	struct stat st;
	comparison->n++;
	if (fstatat(f->target.root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s is missing", path);
	switch (entry->kind) {
	case TREE_FILE: {
		_cleanup_close_ int fd = openat(f->target.root_fd, path, O_RDONLY | O_NOFOLLOW);
		struct digest digest;
		assert_int_equal(st.st_mode, S_IFREG | (entry->executable ? 0555 : 0444));
		assert_int_equal(st.st_nlink, 1);
		assert_true(st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec == entry->mtime_ns);
		assert_int_equal(digest_fd(fd, &digest, NULL), 0);
		assert_true(digest_equal(&digest, &entry->digest));
		break;
	}
	case TREE_DIRECTORY:
		assert_int_equal(st.st_mode, S_IFDIR | 0755);
		break;
	case TREE_SYMLINK: {
		char target[512] = "";
		assert_true(readlinkat(f->target.root_fd, path, target, sizeof(target) - 1) >= 0);
		assert_string_equal(target, entry->target);
		break;
	}
	}
}

static size_t n_found;

static int count_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	n_found++;
	return 0;
}

/* The root holds f->tree, exactly. */
static void assert_in_sync(struct fixture *f)
{
	struct comparison comparison = { f, 0 };
	struct error err = { 0 };
	tree_walk(f->tree, compare_entry, &comparison);
	n_found = 0;
	assert_int_equal(nftw(f->target.root, count_entry, 32, FTW_PHYS), 0);
	assert_int_equal(n_found, comparison.n + 1);
	if (sync_check_full(&f->target, f->directories, &f->report, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(f->target.state, SYNC_CLEAN);
}

static const char *at(struct fixture *f, const char *path)
{
	static char absolute[256];
	snprintf(absolute, sizeof(absolute), "%s/%s", f->target.root, path);
	return absolute;
}

/* Leave a file, whatever stands there. */
static void scribble(struct fixture *f, const char *path, const char *content)
{
	assert_int_equal(file_replace(at(f, path), slice_str(content), 0600, NULL), 0);
}

/* Tests */

static void sync__makes_and_unmakes_a_tree(void **state)
{
	struct fixture *f = *state;
	struct digest want = TREE("a=1", "d/b*=22", "d/e/", "d/l->../a", "empty=");
	assert_int_equal(sync_to(f, want), 0);
	assert_int_equal(f->report.written, 3);
	assert_int_equal(f->report.written_bytes, 3);
	assert_in_sync(f);
	assert_int_equal(sync_to(f, TREE()), 0);
	assert_int_equal(f->report.removed, 3);
	assert_in_sync(f);
}

static void sync__an_equal_root_costs_nothing(void **state)
{
	struct fixture *f = *state;
	struct digest want = TREE("a=1");
	assert_int_equal(sync_to(f, want), 0);
	assert_int_equal(sync_tree(&f->target, NULL, NULL, &want, &f->report, NULL), 0);
	assert_int_equal(f->report.written, 0);
}

static void sync__changes_only_what_differs(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;
	assert_int_equal(sync_to(f, TREE("a=1", "d/b=2", "d/c=3", "e/f=4")), 0);
	assert_int_equal(stat(at(f, "d/c"), &before), 0);
	assert_int_equal(sync_to(f, TREE("a=1", "d/b=x", "d/c=3", "e/f=4")), 0);
	assert_int_equal(f->report.written, 1);
	assert_int_equal(f->report.removed, 1);
	assert_int_equal(stat(at(f, "d/c"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_in_sync(f);
}

static void sync__kinds_flip_into_each_other(void **state)
{
	struct fixture *f = *state;
	static const char *const kinds[] = {
		"y=other",
		"x=file",
		"x=changed",
		"x*=file",
		"x@=file",
		"x->y",
		"x->z",
		"x/",
		"x/a=1",
		"x/a/b=1",
		"x/a->..",
	};
	const size_t n = sizeof(kinds) / sizeof(kinds[0]);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			assert_int_equal(sync_to(f, TREE(kinds[i], "k=keep")), 0);
			assert_in_sync(f);
			assert_int_equal(sync_to(f, TREE(kinds[j], "k=keep")), 0);
			assert_in_sync(f);
		}
}

static void sync__equal_contents_never_share_an_inode(void **state)
{
	struct fixture *f = *state;
	struct stat a, b;
	assert_int_equal(sync_to(f, TREE("a=same", "b=same")), 0);
	assert_int_equal(stat(at(f, "a"), &a), 0);
	assert_int_equal(stat(at(f, "b"), &b), 0);
	assert_int_not_equal(a.st_ino, b.st_ino);
}

static void sync__modes_dont_depend_on_the_umask(void **state)
{
	struct fixture *f = *state;
	mode_t old = umask(0077);
	int r = sync_to(f, TREE("d/a=1", "d/b*=1"));
	umask(old);
	assert_int_equal(r, 0);
	assert_in_sync(f);
}

static void sync__never_follows_a_symlink_out_of_the_root(void **state)
{
	struct fixture *f = *state;
	char outside[128], victim[160], line[192];
	snprintf(outside, sizeof(outside), "%s/outside", f->dir);
	snprintf(victim, sizeof(victim), "%s/x", outside);
	snprintf(line, sizeof(line), "link->%s", outside);
	assert_int_equal(mkdir(outside, 0700), 0);
	assert_int_equal(file_replace(victim, slice_str("precious"), 0600, NULL), 0);

	assert_int_equal(sync_to(f, TREE(line)), 0);
	assert_int_equal(sync_to(f, TREE("link/x=1", "link/y=2")), 0);
	assert_in_sync(f);

	/* A job puts a link to the outside where the tree has a directory. */
	assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, at(f, "link"), NULL), 0);
	assert_int_equal(symlink(outside, at(f, "link")), 0);
	assert_int_equal(restore(f, "link/x"), 0);
	assert_int_equal(sync_mark_clean(&f->target, NULL), 0);
	assert_in_sync(f);

	/* The same, unnoticed: whatever sync says, it stays inside. */
	assert_int_equal(file_remove_tree(AT_FDCWD, at(f, "link"), NULL), 0);
	assert_int_equal(symlink(outside, at(f, "link")), 0);
	struct digest want = TREE("link/x=3", "link/z=2");
	assert_int_equal(sync_to(f, want), -1);
	assert_int_equal(sync_to(f, want), 0);
	assert_in_sync(f);

	/* And when everything is thrown away. */
	assert_int_equal(symlink(outside, at(f, "stray")), 0);
	assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
	reopen(f);
	assert_int_equal(sync_to(f, TREE()), 0);
	assert_in_sync(f);

	_cleanup_buf_ struct buf content = { 0 };
	assert_int_equal(file_read(victim, 100, &content, NULL), 0);
	assert_string_equal(buf_str(&content), "precious");
}

static void sync__protected_names_are_never_touched(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(mkdir(at(f, "proc"), 0700), 0);
	scribble(f, "proc/1", "a process");
	struct digest want = TREE("proc/2=x", ".llama=y", "d/proc=allowed here", "a=1");
	assert_int_equal(sync_to(f, want), 0);
	assert_int_equal(access(at(f, "proc/1"), F_OK), 0);
	assert_int_equal(access(at(f, "proc/2"), F_OK), -1);
	assert_int_equal(access(at(f, ".llama"), F_OK), -1);
	assert_int_equal(access(at(f, "d/proc"), F_OK), 0);
	assert_int_equal(sync_check_full(&f->target, f->directories, &f->report, NULL), 0);
	assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
	assert_int_equal(restore(f, "proc/1"), 0);
	assert_int_equal(sync_to(f, TREE("a=1")), 0); /* empties it first */
	assert_int_equal(access(at(f, "proc/1"), F_OK), 0);
	assert_int_equal(access(at(f, "d"), F_OK), -1);
}

static void sync__a_missing_blob_leaves_a_hole_that_is_filled_later(void **state)
{
	struct fixture *f = *state;
	struct digest gone = digest_of(slice_str("gone")), want;
	assert_int_equal(sync_to(f, TREE("old=1", "d/keep=2")), 0);
	want = TREE("d/keep=2", "d/new=3");
	tree_set_file(f->tree, "d/gone", &gone, false, MTIME);
	want = commit(f);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sync_to(f, want), SYNC_MISSING);
		assert_int_equal(f->report.n_missing, 1);
		assert_true(digest_equal(&f->report.missing[0], &gone));
	}
	assert_int_equal(store_put(f->blobs, &gone, slice_str("gone"), NULL), 0);
	assert_int_equal(sync_to(f, want), 0);
	assert_int_equal(f->report.written, 1);
	assert_in_sync(f);
}

static void sync__a_hole_that_is_no_longer_wanted_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct digest gone = digest_of(slice_str("gone"));
	TREE("d/a=1", "b=2");
	tree_set_file(f->tree, "d/gone", &gone, false, MTIME);
	assert_int_equal(sync_to(f, commit(f)), SYNC_MISSING);
	assert_int_equal(sync_to(f, TREE("d/a=1", "b=2", "d/gone=edited")), 0);
	assert_in_sync(f);
	TREE("d/a=1", "b=2");
	tree_set_file(f->tree, "d/gone", &gone, false, MTIME);
	assert_int_equal(sync_to(f, commit(f)), SYNC_MISSING);
	assert_int_equal(sync_to(f, TREE("d->b", "b=2")), 0);
	assert_in_sync(f);
}

static void sync__a_half_known_target_left_behind_is_begun_anew(void **state)
{
	struct fixture *f = *state;
	struct digest gone = digest_of(slice_str("gone"));
	TREE("d/a=1");
	tree_set_file(f->tree, "d/gone", &gone, false, MTIME);
	assert_int_equal(sync_to(f, commit(f)), SYNC_MISSING);
	reopen(f);
	assert_int_equal(sync_to(f, TREE("d/a=1")), 0);
	assert_int_equal(f->report.written, 1);
	assert_in_sync(f);
}

static void sync__missing_directory_messages_are_reported(void **state)
{
	struct fixture *f = *state;
	struct store *complete = f->directories;
	struct digest small = TREE("a=1"), want, missing;
	assert_int_equal(sync_to(f, small), 0);
	want = TREE("a=1", "d/e/f=2", "d/g=3");

	/* The root's own message: nothing happens. */
	f->directories = store_memory_new();
	assert_int_equal(sync_to(f, want), SYNC_MISSING);
	assert_true(digest_equal(&f->report.missing[0], &want));
	assert_int_equal(f->target.state, SYNC_CLEAN);

	/* That of a directory: the rest is in place. */
	_cleanup_buf_ struct buf message = { 0 };
	assert_int_equal(store_get(complete, &want, &message, NULL), 0);
	assert_int_equal(store_put(f->directories, &want, buf_slice(&message), NULL), 0);
	buf_reset(&message);
	assert_int_equal(store_get(complete, &small, &message, NULL), 0);
	assert_int_equal(store_put(f->directories, &small, buf_slice(&message), NULL), 0);
	assert_int_equal(sync_to(f, want), SYNC_MISSING);
	assert_int_equal(f->report.n_missing, 1);
	missing = f->report.missing[0];
	buf_reset(&message);
	assert_int_equal(store_get(complete, &missing, &message, NULL), 0);
	store_free(f->directories);
	f->directories = complete;
	assert_int_equal(sync_to(f, want), 0);
	assert_in_sync(f);
}

static void sync__an_old_tree_that_nobody_knows_is_replaced(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(sync_to(f, TREE("a=1", "d/e=2")), 0);
	store_free(f->directories);
	f->directories = store_memory_new(); /* as after a restart */
	reopen(f);
	assert_int_equal(f->target.state, SYNC_CLEAN);
	assert_int_equal(sync_to(f, TREE("a=1", "d/f=2")), 0);
	assert_in_sync(f);
}

static void sync__a_failure_at_any_point_is_survived(void **state)
{
	struct fixture *f = *state;
	for (int fails_after = 0;; fails_after++) {
		assert_int_equal(sync_to(f, TREE("a/x=1", "b=2", "c/d/e=3", "l->b")), 0);
		struct digest want = TREE("a=5", "b/y=6", "c/d/e=7", "c/d/f=8", "l/m=9");
		f->flaky.fails_after = fails_after;
		int r = sync_to(f, want);
		f->flaky.fails_after = -1;
		if (r == 0)
			break;
		assert_int_equal(r, -1);
		assert_int_equal(f->target.state, SYNC_DIRTY);
		if (fails_after % 2)
			reopen(f);
		assert_int_equal(sync_to(f, want), 0);
		assert_in_sync(f);
	}
}

static void sync__survives_being_killed(void **state)
{
	struct fixture *f = *state;
	struct tree *a = tree_new(), *b = tree_new();
	struct digest want_a, want_b;
	for (int i = 0; i < 300; i++) {
		char line[64];
		snprintf(line, sizeof(line), "d%d/e%d/f%d=%d", i % 7, i % 5, i, i);
		set(f, a, line);
		snprintf(line, sizeof(line), "d%d/e%d%sf%d=%d", i % 7, i % 4, i % 3 ? "/" : "", i, i * i);
		set(f, b, line);
	}
	assert_int_equal(tree_commit(a, f->directories, &want_a, NULL), 0);
	assert_int_equal(tree_commit(b, f->directories, &want_b, NULL), 0);
	sync_target_close(&f->target);
	for (int round = 0; round < 15; round++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct sync_target target;
			if (sync_target_open(&target, f->slot, PROTECTED, NULL) < 0)
				_exit(1);
			for (int i = 0;; i++)
				if (sync_tree(&target, f->directories, f->blobs, i % 2 ? &want_a : &want_b, &f->report,
					    NULL) != 0)
					_exit(1);
		}
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 + round * 3700000 }, NULL);
		kill(pid, SIGKILL);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(sync_target_open(&f->target, f->slot, PROTECTED, NULL), 0);
		assert_int_equal(sync_check_full(&f->target, f->directories, &f->report, NULL), 0);
		tree_free(f->tree);
		f->tree = a;
		assert_int_equal(sync_to(f, want_a), 0);
		assert_in_sync(f);
		f->tree = NULL;
		sync_target_close(&f->target);
	}
	tree_free(a);
	tree_free(b);
	assert_int_equal(sync_target_open(&f->target, f->slot, PROTECTED, NULL), 0);
}

static void sync__a_killed_job_costs_the_tree(void **state)
{
	struct fixture *f = *state;
	struct digest want = TREE("a=1", "d/b=2");
	assert_int_equal(sync_to(f, want), 0);
	assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
	scribble(f, "stray", "x");
	reopen(f);
	assert_int_equal(access(at(f, "a"), F_OK), -1);
	assert_int_equal(access(at(f, "stray"), F_OK), -1);
	assert_int_equal(sync_to(f, want), 0);
	assert_in_sync(f);
}

static void sync__a_clean_target_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	struct digest want = TREE("a=1", "d/b=2");
	assert_int_equal(sync_to(f, want), 0);
	reopen(f);
	assert_int_equal(sync_to(f, want), 0);
	assert_int_equal(f->report.written, 0);
	assert_in_sync(f);
	assert_int_equal(sync_to(f, TREE("a=1", "d/c=2")), 0);
	assert_int_equal(f->report.written, 1);
	assert_in_sync(f);
}

static void sync__a_strange_record_is_not_believed(void **state)
{
	struct fixture *f = *state;
	char path[128];
	snprintf(path, sizeof(path), "%s/state", f->slot);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(sync_to(f, TREE("a=1")), 0);
		_cleanup_buf_ struct buf record = { 0 };
		assert_int_equal(file_read(path, 1000, &record, NULL), 0);
		sync_target_close(&f->target);
		size_t boot = strlen("clean ") + 64 + strlen(" 85 ");
		if (i == 0)
			record.ptr[boot] = record.ptr[boot] == '0' ? '1' : '0'; /* another boot */
		else if (i == 1)
			record.len = 10;
		else if (i == 2)
			record.len = 0;
		else
			record.ptr[8] = 'x';
		assert_int_equal(file_replace(path, buf_slice(&record), 0600, NULL), 0);
		assert_int_equal(sync_target_open(&f->target, f->slot, PROTECTED, NULL), 0);
		assert_int_equal(access(at(f, "a"), F_OK), -1);
	}
	assert_int_equal(sync_to(f, TREE("a=1")), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, f->target.root, NULL), 0); /* the record stays */
	reopen(f);
	assert_int_equal(sync_to(f, TREE("a=1")), 0);
	assert_in_sync(f);
}

static void sync__a_slot_has_one_user(void **state)
{
	struct fixture *f = *state;
	struct sync_target second;
	struct error err;
	assert_int_equal(sync_target_open(&second, f->slot, PROTECTED, &err), -1);
	assert_int_equal(err.code, EBUSY);
	sync_target_close(&second);
}

static void sync__an_impossible_slot_is_refused(void **state)
{
	struct sync_target target;
	struct error err;
	(void)state;
	assert_int_equal(sync_target_open(&target, "/dev/null/slot", NULL, &err), -1);
	assert_non_null(strstr(err.text, "/dev/null/slot"));
	sync_target_close(&target);
}

static void sync__a_bottomless_tree_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf line = { 0 };
	struct error err;
	tree_free(f->tree);
	f->tree = tree_new();
	for (int i = 0; i < 2000; i++)
		buf_append_str(&line, "d/");
	buf_append_char(&line, 'd');
	tree_set_directory(f->tree, line.ptr);
	struct digest want = commit(f);
	assert_int_equal(sync_tree(&f->target, f->directories, f->blobs, &want, &f->report, &err), -1);
	assert_int_equal(err.code, ELOOP);
	assert_int_equal(sync_to(f, TREE("a=1")), 0);
	assert_in_sync(f);
}

static void sync__what_a_job_did_is_undone(void **state)
{
	struct fixture *f = *state;
	struct digest want = TREE("src/a.c=source", "src/b.c=other", "out/", "l->src", "tool*=x");
	assert_int_equal(sync_to(f, want), 0);
	assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
	scribble(f, "src/a.c", "overwritten");
	scribble(f, "src/stray", "x");
	assert_int_equal(mkdir(at(f, "out/new"), 0700), 0);
	scribble(f, "out/new/a.o", "object");
	assert_int_equal(file_remove_tree(AT_FDCWD, at(f, "src/b.c"), NULL), 0);
	assert_int_equal(mkdir(at(f, "src/b.c"), 0000), 0);
	assert_int_equal(unlink(at(f, "l")), 0);
	assert_int_equal(unlink(at(f, "tool")), 0);
	scribble(f, "l", "a file");
	const char *const paths[] = { "src/a.c", "src/stray", "out/new/a.o", "src/b.c/x", "l", "tool", "never/was" };
	assert_int_equal(sync_restore_job(&f->target, f->directories, f->blobs, paths, 7, &f->report, NULL), 0);
	assert_int_equal(f->report.written, 3);
	assert_int_equal(sync_mark_clean(&f->target, NULL), 0);
	assert_in_sync(f);
}

static void sync__a_directory_is_restored_with_all_that_is_in_it(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(sync_to(f, TREE("d/a=1", "d/e/b=2", "d/e/c=3", "k=4")), 0);
	assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
	scribble(f, "d/e/b", "changed");
	scribble(f, "d/e/stray", "changed");
	assert_int_equal(unlink(at(f, "d/e/c")), 0);
	assert_int_equal(restore(f, "d"), 0);
	assert_int_equal(sync_mark_clean(&f->target, NULL), 0);
	assert_in_sync(f);
	assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
	assert_int_equal(file_remove_tree(AT_FDCWD, at(f, "d"), NULL), 0);
	assert_int_equal(restore(f, "d/e"), 0);
	assert_int_equal(sync_mark_clean(&f->target, NULL), 0);
	assert_in_sync(f);
}

static void sync__restoring_refuses_paths_that_climb(void **state)
{
	struct fixture *f = *state;
	char outside[128];
	snprintf(outside, sizeof(outside), "%s/x", f->slot);
	assert_int_equal(file_replace(outside, slice_str("x"), 0600, NULL), 0);
	assert_int_equal(sync_to(f, TREE("d/a=1")), 0);
	static const char *const paths[] = { "../x", "d/../../x", "", ".", "d/." };
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(restore(f, paths[i]), -1);
		assert_int_equal(access(outside, F_OK), 0);
		assert_int_equal(sync_to(f, TREE("d/a=1")), 0);
	}
}

static void sync__a_missing_blob_while_restoring_is_filled_by_the_next_sync(void **state)
{
	struct fixture *f = *state;
	struct digest want = TREE("d/a=1", "b=2");
	assert_int_equal(sync_to(f, want), 0);
	assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
	scribble(f, "d/a", "changed");
	f->flaky.miss_percent = 100;
	assert_int_equal(restore(f, "d/a"), SYNC_MISSING);
	f->flaky.miss_percent = 0;
	assert_int_equal(sync_to(f, want), 0);
	assert_int_equal(f->report.written, 1);
	assert_in_sync(f);
}

static void sync__the_full_check_sees_every_difference(void **state)
{
	struct fixture *f = *state;
	struct digest want = TREE("d/a=1", "d/l->a", "d/e/", "x*=2");
	for (int i = 0; i < 10; i++) {
		struct error err = { 0 };
		assert_int_equal(sync_to(f, want), 0);
		assert_in_sync(f);
		if (i == 0) {
			scribble(f, "d/stray", "x");
		} else if (i == 1) {
			assert_int_equal(unlink(at(f, "d/a")), 0);
		} else if (i == 2) {
			assert_int_equal(chmod(at(f, "x"), 0755), 0);
		} else if (i == 3) {
			assert_int_equal(utimensat(AT_FDCWD, at(f, "d/a"), NULL, 0), 0);
		} else if (i == 4) {
			assert_int_equal(unlink(at(f, "d/l")), 0);
			assert_int_equal(symlink("b", at(f, "d/l")), 0);
		} else if (i == 5) {
			assert_int_equal(rmdir(at(f, "d/e")), 0);
			assert_int_equal(symlink("..", at(f, "d/e")), 0);
		} else if (i == 6) {
			assert_int_equal(mkdir(at(f, "d/e/stray"), 0755), 0);
		} else if (i == 7) {
			char other[128];
			snprintf(other, sizeof(other), "%s/outside", f->dir);
			assert_int_equal(link(at(f, "d/a"), other), 0);
		} else if (i == 8) {
			assert_int_equal(chmod(at(f, "d/e"), 0700), 0);
		} else {
			assert_int_equal(file_replace(at(f, "d/a"), slice_str("12"), 0444, NULL), 0);
			assert_int_equal(
				utimensat(AT_FDCWD, at(f, "d/a"),
					(struct timespec[]){ { MTIME_NS, 123456789 }, { MTIME_NS, 123456789 } }, 0),
				0);
		}
		assert_int_equal(sync_check_full(&f->target, f->directories, &f->report, &err), SYNC_DIFFERS);
		assert_true(err.text[0]);
		assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
	}
}

/* Random trees over few names, so that kinds collide at every level. */

static void random_path(unsigned *seed, char *ret)
{
	unsigned depth = 1 + (unsigned)rand_r(seed) % 4;
	for (unsigned i = 0; i < depth; i++)
		ret += sprintf(ret, "%s%c", i ? "/" : "", 'a' + rand_r(seed) % 3);
}

static void random_change(struct fixture *f, unsigned *seed)
{
	char path[32], line[128];
	random_path(seed, path);
	unsigned choice = (unsigned)rand_r(seed) % 8, value = (unsigned)rand_r(seed) % 4;
	if (choice == 0)
		tree_remove(f->tree, path);
	else if (choice == 1)
		snprintf(line, sizeof(line), "%s->%s", path, value % 2 ? "../a" : "/etc");
	else if (choice == 2)
		snprintf(line, sizeof(line), "%s/", path);
	else
		snprintf(line, sizeof(line), "%s%s=%u", path, choice == 3 ? "*" : choice == 4 ? "@" : "", value);
	if (choice)
		set(f, f->tree, line);
}

/* What a job might do at a path, ignoring what can't be done there. */
static void random_damage(struct fixture *f, unsigned *seed, const char *path)
{
	switch (rand_r(seed) % 5) {
	case 0:
		file_remove_tree(AT_FDCWD, at(f, path), NULL);
		break;
	case 1:
		file_remove_tree(AT_FDCWD, at(f, path), NULL);
		mkdir(at(f, path), 0700);
		break;
	case 2:
		file_remove_tree(AT_FDCWD, at(f, path), NULL);
		(void)!symlink("../b", at(f, path));
		break;
	default:
		file_replace(at(f, path), slice_str("damage"), 0600, NULL);
		break;
	}
}

static void sync__after_any_sequence_the_root_is_the_tree(void **state)
{
	struct fixture *f = *state;
	const char *given = getenv("TEST_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	print_message("TEST_SEED=%u\n", seed);
	f->flaky.seed = seed;
	f->tree = tree_new();
	for (int round = 0; round < 400; round++) {
		for (int n = rand_r(&seed) % 12; n >= 0; n--)
			random_change(f, &seed);
		struct digest want = commit(f);
		f->flaky.miss_percent = rand_r(&seed) % 3 ? 0 : 30;
		f->flaky.fails_after = rand_r(&seed) % 10 ? -1 : rand_r(&seed) % 5;
		int r = sync_to(f, want);
		f->flaky.miss_percent = 0;
		f->flaky.fails_after = -1;
		if (r != 0 && rand_r(&seed) % 2)
			continue; /* on to another tree, from wherever this one stopped */
		if (r != 0)
			assert_int_equal(sync_to(f, want), 0);
		assert_in_sync(f);
		if (rand_r(&seed) % 2)
			continue;
		/* A job. What it does to a path below a symlink would happen elsewhere; it has none to follow here. */
		char path[32];
		random_path(&seed, path);
		assert_int_equal(sync_mark_dirty(&f->target, NULL), 0);
		char real[4096], parent[256];
		snprintf(parent, sizeof(parent), "%s", at(f, path));
		*strrchr(parent, '/') = '\0';
		if (realpath(parent, real) && strcmp(real, parent) == 0)
			random_damage(f, &seed, path);
		assert_int_equal(restore(f, path), 0);
		assert_int_equal(sync_mark_clean(&f->target, NULL), 0);
		assert_in_sync(f);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sync__makes_and_unmakes_a_tree),
		TEST(sync__an_equal_root_costs_nothing),
		TEST(sync__changes_only_what_differs),
		TEST(sync__kinds_flip_into_each_other),
		TEST(sync__equal_contents_never_share_an_inode),
		TEST(sync__modes_dont_depend_on_the_umask),
		TEST(sync__never_follows_a_symlink_out_of_the_root),
		TEST(sync__protected_names_are_never_touched),
		TEST(sync__a_missing_blob_leaves_a_hole_that_is_filled_later),
		TEST(sync__a_hole_that_is_no_longer_wanted_is_forgotten),
		TEST(sync__a_half_known_target_left_behind_is_begun_anew),
		TEST(sync__missing_directory_messages_are_reported),
		TEST(sync__an_old_tree_that_nobody_knows_is_replaced),
		TEST(sync__a_failure_at_any_point_is_survived),
		TEST(sync__survives_being_killed),
		TEST(sync__a_killed_job_costs_the_tree),
		TEST(sync__a_clean_target_survives_a_restart),
		TEST(sync__a_strange_record_is_not_believed),
		TEST(sync__a_slot_has_one_user),
		TEST(sync__an_impossible_slot_is_refused),
		TEST(sync__a_bottomless_tree_is_refused),
		TEST(sync__what_a_job_did_is_undone),
		TEST(sync__a_directory_is_restored_with_all_that_is_in_it),
		TEST(sync__restoring_refuses_paths_that_climb),
		TEST(sync__a_missing_blob_while_restoring_is_filled_by_the_next_sync),
		TEST(sync__the_full_check_sees_every_difference),
		TEST(sync__after_any_sequence_the_root_is_the_tree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
