#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "client/commit.h"

struct scratch {
	char top[64];
	struct arena arena;
};

static int scratch_setup(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));
	strcpy(s->top, "/tmp/test-commit-XXXXXX");
	assert_non_null(mkdtemp(s->top));
	*state = s;
	return 0;
}

static int scratch_teardown(void **state)
{
	struct scratch *s = *state;
	assert_int_equal(file_remove_tree(AT_FDCWD, s->top, NULL), 0);
	arena_deinit(&s->arena);
	free(s);
	return 0;
}

static const char *at(struct scratch *s, const char *name)
{
	return arena_printf(&s->arena, "%s/%s", s->top, name);
}

static void put(struct scratch *s, const char *name, const char *text)
{
	assert_int_equal(file_replace(at(s, name), slice_str(text), 0644, NULL), 0);
}

static void assert_text(struct scratch *s, const char *name, const char *text)
{
	_cleanup_buf_ struct buf got = { 0 };
	assert_int_equal(file_read(at(s, name), 1000, &got, NULL), 0);
	assert_string_equal(buf_str(&got), text);
}

static void assert_absent(struct scratch *s, const char *name)
{
	assert_int_equal(access(at(s, name), F_OK), -1);
}

static void commit__outputs_appear_replace_and_disappear(void **state)
{
	struct scratch *s = *state;
	put(s, "new.tmp", "new");
	put(s, "old.tmp", "newer");
	put(s, "old", "old");
	put(s, "gone", "gone");
	struct frame_rename renames[] = {
		{ at(s, "new.tmp"), at(s, "new") },
		{ at(s, "old.tmp"), at(s, "old") },
		{ "", at(s, "gone") },
		{ "", at(s, "never was") },
	};
	assert_int_equal(commit_renames(renames, 4, NULL), 0);
	assert_text(s, "new", "new");
	assert_text(s, "old", "newer");
	assert_absent(s, "gone");
	assert_absent(s, "new.tmp");
	assert_absent(s, "old.tmp");
	assert_int_equal(commit_renames(NULL, 0, NULL), 0);
}

/* Each of these is found before the first target is touched. */
static void commit__a_doubtful_target_leaves_all_untouched(void **state)
{
	struct scratch *s = *state;
	put(s, "linked", "old");
	assert_int_equal(link(at(s, "linked"), at(s, "twin")), 0);
	assert_int_equal(symlink("elsewhere", at(s, "symlink")), 0);
	assert_int_equal(mkdir(at(s, "directory"), 0755), 0);
	assert_int_equal(mkfifo(at(s, "fifo"), 0600), 0);
	const char *doubtful[] = { "linked", "symlink", "directory", "fifo", "no-directory/x" };
	for (size_t i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
		put(s, "a.tmp", "new");
		put(s, "b.tmp", "new");
		put(s, "a", "old");
		struct frame_rename renames[] = { { at(s, "a.tmp"), at(s, "a") },
			{ at(s, "b.tmp"), at(s, doubtful[i]) } };
		struct error err;
		/* A missing directory only shows when it is too late for the first. */
		assert_int_equal(commit_renames(renames, 2, &err), -1);
		assert_text(s, "a", i < 4 ? "old" : "new");
		assert_absent(s, "a.tmp");
		assert_absent(s, "b.tmp");
	}
	assert_text(s, "twin", "old");
}

static void commit__a_missing_temporary_leaves_all_untouched(void **state)
{
	struct scratch *s = *state;
	put(s, "a.tmp", "new");
	put(s, "a", "old");
	struct frame_rename renames[] = { { at(s, "a.tmp"), at(s, "a") }, { at(s, "b.tmp"), at(s, "b") } };
	struct error err;
	assert_int_equal(commit_renames(renames, 2, &err), -1);
	assert_non_null(strstr(err.text, "b.tmp"));
	assert_text(s, "a", "old");
	assert_absent(s, "a.tmp");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define scratch_test(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
		scratch_test(commit__outputs_appear_replace_and_disappear),
		scratch_test(commit__a_doubtful_target_leaves_all_untouched),
		scratch_test(commit__a_missing_temporary_leaves_all_untouched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
